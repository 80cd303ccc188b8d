/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files of advisories: what they may hold, and which tokens they match. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "format/advisory.h"

#define HEAD "id: A-1\nmanufacturer: Y*\nmodel: *Key*\n"
#define TAIL "severity: warning\ntext: it is bad\ndo: replace it\n"
#define GOOD HEAD "firmware: 4.26-4.34\nkeys: rsa\n" TAIL

static struct ofs_error e;

/* what was seen of the last advisory, and how many there were */
static struct {
	size_t n;
	struct advisory a;
	char text[ADVISORY_VALUE_MAX + 1];
} seen;

static int
see(void *arg, const struct advisory *a, struct ofs_error *err)
{
	(void)arg;
	(void)err;
	seen.n++;
	seen.a = *a;
	snprintf(seen.text, sizeof(seen.text), "%s", a->text);
	return 0;
}

static int
parse(const char *s)
{
	memset(&seen, 0, sizeof(seen));
	return advisory_parse((const uint8_t *)s, strlen(s), see, NULL, &e);
}

static void
reads_an_entry(void **state)
{
	(void)state;
	assert_int_equal(parse(GOOD), 0);
	assert_int_equal(seen.n, 1);
	assert_int_equal(seen.a.first, 4 * 256 + 26);
	assert_int_equal(seen.a.last, 4 * 256 + 34);
	assert_int_equal(seen.a.keys, ADVISORY_RSA);
	assert_int_equal(seen.a.severity, OFS_SEVERITY_WARNING);
	assert_string_equal(seen.text, "it is bad");
	assert_int_equal(parse(""), 0);
	assert_int_equal(parse("# only words\n\n\n"), 0);
	assert_int_equal(seen.n, 0);
	assert_int_equal(parse("\n" GOOD "\n\n# two\n" GOOD "\n"), 0);
	assert_int_equal(seen.n, 2);
	assert_int_equal(parse(HEAD "firmware: any\n" TAIL), 0);
	assert_int_equal(seen.a.first, 0);
	assert_int_equal(seen.a.last, 0xffff);
	assert_int_equal(seen.a.keys, ADVISORY_ANY);
	assert_int_equal(
		parse(HEAD "firmware: 1.0\nseverity: info\n"
			   "text: one\n two\n# no part\n three\ndo: x\n"),
		0);
	assert_string_equal(seen.text, "one two three");
	assert_int_equal(seen.a.first, seen.a.last);
}

static void
refuses_what_is_not_meant(void **state)
{
	static const char *const bad[] = {
		HEAD TAIL,                              /* no firmware */
		"id: A-1\n",                            /* nearly nothing */
		HEAD "firmware: 4.34-4.26\n" TAIL,      /* upside down */
		HEAD "firmware: 4\n" TAIL,              /* no minor */
		HEAD "firmware: 4.256\n" TAIL,          /* no byte */
		HEAD "firmware: 4.2.6\n" TAIL,          /* three */
		HEAD "firmware: 04.2\n" TAIL,           /* two ways */
		HEAD "firmware: 4.2-\n" TAIL,           /* half a range */
		HEAD "firmware: any\nkeys: dsa\n" TAIL, /* no such keys */
		HEAD "firmware: any\nkeys: rsa\n" HEAD TAIL, /* id twice */
		HEAD "firmware: any\ncolour: red\n" TAIL,    /* no such field */
		HEAD "firmware: any\nseverity: bad\ntext: t\ndo: d\n",
		HEAD "firmware:any\n" TAIL,               /* no blank */
		HEAD "firmware: \n" TAIL,                 /* no value */
		HEAD "firmware:  any\n" TAIL,             /* two blanks */
		HEAD "firmware: any \n" TAIL,             /* one at the end */
		HEAD "firmware: any\n more\n" TAIL,       /* no text */
		" more\n" HEAD "firmware: any\n" TAIL,    /* of nothing */
		HEAD "firmware: any\n\n" TAIL,            /* cut in two */
		HEAD "firmware: any\r\n" TAIL,            /* CR */
		HEAD "firmware: any\n" TAIL "do: e\tf\n", /* a control */
		HEAD "firmware: any\n" TAIL "# \xff\n",   /* no UTF-8 */
		"id: A 1\nmanufacturer: *\nmodel: *\nfirmware: any\n" TAIL,
		HEAD "firmware: any\nseverity: info\ntext: t\ndo: d", /* end */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (parse(bad[i]) != OFS_EFORMAT)
			fail_msg("accepted: %s", bad[i]);
		assert_int_equal(seen.n, 0);
		assert_non_null(strstr(e.message, "line"));
	}
	/* nothing of a file is used when its end is wrong */
	assert_int_equal(parse(GOOD "\nid: B\n"), OFS_EFORMAT);
	assert_int_equal(seen.n, 0);
	assert_int_equal(advisory_parse((const uint8_t *)GOOD "# \0\n",
				 sizeof(GOOD) + 3, see, NULL, &e),
		OFS_EFORMAT);
}

static void
keeps_its_bounds(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	buf_str(&b, HEAD "firmware: any\nseverity: info\ndo: d\ntext: x");
	for (int i = 0; i < ADVISORY_VALUE_MAX - 1; i++)
		buf_str(&b, "y");
	buf_str(&b, "\n");
	assert_int_equal(advisory_parse(b.p, b.len, see, NULL, &e), 0);
	buf_str(&b, " z\n");
	assert_int_equal(
		advisory_parse(b.p, b.len, see, NULL, &e), OFS_EFORMAT);
	buf_reset(&b);
	for (int i = 0; i < 1024; i++)
		buf_str(&b, HEAD "firmware: any\n" TAIL "\n");
	memset(&seen, 0, sizeof(seen));
	assert_int_equal(advisory_parse(b.p, b.len, see, NULL, &e), 0);
	assert_int_equal(seen.n, 1024);
	buf_str(&b, HEAD "firmware: any\n" TAIL "\n");
	assert_int_equal(
		advisory_parse(b.p, b.len, see, NULL, &e), OFS_EFORMAT);
	buf_reset(&b);
	while (b.len <= ADVISORY_FILE_MAX)
		buf_str(&b, "\n");
	assert_int_equal(
		advisory_parse(b.p, b.len, see, NULL, &e), OFS_EFORMAT);
	buf_free(&b);
}

static bool
pattern(const char *p, const char *s)
{
	struct advisory a = { .manufacturer = p, .model = "*", .last = 0xffff };
	struct ofs_token_info t = { .size = sizeof(t) };

	snprintf(t.manufacturer, sizeof(t.manufacturer), "%s", s);
	return advisory_matches(&a, &t);
}

static void
matches_patterns(void **state)
{
	(void)state;
	assert_true(pattern("*", ""));
	assert_true(pattern("Yubico*", "Yubico (www.yubico.com)"));
	assert_true(pattern("*.NET*", "Gemalto .NET card"));
	assert_true(pattern("a*b*c", "aXbXbYc"));
	assert_true(pattern("**", "x"));
	assert_false(pattern("Yubico", "Yubico (www.yubico.com)"));
	assert_false(pattern("a*b*c", "aXbXbY"));
	assert_false(pattern("yubico*", "Yubico"));
	assert_false(pattern("?", "x"));
}

struct wanted {
	const struct ofs_token_info *token;
	const char *id;
	size_t n, others;
};

static int
count(void *arg, const struct advisory *a, struct ofs_error *err)
{
	struct wanted *w = arg;

	(void)err;
	if (!advisory_matches(a, w->token))
		return 0;
	if (strcmp(a->id, w->id) == 0)
		w->n++;
	else
		w->others++;
	return 0;
}

static size_t
matching(const struct buf *file, const char *manufacturer, const char *model,
	unsigned int major, unsigned int minor, const char *id)
{
	struct ofs_token_info t = { .size = sizeof(t) };
	struct wanted w = { &t, id, 0, 0 };

	snprintf(t.manufacturer, sizeof(t.manufacturer), "%s", manufacturer);
	snprintf(t.model, sizeof(t.model), "%s", model);
	t.firmware_major = major;
	t.firmware_minor = minor;
	if (advisory_parse(file->p, file->len, count, &w, &e) != 0)
		fail_msg("%s", e.message);
	assert_int_equal(w.others, 0);
	return w.n;
}

/* the file that is installed: 4.2.6 is 4.26 in what the YubiKey's module says
 */
static void
installed_file_is_right(void **state)
{
	static const char yubico[] = "Yubico (www.yubico.com)";
	const char *top = getenv("OFS_TOP");
	struct buf f = BUF_INIT;
	char path[4096];

	(void)state;
	snprintf(path, sizeof(path), "%s/tools/advisories",
		top != NULL ? top : ".");
	if (file_read(path, ADVISORY_FILE_MAX, &f, &e) != 0)
		fail_msg("%s", e.message);
#define YK(model, major, minor, id) \
	matching(&f, yubico, "YubiKey " model, major, minor, id)
	assert_int_equal(YK("YK4", 4, 25, "none"), 0);
	assert_int_equal(YK("YK4", 4, 26, "YSA-2017-01"), 1);
	assert_int_equal(YK("YK4", 4, 34, "YSA-2017-01"), 1);
	assert_int_equal(YK("YK4", 4, 35, "none"), 0);
	assert_int_equal(YK("YK5", 5, 1, "YSA-2024-03"), 1);
	assert_int_equal(YK("YK5", 5, 43, "YSA-2024-03"), 1);
	assert_int_equal(YK("YK5", 5, 70, "none"), 0);
	assert_int_equal(
		matching(&f, "Infineon", "SLB9670", 7, 61, "CVE-2017-15361"),
		1);
	assert_int_equal(matching(&f, "Infineon", "SLB9670", 7, 62, "none"), 0);
	assert_int_equal(
		matching(&f, "Infineon", "SLB9670", 5, 61, "CVE-2017-15361"),
		1);
	assert_int_equal(
		matching(&f, "SoftHSM project", "SoftHSM v2", 2, 6, "none"), 0);
	buf_free(&f);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_an_entry),
		cmocka_unit_test(refuses_what_is_not_meant),
		cmocka_unit_test(keeps_its_bounds),
		cmocka_unit_test(matches_patterns),
		cmocka_unit_test(installed_file_is_right),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("advisory", tests, NULL, NULL);
}
