/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Time-stamps as openssl(1) makes them; whose they are: cli/34-heads.t. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "crypto/digest.h"
#include "crypto/tsp.h"

static struct ofs_error e;
static struct buf file;

/* of test/fuzz/corpus/tsp, into an exact copy */
static void
take(const char *name)
{
	const char *top = getenv("OFS_TOP");
	char path[512];

	snprintf(path, sizeof(path), "%s/test/fuzz/corpus/tsp/%s",
		top != NULL ? top : ".", name);
	buf_reset(&file);
	if (file_read(path, TSP_MAX, &file, &e) != 0)
		fail_msg("%s", e.message);
}

static int
imprint(uint8_t sum[32])
{
	return tsp_request_imprint(file.p, file.len, sum, &e);
}

static void
requests(void **state)
{
	static const char text[] = "a checkpoint\n";
	struct buf again = BUF_INIT;
	uint8_t want[32], sum[32];

	(void)state;
	assert_int_equal(
		digest_of(&digest_sha256, text, strlen(text), want, &e), 0);
	take("request");
	assert_int_equal(imprint(sum), 0);
	assert_memory_equal(sum, want, 32);
	buf_u8(&file, 0);
	assert_int_equal(imprint(sum), OFS_EFORMAT);
	/* another hash of that length (SHA3-256), and one that is too short */
	take("request");
	assert_memory_equal(file.p + 19, "\x01\x05\x00\x04\x20", 5);
	file.p[19] = 8;
	assert_int_equal(imprint(sum), OFS_EFORMAT);
	file.p[19] = 1;
	assert_int_equal(imprint(sum), 0);
	file.p[1]--;
	file.p[6]--;
	file.p[23]--;
	memmove(file.p + 24, file.p + 25, file.len - 25);
	file.len--;
	assert_int_equal(imprint(sum), OFS_EFORMAT);
	assert_non_null(strstr(e.message, "not over SHA-256"));
	take("no-cert");
	assert_int_equal(imprint(sum), 0);
	/* the answer to such a one could be that to another */
	take("no-nonce");
	assert_int_equal(imprint(sum), OFS_EFORMAT);
	take("sha512");
	assert_int_equal(imprint(sum), OFS_EFORMAT);
	take("response");
	assert_int_equal(imprint(sum), OFS_EFORMAT);
	/* our own, twice: what is asked for is the same, the nonce is not */
	buf_reset(&file);
	assert_int_equal(tsp_request(text, strlen(text), &file, &e), 0);
	assert_int_equal(imprint(sum), 0);
	assert_memory_equal(sum, want, 32);
	assert_int_equal(tsp_request(text, strlen(text), &again, &e), 0);
	assert_false(again.len == file.len &&
		memcmp(again.p, file.p, again.len) == 0);
	buf_free(&again);
}

static void
responses(void **state)
{
	int64_t time = 0;

	(void)state;
	take("response");
	assert_int_equal(tsp_time(file.p, file.len, &time, &e), 0);
	/* 2026-11-21T19:50:30Z */
	assert_int_equal(time, INT64_C(1795290630000000));
	buf_u8(&file, 0);
	assert_int_equal(tsp_time(file.p, file.len, &time, &e), OFS_EFORMAT);
	take("rejected");
	assert_int_equal(tsp_time(file.p, file.len, &time, &e), OFS_EFORMAT);
	take("request");
	assert_int_equal(tsp_time(file.p, file.len, &time, &e), OFS_EFORMAT);
	buf_free(&file);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests),
		cmocka_unit_test(responses),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
