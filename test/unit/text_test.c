/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* UTF-8 checks and the escaping of outside names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static bool
utf8(const char *s)
{
	return text_is_utf8(s, strlen(s));
}

/* Encodes without any check, so that wrong forms can be made. */
static size_t
encode(uint32_t v, size_t n, char *to)
{
	static const uint8_t lead[] = { 0, 0, 0xc0, 0xe0, 0xf0, 0xf8 };

	if (n == 1) {
		to[0] = (char)v;
		return 1;
	}
	for (size_t i = n - 1; i > 0; i--, v >>= 6)
		to[i] = (char)(0x80 | (v & 0x3f));
	to[0] = (char)(lead[n] | v);
	return n;
}

/* Every value in every length: right exactly when RFC 3629 says so. */
static void
all_values(void **state)
{
	static const uint32_t low[] = { 0, 0, 0x80, 0x800, 0x10000, 0x200000 };
	static const uint32_t end[] = { 0, 0x80, 0x800, 0x10000, 0x200000,
		0x200100 };
	char s[8];

	(void)state;
	for (size_t n = 1; n <= 5; n++) {
		for (uint32_t v = 0; v < end[n]; v++) {
			bool good = v >= low[n] && v <= 0x10ffff && n <= 4 &&
				(v < 0xd800 || v > 0xdfff);
			size_t len = encode(v, n, s);

			if (text_utf8_char(s, len) != (good ? n : 0))
				fail_msg("U+%04X in %zu bytes", v, n);
			if (good && n > 1 && text_utf8_char(s, len - 1) != 0)
				fail_msg("U+%04X cut", v);
			if (n > 4 && v > 0x200080)
				break;
		}
	}
}

static void
strings(void **state)
{
	(void)state;
	assert_true(text_is_utf8("", 0));
	assert_true(utf8("Zahlung \xc3\xa4 \xe2\x82\xac \xf0\x9f\x94\x91"));
	assert_true(text_is_utf8("a\0b", 3));
	assert_false(utf8("a\x80"));
	assert_false(utf8("\xc3"));
	assert_false(utf8("\xc3(x"));
	assert_false(utf8("\xe2\x82"));
	assert_false(utf8("\xe2\x82(x"));
	assert_false(utf8("\xf0\x9f\x94"));
	assert_false(utf8("\xfe"));
}

static void
escapes(void **state)
{
	static const struct {
		const char *name, *want;
	} t[] = {
		{ "plain.txt", "plain.txt" },
		{ "", "" },
		{ "a\nb\rc\td\\e", "a\\nb\\rc\\td\\\\e" },
		{ "\x01\x1b[2J\x7f", "\\x01\\x1b[2J\\x7f" },
		{ "\xc3\xa4\xe2\x82\xac", "\xc3\xa4\xe2\x82\xac" },
		{ "\xc2\x85\xc2\xa0", "\\xc2\\x85\xc2\xa0" },
		{ "\xff\xc3", "\\xff\\xc3" },
		{ "\xed\xa0\x80", "\\xed\\xa0\\x80" },
		{ "\xc0\xaf", "\\xc0\\xaf" },
		/* gpj.exe turned around, and a line separator */
		{ "\xe2\x80\xaegpj", "\\xe2\\x80\\xaegpj" },
		{ "\xe2\x80\xa8\xe2\x81\xa6",
			"\\xe2\\x80\\xa8\\xe2\\x81\\xa6" },
		{ "\xe2\x80\xa7\xe2\x80\xaf", "\xe2\x80\xa7\xe2\x80\xaf" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		assert_string_equal(TEXT_Q(t[i].name), t[i].want);
	assert_string_equal(TEXT_Q(NULL), "");
}

/* Of any length: fits, is UTF-8, keeps both ends, has no half escapes. */
static void
shortens(void **state)
{
	static const char *const units[] = { "a", "\n", "\xc3\xa4",
		"\xe2\x82\xac", "\xff", "\xe2\x80\xae", "\xf0\x9f\x94\x91" };
	char name[4100];

	(void)state;
	for (size_t u = 0; u < sizeof(units) / sizeof(units[0]); u++) {
		for (size_t n = 1; n < 1000; n += n < 90 || n > 420 ? 7 : 1) {
			size_t len = strlen(units[u]), out;
			struct text_q q;

			name[0] = 'B';
			for (size_t i = 0; i < n; i++)
				memcpy(name + 1 + i * len, units[u], len);
			memcpy(name + 1 + n * len, "E", 2);
			assert_ptr_equal(text_q(&q, name), q.s);
			out = strlen(q.s);
			assert_true(out < sizeof(q.s));
			assert_true(utf8(q.s));
			assert_int_equal(q.s[0], 'B');
			assert_int_equal(q.s[out - 1], 'E');
			if (strstr(q.s, "...") == NULL)
				continue;
			assert_true(out > sizeof(q.s) - 32);
			for (const char *s = q.s; (s = strchr(s, '\\'));) {
				assert_non_null(strchr("nx", s[1]));
				if (s[1] == 'x')
					assert_true(
						strspn(s + 2,
							"0123456789abcdef") >=
						2);
				s += 2;
			}
		}
	}
	/* exactly full is not shortened, one more is */
	memset(name, 'a', 400);
	name[399] = '\0';
	assert_string_equal(TEXT_Q(name), name);
	memcpy(name + 399, "a", 2);
	assert_non_null(strstr(TEXT_Q(name), "..."));
}

static void
cleans(void **state)
{
	char s[] = "a\nb\x7f\xc2\x85\xff\xe2\x82\xac\xe2\x80\xae\xe2\x82";

	(void)state;
	text_clean(s);
	assert_string_equal(s, "a b  ?\xe2\x82\xac ??");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_values),
		cmocka_unit_test(strings),
		cmocka_unit_test(escapes),
		cmocka_unit_test(shortens),
		cmocka_unit_test(cleans),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
