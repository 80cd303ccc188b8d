/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tokens of the audit key and of keys for documents, as records tell. */
#ifndef AUDIT_KEYTOKENS_H
#define AUDIT_KEYTOKENS_H

#include "audit/log.h"

/*
 * An audit key behind the same PIN as a key for documents does not protect
 * against the operator. The key of a batch is one for documents; the audit key
 * is where a record of that key, or of a signature by it, says. Zeroed is
 * empty; what is in it after an error does not count.
 */
struct keytokens {
	uint8_t audit_sha256[32]; /* of its SubjectPublicKeyInfo */
	struct buf audit, documents;
};

/* A token that both are on. */
struct keytokens_both {
	char label[136]; /* of the token */
	uint64_t seq;    /* the first batch there */
};

/* whether records of that type say where a key is */
bool keytokens_told_by(int type);
void keytokens_take(
	struct keytokens *k, uint64_t seq, const struct record_body *b);
/* false, too, when there was no memory for all */
bool keytokens_both(const struct keytokens *k, struct keytokens_both *out);
void keytokens_free(struct keytokens *k);

#endif
