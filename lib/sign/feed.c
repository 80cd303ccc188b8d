/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Items that are added while their batch runs: a bounded queue. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sign/feed.h"

#include "base/file.h"
#include "base/keyset.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "sign/copy.h"
#include "sign/place.h"

/* what a name is to the batch: kinds of a keyset, but for the last */
enum kind { DOCUMENT = 1, OUTPUT, COPY, ID };
#define KINDS 4

/* What an item has, as it is known to the keyset. */
struct mark {
	uint8_t key[KEYSET_KEY];
	enum kind kind;
};

struct feed {
	const struct ofs_sign_opts *opts;
	pthread_t runner; /* callbacks come from it, */
	/* `adding` is taken first: one item is added after the other */
	pthread_mutex_t adding;
	struct keyset seen;
	uint64_t bytes; /* of documents, for the limit */
	/* the rest is under `lock` */
	pthread_mutex_t lock;
	pthread_cond_t to_add, to_take;
	struct list_item ring[FEED_ROOM];
	size_t first, waiting; /* in the ring */
	size_t items;
	struct digest digest; /* of all of them */
	bool ended, stopped;
	pthread_t taker; /* and from this one */
	bool has_taker;
};

/* An item on its way in. */
struct coming {
	const struct ofs_item *item;
	const void *bytes; /* NULL: a file */
	size_t len;
	const uint8_t *digest; /* all that there is of it; NULL */
	size_t digest_len;
	char *input, *output, *place, *copy;
	struct mark mark[KINDS];
	size_t n_marks;
	uint64_t size;
};

static void
coming_clear(struct coming *c)
{
	free(c->input);
	free(c->output);
	free(c->place);
	free(c->copy);
}

/* a document and an output may be one file; ids and copies are other worlds */
static int
mark(struct coming *c, enum kind kind, const char *name, struct ofs_error *e)
{
	struct mark *m = &c->mark[c->n_marks];
	uint8_t world = kind == DOCUMENT ? OUTPUT : kind;
	struct digest d = { 0 };
	uint8_t hash[DIGEST_MAX];
	int rc;

	if (name == NULL)
		return 0;
	rc = digest_begin(&d, &digest_sha256, e);
	if (rc == 0)
		rc = digest_update(&d, &world, sizeof(world), e);
	if (rc == 0)
		rc = digest_update(&d, name, strlen(name), e);
	if (rc == 0)
		rc = digest_end(&d, hash, e);
	digest_free(&d);
	if (rc != 0)
		return rc;
	memcpy(m->key, hash, sizeof(m->key));
	m->kind = kind;
	c->n_marks++;
	return 0;
}

static int
mark_all(struct coming *c, struct ofs_error *e)
{
	int rc;

	rc = mark(c, DOCUMENT, c->input, e);
	if (rc == 0)
		rc = mark(c, OUTPUT, c->place, e);
	if (rc == 0)
		rc = mark(c, COPY, c->copy, e);
	return rc != 0 ? rc : mark(c, ID, c->item->id, e);
}

static int
find_place(const struct feed *f, struct coming *c, struct ofs_error *e)
{
	const struct ofs_sign_opts *o = f->opts;
	struct list_item shown = { 0 };
	struct placer p = { 0 };
	struct stat st;
	int rc;

	rc = placer_init(&p, o->format, o->out_dir, e);
	if (rc == 0)
		rc = placer_find(
			&p, c->item->path, &c->input, &c->output, &c->place, e);
	placer_free(&p);
	/* what only a digest stands for may lie nowhere */
	if (rc == 0 &&
		(c->place == NULL || (c->input == NULL && c->digest_len == 0)))
		rc = err_set(e, OFS_EIO,
			"cannot add '%s': its directory is missing",
			TEXT_Q(c->item->path));
	if (rc == 0 && o->copy_dir != NULL) {
		shown.output = c->output;
		shown.absolute = c->place;
		rc = copy_find(o, &shown, &c->copy, e);
	}
	if (c->digest_len == 0 && stat(c->item->path, &st) == 0 &&
		st.st_size > 0)
		c->size = (uint64_t)st.st_size;
	return rc;
}

/* what has to be known of it before anybody is made to wait */
static int
look_at(const struct feed *f, struct coming *c, struct ofs_error *e)
{
	int rc;

	rc = list_check_item(c->item, e);
	if (rc == 0 && c->bytes == NULL)
		rc = find_place(f, c, e);
	else
		c->size = c->len;
	return rc != 0 ? rc : mark_all(c, e);
}

static int
refuse_twin(const struct coming *c, enum kind kind, enum kind there,
	struct ofs_error *e)
{
	struct text_q q;
	const char *path = text_q(&q, c->item->path);

	switch (kind) {
	case DOCUMENT:
		return err_set(e, OFS_EEXIST,
			"cannot add '%s': it is the output of another document "
			"of this batch",
			path);
	case OUTPUT:
		return err_set(e, OFS_EEXIST,
			"cannot add '%s': its output '%s' is %s of this batch",
			path, TEXT_Q(c->output),
			there == OUTPUT ? "that of another document"
					: "a document");
	case COPY:
		return err_set(e, OFS_EEXIST,
			"cannot add '%s': its second copy '%s' is that of "
			"another document of this batch",
			path, TEXT_Q(c->copy));
	case ID:
		break;
	}
	return err_set(e, OFS_EFORMAT,
		"cannot add '%s': id '%s' is that of another document; no two "
		"documents of a batch may have one id",
		path, TEXT_Q(c->item->id));
}

/* a document may be named twice; it is their outputs that are one */
static int
refuse_twins(const struct feed *f, const struct coming *c, struct ofs_error *e)
{
	unsigned int there;
	size_t i;

	for (i = 0; i < c->n_marks; i++) {
		there = keyset_kind(&f->seen, c->mark[i].key);
		if (there != 0 &&
			(c->mark[i].kind != DOCUMENT || there != DOCUMENT))
			return refuse_twin(c, c->mark[i].kind, there, e);
	}
	return 0;
}

static int
refuse_beyond(const struct feed *f, size_t items, const struct coming *c,
	struct ofs_error *e)
{
	const struct ofs_sign_opts *o = f->opts;

	if (o->max_items > 0 && items >= o->max_items)
		return err_set(e, OFS_EFORMAT,
			"cannot add '%s': the batch has %zu documents, which "
			"is its limit",
			TEXT_Q(c->item->path), items);
	if (o->max_bytes > 0 &&
		(c->size > o->max_bytes || f->bytes > o->max_bytes - c->size))
		return err_set(e, OFS_EFORMAT,
			"cannot add '%s': the documents of the batch would "
			"have more than the limit of %llu bytes",
			TEXT_Q(c->item->path),
			(unsigned long long)o->max_bytes);
	return 0;
}

static void
accept_marks(struct feed *f, const struct coming *c)
{
	size_t i;

	for (i = 0; i < c->n_marks; i++)
		keyset_add(&f->seen, c->mark[i].key,
			c->mark[i].kind == ID ? COPY : c->mark[i].kind);
	f->bytes += c->size;
}

static int
put_digest(struct feed *f, const struct list_item *it, struct ofs_error *e)
{
	struct buf line = BUF_INIT;
	int rc;

	list_describe_item(it, true, &line);
	rc = buf_ok(&line) ? digest_update(&f->digest, line.p, line.len, e)
			   : err_nomem(e);
	buf_free(&line);
	return rc;
}

/* the texts of an item into memory of its own */
static int
fill(struct list_item *to, const struct coming *c, struct ofs_error *e)
{
	const char *const text[] = { c->item->path, c->item->id, c->item->name,
		c->item->version, c->item->media_type, c->output, c->place };
	const char **const at[] = { &to->path, &to->id, &to->name, &to->version,
		&to->media_type, &to->output, &to->absolute };
	size_t i, pos = 0;

	list_item_reset(to);
	for (i = 0; i < sizeof(text) / sizeof(text[0]); i++)
		if (text[i] != NULL)
			buf_put(&to->mem, text[i], strlen(text[i]) + 1);
	if (!buf_ok(&to->mem))
		return err_nomem(e);
	for (i = 0; i < sizeof(text) / sizeof(text[0]); i++) {
		if (text[i] == NULL)
			continue;
		*at[i] = (const char *)to->mem.p + pos;
		pos += strlen(text[i]) + 1;
	}
	to->bytes = c->bytes;
	to->len = c->len;
	to->digest_len = c->digest_len;
	if (c->digest_len > 0)
		memcpy(to->digest, c->digest, c->digest_len);
	to->has_sha256 = c->item->sha256 != NULL;
	if (to->has_sha256)
		memcpy(to->sha256, c->item->sha256, sizeof(to->sha256));
	return 0;
}

/* a callback that waits would wait for itself; the lock is held */
static bool
is_callback_locked(const struct feed *f)
{
	pthread_t self = pthread_self();

	return pthread_equal(self, f->runner) ||
		(f->has_taker && pthread_equal(self, f->taker));
}

static int
refuse_closed_locked(const struct feed *f, struct ofs_error *e)
{
	if (f->ended)
		return err_set(e, OFS_EINVAL,
			"the batch was ended; make a new one for more "
			"documents");
	if (f->stopped)
		return err_set(e, OFS_EINTR,
			"the batch was stopped and takes no more documents");
	return 0;
}

/* the slot that the item goes to, which stays free while `adding` is held */
static int
wait_for_room(struct feed *f, struct list_item **slot, size_t *items,
	struct ofs_error *e)
{
	int rc;

	*slot = NULL;
	pthread_mutex_lock(&f->lock);
	while ((rc = refuse_closed_locked(f, e)) == 0 &&
		f->waiting == FEED_ROOM) {
		if (is_callback_locked(f)) {
			rc = err_set(e, OFS_EINVAL,
				"%d documents wait to be signed, and a "
				"callback of the batch cannot wait for them; "
				"add more from another thread",
				FEED_ROOM);
			break;
		}
		pthread_cond_wait(&f->to_add, &f->lock);
	}
	if (rc == 0)
		*slot = &f->ring[(f->first + f->waiting) % FEED_ROOM];
	*items = f->items;
	pthread_mutex_unlock(&f->lock);
	return rc;
}

/* it may have been stopped meanwhile */
static int
push(struct feed *f, const struct list_item *it, struct ofs_error *e)
{
	int rc;

	pthread_mutex_lock(&f->lock);
	rc = refuse_closed_locked(f, e);
	if (rc == 0)
		rc = put_digest(f, it, e);
	if (rc == 0) {
		f->waiting++;
		f->items++;
		pthread_cond_signal(&f->to_take);
	}
	pthread_mutex_unlock(&f->lock);
	return rc;
}

static int
add(struct feed *f, struct coming *c, struct ofs_error *e)
{
	struct list_item *slot;
	size_t items;
	int rc;

	rc = look_at(f, c, e);
	if (rc != 0)
		return rc;
	pthread_mutex_lock(&f->adding);
	rc = wait_for_room(f, &slot, &items, e);
	if (rc == 0)
		rc = refuse_beyond(f, items, c, e);
	if (rc == 0)
		rc = refuse_twins(f, c, e);
	if (rc == 0)
		rc = keyset_reserve(&f->seen, KINDS, e);
	if (rc == 0)
		rc = fill(slot, c, e);
	if (rc == 0)
		rc = push(f, slot, e);
	if (rc == 0)
		accept_marks(f, c);
	pthread_mutex_unlock(&f->adding);
	return rc;
}

/* the items of the list, which was checked as a whole */
static int
take_list(struct feed *f, const struct list *l, struct ofs_error *e)
{
	struct list_item it = { 0 };
	struct ofs_item item = OFS_ITEM_INIT;
	size_t i;
	int rc = 0;

	for (i = 0; i < l->n && rc == 0; i++) {
		struct coming c = { .item = &item };

		rc = list_read(l, i, &it, e);
		if (rc != 0)
			break;
		item.path = it.path;
		item.id = it.id;
		c.bytes = it.bytes;
		c.len = it.len;
		c.digest_len = it.digest_len;
		rc = look_at(f, &c, e);
		/* what cannot be placed fails when it is read */
		if (rc == OFS_EIO)
			rc = mark_all(&c, e);
		if (rc == 0)
			rc = keyset_reserve(&f->seen, KINDS, e);
		if (rc == 0)
			accept_marks(f, &c);
		if (rc == 0)
			rc = put_digest(f, &it, e);
		coming_clear(&c);
	}
	list_item_free(&it);
	f->items = l->n;
	return rc;
}

int
feed_new(const struct list *l, const struct ofs_sign_opts *o, struct feed **out,
	struct ofs_error *e)
{
	static const char tag[] = "ofs-list-v2";
	struct feed *f = calloc(1, sizeof(*f));
	int rc;

	*out = NULL;
	if (f == NULL)
		return err_nomem(e);
	f->opts = o;
	f->runner = pthread_self();
	pthread_mutex_init(&f->adding, NULL);
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->to_add, NULL);
	pthread_cond_init(&f->to_take, NULL);
	rc = digest_begin(&f->digest, &digest_sha256, e);
	if (rc == 0)
		rc = digest_update(&f->digest, tag, sizeof(tag), e);
	if (rc == 0)
		rc = take_list(f, l, e);
	if (rc != 0)
		feed_free(f);
	else
		*out = f;
	return rc;
}

void
feed_free(struct feed *f)
{
	size_t i;

	if (f == NULL)
		return;
	for (i = 0; i < FEED_ROOM; i++)
		list_item_free(&f->ring[i]);
	keyset_free(&f->seen);
	digest_free(&f->digest);
	pthread_cond_destroy(&f->to_add);
	pthread_cond_destroy(&f->to_take);
	pthread_mutex_destroy(&f->lock);
	pthread_mutex_destroy(&f->adding);
	free(f);
}

int
feed_add(struct feed *f, const struct ofs_item *item, struct ofs_error *e)
{
	struct coming c = { .item = item };
	int rc;

	rc = add(f, &c, e);
	coming_clear(&c);
	return rc;
}

int
feed_add_bytes(struct feed *f, const char *name, const void *p, size_t n,
	struct ofs_error *e)
{
	struct ofs_item item = OFS_ITEM_INIT;
	struct coming c = {
		.item = &item, .bytes = p != NULL ? p : "", .len = n
	};

	item.path = name;
	return add(f, &c, e);
}

int
feed_add_digest(struct feed *f, const struct ofs_item *item,
	const uint8_t *digest, size_t len, struct ofs_error *e)
{
	struct coming c = { .item = item, .digest = digest, .digest_len = len };
	int rc;

	rc = add(f, &c, e);
	coming_clear(&c);
	return rc;
}

static void
close_for(struct feed *f, bool *why)
{
	pthread_mutex_lock(&f->lock);
	*why = true;
	pthread_cond_broadcast(&f->to_add);
	pthread_cond_broadcast(&f->to_take);
	pthread_mutex_unlock(&f->lock);
}

void
feed_end(struct feed *f)
{
	close_for(f, &f->ended);
}

void
feed_stop(struct feed *f)
{
	close_for(f, &f->stopped);
}

/* the buffers change places, so that both are used again */
static void
take_first_locked(struct feed *f, struct list_item *to)
{
	struct list_item *from = &f->ring[f->first], old = *to;

	*to = *from;
	*from = old;
	list_item_reset(from);
	f->first = (f->first + 1) % FEED_ROOM;
	f->waiting--;
	pthread_cond_signal(&f->to_add);
}

bool
feed_take(struct feed *f, bool wait, struct list_item *to)
{
	bool taken;

	pthread_mutex_lock(&f->lock);
	f->taker = pthread_self();
	f->has_taker = true;
	while (wait && f->waiting == 0 && !f->ended && !f->stopped)
		pthread_cond_wait(&f->to_take, &f->lock);
	taken = f->waiting > 0;
	if (taken)
		take_first_locked(f, to);
	pthread_mutex_unlock(&f->lock);
	return taken;
}

size_t
feed_items(struct feed *f)
{
	size_t n;

	pthread_mutex_lock(&f->lock);
	n = f->items;
	pthread_mutex_unlock(&f->lock);
	return n;
}

int
feed_sha256(struct feed *f, uint8_t out[32], struct ofs_error *e)
{
	int rc;

	pthread_mutex_lock(&f->lock);
	rc = digest_end(&f->digest, out, e);
	pthread_mutex_unlock(&f->lock);
	return rc;
}
