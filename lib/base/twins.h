/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the keys that occur more than once among any number of them. */
#ifndef BASE_TWINS_H
#define BASE_TWINS_H

#include "base/spool.h"

#define TWINS_KEY 16
#define TWINS_RUN 16384 /* keys sorted in memory at once */

/* A key, which is a hash of what is compared, and whose it is. */
struct twin {
	uint8_t key[TWINS_KEY];
	uint64_t tag;
};

/*
 * An external sort: runs are sorted in memory and spooled, then merged. Costs
 * less than 1 MiB of memory and 4 KiB for each TWINS_RUN keys. Errors are those
 * of the spool.
 */
struct twins {
	struct twin *run; /* the one that is filled */
	size_t n, cap;
	size_t runs; /* spooled ones */
	struct spool spool;
};

void twins_init(struct twins *t, const char *dir); /* of the spool */
void twins_free(struct twins *t);
int twins_add(struct twins *t, const uint8_t key[TWINS_KEY], uint64_t tag,
	struct ofs_error *e);
/*
 * Every two neighbours with one key, in the order of the tags of that key; fn
 * returns 0 or an error that ends it. Once, and nothing is added any more.
 */
typedef int (*twins_fn)(
	void *arg, uint64_t first, uint64_t second, struct ofs_error *e);
int twins_each(struct twins *t, twins_fn fn, void *arg, struct ofs_error *e);

#endif
