/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Public keys from parts and bytes; signatures checked to the bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "base/hex.h"
#include "crypto/pubkey.h"

static struct ofs_error e;

/* of what token_sign() makes with PSS */
static int salt_len = RSA_PSS_SALTLEN_DIGEST;

/* One software key of each type, made once. */
static struct key {
	enum ofs_key_type type;
	const char *curve; /* NULL: RSA */
	const char *describe;
	int bits;
	EVP_PKEY *k;
} keys[] = {
	{ OFS_KEY_RSA, NULL, "RSA-2048", 2048, NULL },
	{ OFS_KEY_EC_P256, "P-256", "P-256", 256, NULL },
	{ OFS_KEY_EC_P384, "P-384", "P-384", 384, NULL },
	{ OFS_KEY_EC_P521, "P-521", "P-521", 521, NULL },
	{ OFS_KEY_EC_SECP256K1, "secp256k1", "secp256k1", 256, NULL },
	{ OFS_KEY_ED25519, "ED25519", "Ed25519", 256, NULL },
	{ OFS_KEY_ED448, "ED448", "Ed448", 456, NULL },
};

#define N_KEYS (sizeof(keys) / sizeof(keys[0]))

static int
make_keys(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_KEYS; i++) {
		keys[i].k = keys[i].curve == NULL ? EVP_RSA_gen(2048)
			: keys[i].curve[0] == 'E'
			? EVP_PKEY_Q_keygen(NULL, NULL, keys[i].curve)
			: EVP_EC_gen(keys[i].curve);
		if (keys[i].k == NULL)
			return -1;
	}
	return 0;
}

static int
free_keys(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_KEYS; i++)
		EVP_PKEY_free(keys[i].k);
	return 0;
}

/* the public half, through its SubjectPublicKeyInfo */
static EVP_PKEY *
public_of(EVP_PKEY *k)
{
	struct buf b = BUF_INIT;
	EVP_PKEY *pub;

	assert_int_equal(pubkey_to_spki(k, &b, &e), 0);
	assert_int_equal(pubkey_from_spki(b.p, b.len, &pub, &e), 0);
	buf_free(&b);
	return pub;
}

/* What a token would do: its mechanism over alg_mech_input(). */
static size_t
token_sign(EVP_PKEY *k, const struct alg *a, const uint8_t *hash, uint8_t *sig,
	size_t room)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(k, NULL);
	struct buf in = BUF_INIT;
	size_t n = room;

	alg_mech_input(a, hash, &in);
	assert_int_equal(EVP_PKEY_sign_init(ctx), 1);
	if (a->mech == ALG_RSA_PKCS1)
		assert_int_equal(
			EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING),
			1);
	if (a->mech == ALG_RSA_PSS) {
		assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(
					 ctx, RSA_PKCS1_PSS_PADDING),
			1);
		assert_int_equal(
			EVP_PKEY_CTX_set_signature_md(ctx, a->digest->md()), 1);
		assert_int_equal(
			EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, salt_len), 1);
	}
	assert_int_equal(EVP_PKEY_sign(ctx, sig, &n, in.p, in.len), 1);
	EVP_PKEY_CTX_free(ctx);
	buf_free(&in);
	return n;
}

/* and EdDSA, over a message */
static size_t
token_sign_message(
	EVP_PKEY *k, const uint8_t *p, size_t len, uint8_t *sig, size_t room)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t n = room;

	assert_int_equal(EVP_DigestSignInit(ctx, NULL, NULL, NULL, k), 1);
	assert_int_equal(EVP_DigestSign(ctx, sig, &n, p, len), 1);
	EVP_MD_CTX_free(ctx);
	return n;
}

static void
describes(void **state)
{
	EVP_PKEY *k;
	char s[64];

	(void)state;
	for (size_t i = 0; i < N_KEYS; i++) {
		assert_int_equal(pubkey_type(keys[i].k), keys[i].type);
		assert_int_equal(pubkey_bits(keys[i].k), keys[i].bits);
		pubkey_describe(keys[i].k, s, sizeof(s));
		assert_string_equal(s, keys[i].describe);
		pubkey_describe(keys[i].k, s, 4);
		assert_int_equal(strlen(s), 3);
	}
	k = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
	assert_int_equal(pubkey_type(k), OFS_KEY_OTHER);
	pubkey_describe(k, s, sizeof(s));
	assert_string_equal(s, "X25519-253");
	EVP_PKEY_free(k);
	k = EVP_EC_gen("brainpoolP256r1");
	assert_int_equal(pubkey_type(k), OFS_KEY_OTHER);
	EVP_PKEY_free(k);
	assert_int_equal(ERR_peek_error(), 0);
}

static EVP_PKEY *
generate(const char *type, const OSSL_PARAM *params)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *k = NULL;

	assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
	assert_int_equal(EVP_PKEY_CTX_set_params(ctx, params), 1);
	assert_int_equal(EVP_PKEY_generate(ctx, &k), 1);
	EVP_PKEY_CTX_free(ctx);
	return k;
}

/* RSA-PSS keys may not do PKCS #1 v1.5; curves must be named. */
static void
other_keys(void **state)
{
	size_t bits = 1024;
	char curve[] = "P-256", explicit[] = "explicit";
	OSSL_PARAM pss[] = { OSSL_PARAM_construct_size_t(
				     OSSL_PKEY_PARAM_RSA_BITS, &bits),
		OSSL_PARAM_construct_end() };
	OSSL_PARAM ec[] = { OSSL_PARAM_construct_utf8_string(
				    OSSL_PKEY_PARAM_GROUP_NAME, curve, 0),
		OSSL_PARAM_construct_utf8_string(
			OSSL_PKEY_PARAM_EC_ENCODING, explicit, 0),
		OSSL_PARAM_construct_end() };
	EVP_PKEY *k, *back;
	struct pubkey_verifier v;
	uint8_t *der = NULL;
	const uint8_t *p;
	int n;

	(void)state;
	k = generate("RSA-PSS", pss);
	assert_int_equal(pubkey_type(k), OFS_KEY_OTHER);
	assert_int_equal(
		pubkey_verifier_init(
			&v, k, alg_by_sig_nid(NID_sha256WithRSAEncryption), &e),
		OFS_EINTERNAL);
	assert_null(v.ctx);
	EVP_PKEY_free(k);

	k = generate("EC", ec);
	n = i2d_PUBKEY(k, &der);
	assert_true(n > 200);
	p = der;
	back = d2i_PUBKEY(NULL, &p, n);
	assert_non_null(back);
	assert_int_equal(pubkey_type(back), OFS_KEY_OTHER);
	EVP_PKEY_free(back);
	EVP_PKEY_free(k);
	OPENSSL_free(der);
}

static void
rsa_from_parts(void **state)
{
	BIGNUM *n = NULL, *pub_e = NULL;
	uint8_t nb[258] = { 0 }, eb[5] = { 0 }, big[2049];
	EVP_PKEY *k;

	(void)state;
	EVP_PKEY_get_bn_param(keys[0].k, OSSL_PKEY_PARAM_RSA_N, &n);
	EVP_PKEY_get_bn_param(keys[0].k, OSSL_PKEY_PARAM_RSA_E, &pub_e);
	/* tokens may put zeros in front */
	BN_bn2binpad(n, nb + 2, 256);
	BN_bn2binpad(pub_e, eb, 5);
	for (size_t skip = 0; skip < 3; skip++) {
		assert_int_equal(pubkey_from_rsa(nb + skip, 258 - skip,
					 eb + skip, 5 - skip, &k, &e),
			0);
		assert_true(pubkey_equal(k, keys[0].k));
		assert_true(pubkey_equal(keys[0].k, k));
		EVP_PKEY_free(k);
	}
	nb[257] ^= 1; /* even */
	assert_int_equal(pubkey_from_rsa(nb, 258, eb, 5, &k, &e), OFS_EFORMAT);
	assert_null(k);
	nb[257] ^= 1;
	nb[256] ^= 2; /* another key */
	assert_int_equal(pubkey_from_rsa(nb, 258, eb, 5, &k, &e), 0);
	assert_false(pubkey_equal(k, keys[0].k));
	EVP_PKEY_free(k);
	assert_int_equal(pubkey_from_rsa(nb, 258, eb, 4, &k, &e), OFS_EFORMAT);
	assert_int_equal(pubkey_from_rsa(nb, 258, eb, 0, &k, &e), OFS_EFORMAT);
	assert_int_equal(pubkey_from_rsa(nb, 0, eb, 5, &k, &e), OFS_EFORMAT);
	assert_int_equal(
		pubkey_from_rsa(nb + 200, 58, eb, 5, &k, &e), OFS_EFORMAT);
	assert_int_equal(
		pubkey_from_rsa(nb, 258, (const uint8_t *)"\1", 1, &k, &e),
		OFS_EFORMAT);
	memset(big, 0xff, sizeof(big));
	assert_int_equal(
		pubkey_from_rsa(big, sizeof(big), eb, 5, &k, &e), OFS_EFORMAT);
	assert_int_equal(pubkey_from_rsa(nb, 258, big, 9, &k, &e), OFS_EFORMAT);
	BN_free(n);
	BN_free(pub_e);
}

static size_t
ec_point(EVP_PKEY *k, uint8_t *to, size_t room)
{
	size_t n;

	assert_int_equal(EVP_PKEY_get_octet_string_param(
				 k, OSSL_PKEY_PARAM_PUB_KEY, to, room, &n),
		1);
	return n;
}

static void
ec_from_parts(void **state)
{
	static const char *const params[4][4] = {
		{ "06082a8648ce3d030107", "130a7072696d653235367631",
			"1305502d323536", "1309736563703235367231" },
		{ "06052b81040022", "1309736563703338347231", "1305502d333834",
			"06052b81040022" },
		{ "06052b81040023", "1309736563703532317231", "1305502d353231",
			"06052b81040023" },
		{ "06052b8104000a", "1309736563703235366b31", "06052b8104000a",
			"06052b8104000a" },
	};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		EVP_PKEY *key = keys[i + 1].k, *k;
		uint8_t wrap[140], *point = wrap + 3, par[40];
		size_t n = ec_point(key, point, sizeof(wrap) - 3);
		size_t head = n > 127 ? 3 : 2, par_len = 0;

		point[-1] = (uint8_t)n;
		point[-2] = head == 3 ? 0x81 : 0x04;
		point[-3] = 0x04;
		for (size_t j = 0; j < 4; j++) {
			char hex[64];
			size_t o = 0;

			for (const char *s = params[i][j]; *s != '\0'; s++)
				if (*s != ' ')
					hex[o++] = *s;
			par_len = o / 2;
			assert_true(hex_decode(par, par_len, hex, o));
			assert_int_equal(
				pubkey_from_ec(par, par_len, point, n, &k, &e),
				0);
			assert_true(pubkey_equal(k, key));
			EVP_PKEY_free(k);
			assert_int_equal(
				pubkey_from_ec(par, par_len, point - head,
					n + head, &k, &e),
				0);
			assert_true(pubkey_equal(k, key));
			EVP_PKEY_free(k);
			assert_int_equal(pubkey_from_ec(par, par_len - 1, point,
						 n, &k, &e),
				OFS_EUNSUPPORTED);
		}
		/* too short, too long, another curve's, half wrapped */
		assert_int_equal(
			pubkey_from_ec(par, par_len, point, n - 1, &k, &e),
			OFS_EFORMAT);
		assert_int_equal(
			pubkey_from_ec(par, par_len, point, n + 1, &k, &e),
			OFS_EFORMAT);
		assert_int_equal(pubkey_from_ec(par, par_len, point, 0, &k, &e),
			OFS_EFORMAT);
		point[-(int)head] = 0x03;
		assert_int_equal(pubkey_from_ec(par, par_len, point - head,
					 n + head, &k, &e),
			OFS_EFORMAT);
		point[-(int)head] = 0x04;
		point[-1]--;
		assert_int_equal(pubkey_from_ec(par, par_len, point - head,
					 n + head, &k, &e),
			OFS_EFORMAT);
		point[-1]++;
		/* an OCTET STRING with the point at its end */
		if (i == 0) {
			uint8_t more[2 + 5 + 65] = { 0x04, 70 };

			memcpy(more + 7, point, n);
			assert_int_equal(pubkey_from_ec(par, par_len, more,
						 sizeof(more), &k, &e),
				OFS_EFORMAT);
		}
		/* compressed, hybrid, infinite */
		point[0] = 2 + (point[n - 1] & 1);
		assert_int_equal(
			pubkey_from_ec(par, par_len, point, 1 + n / 2, &k, &e),
			OFS_EFORMAT);
		point[0] = 6 + (point[n - 1] & 1);
		assert_int_equal(pubkey_from_ec(par, par_len, point, n, &k, &e),
			OFS_EFORMAT);
		point[0] = 0;
		assert_int_equal(pubkey_from_ec(par, par_len, point, 1, &k, &e),
			OFS_EFORMAT);
		point[0] = 4;
		/* not on the curve */
		point[n - 1] ^= 1;
		assert_int_equal(pubkey_from_ec(par, par_len, point, n, &k, &e),
			OFS_EFORMAT);
		assert_null(k);
	}
	/* secp224r1 */
	uint8_t k1[] = { 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x21 };
	uint8_t pt[65] = { 4 };
	EVP_PKEY *k;
	assert_int_equal(pubkey_from_ec(k1, sizeof(k1), pt, 65, &k, &e),
		OFS_EUNSUPPORTED);
	assert_int_equal(
		pubkey_from_ec(k1, 0, pt, 65, &k, &e), OFS_EUNSUPPORTED);
	assert_int_equal(pubkey_from_ec((const uint8_t *)"\x13\x06P-256", 8, pt,
				 65, &k, &e),
		OFS_EUNSUPPORTED);
}

static void
spki_round_trip(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_KEYS; i++) {
		struct buf a = BUF_INIT, b = BUF_INIT;
		uint8_t h1[32], h2[32];
		EVP_PKEY *k;

		assert_int_equal(pubkey_to_spki(keys[i].k, &a, &e), 0);
		assert_int_equal(pubkey_from_spki(a.p, a.len, &k, &e), 0);
		assert_true(pubkey_equal(k, keys[i].k));
		assert_false(pubkey_equal(k, keys[(i + 1) % N_KEYS].k));
		assert_int_equal(pubkey_to_spki(k, &b, &e), 0);
		assert_int_equal(a.len, b.len);
		assert_memory_equal(a.p, b.p, a.len);
		assert_int_equal(pubkey_sha256(k, h1, &e), 0);
		assert_int_equal(
			digest_of(&digest_sha256, a.p, a.len, h2, &e), 0);
		assert_memory_equal(h1, h2, 32);
		EVP_PKEY_free(k);
		/* cut at every place, and one byte more */
		for (size_t n = 0; n < a.len; n++) {
			assert_int_equal(
				pubkey_from_spki(a.p, n, &k, &e), OFS_EFORMAT);
			assert_null(k);
		}
		buf_u8(&a, 0);
		assert_int_equal(
			pubkey_from_spki(a.p, a.len, &k, &e), OFS_EFORMAT);
		/* every bit flipped: refused, or another key */
		for (size_t bit = 0; bit < 8 * (a.len - 1); bit++) {
			a.p[bit / 8] ^= 1 << bit % 8;
			if (pubkey_from_spki(a.p, a.len - 1, &k, &e) == 0) {
				if (pubkey_equal(k, keys[i].k))
					fail_msg("key %zu, bit %zu", i, bit);
				EVP_PKEY_free(k);
			}
			a.p[bit / 8] ^= 1 << bit % 8;
		}
		buf_free(&a);
		buf_free(&b);
	}
	assert_int_equal(ERR_peek_error(), 0);
}

/* One key has one hash, however a certificate wrote its point. */
static void
compressed_points(void **state)
{
	EVP_PKEY *k = EVP_PKEY_dup(keys[1].k), *back;
	uint8_t h1[32], h2[32], *der = NULL;
	const uint8_t *p;
	int n;

	(void)state;
	assert_int_equal(EVP_PKEY_set_utf8_string_param(k,
				 OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
				 "compressed"),
		1);
	n = i2d_PUBKEY(k, &der);
	assert_int_equal(n, 59);
	p = der;
	back = d2i_PUBKEY(NULL, &p, n);
	assert_non_null(back);
	assert_int_equal(pubkey_sha256(keys[1].k, h1, &e), 0);
	assert_int_equal(pubkey_sha256(back, h2, &e), 0);
	assert_memory_equal(h1, h2, 32);
	EVP_PKEY_free(back);
	/* as a key of its own it must have the one encoding */
	assert_int_equal(
		pubkey_from_spki(der, (size_t)n, &back, &e), OFS_EFORMAT);
	OPENSSL_free(der);
	EVP_PKEY_free(k);
}

static void
parses_files(void **state)
{
	struct buf der = BUF_INIT, pem = BUF_INIT;
	BIO *bio = BIO_new(BIO_s_mem());
	size_t one;
	EVP_PKEY *k;
	char *p;
	long n;

	(void)state;
	assert_int_equal(pubkey_to_spki(keys[1].k, &der, &e), 0);
	assert_int_equal(pubkey_parse(der.p, der.len, &k, &e), 0);
	assert_true(pubkey_equal(k, keys[1].k));
	EVP_PKEY_free(k);
	assert_int_equal(pubkey_parse(der.p, der.len - 1, &k, &e), OFS_EFORMAT);
	assert_int_equal(pubkey_parse(der.p, 0, &k, &e), OFS_EFORMAT);

	assert_int_equal(PEM_write_bio_PUBKEY(bio, keys[1].k), 1);
	n = BIO_get_mem_data(bio, &p);
	buf_str(&pem, "a comment\n");
	buf_put(&pem, p, (size_t)n);
	one = pem.len;
	assert_int_equal(pubkey_parse(pem.p, one, &k, &e), 0);
	assert_true(pubkey_equal(k, keys[1].k));
	EVP_PKEY_free(k);
	/* two of them; cut; damaged; of another type */
	buf_put(&pem, p, (size_t)n);
	assert_int_equal(pubkey_parse(pem.p, pem.len, &k, &e), OFS_EFORMAT);
	assert_null(k);
	assert_int_equal(pubkey_parse(pem.p, one - 10, &k, &e), OFS_EFORMAT);
	pem.p[10 + 40] = '!';
	assert_int_equal(pubkey_parse(pem.p, one, &k, &e), OFS_EFORMAT);
	(void)BIO_reset(bio);
	assert_int_equal(PEM_write_bio_PrivateKey(
				 bio, keys[1].k, NULL, NULL, 0, NULL, NULL),
		1);
	n = BIO_get_mem_data(bio, &p);
	assert_int_equal(
		pubkey_parse((uint8_t *)p, (size_t)n, &k, &e), OFS_EFORMAT);
	assert_null(k);
	assert_int_equal(
		pubkey_parse((const uint8_t *)"text", 4, &k, &e), OFS_EFORMAT);
	BIO_free(bio);
	buf_free(&der);
	buf_free(&pem);
}

/* both names of the curves, both ways to write a point: TOKENS.md 11 */
static void
edwards_from_parts(void **state)
{
	static const char *const params[2][3] = {
		{ "06032b6570", "130c656477617264733235353139",
			"06092b06010401da470f01" },
		{ "06032b6571", "130a65647761726473343438", "06032b6571" },
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		EVP_PKEY *key = keys[5 + i].k, *k;
		uint8_t wrap[62], *point = wrap + 2, par[32];
		size_t n = sizeof(wrap) - 2, par_len = 0;

		assert_int_equal(
			EVP_PKEY_get_raw_public_key(key, point, &n), 1);
		wrap[0] = 0x04;
		wrap[1] = (uint8_t)n;
		for (size_t j = 0; j < 3; j++) {
			par_len = strlen(params[i][j]) / 2;
			assert_true(hex_decode(
				par, par_len, params[i][j], 2 * par_len));
			for (size_t head = 0; head <= 2; head += 2) {
				assert_int_equal(
					pubkey_from_edwards(par, par_len,
						point - head, n + head, &k, &e),
					0);
				assert_true(pubkey_equal(k, key));
				EVP_PKEY_free(k);
			}
			assert_int_equal(pubkey_from_edwards(par, par_len - 1,
						 point, n, &k, &e),
				OFS_EUNSUPPORTED);
			assert_null(k);
		}
		/* too short, too long, not wrapped so */
		assert_int_equal(
			pubkey_from_edwards(par, par_len, point, n - 1, &k, &e),
			OFS_EFORMAT);
		assert_int_equal(pubkey_from_edwards(par, par_len, point - 1,
					 n + 1, &k, &e),
			OFS_EFORMAT);
		wrap[0] = 0x03;
		assert_int_equal(
			pubkey_from_edwards(par, par_len, wrap, n + 2, &k, &e),
			OFS_EFORMAT);
		assert_int_equal(
			pubkey_from_edwards(par, par_len, point, 0, &k, &e),
			OFS_EFORMAT);
		/* a curve for ECDSA, and the other way round */
		assert_int_equal(
			pubkey_from_edwards(
				(const uint8_t *)"\x06\x05\x2b\x81\x04\x00\x0a",
				7, point, n, &k, &e),
			OFS_EUNSUPPORTED);
		assert_int_equal(pubkey_from_ec(par, par_len, point, n, &k, &e),
			OFS_EUNSUPPORTED);
		assert_null(k);
	}
	assert_int_equal(ERR_peek_error(), 0);
}

static int
judge(struct pubkey_verifier *v, const struct to_sign *t, const uint8_t *sig,
	size_t n)
{
	int err = pubkey_verifier_check(v, t, sig, n, &e);

	assert_int_equal(ERR_peek_error(), 0);
	return err;
}

static void
verify_with(EVP_PKEY *key, const struct alg *a)
{
	uint8_t hash[DIGEST_MAX], other[DIGEST_MAX], sig[300];
	struct to_sign t = { .alg = a }, not = { .alg = a };
	EVP_PKEY *pub = public_of(key);
	struct pubkey_verifier v;
	size_t n;

	memset(hash, 0x31, sizeof(hash));
	memset(other, 0x31, sizeof(other));
	other[0] = 0x32;
	if (a->mech == ALG_EDDSA) {
		n = token_sign_message(key, hash, 64, sig, sizeof(sig));
		t.message = hash;
		not .message = other;
		t.message_len = not .message_len = 64;
	} else {
		n = token_sign(key, a, hash, sig, sizeof(sig));
		t.hash = hash;
		not .hash = other;
	}
	assert_int_equal(pubkey_verifier_init(&v, pub, a, &e), 0);
	for (int round = 0; round < 3; round++) {
		assert_int_equal(judge(&v, &t, sig, n), 0);
		assert_int_equal(judge(&v, &not, sig, n), OFS_ESIGNATURE);
		assert_int_equal(e.code, OFS_ESIGNATURE);
		assert_int_equal(judge(&v, &t, sig, n - 1), OFS_ESIGNATURE);
		assert_int_equal(judge(&v, &t, sig, 0), OFS_ESIGNATURE);
		sig[n] = 0;
		assert_int_equal(judge(&v, &t, sig, n + 1), OFS_ESIGNATURE);
	}
	/* what has to be known is not */
	t.hash = t.message = NULL;
	assert_int_equal(judge(&v, &t, sig, n), OFS_EINTERNAL);
	pubkey_verifier_free(&v);
	pubkey_verifier_free(&v);
	if (a->mech != ALG_EDDSA)
		assert_int_equal(pubkey_verify(pub, a, hash, sig, n, &e), 0);
	EVP_PKEY_free(pub);
}

/* All keys with all paddings and hashes that are offered. */
static void
verifies(void **state)
{
	int done = 0;

	(void)state;
	for (size_t i = 0; i < N_KEYS; i++)
		for (int p = OFS_PADDING_DEFAULT; p <= OFS_PADDING_PSS; p++)
			for (int d = OFS_DIGEST_SHA256;
				d <= OFS_DIGEST_SHAKE256; d++) {
				const struct alg *a = alg_padded(keys[i].type,
					(enum ofs_padding)p,
					(enum ofs_digest)d);

				if (a == NULL)
					continue;
				verify_with(keys[i].k, a);
				done++;
			}
	/* RSA 3 x 3, the curves 1 + 2 + 3 + 1, and two of Edwards */
	assert_int_equal(done, 18);
	assert_int_equal(ERR_peek_error(), 0);
}

/* a salt of any other length is another algorithm's */
static void
refuses_other_salts(void **state)
{
	static const int salts[] = { 0, 20, 31, 33, 64, RSA_PSS_SALTLEN_MAX };
	const struct alg *a =
		alg_padded(OFS_KEY_RSA, OFS_PADDING_PSS, OFS_DIGEST_SHA256);
	const struct alg *pkcs1 = alg_for(OFS_KEY_RSA, OFS_DIGEST_SHA256);
	uint8_t hash[32] = { 7 }, sig[256];
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(salts) / sizeof(salts[0]); i++) {
		salt_len = salts[i];
		n = token_sign(keys[0].k, a, hash, sig, sizeof(sig));
		assert_int_equal(pubkey_verify(keys[0].k, a, hash, sig, n, &e),
			OFS_ESIGNATURE);
	}
	salt_len = RSA_PSS_SALTLEN_DIGEST;
	n = token_sign(keys[0].k, a, hash, sig, sizeof(sig));
	assert_int_equal(pubkey_verify(keys[0].k, a, hash, sig, n, &e), 0);
	/* nor does one padding pass for the other */
	assert_int_equal(pubkey_verify(keys[0].k, pkcs1, hash, sig, n, &e),
		OFS_ESIGNATURE);
	n = token_sign(keys[0].k, pkcs1, hash, sig, sizeof(sig));
	assert_int_equal(
		pubkey_verify(keys[0].k, a, hash, sig, n, &e), OFS_ESIGNATURE);
}

/* Any flipped bit, another hash's name, another key: all the same answer. */
static void
refuses_signatures(void **state)
{
	uint8_t hash[DIGEST_MAX], sig[300];

	(void)state;
	memset(hash, 0x31, sizeof(hash));
	for (size_t i = 0; i < 2; i++) {
		EVP_PKEY *pub = public_of(keys[i].k);
		EVP_PKEY *wrong =
			i == 0 ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
		const struct alg *a = alg_for(keys[i].type, OFS_DIGEST_DEFAULT);
		struct to_sign t = { .alg = a, .hash = hash };
		struct pubkey_verifier v;
		size_t n = token_sign(keys[i].k, a, hash, sig, sizeof(sig));

		assert_int_equal(pubkey_verifier_init(&v, pub, a, &e), 0);
		for (size_t bit = 0; bit < 8 * n; bit++) {
			sig[bit / 8] ^= 1 << bit % 8;
			if (pubkey_verifier_check(&v, &t, sig, n, &e) !=
				OFS_ESIGNATURE)
				fail_msg("%s, bit %zu", a->name, bit);
			assert_int_equal(ERR_peek_error(), 0);
			sig[bit / 8] ^= 1 << bit % 8;
		}
		assert_int_equal(pubkey_verifier_check(&v, &t, sig, n, &e), 0);
		pubkey_verifier_free(&v);
		assert_int_equal(pubkey_verify(wrong, a, hash, sig, n, &e),
			OFS_ESIGNATURE);
		EVP_PKEY_free(wrong);
		EVP_PKEY_free(pub);
	}
	/* signed as SHA-256, shown as the first 32 of SHA-512's 64 bytes */
	const struct alg *s256 = alg_for(OFS_KEY_RSA, OFS_DIGEST_SHA256);
	const struct alg *s512 = alg_for(OFS_KEY_RSA, OFS_DIGEST_SHA512);
	size_t n = token_sign(keys[0].k, s256, hash, sig, sizeof(sig));
	assert_int_equal(pubkey_verify(keys[0].k, s512, hash, sig, n, &e),
		OFS_ESIGNATURE);
	/* key and algorithm that cannot go together */
	assert_int_equal(pubkey_verify(keys[1].k, s256, hash, sig, n, &e),
		OFS_EINTERNAL);
	assert_int_equal(pubkey_verify(keys[0].k,
				 alg_for(OFS_KEY_EC_P256, OFS_DIGEST_SHA256),
				 hash, sig, n, &e),
		OFS_EINTERNAL);
}

/* PKCS #1 v1.5 padding is checked whole: Bleichenbacher's forgery of 2006. */
static void
refuses_padding(void **state)
{
	const struct alg *a = alg_for(OFS_KEY_RSA, OFS_DIGEST_SHA256);
	uint8_t em[256], hash[32], sig[256];
	struct buf di = BUF_INIT;

	(void)state;
	memset(hash, 0x31, sizeof(hash));
	alg_mech_input(a, hash, &di);
	for (size_t shift = 0; shift < 4; shift++) {
		EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(keys[0].k, NULL);
		size_t n = sizeof(sig), pad = 256 - 3 - di.len - shift;

		memset(em, 0, sizeof(em));
		em[1] = 1;
		memset(em + 2, 0xff, pad);
		memcpy(em + 3 + pad, di.p, di.len);
		assert_int_equal(EVP_PKEY_sign_init(ctx), 1);
		assert_int_equal(
			EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING), 1);
		assert_int_equal(
			EVP_PKEY_sign(ctx, sig, &n, em, sizeof(em)), 1);
		EVP_PKEY_CTX_free(ctx);
		assert_int_equal(pubkey_verify(keys[0].k, a, hash, sig, n, &e),
			shift == 0 ? 0 : OFS_ESIGNATURE);
	}
	buf_free(&di);
}

/* A right signature in any other encoding is wrong. */
static void
refuses_loose_der(void **state)
{
	const struct alg *a = alg_for(OFS_KEY_EC_P256, OFS_DIGEST_SHA256);
	uint8_t hash[32], sig[80], loose[90];
	size_t n;

	(void)state;
	memset(hash, 0x31, sizeof(hash));
	n = token_sign(keys[1].k, a, hash, sig, sizeof(sig));
	assert_int_equal(pubkey_verify(keys[1].k, a, hash, sig, n, &e), 0);
	/* a long length */
	loose[0] = 0x30;
	loose[1] = 0x81;
	memcpy(loose + 2, sig + 1, n - 1);
	assert_int_equal(pubkey_verify(keys[1].k, a, hash, loose, n + 1, &e),
		OFS_ESIGNATURE);
	/* a zero in front of r, whether or not one is there */
	memcpy(loose, sig, 4);
	loose[1]++;
	loose[3]++;
	loose[4] = 0;
	memcpy(loose + 5, sig + 4, n - 4);
	assert_int_equal(pubkey_verify(keys[1].k, a, hash, loose, n + 1, &e),
		OFS_ESIGNATURE);
	/* indefinite length */
	loose[0] = 0x30;
	loose[1] = 0x80;
	memcpy(loose + 2, sig + 2, n - 2);
	memset(loose + n, 0, 2);
	assert_int_equal(pubkey_verify(keys[1].k, a, hash, loose, n + 2, &e),
		OFS_ESIGNATURE);
	/* r or s of zero, or as large as can be: a verdict, not a failure */
	assert_int_equal(
		pubkey_verify(keys[1].k, a, hash,
			(const uint8_t *)"\x30\x06\x02\x01\x00\x02\x01\x01", 8,
			&e),
		OFS_ESIGNATURE);
	memset(loose, 0x7f, sizeof(loose));
	memcpy(loose, "\x30\x44\x02\x20", 4);
	memcpy(loose + 36, "\x02\x20", 2);
	assert_int_equal(pubkey_verify(keys[1].k, a, hash, loose, 70, &e),
		OFS_ESIGNATURE);
	memset(loose, 0x7f, sizeof(loose));
	memcpy(loose, "\x30\x46\x02\x21", 4);
	memcpy(loose + 37, "\x02\x21", 2);
	assert_int_equal(pubkey_verify(keys[1].k, a, hash, loose, 72, &e),
		OFS_ESIGNATURE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(describes),
		cmocka_unit_test(other_keys),
		cmocka_unit_test(rsa_from_parts),
		cmocka_unit_test(ec_from_parts),
		cmocka_unit_test(spki_round_trip),
		cmocka_unit_test(compressed_points),
		cmocka_unit_test(parses_files),
		cmocka_unit_test(edwards_from_parts),
		cmocka_unit_test(verifies),
		cmocka_unit_test(refuses_other_salts),
		cmocka_unit_test(refuses_signatures),
		cmocka_unit_test(refuses_padding),
		cmocka_unit_test(refuses_loose_der),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
