/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Follows the batches whose list is not finished, and compares their tables. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verify/audit-track.h"

#include "audit/track.h"

static struct av_track *
find(struct av_tracks *ts, const uint8_t batch_id[16])
{
	size_t i;

	for (i = ts->n; i > 0; i--)
		if (memcmp(ts->p[i - 1].row.batch_id, batch_id, 16) == 0)
			return &ts->p[i - 1];
	return NULL;
}

static struct av_track *
find_seq(struct av_tracks *ts, uint64_t opened_seq)
{
	size_t i;

	for (i = 0; i < ts->n; i++)
		if (ts->p[i].row.opened_seq == opened_seq)
			return &ts->p[i];
	return NULL;
}

static void
drop(struct av_tracks *ts, struct av_track *t)
{
	size_t at = (size_t)(t - ts->p);

	runs_free(&t->runs);
	ts->n--;
	memmove(t, t + 1, (ts->n - at) * sizeof(*t));
}

void
av_tracks_free(struct av_tracks *ts)
{
	size_t i;

	for (i = 0; i < ts->n; i++)
		runs_free(&ts->p[i].runs);
	free(ts->p);
	memset(ts, 0, sizeof(*ts));
}

/* a field of exactly n bytes */
static bool
take(const struct av_record *r, const char *name, uint8_t *to, size_t n)
{
	struct rec_span s;

	if (!av_bytes(r->body, name, &s) || s.n != n)
		return false;
	memcpy(to, s.p, n);
	return true;
}

static bool
take_form(const struct av_record *r, char *to, size_t size)
{
	struct rec_span format, mechanism;
	int n;

	(void)av_bytes(r->body, "format", &format);
	(void)av_bytes(r->body, "mechanism", &mechanism);
	if (format.n + mechanism.n + 2 > size)
		return false;
	n = snprintf(to, size, "%.*s %.*s", (int)format.n,
		format.n > 0 ? (const char *)format.p : "", (int)mechanism.n,
		mechanism.n > 0 ? (const char *)mechanism.p : "");
	return n > 0 && (size_t)n < size;
}

/* the id of the first batch of the list: its own, or that of one we know */
static bool
take_root(struct av *v, const struct av_record *r, uint8_t to[16])
{
	const struct av_tracks *ts = &v->links.tracks;
	struct rec_span s;
	size_t i;

	if (!av_bytes(r->body, "resumes", &s)) {
		memcpy(to, r->h->batch_id, 16);
		return true;
	}
	for (i = 0; i < ts->n; i++)
		if (s.n == 16 && memcmp(ts->p[i].row.root_id, s.p, 16) == 0) {
			memcpy(to, s.p, 16);
			return true;
		}
	return false;
}

int
av_track_opened(struct av *v, const struct av_record *r, uint64_t items,
	struct ofs_error *e)
{
	struct av_tracks *ts = &v->links.tracks;
	struct av_track *grown, t;
	struct rec_span s;

	if (!av_bytes(r->body, "outputs_sha256", &s))
		return av_bytes(r->body, "resumes", &s)
			? av_damage(e, r->seq,
				  "it resumes a batch and has no outputs")
			: 0;
	memset(&t, 0, sizeof(t));
	t.row.opened_seq = r->seq;
	t.row.items = items;
	memcpy(t.row.batch_id, r->h->batch_id, 16);
	if (!take(r, "outputs_sha256", t.row.outputs_sha256, 32) ||
		!take(r, "list_sha256", t.row.list_sha256, 32) ||
		!take(r, "party.key.spki_sha256", t.row.spki_sha256, 32) ||
		!take_form(r, t.row.form, sizeof(t.row.form)))
		return av_damage(e, r->seq,
			"it does not say of which list, key and form it is");
	if (!take_root(v, r, t.row.root_id))
		return av_damage(e, r->seq,
			"the batch that it resumes is not an unfinished one");
	if (ts->n == ts->cap) {
		grown = reallocarray(ts->p, ts->cap * 2 + 8, sizeof(*grown));
		if (grown == NULL)
			return err_nomem(e);
		ts->p = grown;
		ts->cap = ts->cap * 2 + 8;
	}
	ts->p[ts->n++] = t;
	return 0;
}

int
av_track_item(struct av *v, const uint8_t batch_id[16], uint64_t index,
	enum run_status status, uint64_t seq, struct ofs_error *e)
{
	struct av_track *t = find(&v->links.tracks, batch_id);
	struct item_run r = { index, 1, status, seq };

	if (t == NULL)
		return 0;
	if (index >= t->row.items)
		return av_damage(e, seq, "its batch has no item %llu",
			(unsigned long long)index);
	return runs_put(&t->runs, &r, e);
}

void
av_track_absent(struct av *v, const uint8_t batch_id[16])
{
	struct av_track *t = find(&v->links.tracks, batch_id);

	if (t != NULL)
		t->partial = true;
}

/* whether a later batch has to know of it */
static bool
has_knowledge(const struct av_track *t, const struct av_record *closed)
{
	if (t->partial)
		return av_int(closed->body, "signed") > 0 ||
			av_int(closed->body, "unknown") > 0;
	return runs_count(&t->runs, RUN_SIGNED) +
		runs_count(&t->runs, RUN_UNKNOWN) >
		0;
}

int
av_track_closed(struct av *v, const struct av_record *r, uint64_t items,
	struct ofs_error *e)
{
	struct av_tracks *ts = &v->links.tracks;
	struct av_track *t = find(ts, r->h->batch_id);
	uint8_t root[16];
	size_t i;

	(void)e;
	if (t == NULL)
		return 0;
	t->row.closed_seq = r->seq;
	if (av_int(r->body, "code") != 0 ||
		(uint64_t)av_int(r->body, "signed") +
				(uint64_t)av_int(r->body, "skipped") !=
			items) {
		if (!has_knowledge(t, r))
			drop(ts, t);
		return 0;
	}
	memcpy(root, t->row.root_id, sizeof(root));
	for (i = ts->n; i > 0; i--)
		if (ts->p[i - 1].row.closed_seq != 0 &&
			memcmp(ts->p[i - 1].row.root_id, root, 16) == 0)
			drop(ts, &ts->p[i - 1]);
	return 0;
}

int
av_track_abandoned(struct av *v, const struct av_record *r, struct ofs_error *e)
{
	struct av_tracks *ts = &v->links.tracks;
	bool any = false;
	size_t i;

	for (i = ts->n; i > 0; i--) {
		if (memcmp(ts->p[i - 1].row.root_id, r->h->batch_id, 16) != 0)
			continue;
		if (ts->p[i - 1].row.closed_seq == 0)
			return av_damage(e, r->seq,
				"a batch of the list that it abandons is open");
		drop(ts, &ts->p[i - 1]);
		any = true;
	}
	return any ? 0
		   : av_damage(e, r->seq,
			     "the list that it abandons is not an unfinished "
			     "one");
}

struct rows {
	struct av *v;
	uint64_t n, items;
	uint64_t opened_seq, next; /* of the row before: where it ended */
};

static int
check_row(void *arg, const struct store_track *row, struct ofs_error *e)
{
	struct rows *rows = arg;
	const struct av_track *t =
		find_seq(&rows->v->links.tracks, row->opened_seq);
	struct store_track want;

	rows->n++;
	if (t != NULL)
		want = t->row;
	if (t != NULL && log_is_sealed(rows->v->a))
		track_hide(&want);
	if (t == NULL || memcmp(want.batch_id, row->batch_id, 16) != 0 ||
		memcmp(want.root_id, row->root_id, 16) != 0 ||
		memcmp(want.list_sha256, row->list_sha256, 32) != 0 ||
		memcmp(want.outputs_sha256, row->outputs_sha256, 32) != 0 ||
		memcmp(want.spki_sha256, row->spki_sha256, 32) != 0 ||
		strcmp(want.form, row->form) != 0 || want.items != row->items ||
		want.closed_seq != row->closed_seq)
		return av_damage(e, row->opened_seq,
			"table batch disagrees with the records");
	return 0;
}

/* a row may be a part of what the records come to, or more than one run */
static bool
same_items(const struct runs *rs, const struct item_run *row)
{
	uint64_t at = row->first, end = row->first + row->n;

	while (at < end) {
		const struct item_run *r = runs_find(rs, at);

		if (r == NULL || r->status != row->status ||
			run_seq(r, at) != run_seq(row, at))
			return false;
		at = r->first + r->n;
		if (at < end && runs_find(rs, at) != r + 1)
			return false;
	}
	return true;
}

static int
check_items(void *arg, uint64_t opened_seq, const struct item_run *row,
	struct ofs_error *e)
{
	struct rows *rows = arg;
	struct av_track *t = find_seq(&rows->v->links.tracks, opened_seq);

	if (rows->opened_seq != opened_seq)
		rows->next = 0;
	if (t == NULL || row->first < rows->next || !same_items(&t->runs, row))
		return av_damage(e, opened_seq,
			"table batch_item disagrees with the records");
	rows->opened_seq = opened_seq;
	rows->next = row->first + row->n;
	rows->items += row->n;
	return 0;
}

static uint64_t
count_items(const struct av_tracks *ts)
{
	uint64_t n = 0;
	size_t i, k;

	for (i = 0; i < ts->n; i++)
		for (k = 0; k < ts->p[i].runs.n; k++)
			n += ts->p[i].runs.p[k].n;
	return n;
}

int
av_check_track_tables(struct av *v, struct ofs_error *e)
{
	struct store *s = &v->a->store;
	struct rows rows = { .v = v };
	bool has;
	int rc;

	rc = store_has_tracks(s, &has, e);
	if (rc == 0 && has)
		rc = store_track_each(s, check_row, &rows, e);
	if (rc == 0 && rows.n != v->links.tracks.n)
		rc = err_set(e, OFS_EDAMAGED,
			"table batch of the audit log lacks a batch");
	if (rc == 0 && has)
		rc = store_items_each(s, 0, INT64_MAX, check_items, &rows, e);
	if (rc == 0 && rows.items != count_items(&v->links.tracks))
		rc = err_set(e, OFS_EDAMAGED,
			"table batch_item of the audit log lacks items");
	return rc;
}
