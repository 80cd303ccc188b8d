/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hexadecimal. */
#include "base/hex.h"

static int
digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

char *
hex_encode(char *to, const void *from, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *p = from;
	char *s = to;

	for (size_t i = 0; i < n; i++) {
		*s++ = digits[p[i] >> 4];
		*s++ = digits[p[i] & 15];
	}
	*s = '\0';
	return to;
}

bool
hex_decode(void *to, size_t n, const char *from, size_t len)
{
	uint8_t *p = to;

	if (len % 2 != 0 || len / 2 != n)
		return false;
	for (size_t i = 0; i < n; i++) {
		int high = digit(from[2 * i]), low = digit(from[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		p[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}
