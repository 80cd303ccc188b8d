/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* DER values one at a time: reading bounded input, writing heads. */
#ifndef FORMAT_TLV_H
#define FORMAT_TLV_H

#include "base/buf.h"
#include "base/rd.h"

enum {
	TLV_INTEGER = 0x02,
	TLV_OCTETS = 0x04,
	TLV_NULL = 0x05,
	TLV_OID = 0x06,
	TLV_UTC_TIME = 0x17,
	TLV_GENERALIZED_TIME = 0x18,
	TLV_SEQUENCE = 0x30,
	TLV_SET = 0x31
};
#define TLV_PRIMITIVE(n) (0x80 | (n))   /* [n] IMPLICIT, not constructed */
#define TLV_CONSTRUCTED(n) (0xa0 | (n)) /* [n] */

/* One value; borrowed from what is read. p == NULL: absent. */
struct tlv {
	uint8_t tag;
	const uint8_t *p; /* contents */
	size_t n;
	const uint8_t *der; /* head and contents */
	size_t der_len;
};

/*
 * The next value of r. Only one-octet tags and definite, minimal lengths that
 * fit what is left; anything else sets r->bad and returns false, with *t empty.
 */
bool tlv_next(struct rd *r, struct tlv *t);
/* the next value, which must have this tag */
bool tlv_take(struct rd *r, uint8_t tag, struct tlv *t);
/* the same, but another tag or the end is an absent value and not an error */
bool tlv_take_if(struct rd *r, uint8_t tag, struct tlv *t);
/* a reader of the contents */
void tlv_open(const struct tlv *t, struct rd *r);
bool tlv_same(const struct tlv *t, const void *der, size_t n);

/* bytes of a tag and the length of n bytes of contents */
size_t tlv_head_size(size_t n);
void tlv_put_head(struct buf *b, uint8_t tag, size_t n);
void tlv_put(struct buf *b, uint8_t tag, const void *p, size_t n);

/* Encodings to be put in the order of a DER SET OF (X.690 11.6). */
struct tlv_bytes {
	const uint8_t *p;
	size_t n;
};
void tlv_sort(struct tlv_bytes *v, size_t count);

#endif
