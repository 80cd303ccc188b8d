/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The store's checkpoints, and the hashes that proofs are made of. */
#include <string.h>

#include "store/store_stmt.h"

int
store_checkpoint_put(struct store *s, uint64_t size, const void *note, size_t n,
	struct ofs_error *e)
{
	int rc = store_raise(s, STORE_FORMAT_EVIDENCE, e);

	if (rc != 0)
		return rc;
	return store_exec(s, CHECKPOINT_PUT, e, "ib", (int64_t)size, note, n);
}

/* steps once and takes (size, note) */
static int
take_checkpoint(struct store *s, sqlite3_stmt *q, uint64_t *size,
	struct buf *note, struct ofs_error *e)
{
	const uint8_t *p;
	size_t n;
	int rc;

	rc = sqlite3_step(q);
	if (rc == SQLITE_ROW) {
		p = store_borrow_blob(q, 1, &n);
		rc = 0;
		if (!store_take_u64(q, 0, size) || *size == 0 || p == NULL)
			rc = store_wrong_row("checkpoint", e);
		else
			buf_put(note, p, n);
		if (rc == 0 && !buf_ok(note))
			rc = err_nomem(e);
	} else {
		rc = rc == SQLITE_DONE ? 0 : store_fail(s, rc, "read", e);
	}
	store_done(q);
	return rc;
}

int
store_checkpoint_next(struct store *s, uint64_t after, uint64_t *size,
	struct buf *note, struct ofs_error *e)
{
	sqlite3_stmt *q;
	bool has;
	int rc;

	*size = 0;
	buf_reset(note);
	rc = store_has_evidence(s, &has, e);
	if (rc == 0 && has)
		rc = store_query(
			s, CHECKPOINT_NEXT, &q, e, "i", (int64_t)after);
	return rc != 0 || !has ? rc : take_checkpoint(s, q, size, note, e);
}

int
store_checkpoint_last(
	struct store *s, uint64_t *size, struct buf *note, struct ofs_error *e)
{
	sqlite3_stmt *q;
	bool has;
	int rc;

	*size = 0;
	buf_reset(note);
	rc = store_has_evidence(s, &has, e);
	if (rc == 0 && has)
		rc = store_query(s, CHECKPOINT_LAST, &q, e, "");
	return rc != 0 || !has ? rc : take_checkpoint(s, q, size, note, e);
}

int
store_checkpoint_count(struct store *s, uint64_t *n, struct ofs_error *e)
{
	bool has;
	int rc;

	*n = 0;
	rc = store_has_evidence(s, &has, e);
	return rc == 0 && has ? store_count(s, CHECKPOINT_COUNT, n, e) : rc;
}

int
store_audit_key_put(
	struct store *s, uint64_t seq, const char *hint, struct ofs_error *e)
{
	int rc = store_raise(s, STORE_FORMAT_EVIDENCE, e);

	if (rc != 0)
		return rc;
	return store_exec(s, AUDIT_KEY_PUT, e, "ib", (int64_t)seq, hint,
		hint != NULL ? strlen(hint) : 0);
}

int
store_audit_key_get(struct store *s, bool *has, uint64_t *seq, struct buf *hint,
	struct ofs_error *e)
{
	const uint8_t *p;
	sqlite3_stmt *q;
	size_t n;
	int rc;

	buf_reset(hint);
	rc = store_has_evidence(s, has, e);
	if (rc == 0 && *has)
		rc = store_query(s, AUDIT_KEY_GET, &q, e, "");
	if (rc != 0 || !*has)
		return rc;
	rc = sqlite3_step(q);
	*has = rc == SQLITE_ROW;
	if (*has) {
		p = store_borrow_blob(q, 1, &n);
		if (p != NULL)
			buf_put(hint, p, n);
		rc = store_take_u64(q, 0, seq)
			? 0
			: store_wrong_row("audit_key", e);
	} else {
		rc = rc == SQLITE_DONE ? 0 : store_fail(s, rc, "read", e);
	}
	store_done(q);
	if (rc == 0 && *has && buf_cstr(hint) == NULL)
		rc = err_nomem(e);
	return rc;
}

int
store_missing(uint64_t seq, struct ofs_error *e)
{
	return err_set(e, OFS_EDAMAGED,
		"record %llu of the audit log is missing",
		(unsigned long long)seq);
}

int
store_header_each(struct store *s, uint64_t first, uint64_t n,
	store_record_fn fn, void *arg, struct ofs_error *e)
{
	struct store_record r = { .seq = first };
	sqlite3_stmt *q;
	uint64_t seq;
	int rc, step = SQLITE_DONE;

	rc = store_query(s, HEADER_EACH, &q, e, "ii", (int64_t)first,
		(int64_t)(first + n - 1));
	if (rc != 0)
		return rc;
	while (rc == 0 && r.seq < first + n &&
		(step = sqlite3_step(q)) == SQLITE_ROW) {
		r.header = store_borrow_blob(q, 1, &r.header_len);
		if (!store_take_u64(q, 0, &seq) || seq != r.seq ||
			r.header == NULL || r.header_len != RECORD_HEADER_SIZE)
			rc = store_missing(r.seq, e);
		else
			rc = fn(arg, &r, e);
		r.seq++;
	}
	if (rc == 0 && step != SQLITE_ROW && step != SQLITE_DONE)
		rc = store_fail(s, step, "read", e);
	store_done(q);
	if (rc == 0 && r.seq != first + n)
		rc = store_missing(r.seq, e);
	return rc;
}

struct leaves {
	struct merkle *m;
	store_hash_fn fn;
	void *arg;
};

static int
give_leaf(void *arg, const struct store_record *r, struct ofs_error *e)
{
	struct leaves *l = arg;
	uint8_t hash[32];
	int rc;

	rc = merkle_leaf(l->m, r->header, r->header_len, hash, e);
	return rc != 0 ? rc : l->fn(l->arg, hash, e);
}

static int
missing_tile(uint64_t idx, struct ofs_error *e)
{
	return err_set(e, OFS_EDAMAGED, "tile %llu of the audit log is missing",
		(unsigned long long)idx);
}

static int
each_tile(struct store *s, unsigned int level, uint64_t first, uint64_t n,
	store_hash_fn fn, void *arg, struct ofs_error *e)
{
	uint64_t next = first, idx;
	uint8_t hash[32];
	sqlite3_stmt *q;
	int rc, step = SQLITE_DONE;

	rc = store_query(s, TILE_EACH, &q, e, "iii", (int64_t)level,
		(int64_t)first, (int64_t)(first + n - 1));
	if (rc != 0)
		return rc;
	while (rc == 0 && next < first + n &&
		(step = sqlite3_step(q)) == SQLITE_ROW) {
		if (!store_take_u64(q, 0, &idx) || idx != next ||
			!store_take_blob(q, 1, hash, sizeof(hash)))
			rc = missing_tile(next, e);
		else
			rc = fn(arg, hash, e);
		next++;
	}
	if (rc == 0 && step != SQLITE_ROW && step != SQLITE_DONE)
		rc = store_fail(s, step, "read", e);
	store_done(q);
	if (rc == 0 && next != first + n)
		rc = missing_tile(next, e);
	return rc;
}

int
store_hash_each(struct store *s, unsigned int level, uint64_t first, uint64_t n,
	struct merkle *m, store_hash_fn fn, void *arg, struct ofs_error *e)
{
	struct leaves l = { m, fn, arg };

	if (n == 0)
		return 0;
	if (level > 0)
		return each_tile(s, level, first, n, fn, arg, e);
	return store_header_each(s, first, n, give_leaf, &l, e);
}

struct grow {
	struct merkle *m;
	unsigned int height;
};

static int
add_hash(void *arg, const uint8_t hash[32], struct ofs_error *e)
{
	struct grow *g = arg;

	return merkle_add(g->m, g->height, hash, e);
}

int
store_range_root(struct store *s, uint64_t lo, uint64_t hi, struct merkle *m,
	uint8_t out[32], struct ofs_error *e)
{
	struct grow g = { .m = m };
	int level, rc = 0;

	merkle_reset(m);
	/* lo fits every tile that is as small as the range */
	for (level = MERKLE_TILE_LEVELS; level >= 0 && rc == 0; level--) {
		unsigned int height = (unsigned int)level * MERKLE_TILE_HEIGHT;
		uint64_t n = (hi - lo) >> height;

		g.height = height;
		rc = store_hash_each(s, (unsigned int)level, lo >> height, n, m,
			add_hash, &g, e);
		lo += n << height;
	}
	return rc != 0 ? rc : merkle_root(m, out, e);
}
