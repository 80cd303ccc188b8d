/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks the signed heads that a log keeps, and which key signs them. */
#ifndef VERIFY_AUDIT_CHECKPOINT_H
#define VERIFY_AUDIT_CHECKPOINT_H

#include "verify/audit-verify.h"

/* takes the audit key of a genesis or an anchor, record by record */
int av_checkpoint_record(
	struct av *v, const struct av_record *r, struct ofs_error *e);
/*
 * All that are kept of the tree so far; in short reads, and within the last
 * read of all, when none may be left.
 */
int av_checkpoints(struct av *v, struct ofs_error *e);
/* size of the newest below `end` that agrees, as all before it do; or 0 */
uint64_t av_checkpoints_agree(struct av *v, uint64_t end);
void av_checkpoints_free(struct av_checkpoints *c);
/* whether the audit key is behind the PIN of those who sign documents */
void av_key_token_report(struct av *v);

#endif
