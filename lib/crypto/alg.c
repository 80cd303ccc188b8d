/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Signature algorithms and the encodings that go with them. */
#include <openssl/objects.h>

#include "crypto/alg.h"

#define EC_MAX 66 /* bytes of an integer of P-521 */

static const struct alg algs[] = {
	{ ALG_RSA_PKCS1, &digest_sha256, NID_sha256WithRSAEncryption,
		"rsa-pkcs1-sha256" },
	{ ALG_RSA_PKCS1, &digest_sha384, NID_sha384WithRSAEncryption,
		"rsa-pkcs1-sha384" },
	{ ALG_RSA_PKCS1, &digest_sha512, NID_sha512WithRSAEncryption,
		"rsa-pkcs1-sha512" },
	{ ALG_ECDSA, &digest_sha256, NID_ecdsa_with_SHA256, "ecdsa-sha256" },
	{ ALG_ECDSA, &digest_sha384, NID_ecdsa_with_SHA384, "ecdsa-sha384" },
	{ ALG_ECDSA, &digest_sha512, NID_ecdsa_with_SHA512, "ecdsa-sha512" },
};

#define N_ALGS (sizeof(algs) / sizeof(algs[0]))

/* the longest hash that a key of this type signs whole; 0: signs nothing */
static size_t
hash_max(enum ofs_key_type type)
{
	switch (type) {
	case OFS_KEY_EC_P256:
		return 32;
	case OFS_KEY_EC_P384:
		return 48;
	case OFS_KEY_RSA:
	case OFS_KEY_EC_P521:
		return DIGEST_MAX;
	default:
		return 0;
	}
}

const struct alg *
alg_for(enum ofs_key_type type, enum ofs_digest digest)
{
	enum alg_mech mech = type == OFS_KEY_RSA ? ALG_RSA_PKCS1 : ALG_ECDSA;

	if (digest == OFS_DIGEST_DEFAULT)
		digest = alg_default_digest(type);
	for (size_t i = 0; i < N_ALGS; i++)
		if (algs[i].mech == mech && algs[i].digest->id == digest &&
			algs[i].digest->size <= hash_max(type))
			return &algs[i];
	return NULL;
}

const struct alg *
alg_by_sig_nid(int nid)
{
	for (size_t i = 0; i < N_ALGS; i++)
		if (algs[i].sig_nid == nid)
			return &algs[i];
	return NULL;
}

enum ofs_digest
alg_default_digest(enum ofs_key_type type)
{
	switch (type) {
	case OFS_KEY_EC_P384:
		return OFS_DIGEST_SHA384;
	case OFS_KEY_EC_P521:
		return OFS_DIGEST_SHA512;
	default:
		return OFS_DIGEST_SHA256;
	}
}

void
alg_mech_input(const struct alg *a, const uint8_t *hash, struct buf *b)
{
	if (a->mech == ALG_RSA_PKCS1)
		buf_put(b, a->digest->di, a->digest->di_len);
	buf_put(b, hash, a->digest->size);
}

/* A positive INTEGER of 1 to EC_MAX bytes; returns its length. */
static size_t
put_integer(const uint8_t *p, size_t n, uint8_t *to)
{
	size_t o = 2;

	while (n > 1 && p[0] == 0) {
		p++;
		n--;
	}
	if (p[0] & 0x80)
		to[o++] = 0;
	to[0] = 0x02;
	to[1] = (uint8_t)(n + o - 2);
	for (size_t i = 0; i < n; i++)
		to[o++] = p[i];
	return o;
}

static bool
is_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != 0)
			return false;
	return true;
}

int
alg_ecdsa_to_der(
	const uint8_t *rs, size_t n, struct buf *der, struct ofs_error *e)
{
	uint8_t body[2 * (EC_MAX + 3)];
	size_t half = n / 2, len;

	if (n == 0 || n % 2 != 0 || half > EC_MAX)
		return err_set(e, OFS_EBADSIG,
			"cannot use the token's ECDSA signature: it has %zu "
			"bytes",
			n);
	if (is_zero(rs, half) || is_zero(rs + half, half))
		return err_set(e, OFS_EBADSIG,
			"cannot use the token's ECDSA signature: it has a "
			"zero in it");
	len = put_integer(rs, half, body);
	len += put_integer(rs + half, half, body + len);
	buf_u8(der, 0x30);
	if (len > 0x7f)
		buf_u8(der, 0x81);
	buf_u8(der, (uint8_t)len);
	buf_put(der, body, len);
	if (!buf_ok(der))
		return err_nomem(e);
	return 0;
}
