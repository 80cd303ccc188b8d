/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Document tags: what they are, and where their key lies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/hmac.h>

#include "audit/tag.h"

static void
expect(struct tag *t, const uint8_t key[TAG_KEY])
{
	static const uint8_t digest[32] = { 1, 2, 3 };
	uint8_t want[EVP_MAX_MD_SIZE], got[TAG_SIZE];
	struct ofs_error e;

	assert_non_null(HMAC(EVP_sha256(), key, TAG_KEY, digest, sizeof(digest),
		want, NULL));
	/* each is by itself */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(tag_of(t, digest, sizeof(digest), got, &e), 0);
		assert_memory_equal(got, want, TAG_SIZE);
	}
}

static void
tags(void **state)
{
	static const uint8_t zeros[TAG_KEY], key[TAG_KEY] = { 9, 8, 7 };
	struct ofs_error e;
	struct tag t;

	(void)state;
	assert_int_equal(tag_init(&t, &e), 0);
	expect(&t, zeros);
	assert_int_equal(tag_set_key(&t, key, &e), 0);
	expect(&t, key);
	tag_free(&t);
	assert_null(t.key);
	tag_free(&t);
}

/* whether core dumps leave out the page of p, as /proc/self/smaps says */
static bool
is_left_out(const void *p)
{
	unsigned long from, to, at = (unsigned long)(uintptr_t)p;
	bool here = false, out = false;
	char line[512];
	FILE *f = fopen("/proc/self/smaps", "r");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			here = from <= at && at < to;
		else if (here && strncmp(line, "VmFlags:", 8) == 0)
			out = strstr(line, " dd") != NULL;
	}
	fclose(f);
	return out;
}

static void
key_is_in_memory_for_secrets(void **state)
{
	struct ofs_error e;
	struct tag t;

	(void)state;
	assert_int_equal(tag_init(&t, &e), 0);
	assert_false(is_left_out(&t));
	assert_true(is_left_out(t.key));
	tag_free(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tags),
		cmocka_unit_test(key_is_in_memory_for_secrets),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
