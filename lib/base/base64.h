/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Base64 with padding (RFC 4648 4), strict. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include <stdbool.h>

#include "base/buf.h"

/* appends the characters of n bytes; a failure is in `to` */
void base64_encode(struct buf *to, const void *from, size_t n);
/*
 * Appends the bytes that `len` characters stand for. False, and nothing
 * appended, when they are not what base64_encode() would have written: no
 * blanks, no missing padding, no bits behind the last byte.
 */
bool base64_decode(struct buf *to, const char *from, size_t len);
/* exactly n bytes of them */
bool base64_decode_to(void *to, size_t n, const char *from, size_t len);

#endif
