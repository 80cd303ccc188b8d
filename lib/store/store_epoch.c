/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Epochs of keys in the store, and the certificates that they are for. */
#include "store/store_stmt.h"

int
store_epoch_put(
	struct store *s, uint32_t epoch, uint64_t seq, struct ofs_error *e)
{
	return store_exec(s, EPOCH_PUT, e, "ii", (int64_t)epoch, (int64_t)seq);
}

/* a number out of one row; 0 when there is none, or NULL */
static int
get_number(struct store *s, sqlite3_stmt *q, uint64_t *to, struct ofs_error *e)
{
	int rc = sqlite3_step(q);

	if (rc == SQLITE_ROW)
		rc = store_take_u64(q, 0, to) ? 0 : store_wrong_row("epoch", e);
	else
		rc = rc == SQLITE_DONE ? 0 : store_fail(s, rc, "read", e);
	store_done(q);
	return rc;
}

int
store_epoch_get(
	struct store *s, uint32_t epoch, uint64_t *seq, struct ofs_error *e)
{
	sqlite3_stmt *q;
	bool has;
	int rc;

	*seq = 0;
	rc = store_has_evidence(s, &has, e);
	if (rc != 0 || !has)
		return rc;
	rc = store_query(s, EPOCH_GET, &q, e, "i", (int64_t)epoch);
	return rc != 0 ? rc : get_number(s, q, seq, e);
}

int
store_epoch_last(struct store *s, uint32_t *epoch, struct ofs_error *e)
{
	uint64_t last = 0;
	sqlite3_stmt *q;
	bool has;
	int rc;

	*epoch = 0;
	rc = store_has_evidence(s, &has, e);
	if (rc != 0 || !has)
		return rc;
	rc = store_query(s, EPOCH_LAST, &q, e, "");
	if (rc == 0)
		rc = get_number(s, q, &last, e);
	if (rc == 0 && last > UINT32_MAX)
		rc = store_wrong_row("epoch", e);
	*epoch = rc == 0 ? (uint32_t)last : 0;
	return rc;
}

int
store_epoch_each(
	struct store *s, store_epoch_fn fn, void *arg, struct ofs_error *e)
{
	uint64_t epoch, seq;
	sqlite3_stmt *q;
	bool has;
	int rc, step;

	rc = store_has_evidence(s, &has, e);
	if (rc == 0 && has)
		rc = store_query(s, EPOCH_EACH, &q, e, "");
	if (rc != 0 || !has)
		return rc;
	while (rc == 0 && (step = sqlite3_step(q)) != SQLITE_DONE) {
		if (step != SQLITE_ROW)
			rc = store_fail(s, step, "read", e);
		else if (!store_take_u64(q, 0, &epoch) || epoch > UINT32_MAX ||
			!store_take_u64(q, 1, &seq))
			rc = store_wrong_row("epoch", e);
		else
			rc = fn(arg, (uint32_t)epoch, seq, e);
	}
	store_done(q);
	return rc;
}

int
store_kept_put(struct store *s, const uint8_t batch_id[16], uint32_t epoch,
	const uint8_t wrap[STORE_KEPT_SIZE], struct ofs_error *e)
{
	return store_exec(s, KEPT_PUT, e, "bib", batch_id, (size_t)16,
		(int64_t)epoch, wrap, (size_t)STORE_KEPT_SIZE);
}

int
store_kept_move(struct store *s, uint32_t from, uint32_t to,
	const uint8_t wrap[STORE_KEPT_SIZE], struct ofs_error *e)
{
	return store_exec(s, KEPT_MOVE, e, "ibi", (int64_t)to, wrap,
		(size_t)STORE_KEPT_SIZE, (int64_t)from);
}

int
store_kept_get(struct store *s, uint32_t epoch, uint8_t wrap[STORE_KEPT_SIZE],
	bool *has, struct ofs_error *e)
{
	sqlite3_stmt *q;
	int rc;

	*has = false;
	rc = store_query(s, KEPT_GET, &q, e, "i", (int64_t)epoch);
	if (rc != 0)
		return rc;
	rc = sqlite3_step(q);
	if (rc == SQLITE_ROW) {
		*has = store_take_blob(q, 0, wrap, STORE_KEPT_SIZE);
		rc = *has ? 0 : store_wrong_row("kept_key", e);
	} else {
		rc = rc == SQLITE_DONE ? 0 : store_fail(s, rc, "read", e);
	}
	store_done(q);
	return rc;
}

int
store_kept_sweep(struct store *s, struct ofs_error *e)
{
	return store_exec(s, KEPT_SWEEP, e, "");
}

int
store_kept_clear(struct store *s, struct ofs_error *e)
{
	return store_exec(s, KEPT_CLEAR, e, "");
}

int
store_kept_lacks(struct store *s, uint64_t *n, struct ofs_error *e)
{
	return store_count(s, KEPT_LACKS, n, e);
}

int
store_kept_needed(
	struct store *s, store_batch_fn fn, void *arg, struct ofs_error *e)
{
	uint8_t epoch[4], batch_id[16];
	sqlite3_stmt *q;
	int rc, step;

	rc = store_query(s, KEPT_NEEDED, &q, e, "");
	if (rc != 0)
		return rc;
	while (rc == 0 && (step = sqlite3_step(q)) != SQLITE_DONE) {
		if (step != SQLITE_ROW)
			rc = store_fail(s, step, "read", e);
		else if (!store_take_blob(q, 0, epoch, sizeof(epoch)) ||
			!store_take_blob(q, 1, batch_id, sizeof(batch_id)))
			rc = store_wrong_row("record", e);
		else
			rc = fn(arg,
				(uint64_t)epoch[0] << 24 | epoch[1] << 16 |
					epoch[2] << 8 | epoch[3],
				batch_id, e);
	}
	store_done(q);
	return rc;
}

int
store_cert_get(struct store *s, const uint8_t sha256[32], struct buf *der,
	bool *has, struct ofs_error *e)
{
	const uint8_t *p;
	sqlite3_stmt *q;
	size_t n;
	int rc;

	*has = false;
	rc = store_query(s, CERT_GET, &q, e, "b", sha256, (size_t)32);
	if (rc != 0)
		return rc;
	rc = sqlite3_step(q);
	if (rc == SQLITE_ROW) {
		p = store_borrow_blob(q, 0, &n);
		if (p != NULL)
			buf_put(der, p, n);
		*has = p != NULL && buf_ok(der);
		rc = p == NULL        ? store_wrong_row("cert", e)
			: buf_ok(der) ? 0
				      : err_nomem(e);
	} else {
		rc = rc == SQLITE_DONE ? 0 : store_fail(s, rc, "read", e);
	}
	store_done(q);
	return rc;
}
