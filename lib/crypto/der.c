/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks that outside bytes are DER and not merely BER. */
#include <string.h>

#include "crypto/der.h"

#define DEPTH_MAX 32
#define CONSTRUCTED 0x20
#define CLASS_MASK 0xc0

enum {
	TAG_BOOLEAN = 1,
	TAG_INTEGER = 2,
	TAG_BITS = 3,
	TAG_NULL = 5,
	TAG_OID = 6,
	TAG_ENUMERATED = 10,
	TAG_SEQUENCE = 16,
	TAG_SET = 17
};

/* One value: identifier octets, header length, contents. */
struct tlv {
	uint8_t tag;      /* first identifier octet */
	size_t head;      /* identifier and length octets */
	size_t len;       /* contents */
	const uint8_t *p; /* contents */
};

/* Identifier octets after the first: X.690 8.1.2.4; 0 if wrong. */
static size_t
long_tag(const uint8_t *p, size_t n)
{
	uint32_t v = 0;

	for (size_t i = 1; i < n && i <= 4; i++) {
		if (i == 1 && p[i] == 0x80)
			return 0;
		v = v << 7 | (p[i] & 0x7f);
		if ((p[i] & 0x80) == 0)
			return v < 31 ? 0 : i + 1;
	}
	return 0;
}

/* Takes one value off the front; false if there is none in DER. */
static bool
take(const uint8_t **p, size_t *n, struct tlv *t)
{
	const uint8_t *s = *p;
	size_t at = 1, count;

	if (*n < 2)
		return false;
	t->tag = s[0];
	if ((s[0] & 0x1f) == 0x1f && (at = long_tag(s, *n)) == 0)
		return false;
	if (at >= *n)
		return false;
	t->len = s[at++];
	if (t->len >= 0x80) {
		count = t->len & 0x7f;
		if (count == 0 || count > 4 || count > *n - at || s[at] == 0)
			return false;
		for (t->len = 0; count > 0; count--)
			t->len = t->len << 8 | s[at++];
		if (t->len < 0x80)
			return false;
		/* the first octet is not 0, so more octets mean more */
	}
	if (t->len > *n - at)
		return false;
	t->head = at;
	t->p = s + at;
	*p += at + t->len;
	*n -= at + t->len;
	return true;
}

static bool
integer_ok(const uint8_t *p, size_t n)
{
	if (n == 0)
		return false;
	return n == 1 ||
		!((p[0] == 0 && (p[1] & 0x80) == 0) ||
			(p[0] == 0xff && (p[1] & 0x80) != 0));
}

static bool
bits_ok(const uint8_t *p, size_t n)
{
	if (n == 0 || p[0] > 7)
		return false;
	if (n == 1)
		return p[0] == 0;
	return (p[n - 1] & ((1u << p[0]) - 1)) == 0;
}

/* X.690 8.19: every subidentifier minimal and complete */
static bool
oid_ok(const uint8_t *p, size_t n)
{
	bool start = true;

	for (size_t i = 0; i < n; i++) {
		if (start && p[i] == 0x80)
			return false;
		start = (p[i] & 0x80) == 0;
	}
	return n > 0 && start;
}

static bool
primitive_ok(const struct tlv *t)
{
	if ((t->tag & CLASS_MASK) != 0)
		return true;
	switch (t->tag) {
	case TAG_BOOLEAN:
		return t->len == 1 && (t->p[0] == 0 || t->p[0] == 0xff);
	case TAG_INTEGER:
	case TAG_ENUMERATED:
		return integer_ok(t->p, t->len);
	case TAG_BITS:
		return bits_ok(t->p, t->len);
	case TAG_NULL:
		return t->len == 0;
	case TAG_OID:
		return oid_ok(t->p, t->len);
	case 0: /* end-of-contents */
	case TAG_SEQUENCE:
	case TAG_SET:
		return false;
	default:
		return true;
	}
}

/* X.690 11.6: as octet strings, the shorter one padded with zeros */
static bool
ascending(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
	size_t n = a_len < b_len ? a_len : b_len;
	int c = memcmp(a, b, n);

	if (c != 0)
		return c < 0;
	for (; n < a_len; n++)
		if (a[n] != 0)
			return false;
	return true;
}

static bool
values_ok(const uint8_t *p, size_t n, bool sorted, unsigned depth)
{
	const uint8_t *prev = NULL;
	size_t prev_len = 0;
	struct tlv t;

	while (n > 0) {
		const uint8_t *start = p;

		if (!take(&p, &n, &t))
			return false;
		if (sorted && prev != NULL &&
			!ascending(prev, prev_len, start, t.head + t.len))
			return false;
		prev = start;
		prev_len = t.head + t.len;
		if ((t.tag & CONSTRUCTED) == 0) {
			if (!primitive_ok(&t))
				return false;
			continue;
		}
		/* of the universal types only these two are constructed */
		if ((t.tag & CLASS_MASK) == 0 &&
			t.tag != (CONSTRUCTED | TAG_SEQUENCE) &&
			t.tag != (CONSTRUCTED | TAG_SET))
			return false;
		if (depth == DEPTH_MAX ||
			!values_ok(t.p, t.len, t.tag == (CONSTRUCTED | TAG_SET),
				depth + 1))
			return false;
	}
	return true;
}

bool
der_is_strict(const uint8_t *p, size_t n)
{
	const uint8_t *rest = p;
	size_t left = n;
	struct tlv t;

	return take(&rest, &left, &t) && left == 0 && values_ok(p, n, false, 1);
}

bool
der_is_ecdsa_sig(const uint8_t *p, size_t n)
{
	struct tlv seq, v;

	if (!take(&p, &n, &seq) || n != 0 ||
		seq.tag != (CONSTRUCTED | TAG_SEQUENCE))
		return false;
	for (int i = 0; i < 2; i++)
		if (!take(&seq.p, &seq.len, &v) || v.tag != TAG_INTEGER ||
			!integer_ok(v.p, v.len) || (v.p[0] & 0x80) != 0)
			return false;
	return seq.len == 0;
}
