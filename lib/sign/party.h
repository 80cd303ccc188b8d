/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who signs with what, as records name it. */
#ifndef SIGN_PARTY_H
#define SIGN_PARTY_H

#include "audit/log.h"
#include "token/key.h"

/* fills `to` with pointers into info; info outlives it */
void party_token(const struct ofs_token_info *info, struct rec_token *to);
/* DER of key, token, operator and tool; cert may be NULL */
int party_encode(ofs_ctx *ctx, ofs_audit *audit, ofs_key *key, X509 *cert,
	struct buf *der, struct ofs_error *e);

#endif
