/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Signed heads of the log: when one is due, and how it gets into the store. */
#ifndef AUDIT_CHECKPOINT_H
#define AUDIT_CHECKPOINT_H

#include "audit/handle.h"

#define CHECKPOINT_EVERY 10000 /* records, at most, without one */

/*
 * A key in a file signs inside the transaction that makes a checkpoint due:
 * one that closes a batch, or that is the CHECKPOINT_EVERY-th record after the
 * newest; and a handle that appended signs one when it is closed. That a key
 * is not at hand, or a signature fails, never fails a transaction.
 */
void checkpoint_noted(ofs_audit *a, const struct log_entry *en);
int checkpoint_in_tx(ofs_audit *a, struct ofs_error *e);
void checkpoint_at_end(ofs_audit *a);

#endif
