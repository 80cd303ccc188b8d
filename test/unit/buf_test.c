/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The growing buffer, the bounded reader, hexadecimal, secret memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/hex.h"
#include "base/mem.h"
#include "base/rd.h"

static void
numbers_round_trip(void **state)
{
	static const uint8_t want[] = { 0x01, 0x02, 0x03, 0x04, 0x05, 0x06,
		0x07, 0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff };
	struct buf b = BUF_INIT;
	struct rd r;

	(void)state;
	buf_u8(&b, 0x01);
	buf_u16(&b, 0x0203);
	buf_u32(&b, 0x04050607);
	buf_u64(&b, UINT64_C(0xf8f9fafbfcfdfeff));
	assert_true(buf_ok(&b));
	assert_int_equal(b.len, sizeof(want));
	assert_memory_equal(b.p, want, sizeof(want));
	rd_init(&r, b.p, b.len);
	assert_int_equal(rd_u8(&r), 0x01);
	assert_int_equal(rd_u16(&r), 0x0203);
	assert_int_equal(rd_u32(&r), 0x04050607);
	assert_false(rd_done(&r));
	assert_true(rd_u64(&r) == UINT64_C(0xf8f9fafbfcfdfeff));
	assert_true(rd_done(&r));
	buf_free(&b);
	assert_null(b.p);
}

static void
grows(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	for (unsigned i = 0; i < 100000; i++)
		buf_u8(&b, (uint8_t)(i * 7));
	assert_true(buf_ok(&b));
	assert_int_equal(b.len, 100000);
	for (unsigned i = 0; i < 100000; i++)
		if (b.p[i] != (uint8_t)(i * 7))
			fail_msg("byte %u", i);
	buf_reset(&b);
	assert_int_equal(b.len, 0);
	assert_non_null(b.p);
	buf_put(&b, NULL, 0);
	assert_true(buf_ok(&b));
	buf_wipe(&b);
	assert_null(b.p);
	assert_int_equal(b.cap, 0);
}

static void
text_in_a_buffer(void **state)
{
	struct buf b = BUF_INIT;
	char big[500];
	uint8_t *p;
	size_t n;

	(void)state;
	assert_string_equal(buf_cstr(&b), "");
	buf_str(&b, "ab");
	buf_printf(&b, "-%d-%s", 42, "x");
	assert_string_equal(buf_cstr(&b), "ab-42-x");
	assert_int_equal(b.len, 7);
	memset(big, 'q', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	for (size_t i = 0; i < 40; i++)
		buf_printf(&b, "%.*s", (int)i, big);
	assert_int_equal(b.len, 7 + 39 * 40 / 2);
	buf_printf(&b, "%s", big);
	assert_int_equal(b.len, 7 + 39 * 40 / 2 + 499);
	assert_string_equal(buf_cstr(&b) + b.len - 499, big);
	p = buf_take(&b, &n);
	assert_int_equal(n, 7 + 39 * 40 / 2 + 499);
	assert_memory_equal(p, "ab-42-xq", 8);
	assert_null(b.p);
	free(p);
	p = buf_take(&b, &n);
	assert_non_null(p);
	assert_int_equal(n, 0);
	free(p);
}

/* One failure is remembered, and nothing is added behind the gap. */
static void
fails_for_good(void **state)
{
	struct buf b = BUF_INIT;
	size_t n = 1;

	(void)state;
	buf_str(&b, "ab");
	assert_null(buf_grow(&b, SIZE_MAX - 1));
	assert_null(buf_grow(&b, SIZE_MAX / 2));
	assert_false(buf_ok(&b));
	buf_str(&b, "cd");
	buf_printf(&b, "%d", 1);
	assert_int_equal(b.len, 2);
	assert_null(buf_cstr(&b));
	assert_null(buf_take(&b, &n));
	assert_int_equal(n, 0);
	assert_true(buf_ok(&b));
}

static void
reader_stops_at_the_end(void **state)
{
	static const uint8_t in[] = { 1, 2, 3 };
	uint8_t to[4];
	struct rd r;

	(void)state;
	rd_init(&r, in, sizeof(in));
	assert_int_equal(rd_u16(&r), 0x0102);
	assert_int_equal(rd_u16(&r), 0);
	/* bad for good, even for what would fit */
	assert_int_equal(rd_u8(&r), 0);
	assert_null(rd_bytes(&r, 1));
	assert_null(rd_bytes(&r, 0));
	assert_false(rd_done(&r));

	rd_init(&r, in, sizeof(in));
	assert_ptr_equal(rd_bytes(&r, 2), in);
	assert_null(rd_bytes(&r, SIZE_MAX));
	assert_true(r.bad);

	rd_init(&r, in, sizeof(in));
	memset(to, 0xee, sizeof(to));
	rd_copy(&r, to, 3);
	assert_memory_equal(to, in, 3);
	assert_true(rd_done(&r));
	rd_copy(&r, to, 4);
	assert_memory_equal(to, "\0\0\0\0", 4);
	assert_false(rd_done(&r));

	rd_init(&r, NULL, 0);
	rd_copy(&r, NULL, 0);
	assert_true(rd_done(&r));
	assert_int_equal(rd_u64(&r), 0);
	assert_false(rd_done(&r));
}

static void
hexadecimal(void **state)
{
	uint8_t all[256], back[256];
	char s[513];

	(void)state;
	for (unsigned i = 0; i < 256; i++)
		all[i] = (uint8_t)i;
	assert_ptr_equal(hex_encode(s, all, 256), s);
	assert_int_equal(strlen(s), 512);
	assert_int_equal(memcmp(s, "000102", 6), 0);
	assert_string_equal(s + 506, "fdfeff");
	assert_true(hex_decode(back, 256, s, 512));
	assert_memory_equal(all, back, 256);
	assert_true(hex_decode(back, 2, "aBFf", 4));
	assert_memory_equal(back, "\xab\xff", 2);
	assert_true(hex_decode(back, 0, "", 0));
	assert_false(hex_decode(back, 2, "aBF", 3));
	assert_false(hex_decode(back, 2, "aBFf0", 5));
	assert_false(hex_decode(back, 2, "aBFf00", 6));
	for (unsigned c = 0; c < 256; c++) {
		bool digit = c != 0 &&
			strchr("0123456789abcdefABCDEF", (int)c) != NULL;
		char two[2] = { '0', (char)c };

		assert_int_equal(hex_decode(back, 1, two, 2), digit);
		two[0] = (char)c;
		two[1] = '0';
		assert_int_equal(hex_decode(back, 1, two, 2), digit);
	}
	assert_string_equal(hex_encode(s, NULL, 0), "");
}

static void
secret_memory(void **state)
{
	const size_t n = 5000;
	uint8_t *p = mem_secret_new(n), local[16];

	(void)state;
	assert_non_null(p);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(p[i], 0);
	memset(p, 0xaa, n);
	mem_wipe(p, n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(p[i], 0);
	mem_secret_free(p, n);
	mem_secret_free(NULL, 1);
	assert_null(mem_secret_new(0));
	assert_null(mem_secret_new(SIZE_MAX));
	memset(local, 0xaa, sizeof(local));
	mem_wipe(local, sizeof(local));
	assert_memory_equal(local, (uint8_t[16]){ 0 }, sizeof(local));
	mem_wipe(NULL, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_round_trip),
		cmocka_unit_test(grows),
		cmocka_unit_test(text_in_a_buffer),
		cmocka_unit_test(fails_for_good),
		cmocka_unit_test(reader_stops_at_the_end),
		cmocka_unit_test(hexadecimal),
		cmocka_unit_test(secret_memory),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
