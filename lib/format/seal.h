/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Encrypted record bodies: cipher 1 of ofs-audit-format(5). */
#ifndef FORMAT_SEAL_H
#define FORMAT_SEAL_H

#include "crypto/digest.h"
#include "crypto/xaes.h"
#include "format/record.h"

#define SEAL_CIPHER 1 /* XAES-256-GCM */
#define SEAL_PAD 256  /* stored lengths say no more than that */
#define SEAL_KEY XAES_KEY

/* What sealing and opening use again and again; zeros are an empty one. */
struct seal {
	struct xaes_gcm gcm;
	struct digest sha;
	struct buf out; /* of the last seal_body() or seal_open(): wiped */
};
void seal_free(struct seal *s);

/*
 * Encrypts a body with an epoch's key. All of the header is set but what
 * belongs to the body; the nonce is set, too, random and never used before.
 * Fills in cipher, length, commitment and hash. The stored body is in s->out.
 */
int seal_body(struct seal *s, struct xaes *key, struct record_header *h,
	const uint8_t *der, size_t n, struct ofs_error *e);
/*
 * The key of one record, which opens this one and no other. OFS_EDAMAGED when
 * it is not the one that the header commits to.
 */
int seal_record_key(struct seal *s, struct xaes *key,
	const struct record_header *h, uint8_t record_key[SEAL_KEY],
	struct ofs_error *e);
/*
 * Decrypts a stored body; the DER is in s->out. The commitment is compared
 * before anything is decrypted. OFS_EDAMAGED.
 */
int seal_open(struct seal *s, const uint8_t record_key[SEAL_KEY],
	const struct record_header *h, const uint8_t *body, size_t n,
	struct ofs_error *e);

/* SHA-256("ofs-key-commit-v1" || 0 || record key) */
int seal_commit(struct seal *s, const uint8_t record_key[SEAL_KEY],
	uint8_t out[32], struct ofs_error *e);
/* of an epoch: SHA-256("ofs-epoch-commit-v1" || 0 || number || data key) */
int seal_epoch_commit(struct seal *s, uint32_t epoch,
	const uint8_t data_key[SEAL_KEY], uint8_t out[32], struct ofs_error *e);

#endif
