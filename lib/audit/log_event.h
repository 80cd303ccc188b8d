/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What was done with the log itself goes into the log. */
#ifndef AUDIT_LOG_EVENT_H
#define AUDIT_LOG_EVENT_H

#include "audit/log.h"

/*
 * r->operator_ is filled here; batch_id: 16 bytes, or NULL. Inside a
 * transaction.
 */
int log_event_append(ofs_audit *a, struct rec_log_event *r,
	const uint8_t *batch_id, uint64_t *seq, struct ofs_error *e);
/* the same in a transaction of its own, of no batch */
int log_event_record(ofs_audit *a, struct rec_log_event *r, uint64_t *seq,
	struct ofs_error *e);

#endif
