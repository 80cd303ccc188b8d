/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is DER and what is only BER, value by value. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "crypto/der.h"

/* Bytes of a hex string on a heap of exactly their size: ASan sees overruns. */
static uint8_t *
bytes(const char *hex, size_t *n)
{
	uint8_t *p;

	*n = strlen(hex) / 2;
	p = malloc(*n > 0 ? *n : 1);
	assert_non_null(p);
	assert_true(hex_decode(p, *n, hex, 2 * *n));
	return p;
}

static bool
strict(const char *hex)
{
	size_t n;
	uint8_t *p = bytes(hex, &n);
	bool ok = der_is_strict(p, n);

	free(p);
	return ok;
}

static bool
ecdsa(const char *hex)
{
	size_t n;
	uint8_t *p = bytes(hex, &n);
	bool ok = der_is_ecdsa_sig(p, n);

	free(p);
	return ok;
}

static void
accepts(void **state)
{
	static const char *const good[] = { "0500", "3000", "3100", "020100",
		"02017f", "02020080", "0201ff", "0202ff7f", "0101ff", "010100",
		"0400", "0401ff", "030100", "030206c0", "03020080",
		"06032a0304", "0603883701", "0c03e282ac", "a0030101ff",
		"800100", "8000", "bf1f00", "bf8100020500", "9f1f00",
		"3006020101020102",
		/* SET in order: equal, ascending, a shorter one first */
		"3106020101020101", "3106020101020102", "31050201010500",
		"310704010104020100", "300d06092a864886f70d01010b0500" };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (!strict(good[i]))
			fail_msg("refused: %s", good[i]);
}

static void
refuses(void **state)
{
	static const char *const bad[] = { /* cut, or with something behind */
		"", "05", "30", "0201", "020200", "3003020101ff", "050000",
		"05000500", "300302010100", "30020201", "3004020101",
		/* lengths: indefinite, not minimal, reserved, too long */
		"30800000", "3080", "308103020101", "04810100", "0482000100",
		"04ff", "0485000000000100", "0484ffffffff", "048180",
		"04847fffffff00",
		/* tags: long form for a short one, padded, endless */
		"1f0500", "1f1e00", "9f801f00", "9fffffffff7f00", "9f", "9f81",
		"9f1f", "0000",
		/* contents */
		"0100", "010101", "01020000", "0200", "02020001", "0202007f",
		"0202ffff", "0202ff80", "0a020001", "0300", "030101",
		"030208ff", "030201ff", "03020701", "050100", "0600", "060180",
		"06022a80", "06022a81", "06032a8001",
		/* constructed strings; SEQUENCE and SET that are not */
		"2403040100", "2c030c0161", "2303030100", "1000", "1100",
		/* a SET out of order */
		"3106020102020101", "31050500020101", "310704020100040101",
		/* inside explicit tags too */
		"a003010101", "a1053003010101", "a0800000"
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (strict(bad[i]))
			fail_msg("accepted: %s", bad[i]);
}

static void
long_lengths(void **state)
{
	static const size_t lens[] = { 127, 128, 255, 256, 65535, 65536 };

	(void)state;
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		size_t len = lens[i];
		/* the right form has `need` octets; try all of them */
		size_t need = len < 128 ? 0
			: len < 256     ? 1
			: len < 65536   ? 2
					: 3;

		for (size_t octets = need; octets <= 4; octets++) {
			uint8_t *p = calloc(1, len + 6);
			size_t o = 0;

			assert_non_null(p);
			p[o++] = 0x04;
			if (octets > 0)
				p[o++] = (uint8_t)(0x80 | octets);
			for (size_t k = octets; k > 0; k--)
				p[o++] = (uint8_t)(len >> (8 * (k - 1)));
			if (octets == 0)
				p[o++] = (uint8_t)len;
			assert_int_equal(
				der_is_strict(p, o + len), octets == need);
			assert_false(der_is_strict(p, o + len - 1));
			free(p);
		}
	}
}

static void
depth_is_bounded(void **state)
{
	uint8_t p[128];

	(void)state;
	for (size_t depth = 1; depth < 60; depth++) {
		for (size_t i = 0; i < depth; i++) {
			p[2 * i] = 0x30;
			p[2 * i + 1] = (uint8_t)(2 * (depth - 1 - i));
		}
		assert_int_equal(der_is_strict(p, 2 * depth), depth < 32);
	}
}

static void
ecdsa_signatures(void **state)
{
	static const char *const bad[] = { "", "3000", "3003020101",
		"300602010102010200", "3009020101020101020101",
		"3106020101020101", "30060201010a0101", "3006020101028101",
		"300702010102020001", "300702020001020101", "30060201ff020101",
		"3006020101020180", "30050201010200", "308106020101020101",
		"30800201010201010000", "3006220101020101", "30060201010201" };

	(void)state;
	assert_true(ecdsa("3006020101020102"));
	assert_true(ecdsa("300802020080020200ff"));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (ecdsa(bad[i]))
			fail_msg("accepted: %s", bad[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts),
		cmocka_unit_test(refuses),
		cmocka_unit_test(long_lengths),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(ecdsa_signatures),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
