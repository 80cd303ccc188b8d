/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finishes what crashed batches of a log left behind. */
#ifndef SIGN_RECOVER_H
#define SIGN_RECOVER_H

#include <offlinesig/types.h>

/*
 * Releases the recorded outputs of batches whose process is gone, and marks
 * their intents without outcome as unknown. An output that cannot be put in
 * place stays pending and is logged as a warning. Errors are those of the log.
 */
int recover_run(ofs_ctx *ctx, ofs_audit *audit, struct ofs_error *e);

#endif
