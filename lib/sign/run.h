/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The run of a batch: what the committing thread does. */
#ifndef SIGN_RUN_H
#define SIGN_RUN_H

#include <stdatomic.h>

#include <offlinesig/batch.h>

#include "sign/feed.h"
#include "sign/journal.h"
#include "sign/list.h"
#include "sign/maker.h"
#include "sign/resume.h"

struct run_opts {
	ofs_ctx *ctx;
	ofs_key *const *keys; /* with the same public key */
	size_t n_keys;
	ofs_audit *audit;
	const struct ofs_sign_opts *sign;
	const struct maker *maker;
	const struct list *list;
	struct feed *feed; /* items that come later; NULL: none will */
	unsigned int jobs;
	atomic_bool *cancelled;
	ofs_result_fn result;
	void *result_arg;
	ofs_progress_fn progress;
	void *progress_arg;
};

/*
 * Signs the list; see ofs_batch_run(). `e` is filled when the result is not
 * 0, `p` always.
 */
int run_batch(
	const struct run_opts *o, struct ofs_progress *p, struct ofs_error *e);

/* what is gone on with, if anything, in *p and as a line of the log */
void run_tell_resumed(
	ofs_ctx *ctx, const struct resume *r, struct ofs_progress *p);

/* one item's result in the shape of the callback */
void run_result(
	const struct maker *m, const struct work *w, struct ofs_result *res);

#endif
