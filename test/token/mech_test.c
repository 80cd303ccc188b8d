/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which mechanism is taken, with which parameters, and what comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "crypto/der.h"
#include "token/keydef.h"
#include "token/mech.h"

#define MAX 8

static struct ofs_error e;

/* What the token says of its mechanisms. */
static struct {
	struct {
		CK_MECHANISM_TYPE type;
		CK_ULONG min, max;
		CK_FLAGS flags;
	} has[MAX];
	size_t n;
	CK_RV list_rv, info_rv; /* info_rv: of a mechanism that is not there */
	CK_MECHANISM_TYPE unlisted;
	CK_ULONG list_lie; /* says that it has so many more */
	int asked;
} f;

static CK_RV
get_list(CK_SLOT_ID id, CK_MECHANISM_TYPE *list, CK_ULONG *n)
{
	CK_ULONG count = 0;

	(void)id;
	for (size_t i = 0; i < f.n; i++) {
		if (f.has[i].type == f.unlisted)
			continue;
		if (list != NULL)
			list[count] = f.has[i].type;
		count++;
	}
	*n = count + (list == NULL ? 0 : f.list_lie);
	return f.list_rv;
}

static CK_RV
get_info(CK_SLOT_ID id, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info)
{
	(void)id;
	f.asked++;
	for (size_t i = 0; i < f.n; i++)
		if (f.has[i].type == type) {
			info->ulMinKeySize = f.has[i].min;
			info->ulMaxKeySize = f.has[i].max;
			info->flags = f.has[i].flags;
			return CKR_OK;
		}
	return f.info_rv;
}

static CK_FUNCTION_LIST functions = {
	.C_GetMechanismList = get_list,
	.C_GetMechanismInfo = get_info,
};
static struct module module = { .f = &functions };
static ofs_token token = { .module = &module };
static struct ofs_key key = { .token = &token, .signs = true };

static int
set_up(void **state)
{
	(void)state;
	memset(&f, 0, sizeof(f));
	f.info_rv = CKR_MECHANISM_INVALID;
	memset(&key.p, 0, sizeof(key.p));
	strcpy(key.p.info.label, "k");
	strcpy(token.info.label, "t");
	return 0;
}

static void
has(CK_MECHANISM_TYPE type, CK_ULONG min, CK_ULONG max)
{
	assert_true(f.n < MAX);
	f.has[f.n].type = type;
	f.has[f.n].min = min;
	f.has[f.n].max = max;
	f.has[f.n++].flags = CKF_SIGN | CKF_VERIFY;
}

static void
key_is(enum ofs_key_type type, unsigned int bits)
{
	key.p.info.type = type;
	key.p.info.bits = bits;
	strcpy(key.p.info.type_name, "some");
}

static void
offered(int code, const char *why)
{
	err_clear(&e);
	assert_int_equal(mech_offered(&token, &key.p, &key.mechs, &e), code);
	if (code != 0 && strstr(e.message, why) == NULL)
		fail_msg("'%s' lacks '%s'", e.message, why);
	assert_int_equal(key.mechs != 0, code == 0);
}

/* the mechanism for an algorithm; 0: there is none */
static CK_MECHANISM_TYPE
chosen(enum ofs_padding padding, enum ofs_digest digest, bool *message)
{
	const struct alg *a = alg_padded(key.p.info.type, padding, digest);
	CK_MECHANISM_TYPE type = 0;

	assert_non_null(a);
	if (mech_choose(key.mechs, a, &type, message, &e) != 0) {
		assert_int_equal(e.code, OFS_EUNSUPPORTED);
		return 0;
	}
	return type;
}

static void
prefers_a_hash_of_ours(void **state)
{
	bool message;

	(void)state;
	key_is(OFS_KEY_RSA, 2048);
	has(CKM_SHA256_RSA_PKCS, 1024, 4096);
	has(CKM_RSA_PKCS, 1024, 4096);
	has(CKM_SHA256_RSA_PKCS_PSS, 1024, 4096);
	has(CKM_RSA_PKCS_PSS, 1024, 4096);
	offered(0, "");
	/* and then nothing worse is asked about */
	assert_int_equal(f.asked, 2);
	assert_int_equal(chosen(0, OFS_DIGEST_SHA256, &message), CKM_RSA_PKCS);
	assert_false(message);
	assert_int_equal(chosen(0, OFS_DIGEST_SHA512, &message), CKM_RSA_PKCS);
	assert_int_equal(
		chosen(OFS_PADDING_PSS, 0, &message), CKM_RSA_PKCS_PSS);
	assert_false(message);
	assert_false(key_takes_message(&key, alg_for(OFS_KEY_RSA, 0)));
}

static void
falls_back_on_the_message(void **state)
{
	const struct alg *a;
	bool message = false;

	(void)state;
	key_is(OFS_KEY_RSA, 2048);
	has(CKM_SHA256_RSA_PKCS, 1024, 4096);
	has(CKM_SHA384_RSA_PKCS_PSS, 1024, 4096);
	offered(0, "");
	assert_int_equal(chosen(0, 0, &message), CKM_SHA256_RSA_PKCS);
	assert_true(message);
	assert_int_equal(chosen(0, OFS_DIGEST_SHA384, &message), 0);
	assert_non_null(strstr(e.message, "CKM_RSA_PKCS"));
	assert_int_equal(chosen(OFS_PADDING_PSS, OFS_DIGEST_SHA384, &message),
		CKM_SHA384_RSA_PKCS_PSS);
	assert_int_equal(chosen(OFS_PADDING_PSS, 0, &message), 0);
	assert_true(key_takes_message(&key, alg_for(OFS_KEY_RSA, 0)));
	/* the padding is the token's to choose, where nobody asked for one */
	assert_int_equal(key_alg(&key, 0, OFS_DIGEST_SHA384, &a, &e), 0);
	assert_string_equal(a->name, "rsa-pss-sha384");
	assert_int_equal(
		key_alg(&key, OFS_PADDING_PKCS1, OFS_DIGEST_SHA384, &a, &e),
		OFS_EUNSUPPORTED);
	assert_int_equal(
		key_alg(&key, 0, OFS_DIGEST_SHA512, &a, &e), OFS_EUNSUPPORTED);
	assert_non_null(strstr(e.message, "CKM_RSA_PKCS"));

	set_up(NULL);
	key_is(OFS_KEY_EC_P384, 384);
	has(CKM_ECDSA_SHA384, 256, 521);
	offered(0, "");
	assert_int_equal(chosen(0, 0, &message), CKM_ECDSA_SHA384);
	assert_true(message);
	assert_int_equal(chosen(0, OFS_DIGEST_SHA256, &message), 0);

	set_up(NULL);
	key_is(OFS_KEY_ED448, 456);
	has(CKM_EDDSA, 255, 255);
	offered(0, "");
	assert_int_equal(chosen(0, 0, &message), CKM_EDDSA);
	assert_true(message);
	assert_int_equal(
		key_alg(&key, OFS_PADDING_PSS, 0, &a, &e), OFS_EUNSUPPORTED);
	assert_non_null(strstr(e.message, "RSA"));
}

static void
believes_list_flags_and_sizes(void **state)
{
	(void)state;
	key_is(OFS_KEY_EC_P256, 256);
	has(CKM_RSA_PKCS, 0, 0);
	offered(OFS_EUNSUPPORTED, "has no CKM_ECDSA");
	has(CKM_ECDSA, 256, 384);
	offered(0, "");
	f.has[1].flags = CKF_VERIFY;
	offered(OFS_EUNSUPPORTED, "has no CKM_ECDSA");
	f.has[1].flags = CKF_SIGN;
	f.unlisted = CKM_ECDSA;
	offered(OFS_EUNSUPPORTED, "has no CKM_ECDSA");
	/* no list, or one that makes no sense: then what it describes */
	f.list_rv = CKR_FUNCTION_NOT_SUPPORTED;
	offered(0, "");
	f.list_rv = CKR_OK;
	f.list_lie = 1UL << 40;
	offered(0, "");
	f.list_lie = 0;
	f.unlisted = 0;
	key_is(OFS_KEY_EC_P521, 521);
	offered(OFS_EUNSUPPORTED, "with some keys");
	f.has[1].max = 521;
	offered(0, "");
	/* in bytes, or not at all */
	f.has[1].min = 28;
	f.has[1].max = 66;
	offered(0, "");
	f.has[1].max = 65;
	offered(OFS_EUNSUPPORTED, "with some keys");
	f.has[1].max = 0;
	offered(0, "");
	f.has[1].max = (CK_ULONG)-1;
	offered(0, "");
	f.has[1].min = 522;
	offered(OFS_EUNSUPPORTED, "with some keys");

	key_is(OFS_KEY_RSA, 2048);
	f.has[0].min = 2048;
	f.has[0].max = 2048;
	offered(0, "");
	f.has[0].min = 2049;
	f.has[0].max = 4096;
	offered(OFS_EUNSUPPORTED, "CKM_RSA_PKCS with some keys");
	f.has[0].min = 64;
	f.has[0].max = 256;
	offered(0, "");
	f.has[0].max = 255;
	offered(OFS_EUNSUPPORTED, "with some keys");
}

static void
heeds_what_the_key_allows(void **state)
{
	bool message;

	(void)state;
	key_is(OFS_KEY_RSA, 2048);
	has(CKM_RSA_PKCS, 0, 0);
	has(CKM_RSA_PKCS_PSS, 0, 0);
	key.p.allowed[0] = CKM_RSA_PKCS_PSS;
	key.p.allowed[1] = CKM_RSA_X_509;
	key.p.n_allowed = 2;
	offered(0, "");
	assert_int_equal(chosen(0, 0, &message), 0);
	assert_int_equal(
		chosen(OFS_PADDING_PSS, 0, &message), CKM_RSA_PKCS_PSS);
	key.p.n_allowed = 1;
	key.p.allowed[0] = CKM_RSA_X_509;
	offered(OFS_EUNSUPPORTED, "allowed mechanisms");
}

static void
tells_a_token_that_fails(void **state)
{
	(void)state;
	key_is(OFS_KEY_EC_P256, 256);
	f.info_rv = CKR_DEVICE_REMOVED;
	offered(OFS_ETOKEN, "CKM_ECDSA: CKR_DEVICE_REMOVED");
	assert_int_equal(e.ckr, CKR_DEVICE_REMOVED);
	/* what is there does, whatever was said of the rest */
	key_is(OFS_KEY_RSA, 2048);
	has(CKM_RSA_PKCS, 0, 0);
	f.list_rv = CKR_GENERAL_ERROR;
	offered(0, "");
}

static void
prepares(void **state)
{
	static const uint8_t di[] = { 0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60,
		0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00,
		0x04, 0x30 };
	static const struct {
		CK_MECHANISM_TYPE hash, mgf;
		CK_ULONG salt;
	} pss[] = { { CKM_SHA256, CKG_MGF1_SHA256, 32 },
		{ CKM_SHA384, CKG_MGF1_SHA384, 48 },
		{ CKM_SHA512, CKG_MGF1_SHA512, 64 } };
	uint8_t hash[DIGEST_MAX];
	struct to_sign t = { .hash = hash };
	struct mech m;

	(void)state;
	memset(hash, 0x42, sizeof(hash));
	t.alg = alg_for(OFS_KEY_RSA, OFS_DIGEST_SHA384);
	assert_int_equal(mech_prepare(UINT32_MAX, &t, &m, &e), 0);
	assert_int_equal(m.ck.mechanism, CKM_RSA_PKCS);
	assert_null(m.ck.pParameter);
	assert_int_equal(m.ck.ulParameterLen, 0);
	assert_int_equal(m.in_len, sizeof(di) + 48);
	assert_memory_equal(m.in, di, sizeof(di));
	assert_memory_equal(m.in + sizeof(di), hash, 48);
	for (int i = 0; i < 3; i++) {
		CK_RSA_PKCS_PSS_PARAMS *p;

		t.alg = alg_padded(OFS_KEY_RSA, OFS_PADDING_PSS,
			(enum ofs_digest)(OFS_DIGEST_SHA256 + i));
		assert_int_equal(mech_prepare(UINT32_MAX, &t, &m, &e), 0);
		assert_int_equal(m.ck.mechanism, CKM_RSA_PKCS_PSS);
		assert_int_equal(m.ck.ulParameterLen, sizeof(*p));
		p = m.ck.pParameter;
		assert_int_equal(p->hashAlg, pss[i].hash);
		assert_int_equal(p->mgf, pss[i].mgf);
		assert_int_equal(p->sLen, pss[i].salt);
		assert_ptr_equal(m.in, hash);
		assert_int_equal(m.in_len, pss[i].salt);
	}
	t.alg = alg_for(OFS_KEY_EC_P521, OFS_DIGEST_SHA256);
	assert_int_equal(mech_prepare(UINT32_MAX, &t, &m, &e), 0);
	assert_int_equal(m.ck.mechanism, CKM_ECDSA);
	assert_int_equal(m.in_len, 32);
	/* the message, which is not there, and which is empty */
	t.alg = alg_for(OFS_KEY_ED25519, 0);
	assert_int_equal(mech_prepare(UINT32_MAX, &t, &m, &e), OFS_EINVAL);
	t.message = hash;
	assert_int_equal(mech_prepare(UINT32_MAX, &t, &m, &e), 0);
	assert_int_equal(m.ck.mechanism, CKM_EDDSA);
	assert_null(m.ck.pParameter);
	assert_int_equal(m.in_len, 0);
	t.message_len = 5;
	assert_int_equal(mech_prepare(UINT32_MAX, &t, &m, &e), 0);
	assert_ptr_equal(m.in, hash);
	assert_int_equal(m.in_len, 5);
	t.alg = alg_for(OFS_KEY_EC_P256, 0);
	t.hash = NULL;
	assert_int_equal(mech_prepare(UINT32_MAX, &t, &m, &e), OFS_EINVAL);
	assert_int_equal(mech_prepare(0, &t, &m, &e), OFS_EUNSUPPORTED);
	assert_non_null(strstr(e.message, "CKM_ECDSA"));
}

/* which lengths of an answer are taken */
static void
takes_lengths(void **state)
{
	static const struct {
		enum ofs_key_type type;
		unsigned int bits;
		size_t good[3];
	} t[] = {
		{ OFS_KEY_RSA, 2048, { 256, 256, 256 } },
		{ OFS_KEY_RSA, 2047, { 256, 256, 256 } },
		{ OFS_KEY_EC_P256, 256, { 64, 62, 2 } },
		{ OFS_KEY_EC_P384, 384, { 96, 94, 2 } },
		{ OFS_KEY_EC_P521, 521, { 132, 130, 2 } },
		{ OFS_KEY_EC_SECP256K1, 256, { 64, 62, 2 } },
		{ OFS_KEY_ED25519, 256, { 64, 64, 64 } },
		{ OFS_KEY_ED448, 456, { 114, 114, 114 } },
	};
	uint8_t answer[300];

	(void)state;
	memset(answer, 0x41, sizeof(answer));
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct to_sign what = { .alg = alg_for(t[i].type, 0) };
		bool ec = what.alg->mech == ALG_ECDSA;
		struct buf sig = BUF_INIT;

		key_is(t[i].type, t[i].bits);
		for (size_t n = 0; n < sizeof(answer); n++) {
			bool good = ec
				? n > 0 && n % 2 == 0 && n <= t[i].good[0]
				: n == t[i].good[0];
			int rc = mech_take(
				&what, &key.p.info, answer, n, &sig, &e);

			assert_int_equal(rc, good ? 0 : OFS_EBADSIG);
			if (good && ec)
				assert_true(der_is_ecdsa_sig(sig.p, sig.len));
			else if (good)
				assert_memory_equal(sig.p, answer, n);
			assert_true(good == (sig.len > 0));
			buf_reset(&sig);
		}
		for (size_t k = 0; k < 3; k++) {
			assert_int_equal(mech_take(&what, &key.p.info, answer,
						 t[i].good[k], &sig, &e),
				0);
			buf_reset(&sig);
		}
		buf_free(&sig);
	}
}

static void
takes_low_s(void **state)
{
	struct to_sign t = { .alg = alg_for(OFS_KEY_EC_SECP256K1, 0) };
	uint8_t rs[64];
	struct buf sig = BUF_INIT;

	(void)state;
	key_is(OFS_KEY_EC_SECP256K1, 256);
	memset(rs, 0x41, 32);
	memset(rs + 32, 0xf0, 32);
	assert_int_equal(mech_take(&t, &key.p.info, rs, 64, &sig, &e), 0);
	assert_int_equal(sig.len, 2 + 2 + 32 + 2 + 33);
	assert_memory_equal(sig.p + 2 + 2 + 32, "\x02\x21\x00\xf0\xf0", 5);
	buf_reset(&sig);
	t.low_s = true;
	assert_int_equal(mech_take(&t, &key.p.info, rs, 64, &sig, &e), 0);
	/* n - s: ff..fe... - f0..f0... */
	assert_int_equal(sig.len, 2 + 2 + 32 + 2 + 32);
	assert_memory_equal(sig.p + 2 + 2 + 32, "\x02\x20\x0f\x0f\x0f", 5);
	buf_reset(&sig);
	/* halves of one byte are numbers as well, and low */
	assert_int_equal(mech_take(&t, &key.p.info, rs, 2, &sig, &e), 0);
	assert_int_equal(sig.len, 8);
	assert_memory_equal(sig.p, "\x30\x06\x02\x01\x41\x02\x01\x41", 8);
	buf_reset(&sig);
	/* no other curve's */
	key_is(OFS_KEY_EC_P256, 256);
	assert_int_equal(mech_take(&t, &key.p.info, rs, 64, &sig, &e), 0);
	assert_int_equal(sig.len, 2 + 2 + 32 + 2 + 33);
	buf_free(&sig);
}

#define TEST(t) cmocka_unit_test_setup(t, set_up)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(prefers_a_hash_of_ours),
		TEST(falls_back_on_the_message),
		TEST(believes_list_flags_and_sizes),
		TEST(heeds_what_the_key_allows),
		TEST(tells_a_token_that_fails),
		TEST(prepares),
		TEST(takes_lengths),
		TEST(takes_low_s),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
