/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* XAES-256-GCM, authenticated encryption with long random nonces (C2SP). */
#include <limits.h>
#include <string.h>

#include "crypto/xaes.h"

#include "base/mem.h"

#define BLOCK 16
#define HALF 12 /* of the nonce: one for the key, one for GCM */

static int
failed(struct ofs_error *e)
{
	return err_ssl(e, OFS_EINTERNAL, "cannot use AES-256");
}

/* K1 = AES(0) << 1, and the reduction of GF(2^128) */
static void
double_block(uint8_t b[BLOCK])
{
	uint8_t carry = (uint8_t) - (b[0] >> 7);
	size_t i;

	for (i = 0; i + 1 < BLOCK; i++)
		b[i] = (uint8_t)(b[i] << 1 | b[i + 1] >> 7);
	b[i] = (uint8_t)(b[i] << 1 ^ (carry & 0x87));
}

int
xaes_init(struct xaes *x, const uint8_t key[XAES_KEY], struct ofs_error *e)
{
	static const uint8_t zeros[BLOCK];
	int n = 0;

	xaes_free(x);
	x->ecb = EVP_CIPHER_CTX_new();
	if (x->ecb == NULL)
		return err_nomem(e);
	if (EVP_EncryptInit_ex(x->ecb, EVP_aes_256_ecb(), NULL, key, NULL) !=
			1 ||
		EVP_CIPHER_CTX_set_padding(x->ecb, 0) != 1 ||
		EVP_EncryptUpdate(x->ecb, x->k1, &n, zeros, BLOCK) != 1 ||
		n != BLOCK) {
		xaes_free(x);
		return failed(e);
	}
	double_block(x->k1);
	return 0;
}

int
xaes_derive(struct xaes *x, const uint8_t nonce[XAES_NONCE],
	uint8_t derived[XAES_KEY], struct ofs_error *e)
{
	uint8_t m[2][BLOCK] = { { 0, 1, 'X', 0 }, { 0, 2, 'X', 0 } };
	size_t i;
	int n = 0;

	for (i = 0; i < 2; i++)
		memcpy(m[i] + BLOCK - HALF, nonce, HALF);
	for (i = 0; i < BLOCK; i++) {
		m[0][i] ^= x->k1[i];
		m[1][i] ^= x->k1[i];
	}
	if (EVP_EncryptUpdate(x->ecb, derived, &n, m[0], sizeof(m)) != 1 ||
		n != XAES_KEY)
		return failed(e);
	return 0;
}

void
xaes_free(struct xaes *x)
{
	EVP_CIPHER_CTX_free(x->ecb);
	mem_wipe(x, sizeof(*x));
}

/* the cipher is fetched once: that costs more than a small message */
static int
context(EVP_CIPHER_CTX **ctx, int enc, struct ofs_error *e)
{
	if (*ctx != NULL)
		return 0;
	*ctx = EVP_CIPHER_CTX_new();
	if (*ctx == NULL)
		return err_nomem(e);
	if (EVP_CipherInit_ex(*ctx, EVP_aes_256_gcm(), NULL, NULL, NULL, enc) ==
		1)
		return 0;
	EVP_CIPHER_CTX_free(*ctx);
	*ctx = NULL;
	return failed(e);
}

int
xaes_gcm_seal(struct xaes_gcm *g, const uint8_t derived[XAES_KEY],
	const uint8_t nonce[XAES_NONCE], const uint8_t *ad, size_t ad_n,
	const uint8_t *p, size_t n, uint8_t *to, struct ofs_error *e)
{
	int done = 0;

	if (n > INT_MAX || ad_n > INT_MAX)
		return err_set(e, OFS_EINVAL, "too much to encrypt at once");
	if (context(&g->enc, 1, e) != 0)
		return e->code;
	if (EVP_EncryptInit_ex(g->enc, NULL, NULL, derived, nonce + HALF) !=
			1 ||
		EVP_EncryptUpdate(g->enc, NULL, &done, ad, (int)ad_n) != 1 ||
		(n > 0 &&
			EVP_EncryptUpdate(g->enc, to, &done, p, (int)n) != 1) ||
		EVP_EncryptFinal_ex(g->enc, to + n, &done) != 1 ||
		EVP_CIPHER_CTX_ctrl(
			g->enc, EVP_CTRL_AEAD_GET_TAG, XAES_TAG, to + n) != 1)
		return failed(e);
	return 0;
}

int
xaes_gcm_open(struct xaes_gcm *g, const uint8_t derived[XAES_KEY],
	const uint8_t nonce[XAES_NONCE], const uint8_t *ad, size_t ad_n,
	const uint8_t *p, size_t n, uint8_t *to, struct ofs_error *e)
{
	uint8_t tag[XAES_TAG];
	int done = 0;

	if (n < XAES_TAG || n > INT_MAX || ad_n > INT_MAX)
		return err_set(e, OFS_EDAMAGED, "ciphertext is too short");
	if (context(&g->dec, 0, e) != 0)
		return e->code;
	n -= XAES_TAG;
	memcpy(tag, p + n, XAES_TAG);
	if (EVP_DecryptInit_ex(g->dec, NULL, NULL, derived, nonce + HALF) !=
			1 ||
		EVP_DecryptUpdate(g->dec, NULL, &done, ad, (int)ad_n) != 1 ||
		(n > 0 &&
			EVP_DecryptUpdate(g->dec, to, &done, p, (int)n) != 1) ||
		EVP_CIPHER_CTX_ctrl(
			g->dec, EVP_CTRL_AEAD_SET_TAG, XAES_TAG, tag) != 1)
		return failed(e);
	if (EVP_DecryptFinal_ex(g->dec, tag, &done) == 1)
		return 0;
	mem_wipe(to, n);
	return err_set(e, OFS_EDAMAGED,
		"ciphertext is not what this key has encrypted");
}

void
xaes_gcm_free(struct xaes_gcm *g)
{
	EVP_CIPHER_CTX_free(g->enc);
	EVP_CIPHER_CTX_free(g->dec);
	memset(g, 0, sizeof(*g));
}
