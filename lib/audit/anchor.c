/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Records that tell of heads which are kept or were signed elsewhere. */
#include "audit/anchor.h"

#include "audit/handle.h"
#include "base/buf.h"

int
anchor_append(
	ofs_audit *a, struct rec_anchor *r, uint64_t *seq, struct ofs_error *e)
{
	struct log_entry en = { .type = OFS_REC_ANCHOR, .plain = true };
	struct buf body = BUF_INIT;
	uint8_t root[32];
	int rc;

	rc = store_root_at(&a->store, r->records, root, e);
	r->root = (struct rec_span){ root, sizeof(root) };
	handle_plain_operator(a, &r->operator_);
	if (rc == 0)
		rc = record_anchor_encode(r, &body, e);
	r->root = (struct rec_span){ NULL, 0 };
	en.body = body.p;
	en.body_len = body.len;
	if (rc == 0)
		rc = log_append(a, &en, seq, e);
	buf_free(&body);
	return rc;
}

int
anchor_record(
	ofs_audit *a, struct rec_anchor *r, uint64_t *seq, struct ofs_error *e)
{
	int rc;

	*seq = 0;
	rc = log_begin(a, e);
	if (rc != 0)
		return rc;
	rc = anchor_append(a, r, seq, e);
	if (rc == 0)
		return log_commit(a, e);
	log_rollback(a);
	return rc;
}
