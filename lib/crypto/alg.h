/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Signature algorithms: key type + padding + digest, and their identifiers. */
#ifndef CRYPTO_ALG_H
#define CRYPTO_ALG_H

#include "base/buf.h"
#include "crypto/digest.h"

/* The operation that a token is asked for; no PKCS#11 names at this layer. */
enum alg_mech {
	ALG_RSA_PKCS1, /* input: DigestInfo (RFC 8017 9.2) */
	ALG_ECDSA      /* input: the hash */
};

struct alg {
	enum alg_mech mech;
	const struct digest_alg *digest;
	int sig_nid; /* NID_sha256WithRSAEncryption, NID_ecdsa_with_SHA256 */
	const char *name; /* "rsa-pkcs1-sha256", "ecdsa-sha256": for records */
};

/* NULL where the pair is not offered: a hash longer than the curve's order */
const struct alg *alg_for(enum ofs_key_type type, enum ofs_digest digest);
/* by signatureAlgorithm; NULL if unknown */
const struct alg *alg_by_sig_nid(int nid);
/* OFS_DIGEST_DEFAULT resolved for a key type */
enum ofs_digest alg_default_digest(enum ofs_key_type type);

/* the bytes that the token's mechanism takes for this hash; appended to b */
void alg_mech_input(const struct alg *a, const uint8_t *hash, struct buf *b);
/* ECDSA r||s (PKCS#11 2.3.1) to DER SEQUENCE (RFC 3279 2.2.3), appended */
int alg_ecdsa_to_der(
	const uint8_t *rs, size_t n, struct buf *der, struct ofs_error *e);

#endif
