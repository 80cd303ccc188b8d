/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keys on a token: find, sign with, generate, give a certificate. */
#ifndef TOKEN_KEY_H
#define TOKEN_KEY_H

#include <openssl/x509.h>

#include <offlinesig/token.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypto/alg.h"

EVP_PKEY *key_pub(const ofs_key *k); /* borrowed */
X509 *key_cert(const ofs_key *k);    /* borrowed; NULL: none on the token */
ofs_token *key_token(const ofs_key *k);
ofs_ctx *token_ctx(const ofs_token *t);
/* copies e to the handle's record and returns its code */
int token_fail(ofs_token *t, const struct ofs_error *e);
int key_fail(ofs_key *k, const struct ofs_error *e);

/*
 * A PKCS#11 session for signing with the key, for one thread. The key must
 * have been opened with a login.
 */
struct key_session;
int key_session_open(ofs_key *k, struct key_session **out, struct ofs_error *e);
void key_session_close(struct key_session *s);
/*
 * One C_SignInit and C_Sign. `in` is what alg_mech_input() made of the hash;
 * the signature is appended to `sig`, ECDSA as DER. After an error the
 * session is replaced on the next call. e->ckr has the token's answer.
 */
int key_session_sign(struct key_session *s, const struct alg *alg,
	const uint8_t *in, size_t in_len, struct buf *sig, struct ofs_error *e);

/*
 * Generates a pair at the place that the URI names, in a read-write session
 * with the user logged in. OFS_EEXIST when a private key, public key or
 * certificate has the same id or the same label there. Missing id: 16 random
 * bytes; missing label: the id in hex.
 * spec: "rsa:3072", "ec:P-256". The attributes are those of TOKENS.md 12 and
 * are read back into the key's info; judging them is the caller's.
 */
int key_generate(ofs_token *t, const char *uri, const char *spec, ofs_key **out,
	struct ofs_error *e);
int key_destroy(ofs_key *k, struct ofs_error *e);
/* stores, or replaces, the certificate with the key's id and label */
int key_store_cert(ofs_key *k, X509 *cert, struct ofs_error *e);
/* reads the attributes and the certificate again */
int key_refresh(ofs_key *k, struct ofs_error *e);

/* OpenSSL key through libp11 (token/evp.c); caller frees with EVP_PKEY_free */
int key_to_evp(ofs_key *k, EVP_PKEY **out, struct ofs_error *e);

#endif
