/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keys on a token: find, sign with, generate, give a certificate. */
#ifndef TOKEN_KEY_H
#define TOKEN_KEY_H

#include <openssl/x509.h>

#include <offlinesig/token.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypto/alg.h"
#include "crypto/wrap.h"

EVP_PKEY *key_pub(const ofs_key *k); /* borrowed */
X509 *key_cert(const ofs_key *k);    /* borrowed; NULL: none on the token */
ofs_token *key_token(const ofs_key *k);
bool key_signs(const ofs_key *k); /* opened with a login, fit to sign */
ofs_ctx *token_ctx(const ofs_token *t);
/* copies e to the handle's record and returns its code */
int token_fail(ofs_token *t, const struct ofs_error *e);
int key_fail(ofs_key *k, const struct ofs_error *e);

/*
 * A PKCS#11 session for signing with the key, for one thread; several work
 * side by side. It is opened when it is needed. The key must have been opened
 * with a login.
 */
struct key_session;
int key_session_open(ofs_key *k, struct key_session **out, struct ofs_error *e);
void key_session_close(struct key_session *s);
/* what key_session_close does on the token; for the thread that used it */
void key_session_end(struct key_session *s);
/*
 * One signature: C_SignInit, C_Sign. It is appended to `sig`, ECDSA as DER.
 * e->ckr has the token's answer. A token that fails in a way that may heal is
 * healed here, as key_session_heal does it, and asked again.
 */
int key_session_sign(struct key_session *s, const struct to_sign *t,
	struct buf *sig, struct ofs_error *e);
/* how often C_Sign was called so far */
unsigned int key_session_asked(const struct key_session *s);

/* For batches, which have other things to do meanwhile. */

/* one attempt only; after a failure key_session_ailing tells whether to heal */
int key_session_try(struct key_session *s, const struct to_sign *t,
	struct buf *sig, struct ofs_error *e);
bool key_session_ailing(const struct key_session *s);
/*
 * The recovery ladder (token/recover.c), one rung higher each time until a
 * signature succeeds. 0: try again. Else e says why not; it is left as it was
 * when the ladder has no more rungs.
 */
int key_session_heal(struct key_session *s, struct ofs_error *e);
/* opens the session now: OFS_ETOKEN with CKR_SESSION_COUNT if none is left */
int key_session_ready(struct key_session *s, struct ofs_error *e);
/* other processes may have their turn */
void key_session_pause(struct key_session *s);
/* C_Sign is under way: asked by another thread */
bool key_session_in_sign(const struct key_session *s);

/* every signature needs the PIN again, or may: one session at a time */
bool key_wants_pin(const ofs_key *k);
/* a call on the key's token hangs, and never came back: nobody uses it again */
void key_lose(ofs_key *k, const struct ofs_error *why);
/* whether it is lost, and why */
bool key_lost(ofs_key *k, struct ofs_error *why);
/* tells the caller's callback whether the token is wanted; now and then */
void key_tell_wanted(ofs_key *k);
/* recovery does not wait for the token any longer */
void key_give_up(ofs_key *k);

/*
 * The algorithm for these wishes, of those that the token has for the key;
 * for a key that was opened without a login, of all that there are.
 * OFS_EUNSUPPORTED.
 */
int key_alg(const ofs_key *k, enum ofs_padding padding, enum ofs_digest digest,
	const struct alg **out, struct ofs_error *e);
/* whether signing with alg takes the message, where the hash is not enough */
bool key_takes_message(const ofs_key *k, const struct alg *alg);

/*
 * Generates a pair at the place that the URI names, in a read-write session
 * with the user logged in. OFS_EEXIST when a private key, public key or
 * certificate has the same id or the same label there. Missing id: 16 random
 * bytes; missing label: the id in hex.
 * spec: "rsa:3072", "ec:P-256", "ed25519". The attributes are those of
 * TOKENS.md 12 and are read back into the key's info; judging them is the
 * caller's.
 */
int key_generate(ofs_token *t, const char *uri, const char *spec, ofs_key **out,
	struct ofs_error *e);
/* an RSA key that decrypts, and does not sign */
int key_generate_decrypting(ofs_token *t, const char *uri, const char *spec,
	ofs_key **out, struct ofs_error *e);
int key_destroy(ofs_key *k, struct ofs_error *e);
/*
 * ofs_key_open with a login, where nothing is signed: a key that wants the PIN
 * for every signature, or must not sign, is opened as well. The error is in e.
 */
int key_open_idle(
	ofs_token *t, const char *uri, ofs_key **out, struct ofs_error *e);
/* stores, or replaces, the certificate with the key's id and label */
int key_store_cert(ofs_key *k, X509 *cert, struct ofs_error *e);
/* reads the attributes and the certificate again */
int key_refresh(ofs_key *k, struct ofs_error *e);

/*
 * What the box holds: C_DecryptInit and C_Decrypt, once, in the pinned session.
 * OFS_EUNSUPPORTED: the token does not do OAEP, or not with this hash;
 * OFS_EDAMAGED: what it decrypts is no key, or it was not for this one.
 */
int key_open_box(ofs_key *k, const struct wrap_token *box,
	uint8_t kek[WRAP_KEY], struct ofs_error *e);

/* OpenSSL key through libp11 (token/evp.c); caller frees with EVP_PKEY_free */
int key_to_evp(ofs_key *k, EVP_PKEY **out, struct ofs_error *e);

#endif
