/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Heads of the record of operations, signed; proofs, witnesses, export. */
#ifndef OFFLINESIG_CHECKPOINT_H
#define OFFLINESIG_CHECKPOINT_H

#include <offlinesig/types.h>

#include <offlinesig/audit.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/*
 * A log with an audit key keeps signed heads of itself: checkpoints, which are
 * C2SP signed notes and need nothing of this library to be checked. They are
 * signed when a batch ends, when a handle that wrote is closed, and every
 * 10,000 records. Signing documents never waits for the audit key.
 */

/* Which key the log has. */
struct ofs_audit_key_info {
	size_t size;
	char vkey[1024];  /* "NAME+HASH+BASE64"; "": it has none */
	bool on_token;    /* else in a file */
	bool at_hand;     /* the next checkpoint can be signed */
	char place[1024]; /* "file:PATH" or a URI, as far as known */
	char why[1024];   /* it is not at hand */
	uint64_t records; /* in the newest checkpoint; 0: there is none */
};
int ofs_audit_get_key(ofs_audit *audit, struct ofs_audit_key_info *out);

/* Whether an audit key on a token is behind the PIN of the operator. */
struct ofs_audit_key_check {
	size_t size;
	bool known;      /* the records that would tell can be read here */
	bool shared;     /* its token is one that batches sign with, too */
	uint64_t seq;    /* of the record that opens the first of those */
	char token[136]; /* its label */
};
/*
 * ofs_audit_check_key: reads through the log for it. An audit key behind the
 * PIN of a key for documents does not protect against who has that PIN. All
 * is false for a key in a file, which is known to whoever owns the machine.
 */
int ofs_audit_check_key(ofs_audit *audit, struct ofs_audit_key_check *out);

/*
 * ofs_audit_set_key: names an audit key in a file for a log that has none, in
 * a record. `place` is "file" or "file:PATH"; an Ed25519 key is made where
 * there is none. The file must be outside the log's directory and readable
 * for its owner alone. OFS_EEXIST: the log has an audit key. OFS_EPOLICY: the
 * key signed documents of this log.
 */
int ofs_audit_set_key(ofs_audit *audit, const char *place);

/*
 * ofs_audit_set_token_key: the same with a key on a token, Ed25519 or P-256,
 * that was made or adopted without a certificate. Errors are in the key's
 * record; ofs_audit_init_on_token() makes a log with one.
 * ofs_audit_find_key: opens the audit key of the log if it is on this
 * token, and logs in; OFS_EKEY: it is not. Caller frees *out with ofs_key_free.
 * ofs_audit_use_key: from now on checkpoints are signed by it; `key` is
 * borrowed until this is called with NULL. OFS_EKEY: it is not the audit key.
 */
int ofs_audit_set_token_key(ofs_audit *audit, ofs_key *key);
int ofs_audit_find_key(ofs_audit *audit, ofs_token *token, ofs_key **out);
int ofs_audit_use_key(ofs_audit *audit, ofs_key *key);

/*
 * ofs_audit_pin: from now on ofs_audit_verify gives OFS_EDAMAGED unless the
 * audit key of the log is this one. NULL: any is good. OFS_EINVAL: no such key.
 */
int ofs_audit_pin(ofs_audit *audit, const char *vkey);

/*
 * ofs_audit_checkpoint: the newest checkpoint as a signed note; with `sign`
 * one of all records is signed before. Caller frees *note with free(); it has
 * a NUL behind it. OFS_EAUDIT: there is none. OFS_EKEY: there is no key, or
 * it is not at hand.
 */
int ofs_audit_checkpoint(ofs_audit *audit, bool sign, char **note);

/*
 * ofs_audit_prove: a proof that record `seq` is in the log, below the newest
 * checkpoint (c2sp.org/tlog-proof); it holds the record's header and, with
 * `reveal`, its body. Caller frees *proof with free(). OFS_EINVAL: no such
 * record; OFS_EAUDIT: no checkpoint covers it yet; OFS_EKEY: the log has no
 * audit key, and so no checkpoints.
 */
int ofs_audit_prove(ofs_audit *audit, uint64_t seq, bool reveal, char **proof);
/*
 * ofs_audit_prove_growth: a proof that the log of that many records is the
 * beginning of the one of the newest checkpoint, in the form that a witness
 * takes (c2sp.org/tlog-witness). Caller frees *proof with free().
 */
int ofs_audit_prove_growth(ofs_audit *audit, uint64_t records, char **proof);
/*
 * ofs_audit_export_tiles: the newest checkpoint, the tree and the headers of
 * its records as files in `dir`, for other programs (c2sp.org/tlog-tiles). No
 * body is in it. OFS_EEXIST: an export is there. OFS_EAUDIT, OFS_EKEY: no
 * checkpoint.
 */
int ofs_audit_export_tiles(
	ofs_audit *audit, const char *dir, uint64_t *records);

struct ofs_proof_opts {
	size_t size;
	const char *vkey; /* whose checkpoint counts */
	/* verifier keys of those who must have cosigned it, too */
	const char *const *witnesses;
	size_t n_witnesses;
};

#define OFS_PROOF_OPTS_INIT                            \
	{                                              \
		sizeof(struct ofs_proof_opts), 0, 0, 0 \
	}

struct ofs_proof_report {
	size_t size;
	char origin[256];
	uint64_t seq;     /* of the record */
	uint64_t records; /* in the checkpoint */
	uint8_t root[32];
	bool revealed;     /* the body is in the proof */
	size_t witnesses;  /* that have cosigned */
	int64_t witnessed; /* us: the first did; 0: none */
};

/*
 * ofs_proof_check: checks a proof of a record without the log. *record has the
 * header and, if it is disclosed, the body; free it with ofs_record_free.
 * OFS_ESIGNATURE (the proof is wrong), OFS_EUNTRUSTED (a witness is missing),
 * OFS_EFORMAT, OFS_EINVAL (a verifier key).
 */
int ofs_proof_check(ofs_ctx *ctx, const void *proof, size_t n,
	const struct ofs_proof_opts *opts, struct ofs_proof_report *out,
	ofs_record **record);

/* A witness of other people's logs. */
struct ofs_witness_opts {
	size_t size;
	const char *dir; /* where it remembers what it has cosigned; 0700 */
	const char *key_file; /* its Ed25519 key; made if missing */
	const char *name;     /* its name in signatures, without blanks */
	const char *vkey;     /* of the log */
};

#define OFS_WITNESS_OPTS_INIT                               \
	{                                                   \
		sizeof(struct ofs_witness_opts), 0, 0, 0, 0 \
	}

/*
 * ofs_witness_cosign: cosigns a checkpoint (c2sp.org/tlog-cosignature) after
 * it is remembered. `request` is a checkpoint, the first time, or what
 * ofs_audit_prove_growth() gives from the last one that was cosigned. *note is
 * the checkpoint with one more signature; caller frees it with free().
 * OFS_ESIGNATURE: the log shrank or was changed, or its signature is wrong.
 * OFS_EINVAL: another proof is needed; the message says from where.
 * ofs_witness_vkey: the witness's verifier key; free() it.
 */
int ofs_witness_cosign(ofs_ctx *ctx, const void *request, size_t n,
	const struct ofs_witness_opts *opts, char **note);
int ofs_witness_vkey(
	ofs_ctx *ctx, const struct ofs_witness_opts *opts, char **vkey);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
