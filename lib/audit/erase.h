/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Erasing what one record says. */
#ifndef AUDIT_ERASE_H
#define AUDIT_ERASE_H

#include "audit/log.h"

/*
 * Whether the body of such a record can be erased: those that name documents
 * or persons, and that the other records do not need to make sense.
 */
bool erase_is_possible(enum ofs_record_type type);
/*
 * Inside a transaction: the body, and the tag of its document, are overwritten,
 * and the event is appended. OFS_EEXIST while something is still to be done
 * with it: an output waits, its batch or intent is open, its list is not
 * finished. OFS_EINVAL for other types, OFS_EKEY where it is erased or missing.
 */
int erase_body(ofs_audit *a, uint64_t erased, struct rec_log_event *event,
	uint64_t *seq, struct ofs_error *e);

#endif
