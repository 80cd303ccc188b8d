/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Proofs of inclusion and growth: public vectors, every tree, as text. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "store/merkle.h"
#include "base/base64.h"
#include "format/proof.h"

#define LEAVES 70
#define VECTORS 196

static struct ofs_error e;

static size_t ran;

/* false where the text is not base64 of 32 bytes: no hash, no proof */
static bool
hash_of(json_t *j, uint8_t out[32])
{
	const char *s = json_string_value(j);

	return s != NULL && base64_decode_to(out, 32, s, strlen(s));
}

/*
 * A few vectors have roots of another length, which ours cannot have: two of
 * them stay as equal or different as they are.
 */
static bool
root_from(json_t *j, uint8_t out[32])
{
	const char *s = json_string_value(j);

	return hash_of(j, out) ||
		(s != NULL &&
			digest_of(&digest_sha256, s, strlen(s), out, &e) == 0);
}

static bool
hashes_of(json_t *list, uint8_t (*out)[32], size_t *n)
{
	*n = json_array_size(list);
	assert_true(*n < 128);
	for (size_t i = 0; i < *n; i++)
		if (!hash_of(json_array_get(list, i), out[i]))
			return false;
	return true;
}

/* some are beyond 2^63, which no size of ours is and jansson cannot hold */
static uint64_t
number(json_t *o, const char *key)
{
	double v = json_number_value(json_object_get(o, key));

	return v < 0x1p53 ? (uint64_t)v : UINT64_MAX;
}

static bool
accepts(json_t *o)
{
	uint8_t proof[128][32], one[32], two[32];
	size_t n;

	if (!hashes_of(json_object_get(o, "proof"), proof, &n))
		return false;
	if (json_object_get(o, "leafIdx") != NULL)
		return hash_of(json_object_get(o, "leafHash"), one) &&
			root_from(json_object_get(o, "root"), two) &&
			merkle_check_inclusion(number(o, "leafIdx"),
				number(o, "treeSize"), one,
				(const uint8_t(*)[32])proof, n, two, &e) == 0;
	return root_from(json_object_get(o, "root1"), one) &&
		root_from(json_object_get(o, "root2"), two) &&
		merkle_check_consistency(number(o, "size1"), number(o, "size2"),
			(const uint8_t(*)[32])proof, n, one, two, &e) == 0;
}

static void
run_file(const char *path)
{
	json_t *o = json_load_file(path, JSON_DECODE_INT_AS_REAL, NULL);
	bool bad;

	assert_non_null(o);
	bad = json_is_true(json_object_get(o, "wantErr"));
	if (accepts(o) == bad)
		fail_msg("%s: %s", path, bad ? "accepted" : "refused");
	json_decref(o);
	ran++;
}

static void
run_dir(const char *dir)
{
	struct dirent *entry;
	DIR *d = opendir(dir);
	char path[4096];

	if (d == NULL)
		return;
	while ((entry = readdir(d)) != NULL) {
		const char *dot = strrchr(entry->d_name, '.');

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		if (dot != NULL && strcmp(dot, ".json") == 0)
			run_file(path);
		else
			run_dir(path);
	}
	closedir(d);
}

static void
public_vectors(void **state)
{
	const char *dir = getenv("OFS_VECTORS");
	char path[4096];

	(void)state;
	if (dir == NULL || dir[0] == '\0') {
		printf("# no OFS_VECTORS: public vectors are left out\n");
		return;
	}
	snprintf(path, sizeof(path), "%s/merkle", dir);
	run_dir(path);
	printf("# %zu of %d vectors\n", ran, VECTORS);
	assert_int_equal(ran, VECTORS);
}

static uint8_t leaf[LEAVES][32];

static void
root_of(struct merkle *m, uint64_t lo, uint64_t hi, uint8_t out[32])
{
	merkle_reset(m);
	for (; lo < hi; lo++)
		assert_int_equal(merkle_add(m, 0, leaf[lo], &e), 0);
	assert_int_equal(merkle_root(m, out, &e), 0);
}

static void
fill(struct merkle *m, const struct merkle_range *r, size_t n,
	uint8_t (*out)[32])
{
	assert_true(n <= MERKLE_HEIGHT);
	for (size_t i = 0; i < n; i++)
		root_of(m, r[i].lo, r[i].hi, out[i]);
}

static void
every_tree(void **state)
{
	struct merkle_range r[MERKLE_HEIGHT];
	uint8_t proof[MERKLE_HEIGHT + 1][32] = { { 0 } }, root[32], old[32];
	const uint8_t(*p)[32] = (const uint8_t(*)[32])proof;
	struct merkle m;
	size_t n;

	(void)state;
	merkle_init(&m);
	for (uint8_t i = 0; i < LEAVES; i++)
		assert_int_equal(merkle_leaf(&m, &i, 1, leaf[i], &e), 0);
	for (uint64_t size = 1; size <= LEAVES; size++) {
		for (uint64_t i = 0; i < size; i++) {
			n = merkle_inclusion(i, size, r);
			fill(&m, r, n, proof);
			root_of(&m, 0, size, root);
			assert_int_equal(merkle_check_inclusion(i, size,
						 leaf[i], p, n, root, &e),
				0);
			assert_int_equal(merkle_check_inclusion(i, size,
						 leaf[i], p, n + 1, root, &e),
				OFS_ESIGNATURE);
			if (n > 0)
				assert_int_equal(
					merkle_check_inclusion(i, size, leaf[i],
						p, n - 1, root, &e),
					OFS_ESIGNATURE);
			if (size > 1)
				assert_int_equal(
					merkle_check_inclusion((i + 1) % size,
						size, leaf[i], p, n, root, &e),
					OFS_ESIGNATURE);
		}
		for (uint64_t i = 1; i <= size; i++) {
			n = merkle_consistency(i, size, r);
			fill(&m, r, n, proof);
			root_of(&m, 0, size, root);
			root_of(&m, 0, i, old);
			assert_int_equal(merkle_check_consistency(
						 i, size, p, n, old, root, &e),
				0);
			assert_int_equal(merkle_check_consistency(i, size, p,
						 n + 1, old, root, &e),
				OFS_ESIGNATURE);
			if (n > 0)
				assert_int_equal(
					merkle_check_consistency(i, size, p,
						n - 1, old, root, &e),
					OFS_ESIGNATURE);
		}
	}
	assert_int_equal(merkle_check_consistency(0, 3, p, 0, old, root, &e),
		OFS_ESIGNATURE);
	assert_int_equal(merkle_check_inclusion(0, 0, old, p, 0, old, &e),
		OFS_ESIGNATURE);
	merkle_free(&m);
}

#define NOTE_TEXT "o\n3\nAAAA\n\n\xe2\x80\x94 n AAAAAAAA\n"

static void
as_text(void **state)
{
	struct buf text = BUF_INIT, again = BUF_INIT;
	struct proof p = { .index = 5 }, q;

	(void)state;
	p.note = NOTE_TEXT;
	p.note_len = strlen(NOTE_TEXT);
	for (p.n = 0; p.n <= PROOF_HASHES_MAX; p.n++) {
		p.growth = p.n % 2 == 1;
		if (p.n == 2)
			buf_str(&p.extra, "anything");
		buf_reset(&text);
		buf_reset(&again);
		proof_text(&p, &text);
		assert_int_equal(proof_parse(text.p, text.len, &q, &e), 0);
		assert_int_equal(q.n, p.n);
		assert_int_equal(q.index, 5);
		assert_int_equal(q.growth, p.growth);
		proof_text(&q, &again);
		proof_free(&q);
		assert_int_equal(again.len, text.len);
		assert_memory_equal(again.p, text.p, text.len);
		if (p.n < PROOF_HASHES_MAX)
			memset(p.hash[p.n], (int)p.n, 32);
	}
	buf_free(&text);
	buf_free(&again);
	proof_free(&p);
}

static void
bad_text(void **state)
{
#define FIRST "c2sp.org/tlog-proof@v1\n"
#define HASH "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
	static const char *const bad[] = { "", "x", FIRST, FIRST "index 5\n",
		FIRST "index 5\n\n", FIRST "index 5\n" HASH,
		FIRST "index 05\n\nx", FIRST "index\n\nx",
		FIRST "index -1\n\nx", FIRST "extra \nindex 5\n\nx",
		FIRST "extra A\nindex 5\n\nx", FIRST "extra AAAA\n\nx",
		FIRST "index 5\nAAAA\n\nx", FIRST "index 5 \n\nx",
		"c2sp.org/tlog-proof@v2\nindex 5\n\nx", "old\n\nx",
		"old 05\n\nx", "old 5\nAAAA\n\nx",
		FIRST "extra AAAA\nextra AAAA\nindex 5\n\nx" };
	struct buf many = BUF_INIT;
	struct proof p;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (proof_parse(bad[i], strlen(bad[i]), &p, &e) != OFS_EFORMAT)
			fail_msg("%zu was taken", i);
	buf_str(&many, FIRST "index 5\n");
	for (int i = 0; i <= PROOF_HASHES_MAX; i++)
		buf_str(&many, HASH);
	buf_str(&many, "\nx");
	assert_int_equal(proof_parse(many.p, many.len, &p, &e), OFS_EFORMAT);
	buf_free(&many);
}

static void
disclosed(void **state)
{
	uint8_t header[RECORD_HEADER_SIZE], key[PROOF_KEY_SIZE] = { 7 };
	static const uint8_t body[] = { 0x30, 0x00 };
	struct record_header h = { .type = OFS_REC_LOGIN,
		.seq = 5,
		.time = 1,
		.body_len = sizeof(body) };
	struct proof_record r = { .h = h, .header = header }, got;
	struct buf b = BUF_INIT;

	(void)state;
	assert_int_equal(digest_of(&digest_sha256, body, sizeof(body),
				 h.body_sha256, &e),
		0);
	record_header_encode(&h, header);
	proof_record_put(&r, &b);
	assert_int_equal(proof_record_parse(b.p, b.len, &got, &e), 0);
	assert_null(got.body);
	assert_int_equal(got.h.seq, 5);
	buf_reset(&b);
	r.body = body;
	proof_record_put(&r, &b);
	assert_int_equal(proof_record_parse(b.p, b.len, &got, &e), 0);
	assert_memory_equal(got.body, body, sizeof(body));
	assert_null(got.key);
	/* no bit of a body, no length, no key where none belongs */
	for (size_t bit = RECORD_HEADER_SIZE * 8; bit < b.len * 8; bit++) {
		b.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(
			proof_record_parse(b.p, b.len, &got, &e), OFS_EFORMAT);
		b.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t n = 0; n < b.len; n++)
		if (n != RECORD_HEADER_SIZE)
			assert_int_equal(proof_record_parse(b.p, n, &got, &e),
				OFS_EFORMAT);
	buf_reset(&b);
	r.key = key;
	proof_record_put(&r, &b);
	assert_int_equal(proof_record_parse(b.p, b.len, &got, &e), OFS_EFORMAT);
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(public_vectors),
		cmocka_unit_test(every_tree),
		cmocka_unit_test(as_text),
		cmocka_unit_test(bad_text),
		cmocka_unit_test(disclosed),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
