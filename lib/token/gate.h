/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Many may be inside at once, or one who has closed it. */
#ifndef TOKEN_GATE_H
#define TOKEN_GATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct gate {
	pthread_mutex_t lock;
	pthread_cond_t change;
	unsigned int inside;
	bool closed, broken;
};

int gate_init(struct gate *g); /* 0 or an errno */
void gate_destroy(struct gate *g);

/* waits while it is closed; false: it is broken, and nobody goes in again */
bool gate_enter(struct gate *g);
void gate_leave(struct gate *g);
/*
 * Waits until it is open, closes it, and waits until nobody is inside; false,
 * with the gate as it was, when that takes longer than `us`.
 */
bool gate_close(struct gate *g, int64_t us);
void gate_open(struct gate *g);
/* one who is inside will never come out */
void gate_break(struct gate *g);

#endif
