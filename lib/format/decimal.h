/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Numbers in text formats: decimal, one way to write each. */
#ifndef FORMAT_DECIMAL_H
#define FORMAT_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* digits without a zero in front, below 2^63 */
bool decimal_parse(const char *s, size_t n, uint64_t *out);

#endif
