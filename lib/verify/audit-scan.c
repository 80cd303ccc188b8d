/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads ranges of a log one by one, checks several at once, links in order. */
#include <pthread.h>

#include "verify/audit-verify.h"

#include "base/thread.h"

#define THREADS_MAX 16

/*
 * Every thread does the same: it reads the next range, checks it by itself,
 * waits for its turn and links it to those before. So the first fault in the
 * order of the log is the one that is found.
 */
struct scan {
	struct av *v;
	uint64_t end;

	pthread_mutex_t reading; /* guards the next two */
	uint64_t next;           /* record to be read */
	uint64_t n_read;         /* ranges so far: their numbers */

	pthread_mutex_t
		lock; /* guards the rest, but for e of the first fault */
	pthread_cond_t turned;
	uint64_t turn; /* number of the range that is to be linked */
	int rc;        /* of the first fault in the log's order */
	struct ofs_error *e;
};

static bool
has_failed(struct scan *s)
{
	bool failed;

	pthread_mutex_lock(&s->lock);
	failed = s->rc != 0;
	pthread_mutex_unlock(&s->lock);
	return failed;
}

/* false: there is nothing more to be read */
static bool
read_next(struct scan *s, struct av_range *r, uint64_t *number)
{
	struct ofs_error e;
	bool any;

	pthread_mutex_lock(&s->reading);
	any = s->next < s->end && !has_failed(s);
	if (any) {
		if (av_enter(s->v, &e) != 0) {
			av_range_fail(r, s->next, &e);
		} else {
			av_range_read(r, s->v->a, s->next, s->end,
				!s->v->hashes_only);
			av_leave(s->v);
		}
		*number = s->n_read++;
		s->next = r->e.code == 0 ? s->next + r->n : s->end;
	}
	pthread_mutex_unlock(&s->reading);
	return any;
}

/* in turn; nothing behind a fault is looked at */
static void
link_in_turn(struct scan *s, struct av_range *r, uint64_t number, bool caller)
{
	int rc;

	pthread_mutex_lock(&s->lock);
	while (s->turn != number)
		pthread_cond_wait(&s->turned, &s->lock);
	rc = s->rc;
	pthread_mutex_unlock(&s->lock);
	if (rc == 0)
		rc = av_take_range(s->v, r, s->e);
	/* findings are given in the caller's thread, and only there */
	if (caller && !s->v->locked)
		av_flush_findings(s->v);
	pthread_mutex_lock(&s->lock);
	s->rc = rc;
	s->turn++;
	pthread_cond_broadcast(&s->turned);
	pthread_mutex_unlock(&s->lock);
}

static void
work(struct scan *s, struct av_range *r, bool caller)
{
	uint64_t number;

	while (read_next(s, r, &number)) {
		av_range_check(r, s->v->state.log_id, !s->v->hashes_only);
		link_in_turn(s, r, number, caller);
	}
}

static void *
helper(void *arg)
{
	struct scan *s = arg;
	struct av_range *r;
	struct ofs_error e;

	/* one that gets no memory does nothing, and is not missed */
	if (av_range_new(&r, &e) == 0)
		work(s, r, false);
	av_range_free(r);
	return NULL;
}

/* as many as there is work for, besides the caller's */
static unsigned int
helpers_for(const struct scan *s)
{
	uint64_t ranges = (s->end - s->next) / AV_RANGE_RECORDS / 2;
	unsigned int n = s->v->threads;

	if (s->v->locked || n == 0)
		return 0;
	if (n > THREADS_MAX)
		n = THREADS_MAX;
	return ranges < n ? (unsigned int)ranges : n - 1;
}

static int
init_locks(struct scan *s, struct ofs_error *e)
{
	int errnum;

	errnum = pthread_mutex_init(&s->reading, NULL);
	if (errnum == 0)
		errnum = pthread_mutex_init(&s->lock, NULL);
	if (errnum == 0)
		errnum = pthread_cond_init(&s->turned, NULL);
	if (errnum != 0)
		return err_sys(e, OFS_EAUDIT, errnum, "cannot make a lock");
	return 0;
}

int
av_scan(struct av *v, uint64_t end, struct ofs_error *e)
{
	struct scan s = { .v = v, .end = end, .next = v->tree.size, .e = e };
	pthread_t threads[THREADS_MAX];
	unsigned int n, wanted;
	struct av_range *r;
	int rc;

	rc = av_range_new(&r, e);
	if (rc == 0)
		rc = init_locks(&s, e);
	if (rc != 0) {
		av_range_free(r);
		return rc;
	}
	wanted = helpers_for(&s);
	for (n = 0; n < wanted; n++)
		if (thread_start(&threads[n], helper, &s) != 0)
			break;
	work(&s, r, true);
	while (n > 0)
		pthread_join(threads[--n], NULL);
	pthread_mutex_destroy(&s.reading);
	pthread_mutex_destroy(&s.lock);
	pthread_cond_destroy(&s.turned);
	av_range_free(r);
	return s.rc;
}
