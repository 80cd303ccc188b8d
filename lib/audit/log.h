/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Appending to the log: transactions of records, tree and pending outputs. */
#ifndef AUDIT_LOG_H
#define AUDIT_LOG_H

#include <openssl/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "format/record.h"

/*
 * log_begin takes the handle's mutex, the log's flock and an SQLite write
 * transaction, and re-reads the tree state; log_commit makes everything
 * durable (database, then head file) before it returns; log_rollback drops
 * it. After a failed commit or sync the handle is latched: every later call
 * gives OFS_EAUDIT until the log is opened anew. All errors of this file are
 * OFS_EAUDIT unless said otherwise; log_begin gives OFS_EDAMAGED when the store
 * is behind its head file or was replaced. The thread that began a transaction
 * ends it, and may read through the handle meanwhile.
 */
int log_begin(ofs_audit *a, struct ofs_error *e);
int log_commit(ofs_audit *a, struct ofs_error *e);
void log_rollback(ofs_audit *a);

struct log_entry {
	enum ofs_record_type type;
	const uint8_t *batch_id; /* 16 bytes, or NULL */
	const uint8_t *body;     /* DER */
	size_t body_len;
	const uint8_t *doc_digest; /* makes the document tag; NULL: none */
	size_t doc_digest_len;
	int format;   /* that added what is in the body; 0: the first */
	bool checked; /* the body, by handle_check_body() */
	bool plain;   /* for those who have no key, too */
};
/* open-ended batches, and digests of documents that were not seen */
#define LOG_FORMAT_UNSEEN 4
/*
 * Inside a transaction. BATCH_OPENED and INTENT also enter the table of what
 * is open; BATCH_CLOSED leaves it (batch_id), log_intent_done an intent.
 */
int log_append(ofs_audit *a, const struct log_entry *en, uint64_t *seq,
	struct ofs_error *e);
int log_intent_done(ofs_audit *a, uint64_t intent_seq, struct ofs_error *e);

/*
 * One record in a transaction of its own, or in one with those that other
 * threads append at the same time: either way durable before it returns. A
 * body that is refused is its caller's trouble alone; when the transaction
 * fails, so do all that share it.
 */
int log_append_one(ofs_audit *a, const struct log_entry *en, uint64_t *seq,
	struct ofs_error *e);

/* A finished output that waits for its release; inside a transaction. */
int log_pending_add(ofs_audit *a, uint64_t outcome_seq, const char *path,
	bool replace, const uint8_t *p, size_t n, struct ofs_error *e);
int log_pending_done(ofs_audit *a, uint64_t outcome_seq, struct ofs_error *e);

/*
 * A certificate, kept once and named by its SHA-256; inside a transaction. A
 * sealed log keeps only those of its auditors, and this does nothing.
 */
int log_cert_add(
	ofs_audit *a, const uint8_t *der, size_t n, struct ofs_error *e);

/*
 * A running batch holds a lock that dies with its process (F_OFD_SETLK on one
 * byte of a lock file); recovery leaves such batches alone. An intent outside
 * batches is held by log_append itself, until log_intent_done is committed.
 */
#define LOG_RECOVERY 0 /* held as a batch by who settles what others left */
int log_batch_hold(ofs_audit *a, uint64_t opened_seq, struct ofs_error *e);
void log_batch_release(ofs_audit *a, uint64_t opened_seq);
bool log_batch_alive(ofs_audit *a, uint64_t opened_seq);

/* What crashed batches left. fn returns 0 or an error that ends the walk; it
 * must not call into the log: collect first, act afterwards. */
struct log_open_batch {
	uint64_t opened_seq;
	uint8_t batch_id[16];
	bool alive;
};
struct log_open_intent {
	uint64_t intent_seq;
	uint8_t batch_id[16]; /* zeros: outside a batch */
	bool alive;
};
struct log_pending {
	uint64_t outcome_seq;
	uint8_t batch_id[16];
	bool alive;
	const char *path; /* NULL: sealed, and no key is here */
	bool replace;
	const uint8_t *p; /* borrowed for the call */
	size_t n;
};
int log_each_open_batch(ofs_audit *a,
	int (*fn)(void *arg, const struct log_open_batch *b), void *arg,
	struct ofs_error *e);
int log_each_open_intent(ofs_audit *a,
	int (*fn)(void *arg, const struct log_open_intent *i), void *arg,
	struct ofs_error *e);
/* of outcomes from `first` on; fn may end the walk with LOG_ENOUGH, too */
#define LOG_ENOUGH 1
int log_each_pending(ofs_audit *a, uint64_t first,
	int (*fn)(void *arg, const struct log_pending *p), void *arg,
	struct ofs_error *e);

/*
 * The records of these types, or of one, the oldest first. fn returns 0, or an
 * error that ends the walk; it must not call into the log. OFS_EDAMAGED for a
 * record that cannot be read or is missing.
 */
typedef int (*log_record_fn)(void *arg, uint64_t seq,
	const struct record_body *body, struct ofs_error *e);
int log_each_of_types(ofs_audit *a, const enum ofs_record_type *types, size_t n,
	log_record_fn fn, void *arg, struct ofs_error *e);
int log_each_of_type(ofs_audit *a, enum ofs_record_type type, log_record_fn fn,
	void *arg, struct ofs_error *e);

/*
 * ofs_audit_get_keys(), ofs_audit_get(), ofs_audit_size() and
 * ofs_audit_list() for callers within: the error of a handle may be another
 * thread's. fn may call the log.
 */
int log_get_keys(ofs_audit *a, struct ofs_audit_keys *out, struct ofs_error *e);
int log_get(ofs_audit *a, uint64_t seq, ofs_record **out, struct ofs_error *e);
int log_count(ofs_audit *a, uint64_t *out, struct ofs_error *e);
typedef int (*log_list_fn)(
	void *arg, const ofs_record *rec, struct ofs_error *e);
int log_list(ofs_audit *a, uint64_t first, uint64_t last, log_list_fn fn,
	void *arg, struct ofs_error *e);

/*
 * Signs a checkpoint with a key that is not in a file: appends the signature
 * to `sig`, raw as note_sig_line() takes it. Called outside transactions; what
 * it appends to the log is not part of that checkpoint.
 */
typedef int (*log_sign_fn)(void *arg, ofs_audit *a, const void *text, size_t n,
	struct buf *sig, struct ofs_error *e);

/* An audit key on a token: its public half, and a URI that finds it. */
struct log_token_key {
	EVP_PKEY *pub;
	const char *uri;
};
/* A station key on a token: a URI, and what the token makes of what. */
struct wrap_token;
struct log_station_key {
	const char *uri;
	const struct wrap_token *box;
	const uint8_t *kek; /* 32 bytes */
};
/*
 * ofs_audit_init() with such keys, or NULL; *out is open for writing, and the
 * caller frees it with ofs_audit_free().
 */
int log_init(ofs_ctx *ctx, const char *dir,
	const struct ofs_audit_init_opts *opts, const struct log_token_key *key,
	const struct log_station_key *station, ofs_audit **out,
	struct ofs_error *e);
/* ofs_audit_rotate() to such a key */
int log_rotate(ofs_audit *a, const struct ofs_audit_rotate_opts *opts,
	const struct log_station_key *station, struct ofs_error *e);
/* what the token is to open for the newest epoch; OFS_EKEY: nothing */
int log_station_box(ofs_audit *a, struct wrap_token *out, struct ofs_error *e);
/* what it made of that: opens the log. OFS_EPIN: it does not */
int log_open_with_token(ofs_audit *a, const struct log_station_key *station,
	struct ofs_error *e);

/*
 * A key on a token is lent to the log by who opened it, and signs outside
 * transactions: what it does is recorded by intent and outcome, which follow
 * the records that the checkpoint covers and make no other one due.
 */
void log_lend_key(ofs_audit *a, log_sign_fn sign, void *arg);
/* at the end of a batch, or between its transactions; errors are logged */
void log_checkpoint_after(ofs_audit *a, bool batch_end);

/* signs one now. OFS_EKEY: there is no key, or it is not at hand */
int log_checkpoint(ofs_audit *a, struct ofs_error *e);
/* says that there is none: OFS_EAUDIT, or OFS_EKEY without an audit key */
int log_no_checkpoint(const ofs_audit *a, struct ofs_error *e);
/* the newest one, added to *note; or log_no_checkpoint() */
int log_newest_checkpoint(ofs_audit *a, struct buf *note, struct ofs_error *e);
/* SHA-256 of its SubjectPublicKeyInfo; OFS_EKEY: none is on a token */
int log_token_key_sha256(ofs_audit *a, uint8_t out[32], struct ofs_error *e);
/* its name for the log, owned by `a`; OFS_EKEY: there is no audit key */
int log_key_origin(ofs_audit *a, const char **origin, struct ofs_error *e);
/* OFS_EPOLICY when it is the audit key; a key without public half passes */
int log_refuse_key(ofs_audit *a, const EVP_PKEY *pub, struct ofs_error *e);
/*
 * OFS_EPOLICY when records tell that it is one for documents, and can be read
 * here
 */
int log_refuse_used_key(ofs_audit *a, const EVP_PKEY *pub, struct ofs_error *e);
/*
 * Names this as the audit key of a log that has none, in a record. `place` is
 * "file" or "token". OFS_EEXIST: it has one.
 */
int log_name_key(ofs_audit *a, EVP_PKEY *pub, const char *place,
	const char *hint, struct ofs_error *e);

/* The operator as this process sees itself; strings are owned by `a`. */
void log_operator(ofs_audit *a, struct rec_operator *out);
bool log_read_only(const ofs_audit *a);
/*
 * What other processes have recorded cannot be read here: lists are not
 * tracked, and what a crash leaves is closed without counts.
 */
bool log_is_sealed(const ofs_audit *a);
/*
 * ... unless it has a batch key and that is here. OFS_EAUDIT: it has one, and
 * that is not here; or, unless all is to be signed again, it has unfinished
 * lists that it does not open.
 */
int log_can_track(ofs_audit *a, bool all_again, bool *can, struct ofs_error *e);
const char *log_place(const ofs_audit *a); /* absolute; owned by `a` */

#endif
