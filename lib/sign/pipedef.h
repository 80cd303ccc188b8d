/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is inside a pipeline: shared by its two halves, and by nobody else. */
#ifndef SIGN_PIPEDEF_H
#define SIGN_PIPEDEF_H

#include <pthread.h>

#include "sign/checked.h"
#include "sign/pipeline.h"
#include "token/watch.h"

enum worker_state {
	WORKER_STARTING, /* opens its session */
	WORKER_READY,
	WORKER_GONE, /* ended by itself */
	WORKER_HUNG  /* in a call that does not return: left alone */
};

struct worker {
	struct pipeline *p;
	size_t key; /* index of its key */
	pthread_t thread;
	bool started;
	enum worker_state state;
	struct watch *watch;
	struct key_session *session;
	struct pubkey_verifier verifier;
	struct work *work;   /* the one in hand, of ... */
	struct chunk *chunk; /* the last chunk that it took one from */
};

struct pipeline {
	struct pipeline_opts o;
	pthread_mutex_t lock;
	pthread_cond_t to_prepare, to_sign, to_commit;
	/* all below under the lock */
	struct chunk_queue empty, prepared, sending, signed_;
	struct work *again; /* handed back by workers whose token ails */
	size_t outstanding; /* chunks sent or being signed */
	size_t target;      /* items of the next chunk */
	size_t taken;       /* items of the list */
	bool all_prepared, stop, stop_now, quit;
	unsigned int token_errors; /* in a row */
	struct ofs_error why;      /* code 0: not stopped from within */
	pthread_t preparer;
	bool preparer_started;
	unsigned int n_workers, starting, live;
	struct worker *workers;
	struct prepare prepare; /* the preparer's, but for its atomics */
};

/* sign/pipeline.c */
void pipeline_stop_locked(struct pipeline *p, bool now);
void pipeline_hand_back_locked(struct pipeline *p);

/* sign/workers.c */
int workers_open(struct pipeline *p, struct ofs_error *e);
int workers_start(struct pipeline *p);
/* the ones that are started have opened their sessions, or the first error */
int workers_wait_ready(struct pipeline *p, struct ofs_error *e);
/* gives up calls that hang, tells of tokens that are wanted; no lock held */
void workers_look(struct pipeline *p);
/* nobody is left who signs: all that was sent comes back; the lock is held */
void workers_sweep_locked(struct pipeline *p);
void workers_join(struct pipeline *p);
void workers_free(struct pipeline *p);

#endif
