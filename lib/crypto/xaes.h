/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* XAES-256-GCM, authenticated encryption with long random nonces (C2SP). */
#ifndef CRYPTO_XAES_H
#define CRYPTO_XAES_H

#include <openssl/evp.h>

#include "base/err.h"

#define XAES_KEY 32
#define XAES_NONCE 24
#define XAES_TAG 16

/*
 * A key derives another one for each nonce (NIST SP 800-108r1 with CMAC, C2SP
 * "Detailed key derivation algorithm"); AES-256-GCM with the derived key and
 * the last 12 bytes of the nonce does the rest. So a derived key opens one
 * message, and no other. One thread at a time; zeros are an empty one.
 */
struct xaes {
	EVP_CIPHER_CTX *ecb;
	uint8_t k1[16]; /* the subkey of CMAC, SP 800-38B 6.1 */
};
int xaes_init(struct xaes *x, const uint8_t key[XAES_KEY], struct ofs_error *e);
int xaes_derive(struct xaes *x, const uint8_t nonce[XAES_NONCE],
	uint8_t derived[XAES_KEY], struct ofs_error *e);
void xaes_free(struct xaes *x); /* and wipes it */

/* Under derived keys; zeros are an empty one, to be used again and again. */
struct xaes_gcm {
	EVP_CIPHER_CTX *enc, *dec;
};
/* n bytes and a tag of XAES_TAG more go to `to`, which may be `p` */
int xaes_gcm_seal(struct xaes_gcm *g, const uint8_t derived[XAES_KEY],
	const uint8_t nonce[XAES_NONCE], const uint8_t *ad, size_t ad_n,
	const uint8_t *p, size_t n, uint8_t *to, struct ofs_error *e);
/*
 * n is with the tag; n - XAES_TAG bytes go to `to`, and are wiped when the tag
 * is wrong: OFS_EDAMAGED
 */
int xaes_gcm_open(struct xaes_gcm *g, const uint8_t derived[XAES_KEY],
	const uint8_t nonce[XAES_NONCE], const uint8_t *ad, size_t ad_n,
	const uint8_t *p, size_t n, uint8_t *to, struct ofs_error *e);
void xaes_gcm_free(struct xaes_gcm *g);

#endif
