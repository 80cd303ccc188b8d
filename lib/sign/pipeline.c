/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The threads of a batch: one prepares, some sign, the caller commits. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "sign/pipedef.h"

#include "base/thread.h"
#include "base/time.h"

/* token time that a chunk should take, us */
#define CHUNK_TARGET 75000
#define CHUNK_FIRST 16
/* how often the committer looks after the workers, us */
#define LOOK_US 100000

void
pipeline_stop_locked(struct pipeline *p, bool now)
{
	atomic_store(&p->prepare.stop, true);
	p->stop = true;
	p->stop_now = p->stop_now || now;
	if (p->o.feed != NULL)
		feed_stop(p->o.feed);
	pthread_cond_broadcast(&p->to_prepare);
	pthread_cond_broadcast(&p->to_sign);
	pthread_cond_broadcast(&p->to_commit);
}

/* the preparer */

static struct chunk *
take_empty(struct pipeline *p, size_t *target)
{
	struct chunk *c = NULL;

	pthread_mutex_lock(&p->lock);
	while (!p->stop && !p->quit && (c = chunk_pop(&p->empty)) == NULL)
		pthread_cond_wait(&p->to_prepare, &p->lock);
	*target = p->target;
	pthread_mutex_unlock(&p->lock);
	return c;
}

static bool
stopping(struct pipeline *p)
{
	bool yes;

	pthread_mutex_lock(&p->lock);
	yes = p->stop || p->quit;
	pthread_mutex_unlock(&p->lock);
	return yes;
}

/* the list cannot be read any more: nobody knows what is next */
static void
fail_list(struct pipeline *p, const struct ofs_error *why)
{
	pthread_mutex_lock(&p->lock);
	if (p->why.code == 0)
		p->why = *why;
	pipeline_stop_locked(p, false);
	pthread_mutex_unlock(&p->lock);
}

/*
 * Item `next` into a work of c; the last one was the last for now when it
 * returns false. What is there is signed: only for the first item of a chunk
 * is anybody waited for.
 */
static bool
take_item(struct pipeline *p, struct chunk *c, size_t next, struct work **w)
{
	struct ofs_error e;

	*w = chunk_add(c, next);
	if (next >= p->o.list->n) {
		if (p->o.feed != NULL &&
			feed_take(p->o.feed, c->n == 1, &(*w)->own))
			return true;
	} else if (list_read(p->o.list, next, &(*w)->own, &e) == 0) {
		return true;
	} else {
		fail_list(p, &e);
	}
	chunk_drop(c);
	return false;
}

/* fills c from item `next` on; returns the item after the last */
static size_t
fill_chunk(struct pipeline *p, struct chunk *c, size_t target, size_t next)
{
	struct work *w;

	while (c->n < target && c->bytes < CHUNK_BYTES_MAX &&
		(p->o.ready_max == 0 || c->ready < p->o.ready_max) &&
		!stopping(p) && take_item(p, c, next, &w)) {
		if (!resume_item(p->o.resume, &p->prepare, w))
			maker_prepare(p->o.maker, &p->prepare, w);
		next++;
		c->bytes += w->content.len + (w->restored ? w->out.len : 0);
		if (w->ready)
			c->ready++;
		else if (w->status == OFS_ITEM_FAILED && p->o.stop_on_error)
			break;
	}
	pthread_mutex_lock(&p->lock);
	p->taken = next;
	pthread_mutex_unlock(&p->lock);
	return next;
}

static bool
has_failure(const struct chunk *c)
{
	size_t i;

	for (i = 0; i < c->n; i++)
		if (c->works[i].status == OFS_ITEM_FAILED)
			return true;
	return false;
}

static void *
preparer_main(void *arg)
{
	struct pipeline *p = arg;
	struct chunk *c;
	size_t next = 0, target;
	bool last = false;

	while (!last && (p->o.feed != NULL || next < p->o.list->n) &&
		(c = take_empty(p, &target)) != NULL) {
		next = fill_chunk(p, c, target, next);
		last = c->n == 0 || (p->o.stop_on_error && has_failure(c));
		pthread_mutex_lock(&p->lock);
		chunk_push(c->n > 0 ? &p->prepared : &p->empty, c);
		pthread_cond_broadcast(&p->to_commit);
		pthread_mutex_unlock(&p->lock);
	}
	if (p->o.feed != NULL)
		feed_stop(p->o.feed);
	pthread_mutex_lock(&p->lock);
	p->all_prepared = true;
	pthread_cond_broadcast(&p->to_commit);
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* hands back what is through; the lock is held */
static void
finish_locked(struct pipeline *p, struct chunk *c)
{
	int64_t took = time_mono() - c->began;
	size_t want;

	(void)chunk_pop(&p->sending); /* c: they end in the order sent */
	p->outstanding--;
	if (c->ready > 0 && !c->abandoned && took > 0) {
		want = (size_t)((int64_t)c->ready * CHUNK_TARGET / took);
		/* at most doubled: the first chunks are small samples */
		if (want > 2 * p->target)
			want = 2 * p->target;
		p->target = want < 1             ? 1
			: want > CHUNK_ITEMS_MAX ? CHUNK_ITEMS_MAX
						 : want;
	}
	chunk_push(&p->signed_, c);
	pthread_cond_broadcast(&p->to_commit);
	pthread_cond_broadcast(&p->to_sign);
}

void
pipeline_hand_back_locked(struct pipeline *p)
{
	while (p->sending.first != NULL &&
		p->sending.first->done == p->sending.first->n)
		finish_locked(p, p->sending.first);
}

/* the committer's side */

static bool
has_news(const struct pipeline *p, bool want_prepared)
{
	return p->signed_.n > 0 || (want_prepared && p->prepared.n > 0) ||
		(p->all_prepared && p->prepared.n == 0 && p->outstanding == 0);
}

void
pipeline_wait(struct pipeline *p, bool want_prepared, int64_t us)
{
	int64_t end = time_mono() + us, now, until;
	bool news = false;

	while (!news && (now = time_mono()) < end) {
		until = now + LOOK_US < end ? now + LOOK_US : end;
		pthread_mutex_lock(&p->lock);
		if (!has_news(p, want_prepared))
			(void)thread_cond_wait(&p->to_commit, &p->lock, until);
		news = has_news(p, want_prepared);
		pthread_mutex_unlock(&p->lock);
		workers_look(p);
	}
}

static struct chunk *
pop(struct pipeline *p, struct chunk_queue *q)
{
	struct chunk *c;

	pthread_mutex_lock(&p->lock);
	c = chunk_pop(q);
	pthread_mutex_unlock(&p->lock);
	return c;
}

struct chunk *
pipeline_prepared(struct pipeline *p)
{
	return pop(p, &p->prepared);
}

struct chunk *
pipeline_signed(struct pipeline *p)
{
	return pop(p, &p->signed_);
}

void
pipeline_send(struct pipeline *p, struct chunk *c)
{
	pthread_mutex_lock(&p->lock);
	chunk_push(&p->sending, c);
	p->outstanding++;
	if (p->live == 0)
		workers_sweep_locked(p);
	pthread_cond_broadcast(&p->to_sign);
	pthread_mutex_unlock(&p->lock);
}

void
pipeline_recycle(struct pipeline *p, struct chunk *c)
{
	chunk_reset(c);
	pthread_mutex_lock(&p->lock);
	chunk_push(&p->empty, c);
	pthread_cond_broadcast(&p->to_prepare);
	pthread_mutex_unlock(&p->lock);
}

bool
pipeline_done(struct pipeline *p)
{
	bool done;

	pthread_mutex_lock(&p->lock);
	done = p->all_prepared && p->prepared.n == 0 && p->outstanding == 0 &&
		p->signed_.n == 0;
	pthread_mutex_unlock(&p->lock);
	return done;
}

uint64_t
pipeline_bytes(struct pipeline *p)
{
	return atomic_load(&p->prepare.bytes);
}

size_t
pipeline_taken(struct pipeline *p)
{
	size_t n;

	pthread_mutex_lock(&p->lock);
	n = p->taken;
	pthread_mutex_unlock(&p->lock);
	return n;
}

void
pipeline_stop(struct pipeline *p, bool now)
{
	size_t i;

	pthread_mutex_lock(&p->lock);
	pipeline_stop_locked(p, now);
	pthread_mutex_unlock(&p->lock);
	for (i = 0; i < p->o.n_keys; i++)
		key_give_up(p->o.keys[i]);
}

bool
pipeline_failed(struct pipeline *p, struct ofs_error *why)
{
	pthread_mutex_lock(&p->lock);
	*why = p->why;
	pthread_mutex_unlock(&p->lock);
	return why->code != 0;
}

/* life and death */

static int
init_locks(struct pipeline *p, struct ofs_error *e)
{
	int rc = thread_cond_init(&p->to_commit);

	if (rc != 0)
		return err_sys(e, OFS_EINTERNAL, rc, "cannot make a condition");
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->to_prepare, NULL);
	pthread_cond_init(&p->to_sign, NULL);
	return 0;
}

/* in the token, announced behind it, prepared, being recorded, released */
static int
make_chunks(struct pipeline *p, struct ofs_error *e)
{
	struct chunk *c;
	size_t i;

	for (i = 0; i < 2 * p->o.n_keys + 4; i++) {
		c = chunk_new();
		if (c == NULL)
			return err_nomem(e);
		chunk_push(&p->empty, c);
	}
	return 0;
}

static int
start_threads(struct pipeline *p, struct ofs_error *e)
{
	int rc = thread_start(&p->preparer, preparer_main, p);

	p->preparer_started = rc == 0;
	if (rc == 0)
		rc = workers_start(p);
	return rc == 0 ? 0
		       : err_sys(e, OFS_ENOMEM, rc, "cannot start a thread");
}

int
pipeline_start(const struct pipeline_opts *o, struct pipeline **out,
	struct ofs_error *e)
{
	struct pipeline *p = calloc(1, sizeof(*p));
	int rc;

	*out = NULL;
	if (p == NULL)
		return err_nomem(e);
	p->o = *o;
	p->target = CHUNK_FIRST;
	rc = init_locks(p, e);
	if (rc != 0) {
		free(p);
		return rc;
	}
	rc = make_chunks(p, e);
	if (rc == 0)
		rc = workers_open(p, e);
	if (rc == 0)
		rc = start_threads(p, e);
	if (rc == 0)
		rc = workers_wait_ready(p, e);
	if (rc != 0)
		pipeline_free(p);
	else
		*out = p;
	return rc;
}

static void
join_threads(struct pipeline *p)
{
	size_t i;

	for (i = 0; i < p->o.n_keys; i++)
		key_give_up(p->o.keys[i]);
	pthread_mutex_lock(&p->lock);
	p->quit = true;
	pipeline_stop_locked(p, true);
	pthread_mutex_unlock(&p->lock);
	if (p->preparer_started)
		pthread_join(p->preparer, NULL);
	workers_join(p);
}

static void
free_queue(struct chunk_queue *q)
{
	struct chunk *c;

	while ((c = chunk_pop(q)) != NULL)
		chunk_free(c);
}

void
pipeline_free(struct pipeline *p)
{
	if (p == NULL)
		return;
	join_threads(p);
	workers_free(p);
	prepare_free(&p->prepare);
	free_queue(&p->empty);
	free_queue(&p->prepared);
	free_queue(&p->sending);
	free_queue(&p->signed_);
	pthread_cond_destroy(&p->to_prepare);
	pthread_cond_destroy(&p->to_sign);
	pthread_cond_destroy(&p->to_commit);
	pthread_mutex_destroy(&p->lock);
	free(p);
}
