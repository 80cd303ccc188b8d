/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Base64 with padding (RFC 4648 4), strict. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/base64.h"

#define LENGTH_MAX (INT_MAX / 4)

void
base64_encode(struct buf *to, const void *from, size_t n)
{
	uint8_t *p;

	if (n > LENGTH_MAX) {
		to->failed = true;
		return;
	}
	/* with room for the NUL that is not counted */
	p = buf_grow(to, (n + 2) / 3 * 4 + 1);
	if (p == NULL)
		return;
	EVP_EncodeBlock(p, from, (int)n);
	to->len--;
}

/* OpenSSL passes over blanks and odd bits: what it would write is compared */
static bool
same_again(const uint8_t *bytes, size_t n, const char *from, size_t len)
{
	struct buf again = BUF_INIT;
	bool same;

	base64_encode(&again, bytes, n);
	same = buf_ok(&again) && again.len == len &&
		memcmp(again.p, from, len) == 0;
	buf_free(&again);
	return same;
}

bool
base64_decode(struct buf *to, const char *from, size_t len)
{
	size_t n = len / 4 * 3, before = to->len;
	uint8_t *p;

	if (len == 0)
		return true;
	if (len % 4 != 0 || len > LENGTH_MAX)
		return false;
	p = buf_grow(to, n);
	if (p == NULL)
		return false;
	if (EVP_DecodeBlock(p, (const uint8_t *)from, (int)len) != (int)n) {
		to->len = before;
		return false;
	}
	if (from[len - 1] == '=')
		n--;
	if (from[len - 2] == '=')
		n--;
	to->len = before + n;
	if (same_again(p, n, from, len))
		return true;
	to->len = before;
	return false;
}

bool
base64_decode_to(void *to, size_t n, const char *from, size_t len)
{
	struct buf b = BUF_INIT;
	bool ok;

	ok = base64_decode(&b, from, len) && b.len == n;
	if (ok && n > 0)
		memcpy(to, b.p, n);
	buf_free(&b);
	return ok;
}
