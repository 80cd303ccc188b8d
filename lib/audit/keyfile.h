/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The station key: 32 random bytes in a file outside of the log. */
#ifndef AUDIT_KEYFILE_H
#define AUDIT_KEYFILE_H

#include "store/place.h"

#define KEYFILE_SIZE 32

/*
 * Reads a key file: a regular file of 32 bytes, of this user or root, with
 * mode 0600 or less; where the log is shared, the group of the log may read
 * it, too. OFS_EAUDIT with the reason.
 */
int keyfile_read(const char *path, const struct place *log,
	uint8_t key[KEYFILE_SIZE], struct ofs_error *e);
/*
 * The same of one that may have to be made first, in a directory that may have
 * to be made, too; not below the directory of the log. *absolute: what to find
 * it by later; allocated.
 */
int keyfile_make(const char *path, const struct place *log,
	uint8_t key[KEYFILE_SIZE], char **absolute, bool *made,
	struct ofs_error *e);
/*
 * A new file of n bytes that only its owner reads, and the group of a log that
 * is shared (NULL: none). Its name appears when it is whole: a crash leaves no
 * half key there; on return it is durable. OFS_EEXIST, OFS_EIO: "cannot WHAT".
 */
int keyfile_write(const char *path, const struct place *log, const char *what,
	const void *p, size_t n, struct ofs_error *e);

#endif
