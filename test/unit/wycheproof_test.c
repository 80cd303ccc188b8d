/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Project Wycheproof's vectors for each algorithm that we verify. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/hex.h"
#include "crypto/pubkey.h"

/* $OFS_VECTORS, and the folder itself or wycheproof/ in it */
static json_t *
load(const char *file)
{
	static const char *const subs[] = { "", "/wycheproof" };
	const char *dir = getenv("OFS_VECTORS");
	char path[4096];

	for (size_t i = 0; i < 2; i++) {
		json_t *j;

		snprintf(path, sizeof(path), "%s%s/%s",
			dir != NULL ? dir : "test/vectors", subs[i], file);
		j = json_load_file(path, 0, NULL);
		if (j != NULL)
			return j;
	}
	return NULL;
}

static const char *
string(json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	assert_non_null(s);
	return s;
}

static void
put_hex(struct buf *b, const char *hex)
{
	size_t n = strlen(hex) / 2;
	uint8_t *p = buf_grow(b, n + 1);

	assert_non_null(p);
	assert_true(hex_decode(p, n, hex, 2 * n));
	b->len--;
}

/* r || s of just the curve's size, as a token answers */
static bool
from_p1363(const struct alg *alg, struct buf *sig)
{
	size_t size = alg->digest->size; /* P-256/SHA-256, P-384/SHA-384 */
	struct buf der = BUF_INIT;
	struct ofs_error e;
	bool ok;

	ok = sig->len == 2 * size &&
		alg_ecdsa_to_der(sig->p, sig->len, &der, &e) == 0;
	buf_free(sig);
	*sig = der;
	return ok;
}

struct counts {
	int valid, invalid, either;
};

/* what a file holds, as far as its name tells */
struct kind {
	bool p1363;   /* r || s, not DER */
	bool refused; /* signatures of another algorithm than ours */
};

static void
run_case(json_t *t, EVP_PKEY *k, const struct alg *alg, const struct kind *kind,
	struct counts *n)
{
	const char *want = string(t, "result");
	int id = (int)json_integer_value(json_object_get(t, "tcId"));
	struct to_sign what = { .alg = alg };
	struct buf msg = BUF_INIT, sig = BUF_INIT;
	uint8_t hash[DIGEST_MAX];
	struct ofs_error e;
	int err;

	put_hex(&msg, string(t, "msg"));
	put_hex(&sig, string(t, "sig"));
	assert_int_equal(digest_of(alg->digest, msg.p, msg.len, hash, &e), 0);
	if (alg->mech == ALG_EDDSA) {
		what.message = msg.len > 0 ? msg.p : (const uint8_t *)"";
		what.message_len = msg.len;
	} else {
		what.hash = hash;
	}
	err = !kind->p1363 || from_p1363(alg, &sig)
		? pubkey_verify_signed(k, &what, sig.p, sig.len, &e)
		: OFS_ESIGNATURE;
	if (err != 0 && err != OFS_ESIGNATURE)
		fail_msg("%d: %s", id, e.message);
	if (strcmp(want, "valid") == 0) {
		n->valid++;
		if (kind->refused && err == 0)
			fail_msg("%d is of another algorithm, and was accepted",
				id);
		if (!kind->refused && err != 0)
			fail_msg("%d is valid and was refused", id);
	} else if (strcmp(want, "invalid") == 0) {
		n->invalid++;
		/* there, one with our length of salt is among these */
		if (!kind->refused && err == 0)
			fail_msg("%d is invalid and was accepted", id);
	} else {
		n->either++;
	}
	buf_free(&msg);
	buf_free(&sig);
}

/* the algorithm of a group; EdDSA groups name no hash */
static const struct alg *
alg_of_group(json_t *g, EVP_PKEY *k)
{
	const char *sha = json_string_value(json_object_get(g, "sha"));
	bool pss = strcmp(string(g, "type"), "RsassaPssVerify") == 0;
	enum ofs_digest d = sha == NULL       ? OFS_DIGEST_DEFAULT
		: strcmp(sha, "SHA-256") == 0 ? OFS_DIGEST_SHA256
		: strcmp(sha, "SHA-384") == 0 ? OFS_DIGEST_SHA384
					      : OFS_DIGEST_SHA512;

	return alg_padded(
		pubkey_type(k), pss ? OFS_PADDING_PSS : OFS_PADDING_DEFAULT, d);
}

static void
run_keys(json_t *g, const struct kind *kind, struct counts *n)
{
	struct buf der = BUF_INIT;
	const struct alg *alg;
	struct ofs_error e;
	EVP_PKEY *k = NULL;
	json_t *t;
	size_t i;

	put_hex(&der, string(g, "publicKeyDer"));
	if (pubkey_parse(der.p, der.len, &k, &e) != 0)
		fail_msg("%s", e.message);
	alg = alg_of_group(g, k);
	assert_non_null(alg);
	json_array_foreach(json_object_get(g, "tests"), i, t)
		run_case(t, k, alg, kind, n);
	EVP_PKEY_free(k);
	buf_free(&der);
}

static void
run_file(void **state)
{
	const char *file = *state;
	const struct kind kind = { .p1363 = strstr(file, "p1363") != NULL,
		/* without a salt */
		.refused = strstr(file, "mgf1_0") != NULL };
	struct counts n = { 0, 0, 0 };
	json_t *j = load(file), *g;
	json_t *total;
	size_t i;

	if (j == NULL)
		fail_msg("cannot read %s", file);
	json_array_foreach(json_object_get(j, "testGroups"), i, g)
		run_keys(g, &kind, &n);
	total = json_object_get(j, "numberOfTests");
	printf("# %s: %d valid, %d invalid, %d either\n", file, n.valid,
		n.invalid, n.either);
	assert_int_equal(
		n.valid + n.invalid + n.either, json_integer_value(total));
	assert_true(n.valid > 0 && n.invalid > 0);
	json_decref(j);
}

#define FILE_TEST(name)                                      \
	{                                                    \
		name, run_file, NULL, NULL,                  \
			(void *)(uintptr_t)name "_test.json" \
	}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		FILE_TEST("ecdsa_secp256r1_sha256"),
		FILE_TEST("ecdsa_secp256r1_sha256_p1363"),
		FILE_TEST("ecdsa_secp384r1_sha384"),
		FILE_TEST("ecdsa_secp384r1_sha384_p1363"),
		FILE_TEST("rsa_signature_2048_sha256"),
		FILE_TEST("rsa_signature_2048_sha384"),
		FILE_TEST("rsa_signature_2048_sha512"),
		FILE_TEST("rsa_signature_3072_sha256"),
		FILE_TEST("rsa_signature_3072_sha384"),
		FILE_TEST("rsa_signature_3072_sha512"),
		FILE_TEST("rsa_pss_2048_sha256_mgf1_32"),
		FILE_TEST("rsa_pss_2048_sha384_mgf1_48"),
		FILE_TEST("rsa_pss_3072_sha256_mgf1_32"),
		FILE_TEST("rsa_pss_2048_sha256_mgf1_0"),
		FILE_TEST("ed25519"),
	};
	json_t *first = load("ecdsa_secp256r1_sha256_test.json");

	if (first == NULL) {
		printf("1..0 # SKIP no vectors: set OFS_VECTORS to the folder "
		       "of Wycheproof's JSON files\n");
		return 0;
	}
	json_decref(first);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
