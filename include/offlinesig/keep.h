/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keeping the record of operations: searching it, backing it up, restoring. */
#ifndef OFFLINESIG_KEEP_H
#define OFFLINESIG_KEEP_H

#include <offlinesig/audit.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* What became of a document, for struct ofs_audit_filter. */
enum ofs_audit_result {
	OFS_AUDIT_ANY_RESULT,
	OFS_AUDIT_SIGNED,
	OFS_AUDIT_FAILED,
	OFS_AUDIT_NOT_ATTEMPTED,
	OFS_AUDIT_UNKNOWN /* the token was asked, no outcome is recorded */
};

/* Which records are wanted: those that all of it fits. 0 and NULL: any. */
struct ofs_audit_filter {
	size_t size;
	uint64_t first, end;  /* first <= seq < end; 0: to the end */
	int64_t since, until; /* us; since <= time < until; 0: open */
	enum ofs_record_type type;
	enum ofs_audit_result result;
	const char *batch;     /* its id in hex, or the first digits */
	const char *operator_; /* name, or uid or login uid as a number */
	const char *key;   /* label, or SHA-256 (hex) of key or certificate */
	const char *token; /* label, or serial number */
	const char *document; /* path as it was given, last part of it, or id */
	const uint8_t *digest; /* of the document, as it was hashed */
	size_t digest_len;
	uint64_t limit; /* so many at most */
	bool reverse;   /* the newest first */
};

#define OFS_AUDIT_FILTER_INIT                                                \
	{                                                                    \
		sizeof(struct ofs_audit_filter), 0, 0, 0, 0,                 \
			(enum ofs_record_type)0, OFS_AUDIT_ANY_RESULT, 0, 0, \
			0, 0, 0, 0, 0, 0, false                              \
	}

/*
 * ofs_audit_find: gives fn the records that are wanted, in order. A non-zero
 * return of fn ends it and is returned. A record of a batch that does not say
 * itself who signs with what is judged by the batch. A digest finds outcomes
 * and intents, without opening other bodies. OFS_EINVAL for a batch that is no
 * beginning of an id; OFS_EDAMAGED for a record that cannot be read.
 */
int ofs_audit_find(ofs_audit *audit, const struct ofs_audit_filter *filter,
	ofs_record_fn fn, void *arg);

/*
 * ofs_audit_exported: records that `count` records, which the filter found,
 * were written to the file `path` (NULL: handed on), with its SHA-256. OFS_EIO
 * when it cannot be read; OFS_EINVAL for a filter of a wrong size.
 */
int ofs_audit_exported(ofs_audit *audit, const char *path,
	const struct ofs_audit_filter *filter, uint64_t count, uint64_t *seq);

/* How far a long operation is; phase: "copy", "verify". */
struct ofs_audit_progress {
	size_t size;
	const char *phase;
	uint64_t done, total; /* records */
};
typedef void (*ofs_audit_progress_fn)(
	void *arg, const struct ofs_audit_progress *now);

struct ofs_audit_backup_report {
	size_t size;
	uint64_t records; /* in the backup */
	uint8_t log_id[16];
	uint8_t root[32]; /* over them */
	uint64_t seq;     /* of the record of the backup, in the log */
};

/*
 * ofs_audit_backup: copies the log as it is now into a new directory `dest`,
 * in reads too short to keep a signer waiting; verifies all of the copy, adds
 * a manifest, and only then gives it its name. Recorded in the log. fn and out
 * may be NULL. OFS_EEXIST: dest is there; OFS_EIO: it cannot be written;
 * OFS_EDAMAGED: the log does not verify; OFS_EAUDIT: not recorded.
 */
int ofs_audit_backup(ofs_audit *audit, const char *dest,
	ofs_audit_progress_fn fn, void *arg,
	struct ofs_audit_backup_report *out);

/*
 * Opens an encrypted log that no station key in a file opens, with
 * ofs_audit_unlock() or ofs_audit_unlock_token(). 0, or what is returned.
 */
typedef int (*ofs_audit_unlock_fn)(void *arg, ofs_audit *audit);

struct ofs_audit_restore_opts {
	size_t size;
	/* files: head files, manifests of backups, checkpoints of this log */
	const char *const *heads;
	size_t n_heads;
	const char *reason; /* for the record; or NULL */
	/* a statement that an auditor has signed: CMS, PEM or DER */
	const uint8_t *accept;
	size_t accept_len;
	ofs_audit_progress_fn fn; /* or NULL */
	void *arg;
	ofs_audit_unlock_fn unlock; /* before it is recorded; or NULL */
	void *unlock_arg;
};

#define OFS_AUDIT_RESTORE_OPTS_INIT                                            \
	{                                                                      \
		sizeof(struct ofs_audit_restore_opts), 0, 0, 0, 0, 0, 0, 0, 0, \
			0                                                      \
	}

struct ofs_audit_restore_report {
	size_t size;
	uint64_t records; /* in the backup */
	uint64_t missing; /* that were known and are lost now */
	uint64_t seq;     /* of the record of it, in the restored log */
	uint8_t log_id[16];
	uint8_t root[32];    /* over the records of the backup */
	char auditor[256];   /* who accepted it; or "" */
	char moved_to[4096]; /* where the old log is now; or "" */
};

/*
 * ofs_audit_restore: verifies a backup and puts a copy of it in the place of
 * the log `dir`, which is moved aside and not deleted. Refused with
 * OFS_EDAMAGED when any head that is known here - the head file and the store
 * in `dir`, opts->heads - has more records or others, unless an auditor whom
 * the genesis names has accepted that very gap; the restored log says so for
 * ever after. Recorded in any case. OFS_EEXIST: another log is there, or a
 * batch is running; OFS_EUNTRUSTED, OFS_ESIGNATURE, OFS_EMISMATCH: about
 * opts->accept; OFS_EIO, OFS_EFORMAT: the backup or a head cannot be read.
 */
int ofs_audit_restore(ofs_ctx *ctx, const char *backup, const char *dir,
	const struct ofs_audit_restore_opts *opts,
	struct ofs_audit_restore_report *out);
/*
 * ofs_audit_restore_statement: the text that an auditor signs to accept it,
 * with opts->reason; free it with free(). OFS_EINVAL when there is no gap.
 */
int ofs_audit_restore_statement(ofs_ctx *ctx, const char *backup,
	const char *dir, const struct ofs_audit_restore_opts *opts,
	char **text);

/*
 * ofs_audit_erase: removes what one record says, for good: the body and the tag
 * of its document are overwritten. The header stays, so the tree, and proofs,
 * stay as they are. `accept` is the statement about this record, signed by an
 * auditor whom the genesis names; it is recorded, and verification checks it.
 * Backups still have the body. OFS_EINVAL: a type that is needed to verify;
 * OFS_EKEY: there is none, or it is erased; OFS_EEXIST: it is in use;
 * OFS_EUNTRUSTED, OFS_ESIGNATURE, OFS_EMISMATCH: about `accept`.
 */
int ofs_audit_erase(ofs_audit *audit, uint64_t seq, const uint8_t *accept,
	size_t accept_len, uint64_t *event_seq);
/* what the auditor signs for it; free it with free() */
int ofs_audit_erase_statement(
	ofs_audit *audit, uint64_t seq, const char *reason, char **text);

/* What a comparison of signature files with records found; each counts once. */
struct ofs_reconcile_report {
	size_t size;
	uint64_t files;     /* signature files that were looked at */
	uint64_t known;     /* that a record has, byte for byte */
	uint64_t unknown;   /* valid, by a key of the log, and no record */
	uint64_t changed;   /* else: a record has other bytes for that name */
	uint64_t foreign;   /* else: by other keys, or no valid signature */
	uint64_t unchecked; /* could not be read or judged */
	uint64_t missing;   /* released there once, and gone */
	uint64_t seq;       /* of the record of it */
};
struct ofs_reconcile_finding {
	size_t size;
	const char *id; /* "unknown-signature", "changed-file", ... */
	const char *path;
	uint64_t seq; /* of the outcome; 0: none */
	const char *text;
};
typedef void (*ofs_reconcile_fn)(
	void *arg, const struct ofs_reconcile_finding *f);

/*
 * ofs_audit_reconcile: compares the signature files in directories (.p7s, .p7m,
 * .sig, below them too; links are not followed) with the outcomes in the log.
 * Recorded with the counts. OFS_EITEMS when anything is unknown, changed,
 * unchecked or missing. fn is called for all but what is known.
 */
int ofs_audit_reconcile(ofs_audit *audit, const char *const *dirs,
	size_t n_dirs, ofs_reconcile_fn fn, void *arg,
	struct ofs_reconcile_report *out);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
