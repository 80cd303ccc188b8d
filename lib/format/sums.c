/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SHA256SUMS files, as sha256sum(1) writes them. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/hex.h"
#include "base/text.h"
#include "format/sums.h"

#define HEX_LEN 64
#define LINE_MIN (HEX_LEN + 4) /* two spaces, one letter, the newline */

struct entry {
	size_t line;
	const char *name; /* in sums.names */
	uint8_t sha256[32];
};

struct sums {
	struct entry *v;
	size_t count;
	char *names; /* decoded, each with its NUL; no longer than the input */
	size_t names_len;
};

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

/* One line without its newline. */
static int
parse_line(struct sums *s, const char *p, size_t n, size_t line,
	struct ofs_error *e)
{
	struct entry *t = &s->v[s->count];
	char *name = s->names + s->names_len;
	bool escaped = n > 0 && p[0] == '\\';
	size_t len;

	if (escaped) {
		p++;
		n--;
	}
	if (n < HEX_LEN + 2 ||
		!hex_decode(t->sha256, sizeof(t->sha256), p, HEX_LEN) ||
		p[HEX_LEN] != ' ' ||
		(p[HEX_LEN + 1] != ' ' && p[HEX_LEN + 1] != '*'))
		return err_set(e, OFS_EFORMAT,
			"line %zu is not a SHA-256 in hex, two spaces and a "
			"name",
			line);
	p += HEX_LEN + 2;
	n -= HEX_LEN + 2;
	if (n == 0)
		return err_set(e, OFS_EFORMAT, "line %zu has no name", line);
	if (memchr(p, '\r', n) != NULL)
		return err_set(e, OFS_EFORMAT,
			"line %zu has a carriage return; convert the file to "
			"Unix line ends",
			line);
	len = n;
	if (!escaped)
		memcpy(name, p, n);
	else if (!unescape(p, n, name, &len))
		return err_set(e, OFS_EFORMAT,
			"line %zu has a backslash that escapes nothing", line);
	name[len] = '\0';
	t->name = name;
	t->line = line;
	s->names_len += len + 1;
	s->count++;
	return 0;
}

static int
by_name(const void *a, const void *b)
{
	const struct entry *const *x = a, *const *y = b;
	int c = strcmp((*x)->name, (*y)->name);

	if (c != 0)
		return c;
	return (*x)->line < (*y)->line ? -1 : (*x)->line > (*y)->line;
}

static int
check_repeated(const struct sums *s, struct ofs_error *e)
{
	const struct entry **order = calloc(s->count, sizeof(*order));
	int err = 0;

	if (order == NULL)
		return err_nomem(e);
	for (size_t i = 0; i < s->count; i++)
		order[i] = &s->v[i];
	qsort(order, s->count, sizeof(*order), by_name);
	for (size_t i = 1; i < s->count && err == 0; i++)
		if (strcmp(order[i - 1]->name, order[i]->name) == 0)
			err = err_set(e, OFS_EFORMAT,
				"line %zu repeats '%s' of line %zu",
				order[i]->line, TEXT_Q(order[i]->name),
				order[i - 1]->line);
	free(order);
	return err;
}

static int
parse_lines(struct sums *s, const char *p, size_t n, struct ofs_error *e)
{
	const char *end = p + n;
	int err = 0;

	for (size_t line = 1; p < end && err == 0; line++) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));

		/* a name that was cut off could be another file's */
		if (nl == NULL)
			return err_set(e, OFS_EFORMAT,
				"line %zu does not end in a newline; the file "
				"may have been cut off",
				line);
		if (memchr(p, '\0', (size_t)(nl - p)) != NULL)
			return err_set(
				e, OFS_EFORMAT, "line %zu has a NUL", line);
		err = parse_line(s, p, (size_t)(nl - p), line, e);
		p = nl + 1;
	}
	return err;
}

int
sums_parse(
	const uint8_t *p, size_t n, sums_fn fn, void *arg, struct ofs_error *e)
{
	const char *text = (const char *)p;
	struct sums s = { NULL, 0, NULL, 0 };
	int err;

	if (n == 0)
		return err_set(e, OFS_EFORMAT, "the list is empty");
	if (n > SUMS_FILE_MAX)
		return err_set(e, OFS_EFORMAT,
			"the list is larger than %u bytes", SUMS_FILE_MAX);
	/* a shorter line ends the parsing, so no more entries can be needed */
	s.v = calloc(n / LINE_MIN + 1, sizeof(*s.v));
	s.names = malloc(n);
	if (s.v == NULL || s.names == NULL) {
		err = err_nomem(e);
		goto out;
	}
	err = parse_lines(&s, text, n, e);
	if (err == 0)
		err = check_repeated(&s, e);
	for (size_t i = 0; i < s.count && err == 0; i++)
		err = fn(arg, s.v[i].name, s.v[i].sha256, e);
out:
	free(s.names);
	free(s.v);
	return err;
}
