/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What was done with the log itself goes into the log. */
#include "audit/log_event.h"

#include "audit/handle.h"
#include "base/buf.h"

int
log_event_append(ofs_audit *a, struct rec_log_event *r, const uint8_t *batch_id,
	uint64_t *seq, struct ofs_error *e)
{
	struct log_entry en = { .type = OFS_REC_LOG_EVENT,
		.batch_id = batch_id };
	struct buf body = BUF_INIT;
	int rc;

	/* what an auditor has allowed explains gaps that anybody can see */
	en.plain = r->authorisation.p != NULL;
	if (en.plain)
		handle_plain_operator(a, &r->operator_);
	else
		log_operator(a, &r->operator_);
	rc = record_log_event_encode(r, &body, e);
	en.body = body.p;
	en.body_len = body.len;
	if (rc == 0)
		rc = log_append(a, &en, seq, e);
	buf_free(&body);
	return rc;
}

int
log_event_record(ofs_audit *a, struct rec_log_event *r, uint64_t *seq,
	struct ofs_error *e)
{
	int rc;

	*seq = 0;
	rc = log_begin(a, e);
	if (rc != 0)
		return rc;
	rc = log_event_append(a, r, NULL, seq, e);
	if (rc == 0)
		return log_commit(a, e);
	log_rollback(a);
	return rc;
}
