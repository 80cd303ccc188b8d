/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Outputs that wait for their release in a sealed log: nothing in the clear. */
#ifndef AUDIT_PENDING_H
#define AUDIT_PENDING_H

#include "audit/handle.h"

/*
 * Seals path and output of a row, in a transaction and after its outcome was
 * appended. The row's path becomes empty, and its bytes are in `to`.
 */
int pending_seal(ofs_audit *a, struct store_pending *row, struct buf *to,
	struct ofs_error *e);
/*
 * The row as it was before; bytes are in a->keys.seal.out until that is used
 * again, and the path is in row->path, which the caller frees. *has is false
 * when no key is here. OFS_EDAMAGED.
 */
int pending_open(ofs_audit *a, const struct store_pending *sealed,
	struct store_pending *row, bool *has, struct ofs_error *e);

#endif
