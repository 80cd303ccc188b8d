/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Puts recorded outputs in place: written, synced, renamed, synced. */
#ifndef SIGN_RELEASE_H
#define SIGN_RELEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* One output; `e` and `placed` are the result. Pointers are borrowed. */
struct release {
	const char *path; /* absolute, or as the process sees it */
	const uint8_t *p;
	size_t n;
	bool replace;
	bool placed; /* under its name, durably */
	struct ofs_error e;
};

/*
 * Releases n outputs together, so that they share their syncs: missing
 * directories are made, every file is written under a temporary name, all are
 * synced, renamed, and their directories synced. An output that fails is
 * removed again and does not stop the others. Returns OFS_ENOMEM or 0.
 *
 * `again`: a run may have been cut off when it had made a directory for these,
 * and before that was durable. What is above is synced, too.
 */
int release_all(struct release *r, size_t n, bool again, struct ofs_error *e);

/*
 * Whether outputs can be put into `dir`, which may be missing, as far as that
 * can be told beforehand: a signature that nobody can have is not made.
 * OFS_EIO.
 */
int release_check_place(const char *dir, struct ofs_error *e);

#endif
