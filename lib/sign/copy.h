/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Second copies of released files, on other media. */
#ifndef SIGN_COPY_H
#define SIGN_COPY_H

#include "sign/chunk.h"

/*
 * Before the run: opts->copy_dir must be a directory that can be written to,
 * so that a medium that is not mounted is noticed (OFS_EIO), and no copy may
 * take the place of another, or of the signature itself (OFS_EEXIST).
 */
int copy_place(const struct list *l, const struct ofs_sign_opts *opts,
	struct ofs_error *e);

/*
 * Where the copy of one item's output goes; the caller frees *path. OFS_EEXIST
 * when that is the output itself.
 */
int copy_find(const struct ofs_sign_opts *opts, const struct list_item *it,
	char **path, struct ofs_error *e);

/*
 * Copies what is in place of a chunk, and what was there before and is skipped:
 * written aside, synced, renamed, read back from the medium and compared. A
 * failure is the copy's own: w->copy_code and copy_message. Nothing happens
 * without copy_dir. Returns OFS_ENOMEM or 0.
 */
int copy_chunk(
	const struct ofs_sign_opts *opts, struct chunk *c, struct ofs_error *e);

#endif
