/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls into a module that may never come back, seen from another thread. */
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/thread.h"
#include "base/time.h"
#include "token/watch.h"

#define LOOK_US 100000
#define GIVEN_UP (~0UL)
/* how much longer a slow call may take than others */
#define PATIENCE 10

struct watch {
	atomic_ulong calls; /* odd while one is under way; GIVEN_UP at last */
	atomic_bool patient;
	unsigned long seen; /* the rest is the looker's */
	int64_t since;
};

/* one watch_run */
struct job {
	struct watch w;
	pthread_mutex_t lock;
	pthread_cond_t change;
	watch_fn fn;
	void *arg;
	struct ofs_error e;
	int rc;
	bool done;
	int (*call)(void *); /* to be made by the waiting thread */
	void *call_arg;
	int answer;
};

/* of the thread that is watched */
static _Thread_local struct watch *my_watch;
static _Thread_local struct job *my_job;

bool
watch_enter(void)
{
	if (my_watch == NULL || (atomic_load(&my_watch->calls) & 1) != 0)
		return false;
	(void)atomic_fetch_add(&my_watch->calls, 1);
	return true;
}

void
watch_leave(void)
{
	unsigned long now = atomic_load(&my_watch->calls);

	atomic_store(&my_watch->patient, false);
	if (now != GIVEN_UP &&
		atomic_compare_exchange_strong(&my_watch->calls, &now, now + 1))
		return;
	/* too late: nobody waits, and all that we knew may be gone */
	for (;;)
		(void)pause();
}

void
watch_be_patient(void)
{
	if (my_watch != NULL)
		atomic_store(&my_watch->patient, true);
}

bool
watch_gave_up(struct watch *w, int64_t limit)
{
	unsigned long now = atomic_load(&w->calls);
	int64_t t = time_mono();

	if (atomic_load(&w->patient))
		limit *= PATIENCE;
	if ((now & 1) == 0 || now != w->seen) {
		w->seen = now;
		w->since = t;
		return false;
	}
	return now != GIVEN_UP && t - w->since >= limit &&
		atomic_compare_exchange_strong(&w->calls, &now, GIVEN_UP);
}

struct watch *
watch_new(void)
{
	return calloc(1, sizeof(struct watch));
}

void
watch_free(struct watch *w)
{
	free(w);
}

void
watch_begin(struct watch *w)
{
	my_watch = w;
}

static void *
job_main(void *arg)
{
	struct job *j = arg;

	my_watch = &j->w;
	my_job = j;
	j->rc = j->fn(j->arg, &j->e);
	pthread_mutex_lock(&j->lock);
	j->done = true;
	pthread_cond_broadcast(&j->change);
	pthread_mutex_unlock(&j->lock);
	return NULL;
}

bool
watch_has_waiter(void)
{
	return my_job != NULL;
}

int
watch_call_back(int (*fn)(void *), void *arg)
{
	struct job *j = my_job;
	int rc;

	if (j == NULL)
		return fn(arg);
	pthread_mutex_lock(&j->lock);
	j->call = fn;
	j->call_arg = arg;
	pthread_cond_broadcast(&j->change);
	while (j->call != NULL)
		pthread_cond_wait(&j->change, &j->lock);
	rc = j->answer;
	pthread_mutex_unlock(&j->lock);
	return rc;
}

static void
wait_a_little(struct job *j)
{
	(void)thread_cond_wait(&j->change, &j->lock, time_mono() + LOOK_US);
}

/* false: it was given up */
static bool
look_after(struct job *j, int64_t limit)
{
	bool hung = false;

	pthread_mutex_lock(&j->lock);
	while (!j->done && !hung) {
		if (j->call != NULL) {
			pthread_mutex_unlock(&j->lock);
			j->answer = j->call(j->call_arg);
			pthread_mutex_lock(&j->lock);
			j->call = NULL;
			pthread_cond_broadcast(&j->change);
		}
		wait_a_little(j);
		hung = !j->done && watch_gave_up(&j->w, limit);
	}
	pthread_mutex_unlock(&j->lock);
	return !hung;
}

static struct job *
job_new(watch_fn fn, void *arg)
{
	struct job *j = calloc(1, sizeof(*j));

	if (j == NULL || thread_cond_init(&j->change) != 0) {
		free(j);
		return NULL;
	}
	pthread_mutex_init(&j->lock, NULL);
	j->fn = fn;
	j->arg = arg;
	err_clear(&j->e);
	return j;
}

static void
job_free(struct job *j)
{
	pthread_cond_destroy(&j->change);
	pthread_mutex_destroy(&j->lock);
	free(j);
}

int
watch_run(
	int64_t limit, watch_fn fn, void *arg, bool *hung, struct ofs_error *e)
{
	pthread_t thread;
	struct job *j;
	int rc;

	*hung = false;
	if (my_watch != NULL)
		return fn(arg, e);
	j = job_new(fn, arg);
	if (j == NULL)
		return err_nomem(e);
	rc = thread_start(&thread, job_main, j);
	if (rc != 0) {
		job_free(j);
		return err_sys(e, OFS_ENOMEM, rc, "cannot start a thread");
	}
	if (!look_after(j, limit)) {
		*hung = true;
		(void)pthread_detach(thread);
		return err_set(e, OFS_ETOKEN, /* and j is the thread's */
			"the PKCS#11 module did not answer within %.3g "
			"seconds; end this program and look at the token",
			(double)limit / 1e6);
	}
	pthread_join(thread, NULL);
	if (j->rc != 0)
		*e = j->e;
	rc = j->rc;
	job_free(j);
	return rc;
}
