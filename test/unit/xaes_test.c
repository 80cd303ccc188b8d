/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* XAES-256-GCM against the vectors that C2SP publishes with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "crypto/xaes.h"

static struct ofs_error e;

static const struct {
	uint8_t key; /* 32 times */
	const char *aad, *derived, *sealed;
} vectors[] = {
	{ 1, "",
		"c8612c9ed53fe43e8e005b828a1631a0"
		"bbcb6ab2f46514ec4f439fcfd0fa969b",
		"ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271" },
	{ 3, "c2sp.org/XAES-256-GCM",
		"e9c621d4cdd9b11b00a6427ad7e559ae"
		"edd66b3857646677748f8ca796cb3fd8",
		"986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d" },
};

static void
fixed_vectors(void **state)
{
	const uint8_t *nonce = (const uint8_t *)"ABCDEFGHIJKLMNOPQRSTUVWX";
	const uint8_t *text = (const uint8_t *)"XAES-256-GCM";
	uint8_t key[32], derived[32], sealed[28], back[12];
	struct xaes_gcm g = { NULL, NULL };
	struct xaes x = { NULL, { 0 } };
	char hex[65];

	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		const uint8_t *aad = (const uint8_t *)vectors[i].aad;
		size_t n = strlen(vectors[i].aad);

		memset(key, vectors[i].key, sizeof(key));
		assert_int_equal(xaes_init(&x, key, &e), 0);
		assert_int_equal(xaes_derive(&x, nonce, derived, &e), 0);
		assert_string_equal(
			hex_encode(hex, derived, 32), vectors[i].derived);
		assert_int_equal(xaes_gcm_seal(&g, derived, nonce, aad, n, text,
					 12, sealed, &e),
			0);
		assert_string_equal(
			hex_encode(hex, sealed, 28), vectors[i].sealed);
		/* with the derived key alone */
		assert_int_equal(xaes_gcm_open(&g, derived, nonce, aad, n,
					 sealed, 28, back, &e),
			0);
		assert_memory_equal(back, text, 12);
	}
	xaes_free(&x);
	xaes_gcm_free(&g);
}

/* a stream of bytes that each test is read from */
struct stream {
	uint8_t *p;
	size_t at, len;
};

static const uint8_t *
take(struct stream *s, size_t n)
{
	assert_true(s->len - s->at >= n);
	s->at += n;
	return s->p + s->at - n;
}

static void
one_random(struct stream *s, struct xaes *x, struct xaes_gcm *g, EVP_MD_CTX *md)
{
	uint8_t derived[32], sealed[255 + XAES_TAG], back[255];
	const uint8_t *key = take(s, 32), *nonce = take(s, 24);
	size_t n = *take(s, 1), ad_n;
	const uint8_t *text = take(s, n), *ad;

	ad_n = *take(s, 1);
	ad = take(s, ad_n);
	assert_int_equal(xaes_init(x, key, &e), 0);
	assert_int_equal(xaes_derive(x, nonce, derived, &e), 0);
	assert_int_equal(
		xaes_gcm_seal(g, derived, nonce, ad, ad_n, text, n, sealed, &e),
		0);
	assert_int_equal(EVP_DigestUpdate(md, sealed, n + XAES_TAG), 1);
	assert_int_equal(xaes_gcm_open(g, derived, nonce, ad, ad_n, sealed,
				 n + XAES_TAG, back, &e),
		0);
	assert_memory_equal(back, text, n);
}

static void
accumulated(void **state)
{
	bool all = getenv("OFS_LONG") != NULL;
	size_t n = all ? 1000000 : 10000, i;
	/* of 313 bytes on average: SHAKE gives its output in one piece */
	struct stream s = { NULL, 0, n * 315 };
	struct xaes_gcm g = { NULL, NULL };
	struct xaes x = { NULL, { 0 } };
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	uint8_t sum[32];
	char hex[65];

	(void)state;
	s.p = malloc(s.len);
	assert_non_null(s.p);
	assert_int_equal(EVP_DigestInit_ex(md, EVP_shake128(), NULL), 1);
	assert_int_equal(EVP_DigestFinalXOF(md, s.p, s.len), 1);
	assert_string_equal(
		hex_encode(hex, s.p, 16), "7f9c2ba4e88f827d616045507605853e");
	assert_int_equal(EVP_DigestInit_ex(md, EVP_shake128(), NULL), 1);
	for (i = 0; i < n; i++)
		one_random(&s, &x, &g, md);
	assert_int_equal(EVP_DigestFinalXOF(md, sum, sizeof(sum)), 1);
	assert_string_equal(hex_encode(hex, sum, 32),
		all ? "2163ae1445985a30b60585ee67daa556"
		      "74df06901b890593e824b8a7c885ab15"
		    : "e6b9edf2df6cec60c8cbd864e2211b59"
		      "7fb69a529160cd040d56c0c210081939");
	free(s.p);
	EVP_MD_CTX_free(md);
	xaes_free(&x);
	xaes_gcm_free(&g);
}

/* any bit of what goes in changes the verdict, and nothing comes out */
static void
flipped_bits(void **state)
{
	uint8_t in[32 + 24 + 5 + 20 + XAES_TAG] = { 7 }, back[20];
	uint8_t *nonce = in + 32, *ad = nonce + 24, *sealed = ad + 5;
	struct xaes_gcm g = { NULL, NULL };
	static const uint8_t zeros[20];
	size_t bit;

	(void)state;
	assert_int_equal(
		xaes_gcm_seal(&g, in, nonce, ad, 5, sealed, 20, sealed, &e), 0);
	for (bit = 0; bit < 8 * sizeof(in); bit++) {
		/* the first half of the nonce makes the derived key */
		if (bit >= 8 * 32 && bit < 8 * (32 + 12))
			continue;
		memset(back, 0xff, sizeof(back));
		in[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(xaes_gcm_open(&g, in, nonce, ad, 5, sealed,
					 20 + XAES_TAG, back, &e),
			OFS_EDAMAGED);
		assert_memory_equal(back, zeros, sizeof(zeros));
		in[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_int_equal(xaes_gcm_open(&g, in, nonce, ad, 5, sealed,
				 20 + XAES_TAG, back, &e),
		0);
	for (size_t n = 0; n < 20 + XAES_TAG; n++)
		assert_int_equal(xaes_gcm_open(&g, in, nonce, ad, 5, sealed, n,
					 back, &e),
			OFS_EDAMAGED);
	xaes_gcm_free(&g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fixed_vectors),
		cmocka_unit_test(accumulated),
		cmocka_unit_test(flipped_bits),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
