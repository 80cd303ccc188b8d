/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The fingerprint of ROCA moduli: found where it is, and nowhere else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/rsa.h>

#include "crypto/roca.h"

#define RANDOM_MODULI 400

/* the product of the first n primes */
static BIGNUM *
primorial(int n)
{
	BIGNUM *m = BN_new();

	assert_int_equal(BN_one(m), 1);
	for (BN_ULONG p = 2; n > 0; p++) {
		bool prime = true;

		for (BN_ULONG d = 2; d * d <= p; d++)
			prime = prime && p % d != 0;
		if (prime) {
			assert_int_equal(BN_mul_word(m, p), 1);
			n--;
		}
	}
	return m;
}

/* p = k * M + (65537^a mod M) of that many bits */
static BIGNUM *
weak_prime(const BIGNUM *m, int bits, BN_CTX *ctx)
{
	BIGNUM *p = BN_new(), *k = BN_new(), *a = BN_new(), *g = BN_new();
	int room = bits - BN_num_bits(m);

	assert_true(room > 8);
	BN_set_word(g, 65537);
	do {
		assert_int_equal(BN_rand(a, 256, BN_RAND_TOP_ANY, 0), 1);
		assert_int_equal(
			BN_rand(k, room, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY),
			1);
		assert_int_equal(BN_mod_exp(p, g, a, m, ctx), 1);
		assert_int_equal(BN_mul(k, k, m, ctx), 1);
		assert_int_equal(BN_add(p, p, k), 1);
	} while (BN_check_prime(p, ctx, NULL) != 1);
	BN_free(k);
	BN_free(a);
	BN_free(g);
	return p;
}

static void
weak_modulus_is_found(int primes, int bits)
{
	BN_CTX *ctx = BN_CTX_new();
	BIGNUM *m = primorial(primes), *n = BN_new();
	BIGNUM *p = weak_prime(m, bits / 2, ctx);
	BIGNUM *q = weak_prime(m, bits / 2, ctx);

	assert_int_equal(BN_mul(n, p, q, ctx), 1);
	assert_true(roca_suspect_modulus(n));
	/* one more or less is none */
	assert_int_equal(BN_add_word(n, 2), 1);
	assert_false(roca_suspect_modulus(n));
	/* one weak prime is not enough either */
	assert_int_equal(
		BN_generate_prime_ex2(q, bits / 2, 0, NULL, NULL, NULL, ctx),
		1);
	assert_int_equal(BN_mul(n, p, q, ctx), 1);
	assert_false(roca_suspect_modulus(n));
	BN_free(m);
	BN_free(n);
	BN_free(p);
	BN_free(q);
	BN_CTX_free(ctx);
}

static void
finds_weak_moduli(void **state)
{
	(void)state;
	weak_modulus_is_found(39, 512);
	weak_modulus_is_found(71, 1024);
	weak_modulus_is_found(126, 2048);
}

static void
passes_random_moduli(void **state)
{
	BIGNUM *n = BN_new();

	(void)state;
	for (int i = 0; i < RANDOM_MODULI; i++) {
		assert_int_equal(
			BN_rand(n, 2048, BN_RAND_TOP_TWO, BN_RAND_BOTTOM_ODD),
			1);
		assert_false(roca_suspect_modulus(n));
	}
	BN_zero(n);
	assert_false(roca_suspect_modulus(n));
	/* every power of the generator has the fingerprint, 1 is one */
	assert_int_equal(BN_one(n), 1);
	assert_true(roca_suspect_modulus(n));
	assert_int_equal(BN_set_word(n, 65537), 1);
	assert_true(roca_suspect_modulus(n));
	BN_free(n);
}

static void
passes_generated_keys(void **state)
{
	EVP_PKEY *k;

	(void)state;
	k = EVP_RSA_gen(2048);
	assert_non_null(k);
	assert_false(roca_suspect(k));
	EVP_PKEY_free(k);
	k = EVP_EC_gen("P-256");
	assert_non_null(k);
	assert_false(roca_suspect(k));
	EVP_PKEY_free(k);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_weak_moduli),
		cmocka_unit_test(passes_random_moduli),
		cmocka_unit_test(passes_generated_keys),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("roca", tests, NULL, NULL);
}
