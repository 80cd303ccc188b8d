/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Batches whose process ended before it closed them. */
#include <stdlib.h>
#include <string.h>

#include "sign/orphan.h"

#include "base/ctx.h"
#include "sign/journal.h"

#define REASON "its process ended"

struct orphan {
	struct log_open_batch b;
	bool tracked;
	uint64_t items;
	struct ofs_progress counts;
};

struct orphans {
	struct orphan *p;
	size_t n, cap;
};

static int
collect(void *arg, const struct log_open_batch *b)
{
	struct orphans *all = arg;
	struct orphan *grown;

	if (b->alive)
		return 0;
	if (all->n == all->cap) {
		grown = reallocarray(all->p, all->cap * 2 + 4, sizeof(*grown));
		if (grown == NULL)
			return OFS_ENOMEM;
		all->p = grown;
		all->cap = all->cap * 2 + 4;
	}
	memset(&all->p[all->n], 0, sizeof(*all->p));
	all->p[all->n++].b = *b;
	return 0;
}

static int
count_tracked(ofs_audit *audit, struct orphan *o, struct ofs_error *e)
{
	struct runs runs = { NULL, 0, 0 };
	int rc;

	rc = log_track_runs(audit, o->b.opened_seq, &runs, e);
	o->counts.signed_items = (size_t)runs_count(&runs, RUN_SIGNED);
	o->counts.failed = (size_t)runs_count(&runs, RUN_FAILED);
	o->counts.unknown = (size_t)runs_count(&runs, RUN_UNKNOWN);
	runs_free(&runs);
	return rc;
}

static int64_t
number(const ofs_record *rec, const char *name)
{
	struct ofs_field f;

	return ofs_record_find(rec, name, &f) ? f.number : 0;
}

/* a batch that no table counts: from its records */
static int
count_record(void *arg, const ofs_record *rec, struct ofs_error *e)
{
	struct orphan *o = arg;
	struct ofs_record_head head;

	(void)e;
	ofs_record_get_head(rec, &head);
	if (memcmp(head.batch_id, o->b.batch_id, 16) != 0)
		return 0;
	if (head.type == OFS_REC_BATCH_OPENED)
		o->items = (uint64_t)number(rec, "items");
	else if (head.type == OFS_REC_RECOVERY)
		o->counts.unknown += (size_t)number(rec, "unknown");
	else if (head.type == OFS_REC_OUTCOME &&
		number(rec, "status") == REC_SIGNED)
		o->counts.signed_items++;
	else if (head.type == OFS_REC_OUTCOME &&
		number(rec, "status") == REC_FAILED)
		o->counts.failed++;
	return 0;
}

static int
count(ofs_audit *audit, struct orphan *o, struct ofs_error *e)
{
	const struct ofs_progress *c = &o->counts;
	struct track t;
	uint64_t known;
	int rc;

	rc = log_track_of(audit, o->b.batch_id, &t, &o->tracked, e);
	if (rc == 0 && o->tracked) {
		o->items = t.items;
		rc = count_tracked(audit, o, e);
	} else if (rc == 0) {
		rc = log_list(audit, o->b.opened_seq, 0, count_record, o, e);
	}
	known = c->signed_items + c->failed + c->unknown;
	if (o->items > known)
		o->counts.not_attempted = (size_t)(o->items - known);
	return rc;
}

static int
close_one(ofs_audit *audit, const struct orphan *o, struct ofs_error *e)
{
	struct journal j = { .audit = audit,
		.opened_seq = o->b.opened_seq,
		.tracked = o->tracked };

	memcpy(j.batch_id, o->b.batch_id, sizeof(j.batch_id));
	return journal_close_batch(
		&j, o->items, &o->counts, OFS_EINTR, REASON, e);
}

static int
close_all(ofs_audit *audit, const struct orphans *all, struct ofs_error *e)
{
	size_t i;
	int rc;

	rc = log_begin(audit, e);
	if (rc != 0)
		return rc;
	for (i = 0; i < all->n && rc == 0; i++)
		rc = close_one(audit, &all->p[i], e);
	if (rc == 0)
		return log_commit(audit, e);
	log_rollback(audit);
	return rc;
}

int
orphan_close_all(ofs_ctx *ctx, ofs_audit *audit, struct ofs_error *e)
{
	struct orphans all = { NULL, 0, 0 };
	size_t i;
	int rc;

	rc = log_each_open_batch(audit, collect, &all, e);
	for (i = 0; i < all.n && rc == 0; i++)
		rc = count(audit, &all.p[i], e);
	if (rc == 0 && all.n > 0)
		rc = close_all(audit, &all, e);
	if (rc == 0 && all.n > 0)
		ctx_log(ctx, OFS_LOG_INFO,
			"%zu batches whose process had ended are closed now",
			all.n);
	free(all.p);
	return rc;
}
