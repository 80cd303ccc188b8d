/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Time-stamps of RFC 3161: requests, and responses that are checked. */
#ifndef CRYPTO_TSP_H
#define CRYPTO_TSP_H

#include <openssl/x509.h>

#include "base/buf.h"
#include "base/err.h"

#define TSP_MAX (64u << 10) /* bytes of a request or a response */

/* DER of a request over SHA-256 of the bytes, with nonce and certReq */
int tsp_request(const void *p, size_t n, struct buf *der, struct ofs_error *e);
/* the SHA-256 that a request is over; OFS_EFORMAT, also without a nonce */
int tsp_request_imprint(
	const uint8_t *p, size_t n, uint8_t sha256[32], struct ofs_error *e);
/* the same of a response; nothing of it is checked */
int tsp_imprint(
	const uint8_t *p, size_t n, uint8_t sha256[32], struct ofs_error *e);
/* the time that a response states, us; nothing of it is checked. OFS_EFORMAT */
int tsp_time(const uint8_t *p, size_t n, int64_t *time, struct ofs_error *e);

/* Whose time-stamps count. */
struct tsp_trust {
	STACK_OF(X509) *roots;
	STACK_OF(X509) *chain; /* NULL: the response has what is needed */
	int64_t now;           /* us; 0: judged at the time it states */
};
/*
 * Granted, over that SHA-256 (and nonce, with the request), signed by a
 * certificate for timeStamping below the roots. OFS_EFORMAT, OFS_ESIGNATURE,
 * OFS_EUNTRUSTED; *time as above.
 */
int tsp_check(const uint8_t *p, size_t n, const uint8_t sha256[32],
	const uint8_t *request, size_t request_len,
	const struct tsp_trust *trust, int64_t *time, struct ofs_error *e);

#endif
