/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Document tags: how records are found by digest without being opened. */
#ifndef AUDIT_TAG_H
#define AUDIT_TAG_H

#include <openssl/evp.h>

#include "base/err.h"

#define TAG_SIZE 16

struct tag {
	EVP_MAC_CTX *ctx;
};

/* takes the tag key of epoch 0, 32 zero bytes: plain logs hide nothing */
int tag_init(struct tag *t, struct ofs_error *e);
/* first 16 bytes of HMAC-SHA-256(tag key, digest) */
int tag_of(struct tag *t, const uint8_t *digest, size_t n,
	uint8_t out[TAG_SIZE], struct ofs_error *e);
void tag_free(struct tag *t);

#endif
