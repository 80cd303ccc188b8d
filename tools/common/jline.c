/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* JSON output: one object a line. */
#include <stdlib.h>
#include <string.h>

#include "common/out.h"
#include "common/plain.h"

void
jline_json(struct jline *j, const char *key, json_t *v)
{
	if (json_object_set_new(j->o, key, v) != 0)
		j->bad = true;
}

void
jline_begin(struct jline *j, const char *type)
{
	j->o = json_object();
	j->bad = j->o == NULL;
	jline_json(j, "type", json_string(type));
}

/* with U+FFFD for what is not UTF-8 */
static json_t *
replaced(const char *s, size_t n)
{
	static const char mark[] = "\xef\xbf\xbd";
	char *to = malloc(n * (sizeof(mark) - 1) + 1);
	size_t at = 0, len;
	json_t *v;

	if (to == NULL)
		return NULL;
	while (n > 0) {
		len = plain_utf8_len(s, n);
		memcpy(to + at, len > 0 ? s : mark,
			len > 0 ? len : sizeof(mark) - 1);
		at += len > 0 ? len : sizeof(mark) - 1;
		s += len > 0 ? len : 1;
		n -= len > 0 ? len : 1;
	}
	v = json_stringn(to, at);
	free(to);
	return v;
}

void
jline_text(struct jline *j, const char *key, const char *s)
{
	jline_json(j, key, s == NULL ? json_null() : replaced(s, strlen(s)));
}

void
jline_name(struct jline *j, const char *key, const char *s, size_t n)
{
	char hex_key[128];

	jline_json(j, key, replaced(s, n));
	if (plain_utf8(s, n))
		return;
	snprintf(hex_key, sizeof(hex_key), "%s_hex", key);
	jline_hex(j, hex_key, (const uint8_t *)s, n);
}

void
jline_hex(struct jline *j, const char *key, const uint8_t *p, size_t n)
{
	char *hex = malloc(2 * n + 1);

	if (hex == NULL) {
		j->bad = true;
		return;
	}
	plain_hex(hex, p, n);
	jline_json(j, key, json_stringn(hex, 2 * n));
	free(hex);
}

void
jline_number(struct jline *j, const char *key, int64_t v)
{
	jline_json(j, key, json_integer(v));
}

void
jline_bool(struct jline *j, const char *key, bool v)
{
	jline_json(j, key, json_boolean(v));
}

void
jline_null(struct jline *j, const char *key)
{
	jline_json(j, key, json_null());
}

void
jline_time(struct jline *j, const char *key, int64_t us)
{
	char t[PLAIN_TIME_SIZE];

	if (us == 0)
		jline_null(j, key);
	else
		jline_text(j, key, plain_time(t, us));
}

void
jline_error(struct jline *j, int code, const char *message)
{
	jline_text(j, "code", ofs_err_name(code));
	jline_text(j, "error", message);
}

int
jline_put(const struct jline *j, FILE *f)
{
	if (j->bad)
		return OFS_ENOMEM;
	if (json_dumpf(j->o, f, JSON_COMPACT | JSON_REAL_PRECISION(6)) != 0 ||
		putc('\n', f) == EOF)
		return OFS_EIO;
	return 0;
}

int
jline_end(struct jline *j, struct out *o)
{
	int code = jline_put(j, stdout);

	json_decref(j->o);
	j->o = NULL;
	if (code == OFS_ENOMEM)
		out_warn(o, "out of memory: a line of output is missing");
	return code;
}
