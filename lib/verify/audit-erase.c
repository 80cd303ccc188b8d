/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Erasing one body, as an auditor has allowed. */
#include <string.h>

#include <offlinesig/keep.h>

#include "verify/authorise.h"

#include "audit/erase.h"
#include "audit/handle.h"
#include "base/ctx.h"

static int
get(ofs_audit *a, uint64_t seq, ofs_record **rec, struct ofs_record_head *h,
	struct ofs_error *e)
{
	int rc = log_get(a, seq, rec, e);

	if (rc == 0)
		ofs_record_get_head(*rec, h);
	return rc;
}

/* the same words whoever asks: the one who states, and the one who erases */
static int
check_record(ofs_audit *a, uint64_t seq, struct ofs_record_head *h,
	struct ofs_error *e)
{
	ofs_record *rec;
	int rc = get(a, seq, &rec, h, e);

	ofs_record_free(rec);
	if (rc == 0 && !erase_is_possible(h->type))
		rc = err_set(e, OFS_EINVAL,
			"record %llu cannot be erased: a record of type '%s' "
			"is needed to verify the log",
			(unsigned long long)seq, h->type_name);
	if (rc == 0 && h->erased)
		rc = err_set(e, OFS_EKEY, "record %llu is erased already",
			(unsigned long long)seq);
	return rc;
}

static int
fill_log(ofs_audit *a, struct statement *s, struct ofs_error *e)
{
	struct ofs_record_head h;
	struct ofs_field origin;
	ofs_record *genesis;
	int rc = get(a, 0, &genesis, &h, e);

	if (rc != 0)
		return rc;
	memcpy(s->log_id, h.header_sha256, sizeof(s->log_id));
	if (ofs_record_find(genesis, "origin", &origin) &&
		origin.len < sizeof(s->origin))
		memcpy(s->origin, origin.bytes, origin.len);
	ofs_record_free(genesis);
	return 0;
}

int
ofs_audit_erase_statement(
	ofs_audit *audit, uint64_t seq, const char *reason, char **text)
{
	struct statement s = { .kind = STATEMENT_ERASE, .record = seq };
	STACK_OF(X509) *auditors = NULL;
	struct ofs_record_head h;
	struct buf b = BUF_INIT;
	struct ofs_error e;
	size_t n;
	int rc = 0;

	*text = NULL;
	n = reason != NULL ? strlen(reason) : 0;
	if (n == 0 || n >= sizeof(s.reason))
		rc = err_set(&e, OFS_EINVAL,
			"an auditor is to be told the reason, in less than %zu "
			"bytes",
			sizeof(s.reason));
	if (rc == 0)
		rc = check_record(audit, seq, &h, &e);
	if (rc == 0)
		rc = fill_log(audit, &s, &e);
	/* there is somebody who can sign it */
	if (rc == 0)
		rc = authorise_of_log(audit, &auditors, &e);
	sk_X509_pop_free(auditors, X509_free);
	if (rc == 0) {
		memcpy(s.header_sha256, h.header_sha256, 32);
		memcpy(s.reason, reason, n);
		s.time = ctx_now(audit->ctx);
		rc = statement_encode(&s, &b, &e);
	}
	if (rc == 0 && buf_cstr(&b) == NULL)
		rc = err_nomem(&e);
	if (rc == 0)
		*text = (char *)buf_take(&b, &n);
	buf_free(&b);
	return rc != 0 ? handle_fail(audit, &e) : 0;
}

static int
check_accepted(const struct statement *s, const struct statement *own,
	const struct ofs_record_head *h, struct ofs_error *e)
{
	if (memcmp(s->log_id, own->log_id, sizeof(s->log_id)) == 0 &&
		s->record == h->seq &&
		memcmp(s->header_sha256, h->header_sha256, 32) == 0)
		return 0;
	return err_set(e, OFS_EMISMATCH,
		"the auditor has allowed to erase record %llu of log '%s', and "
		"not this one",
		(unsigned long long)s->record, s->origin);
}

static int
erase(ofs_audit *a, uint64_t seq, const struct statement *s,
	const struct buf *cms, uint64_t *event_seq, struct ofs_error *e)
{
	struct rec_log_event r = { .event = "erase",
		.first = seq,
		.last = seq,
		.count = 1,
		.reason = s->reason,
		.authorisation = { cms->p, cms->len } };
	int rc;

	rc = log_begin(a, e);
	if (rc != 0)
		return rc;
	rc = erase_body(a, seq, &r, event_seq, e);
	if (rc == 0)
		return log_commit(a, e);
	log_rollback(a);
	return rc;
}

int
ofs_audit_erase(ofs_audit *audit, uint64_t seq, const uint8_t *accept, size_t n,
	uint64_t *event_seq)
{
	STACK_OF(X509) *auditors = NULL;
	struct statement s, own = { .kind = STATEMENT_ERASE };
	struct ofs_record_head h;
	struct buf cms = BUF_INIT;
	struct ofs_error e;
	char who[256];
	int rc;

	*event_seq = 0;
	rc = check_record(audit, seq, &h, &e);
	if (rc == 0)
		rc = fill_log(audit, &own, &e);
	if (rc == 0)
		rc = authorise_of_log(audit, &auditors, &e);
	if (rc == 0)
		rc = authorise_check(auditors, accept, n, STATEMENT_ERASE, &s,
			who, sizeof(who), &cms, &e);
	if (rc == 0)
		rc = check_accepted(&s, &own, &h, &e);
	if (rc == 0)
		rc = erase(audit, seq, &s, &cms, event_seq, &e);
	sk_X509_pop_free(auditors, X509_free);
	buf_free(&cms);
	return rc != 0 ? handle_fail(audit, &e) : 0;
}
