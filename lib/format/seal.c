/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Encrypted record bodies: cipher 1 of ofs-audit-format(5). */
#include <string.h>

#include <openssl/crypto.h>

#include "format/seal.h"

#include "base/mem.h"

#define AD_SIZE 92 /* the header up to the nonce */

static const char record_tag[] = "ofs-key-commit-v1";
static const char epoch_tag[] = "ofs-epoch-commit-v1";

void
seal_free(struct seal *s)
{
	xaes_gcm_free(&s->gcm);
	digest_free(&s->sha);
	buf_wipe(&s->out);
}

/* empties s->out and makes room for n bytes in it; NULL: out of memory */
static uint8_t *
room(struct seal *s, size_t n)
{
	mem_wipe(s->out.p, s->out.len);
	if (n > s->out.cap)
		buf_wipe(&s->out); /* growing would leave a copy behind */
	buf_reset(&s->out);
	return buf_grow(&s->out, n);
}

int
seal_commit(struct seal *s, const uint8_t record_key[SEAL_KEY], uint8_t out[32],
	struct ofs_error *e)
{
	int rc;

	rc = digest_begin(&s->sha, &digest_sha256, e);
	if (rc == 0) /* its NUL is the zero byte */
		rc = digest_update(&s->sha, record_tag, sizeof(record_tag), e);
	if (rc == 0)
		rc = digest_update(&s->sha, record_key, SEAL_KEY, e);
	return rc != 0 ? rc : digest_end(&s->sha, out, e);
}

int
seal_epoch_commit(struct seal *s, uint32_t epoch,
	const uint8_t data_key[SEAL_KEY], uint8_t out[32], struct ofs_error *e)
{
	const uint8_t number[4] = { (uint8_t)(epoch >> 24),
		(uint8_t)(epoch >> 16), (uint8_t)(epoch >> 8), (uint8_t)epoch };
	int rc;

	rc = digest_begin(&s->sha, &digest_sha256, e);
	if (rc == 0)
		rc = digest_update(&s->sha, epoch_tag, sizeof(epoch_tag), e);
	if (rc == 0)
		rc = digest_update(&s->sha, number, sizeof(number), e);
	if (rc == 0)
		rc = digest_update(&s->sha, data_key, SEAL_KEY, e);
	return rc != 0 ? rc : digest_end(&s->sha, out, e);
}

static int
hash(struct seal *s, const uint8_t *p, size_t n, uint8_t out[32],
	struct ofs_error *e)
{
	int rc;

	rc = digest_begin(&s->sha, &digest_sha256, e);
	if (rc == 0)
		rc = digest_update(&s->sha, p, n, e);
	return rc != 0 ? rc : digest_end(&s->sha, out, e);
}

int
seal_body(struct seal *s, struct xaes *key, struct record_header *h,
	const uint8_t *der, size_t n, struct ofs_error *e)
{
	size_t padded = (n + SEAL_PAD - 1) / SEAL_PAD * SEAL_PAD;
	uint8_t header[RECORD_HEADER_SIZE], record_key[SEAL_KEY], *to;
	int rc;

	if (n == 0 || padded + XAES_TAG > RECORD_BODY_MAX)
		return err_set(
			e, OFS_EINVAL, "record body is too long to be sealed");
	to = room(s, padded + XAES_TAG);
	if (to == NULL)
		return err_nomem(e);
	memcpy(to, der, n);
	memset(to + n, 0, padded - n);
	h->cipher = SEAL_CIPHER;
	h->body_len = (uint32_t)(padded + XAES_TAG);
	record_header_encode(h, header);
	rc = xaes_derive(key, h->nonce, record_key, e);
	if (rc == 0)
		rc = seal_commit(s, record_key, h->key_commit, e);
	if (rc == 0)
		rc = xaes_gcm_seal(&s->gcm, record_key, h->nonce, header,
			AD_SIZE, to, padded, to, e);
	if (rc == 0)
		rc = hash(s, to, padded + XAES_TAG, h->body_sha256, e);
	mem_wipe(record_key, sizeof(record_key));
	if (rc != 0)
		(void)room(s, 0);
	return rc;
}

static int
check_commit(struct seal *s, const uint8_t record_key[SEAL_KEY],
	const struct record_header *h, struct ofs_error *e)
{
	uint8_t ours[32];
	int rc = seal_commit(s, record_key, ours, e);

	if (rc == 0 && CRYPTO_memcmp(ours, h->key_commit, sizeof(ours)) != 0)
		rc = err_set(e, OFS_EDAMAGED,
			"its key is not the one that its header commits to");
	return rc;
}

int
seal_record_key(struct seal *s, struct xaes *key, const struct record_header *h,
	uint8_t record_key[SEAL_KEY], struct ofs_error *e)
{
	int rc;

	rc = xaes_derive(key, h->nonce, record_key, e);
	if (rc == 0)
		rc = check_commit(s, record_key, h, e);
	if (rc != 0)
		mem_wipe(record_key, SEAL_KEY);
	return rc;
}

/* of the DER value at the beginning, header included; 0: there is none */
static size_t
der_length(const uint8_t *p, size_t n)
{
	size_t len, bytes, i;

	if (n < 2)
		return 0;
	if (p[1] < 0x80)
		return (size_t)p[1] + 2;
	bytes = p[1] & 0x7f;
	if (bytes == 0 || bytes > 4 || bytes + 2 > n)
		return 0;
	for (len = 0, i = 0; i < bytes; i++)
		len = len << 8 | p[2 + i];
	return len + 2 + bytes;
}

/* what is behind the body is padding: zeros, and as few as there can be */
static int
cut_padding(struct seal *s, struct ofs_error *e)
{
	size_t n = der_length(s->out.p, s->out.len), i;
	uint8_t any = 0;

	if (n > 0 && n <= s->out.len && s->out.len - n < SEAL_PAD)
		for (i = n; i < s->out.len; i++)
			any |= s->out.p[i];
	else
		any = 1;
	if (any != 0)
		return err_set(e, OFS_EDAMAGED, "its padding is malformed");
	s->out.len = n;
	return 0;
}

int
seal_open(struct seal *s, const uint8_t record_key[SEAL_KEY],
	const struct record_header *h, const uint8_t *body, size_t n,
	struct ofs_error *e)
{
	uint8_t header[RECORD_HEADER_SIZE], *to;
	int rc;

	if (h->cipher != SEAL_CIPHER || n != h->body_len ||
		n < SEAL_PAD + XAES_TAG || (n - XAES_TAG) % SEAL_PAD != 0)
		return err_set(
			e, OFS_EDAMAGED, "its body is not one that was sealed");
	rc = check_commit(s, record_key, h, e);
	if (rc != 0)
		return rc;
	to = room(s, n - XAES_TAG);
	if (to == NULL)
		return err_nomem(e);
	record_header_encode(h, header);
	rc = xaes_gcm_open(
		&s->gcm, record_key, h->nonce, header, AD_SIZE, body, n, to, e);
	if (rc == 0)
		rc = cut_padding(s, e);
	if (rc != 0)
		(void)room(s, 0);
	return rc;
}
