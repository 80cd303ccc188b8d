/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The hash algorithms against FIPS 180 examples, streaming, files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/objects.h>
#include <openssl/x509.h>

#include "base/file.h"
#include "base/hex.h"
#include "crypto/digest.h"

/* FIPS 180-2 appendices B to D; and a million times "a" */
static const struct {
	const struct digest_alg *alg;
	const char *abc, *empty, *million;
} vectors[] = {
	{ &digest_sha256,
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015"
		"ad",
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b8"
		"55",
		"cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112c"
		"d0" },
	{ &digest_sha384,
		"cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5b"
		"ed8086072ba1e7cc2358baeca134c825a7",
		"38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1"
		"da274edebfe76f65fbd51ad2f14898b95b",
		"9d0e1809716474cb086e834e310a4a1ced149e9c00f248527972cec5704c2a"
		"5b07b8b3dc38ecc4ebae97ddd87f3d8985" },
	{ &digest_sha512,
		"ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d3"
		"9a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54c"
		"a49f",
		"cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9"
		"ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927"
		"da3e",
		"e718483d0ce769644e2e42c7bc15b4638e1f98b13b2044285632a803afa973"
		"ebde0ff244877ea60a4cb0432ce577c31beb009c5c2c49aa2e4eadb217ad8c"
		"c09b" },
	/* FIPS 202, the first 64 bytes; as another library has it */
	{ &digest_shake256,
		"483366601360a8771c6863080cc4114d8db44530f8f1e1ee4f94ea37e78b57"
		"39d5a15bef186a5386c75744c0527e1faa9f8726e462a12a4feb06bd8801e7"
		"51e4",
		"46b9dd2b0ba88d13233b3feb743eeb243fcd52ea62b81b82b50c27646ed576"
		"2fd75dc4ddd8c0f200cb05019d67b592f6fc821c49479ab48640292eacb3b7"
		"c4be",
		"3578a7a4ca9137569cdf76ed617d31bb994fca9c1bbf8b184013de8234dfd1"
		"3a3fd124d4df76c0a539ee7dd2f6e1ec346124c815d9410e145eb561bcd97b"
		"18ab" },
};

static struct ofs_error e;

static void
is(const uint8_t *hash, size_t n, const char *want)
{
	char hex[2 * DIGEST_MAX + 1];

	assert_string_equal(hex_encode(hex, hash, n), want);
}

static void
lookups(void **state)
{
	(void)state;
	for (size_t i = 0; i < 4; i++) {
		const struct digest_alg *a = vectors[i].alg;

		assert_ptr_equal(digest_by_id(a->id), a);
		assert_ptr_equal(digest_by_name(a->name), a);
		assert_ptr_equal(digest_by_nid(a->nid), a);
		assert_int_equal(EVP_MD_get_type(a->md()), a->nid);
		/* a function of any length says 32 */
		if (a != &digest_shake256)
			assert_int_equal(
				(size_t)EVP_MD_get_size(a->md()), a->size);
	}
	assert_string_equal(digest_sha384.name, "sha384");
	assert_int_equal(digest_sha384.id, OFS_DIGEST_SHA384);
	assert_null(digest_by_id(OFS_DIGEST_DEFAULT));
	assert_null(digest_by_name("SHA256"));
	assert_null(digest_by_name("sha1"));
	assert_null(digest_by_name(""));
	assert_null(digest_by_name(NULL));
	assert_null(digest_by_nid(NID_sha1));
	assert_null(digest_by_nid(NID_undef));
}

static void
examples(void **state)
{
	uint8_t hash[DIGEST_MAX];

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		const struct digest_alg *a = vectors[i].alg;

		assert_int_equal(digest_of(a, "abc", 3, hash, &e), 0);
		is(hash, a->size, vectors[i].abc);
		assert_int_equal(digest_of(a, NULL, 0, hash, &e), 0);
		is(hash, a->size, vectors[i].empty);
	}
}

/* One struct for all algorithms in turn, and for the same one again. */
static void
streaming(void **state)
{
	struct digest d = { NULL, NULL };
	uint8_t hash[DIGEST_MAX], a[1000];

	(void)state;
	memset(a, 'a', sizeof(a));
	for (size_t round = 0; round < 12; round++) {
		size_t i = round < 3 ? round : round / 2 % 3;
		const struct digest_alg *alg = vectors[i].alg;

		assert_int_equal(digest_begin(&d, alg, &e), 0);
		for (size_t k = 0; k < 1000; k++)
			assert_int_equal(digest_update(&d, a, 1000, &e), 0);
		assert_int_equal(digest_end(&d, hash, &e), 0);
		is(hash, alg->size, vectors[i].million);
		/* a beginning throws away what came before */
		assert_int_equal(digest_begin(&d, alg, &e), 0);
		assert_int_equal(digest_update(&d, a, 10, &e), 0);
		assert_int_equal(digest_begin(&d, alg, &e), 0);
		assert_int_equal(digest_update(&d, "a", 1, &e), 0);
		assert_int_equal(digest_update(&d, NULL, 0, &e), 0);
		assert_int_equal(digest_update(&d, "bc", 2, &e), 0);
		assert_int_equal(digest_end(&d, hash, &e), 0);
		is(hash, alg->size, vectors[i].abc);
	}
	digest_free(&d);
	assert_null(d.ctx);
	digest_free(&d);
}

/* The prefixes are what OpenSSL would encode. */
static void
digest_info(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		const struct digest_alg *a = vectors[i].alg;
		uint8_t hash[DIGEST_MAX], *der = NULL;
		ASN1_OCTET_STRING *os;
		X509_SIG *sig = X509_SIG_new();
		X509_ALGOR *algor;
		int n;

		memset(hash, 0x77, sizeof(hash));
		X509_SIG_getm(sig, &algor, &os);
		X509_ALGOR_set0(algor, OBJ_nid2obj(a->nid), V_ASN1_NULL, NULL);
		ASN1_OCTET_STRING_set(os, hash, (int)a->size);
		n = i2d_X509_SIG(sig, &der);
		assert_int_equal((size_t)n, a->di_len + a->size);
		assert_memory_equal(der, a->di, a->di_len);
		OPENSSL_free(der);
		X509_SIG_free(sig);
	}
}

static void
files(void **state)
{
	const char *tmp = getenv("TMPDIR");
	uint8_t hash[DIGEST_MAX];
	char name[100];
	uint64_t size;
	FILE *f;
	int fd;

	(void)state;
	snprintf(name, sizeof(name), "%s/digest_test.XXXXXX",
		tmp != NULL ? tmp : "/tmp");
	fd = mkstemp(name);
	assert_true(fd >= 0);
	f = fdopen(fd, "w");
	for (size_t i = 0; i < 1000000; i++)
		assert_int_equal(fputc('a', f), 'a');
	assert_int_equal(fclose(f), 0);
	for (size_t i = 0; i < 4; i++) {
		const struct digest_alg *a = vectors[i].alg;

		assert_int_equal(digest_file(a, name, hash, &size, &e), 0);
		assert_int_equal(size, 1000000);
		is(hash, a->size, vectors[i].million);
	}
	assert_int_equal(unlink(name), 0);
	assert_int_equal(
		digest_file(&digest_sha256, name, hash, &size, &e), OFS_EIO);
	assert_int_equal(size, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lookups),
		cmocka_unit_test(examples),
		cmocka_unit_test(streaming),
		cmocka_unit_test(digest_info),
		cmocka_unit_test(files),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
