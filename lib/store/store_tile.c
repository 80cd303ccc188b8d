/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tree: hashes of whole tiles, and roots over any first records. */
#include "store/store_stmt.h"

int
store_tile_count(struct store *s, uint64_t *n, struct ofs_error *e)
{
	return store_count(s, TILE_COUNT, n, e);
}

int
store_tile_put(struct store *s, unsigned int level, uint64_t idx,
	const uint8_t hash[32], struct ofs_error *e)
{
	return store_exec(s, TILE_PUT, e, "iib", (int64_t)level, (int64_t)idx,
		hash, (size_t)32);
}

int
store_tile_get(struct store *s, unsigned int level, uint64_t idx,
	uint8_t hash[32], struct ofs_error *e)
{
	sqlite3_stmt *q;
	int rc;

	rc = store_query(
		s, TILE_GET, &q, e, "ii", (int64_t)level, (int64_t)idx);
	if (rc != 0)
		return rc;
	rc = sqlite3_step(q);
	if (rc == SQLITE_ROW)
		rc = store_take_blob(q, 0, hash, 32)
			? 0
			: store_wrong_row("tile", e);
	else if (rc == SQLITE_DONE)
		rc = err_set(e, OFS_EDAMAGED,
			"tile %llu of level %u of the audit log is missing",
			(unsigned long long)idx, level);
	else
		rc = store_fail(s, rc, "read", e);
	store_done(q);
	return rc;
}

static int
add_leaf(void *arg, const struct store_record *r, struct ofs_error *e)
{
	struct merkle *m = arg;
	uint8_t hash[32];
	int rc;

	if (r->seq != m->size || r->header_len != RECORD_HEADER_SIZE)
		return err_set(e, OFS_EDAMAGED,
			"record %llu of the audit log is missing or malformed",
			(unsigned long long)m->size);
	rc = merkle_leaf(m, r->header, r->header_len, hash, e);
	return rc != 0 ? rc : merkle_add(m, 0, hash, e);
}

int
store_tree_at(
	struct store *s, uint64_t size, struct merkle *m, struct ofs_error *e)
{
	uint8_t hash[32];
	unsigned int level;
	int rc = 0;

	merkle_reset(m);
	for (level = MERKLE_TILE_LEVELS; level > 0 && rc == 0; level--) {
		unsigned int height = level * MERKLE_TILE_HEIGHT;
		uint64_t unit = UINT64_C(1) << height;

		while (rc == 0 && size - m->size >= unit) {
			rc = store_tile_get(
				s, level, m->size >> height, hash, e);
			if (rc == 0)
				rc = merkle_add(m, height, hash, e);
		}
	}
	if (rc == 0 && m->size < size)
		rc = store_record_each(s, m->size, size - 1, add_leaf, m, e);
	if (rc == 0 && m->size != size)
		rc = store_missing(m->size, e);
	return rc;
}

int
store_root_at(struct store *s, uint64_t size, uint8_t root[MERKLE_HASH],
	struct ofs_error *e)
{
	struct merkle tree;
	int rc;

	merkle_init(&tree);
	rc = store_tree_at(s, size, &tree, e);
	if (rc == 0)
		rc = merkle_root(&tree, root, e);
	merkle_free(&tree);
	return rc;
}
