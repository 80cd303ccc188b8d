/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finishes what crashed batches of a log left behind. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sign/recover.h"

#include "audit/track.h"
#include "base/ctx.h"
#include "base/file.h"
#include "sign/journal.h"
#include "sign/orphan.h"
#include "sign/release.h"

/* outputs released together: bounds the memory for what a crash left */
#define RECOVER_AT_ONCE 64
#define WARNINGS_MAX 3 /* about the same of many */

struct pending {
	uint64_t outcome_seq;
	uint8_t batch_id[16];
	char *path;
	uint8_t *p;
	size_t n;
	bool replace;
	const char *result; /* for the record; NULL: stays pending */
};

struct recovery {
	ofs_ctx *ctx;
	ofs_audit *audit;
	struct pending found[RECOVER_AT_ONCE];
	size_t n;
	uint64_t after;  /* outcomes up to here were looked at */
	uint64_t sealed; /* and so many only an auditor can take out */
	uint64_t kept;   /* could not be released, and wait on */
};

static int
collect_pending(void *arg, const struct log_pending *p)
{
	struct recovery *r = arg;
	struct pending *to;

	r->after = p->outcome_seq;
	if (p->alive)
		return 0;
	if (p->path == NULL) {
		r->sealed++;
		return 0;
	}
	to = &r->found[r->n];
	memset(to, 0, sizeof(*to));
	to->path = strdup(p->path);
	to->p = malloc(p->n > 0 ? p->n : 1);
	if (to->path == NULL || to->p == NULL) {
		free(to->path);
		free(to->p);
		return OFS_ENOMEM;
	}
	memcpy(to->p, p->p, p->n);
	memcpy(to->batch_id, p->batch_id, sizeof(to->batch_id));
	to->n = p->n;
	to->replace = p->replace;
	to->outcome_seq = p->outcome_seq;
	r->n++;
	return r->n == RECOVER_AT_ONCE ? LOG_ENOUGH : 0;
}

static void
forget_found(struct recovery *r)
{
	size_t i;

	for (i = 0; i < r->n; i++) {
		free(r->found[i].path);
		free(r->found[i].p);
	}
	r->n = 0;
}

/* `dir` belongs to the caller: outputs of one directory share a walk */
static void
sweep_dir(const struct recovery *r, const char *dir)
{
	struct dirent *entry;
	DIR *d = opendir(dir);
	size_t i;

	while (d != NULL && (entry = readdir(d)) != NULL) {
		if (!file_out_is_tmp(entry->d_name, NULL))
			continue;
		for (i = 0; i < r->n; i++)
			if (file_out_is_tmp(entry->d_name,
				    file_basename(r->found[i].path)))
				break;
		if (i < r->n)
			(void)unlinkat(dirfd(d), entry->d_name, 0);
	}
	if (d != NULL)
		closedir(d);
}

/* temporary files that the dead process was writing its outputs to */
static void
sweep(const struct recovery *r)
{
	char *last = NULL, *dir;
	size_t i;

	for (i = 0; i < r->n; i++) {
		dir = file_dirname(r->found[i].path);
		if (dir != NULL && (last == NULL || strcmp(dir, last) != 0))
			sweep_dir(r, dir);
		free(last);
		last = dir;
	}
	free(last);
}

/* the crash may have come after the rename */
static bool
already_there(const struct pending *p)
{
	struct buf there = BUF_INIT;
	struct ofs_error ignored;
	bool same;

	same = file_read(p->path, p->n, &there, &ignored) == 0 &&
		there.len == p->n && memcmp(there.p, p->p, p->n) == 0;
	buf_free(&there);
	return same;
}

static int
release_found(struct recovery *r, struct ofs_error *e)
{
	struct release todo[RECOVER_AT_ONCE];
	bool there[RECOVER_AT_ONCE];
	size_t i;
	int rc;

	for (i = 0; i < r->n; i++) {
		struct pending *p = &r->found[i];

		/*
		 * What is there may never have reached the disk: it is
		 * written once more. A sync alone would not do: after one
		 * that failed, the next succeeds for nothing.
		 */
		there[i] = already_there(p);
		todo[i] = (struct release){ .path = p->path,
			.p = p->p,
			.n = p->n,
			.replace = p->replace || there[i] };
	}
	sweep(r);
	rc = release_all(todo, r->n, true, e);
	for (i = 0; i < r->n && rc == 0; i++) {
		if (todo[i].placed)
			r->found[i].result =
				there[i] ? "already there" : "released";
		else if (r->kept++ < WARNINGS_MAX)
			ctx_log(r->ctx, OFS_LOG_WARNING,
				"a recorded signature of an earlier run still "
				"waits for its release: %s",
				todo[i].e.message);
	}
	return rc;
}

static int
record_release(struct recovery *r, const struct pending *p, struct ofs_error *e)
{
	struct rec_release rec = { .outcome_seq = p->outcome_seq,
		.path = p->path,
		.result = p->result };

	return journal_release(r->audit, p->batch_id, &rec, e);
}

static int
record_found(struct recovery *r, struct ofs_error *e)
{
	size_t i, n = 0;
	int rc;

	rc = log_begin(r->audit, e);
	if (rc != 0)
		return rc;
	for (i = 0; i < r->n && rc == 0; i++) {
		if (r->found[i].result == NULL)
			continue;
		rc = record_release(r, &r->found[i], e);
		n++;
	}
	if (rc != 0 || n == 0) {
		log_rollback(r->audit);
		return rc;
	}
	rc = log_commit(r->audit, e);
	if (rc == 0)
		ctx_log(r->ctx, OFS_LOG_INFO,
			"%zu recorded signatures of an earlier run that was "
			"cut off are released",
			n);
	return rc;
}

static int
recover_pending(struct recovery *r, struct ofs_error *e)
{
	int rc;

	do {
		forget_found(r);
		rc = log_each_pending(
			r->audit, r->after + 1, collect_pending, r, e);
		if (rc == 0 && r->n > 0)
			rc = release_found(r, e);
		if (rc == 0 && r->n > 0)
			rc = record_found(r, e);
	} while (rc == 0 && r->n > 0);
	forget_found(r);
	if (rc == 0 && r->kept > WARNINGS_MAX)
		ctx_log(r->ctx, OFS_LOG_WARNING,
			"%llu more of them wait; ofs-audit verify names them",
			(unsigned long long)(r->kept - WARNINGS_MAX));
	if (rc == 0 && r->sealed > 0)
		ctx_log(r->ctx, OFS_LOG_WARNING,
			"%llu recorded signatures of an earlier run that was "
			"cut off are sealed: an auditor takes them out with "
			"ofs-audit export --pending DIR --auditor-key FILE",
			(unsigned long long)r->sealed);
	return rc;
}

struct intents {
	struct log_open_intent *found;
	size_t n, cap;
};

/* an intent that is recovered: of a tracked batch, no record is opened */
struct unanswered {
	uint64_t items;
	uint64_t opened_seq; /* 0: not tracked */
};

static int
collect_intent(void *arg, const struct log_open_intent *i)
{
	struct intents *all = arg;
	struct log_open_intent *grown;

	if (i->alive)
		return 0;
	if (all->n == all->cap) {
		all->cap = all->cap ? all->cap * 2 : 16;
		grown = reallocarray(all->found, all->cap, sizeof(*grown));
		if (grown == NULL)
			return OFS_ENOMEM;
		all->found = grown;
	}
	all->found[all->n++] = *i;
	return 0;
}

static int
intent_items(ofs_audit *audit, uint64_t seq, uint64_t *n, struct ofs_error *e)
{
	struct ofs_record_head head;
	ofs_record *rec = NULL;
	struct ofs_field f;
	char name[48];
	uint64_t i = 0;
	int rc;

	rc = log_get(audit, seq, &rec, e);
	if (rc != 0)
		return rc;
	*n = 0;
	ofs_record_get_head(rec, &head);
	if (head.sealed) {
		ofs_record_free(rec);
		return 0;
	}
	do
		snprintf(name, sizeof(name), "items.%llu.index",
			(unsigned long long)i++);
	while (ofs_record_find(rec, name, &f));
	*n = i - 1;
	ofs_record_free(rec);
	return 0;
}

static int
count_unanswered(ofs_audit *audit, const struct log_open_intent *i,
	struct unanswered *u, struct ofs_error *e)
{
	struct runs runs = { NULL, 0, 0 };
	struct track t;
	bool tracked;
	size_t k;
	int rc;

	rc = log_track_of(audit, i->batch_id, &t, &tracked, e);
	if (rc != 0)
		return rc;
	if (!tracked)
		return intent_items(audit, i->intent_seq, &u->items, e);
	u->opened_seq = t.opened_seq;
	rc = log_track_runs(audit, t.opened_seq, &runs, e);
	for (k = 0; k < runs.n; k++)
		if (runs.p[k].status == RUN_ANNOUNCED &&
			runs.p[k].seq == i->intent_seq)
			u->items += runs.p[k].n;
	runs_free(&runs);
	return rc;
}

static int
record_unknown(ofs_audit *audit, const struct log_open_intent *i,
	const struct unanswered *u, struct ofs_error *e)
{
	static const uint8_t none[16];
	struct rec_recovery rec = { .intent_seq = i->intent_seq,
		.unknown = u->items,
		.reason = "the process ended before it recorded an outcome" };
	struct log_entry en = { .type = OFS_REC_RECOVERY };
	struct buf body = BUF_INIT;
	uint64_t seq;
	int rc;

	rc = record_recovery_encode(&rec, &body, e);
	en.body = body.p;
	en.body_len = body.len;
	if (memcmp(i->batch_id, none, sizeof(none)) != 0)
		en.batch_id = i->batch_id;
	if (rc == 0)
		rc = log_append(audit, &en, &seq, e);
	if (rc == 0)
		rc = log_intent_done(audit, i->intent_seq, e);
	if (rc == 0 && u->opened_seq != 0)
		rc = log_track_unknown(audit, u->opened_seq, i->intent_seq, e);
	buf_free(&body);
	return rc;
}

static int
recover_intents(struct recovery *r, struct ofs_error *e)
{
	struct intents all = { NULL, 0, 0 };
	struct unanswered *items = NULL;
	uint64_t sum = 0;
	size_t i;
	int rc;

	rc = log_each_open_intent(r->audit, collect_intent, &all, e);
	if (rc != 0 || all.n == 0)
		goto out;
	items = calloc(all.n, sizeof(*items));
	if (items == NULL)
		rc = err_nomem(e);
	for (i = 0; i < all.n && rc == 0; i++)
		rc = count_unanswered(r->audit, &all.found[i], &items[i], e);
	if (rc == 0)
		rc = log_begin(r->audit, e);
	if (rc != 0)
		goto out;
	for (i = 0; i < all.n && rc == 0; i++) {
		rc = record_unknown(r->audit, &all.found[i], &items[i], e);
		sum += items[i].items;
	}
	if (rc == 0)
		rc = log_commit(r->audit, e);
	else
		log_rollback(r->audit);
	if (rc == 0 && log_is_sealed(r->audit))
		ctx_log(r->ctx, OFS_LOG_WARNING,
			"an earlier run was cut off: what became of the items "
			"of %zu intents is unknown and recorded so; with an "
			"auditor's key ofs-audit verify names them",
			all.n);
	else if (rc == 0)
		ctx_log(r->ctx, OFS_LOG_WARNING,
			"an earlier run was cut off: the outcome of %llu items "
			"is unknown and recorded so; ofs-audit verify names "
			"them",
			(unsigned long long)sum);
out:
	free(items);
	free(all.found);
	return rc;
}

int
recover_run(ofs_ctx *ctx, ofs_audit *audit, struct ofs_error *e)
{
	struct recovery *r;
	int rc;

	if (log_batch_hold(audit, LOG_RECOVERY, e) != 0) {
		err_clear(e); /* somebody else is at it */
		return 0;
	}
	r = calloc(1, sizeof(*r));
	if (r == NULL) {
		log_batch_release(audit, LOG_RECOVERY);
		return err_nomem(e);
	}
	r->ctx = ctx;
	r->audit = audit;
	rc = recover_pending(r, e);
	if (rc == 0)
		rc = recover_intents(r, e);
	if (rc == 0)
		rc = orphan_close_all(ctx, audit, e);
	log_batch_release(audit, LOG_RECOVERY);
	free(r);
	return rc;
}
