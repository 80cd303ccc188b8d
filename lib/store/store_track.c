/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rows of batches that are not finished, and of their items. */
#include <string.h>

#include "store/store_stmt.h"

int
store_track_put(
	struct store *s, const struct store_track *t, struct ofs_error *e)
{
	return store_exec(s, TRACK_PUT, e, "ibbbbbbii", (int64_t)t->opened_seq,
		t->batch_id, sizeof(t->batch_id), t->root_id,
		sizeof(t->root_id), t->list_sha256, sizeof(t->list_sha256),
		t->outputs_sha256, sizeof(t->outputs_sha256), t->spki_sha256,
		sizeof(t->spki_sha256), t->form, strlen(t->form),
		(int64_t)t->items, (int64_t)t->closed_seq);
}

int
store_track_close(
	struct store *s, uint64_t seq, uint64_t closed_seq, struct ofs_error *e)
{
	return store_exec(
		s, TRACK_CLOSE, e, "ii", (int64_t)closed_seq, (int64_t)seq);
}

int
store_track_del(struct store *s, uint64_t seq, struct ofs_error *e)
{
	int rc;

	rc = store_items_cut(s, seq, 0, INT64_MAX, e);
	return rc != 0 ? rc : store_exec(s, TRACK_DEL, e, "i", (int64_t)seq);
}

static bool
take_form(sqlite3_stmt *q, int col, char *to, size_t size)
{
	size_t n;
	const uint8_t *p = store_borrow_blob(q, col, &n);

	if (p == NULL || n >= size || memchr(p, '\0', n) != NULL)
		return false;
	memcpy(to, p, n);
	to[n] = '\0';
	return true;
}

static bool
take_track(sqlite3_stmt *q, struct store_track *t)
{
	if (!store_take_u64(q, 0, &t->opened_seq) ||
		!store_take_blob(q, 1, t->batch_id, sizeof(t->batch_id)) ||
		!store_take_blob(q, 2, t->root_id, sizeof(t->root_id)) ||
		!store_take_blob(
			q, 3, t->list_sha256, sizeof(t->list_sha256)) ||
		!store_take_blob(
			q, 4, t->outputs_sha256, sizeof(t->outputs_sha256)) ||
		!store_take_blob(
			q, 5, t->spki_sha256, sizeof(t->spki_sha256)) ||
		!take_form(q, 6, t->form, sizeof(t->form)) ||
		!store_take_u64(q, 7, &t->items) ||
		!store_take_u64(q, 8, &t->closed_seq))
		return false;
	return true;
}

int
store_track_each(
	struct store *s, store_track_fn fn, void *arg, struct ofs_error *e)
{
	struct store_track t;
	sqlite3_stmt *q;
	int rc, step;

	rc = store_query(s, TRACK_EACH, &q, e, "");
	if (rc != 0)
		return rc;
	while (rc == 0 && (step = sqlite3_step(q)) != SQLITE_DONE) {
		if (step != SQLITE_ROW)
			rc = store_fail(s, step, "read", e);
		else if (!take_track(q, &t))
			rc = store_wrong_row("batch", e);
		else
			rc = fn(arg, &t, e);
	}
	store_done(q);
	return rc;
}

int
store_items_put(struct store *s, uint64_t opened_seq, const struct item_run *r,
	struct ofs_error *e)
{
	return store_exec(s, ITEMS_PUT, e, "iiiii", (int64_t)opened_seq,
		(int64_t)r->first, (int64_t)r->n, (int64_t)r->status,
		(int64_t)r->seq);
}

int
store_items_cut(struct store *s, uint64_t opened_seq, uint64_t first,
	uint64_t last, struct ofs_error *e)
{
	return store_exec(s, ITEMS_CUT, e, "iii", (int64_t)opened_seq,
		(int64_t)first, (int64_t)last);
}

int
store_items_unknown(struct store *s, uint64_t opened_seq, uint64_t intent_seq,
	struct ofs_error *e)
{
	return store_exec(s, ITEMS_UNKNOWN, e, "ii", (int64_t)opened_seq,
		(int64_t)intent_seq);
}

static bool
take_run(sqlite3_stmt *q, uint64_t *opened_seq, struct item_run *r)
{
	uint64_t status;

	if (!store_take_u64(q, 0, opened_seq) ||
		!store_take_u64(q, 1, &r->first) ||
		!store_take_u64(q, 2, &r->n) ||
		!store_take_u64(q, 3, &status) ||
		!store_take_u64(q, 4, &r->seq))
		return false;
	if (r->n == 0 || r->n > INT64_MAX - r->first ||
		r->n > INT64_MAX - r->seq || status < RUN_SIGNED ||
		status > RUN_UNKNOWN)
		return false;
	r->status = (enum run_status)status;
	return true;
}

int
store_items_each(struct store *s, uint64_t from, uint64_t to, store_items_fn fn,
	void *arg, struct ofs_error *e)
{
	uint64_t opened_seq;
	struct item_run r;
	sqlite3_stmt *q;
	int rc, step;

	rc = store_query(
		s, ITEMS_EACH, &q, e, "ii", (int64_t)from, (int64_t)to);
	if (rc != 0)
		return rc;
	while (rc == 0 && (step = sqlite3_step(q)) != SQLITE_DONE) {
		if (step != SQLITE_ROW)
			rc = store_fail(s, step, "read", e);
		else if (!take_run(q, &opened_seq, &r))
			rc = store_wrong_row("batch_item", e);
		else
			rc = fn(arg, opened_seq, &r, e);
	}
	store_done(q);
	return rc;
}

int
store_batch_records(struct store *s, enum ofs_record_type type,
	const uint8_t low[16], const uint8_t high[16],
	uint64_t seq[STORE_FOUND_MAX], size_t *n, struct ofs_error *e)
{
	const uint8_t number[2] = { (uint8_t)(type >> 8), (uint8_t)type };
	uint64_t found;
	sqlite3_stmt *q;
	int rc, step;

	*n = 0;
	rc = store_query(s, BATCH_RECORDS, &q, e, "bbb", number, sizeof(number),
		low, (size_t)16, high, (size_t)16);
	if (rc != 0)
		return rc;
	while (rc == 0 && (step = sqlite3_step(q)) != SQLITE_DONE) {
		if (step != SQLITE_ROW)
			rc = store_fail(s, step, "read", e);
		else if (!store_take_u64(q, 0, &found))
			rc = store_wrong_row("record", e);
		else if ((*n)++ < STORE_FOUND_MAX)
			seq[*n - 1] = found;
	}
	store_done(q);
	return rc;
}
