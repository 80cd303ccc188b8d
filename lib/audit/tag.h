/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Document tags: how records are found by digest without being opened. */
#ifndef AUDIT_TAG_H
#define AUDIT_TAG_H

#include <openssl/evp.h>

#include "base/err.h"

#define TAG_SIZE 16

#define TAG_KEY 32

/* what OpenSSL's context holds of the key it wipes itself */
struct tag {
	EVP_MAC_CTX *ctx;
	uint8_t *key; /* TAG_KEY bytes of mem_secret_new() */
};

/* with the key of plain logs, 32 zero bytes: they hide nothing */
int tag_init(struct tag *t, struct ofs_error *e);
/* the key of a log that is encrypted */
int tag_set_key(struct tag *t, const uint8_t key[TAG_KEY], struct ofs_error *e);
/* first 16 bytes of HMAC-SHA-256(tag key, digest) */
int tag_of(struct tag *t, const uint8_t *digest, size_t n,
	uint8_t out[TAG_SIZE], struct ofs_error *e);
void tag_free(struct tag *t);

#endif
