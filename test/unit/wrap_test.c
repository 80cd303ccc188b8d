/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Wrapped keys: by a key, a passphrase, certificates; what is refused. */
#include "soft.h"

#include <openssl/rsa.h>

#include "base/hex.h"
#include "crypto/pubkey.h"
#include "crypto/wrap.h"

static struct ofs_error e;
static const uint8_t kek[32] = { 9, 8, 7 };
static const uint8_t key[32] = { 1, 2, 3, 4 };

/* RFC 5649 has vectors for 192 bits alone: these are of python-cryptography */
static void
key_by_key(void **state)
{
	uint8_t w[WRAP_KWP_SIZE], back[32], other[32] = { 1 };
	char hex[2 * WRAP_KWP_SIZE + 1];

	(void)state;
	assert_int_equal(wrap_kwp(kek, key, w, &e), 0);
	assert_string_equal(hex_encode(hex, w, sizeof(w)),
		"739179baa362baa8b4586731a787aef1a7f78fe3"
		"e92eccd48b7c12318956e9c4e28d05891ff3c6c8");
	assert_int_equal(wrap_kwp_open(kek, w, sizeof(w), back, &e), 0);
	assert_memory_equal(back, key, 32);
	assert_int_equal(
		wrap_kwp_open(other, w, sizeof(w), back, &e), OFS_EDAMAGED);
	for (size_t n = 0; n < sizeof(w); n++)
		assert_int_equal(
			wrap_kwp_open(kek, w, n, back, &e), OFS_EDAMAGED);
	for (size_t i = 0; i < 8 * sizeof(w); i++) {
		w[i / 8] ^= (uint8_t)(1u << i % 8);
		assert_int_equal(wrap_kwp_open(kek, w, sizeof(w), back, &e),
			OFS_EDAMAGED);
		w[i / 8] ^= (uint8_t)(1u << i % 8);
	}
}

static void
key_by_passphrase(void **state)
{
	struct wrap_scrypt s, got, bad;
	uint8_t k[32], w[WRAP_KWP_SIZE], blob[WRAP_SCRYPT_SIZE];
	const uint8_t *kwp;
	char hex[65];

	(void)state;
	assert_int_equal(wrap_scrypt_init(&s, &e), 0);
	assert_int_equal(s.log_n, 17);
	s.log_n = 4, s.r = 1, s.p = 1; /* cheap; as Python's hashlib has it */
	memset(s.salt, 5, sizeof(s.salt));
	assert_int_equal(wrap_scrypt_key(&s, "correct horse", k, &e), 0);
	assert_string_equal(hex_encode(hex, k, 32),
		"fae30a5080ae8950dc83d7e482cba5a1"
		"8b8e0003e5c8ef9e76940847c2dea1ac");
	assert_int_equal(wrap_kwp(k, key, w, &e), 0);
	wrap_scrypt_put(&s, w, blob);
	assert_int_equal(
		wrap_scrypt_parse(blob, sizeof(blob), &got, &kwp, &e), 0);
	assert_int_equal(got.log_n, 4);
	assert_int_equal(got.r, 1);
	assert_int_equal(got.p, 1);
	assert_memory_equal(got.salt, s.salt, sizeof(s.salt));
	assert_memory_equal(kwp, w, sizeof(w));
	/* what would cost too much is not tried */
	for (size_t i = 0; i < 10; i++) {
		blob[i] ^= 0x80;
		assert_int_equal(
			wrap_scrypt_parse(blob, sizeof(blob), &bad, &kwp, &e),
			OFS_EDAMAGED);
		blob[i] ^= 0x80;
	}
	for (size_t n = 0; n < sizeof(blob); n++)
		assert_int_equal(wrap_scrypt_parse(blob, n, &bad, &kwp, &e),
			OFS_EDAMAGED);
}

static X509 *
auditor(EVP_PKEY *k, const char *usage, long to)
{
	struct soft_cert like = {
		.cn = "Auditor", .usage = usage, .from = -SOFT_DAY, .to = to
	};

	return soft_cert(&like, k, NULL, NULL);
}

static void
by_certificate(enum ofs_key_type type, const char *usage)
{
	EVP_PKEY *k = soft_key(type), *wrong = soft_key(type);
	X509 *c = auditor(k, usage, SOFT_DAY);
	int64_t now = (int64_t)time(NULL) * 1000000;
	struct buf w = BUF_INIT;
	uint8_t back[32];
	size_t i;

	assert_int_equal(wrap_x509_check(c, now, &e), 0);
	assert_int_equal(
		wrap_x509_check(c, now + 2 * SOFT_DAY * INT64_C(1000000), &e),
		OFS_ECERT);
	assert_int_equal(wrap_x509(c, key, &w, &e), 0);
	assert_int_equal(wrap_x509_open(k, c, w.p, w.len, back, &e), 0);
	assert_memory_equal(back, key, 32);
	memset(back, 0, sizeof(back));
	/* RFC 3218 2.3.2 lets no one see which part was wrong */
	if (wrap_x509_open(wrong, c, w.p, w.len, back, &e) == 0)
		assert_memory_not_equal(back, key, 32);
	for (i = 0; i < w.len; i += 7)
		assert_int_equal(
			wrap_x509_open(k, c, w.p, i, back, &e), OFS_EDAMAGED);
	buf_u8(&w, 0);
	assert_int_equal(
		wrap_x509_open(k, c, w.p, w.len, back, &e), OFS_EDAMAGED);
	buf_free(&w);
	X509_free(c);
	EVP_PKEY_free(k);
	EVP_PKEY_free(wrong);
}

static void
key_by_certificate(void **state)
{
	(void)state;
	by_certificate(OFS_KEY_RSA, "critical,keyEncipherment");
	by_certificate(OFS_KEY_EC_P256, "critical,keyAgreement");
	by_certificate(OFS_KEY_EC_P384, NULL);
}

static void
refused(enum ofs_key_type type, const char *usage, const char *words)
{
	EVP_PKEY *k = soft_key(type);
	X509 *c = auditor(k, usage, SOFT_DAY);

	assert_int_equal(wrap_x509_check(c, (int64_t)time(NULL) * 1000000, &e),
		OFS_ECERT);
	assert_non_null(strstr(e.message, words));
	X509_free(c);
	EVP_PKEY_free(k);
}

static void
refused_certificates(void **state)
{
	(void)state;
	refused(OFS_KEY_ED25519, NULL, "nothing can be encrypted");
	refused(OFS_KEY_RSA, "critical,digitalSignature", "keyEncipherment");
	refused(OFS_KEY_EC_P256, "critical,digitalSignature", "keyAgreement");
}

/* what a token would do */
static bool
decrypt(EVP_PKEY *k, const struct wrap_token *t, uint8_t out[32])
{
	const EVP_MD *md =
		t->hash == WRAP_OAEP_SHA1 ? EVP_sha1() : EVP_sha256();
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(k, NULL);
	uint8_t got[WRAP_OAEP_MAX];
	size_t n = sizeof(got);
	bool ok = EVP_PKEY_decrypt_init(ctx) == 1 &&
		EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) > 0 &&
		EVP_PKEY_CTX_set_rsa_oaep_md(ctx, md) > 0 &&
		EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, md) > 0 &&
		EVP_PKEY_decrypt(ctx, got, &n, t->box, t->n) == 1 && n == 32;

	EVP_PKEY_CTX_free(ctx);
	if (ok)
		memcpy(out, got, 32);
	return ok;
}

static void
key_by_token(void **state)
{
	EVP_PKEY *k = soft_key(OFS_KEY_RSA), *ec = soft_key(OFS_KEY_EC_P256),
		 *weak = EVP_RSA_gen(1024);
	struct wrap_token t, got, other;
	uint8_t w[WRAP_KWP_SIZE], back[32], spki[32];
	struct buf b = BUF_INIT;
	const uint8_t *kwp;

	(void)state;
	assert_int_equal(pubkey_sha256(k, spki, &e), 0);
	assert_int_equal(wrap_kwp(kek, key, w, &e), 0);
	for (enum wrap_oaep h = WRAP_OAEP_SHA1; h <= WRAP_OAEP_SHA256; h++) {
		assert_int_equal(wrap_token_init(&t, k, h, kek, &e), 0);
		buf_reset(&b);
		wrap_token_put(&t, w, &b);
		assert_int_equal(b.len, 36 + 256 + WRAP_KWP_SIZE);
		assert_int_equal(
			wrap_token_parse(b.p, b.len, &got, &kwp, &e), 0);
		assert_true(wrap_token_equal(&t, &got));
		assert_memory_equal(got.spki_sha256, spki, 32);
		assert_memory_equal(kwp, w, sizeof(w));
		assert_true(decrypt(k, &got, back));
		assert_memory_equal(back, kek, 32);
		/* with the other hash it is not what was meant */
		got.hash =
			h == WRAP_OAEP_SHA1 ? WRAP_OAEP_SHA256 : WRAP_OAEP_SHA1;
		assert_false(wrap_token_equal(&t, &got));
		assert_false(decrypt(k, &got, back));
	}
	for (size_t n = 0; n < b.len; n++)
		assert_int_equal(
			wrap_token_parse(b.p, n, &got, &kwp, &e), OFS_EDAMAGED);
	buf_u8(&b, 0);
	assert_int_equal(
		wrap_token_parse(b.p, b.len, &got, &kwp, &e), OFS_EDAMAGED);
	b.len--;
	/* version, hash, length; any other byte makes another box */
	for (size_t i = 0; i < b.len - WRAP_KWP_SIZE; i++) {
		int rc;

		b.p[i] ^= 0x11;
		rc = wrap_token_parse(b.p, b.len, &other, &kwp, &e);
		if (i < 2 || i == 34 || i == 35)
			assert_int_equal(rc, OFS_EDAMAGED);
		else
			assert_true(rc == 0 && !wrap_token_equal(&t, &other));
		b.p[i] ^= 0x11;
	}
	assert_int_equal(
		wrap_token_init(&t, ec, WRAP_OAEP_SHA1, kek, &e), OFS_EKEY);
	assert_int_equal(
		wrap_token_init(&t, weak, WRAP_OAEP_SHA1, kek, &e), OFS_EKEY);
	buf_free(&b);
	EVP_PKEY_free(k);
	EVP_PKEY_free(ec);
	EVP_PKEY_free(weak);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(key_by_key),
		cmocka_unit_test(key_by_passphrase),
		cmocka_unit_test(key_by_token),
		cmocka_unit_test(key_by_certificate),
		cmocka_unit_test(refused_certificates),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
