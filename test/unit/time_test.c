/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* RFC 3339 times, both ways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/time.h"

#define S INT64_C(1000000)

static void
good(const char *s, int64_t want)
{
	int64_t t = 1;

	if (!time_parse(s, &t) || t != want)
		fail_msg("%s gives %lld", s, (long long)t);
}

static void
parses(void **state)
{
	(void)state;
	good("1970-01-01T00:00:00Z", 0);
	good("1970-01-01t00:00:00z", 0);
	good("1969-12-31T23:59:59.999999Z", -1);
	good("2000-02-29T12:00:00Z", 951825600 * S);
	good("2026-11-21T07:52:00Z", 1795247520 * S);
	good("2026-11-21T08:52:00.5+01:00", 1795247520 * S + 500000);
	good("2026-11-20T23:22:00.000123-08:30", 1795247520 * S + 123);
	good("2026-11-21T07:52:00-00:00", 1795247520 * S);
	good("0000-01-01T00:00:00Z", INT64_C(-62167219200) * S);
	good("9999-12-31T23:59:59Z", INT64_C(253402300799) * S);
	/* RFC 3339 5.8: the same leap second, here and in California */
	good("1990-12-31T23:59:60Z", 662688000 * S);
	good("1990-12-31T15:59:60-08:00", 662688000 * S);
	/* ... and 5.8's example with an odd offset */
	good("1937-01-01T12:00:27.87+00:20", -1041337173 * S + 870000);
}

static void
refuses(void **state)
{
	static const char *const bad[] = { "", "2026", "2026-11-21",
		"2026-11-21T07:52Z", "2026-11-21T07:52:00",
		"2026-11-21 07:52:00Z", "2026-11-21T07:52:00 Z",
		"2026-11-21T07:52:00Zx", "2026-11-21T07:52:00ZZ",
		" 2026-11-21T07:52:00Z", "+026-11-21T07:52:00Z",
		"-026-11-21T07:52:00Z", "2026-1-21T07:52:00Z",
		"20026-11-21T07:52:00Z", "2026-00-21T07:52:00Z",
		"2026-13-21T07:52:00Z", "2026-11-00T07:52:00Z",
		"2026-11-31T07:52:00Z", "2026-02-29T07:52:00Z",
		"1900-02-29T00:00:00Z", "2100-02-29T00:00:00Z",
		"2026-11-21T24:00:00Z", "2026-11-21T07:60:00Z",
		"2026-11-21T07:52:61Z", "2026-11-21T07:52:60Z",
		"1990-12-31T23:59:60+01:00", "2026-11-21T07:52:00.Z",
		"2026-11-21T07:52:00,5Z", "2026-11-21T07:52:00.1234567Z",
		"2026-11-21T07:52:00.5", "2026-11-21T07:52:00.-5Z",
		"2026-11-21T07:52:00+0100", "2026-11-21T07:52:00+01",
		"2026-11-21T07:52:00+24:00", "2026-11-21T07:52:00+01:60",
		"2026-11-21T07:52:00+01:00Z", "2026-11-21T07:52:00+01:0",
		"2026-11-21T07:52:00+ 1:00", "2026-11-21T07:52:0xZ" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int64_t t = 1;

		if (time_parse(bad[i], &t) || t != 0)
			fail_msg("accepted: %s", bad[i]);
	}
}

static void
prints(void **state)
{
	char s[TIME_TEXT_SIZE];

	(void)state;
	assert_string_equal(time_rfc3339(s, 0, false), "1970-01-01T00:00:00Z");
	assert_string_equal(
		time_rfc3339(s, 123, true), "1970-01-01T00:00:00.000123Z");
	assert_string_equal(
		time_rfc3339(s, -1, true), "1969-12-31T23:59:59.999999Z");
	assert_string_equal(time_rfc3339(s, -1, false), "1969-12-31T23:59:59Z");
	assert_string_equal(time_rfc3339(s, INT64_MAX, true),
		"294247-01-10T04:00:54.775807Z");
	assert_string_equal(time_rfc3339(s, INT64_MIN, true),
		"-290308-12-21T19:59:05.224192Z");
}

/* Every day of years 0 to 9999 against the C library's calendar. */
static void
agrees_with_libc(void **state)
{
	int64_t day = INT64_C(-62167219200) / 86400;
	int64_t end = INT64_C(253402300799) / 86400;
	unsigned x = 1;

	(void)state;
	for (; day <= end; day++) {
		char s[TIME_TEXT_SIZE], want[TIME_TEXT_SIZE];
		time_t sec;
		struct tm tm;
		int64_t t;

		x = x * 1103515245 + 12345;
		sec = (time_t)(day * 86400 + (x >> 8) % 86400);
		assert_non_null(gmtime_r(&sec, &tm));
		/* %Y pads nothing in glibc: years here have up to 4 digits */
		strftime(want, sizeof(want), "-%m-%dT%H:%M:%SZ", &tm);
		time_rfc3339(s, (int64_t)sec * S, false);
		if (strcmp(s + 4, want) != 0 ||
			strtol(s, NULL, 10) != tm.tm_year + 1900)
			fail_msg("%s is not %s", s, want);
		if (!time_parse(s, &t) || t != (int64_t)sec * S)
			fail_msg("%s comes back as %lld", s, (long long)t);
	}
}

static void
clocks_run(void **state)
{
	int64_t real = time_now(), boot = time_boot(), mono = time_mono();

	(void)state;
	assert_true(llabs(real / S - (int64_t)time(NULL)) < 3);
	assert_true(boot > 0 && mono > 0 && boot >= mono - S);
	while (time_mono() == mono)
		;
	assert_true(time_mono() > mono);
	assert_true(time_boot() > boot);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses),
		cmocka_unit_test(refuses),
		cmocka_unit_test(prints),
		cmocka_unit_test(agrees_with_libc),
		cmocka_unit_test(clocks_run),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
