/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names that come from outside, made fit for messages; UTF-8 checks. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* A quoted name for one message: text_q(&(struct text_q){0}, path). */
struct text_q {
	char s[400];
};

/*
 * text_q: `name` with control characters, backslashes and bytes that are not
 * UTF-8 written as \n, \\ or \xNN; shortened with "..." in the middle when it
 * does not fit. Returns q->s.
 */
const char *text_q(struct text_q *q, const char *name);
/* shorthand for one use within one expression */
#define TEXT_Q(name) text_q(&(struct text_q){ { 0 } }, (name))

bool text_is_utf8(const char *s, size_t len);
/*
 * bytes of the well-formed UTF-8 character at s (no overlong form, surrogate
 * or value past U+10FFFF), 0 if there is none; `left` is what may be read
 */
size_t text_utf8_char(const char *s, size_t left);
/*
 * n bytes at s, one character, would disturb a line of text: a control
 * character (C0, DEL, C1), a line separator, or a bidirectional control
 */
bool text_is_control(const char *s, size_t n);
/* in place: one line of UTF-8, "?" for what is not, " " for controls */
void text_clean(char *s);

#endif
