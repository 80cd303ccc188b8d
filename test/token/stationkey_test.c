/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A station key on a token: whatever the token answers, the log stays whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/rsa.h>

#include <offlinesig.h>

#include "crypto/wrap.h"
#include "faultp11.h"
#include "softhsm.h"
#include "token/token.h"

#define LABEL "desk"
#define TOKEN "pkcs11:token=" LABEL
#define KEY TOKEN ";object=log"

/* Between us and the module: what the token makes of C_Decrypt. */
static struct {
	CK_FUNCTION_LIST *real, list;
	enum { TRUE_ANSWER, OTHER_BYTES, SHORT, LONG, EMPTY, WITH_SHA256 } how;
	EVP_PKEY *soft; /* of WITH_SHA256 */
	bool sha256;
} spy;

struct fixture {
	struct softhsm_seen seen;
	ofs_ctx *ctx;
	ofs_token *token;
	ofs_audit *audit;
	char dir[600];
};

static CK_RV
decrypt_init(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
	const CK_RSA_PKCS_OAEP_PARAMS *p = m->pParameter;

	if (spy.how != WITH_SHA256)
		return spy.real->C_DecryptInit(h, m, key);
	assert_int_equal(m->mechanism, CKM_RSA_PKCS_OAEP);
	assert_int_equal(p->hashAlg, CKM_SHA256);
	assert_int_equal(p->mgf, CKG_MGF1_SHA256);
	spy.sha256 = true;
	return CKR_OK;
}

static CK_RV
decrypt_soft(const CK_BYTE *in, CK_ULONG len, CK_BYTE *out, CK_ULONG *n)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(spy.soft, NULL);
	size_t got = *n;
	int ok = EVP_PKEY_decrypt_init(ctx) == 1 &&
		EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) > 0 &&
		EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()) > 0 &&
		EVP_PKEY_decrypt(ctx, out, &got, in, len) == 1;

	EVP_PKEY_CTX_free(ctx);
	*n = got;
	return ok ? CKR_OK : CKR_ENCRYPTED_DATA_INVALID;
}

static CK_RV
decrypt(CK_SESSION_HANDLE h, CK_BYTE *in, CK_ULONG len, CK_BYTE *out,
	CK_ULONG *n)
{
	CK_RV rv;

	if (spy.how == WITH_SHA256)
		return decrypt_soft(in, len, out, n);
	rv = spy.real->C_Decrypt(h, in, len, out, n);
	if (rv != CKR_OK)
		return rv;
	if (spy.how == OTHER_BYTES)
		out[7] ^= 1;
	else if (spy.how == SHORT)
		*n -= 1;
	else if (spy.how == LONG)
		*n += 1;
	else if (spy.how == EMPTY)
		*n = 0;
	return rv;
}

/* nobody is logged in then */
static void
open_token(struct fixture *f)
{
	if (f->token != NULL)
		f->token->module->f = spy.real;
	ofs_token_free(f->token);
	f->token = softhsm_open(f->ctx, TOKEN);
	spy.real = f->token->module->f;
	spy.list = *spy.real;
	spy.list.C_DecryptInit = decrypt_init;
	spy.list.C_Decrypt = decrypt;
	f->token->module->f = &spy.list;
	memset(&f->seen, 0, sizeof(f->seen));
}

static void
close_log(struct fixture *f)
{
	ofs_audit_free(f->audit);
	f->audit = NULL;
}

/* as it is on the disk: nothing is open */
static void
open_log(struct fixture *f)
{
	close_log(f);
	if (ofs_audit_open(f->ctx, f->dir, 0, &f->audit) != 0)
		fail_msg("%s", ofs_ctx_error(f->ctx)->message);
}

static struct ofs_audit_keys
keys(struct fixture *f)
{
	struct ofs_audit_keys k;

	assert_int_equal(ofs_audit_get_keys(f->audit, &k), 0);
	return k;
}

static void
enroll(struct fixture *f, const char *uri, const char *type, bool use_log)
{
	struct ofs_enroll_opts o = OFS_ENROLL_OPTS_INIT;
	struct ofs_enrolled en;

	o.key_type = type;
	o.use_log = use_log;
	if (ofs_key_enroll(f->token, f->audit, uri, &o, &en) != 0)
		fail_msg("%s", ofs_token_error(f->token)->message);
	assert_int_equal(en.key.sign, !use_log);
	assert_int_equal(en.key.decrypt, use_log);
	ofs_enrolled_clear(&en);
}

static int
group_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	fault_start();
	softhsm_init_token(LABEL);
	f->ctx = softhsm_ctx(&f->seen);
	open_token(f);
	snprintf(f->dir, sizeof(f->dir), "%s/setup", softhsm_dir());
	if (ofs_audit_init(f->ctx, f->dir, NULL) != 0)
		fail_msg("%s", ofs_ctx_error(f->ctx)->message);
	open_log(f);
	enroll(f, KEY, "rsa:2048", true);
	enroll(f, TOKEN ";object=signs", "rsa:2048", false);
	enroll(f, TOKEN ";object=ec", "ec:P-256", false);
	close_log(f);
	*state = f;
	return 0;
}

static int
group_teardown(void **state)
{
	struct fixture *f = *state;

	f->token->module->f = spy.real;
	ofs_token_free(f->token);
	ofs_ctx_free(f->ctx);
	free(f);
	softhsm_stop();
	return 0;
}

/* a log of its own for each test */
static int
setup(void **state)
{
	static int n;
	struct fixture *f = *state;

	fault_reset();
	spy.how = TRUE_ANSWER;
	snprintf(f->dir, sizeof(f->dir), "%s/log%d", softhsm_dir(), n++);
	open_token(f);
	if (ofs_audit_init_on_token(f->token, NULL, KEY, f->dir, NULL) != 0)
		fail_msg("%s", ofs_token_error(f->token)->message);
	open_log(f);
	open_token(f);
	return 0;
}

static int
teardown(void **state)
{
	fault_reset();
	spy.how = TRUE_ANSWER;
	close_log(*state);
	return 0;
}

static void
opens_with_one_login(void **state)
{
	struct fixture *f = *state;
	struct ofs_audit_keys k = keys(f);

	assert_int_equal(k.mode, OFS_AUDIT_STATION);
	assert_non_null(strstr(k.station_key, "object=log"));
	assert_false(k.readable);
	assert_false(k.passphrase);
	fault_reset();
	assert_int_equal(ofs_audit_unlock_token(f->audit, f->token), 0);
	assert_true(keys(f).readable);
	assert_int_equal(f->seen.asked[OFS_PIN_USER], 1);
	assert_int_equal(f->seen.login_ok, 1); /* told once it was open */
	assert_int_equal(fault_calls("C_Decrypt"), 1);
	assert_int_equal(fault_calls("C_Sign"), 0);
	/* what its log does, it does with that */
	assert_int_equal(ofs_audit_rotate(f->audit,
				 &(struct ofs_audit_rotate_opts)
					 OFS_AUDIT_ROTATE_OPTS_INIT),
		0);
	open_log(f);
	assert_int_equal(keys(f).epochs, 2);
	assert_int_equal(ofs_audit_unlock_token(f->audit, f->token), 0);
}

static void
a_login_that_nobody_records_fails(void **state)
{
	struct fixture *f = *state;

	f->seen.event_code = OFS_EAUDIT;
	assert_int_equal(
		ofs_audit_unlock_token(f->audit, f->token), OFS_EAUDIT);
	/* and is none: the next one is a login, and recorded */
	f->seen.event_code = 0;
	assert_int_equal(f->seen.asked[OFS_PIN_USER], 1);
	assert_int_equal(ofs_token_login(f->token), 0);
	assert_int_equal(f->seen.asked[OFS_PIN_USER], 2);
	/* the same where the log that would tell of it is not made */
	open_token(f);
	assert_int_equal(
		ofs_audit_init_on_token(f->token, NULL, KEY, f->dir, NULL),
		OFS_EEXIST);
	assert_int_equal(f->seen.asked[OFS_PIN_USER], 1);
	assert_int_equal(ofs_token_login(f->token), 0);
	assert_int_equal(f->seen.asked[OFS_PIN_USER], 2);
}

static void
another_answer_opens_nothing(void **state)
{
	static const int answers[] = { OTHER_BYTES, SHORT, LONG, EMPTY };
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		open_token(f);
		spy.how = answers[i];
		assert_true(ofs_audit_unlock_token(f->audit, f->token) != 0);
		assert_false(keys(f).readable);
		spy.how = TRUE_ANSWER;
		open_log(f);
		assert_int_equal(ofs_audit_unlock_token(f->audit, f->token), 0);
		/* nor does a new key whose token does not open it again */
		spy.how = answers[i];
		assert_true(ofs_audit_rotate_to_token(f->audit, f->token, KEY,
				    &(struct ofs_audit_rotate_opts)
					    OFS_AUDIT_ROTATE_OPTS_INIT) != 0);
		spy.how = TRUE_ANSWER;
		assert_int_equal(keys(f).epochs, 1);
		open_log(f);
	}
}

static void
a_wrong_pin_is_sent_once(void **state)
{
	struct fixture *f = *state;

	f->seen.pin = "9999";
	fault_reset();
	assert_int_equal(ofs_audit_unlock_token(f->audit, f->token), OFS_EPIN);
	assert_int_equal(f->seen.login_failed, 1);
	assert_int_equal(ofs_audit_unlock_token(f->audit, f->token), OFS_EPIN);
	assert_int_equal(fault_calls("C_Login"), 1);
	assert_false(keys(f).readable);
	open_token(f);
	f->seen.pin = NULL;
	assert_int_equal(ofs_audit_unlock_token(f->audit, f->token), 0);
}

/* one call after the other */
static void
whichever_call_fails(void **state)
{
	struct ofs_audit_rotate_opts o = OFS_AUDIT_ROTATE_OPTS_INIT;
	struct fixture *f = *state;
	int failed = 0, done = 0, rc;
	struct ofs_audit_report rep;
	uint32_t epochs = 1;
	char script[64];

	for (int n = 1; n <= 60; n++) {
		open_log(f);
		open_token(f);
		snprintf(script, sizeof(script), "any %d ckr=DEVICE_ERROR", n);
		fault_reset();
		fault_script(script);
		rc = ofs_audit_unlock_token(f->audit, f->token);
		assert_int_equal(rc == 0, keys(f).readable);
		if (rc == 0)
			rc = ofs_audit_rotate_to_token(
				f->audit, f->token, KEY, &o);
		/* a session that was lost is opened anew: with a new PIN */
		assert_true((int)fault_calls("C_Login") <=
			f->seen.asked[OFS_PIN_USER]);
		fault_script("");
		failed += rc != 0;
		done += rc == 0;
		epochs += rc == 0;
		/* on the disk there is what was said, and it opens */
		open_log(f);
		open_token(f);
		assert_int_equal(ofs_audit_unlock_token(f->audit, f->token), 0);
		assert_int_equal(keys(f).epochs, epochs);
	}
	assert_int_equal(ofs_audit_verify(f->audit, NULL, NULL, &rep), 0);
	assert_int_equal(rep.sealed_bodies, 0);
	print_message("# %d failed, %d did not\n", failed, done);
	assert_true(failed > 10 && done > 5);
}

static void
make_pair(const char *label, bool extractable)
{
	CK_SESSION_HANDLE h = fault_session(fault_slot(LABEL));
	CK_MECHANISM mech = { CKM_RSA_PKCS_KEY_PAIR_GEN, NULL, 0 };
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE,
		 out = extractable ? CK_TRUE : CK_FALSE;
	CK_ULONG bits = 2048;
	CK_UTF8CHAR name[32];
	CK_ATTRIBUTE pub[] = {
		{ CKA_TOKEN, &yes, 1 },
		{ CKA_MODULUS_BITS, &bits, sizeof(bits) },
		{ CKA_ID, name, strlen(label) },
	};
	CK_ATTRIBUTE priv[] = {
		{ CKA_TOKEN, &yes, 1 },
		{ CKA_PRIVATE, &yes, 1 },
		{ CKA_SENSITIVE, &yes, 1 },
		{ CKA_EXTRACTABLE, &out, 1 },
		{ CKA_SIGN, &no, 1 },
		{ CKA_DECRYPT, extractable ? &yes : &no, 1 },
		{ CKA_ID, name, strlen(label) },
		{ CKA_LABEL, name, strlen(label) },
	};
	CK_OBJECT_HANDLE a, b;

	memcpy(name, label, strlen(label));
	assert_int_equal(fault_login(h, CKU_USER, SOFTHSM_PIN), CKR_OK);
	assert_int_equal(fault_functions()->C_GenerateKeyPair(
				 h, &mech, pub, 3, priv, 8, &a, &b),
		CKR_OK);
	assert_int_equal(fault_functions()->C_CloseSession(h), CKR_OK);
}

static void
refuses_other_keys(void **state)
{
	static const struct {
		const char *uri;
		int code;
		const char *words;
	} cases[] = {
		{ TOKEN ";object=signs", OFS_EPOLICY, "signs" },
		{ TOKEN ";object=ec", OFS_EUNSUPPORTED, "RSA" },
		{ TOKEN ";object=loose", OFS_EPOLICY, "leave the token" },
		{ TOKEN ";object=idle", OFS_EPOLICY, "CKA_DECRYPT is false" },
		{ TOKEN ";object=none", OFS_EKEY, "none matches" },
	};
	struct ofs_audit_rotate_opts o = OFS_AUDIT_ROTATE_OPTS_INIT;
	struct fixture *f = *state;
	char dir[700];
	ofs_audit *a;

	f->token->module->f = spy.real;
	ofs_token_free(f->token);
	f->token = NULL;
	make_pair("loose", true);
	make_pair("idle", false);
	open_token(f);
	assert_int_equal(ofs_audit_unlock_token(f->audit, f->token), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(dir, sizeof(dir), "%s-%zu", f->dir, i);
		assert_int_equal(ofs_audit_init_on_token(f->token, NULL,
					 cases[i].uri, dir, NULL),
			cases[i].code);
		assert_non_null(strstr(
			ofs_token_error(f->token)->message, cases[i].words));
		assert_int_equal(ofs_audit_open(f->ctx, dir, 0, &a),
			OFS_EAUDIT); /* there is none */
		assert_int_equal(ofs_audit_rotate_to_token(
					 f->audit, f->token, cases[i].uri, &o),
			cases[i].code);
	}
	assert_int_equal(keys(f).epochs, 1);
	o.station_key = "/tmp/two";
	assert_int_equal(ofs_audit_rotate_to_token(f->audit, f->token, KEY, &o),
		OFS_EINVAL);
}

static CK_ATTRIBUTE
number(CK_ATTRIBUTE_TYPE type, const char *name, uint8_t room[512])
{
	BIGNUM *n = NULL;
	CK_ATTRIBUTE a = { type, room, 0 };

	assert_int_equal(EVP_PKEY_get_bn_param(spy.soft, name, &n), 1);
	a.ulValueLen = (CK_ULONG)BN_bn2bin(n, room);
	BN_clear_free(n);
	return a;
}

/* the key that we hold, brought to the token as one that decrypts */
static void
import_soft(const char *label)
{
	CK_SESSION_HANDLE h = fault_session(fault_slot(LABEL));
	CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
	CK_KEY_TYPE type = CKK_RSA;
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	uint8_t room[5][512];
	CK_UTF8CHAR name[32];
	CK_ATTRIBUTE t[] = {
		{ CKA_CLASS, &class, sizeof(class) },
		{ CKA_KEY_TYPE, &type, sizeof(type) },
		{ CKA_TOKEN, &yes, 1 },
		{ CKA_PRIVATE, &yes, 1 },
		{ CKA_SENSITIVE, &yes, 1 },
		{ CKA_EXTRACTABLE, &no, 1 },
		{ CKA_SIGN, &no, 1 },
		{ CKA_DECRYPT, &yes, 1 },
		{ CKA_ID, name, strlen(label) },
		{ CKA_LABEL, name, strlen(label) },
		number(CKA_MODULUS, "n", room[0]),
		number(CKA_PUBLIC_EXPONENT, "e", room[1]),
		number(CKA_PRIVATE_EXPONENT, "d", room[2]),
		number(CKA_PRIME_1, "rsa-factor1", room[3]),
		number(CKA_PRIME_2, "rsa-factor2", room[4]),
	};
	CK_OBJECT_HANDLE made;

	memcpy(name, label, strlen(label));
	assert_int_equal(fault_login(h, CKU_USER, SOFTHSM_PIN), CKR_OK);
	assert_int_equal(
		fault_functions()->C_CreateObject(h, t, 15, &made), CKR_OK);
	assert_int_equal(fault_functions()->C_CloseSession(h), CKR_OK);
}

/* the hash in the wrap of the first epoch */
static int
hash_of_wrap(struct fixture *f)
{
	struct ofs_field w;
	ofs_record *rec;
	int hash;

	assert_int_equal(ofs_audit_get(f->audit, 1, &rec), 0);
	assert_true(ofs_record_find(rec, "wraps.0.data", &w));
	hash = w.bytes[1];
	ofs_record_free(rec);
	return hash;
}

/* a token that does: it is asked for that first */
static void
takes_sha256_where_it_can(void **state)
{
	struct fixture *f = *state;
	char dir[700];

	assert_int_equal(hash_of_wrap(f), WRAP_OAEP_SHA1);
	spy.soft = EVP_RSA_gen(2048);
	assert_non_null(spy.soft);
	f->token->module->f = spy.real;
	ofs_token_free(f->token);
	f->token = NULL;
	import_soft("soft");
	open_token(f);
	spy.how = WITH_SHA256;
	snprintf(dir, sizeof(dir), "%s-sha256", f->dir);
	if (ofs_audit_init_on_token(
		    f->token, NULL, TOKEN ";object=soft", dir, NULL) != 0)
		fail_msg("%s", ofs_token_error(f->token)->message);
	snprintf(f->dir, sizeof(f->dir), "%.590s", dir);
	open_log(f);
	assert_int_equal(hash_of_wrap(f), WRAP_OAEP_SHA256);
	spy.sha256 = false;
	assert_int_equal(ofs_audit_unlock_token(f->audit, f->token), 0);
	assert_true(spy.sha256 && keys(f).readable);
	EVP_PKEY_free(spy.soft);
	spy.soft = NULL;
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(opens_with_one_login),
		TEST(a_login_that_nobody_records_fails),
		TEST(another_answer_opens_nothing),
		TEST(a_wrong_pin_is_sent_once),
		TEST(whichever_call_fails),
		TEST(refuses_other_keys),
		TEST(takes_sha256_where_it_can),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
