/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What became of the items of a batch, in runs of neighbours. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "store/runs.h"

static uint64_t
end_of(const struct item_run *r)
{
	return r->first + r->n;
}

static bool
has_outcomes(const struct item_run *r)
{
	return r->status <= RUN_NOT_ATTEMPTED;
}

uint64_t
run_seq(const struct item_run *r, uint64_t index)
{
	return has_outcomes(r) ? r->seq + (index - r->first) : r->seq;
}

/* the first run that ends behind `index` */
static size_t
find(const struct runs *rs, uint64_t index)
{
	size_t low = 0, high = rs->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (end_of(&rs->p[mid]) <= index)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

const struct item_run *
runs_find(const struct runs *rs, uint64_t index)
{
	size_t i = find(rs, index);

	return i < rs->n && rs->p[i].first <= index ? &rs->p[i] : NULL;
}

/* what is left of r from `index` on */
static struct item_run
tail_of(const struct item_run *r, uint64_t index)
{
	return (struct item_run){ .first = index,
		.n = end_of(r) - index,
		.status = r->status,
		.seq = run_seq(r, index) };
}

static bool
joins(const struct item_run *a, const struct item_run *b)
{
	return end_of(a) == b->first && a->status == b->status &&
		run_seq(a, b->first) == b->seq;
}

static void
join_next(struct runs *rs, size_t i)
{
	if (i + 1 >= rs->n || !joins(&rs->p[i], &rs->p[i + 1]))
		return;
	rs->p[i].n += rs->p[i + 1].n;
	rs->n--;
	memmove(&rs->p[i + 1], &rs->p[i + 2], (rs->n - i - 1) * sizeof(*rs->p));
}

/* room for two more: a run that is put inside another splits it */
static int
reserve(struct runs *rs, struct ofs_error *e)
{
	struct item_run *grown;
	size_t cap;

	if (rs->n + 2 <= rs->cap)
		return 0;
	cap = rs->cap * 2 + 16;
	grown = reallocarray(rs->p, cap, sizeof(*grown));
	if (grown == NULL)
		return err_nomem(e);
	rs->p = grown;
	rs->cap = cap;
	return 0;
}

int
runs_put(struct runs *rs, const struct item_run *r, struct ofs_error *e)
{
	struct item_run put[3];
	size_t low, high, n = 0, at;

	if (reserve(rs, e) != 0)
		return e->code;
	low = find(rs, r->first);
	for (high = low; high < rs->n && rs->p[high].first < end_of(r);)
		high++;
	if (low < high && rs->p[low].first < r->first) {
		put[n] = rs->p[low];
		put[n++].n = r->first - rs->p[low].first;
	}
	at = low + n;
	put[n++] = *r;
	if (low < high && end_of(&rs->p[high - 1]) > end_of(r))
		put[n++] = tail_of(&rs->p[high - 1], end_of(r));
	memmove(rs->p + low + n, rs->p + high, (rs->n - high) * sizeof(*rs->p));
	memcpy(rs->p + low, put, n * sizeof(*put));
	rs->n = rs->n - (high - low) + n;
	join_next(rs, at);
	if (at > 0)
		join_next(rs, at - 1);
	return 0;
}

uint64_t
runs_count(const struct runs *rs, enum run_status status)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < rs->n; i++)
		if (rs->p[i].status == status)
			n += rs->p[i].n;
	return n;
}

void
runs_free(struct runs *rs)
{
	free(rs->p);
	memset(rs, 0, sizeof(*rs));
}
