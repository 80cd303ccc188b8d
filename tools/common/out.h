/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a tool says: results on stdout, diagnostics on stderr, JSON lines. */
#ifndef TOOLS_OUT_H
#define TOOLS_OUT_H

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

#include <offlinesig.h>

struct progress;

struct out {
	FILE *to;  /* results for people */
	bool json; /* one object a line on stdout instead */
	bool quiet;
	struct progress *bar; /* wiped before anything is written; or NULL */
};

#define OUT_INIT                           \
	{                                  \
		stdout, false, false, NULL \
	}

/*
 * Standard descriptors that are closed stay unusable, but no file of ours gets
 * their number: what is printed would go into it. Call it first in main; false
 * where that is not possible.
 */
bool out_guard(void);

/*
 * out_fail: says on stderr what went wrong, with --json also as an "error"
 * object, and returns `code`. Messages are those of STYLE.md 8.
 */
int out_fail(struct out *o, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* the same for what the library reports */
int out_fail_with(struct out *o, const struct ofs_error *e);
/*
 * The same, of a file: named, with its option or NULL, where the code says that
 * what is in a file that was given is wrong.
 */
int out_fail_file(struct out *o, const struct ofs_error *e, const char *option,
	const char *path);
/* "warning: ..." on stderr */
void out_warn(struct out *o, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* a line on stderr for people, not with --json or --quiet */
void out_note(struct out *o, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* the same, with --quiet too: what somebody has to do now */
void out_say(struct out *o, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* makes the stream for human results ready: wipes the bar */
FILE *out_human(struct out *o);

/* flushes stdout; a result that got lost turns success into OFS_EIO */
int out_end(struct out *o, int code);

/* A JSON object that becomes a line: filled key by key, then jline_end(). */
struct jline {
	json_t *o;
	bool bad; /* out of memory on the way */
};

void jline_begin(struct jline *j, const char *type);
/* not UTF-8: with U+FFFD in place of stray bytes */
void jline_text(struct jline *j, const char *key, const char *s);
/* the same, and the bytes as hex under KEY_hex when they are not UTF-8 */
void jline_name(struct jline *j, const char *key, const char *s, size_t n);
void jline_hex(struct jline *j, const char *key, const uint8_t *p, size_t n);
void jline_number(struct jline *j, const char *key, int64_t v);
void jline_bool(struct jline *j, const char *key, bool v);
void jline_null(struct jline *j, const char *key);
/* RFC 3339, null for 0 */
void jline_time(struct jline *j, const char *key, int64_t us);
/* takes `v`, which may be NULL when there was no memory */
void jline_json(struct jline *j, const char *key, json_t *v);
/* "code" and "error" */
void jline_error(struct jline *j, int code, const char *message);
/* writes the line to `f`; 0, OFS_ENOMEM or OFS_EIO */
int jline_put(const struct jline *j, FILE *f);
/* prints the line and frees it; 0, OFS_ENOMEM or OFS_EIO */
int jline_end(struct jline *j, struct out *o);

#endif
