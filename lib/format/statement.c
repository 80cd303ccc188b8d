/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Statements about a log, as text: what a backup is, what auditors sign. */
#include <stdlib.h>
#include <string.h>

#include "format/statement.h"

#include "base/hex.h"
#include "base/text.h"
#include "base/time.h"

enum field_type { TEXT, NUMBER, BYTES, TIME };

struct field {
	const char *name;
	int kinds;
	enum field_type type;
	size_t offset, size;
};

#define BACKUP STATEMENT_BACKUP
#define RESTORE STATEMENT_RESTORE
#define ERASE STATEMENT_ERASE
#define AT(member)                          \
	offsetof(struct statement, member), \
		sizeof(((struct statement *)0)->member)

static const struct field fields[] = {
	{ "origin", BACKUP | RESTORE | ERASE, TEXT, AT(origin) },
	{ "log id", BACKUP | RESTORE | ERASE, BYTES, AT(log_id) },
	{ "records", BACKUP | RESTORE, NUMBER, AT(records) },
	{ "root", BACKUP | RESTORE, BYTES, AT(root) },
	{ "known records", RESTORE, NUMBER, AT(known_records) },
	{ "known root", RESTORE, BYTES, AT(known_root) },
	{ "record", ERASE, NUMBER, AT(record) },
	{ "header sha256", ERASE, BYTES, AT(header_sha256) },
	{ "first time", BACKUP, TIME, AT(first_time) },
	{ "last time", BACKUP, TIME, AT(last_time) },
	{ "log.db sha256", BACKUP, BYTES, AT(db_sha256) },
	{ "log.head sha256", BACKUP, BYTES, AT(head_sha256) },
	{ "tool", BACKUP, TEXT, AT(tool) },
	{ "time", BACKUP | RESTORE | ERASE, TIME, AT(time) },
	{ "reason", RESTORE | ERASE, TEXT, AT(reason) },
};

#define N_FIELDS (sizeof(fields) / sizeof(fields[0]))

static const char *
kind_name(enum statement_kind kind)
{
	return kind == STATEMENT_BACKUP     ? "backup"
		: kind == STATEMENT_RESTORE ? "restore"
					    : "erase";
}

static bool
is_line(const char *s, size_t n)
{
	size_t i, len;

	if (n == 0 || !text_is_utf8(s, n))
		return false;
	for (i = 0; i < n; i += len) {
		len = text_utf8_char(s + i, n - i);
		if (text_is_control(s + i, len))
			return false;
	}
	return true;
}

static bool
put_value(const struct field *f, const void *at, struct buf *to)
{
	char hex[2 * 32 + 1], t[TIME_TEXT_SIZE];
	uint64_t number;
	int64_t us;

	switch (f->type) {
	case TEXT:
		buf_str(to, at);
		return is_line(at, strnlen(at, f->size));
	case NUMBER:
		memcpy(&number, at, sizeof(number));
		buf_printf(to, "%llu", (unsigned long long)number);
		return number <= INT64_MAX;
	case BYTES:
		buf_str(to, hex_encode(hex, at, f->size));
		return true;
	case TIME:
		memcpy(&us, at, sizeof(us));
		buf_str(to, time_rfc3339(t, us, true));
		return us >= 0;
	}
	return false;
}

int
statement_encode(const struct statement *s, struct buf *to, struct ofs_error *e)
{
	size_t i;

	buf_printf(to, "offlinesig %s 1\n", kind_name(s->kind));
	for (i = 0; i < N_FIELDS; i++) {
		if ((fields[i].kinds & s->kind) == 0)
			continue;
		buf_printf(to, "%s: ", fields[i].name);
		if (!put_value(
			    &fields[i], (const char *)s + fields[i].offset, to))
			return err_set(e, OFS_EINVAL,
				"%s of a statement is no line of text, or out "
				"of range",
				fields[i].name);
		buf_str(to, "\n");
	}
	return buf_ok(to) ? 0 : err_nomem(e);
}

static bool
take_number(const char *s, size_t n, void *at)
{
	uint64_t v = 0;
	size_t i;

	if (n == 0 || n > 18 || (n > 1 && s[0] == '0'))
		return false;
	for (i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(s[i] - '0');
	}
	memcpy(at, &v, sizeof(v));
	return true;
}

static bool
take_value(const struct field *f, const char *s, size_t n, void *at)
{
	char text[TIME_TEXT_SIZE];
	int64_t us;

	switch (f->type) {
	case TEXT:
		if (n >= f->size || !is_line(s, n))
			return false;
		memcpy(at, s, n);
		return true;
	case NUMBER:
		return take_number(s, n, at);
	case BYTES:
		return hex_decode(at, f->size, s, n);
	case TIME:
		if (n >= sizeof(text))
			return false;
		memcpy(text, s, n);
		text[n] = '\0';
		if (!time_parse(text, &us))
			return false;
		memcpy(at, &us, sizeof(us));
		return true;
	}
	return false;
}

/* "name: value"; moves *p behind the line */
static bool
take_line(const char **p, size_t *left, const struct field *f, void *to)
{
	const char *end = memchr(*p, '\n', *left);
	size_t name = strlen(f->name), n;

	if (end == NULL)
		return false;
	n = (size_t)(end - *p);
	if (n < name + 2 || memcmp(*p, f->name, name) != 0 ||
		memcmp(*p + name, ": ", 2) != 0 ||
		!take_value(
			f, *p + name + 2, n - name - 2, (char *)to + f->offset))
		return false;
	*left -= n + 1;
	*p = end + 1;
	return true;
}

/* the text with LF for CR LF */
static int
unify_lines(const uint8_t *p, size_t n, struct buf *to, struct ofs_error *e)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (p[i] != '\r' || i + 1 == n || p[i + 1] != '\n')
			buf_u8(to, p[i]);
	return buf_ok(to) ? 0 : err_nomem(e);
}

static int
decode(const struct buf *text, enum statement_kind kind, struct statement *s,
	struct ofs_error *e)
{
	const char *p = (const char *)text->p;
	struct buf first = BUF_INIT;
	size_t left = text->len, i;
	bool same;

	buf_printf(&first, "offlinesig %s 1\n", kind_name(kind));
	same = buf_ok(&first) && left >= first.len &&
		memcmp(p, first.p, first.len) == 0;
	if (same) {
		p += first.len;
		left -= first.len;
	}
	buf_free(&first);
	if (!same)
		return err_set(e, OFS_EFORMAT,
			"it is no statement of kind '%s'", kind_name(kind));
	for (i = 0; i < N_FIELDS; i++)
		if ((fields[i].kinds & kind) != 0 &&
			!take_line(&p, &left, &fields[i], s))
			return err_set(e, OFS_EFORMAT,
				"its line '%s' is missing or malformed",
				fields[i].name);
	if (left != 0)
		return err_set(
			e, OFS_EFORMAT, "something follows its last line");
	return 0;
}

int
statement_decode(const uint8_t *p, size_t n, enum statement_kind kind,
	struct statement *s, struct ofs_error *e)
{
	struct buf text = BUF_INIT, again = BUF_INIT;
	int rc;

	memset(s, 0, sizeof(*s));
	s->kind = kind;
	if (n == 0 || n > STATEMENT_MAX)
		return err_set(e, OFS_EFORMAT, "it is empty or too long");
	rc = unify_lines(p, n, &text, e);
	if (rc == 0)
		rc = decode(&text, kind, s, e);
	if (rc == 0)
		rc = statement_encode(s, &again, e);
	/* other ways to write a time or a hash */
	if (rc == 0 &&
		(again.len != text.len ||
			memcmp(again.p, text.p, text.len) != 0))
		rc = err_set(e, OFS_EFORMAT, "it is not written as we do");
	buf_free(&text);
	buf_free(&again);
	return rc == OFS_EINVAL ? e->code = OFS_EFORMAT : rc;
}
