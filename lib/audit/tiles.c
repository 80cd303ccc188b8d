/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A copy of the tree for others to check: C2SP's tlog-tiles, as files. */
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include <offlinesig/checkpoint.h>

#include "audit/handle.h"

#include "base/file.h"
#include "base/text.h"

#define TILE_WIDTH 256

struct export
{
	ofs_audit *a;
	const char *dir;
	uint64_t size;
	struct merkle m;
	struct buf hashes, entries;
};

static int
add_hash(void *arg, const uint8_t hash[32], struct ofs_error *e)
{
	struct export *x = arg;

	(void)e;
	buf_put(&x->hashes, hash, 32);
	return 0;
}

/* a leaf: its header with a length in front, and its hash */
static int
add_header(void *arg, const struct store_record *r, struct ofs_error *e)
{
	struct export *x = arg;
	uint8_t hash[32];

	buf_u16(&x->entries, (uint16_t)r->header_len);
	buf_put(&x->entries, r->header, r->header_len);
	if (merkle_leaf(&x->m, r->header, r->header_len, hash, e) != 0)
		return e->code;
	return add_hash(x, hash, e);
}

/* DIR/tile/WHAT/x001/x234/067 or, for fewer than 256, .../067.p/WIDTH */
static int
write_tile(struct export *x, const char *what, uint64_t n, unsigned int width,
	const struct buf *b, struct ofs_error *e)
{
	uint64_t part = UINT64_C(1000000000000000000);
	struct buf path = BUF_INIT;
	char *dir = NULL;
	int rc;

	if (!buf_ok(b))
		return err_nomem(e);
	buf_printf(&path, "%s/tile/%s/", x->dir, what);
	for (; part > 1; part /= 1000)
		if (n >= part)
			buf_printf(&path, "x%03" PRIu64 "/", n / part % 1000);
	buf_printf(&path, "%03" PRIu64, n % 1000);
	if (width < TILE_WIDTH)
		buf_printf(&path, ".p/%u", width);
	if (buf_cstr(&path) != NULL)
		dir = file_dirname((const char *)path.p);
	rc = dir == NULL ? err_nomem(e) : file_mkdirs(dir, 0, e);
	if (rc == 0)
		rc = file_write_new(
			(const char *)path.p, b->p, b->len, false, e);
	free(dir);
	buf_free(&path);
	return rc;
}

/* one read of the log, and then the files without it */
static int
read_tile(struct export *x, unsigned int level, uint64_t first,
	unsigned int width, struct ofs_error *e)
{
	bool nested;
	int rc;

	buf_reset(&x->hashes);
	buf_reset(&x->entries);
	rc = handle_enter(x->a, &nested, e);
	if (rc != 0)
		return rc;
	if (level == 0)
		rc = store_header_each(
			&x->a->store, first, width, add_header, x, e);
	else
		rc = store_hash_each(&x->a->store, level, first, width, &x->m,
			add_hash, x, e);
	handle_leave(x->a, nested);
	return rc;
}

static int
write_level(struct export *x, unsigned int level, struct ofs_error *e)
{
	uint64_t n = x->size >> (level * MERKLE_TILE_HEIGHT), first;
	char name[8] = { (char)('0' + level), '\0' };
	int rc = 0;

	for (first = 0; first < n && rc == 0; first += TILE_WIDTH) {
		unsigned int width = n - first < TILE_WIDTH
			? (unsigned int)(n - first)
			: TILE_WIDTH;

		rc = read_tile(x, level, first, width, e);
		if (rc == 0)
			rc = write_tile(x, name, first / TILE_WIDTH, width,
				&x->hashes, e);
		if (rc == 0 && level == 0)
			rc = write_tile(x, "entries", first / TILE_WIDTH, width,
				&x->entries, e);
	}
	return rc;
}

/* the checkpoint comes last: what has one is whole */
static int
write_all(struct export *x, struct ofs_error *e)
{
	struct buf note = BUF_INIT;
	char *path = file_join(x->dir, "checkpoint");
	unsigned int level;
	bool nested;
	int rc;

	if (path == NULL)
		return err_nomem(e);
	rc = handle_enter(x->a, &nested, e);
	if (rc == 0) {
		rc = store_checkpoint_last(&x->a->store, &x->size, &note, e);
		handle_leave(x->a, nested);
	}
	if (rc == 0 && x->size == 0)
		rc = log_no_checkpoint(x->a, e);
	if (rc == 0 && access(path, F_OK) == 0)
		rc = err_set(e, OFS_EEXIST,
			"'%s' holds an export already; name another directory",
			TEXT_Q(x->dir));
	if (rc == 0)
		rc = file_mkdirs(x->dir, 0, e);
	for (level = 0; rc == 0 && level <= MERKLE_TILE_LEVELS &&
		x->size >> (level * MERKLE_TILE_HEIGHT) > 0;
		level++)
		rc = write_level(x, level, e);
	if (rc == 0)
		rc = file_write_new(path, note.p, note.len, false, e);
	buf_free(&note);
	free(path);
	return rc;
}

int
ofs_audit_export_tiles(ofs_audit *audit, const char *dir, uint64_t *records)
{
	struct export x = { .a = audit, .dir = dir };
	struct ofs_error e;
	int rc;

	merkle_init(&x.m);
	rc = write_all(&x, &e);
	merkle_free(&x.m);
	buf_free(&x.hashes);
	buf_free(&x.entries);
	*records = rc == 0 ? x.size : 0;
	return rc != 0 ? handle_fail(audit, &e) : 0;
}
