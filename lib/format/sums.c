/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SHA256SUMS files and their kin, as sha256sum(1) writes them. */
#include <string.h>

#include "base/hex.h"
#include "base/text.h"
#include "format/sums.h"

/* \n, \r and \\ of n bytes into `to`; false for anything else */
static bool
unescape(const char *p, size_t n, char *to, size_t *len)
{
	size_t o = 0;

	for (size_t i = 0; i < n; i++) {
		char c = p[i];

		if (c == '\\') {
			if (++i == n)
				return false;
			if (p[i] == 'n')
				c = '\n';
			else if (p[i] == 'r')
				c = '\r';
			else if (p[i] != '\\')
				return false;
		}
		to[o++] = c;
	}
	*len = o;
	return true;
}

static int
put_name(const char *p, size_t n, bool escaped, size_t line, struct buf *name,
	struct ofs_error *e)
{
	char *to;
	size_t len = n;

	buf_reset(name);
	to = (char *)buf_grow(name, n);
	if (to == NULL)
		return err_nomem(e);
	if (!escaped)
		memcpy(to, p, n);
	else if (!unescape(p, n, to, &len))
		return err_set(e, OFS_EFORMAT,
			"line %zu has a backslash that escapes nothing", line);
	name->len = len;
	buf_u8(name, 0);
	return buf_ok(name) ? 0 : err_nomem(e);
}

int
sums_parse(const uint8_t *text, size_t n, size_t line, struct buf *name,
	uint8_t *hash, size_t hash_len, struct ofs_error *e)
{
	const char *p = (const char *)text;
	bool escaped = n > 0 && p[0] == '\\';
	size_t hex = 2 * hash_len;

	if (memchr(p, '\0', n) != NULL)
		return err_set(e, OFS_EFORMAT, "line %zu has a NUL", line);
	if (escaped) {
		p++;
		n--;
	}
	if (n < hex + 2 || !hex_decode(hash, hash_len, p, hex) ||
		p[hex] != ' ' || (p[hex + 1] != ' ' && p[hex + 1] != '*'))
		return err_set(e, OFS_EFORMAT,
			"line %zu is not a SHA-%zu in hex, two spaces and a "
			"name",
			line, 8 * hash_len);
	p += hex + 2;
	n -= hex + 2;
	if (n == 0)
		return err_set(e, OFS_EFORMAT, "line %zu has no name", line);
	if (memchr(p, '\r', n) != NULL)
		return err_set(e, OFS_EFORMAT,
			"line %zu has a carriage return; convert the file to "
			"Unix line ends",
			line);
	return put_name(p, n, escaped, line, name, e);
}
