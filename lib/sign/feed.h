/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Items that are added while their batch runs: a bounded queue. */
#ifndef SIGN_FEED_H
#define SIGN_FEED_H

#include "sign/list.h"

#define FEED_ROOM 1024 /* items that wait */

struct feed;

/*
 * `l` is placed, and its items are the first of the batch. Both are borrowed.
 * Made by the thread that runs the batch.
 */
int feed_new(const struct list *l, const struct ofs_sign_opts *o,
	struct feed **out, struct ofs_error *e);
void feed_free(struct feed *f);

/*
 * From any thread. Waits while the queue is full, but not in a callback of the
 * batch (OFS_EINVAL). When it returns 0 the item is in the batch and will have
 * a result, else it is not. OFS_EFORMAT: an id twice, or beyond the limits.
 * OFS_EEXIST: its output is that of another item, or one is a document of the
 * batch. OFS_EINTR: the batch was stopped. OFS_EINVAL: it was ended.
 */
int feed_add(struct feed *f, const struct ofs_item *item, struct ofs_error *e);
int feed_add_bytes(struct feed *f, const char *name, const void *p, size_t n,
	struct ofs_error *e);
int feed_add_digest(struct feed *f, const struct ofs_item *item,
	const uint8_t *digest, size_t len, struct ofs_error *e);
/* no more will come; from any thread */
void feed_end(struct feed *f);

/* nothing is taken in any more, and nobody waits; from any thread */
void feed_stop(struct feed *f);
/*
 * The next item into *to; `wait` until there is one. False: there is none, or
 * with `wait` there will be none. After feed_stop() it does not wait, and gives
 * what is left. Called by one thread at a time.
 */
bool feed_take(struct feed *f, bool wait, struct list_item *to);
size_t feed_items(struct feed *f); /* those of the list and all accepted ones */
/* as list_sha256() with "ofs-list-v2", of all of these */
int feed_sha256(struct feed *f, uint8_t out[32], struct ofs_error *e);

#endif
