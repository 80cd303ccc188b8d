/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The limit on signatures a minute, without waiting for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "sign/pace.h"

#define SECOND 1000000

/* chunks that are always ready: how many items went in `us` */
static size_t
sent_within(unsigned int rate, size_t chunk, int64_t us, int64_t stall)
{
	struct pace p = { .rate = rate };
	int64_t now = 7 * SECOND, end = now + us;
	size_t n = 0;

	while (now < end) {
		now += pace_left(&p, now);
		if (now >= end)
			break;
		pace_took(&p, now, chunk);
		n += chunk;
		/* somebody pulls the token out once */
		if (stall > 0 && n >= rate / 2) {
			now += stall;
			stall = 0;
		}
	}
	return n;
}

static void
no_minute_has_more(void **state)
{
	static const unsigned int rates[] = { 1, 7, 60, 599, 600, 1201, 100000,
		4294967295u };

	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		unsigned int r = rates[i];
		size_t c = pace_chunk_max(r), n;

		assert_true(c >= 1 && c <= r);
		assert_true(c == 1 || c <= r / 600);
		if (r > 1000000)
			continue;
		n = sent_within(r, c, 60 * SECOND, 0);
		assert_true(n <= r + c - 1);
		assert_true(n >= r - c);
		/* what was not used is not saved up */
		n = sent_within(r, c, 120 * SECOND, 60 * SECOND);
		assert_true(n <= r + 2 * c);
	}
}

static void
no_limit(void **state)
{
	struct pace p = { .rate = 0 };

	(void)state;
	pace_took(&p, 5, 1000000);
	assert_int_equal(pace_left(&p, 5), 0);
	assert_int_equal(pace_chunk_max(0), 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_minute_has_more),
		cmocka_unit_test(no_limit),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("pace", tests, NULL, NULL);
}
