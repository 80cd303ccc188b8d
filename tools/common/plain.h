/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text from outside made fit for terminals and shells. */
#ifndef TOOLS_PLAIN_H
#define TOOLS_PLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define PLAIN_WIDTH 80

/* bytes of the UTF-8 character at s; 0 if there is none */
size_t plain_utf8_len(const char *s, size_t left);
bool plain_utf8(const char *s, size_t n);

/*
 * plain_put: n bytes of s with control characters, backslashes and bytes that
 * are not UTF-8 as \n, \\ or \xNN.
 */
void plain_put(FILE *f, const char *s, size_t n);

/* one word for sh; control characters and stray bytes make it $'...' */
void plain_put_shell(FILE *f, const char *word);

/*
 * plain_wrap: one paragraph, escaped, its lines indented and no wider than 80
 * columns (a longer word stays whole); `column` is where the cursor is.
 */
void plain_wrap(FILE *f, int column, int indent, const char *s);

/* n bytes as hex, and a NUL; `to` has room for 2 * n + 1 */
void plain_hex(char *to, const uint8_t *p, size_t n);

/* an even number of hex digits, 1 to `max` bytes; nothing before or after */
bool plain_parse_hex(const char *s, uint8_t *to, size_t max, size_t *n);

/* us since the epoch as "2026-11-21T08:38:17Z"; "-" for 0 */
#define PLAIN_TIME_SIZE 24
const char *plain_time(char to[PLAIN_TIME_SIZE], int64_t us);

/* RFC 3339 "2026-11-21T08:38:17Z" (or +hh:mm, or a fraction) to us */
bool plain_parse_time(const char *s, int64_t *us);

/* A decimal number of at most `max`; nothing before or after it. */
bool plain_parse_number(const char *s, uint64_t max, uint64_t *out);

/* A name for one message, escaped, cut short with "..." when it is long. */
struct plain_name {
	char s[400];
};
const char *plain_name(struct plain_name *to, const char *name);
/* shorthand for one use within one expression */
#define NAME(name) plain_name(&(struct plain_name){ { 0 } }, (name))

#endif
