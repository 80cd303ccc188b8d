/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Outputs that wait for their release in a sealed log: nothing in the clear. */
#include <string.h>

#include <openssl/rand.h>

#include "audit/pending.h"

#include "base/mem.h"
#include "base/rd.h"

/* u32 epoch, nonce, and what is encrypted: u32 and path, u32 and output, 0s */
#define PREFIX (4 + XAES_NONCE)
#define AD_SIZE 23

static const char tag[] = "ofs-pending-v1";

/* a row is of its outcome and of no other */
static void
make_ad(uint64_t seq, uint8_t ad[AD_SIZE])
{
	memcpy(ad, tag, sizeof(tag)); /* with its NUL */
	for (size_t i = 0; i < 8; i++)
		ad[sizeof(tag) + i] = (uint8_t)(seq >> (56 - 8 * i));
}

_Static_assert(AD_SIZE == sizeof(tag) + 8, "tag and number");

int
pending_seal(ofs_audit *a, struct store_pending *row, struct buf *to,
	struct ofs_error *e)
{
	uint8_t nonce[XAES_NONCE], key[SEAL_KEY], ad[AD_SIZE], *p;
	struct key_epoch *ep;
	size_t at, n;
	int rc;

	rc = keys_for_writing(a, &ep, e);
	if (rc == 0 && RAND_bytes(nonce, sizeof(nonce)) != 1)
		rc = err_ssl(e, OFS_EAUDIT, "cannot encrypt an output");
	if (rc == 0)
		rc = xaes_derive(&ep->xaes, nonce, key, e);
	if (rc != 0)
		return rc;
	buf_u32(to, ep->epoch);
	buf_put(to, nonce, sizeof(nonce));
	at = to->len;
	buf_u32(to, (uint32_t)row->path.len);
	buf_put(to, row->path.p, row->path.len);
	buf_u32(to, (uint32_t)row->n);
	buf_put(to, row->p, row->n);
	n = (to->len - at + SEAL_PAD - 1) / SEAL_PAD * SEAL_PAD;
	while (buf_ok(to) && to->len < at + n)
		buf_u8(to, 0);
	p = buf_grow(to, XAES_TAG);
	make_ad(row->seq, ad);
	if (p == NULL || row->n > UINT32_MAX)
		rc = err_nomem(e);
	else
		rc = xaes_gcm_seal(&a->keys.seal.gcm, key, nonce, ad,
			sizeof(ad), to->p + at, n, to->p + at, e);
	mem_wipe(key, sizeof(key));
	row->path.p = to->p; /* an empty one, and not NULL */
	row->path.len = 0;
	row->p = to->p;
	row->n = to->len;
	return rc;
}

/* splits what was decrypted */
static int
take(const uint8_t *p, size_t n, struct store_pending *row, struct ofs_error *e)
{
	const uint8_t *path, *out, *rest;
	uint32_t path_n, out_n;
	uint8_t any = 0;
	struct rd r;

	rd_init(&r, p, n);
	path_n = rd_u32(&r);
	path = rd_bytes(&r, path_n);
	out_n = rd_u32(&r);
	out = rd_bytes(&r, out_n);
	n = r.left;
	rest = rd_bytes(&r, n);
	for (size_t i = 0; !r.bad && i < n; i++)
		any |= rest[i];
	if (!rd_done(&r) || any != 0 || n >= SEAL_PAD || path_n == 0 ||
		memchr(path, '\0', path_n) != NULL)
		return err_set(e, OFS_EDAMAGED,
			"table pending of the audit log holds a malformed row");
	buf_put(&row->path, path, path_n);
	row->p = out_n > 0 ? out : (const uint8_t *)"";
	row->n = out_n;
	return buf_cstr(&row->path) != NULL ? 0 : err_nomem(e);
}

static int
decrypt(ofs_audit *a, struct key_epoch *ep, const struct store_pending *sealed,
	struct store_pending *row, struct ofs_error *e)
{
	size_t n = sealed->n - PREFIX;
	uint8_t key[SEAL_KEY], ad[AD_SIZE], *to;
	int rc;

	buf_wipe(&a->keys.seal.out);
	to = buf_grow(&a->keys.seal.out, n);
	if (to == NULL)
		return err_nomem(e);
	make_ad(sealed->seq, ad);
	rc = xaes_derive(&ep->xaes, sealed->p + 4, key, e);
	if (rc == 0)
		rc = xaes_gcm_open(&a->keys.seal.gcm, key, sealed->p + 4, ad,
			sizeof(ad), sealed->p + PREFIX, n, to, e);
	mem_wipe(key, sizeof(key));
	if (rc != 0)
		return err_set(e, OFS_EDAMAGED,
			"output of record %llu, which waits for its release, "
			"is not the one that was sealed",
			(unsigned long long)sealed->seq);
	return take(to, n - XAES_TAG, row, e);
}

int
pending_open(ofs_audit *a, const struct store_pending *sealed,
	struct store_pending *row, bool *has, struct ofs_error *e)
{
	struct key_epoch *ep;
	struct rd r;
	int rc;

	*has = false;
	*row = *sealed;
	memset(&row->path, 0, sizeof(row->path));
	if (sealed->n < PREFIX + XAES_TAG || sealed->path.len != 0)
		return err_set(e, OFS_EDAMAGED,
			"table pending of the audit log holds a malformed row");
	rd_init(&r, sealed->p, sealed->n);
	rc = keys_epoch(a, rd_u32(&r), &ep, e);
	if (rc != 0 || !ep->open)
		return rc;
	rc = decrypt(a, ep, sealed, row, e);
	*has = rc == 0;
	return rc;
}
