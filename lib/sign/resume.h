/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Going on with a list that earlier batches have begun. */
#ifndef SIGN_RESUME_H
#define SIGN_RESUME_H

#include "audit/track.h"
#include "sign/maker.h"

struct resume {
	ofs_audit *audit;
	const struct maker *maker;
	bool resign, resign_unknown;
	bool tracked;     /* others may go on with this list: files only */
	bool found;       /* and this run goes on with one: */
	bool was_asked;   /* resume_before() found opts->resume: */
	struct track was; /* its newest batch */
	struct track own; /* what this run is; root_id when found */
	struct track
		first;    /* the first batch of the list, or of what is known */
	struct runs runs; /* what the earlier ones have come to */
	uint64_t holds[2]; /* of lists: 0: none */
};

/*
 * Begins r, before recover_run(): that ends a list of which only the end was
 * missing, and what was asked for is not unfinished any more then.
 */
int resume_before(struct resume *r, ofs_audit *audit,
	const struct ofs_sign_opts *opts, struct ofs_error *e);

/*
 * Looks for what is to be gone on with, in the log as recover_run() left it,
 * and with `hold` keeps other runs from the same list until resume_clear().
 * r is empty, or resume_before()'s.
 * OFS_EEXIST: one is at it. OFS_EFORMAT: no such batch as opts->resume.
 * OFS_EMISMATCH: the list, key or format is not that of opts->resume.
 */
int resume_find(struct resume *r, ofs_audit *audit, const struct maker *m,
	const struct list *l, const struct ofs_sign_opts *opts, bool hold,
	struct ofs_error *e);
void resume_clear(struct resume *r);

/*
 * Whether the item needs no signature, or must not have one: then its status
 * and err are set, and nothing of it is recorded anew. Otherwise it is to be
 * prepared as any other. One that is `restored` has its finished file in
 * w->out, made from the record, and is placed without another signature.
 */
bool resume_item(const struct resume *r, struct prepare *p, struct work *w);

#endif
