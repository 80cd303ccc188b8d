/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Items on their way through the pipeline, a chunk at a time. */
#include <stdlib.h>
#include <string.h>

#include "sign/chunk.h"

#include "base/mem.h"

static void
wipe_buf(struct buf *b, bool release)
{
	if (b->p != NULL)
		mem_wipe(b->p, b->len);
	if (release)
		buf_free(b);
	else
		buf_reset(b);
}

/* keeps the buffers, which the next item fills again */
static void
work_reset(struct work *w, bool release)
{
	struct buf tbs = w->tbs, content = w->content, sig = w->sig,
		   out = w->out;
	struct list_item own = w->own;

	free(w->recorded_path);
	if (release)
		list_item_free(&own);
	else
		list_item_reset(&own);
	wipe_buf(&sig, release);
	wipe_buf(&out, release);
	free(w->copy);
	free(w->copy_message);
	if (release || content.cap > (1u << 20))
		buf_free(&content);
	buf_reset(&content);
	if (release)
		buf_free(&tbs);
	buf_reset(&tbs);
	memset(w, 0, sizeof(*w));
	w->own = own;
	w->item = &w->own;
	w->tbs = tbs;
	w->content = content;
	w->sig = sig;
	w->out = out;
}

struct chunk *
chunk_new(void)
{
	struct chunk *c = calloc(1, sizeof(*c));
	size_t i;

	if (c == NULL)
		return NULL;
	c->works = calloc(CHUNK_ITEMS_MAX, sizeof(*c->works));
	if (c->works == NULL) {
		free(c);
		return NULL;
	}
	/* touched now: what a batch will need it has before it begins */
	for (i = 0; i < CHUNK_ITEMS_MAX; i++)
		c->works[i].item = &c->works[i].own;
	return c;
}

void
chunk_free(struct chunk *c)
{
	size_t i;

	if (c == NULL)
		return;
	for (i = 0; i < CHUNK_ITEMS_MAX; i++)
		work_reset(&c->works[i], true);
	free(c->works);
	free(c);
}

void
chunk_reset(struct chunk *c)
{
	struct work *works = c->works;
	size_t i;

	for (i = 0; i < c->n; i++)
		work_reset(&works[i], false);
	memset(c, 0, sizeof(*c));
	c->works = works;
}

struct work *
chunk_add(struct chunk *c, size_t index)
{
	struct work *w;

	if (c->n == CHUNK_ITEMS_MAX)
		return NULL;
	w = &c->works[c->n++];
	w->index = index;
	w->item = &w->own;
	return w;
}

void
chunk_drop(struct chunk *c)
{
	work_reset(&c->works[--c->n], false);
}

void
chunk_push(struct chunk_queue *q, struct chunk *c)
{
	c->link = NULL;
	if (q->last != NULL)
		q->last->link = c;
	else
		q->first = c;
	q->last = c;
	q->n++;
}

struct chunk *
chunk_pop(struct chunk_queue *q)
{
	struct chunk *c = q->first;

	if (c == NULL)
		return NULL;
	q->first = c->link;
	if (q->first == NULL)
		q->last = NULL;
	c->link = NULL;
	q->n--;
	return c;
}
