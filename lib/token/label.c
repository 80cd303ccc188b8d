/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names as tokens give them: blank-padded, of any bytes, made printable. */
#include <stdbool.h>
#include <string.h>

#include "base/text.h"
#include "token/label.h"

size_t
label_len(const uint8_t *p, size_t n)
{
	while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\0'))
		n--;
	return n;
}

char *
label_text(char *to, size_t size, const uint8_t *p, size_t n)
{
	static const char hex[] = "0123456789abcdef";
	const char *s = (const char *)p;
	size_t at = 0, used = 0;

	while (at < n) {
		size_t len = text_utf8_char(s + at, n - at);
		bool plain = len > 0 && !text_is_control(s + at, len);
		size_t step = len > 0 ? len : 1;
		size_t need = plain ? step : 4 * step;

		if (used + need >= size)
			break;
		if (plain) {
			memcpy(to + used, p + at, step);
		} else {
			for (size_t i = 0; i < step; i++) {
				char *x = to + used + 4 * i;

				x[0] = '\\';
				x[1] = 'x';
				x[2] = hex[p[at + i] >> 4];
				x[3] = hex[p[at + i] & 15];
			}
		}
		used += need;
		at += step;
	}
	to[used] = '\0';
	return to;
}
