/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What was done with the log itself, and whether an auditor has allowed it. */
#include <string.h>

#include "verify/audit-events.h"
#include "verify/authorise.h"

#include "base/text.h"

int
av_events_genesis(
	struct av *v, const struct record_body *b, struct ofs_error *e)
{
	struct rec_span sums;
	int rc;

	if (!av_bytes(b, "auditors", &sums))
		return 0;
	rc = av_enter(v, e);
	if (rc != 0)
		return rc;
	rc = authorise_auditors(
		&v->a->store, sums.p, sums.n, &v->events.auditors, e);
	av_leave(v);
	return rc == OFS_EDAMAGED || rc == OFS_EFORMAT
		? av_damage(e, 0, "%s", e->message)
		: rc;
}

void
av_events_free(struct av_events *ev)
{
	sk_X509_pop_free(ev->auditors, X509_free);
	memset(ev, 0, sizeof(*ev));
}

/* the statement in the record, which an auditor has signed */
static int
authorised(struct av *v, const struct av_record *r, enum statement_kind kind,
	struct statement *s, char who[256], struct ofs_error *e)
{
	struct rec_span cms;
	struct ofs_error why;
	int rc;

	if (!av_bytes(r->body, "authorisation", &cms) ||
		v->events.auditors == NULL)
		return av_damage(e, r->seq, "no auditor has allowed it");
	rc = authorise_check(v->events.auditors, cms.p, cms.n, kind, s, who,
		256, NULL, &why);
	if (rc == OFS_ENOMEM)
		return err_nomem(e);
	if (rc != 0)
		return av_damage(e, r->seq, "no auditor has allowed it: %s",
			why.message);
	if (memcmp(s->log_id, v->state.log_id, sizeof(s->log_id)) != 0)
		return av_damage(
			e, r->seq, "an auditor has allowed it of another log");
	return 0;
}

/* a gap stays visible for ever; without one there is nothing to say */
static int
restored(struct av *v, const struct av_record *r, struct ofs_error *e)
{
	struct statement s;
	struct rec_span root;
	char who[256];
	int rc;

	if (av_int(r->body, "last") < 0)
		return 0;
	rc = authorised(v, r, STATEMENT_RESTORE, &s, who, e);
	if (rc != 0)
		return rc;
	if (s.records != r->seq || s.known_records <= s.records ||
		(int64_t)s.records != av_int(r->body, "first") ||
		(int64_t)s.known_records != av_int(r->body, "last") + 1 ||
		!av_bytes(r->body, "sha256", &root) ||
		!av_same(root, (struct rec_span){ s.known_root, 32 }))
		return av_damage(e, r->seq,
			"it is not the gap that an auditor has allowed");
	av_find(v, r->seq, "forced-restore",
		"the log was put back to a backup of %llu records when %llu "
		"were known: the records from %llu to %llu that were there are "
		"lost; '%s' has allowed it: %s",
		(unsigned long long)s.records,
		(unsigned long long)s.known_records,
		(unsigned long long)s.records,
		(unsigned long long)s.known_records - 1, TEXT_Q(who), s.reason);
	v->rep->lost_records += s.known_records - s.records;
	return 0;
}

int
av_log_event(struct av *v, const struct av_record *r, struct ofs_error *e)
{
	struct rec_span event;

	if (!av_bytes(r->body, "event", &event))
		return 0;
	if (av_same(event, (struct rec_span){ (const uint8_t *)"restore", 7 }))
		return restored(v, r, e);
	return 0;
}
