/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text from outside made fit for terminals and shells. */
#include <inttypes.h>
#include <string.h>

#include "common/plain.h"

/* the longest escape: three bytes, each as \xNN */
#define PIECE_MAX 16

/* RFC 3629 4 */
size_t
plain_utf8_len(const char *s, size_t left)
{
	const uint8_t *p = (const uint8_t *)s;
	uint8_t low = 0x80, high = 0xbf;
	size_t n, i;

	if (left == 0)
		return 0;
	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
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
	for (i = 2; i < n; i++)
		if (p[i] < 0x80 || p[i] > 0xbf)
			return 0;
	return n;
}

bool
plain_utf8(const char *s, size_t n)
{
	while (n > 0) {
		size_t len = plain_utf8_len(s, n);

		if (len == 0)
			return false;
		s += len;
		n -= len;
	}
	return true;
}

/* a character that would disturb a line: controls, separators, bidi marks */
static bool
disturbs(const char *s, size_t n)
{
	const uint8_t *p = (const uint8_t *)s;

	if (n == 1)
		return p[0] < 0x20 || p[0] == 0x7f;
	if (n == 2)
		return p[0] == 0xc2 && p[1] < 0xa0;
	if (n != 3 || p[0] != 0xe2)
		return false;
	/* U+200E, U+200F, U+2028 to U+202E, U+2066 to U+2069 */
	return (p[1] == 0x80 && (p[2] == 0x8e || p[2] == 0x8f)) ||
		(p[1] == 0x80 && p[2] >= 0xa8 && p[2] <= 0xae) ||
		(p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9);
}

/*
 * The next character of s, or its escape, to `out`; returns the bytes taken.
 */
static size_t
piece(const char *s, size_t left, char out[PIECE_MAX], size_t *len)
{
	static const char plain[] = "\n\r\t\\", letter[] = "nrt\\";
	size_t n = plain_utf8_len(s, left), i;
	const char *at = n == 1 && s[0] != '\0' ? strchr(plain, s[0]) : NULL;

	*len = 0;
	if (at != NULL) {
		out[(*len)++] = '\\';
		out[(*len)++] = letter[at - plain];
		return 1;
	}
	if (n > 0 && !disturbs(s, n)) {
		memcpy(out, s, n);
		*len = n;
		return n;
	}
	if (n == 0)
		n = 1;
	for (i = 0; i < n; i++) {
		out[(*len)++] = '\\';
		out[(*len)++] = 'x';
		plain_hex(out + *len, (const uint8_t *)s + i, 1);
		*len += 2;
	}
	return n;
}

void
plain_put(FILE *f, const char *s, size_t n)
{
	char out[PIECE_MAX];
	size_t len;

	while (n > 0) {
		size_t took = piece(s, n, out, &len);

		fwrite(out, 1, len, f);
		s += took;
		n -= took;
	}
}

static void
put_dollar_quoted(FILE *f, const char *s)
{
	size_t n = strlen(s), took;
	char out[PIECE_MAX];
	size_t len;

	fputs("$'", f);
	for (; n > 0; s += took, n -= took) {
		if (*s == '\'') {
			fputs("\\'", f);
			took = 1;
			continue;
		}
		took = piece(s, n, out, &len);
		/* octal: a \x in sh may take more than two digits */
		if (len > 2 && out[0] == '\\') {
			for (size_t i = 0; i < took; i++)
				fprintf(f, "\\%03o", (unsigned char)s[i]);
		} else {
			fwrite(out, 1, len, f);
		}
	}
	fputc('\'', f);
}

void
plain_put_shell(FILE *f, const char *word)
{
	static const char safe[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"0123456789_-+=./:,@%";
	size_t n = strlen(word), i, len;

	if (n > 0 && strspn(word, safe) == n) {
		fputs(word, f);
		return;
	}
	for (i = 0; i < n; i += len) {
		len = plain_utf8_len(word + i, n - i);
		if (len == 0 || disturbs(word + i, len)) {
			put_dollar_quoted(f, word);
			return;
		}
	}
	fputc('\'', f);
	for (; *word != '\0'; word++) {
		if (*word == '\'')
			fputs("'\\''", f);
		else
			fputc(*word, f);
	}
	fputc('\'', f);
}

/* columns of the word at s, and its bytes */
static int
word_at(const char *s, size_t *bytes)
{
	char out[PIECE_MAX];
	size_t n = strcspn(s, " "), len, took, at;
	int columns = 0;

	for (at = 0; at < n; at += took) {
		took = piece(s + at, n - at, out, &len);
		columns += out[0] == '\\' ? (int)len : 1;
	}
	*bytes = n;
	return columns;
}

void
plain_wrap(FILE *f, int column, int indent, const char *s)
{
	bool first = true;
	size_t n;
	int w;

	for (; column < indent; column++)
		fputc(' ', f);
	for (s += strspn(s, " "); *s != '\0'; s += n, s += strspn(s, " ")) {
		w = word_at(s, &n);
		if (!first && column + 1 + w > PLAIN_WIDTH) {
			fprintf(f, "\n%*s", indent, "");
			column = indent;
		} else if (!first) {
			fputc(' ', f);
			column++;
		}
		plain_put(f, s, n);
		column += w;
		first = false;
	}
	fputc('\n', f);
}

void
plain_hex(char *to, const uint8_t *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i < n; i++) {
		to[2 * i] = digits[p[i] >> 4];
		to[2 * i + 1] = digits[p[i] & 15];
	}
	to[2 * n] = '\0';
}

const char *
plain_name(struct plain_name *to, const char *name)
{
	const size_t room = sizeof(to->s) - sizeof("...");
	size_t n, len, took, at = 0;
	char out[PIECE_MAX];

	if (name == NULL)
		name = "";
	for (n = strlen(name); n > 0; name += took, n -= took) {
		took = piece(name, n, out, &len);
		if (at + len > room) {
			memcpy(to->s + at, "...", 3);
			at += 3;
			break;
		}
		memcpy(to->s + at, out, len);
		at += len;
	}
	to->s[at] = '\0';
	return to->s;
}

bool
plain_parse_hex(const char *s, uint8_t *to, size_t max, size_t *n)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	size_t len = strlen(s), i;
	const char *d;

	*n = 0;
	if (len == 0 || len % 2 != 0 || len / 2 > max)
		return false;
	memset(to, 0, len / 2);
	for (i = 0; i < len; i++) {
		d = strchr(digits, s[i]);
		if (d == NULL)
			return false;
		to[i / 2] = (uint8_t)(to[i / 2] << 4 | ((d - digits) & 15));
	}
	*n = len / 2;
	return true;
}
