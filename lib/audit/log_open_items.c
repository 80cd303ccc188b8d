/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is open in the log: batches, intents, outputs, and who runs them. */
#include <limits.h>
#include <string.h>

#include "audit/handle.h"
#include "audit/pending.h"

int
log_batch_hold(ofs_audit *a, uint64_t opened_seq, struct ofs_error *e)
{
	return hold_take(&a->hold, opened_seq, e);
}

void
log_batch_release(ofs_audit *a, uint64_t opened_seq)
{
	hold_drop(&a->hold, opened_seq);
}

bool
log_batch_alive(ofs_audit *a, uint64_t opened_seq)
{
	return hold_alive(&a->hold, opened_seq);
}

bool
log_read_only(const ofs_audit *a)
{
	return a->read_only;
}

bool
log_is_sealed(const ofs_audit *a)
{
	return a->keys.mode == LOG_SEALED;
}

/* a backup does not bring along what opens them */
static int
check_lists(ofs_audit *a, struct ofs_error *e)
{
	bool nested;
	uint64_t n;
	int rc;

	rc = handle_enter(a, &nested, e);
	if (rc != 0)
		return rc;
	rc = kept_lacks(a, &n, e);
	handle_leave(a, nested);
	if (rc == 0 && n > 0)
		rc = err_set(e, OFS_EAUDIT,
			"cannot tell whether this list was begun before: the "
			"sealed audit log has %llu unfinished ones that this "
			"station cannot open since a backup was restored; have "
			"an auditor run ofs-audit rotate --auditor-key FILE, "
			"or sign all of it with --on-duplicate sign",
			(unsigned long long)n);
	return rc;
}

int
log_can_track(ofs_audit *a, bool all_again, bool *can, struct ofs_error *e)
{
	struct key_plan plan = { .reason = NULL };
	bool nested, wanted;
	int rc;

	*can = a->keys.mode != LOG_SEALED || a->keys.s->has_batch;
	if (*can)
		return all_again ? 0 : check_lists(a, e);
	rc = handle_enter(a, &nested, e);
	if (rc != 0)
		return rc;
	rc = store_epoch_last(&a->store, &a->keys.newest, e);
	if (rc == 0)
		rc = keys_plan_of(a, a->keys.newest, &plan, e);
	handle_leave(a, nested);
	wanted = plan.station != NULL || plan.passphrase;
	keys_plan_free(&plan);
	if (rc == 0 && wanted)
		rc = err_set(e, OFS_EAUDIT,
			"cannot tell whether this list was begun before: %s",
			a->keys.why.code != 0
				? a->keys.why.message
				: "the passphrase of the sealed audit log is "
				  "not here");
	return rc;
}

const char *
log_place(const ofs_audit *a)
{
	return a->place.dir;
}

/* a walk: `fn` is one of three types */
struct walk {
	ofs_audit *a;
	int (*batch)(void *arg, const struct log_open_batch *b);
	int (*intent)(void *arg, const struct log_open_intent *i);
	int (*pending)(void *arg, const struct log_pending *p);
	void *arg;
};

static int
ended(int rc, struct ofs_error *e)
{
	if (rc != 0)
		return err_set(e, rc, "walk over the audit log was ended: %s",
			ofs_err_text(rc));
	return 0;
}

/* running: the batch that it belongs to is, or itself when it has none */
static int
find_alive(ofs_audit *a, uint64_t seq, const uint8_t id[16], bool *alive,
	struct ofs_error *e)
{
	static const uint8_t none[16];
	int rc = 0;

	if (memcmp(id, none, sizeof(none)) != 0)
		rc = store_batch_get(&a->store, id, &seq, e);
	*alive = rc == 0 && seq != 0 && hold_alive(&a->hold, seq);
	return rc;
}

static int
give_batch(void *arg, uint64_t seq, const uint8_t id[16], struct ofs_error *e)
{
	struct walk *w = arg;
	struct log_open_batch b = { .opened_seq = seq };

	memcpy(b.batch_id, id, sizeof(b.batch_id));
	b.alive = hold_alive(&w->a->hold, seq);
	return ended(w->batch(w->arg, &b), e);
}

static int
give_intent(void *arg, uint64_t seq, const uint8_t id[16], struct ofs_error *e)
{
	struct walk *w = arg;
	struct log_open_intent i = { .intent_seq = seq };
	int rc;

	memcpy(i.batch_id, id, sizeof(i.batch_id));
	rc = find_alive(w->a, seq, id, &i.alive, e);
	return rc != 0 ? rc : ended(w->intent(w->arg, &i), e);
}

static int
give_opened(struct walk *w, const struct store_pending *row, bool has,
	struct ofs_error *e)
{
	struct log_pending p = { .outcome_seq = row->seq,
		.path = has ? (const char *)row->path.p : NULL,
		.replace = row->replace,
		.p = has ? row->p : NULL,
		.n = has ? row->n : 0 };
	int rc;

	memcpy(p.batch_id, row->batch_id, sizeof(p.batch_id));
	rc = find_alive(w->a, row->seq, row->batch_id, &p.alive, e);
	if (rc == 0)
		rc = w->pending(w->arg, &p);
	return rc == LOG_ENOUGH ? rc : ended(rc, e);
}

static int
give_pending(void *arg, const struct store_pending *row, struct ofs_error *e)
{
	struct store_pending opened;
	struct walk *w = arg;
	bool has;
	int rc;

	if (w->a->keys.mode != LOG_SEALED && row->path.len > 0)
		return give_opened(w, row, true, e);
	rc = pending_open(w->a, row, &opened, &has, e);
	if (rc == 0)
		rc = give_opened(w, &opened, has, e);
	buf_free(&opened.path);
	return rc;
}

int
log_each_open_batch(ofs_audit *a,
	int (*fn)(void *arg, const struct log_open_batch *b), void *arg,
	struct ofs_error *e)
{
	struct walk w = { .a = a, .batch = fn, .arg = arg };
	bool nested;
	int rc;

	rc = handle_enter(a, &nested, e);
	if (rc != 0)
		return rc;
	rc = store_batch_each(&a->store, give_batch, &w, e);
	handle_leave(a, nested);
	return rc;
}

int
log_each_open_intent(ofs_audit *a,
	int (*fn)(void *arg, const struct log_open_intent *i), void *arg,
	struct ofs_error *e)
{
	struct walk w = { .a = a, .intent = fn, .arg = arg };
	bool nested;
	int rc;

	rc = handle_enter(a, &nested, e);
	if (rc != 0)
		return rc;
	rc = store_intent_each(&a->store, give_intent, &w, e);
	handle_leave(a, nested);
	return rc;
}

int
log_each_pending(ofs_audit *a, uint64_t first,
	int (*fn)(void *arg, const struct log_pending *p), void *arg,
	struct ofs_error *e)
{
	struct walk w = { .a = a, .pending = fn, .arg = arg };
	bool nested;
	int rc;

	rc = handle_enter(a, &nested, e);
	if (rc != 0)
		return rc;
	kept_look_again(a);
	rc = store_pending_each(&a->store, first, INT_MAX, give_pending, &w, e);
	handle_leave(a, nested);
	return rc == LOG_ENOUGH ? 0 : rc;
}
