/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* DER values one at a time: reading bounded input, writing heads. */
#include <string.h>

#include "format/tlv.h"

/* Contents may have at most 2^32 - 1 bytes. */
static size_t
read_length(struct rd *r)
{
	size_t n = rd_u8(r), octets;

	if (n < 0x80)
		return n;
	octets = n & 0x7f;
	if (octets == 0 || octets > 4) {
		r->bad = true;
		return 0;
	}
	n = rd_u8(r);
	if (n == 0)
		r->bad = true;
	for (size_t i = 1; i < octets; i++)
		n = n << 8 | rd_u8(r);
	if (n < 0x80)
		r->bad = true;
	return n;
}

bool
tlv_next(struct rd *r, struct tlv *t)
{
	struct rd start = *r;

	memset(t, 0, sizeof(*t));
	if (r->bad)
		return false;
	t->tag = rd_u8(r);
	if ((t->tag & 0x1f) == 0x1f)
		r->bad = true;
	t->n = read_length(r);
	if (r->bad || t->n > r->left) {
		memset(t, 0, sizeof(*t));
		r->bad = true;
		return false;
	}
	t->der = start.p;
	t->der_len = start.left - r->left + t->n;
	t->p = start.p + (t->der_len - t->n);
	rd_bytes(r, t->n);
	return true;
}

bool
tlv_take(struct rd *r, uint8_t tag, struct tlv *t)
{
	if (!tlv_next(r, t))
		return false;
	if (t->tag == tag)
		return true;
	memset(t, 0, sizeof(*t));
	r->bad = true;
	return false;
}

bool
tlv_take_if(struct rd *r, uint8_t tag, struct tlv *t)
{
	memset(t, 0, sizeof(*t));
	if (r->bad || r->left == 0 || r->p[0] != tag)
		return false;
	return tlv_next(r, t);
}

void
tlv_open(const struct tlv *t, struct rd *r)
{
	rd_init(r, t->p, t->n);
	r->bad = t->p == NULL;
}

bool
tlv_same(const struct tlv *t, const void *der, size_t n)
{
	return t->p != NULL && t->der_len == n && memcmp(t->der, der, n) == 0;
}

static size_t
length_octets(size_t n)
{
	size_t octets = 1;

	while (n > 0xff) {
		n >>= 8;
		octets++;
	}
	return octets;
}

size_t
tlv_head_size(size_t n)
{
	return n < 0x80 ? 2 : 2 + length_octets(n);
}

void
tlv_put_head(struct buf *b, uint8_t tag, size_t n)
{
	uint8_t head[2 + sizeof(n)];
	size_t octets = tlv_head_size(n) - 2;

	head[0] = tag;
	head[1] = (uint8_t)(octets == 0 ? n : 0x80 | octets);
	for (size_t i = 0; i < octets; i++)
		head[2 + i] = (uint8_t)(n >> (8 * (octets - 1 - i)));
	buf_put(b, head, 2 + octets);
}

void
tlv_put(struct buf *b, uint8_t tag, const void *p, size_t n)
{
	tlv_put_head(b, tag, n);
	buf_put(b, p, n);
}

/* One encoding is never the beginning of another: lengths lead. */
static bool
before(const struct tlv_bytes *a, const struct tlv_bytes *b)
{
	return memcmp(a->p, b->p, a->n < b->n ? a->n : b->n) < 0;
}

/* by insertion: there are a handful */
void
tlv_sort(struct tlv_bytes *v, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		struct tlv_bytes x = v[i];
		size_t k = i;

		for (; k > 0 && before(&x, &v[k - 1]); k--)
			v[k] = v[k - 1];
		v[k] = x;
	}
}
