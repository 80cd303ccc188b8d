/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SHA256SUMS files and their kin, as sha256sum(1) writes them. */
#ifndef FORMAT_SUMS_H
#define FORMAT_SUMS_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * One line without its newline: "HEX  NAME", "HEX *NAME", or with a leading
 * backslash and \n, \r, \\ escapes in the name. HEX is a hash of `hash_len`
 * bytes, and `name` becomes the name and a NUL. Strict: OFS_EFORMAT, with
 * `line`, for anything else, and for an empty name, a NUL or a carriage return.
 */
int sums_parse(const uint8_t *p, size_t n, size_t line, struct buf *name,
	uint8_t *hash, size_t hash_len, struct ofs_error *e);

#endif
