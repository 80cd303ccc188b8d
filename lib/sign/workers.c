/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The token's half of a pipeline: threads that sign, each with its session. */
#include <stdlib.h>
#include <string.h>

#include "sign/pipedef.h"

#include "base/thread.h"
#include "base/time.h"

/* token errors in a row that end the batch */
#define TOKEN_ERRORS_MAX 3
#define JOIN_US 50000

/* what a worker does with itself after an item */
enum fate {
	GO_ON,      /* the item is through */
	HAND_BACK,  /* others sign it; this one looks after its token */
	LEAVE,      /* the token is lost, and with it the item failed */
	LEAVE_ITEM, /* the token is lost; others sign the item */
};

static ofs_key *
key_of(const struct worker *wk)
{
	return wk->p->o.keys[wk->key];
}

/* whether another token is at work; the lock is held */
static bool
others_locked(const struct worker *wk)
{
	const struct pipeline *p = wk->p;
	unsigned int i;

	for (i = 0; i < p->n_workers; i++)
		if (p->workers[i].state == WORKER_READY &&
			p->workers[i].key != wk->key)
			return true;
	return false;
}

static bool
has_others(struct worker *wk)
{
	bool yes;

	pthread_mutex_lock(&wk->p->lock);
	yes = !wk->p->stop_now && others_locked(wk);
	pthread_mutex_unlock(&wk->p->lock);
	return yes;
}

static int
ask_token(struct worker *wk, struct work *w)
{
	struct checked c = { 0 };
	struct to_sign t;
	int rc;

	err_clear(&w->err);
	maker_to_sign(wk->p->o.maker, w, &t);
	rc = checked_sign(
		wk->session, &wk->verifier, &t, true, &w->sig, &c, &w->err);
	w->attempts += c.asked;
	w->token_us += c.token_us;
	return rc;
}

static enum fate
sign_work(struct worker *wk, struct work *w)
{
	struct ofs_error why;
	int rc;

	while ((rc = ask_token(wk, w)) != 0 &&
		key_session_ailing(wk->session)) {
		if (has_others(wk))
			return HAND_BACK;
		if (key_session_heal(wk->session, &w->err) != 0)
			break;
	}
	if (rc != 0 && key_lost(key_of(wk), &why))
		return has_others(wk) ? LEAVE_ITEM : LEAVE;
	w->verified = rc == 0;
	if (rc == 0)
		rc = maker_finish(wk->p->o.maker, w, &w->err);
	w->status = rc == 0 ? OFS_ITEM_SIGNED : OFS_ITEM_FAILED;
	return GO_ON;
}

/* a PIN that was refused or must not be sent fails every further item too */
static bool
ends_all(const struct ofs_error *e)
{
	return e->code == OFS_EBADSIG || e->code == OFS_EPIN ||
		e->code == OFS_EPINLOCKED || e->code == OFS_ENOPIN ||
		e->code == OFS_EAUDIT;
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
		(ends_all(&w->err) || p->token_errors >= TOKEN_ERRORS_MAX)) {
		p->why = w->err;
		pipeline_stop_locked(p, true);
	}
	if (p->o.stop_on_error)
		pipeline_stop_locked(p, true);
}

/* marks the rest of c as through, unsigned */
static void
abandon_locked(struct chunk *c)
{
	c->abandoned = true;
	c->done += c->n - c->next;
	c->next = c->n;
}

/* an item that is not signed because its token is lost */
static void
mark_lost(struct work *w)
{
	w->status = w->attempts > 0 ? OFS_ITEM_FAILED : OFS_ITEM_NOT_ATTEMPTED;
}

/* what was handed back is signed by nobody any more */
static void
drop_again_locked(struct pipeline *p)
{
	struct work *w;

	while ((w = p->again) != NULL) {
		p->again = w->again;
		mark_lost(w);
		w->chunk->done++;
	}
}

/* the next ready work of the oldest chunk, or NULL */
static struct work *
next_work_locked(struct pipeline *p, struct chunk **from)
{
	struct chunk *c;
	struct work *w;

	if (p->stop_now)
		drop_again_locked(p);
	w = p->again;
	if (w != NULL) {
		p->again = w->again;
		*from = w->chunk;
		return w;
	}
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

void
workers_sweep_locked(struct pipeline *p)
{
	struct chunk *c;

	drop_again_locked(p);
	for (c = p->sending.first; c != NULL; c = c->link)
		abandon_locked(c);
	pipeline_hand_back_locked(p);
}

/* this worker signs no more; the last one stops the batch */
static void
leave_locked(
	struct worker *wk, enum worker_state state, const struct ofs_error *why)
{
	struct pipeline *p = wk->p;

	wk->state = state;
	if (--p->live > 0)
		return;
	if (p->why.code == 0)
		p->why = *why;
	pipeline_stop_locked(p, true);
	workers_sweep_locked(p);
}

static void
through_locked(struct worker *wk, struct work *w)
{
	wk->chunk->done++;
	judge_locked(wk->p, w);
	pipeline_hand_back_locked(wk->p);
}

static void
hand_back_locked(struct worker *wk, struct work *w)
{
	struct pipeline *p = wk->p;

	w->chunk = wk->chunk;
	w->again = p->again;
	p->again = w;
	pthread_cond_broadcast(&p->to_sign);
}

/* one item; the lock is held, but not while the token works */
static void
take_one_locked(struct worker *wk, struct work *w, struct chunk *from)
{
	struct pipeline *p = wk->p;
	struct ofs_error why;
	enum fate fate;
	int rc = 0;

	if (from != wk->chunk)
		key_session_pause(wk->session);
	wk->chunk = from;
	wk->work = w;
	w->key = wk->key;
	pthread_mutex_unlock(&p->lock);
	fate = sign_work(wk, w);
	pthread_mutex_lock(&p->lock);
	wk->work = NULL;
	why = w->err;
	if (fate == LEAVE)
		mark_lost(w);
	if (fate == GO_ON || fate == LEAVE)
		through_locked(wk, w);
	else
		hand_back_locked(wk, w);
	if (fate == HAND_BACK) {
		pthread_mutex_unlock(&p->lock);
		rc = key_session_heal(wk->session, &why);
		pthread_mutex_lock(&p->lock);
	}
	if (rc != 0 || fate == LEAVE || fate == LEAVE_ITEM)
		leave_locked(wk, WORKER_GONE, &why);
}

/* opens the session; a token with too few has fewer workers */
static void
get_ready(struct worker *wk)
{
	struct pipeline *p = wk->p;
	struct ofs_error e;
	int rc;

	err_clear(&e);
	do
		rc = key_session_ready(wk->session, &e);
	while (rc != 0 && key_session_ailing(wk->session) &&
		key_session_heal(wk->session, &e) == 0);
	pthread_mutex_lock(&p->lock);
	p->starting--;
	if (rc == 0)
		wk->state = WORKER_READY;
	else
		leave_locked(wk, WORKER_GONE, &e);
	pthread_cond_broadcast(&p->to_commit);
	pthread_mutex_unlock(&p->lock);
}

static void *
worker_main(void *arg)
{
	struct worker *wk = arg;
	struct pipeline *p = wk->p;
	struct chunk *from = NULL;
	struct work *w;

	watch_begin(wk->watch);
	get_ready(wk);
	pthread_mutex_lock(&p->lock);
	while (wk->state == WORKER_READY) {
		w = next_work_locked(p, &from);
		pipeline_hand_back_locked(p);
		if (w != NULL) {
			take_one_locked(wk, w, from);
		} else if (p->quit) {
			break;
		} else {
			key_session_pause(wk->session);
			pthread_cond_wait(&p->to_sign, &p->lock);
		}
	}
	pthread_mutex_unlock(&p->lock);
	/* here, where somebody looks on */
	key_session_end(wk->session);
	return NULL;
}

/* a call of this worker does not return: neither it nor its item waits */
static void
lose(struct worker *wk)
{
	struct pipeline *p = wk->p;
	const char *token = ofs_token_get_info(key_token(key_of(wk)))->label;
	bool asked = key_session_in_sign(wk->session);
	struct work *w;
	struct ofs_error why;

	err_clear(&why);
	err_set(&why, OFS_ETOKEN,
		"token '%s' does not answer; look at it, and at its reader or "
		"server",
		token);
	key_lose(key_of(wk), &why);
	pthread_mutex_lock(&p->lock);
	(void)pthread_detach(wk->thread);
	if (wk->state == WORKER_STARTING)
		p->starting--;
	w = wk->work;
	if (w != NULL) {
		w->attempts += asked;
		w->err = why;
		mark_lost(w);
		if (asked)
			w->status = OFS_ITEM_UNKNOWN;
		through_locked(wk, w);
	}
	leave_locked(wk, WORKER_HUNG, &why);
	pthread_mutex_unlock(&p->lock);
}

void
workers_look(struct pipeline *p)
{
	enum worker_state state;
	unsigned int i;
	size_t k;

	for (i = 0; i < p->n_workers; i++) {
		pthread_mutex_lock(&p->lock);
		state = p->workers[i].state;
		pthread_mutex_unlock(&p->lock);
		if ((state == WORKER_STARTING || state == WORKER_READY) &&
			watch_gave_up(p->workers[i].watch, p->o.call_limit))
			lose(&p->workers[i]);
	}
	for (k = 0; k < p->o.n_keys; k++)
		key_tell_wanted(p->o.keys[k]);
}

int
workers_wait_ready(struct pipeline *p, struct ofs_error *e)
{
	unsigned int starting;
	bool live;

	do {
		pthread_mutex_lock(&p->lock);
		starting = p->starting;
		live = p->live > 0;
		*e = p->why;
		pthread_mutex_unlock(&p->lock);
		if (starting > 0)
			pipeline_wait(p, false, 20000);
	} while (starting > 0);
	return live ? 0 : e->code;
}

static int
open_one(struct pipeline *p, size_t key, struct ofs_error *e)
{
	struct worker *wk = &p->workers[p->n_workers++];
	int rc;

	wk->p = p;
	wk->key = key;
	wk->watch = watch_new();
	if (wk->watch == NULL)
		return err_nomem(e);
	rc = key_session_open(p->o.keys[key], &wk->session, e);
	if (rc == 0)
		rc = pubkey_verifier_init(&wk->verifier,
			key_pub(p->o.keys[key]), p->o.maker->alg, e);
	return rc;
}

int
workers_open(struct pipeline *p, struct ofs_error *e)
{
	unsigned int i;
	size_t k;
	int rc = 0;

	p->workers = calloc(p->o.n_keys * p->o.jobs, sizeof(*p->workers));
	if (p->workers == NULL)
		return err_nomem(e);
	for (i = 0; i < p->o.jobs && rc == 0; i++)
		for (k = 0; k < p->o.n_keys && rc == 0; k++)
			if (i == 0 || !key_wants_pin(p->o.keys[k]))
				rc = open_one(p, k, e);
	return rc;
}

int
workers_start(struct pipeline *p)
{
	unsigned int i;
	int rc = 0;

	p->starting = p->live = p->n_workers;
	for (i = 0; i < p->n_workers && rc == 0; i++) {
		struct worker *wk = &p->workers[i];

		rc = thread_start(&wk->thread, worker_main, wk);
		wk->started = rc == 0;
	}
	return rc;
}

static bool
has_ended(struct worker *wk)
{
	bool hung;

	pthread_mutex_lock(&wk->p->lock);
	hung = wk->state == WORKER_HUNG;
	pthread_mutex_unlock(&wk->p->lock);
	return hung || thread_join_within(wk->thread, JOIN_US);
}

/* looking on: one of them may hang even now */
void
workers_join(struct pipeline *p)
{
	unsigned int i;

	for (i = 0; i < p->n_workers; i++)
		while (p->workers[i].started && !has_ended(&p->workers[i]))
			workers_look(p);
}

/* what a worker that hangs has in use is left to it */
void
workers_free(struct pipeline *p)
{
	unsigned int i;

	for (i = 0; i < p->n_workers; i++) {
		struct worker *wk = &p->workers[i];

		if (wk->state == WORKER_HUNG)
			continue;
		key_session_close(wk->session);
		pubkey_verifier_free(&wk->verifier);
		watch_free(wk->watch);
	}
	free(p->workers);
}
