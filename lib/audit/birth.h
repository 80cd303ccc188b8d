/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The first records of a log: its genesis, and its first keys. */
#ifndef AUDIT_BIRTH_H
#define AUDIT_BIRTH_H

#include <offlinesig/audit.h>

/*
 * The options do not contradict each other, nor a station key on a token;
 * OFS_EINVAL
 */
int birth_check(const struct ofs_audit_init_opts *opts, bool on_token,
	struct ofs_error *e);
/*
 * Appends them to an empty store, inside its transaction. *key_file: a station
 * key that was made for it, to be removed if the transaction fails; allocated.
 */
int birth_records(ofs_audit *a, const struct ofs_audit_init_opts *opts,
	char **key_file, struct ofs_error *e);

#endif
