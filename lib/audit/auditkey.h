/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The key that signs the log's checkpoints: which it is, and where. */
#ifndef AUDIT_AUDITKEY_H
#define AUDIT_AUDITKEY_H

#include "audit/log.h"
#include "format/note.h"
#include "store/place.h"
#include "store/store.h"

struct audit_key {
	struct note_key pub; /* pub.pub is NULL: the log has none */
	uint64_t seq;        /* of the record that names it */
	bool on_token;
	char *hint;           /* "file:PATH", a URI; NULL */
	EVP_PKEY *secret;     /* of a file; NULL: it is not at hand */
	struct ofs_error why; /* it is not */
	char *made;           /* its file, when it is as new as the log; NULL */
	log_sign_fn sign;     /* of a token, while somebody lends it */
	void *sign_arg;
	char origin[NOTE_NAME_MAX + 1];
	/* of the newest checkpoint that we know of, or that failed */
	uint64_t done;
	bool due;   /* the transaction that is open ends with one */
	bool dirty; /* we appended records since */
};

void auditkey_free(struct audit_key *k);
/*
 * What the genesis or a later record says of it, and the secret of a file when
 * the log is open for writing. A key that is not at hand is no error.
 */
int auditkey_load(struct audit_key *k, struct store *s, const struct place *p,
	bool read_only, struct ofs_error *e);

/* the name of the log alone */
int auditkey_origin(struct audit_key *k, struct store *s, struct ofs_error *e);

/* "file" or "file:PATH": a path, outside the log; allocated */
int auditkey_path(const struct place *p, const char *place, char **out,
	struct ofs_error *e);
/*
 * Reads the key file. Makes it (Ed25519) if it is missing and `made` is not
 * NULL, and then says so. With a place it must not be in there.
 */
int auditkey_open_file(const struct place *p, const char *path, bool *made,
	EVP_PKEY **out, struct ofs_error *e);

/* a note over a checkpoint of that size, by the secret key */
int auditkey_note(struct audit_key *k, uint64_t size, const uint8_t root[32],
	struct buf *note, struct ofs_error *e);
/* its text alone; and the note out of it and a signature, which is checked */
void auditkey_text(const struct audit_key *k, uint64_t size,
	const uint8_t root[32], struct buf *text);
int auditkey_assemble(struct audit_key *k, const struct buf *text,
	const uint8_t *sig, size_t n, struct buf *note, struct ofs_error *e);

/*
 * Reads a note as a checkpoint of this log: its key has signed it. *out
 * borrows from `note`.
 */
int auditkey_check(const struct audit_key *k, const void *note, size_t n,
	struct checkpoint *out, struct ofs_error *e);

#endif
