/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Locks that say which batches are running; they die with their process. */
#ifndef AUDIT_HOLD_H
#define AUDIT_HOLD_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/*
 * One byte of the lock file for each number, by open file description: a
 * second handle of this process conflicts too. Within a handle the kernel sees
 * no conflict, so the numbers held are also listed. Any thread may call.
 */
struct hold {
	int fd; /* -1: no lock file; nothing can be held, nothing is alive */
	pthread_mutex_t lock;
	uint64_t *held;
	size_t n, cap;
};

/* below are numbers of records, from here on lists: log_list_hold() */
#define HOLD_LISTS (UINT64_C(1) << 62)

int hold_init(struct hold *h, struct ofs_error *e);
void hold_free(struct hold *h); /* closes fd, and so drops the locks */
/* OFS_EAUDIT when it is held already, here or elsewhere */
int hold_take(struct hold *h, uint64_t number, struct ofs_error *e);
void hold_drop(struct hold *h, uint64_t number);
/*
 * all numbers of records from `first` on: what a transaction that was dropped
 * had taken
 */
void hold_drop_from(struct hold *h, uint64_t first);
bool hold_alive(struct hold *h, uint64_t number);

#endif
