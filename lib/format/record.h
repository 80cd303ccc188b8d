/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Audit records: the fixed header and the DER bodies (ofs-audit-format(5)). */
#ifndef FORMAT_RECORD_H
#define FORMAT_RECORD_H

#include <offlinesig/audit.h>

#include "base/buf.h"
#include "base/err.h"

#define RECORD_HEADER_SIZE 180
#define RECORD_BODY_MAX (16u << 20)
#define RECORD_WRAPS_MAX 1000

/* The header; every field is hashed into the tree. */
struct record_header {
	uint8_t log_id[16]; /* zeros in the genesis */
	uint16_t type;      /* enum ofs_record_type */
	uint16_t flags;     /* 0 */
	uint16_t cipher;    /* 0: plain; 1: sealed, format/seal.h */
	uint64_t seq;
	int64_t time;     /* UTC us */
	int64_t boottime; /* us */
	uint8_t boot_id[16];
	uint8_t batch_id[16];
	uint32_t epoch;
	uint32_t body_len; /* as stored */
	uint8_t nonce[24];
	uint8_t key_commit[32];
	uint8_t body_sha256[32]; /* of the stored body */
};

void record_header_encode(
	const struct record_header *h, uint8_t to[RECORD_HEADER_SIZE]);
/* strict: magic, version, known cipher, zero nonce and commitment for plain */
int record_header_decode(const uint8_t *p, size_t n, struct record_header *h,
	struct ofs_error *e);
const char *record_type_name(int type); /* "?" for unknown */

/* Borrowed bytes; p == NULL is "absent". */
struct rec_span {
	const uint8_t *p;
	size_t n;
};

/* Strings are borrowed; NULL is absent (an OPTIONAL in the DER). */
struct rec_key {
	struct rec_span id;
	const char *label, *type; /* "P-256" */
	struct rec_span spki_sha256;
	struct rec_span cert_sha256;
	const char *subject, *serial; /* RFC 2253; hex */
	int64_t not_after;            /* us; 0: no certificate */
};

struct rec_token {
	const char *manufacturer, *model, *serial, *label, *module;
	struct rec_span module_sha256;
};

struct rec_operator {
	int64_t uid, loginuid;         /* -1: unknown */
	const char *name, *host, *tty; /* tty may be NULL */
};

/*
 * Who signs with what: the same in every record of a batch, so it is encoded
 * once, and the other bodies take its DER.
 */
struct rec_party {
	struct rec_key key;
	struct rec_token token;
	struct rec_operator operator_;
	const char *tool; /* "ofs-sign 0.1.0" */
};
int record_party_encode(
	const struct rec_party *p, struct buf *der, struct ofs_error *e);

struct rec_document {
	const char *path;    /* as given; any bytes but NUL */
	const char *name;    /* base name */
	const char *version; /* NULL */
	const char *id;      /* NULL */
	uint64_t size;
	const char *digest_alg; /* "sha256" */
	struct rec_span digest;
	/* format 4: "digest" where only that was given; NULL: it was read */
	const char *input;
};

struct rec_genesis {
	const char *origin;
	const char *tool;
	struct rec_operator operator_;
	struct rec_span salt; /* 32 random bytes: no two logs share an id */
	/* format 4 of the log; all may be absent */
	const char *mode;            /* "station", "sealed"; NULL: plain */
	const char *audit_key;       /* C2SP verifier key */
	const char *audit_key_place; /* "token", "file" */
	struct rec_span auditors;    /* SHA-256 of certificates, in a row */
};
struct rec_batch_opened {
	struct rec_span party;
	struct rec_span list_sha256;    /* of the items; absent: open-ended, */
	uint64_t items;                 /* and 0 of them are known yet */
	const char *format, *mechanism; /* "cms", "ecdsa-sha256" */
	uint64_t jobs;
	const char *options; /* "out=signed existing=skip", for people */
	/*
	 * Format 3 of the log. Digest of where the outputs go: later batches
	 * may finish the list; absent: they may not. And the id of the first
	 * batch of the list, when this one goes on with it; absent.
	 */
	struct rec_span outputs_sha256, resumes;
};
struct rec_batch_closed {
	uint64_t opened_seq;
	uint64_t signed_, failed, skipped, not_attempted, unknown;
	int64_t code;       /* what the run returned */
	const char *reason; /* NULL when all went well */
	/*
	 * Format 4: of an open-ended batch, whose BATCH OPENED has none; absent
	 * where its process ended before it.
	 */
	struct rec_span list_sha256;
};
/* An intent lists what the token is about to be asked for. */
enum rec_purpose {
	REC_PURPOSE_DOCUMENT = 1,
	REC_PURPOSE_PROOF = 2,       /* proof of possession, tagged message */
	REC_PURPOSE_CERTIFICATE = 3, /* self-signed certificate */
	REC_PURPOSE_CSR = 4,
	REC_PURPOSE_BENCH = 5, /* many tagged messages; format 2 of the log */
	REC_PURPOSE_CHECKPOINT = 6 /* a head of the log; format 4 */
};
struct rec_intent_item {
	uint64_t index; /* in the batch */
	struct rec_document doc;
};
struct rec_intent {
	enum rec_purpose purpose;
	struct rec_span party; /* only outside batches; absent in one */
	const struct rec_intent_item *items;
	size_t n;
};
enum rec_status { REC_SIGNED = 1, REC_FAILED = 2, REC_NOT_ATTEMPTED = 3 };
struct rec_outcome {
	uint64_t intent_seq;
	uint64_t index; /* of the item, as in the intent */
	enum rec_purpose purpose;
	enum rec_status status;
	struct rec_document doc;
	const char *format;
	struct rec_span party;
	const char *mechanism; /* "rsa-pkcs1-sha256" */
	struct rec_span
		signed_bytes;      /* CMS: DER signed attributes; or absent */
	struct rec_span signature; /* raw value */
	struct rec_span output_sha256;
	const char *output_path; /* absolute; NULL: handed to the caller */
	bool verified;           /* software verification said yes */
	uint64_t ckr;
	uint64_t attempts;
	int64_t token_us;   /* time spent in C_Sign */
	int64_t code;       /* enum ofs_errcode */
	const char *reason; /* NULL when signed */
};
struct rec_recovery {
	uint64_t intent_seq;
	uint64_t
		unknown; /* items whose outcome is unknown: all of the intent */
	const char *reason;
};
struct rec_release {
	uint64_t outcome_seq;
	const char *path;
	const char *result; /* "released", "already there", "discarded: ..." */
};
struct rec_login {
	struct rec_token token;
	struct rec_operator operator_;
	const char *user; /* "user" or "so" */
	bool ok;
	uint64_t ckr;
	int64_t code;
	const char *reason; /* NULL when ok */
};
struct rec_key_lent {
	struct rec_span party;
	const char *purpose;
};
struct rec_key_event {
	const char *event; /* "enroll", "delete-begun"; ofs-audit-format(5) */
	struct rec_span party;
	struct rec_span spki; /* DER SubjectPublicKeyInfo */
	int64_t sensitive, extractable, always_sensitive, never_extractable,
		local, always_authenticate, sign; /* 1, 0, -1 */
	struct rec_span certificate;              /* DER; absent */
	/* SHA-256 of a vendor's certificate and of its issuer's; absent */
	struct rec_span attestation_sha256, attestation_issuer_sha256;
	const char *use; /* format 4: "digest": may sign such; NULL */
};
struct rec_token_event {
	const char *event; /* "init", "pin-change-begun"; likewise */
	struct rec_token token;
	struct rec_operator operator_;
};

/* The types from here on are of format 4 of the log. */
struct rec_wrap {
	const char *what; /* of "data", "tag", "batch" */
	const char *kind; /* "x509", "file", "passphrase", "token" */
	const char *hint; /* how its key is found; NULL */
	struct rec_span data;
};
struct rec_epoch {
	uint32_t epoch;             /* from 1 */
	struct rec_span key_commit; /* of its data key; absent */
	const char *reason;         /* NULL */
	struct rec_operator operator_;
	const struct rec_wrap *wraps;
	size_t n;
};
struct rec_anchor {
	const char *kind; /* "checkpoint", "token", ...; ofs-audit-format(5) */
	uint64_t records; /* size of the tree */
	struct rec_span root; /* 32 bytes */
	const char *place;    /* where it is kept; NULL */
	struct rec_span data; /* the signed note, the response, ...; absent */
	struct rec_operator operator_;
};
struct rec_log_event {
	const char *event; /* "read", "backup", ...; ofs-audit-format(5) */
	struct rec_operator operator_;
	uint64_t first, last; /* records that it is about; 0: not said */
	uint64_t count;       /* 0: not said */
	struct rec_span sha256;
	const char *path;
	const char *reason;
	struct rec_span authorisation; /* CMS by an auditor; absent */
};

/* One encoder a type; DER is appended to `to`. */
int record_genesis_encode(
	const struct rec_genesis *, struct buf *to, struct ofs_error *e);
int record_batch_opened_encode(
	const struct rec_batch_opened *, struct buf *to, struct ofs_error *e);
int record_batch_closed_encode(
	const struct rec_batch_closed *, struct buf *to, struct ofs_error *e);
int record_intent_encode(
	const struct rec_intent *, struct buf *to, struct ofs_error *e);
int record_outcome_encode(
	const struct rec_outcome *, struct buf *to, struct ofs_error *e);
int record_recovery_encode(
	const struct rec_recovery *, struct buf *to, struct ofs_error *e);
int record_release_encode(
	const struct rec_release *, struct buf *to, struct ofs_error *e);
int record_login_encode(
	const struct rec_login *, struct buf *to, struct ofs_error *e);
int record_key_lent_encode(
	const struct rec_key_lent *, struct buf *to, struct ofs_error *e);
int record_key_event_encode(
	const struct rec_key_event *, struct buf *to, struct ofs_error *e);
int record_token_event_encode(
	const struct rec_token_event *, struct buf *to, struct ofs_error *e);
int record_epoch_encode(
	const struct rec_epoch *, struct buf *to, struct ofs_error *e);
int record_anchor_encode(
	const struct rec_anchor *, struct buf *to, struct ofs_error *e);
int record_log_event_encode(
	const struct rec_log_event *, struct buf *to, struct ofs_error *e);

/*
 * A decoded body of any type: strict (re-encoding gives the same bytes, no
 * trailing bytes), with its fields reachable by dotted name as the public
 * ofs_record_each() gives them.
 */
struct record_body;
int record_body_decode(int type, const uint8_t *p, size_t n,
	struct record_body **out, struct ofs_error *e);
/*
 * The same for one body after another. All records of a batch have the same
 * party, byte for byte: it is encoded again once, and compared then. Begins
 * with RECORD_KNOWN_INIT; free `party` in the end.
 */
struct record_known {
	struct buf party; /* of the body before; empty: none */
};
#define RECORD_KNOWN_INIT \
	{                 \
		BUF_INIT  \
	}
int record_body_decode_next(struct record_known *known, int type,
	const uint8_t *p, size_t n, struct record_body **out,
	struct ofs_error *e);
void record_body_free(struct record_body *b);
/* as it was given to the decoder */
int record_body_type(const struct record_body *b);
int record_body_each(const struct record_body *b, ofs_field_fn fn, void *arg);
bool record_body_find(
	const struct record_body *b, const char *name, struct ofs_field *out);
/* the field is there, and is this text */
bool record_body_is(
	const struct record_body *b, const char *name, const char *text);

#endif
