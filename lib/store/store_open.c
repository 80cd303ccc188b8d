/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rows of what is open: batches, intents, outputs that wait. */
#include <string.h>

#include "store/store_stmt.h"

int
store_batch_put(struct store *s, const uint8_t id[16], uint64_t seq,
	struct ofs_error *e)
{
	return store_exec(s, BATCH_PUT, e, "ib", (int64_t)seq, id, (size_t)16);
}

int
store_batch_del(struct store *s, const uint8_t id[16], struct ofs_error *e)
{
	return store_exec(s, BATCH_DEL, e, "b", id, (size_t)16);
}

int
store_batch_get(struct store *s, const uint8_t id[16], uint64_t *seq,
	struct ofs_error *e)
{
	sqlite3_stmt *q;
	int rc;

	*seq = 0;
	rc = store_query(s, BATCH_GET, &q, e, "b", id, (size_t)16);
	if (rc != 0)
		return rc;
	rc = sqlite3_step(q);
	if (rc == SQLITE_ROW)
		rc = store_take_u64(q, 0, seq)
			? 0
			: store_wrong_row("open_batch", e);
	else
		rc = rc == SQLITE_DONE ? 0 : store_fail(s, rc, "read", e);
	store_done(q);
	return rc;
}

int
store_intent_put(struct store *s, uint64_t seq, const uint8_t batch[16],
	struct ofs_error *e)
{
	return store_exec(
		s, INTENT_PUT, e, "ib", (int64_t)seq, batch, (size_t)16);
}

int
store_intent_del(struct store *s, uint64_t seq, struct ofs_error *e)
{
	return store_exec(s, INTENT_DEL, e, "i", (int64_t)seq);
}

int
store_pending_put(
	struct store *s, const struct store_pending *p, struct ofs_error *e)
{
	return store_exec(s, PENDING_PUT, e, "ibbib", (int64_t)p->seq,
		p->batch_id, sizeof(p->batch_id), p->path.p, p->path.len,
		(int64_t)p->replace, p->p, p->n);
}

int
store_pending_del(struct store *s, uint64_t seq, struct ofs_error *e)
{
	return store_exec(s, PENDING_DEL, e, "i", (int64_t)seq);
}

static int
each_open(struct store *s, enum stmt_id id, const char *table,
	store_batch_fn fn, void *arg, struct ofs_error *e)
{
	uint8_t batch[16];
	uint64_t seq;
	sqlite3_stmt *q;
	int rc, step;

	rc = store_query(s, id, &q, e, "");
	if (rc != 0)
		return rc;
	while (rc == 0 && (step = sqlite3_step(q)) != SQLITE_DONE) {
		if (step != SQLITE_ROW)
			rc = store_fail(s, step, "read", e);
		else if (!store_take_u64(q, 0, &seq) ||
			!store_take_blob(q, 1, batch, sizeof(batch)))
			rc = store_wrong_row(table, e);
		else
			rc = fn(arg, seq, batch, e);
	}
	store_done(q);
	return rc;
}

int
store_batch_each(
	struct store *s, store_batch_fn fn, void *arg, struct ofs_error *e)
{
	return each_open(s, BATCH_EACH, "open_batch", fn, arg, e);
}

int
store_intent_each(
	struct store *s, store_batch_fn fn, void *arg, struct ofs_error *e)
{
	return each_open(s, INTENT_EACH, "open_intent", fn, arg, e);
}

int
store_kept_left(
	struct store *s, store_batch_fn fn, void *arg, struct ofs_error *e)
{
	return each_open(s, KEPT_LEFT, "kept_key", fn, arg, e);
}

static int
take_pending(sqlite3_stmt *q, struct store_pending *p, struct ofs_error *e)
{
	const uint8_t *path;
	uint64_t replace;
	size_t n;

	buf_reset(&p->path);
	path = store_borrow_blob(q, 2, &n);
	if (!store_take_u64(q, 0, &p->seq) || !store_take_u64(q, 3, &replace) ||
		replace > 1 ||
		!store_take_blob(q, 1, p->batch_id, sizeof(p->batch_id)) ||
		path == NULL || memchr(path, '\0', n) != NULL)
		return store_wrong_row("pending", e);
	p->replace = replace == 1;
	p->p = store_borrow_blob(q, 4, &p->n);
	if (p->p == NULL)
		return store_wrong_row("pending", e);
	buf_put(&p->path, path, n);
	return buf_cstr(&p->path) != NULL ? 0 : err_nomem(e);
}

int
store_pending_each(struct store *s, uint64_t first, int max,
	store_pending_fn fn, void *arg, struct ofs_error *e)
{
	struct store_pending p = { .path = BUF_INIT };
	sqlite3_stmt *q;
	int rc, step;

	rc = store_query(
		s, PENDING_EACH, &q, e, "ii", (int64_t)first, (int64_t)max);
	if (rc != 0)
		return rc;
	while (rc == 0 && (step = sqlite3_step(q)) != SQLITE_DONE) {
		if (step != SQLITE_ROW)
			rc = store_fail(s, step, "read", e);
		else
			rc = take_pending(q, &p, e);
		if (rc == 0)
			rc = fn(arg, &p, e);
	}
	store_done(q);
	buf_free(&p.path);
	return rc;
}
