/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The incremental tree against RFC 9162's definition and known roots. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/merkle.h"
#include "base/hex.h"

static struct ofs_error e;

/* RFC 9162 2.1.1 as it is written, over leaf hashes */
static void
naive(const uint8_t (*leaf)[32], uint64_t n, uint8_t out[32])
{
	uint8_t in[65] = { 1 };
	uint64_t k = 1;

	if (n == 0) {
		assert_int_equal(digest_of(&digest_sha256, "", 0, out, &e), 0);
		return;
	}
	if (n == 1) {
		memcpy(out, leaf[0], 32);
		return;
	}
	while (k * 2 < n)
		k *= 2;
	naive(leaf, k, in + 1);
	naive(leaf + k, n - k, in + 33);
	assert_int_equal(digest_of(&digest_sha256, in, 65, out, &e), 0);
}

static void
make_leaf(struct merkle *m, uint64_t i, uint8_t out[32])
{
	uint8_t p[180];

	memset(p, 0, sizeof(p));
	memcpy(p, &i, sizeof(i));
	assert_int_equal(merkle_leaf(m, p, sizeof(p), out, &e), 0);
}

static void
known_roots(void **state)
{
	static const struct {
		const char *data, *root;
	} leaves[] = {
		{ "",
			"6e340b9cffb37a989ca544e6bb780a2c"
			"78901d3fb33738768511a30617afa01d" },
		{ "00",
			"fac54203e7cc696cf0dfcb42c92a1d9d"
			"baf70ad9e621f4bd8d98662f00e3c125" },
		{ "10",
			"aeb6bcfe274b70a14fb067a5e5578264"
			"db0fa9b51af5e0ba159158f329e06e77" },
		{ "2021",
			"d37ee418976dd95753c1c73862b9398f"
			"a2a2cf9b4ff0fdfe8b30cd95209614b7" },
		{ "3031",
			"4e3bbb1f7b478dcfe71fb631631519a3"
			"bca12c9aefca1612bfce4c13a86264d4" },
		{ "40414243",
			"76e67dadbcdf1e10e1b74ddc608abd2f"
			"98dfb16fbce75277b5232a127f2087ef" },
		{ "5051525354555657",
			"ddb89be403809e325750d3d263cd7892"
			"9c2942b7942a34b77e122c9594a74c8c" },
		{ "606162636465666768696a6b6c6d6e6f",
			"5dc9da79a70659a9ad559cb701ded9a2"
			"ab9d823aad2f4960cfe370eff4604328" },
	};
	uint8_t data[16], hash[32], root[32];
	char hex[65];
	struct merkle m;

	(void)state;
	merkle_init(&m);
	assert_int_equal(merkle_root(&m, root, &e), 0);
	assert_string_equal(hex_encode(hex, root, 32),
		"e3b0c44298fc1c149afbf4c8996fb924"
		"27ae41e4649b934ca495991b7852b855");
	for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++) {
		size_t n = strlen(leaves[i].data) / 2;

		assert_true(hex_decode(data, n, leaves[i].data, 2 * n));
		assert_int_equal(merkle_leaf(&m, data, n, hash, &e), 0);
		assert_int_equal(merkle_add(&m, 0, hash, &e), 0);
		assert_int_equal(merkle_root(&m, root, &e), 0);
		assert_string_equal(hex_encode(hex, root, 32), leaves[i].root);
	}
	merkle_free(&m);
}

static void
every_size(void **state)
{
	static uint8_t leaf[1000][32];
	uint8_t root[32], expected[32], frontier[MERKLE_HEIGHT * 32];
	struct merkle m, copy;

	(void)state;
	merkle_init(&m);
	merkle_init(&copy);
	for (uint64_t n = 0; n <= 1000; n++) {
		naive((const uint8_t(*)[32])leaf, n, expected);
		assert_int_equal(merkle_root(&m, root, &e), 0);
		assert_memory_equal(root, expected, 32);
		/* through the frontier */
		merkle_frontier_put(&m, frontier);
		assert_true(merkle_frontier_get(
			&copy, n, frontier, merkle_frontier_size(n)));
		assert_int_equal(merkle_root(&copy, root, &e), 0);
		assert_memory_equal(root, expected, 32);
		if (n == 1000)
			break;
		make_leaf(&m, n, leaf[n]);
		assert_int_equal(merkle_add(&m, 0, leaf[n], &e), 0);
	}
	assert_false(merkle_frontier_get(&copy, 3, frontier, 32));
	assert_false(
		merkle_frontier_get(&copy, UINT64_C(1) << 63, frontier, 32));
	merkle_free(&m);
	merkle_free(&copy);
}

/* tiles come when they are complete, with the root of just their leaves */
static void
tiles(void **state)
{
	enum { N = 65536 + 1000 };
	uint8_t(*leaf)[32] = calloc(N, 32);
	uint8_t expected[32], root[32];
	struct merkle m, coarse;

	(void)state;
	merkle_init(&m);
	merkle_init(&coarse);
	for (uint64_t n = 1; n <= N; n++) {
		unsigned int want = n % 65536 == 0 ? 2 : n % 256 == 0 ? 1 : 0;

		make_leaf(&m, n, leaf[n - 1]);
		assert_int_equal(merkle_add(&m, 0, leaf[n - 1], &e), 0);
		assert_int_equal(m.tiles, want);
		if (want >= 1) {
			naive((const uint8_t(*)[32])leaf + n - 256, 256,
				expected);
			assert_memory_equal(m.tile[1], expected, 32);
			assert_int_equal(
				merkle_add(&coarse, 8, m.tile[1], &e), 0);
		}
		if (want == 2) {
			naive((const uint8_t(*)[32])leaf + n - 65536, 65536,
				expected);
			assert_memory_equal(m.tile[2], expected, 32);
		}
	}
	naive((const uint8_t(*)[32])leaf, N, expected);
	assert_int_equal(merkle_root(&m, root, &e), 0);
	assert_memory_equal(root, expected, 32);
	/* the same tree out of tiles and the leaves that are left */
	for (uint64_t n = coarse.size; n < N; n++)
		assert_int_equal(merkle_add(&coarse, 0, leaf[n], &e), 0);
	assert_int_equal(merkle_root(&coarse, root, &e), 0);
	assert_memory_equal(root, expected, 32);
	/* a subtree only fits at a multiple of its size */
	assert_int_equal(merkle_add(&coarse, 8, leaf[0], &e), OFS_EINTERNAL);
	merkle_free(&m);
	merkle_free(&coarse);
	free(leaf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_roots),
		cmocka_unit_test(every_size),
		cmocka_unit_test(tiles),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
