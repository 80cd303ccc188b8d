/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lines of a file of any length, one at a time. */
#ifndef BASE_LINES_H
#define BASE_LINES_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * A file, a pipe, or with "-" the standard input. A line that is longer than
 * `max` bytes is OFS_EFORMAT; else OFS_EIO.
 */
struct lines {
	const char *path; /* borrowed; for messages */
	int fd;
	size_t max;
	struct buf block; /* what was read, from `at` on not handed out yet */
	size_t at;
	bool ended;
	size_t line; /* number of the last one handed out, from 1 */
	bool cut;    /* that one had no end */
};

int lines_open(
	struct lines *l, const char *path, size_t max, struct ofs_error *e);
void lines_close(struct lines *l);
/* whether `c` is among the first bytes, 64 KiB or what the first read gives */
int lines_has(struct lines *l, char c, bool *yes, struct ofs_error *e);
/*
 * The next one without the `end` that ends it, which the last one need not
 * have; *p is NULL when there is none. Borrowed until the next call.
 */
int lines_next(struct lines *l, char end, const uint8_t **p, size_t *n,
	struct ofs_error *e);

#endif
