/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The SQLite file: records, tree, pending outputs and what is open. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <sqlite3.h>

#include "store/merkle.h"
#include "store/runs.h"
#include "base/buf.h"
#include "format/record.h"

#define STORE_FRONTIER_MAX (MERKLE_HEIGHT * MERKLE_HASH)
#define STORE_STATEMENTS 56
#define STORE_FORMAT_TRACKS 3   /* has the tables batch and batch_item */
#define STORE_FORMAT_EVIDENCE 4 /* epochs, anchors, events of the log */

/*
 * One connection; one thread at a time. Functions give OFS_EAUDIT, or
 * OFS_EDAMAGED where the file contradicts itself.
 */
struct store {
	sqlite3 *db;
	sqlite3_stmt *stmt[STORE_STATEMENTS];
	bool read_only;
	bool failed; /* an I/O error or damage: do not go on writing */
};

struct store_state {
	uint64_t size;
	uint8_t log_id[16];
	uint8_t root[32];
	uint8_t frontier[STORE_FRONTIER_MAX];
	size_t frontier_len;
};

struct store_record {
	uint64_t seq;
	const uint8_t *header;
	size_t header_len;
	const uint8_t *body; /* NULL: none */
	size_t body_len;
	const uint8_t *tag; /* NULL: none */
	size_t tag_len;
};

/* the file exists; an empty one is for store_create */
int store_open(
	struct store *s, const char *path, bool read_only, struct ofs_error *e);
/* its journal is not empty: a transaction is under way, or a crash cut it off
 */
bool store_has_journal(const char *path);
void store_close(struct store *s);
/* whether nothing was ever written to it */
int store_is_empty(struct store *s, bool *empty, struct ofs_error *e);
/* tables and marks; inside a write transaction */
int store_create(struct store *s, struct ofs_error *e);
/* the marks and tables are those of this version, and nothing else is there */
int store_check(struct store *s, struct ofs_error *e);
/*
 * Inside a transaction: from now on the log may hold what that format added,
 * and programs that do not know it leave it alone. Never lowers it.
 */
int store_raise(struct store *s, int format, struct ofs_error *e);

int store_begin(struct store *s, bool write, struct ofs_error *e);
int store_commit(struct store *s, struct ofs_error *e);
void store_rollback(struct store *s);

int store_state_get(
	struct store *s, struct store_state *st, struct ofs_error *e);
int store_state_put(
	struct store *s, const struct store_state *st, struct ofs_error *e);

int store_record_put(
	struct store *s, const struct store_record *r, struct ofs_error *e);
/*
 * Gives records first..last in order until fn returns other than 0, which is
 * then returned. Bytes are borrowed for the call.
 */
typedef int (*store_record_fn)(
	void *arg, const struct store_record *r, struct ofs_error *e);
int store_record_each(struct store *s, uint64_t first, uint64_t last,
	store_record_fn fn, void *arg, struct ofs_error *e);
/* the same of one record, or of none; also within such a walk */
int store_record_get(struct store *s, uint64_t seq, store_record_fn fn,
	void *arg, struct ofs_error *e);
/* overwrites body and tag with zeros and gives up their room */
int store_record_erase(struct store *s, uint64_t seq, struct ofs_error *e);
/* OFS_EDAMAGED, with the words for it */
int store_missing(uint64_t seq, struct ofs_error *e);
/* OFS_EDAMAGED when there are records that are not below `size` */
int store_record_check_end(struct store *s, uint64_t size, struct ofs_error *e);

int store_tile_put(struct store *s, unsigned int level, uint64_t idx,
	const uint8_t hash[32], struct ofs_error *e);
/* OFS_EDAMAGED when it is missing */
int store_tile_get(struct store *s, unsigned int level, uint64_t idx,
	uint8_t hash[32], struct ofs_error *e);
int store_tile_count(struct store *s, uint64_t *n, struct ofs_error *e);
/*
 * Makes m the tree of the first `size` records out of tiles and at most 255
 * headers.
 */
int store_tree_at(
	struct store *s, uint64_t size, struct merkle *m, struct ofs_error *e);
/* its root alone */
int store_root_at(struct store *s, uint64_t size, uint8_t root[MERKLE_HASH],
	struct ofs_error *e);

/* Tables of what is open; ..._del of what is not there does nothing. */
int store_batch_put(struct store *s, const uint8_t id[16], uint64_t seq,
	struct ofs_error *e);
int store_batch_del(struct store *s, const uint8_t id[16], struct ofs_error *e);
/* *seq is 0 when the batch is not open */
int store_batch_get(struct store *s, const uint8_t id[16], uint64_t *seq,
	struct ofs_error *e);
int store_intent_put(struct store *s, uint64_t seq, const uint8_t batch[16],
	struct ofs_error *e);
int store_intent_del(struct store *s, uint64_t seq, struct ofs_error *e);

struct store_pending {
	uint64_t seq;
	uint8_t batch_id[16];
	struct buf path; /* with a NUL that is not counted; empty: sealed */
	bool replace;
	const uint8_t *p; /* borrowed for the call */
	size_t n;
};
int store_pending_put(
	struct store *s, const struct store_pending *p, struct ofs_error *e);
int store_pending_del(struct store *s, uint64_t seq, struct ofs_error *e);

/* Rows in order; fn as for records. */
typedef int (*store_batch_fn)(
	void *arg, uint64_t seq, const uint8_t id[16], struct ofs_error *e);
typedef int (*store_pending_fn)(
	void *arg, const struct store_pending *p, struct ofs_error *e);
int store_batch_each(
	struct store *s, store_batch_fn fn, void *arg, struct ofs_error *e);
int store_intent_each(
	struct store *s, store_batch_fn fn, void *arg, struct ofs_error *e);
/* from outcome `first` on, at most `max` */
int store_pending_each(struct store *s, uint64_t first, int max,
	store_pending_fn fn, void *arg, struct ofs_error *e);

int store_cert_put(struct store *s, const uint8_t sha256[32],
	const uint8_t *der, size_t n, struct ofs_error *e);
int store_cert_has(struct store *s, const uint8_t sha256[32], bool *has,
	struct ofs_error *e);
/* one of them; *has is false when there is none */
int store_cert_get(struct store *s, const uint8_t sha256[32], struct buf *der,
	bool *has, struct ofs_error *e);
/* keys above `after` (NULL: all), at most `max`, in order */
typedef int (*store_cert_fn)(void *arg, const uint8_t sha256[32],
	const uint8_t *der, size_t n, struct ofs_error *e);
int store_cert_each(struct store *s, const uint8_t *after, int max,
	store_cert_fn fn, void *arg, struct ofs_error *e);

/*
 * store_proof.c. The signed heads of the tree, by its size; from format 4 on,
 * before it there are none. store_checkpoint_next gives the first of more than
 * `after` records, store_checkpoint_last the newest; *size is 0 without one.
 * One that is there stays.
 */
int store_checkpoint_put(struct store *s, uint64_t size, const void *note,
	size_t n, struct ofs_error *e);
int store_checkpoint_next(struct store *s, uint64_t after, uint64_t *size,
	struct buf *note, struct ofs_error *e);
int store_checkpoint_count(struct store *s, uint64_t *n, struct ofs_error *e);
int store_checkpoint_last(
	struct store *s, uint64_t *size, struct buf *note, struct ofs_error *e);
/* which record names the audit key, and where that is kept (may be NULL) */
int store_audit_key_put(
	struct store *s, uint64_t seq, const char *hint, struct ofs_error *e);
int store_audit_key_get(struct store *s, bool *has, uint64_t *seq,
	struct buf *hint, struct ofs_error *e);
/* the log is of format 4: it may have these, and epochs */
int store_has_evidence(struct store *s, bool *has, struct ofs_error *e);
/*
 * The root of the leaves [lo, hi) as if they were a tree: lo is a multiple of
 * the power of two that is not below hi - lo (merkle_inclusion and its kin).
 */
int store_range_root(struct store *s, uint64_t lo, uint64_t hi,
	struct merkle *m, uint8_t out[32], struct ofs_error *e);
/* the hashes of leaves or of tiles, in order; fn as for records */
typedef int (*store_hash_fn)(
	void *arg, const uint8_t hash[32], struct ofs_error *e);
int store_hash_each(struct store *s, unsigned int level, uint64_t first,
	uint64_t n, struct merkle *m, store_hash_fn fn, void *arg,
	struct ofs_error *e);
/* the headers of n records from `first` on, which must be there */
int store_header_each(struct store *s, uint64_t first, uint64_t n,
	store_record_fn fn, void *arg, struct ofs_error *e);

/*
 * A batch whose list may have to be finished by a later one, and what became
 * of its items. All batches of a list have the root_id of the first.
 */
struct store_track {
	uint64_t opened_seq;
	uint8_t batch_id[16], root_id[16];
	uint8_t list_sha256[32], outputs_sha256[32], spki_sha256[32];
	char form[64]; /* "cms ecdsa-sha256" */
	uint64_t items;
	uint64_t closed_seq; /* 0: not closed */
};
/* the log is of a format that has them: all below need that */
int store_has_tracks(struct store *s, bool *has, struct ofs_error *e);
int store_track_put(
	struct store *s, const struct store_track *t, struct ofs_error *e);
int store_track_close(struct store *s, uint64_t seq, uint64_t closed_seq,
	struct ofs_error *e);
/* with its items */
int store_track_del(struct store *s, uint64_t seq, struct ofs_error *e);
typedef int (*store_track_fn)(
	void *arg, const struct store_track *t, struct ofs_error *e);
int store_track_each(
	struct store *s, store_track_fn fn, void *arg, struct ofs_error *e);
int store_items_put(struct store *s, uint64_t opened_seq,
	const struct item_run *r, struct ofs_error *e);
/* removes the runs that begin at items first..last */
int store_items_cut(struct store *s, uint64_t opened_seq, uint64_t first,
	uint64_t last, struct ofs_error *e);
/* what this intent announced has no outcome, and will have none */
int store_items_unknown(struct store *s, uint64_t opened_seq,
	uint64_t intent_seq, struct ofs_error *e);
/* of batches from..to, in order */
typedef int (*store_items_fn)(void *arg, uint64_t opened_seq,
	const struct item_run *r, struct ofs_error *e);
int store_items_each(struct store *s, uint64_t from, uint64_t to,
	store_items_fn fn, void *arg, struct ofs_error *e);

/*
 * The epochs of a log of format 4 or later, and the records that began them;
 * in an older log there are none.
 */
int store_epoch_put(
	struct store *s, uint32_t epoch, uint64_t seq, struct ofs_error *e);
/* *seq is 0 when there is no such epoch */
int store_epoch_get(
	struct store *s, uint32_t epoch, uint64_t *seq, struct ofs_error *e);
int store_epoch_last(struct store *s, uint32_t *epoch, struct ofs_error *e);
typedef int (*store_epoch_fn)(
	void *arg, uint32_t epoch, uint64_t seq, struct ofs_error *e);
int store_epoch_each(
	struct store *s, store_epoch_fn fn, void *arg, struct ofs_error *e);

/*
 * The keys of epochs that batches of a sealed log are written with, wrapped,
 * until nothing of the batch is unfinished; for logs that have epochs. move:
 * what is open and was written with one epoch goes on with another. sweep:
 * forgets those of all others.
 */
#define STORE_KEPT_SIZE 40
int store_kept_put(struct store *s, const uint8_t batch_id[16], uint32_t epoch,
	const uint8_t wrap[STORE_KEPT_SIZE], struct ofs_error *e);
int store_kept_move(struct store *s, uint32_t from, uint32_t to,
	const uint8_t wrap[STORE_KEPT_SIZE], struct ofs_error *e);
int store_kept_get(struct store *s, uint32_t epoch,
	uint8_t wrap[STORE_KEPT_SIZE], bool *has, struct ofs_error *e);
int store_kept_sweep(struct store *s, struct ofs_error *e);
int store_kept_clear(struct store *s, struct ofs_error *e); /* all of them */
/* how many lists are not finished of which no key is kept */
int store_kept_lacks(struct store *s, uint64_t *n, struct ofs_error *e);
/*
 * The epochs that what is unfinished was recorded with, by its own process, in
 * the place of numbers of records. Reads every header.
 */
int store_kept_needed(
	struct store *s, store_batch_fn fn, void *arg, struct ofs_error *e);
/* what a sweep would delete: epochs in the place of numbers of records */
int store_kept_left(
	struct store *s, store_batch_fn fn, void *arg, struct ofs_error *e);

/*
 * The records of this type whose batch id is from `low` to `high`, in order;
 * reads every header. At most STORE_FOUND_MAX; *n is how many there are.
 */
#define STORE_FOUND_MAX 2
int store_batch_records(struct store *s, enum ofs_record_type type,
	const uint8_t low[16], const uint8_t high[16],
	uint64_t seq[STORE_FOUND_MAX], size_t *n, struct ofs_error *e);

/*
 * A copy in an empty store. In a read transaction of `from` and a write
 * transaction of `to`: its tables, with all rows but those of records and
 * tiles. Then, in ranges: the records from m->size on, as far as max_bytes
 * take and at least one, below `end`; m and the tiles grow with them.
 * OFS_EIO when the copy cannot be written.
 */
int store_copy_tables(
	struct store *from, struct store *to, struct ofs_error *e);
int store_copy_records(struct store *from, struct store *to, uint64_t end,
	size_t max_bytes, struct merkle *m, struct ofs_error *e);

/* for store*.c: the one number that a query gives */
int store_get_int(
	struct store *s, const char *sql, int64_t *v, struct ofs_error *e);
/* for store*.c: error of an SQLite result code, about `what` */
int store_fail(
	struct store *s, int sqlite_rc, const char *what, struct ofs_error *e);

#endif
