/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Single appends of several threads, which share a transaction. */
#ifndef AUDIT_GROUP_H
#define AUDIT_GROUP_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct group_entry;

/*
 * Who appends a single record queues it. One of those who wait leads: it opens
 * a transaction, appends what is queued, commits, and hands on to one that
 * came too late. `lock` guards all of this, and is taken inside the handle's.
 */
struct group_queue {
	pthread_mutex_t lock;
	struct group_entry *first, **last; /* that nobody has taken yet */
	size_t n;                          /* how many those are */
	bool led;
	size_t expected;     /* that come together, as the last ones did */
	int64_t took;        /* us, the last commit */
	bool awaited;        /* the leader waits for more */
	pthread_cond_t more; /* of thread_cond_init() */
};

int group_init(struct group_queue *g, struct ofs_error *e);
void group_free(struct group_queue *g);

#endif
