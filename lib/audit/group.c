/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Single appends of several threads, which share a transaction. */
#include <string.h>

#include "audit/handle.h"

#include "base/thread.h"
#include "base/time.h"

#define GROUP_MAX 256 /* records of a transaction: bounds how long it takes */
#define WAIT_PART 4   /* of a commit's time, for those who may come */

/* On the stack of the thread that waits for it. */
struct group_entry {
	struct log_entry en;
	uint64_t seq;
	struct ofs_error e; /* code 0: durable */
	pthread_cond_t woken;
	bool done;  /* seq and e say what became of it */
	bool leads; /* it is to lead the next transaction */
	struct group_entry *next;
};

int
group_init(struct group_queue *g, struct ofs_error *e)
{
	int errnum;

	memset(g, 0, sizeof(*g));
	g->last = &g->first;
	errnum = pthread_mutex_init(&g->lock, NULL);
	if (errnum == 0) {
		errnum = thread_cond_init(&g->more);
		if (errnum == 0)
			return 0;
		pthread_mutex_destroy(&g->lock);
	}
	return err_sys(e, OFS_EAUDIT, errnum, "cannot make a lock");
}

void
group_free(struct group_queue *g)
{
	pthread_cond_destroy(&g->more);
	pthread_mutex_destroy(&g->lock);
}

/*
 * Moves what is queued to the end of `taken`, which holds n; how many those
 * are. Where fewer came than last time, the others are on their way back from
 * it: a part of the time that a commit takes is well spent on sharing it.
 */
static size_t
take(struct group_queue *g, struct group_entry **taken, size_t n)
{
	int64_t until = time_mono() + g->took / WAIT_PART;
	size_t more;

	pthread_mutex_lock(&g->lock);
	g->awaited = true;
	while (n > 0 && g->n == 0 && n < g->expected)
		if (thread_cond_wait(&g->more, &g->lock, until) != 0)
			break;
	g->awaited = false;
	more = g->n;
	*taken = g->first;
	g->first = NULL;
	g->last = &g->first;
	g->n = 0;
	pthread_mutex_unlock(&g->lock);
	return more;
}

static int
append_all(ofs_audit *a, struct group_entry **taken, struct ofs_error *e)
{
	size_t n = 0, more;
	int rc = 0;

	while (rc == 0 && n < GROUP_MAX &&
		(more = take(&a->group, taken, n)) > 0) {
		n += more;
		for (; rc == 0 && *taken != NULL; taken = &(*taken)->next)
			rc = log_append(a, &(*taken)->en, &(*taken)->seq, e);
		/* behind one that failed come others */
		while (*taken != NULL)
			taken = &(*taken)->next;
	}
	a->group.expected = n;
	return rc;
}

/* one transaction; `taken` are those whose fate the result is */
static int
write_all(ofs_audit *a, struct group_entry **taken, struct ofs_error *e)
{
	int64_t began;
	int rc;

	rc = log_begin(a, e);
	if (rc != 0) {
		(void)take(&a->group, taken, 0);
		return rc;
	}
	rc = append_all(a, taken, e);
	if (rc != 0) {
		log_rollback(a);
		return rc;
	}
	began = time_mono();
	rc = log_commit(a, e);
	a->group.took = time_mono() - began;
	return rc;
}

/* all of `taken` have this result, and the next leader may begin */
static void
finish(struct group_queue *g, struct group_entry *taken,
	const struct ofs_error *e)
{
	struct group_entry *next;

	pthread_mutex_lock(&g->lock);
	for (; taken != NULL; taken = next) {
		next = taken->next;
		if (e != NULL) {
			taken->e = *e;
			taken->seq = 0;
		}
		taken->done = true;
		pthread_cond_signal(&taken->woken);
	}
	g->led = g->first != NULL;
	g->expected += g->n;
	if (g->led) {
		g->first->leads = true;
		pthread_cond_signal(&g->first->woken);
	}
	pthread_mutex_unlock(&g->lock);
}

static void
lead(ofs_audit *a)
{
	struct group_entry *taken = NULL;
	struct ofs_error e;
	int rc;

	rc = write_all(a, &taken, &e);
	finish(&a->group, taken, rc != 0 ? &e : NULL);
}

/* queues it and waits: until it is done, or has to lead */
static void
wait_turn(struct group_queue *g, struct group_entry *x)
{
	pthread_mutex_lock(&g->lock);
	*g->last = x;
	g->last = &x->next;
	g->n++;
	if (g->awaited)
		pthread_cond_signal(&g->more);
	x->leads = !g->led;
	g->led = true;
	while (!x->done && !x->leads)
		pthread_cond_wait(&x->woken, &g->lock);
	pthread_mutex_unlock(&g->lock);
}

int
log_append_one(ofs_audit *a, const struct log_entry *en, uint64_t *seq,
	struct ofs_error *e)
{
	struct group_entry x = { .en = *en };
	int rc;

	*seq = 0;
	/* who has the mutex would wait for a leader that waits for it */
	if (handle_is_ours(a))
		return err_set(e, OFS_EINTERNAL,
			"a transaction or a walk of the audit log is open "
			"already");
	rc = handle_check_body(en, e);
	if (rc != 0)
		return rc;
	x.en.checked = true;
	rc = pthread_cond_init(&x.woken, NULL);
	if (rc != 0)
		return err_sys(e, OFS_EAUDIT, rc, "cannot make a lock");
	wait_turn(&a->group, &x);
	if (!x.done)
		lead(a);
	pthread_cond_destroy(&x.woken);
	if (x.e.code != 0) {
		*e = x.e;
		return e->code;
	}
	*seq = x.seq;
	return 0;
}
