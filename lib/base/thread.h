/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Threads of the library, and conditions with deadlines of time_mono(). */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Starts one with signals blocked: they are for the application's own. */
int thread_start(pthread_t *t, void *(*fn)(void *), void *arg); /* 0, errno */
/* joins it when it ends within `us`; false: it still runs */
bool thread_join_within(pthread_t t, int64_t us);

int thread_cond_init(pthread_cond_t *c); /* 0 or an errno */
/* for such a condition: 0, or ETIMEDOUT when it is `until` */
int thread_cond_wait(pthread_cond_t *c, pthread_mutex_t *lock, int64_t until);

#endif
