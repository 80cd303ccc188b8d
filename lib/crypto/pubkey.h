/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Public keys: made from parts, compared, named by hash, used to verify. */
#ifndef CRYPTO_PUBKEY_H
#define CRYPTO_PUBKEY_H

#include <openssl/evp.h>

#include "crypto/alg.h"

/* OFS_KEY_OTHER for everything that we do not sign with */
enum ofs_key_type pubkey_type(const EVP_PKEY *k);
int pubkey_bits(const EVP_PKEY *k);
/* "RSA-2048", "P-256", "Ed25519" */
void pubkey_describe(const EVP_PKEY *k, char *to, size_t size);

/* big-endian unsigned integers; caller frees *out with EVP_PKEY_free */
int pubkey_from_rsa(const uint8_t *n, size_t n_len, const uint8_t *e_,
	size_t e_len, EVP_PKEY **out, struct ofs_error *e);
/*
 * params: DER ECParameters (an OID, or a PrintableString curve name); point:
 * an uncompressed point, bare or inside a DER OCTET STRING (TOKENS.md 11).
 */
int pubkey_from_ec(const uint8_t *params, size_t params_len,
	const uint8_t *point, size_t point_len, EVP_PKEY **out,
	struct ofs_error *e);
/*
 * The same for Ed25519 and Ed448: the OIDs of RFC 8410 or the names
 * edwards25519 and edwards448; the point as RFC 8032 5.1.5 has it.
 */
int pubkey_from_edwards(const uint8_t *params, size_t params_len,
	const uint8_t *point, size_t point_len, EVP_PKEY **out,
	struct ofs_error *e);
/* DER SubjectPublicKeyInfo */
int pubkey_from_spki(
	const uint8_t *der, size_t n, EVP_PKEY **out, struct ofs_error *e);
int pubkey_to_spki(const EVP_PKEY *k, struct buf *to, struct ofs_error *e);
int pubkey_to_pem(const EVP_PKEY *k, struct buf *to, struct ofs_error *e);
/* PEM or DER SubjectPublicKeyInfo */
int pubkey_parse(
	const uint8_t *p, size_t n, EVP_PKEY **out, struct ofs_error *e);
int pubkey_sha256(const EVP_PKEY *k, uint8_t out[32], struct ofs_error *e);
bool pubkey_equal(const EVP_PKEY *a, const EVP_PKEY *b);

/*
 * A verifier for one key and algorithm; one thread at a time. Check returns 0
 * or OFS_ESIGNATURE; anything else is OFS_EINTERNAL. ECDSA signatures are DER
 * and strict (no trailing bytes, minimal integers); PSS has a salt as long as
 * the hash. EdDSA needs the message, the others the hash.
 */
struct pubkey_verifier {
	EVP_PKEY_CTX *ctx; /* NULL with EdDSA */
	EVP_MD_CTX *md;    /* EdDSA only */
	EVP_PKEY *key;     /* EdDSA only; owned */
	const struct alg *alg;
};
int pubkey_verifier_init(struct pubkey_verifier *v, EVP_PKEY *k,
	const struct alg *alg, struct ofs_error *e);
int pubkey_verifier_check(struct pubkey_verifier *v, const struct to_sign *t,
	const uint8_t *sig, size_t sig_len, struct ofs_error *e);
void pubkey_verifier_free(struct pubkey_verifier *v);

/* one-shot of the above, with t->alg */
int pubkey_verify_signed(EVP_PKEY *k, const struct to_sign *t,
	const uint8_t *sig, size_t sig_len, struct ofs_error *e);
/* over a hash: all but EdDSA */
int pubkey_verify(EVP_PKEY *k, const struct alg *alg, const uint8_t *hash,
	const uint8_t *sig, size_t sig_len, struct ofs_error *e);

#endif
