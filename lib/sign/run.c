/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The run of a batch: what the committing thread does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sign/run.h"

#include "base/ctx.h"
#include "base/hex.h"
#include "base/time.h"
#include "sign/copy.h"
#include "sign/pace.h"
#include "sign/pipeline.h"
#include "sign/recover.h"
#include "sign/release.h"
#include "sign/resume.h"

/* chunks for each token: one in it, one announced behind */
#define SENT_MAX 2
#define PROGRESS_US 200000

struct run {
	const struct run_opts *o;
	struct journal journal;
	struct resume resume;
	struct pipeline *pipe;
	struct ofs_progress *p;
	struct ofs_progress recorded; /* what the outcome records say */
	struct chunk_queue released;  /* pending rows not dropped yet */
	struct chunk_queue back;      /* signed, outcome not recorded yet */
	size_t sent;                  /* with the workers */
	struct pace pace;             /* when the next chunk may go */
	bool opened;                  /* BATCH OPENED is durable */
	bool stopping;
	int64_t began, reported;
};

void
run_result(const struct maker *m, const struct work *w, struct ofs_result *res)
{
	bool memory = w->item->output == NULL;

	memset(res, 0, sizeof(*res));
	res->size = sizeof(*res);
	res->index = w->index;
	res->status = w->status;
	res->path = w->item->path;
	res->output = w->item->output;
	res->id = w->item->id;
	res->digest_alg = m->alg->digest->id;
	if (w->ready) {
		res->digest = w->digest;
		res->digest_len = m->alg->digest->size;
	}
	res->document_size = w->size;
	res->seq = w->seq;
	if (memory && w->status == OFS_ITEM_SIGNED) {
		res->signature = w->out.p;
		res->signature_len = w->out.len;
	}
	res->code = w->err.code;
	res->message = w->err.code != 0 ? w->err.message
		: w->note != NULL       ? w->note
					: "";
	res->copy = w->copy;
	res->copy_code = w->copy_code;
	res->copy_message = w->copy_message != NULL ? w->copy_message : "";
}

void
run_tell_resumed(ofs_ctx *ctx, const struct resume *r, struct ofs_progress *p)
{
	uint64_t unknown = runs_count(&r->runs, RUN_UNKNOWN);
	char then[64] = "";

	if (!r->found)
		return;
	hex_encode(p->resumes, r->first.batch_id, 16);
	p->resumed = (size_t)runs_count(&r->runs, RUN_SIGNED);
	if (unknown > 0)
		snprintf(then, sizeof(then), ", the outcome of %llu is unknown",
			(unsigned long long)unknown);
	ctx_log(ctx, OFS_LOG_INFO,
		"going on with batch %s: %zu of its %zu items are signed%s",
		p->resumes, p->resumed, p->items, then);
}

static void
count(struct ofs_progress *p, enum ofs_item_status status)
{
	switch (status) {
	case OFS_ITEM_SIGNED:
		p->signed_items++;
		break;
	case OFS_ITEM_SKIPPED:
		p->skipped++;
		break;
	case OFS_ITEM_FAILED:
		p->failed++;
		break;
	case OFS_ITEM_NOT_ATTEMPTED:
		p->not_attempted++;
		break;
	case OFS_ITEM_UNKNOWN:
		p->unknown++;
		break;
	}
}

static void
report(struct run *r, struct work *w)
{
	struct ofs_result res;

	if (w->status == OFS_ITEM_NOT_ATTEMPTED && w->err.code == 0)
		(void)err_set(&w->err, OFS_EINTR,
			"not attempted: the batch was stopped before it");
	count(r->p, w->status);
	r->p->copied += w->copy != NULL && w->copy_code == 0;
	r->p->copy_failed += w->copy_code != 0;
	run_result(r->o->maker, w, &res);
	if (r->o->result != NULL)
		r->o->result(r->o->result_arg, &res);
}

/* of an open-ended batch they become more */
static void
count_items(struct run *r)
{
	if (r->o->feed != NULL)
		r->p->items = r->recorded.items = feed_items(r->o->feed);
}

static void
report_progress(struct run *r, bool always)
{
	int64_t now = time_mono();

	r->p->elapsed = now - r->began;
	count_items(r);
	r->p->bytes = r->pipe != NULL ? pipeline_bytes(r->pipe) : 0;
	if (r->o->progress == NULL ||
		(!always && now - r->reported < PROGRESS_US))
		return;
	r->reported = now;
	r->o->progress(r->o->progress_arg, r->p);
}

/* places the files of a recorded chunk and reports its items */
static int
release_chunk(struct run *r, struct chunk *c, struct ofs_error *e)
{
	struct release *todo;
	struct work **works;
	bool again = false;
	size_t i, n = 0;
	int rc;

	todo = calloc(c->n, sizeof(*todo));
	works = calloc(c->n, sizeof(struct work *));
	if (todo == NULL || works == NULL) {
		free(todo);
		free(works);
		return err_nomem(e);
	}
	for (i = 0; i < c->n; i++) {
		struct work *w = &c->works[i];

		if ((w->status != OFS_ITEM_SIGNED && !w->restored) ||
			w->item->output == NULL)
			continue;
		todo[n] = (struct release){ .path = w->item->absolute,
			.p = w->out.p,
			.n = w->out.len,
			.replace =
				r->o->sign->existing == OFS_EXISTING_REPLACE };
		works[n++] = w;
		again = again || w->restored;
	}
	rc = release_all(todo, n, again, e);
	for (i = 0; i < n && rc == 0; i++) {
		works[i]->placed = todo[i].placed;
		if (todo[i].placed)
			continue;
		works[i]->status = OFS_ITEM_FAILED;
		(void)err_set(&works[i]->err, todo[i].e.code,
			"signed and recorded, but not released: %s; the log "
			"keeps the signature and the next run releases it",
			todo[i].e.message);
		works[i]->err.sys_errno = todo[i].e.sys_errno;
	}
	if (rc == 0)
		rc = copy_chunk(r->o->sign, c, e);
	for (i = 0; i < c->n && rc == 0; i++)
		report(r, &c->works[i]);
	free(todo);
	free(works);
	return rc;
}

/* a full disk would fail the rest too: better not to sign it */
static bool
release_failed(const struct chunk *c)
{
	size_t i;

	for (i = 0; i < c->n; i++)
		if (c->works[i].err.code == OFS_EIO && c->works[i].verified)
			return true;
	return false;
}

static int
open_batch(struct run *r, struct ofs_error *e)
{
	int rc;

	if (r->opened)
		return 0;
	rc = journal_open(&r->journal, r->o->list, r->o->jobs, r->o->sign,
		r->resume.tracked ? &r->resume.own : NULL, e);
	if (rc == 0)
		rc = log_batch_hold(r->o->audit, r->journal.opened_seq, e);
	return rc;
}

static int
record_all(struct run *r, struct chunk *next, struct ofs_error *e)
{
	struct chunk *c;
	int rc;

	rc = open_batch(r, e);
	for (c = r->released.first; c != NULL && rc == 0; c = c->link)
		rc = journal_released(&r->journal, c, e);
	for (c = r->back.first; c != NULL && rc == 0; c = c->link)
		rc = journal_outcomes(&r->journal, c, e);
	if (rc == 0 && next != NULL && next->ready > 0)
		rc = journal_intent(&r->journal, next, e);
	return rc;
}

/* one transaction: outcomes of what came back, intent of what goes next */
static int
commit_step(struct run *r, struct chunk *next, struct ofs_error *e)
{
	int rc;

	rc = log_begin(r->o->audit, e);
	if (rc != 0)
		return rc;
	rc = record_all(r, next, e);
	if (rc != 0) {
		log_rollback(r->o->audit);
		return rc;
	}
	rc = log_commit(r->o->audit, e);
	if (rc != 0)
		return rc;
	r->opened = true;
	log_checkpoint_after(r->o->audit, false);
	return 0;
}

static void
count_recorded(struct run *r, const struct chunk *c)
{
	size_t i;

	for (i = 0; i < c->n; i++)
		count(&r->recorded, c->works[i].status);
}

/* after the commit: files out, results told, chunks on to the next commit */
static int
release_back(struct run *r, struct ofs_error *e)
{
	struct chunk *c;
	int rc = 0;

	while (rc == 0 && (c = r->back.first) != NULL) {
		count_recorded(r, c);
		rc = release_chunk(r, c, e);
		if (rc != 0)
			break;
		if (release_failed(c)) {
			r->stopping = true;
			pipeline_stop(r->pipe, false);
		}
		chunk_push(&r->released, chunk_pop(&r->back));
	}
	return rc;
}

static void
recycle_released(struct run *r)
{
	struct chunk *c;

	while ((c = chunk_pop(&r->released)) != NULL)
		pipeline_recycle(r->pipe, c);
}

static void
collect_back(struct run *r)
{
	struct chunk *c;

	while ((c = pipeline_signed(r->pipe)) != NULL) {
		r->sent--;
		chunk_push(&r->back, c);
	}
}

static size_t
sent_max(const struct run *r)
{
	return SENT_MAX * r->o->n_keys;
}

static bool
may_send(const struct run *r)
{
	return r->sent < sent_max(r) && pace_left(&r->pace, time_mono()) == 0;
}

/* a chunk that the token need not see goes the way of those that it has */
static struct chunk *
take_next(struct run *r)
{
	struct chunk *c;

	if (!may_send(r) && !r->stopping)
		return NULL;
	c = pipeline_prepared(r->pipe);
	if (c != NULL && (c->ready == 0 || r->stopping)) {
		chunk_push(&r->back, c);
		return NULL;
	}
	return c;
}

static void
look_for_stop(struct run *r)
{
	struct ofs_error why;

	if (r->stopping)
		return;
	if (atomic_load(r->o->cancelled) || pipeline_failed(r->pipe, &why)) {
		r->stopping = true;
		pipeline_stop(r->pipe, false);
	}
}

static int
step(struct run *r, struct ofs_error *e)
{
	struct chunk *next;
	int64_t wait;
	int rc;

	wait = pace_left(&r->pace, time_mono());
	pipeline_wait(r->pipe, may_send(r) || r->stopping,
		wait > 0 && wait < PROGRESS_US ? wait : PROGRESS_US);
	look_for_stop(r);
	collect_back(r);
	next = take_next(r);
	if (next == NULL && r->back.n == 0) {
		report_progress(r, false);
		return 0;
	}
	rc = commit_step(r, next, e);
	if (rc != 0) {
		if (next != NULL)
			chunk_push(&r->back, next);
		return rc;
	}
	recycle_released(r);
	if (next != NULL) {
		pace_took(&r->pace, time_mono(), next->ready);
		pipeline_send(r->pipe, next);
		r->sent++;
	}
	rc = release_back(r, e);
	report_progress(r, false);
	return rc;
}

/*
 * The log failed. What the token was asked for and is not recorded is unknown
 * to everybody who comes later; no byte of it leaves this process.
 */
static void
give_up(struct run *r, const struct ofs_error *why)
{
	struct chunk *c;
	size_t i;

	pipeline_stop(r->pipe, true);
	do {
		pipeline_wait(r->pipe, true, PROGRESS_US);
		collect_back(r);
		while ((c = pipeline_prepared(r->pipe)) != NULL)
			chunk_push(&r->back, c);
		while ((c = chunk_pop(&r->back)) != NULL) {
			for (i = 0; i < c->n; i++) {
				struct work *w = &c->works[i];

				w->seq = 0;
				if (w->restored)
					w->status = OFS_ITEM_NOT_ATTEMPTED;
				if (w->attempts > 0) {
					w->status = OFS_ITEM_UNKNOWN;
					w->err = *why;
				}
				report(r, w);
			}
			pipeline_recycle(r->pipe, c);
		}
	} while (!pipeline_done(r->pipe));
}

static void
report_untaken(struct run *r, size_t i, const struct list_item *item)
{
	struct work w;

	memset(&w, 0, sizeof(w));
	w.index = i;
	w.item = item;
	w.status = OFS_ITEM_NOT_ATTEMPTED;
	report(r, &w);
	count(&r->recorded, w.status);
}

/* items that no chunk has taken up */
static void
report_rest(struct run *r)
{
	const struct list *l = r->o->list;
	struct list_item item = { 0 };
	struct ofs_error ignored;
	size_t i;

	i = r->pipe != NULL ? pipeline_taken(r->pipe) : 0;
	for (; i < l->n; i++) {
		(void)list_read(l, i, &item, &ignored);
		report_untaken(r, i, &item);
	}
	while (r->o->feed != NULL && feed_take(r->o->feed, false, &item))
		report_untaken(r, i++, &item);
	list_item_free(&item);
	count_items(r);
}

/* what the whole run comes to, once every item has its result */
static int
conclude(struct run *r, struct ofs_error *e)
{
	const struct ofs_progress *p = r->p;

	bool failed = pipeline_failed(r->pipe, e);

	if (failed && !atomic_load(r->o->cancelled))
		return e->code;
	if (atomic_load(r->o->cancelled) && p->not_attempted > 0)
		return err_set(e, OFS_EINTR,
			"interrupted: %zu of %zu items are signed and "
			"recorded; %s",
			p->signed_items, p->items,
			r->o->feed != NULL ? "the rest was not attempted"
					   : "the same command again goes on "
					     "with the rest");
	if (p->failed + p->not_attempted + p->unknown > 0)
		return err_set(e, OFS_EITEMS, "%zu of %zu items are not signed",
			p->failed + p->not_attempted + p->unknown, p->items);
	if (p->copy_failed > 0)
		return err_set(e, OFS_EIO,
			"everything is signed, and %zu of %zu second copies "
			"could not be made",
			p->copy_failed, p->copy_failed + p->copied);
	return 0;
}

static int
close_batch(struct run *r, int code, const struct ofs_error *why,
	struct ofs_error *e)
{
	struct chunk *c;
	int rc;

	rc = log_begin(r->o->audit, e);
	if (rc != 0)
		return rc;
	for (c = r->released.first; c != NULL && rc == 0; c = c->link)
		rc = journal_released(&r->journal, c, e);
	if (rc == 0)
		rc = journal_close(&r->journal, &r->recorded, r->o->feed, code,
			code != 0 ? why->message : NULL, e);
	if (rc == 0)
		return log_commit(r->o->audit, e);
	log_rollback(r->o->audit);
	return rc;
}

static int
run_pipeline(struct run *r, struct ofs_error *e)
{
	struct ofs_error why;
	int rc = 0, code;

	while (rc == 0 && !pipeline_done(r->pipe))
		rc = step(r, e);
	if (rc != 0) {
		give_up(r, e);
		report_rest(r);
		return rc;
	}
	report_rest(r);
	r->p->stopped = r->stopping || r->p->not_attempted > 0;
	err_clear(&why);
	code = conclude(r, &why);
	if (r->opened)
		rc = close_batch(r, code, &why, e);
	if (rc == 0 && r->opened)
		log_checkpoint_after(r->o->audit, true);
	if (rc == 0 && code != 0)
		*e = why;
	return rc != 0 ? rc : code;
}

int
run_batch(const struct run_opts *o, struct ofs_progress *p, struct ofs_error *e)
{
	struct pipeline_opts po = { .maker = o->maker,
		.list = o->list,
		.feed = o->feed,
		.keys = o->keys,
		.n_keys = o->n_keys,
		.jobs = o->jobs,
		.call_limit = ctx_call_limit(o->ctx),
		.stop_on_error = o->sign->stop_on_error,
		.ready_max = pace_chunk_max(o->sign->rate) };
	struct run r = { .o = o, .p = p, .pace.rate = o->sign->rate };
	int rc;

	po.resume = &r.resume;
	r.began = r.reported = time_mono();
	p->items = r.recorded.items = o->list->n;
	rc = resume_before(&r.resume, o->audit, o->sign, e);
	if (rc == 0)
		rc = recover_run(o->ctx, o->audit, e);
	if (rc == 0 && o->feed == NULL)
		rc = resume_find(&r.resume, o->audit, o->maker, o->list,
			o->sign, true, e);
	if (rc == 0)
		run_tell_resumed(o->ctx, &r.resume, p);
	if (rc == 0)
		rc = journal_init(&r.journal, o->ctx, o->audit, o->keys,
			o->n_keys, o->maker, e);
	if (rc == 0)
		rc = pipeline_start(&po, &r.pipe, e);
	if (rc == 0) {
		hex_encode(p->batch_id, r.journal.batch_id, 16);
		rc = run_pipeline(&r, e);
		report_progress(&r, true);
	}
	/* whoever added something was told that it would have a result */
	if (r.pipe == NULL && o->feed != NULL) {
		feed_stop(o->feed);
		report_rest(&r);
	}
	if (r.journal.opened_seq != 0)
		log_batch_release(o->audit, r.journal.opened_seq);
	if (r.pipe != NULL)
		recycle_released(&r);
	pipeline_free(r.pipe);
	journal_clear(&r.journal);
	resume_clear(&r.resume);
	return rc;
}
