/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A lock file in a directory that others can write, and who holds it. */
#ifndef TOKEN_LOCKFILE_H
#define TOKEN_LOCKFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/*
 * Byte 0 is the lock and byte 1 the queue: who holds the queue is the next to
 * get the lock. Both are open file description locks: they belong to `fd`,
 * whichever thread takes them, and end with the process. One thread at a time
 * may take or hold the lock; any may ask for the holder meanwhile.
 */
struct lockfile {
	char *path;     /* owned */
	int fd;         /* the same number for life */
	char note[160]; /* what the holder writes, up to the time */
};

#define LOCKFILE_PROGRAM_MAX 64

/* As the file says, which anybody can write: text is for messages only. */
struct lockfile_holder {
	int64_t pid, uid; /* -1: not known */
	int64_t since;    /* us since the epoch; 0: not known */
	char program[LOCKFILE_PROGRAM_MAX];
};

/*
 * Opens the file, or makes it for everybody (0666). A symbolic link, anything
 * but a regular file, and one with a second name are refused: OFS_EIO.
 */
int lockfile_open(struct lockfile *f, const char *dir, const char *name,
	struct ofs_error *e);
/* the locks too, where no child of fork() has the file open still */
void lockfile_close(struct lockfile *f);

/*
 * Waits for the lock behind those who queue, until deadline_us of time_mono().
 * *got is false when it was somebody else's all the time. Errors: OFS_EIO.
 */
int lockfile_take(struct lockfile *f, int64_t deadline_us, bool *got,
	struct ofs_error *e);
void lockfile_give(struct lockfile *f);
/* whether another process queues; the lock is held */
bool lockfile_wanted(const struct lockfile *f);

void lockfile_holder(const struct lockfile *f, struct lockfile_holder *out);

#endif
