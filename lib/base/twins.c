/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the keys that occur more than once among any number of them. */
#include <stdlib.h>
#include <string.h>

#include "base/twins.h"

#define BLOCK 128 /* keys of a run that are read at once */

/* a run while it is merged */
struct source {
	uint64_t at, end; /* what is left of it in the spool */
	struct twin block[BLOCK];
	size_t next, n;
};

struct merge {
	struct twins *t;
	struct source *sources;
	struct source **heap; /* the one with the least key first */
	size_t n;
};

void
twins_init(struct twins *t, const char *dir)
{
	memset(t, 0, sizeof(*t));
	spool_init(&t->spool, dir);
}

void
twins_free(struct twins *t)
{
	free(t->run);
	spool_free(&t->spool);
	twins_init(t, t->spool.dir);
}

static int
compare(const void *a, const void *b)
{
	const struct twin *x = a, *y = b;
	int order = memcmp(x->key, y->key, TWINS_KEY);

	if (order != 0)
		return order;
	return x->tag < y->tag ? -1 : x->tag > y->tag;
}

static int
spool_run(struct twins *t, struct ofs_error *e)
{
	int rc;

	qsort(t->run, t->n, sizeof(*t->run), compare);
	rc = spool_append(&t->spool, t->run, t->n * sizeof(*t->run), e);
	if (rc != 0)
		return rc;
	t->runs++;
	t->n = 0;
	return 0;
}

int
twins_add(struct twins *t, const uint8_t key[TWINS_KEY], uint64_t tag,
	struct ofs_error *e)
{
	struct twin *grown;
	int rc;

	if (t->n == TWINS_RUN) {
		rc = spool_run(t, e);
		if (rc != 0)
			return rc;
	}
	if (t->n == t->cap) {
		t->cap = t->cap == 0 ? 64 : t->cap * 2;
		grown = reallocarray(t->run, t->cap, sizeof(*grown));
		if (grown == NULL)
			return err_nomem(e);
		t->run = grown;
	}
	memcpy(t->run[t->n].key, key, TWINS_KEY);
	t->run[t->n++].tag = tag;
	return 0;
}

/* makes sure that there is a next key, unless the run is through */
static int
fill(const struct merge *m, struct source *s, struct ofs_error *e)
{
	uint64_t n = s->end - s->at;
	int rc;

	if (s->next < s->n || n == 0)
		return 0;
	if (n > sizeof(s->block))
		n = sizeof(s->block);
	rc = spool_read(&m->t->spool, s->at, s->block, (size_t)n, e);
	s->at += n;
	s->next = 0;
	s->n = rc == 0 ? (size_t)n / sizeof(struct twin) : 0;
	return rc;
}

static void
sink(struct merge *m, size_t i)
{
	struct source *s = m->heap[i];
	size_t child;

	while ((child = 2 * i + 1) < m->n) {
		struct source *c = m->heap[child];

		if (child + 1 < m->n &&
			compare(&m->heap[child + 1]
					 ->block[m->heap[child + 1]->next],
				&c->block[c->next]) < 0)
			c = m->heap[++child];
		if (compare(&s->block[s->next], &c->block[c->next]) <= 0)
			break;
		m->heap[i] = c;
		i = child;
	}
	m->heap[i] = s;
}

static int
begin(struct merge *m, struct ofs_error *e)
{
	uint64_t run = TWINS_RUN * sizeof(struct twin), at = 0;
	uint64_t size = spool_size(&m->t->spool);
	size_t i;
	int rc = 0;

	m->sources = calloc(m->t->runs, sizeof(*m->sources));
	m->heap = calloc(m->t->runs, sizeof(struct source *));
	if (m->sources == NULL || m->heap == NULL)
		return err_nomem(e);
	for (i = 0; i < m->t->runs && rc == 0; i++, at += run) {
		m->sources[i].at = at;
		m->sources[i].end = size - at < run ? size : at + run;
		rc = fill(m, &m->sources[i], e);
		m->heap[m->n++] = &m->sources[i];
	}
	for (i = m->n; rc == 0 && i > 0; i--)
		sink(m, i - 1);
	return rc;
}

/* the least key that is left; false when there is none */
static bool
next(struct merge *m, struct twin *out, int *rc, struct ofs_error *e)
{
	struct source *s;

	if (m->n == 0)
		return false;
	s = m->heap[0];
	*out = s->block[s->next++];
	*rc = fill(m, s, e);
	if (*rc != 0)
		return false;
	if (s->next == s->n)
		m->heap[0] = m->heap[--m->n];
	if (m->n > 0)
		sink(m, 0);
	return true;
}

int
twins_each(struct twins *t, twins_fn fn, void *arg, struct ofs_error *e)
{
	struct merge m = { .t = t };
	struct twin now, last;
	bool first = true;
	int rc = 0;

	if (t->n > 0)
		rc = spool_run(t, e);
	free(t->run);
	t->run = NULL;
	t->cap = 0;
	if (rc == 0 && t->runs > 0)
		rc = begin(&m, e);
	while (rc == 0 && next(&m, &now, &rc, e)) {
		if (!first && memcmp(now.key, last.key, TWINS_KEY) == 0)
			rc = fn(arg, last.tag, now.tag, e);
		last = now;
		first = false;
	}
	free(m.sources);
	free(m.heap);
	return rc;
}
