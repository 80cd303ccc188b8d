/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What was done with the log itself, and whether an auditor has allowed it. */
#ifndef VERIFY_AUDIT_EVENTS_H
#define VERIFY_AUDIT_EVENTS_H

#include "verify/audit-verify.h"

/* the auditors that the genesis names; before the other two */
int av_events_genesis(
	struct av *v, const struct record_body *b, struct ofs_error *e);
int av_log_event(struct av *v, const struct av_record *r, struct ofs_error *e);
/* record `h` has no body; OFS_EDAMAGED where that can never be */
int av_absent(struct av *v, const struct record_header *h,
	const uint8_t *header, struct ofs_error *e);
/* the one with this number; NULL: its body is there */
struct av_absent *av_find_absent(struct av *v, uint64_t seq);
/* at the end: all that are absent were allowed to be */
int av_events_end(struct av *v, struct ofs_error *e);
void av_events_free(struct av_events *ev);

#endif
