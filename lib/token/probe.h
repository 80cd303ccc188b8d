/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What there is to know about a token and its keys, read and not judged. */
#ifndef TOKEN_PROBE_H
#define TOKEN_PROBE_H

#include "token/pair.h"
#include "token/token.h"

/* A key, or what is seen of one without a login. */
struct probe_key {
	struct ofs_key_info info;
	EVP_PKEY *key;        /* the public key, or NULL */
	bool retired;         /* DSA, Diffie-Hellman, a curve below 224 bits */
	bool conflict;        /* public keys with its id are not the same */
	size_t foreign_certs; /* certificates with its id, of other keys */
	signed char unwrap;   /* 1, 0, or -1 when not answered */
};

/* Mechanisms that sign. Weak ones have SHA-1, MD5 or less inside. */
struct probe_mechs {
	size_t n; /* of all mechanisms */
	bool rsa, rsa_weak, ec, ec_weak, eddsa;
	char names[256]; /* "RSA_PKCS ECDSA" */
};

enum probe_write { PROBE_NOT_WRITTEN, PROBE_WRITTEN, PROBE_WRITE_FAILED };

struct probe {
	CK_TOKEN_INFO raw;
	struct ofs_token_info info;
	CK_INFO library; /* zeroed when the module does not say */
	bool logged_in;  /* private objects are seen */
	struct probe_mechs mechs;
	struct probe_key *keys;
	size_t n_keys;
	size_t data_objects;
	bool counter, clock; /* CKO_HW_FEATURE */
	enum probe_write write;
	struct ofs_error write_error;
};

/*
 * Reads it all; with `write` a private data object is stored, read back and
 * deleted, when somebody is logged in. Caller frees with probe_free, after a
 * failure too.
 */
int probe_token(
	ofs_token *t, bool write, struct probe *out, struct ofs_error *e);
void probe_free(struct probe *p);

/* for the parts of this module */
int probe_mechs(ofs_token *t, struct probe_mechs *out, struct ofs_error *e);
int probe_keys(ofs_token *t, const struct session *s, struct probe *out,
	struct ofs_error *e);

#endif
