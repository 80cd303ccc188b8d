/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The batch in the audit log: opened, intents, outcomes, closed. */
#ifndef SIGN_JOURNAL_H
#define SIGN_JOURNAL_H

#include <offlinesig/batch.h>

#include "audit/track.h"
#include "sign/chunk.h"
#include "sign/feed.h"
#include "sign/maker.h"

struct journal {
	ofs_audit *audit;
	const struct maker *maker;
	uint8_t batch_id[16];
	uint64_t opened_seq;
	bool tracked;    /* later batches may go on with the list */
	bool open_ended; /* the list is known when it is closed */
	bool unseen;     /* the next record tells of documents that were not */
	struct buf *parties; /* DER, one for each key */
	size_t n_parties;
};

const char *journal_format_name(enum ofs_format f); /* "cms" */

/* random batch id, encoded party */
int journal_init(struct journal *j, ofs_ctx *ctx, ofs_audit *audit,
	ofs_key *const *keys, size_t n_keys, const struct maker *m,
	struct ofs_error *e);
void journal_clear(struct journal *j);

/* All but these two run inside a log transaction of the caller. */
/*
 * `own` is the batch as it is tracked, with root_id when it goes on with an
 * earlier one; NULL: not tracked
 */
int journal_open(struct journal *j, const struct list *l, unsigned int jobs,
	const struct ofs_sign_opts *opts, const struct track *own,
	struct ofs_error *e);
/* one intent for the chunk's ready items; sets c->intent_seq */
int journal_intent(struct journal *j, struct chunk *c, struct ofs_error *e);
/*
 * an outcome for each item that was begun, with the finished output of the
 * signed ones as pending; closes the chunk's intent
 */
int journal_outcomes(struct journal *j, struct chunk *c, struct ofs_error *e);
/*
 * drops the pending rows of the outputs that are in place, and records the
 * release of those that were restored
 */
int journal_released(
	struct journal *j, const struct chunk *c, struct ofs_error *e);
/* with the digest of what was fed; NULL: the list was that of journal_open */
int journal_close(struct journal *j, const struct ofs_progress *p,
	struct feed *feed, int code, const char *reason, struct ofs_error *e);

/*
 * The same for a batch of another run, which has ended: j needs only audit,
 * batch_id, opened_seq and tracked; `items` is what it was opened for.
 */
int journal_close_batch(struct journal *j, uint64_t items,
	const struct ofs_progress *p, int code, const char *reason,
	struct ofs_error *e);
/* a RELEASE record, and the output does not wait any more */
int journal_release(ofs_audit *audit, const uint8_t batch_id[16],
	const struct rec_release *r, struct ofs_error *e);

#endif
