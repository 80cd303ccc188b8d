/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* RSA moduli of the ROCA kind (CVE-2017-15361), known by their fingerprint. */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>

#include "crypto/roca.h"

#define GENERATOR 65537u
/* the 39th prime: the shortest keys use that many, longer ones more */
#define LAST_PRIME 167u

static bool
is_prime(unsigned int n)
{
	for (unsigned int d = 2; d * d <= n; d++)
		if (n % d == 0)
			return false;
	return n > 1;
}

/* r is a power of the generator modulo p; 0 is none */
static bool
is_power(unsigned int r, unsigned int p)
{
	unsigned int power = 1;

	do {
		if (power == r)
			return true;
		power = power * (GENERATOR % p) % p;
	} while (power != 1);
	return false;
}

bool
roca_suspect_modulus(const BIGNUM *n)
{
	if (BN_is_zero(n) || BN_is_negative(n))
		return false;
	for (unsigned int p = 2; p <= LAST_PRIME; p++) {
		BN_ULONG r;

		if (!is_prime(p))
			continue;
		r = BN_mod_word(n, p);
		if (r == (BN_ULONG)-1 || !is_power((unsigned int)r, p))
			return false;
	}
	return true;
}

bool
roca_suspect(const EVP_PKEY *k)
{
	BIGNUM *n = NULL;
	bool suspect;

	if (EVP_PKEY_get_base_id(k) != EVP_PKEY_RSA)
		return false;
	suspect = EVP_PKEY_get_bn_param(k, OSSL_PKEY_PARAM_RSA_N, &n) == 1 &&
		roca_suspect_modulus(n);
	BN_free(n);
	ERR_clear_error();
	return suspect;
}
