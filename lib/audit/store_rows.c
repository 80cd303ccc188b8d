/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rows of the store, written and read. */
#include <limits.h>
#include <stdarg.h>
#include <string.h>

#include "audit/store_stmt.h"

/* what is finished: its keys are to be destroyed */
#define KEPT_DONE                                                    \
	"batch_id NOT IN (SELECT batch_id FROM open_batch) AND "     \
	"batch_id NOT IN (SELECT batch_id FROM batch) AND batch_id " \
	"NOT IN (SELECT batch_id FROM pending)"

static const char *const texts[STMT_COUNT] = {
	[STATE_GET] = "SELECT log_id, size, frontier, root FROM state",
	[STATE_PUT] = "INSERT INTO state (id, log_id, size, frontier, root) "
		      "VALUES (0, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
		      "log_id = excluded.log_id, size = excluded.size, "
		      "frontier = excluded.frontier, root = excluded.root",
	[RECORD_PUT] = "INSERT INTO record (seq, header, body, tag) "
		       "VALUES (?, ?, ?, ?)",
	[RECORD_EACH] = "SELECT seq, header, body, tag FROM record "
			"WHERE seq BETWEEN ? AND ? ORDER BY seq",
	[RECORD_ERASE] = "UPDATE record SET body = NULL, tag = NULL "
			 "WHERE seq = ? AND body IS NOT NULL",
	[TILE_PUT] = "INSERT INTO tile (level, idx, hash) VALUES (?, ?, ?)",
	[TILE_GET] = "SELECT hash FROM tile WHERE level = ? AND idx = ?",
	[TILE_COUNT] = "SELECT count(*) FROM tile",
	[BATCH_PUT] = "INSERT INTO open_batch (seq, batch_id) VALUES (?, ?)",
	[BATCH_DEL] = "DELETE FROM open_batch WHERE batch_id = ?",
	[BATCH_GET] = "SELECT seq FROM open_batch WHERE batch_id = ?",
	[BATCH_EACH] = "SELECT seq, batch_id FROM open_batch ORDER BY seq",
	[INTENT_PUT] = "INSERT INTO open_intent (seq, batch_id) VALUES (?, ?)",
	[INTENT_DEL] = "DELETE FROM open_intent WHERE seq = ?",
	[INTENT_EACH] = "SELECT seq, batch_id FROM open_intent ORDER BY seq",
	[PENDING_PUT] = "INSERT INTO pending (outcome_seq, batch_id, path, "
			"replace, output) VALUES (?, ?, ?, ?, ?)",
	[PENDING_DEL] = "DELETE FROM pending WHERE outcome_seq = ?",
	[PENDING_EACH] = "SELECT outcome_seq, batch_id, path, replace, output "
			 "FROM pending WHERE outcome_seq >= ? "
			 "ORDER BY outcome_seq LIMIT ?",
	[CERT_PUT] = "INSERT INTO cert (sha256, der) VALUES (?, ?) "
		     "ON CONFLICT (sha256) DO NOTHING",
	[CERT_HAS] = "SELECT 1 FROM cert WHERE sha256 = ?",
	[TRACK_PUT] = "INSERT INTO batch (opened_seq, batch_id, root_id, "
		      "list_sha256, outputs_sha256, spki_sha256, form, items, "
		      "closed_seq) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[TRACK_CLOSE] = "UPDATE batch SET closed_seq = ? WHERE opened_seq = ?",
	[TRACK_EACH] = "SELECT opened_seq, batch_id, root_id, list_sha256, "
		       "outputs_sha256, spki_sha256, form, items, closed_seq "
		       "FROM batch ORDER BY opened_seq",
	[TRACK_DEL] = "DELETE FROM batch WHERE opened_seq = ?",
	[ITEMS_PUT] = "INSERT INTO batch_item (opened_seq, first, n, status, "
		      "seq) VALUES (?, ?, ?, ?, ?)",
	[ITEMS_CUT] = "DELETE FROM batch_item WHERE opened_seq = ? AND "
		      "first BETWEEN ? AND ?",
	[ITEMS_UNKNOWN] = "UPDATE batch_item SET status = 5 WHERE "
			  "opened_seq = ? AND status = 4 AND seq = ?",
	[ITEMS_EACH] = "SELECT opened_seq, first, n, status, seq "
		       "FROM batch_item WHERE opened_seq BETWEEN ? AND ? "
		       "ORDER BY opened_seq, first",
	[BATCH_RECORDS] = "SELECT seq FROM record WHERE substr(header, 23, 2) "
			  "= ? AND substr(header, 69, 16) BETWEEN ? AND ? "
			  "ORDER BY seq",
	[CERT_GET] = "SELECT der FROM cert WHERE sha256 = ?",
	[RECORD_GET] = "SELECT seq, header, body, tag FROM record "
		       "WHERE seq = ?",
	[EPOCH_PUT] = "INSERT INTO epoch (epoch, seq) VALUES (?, ?)",
	[EPOCH_GET] = "SELECT seq FROM epoch WHERE epoch = ?",
	[EPOCH_LAST] = "SELECT coalesce(max(epoch), 0) FROM epoch",
	[EPOCH_EACH] = "SELECT epoch, seq FROM epoch ORDER BY epoch",
	[KEPT_PUT] = "INSERT INTO kept_key (batch_id, epoch, wrap) "
		     "VALUES (?, ?, ?)",
	[KEPT_MOVE] = "INSERT INTO kept_key (batch_id, epoch, wrap) "
		      "SELECT batch_id, ?, ? FROM kept_key WHERE epoch = ? "
		      "AND batch_id IN (SELECT batch_id FROM open_batch)",
	[KEPT_GET] = "SELECT wrap FROM kept_key WHERE epoch = ? LIMIT 1",
	[KEPT_SWEEP] = "DELETE FROM kept_key WHERE " KEPT_DONE,
	[KEPT_LEFT] = "SELECT epoch, batch_id FROM kept_key WHERE " KEPT_DONE
		      " ORDER BY epoch",
	[KEPT_CLEAR] = "DELETE FROM kept_key",
	[KEPT_LACKS] = "SELECT count(*) FROM batch WHERE batch_id NOT IN "
		       "(SELECT batch_id FROM kept_key)",
	/* by the process of the batch itself: types 2, 4 and 5, cipher 1 */
	[KEPT_NEEDED] =
		"SELECT DISTINCT substr(header, 85, 4), substr(header, 69, 16) "
		"FROM record WHERE substr(header, 23, 2) IN "
		"(x'0002', x'0004', x'0005') AND substr(header, 27, 2) = "
		"x'0001' AND substr(header, 69, 16) IN "
		"(SELECT batch_id FROM open_batch UNION SELECT batch_id FROM "
		"batch UNION SELECT batch_id FROM pending)",
	/* the first may be stamped or kept elsewhere: it stays */
	[CHECKPOINT_PUT] = "INSERT INTO checkpoint (size, note) VALUES (?, ?) "
			   "ON CONFLICT (size) DO NOTHING",
	[CHECKPOINT_NEXT] = "SELECT size, note FROM checkpoint WHERE size > ? "
			    "ORDER BY size LIMIT 1",
	[CHECKPOINT_LAST] = "SELECT size, note FROM checkpoint "
			    "ORDER BY size DESC LIMIT 1",
	[CHECKPOINT_COUNT] = "SELECT count(*) FROM checkpoint",
	[AUDIT_KEY_PUT] = "INSERT OR REPLACE INTO audit_key (seq, hint) "
			  "VALUES (?, ?)",
	[AUDIT_KEY_GET] = "SELECT seq, hint FROM audit_key ORDER BY seq DESC",
	[TILE_EACH] = "SELECT idx, hash FROM tile WHERE level = ? AND "
		      "idx BETWEEN ? AND ? ORDER BY idx",
	[HEADER_EACH] = "SELECT seq, header FROM record WHERE seq "
			"BETWEEN ? AND ? ORDER BY seq",
	[CERT_EACH] = "SELECT sha256, der FROM cert WHERE sha256 > ? "
		      "ORDER BY sha256 LIMIT ?",
};

_Static_assert(STMT_COUNT <= STORE_STATEMENTS, "room for all statements");

/*
 * Prepares a statement and binds what follows: 'i' an int64_t, 'b' a pointer
 * (NULL: NULL) and a size_t. Bytes are borrowed until the reset.
 */
static int
bind(struct store *s, enum stmt_id id, sqlite3_stmt **out, struct ofs_error *e,
	const char *kinds, va_list ap)
{
	sqlite3_stmt **st = &s->stmt[id];
	const void *p;
	int rc = SQLITE_OK, i;

	if (*st == NULL)
		rc = sqlite3_prepare_v3(s->db, texts[id], -1,
			SQLITE_PREPARE_PERSISTENT, st, NULL);
	for (i = 1; rc == SQLITE_OK && *kinds != '\0'; i++, kinds++) {
		if (*kinds == 'i') {
			rc = sqlite3_bind_int64(*st, i, va_arg(ap, int64_t));
			continue;
		}
		p = va_arg(ap, const void *);
		rc = p == NULL ? sqlite3_bind_null(*st, i) : SQLITE_OK;
		if (p != NULL)
			rc = sqlite3_bind_blob64(
				*st, i, p, va_arg(ap, size_t), SQLITE_STATIC);
		else
			(void)va_arg(ap, size_t);
	}
	*out = *st;
	return rc == SQLITE_OK ? 0 : store_fail(s, rc, "use", e);
}

void
store_done(sqlite3_stmt *st)
{
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
}

int
store_exec(struct store *s, enum stmt_id id, struct ofs_error *e,
	const char *kinds, ...)
{
	sqlite3_stmt *st;
	va_list ap;
	int rc;

	va_start(ap, kinds);
	rc = bind(s, id, &st, e, kinds, ap);
	va_end(ap);
	if (rc != 0)
		return rc;
	rc = sqlite3_step(st);
	store_done(st);
	return rc == SQLITE_DONE ? 0 : store_fail(s, rc, "write", e);
}

int
store_query(struct store *s, enum stmt_id id, sqlite3_stmt **st,
	struct ofs_error *e, const char *kinds, ...)
{
	va_list ap;
	int rc;

	va_start(ap, kinds);
	rc = bind(s, id, st, e, kinds, ap);
	va_end(ap);
	return rc;
}

int
store_wrong_row(const char *table, struct ofs_error *e)
{
	return err_set(e, OFS_EDAMAGED,
		"table %s of the audit log holds a malformed row", table);
}

bool
store_take_blob(sqlite3_stmt *st, int col, void *to, size_t n)
{
	if (sqlite3_column_type(st, col) != SQLITE_BLOB ||
		(size_t)sqlite3_column_bytes(st, col) != n)
		return false;
	if (n > 0)
		memcpy(to, sqlite3_column_blob(st, col), n);
	return true;
}

bool
store_take_u64(sqlite3_stmt *st, int col, uint64_t *to)
{
	bool is = sqlite3_column_type(st, col) == SQLITE_INTEGER;
	int64_t v = sqlite3_column_int64(st, col);

	*to = (uint64_t)v;
	return is && v >= 0;
}

const uint8_t *
store_borrow_blob(sqlite3_stmt *st, int col, size_t *n)
{
	bool is = sqlite3_column_type(st, col) == SQLITE_BLOB;
	const void *p = sqlite3_column_blob(st, col);

	*n = is ? (size_t)sqlite3_column_bytes(st, col) : 0;
	if (!is)
		return NULL;
	return p != NULL ? p : (const uint8_t *)"";
}

/* or nothing */
static bool
is_bytes(sqlite3_stmt *st, int col)
{
	int type = sqlite3_column_type(st, col);

	return type == SQLITE_BLOB || type == SQLITE_NULL;
}

static bool
take_state(sqlite3_stmt *st, struct store_state *to)
{
	const uint8_t *p;

	if (!store_take_blob(st, 0, to->log_id, sizeof(to->log_id)) ||
		!store_take_u64(st, 1, &to->size) ||
		!store_take_blob(st, 3, to->root, sizeof(to->root)))
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
	int rc;

	rc = store_query(s, STATE_GET, &q, e, "");
	if (rc != 0)
		return rc;
	rc = sqlite3_step(q);
	if (rc == SQLITE_ROW)
		rc = take_state(q, st) ? 0 : store_wrong_row("state", e);
	else if (rc == SQLITE_DONE)
		rc = err_set(e, OFS_EDAMAGED, "audit log has no state");
	else
		rc = store_fail(s, rc, "read", e);
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
		if (!store_take_u64(q, 0, &r.seq)) {
			rc = store_wrong_row("record", e);
			break;
		}
		if (!is_bytes(q, 2) || !is_bytes(q, 3)) {
			rc = err_set(e, OFS_EDAMAGED,
				"record %llu of the audit log is a malformed "
				"row",
				(unsigned long long)r.seq);
			break;
		}
		r.header = store_borrow_blob(q, 1, &r.header_len);
		r.body = store_borrow_blob(q, 2, &r.body_len);
		r.tag = store_borrow_blob(q, 3, &r.tag_len);
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
store_tile_count(struct store *s, uint64_t *n, struct ofs_error *e)
{
	sqlite3_stmt *q;
	int rc;

	*n = 0;
	rc = store_query(s, TILE_COUNT, &q, e, "");
	if (rc != 0)
		return rc;
	rc = sqlite3_step(q);
	if (rc == SQLITE_ROW)
		*n = (uint64_t)sqlite3_column_int64(q, 0);
	store_done(q);
	return rc == SQLITE_ROW ? 0 : store_fail(s, rc, "read", e);
}

int
store_tile_put(struct store *s, unsigned int level, uint64_t idx,
	const uint8_t hash[32], struct ofs_error *e)
{
	return store_exec(s, TILE_PUT, e, "iib", (int64_t)level, (int64_t)idx,
		hash, (size_t)32);
}

int
store_tile_get(struct store *s, unsigned int level, uint64_t idx,
	uint8_t hash[32], struct ofs_error *e)
{
	sqlite3_stmt *q;
	int rc;

	rc = store_query(
		s, TILE_GET, &q, e, "ii", (int64_t)level, (int64_t)idx);
	if (rc != 0)
		return rc;
	rc = sqlite3_step(q);
	if (rc == SQLITE_ROW)
		rc = store_take_blob(q, 0, hash, 32)
			? 0
			: store_wrong_row("tile", e);
	else if (rc == SQLITE_DONE)
		rc = err_set(e, OFS_EDAMAGED,
			"tile %llu of level %u of the audit log is missing",
			(unsigned long long)idx, level);
	else
		rc = store_fail(s, rc, "read", e);
	store_done(q);
	return rc;
}

struct leaves {
	struct merkle *m;
};

static int
add_leaf(void *arg, const struct store_record *r, struct ofs_error *e)
{
	struct leaves *l = arg;
	uint8_t hash[32];
	int rc;

	if (r->seq != l->m->size || r->header_len != RECORD_HEADER_SIZE)
		return err_set(e, OFS_EDAMAGED,
			"record %llu of the audit log is missing or malformed",
			(unsigned long long)l->m->size);
	rc = merkle_leaf(l->m, r->header, r->header_len, hash, e);
	return rc != 0 ? rc : merkle_add(l->m, 0, hash, e);
}

int
store_tree_at(
	struct store *s, uint64_t size, struct merkle *m, struct ofs_error *e)
{
	struct leaves l = { m };
	uint8_t hash[32];
	unsigned int level;
	int rc = 0;

	merkle_reset(m);
	for (level = MERKLE_TILE_LEVELS; level > 0 && rc == 0; level--) {
		unsigned int height = level * MERKLE_TILE_HEIGHT;
		uint64_t unit = UINT64_C(1) << height;

		while (rc == 0 && size - m->size >= unit) {
			rc = store_tile_get(
				s, level, m->size >> height, hash, e);
			if (rc == 0)
				rc = merkle_add(m, height, hash, e);
		}
	}
	if (rc == 0 && m->size < size)
		rc = store_record_each(s, m->size, size - 1, add_leaf, &l, e);
	if (rc == 0 && m->size != size)
		rc = err_set(e, OFS_EDAMAGED,
			"record %llu of the audit log is missing",
			(unsigned long long)m->size);
	return rc;
}

int
store_root_at(struct store *s, uint64_t size, uint8_t root[MERKLE_HASH],
	struct ofs_error *e)
{
	struct merkle tree;
	int rc;

	merkle_init(&tree);
	rc = store_tree_at(s, size, &tree, e);
	if (rc == 0)
		rc = merkle_root(&tree, root, e);
	merkle_free(&tree);
	return rc;
}

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
