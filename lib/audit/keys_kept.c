/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The keys of what is unfinished in a sealed log. */
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
	struct key_epoch *ep;
	int rc;

	/* what was closed is not to be read with the key of what is open */
	if (!is_used(a) || !k->served || from == 0)
		return 0;
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
	int rc;

	*has = false;
	if (!is_used(a))
		return 0;
	rc = store_kept_get(&a->store, epoch, wrap, has, e);
	if (rc == 0 && *has)
		rc = wrap_kwp_open(
			a->keys.s->batch, wrap, sizeof(wrap), data, e);
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
	struct record_body *b = NULL;
	uint64_t seq;
	int rc;

	if (k->mode != LOG_SEALED || k->s->has_batch)
		return 0;
	rc = store_epoch_last(&a->store, &k->newest, e);
	if (rc == 0)
		rc = keys_record_of(a, k->newest, &seq, &b, e);
	if (rc == 0)
		rc = keys_unwrap(
			k, b, "batch", k->s->batch, &k->s->has_batch, e);
	record_body_free(b);
	return rc;
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
