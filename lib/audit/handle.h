/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The audit handle, as the files of audit/ and verify/audit-*.c share it. */
#ifndef AUDIT_HANDLE_H
#define AUDIT_HANDLE_H

#include <pthread.h>
#include <sys/stat.h>

#include "audit/auditkey.h"
#include "audit/group.h"
#include "audit/hold.h"
#include "audit/keys.h"
#include "audit/log.h"
#include "audit/tag.h"
#include "store/head.h"
#include "store/place.h"
#include "store/store.h"

/*
 * `lock` guards all but `err` (err_lock), `hold` and `group` (their own). It is
 * of the error-checking kind: whoever opened a transaction may read through the
 * same handle, and a second log_begin of that thread is an error, not a
 * deadlock.
 */
struct ofs_audit {
	ofs_ctx *ctx;
	struct place place;
	char *db_path;
	bool read_only;
	pthread_mutex_t lock;

	struct store store;
	dev_t db_dev; /* the file that is open: replaced ones are noticed */
	ino_t db_ino;
	int lock_fd; /* flock: writers queue here; -1 when not to be had */
	int head_fd; /* -1: no head file */
	struct hold hold;
	struct merkle tree;
	struct tag tag;
	struct keys keys;
	struct digest sha;
	struct store_state state; /* as of the last transaction */
	struct head_file head;
	/* heads that were found right, when the tree was this one */
	struct head_file known;
	uint64_t known_size; /* 0: none were */
	uint8_t known_root[MERKLE_HASH];
	struct audit_key key;
	struct note_key pin; /* what verification asks for; or empty */
	/* heads that verification compared; verify/audit-head.c */
	struct buf heads;
	STACK_OF(X509) *tsa_trust, *tsa_chain; /* or NULL */
	struct note_key *witnesses;            /* whose cosignatures count */
	size_t n_witnesses;
	uint64_t heads_size; /* records that there were then */
	/* of a new log; borrowed for init: where its audit key is */
	const char *asked_key;
	const struct log_token_key *asked_token_key;
	const struct log_station_key *asked_station_key;

	bool in_tx;
	pthread_t owner;   /* of the transaction */
	uint64_t began;    /* size when the transaction began */
	uint64_t last_seq; /* of the newest append in it, and its batch */
	uint8_t last_batch[16];
	struct buf done; /* uint64_t: intents to let go of at commit */
	bool broken;     /* a step failed: only a rollback is left */
	bool latched;    /* nothing may be written any more */
	struct ofs_error latch;
	struct group_queue group; /* single appends that share a transaction */

	uint8_t boot_id[16];
	struct rec_operator operator_;
	char operator_name[256], operator_host[256], operator_tty[256];

	pthread_mutex_t err_lock;
	struct ofs_error err;
};

/* a handle with nothing open */
int handle_new(
	ofs_ctx *ctx, bool read_only, ofs_audit **out, struct ofs_error *e);
/* keeps a copy for ofs_audit_error() and returns the code */
int handle_fail(ofs_audit *a, const struct ofs_error *e);

/*
 * The mutex for reading; *nested when this thread has a transaction open and
 * so holds it already. handle_leave takes the same value.
 */
int handle_enter(ofs_audit *a, bool *nested, struct ofs_error *e);
void handle_leave(ofs_audit *a, bool nested);

int handle_flock(ofs_audit *a, struct ofs_error *e);
void handle_funlock(ofs_audit *a);

/* (re)opens the head file where it is to be had, and reads it */
int handle_read_head(ofs_audit *a, struct ofs_error *e);
/* makes the head file say a->state, creating it where it is missing */
int handle_write_head(ofs_audit *a, struct ofs_error *e);
/*
 * The head file against the store: the same log, never ahead, and the same
 * root for that many records. Inside a transaction; a->head and a->state are
 * set.
 */
int handle_check_head(ofs_audit *a, struct ofs_error *e);
/*
 * All of it was right, or we wrote it: what is not changed when the next
 * transaction begins need not be computed again.
 */
void handle_know_head(ofs_audit *a);
/*
 * On opening for writing: genesis, the last records, tree and state agree, and
 * the head file with them. Reads a->state. Inside a transaction.
 */
int handle_check_tail(ofs_audit *a, struct ofs_error *e);
/* the genesis alone: sets a->state */
int handle_check_genesis(ofs_audit *a, struct ofs_error *e);

/* whether this thread has the mutex; others may hold it */
bool handle_is_ours(ofs_audit *a);

/* that a body is one which verification will take */
int handle_check_body(const struct log_entry *en, struct ofs_error *e);
/* what a record is made of; borrowed from it (read.c) */
const struct record_header *handle_record_header(const ofs_record *rec);
const struct record_body *handle_record_body(const ofs_record *rec);

/* appends inside the transaction that a->in_tx stands for (log.c) */
int handle_append(ofs_audit *a, const struct log_entry *en, uint64_t *seq,
	struct ofs_error *e);
/* that a step may be done now; and what follows from its result */
int handle_check_tx(ofs_audit *a, struct ofs_error *e);
int handle_step(ofs_audit *a, int rc, const struct ofs_error *e);
/* state, commit, head file */
int handle_commit(ofs_audit *a, struct ofs_error *e);
/* the audit key that was asked for in the genesis; hint gets its place */
int handle_init_key(ofs_audit *a, const char *origin, struct rec_genesis *g,
	struct buf *vkey, struct buf *hint, struct ofs_error *e);
/* (re)reads which audit key the log has */
int handle_load_key(ofs_audit *a, struct ofs_error *e);
/*
 * A record that is not in a log (read.c): a header of RECORD_HEADER_SIZE and
 * its body, NULL where that is not known.
 */
int read_make_record(const uint8_t *header, const uint8_t *body, size_t n,
	ofs_record **out, struct ofs_error *e);
/* who the process is; once */
void handle_find_operator(ofs_audit *a);
/* the same for a plain body: nobody in a sealed log */
void handle_plain_operator(const ofs_audit *a, struct rec_operator *out);
/* whether documents get tags: the tag key is here, or needs not be */
bool handle_has_tags(const ofs_audit *a);

#endif
