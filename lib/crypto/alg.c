/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Signature algorithms and the encodings that go with them. */
#include <string.h>

#include <openssl/objects.h>

#include "crypto/alg.h"

#define EC_MAX 66 /* bytes of an integer of P-521 */

/* AlgorithmIdentifiers. RFC 5754 3.2: NULL for RSA; 3.3: none for ECDSA */
#define PKCS1 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01
#define ID_PKCS1(n)                                             \
	{                                                       \
		0x30, 0x0d, 0x06, 0x09, PKCS1, (n), 0x05, 0x00, \
	}
#define ID_ECDSA(n)                                                         \
	{                                                                   \
		0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, \
			0x03, (n)                                           \
	}
/* RFC 8410 3 */
#define ID_EDDSA(n)                                     \
	{                                               \
		0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, (n) \
	}
/*
 * RFC 4055 3.1: id-RSASSA-PSS with hash, MGF1 with the same hash, salt length;
 * the trailer is the default. 2.1: the hash is written with NULL, and read
 * without it, too.
 */
#define HASH_ALGS 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02
#define ID_PSS(n, salt)                                                        \
	{                                                                      \
		0x30, 0x41, 0x06, 0x09, PKCS1, 0x0a, 0x30, 0x34, 0xa0, 0x0f,   \
			0x30, 0x0d, 0x06, 0x09, HASH_ALGS, (n), 0x05, 0x00,    \
			0xa1, 0x1c, 0x30, 0x1a, 0x06, 0x09, PKCS1, 0x08, 0x30, \
			0x0d, 0x06, 0x09, HASH_ALGS, (n), 0x05, 0x00, 0xa2,    \
			0x03, 0x02, 0x01, (salt)                               \
	}
#define ID_PSS_BARE(n, salt)                                                   \
	{                                                                      \
		0x30, 0x3d, 0x06, 0x09, PKCS1, 0x0a, 0x30, 0x30, 0xa0, 0x0d,   \
			0x30, 0x0b, 0x06, 0x09, HASH_ALGS, (n), 0xa1, 0x1a,    \
			0x30, 0x18, 0x06, 0x09, PKCS1, 0x08, 0x30, 0x0b, 0x06, \
			0x09, HASH_ALGS, (n), 0xa2, 0x03, 0x02, 0x01, (salt)   \
	}

static const uint8_t id_pkcs1_256[] = ID_PKCS1(0x0b);
static const uint8_t id_pkcs1_384[] = ID_PKCS1(0x0c);
static const uint8_t id_pkcs1_512[] = ID_PKCS1(0x0d);
static const uint8_t id_pss_256[] = ID_PSS(0x01, 32);
static const uint8_t id_pss_384[] = ID_PSS(0x02, 48);
static const uint8_t id_pss_512[] = ID_PSS(0x03, 64);
static const uint8_t id_pss_bare_256[] = ID_PSS_BARE(0x01, 32);
static const uint8_t id_pss_bare_384[] = ID_PSS_BARE(0x02, 48);
static const uint8_t id_pss_bare_512[] = ID_PSS_BARE(0x03, 64);
static const uint8_t id_ecdsa_256[] = ID_ECDSA(0x02);
static const uint8_t id_ecdsa_384[] = ID_ECDSA(0x03);
static const uint8_t id_ecdsa_512[] = ID_ECDSA(0x04);
static const uint8_t id_ed25519[] = ID_EDDSA(0x70);
static const uint8_t id_ed448[] = ID_EDDSA(0x71);

#define ID(a) (a), sizeof(a)

static const struct alg algs[] = {
	{ ALG_RSA_PKCS1, OFS_KEY_OTHER, &digest_sha256,
		NID_sha256WithRSAEncryption, "rsa-pkcs1-sha256",
		ID(id_pkcs1_256) },
	{ ALG_RSA_PKCS1, OFS_KEY_OTHER, &digest_sha384,
		NID_sha384WithRSAEncryption, "rsa-pkcs1-sha384",
		ID(id_pkcs1_384) },
	{ ALG_RSA_PKCS1, OFS_KEY_OTHER, &digest_sha512,
		NID_sha512WithRSAEncryption, "rsa-pkcs1-sha512",
		ID(id_pkcs1_512) },
	{ ALG_RSA_PSS, OFS_KEY_OTHER, &digest_sha256, NID_rsassaPss,
		"rsa-pss-sha256", ID(id_pss_256) },
	{ ALG_RSA_PSS, OFS_KEY_OTHER, &digest_sha384, NID_rsassaPss,
		"rsa-pss-sha384", ID(id_pss_384) },
	{ ALG_RSA_PSS, OFS_KEY_OTHER, &digest_sha512, NID_rsassaPss,
		"rsa-pss-sha512", ID(id_pss_512) },
	{ ALG_ECDSA, OFS_KEY_OTHER, &digest_sha256, NID_ecdsa_with_SHA256,
		"ecdsa-sha256", ID(id_ecdsa_256) },
	{ ALG_ECDSA, OFS_KEY_OTHER, &digest_sha384, NID_ecdsa_with_SHA384,
		"ecdsa-sha384", ID(id_ecdsa_384) },
	{ ALG_ECDSA, OFS_KEY_OTHER, &digest_sha512, NID_ecdsa_with_SHA512,
		"ecdsa-sha512", ID(id_ecdsa_512) },
	{ ALG_EDDSA, OFS_KEY_ED25519, &digest_sha512, NID_ED25519, "ed25519",
		ID(id_ed25519) },
	{ ALG_EDDSA, OFS_KEY_ED448, &digest_shake256, NID_ED448, "ed448",
		ID(id_ed448) },
};

#define N_ALGS (sizeof(algs) / sizeof(algs[0]))

/* the longest hash that a key of this type signs whole; 0: no ECDSA */
static size_t
hash_max(enum ofs_key_type type)
{
	switch (type) {
	case OFS_KEY_EC_P256:
	case OFS_KEY_EC_SECP256K1:
		return 32;
	case OFS_KEY_EC_P384:
		return 48;
	case OFS_KEY_EC_P521:
		return DIGEST_MAX;
	default:
		return 0;
	}
}

bool
alg_fits(const struct alg *a, enum ofs_key_type type)
{
	switch (a->mech) {
	case ALG_RSA_PKCS1:
	case ALG_RSA_PSS:
		return type == OFS_KEY_RSA;
	case ALG_ECDSA:
		return hash_max(type) > 0;
	default:
		return type == a->type;
	}
}

bool
alg_offered(const struct alg *a, enum ofs_key_type type)
{
	return alg_fits(a, type) &&
		(a->mech != ALG_ECDSA || a->digest->size <= hash_max(type));
}

static bool
has_padding(const struct alg *a, enum ofs_padding padding)
{
	switch (a->mech) {
	case ALG_RSA_PKCS1:
		return padding != OFS_PADDING_PSS;
	case ALG_RSA_PSS:
		return padding == OFS_PADDING_PSS;
	default:
		return padding == OFS_PADDING_DEFAULT;
	}
}

const struct alg *
alg_padded(enum ofs_key_type type, enum ofs_padding padding,
	enum ofs_digest digest)
{
	if (digest == OFS_DIGEST_DEFAULT)
		digest = alg_default_digest(type);
	for (size_t i = 0; i < N_ALGS; i++)
		if (algs[i].digest->id == digest &&
			has_padding(&algs[i], padding) &&
			alg_offered(&algs[i], type))
			return &algs[i];
	return NULL;
}

const struct alg *
alg_for(enum ofs_key_type type, enum ofs_digest digest)
{
	return alg_padded(type, OFS_PADDING_DEFAULT, digest);
}

const struct alg *
alg_by_id(const uint8_t *der, size_t n)
{
	static const uint8_t *const bare[] = { id_pss_bare_256, id_pss_bare_384,
		id_pss_bare_512 };

	for (size_t i = 0; i < N_ALGS; i++)
		if (algs[i].id_len == n && memcmp(algs[i].id, der, n) == 0)
			return &algs[i];
	for (size_t i = 0; i < 3; i++)
		if (n == sizeof(id_pss_bare_256) &&
			memcmp(bare[i], der, n) == 0)
			return alg_padded(OFS_KEY_RSA, OFS_PADDING_PSS,
				(enum ofs_digest)(OFS_DIGEST_SHA256 + i));
	return NULL;
}

const struct alg *
alg_by_sig_nid(int nid)
{
	for (size_t i = 0; i < N_ALGS && nid != NID_rsassaPss; i++)
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
	case OFS_KEY_ED25519:
		return OFS_DIGEST_SHA512;
	case OFS_KEY_ED448:
		return OFS_DIGEST_SHAKE256;
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

/* SEC 2 2.4.1: the order of secp256k1, and half of it */
static const uint8_t order[32] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xba, 0xae, 0xdc,
	0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41,
	0x41 };
static const uint8_t half_order[32] = { 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x5d, 0x57,
	0x6e, 0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b,
	0x20, 0xa0 };

void
alg_low_s(uint8_t rs[64])
{
	uint8_t *s = rs + 32;
	int borrow = 0;

	/* what is no s at all stays so, and is refused when it is verified */
	if (memcmp(s, half_order, 32) <= 0 || memcmp(s, order, 32) >= 0)
		return;
	for (size_t i = 32; i-- > 0;) {
		int d = order[i] - s[i] - borrow;

		borrow = d < 0;
		s[i] = (uint8_t)(d & 0xff);
	}
}
