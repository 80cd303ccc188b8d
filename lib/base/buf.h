/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A growing byte buffer; numbers go in big-endian. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A failed allocation sets `failed`, and later puts do nothing: check once at
 * the end with buf_ok(). BUF_INIT or zeroed memory is an empty buffer. Growing
 * leaves copies behind: secrets belong in memory of mem_secret_new().
 */
struct buf {
	uint8_t *p;
	size_t len;
	size_t cap;
	bool failed;
};

#define BUF_INIT                  \
	{                         \
		NULL, 0, 0, false \
	}

void buf_free(struct buf *b);  /* and makes it empty */
void buf_wipe(struct buf *b);  /* wipes all of cap, then frees */
void buf_reset(struct buf *b); /* length 0, keeps the memory */
bool buf_ok(const struct buf *b);
uint8_t *buf_grow(struct buf *b, size_t n); /* n more bytes; NULL on failure */
void buf_put(struct buf *b, const void *p, size_t n);
void buf_str(struct buf *b, const char *s); /* without its NUL */
void buf_printf(struct buf *b, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void buf_u8(struct buf *b, uint8_t v);
void buf_u16(struct buf *b, uint16_t v);
void buf_u32(struct buf *b, uint32_t v);
void buf_u64(struct buf *b, uint64_t v);
/* adds a NUL that is not counted and returns the bytes; NULL on failure */
const char *buf_cstr(struct buf *b);
/*
 * hands the memory to the caller (free with free()); the buffer is empty then.
 * NULL only after a failure, never for an empty buffer
 */
uint8_t *buf_take(struct buf *b, size_t *len);

#endif
