/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls into a module that may never come back, seen from another thread. */
#ifndef TOKEN_WATCH_H
#define TOKEN_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/*
 * A call that hangs cannot be stopped. So whoever must not hang lets another
 * thread make it and looks on. A call that takes longer than it may is given
 * up: its thread never runs code of ours again, even if the call returns, and
 * what it was working with is left to it for good. Only C_ calls are timed
 * (cryptoki_enter tells us), not what lies between them.
 */
typedef int (*watch_fn)(void *arg, struct ofs_error *e);

/*
 * Runs fn(arg) in a thread of its own and returns what it returned. A call in
 * it that took longer than `limit` (us) sets *hung and gives OFS_ETOKEN. In a
 * thread that is watched already fn is simply called.
 */
int watch_run(
	int64_t limit, watch_fn fn, void *arg, bool *hung, struct ofs_error *e);

/* fn(arg) in the thread that waits in watch_run for this one, or else here */
int watch_call_back(int (*fn)(void *), void *arg);
/* there is one */
bool watch_has_waiter(void);

/* the next call may take minutes: a PIN pad, an RSA key to be made */
void watch_be_patient(void);

/* For a thread that somebody else looks after: a worker of a batch. */
struct watch;
struct watch *watch_new(void);
void watch_free(struct watch *w);  /* not of a thread that was given up */
void watch_begin(struct watch *w); /* by the thread itself */
bool watch_gave_up(struct watch *w, int64_t limit); /* by the one who looks */

/* for cryptoki.c: around a call; enter says whether leave is to be called */
bool watch_enter(void);
void watch_leave(void);

#endif
