/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks that outside bytes are DER and not merely BER. */
#ifndef CRYPTO_DER_H
#define CRYPTO_DER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * True when p holds exactly one DER value (X.690 8, 10, 11), all the way down
 * to 32 levels: definite and minimal lengths, no bytes behind it, minimal
 * INTEGER, BOOLEAN 00 or ff, unused bits of a BIT STRING zero, strings
 * primitive, SET in ascending order. What is inside OCTET and BIT STRINGs and
 * implicitly tagged primitives is not looked at. OpenSSL's own parser accepts
 * much that is not DER, and hands back cached bytes when asked to re-encode.
 */
bool der_is_strict(const uint8_t *p, size_t n);

/* SEQUENCE of two positive INTEGERs and nothing else, DER (RFC 3279 2.2.3) */
bool der_is_ecdsa_sig(const uint8_t *p, size_t n);

#endif
