/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tree over record headers (RFC 9162 2.1), kept as its frontier. */
#include <string.h>

#include "store/merkle.h"

#define LEAF_SHORT 255 /* headers of records are shorter */

void
merkle_init(struct merkle *m)
{
	memset(m, 0, sizeof(*m));
}

void
merkle_free(struct merkle *m)
{
	digest_free(&m->sha);
	m->size = 0;
}

void
merkle_reset(struct merkle *m)
{
	m->size = 0;
	m->tiles = 0;
}

int
merkle_leaf(struct merkle *m, const void *p, size_t n, uint8_t out[MERKLE_HASH],
	struct ofs_error *e)
{
	uint8_t in[1 + LEAF_SHORT];
	size_t begun = n < LEAF_SHORT ? n : LEAF_SHORT;
	int rc;

	/* in one go: half of the cost of a short hash is in the calls */
	in[0] = 0;
	if (begun > 0)
		memcpy(in + 1, p, begun);
	rc = digest_begin(&m->sha, &digest_sha256, e);
	if (rc == 0)
		rc = digest_update(&m->sha, in, 1 + begun, e);
	if (rc == 0)
		rc = digest_update(
			&m->sha, (const uint8_t *)p + begun, n - begun, e);
	if (rc == 0)
		rc = digest_end(&m->sha, out, e);
	return rc;
}

int
merkle_node(struct merkle *m, const uint8_t *left, const uint8_t *right,
	uint8_t *out, struct ofs_error *e)
{
	uint8_t in[1 + 2 * MERKLE_HASH];
	int rc;

	in[0] = 1;
	memcpy(in + 1, left, MERKLE_HASH);
	memcpy(in + 1 + MERKLE_HASH, right, MERKLE_HASH);
	rc = digest_begin(&m->sha, &digest_sha256, e);
	if (rc == 0)
		rc = digest_update(&m->sha, in, sizeof(in), e);
	if (rc == 0)
		rc = digest_end(&m->sha, out, e);
	return rc;
}

int
merkle_add(struct merkle *m, unsigned int height,
	const uint8_t hash[MERKLE_HASH], struct ofs_error *e)
{
	uint8_t h[MERKLE_HASH];
	int rc;

	m->tiles = 0;
	if (height >= MERKLE_HEIGHT ||
		(m->size & ((UINT64_C(1) << height) - 1)) != 0 ||
		(m->size + (UINT64_C(1) << height)) >> MERKLE_HEIGHT != 0)
		return err_set(e, OFS_EINTERNAL,
			"cannot add a subtree of height %u to a tree of %llu",
			height, (unsigned long long)m->size);
	memcpy(h, hash, sizeof(h));
	m->size += UINT64_C(1) << height;
	/* the set bits that the addition cleared are the peaks to merge */
	for (;; height++) {
		if (height % MERKLE_TILE_HEIGHT == 0 && height > 0) {
			m->tiles = height / MERKLE_TILE_HEIGHT;
			memcpy(m->tile[m->tiles], h, sizeof(h));
		}
		if ((m->size >> height & 1) != 0)
			break;
		rc = merkle_node(m, m->peak[height], h, h, e);
		if (rc != 0)
			return rc;
	}
	memcpy(m->peak[height], h, sizeof(h));
	return 0;
}

int
merkle_root(struct merkle *m, uint8_t out[MERKLE_HASH], struct ofs_error *e)
{
	bool any = false;
	int rc = 0;

	if (m->size == 0)
		return digest_of(&digest_sha256, "", 0, out, e);
	for (unsigned int i = 0; i < MERKLE_HEIGHT && rc == 0; i++) {
		if ((m->size >> i & 1) == 0)
			continue;
		if (any)
			rc = merkle_node(m, m->peak[i], out, out, e);
		else
			memcpy(out, m->peak[i], MERKLE_HASH);
		any = true;
	}
	return rc;
}

size_t
merkle_frontier_size(uint64_t size)
{
	size_t n = 0;

	for (; size != 0; size >>= 1)
		n += size & 1;
	return n * MERKLE_HASH;
}

void
merkle_frontier_put(const struct merkle *m, uint8_t *to)
{
	for (unsigned int i = MERKLE_HEIGHT; i > 0; i--) {
		if ((m->size >> (i - 1) & 1) == 0)
			continue;
		memcpy(to, m->peak[i - 1], MERKLE_HASH);
		to += MERKLE_HASH;
	}
}

bool
merkle_frontier_get(struct merkle *m, uint64_t size, const uint8_t *p, size_t n)
{
	if (size >> MERKLE_HEIGHT != 0 || n != merkle_frontier_size(size))
		return false;
	m->size = size;
	m->tiles = 0;
	for (unsigned int i = MERKLE_HEIGHT; i > 0; i--) {
		if ((size >> (i - 1) & 1) == 0)
			continue;
		memcpy(m->peak[i - 1], p, MERKLE_HASH);
		p += MERKLE_HASH;
	}
	return true;
}
