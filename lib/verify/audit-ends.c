/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is open, for good or at the end, and what only looks so: erased. */
#include <string.h>

#include "verify/audit-events.h"

#include "base/hex.h"
#include "base/text.h"

static const uint8_t no_batch[16];

bool
av_use_absent(struct av *v, const struct av_intent *i, uint64_t n)
{
	struct av_absent *a = v->events.absent;
	uint64_t found = 0;
	size_t k, pass;

	if (n == 0 || n > i->left)
		return false;
	for (pass = 0; pass < 2; pass++) {
		for (k = 0; k < v->events.n_absent && found < n; k++) {
			if (a[k].type != OFS_REC_OUTCOME || a[k].settled ||
				a[k].seq < i->seq ||
				memcmp(a[k].batch_id, i->batch_id, 16) != 0)
				continue;
			found++;
			a[k].settled = pass == 1;
		}
		if (found < n)
			return false;
		found = 0;
	}
	return true;
}

void
av_links_settle(struct av *v)
{
	struct av_links *l = &v->links;
	size_t k;

	for (k = l->n_intents; k > 0; k--)
		if (!l->intents[k - 1].listed &&
			av_use_absent(
				v, &l->intents[k - 1], l->intents[k - 1].left))
			av_drop_intent(l, &l->intents[k - 1]);
}

void
av_report_unknown(struct av *v, const struct av_intent *i, uint64_t seq)
{
	const struct av_item *items =
		(const struct av_item *)(const void *)i->items.p;
	struct buf name = BUF_INIT;
	struct text_q q;
	size_t k, undone = 0;

	for (k = 0; k < i->n; k++)
		undone += !items[k].done;
	if (undone != i->left) {
		av_find(v, seq, "unknown-item",
			"outcome of %zu items of record %llu is unknown: the "
			"token may have signed them; others were erased",
			i->left, (unsigned long long)i->seq);
		v->rep->unknown_items += i->left;
		return;
	}
	for (k = 0; k < i->n; k++) {
		if (items[k].done)
			continue;
		buf_reset(&name);
		buf_put(&name, i->text.p + items[k].name, items[k].name_len);
		if (buf_cstr(&name) == NULL)
			break;
		av_find(v, seq, "unknown-item",
			"outcome of '%s' is unknown: the token may have signed "
			"it after record %llu (item %llu)",
			text_q(&q, (const char *)name.p),
			(unsigned long long)i->seq,
			(unsigned long long)items[k].index);
	}
	buf_free(&name);
	v->rep->unknown_items += i->left;
}

static void
report_batch(struct av *v, const struct av_batch *b)
{
	char hex[33];
	bool alive = hold_alive(&v->a->hold, b->opened_seq);

	v->rep->unclosed_batches++;
	av_find(v, b->opened_seq, alive ? "running-batch" : "unclosed-batch",
		"batch %s of %llu items %s: %llu signed and %llu failed so far",
		hex_encode(hex, b->id, sizeof(b->id)),
		(unsigned long long)b->items,
		alive ? "is running" : "was cut off and never closed",
		(unsigned long long)b->signed_, (unsigned long long)b->failed);
}

static bool
intent_alive(struct av *v, const struct av_intent *i)
{
	const struct av_batch *b = av_find_batch(&v->links, i->batch_id);

	if (memcmp(i->batch_id, no_batch, sizeof(no_batch)) == 0)
		return hold_alive(&v->a->hold, i->seq);
	return b != NULL && hold_alive(&v->a->hold, b->opened_seq);
}

void
av_links_report(struct av *v)
{
	struct av_links *l = &v->links;

	for (size_t i = 0; i < l->n_batches; i++)
		report_batch(v, &l->batches[i]);
	for (size_t i = 0; i < l->n_intents; i++)
		if (intent_alive(v, &l->intents[i]))
			v->rep->in_flight_items += l->intents[i].left;
		else
			av_report_unknown(v, &l->intents[i], l->intents[i].seq);
}
