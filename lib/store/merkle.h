/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tree over record headers (RFC 9162 2.1), kept as its frontier. */
#ifndef STORE_MERKLE_H
#define STORE_MERKLE_H

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
/* SHA-256(0x01 || left || right); out may be either */
int merkle_node(struct merkle *m, const uint8_t *left, const uint8_t *right,
	uint8_t *out, struct ofs_error *e);
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

/*
 * Whether n hashes prove that the leaf `index` of the tree of `size` leaves
 * with that root is this one (RFC 9162 2.1.3.2), or that the first `size1`
 * leaves of the tree of `size2` have root1 (2.1.4.2); size1 is not 0.
 * OFS_ESIGNATURE when they do not.
 */
int merkle_check_inclusion(uint64_t index, uint64_t size,
	const uint8_t leaf[MERKLE_HASH], const uint8_t (*proof)[MERKLE_HASH],
	size_t n, const uint8_t root[MERKLE_HASH], struct ofs_error *e);
int merkle_check_consistency(uint64_t size1, uint64_t size2,
	const uint8_t (*proof)[MERKLE_HASH], size_t n,
	const uint8_t root1[MERKLE_HASH], const uint8_t root2[MERKLE_HASH],
	struct ofs_error *e);

/*
 * The other way round: the leaves [lo, hi) whose hash a proof has at each
 * place, for who can look up hashes of subtrees. `lo` is a multiple of the
 * power of two that the range has a place below. The number of ranges, at most
 * MERKLE_HEIGHT; 0 <= index < size, 0 < size1 <= size2.
 */
struct merkle_range {
	uint64_t lo, hi;
};
size_t merkle_inclusion(
	uint64_t index, uint64_t size, struct merkle_range out[MERKLE_HEIGHT]);
size_t merkle_consistency(
	uint64_t size1, uint64_t size2, struct merkle_range out[MERKLE_HEIGHT]);

#endif
