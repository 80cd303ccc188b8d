/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Batches whose process ended before it closed them. */
#ifndef SIGN_ORPHAN_H
#define SIGN_ORPHAN_H

#include <offlinesig/types.h>

#include "base/err.h"

/*
 * Closes every open batch that nobody runs, with the counts that the log has
 * of it. Only the process that holds the recovery may call it, and after it
 * has recorded what is unknown.
 */
int orphan_close_all(ofs_ctx *ctx, ofs_audit *audit, struct ofs_error *e);

#endif
