/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Configuration files of p11-kit: "name: value" lines, pkcs11.conf(5). */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "token/p11conf.h"

#define FILE_BYTES_MAX 65536
#define BLANKS " \t\r\v\f"

/* what earlier files said stands first */
const char *
p11conf_get(const struct p11conf *c, const char *name)
{
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->v[i].name, name) == 0)
			return c->v[i].value;
	return NULL;
}

bool
p11conf_yes(const struct p11conf *c, const char *name)
{
	const char *value = p11conf_get(c, name);

	return value != NULL && strcmp(value, "yes") == 0;
}

bool
p11conf_lists(const char *list, const char *word)
{
	static const char between[] = "," BLANKS;
	size_t n, len = strlen(word);

	if (list == NULL)
		return false;
	for (;; list += n) {
		list += strspn(list, between);
		n = strcspn(list, between);
		if (n == 0)
			return false;
		if (n == len && memcmp(list, word, n) == 0)
			return true;
	}
}

/* in place; borrowed from s */
static char *
strip(char *s)
{
	size_t n;

	s += strspn(s, BLANKS);
	n = strlen(s);
	while (n > 0 && strchr(BLANKS, s[n - 1]) != NULL)
		n--;
	s[n] = '\0';
	return s;
}

/* a line replaces one of the same file, which are those from `old` on */
static int
put(struct p11conf *c, size_t old, const char *name, const char *value,
	struct ofs_error *e)
{
	struct p11conf_item *more, item;

	item.name = strdup(name);
	item.value = strdup(value);
	more = realloc(c->v, (c->n + 1) * sizeof(*more));
	c->v = more != NULL ? more : c->v;
	if (item.name == NULL || item.value == NULL || more == NULL) {
		free(item.name);
		free(item.value);
		return err_nomem(e);
	}
	for (size_t i = old; i < c->n; i++)
		if (strcmp(c->v[i].name, name) == 0) {
			free(c->v[i].value);
			free(item.name);
			c->v[i].value = item.value;
			return 0;
		}
	c->v[c->n++] = item;
	return 0;
}

static int
parse_line(struct p11conf *c, size_t old, char *line, bool *ok,
	struct ofs_error *e)
{
	char *colon;

	*ok = true;
	line = strip(line);
	if (line[0] == '\0' || line[0] == '#')
		return 0;
	colon = strchr(line, ':');
	if (colon == NULL) {
		*ok = false;
		return 0;
	}
	*colon = '\0';
	return put(c, old, strip(line), strip(colon + 1), e);
}

static int
parse(struct p11conf *c, const char *path, char *s, struct ofs_error *e)
{
	size_t old = c->n, number = 1;
	char *next;
	bool ok;
	int rc;

	for (; s != NULL; s = next, number++) {
		next = strchr(s, '\n');
		if (next != NULL)
			*next++ = '\0';
		rc = parse_line(c, old, s, &ok, e);
		if (rc != 0)
			return rc;
		if (!ok)
			return err_set(e, OFS_EFORMAT,
				"cannot read '%s': line %zu has no colon; "
				"lines are 'name: value'",
				TEXT_Q(path), number);
	}
	return 0;
}

int
p11conf_read(struct p11conf *c, const char *path, struct ofs_error *e)
{
	struct buf b = BUF_INIT;
	char *text;
	int rc;

	rc = file_read(path, FILE_BYTES_MAX, &b, e);
	if (rc == 0 && b.len > 0 && memchr(b.p, '\0', b.len) != NULL)
		rc = err_set(e, OFS_EFORMAT,
			"cannot read '%s': it holds a NUL byte", TEXT_Q(path));
	if (rc == 0) {
		buf_u8(&b, '\0');
		text = buf_ok(&b) ? (char *)b.p : NULL;
		rc = text != NULL ? parse(c, path, text, e) : err_nomem(e);
	}
	buf_free(&b);
	return rc;
}

void
p11conf_free(struct p11conf *c)
{
	for (size_t i = 0; i < c->n; i++) {
		free(c->v[i].name);
		free(c->v[i].value);
	}
	free(c->v);
	memset(c, 0, sizeof(*c));
}
