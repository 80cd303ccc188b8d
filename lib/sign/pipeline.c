/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The threads of a batch: one prepares, some sign, the caller commits. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "sign/pipeline.h"

#include "base/time.h"
#include "sign/checked.h"

/* prepared, announced, in the token, being recorded, being released */
#define CHUNKS 6
/* token time that a chunk should take, us */
#define CHUNK_TARGET 75000
#define CHUNK_FIRST 16
/* token errors in a row that end the batch */
#define TOKEN_ERRORS_MAX 3

struct worker {
	struct pipeline *p;
	pthread_t thread;
	bool started;
	struct key_session *session;
	struct pubkey_verifier verifier;
	struct buf in; /* what the token is asked to sign */
};

struct pipeline {
	struct pipeline_opts o;
	pthread_mutex_t lock;
	pthread_cond_t to_prepare, to_sign, to_commit;
	/* all below under the lock */
	struct chunk_queue empty, prepared, sending, signed_;
	size_t outstanding; /* sent or being signed */
	size_t target;      /* items of the next chunk */
	size_t taken;       /* items of the list */
	bool all_prepared, stop, stop_now, quit;
	unsigned int token_errors; /* in a row */
	struct ofs_error why;      /* code 0: not stopped from within */
	pthread_t preparer;
	bool preparer_started;
	unsigned int n_workers;
	struct worker *workers;
	struct prepare prepare; /* the preparer's, but for its atomics */
};

static void
stop_locked(struct pipeline *p, bool now)
{
	atomic_store(&p->prepare.stop, true);
	p->stop = true;
	p->stop_now = p->stop_now || now;
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

/* fills c from item `next` on; returns the item after the last */
static size_t
fill_chunk(struct pipeline *p, struct chunk *c, size_t target, size_t next)
{
	const struct list *l = p->o.list;

	while (next < l->n && c->n < target && c->bytes < CHUNK_BYTES_MAX &&
		!stopping(p)) {
		struct work *w = chunk_add(c, next, &l->items[next]);

		maker_prepare(p->o.maker, &p->prepare, w);
		next++;
		c->bytes += w->content.len;
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

	while (!last && next < p->o.list->n &&
		(c = take_empty(p, &target)) != NULL) {
		next = fill_chunk(p, c, target, next);
		last = p->o.stop_on_error && has_failure(c);
		pthread_mutex_lock(&p->lock);
		chunk_push(&p->prepared, c);
		pthread_cond_broadcast(&p->to_commit);
		pthread_mutex_unlock(&p->lock);
	}
	pthread_mutex_lock(&p->lock);
	p->all_prepared = true;
	pthread_cond_broadcast(&p->to_commit);
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* the token workers */

static void
sign_work(struct worker *wk, struct work *w)
{
	struct checked c = { 0 };
	int rc;

	rc = checked_sign(wk->session, &wk->verifier, w->hash, &wk->in, &w->sig,
		&c, &w->err);
	w->asked = c.asked;
	w->token_us = c.token_us;
	w->verified = rc == 0;
	if (rc == 0)
		rc = maker_finish(wk->p->o.maker, w, &w->err);
	w->status = rc == 0 ? OFS_ITEM_SIGNED : OFS_ITEM_FAILED;
}

/* what one item's end means for the others */
static void
judge_locked(struct pipeline *p, const struct work *w)
{
	if (w->status == OFS_ITEM_SIGNED) {
		p->token_errors = 0;
		return;
	}
	p->token_errors++;
	if (p->why.code == 0 &&
		(w->err.code == OFS_EBADSIG ||
			p->token_errors >= TOKEN_ERRORS_MAX)) {
		p->why = w->err;
		stop_locked(p, true);
	}
	if (p->o.stop_on_error)
		stop_locked(p, true);
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

/* marks the rest of c as through, unsigned; the lock is held */
static void
abandon_locked(struct chunk *c)
{
	c->abandoned = true;
	c->done += c->n - c->next;
	c->next = c->n;
}

/* the next ready work of the oldest chunk, or NULL; the lock is held */
static struct work *
next_work_locked(struct pipeline *p, struct chunk **from)
{
	struct chunk *c;
	struct work *w;

	for (c = p->sending.first; c != NULL; c = c->link) {
		if (p->stop_now || (p->stop && c->next == 0))
			abandon_locked(c);
		while (c->next < c->n) {
			if (c->next == 0)
				c->began = time_mono();
			w = &c->works[c->next++];
			if (w->ready) {
				*from = c;
				return w;
			}
			c->done++;
		}
	}
	return NULL;
}

static void
hand_back_locked(struct pipeline *p)
{
	while (p->sending.first != NULL &&
		p->sending.first->done == p->sending.first->n)
		finish_locked(p, p->sending.first);
}

static void *
worker_main(void *arg)
{
	struct worker *wk = arg;
	struct pipeline *p = wk->p;
	struct chunk *c = NULL;
	struct work *w;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		w = next_work_locked(p, &c);
		hand_back_locked(p);
		if (w == NULL) {
			if (p->quit)
				break;
			pthread_cond_wait(&p->to_sign, &p->lock);
			continue;
		}
		pthread_mutex_unlock(&p->lock);
		sign_work(wk, w);
		pthread_mutex_lock(&p->lock);
		c->done++;
		judge_locked(p, w);
		hand_back_locked(p);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* the committer's side */

void
pipeline_wait(struct pipeline *p, bool want_prepared, int64_t us)
{
	struct timespec until;
	int64_t when = time_mono() + us;
	int rc = 0;

	until.tv_sec = when / 1000000;
	until.tv_nsec = when % 1000000 * 1000;
	pthread_mutex_lock(&p->lock);
	while (rc == 0 && p->signed_.n == 0 &&
		!(want_prepared && p->prepared.n > 0) &&
		!(p->all_prepared && p->prepared.n == 0 && p->outstanding == 0))
		rc = pthread_cond_timedwait(&p->to_commit, &p->lock, &until);
	pthread_mutex_unlock(&p->lock);
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
	pthread_mutex_lock(&p->lock);
	stop_locked(p, now);
	pthread_mutex_unlock(&p->lock);
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
	pthread_condattr_t mono;
	int rc;

	rc = pthread_condattr_init(&mono);
	if (rc != 0)
		return err_sys(e, OFS_EINTERNAL, rc, "cannot make a condition");
	(void)pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->to_prepare, NULL);
	pthread_cond_init(&p->to_sign, NULL);
	pthread_cond_init(&p->to_commit, &mono);
	pthread_condattr_destroy(&mono);
	return 0;
}

static int
make_chunks(struct pipeline *p, struct ofs_error *e)
{
	struct chunk *c;
	int i;

	for (i = 0; i < CHUNKS; i++) {
		c = chunk_new();
		if (c == NULL)
			return err_nomem(e);
		chunk_push(&p->empty, c);
	}
	return 0;
}

static int
open_workers(struct pipeline *p, struct ofs_error *e)
{
	unsigned int i;
	int rc = 0;

	p->workers = calloc(p->o.jobs, sizeof(*p->workers));
	if (p->workers == NULL)
		return err_nomem(e);
	for (i = 0; i < p->o.jobs && rc == 0; i++) {
		struct worker *wk = &p->workers[i];

		wk->p = p;
		p->n_workers++;
		rc = key_session_open(p->o.key, &wk->session, e);
		if (rc == 0)
			rc = pubkey_verifier_init(&wk->verifier,
				key_pub(p->o.key), p->o.maker->alg, e);
	}
	return rc;
}

/* with signals blocked: they are for the application's own threads */
static int
start_threads(struct pipeline *p, struct ofs_error *e)
{
	sigset_t all, old;
	unsigned int i;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&p->preparer, NULL, preparer_main, p);
	p->preparer_started = rc == 0;
	for (i = 0; i < p->n_workers && rc == 0; i++) {
		rc = pthread_create(&p->workers[i].thread, NULL, worker_main,
			&p->workers[i]);
		p->workers[i].started = rc == 0;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
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
		rc = open_workers(p, e);
	if (rc == 0)
		rc = start_threads(p, e);
	if (rc != 0)
		pipeline_free(p);
	else
		*out = p;
	return rc;
}

static void
join_threads(struct pipeline *p)
{
	unsigned int i;

	pthread_mutex_lock(&p->lock);
	p->quit = true;
	stop_locked(p, true);
	pthread_mutex_unlock(&p->lock);
	if (p->preparer_started)
		pthread_join(p->preparer, NULL);
	for (i = 0; i < p->n_workers; i++)
		if (p->workers[i].started)
			pthread_join(p->workers[i].thread, NULL);
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
	unsigned int i;

	if (p == NULL)
		return;
	join_threads(p);
	for (i = 0; i < p->n_workers; i++) {
		key_session_close(p->workers[i].session);
		pubkey_verifier_free(&p->workers[i].verifier);
		buf_free(&p->workers[i].in);
	}
	free(p->workers);
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
