/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The last error of a handle, or that of each thread that uses it. */
#include <pthread.h>
#include <stdlib.h>

#include "sign/errs.h"

struct own {
	pthread_t thread;
	struct ofs_error e;
	struct own *next;
};

struct errs {
	bool threads;
	struct ofs_error common;
	pthread_mutex_t lock; /* over the list; a record is its thread's */
	struct own *first;
};

struct errs *
errs_new(bool threads)
{
	struct errs *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->threads = threads;
	pthread_mutex_init(&s->lock, NULL);
	return s;
}

void
errs_free(struct errs *s)
{
	struct own *o;

	if (s == NULL)
		return;
	while ((o = s->first) != NULL) {
		s->first = o->next;
		free(o);
	}
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* ids of threads that ended come again, so the list stays short */
static struct own *
find_locked(struct errs *s, pthread_t self)
{
	struct own *o;

	for (o = s->first; o != NULL; o = o->next)
		if (pthread_equal(o->thread, self))
			return o;
	o = calloc(1, sizeof(*o));
	if (o == NULL)
		return NULL;
	o->thread = self;
	o->next = s->first;
	s->first = o;
	return o;
}

struct ofs_error *
errs_own(struct errs *s)
{
	struct own *o;

	if (!s->threads)
		return &s->common;
	pthread_mutex_lock(&s->lock);
	o = find_locked(s, pthread_self());
	pthread_mutex_unlock(&s->lock);
	return o != NULL ? &o->e : &s->common;
}
