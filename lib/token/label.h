/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names as tokens give them: blank-padded, of any bytes, made printable. */
#ifndef TOKEN_LABEL_H
#define TOKEN_LABEL_H

#include <stddef.h>
#include <stdint.h>

/* length without the padding: blanks and NULs at the end */
size_t label_len(const uint8_t *p, size_t n);
/*
 * Writes n bytes as one line of UTF-8: bytes that are not UTF-8 and control
 * characters become \xNN. What does not fit is left off. Returns to.
 */
char *label_text(char *to, size_t size, const uint8_t *p, size_t n);

#endif
