/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A set of hashes, in memory, each of one of three kinds. */
#ifndef BASE_KEYSET_H
#define BASE_KEYSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define KEYSET_KEY 16

/*
 * For what must be known at once; twins.h does it without memory, but only in
 * the end. A key costs 22 to 43 bytes. The kind, 1 to 3, takes the place of
 * the last two bits of the key.
 */
struct keyset {
	uint8_t (*slot)[KEYSET_KEY]; /* a power of two of them, or NULL */
	size_t n, cap;
};

void keyset_free(
	struct keyset *s); /* and makes it empty; so is zeroed memory */
/* room for `more` keys, so that adding them cannot fail */
int keyset_reserve(struct keyset *s, size_t more, struct ofs_error *e);
/* the kind of a key that is in the set, else 0 */
unsigned int keyset_kind(const struct keyset *s, const uint8_t key[KEYSET_KEY]);
/* into reserved room; what is there already stays as it is */
void keyset_add(
	struct keyset *s, const uint8_t key[KEYSET_KEY], unsigned int kind);

#endif
