/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A set of hashes, in memory, each of one of three kinds. */
#include <stdlib.h>
#include <string.h>

#include "base/keyset.h"

#define CAP_FIRST 256
#define KIND_MASK 3u
#define LAST (KEYSET_KEY - 1)

void
keyset_free(struct keyset *s)
{
	free(s->slot);
	memset(s, 0, sizeof(*s));
}

static bool
same(const uint8_t *a, const uint8_t *b)
{
	return memcmp(a, b, LAST) == 0 &&
		((a[LAST] ^ b[LAST]) & ~KIND_MASK) == 0;
}

/* the key's own slot, or the free one that it would get; there is one */
static uint8_t *
place_of(const struct keyset *s, const uint8_t *key)
{
	uint64_t at;

	memcpy(&at, key, sizeof(at));
	for (;; at++) {
		uint8_t *slot = s->slot[at & (s->cap - 1)];

		if ((slot[LAST] & KIND_MASK) == 0 || same(slot, key))
			return slot;
	}
}

static int
grow(struct keyset *s, size_t cap, struct ofs_error *e)
{
	struct keyset to = { calloc(cap, KEYSET_KEY), s->n, cap };
	size_t i;

	if (to.slot == NULL)
		return err_nomem(e);
	for (i = 0; i < s->cap; i++)
		if ((s->slot[i][LAST] & KIND_MASK) != 0)
			memcpy(place_of(&to, s->slot[i]), s->slot[i],
				KEYSET_KEY);
	free(s->slot);
	*s = to;
	return 0;
}

int
keyset_reserve(struct keyset *s, size_t more, struct ofs_error *e)
{
	size_t cap = s->cap > 0 ? s->cap : CAP_FIRST;

	/* at most three quarters full */
	while (s->n + more > cap / 4 * 3)
		cap *= 2;
	return cap == s->cap ? 0 : grow(s, cap, e);
}

unsigned int
keyset_kind(const struct keyset *s, const uint8_t key[KEYSET_KEY])
{
	return s->n == 0 ? 0 : place_of(s, key)[LAST] & KIND_MASK;
}

void
keyset_add(struct keyset *s, const uint8_t key[KEYSET_KEY], unsigned int kind)
{
	uint8_t *slot = place_of(s, key);

	if ((slot[LAST] & KIND_MASK) != 0)
		return;
	memcpy(slot, key, KEYSET_KEY);
	slot[LAST] = (uint8_t)((key[LAST] & ~KIND_MASK) | (kind & KIND_MASK));
	s->n++;
}
