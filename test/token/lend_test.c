/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What libp11 0.4.12 would crash or hang at: it is kept away, or given up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "base/time.h"
#include "crypto/pubkey.h"
#include "faultp11.h"
#include "softhsm.h"
#include "token/keydef.h"

/* a scenario has a process of its own: it may crash, and leave hung threads */
#define CHECK(cond) check((cond), __LINE__, #cond)
/* after which a child hangs: what the library gives up ends long before */
#define HANGS_S 15

static struct softhsm_seen seen;
static struct ofs_error e;
static ofs_ctx *ctx;
static ofs_token *token;

static void
check(bool ok, int line, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "line %d: %s; %s; %s\n", line, what, e.message,
		token != NULL ? ofs_token_error(token)->message : "");
	_exit(1);
}

static void
open_token(void)
{
	ctx = softhsm_ctx(&seen);
	ctx->opts.token_timeout = 2000;
	ctx->opts.call_timeout = 1000;
	CHECK(ofs_token_open(ctx, "pkcs11:token=payroll", &token) == 0);
	atomic_store(&token->module->limit, 1000000);
}

static ofs_key *
open_key(const char *name)
{
	char uri[64];
	ofs_key *k;

	snprintf(uri, sizeof(uri), "pkcs11:object=%s", name);
	CHECK(ofs_key_open(token, uri, 0, &k) == 0);
	return k;
}

/* as an application does it; whether OpenSSL said that it worked */
static bool
try_sign(EVP_PKEY *pk, int padding, uint8_t *sig, size_t *n)
{
	EVP_MD_CTX *m = EVP_MD_CTX_new();
	EVP_PKEY_CTX *p;
	bool ok;

	*n = 1024;
	ok = EVP_DigestSignInit(m, &p, EVP_sha256(), NULL, pk) == 1;
	if (ok && padding != 0)
		ok = EVP_PKEY_CTX_set_rsa_padding(p, padding) == 1;
	ok = ok && EVP_DigestSign(m, sig, n, (const uint8_t *)"x", 1) == 1;
	EVP_MD_CTX_free(m);
	return ok;
}

/* with OpenSSL's own key: not by asking the token */
static bool
verifies(ofs_key *k, int padding, const uint8_t *sig, size_t n)
{
	EVP_MD_CTX *m = EVP_MD_CTX_new();
	EVP_PKEY_CTX *p;
	bool ok;

	ok = EVP_DigestVerifyInit(m, &p, EVP_sha256(), NULL, key_pub(k)) == 1;
	if (ok && padding != 0)
		ok = EVP_PKEY_CTX_set_rsa_padding(p, padding) == 1;
	ok = ok && EVP_DigestVerify(m, sig, n, (const uint8_t *)"x", 1) == 1;
	EVP_MD_CTX_free(m);
	return ok;
}

static bool
works(ofs_key *k, EVP_PKEY *pk)
{
	uint8_t sig[1024];
	size_t n;

	return try_sign(pk, 0, sig, &n) && verifies(k, 0, sig, n);
}

static bool
fails(EVP_PKEY *pk)
{
	uint8_t sig[1024];
	size_t n;

	return !try_sign(pk, 0, sig, &n);
}

/* not lent: how it is said */
static void
refused(ofs_key *k, int code, const char *why)
{
	EVP_PKEY *pk = (EVP_PKEY *)&seen;

	err_clear(&e);
	CHECK(key_to_evp(k, &pk, &e) == code);
	CHECK(pk == NULL);
	CHECK(strstr(e.message, why) != NULL);
}

/* with our own calls, healing the token where it must be */
static bool
signs_ours(ofs_key *k)
{
	uint8_t hash[DIGEST_MAX] = { 1 };
	struct to_sign t = { .alg = alg_for(
				     OFS_KEY_EC_P256, OFS_DIGEST_DEFAULT),
		.hash = hash };
	struct buf sig = BUF_INIT;
	struct key_session *s;
	bool ok;

	if (key_session_open(k, &s, &e) != 0)
		return false;
	ok = key_session_sign(s, &t, &sig, &e) == 0;
	key_session_close(s);
	buf_free(&sig);
	return ok;
}

/* libp11 would finalise the module, or close all sessions of the slot */
static void
fails_outside_the_token(void)
{
	static const char *const outside[] = {
		"C_GetInfo 1+ ckr=CKR_GENERAL_ERROR",
		"C_GetSlotList 1+ ckr=CKR_GENERAL_ERROR",
		"C_GetSlotInfo 1+ ckr=CKR_GENERAL_ERROR",
		"C_GetTokenInfo 1+ ckr=CKR_DEVICE_ERROR token=apart",
	};
	ofs_key *k;

	open_token();
	k = open_key("signer");
	for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
		fault_script(outside[i]);
		refused(k, OFS_EUNSUPPORTED, "a slot of the module");
		CHECK(fault_calls("C_Finalize") == 0);
		CHECK(fault_calls("C_CloseAllSessions") == 0);
		CHECK(signs_ours(k));
		CHECK(fault_calls("C_Login") == 0);
	}
}

/* libp11 waits for ever when it gets no session */
static void
has_no_sessions(void)
{
	ofs_key *k;
	EVP_PKEY *pk;

	open_token();
	k = open_key("signer");
	fault_script("C_OpenSession 1+ ckr=CKR_DEVICE_ERROR");
	refused(k, OFS_ETOKEN, "CKR_DEVICE_ERROR");
	fault_script("C_OpenSession 2+ ckr=CKR_SESSION_COUNT");
	refused(k, OFS_ETOKEN, "no free session");
	CHECK(fault_calls("C_CloseSession") == 1);
	fault_script("sessions 2");
	refused(k, OFS_ETOKEN, "no free session");
	fault_script("");
	CHECK(key_to_evp(k, &pk, &e) == 0);
	CHECK(works(k, pk));
}

/* the one that it needs is gone when it asks: given up, not waited for */
static void
loses_the_session_in_between(void)
{
	int64_t began;
	ofs_key *k;

	open_token();
	k = open_key("signer");
	fault_script("C_OpenSession 3+ ckr=CKR_DEVICE_ERROR");
	began = time_mono();
	refused(k, OFS_ETOKEN, "did not answer");
	CHECK(time_mono() - began < 5000000);
	refused(k, OFS_ETOKEN, "hangs");
}

/* the key on another module, while the set-up of one hangs */
static void
does_not_wait_for_one_that_hangs(void)
{
	ofs_key *k, *k2;
	char cmd[9000];
	ofs_token *t2;
	ofs_ctx *apart;

	open_token();
	k = open_key("signer");
	fault_script("C_OpenSession 3+ ckr=CKR_DEVICE_ERROR");
	refused(k, OFS_ETOKEN, "did not answer");
	CHECK(ofs_ctx_new(&ctx->opts, &apart) == 0);
	snprintf(cmd, sizeof(cmd), "cp '%s' '%s/copy.so'", fault_path(),
		softhsm_dir());
	CHECK(system(cmd) == 0);
	snprintf(cmd, sizeof(cmd), "%s/copy.so", softhsm_dir());
	CHECK(ofs_ctx_add_module(apart, cmd) == 0);
	(void)ofs_token_open(apart, "pkcs11:token=apart", &t2);
	e = *ofs_ctx_error(apart);
	CHECK(t2 != NULL);
	atomic_store(&t2->module->limit, 1000000);
	CHECK(ofs_key_open(t2, "pkcs11:object=signer", 0, &k2) == 0);
	refused(k2, OFS_ETOKEN, "hangs");
}

static void
has_no_public_key_object(void)
{
	ofs_key *k;

	fault_script("nopublic");
	open_token();
	k = open_key("rsa");
	refused(k, OFS_EUNSUPPORTED, "public key object");
}

/* libp11 would ask for the PIN on the terminal */
static void
wants_the_pin_each_time(void)
{
	EVP_PKEY *pk;
	ofs_key *k;

	open_token();
	ctx->opts.always_auth = OFS_ALWAYS_AUTH_HOLD;
	k = open_key("careful");
	refused(k, OFS_EUNSUPPORTED, "PIN for every signature");
	/* and where the token does not say so, it fails and asks nobody */
	ofs_key_free(k);
	fault_script("noattr CKA_ALWAYS_AUTHENTICATE");
	k = open_key("careful");
	CHECK(key_to_evp(k, &pk, &e) == 0);
	CHECK(fails(pk));
	CHECK(fault_calls("C_Login") == 0);
}

/* one of which libp11 alone believes that it wants the PIN: nobody is asked */
static void
asks_nobody(void)
{
	EVP_PKEY *pk;
	ofs_key *k;
	int in[2];

	/* no terminal, and the PIN on standard input */
	CHECK(setsid() > 0 && pipe(in) == 0);
	CHECK(write(in[1], SOFTHSM_PIN "\n", 5) == 5 && dup2(in[0], 0) == 0);
	open_token();
	ctx->opts.always_auth = OFS_ALWAYS_AUTH_HOLD;
	k = open_key("careful");
	k->p.info.always_authenticate = 0;
	fault_script("");
	CHECK(key_to_evp(k, &pk, &e) == 0);
	CHECK(fails(pk));
	CHECK(fault_calls("C_Login") == 0);
	CHECK(fault_calls("C_SignInit") == 1);
}

/* PSS goes out as raw RSA: right, or an error where the token has not got it */
static void
signs_pss_as_raw_rsa(void)
{
	uint8_t sig[1024];
	EVP_PKEY *pk;
	ofs_key *k;
	size_t n;

	open_token();
	k = open_key("rsa");
	CHECK(key_to_evp(k, &pk, &e) == 0);
	CHECK(try_sign(pk, RSA_PKCS1_PSS_PADDING, sig, &n));
	CHECK(verifies(k, RSA_PKCS1_PSS_PADDING, sig, n));
	fault_script("hide CKM_RSA_X_509");
	CHECK(!try_sign(pk, RSA_PKCS1_PSS_PADDING, sig, &n));
	CHECK(works(k, pk));
	CHECK(try_sign(pk, RSA_PKCS1_PADDING, sig, &n));
	CHECK(verifies(k, RSA_PKCS1_PADDING, sig, n));
}

/* what the application has ends with errors; what is lent anew works */
static void
goes_and_comes(const char *column)
{
	EVP_PKEY *old, *pk;
	char script[128];
	ofs_key *k, *again;

	open_token();
	k = open_key("signer");
	CHECK(key_to_evp(k, &old, &e) == 0);
	CHECK(works(k, old));
	/* an application that uses such a module does so itself */
	signal(SIGPIPE, SIG_IGN);
	snprintf(script, sizeof(script), "C_Sign 2 remove=%s back=400ms",
		column);
	fault_script(script);
	CHECK(works(k, old));
	CHECK(fails(old));
	CHECK(fails(old));
	CHECK(key_to_evp(k, &pk, &e) != 0);
	CHECK(pk == NULL);
	usleep(500000);
	/* our own signing heals the token */
	CHECK(signs_ours(k));
	CHECK(fails(old));
	CHECK(key_to_evp(k, &pk, &e) == 0);
	CHECK(pk != old);
	CHECK(works(k, pk));
	CHECK(fails(old));
	again = open_key("signer");
	CHECK(works(again, pk));
}

static void
goes_and_comes_opensc(void)
{
	goes_and_comes("opensc");
}

static void
goes_and_comes_ykcs11(void)
{
	goes_and_comes("ykcs11");
}

static void
goes_and_comes_network(void)
{
	goes_and_comes("network");
}

/* the same, put back before anybody has looked */
static void
is_replaced_unseen(void)
{
	CK_OBJECT_HANDLE h;
	EVP_PKEY *old, *pk;
	ofs_key *k;

	open_token();
	k = open_key("signer");
	CHECK(key_to_evp(k, &old, &e) == 0);
	h = k->p.priv.h;
	fault_script("C_Sign 1 remove=opensc back=0");
	CHECK(fails(old));
	/* the login is gone with it, and a key is opened with a login */
	refused(k, OFS_EUNSUPPORTED, "log in again");
	ofs_key_free(k);
	k = open_key("signer");
	/* there are tokens that number their objects from 1 again */
	k->p.priv.h = h;
	CHECK(key_to_evp(k, &pk, &e) == 0);
	CHECK(pk != old);
	CHECK(works(k, pk));
}

/* what lending a key calls, and what may happen to the call */
static const char *const calls[] = { "C_GetInfo", "C_GetSlotList",
	"C_GetSlotInfo", "C_GetTokenInfo", "C_OpenSession", "C_CloseSession",
	"C_GetSessionInfo", "C_FindObjectsInit", "C_FindObjects",
	"C_FindObjectsFinal", "C_GetAttributeValue" };
static const char *const faults[] = { "ckr=CKR_DEVICE_ERROR",
	"ckr=CKR_DEVICE_REMOVED", "ckr=CKR_TOKEN_NOT_PRESENT",
	"ckr=CKR_SESSION_HANDLE_INVALID", "ckr=CKR_GENERAL_ERROR",
	"ckr=CKR_ATTRIBUTE_TYPE_INVALID", "wrong", "sigpipe", "hang" };

static struct {
	const char *function, *fault;
	unsigned int n;
	char key[16];
} trial;

static void
try_fault(void)
{
	char script[128];
	uint8_t sig[1024];
	EVP_PKEY *pk;
	ofs_key *k;
	size_t n;
	int rc;

	open_token();
	atomic_store(&token->module->limit, 300000);
	k = open_key(trial.key);
	snprintf(script, sizeof(script), "%s %u %s", trial.function, trial.n,
		trial.fault);
	fault_script(script);
	rc = key_to_evp(k, &pk, &e);
	CHECK((rc == 0) == (pk != NULL));
	CHECK(rc == 0 || e.message[0] != '\0');
	/* it may fail to sign later, but never sign with another key */
	CHECK(rc != 0 || !try_sign(pk, 0, sig, &n) || verifies(k, 0, sig, n));
}

static int
in_child(void (*scenario)(void))
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		alarm(HANGS_S);
		scenario();
		/* libp11 keeps what was lent, and threads may hang */
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void
count_calls(void)
{
	EVP_PKEY *pk;
	ofs_key *k;
	FILE *f;
	char path[4200];

	open_token();
	k = open_key("signer");
	fault_script("");
	CHECK(key_to_evp(k, &pk, &e) == 0);
	snprintf(path, sizeof(path), "%s/counted", softhsm_dir());
	f = fopen(path, "w");
	CHECK(f != NULL);
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		fprintf(f, "%lu\n", fault_calls(calls[i]));
	fclose(f);
}

/* every call that lending makes fails in every way: a sample, or all */
static void
whatever_fails(void **state)
{
	const size_t n_calls = sizeof(calls) / sizeof(calls[0]);
	const size_t n_faults = sizeof(faults) / sizeof(faults[0]);
	const char *seed = getenv("SEED");
	unsigned long counted[16] = { 0 }, all = 0, tried = 0, every;
	char path[4200];
	FILE *f;

	(void)state;
	assert_int_equal(in_child(count_calls), 0);
	snprintf(path, sizeof(path), "%s/counted", softhsm_dir());
	f = fopen(path, "r");
	assert_non_null(f);
	for (size_t i = 0; i < n_calls; i++) {
		assert_int_equal(fscanf(f, "%lu", &counted[i]), 1);
		all += counted[i] * n_faults;
	}
	fclose(f);
	every = getenv("OFS_LONG") != NULL ? 1 : all / 40 + 1;
	srand(seed != NULL ? (unsigned int)strtoul(seed, NULL, 10) : 1);
	for (size_t i = 0; i < n_calls; i++)
		for (size_t j = 0; j < n_faults * counted[i]; j++) {
			if ((unsigned long)rand() % every != 0)
				continue;
			trial.function = calls[i];
			trial.fault = faults[j % n_faults];
			trial.n = (unsigned int)(j / n_faults + 1);
			strcpy(trial.key, rand() % 2 ? "signer" : "rsa");
			tried++;
			if (in_child(try_fault) != 0)
				fail_msg("%s %u %s, key '%s'", trial.function,
					trial.n, trial.fault, trial.key);
		}
	printf("# %lu of %lu failures of calls\n", tried, all);
	assert_true(tried > 0);
}

static void
play(void **state)
{
	void (*scenario)(void);

	memcpy(&scenario, state, sizeof(scenario));
	assert_int_equal(in_child(scenario), 0);
}

static void
make_tokens(void)
{
	static const char *const careful[] = { "--keypairgen", "--key-type",
		"EC:prime256v1", "--label", "careful", "--id", "22",
		"--always-auth", NULL };
	static const char *const rsa[] = { "--keypairgen", "--key-type",
		"rsa:2048", "--label", "rsa", "--id", "33", NULL };
	static const char *const labels[] = { "payroll", "apart" };
	CK_FUNCTION_LIST *f = fault_functions();

	CHECK(f->C_Initialize(NULL) == CKR_OK);
	for (int i = 0; i < 2; i++) {
		CK_SESSION_HANDLE s;

		fault_init_token(labels[i]);
		s = fault_session(fault_slot(labels[i]));
		CHECK(fault_login(s, CKU_USER, SOFTHSM_PIN) == CKR_OK);
		fault_make_key(s, "signer", 0x11);
	}
	CHECK(f->C_Finalize(NULL) == CKR_OK);
	CHECK(softhsm_pkcs11_tool("payroll", careful) == 0);
	CHECK(softhsm_pkcs11_tool("payroll", rsa) == 0);
}

static int
setup(void **state)
{
	(void)state;
	fault_start();
	return in_child(make_tokens);
}

static int
teardown(void **state)
{
	(void)state;
	softhsm_stop();
	return 0;
}

#define TEST(f)                                   \
	{                                         \
#f, play, NULL, NULL, (void *)(f) \
	}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(has_no_sessions),
		TEST(loses_the_session_in_between),
		TEST(does_not_wait_for_one_that_hangs),
		TEST(fails_outside_the_token),
		TEST(has_no_public_key_object),
		TEST(wants_the_pin_each_time),
		TEST(asks_nobody),
		TEST(signs_pss_as_raw_rsa),
		TEST(goes_and_comes_opensc),
		TEST(goes_and_comes_ykcs11),
		TEST(goes_and_comes_network),
		TEST(is_replaced_unseen),
		cmocka_unit_test(whatever_fails),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
