/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a key was enrolled for beyond documents. */
#ifndef SIGN_PERMIT_H
#define SIGN_PERMIT_H

#include "audit/log.h"
#include "token/key.h"

/* in key events: may sign digests of documents that nobody here has seen */
#define PERMIT_DIGEST "digest"
/* in key events: opens audit logs, and signs nothing */
#define PERMIT_LOG "log"

/*
 * Whether the key was last enrolled or adopted for that: 0 or OFS_EUNSUPPORTED.
 * Reads the headers of the whole log.
 */
int permit_digests(ofs_audit *audit, const ofs_key *key, struct ofs_error *e);

#endif
