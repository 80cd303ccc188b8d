/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What making backups and restoring them share. */
#ifndef VERIFY_AUDIT_BACKUP_H
#define VERIFY_AUDIT_BACKUP_H

#include <offlinesig/keep.h>

#include "audit/handle.h"
#include "format/statement.h"

/* absolute, of what may not be there yet, in a directory that is; allocated */
int audit_find_dest(const char *dest, char **out, struct ofs_error *e);
/* a new directory PATH.RANDOM of mode 0700 for what will be PATH; allocated */
int audit_aside(const char *path, char **out, struct ofs_error *e);
/* all of the log in `dir`, and that it is the one of this state */
int audit_verify_copy(ofs_ctx *ctx, const char *dir,
	const struct store_state *want, struct ofs_audit_report *rep,
	struct ofs_error *e);
/*
 * The manifest of a backup, whose files are the ones that it names;
 * OFS_EIO, OFS_EFORMAT, OFS_EDAMAGED.
 */
int audit_read_manifest(
	const char *dir, struct statement *m, struct ofs_error *e);

#endif
