/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A copy of the log as it is at one moment, made while others write. */
#ifndef AUDIT_BACKUP_H
#define AUDIT_BACKUP_H

#include "audit/handle.h"

typedef void (*backup_progress_fn)(void *arg, uint64_t done, uint64_t total);

/*
 * Copies into an empty directory of our own: log.db and log.head. State and
 * tables are those of the beginning, read in one short transaction together
 * with their size; the records below it cannot change any more, and follow in
 * short reads, so that no signer waits. The tree over the copied records must
 * have the root of that state, and agree with the head file of the log. *st is
 * the state. OFS_EIO when the copy cannot be written, OFS_EDAMAGED.
 */
int backup_copy(ofs_audit *a, const char *to, backup_progress_fn fn, void *arg,
	struct store_state *st, struct ofs_error *e);
/* removes such a directory with the files of a log and `more` in it */
void backup_remove(const char *dir, const char *more);

#endif
