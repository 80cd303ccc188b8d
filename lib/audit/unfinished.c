/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How far batches are: those that are not finished, and any by its id. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/handle.h"
#include "audit/track.h"
#include "base/hex.h"
#include "base/text.h"

static void
take_text(const ofs_record *rec, const char *name, char *to, size_t size)
{
	struct ofs_field f;
	size_t n;

	if (!ofs_record_find(rec, name, &f))
		return;
	n = f.len < size ? f.len : size - 1;
	memcpy(to, f.bytes, n);
	to[n] = '\0';
	text_clean(to);
}

static uint64_t
take_number(const ofs_record *rec, const char *name)
{
	struct ofs_field f;

	return ofs_record_find(rec, name, &f) ? (uint64_t)f.number : 0;
}

/* its header, and its body unless h->sealed: then no key for it is here */
static int
open_record(ofs_audit *a, uint64_t seq, struct ofs_record_head *h,
	ofs_record **out, struct ofs_error *e)
{
	int rc = log_get(a, seq, out, e);

	if (rc == 0)
		ofs_record_get_head(*out, h);
	return rc;
}

static int
is_sealed(uint64_t seq, struct ofs_error *e)
{
	return err_set(e, OFS_EAUDIT,
		"record %llu of the audit log is sealed, and no key for it is "
		"here",
		(unsigned long long)seq);
}

/* what BATCH OPENED says */
static int
fill_opened(ofs_audit *a, uint64_t seq, struct ofs_batch_state *st,
	struct ofs_error *e)
{
	char format[32] = "", mechanism[64] = "";
	struct ofs_record_head h;
	struct ofs_field f;
	ofs_record *rec;
	int rc;

	rc = open_record(a, seq, &h, &rec, e);
	if (rc != 0)
		return rc;
	st->opened_seq = seq;
	st->opened = h.time;
	st->sealed = h.sealed;
	hex_encode(st->batch_id, h.batch_id, 16);
	if (ofs_record_find(rec, "resumes", &f) && f.len == 16)
		hex_encode(st->resumes, f.bytes, 16);
	st->items = take_number(rec, "items");
	take_text(rec, "party.key.label", st->key_label, sizeof(st->key_label));
	take_text(rec, "format", format, sizeof(format));
	take_text(rec, "mechanism", mechanism, sizeof(mechanism));
	if (!h.sealed)
		snprintf(st->form, sizeof(st->form), "%.20s %.40s", format,
			mechanism);
	ofs_record_free(rec);
	return 0;
}

static uint64_t
count_closed(const ofs_record *rec)
{
	return take_number(rec, "signed") + take_number(rec, "failed") +
		take_number(rec, "skipped") +
		take_number(rec, "not_attempted") + take_number(rec, "unknown");
}

/* what BATCH CLOSED says; the counts only where no table has better ones */
static int
fill_closed(ofs_audit *a, uint64_t seq, bool counts, struct ofs_batch_state *st,
	struct ofs_error *e)
{
	struct ofs_record_head h;
	struct ofs_field list;
	ofs_record *rec;
	int rc;

	rc = open_record(a, seq, &h, &rec, e);
	if (rc != 0)
		return rc;
	if (h.sealed && counts)
		rc = is_sealed(seq, e);
	/* who closed it for a process that had ended did so with its own key */
	if (h.sealed) {
		ofs_record_free(rec);
		return rc;
	}
	/* an open-ended batch has as many as there came */
	if (ofs_record_find(rec, "list_sha256", &list))
		st->items = count_closed(rec);
	st->code = (int)(int64_t)take_number(rec, "code");
	take_text(rec, "reason", st->reason, sizeof(st->reason));
	if (counts) {
		st->signed_items = take_number(rec, "signed") +
			take_number(rec, "skipped");
		st->unknown = take_number(rec, "unknown");
		st->phase = st->code == 0 && st->signed_items == st->items
			? OFS_BATCH_FINISHED
			: OFS_BATCH_INTERRUPTED;
	}
	ofs_record_free(rec);
	return 0;
}

static void
count_left(struct ofs_batch_state *st)
{
	uint64_t known = st->signed_items + st->unknown + st->in_flight;

	st->left = st->items > known ? st->items - known : 0;
}

/* a batch that is tracked: the counts are those of its list */
static int
fill_tracked(ofs_audit *a, const struct track *t, struct ofs_batch_state *st,
	struct ofs_error *e)
{
	struct runs list = { NULL, 0, 0 }, own = { NULL, 0, 0 };
	int rc;

	rc = fill_opened(a, t->opened_seq, st, e);
	if (rc == 0 && t->closed_seq != 0)
		rc = fill_closed(a, t->closed_seq, false, st, e);
	if (rc == 0)
		rc = log_list_runs(a, t->root_id, &list, e);
	if (rc == 0 && t->alive)
		rc = log_track_runs(a, t->opened_seq, &own, e);
	st->phase = t->alive         ? OFS_BATCH_RUNNING
		: t->closed_seq == 0 ? OFS_BATCH_CUT_OFF
				     : OFS_BATCH_INTERRUPTED;
	st->signed_items = runs_count(&list, RUN_SIGNED);
	st->unknown = runs_count(&list, RUN_UNKNOWN);
	st->in_flight = runs_count(&own, RUN_ANNOUNCED);
	/* with those of a list, what is announced counts as unknown */
	st->unknown -=
		st->in_flight < st->unknown ? st->in_flight : st->unknown;
	count_left(st);
	runs_free(&list);
	runs_free(&own);
	return rc;
}

/* tracks, in the order of opening */
struct tracks {
	struct track *p;
	size_t n, cap;
};

static int
collect(void *arg, const struct track *t)
{
	struct tracks *all = arg;
	struct track *grown;
	size_t i;

	/* of a list, the newest stands for all */
	for (i = 0; i < all->n; i++)
		if (memcmp(all->p[i].root_id, t->root_id, 16) == 0) {
			all->p[i] = *t;
			return 0;
		}
	if (all->n == all->cap) {
		grown = reallocarray(all->p, all->cap * 2 + 8, sizeof(*grown));
		if (grown == NULL)
			return OFS_ENOMEM;
		all->p = grown;
		all->cap = all->cap * 2 + 8;
	}
	all->p[all->n++] = *t;
	return 0;
}

int
ofs_audit_each_unfinished(ofs_audit *audit, ofs_batch_state_fn fn, void *arg)
{
	struct tracks all = { NULL, 0, 0 };
	struct ofs_batch_state st;
	struct ofs_error e;
	size_t i;
	int rc, ended = 0;

	rc = log_each_track(audit, collect, &all, &e);
	for (i = 0; i < all.n && rc == 0 && ended == 0; i++) {
		memset(&st, 0, sizeof(st));
		st.size = sizeof(st);
		rc = fill_tracked(audit, &all.p[i], &st, &e);
		if (rc == 0)
			ended = fn(arg, &st);
	}
	free(all.p);
	return rc != 0 ? handle_fail(audit, &e) : ended;
}

static const char id_digits[] = "0123456789abcdef0123456789ABCDEF";

int
track_check_id(const char *digits, struct ofs_error *e)
{
	size_t n = strlen(digits);

	if (n < TRACK_ID_DIGITS || n > 32 || strspn(digits, id_digits) != n)
		return err_set(e, OFS_EINVAL,
			"'%s' is no id of a batch; give %d to 32 hexadecimal "
			"digits",
			TEXT_Q(digits), TRACK_ID_DIGITS);
	return 0;
}

int
track_ambiguous(const char *digits, struct ofs_error *e)
{
	return err_set(e, OFS_EFORMAT,
		"more than one batch begins with '%s'; give more digits",
		TEXT_Q(digits));
}

/* every id that begins so is from `low` to `high` */
static int
parse_id(const char *id, uint8_t low[16], uint8_t high[16], struct ofs_error *e)
{
	size_t n = strlen(id), i;
	int rc = track_check_id(id, e);

	if (rc != 0)
		return rc;
	memset(low, 0, 16);
	memset(high, 0xff, 16);
	for (i = 0; i < n; i++) {
		unsigned int v =
			(unsigned int)(strchr(id_digits, id[i]) - id_digits);
		unsigned int shift = i % 2 == 0 ? 4 : 0;

		v %= 16;
		low[i / 2] |= (uint8_t)(v << shift);
		high[i / 2] &= (uint8_t) ~((v ^ 15) << shift);
	}
	return 0;
}

static int
find_records(ofs_audit *a, enum ofs_record_type type, const uint8_t low[16],
	const uint8_t high[16], uint64_t seq[STORE_FOUND_MAX], size_t *found,
	struct ofs_error *e)
{
	bool nested;
	int rc;

	rc = handle_enter(a, &nested, e);
	if (rc != 0)
		return rc;
	rc = store_batch_records(&a->store, type, low, high, seq, found, e);
	handle_leave(a, nested);
	return rc;
}

/* the opening record of the one batch whose id begins so */
static int
find_opened(ofs_audit *a, const char *id, uint64_t *seq, uint8_t batch_id[16],
	struct ofs_error *e)
{
	uint64_t found[STORE_FOUND_MAX];
	uint8_t low[16], high[16];
	struct ofs_record_head h;
	ofs_record *rec;
	size_t n;
	int rc;

	rc = parse_id(id, low, high, e);
	if (rc == 0)
		rc = find_records(
			a, OFS_REC_BATCH_OPENED, low, high, found, &n, e);
	if (rc != 0)
		return rc;
	if (n == 0)
		return err_set(e, OFS_EFORMAT,
			"there is no batch '%s' in the audit log; ofs-sign "
			"--list-unfinished shows those that are not finished, "
			"ofs-audit list --type batch-opened all of them",
			TEXT_Q(id));
	if (n > 1)
		return track_ambiguous(id, e);
	*seq = found[0];
	rc = open_record(a, *seq, &h, &rec, e);
	if (rc != 0)
		return rc;
	memcpy(batch_id, h.batch_id, 16);
	ofs_record_free(rec);
	return 0;
}

int
track_missing(ofs_audit *a, const char *digits, struct ofs_error *e)
{
	uint8_t batch_id[16];
	uint64_t seq;
	int rc = find_opened(a, digits, &seq, batch_id, e);

	if (rc != 0)
		return rc;
	return err_set(e, OFS_EFORMAT,
		"nothing of batch '%s' is left to go on with: it is finished "
		"or was given up, as ofs-sign --status says",
		TEXT_Q(digits));
}

static int
count_signed(void *arg, const ofs_record *rec, struct ofs_error *e)
{
	struct ofs_batch_state *st = arg;
	struct ofs_record_head h;
	char id[33];

	(void)e;
	ofs_record_get_head(rec, &h);
	if (h.type == OFS_REC_OUTCOME && take_number(rec, "status") == 1 &&
		strcmp(hex_encode(id, h.batch_id, 16), st->batch_id) == 0)
		st->signed_items++;
	return 0;
}

/* whether its list was given up: a record of the first batch of it says so */
static int
look_for_end(ofs_audit *a, const uint8_t id[16], struct ofs_batch_state *st,
	struct ofs_error *e)
{
	uint64_t seq[STORE_FOUND_MAX];
	struct ofs_record_head h;
	const struct record_body *body;
	ofs_record *rec;
	uint8_t root[16];
	size_t n;
	int rc;

	if (st->phase != OFS_BATCH_INTERRUPTED)
		return 0;
	if (!hex_decode(root, sizeof(root), st->resumes, strlen(st->resumes)))
		memcpy(root, id, sizeof(root));
	rc = find_records(a, OFS_REC_LOG_EVENT, root, root, seq, &n, e);
	if (rc != 0 || n == 0)
		return rc;
	rc = open_record(a, seq[0], &h, &rec, e);
	if (rc != 0)
		return rc;
	body = handle_record_body(rec);
	if (body != NULL && record_body_is(body, "event", "abandon"))
		st->phase = OFS_BATCH_ABANDONED;
	ofs_record_free(rec);
	return 0;
}

/* a batch that is in no table: its records say it all */
static int
fill_untracked(ofs_audit *a, uint64_t seq, const uint8_t id[16],
	struct ofs_batch_state *st, struct ofs_error *e)
{
	uint64_t closed[STORE_FOUND_MAX];
	size_t n = 0;
	int rc;

	rc = fill_opened(a, seq, st, e);
	if (rc == 0 && st->sealed)
		rc = is_sealed(seq, e);
	if (rc == 0)
		rc = find_records(
			a, OFS_REC_BATCH_CLOSED, id, id, closed, &n, e);
	if (rc == 0 && n > 0) {
		rc = fill_closed(a, closed[0], true, st, e);
		if (rc == 0)
			rc = look_for_end(a, id, st, e);
	} else if (rc == 0) {
		st->phase = log_batch_alive(a, seq) ? OFS_BATCH_RUNNING
						    : OFS_BATCH_CUT_OFF;
		rc = log_list(a, seq, 0, count_signed, st, e);
	}
	count_left(st);
	return rc;
}

int
ofs_audit_batch(ofs_audit *audit, const char *id, struct ofs_batch_state *out)
{
	uint8_t batch_id[16];
	struct ofs_error e;
	struct track t;
	uint64_t seq = 0;
	bool tracked = false;
	int rc;

	memset(out, 0, sizeof(*out));
	out->size = sizeof(*out);
	rc = find_opened(audit, id, &seq, batch_id, &e);
	if (rc == 0)
		rc = log_track_of(audit, batch_id, &t, &tracked, &e);
	if (rc == 0 && tracked)
		rc = fill_tracked(audit, &t, out, &e);
	else if (rc == 0)
		rc = fill_untracked(audit, seq, batch_id, out, &e);
	return rc != 0 ? handle_fail(audit, &e) : 0;
}

struct waiting {
	uint64_t seq;
	uint8_t batch_id[16];
	char *path;
	bool alive, sealed;
};

static int
find_waiting(void *arg, const struct log_pending *p)
{
	struct waiting *w = arg;

	if (p->outcome_seq != w->seq)
		return LOG_ENOUGH;
	w->sealed = p->path == NULL;
	if (w->sealed)
		return LOG_ENOUGH;
	w->alive = p->alive;
	memcpy(w->batch_id, p->batch_id, sizeof(w->batch_id));
	w->path = strdup(p->path);
	return w->path != NULL ? LOG_ENOUGH : OFS_ENOMEM;
}

static int
record_discarded(ofs_audit *a, const struct waiting *w, const char *reason,
	struct ofs_error *e)
{
	struct rec_release r = { .outcome_seq = w->seq, .path = w->path };
	struct log_entry en = { .type = OFS_REC_RELEASE,
		.batch_id = w->batch_id };
	struct buf result = BUF_INIT, body = BUF_INIT;
	uint64_t seq;
	int rc;

	buf_printf(&result, "discarded: %s", TEXT_Q(reason));
	r.result = buf_cstr(&result);
	rc = r.result != NULL ? record_release_encode(&r, &body, e)
			      : err_nomem(e);
	en.body = body.p;
	en.body_len = body.len;
	if (rc == 0)
		rc = log_begin(a, e);
	if (rc == 0) {
		rc = log_append(a, &en, &seq, e);
		if (rc == 0)
			rc = log_pending_done(a, w->seq, e);
		if (rc == 0)
			rc = log_commit(a, e);
		else
			log_rollback(a);
	}
	buf_free(&body);
	buf_free(&result);
	return rc;
}

/* nobody else is about to release it: the recovery is held */
static int
discard(ofs_audit *audit, uint64_t outcome_seq, const char *reason,
	struct ofs_error *e)
{
	struct waiting w = { .seq = outcome_seq };
	int rc;

	rc = log_each_pending(audit, outcome_seq, find_waiting, &w, e);
	if (rc == 0 && w.sealed)
		rc = err_set(e, OFS_EAUDIT,
			"output of record %llu is sealed, and no key for it is "
			"here: an auditor's opens it",
			(unsigned long long)outcome_seq);
	if (rc == 0 && w.path == NULL)
		rc = err_set(e, OFS_EFORMAT,
			"no output of record %llu waits for its release; "
			"ofs-audit verify names those that wait",
			(unsigned long long)outcome_seq);
	if (rc == 0 && w.alive)
		rc = err_set(e, OFS_EEXIST,
			"the batch of record %llu is running and will release "
			"its output",
			(unsigned long long)outcome_seq);
	if (rc == 0)
		rc = record_discarded(audit, &w, reason, e);
	free(w.path);
	return rc;
}

int
ofs_audit_discard(ofs_audit *audit, uint64_t outcome_seq, const char *reason)
{
	struct ofs_error e;
	int rc;

	if (log_batch_hold(audit, LOG_RECOVERY, &e) != 0) {
		(void)err_set(&e, OFS_EEXIST,
			"another run releases at this moment what waits; try "
			"again when it has ended");
		return handle_fail(audit, &e);
	}
	rc = discard(audit, outcome_seq, reason, &e);
	log_batch_release(audit, LOG_RECOVERY);
	return rc != 0 ? handle_fail(audit, &e) : 0;
}
