/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What was done with the log itself, and whether an auditor has allowed it. */
#ifndef VERIFY_AUDIT_EVENTS_H
#define VERIFY_AUDIT_EVENTS_H

#include "verify/audit-verify.h"

/* the auditors that the genesis names; before the other two */
int av_events_genesis(
	struct av *v, const struct record_body *b, struct ofs_error *e);
int av_log_event(struct av *v, const struct av_record *r, struct ofs_error *e);
void av_events_free(struct av_events *ev);

#endif
