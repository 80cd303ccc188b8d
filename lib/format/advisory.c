/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files of advisories about tokens whose firmware is known to be bad. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "format/advisory.h"

#define ENTRIES_MAX 1024

/* The fields of an entry, in the order that the format's description has. */
enum field {
	ID,
	MANUFACTURER,
	MODEL,
	FIRMWARE,
	KEYS,
	SEVERITY,
	TEXT,
	DO,
	N_FIELDS
};

static const struct {
	const char *name;
	size_t max;
} fields[N_FIELDS] = {
	[ID] = { "id", ADVISORY_NAME_MAX },
	[MANUFACTURER] = { "manufacturer", ADVISORY_NAME_MAX },
	[MODEL] = { "model", ADVISORY_NAME_MAX },
	[FIRMWARE] = { "firmware", ADVISORY_NAME_MAX },
	[KEYS] = { "keys", ADVISORY_NAME_MAX },
	[SEVERITY] = { "severity", ADVISORY_NAME_MAX },
	[TEXT] = { "text", ADVISORY_VALUE_MAX },
	[DO] = { "do", ADVISORY_VALUE_MAX },
};

/* An entry while it is read, its strings in `names` of the file. */
struct entry {
	char *value[N_FIELDS];
	size_t len[N_FIELDS];
	struct advisory a;
};

struct file {
	struct entry *v;
	size_t n, cap;
	char *names; /* no longer than the input, with a NUL for each line */
	size_t used;
	struct entry *open; /* the entry that lines belong to, or NULL */
	int last;           /* the field that may be continued, or -1 */
	size_t line;
};

static bool
take_number(const char **s, unsigned int *out)
{
	const char *p = *s;
	unsigned int v = 0;

	if (*p < '0' || *p > '9' || (p[0] == '0' && p[1] >= '0' && p[1] <= '9'))
		return false;
	for (; *p >= '0' && *p <= '9'; p++) {
		v = v * 10 + (unsigned int)(*p - '0');
		if (v > 255)
			return false;
	}
	*s = p;
	*out = v;
	return true;
}

static bool
take_version(const char **s, unsigned int *out)
{
	unsigned int major, minor;

	if (!take_number(s, &major) || *(*s)++ != '.' ||
		!take_number(s, &minor))
		return false;
	*out = major * 256 + minor;
	return true;
}

/* "any", "4.26" or "4.26-4.34" */
static bool
parse_firmware(const char *s, struct advisory *a)
{
	a->first = 0;
	a->last = 255 * 256 + 255;
	if (strcmp(s, "any") == 0)
		return true;
	if (!take_version(&s, &a->first))
		return false;
	a->last = a->first;
	if (*s == '-') {
		s++;
		if (!take_version(&s, &a->last))
			return false;
	}
	return *s == '\0' && a->first <= a->last;
}

static bool
parse_keys(const char *s, struct advisory *a)
{
	static const char *const names[] = { "any", "rsa", "ec" };

	for (int i = 0; s != NULL && i < 3; i++)
		if (strcmp(s, names[i]) == 0) {
			a->keys = (enum advisory_keys)i;
			return true;
		}
	a->keys = ADVISORY_ANY;
	return s == NULL;
}

static bool
parse_severity(const char *s, struct advisory *a)
{
	if (strcmp(s, "info") == 0)
		a->severity = OFS_SEVERITY_INFO;
	else if (strcmp(s, "warning") == 0)
		a->severity = OFS_SEVERITY_WARNING;
	else if (strcmp(s, "serious") == 0)
		a->severity = OFS_SEVERITY_SERIOUS;
	else
		return false;
	return true;
}

static int
bad_value(const struct file *f, enum field which, const char *value,
	const char *want, struct ofs_error *e)
{
	return err_set(e, OFS_EFORMAT,
		"the entry that ends before line %zu has '%s' for its %s, "
		"which is %s",
		f->line, TEXT_Q(value), fields[which].name, want);
}

/* what an entry holds as a whole, when its last line was read */
static int
close_entry(struct file *f, struct ofs_error *e)
{
	static const char id_chars[] =
		"abcdefghijklmnopqrstuvwxyz"
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	struct entry *t = f->open;

	if (t == NULL)
		return 0;
	f->open = NULL;
	f->last = -1;
	for (int i = 0; i < N_FIELDS; i++)
		if (t->value[i] == NULL && i != KEYS)
			return err_set(e, OFS_EFORMAT,
				"the entry that ends before line %zu has no "
				"'%s:'",
				f->line, fields[i].name);
	if (t->value[ID][strspn(t->value[ID], id_chars)] != '\0')
		return bad_value(f, ID, t->value[ID],
			"not of letters, digits, '.', '_' and '-'", e);
	if (!parse_firmware(t->value[FIRMWARE], &t->a))
		return bad_value(f, FIRMWARE, t->value[FIRMWARE],
			"not any, 1.2 or 1.2-3.4", e);
	if (!parse_keys(t->value[KEYS], &t->a))
		return bad_value(
			f, KEYS, t->value[KEYS], "not any, rsa or ec", e);
	if (!parse_severity(t->value[SEVERITY], &t->a))
		return bad_value(f, SEVERITY, t->value[SEVERITY],
			"not info, warning or serious", e);
	t->a.id = t->value[ID];
	t->a.manufacturer = t->value[MANUFACTURER];
	t->a.model = t->value[MODEL];
	t->a.text = t->value[TEXT];
	t->a.action = t->value[DO];
	return 0;
}

static int
open_entry(struct file *f, struct ofs_error *e)
{
	if (f->n == ENTRIES_MAX)
		return err_set(e, OFS_EFORMAT,
			"line %zu begins more than %d entries", f->line,
			ENTRIES_MAX);
	if (f->n == f->cap) {
		size_t cap = f->cap * 2 + 8;
		struct entry *more = realloc(f->v, cap * sizeof(*more));

		if (more == NULL)
			return err_nomem(e);
		f->v = more;
		f->cap = cap;
	}
	f->open = &f->v[f->n++];
	memset(f->open, 0, sizeof(*f->open));
	return 0;
}

/* the last value grows by n bytes; it is the last one in `names` */
static int
append(struct file *f, const char *p, size_t n, struct ofs_error *e)
{
	size_t *len = &f->open->len[f->last];

	if (n > fields[f->last].max || *len + n > fields[f->last].max)
		return err_set(e, OFS_EFORMAT,
			"line %zu makes '%s:' longer than %zu bytes", f->line,
			fields[f->last].name, fields[f->last].max);
	memcpy(f->names + f->used, p, n);
	f->used += n;
	f->names[f->used] = '\0';
	*len += n;
	return 0;
}

static int
field_of(const char *p, size_t n)
{
	for (int i = 0; i < N_FIELDS; i++)
		if (strlen(fields[i].name) == n &&
			memcmp(fields[i].name, p, n) == 0)
			return i;
	return -1;
}

/* "name: value" */
static int
parse_field(struct file *f, const char *p, size_t n, struct ofs_error *e)
{
	const char *colon = memchr(p, ':', n);
	size_t name = colon != NULL ? (size_t)(colon - p) : n;
	int which = colon != NULL ? field_of(p, name) : -1, rc;

	if (which < 0)
		return err_set(e, OFS_EFORMAT,
			"line %zu begins with none of id:, manufacturer:, "
			"model:, firmware:, keys:, severity:, text:, do:",
			f->line);
	if (n < name + 3 || colon[1] != ' ' || colon[2] == ' ' ||
		p[n - 1] == ' ')
		return err_set(e, OFS_EFORMAT,
			"line %zu is not '%s:', one blank and a value", f->line,
			fields[which].name);
	if (f->open == NULL) {
		rc = open_entry(f, e);
		if (rc != 0)
			return rc;
	}
	if (f->open->value[which] != NULL)
		return err_set(e, OFS_EFORMAT,
			"line %zu repeats '%s:' of its entry", f->line,
			fields[which].name);
	f->used += f->last >= 0; /* the NUL of the value in front */
	f->last = which;
	f->open->value[which] = f->names + f->used;
	return append(f, colon + 2, n - name - 2, e);
}

static int
parse_line(struct file *f, const char *p, size_t n, struct ofs_error *e)
{
	for (size_t at = 0, len; at < n; at += len) {
		len = text_utf8_char(p + at, n - at);
		if (len == 0 || text_is_control(p + at, len))
			return err_set(e, OFS_EFORMAT,
				"line %zu has a control character or a byte "
				"that is not UTF-8",
				f->line);
	}
	if (n == 0) {
		f->used += f->last >= 0;
		return close_entry(f, e);
	}
	if (p[0] == '#')
		return 0;
	if (p[0] != ' ')
		return parse_field(f, p, n, e);
	/* a text goes on */
	if ((f->last != TEXT && f->last != DO) || n < 2 || p[1] == ' ' ||
		p[n - 1] == ' ')
		return err_set(e, OFS_EFORMAT,
			"line %zu begins with a blank and does not go on with "
			"a text",
			f->line);
	return append(f, p, n, e);
}

static int
parse_lines(struct file *f, const char *p, size_t n, struct ofs_error *e)
{
	const char *end = p + n;
	int rc = 0;

	for (f->line = 1; p < end && rc == 0; f->line++) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));

		if (nl == NULL)
			return err_set(e, OFS_EFORMAT,
				"line %zu does not end in a newline; the file "
				"may have been cut off",
				f->line);
		rc = parse_line(f, p, (size_t)(nl - p), e);
		p = nl + 1;
	}
	return rc == 0 ? close_entry(f, e) : rc;
}

int
advisory_parse(const uint8_t *p, size_t n, advisory_fn fn, void *arg,
	struct ofs_error *e)
{
	struct file f = { .last = -1 };
	int rc;

	if (n > ADVISORY_FILE_MAX)
		return err_set(e, OFS_EFORMAT,
			"the list of advisories is larger than %u bytes",
			ADVISORY_FILE_MAX);
	f.names = malloc(n + 1);
	if (f.names == NULL)
		return err_nomem(e);
	rc = parse_lines(&f, (const char *)p, n, e);
	for (size_t i = 0; i < f.n && rc == 0; i++)
		rc = fn(arg, &f.v[i].a, e);
	free(f.names);
	free(f.v);
	return rc;
}

/* "*" stands for any bytes, none too; everything else for itself */
static bool
pattern_matches(const char *pattern, const char *s)
{
	const char *star = NULL, *retry = NULL;

	while (*s != '\0') {
		if (*pattern == '*') {
			star = pattern++;
			retry = s;
		} else if (*pattern == *s) {
			pattern++;
			s++;
		} else if (star != NULL) {
			pattern = star + 1;
			s = ++retry;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

bool
advisory_matches(const struct advisory *a, const struct ofs_token_info *token)
{
	unsigned int firmware =
		token->firmware_major * 256 + token->firmware_minor;

	return firmware >= a->first && firmware <= a->last &&
		pattern_matches(a->manufacturer, token->manufacturer) &&
		pattern_matches(a->model, token->model);
}
