/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The threads of a batch: one prepares, some sign, the caller commits. */
#ifndef SIGN_PIPELINE_H
#define SIGN_PIPELINE_H

#include "sign/chunk.h"
#include "sign/feed.h"
#include "sign/maker.h"
#include "sign/resume.h"

/*
 * Chunks go round: the preparer takes an empty one, fills it and offers it
 * (pipeline_prepared); the committer makes its intent durable and sends it to
 * the token (pipeline_send); when the workers are through with it, it comes
 * back (pipeline_signed) and the committer records, releases and returns it
 * (pipeline_recycle). Only the committer calls these, from one thread.
 */
struct pipeline;

struct pipeline_opts {
	const struct maker *maker;
	const struct list *list;
	struct feed *feed;    /* what comes behind the list; NULL: nothing */
	ofs_key *const *keys; /* all with the same public key */
	size_t n_keys;
	unsigned int jobs;  /* sessions with each */
	int64_t call_limit; /* us that a call into a module may take */
	bool stop_on_error;
	size_t ready_max; /* for the token in a chunk; 0: as it goes */
	const struct resume *resume; /* what earlier batches have done */
};

/* opens the sessions and starts the threads */
int pipeline_start(const struct pipeline_opts *o, struct pipeline **out,
	struct ofs_error *e);
/* joins the threads and frees everything, wiping what was not recorded */
void pipeline_free(struct pipeline *p);

/* at least one of the two, or the end, or `us` microseconds have passed */
void pipeline_wait(struct pipeline *p, bool want_prepared, int64_t us);
struct chunk *pipeline_prepared(struct pipeline *p); /* NULL: none yet */
struct chunk *pipeline_signed(struct pipeline *p);   /* NULL: none yet */
void pipeline_send(struct pipeline *p, struct chunk *c);
void pipeline_recycle(struct pipeline *p, struct chunk *c);
/* nothing is prepared any more and no chunk is under way */
bool pipeline_done(struct pipeline *p);
uint64_t pipeline_bytes(struct pipeline *p); /* of documents read so far */

/*
 * No further item is prepared; chunks that no worker has begun come back
 * unsigned; the one in the token is finished, or, when `now`, abandoned at
 * its next item.
 */
void pipeline_stop(struct pipeline *p, bool now);
/* whether it was stopped from within; *why says by what */
bool pipeline_failed(struct pipeline *p, struct ofs_error *why);
/* how many items of the list were taken up */
size_t pipeline_taken(struct pipeline *p);

#endif
