/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Many may be inside at once, or one who has closed it. */
#include <string.h>

#include "base/thread.h"
#include "base/time.h"
#include "token/gate.h"

int
gate_init(struct gate *g)
{
	int rc;

	memset(g, 0, sizeof(*g));
	rc = thread_cond_init(&g->change);
	if (rc == 0)
		pthread_mutex_init(&g->lock, NULL);
	return rc;
}

void
gate_destroy(struct gate *g)
{
	pthread_cond_destroy(&g->change);
	pthread_mutex_destroy(&g->lock);
}

bool
gate_enter(struct gate *g)
{
	bool in;

	pthread_mutex_lock(&g->lock);
	while (g->closed && !g->broken)
		pthread_cond_wait(&g->change, &g->lock);
	in = !g->broken;
	g->inside += in;
	pthread_mutex_unlock(&g->lock);
	return in;
}

void
gate_leave(struct gate *g)
{
	pthread_mutex_lock(&g->lock);
	g->inside--;
	if (g->closed && g->inside == 0)
		pthread_cond_broadcast(&g->change);
	pthread_mutex_unlock(&g->lock);
}

bool
gate_close(struct gate *g, int64_t us)
{
	int64_t until = time_mono() + us;
	bool ours = false;
	int rc = 0;

	pthread_mutex_lock(&g->lock);
	while (rc == 0 && g->closed && !g->broken)
		rc = thread_cond_wait(&g->change, &g->lock, until);
	if (!g->closed && !g->broken)
		g->closed = ours = true;
	while (rc == 0 && ours && g->inside > 0 && !g->broken)
		rc = thread_cond_wait(&g->change, &g->lock, until);
	if (ours && (g->inside > 0 || g->broken)) {
		g->closed = ours = false;
		pthread_cond_broadcast(&g->change);
	}
	pthread_mutex_unlock(&g->lock);
	return ours;
}

void
gate_open(struct gate *g)
{
	pthread_mutex_lock(&g->lock);
	g->closed = false;
	pthread_cond_broadcast(&g->change);
	pthread_mutex_unlock(&g->lock);
}

void
gate_break(struct gate *g)
{
	pthread_mutex_lock(&g->lock);
	g->broken = true;
	pthread_cond_broadcast(&g->change);
	pthread_mutex_unlock(&g->lock);
}
