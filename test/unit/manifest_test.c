/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lines of manifests: what they may say, and that nothing else is taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hex.h"
#include "format/manifest.h"

#define H "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define HU "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"

static void
parse(const char *text, struct manifest_line *l)
{
	struct ofs_error e = { 0 };

	if (manifest_parse((const uint8_t *)text, strlen(text), 3, l, &e) != 0)
		fail_msg("%s: %s", text, e.message);
}

static void
refuses_bytes(const void *p, size_t n, const char *why)
{
	struct manifest_line l;
	struct ofs_error e = { 0 };

	assert_int_equal(manifest_parse(p, n, 3, &l, &e), OFS_EFORMAT);
	if (strncmp(e.message, "line 3", 6) != 0 ||
		strstr(e.message, why) == NULL)
		fail_msg("'%s' has no '%s'", e.message, why);
	assert_null(l.json);
}

static void
refuses(const char *text, const char *why)
{
	refuses_bytes(text, strlen(text), why);
}

static void
good_lines(void **state)
{
	struct manifest_line l;
	char hex[65];

	(void)state;
	parse("{\"path\":\"a b\"}", &l);
	assert_string_equal(l.item.path, "a b");
	assert_int_equal(l.item.size, sizeof(l.item));
	assert_null(l.item.sha256);
	assert_null(l.item.id);
	assert_null(l.item.name);
	assert_null(l.item.version);
	assert_null(l.item.media_type);
	manifest_clear(&l);

	parse(" {\"media_type\": \"image/svg+xml\", \"version\": \"2.0\",\t"
	      "\"name\": \"Z\\u00e4hler \\ud83d\\ude00\", \"id\": \"A/1\", "
	      "\"sha256\": \"" HU "\", \"path\": \"./x\"} \r",
		&l);
	assert_string_equal(l.item.path, "./x");
	assert_string_equal(l.item.id, "A/1");
	assert_string_equal(l.item.name, "Z\xc3\xa4hler \xf0\x9f\x98\x80");
	assert_string_equal(l.item.version, "2.0");
	assert_string_equal(l.item.media_type, "image/svg+xml");
	assert_string_equal(hex_encode(hex, l.item.sha256, 32), H);
	manifest_clear(&l);
}

static void
bad_json(void **state)
{
	(void)state;
	refuses("", "empty");
	refuses("   ", "not JSON");
	refuses("a", "not JSON");
	refuses("{\"path\":\"a\"", "not JSON");
	refuses("{\"path\":\"a\",}", "not JSON");
	refuses("{'path':'a'}", "not JSON");
	refuses("{\"path\":\"a\"}x", "not JSON");
	refuses("{\"path\":\"a\"} {\"path\":\"b\"}", "not JSON");
	refuses("{\"path\":\"a\"}//", "not JSON");
	refuses("{\"path\":\"a\",\"path\":\"a\"}", "duplicate object key");
	refuses("{\"path\":\"\xff\"}", "not JSON");
	refuses("{\"path\":\"\xc0\x80\"}", "not JSON");
	refuses("{\"path\":\"\xed\xa0\x80\"}", "not JSON");
	refuses("{\"path\":\"\\ud800\"}", "not JSON");
	refuses("{\"path\":\"a\\u0000b\"}", "not JSON");
	refuses("\xef\xbb\xbf{\"path\":\"a\"}", "byte order mark");
	refuses_bytes("{\"path\":\"a\0b\"}", 14, "not JSON");
	refuses_bytes("{\"path\":\"a\"}\0", 13, "not JSON");
}

static void
bad_fields(void **state)
{
	(void)state;
	refuses("[]", "not a JSON object");
	refuses("\"path\"", "not JSON");
	refuses("{}", "no 'path'");
	refuses("{\"id\":\"1\"}", "no 'path'");
	refuses("{\"path\":\"a\",\"Id\":\"1\"}", "'Id' is no field");
	refuses("{\"path\":\"a\",\"\":\"1\"}", "'' is no field");
	refuses("{\"path\":\"a\",\"x\\n\":\"1\"}", "'x\\n' is no field");
	refuses("{\"path\":null}", "'path' is not a string");
	refuses("{\"path\":\"a\",\"id\":7}", "'id' is not a string");
	refuses("{\"path\":\"a\",\"sha256\":[]}", "'sha256' is not a string");
	refuses("{\"path\":\"\"}", "'path' is empty");
	refuses("{\"path\":\"a\",\"id\":\"\"}", "'id' is empty");
	refuses("{\"path\":\"a\\nb\"}", "'path' has a control character");
	refuses("{\"path\":\"a\xe2\x80\xae"
		"b\"}",
		"'path' has a control character");
	refuses("{\"path\":\"a\",\"id\":\"\\u001b\"}",
		"'id' has a control character");
	refuses("{\"path\":\"a\",\"name\":\"\\u0085\"}",
		"'name' has a control character");
	refuses("{\"path\":\"a\",\"version\":\"1\\t\"}",
		"'version' has a control character");
}

static void
bad_values(void **state)
{
	static const char *const types[] = { "xml", "/xml", "a/", "a/b/c",
		"a/b;c=d", "a b/c", "+a/b", "a/.b", "a/\xc3\xa4" };
	char line[512], what[300];

	(void)state;
	refuses("{\"path\":\"a\",\"sha256\":\"e3b0c4\"}",
		"'sha256' has 6 characters; a SHA-256 in hex has 64");
	refuses("{\"path\":\"a\",\"sha256\":\"" H "0\"}", "has 65 characters");
	refuses("{\"path\":\"a\",\"sha256\":\"\"}", "has 0 characters");
	memcpy(what, H, 65);
	what[63] = 'g';
	snprintf(
		line, sizeof(line), "{\"path\":\"a\",\"sha256\":\"%s\"}", what);
	refuses(line, "'sha256' is not hex");
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		snprintf(line, sizeof(line),
			"{\"path\":\"a\",\"media_type\":\"%s\"}", types[i]);
		refuses(line, "'media_type' is '");
	}
	memset(what, 'x', sizeof(what));
	what[256] = '\0';
	snprintf(line, sizeof(line), "{\"path\":\"a\",\"id\":\"%s\"}", what);
	refuses(line, "'id' is longer than 255 bytes");
}

static void
long_lines(void **state)
{
	size_t n = MANIFEST_LINE_MAX + 1;
	char *line = malloc(n);
	struct manifest_line l;
	struct ofs_error e = { 0 };

	(void)state;
	assert_non_null(line);
	memset(line, ' ', n);
	memcpy(line, "{\"path\":\"a\"}", 12);
	assert_int_equal(manifest_parse((uint8_t *)line, n - 1, 1, &l, &e), 0);
	manifest_clear(&l);
	refuses_bytes(line, n, "longer than 65536 bytes");
	/* as deep as it can be, and no deeper than the stack */
	memset(line, '[', n - 1);
	refuses_bytes(line, n - 1, "not JSON");
	free(line);
}

static void
items_of_callers(void **state)
{
	struct ofs_item it = OFS_ITEM_INIT;
	struct ofs_error e = { 0 };

	(void)state;
	it.path = "any\nbytes\xff";
	assert_int_equal(manifest_check_item(&it, &e), 0);
	it.id = "\xff";
	assert_int_equal(manifest_check_item(&it, &e), OFS_EINVAL);
	assert_non_null(strstr(e.message, "'id' is not UTF-8"));
	it.id = "7";
	it.media_type = "text/plain";
	assert_int_equal(manifest_check_item(&it, &e), 0);
	it.media_type = "text";
	assert_int_equal(manifest_check_item(&it, &e), OFS_EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_lines),
		cmocka_unit_test(bad_json),
		cmocka_unit_test(bad_fields),
		cmocka_unit_test(bad_values),
		cmocka_unit_test(long_lines),
		cmocka_unit_test(items_of_callers),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
