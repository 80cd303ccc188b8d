/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Documents that could be signed attributes are recognised; names of files. */
#include "soft.h"

#include <offlinesig/sign.h>

#include "base/hex.h"
#include "format/raw.h"

static bool
looks(const char *hex, uint64_t total)
{
	uint8_t p[64];
	size_t n = strlen(hex) / 2;

	assert_true(hex_decode(p, n, hex, 2 * n));
	return raw_looks_like_attrs(p, n, total != 0 ? total : n);
}

static void
attributes_are_seen(void **state)
{
	(void)state;
	/* SET { SEQUENCE { OID, SET {} } } */
	assert_true(looks("31073005060155"
			  "3100",
		0));
	/* the same with lengths that are BER only */
	assert_true(looks("3181083005060155"
			  "310000",
		11));
	assert_true(looks("31820007"
			  "3005060155"
			  "3100",
		0));
	assert_true(looks("3180"
			  "3005060155"
			  "3100"
			  "0000",
		0));
	assert_true(looks("3109"
			  "308106"
			  "0601553100"
			  "00",
		0));
	assert_true(looks("310b"
			  "3080"
			  "060155"
			  "3100"
			  "0000",
		13));
	assert_true(looks("3100", 0));
	assert_true(looks("31800000", 0));
	/* only a beginning is at hand */
	assert_true(looks("318207d0"
			  "300506"
			  "0155",
		2004));
}

static void
documents_are_not(void **state)
{
	static const char *const plain[] = { "", "31", "3130", "30073005060155",
		"310730050601553100ff", "310630050601553100",
		"3107310506015531"
		"00",
		"3107300502015531"
		"00",
		/* text that begins with "1" */
		"3132333435363738390a", "31300a", "310a", "3120300d0a" };

	(void)state;
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		if (looks(plain[i], 0))
			fail_msg("taken for attributes: %s", plain[i]);
	/* right at the front, but more follows, or less */
	assert_false(looks("318207d0"
			   "3005060155",
		2005));
	assert_false(looks("318207d0"
			   "3005060155",
		2003));
	/* a length that is a number too large */
	assert_false(looks("3189ffffffffffffffffff3005060155", 0));
}

/* what cms_attrs() makes is always recognised, whole and by its prefix */
static void
own_attributes_are_seen(void **state)
{
	EVP_PKEY *k = soft_key(OFS_KEY_EC_P256);
	X509 *c = soft_cert(&(struct soft_cert){ .cn = "x", .to = SOFT_DAY }, k,
		NULL, NULL);
	struct cms_maker *m;
	struct buf attrs = BUF_INIT;
	struct ofs_error e;
	uint8_t hash[32] = { 0 };

	(void)state;
	assert_int_equal(cms_maker_new(c, NULL, alg_for(OFS_KEY_EC_P256, 0),
				 false, &m, &e),
		0);
	assert_int_equal(cms_attrs(m, hash, soft_now(), &attrs, &e), 0);
	assert_true(raw_looks_like_attrs(attrs.p, attrs.len, attrs.len));
	assert_true(raw_looks_like_attrs(attrs.p, 16, attrs.len));
	assert_false(raw_looks_like_attrs(attrs.p, attrs.len, attrs.len + 1));
	buf_free(&attrs);
	cms_maker_free(m);
	X509_free(c);
	EVP_PKEY_free(k);
}

static void
names(void **state)
{
	(void)state;
	assert_string_equal(ofs_format_suffix(OFS_FORMAT_CMS), ".p7s");
	assert_string_equal(ofs_format_suffix(OFS_FORMAT_CMS_ATTACHED), ".p7m");
	assert_string_equal(ofs_format_suffix(OFS_FORMAT_RAW), ".sig");
	assert_string_equal(ofs_format_suffix((enum ofs_format)7), "");
	assert_string_equal(ofs_format_suffix((enum ofs_format) - 1), "");
	assert_true(ofs_is_signature_name("a.p7s"));
	assert_true(ofs_is_signature_name("dir/a.xml.p7m"));
	assert_true(ofs_is_signature_name("a.sig"));
	assert_false(ofs_is_signature_name(".sig"));
	assert_false(ofs_is_signature_name("dir/.p7s"));
	assert_false(ofs_is_signature_name("a.p7s.txt"));
	assert_false(ofs_is_signature_name("sig"));
	assert_false(ofs_is_signature_name("a.P7S"));
	assert_false(ofs_is_signature_name(""));
	assert_false(ofs_is_signature_name(NULL));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attributes_are_seen),
		cmocka_unit_test(documents_are_not),
		cmocka_unit_test(own_attributes_are_seen),
		cmocka_unit_test(names),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
