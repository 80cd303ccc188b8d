/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a log lies: its directory and files, and who may get at them. */
#ifndef STORE_PLACE_H
#define STORE_PLACE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

#define PLACE_DB "log.db"
#define PLACE_JOURNAL "log.db-journal"
#define PLACE_HEAD "log.head"
#define PLACE_HEAD_NEW "log.head.new"
#define PLACE_LOCK "log.lock"
#define PLACE_BATCHES "batch.lock"
#define PLACE_MANIFEST "backup.txt" /* beside a copy that is a backup */

struct place {
	char *dir;   /* absolute */
	bool shared; /* with a group: 2770 and 0660 */
	gid_t gid;   /* of the directory */
};

void place_free(struct place *p);
char *place_path(const struct place *p, const char *name); /* allocated */

/* Resolves an existing directory; OFS_EAUDIT. *missing: there is none. */
int place_find(
	const char *dir, struct place *p, bool *missing, struct ofs_error *e);
/* Makes the directory, private or for a group (a name, or NULL). */
int place_make(const char *dir, const char *group, struct ofs_error *e);
/* shares it with a group, and the files of a log in it */
int place_share(const char *dir, gid_t gid, struct ofs_error *e);
/*
 * What writing asks for: owner, modes, no links. Fills p->shared and p->gid.
 */
int place_check(struct place *p, const char *dir, struct ofs_error *e);
/* whether there are files in it that are not a log's */
int place_check_foreign(const struct place *p, struct ofs_error *e);

/*
 * Opens a file of the log that is not the database. With `create` it is made
 * with the mode that belongs there; otherwise *fd is -1 when it is missing.
 */
int place_open(const struct place *p, const char *name, int flags, bool create,
	int *fd, struct ofs_error *e);

/* OFS_EAUDIT when the directory is on a network file system */
int place_check_fs(const struct place *p, struct ofs_error *e);
/*
 * Whether a file system is known to lose locks or syncs over a network: by
 * the magic number of statfs(2) and, for FUSE, the type in mountinfo.
 */
bool place_fs_is_remote(long magic, const char *fuse_type);

#endif
