/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A disk that remembers what was done to it, and what a power loss leaves. */
#ifndef TEST_LIB_CRASHDISK_H
#define TEST_LIB_CRASHDISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum disk_op {
	DISK_CREATE,
	DISK_WRITE,
	DISK_TRUNCATE,
	DISK_SYNC,
	DISK_SYNC_FAILED, /* what it should have kept never gets there */
	DISK_UNLINK,
	DISK_RENAME,
	DISK_SYNC_DIR
};

/*
 * The files in the directories of `root`, which are empty at first; their
 * directories stay. One disk at a time.
 */
void disk_begin(const char *root);
void disk_end(void);
/* whether the path is on the disk */
bool disk_has(const char *path);
/* n: of bytes, or the new size; a file that is not known is created */
void disk_note(enum disk_op op, const char *path, const char *to, const void *p,
	size_t n, uint64_t at);
/* how many things were done so far; and the n-th of them for messages */
size_t disk_events(void);
void disk_describe(size_t n, char *to, size_t size);

/* What becomes of writes, sizes and names that were not synced. */
enum disk_left {
	LEFT_DROPPED,
	LEFT_KEPT,
	LEFT_FILES,   /* some files keep all, some nothing */
	LEFT_SECTORS, /* each 512 bytes are there or not */
	LEFT_GARBLED, /* or they are other bytes */
	LEFT_KINDS
};
/*
 * Leaves in `root` what stays when the power goes after the first n events.
 * Nothing more than POSIX promises is relied upon, but that a write of some
 * bytes leaves those beside them alone and that names change in order.
 */
void disk_lose_power(size_t n, enum disk_left how, uint64_t seed);

/* splitmix64 */
uint64_t disk_random(uint64_t *state);

#endif
