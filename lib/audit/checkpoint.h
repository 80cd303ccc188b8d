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

/*
 * A key on a token is lent to the log by who opened it, and signs outside
 * transactions: what it does is recorded by intent and outcome, which follow
 * the records that the checkpoint covers and make no other one due.
 */
void log_lend_key(ofs_audit *a, log_sign_fn sign, void *arg);
/* at the end of a batch, or between its transactions; errors are logged */
void log_checkpoint_after(ofs_audit *a, bool batch_end);

/* signs one now. OFS_EKEY: there is no key, or it is not at hand */
int log_checkpoint(ofs_audit *a, struct ofs_error *e);
/* NULL: the log has none */
const struct audit_key *log_audit_key(const ofs_audit *a);
/* OFS_EPOLICY when it is the audit key; a key without public half passes */
int log_refuse_key(ofs_audit *a, const EVP_PKEY *pub, struct ofs_error *e);
/*
 * Names this as the audit key of a log that has none, in a record. `place` is
 * "file" or "token". OFS_EEXIST: it has one.
 */
int log_name_key(ofs_audit *a, EVP_PKEY *pub, const char *place,
	const char *hint, struct ofs_error *e);

#endif
