/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small files that options name, read whole; new files, written whole. */
#ifndef TOOLS_SMALL_H
#define TOOLS_SMALL_H

#include <stddef.h>
#include <stdint.h>

#include "common/out.h"

#define SMALL_PEM_MAX (4u << 20)    /* certificates, CRLs */
#define SMALL_STDIN_MAX (64u << 20) /* a document on standard input */

struct bytes {
	uint8_t *p; /* and a NUL after the last */
	size_t n;
};

/* "-" is standard input; OFS_EIO (said) or OFS_EFORMAT when it is larger */
int small_read(struct out *o, const char *path, size_t max, struct bytes *out);
void small_free(struct bytes *b);

/* OFS_EEXIST (said) when `path` is there and may not be replaced */
int small_check_new(struct out *o, const char *path, bool force);

/*
 * Writes aside, syncs and renames, so that no half of it is ever seen. "-" is
 * standard output. `path` may be replaced only with `force`.
 */
int small_write(
	struct out *o, const char *path, const void *p, size_t n, bool force);

/* The same for what is written bit by bit; zeros to begin with. */
struct small_file {
	FILE *f;     /* NULL: none is open */
	char *aside; /* its name until it is whole */
	const char *path;
	bool force;
};
int small_begin(
	struct out *o, const char *path, bool force, struct small_file *out);
/* syncs it and gives it its name; it is closed in every case */
int small_commit(struct out *o, struct small_file *s);
void small_abort(struct small_file *s); /* nothing is left of it */

#endif
