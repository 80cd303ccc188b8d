/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the output of a document goes. */
#ifndef SIGN_PLACE_H
#define SIGN_PLACE_H

#include <offlinesig/sign.h>

#include "base/err.h"

/* Documents mostly lie together: the last directory is remembered. */
struct placer {
	const char *suffix, *out_dir; /* out_dir is borrowed; NULL: beside */
	char *out_absolute;
	char *dir, *real; /* the last directory that was resolved */
};

int placer_init(struct placer *p, enum ofs_format format, const char *out_dir,
	struct ofs_error *e);
void placer_free(struct placer *p); /* zeroed memory is a freed one */

/*
 * All are allocated, and the caller's whatever is returned. *input is the
 * document and *place its output, both absolute, or NULL where the directory
 * is missing, which is said when it is read; *output is the latter as shown.
 */
int placer_find(struct placer *p, const char *path, char **input, char **output,
	char **place, struct ofs_error *e);

#endif
