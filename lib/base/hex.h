/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hexadecimal, lower case out, either case in. */
#ifndef BASE_HEX_H
#define BASE_HEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* writes 2 * n digits and a NUL to `to`; returns `to` */
char *hex_encode(char *to, const void *from, size_t n);
/* exactly 2 * n digits of `from` (len chars) into n bytes */
bool hex_decode(void *to, size_t n, const char *from, size_t len);

#endif
