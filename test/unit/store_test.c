/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The store: trees out of tiles, media without locks, hostile file names. */
#include "log_sample.h"

#include "store/store.h"

static struct ofs_error e;
static char db_path[128];

static int
fresh(void **state)
{
	static int n;

	(void)state;
	snprintf(db_path, sizeof(db_path), "%s/%d %%41?#.db", sample_dir, n++);
	return 0;
}

static void
create(struct store *s)
{
	FILE *f = fopen(db_path, "wb");

	assert_non_null(f);
	fclose(f);
	ok(store_open(s, db_path, false, &e), &e);
}

/* n records with made-up headers and their tiles */
static void
fill(struct store *s, uint64_t n, struct merkle *tree)
{
	uint8_t header[RECORD_HEADER_SIZE] = { 0 }, hash[32];
	struct store_record r = { .header = header,
		.header_len = sizeof(header),
		.body = (const uint8_t *)"b",
		.body_len = 1 };

	ok(store_begin(s, true, &e), &e);
	ok(store_create(s, &e), &e);
	for (r.seq = 0; r.seq < n; r.seq++) {
		memcpy(header, &r.seq, sizeof(r.seq));
		ok(store_record_put(s, &r, &e), &e);
		ok(merkle_leaf(tree, header, sizeof(header), hash, &e), &e);
		ok(merkle_add(tree, 0, hash, &e), &e);
		for (unsigned int l = 1; l <= tree->tiles; l++)
			ok(store_tile_put(
				   s, l, (r.seq >> (8 * l)), tree->tile[l], &e),
				&e);
	}
	ok(store_commit(s, &e), &e);
}

static void
root_of(struct store *s, uint64_t size, bool tiles, uint8_t root[32])
{
	uint8_t header[RECORD_HEADER_SIZE] = { 0 }, hash[32];
	struct merkle m;

	merkle_init(&m);
	if (tiles)
		ok(store_tree_at(s, size, &m, &e), &e);
	for (uint64_t i = m.size; i < size; i++) {
		memcpy(header, &i, sizeof(i));
		ok(merkle_leaf(&m, header, sizeof(header), hash, &e), &e);
		ok(merkle_add(&m, 0, hash, &e), &e);
	}
	ok(merkle_root(&m, root, &e), &e);
	merkle_free(&m);
}

static void
tree_at_any_size(void **state)
{
	static const uint64_t sizes[] = { 0, 1, 255, 256, 257, 511, 512, 65535,
		65536, 65537, 65791, 65792, 66000 };
	struct store s;
	struct merkle tree;
	uint8_t want[32], got[32];

	(void)state;
	create(&s);
	merkle_init(&tree);
	fill(&s, 66000, &tree);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		root_of(&s, sizes[i], false, want);
		root_of(&s, sizes[i], true, got);
		assert_memory_equal(want, got, 32);
	}
	assert_int_equal(store_tree_at(&s, 66001, &tree, &e), OFS_EDAMAGED);
	ok(store_begin(&s, true, &e), &e);
	assert_int_equal(sqlite3_exec(s.db, "DELETE FROM tile WHERE level = 2",
				 NULL, NULL, NULL),
		SQLITE_OK);
	assert_int_equal(store_tree_at(&s, 66000, &tree, &e), OFS_EDAMAGED);
	store_rollback(&s);
	merkle_free(&tree);
	store_close(&s);
}

static void
settings(void **state)
{
	static const struct {
		const char *pragma;
		int value;
	} want[] = { { "synchronous", 3 }, { "secure_delete", 1 },
		{ "trusted_schema", 0 }, { "cell_size_check", 1 } };
	sqlite3_stmt *st;
	struct store s;
	char sql[64];
	int on = 0;

	(void)state;
	create(&s);
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		snprintf(sql, sizeof(sql), "PRAGMA %s", want[i].pragma);
		assert_int_equal(sqlite3_prepare_v2(s.db, sql, -1, &st, NULL),
			SQLITE_OK);
		assert_int_equal(sqlite3_step(st), SQLITE_ROW);
		assert_int_equal(sqlite3_column_int(st, 0), want[i].value);
		sqlite3_finalize(st);
	}
	assert_int_equal(
		sqlite3_prepare_v2(s.db, "PRAGMA journal_mode", -1, &st, NULL),
		SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	assert_string_equal(sqlite3_column_text(st, 0), "truncate");
	sqlite3_finalize(st);
	assert_int_equal(
		sqlite3_db_config(s.db, SQLITE_DBCONFIG_DEFENSIVE, -1, &on),
		SQLITE_OK);
	assert_int_equal(on, 1);
	store_close(&s);
}

/* a medium that knows no locks */
static sqlite3_vfs lockless;
static sqlite3_vfs *real_vfs;
static sqlite3_io_methods lockless_methods;

static int
no_lock(sqlite3_file *f, int level)
{
	(void)f;
	(void)level;
	return SQLITE_IOERR_LOCK;
}

static int
lockless_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags,
	int *out)
{
	int rc;

	(void)vfs;
	rc = real_vfs->xOpen(real_vfs, name, f, flags, out);
	if (rc != SQLITE_OK || (flags & SQLITE_OPEN_MAIN_DB) == 0)
		return rc;
	lockless_methods = *f->pMethods;
	lockless_methods.xLock = no_lock;
	f->pMethods = &lockless_methods;
	return rc;
}

static void
reads_without_locks(void **state)
{
	struct merkle tree;
	struct store s;
	char journal[160];
	FILE *f;

	(void)state;
	create(&s);
	merkle_init(&tree);
	fill(&s, 300, &tree);
	store_close(&s);
	real_vfs = sqlite3_vfs_find(NULL);
	lockless = *real_vfs;
	lockless.zName = "lockless";
	lockless.xOpen = lockless_open;
	assert_int_equal(sqlite3_vfs_register(&lockless, 1), SQLITE_OK);
	ok(store_open(&s, db_path, true, &e), &e);
	ok(store_check(&s, &e), &e);
	ok(store_tree_at(&s, 300, &tree, &e), &e);
	store_close(&s);
	/* not for writing, and not past a journal that may be hot */
	assert_int_equal(store_open(&s, db_path, false, &e), OFS_EAUDIT);
	snprintf(journal, sizeof(journal), "%s-journal", db_path);
	f = fopen(journal, "wb");
	assert_non_null(f);
	fputs("something", f);
	fclose(f);
	assert_int_equal(store_open(&s, db_path, true, &e), OFS_EAUDIT);
	sqlite3_vfs_unregister(&lockless);
	merkle_free(&tree);
}

static int64_t
page_size(struct store *s)
{
	int64_t n;

	ok(store_get_int(s, "PRAGMA page_size", &n, &e), &e);
	return n;
}

/* a log keeps the pages that it was made with */
static void
pages(void **state)
{
	struct merkle tree;
	struct store s;

	(void)state;
	merkle_init(&tree);
	create(&s);
	fill(&s, 10, &tree);
	assert_int_equal(page_size(&s), 4096);
	store_close(&s);
	(void)fresh(state);
	create(&s);
	assert_int_equal(sqlite3_exec(s.db, "PRAGMA page_size = 16384", NULL,
				 NULL, NULL),
		SQLITE_OK);
	merkle_reset(&tree);
	fill(&s, 300, &tree);
	store_close(&s);
	ok(store_open(&s, db_path, false, &e), &e);
	ok(store_check(&s, &e), &e);
	assert_int_equal(page_size(&s), 16384);
	ok(store_begin(&s, true, &e), &e);
	ok(store_batch_put(&s, (const uint8_t[16]){ 1 }, 7, &e), &e);
	ok(store_commit(&s, &e), &e);
	assert_int_equal(page_size(&s), 16384);
	store_close(&s);
	merkle_free(&tree);
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup(fn, fresh)
	const struct CMUnitTest tests[] = {
		TEST(tree_at_any_size),
		TEST(settings),
		TEST(pages),
		TEST(reads_without_locks),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, sample_setup, sample_teardown);
}
