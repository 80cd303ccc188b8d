/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Statements of the store: prepared once, bound, and their columns read. */
#include <stdarg.h>
#include <string.h>

#include "store/store_stmt.h"

/* what is finished: its keys are to be destroyed */
#define KEPT_DONE                                                    \
	"batch_id NOT IN (SELECT batch_id FROM open_batch) AND "     \
	"batch_id NOT IN (SELECT batch_id FROM batch) AND batch_id " \
	"NOT IN (SELECT batch_id FROM pending)"

static const char *const texts[STMT_COUNT] = {
	[STATE_GET] = "SELECT log_id, size, frontier, root, id FROM state",
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

int
store_count(struct store *s, enum stmt_id id, uint64_t *n, struct ofs_error *e)
{
	sqlite3_stmt *q;
	int rc;

	*n = 0;
	rc = store_query(s, id, &q, e, "");
	if (rc != 0)
		return rc;
	rc = sqlite3_step(q);
	if (rc == SQLITE_ROW)
		*n = (uint64_t)sqlite3_column_int64(q, 0);
	store_done(q);
	return rc == SQLITE_ROW ? 0 : store_fail(s, rc, "read", e);
}
