/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Records, the state and the certificates of the store. */
#include <string.h>

#include "store/store_stmt.h"

/*
 * Bytes, or nothing: else false, and nothing. Of a value, as a column is looked
 * up by each function that is asked about it.
 */
static bool
borrow_bytes(sqlite3_value *v, const uint8_t **p, size_t *n)
{
	int type = sqlite3_value_type(v);

	*p = NULL;
	*n = 0;
	if (type == SQLITE_BLOB) {
		*p = sqlite3_value_blob(v);
		*n = (size_t)sqlite3_value_bytes(v);
		if (*p == NULL)
			*p = (const uint8_t *)"";
	}
	return type == SQLITE_BLOB || type == SQLITE_NULL;
}

static int
take_record(sqlite3_stmt *q, struct store_record *r, struct ofs_error *e)
{
	bool good;

	if (!store_take_u64(q, 0, &r->seq))
		return store_wrong_row("record", e);
	(void)borrow_bytes(
		sqlite3_column_value(q, 1), &r->header, &r->header_len);
	good = borrow_bytes(sqlite3_column_value(q, 2), &r->body, &r->body_len);
	good &= borrow_bytes(sqlite3_column_value(q, 3), &r->tag, &r->tag_len);
	return good ? 0
		    : err_set(e, OFS_EDAMAGED,
			      "record %llu of the audit log is a malformed row",
			      (unsigned long long)r->seq);
}

static bool
take_state(sqlite3_stmt *st, struct store_state *to)
{
	const uint8_t *p;
	uint64_t id;

	if (!store_take_blob(st, 0, to->log_id, sizeof(to->log_id)) ||
		!store_take_u64(st, 1, &to->size) ||
		!store_take_blob(st, 3, to->root, sizeof(to->root)) ||
		!store_take_u64(st, 4, &id) || id != 0)
		return false;
	p = store_borrow_blob(st, 2, &to->frontier_len);
	if (p == NULL || to->frontier_len > sizeof(to->frontier) ||
		to->size >> MERKLE_HEIGHT != 0 ||
		to->frontier_len != merkle_frontier_size(to->size))
		return false;
	memcpy(to->frontier, p, to->frontier_len);
	return true;
}

int
store_state_get(struct store *s, struct store_state *st, struct ofs_error *e)
{
	sqlite3_stmt *q;
	bool good;
	int rc;

	rc = store_query(s, STATE_GET, &q, e, "");
	if (rc != 0)
		return rc;
	rc = sqlite3_step(q);
	if (rc == SQLITE_ROW) {
		good = take_state(q, st);
		/* this row, and no other */
		rc = sqlite3_step(q);
		if (rc == SQLITE_DONE || rc == SQLITE_ROW)
			rc = good && rc == SQLITE_DONE
				? 0
				: store_wrong_row("state", e);
		else
			rc = store_fail(s, rc, "read", e);
	} else if (rc == SQLITE_DONE) {
		rc = err_set(e, OFS_EDAMAGED, "audit log has no state");
	} else {
		rc = store_fail(s, rc, "read", e);
	}
	store_done(q);
	return rc;
}

int
store_state_put(
	struct store *s, const struct store_state *st, struct ofs_error *e)
{
	return store_exec(s, STATE_PUT, e, "bibb", st->log_id,
		sizeof(st->log_id), (int64_t)st->size, st->frontier,
		st->frontier_len, st->root, sizeof(st->root));
}

int
store_record_put(
	struct store *s, const struct store_record *r, struct ofs_error *e)
{
	return store_exec(s, RECORD_PUT, e, "ibbb", (int64_t)r->seq, r->header,
		r->header_len, r->body, r->body_len, r->tag, r->tag_len);
}

static int
each_record(struct store *s, sqlite3_stmt *q, store_record_fn fn, void *arg,
	struct ofs_error *e)
{
	struct store_record r;
	int rc = 0, step;

	while (rc == 0 && (step = sqlite3_step(q)) != SQLITE_DONE) {
		if (step != SQLITE_ROW) {
			rc = store_fail(s, step, "read", e);
			break;
		}
		rc = take_record(q, &r, e);
		if (rc == 0)
			rc = fn(arg, &r, e);
	}
	store_done(q);
	return rc;
}

int
store_record_each(struct store *s, uint64_t first, uint64_t last,
	store_record_fn fn, void *arg, struct ofs_error *e)
{
	sqlite3_stmt *q;
	int rc;

	rc = store_query(
		s, RECORD_EACH, &q, e, "ii", (int64_t)first, (int64_t)last);
	return rc != 0 ? rc : each_record(s, q, fn, arg, e);
}

int
store_record_get(struct store *s, uint64_t seq, store_record_fn fn, void *arg,
	struct ofs_error *e)
{
	sqlite3_stmt *q;
	int rc;

	rc = store_query(s, RECORD_GET, &q, e, "i", (int64_t)seq);
	return rc != 0 ? rc : each_record(s, q, fn, arg, e);
}

int
store_record_erase(struct store *s, uint64_t seq, struct ofs_error *e)
{
	return store_exec(s, RECORD_ERASE, e, "i", (int64_t)seq);
}

static int
beyond(void *arg, const struct store_record *r, struct ofs_error *e)
{
	(void)arg;
	return err_set(e, OFS_EDAMAGED,
		"record %llu of the audit log lies beyond its end",
		(unsigned long long)r->seq);
}

int
store_record_check_end(struct store *s, uint64_t size, struct ofs_error *e)
{
	int rc;

	rc = store_record_each(s, size, INT64_MAX, beyond, NULL, e);
	/* a negative number is malformed in any row */
	if (rc == 0)
		rc = store_record_each(
			s, (uint64_t)INT64_MIN, UINT64_MAX, beyond, NULL, e);
	return rc;
}

int
store_cert_put(struct store *s, const uint8_t sha256[32], const uint8_t *der,
	size_t n, struct ofs_error *e)
{
	return store_exec(s, CERT_PUT, e, "bb", sha256, (size_t)32, der, n);
}

int
store_cert_has(struct store *s, const uint8_t sha256[32], bool *has,
	struct ofs_error *e)
{
	sqlite3_stmt *q;
	int rc;

	*has = false;
	rc = store_query(s, CERT_HAS, &q, e, "b", sha256, (size_t)32);
	if (rc != 0)
		return rc;
	rc = sqlite3_step(q);
	*has = rc == SQLITE_ROW;
	store_done(q);
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		return store_fail(s, rc, "read", e);
	return 0;
}

int
store_cert_each(struct store *s, const uint8_t *after, int max,
	store_cert_fn fn, void *arg, struct ofs_error *e)
{
	uint8_t key[32];
	const uint8_t *der;
	sqlite3_stmt *q;
	size_t n;
	int rc, step;

	rc = store_query(s, CERT_EACH, &q, e, "bi", after != NULL ? after : key,
		(size_t)(after != NULL ? 32 : 0), (int64_t)max);
	if (rc != 0)
		return rc;
	while (rc == 0 && (step = sqlite3_step(q)) != SQLITE_DONE) {
		if (step != SQLITE_ROW) {
			rc = store_fail(s, step, "read", e);
			break;
		}
		der = store_borrow_blob(q, 1, &n);
		if (!store_take_blob(q, 0, key, sizeof(key)) || der == NULL)
			rc = store_wrong_row("cert", e);
		else
			rc = fn(arg, key, der, n, e);
	}
	store_done(q);
	return rc;
}
