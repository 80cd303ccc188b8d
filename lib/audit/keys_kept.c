/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The keys of what is unfinished in a sealed log. */
#include <stdlib.h>
#include <string.h>

#include "audit/handle.h"

#include "base/mem.h"

_Static_assert(STORE_KEPT_SIZE == WRAP_KWP_SIZE, "one kind of wrap");

static bool
is_used(const ofs_audit *a)
{
	return a->keys.mode == LOG_SEALED && a->keys.s->has_batch;
}

int
kept_begin(ofs_audit *a, struct ofs_error *e)
{
	struct keys *k = &a->keys;
	uint32_t from = k->current;
	struct key_epoch *ep, *old;
	int rc;

	/* what was closed is not to be read with the key of what is open */
	if (!is_used(a) || !k->served || from == 0)
		return 0;
	rc = keys_epoch(a, from, &old, e);
	if (rc != 0)
		return rc;
	/* while it is needed it is kept; it is not to stay for each batch */
	old->own = false;
	k->current = 0;
	k->writer = NULL;
	rc = keys_for_writing(a, &ep, e);
	return rc != 0 ? rc : kept_moved(a, from, ep, e);
}

int
kept_put(ofs_audit *a, const uint8_t batch_id[16], struct ofs_error *e)
{
	uint8_t wrap[WRAP_KWP_SIZE];
	struct key_epoch *ep;
	int rc;

	if (!is_used(a))
		return 0;
	rc = keys_for_writing(a, &ep, e);
	if (rc == 0)
		rc = wrap_kwp(a->keys.s->batch, ep->data, wrap, e);
	if (rc == 0)
		rc = store_kept_put(&a->store, batch_id, ep->epoch, wrap, e);
	a->keys.served = true;
	return rc;
}

int
kept_moved(ofs_audit *a, uint32_t from, const struct key_epoch *to,
	struct ofs_error *e)
{
	uint8_t wrap[WRAP_KWP_SIZE];
	int rc;

	if (!is_used(a) || from == 0)
		return 0;
	rc = wrap_kwp(a->keys.s->batch, to->data, wrap, e);
	if (rc == 0)
		rc = store_kept_move(&a->store, from, to->epoch, wrap, e);
	return rc;
}

int
kept_open(ofs_audit *a, uint32_t epoch, uint8_t data[SEAL_KEY], bool *has,
	struct ofs_error *e)
{
	uint8_t wrap[WRAP_KWP_SIZE];
	bool same;
	int rc;

	*has = false;
	if (!is_used(a))
		return 0;
	rc = store_kept_get(&a->store, epoch, wrap, has, e);
	if (rc == 0 && *has)
		rc = wrap_kwp_open(
			a->keys.s->batch, wrap, sizeof(wrap), data, e);
	if (rc == OFS_EDAMAGED) {
		rc = kept_check(a, &same, e);
		*has = same;
		if (rc == 0 && same)
			rc = wrap_kwp_open(
				a->keys.s->batch, wrap, sizeof(wrap), data, e);
	}
	if (rc == OFS_EDAMAGED)
		rc = err_set(e, OFS_EDAMAGED,
			"key that is kept for epoch %u of the audit log is "
			"not one that its batch key has wrapped",
			epoch);
	*has = *has && rc == 0;
	return rc;
}

int
kept_sweep(ofs_audit *a, struct ofs_error *e)
{
	if (a->keys.mode != LOG_SEALED || !a->keys.sweep)
		return 0;
	a->keys.sweep = false;
	return store_kept_sweep(&a->store, e);
}

int
kept_find(ofs_audit *a, struct ofs_error *e)
{
	struct keys *k = &a->keys;
	struct record_body *b;
	int rc;

	if (k->mode != LOG_SEALED || k->s->has_batch)
		return 0;
	rc = keys_newest(a, &b, e);
	if (rc == 0)
		rc = keys_unwrap(
			k, b, "batch", k->s->batch, &k->s->has_batch, e);
	if (rc == 0)
		rc = keys_hash_batches(k, b, k->s->batch_of, e);
	record_body_free(b);
	return rc;
}

int
kept_check(ofs_audit *a, bool *same, struct ofs_error *e)
{
	struct keys *k = &a->keys;
	struct record_body *b;
	uint8_t now[32];
	int rc;

	*same = true;
	rc = keys_newest(a, &b, e);
	if (rc == 0)
		rc = keys_hash_batches(k, b, now, e);
	record_body_free(b);
	if (rc != 0 || memcmp(now, k->s->batch_of, sizeof(now)) == 0)
		return rc;
	mem_wipe(k->s->batch, sizeof(k->s->batch));
	k->s->has_batch = false;
	/* a station key may be found at another place, too */
	rc = keys_find(a, e);
	if (rc == 0)
		rc = kept_find(a, e);
	*same = k->s->has_batch;
	return rc;
}

int
kept_lacks(ofs_audit *a, uint64_t *n, struct ofs_error *e)
{
	*n = 0;
	return is_used(a) ? store_kept_lacks(&a->store, n, e) : 0;
}

static int
remember(void *arg, uint64_t epoch, const uint8_t id[16], struct ofs_error *e)
{
	struct kept_list *l = arg;
	struct kept_entry *grown;

	if (l->n == l->cap) {
		grown = reallocarray(l->p, l->cap * 2 + 8, sizeof(*grown));
		if (grown == NULL)
			return err_nomem(e);
		l->p = grown;
		l->cap = l->cap * 2 + 8;
	}
	memcpy(l->p[l->n].batch_id, id, 16);
	l->p[l->n++].epoch = (uint32_t)epoch;
	return 0;
}

int
kept_load(ofs_audit *a, struct kept_list *l, struct ofs_error *e)
{
	uint8_t wrap[WRAP_KWP_SIZE];
	struct key_epoch *ep;
	bool is_kept;
	int rc;

	a->keys.keep_all = true;
	rc = store_kept_needed(&a->store, remember, l, e);
	for (size_t i = 0; rc == 0 && i < l->n; i++) {
		rc = keys_epoch(a, l->p[i].epoch, &ep, e);
		if (rc != 0 || ep->open)
			continue;
		rc = store_kept_get(
			&a->store, l->p[i].epoch, wrap, &is_kept, e);
		if (rc == 0 && is_kept)
			rc = err_set(e, OFS_EAUDIT,
				"the old station key or passphrase, or the key "
				"of an auditor, is needed: without it what is "
				"unfinished could not be gone on with");
	}
	return rc;
}

int
kept_renew(ofs_audit *a, const struct kept_list *l, uint64_t *left,
	struct ofs_error *e)
{
	uint8_t wrap[WRAP_KWP_SIZE];
	struct key_epoch *ep;
	int rc = store_kept_clear(&a->store, e);

	for (size_t i = 0; rc == 0 && i < l->n; i++) {
		rc = keys_epoch(a, l->p[i].epoch, &ep, e);
		if (rc != 0 || !ep->open)
			continue;
		rc = wrap_kwp(a->keys.s->batch, ep->data, wrap, e);
		if (rc == 0)
			rc = store_kept_put(&a->store, l->p[i].batch_id,
				l->p[i].epoch, wrap, e);
	}
	return rc != 0 ? rc : kept_lacks(a, left, e);
}

void
kept_look_again(ofs_audit *a)
{
	if (is_used(a))
		keys_retry(a);
}

bool
kept_wrap(const struct record_body *like, size_t *i, struct key_wrap *w)
{
	while (like != NULL && keys_wrap(like, (*i)++, w))
		if (keys_is(&w->what, "batch"))
			return true;
	return false;
}
