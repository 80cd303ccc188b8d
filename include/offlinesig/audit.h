/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The record of operations: create, open, verify, read. */
#ifndef OFFLINESIG_AUDIT_H
#define OFFLINESIG_AUDIT_H

#include <offlinesig/types.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Types of records; the numbers are of the format: ofs-audit-format(5). */
enum ofs_record_type {
	OFS_REC_GENESIS = 1,
	OFS_REC_BATCH_OPENED = 2,
	OFS_REC_BATCH_CLOSED = 3,
	OFS_REC_INTENT = 4,    /* one a chunk, lists its items */
	OFS_REC_OUTCOME = 5,   /* one an item: signed, failed, not attempted */
	OFS_REC_RECOVERY = 6,  /* an intent that stayed without outcome */
	OFS_REC_LOGIN = 7,     /* succeeded or failed */
	OFS_REC_KEY_LENT = 8,  /* EVP_PKEY handed to an application */
	OFS_REC_KEY_EVENT = 9, /* enrol, adopt, import of a certificate */
	OFS_REC_TOKEN_EVENT = 10, /* initialised */
	OFS_REC_RELEASE = 11,     /* pending outputs released by a later run */
	OFS_REC_EPOCH = 12,    /* keys that later bodies are encrypted with */
	OFS_REC_ANCHOR = 13,   /* a head of the log that was signed or kept */
	OFS_REC_LOG_EVENT = 14 /* the log was read, backed up, restored, ... */
};

/* A certificate, PEM or DER. */
struct ofs_audit_cert {
	const uint8_t *p;
	size_t n;
};

struct ofs_audit_init_opts {
	size_t size;
	/* name of the log; NULL: host name (not of a sealed one) + random */
	const char *origin;
	const char *group; /* share with this group: 0660 and 2770; or NULL */
	/*
	 * Who can read the log. With a station key or a passphrase its records
	 * are encrypted, and those who have one of these, or the private key
	 * of an auditor, read it. sealed: nobody but the auditors, not even
	 * this station; with a station key or a passphrase that can read what
	 * is unfinished, so that it can be gone on with. None of them: as
	 * struct ofs_ctx_opts.station_keys says.
	 */
	/* and auditors can allow what the log refuses otherwise: keep.h */
	const struct ofs_audit_cert *auditors; /* RSA or EC */
	size_t n_auditors;
	bool sealed;
	bool plain;              /* not encrypted, whatever station_keys is */
	const char *station_key; /* file, made where there is none; or NULL */
	const char *passphrase;  /* or NULL */
	bool no_station_key;     /* the passphrase alone, whatever they are */
	/*
	 * The key that signs checkpoints (offlinesig/checkpoint.h): "file" or
	 * "file:PATH", made there where none is; NULL: none
	 */
	const char *audit_key;
};

#define OFS_AUDIT_INIT_OPTS_INIT                                              \
	{                                                                     \
		sizeof(struct ofs_audit_init_opts), 0, 0, 0, 0, false, false, \
			0, 0, false, 0                                        \
	}

/*
 * ofs_audit_init: creates a log in `dir` (made with mode 0700 if missing) and
 * writes its genesis. OFS_EEXIST when there is one already.
 */
int ofs_audit_init(
	ofs_ctx *ctx, const char *dir, const struct ofs_audit_init_opts *opts);

enum ofs_audit_flags {
	OFS_AUDIT_CREATE = 1,   /* make it with defaults when there is none */
	OFS_AUDIT_READ_ONLY = 2 /* write nothing; also for a read-only medium */
};

/*
 * ofs_audit_open: opens the log in `dir`. For writing it refuses looser
 * permissions, another owner and network file systems with the reason, and
 * verifies the tail against the head file. Errors: OFS_EAUDIT (cannot be used),
 * OFS_EDAMAGED. Any thread may use the handle. The ctx is borrowed.
 */
int ofs_audit_open(
	ofs_ctx *ctx, const char *dir, unsigned int flags, ofs_audit **out);
void ofs_audit_free(ofs_audit *audit);
/* a copy of the last error, as several threads may use the handle */
void ofs_audit_error(ofs_audit *audit, struct ofs_error *out);

/* How the bodies of records are kept. */
enum ofs_audit_mode {
	OFS_AUDIT_PLAIN,   /* not encrypted */
	OFS_AUDIT_STATION, /* the station key opens them here */
	OFS_AUDIT_SEALED   /* only auditors can open them */
};

struct ofs_audit_keys {
	size_t size;
	enum ofs_audit_mode mode;
	char id[33];            /* of the log, hex */
	uint32_t epochs;        /* of keys so far */
	char station_key[4096]; /* the file or URI that the newest names; "" */
	bool passphrase;        /* one opens it, too */
	bool readable;          /* a key for the newest epoch is here */
};
/*
 * ofs_audit_get_keys: who may read the log, as its newest epoch says.
 * ofs_audit_each_auditor: the certificates that it is encrypted for; a non-zero
 * return of fn ends that and is returned.
 */
int ofs_audit_get_keys(ofs_audit *audit, struct ofs_audit_keys *out);
typedef int (*ofs_auditor_fn)(
	void *arg, const char *sha256, const char *subject);
int ofs_audit_each_auditor(ofs_audit *audit, ofs_auditor_fn fn, void *arg);

/* What opens a log beside the station key that it names itself. */
struct ofs_audit_unlock_opts {
	size_t size;
	const char *station_key; /* that file, where it lies elsewhere; NULL */
	const char *passphrase;  /* of the log, or of `key`; NULL */
	const uint8_t *key;      /* an auditor's private key, PEM; NULL */
	size_t key_len;
};

#define OFS_AUDIT_UNLOCK_OPTS_INIT                               \
	{                                                        \
		sizeof(struct ofs_audit_unlock_opts), 0, 0, 0, 0 \
	}
/*
 * ofs_audit_unlock: lets this handle read with a passphrase, an auditor's key
 * or a station key. On a handle that may write, reading with the first two is
 * recorded before anything is read. Errors: OFS_ENOPIN (the PEM is encrypted,
 * no passphrase was given), OFS_EPIN (that is wrong, or it opens nothing),
 * OFS_ECERT (the private key is not an auditor's), OFS_EAUDIT.
 */
int ofs_audit_unlock(
	ofs_audit *audit, const struct ofs_audit_unlock_opts *opts);

struct ofs_audit_rotate_opts {
	size_t size;
	const struct ofs_audit_cert *auditors; /* who may read from now on, */
	size_t n_auditors;
	const char *const *drop; /* and who no more: SHA-256 in hex, */
	size_t n_drop;           /* or its first 8 digits and more */
	const char *station_key; /* another file from now on; or NULL */
	const char *reason;      /* for the record; or NULL */
	const char *passphrase;  /* a new one from now on; or NULL */
};

#define OFS_AUDIT_ROTATE_OPTS_INIT                                        \
	{                                                                 \
		sizeof(struct ofs_audit_rotate_opts), 0, 0, 0, 0, 0, 0, 0 \
	}
/*
 * ofs_audit_rotate: begins an epoch with a new key, for a changed set of
 * readers. No record is encrypted again: who is dropped still reads what was
 * before. Who comes to a station log reads that, too. OFS_EINVAL: the log is
 * not encrypted, or nobody could read it any more.
 *
 * For another station key or passphrase the handle must have been opened with
 * the old one, or unlocked with an auditor's key (OFS_EAUDIT), and no batch may
 * run (OFS_EEXIST). In a sealed log the old one opens nothing from then on, and
 * a handle that has an auditor's key makes all that is unfinished readable to
 * the new one, or to the present one: also after a backup was restored.
 */
int ofs_audit_rotate(
	ofs_audit *audit, const struct ofs_audit_rotate_opts *opts);

/*
 * Keys of a log on a token; all three log in, and errors are in the token's
 * record.
 *
 * A station key there is an RSA key of 2048 bits or more that decrypts
 * (RSAES-OAEP, RFC 8017 7.1), does not sign, is sensitive and not extractable:
 * OFS_EPOLICY otherwise. Who has the token and its PIN can read the log, and
 * nobody has more than that of it who owns the disk.
 *
 * ofs_audit_init_on_token: ofs_audit_init with an audit key (checkpoint.h) or a
 * station key on the token, or both; URIs, NULL: not there. No log is made
 * where the login fails; it is in the new log. opts may be NULL.
 * ofs_audit_unlock_token: the station key opens the log; the login is recorded
 * once that is done. OFS_EKEY: it is not on this token, which was not asked.
 * ofs_audit_rotate_to_token: ofs_audit_rotate to a station key there, instead
 * of that of now.
 */
int ofs_audit_init_on_token(ofs_token *token, const char *audit_key,
	const char *station_key, const char *dir,
	const struct ofs_audit_init_opts *opts);
int ofs_audit_unlock_token(ofs_audit *audit, ofs_token *token);
int ofs_audit_rotate_to_token(ofs_audit *audit, ofs_token *token,
	const char *uri, const struct ofs_audit_rotate_opts *opts);

/* What ofs_audit_verify found. */
struct ofs_audit_report {
	size_t size;
	uint64_t records;
	uint8_t log_id[16];
	uint8_t root[32]; /* RFC 9162 2.1.1 over all headers */
	char origin[256];
	bool head_present;     /* a head file was there and agreed */
	uint64_t head_records; /* its size */
	int64_t first_time, last_time;
	uint64_t batches, unclosed_batches;
	uint64_t intents, outcomes, signed_items, failed_items,
		not_attempted_items;
	uint64_t unknown_items;    /* of closed or dead batches */
	uint64_t in_flight_items;  /* of batches that are running now */
	uint64_t pending_outputs;  /* recorded, not yet released */
	uint64_t clock_steps_back; /* records older than their predecessor */
	uint32_t epochs;           /* of keys; 0: the log is not encrypted */
	/*
	 * Bodies that no key was here for: of them headers, hashes and tree
	 * were checked. With any, what follows from bodies was not: batches,
	 * intents and outcomes are counted, and all counts behind them are 0
	 * but that of pending outputs: those of batches that are not running.
	 */
	uint64_t sealed_bodies;
	uint64_t erased_bodies;      /* as auditors have allowed */
	uint64_t lost_records;       /* when it was put back to older backups */
	char audit_key[1024];        /* verifier key of the log; "": none */
	bool audit_key_on_token;     /* else in a file */
	bool audit_key_pinned;       /* ofs_audit_pin() named it */
	bool audit_key_shared;       /* its token signs documents, too */
	uint64_t checkpoints;        /* signed heads, all of which agreed */
	uint64_t checkpoint_records; /* size of the newest; 0: none */
};

/* An unclosed batch, an unknown item, an unreleased output. */
struct ofs_audit_finding {
	size_t size;
	uint64_t seq;    /* of the record that it is about */
	char id[48];     /* "unclosed-batch", "unknown-item", ... */
	char text[1024]; /* one line; document names are escaped */
};
typedef void (*ofs_audit_finding_fn)(
	void *arg, const struct ofs_audit_finding *f);

/*
 * ofs_audit_verify: reads every record and checks headers, bodies, tree,
 * stored hashes, head file, the links between intents and outcomes, and the
 * tables derived from them. Returns 0 or OFS_EDAMAGED with the record named.
 * Unclosed batches, unknown items and unreleased outputs are findings and not
 * errors. fn may be NULL; it is called in the thread of the caller, though a
 * thread for each processor takes part.
 */
int ofs_audit_verify(ofs_audit *audit, ofs_audit_finding_fn fn, void *arg,
	struct ofs_audit_report *out);

/* The fixed part of a record. */
struct ofs_record_head {
	size_t size;
	uint64_t seq;
	enum ofs_record_type type;
	const char *type_name; /* "outcome" */
	int64_t time;          /* us */
	int64_t boottime;      /* us since boot */
	uint8_t boot_id[16];
	uint8_t batch_id[16]; /* zeros: none */
	uint32_t epoch;
	uint16_t cipher; /* 0: plain */
	uint32_t body_len;
	uint8_t header_sha256[32]; /* SHA-256 of the header bytes */
	bool sealed; /* the body is encrypted and no key is here: no fields */
	bool erased; /* the body is gone: it has no fields */
};

/* A field of a body; dotted name, as "document.path". */
enum ofs_field_kind {
	OFS_FIELD_INT,
	OFS_FIELD_TEXT,  /* UTF-8 */
	OFS_FIELD_NAME,  /* bytes of a file name, any but NUL */
	OFS_FIELD_BYTES, /* binary: print as hex */
	OFS_FIELD_TIME   /* us, in `number` */
};

struct ofs_field {
	size_t size;
	const char *name; /* list elements repeat it with an index:
			     "items.0.path" */
	enum ofs_field_kind kind;
	int64_t number;
	const uint8_t *bytes; /* TEXT, NAME, BYTES; not NUL-terminated */
	size_t len;
};
typedef int (*ofs_field_fn)(void *arg, const struct ofs_field *f);

/* ofs_audit_get: one record; OFS_EKEY if there is none. Free with
 * ofs_record_free. */
int ofs_audit_get(ofs_audit *audit, uint64_t seq, ofs_record **out);
void ofs_record_free(ofs_record *rec);
void ofs_record_get_head(const ofs_record *rec, struct ofs_record_head *out);
/* each field of the body in order; a non-zero return of fn ends it */
int ofs_record_each(const ofs_record *rec, ofs_field_fn fn, void *arg);
/* one field by its dotted name; false if absent; borrowed from rec */
bool ofs_record_find(
	const ofs_record *rec, const char *name, struct ofs_field *out);

typedef int (*ofs_record_fn)(void *arg, const ofs_record *rec);

/* ofs_audit_list: records first..last (0: to the end) in order. */
int ofs_audit_list(ofs_audit *audit, uint64_t first, uint64_t last,
	ofs_record_fn fn, void *arg);
/* number of records; the highest seq is that minus 1 (the genesis is 0) */
int ofs_audit_size(ofs_audit *audit, uint64_t *out);

/* How far a batch is. */
enum ofs_batch_phase {
	OFS_BATCH_RUNNING,
	OFS_BATCH_CUT_OFF,     /* its process ended; the next run closes it */
	OFS_BATCH_INTERRUPTED, /* closed, and items of its list are left */
	OFS_BATCH_FINISHED,
	OFS_BATCH_ABANDONED /* as interrupted, but its list was given up */
};

/* A batch, and how far its list has come by it and others together. */
struct ofs_batch_state {
	size_t size;
	char batch_id[33]; /* hex */
	char resumes[33];  /* first batch of its list, when that is another */
	enum ofs_batch_phase phase;
	uint64_t opened_seq;
	int64_t opened; /* us */
	uint64_t items;
	uint64_t signed_items; /* by this one, and by those that it resumes */
	uint64_t unknown;      /* the outcome is, and none signed them since */
	uint64_t in_flight;    /* the token may be at them now */
	uint64_t left;         /* all others */
	int code;              /* what the run returned; 0 while it runs */
	char reason[512];      /* why it ended, or "" */
	char key_label[128];   /* or "" */
	char form[64];         /* "cms ecdsa-sha256" */
	bool sealed;           /* no key is here: items, left, key_label and
				  form are not known */
};
typedef int (*ofs_batch_state_fn)(
	void *arg, const struct ofs_batch_state *state);

/*
 * ofs_audit_each_unfinished: the lists of files that are not finished, each by
 * the newest batch of it, the oldest first. A non-zero return of fn ends it
 * and is returned. For lists that a batch of this log can go on with.
 */
int ofs_audit_each_unfinished(
	ofs_audit *audit, ofs_batch_state_fn fn, void *arg);
/*
 * ofs_audit_batch: one batch, past or running, by its hexadecimal id or the
 * beginning of it, at least 4 digits. OFS_EINVAL (no such id), OFS_EFORMAT (no
 * batch has it, or more than one).
 */
int ofs_audit_batch(
	ofs_audit *audit, const char *id, struct ofs_batch_state *out);
/*
 * ofs_audit_discard: gives up a recorded output that waits for its release, by
 * the number of its outcome; recorded with the reason. It can be made again
 * from the record. OFS_EFORMAT: no output waits there. OFS_EEXIST: its batch
 * runs, or somebody releases what waits.
 */
int ofs_audit_discard(
	ofs_audit *audit, uint64_t outcome_seq, const char *reason);

/* A recorded output that waits for its release. */
struct ofs_audit_output {
	size_t size;
	uint64_t seq;     /* of its outcome */
	bool running;     /* its batch is, and will release it */
	const char *path; /* where it was to go; NULL: no key for it is here */
	const uint8_t *p;
	size_t n;
};

/*
 * ofs_audit_each_output: what waits, in the order of the log, for when ofs-sign
 * cannot release it. Nothing is changed. All is borrowed for the call; a
 * non-zero return of fn ends it and is returned. OFS_EDAMAGED: an output is
 * not the one that was recorded.
 */
typedef int (*ofs_audit_output_fn)(
	void *arg, const struct ofs_audit_output *output);
int ofs_audit_each_output(ofs_audit *audit, ofs_audit_output_fn fn, void *arg);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
