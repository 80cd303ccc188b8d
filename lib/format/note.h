/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Signed notes, verifier keys and checkpoints (C2SP). */
#ifndef FORMAT_NOTE_H
#define FORMAT_NOTE_H

#include <openssl/evp.h>

#include "base/buf.h"
#include "base/err.h"

#define NOTE_MAX (1u << 20)
#define NOTE_SIGS_MAX 64
#define NOTE_NAME_MAX 255
#define NOTE_VKEY_MAX 1024

/* The algorithm byte of c2sp.org/signed-note. */
enum note_type {
	NOTE_ED25519 = 0x01,
	NOTE_ECDSA = 0x02,      /* P-256 with SHA-256, a DER signature */
	NOTE_COSIGNATURE = 0x04 /* c2sp.org/tlog-cosignature, Ed25519 */
};

/* A verifier key: whose signatures count. */
struct note_key {
	char name[NOTE_NAME_MAX + 1];
	uint32_t id;
	enum note_type type;
	EVP_PKEY *pub; /* owned */
};

/* not empty, UTF-8, no control characters, blanks or "+" */
bool note_name_ok(const char *name, size_t n);
/* what a name for people becomes so that it is one; `to` is as large */
void note_name_from(const char *text, char to[NOTE_NAME_MAX + 1]);

/* NAME+HASH+BASE64; strict, and the hash is that of the key. OFS_EFORMAT */
int note_key_parse(
	const char *s, size_t n, struct note_key *out, struct ofs_error *e);
/* the same of one that a caller names: OFS_EINVAL, and it is in the message */
int note_key_given(const char *vkey, struct note_key *out, struct ofs_error *e);
/* `pub` is not taken. OFS_EUNSUPPORTED where it does not fit the type */
int note_key_make(const char *name, enum note_type type, EVP_PKEY *pub,
	struct note_key *out, struct ofs_error *e);
/* the type that a key of this kind signs notes with; 0: none */
enum note_type note_type_of(const EVP_PKEY *pub);
int note_key_text(
	const struct note_key *k, struct buf *to, struct ofs_error *e);
void note_key_free(struct note_key *k);

struct note_sig {
	const char *name; /* not NUL-terminated */
	size_t name_len;
	uint32_t id;
	size_t at, len; /* in `values`, behind the id */
};

/* A note as it was read; text and names are borrowed from the bytes. */
struct note {
	const char *text; /* ends in a newline */
	size_t text_len;
	struct note_sig sig[NOTE_SIGS_MAX];
	size_t n;
	struct buf values;
};

/* strict; OFS_EFORMAT. Nothing of it may be believed before note_check() */
int note_parse(const void *p, size_t n, struct note *out, struct ofs_error *e);
void note_free(struct note *note);

/*
 * All signatures of the note that name this key must be good: else
 * OFS_ESIGNATURE, and the whole note is worth nothing. *found when there is
 * one; *time (may be NULL) is when a cosignature says that it was made, in
 * seconds, else 0.
 */
int note_check(const struct note *note, const struct note_key *k, bool *found,
	int64_t *time, struct ofs_error *e);

/*
 * What a key of that type signs for a text: the text itself, or for a
 * cosignature the text with two lines in front.
 */
void note_signed_bytes(enum note_type type, int64_t time, const char *text,
	size_t n, struct buf *to);
/* appends the line of a signature; `time` is for cosignatures */
void note_sig_line(const struct note_key *k, int64_t time, const uint8_t *sig,
	size_t n, struct buf *to);

/* A checkpoint (c2sp.org/tlog-checkpoint), the text of a note. */
struct checkpoint {
	char origin[NOTE_NAME_MAX + 1];
	uint64_t size;
	uint8_t root[32];
	const char *ext; /* extension lines, borrowed; NULL: none */
	size_t ext_len;
};
int checkpoint_parse(const char *text, size_t n, struct checkpoint *out,
	struct ofs_error *e);
void checkpoint_text(const struct checkpoint *c, struct buf *to);

#endif
