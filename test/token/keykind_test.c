/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keys that others made, and tokens that want to be asked in other words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "crypto/pubkey.h"
#include "softhsm.h"
#include "token/keydef.h"
#include "token/mech.h"

static struct softhsm_seen seen;
static struct ofs_error e;
static ofs_ctx *ctx;
static ofs_token *token;

/* SoftHSM2's functions, and what stands before some of them */
static CK_FUNCTION_LIST *real, changed;
static struct {
	CK_RV oid_rv;        /* C_GenerateKeyPair's answer to an OID */
	CK_MECHANISM_TYPE m; /* of the last C_SignInit */
	CK_ULONG in_len;     /* of the last C_Sign */
	int made;
	int searches;
} f;

/*
 * SoftHSM2 leaks an ASN.1 string with each use of an Edwards key (in what
 * test/lib/lsan.supp names). Only the slow way to unwind finds its frames
 * above OpenSSL's; so these keys have a test program of their own.
 */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *
__asan_default_options(void)
{
	return "fast_unwind_on_malloc=0";
}

#define assert_ok(call)                                       \
	do {                                                  \
		if ((call) != 0)                              \
			fail_msg("%s: %s", #call, e.message); \
	} while (0)

static int
open_all(void **state)
{
	(void)state;
	ctx = softhsm_ctx(&seen);
	token = softhsm_open(ctx, "pkcs11:token=kinds");
	real = token->module->f;
	changed = *real;
	memset(&f, 0, sizeof(f));
	return 0;
}

static int
close_all(void **state)
{
	(void)state;
	token->module->f = real;
	ofs_token_free(token);
	ofs_ctx_free(ctx);
	return 0;
}

static void
sign_both_ways(ofs_key *k, bool low_s)
{
	static const uint8_t msg[] = "message";
	uint8_t hash[DIGEST_MAX];
	struct to_sign t = { .hash = hash,
		.message = msg,
		.message_len = sizeof(msg),
		.low_s = low_s };
	struct buf sig = BUF_INIT;
	struct key_session *s;

	assert_ok(key_alg(k, 0, 0, &t.alg, &e));
	assert_ok(digest_of(t.alg->digest, msg, sizeof(msg), hash, &e));
	assert_ok(key_session_open(k, &s, &e));
	for (int i = 0; i < 20; i++) {
		buf_reset(&sig);
		assert_ok(key_session_sign(s, &t, &sig, &e));
		assert_ok(pubkey_verify_signed(
			key_pub(k), &t, sig.p, sig.len, &e));
		/* a low s has no zero in front and no bit at its top */
		if (low_s)
			assert_true(sig.p[3 + sig.p[3] + 2] <= 32);
	}
	sig.p[sig.len - 1] ^= 1;
	assert_int_equal(
		pubkey_verify_signed(key_pub(k), &t, sig.p, sig.len, &e),
		OFS_ESIGNATURE);
	key_session_close(s);
	buf_free(&sig);
}

/* pkcs11-tool writes the name of the curve, and wraps the point */
static void
takes_keys_of_others(void **state)
{
	static const struct {
		const char *label, *id, *type;
		enum ofs_key_type kind;
	} t[] = {
		{ "edwards", "66", "EC:edwards25519", OFS_KEY_ED25519 },
		{ "koblitz", "67", "EC:secp256k1", OFS_KEY_EC_SECP256K1 },
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		const char *const args[] = { "--keypairgen", "--key-type",
			t[i].type, "--label", t[i].label, "--id", t[i].id,
			"--usage-sign", NULL };
		char uri[64];
		ofs_key *k;

		assert_int_equal(softhsm_pkcs11_tool("kinds", args), 0);
		close_all(NULL);
		open_all(NULL);
		snprintf(uri, sizeof(uri), "pkcs11:object=%s", t[i].label);
		if (ofs_key_open(token, uri, 0, &k) != 0)
			fail_msg("%s", ofs_token_error(token)->message);
		assert_int_equal(ofs_key_get_info(k)->type, t[i].kind);
		assert_true(ofs_key_get_info(k)->has_public);
		sign_both_ways(k, false);
		if (t[i].kind == OFS_KEY_EC_SECP256K1)
			sign_both_ways(k, true);
		assert_ok(key_destroy(k, &e));
		ofs_key_free(k);
	}
}

/* made here, as the token shows them, and found again as the same */
static void
generates(void **state)
{
	static const struct {
		const char *spec, *name;
		enum ofs_key_type type;
		unsigned int bits;
	} t[] = {
		{ "ed25519", "Ed25519", OFS_KEY_ED25519, 256 },
		{ "ed448", "Ed448", OFS_KEY_ED448, 456 },
		{ "ec:secp256k1", "secp256k1", OFS_KEY_EC_SECP256K1, 256 },
	};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		const struct ofs_key_info *info;
		uint8_t spki[32];
		ofs_key *k;

		assert_ok(key_generate(
			token, "pkcs11:object=gen", t[i].spec, &k, &e));
		info = ofs_key_get_info(k);
		assert_int_equal(info->type, t[i].type);
		assert_string_equal(info->type_name, t[i].name);
		assert_int_equal(info->bits, t[i].bits);
		assert_true(info->has_private && info->has_public);
		assert_int_equal(info->sensitive, 1);
		assert_int_equal(info->extractable, 0);
		assert_int_equal(info->never_extractable, 1);
		assert_int_equal(info->sign, 1);
		sign_both_ways(k, false);
		memcpy(spki, info->spki_sha256, 32);
		ofs_key_free(k);
		if (ofs_key_open(token, "pkcs11:object=gen", 0, &k) != 0)
			fail_msg("%s", ofs_token_error(token)->message);
		assert_memory_equal(ofs_key_get_info(k)->spki_sha256, spki, 32);
		sign_both_ways(k, false);
		assert_ok(key_destroy(k, &e));
		ofs_key_free(k);
	}
}

static CK_RV
generate_by_name(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_ATTRIBUTE *pub,
	CK_ULONG n, CK_ATTRIBUTE *priv, CK_ULONG n2, CK_OBJECT_HANDLE *a,
	CK_OBJECT_HANDLE *b)
{
	for (CK_ULONG i = 0; i < n; i++)
		if (pub[i].type == CKA_EC_PARAMS &&
			*(uint8_t *)pub[i].pValue == 0x06)
			return f.oid_rv;
	f.made++;
	return real->C_GenerateKeyPair(s, m, pub, n, priv, n2, a, b);
}

/* where the OID of RFC 8410 is not known, the name is tried, and only there */
static void
generates_by_name(void **state)
{
	static const CK_RV answers[] = { CKR_CURVE_NOT_SUPPORTED,
		CKR_DOMAIN_PARAMS_INVALID, CKR_ATTRIBUTE_VALUE_INVALID,
		CKR_TEMPLATE_INCONSISTENT };
	static const char *const specs[] = { "ed25519", "ed448" };
	ofs_key *k;

	(void)state;
	changed.C_GenerateKeyPair = generate_by_name;
	token->module->f = &changed;
	for (size_t i = 0; i < 8; i++) {
		f.oid_rv = answers[i / 2];
		assert_ok(key_generate(
			token, "pkcs11:object=named", specs[i % 2], &k, &e));
		assert_int_equal(ofs_key_get_info(k)->type,
			i % 2 == 0 ? OFS_KEY_ED25519 : OFS_KEY_ED448);
		assert_true(ofs_key_get_info(k)->extractable == 0);
		sign_both_ways(k, false);
		assert_ok(key_destroy(k, &e));
		ofs_key_free(k);
		assert_int_equal(f.made, i + 1);
	}
	f.oid_rv = CKR_DEVICE_MEMORY;
	assert_int_equal(
		key_generate(token, "pkcs11:object=named", "ed25519", &k, &e),
		OFS_ETOKEN);
	assert_null(k);
	f.oid_rv = CKR_CURVE_NOT_SUPPORTED;
	assert_int_equal(key_generate(token, "pkcs11:object=named",
				 "ec:secp256k1", &k, &e),
		OFS_EUNSUPPORTED);
	assert_int_equal(f.made, 8);
}

/* a token that does ECDSA over messages only, which SoftHSM2 does not */
static CK_RV
list_hashed(CK_SLOT_ID id, CK_MECHANISM_TYPE *list, CK_ULONG *n)
{
	(void)id;
	if (list != NULL)
		list[0] = CKM_ECDSA_SHA256;
	*n = 1;
	return CKR_OK;
}

static CK_RV
info_hashed(CK_SLOT_ID id, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *i)
{
	return real->C_GetMechanismInfo(
		id, type == CKM_ECDSA_SHA256 ? CKM_ECDSA : type, i);
}

static CK_RV
init_hashed(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE o)
{
	CK_MECHANISM ecdsa = { CKM_ECDSA, NULL, 0 };

	f.m = m->mechanism;
	return real->C_SignInit(s, &ecdsa, o);
}

static CK_RV
sign_hashed(CK_SESSION_HANDLE s, CK_BYTE *in, CK_ULONG n, CK_BYTE *out,
	CK_ULONG *len)
{
	uint8_t hash[32];
	struct ofs_error ignored;

	f.in_len = n;
	if (digest_of(&digest_sha256, in, n, hash, &ignored) != 0)
		return CKR_GENERAL_ERROR;
	return real->C_Sign(s, hash, sizeof(hash), out, len);
}

static void
has_ecdsa_hashed_by_the_token(void **state)
{
	const struct alg *a;
	ofs_key *k;

	(void)state;
	changed.C_GetMechanismList = list_hashed;
	changed.C_GetMechanismInfo = info_hashed;
	changed.C_SignInit = init_hashed;
	changed.C_Sign = sign_hashed;
	token->module->f = &changed;
	assert_ok(key_generate(
		token, "pkcs11:object=hashed", "ec:P-384", &k, &e));
	/* SHA-384 is the default of this curve, and not there */
	assert_int_equal(key_alg(k, 0, 0, &a, &e), OFS_EUNSUPPORTED);
	assert_ok(key_destroy(k, &e));
	ofs_key_free(k);
	assert_ok(key_generate(
		token, "pkcs11:object=hashed", "ec:P-256", &k, &e));
	assert_ok(key_alg(k, 0, 0, &a, &e));
	assert_true(key_takes_message(k, a));
	sign_both_ways(k, false);
	assert_int_equal(f.m, CKM_ECDSA_SHA256);
	assert_int_equal(f.in_len, sizeof("message"));
	token->module->f = real;
	assert_ok(key_destroy(k, &e));
	ofs_key_free(k);
}

static CK_RV
count_search(CK_SESSION_HANDLE s, CK_ATTRIBUTE *t, CK_ULONG n)
{
	f.searches++;
	return real->C_FindObjectsInit(s, t, n);
}

static void
opens_with(const char *uri, int code, int searches)
{
	ofs_key *k;

	f.searches = 0;
	assert_int_equal(ofs_key_open(token, uri, 0, &k), code);
	if (searches > 0)
		assert_int_equal(f.searches, searches);
	if (code == 0) {
		assert_true(ofs_key_get_info(k)->has_public);
		sign_both_ways(k, false);
	}
	ofs_key_free(k);
}

/* each search is slow on a token with many objects */
static void
searches_once(void **state)
{
	static const char *const labels[] = { "a", "b", "alone" };
	static const char *const ids[] = { "71", "71", "72" };

	(void)state;
	for (int i = 0; i < 3; i++) {
		const char *const args[] = { "--keypairgen", "--key-type",
			"RSA:2048", "--label", labels[i], "--id", ids[i],
			"--usage-sign", NULL };

		assert_int_equal(softhsm_pkcs11_tool("kinds", args), 0);
	}
	close_all(NULL);
	open_all(NULL);
	changed.C_FindObjectsInit = count_search;
	token->module->f = &changed;
	opens_with("pkcs11:id=%72", 0, 1);
	opens_with("pkcs11:id=%72;object=alone", 0, 1);
	opens_with("pkcs11:object=alone", 0, 2);
	/* of those with one id the label tells */
	opens_with("pkcs11:id=%71;object=a", 0, 1);
	opens_with("pkcs11:id=%71;object=b", 0, 1);
	opens_with("pkcs11:id=%71", OFS_EAMBIGUOUS, 1);
	assert_non_null(strstr(ofs_token_error(token)->message, "'a' (id 71)"));
	assert_non_null(strstr(ofs_token_error(token)->message, "'b' (id 71)"));
	opens_with("pkcs11:id=%71;object=alone", OFS_EKEY, 0);
	opens_with("pkcs11:id=%73", OFS_EKEY, 0);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, open_all, close_all)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(generates),
		TEST(takes_keys_of_others),
		TEST(generates_by_name),
		TEST(has_ecdsa_hashed_by_the_token),
		TEST(searches_once),
	};
	int rc;

	softhsm_start();
	softhsm_init_token("kinds");
	cmocka_set_message_output(CM_OUTPUT_TAP);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	softhsm_stop();
	return rc;
}
