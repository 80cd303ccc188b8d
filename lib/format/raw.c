/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Raw signatures: which documents must not be signed bare. */
#include "base/rd.h"
#include "format/raw.h"
#include "format/tlv.h"

#define INDEFINITE UINT64_MAX

/*
 * A BER length, however it is written: some verifiers hash the attributes as
 * they came and not their DER.
 */
static uint64_t
ber_length(struct rd *r)
{
	uint64_t n = rd_u8(r);
	size_t octets;

	if (n < 0x80)
		return n;
	if (n == 0x80)
		return INDEFINITE;
	octets = n & 0x7f;
	for (n = 0; octets > 0; octets--) {
		if (n >> 48 != 0)
			r->bad = true;
		n = n << 8 | rd_u8(r);
	}
	return n;
}

bool
raw_looks_like_attrs(const uint8_t *p, size_t n, uint64_t total)
{
	uint64_t len;
	struct rd r;

	rd_init(&r, p, n);
	if (rd_u8(&r) != TLV_SET || r.bad)
		return false;
	len = ber_length(&r);
	if (r.bad)
		return false;
	if (len != INDEFINITE && len != total - (n - r.left))
		return false;
	/* empty, with the two octets that end an indefinite length */
	if (len == 0 || (len == INDEFINITE && total == 4))
		return true;
	if (rd_u8(&r) != TLV_SEQUENCE || r.bad)
		return false;
	(void)ber_length(&r);
	return rd_u8(&r) == TLV_OID && !r.bad;
}
