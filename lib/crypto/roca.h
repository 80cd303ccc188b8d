/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* RSA moduli of the ROCA kind (CVE-2017-15361), known by their fingerprint. */
#ifndef CRYPTO_ROCA_H
#define CRYPTO_ROCA_H

#include <openssl/evp.h>

#include <stdbool.h>

/*
 * The library in question made primes p = k * M + (65537^a mod M), M the
 * product of the first primes (39 of them at least). So its moduli are powers
 * of 65537 modulo each of those, which others are with a chance of about
 * 2^-27 (Nemec, Sys and others, "The Return of Coppersmith's Attack", 2017,
 * section 2.2). False for a key that is not RSA.
 */
bool roca_suspect(const EVP_PKEY *k);
bool roca_suspect_modulus(const BIGNUM *n);

#endif
