/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SHA256SUMS files, as sha256sum(1) writes them. */
#ifndef FORMAT_SUMS_H
#define FORMAT_SUMS_H

#include <stdint.h>

#include "base/err.h"

#define SUMS_FILE_MAX (256u << 20)

/*
 * Each line "HEX  NAME", "HEX *NAME", or with a leading backslash and \n, \r,
 * \\ escapes in the name. Strict: OFS_EFORMAT names the line; an empty file, a
 * NUL, a missing final newline's partial hash, an empty or repeated name are
 * errors. fn gets a NUL-terminated name.
 */
typedef int (*sums_fn)(void *arg, const char *name, const uint8_t sha256[32],
	struct ofs_error *e);
int sums_parse(
	const uint8_t *p, size_t n, sums_fn fn, void *arg, struct ofs_error *e);

#endif
