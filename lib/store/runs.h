/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What became of the items of a batch, in runs of neighbours. */
#ifndef STORE_RUNS_H
#define STORE_RUNS_H

#include <stdint.h>

#include "base/err.h"

/* as the table batch_item has them; the first three are enum rec_status */
enum run_status {
	RUN_SIGNED = 1,
	RUN_FAILED = 2,
	RUN_NOT_ATTEMPTED = 3,
	RUN_ANNOUNCED = 4, /* in an intent, without outcome so far */
	RUN_UNKNOWN = 5    /* and there will be none */
};

/*
 * Items first .. first + n - 1. `seq` is the outcome of the first, and those of
 * the others follow it; where there is no outcome, the intent of all of them.
 */
struct item_run {
	uint64_t first, n;
	enum run_status status;
	uint64_t seq;
};

/* Ascending, none of them overlapping, neighbours joined where they fit. */
struct runs {
	struct item_run *p;
	size_t n, cap;
};

/* these items are so from now on, whatever they were */
int runs_put(struct runs *rs, const struct item_run *r, struct ofs_error *e);
/* the run that holds an item; NULL: nothing is known of it */
const struct item_run *runs_find(const struct runs *rs, uint64_t index);
/* the record that belongs to an item of the run */
uint64_t run_seq(const struct item_run *r, uint64_t index);
uint64_t runs_count(const struct runs *rs, enum run_status status);
void runs_free(struct runs *rs);

#endif
