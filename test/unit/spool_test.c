/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bytes without end in little memory: spools, equal keys, lines of files. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/keyset.h"
#include "base/lines.h"
#include "base/spool.h"
#include "base/twins.h"

#define DIR_TEMPLATE "/tmp/spool_test.XXXXXX"
#define MODEL_MAX (4u << 20)

static uint64_t seed;

static size_t
below(size_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (size_t)(seed >> 33) % n;
}

static void
compare(const struct spool *s, const uint8_t *model, size_t n)
{
	uint8_t got[3000];
	struct ofs_error e;
	size_t at, len;

	assert_int_equal(spool_size(s), n);
	if (n == 0)
		return;
	at = below(n);
	len = below(sizeof(got));
	if (len > n - at)
		len = n - at;
	assert_int_equal(spool_read(s, at, got, len, &e), 0);
	assert_memory_equal(got, model + at, len);
	assert_int_equal(spool_read(s, n, got, 1, &e), OFS_EINTERNAL);
}

/* against plain memory, through many appends, changes and cuts */
static void
spool_is_memory(void **state)
{
	uint8_t *model = calloc(1, MODEL_MAX), piece[2000];
	char dir[] = DIR_TEMPLATE;
	struct ofs_error e;
	struct spool s;
	size_t n = 0, at;
	bool had_file = false;

	(void)state;
	assert_non_null(mkdtemp(dir));
	spool_init(&s, dir);
	for (int i = 0; i < 20000 && n < MODEL_MAX - sizeof(piece); i++) {
		size_t len = below(sizeof(piece));

		memset(piece, (int)below(256), len);
		memcpy(model + n, piece, len);
		assert_int_equal(spool_append(&s, piece, len, &e), 0);
		n += len;
		if (n > 0 && below(4) == 0) {
			at = below(n);
			len = len < n - at ? len : n - at;
			memset(piece, 7, len);
			memcpy(model + at, piece, len);
			assert_int_equal(
				spool_write(&s, at, piece, len, &e), 0);
		}
		if (below(200) == 0) {
			n -= below(n / 2 + 1);
			assert_int_equal(spool_cut(&s, n, &e), 0);
		}
		compare(&s, model, n);
		had_file = had_file || s.fd >= 0;
	}
	assert_true(had_file);
	spool_free(&s);
	assert_int_equal(spool_size(&s), 0);
	assert_int_equal(rmdir(dir), 0);
	free(model);
}

static void
spool_is_private(void **state)
{
	static const uint8_t zeros[4096];
	char dir[] = DIR_TEMPLATE;
	struct ofs_error e;
	struct stat st;
	struct spool s;
	int rc;

	(void)state;
	assert_non_null(mkdtemp(dir));
	umask(0);
	spool_init(&s, dir);
	/* what is small needs no place */
	assert_int_equal(spool_append(&s, zeros, sizeof(zeros), &e), 0);
	assert_int_equal(s.fd, -1);
	while (s.fd < 0)
		assert_int_equal(spool_append(&s, zeros, sizeof(zeros), &e), 0);
	assert_int_equal(fstat(s.fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_nlink, 0);
	assert_true(fcntl(s.fd, F_GETFD) & FD_CLOEXEC);
	/* nothing is left behind, nor was there a name: it can be removed */
	assert_int_equal(rmdir(dir), 0);
	spool_free(&s);

	spool_init(&s, "/nonexistent");
	do
		rc = spool_append(&s, zeros, sizeof(zeros), &e);
	while (rc == 0);
	assert_int_equal(rc, OFS_EIO);
	assert_non_null(strstr(e.message, "'/nonexistent'"));
	spool_free(&s);
}

struct pairs {
	size_t n;
	uint64_t sum;
};

static int
count_pair(void *arg, uint64_t first, uint64_t second, struct ofs_error *e)
{
	struct pairs *p = arg;

	(void)e;
	assert_true(first < second);
	p->n++;
	p->sum += first * 1000003 + second;
	return 0;
}

/* key = tag mod m: each residue has its tags in a row */
static void
twins_of(size_t n, size_t m)
{
	struct pairs got = { 0 }, want = { 0 };
	uint8_t key[TWINS_KEY];
	struct ofs_error e;
	struct twins t;

	twins_init(&t, "/tmp");
	for (size_t i = 0; i < n; i++) {
		uint64_t residue = (i % m) * 0x9e3779b97f4a7c15u;

		memset(key, 0, sizeof(key));
		memcpy(key, &residue, sizeof(residue));
		assert_int_equal(twins_add(&t, key, i, &e), 0);
		if (i >= m)
			count_pair(&want, i - m, i, &e);
	}
	assert_int_equal(twins_each(&t, count_pair, &got, &e), 0);
	assert_int_equal(got.n, want.n);
	assert_true(got.sum == want.sum);
	twins_free(&t);
}

static void
twins_are_found(void **state)
{
	(void)state;
	twins_of(0, 1);
	twins_of(1, 1);
	twins_of(2, 1);
	twins_of(10, 7);
	twins_of(TWINS_RUN, TWINS_RUN);
	twins_of(TWINS_RUN + 1, TWINS_RUN);
	twins_of(200000, 199990);
	twins_of(200000, 3);
	twins_of(TWINS_RUN * 4, 1000);
}

static int
stop(void *arg, uint64_t first, uint64_t second, struct ofs_error *e)
{
	(void)first;
	(void)second;
	++*(int *)arg;
	return err_set(e, OFS_EEXIST, "enough");
}

static void
twins_stop(void **state)
{
	uint8_t key[TWINS_KEY] = { 0 };
	struct ofs_error e;
	struct twins t;
	int calls = 0;

	(void)state;
	twins_init(&t, "/tmp");
	for (uint64_t i = 0; i < 10; i++)
		assert_int_equal(twins_add(&t, key, i, &e), 0);
	assert_int_equal(twins_each(&t, stop, &calls, &e), OFS_EEXIST);
	assert_int_equal(calls, 1);
	twins_free(&t);
}

static char path[64];

static void
put(const void *p, size_t n)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(p, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

/* all lines, each with a bar behind it; or the error */
static int
lines_of(char end, size_t max, struct buf *to, struct ofs_error *e)
{
	const uint8_t *p;
	struct lines l;
	size_t n;
	int rc;

	buf_reset(to);
	rc = lines_open(&l, path, max, e);
	if (rc != 0)
		return rc;
	while ((rc = lines_next(&l, end, &p, &n, e)) == 0 && p != NULL) {
		buf_put(to, p, n);
		buf_u8(to, '|');
	}
	lines_close(&l);
	return rc;
}

static void
lines_are_cut(void **state)
{
	struct buf got = BUF_INIT;
	struct ofs_error e;

	(void)state;
	put("a\n\nbc\nd", 7);
	assert_int_equal(lines_of('\n', 2, &got, &e), 0);
	assert_string_equal(buf_cstr(&got), "a||bc|d|");
	put("", 0);
	assert_int_equal(lines_of('\n', 2, &got, &e), 0);
	assert_int_equal(got.len, 0);
	put("\n", 1);
	assert_int_equal(lines_of('\n', 0, &got, &e), 0);
	assert_string_equal(buf_cstr(&got), "|");
	put("a\nb\0c", 5);
	assert_int_equal(lines_of('\0', 3, &got, &e), 0);
	assert_string_equal(buf_cstr(&got), "a\nb|c|");
	put("ab\nabc\n", 7);
	assert_int_equal(lines_of('\n', 2, &got, &e), OFS_EFORMAT);
	assert_string_equal(e.message, "line 2 is longer than 2 bytes");
	put("ab\nabc", 6);
	assert_int_equal(lines_of('\n', 2, &got, &e), OFS_EFORMAT);
	unlink(path);
	assert_int_equal(lines_of('\n', 2, &got, &e), OFS_EIO);
	buf_free(&got);
}

/* lines of every length, across the blocks that are read */
static void
lines_are_many(void **state)
{
	struct buf all = BUF_INIT, want = BUF_INIT, got = BUF_INIT;
	struct ofs_error e;

	(void)state;
	for (size_t i = 0; i < 2000; i++) {
		size_t n = below(i < 1000 ? 10 : 1000);

		for (size_t k = 0; k < n; k++)
			buf_u8(&all, (uint8_t)('a' + k % 26));
		buf_u8(&all, '\n');
	}
	buf_put(&want, all.p, all.len);
	for (size_t i = 0; i < want.len; i++)
		if (want.p[i] == '\n')
			want.p[i] = '|';
	put(all.p, all.len);
	assert_int_equal(lines_of('\n', 1000, &got, &e), 0);
	assert_int_equal(got.len, want.len);
	assert_memory_equal(got.p, want.p, want.len);
	/* a line without an end is refused before it is all in memory */
	memset(all.p, 'x', all.len);
	put(all.p, all.len);
	assert_int_equal(lines_of('\n', 70000, &got, &e), OFS_EFORMAT);
	unlink(path);
	buf_free(&all);
	buf_free(&want);
	buf_free(&got);
}

/* which keys are in it, and of which kind, against an array */
static void
keysets_know_what_was_added(void **state)
{
	enum { KEYS = 3000, STEPS = 40000 };
	static uint8_t key[KEYS][KEYSET_KEY];
	static unsigned int kind[KEYS];
	struct keyset s = { NULL, 0, 0 };
	struct ofs_error e;
	size_t i, step, n = 0;

	(void)state;
	seed = 5;
	assert_int_equal(keyset_kind(&s, key[0]), 0);
	/* many of them begin in one place; the last two bits are no key */
	for (i = 0; i < KEYS; i++) {
		memset(key[i], 0, KEYSET_KEY);
		key[i][0] = (uint8_t)(i % 5);
		key[i][8] = (uint8_t)(i >> 8);
		key[i][9] = (uint8_t)i;
		key[i][KEYSET_KEY - 1] = (uint8_t)below(4);
	}
	for (step = 0; step < STEPS; step++) {
		i = below(KEYS);
		assert_int_equal(keyset_kind(&s, key[i]), kind[i]);
		if (below(4) > 0)
			continue;
		assert_int_equal(keyset_reserve(&s, 1, &e), 0);
		if (kind[i] == 0) {
			kind[i] = 1 + (unsigned int)below(3);
			keyset_add(&s, key[i], kind[i]);
			n++;
		} else {
			keyset_add(&s, key[i], kind[i] % 3 + 1);
		}
		assert_int_equal(s.n, n);
		assert_true(s.n <= s.cap / 4 * 3);
	}
	assert_true(n > KEYS / 2);
	keyset_free(&s);
	assert_int_equal(keyset_kind(&s, key[0]), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spool_is_memory),
		cmocka_unit_test(spool_is_private),
		cmocka_unit_test(twins_are_found),
		cmocka_unit_test(twins_stop),
		cmocka_unit_test(lines_are_cut),
		cmocka_unit_test(lines_are_many),
		cmocka_unit_test(keysets_know_what_was_added),
	};
	const char *s = getenv("SEED");

	seed = s != NULL ? strtoull(s, NULL, 10) : 1;
	snprintf(path, sizeof(path), "/tmp/spool_test.%ld", (long)getpid());
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
