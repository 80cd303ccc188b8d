/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opens files that must be inside a directory, whatever links say. */
#ifndef BASE_BENEATH_H
#define BASE_BENEATH_H

#include "base/err.h"

/* a handle on the directory, for the other two; OFS_EIO */
int beneath_open_dir(const char *dir, int *fd, struct ofs_error *e);
/*
 * open(2) of `path` below `dir`: -1 and errno, EXDEV where an absolute name,
 * "..", or a symbolic link leads out of it (an absolute link always does).
 */
int beneath_open(int dir, const char *path, int flags);

#endif
