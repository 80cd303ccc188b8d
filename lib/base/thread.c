/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Threads of the library, and conditions with deadlines of time_mono(). */
#include <signal.h>
#include <time.h>

#include "base/thread.h"
#include "base/time.h"

static struct timespec
timespec_of(int64_t us)
{
	return (struct timespec){ .tv_sec = us / 1000000,
		.tv_nsec = us % 1000000 * 1000 };
}

int
thread_start(pthread_t *t, void *(*fn)(void *), void *arg)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(t, NULL, fn, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}

bool
thread_join_within(pthread_t t, int64_t us)
{
	struct timespec until = timespec_of(time_now() + us);

	return pthread_timedjoin_np(t, NULL, &until) == 0;
}

int
thread_cond_init(pthread_cond_t *c)
{
	pthread_condattr_t mono;
	int rc;

	rc = pthread_condattr_init(&mono);
	if (rc != 0)
		return rc;
	rc = pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
	if (rc == 0)
		rc = pthread_cond_init(c, &mono);
	(void)pthread_condattr_destroy(&mono);
	return rc;
}

int
thread_cond_wait(pthread_cond_t *c, pthread_mutex_t *lock, int64_t until)
{
	struct timespec at = timespec_of(until);

	return pthread_cond_timedwait(c, lock, &at);
}
