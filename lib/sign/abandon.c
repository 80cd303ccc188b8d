/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Giving up a list: what is left of it will not be signed. */
#include <string.h>

#include <offlinesig/batch.h>

#include "audit/log_event.h"
#include "audit/track.h"
#include "base/ctx.h"
#include "sign/recover.h"

struct search {
	const char *id;
	struct track first; /* of the list */
	bool found, ambiguous;
};

static int
look(void *arg, const struct track *t)
{
	struct search *s = arg;

	if (!track_has_id(t, s->id))
		return 0;
	if (s->found && memcmp(s->first.root_id, t->root_id, 16) != 0)
		s->ambiguous = true;
	if (!s->found)
		s->first = *t;
	s->found = true;
	return 0;
}

static int
find(ofs_audit *audit, struct search *s, struct ofs_error *e)
{
	int rc = track_check_id(s->id, e);

	if (rc == 0)
		rc = log_each_track(audit, look, s, e);
	if (rc == 0 && !s->found)
		rc = track_missing(audit, s->id, e);
	if (rc == 0 && s->ambiguous)
		rc = track_ambiguous(s->id, e);
	return rc;
}

static int
record(ofs_audit *audit, const struct track *first, const char *reason,
	struct ofs_error *e)
{
	struct rec_log_event event = { .event = "abandon", .reason = reason };
	uint64_t seq;
	int rc;

	rc = log_begin(audit, e);
	if (rc != 0)
		return rc;
	rc = log_track_abandon(audit, first->root_id, e);
	if (rc == 0)
		rc = log_event_append(audit, &event, first->root_id, &seq, e);
	if (rc == 0)
		return log_commit(audit, e);
	log_rollback(audit);
	return rc;
}

int
ofs_batch_abandon(
	ofs_ctx *ctx, ofs_audit *audit, const char *id, const char *reason)
{
	struct search s = { .id = id }, after = { .id = id };
	struct ofs_error e;
	uint64_t hold = 0;
	int rc;

	rc = find(audit, &s, &e);
	if (rc == 0)
		rc = log_list_hold(audit, &s.first, &hold, &e);
	/* what it left, as before any batch: that may be the end of it */
	if (rc == 0)
		rc = recover_run(ctx, audit, &e);
	if (rc == 0)
		rc = log_each_track(audit, look, &after, &e);
	if (rc == 0 && after.found)
		rc = record(audit, &s.first, reason, &e);
	if (hold != 0)
		log_batch_release(audit, hold);
	return rc == 0 ? 0 : ctx_fail(ctx, &e);
}
