/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Records that tell of heads which are kept or were signed elsewhere. */
#ifndef AUDIT_ANCHOR_H
#define AUDIT_ANCHOR_H

#include "audit/log.h"

/* r->root and r->operator_ are filled here; inside a transaction */
int anchor_append(
	ofs_audit *a, struct rec_anchor *r, uint64_t *seq, struct ofs_error *e);
/* the same in a transaction of its own */
int anchor_record(
	ofs_audit *a, struct rec_anchor *r, uint64_t *seq, struct ofs_error *e);

#endif
