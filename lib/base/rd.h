/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A bounded reader of outside bytes; numbers are big-endian. */
#ifndef BASE_RD_H
#define BASE_RD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Reading past the end returns zeros (or NULL) and sets `bad` for good: read a
 * whole struct, then ask rd_done(), which is true when nothing was bad and
 * nothing is left. rd_bytes() of 0 bytes may be NULL.
 */
struct rd {
	const uint8_t *p;
	size_t left;
	bool bad;
};

void rd_init(struct rd *r, const void *p, size_t len);
uint8_t rd_u8(struct rd *r);
uint16_t rd_u16(struct rd *r);
uint32_t rd_u32(struct rd *r);
uint64_t rd_u64(struct rd *r);
const uint8_t *rd_bytes(struct rd *r, size_t n); /* borrowed */
void rd_copy(struct rd *r, void *to, size_t n);
bool rd_done(const struct rd *r);

#endif
