/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What was done with the log itself, and whether an auditor has allowed it. */
#include <stdlib.h>
#include <string.h>

#include "verify/audit-events.h"
#include "verify/audit-track.h"
#include "verify/authorise.h"

#include "audit/erase.h"
#include "base/text.h"
#include "crypto/digest.h"

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
	free(ev->absent);
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

/* the backup that was accepted is what is in front of the event */
static int
check_backup(struct av *v, const struct av_record *r, const struct statement *s,
	struct ofs_error *e)
{
	uint8_t root[32];
	int rc;

	if (s->records == r->seq) {
		rc = av_enter(v, e);
		if (rc != 0)
			return rc;
		rc = store_root_at(&v->a->store, r->seq, root, e);
		av_leave(v);
		if (rc != 0 || memcmp(root, s->root, sizeof(root)) == 0)
			return rc;
	}
	return av_damage(e, r->seq,
		"the records in front of it are not the backup that an auditor "
		"has accepted");
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
	rc = check_backup(v, r, &s, e);
	if (rc != 0)
		return rc;
	if (s.known_records <= s.records ||
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

struct av_absent *
av_find_absent(struct av *v, uint64_t seq)
{
	struct av_events *ev = &v->events;
	size_t low = 0, high = ev->n_absent, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (ev->absent[mid].seq < seq)
			low = mid + 1;
		else
			high = mid;
	}
	return low < ev->n_absent && ev->absent[low].seq == seq
		? &ev->absent[low]
		: NULL;
}

int
av_absent(struct av *v, const struct record_header *h, const uint8_t *header,
	struct ofs_error *e)
{
	struct av_events *ev = &v->events;
	struct av_absent *a;

	if (!erase_is_possible((enum ofs_record_type)h->type))
		return av_damage(e, h->seq, "its body is missing");
	if (ev->n_absent == ev->cap_absent) {
		size_t cap = ev->cap_absent * 2 + 8;

		a = reallocarray(ev->absent, cap, sizeof(*a));
		if (a == NULL)
			return err_nomem(e);
		ev->absent = a;
		ev->cap_absent = cap;
	}
	a = &ev->absent[ev->n_absent++];
	memset(a, 0, sizeof(*a));
	a->seq = h->seq;
	a->type = h->type;
	memcpy(a->batch_id, h->batch_id, sizeof(a->batch_id));
	v->rep->erased_bodies++;
	av_link_absent(v, h);
	return digest_of(&digest_sha256, header, RECORD_HEADER_SIZE,
		a->header_sha256, e);
}

static int
erased(struct av *v, const struct av_record *r, struct ofs_error *e)
{
	struct av_absent *a;
	struct statement s;
	char who[256];
	int rc;

	rc = authorised(v, r, STATEMENT_ERASE, &s, who, e);
	if (rc != 0)
		return rc;
	a = av_find_absent(v, s.record);
	if ((int64_t)s.record != av_int(r->body, "first") ||
		(int64_t)s.record != av_int(r->body, "last"))
		return av_damage(e, r->seq,
			"it is not the erasure that an auditor has allowed");
	if (a == NULL || a->allowed ||
		memcmp(a->header_sha256, s.header_sha256, 32) != 0)
		return av_damage(e, r->seq,
			"record %llu that it erased is there, or another one",
			(unsigned long long)s.record);
	a->allowed = true;
	av_find(v, s.record, "erased",
		"what it said was erased, as '%s' has allowed: %s", TEXT_Q(who),
		s.reason);
	return 0;
}

int
av_events_end(struct av *v, struct ofs_error *e)
{
	size_t i;

	for (i = 0; i < v->events.n_absent; i++)
		if (!v->events.absent[i].allowed)
			return av_damage(e, v->events.absent[i].seq,
				"its body is missing, and no erasure is "
				"recorded");
	av_links_settle(v);
	return 0;
}

int
av_log_event(struct av *v, const struct av_record *r, struct ofs_error *e)
{
	if (record_body_is(r->body, "event", "restore"))
		return restored(v, r, e);
	if (record_body_is(r->body, "event", "erase"))
		return erased(v, r, e);
	if (record_body_is(r->body, "event", "abandon") && !v->keyless &&
		!v->hashes_only)
		return av_track_abandoned(v, r, e);
	return 0;
}
