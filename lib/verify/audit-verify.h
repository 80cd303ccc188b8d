/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A run of ofs_audit_verify(), as the audit-*.c files share it. */
#ifndef VERIFY_AUDIT_VERIFY_H
#define VERIFY_AUDIT_VERIFY_H

#include <openssl/x509.h>

#include "audit/handle.h"
#include "audit/keytokens.h"
#include "verify/audit-range.h"

/* A record that was read and whose header and body hash hold. */
struct av_record {
	uint64_t seq;
	const struct record_header *h;
	const struct record_body *body;
	const uint8_t *tag; /* NULL: none */
	size_t tag_len;
};

struct av_batch {
	uint8_t id[16];
	uint64_t opened_seq;
	uint64_t items;  /* that it was opened for */
	bool open_ended; /* they are not known before it is closed */
	uint64_t reach;  /* one more than the largest index of an item */
	uint64_t signed_, failed, not_attempted;
	uint64_t erased; /* outcomes that say nothing any more */
};

/* An item of an intent that is open; offsets are into its `text`. */
struct av_item {
	uint64_t index;
	size_t name, name_len; /* path, or name where there is none */
	size_t digest, digest_len;
	bool unseen; /* only its digest was given */
	bool done;
};

struct av_intent {
	uint64_t seq;
	uint8_t batch_id[16];
	int64_t purpose;
	struct buf items; /* of struct av_item, by ascending index */
	struct buf text;
	size_t n, left;
	size_t cursor; /* where the next outcome is expected */
	bool listed;   /* in the table of open intents */
};

/* A batch whose list is not finished, as the tables should have it. */
struct av_track {
	struct store_track row;
	struct runs runs;
	bool partial; /* some of its outcomes were erased */
};

struct av_tracks {
	struct av_track *p; /* by opened_seq */
	size_t n, cap;
};

/* What is open at this point of the log: bounded by what was left open. */
struct av_links {
	struct av_batch *batches; /* by opened_seq */
	size_t n_batches, cap_batches;
	struct av_intent *intents; /* by seq */
	size_t n_intents, cap_intents;
	struct av_tracks tracks;
};

/* audit-events.c */
struct av_absent {
	uint64_t seq;
	uint16_t type;
	uint8_t batch_id[16];
	uint8_t header_sha256[32];
	bool allowed; /* a later record says so */
	bool settled; /* an outcome: an intent was counted as answered by it */
};

struct av_events {
	struct av_absent *absent; /* bodies, by seq */
	size_t n_absent, cap_absent;
	STACK_OF(X509) *auditors; /* NULL: the genesis names none */
};

/* audit-checkpoint.c: the tree of the last one that was checked */
struct av_checkpoints {
	bool named;        /* a record names the audit key */
	uint64_t named_by; /* that record */
	bool has_root;     /* and the root in front of it */
	uint8_t root[32];
	uint64_t n; /* so many were checked */
	struct merkle tree;
	unsigned int height; /* of what is being added to it */
	struct buf note;
};

struct av {
	ofs_audit *a;
	ofs_audit_finding_fn fn;
	void *arg;
	struct ofs_audit_report *rep;
	struct store_state state;
	struct head_file head;
	struct merkle tree;
	int64_t last_time;
	struct av_links links;
	struct av_checkpoints checkpoints;
	struct keytokens keytokens;
	uint32_t epochs; /* seen so far */
	bool keyless;    /* a body was not opened: links are not followed */
	struct av_events events;
	bool locked;      /* the handle's mutex is ours */
	struct buf queue; /* findings that wait for the caller's thread */
	unsigned int threads;
	bool hashes_only;
};

struct av_how {
	unsigned int threads; /* that check; 0: one for each processor */
	/* what can be done without any key: no body is looked into */
	bool hashes_only;
};
/* as ofs_audit_verify() */
int av_verify(ofs_audit *audit, const struct av_how *how,
	ofs_audit_finding_fn fn, void *arg, struct ofs_audit_report *out);

/* the handle for a short read; nothing when it is ours already */
int av_enter(struct av *v, struct ofs_error *e);
void av_leave(struct av *v);

/* "record N: ..."; returns OFS_EDAMAGED */
int av_damage(struct ofs_error *e, uint64_t seq, const char *fmt, ...)
	ERR_PRINTF(3, 4);
/*
 * "record LAST: ...; what differs is in records FIRST to LAST": where a hash
 * over all of them is another one, nobody can tell which.
 */
int av_damage_within(
	struct ofs_error *e, uint64_t first, uint64_t last, const char *what);
/* "...: it holds N records, and WHO knows of M"; returns OFS_EDAMAGED */
int av_rolled_back(
	struct ofs_error *e, uint64_t holds, uint64_t knows, const char *who);
void av_find(struct av *v, uint64_t seq, const char *id, const char *fmt, ...)
	ERR_PRINTF(4, 5);
void av_flush_findings(struct av *v);

/* audit-scan.c: the records below `end` that are not in the tree yet */
int av_scan(struct av *v, uint64_t end, struct ofs_error *e);
/* a range that was checked, behind those before it: links, tree, heads */
int av_take_range(struct av *v, const struct av_range *r, struct ofs_error *e);

int64_t av_int(const struct record_body *b, const char *name);
bool av_bytes(
	const struct record_body *b, const char *name, struct rec_span *out);
bool av_same(struct rec_span a, struct rec_span b);
/* the body of an earlier record, for links that go back; free it */
int av_get_body(struct av *v, uint64_t seq, struct record_header *h,
	struct record_body **out, struct ofs_error *e);

/* audit-keys.c: bodies that are encrypted; that this one is, or is not */
int av_check_cipher(
	struct av *v, const struct record_header *h, struct ofs_error *e);
/* whether documents of its epoch have tags */
int av_is_tagged(struct av *v, const struct record_header *h, bool *tagged,
	struct ofs_error *e);
/* by a station that could not read what it closed: it counts nothing */
bool av_closed_blindly(const struct av *v, const struct record_body *b);
/* of a record that was not opened: what its header says */
int av_count_sealed(
	struct av *v, const struct av_record *r, struct ofs_error *e);
int av_epoch(struct av *v, const struct av_record *r, struct ofs_error *e);
int av_check_epochs(struct av *v, struct ofs_error *e);
/* a finding for each key that is kept for something that is finished */
int av_check_kept(struct av *v, struct ofs_error *e);
/* outputs that wait, where what they are of cannot be read */
int av_count_waiting(struct av *v, struct ofs_error *e);
void av_keys_report(struct av *v);

/* audit-links.c: intents, outcomes and batches, record by record */
int av_link(struct av *v, const struct av_record *r, struct ofs_error *e);
/* what is open at the end of the log, as findings */
void av_links_report(struct av *v);
void av_links_free(struct av_links *l);
const struct av_batch *av_find_batch(
	const struct av_links *l, const uint8_t id[16]);
/* that body is absent: what its header alone tells */
void av_link_absent(struct av *v, const struct record_header *h);
/*
 * n items of this intent were answered by outcomes that were erased; false
 * when so many were not. It cannot be told which items.
 */
bool av_use_absent(struct av *v, const struct av_intent *i, uint64_t n);
/* names the items without outcome; `seq` is the record that says so */
void av_report_unknown(struct av *v, const struct av_intent *i, uint64_t seq);
void av_drop_intent(struct av_links *l, struct av_intent *i);
/* intents that are open only because their outcomes were erased */
void av_links_settle(struct av *v);
struct av_intent *av_find_intent(struct av_links *l, uint64_t seq);

/* audit-tables.c: the derived tables, in the snapshot that the tree is of */
int av_check_tables(struct av *v, struct ofs_error *e);

#endif
