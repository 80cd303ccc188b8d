/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SHA256SUMS files: what sha256sum writes is read, all else is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/hex.h"
#include "format/sums.h"

#define H "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define HU "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"

/* each of the lines: "HEX NAME|" */
static int
parse_bytes(const char *p, size_t n, struct buf *got, struct ofs_error *e)
{
	const char *end = p + n, *nl;
	struct buf name = BUF_INIT;
	uint8_t sha256[32];
	char hex[65];
	int rc = 0;

	for (size_t line = 1; p < end && rc == 0; line++, p = nl + 1) {
		nl = memchr(p, '\n', (size_t)(end - p));
		assert_non_null(nl);
		rc = sums_parse((const uint8_t *)p, (size_t)(nl - p), line,
			&name, sha256, sizeof(sha256), e);
		if (rc == 0)
			buf_printf(got, "%s %s|", hex_encode(hex, sha256, 32),
				(const char *)name.p);
	}
	buf_free(&name);
	return rc;
}

static int
parse(const char *text, struct buf *got, struct ofs_error *e)
{
	return parse_bytes(text, strlen(text), got, e);
}

static void
accepts(const char *text, const char *want)
{
	struct buf got = BUF_INIT;
	struct ofs_error e = { 0 };

	if (parse(text, &got, &e) != 0)
		fail_msg("%s", e.message);
	assert_string_equal(buf_cstr(&got), want);
	buf_free(&got);
}

static void
refuses(const char *text, const char *why)
{
	struct buf got = BUF_INIT;
	struct ofs_error e = { 0 };

	assert_int_equal(parse(text, &got, &e), OFS_EFORMAT);
	if (strstr(e.message, why) == NULL)
		fail_msg("'%s' has no '%s'", e.message, why);
	buf_free(&got);
}

static void
good_lines(void **state)
{
	(void)state;
	accepts(H "  a\n", H " a|");
	accepts(H " *a b \n" HU "  c\n", H " a b |" H " c|");
	accepts("\\" H "  a\\nb\\\\c\\rd\n", H " a\nb\\c\rd|");
	/* no leading backslash: nothing is escaped */
	accepts(H "  a\\nb\n", H " a\\nb|");
	accepts(H "   leading\n", H "  leading|");
}

static void
bad_lines(void **state)
{
	(void)state;
	refuses("\n", "line 1");
	refuses(H "  a\ne3b0c442\n", "line 2");
	refuses(H "  a\n\n", "line 2");
	refuses(H "  \n", "no name");
	refuses("\\" H "  \n", "no name");
	refuses(H " a\n", "line 1");
	refuses(H "\ta\n", "line 1");
	refuses(H "a  a\n", "line 1");
	refuses("# comment\n", "line 1");
	refuses("SHA256 (a) = " H "\n", "line 1");
	refuses(" " H "  a\n", "line 1");
	refuses("g" H "  a\n", "line 1");
	refuses(H "  a\r\n", "carriage return");
	refuses("\\" H "  a\\tb\n", "escapes nothing");
	refuses("\\" H "  a\\\n", "escapes nothing");
}

static void
nul_bytes(void **state)
{
	static const char text[] = H "  a\0b\n";
	struct ofs_error e = { 0 };
	struct buf got = BUF_INIT;

	(void)state;
	assert_int_equal(
		parse_bytes(text, sizeof(text) - 1, &got, &e), OFS_EFORMAT);
	assert_non_null(strstr(e.message, "line 1 has a NUL"));
	assert_int_equal(got.len, 0);
}

/* names with every odd byte, as the real program writes them */
static void
what_sha256sum_writes(void **state)
{
	static const char *const names[] = { "plain", "a b", "new\nline",
		"back\\slash", "*star", " lead", "ret\rurn", "\xc3\xa4" };
	char dir[] = "/tmp/sums_test.XXXXXX", cmd[128], path[128], out[4096];
	struct buf got = BUF_INIT, want = BUF_INIT;
	struct ofs_error e = { 0 };
	size_t n;
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(dir));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		f = fopen(path, "w");
		assert_non_null(f);
		fclose(f);
	}
	snprintf(cmd, sizeof(cmd), "cd %s && sha256sum -- *", dir);
	f = popen(cmd, "r");
	assert_non_null(f);
	n = fread(out, 1, sizeof(out), f);
	assert_int_equal(pclose(f), 0);
	if (parse_bytes(out, n, &got, &e) != 0)
		fail_msg("%s", e.message);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		buf_reset(&want);
		buf_printf(&want, H " %s|", names[i]);
		assert_non_null(strstr(buf_cstr(&got), buf_cstr(&want)));
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	rmdir(dir);
	buf_free(&got);
	buf_free(&want);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_lines),
		cmocka_unit_test(bad_lines),
		cmocka_unit_test(nul_bytes),
		cmocka_unit_test(what_sha256sum_writes),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
