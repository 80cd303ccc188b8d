/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* UTF-8 checks, and escaping of names that come from outside. */
#include <stdint.h>
#include <string.h>

#include "base/hex.h"
#include "base/text.h"

#define DOTS "..."

/* The longest piece of an escaped name: three bytes, each as \xNN. */
#define PIECE_MAX 16

size_t
text_utf8_char(const char *s, size_t left)
{
	const uint8_t *p = (const uint8_t *)s;
	uint8_t low = 0x80, high = 0xbf; /* range of the second byte */
	size_t n;

	if (left == 0)
		return 0;
	if (p[0] < 0x80)
		return 1;
	/* RFC 3629 4 */
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		n = 2;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		n = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		n = 4;
	else
		return 0;
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	if (n > left || p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if (p[i] < 0x80 || p[i] > 0xbf)
			return 0;
	return n;
}

bool
text_is_control(const char *s, size_t n)
{
	const uint8_t *p = (const uint8_t *)s;

	if (n == 1)
		return p[0] < 0x20 || p[0] == 0x7f;
	if (n == 2)
		return p[0] == 0xc2 && p[1] < 0xa0;
	if (n != 3 || p[0] != 0xe2)
		return false;
	/* U+2028 to U+202E, U+2066 to U+2069 */
	return (p[1] == 0x80 && p[2] >= 0xa8 && p[2] <= 0xae) ||
		(p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9);
}

/*
 * Writes the next character of s, or its escape, to out; returns the bytes
 * taken from s and sets *len to those written.
 */
static size_t
piece(const char *s, size_t left, char out[PIECE_MAX], size_t *len)
{
	static const char plain[] = "\n\r\t\\", letter[] = "nrt\\";
	size_t n = text_utf8_char(s, left);
	const char *at;

	*len = 0;
	if (n == 1 && (at = strchr(plain, s[0])) != NULL) {
		out[0] = '\\';
		out[1] = letter[at - plain];
		*len = 2;
		return 1;
	}
	if (n > 0 && !text_is_control(s, n)) {
		memcpy(out, s, n);
		*len = n;
		return n;
	}
	if (n == 0)
		n = 1;
	for (size_t i = 0; i < n; i++) {
		out[*len] = '\\';
		out[*len + 1] = 'x';
		hex_encode(out + *len + 2, s + i, 1);
		*len += 4;
	}
	return n;
}

const char *
text_q(struct text_q *q, const char *name)
{
	const size_t room = sizeof(q->s) - 1;
	const size_t side = (room - strlen(DOTS)) / 2;
	size_t left, len, total = 0, at = 0, o = 0;
	char out[PIECE_MAX];
	bool cut = false;
	const char *s;

	if (name == NULL)
		name = "";
	s = name;
	for (left = strlen(s); left > 0;) {
		size_t n = piece(s, left, out, &len);

		s += n;
		left -= n;
		total += len;
	}
	s = name;
	for (left = strlen(s); left > 0; at += len) {
		size_t n = piece(s, left, out, &len);

		s += n;
		left -= n;
		if (total <= room || at + len <= side || at >= total - side) {
			memcpy(q->s + o, out, len);
			o += len;
		} else if (!cut) {
			memcpy(q->s + o, DOTS, strlen(DOTS));
			o += strlen(DOTS);
			cut = true;
		}
	}
	q->s[o] = '\0';
	return q->s;
}

bool
text_is_utf8(const char *s, size_t len)
{
	while (len > 0) {
		size_t n = text_utf8_char(s, len);

		if (n == 0)
			return false;
		s += n;
		len -= n;
	}
	return true;
}

void
text_clean(char *s)
{
	size_t left = strlen(s), n;
	char *to = s;

	for (; left > 0; s += n, left -= n) {
		n = text_utf8_char(s, left);
		if (n == 0) {
			n = 1;
			*to++ = '?';
		} else if (text_is_control(s, n)) {
			*to++ = ' ';
		} else {
			memmove(to, s, n);
			to += n;
		}
	}
	*to = '\0';
}
