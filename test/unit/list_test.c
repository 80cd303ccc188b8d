/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The list of a batch: what enters it, what it refuses, what it costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/hex.h"
#include "crypto/digest.h"
#include "sign/list.h"

#define H "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
/* what a long list may cost more than a short one */
#define EXTRA_KIB (6 * 1024)

/* a sanitizer keeps what was freed, which is not ours to count */
const char *__asan_default_options(void) __attribute__((visibility("default")));
const char *
__asan_default_options(void)
{
	return "quarantine_size_mb=1:thread_local_quarantine_size_kb=64";
}

static char dir[] = "/tmp/list_test.XXXXXX";

static const char *
at(const char *name)
{
	static char path[8][300];
	static int n;

	n = (n + 1) % 8;
	snprintf(path[n], sizeof(path[n]), "%s/%s", dir, name);
	return path[n];
}

static void
put(const char *name, const char *text)
{
	struct ofs_error e;

	if (file_write_new(at(name), text, strlen(text), true, &e) != 0)
		fail_msg("%s", e.message);
}

static void
new_list(struct list *l)
{
	struct ofs_error e;

	assert_int_equal(list_init(l, dir, &e), 0);
}

static void
add(struct list *l, const char *path, const char *id)
{
	struct ofs_item item = OFS_ITEM_INIT;
	struct ofs_error e;

	item.path = path;
	item.id = id;
	if (list_add_item(l, &item, &e) != 0)
		fail_msg("%s", e.message);
}

/* the list in words: path, id, problem */
static void
tell(struct list *l, struct buf *to)
{
	struct list_item it = { 0 };
	struct ofs_error e;

	buf_reset(to);
	for (size_t i = 0; i < l->n; i++) {
		assert_int_equal(list_read(l, i, &it, &e), 0);
		buf_printf(to, "%s%s%s%s|", it.path, it.id != NULL ? "=" : "",
			it.id != NULL ? it.id : "",
			it.problem != NULL ? "!" : "");
	}
	list_item_free(&it);
}

static void
says(struct list *l, const char *want)
{
	struct buf b = BUF_INIT;

	tell(l, &b);
	assert_string_equal(buf_cstr(&b), want);
	buf_free(&b);
}

static void
keeps_what_it_is_given(void **state)
{
	struct ofs_item item = OFS_ITEM_INIT;
	struct list_item it = { 0 };
	uint8_t sha256[32] = { 1, 2, 3 };
	struct ofs_error e;
	struct list l;

	(void)state;
	new_list(&l);
	item.path = "dir/a\n\xff";
	item.sha256 = sha256;
	item.id = "1";
	item.version = "v";
	item.media_type = "text/plain";
	assert_int_equal(list_add_item(&l, &item, &e), 0);
	assert_int_equal(list_add_bytes(&l, "", "pay", 3, &e), 0);
	assert_int_equal(list_place(&l, OFS_FORMAT_RAW, "out", &e), 0);

	assert_int_equal(list_read(&l, 0, &it, &e), 0);
	assert_string_equal(it.path, "dir/a\n\xff");
	assert_string_equal(it.output, "out/dir/a\n\xff.sig");
	assert_memory_equal(it.sha256, sha256, 32);
	assert_true(it.has_sha256);
	assert_string_equal(it.id, "1");
	assert_null(it.name);
	assert_string_equal(it.version, "v");
	assert_string_equal(it.media_type, "text/plain");
	assert_null(it.bytes);
	assert_null(it.inside);
	assert_int_equal(list_read(&l, 1, &it, &e), 0);
	assert_string_equal(it.path, "");
	assert_memory_equal(it.bytes, "pay", 3);
	assert_int_equal(it.len, 3);
	assert_false(it.has_sha256);
	assert_null(it.id);
	assert_null(it.output);
	list_item_free(&it);
	list_free(&l);
}

static void
refuses_items(void **state)
{
	struct ofs_item item = OFS_ITEM_INIT;
	struct ofs_error e;
	char name[5000];
	struct list l;

	(void)state;
	new_list(&l);
	assert_int_equal(list_add_item(&l, &item, &e), OFS_EINVAL);
	item.path = "";
	assert_int_equal(list_add_item(&l, &item, &e), OFS_EINVAL);
	item.path = "a";
	item.id = "a\nb";
	assert_int_equal(list_add_item(&l, &item, &e), OFS_EINVAL);
	assert_string_equal(
		e.message, "cannot add 'a': 'id' has a control character");
	item.id = NULL;
	item.size--;
	assert_int_equal(list_add_item(&l, &item, &e), OFS_EINVAL);
	memset(name, 'x', sizeof(name));
	name[4096] = '\0';
	assert_int_equal(list_add_file(&l, name, NULL, &e), OFS_EINVAL);
	name[4095] = '\0';
	assert_int_equal(list_add_file(&l, name, NULL, &e), 0);
	assert_int_equal(l.n, 1);
	list_free(&l);
}

static void
ids_are_unique(void **state)
{
	struct ofs_error e;
	struct list l;

	(void)state;
	new_list(&l);
	add(&l, "a", "1");
	add(&l, "b", NULL);
	add(&l, "c", NULL);
	add(&l, "1", "2");
	/* an id is no name of a file */
	add(&l, "d", at("a.p7s"));
	add(&l, at("a"), "3");
	assert_int_equal(list_place(&l, OFS_FORMAT_CMS, NULL, &e), 0);
	list_free(&l);

	new_list(&l);
	add(&l, "a", "1");
	add(&l, "b", "2");
	add(&l, "c", "1");
	assert_int_equal(list_place(&l, OFS_FORMAT_CMS, NULL, &e), OFS_EFORMAT);
	assert_non_null(strstr(e.message, "id '1' is given to 'a' and to 'c'"));
	list_free(&l);
}

static void
outputs_are_unique(void **state)
{
	struct list_item it = { 0 };
	struct ofs_error e;
	struct list l;

	(void)state;
	new_list(&l);
	add(&l, "a", NULL);
	add(&l, "./a", NULL);
	add(&l, "b.p7s", NULL);
	add(&l, "b", NULL);
	add(&l, "a", NULL);
	add(&l, "none/c", NULL);
	assert_int_equal(list_place(&l, OFS_FORMAT_CMS, NULL, &e), 0);
	says(&l, "a|./a!|b.p7s|b!|a!|none/c|");
	assert_int_equal(list_read(&l, 1, &it, &e), 0);
	assert_int_equal(it.problem_code, OFS_EEXIST);
	assert_string_equal(it.problem,
		"output './a.p7s' is also that of 'a', which was named "
		"earlier; sign them apart");
	assert_int_equal(list_read(&l, 3, &it, &e), 0);
	assert_string_equal(it.problem,
		"output 'b.p7s' is a document of this batch, 'b.p7s', and is "
		"not overwritten; use --out");
	list_item_free(&it);
	list_free(&l);
}

static void
hash_is(const struct list *l, const void *want, size_t n)
{
	uint8_t got[32], sha256[32];
	struct ofs_error e;

	assert_int_equal(list_sha256(l, got, &e), 0);
	assert_int_equal(
		digest_of(digest_by_id(OFS_DIGEST_SHA256), want, n, sha256, &e),
		0);
	assert_memory_equal(got, sha256, 32);
}

/* of a document that is not here, that is all there is */
static void
unseen(void **state)
{
	static const char v1[] = "ofs-list-v1\0"
				 "\0\0\0\0\0\0\0\2ab\0"
				 "\0\0\0\0\0\0\0\1c\2"
				 "\0\0\0\0\0\0\0\5a\0b\0c";
	struct ofs_item item = OFS_ITEM_INIT;
	struct list_item it = { 0 };
	struct list_mark before;
	struct ofs_error e;
	uint8_t sha256[32];
	struct list l;

	(void)state;
	new_list(&l);
	add(&l, "ab", NULL);
	before = list_mark(&l);
	item.path = "c";
	assert_int_equal(
		list_add_digest(&l, &item, (const uint8_t *)"a\0b\0c", 5, &e),
		0);
	hash_is(&l, v1, sizeof(v1) - 1);
	assert_int_equal(list_place(&l, OFS_FORMAT_CMS, "out", &e), 0);
	hash_is(&l, v1, sizeof(v1) - 1);
	assert_int_equal(list_read(&l, 1, &it, &e), 0);
	assert_string_equal(it.output, "out/c.p7s");
	assert_int_equal(it.digest_len, 5);
	assert_memory_equal(it.digest, "a\0b\0c", 5);
	assert_int_equal(list_read(&l, 0, &it, &e), 0);
	assert_int_equal(it.digest_len, 0);
	list_item_free(&it);
	list_free(&l);

	/* all of a list or nothing */
	new_list(&l);
	add(&l, "ab", NULL);
	put("bad-sums", "00  a\n11  b\n2  c\n");
	assert_int_equal(
		list_add_digests(&l, at("bad-sums"), 1, &e), OFS_EFORMAT);
	assert_non_null(strstr(e.message, "line 3"));
	assert_int_equal(l.n, before.n);
	assert_int_equal(list_sha256(&l, sha256, &e), 0);
	list_free(&l);
}

static void
limits(void **state)
{
	struct ofs_error e;
	struct list l;

	(void)state;
	put("three", "123");
	new_list(&l);
	add(&l, at("three"), NULL);
	add(&l, at("missing"), NULL);
	assert_int_equal(list_add_bytes(&l, "m", "45", 2, &e), 0);
	assert_int_equal(list_check_limits(&l, 0, 0, &e), 0);
	assert_int_equal(list_check_limits(&l, 3, 5, &e), 0);
	assert_int_equal(list_check_limits(&l, 2, 0, &e), OFS_EFORMAT);
	assert_non_null(strstr(e.message, "3 documents"));
	assert_int_equal(list_check_limits(&l, 0, 4, &e), OFS_EFORMAT);
	assert_non_null(strstr(e.message, "limit of 4 bytes"));
	list_free(&l);
}

static void
digests(void **state)
{
	static const char v1[] = "ofs-list-v1\0"
				 "\0\0\0\0\0\0\0\2ab\0"
				 "\0\0\0\0\0\0\0\1c\1"
				 "01234567890123456789012345678901";
	static const char v2[] = "ofs-list-v2\0"
				 "\0\0\0\0\0\0\0\2ab\0\0\0\0\0"
				 "\0\0\0\0\0\0\0\1c\1"
				 "01234567890123456789012345678901\0\0\0\0"
				 "\0\0\0\0\0\0\0\1d\0"
				 "\1\0\0\0\0\0\0\0\1i\1\0\0\0\0\0\0\0\1n"
				 "\1\0\0\0\0\0\0\0\1v\1\0\0\0\0\0\0\0\3m/t";
	struct ofs_item item = OFS_ITEM_INIT;
	struct list_mark before;
	struct ofs_error e;
	struct list l;

	(void)state;
	new_list(&l);
	add(&l, "ab", NULL);
	assert_int_equal(
		list_add_file(&l, "c",
			(const uint8_t *)"01234567890123456789012345678901",
			&e),
		0);
	hash_is(&l, v1, sizeof(v1) - 1);
	before = list_mark(&l);
	item.path = "d";
	item.id = "i";
	item.name = "n";
	item.version = "v";
	item.media_type = "m/t";
	assert_int_equal(list_add_item(&l, &item, &e), 0);
	hash_is(&l, v2, sizeof(v2) - 1);
	list_back(&l, before);
	hash_is(&l, v1, sizeof(v1) - 1);
	list_free(&l);
}

static void
manifest_refused(const char *text, int code, const char *root, const char *why)
{
	struct ofs_error e;
	struct list l;

	put("m", text);
	new_list(&l);
	add(&l, "before", NULL);
	assert_int_equal(list_add_manifest(&l, at("m"),
				 root != NULL ? at(root) : NULL, &e),
		code);
	if (strstr(e.message, why) == NULL)
		fail_msg("'%s' has no '%s'", e.message, why);
	says(&l, "before|");
	list_free(&l);
}

static void
manifests(void **state)
{
	struct ofs_error e;
	struct list l;
	char want[700];

	(void)state;
	put("m",
		"{\"path\":\"a\",\"id\":\"1\"}\n"
		"{\"path\":\"/b\",\"sha256\":\"" H "\"}");
	new_list(&l);
	assert_int_equal(list_add_manifest(&l, at("m"), NULL, &e), 0);
	snprintf(want, sizeof(want), "%s=1|/b|", at("a"));
	says(&l, want);
	list_free(&l);

	manifest_refused("", OFS_EINVAL, NULL, "it is empty");
	manifest_refused(
		"{\"path\":\"a\"}\n{\"path\":\"b\"\n{\"path\":\"c\"}\n",
		OFS_EFORMAT, NULL, "line 2 is not JSON");
	manifest_refused("{\"path\":\"a\"}\n\n{\"path\":\"c\"}\n", OFS_EFORMAT,
		NULL, "line 2 is empty");
	manifest_refused("{\"path\":\"a\"}\n{\"path\":\"b\",\"idd\":\"\"}\n",
		OFS_EFORMAT, NULL, "line 2: 'idd' is no field");
}

static void
sums_refused(const char *text, int code, const char *why)
{
	struct ofs_error e;
	struct list l;

	put("s", text);
	new_list(&l);
	assert_int_equal(list_add_file(&l, "first", NULL, &e), 0);
	assert_int_equal(list_add_sums(&l, at("s"), &e), code);
	if (strstr(e.message, why) == NULL)
		fail_msg("'%s' has no '%s'", e.message, why);
	says(&l, "first|");
	list_free(&l);
}

/* every beginning of a good file is either a whole shorter file or refused */
static void
cut_sums(void)
{
	static const char text[] = H "  a\n\\" H "  b\\nc\n" H " *d\n";
	char part[sizeof(text)];
	struct ofs_error e;
	struct list l;
	size_t n;

	for (n = 1; n < sizeof(text); n++) {
		memcpy(part, text, n);
		part[n] = '\0';
		put("s", part);
		new_list(&l);
		assert_int_equal(list_add_sums(&l, at("s"), &e),
			text[n - 1] == '\n' ? 0 : OFS_EFORMAT);
		list_free(&l);
	}
}

static void
sums(void **state)
{
	struct ofs_error e;
	struct list l;
	char want[700];

	(void)state;
	put("s", H "  a\n\\" H "  /b\\nc\n");
	new_list(&l);
	assert_int_equal(list_add_file(&l, "first", NULL, &e), 0);
	assert_int_equal(list_add_sums(&l, at("s"), &e), 0);
	snprintf(want, sizeof(want), "first|%s|/b\nc|", at("a"));
	says(&l, want);
	list_free(&l);

	sums_refused("", OFS_EINVAL, "it is empty");
	sums_refused(H "  a", OFS_EFORMAT, "line 1 does not end");
	sums_refused(H "  a\ne3b0c442", OFS_EFORMAT, "line 2 does not end");
	sums_refused(
		H "  a\n" H "  b\n" H " *a\n", OFS_EFORMAT, "a' of line 1");
	sums_refused(
		"\\" H "  a\\\\\n" H "  a\\\n", OFS_EFORMAT, "line 2 repeats");
	cut_sums();
}

static void
names(void **state)
{
	struct ofs_error e;
	struct list l;
	FILE *f;

	(void)state;
	put("n", "a\n b \\\n");
	new_list(&l);
	assert_int_equal(
		list_add_names(&l, at("n"), NULL, OFS_NAMES_AUTO, &e), 0);
	says(&l, "a| b \\|");
	assert_int_equal(
		list_add_names(&l, at("n"), NULL, OFS_NAMES_NUL, &e), 0);
	says(&l, "a| b \\|a\n b \\\n|");
	list_free(&l);

	f = fopen(at("n"), "w");
	assert_non_null(f);
	assert_int_equal(fwrite("a\nb\0c\0", 1, 6, f), 6);
	fclose(f);
	new_list(&l);
	assert_int_equal(
		list_add_names(&l, at("n"), NULL, OFS_NAMES_AUTO, &e), 0);
	says(&l, "a\nb|c|");
	assert_int_equal(list_add_names(&l, at("n"), NULL, OFS_NAMES_LINES, &e),
		OFS_EFORMAT);
	assert_non_null(strstr(e.message, "line 2 has a NUL"));
	put("n", "a\n\nb\n");
	assert_int_equal(list_add_names(&l, at("n"), NULL, OFS_NAMES_AUTO, &e),
		OFS_EFORMAT);
	assert_non_null(strstr(e.message, "line 2 is empty"));
	put("n", "");
	assert_int_equal(list_add_names(&l, at("n"), NULL, OFS_NAMES_AUTO, &e),
		OFS_EINVAL);
	says(&l, "a\nb|c|");
	list_free(&l);
}

static int
nothing(void *arg, const uint8_t *p, size_t n, struct ofs_error *e)
{
	(void)arg;
	(void)p;
	(void)n;
	(void)e;
	return 0;
}

/* reads the item as a batch does */
static int
read_document(struct list *l, size_t i, struct ofs_error *e)
{
	struct list_item it = { 0 };
	uint64_t size;
	int rc;

	assert_int_equal(list_read(l, i, &it, e), 0);
	assert_non_null(it.inside);
	rc = file_stream_then(
		&(struct file_place){ it.path, it.root, it.inside }, nothing,
		NULL, NULL, &size, e);
	list_item_free(&it);
	return rc;
}

static void
roots(void **state)
{
	struct ofs_error e;
	struct list l;
	char want[700];

	(void)state;
	assert_int_equal(mkdir(at("top"), 0700), 0);
	assert_int_equal(mkdir(at("top/sub"), 0700), 0);
	put("top/sub/a", "a");
	put("secret", "s");
	assert_int_equal(symlink("sub", at("top/in")), 0);
	assert_int_equal(symlink("../secret", at("top/out")), 0);
	assert_int_equal(symlink("..", at("top/sub/up")), 0);
	assert_int_equal(symlink("../..", at("top/sub/upup")), 0);
	assert_int_equal(symlink(at("secret"), at("top/abs")), 0);

	manifest_refused("{\"path\":\"sub/a\"}\n{\"path\":\"../secret\"}\n",
		OFS_EFORMAT, "top", "line 2: '../secret' has '..' in it");
	manifest_refused("{\"path\":\"sub/../sub/a\"}\n", OFS_EFORMAT, "top",
		"has '..' in it");
	manifest_refused("{\"path\":\"/etc/passwd\"}\n", OFS_EFORMAT, "top",
		"line 1: '/etc/passwd' is absolute");
	manifest_refused("{\"path\":\"out\"}\n", OFS_EFORMAT, "top",
		"'out' leads out of");
	manifest_refused("{\"path\":\"abs\"}\n", OFS_EFORMAT, "top",
		"'abs' leads out of");
	manifest_refused("{\"path\":\"sub/upup/secret\"}\n", OFS_EFORMAT, "top",
		"leads out of");
	manifest_refused(
		"{\"path\":\"a\"}\n", OFS_EIO, "none", "cannot open directory");

	put("m",
		"{\"path\":\"in/a\"}\n{\"path\":\"sub/up/sub//a\"}\n"
		"{\"path\":\"..a\"}\n");
	new_list(&l);
	if (list_add_manifest(&l, at("m"), at("top"), &e) != 0)
		fail_msg("%s", e.message);
	snprintf(want, sizeof(want), "%s|%s|%s|", at("top/in/a"),
		at("top/sub/up/sub//a"), at("top/..a"));
	says(&l, want);
	assert_int_equal(read_document(&l, 0, &e), 0);
	assert_int_equal(read_document(&l, 1, &e), 0);
	assert_int_equal(read_document(&l, 2, &e), OFS_EIO);

	/* a link that changes later is not followed, either */
	put("a", "not below top");
	assert_int_equal(unlink(at("top/in")), 0);
	assert_int_equal(symlink("..", at("top/in")), 0);
	assert_int_equal(access(at("top/in/a"), R_OK), 0);
	assert_int_equal(read_document(&l, 0, &e), OFS_EIO);
	assert_non_null(strstr(e.message, "leads out of the directory"));
	list_free(&l);
}

/* adds, places, hashes and reads n items; in a child, which exits with 0 */
static void
go_through(size_t n)
{
	struct list_item it = { 0 };
	struct ofs_item item = OFS_ITEM_INIT;
	char path[200], id[40], text[40];
	uint8_t sha256[32];
	struct ofs_error e;
	struct list l;
	size_t i;
	int rc;

	rc = list_init(&l, dir, &e);
	item.path = path;
	item.id = id;
	for (i = 0; i < n && rc == 0; i++) {
		snprintf(path, sizeof(path),
			"%s/payments/2026/11/order-%08zu.xml", dir, i);
		snprintf(id, sizeof(id), "ORDER-%zu", i);
		rc = list_add_item(&l, &item, &e);
	}
	if (rc == 0)
		rc = list_place(&l, OFS_FORMAT_CMS, NULL, &e);
	if (rc == 0)
		rc = list_sha256(&l, sha256, &e);
	for (i = 0; i < n && rc == 0; i++) {
		rc = list_read(&l, i, &it, &e);
		snprintf(text, sizeof(text), "ORDER-%zu", i);
		if (rc == 0 && (it.problem != NULL || strcmp(it.id, text) != 0))
			rc = 1;
	}
	list_item_free(&it);
	list_free(&l);
	_exit(rc != 0);
}

/* files that put_sums() has made */
static void
go_through_sums(size_t n)
{
	struct ofs_error e;
	struct list l;
	int rc;

	rc = list_init(&l, dir, &e);
	if (rc == 0)
		rc = list_add_sums(&l, n > 1000 ? at("many") : at("few"), &e);
	_exit(rc != 0 || l.n != n);
}

/* KiB of memory at most */
static long
cost(void (*go)(size_t n), size_t n)
{
	struct rusage use;
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		go(n);
	assert_int_equal(wait4(pid, &status, 0, &use), pid);
	assert_int_equal(status, 0);
	return use.ru_maxrss;
}

static void
memory_is_bounded(void **state)
{
	size_t n = getenv("OFS_LONG") != NULL ? 1000000 : 100000;
	long few = cost(go_through, 1000), many = cost(go_through, n);

	(void)state;
	printf("# 1000 items: %ld KiB; %zu items: %ld KiB\n", few, n, many);
	assert_true(many - few < EXTRA_KIB);
}

static void
put_sums(const char *path, size_t n)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	for (size_t i = 0; i < n; i++)
		fprintf(f, H "  payments/2026/11/order-%08zu.xml\n", i);
	assert_int_equal(fclose(f), 0);
}

static void
memory_for_sums_is_bounded(void **state)
{
	long few, many;

	(void)state;
	put_sums(at("few"), 1000);
	put_sums(at("many"), 100000);
	few = cost(go_through_sums, 1000);
	many = cost(go_through_sums, 100000);
	printf("# 1000 sums: %ld KiB; 100000: %ld KiB\n", few, many);
	assert_true(many - few < EXTRA_KIB);
}

static int
make_dir(void **state)
{
	(void)state;
	/* names without a directory lie in it */
	return mkdtemp(dir) == NULL || chdir(dir) != 0;
}

static int
remove_dir(void **state)
{
	char cmd[100];

	(void)state;
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return chdir("/") != 0 || system(cmd) != 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_bounded),
		cmocka_unit_test(memory_for_sums_is_bounded),
		cmocka_unit_test(keeps_what_it_is_given),
		cmocka_unit_test(refuses_items),
		cmocka_unit_test(ids_are_unique),
		cmocka_unit_test(outputs_are_unique),
		cmocka_unit_test(limits),
		cmocka_unit_test(unseen),
		cmocka_unit_test(digests),
		cmocka_unit_test(manifests),
		cmocka_unit_test(sums),
		cmocka_unit_test(names),
		cmocka_unit_test(roots),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
