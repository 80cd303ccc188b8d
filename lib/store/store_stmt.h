/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Statements of the store: for store_*.c alone. */
#ifndef STORE_STORE_STMT_H
#define STORE_STORE_STMT_H

#include "store/store.h"

enum stmt_id {
	STATE_GET,
	STATE_PUT,
	RECORD_PUT,
	RECORD_EACH,
	RECORD_ERASE,
	TILE_PUT,
	TILE_GET,
	TILE_COUNT,
	BATCH_PUT,
	BATCH_DEL,
	BATCH_GET,
	BATCH_EACH,
	INTENT_PUT,
	INTENT_DEL,
	INTENT_EACH,
	PENDING_PUT,
	PENDING_DEL,
	PENDING_EACH,
	CERT_PUT,
	CERT_HAS,
	CERT_EACH,
	TRACK_PUT,
	TRACK_CLOSE,
	TRACK_EACH,
	TRACK_DEL,
	ITEMS_PUT,
	ITEMS_CUT,
	ITEMS_UNKNOWN,
	ITEMS_EACH,
	BATCH_RECORDS,
	CERT_GET,
	RECORD_GET,
	EPOCH_PUT,
	EPOCH_GET,
	EPOCH_LAST,
	EPOCH_EACH,
	KEPT_PUT,
	KEPT_MOVE,
	KEPT_GET,
	KEPT_SWEEP,
	KEPT_LEFT,
	KEPT_CLEAR,
	KEPT_LACKS,
	KEPT_NEEDED,
	CHECKPOINT_PUT,
	CHECKPOINT_NEXT,
	CHECKPOINT_LAST,
	CHECKPOINT_COUNT,
	AUDIT_KEY_PUT,
	AUDIT_KEY_GET,
	TILE_EACH,
	HEADER_EACH,
	STMT_COUNT
};

/*
 * What follows is bound: 'i' an int64_t, 'b' a pointer (NULL: NULL) and a
 * size_t. Bytes are borrowed until the reset.
 */
/* a statement that gives no rows */
int store_exec(struct store *s, enum stmt_id id, struct ofs_error *e,
	const char *kinds, ...);
/* a statement that gives rows; the caller steps and calls store_done() */
int store_query(struct store *s, enum stmt_id id, sqlite3_stmt **st,
	struct ofs_error *e, const char *kinds, ...);
void store_done(sqlite3_stmt *st);
/* a statement that counts: one row, one number */
int store_count(
	struct store *s, enum stmt_id id, uint64_t *n, struct ofs_error *e);

int store_wrong_row(const char *table, struct ofs_error *e);
/* a BLOB column of exactly n bytes */
bool store_take_blob(sqlite3_stmt *st, int col, void *to, size_t n);
/* an INTEGER that is not negative */
bool store_take_u64(sqlite3_stmt *st, int col, uint64_t *to);
/* a BLOB; NULL for NULL and all else, never NULL for an empty one */
const uint8_t *store_borrow_blob(sqlite3_stmt *st, int col, size_t *n);

#endif
