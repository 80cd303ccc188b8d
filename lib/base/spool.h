/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bytes of any number that nobody else sees: in memory, then in a file. */
#ifndef BASE_SPOOL_H
#define BASE_SPOOL_H

#include "base/buf.h"
#include "base/err.h"

#define SPOOL_MEMORY (128u << 10)

/*
 * What is appended is kept in memory until it is more than SPOOL_MEMORY bytes,
 * and then goes to a file in `dir` that has no name and mode 0600: it is gone
 * with the process. Several threads may read while none writes. OFS_EIO.
 */
struct spool {
	const char *dir; /* borrowed */
	int fd;          /* -1: no file yet */
	uint64_t on_disk;
	struct buf tail; /* what follows it */
};

void spool_init(struct spool *s, const char *dir);
void spool_free(struct spool *s); /* and makes it empty */
uint64_t spool_size(const struct spool *s);
int spool_append(struct spool *s, const void *p, size_t n, struct ofs_error *e);
/* n bytes that were appended, from `at` on */
int spool_read(const struct spool *s, uint64_t at, void *p, size_t n,
	struct ofs_error *e);
/* overwrites n of them */
int spool_write(struct spool *s, uint64_t at, const void *p, size_t n,
	struct ofs_error *e);
/* forgets all behind the first `size` bytes */
int spool_cut(struct spool *s, uint64_t size, struct ofs_error *e);

#endif
