/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tree over record headers (RFC 9162 2.1), kept as its frontier. */
#ifndef AUDIT_MERKLE_H
#define AUDIT_MERKLE_H

#include "base/err.h"
#include "crypto/digest.h"

#define MERKLE_HASH 32
#define MERKLE_HEIGHT 63     /* sizes are below 2^63 */
#define MERKLE_TILE_HEIGHT 8 /* a tile is the root of 256^level leaves */
#define MERKLE_TILE_LEVELS 7

/*
 * The roots of the complete subtrees that the leaves so far fall into: peak[h]
 * covers 2^h leaves and is there when bit h of `size` is set.
 */
struct merkle {
	uint64_t size;
	uint8_t peak[MERKLE_HEIGHT][MERKLE_HASH];
	/* tiles that the last merkle_add completed: levels 1..tiles */
	unsigned int tiles;
	uint8_t tile[MERKLE_TILE_LEVELS + 1][MERKLE_HASH];
	struct digest sha;
};

void merkle_init(struct merkle *m);
void merkle_free(struct merkle *m);
void merkle_reset(struct merkle *m); /* empty again */

/* SHA-256(0x00 || p) */
int merkle_leaf(struct merkle *m, const void *p, size_t n,
	uint8_t out[MERKLE_HASH], struct ofs_error *e);
/*
 * Appends a complete subtree of 2^height leaves with this root. `size` is a
 * multiple of 2^height.
 */
int merkle_add(struct merkle *m, unsigned int height,
	const uint8_t hash[MERKLE_HASH], struct ofs_error *e);
/* the root over all leaves; SHA-256("") when there are none */
int merkle_root(
	struct merkle *m, uint8_t out[MERKLE_HASH], struct ofs_error *e);

/* The peaks, the largest subtree's first, as the state row keeps them. */
size_t merkle_frontier_size(uint64_t size); /* bytes */
void merkle_frontier_put(const struct merkle *m, uint8_t *to);
/* false if n is not what `size` asks for */
bool merkle_frontier_get(
	struct merkle *m, uint64_t size, const uint8_t *p, size_t n);

#endif
