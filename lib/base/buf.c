/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A growing byte buffer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

#define CAP_MIN 64

/* room for n more bytes; sets failed when there is none */
static bool
reserve(struct buf *b, size_t n)
{
	size_t cap, need;
	uint8_t *p;

	if (b->failed)
		return false;
	if (b->p != NULL && n <= b->cap - b->len)
		return true;
	if (n > SIZE_MAX / 4 || b->len > SIZE_MAX / 4) {
		b->failed = true;
		return false;
	}
	need = b->len + n;
	cap = b->cap < CAP_MIN ? CAP_MIN : b->cap + b->cap / 2;
	if (cap < need)
		cap = need;
	p = realloc(b->p, cap);
	if (p == NULL) {
		b->failed = true;
		return false;
	}
	b->p = p;
	b->cap = cap;
	return true;
}

void
buf_free(struct buf *b)
{
	free(b->p);
	*b = (struct buf)BUF_INIT;
}

void
buf_wipe(struct buf *b)
{
	mem_wipe(b->p, b->cap);
	buf_free(b);
}

void
buf_reset(struct buf *b)
{
	b->len = 0;
	b->failed = false;
}

bool
buf_ok(const struct buf *b)
{
	return !b->failed;
}

uint8_t *
buf_grow(struct buf *b, size_t n)
{
	uint8_t *p;

	if (!reserve(b, n))
		return NULL;
	p = b->p + b->len;
	b->len += n;
	return p;
}

void
buf_put(struct buf *b, const void *p, size_t n)
{
	uint8_t *to;

	if (n == 0)
		return;
	to = buf_grow(b, n);
	if (to != NULL)
		memcpy(to, p, n);
}

void
buf_str(struct buf *b, const char *s)
{
	buf_put(b, s, strlen(s));
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (!reserve(b, CAP_MIN))
		return;
	va_start(ap, fmt);
	n = vsnprintf((char *)b->p + b->len, b->cap - b->len, fmt, ap);
	va_end(ap);
	if (n < 0) {
		b->failed = true;
		return;
	}
	if ((size_t)n >= b->cap - b->len) {
		if (!reserve(b, (size_t)n + 1))
			return;
		va_start(ap, fmt);
		n = vsnprintf((char *)b->p + b->len, b->cap - b->len, fmt, ap);
		va_end(ap);
		if (n < 0 || (size_t)n >= b->cap - b->len) {
			b->failed = true;
			return;
		}
	}
	b->len += (size_t)n;
}

void
buf_u8(struct buf *b, uint8_t v)
{
	buf_put(b, &v, 1);
}

void
buf_u16(struct buf *b, uint16_t v)
{
	uint8_t p[2] = { (uint8_t)(v >> 8), (uint8_t)v };

	buf_put(b, p, sizeof(p));
}

void
buf_u32(struct buf *b, uint32_t v)
{
	uint8_t p[4];

	for (size_t i = 0; i < sizeof(p); i++)
		p[i] = (uint8_t)(v >> (8 * (sizeof(p) - 1 - i)));
	buf_put(b, p, sizeof(p));
}

void
buf_u64(struct buf *b, uint64_t v)
{
	uint8_t p[8];

	for (size_t i = 0; i < sizeof(p); i++)
		p[i] = (uint8_t)(v >> (8 * (sizeof(p) - 1 - i)));
	buf_put(b, p, sizeof(p));
}

const char *
buf_cstr(struct buf *b)
{
	if (!reserve(b, 1))
		return NULL;
	b->p[b->len] = '\0';
	return (const char *)b->p;
}

uint8_t *
buf_take(struct buf *b, size_t *len)
{
	uint8_t *p;

	*len = 0;
	if (!reserve(b, 1)) {
		buf_free(b);
		return NULL;
	}
	p = b->p;
	*len = b->len;
	*b = (struct buf)BUF_INIT;
	return p;
}
