/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Signature algorithms: key type + padding + digest, and their identifiers. */
#ifndef CRYPTO_ALG_H
#define CRYPTO_ALG_H

#include "base/buf.h"
#include "crypto/digest.h"

/* The operation that a token is asked for; no PKCS#11 names at this layer. */
enum alg_mech {
	ALG_RSA_PKCS1, /* input: DigestInfo (RFC 8017 9.2) */
	ALG_RSA_PSS,   /* input: the hash; MGF1 and salt of its size */
	ALG_ECDSA,     /* input: the hash */
	ALG_EDDSA      /* input: the whole message (RFC 8032) */
};

struct alg {
	enum alg_mech mech;
	enum ofs_key_type type; /* EdDSA: its curve; else OFS_KEY_OTHER */
	/* EdDSA: the one that CMS has of the content (RFC 8419 2.2) */
	const struct digest_alg *digest;
	int sig_nid; /* NID_sha256WithRSAEncryption, NID_ecdsa_with_SHA256 */
	const char *name;  /* "rsa-pkcs1-sha256", "ed25519": for records */
	const uint8_t *id; /* AlgorithmIdentifier, DER */
	size_t id_len;
};

/*
 * What a signature is made over. EdDSA signs the message itself. The others
 * sign its hash, but some tokens hash by themselves and want the message.
 */
struct to_sign {
	const struct alg *alg;
	const uint8_t *hash; /* of alg->digest; NULL: not known, EdDSA only */
	const uint8_t *message; /* NULL: not at hand */
	size_t message_len;
	bool low_s; /* secp256k1: of s and n - s the smaller */
};

/* with the default padding; NULL as alg_padded() */
const struct alg *alg_for(enum ofs_key_type type, enum ofs_digest digest);
/*
 * NULL where these are not offered together: a hash longer than the curve's
 * order, a padding without RSA, EdDSA with another digest than its own
 */
const struct alg *alg_padded(enum ofs_key_type type, enum ofs_padding padding,
	enum ofs_digest digest);
/* by AlgorithmIdentifier, every byte of which counts; NULL if unknown */
const struct alg *alg_by_id(const uint8_t *der, size_t n);
/* by the OID of signatureAlgorithm; NULL if unknown or if it tells no digest */
const struct alg *alg_by_sig_nid(int nid);
/* whether such a key makes such signatures */
bool alg_fits(const struct alg *a, enum ofs_key_type type);
/* and we would have it make them: no hash that is longer than the curve */
bool alg_offered(const struct alg *a, enum ofs_key_type type);
/* OFS_DIGEST_DEFAULT resolved for a key type */
enum ofs_digest alg_default_digest(enum ofs_key_type type);

/* what a mechanism over the hash takes; appended to b. Not for EdDSA */
void alg_mech_input(const struct alg *a, const uint8_t *hash, struct buf *b);
/* ECDSA r||s (PKCS#11 2.3.1) to DER SEQUENCE (RFC 3279 2.2.3), appended */
int alg_ecdsa_to_der(
	const uint8_t *rs, size_t n, struct buf *der, struct ofs_error *e);
/* r||s of secp256k1, 64 bytes: s becomes n - s where that is smaller */
void alg_low_s(uint8_t rs[64]);

#endif
