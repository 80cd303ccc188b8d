/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Batches on tokens that vanish, come back, hang, or are not alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <offlinesig.h>

#include "faultp11.h"
#include "softhsm.h"
#include "token/token.h"

#define ITEMS 60
#define KEY_URI "pkcs11:token=payroll;object=signer"

/* a scenario runs in a process of its own: some of them leave hung threads */
#define CHECK(cond) check((cond), __LINE__, #cond)

struct station {
	struct softhsm_seen seen;
	ofs_ctx *ctx;
	ofs_audit *audit;
	ofs_token *token, *token2;
	ofs_key *key, *key2;
	ofs_batch *batch;
	struct ofs_progress p;
	size_t by_status[5], by_party[2];
	int wanted, back;
	bool give_up;
	char message[1024];
};

static struct station st;

static void
check(bool ok, int line, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "line %d: %s\n", line, what);
	fprintf(stderr,
		"%zu signed, %zu failed, %zu not attempted, %zu "
		"unknown; item: %s; batch: %s; token: %s\n",
		st.p.signed_items, st.p.failed, st.p.not_attempted,
		st.p.unknown, st.message,
		st.batch != NULL ? ofs_batch_error(st.batch)->message : "",
		st.token != NULL ? ofs_token_error(st.token)->message : "");
	_exit(1);
}

static int
note_wanted(void *arg, const struct ofs_token_wanted *w)
{
	(void)arg;
	CHECK(strcmp(w->label, "payroll") == 0 && w->serial[0] != '\0');
	if (w->present)
		st.back++;
	else
		st.wanted++;
	return st.give_up ? OFS_EINTR : 0;
}

static void
note(void *arg, const struct ofs_result *r)
{
	(void)arg;
	st.by_status[r->status]++;
	if (r->code != 0)
		snprintf(st.message, sizeof(st.message), "%s", r->message);
}

static void
open_station(void)
{
	char audit[600];
	int rc;

	snprintf(audit, sizeof(audit), "%s/audit-%d", softhsm_dir(),
		(int)getpid());
	st.ctx = softhsm_ctx(&st.seen);
	st.ctx->opts.token_timeout = 3000;
	st.ctx->opts.call_timeout = 1000;
	st.ctx->opts.wanted = note_wanted;
	rc = ofs_audit_open(st.ctx, audit, OFS_AUDIT_CREATE, &st.audit);
	CHECK(rc == 0);
	CHECK(ofs_token_open(st.ctx, "pkcs11:token=payroll", &st.token) == 0);
	atomic_store(&st.token->module->limit, 1000000);
}

static void
new_batch(unsigned int jobs)
{
	struct ofs_sign_opts o = OFS_SIGN_OPTS_INIT;
	char name[32];

	o.format = OFS_FORMAT_RAW;
	o.jobs = jobs;
	CHECK(ofs_batch_new(st.ctx, st.key, st.audit, &o, &st.batch) == 0);
	ofs_batch_on_result(st.batch, note, NULL);
	for (int i = 0; i < ITEMS; i++) {
		snprintf(name, sizeof(name), "order %d", i);
		CHECK(ofs_batch_add_bytes(st.batch, name, "pay", 3) == 0);
	}
}

static int
run(unsigned int jobs)
{
	if (st.key == NULL)
		CHECK(ofs_key_open(st.token, KEY_URI, 0, &st.key) == 0);
	if (st.batch == NULL)
		new_batch(jobs);
	return ofs_batch_run(st.batch, &st.p);
}

/* the log is whole and says what the results said */
static void
check_log(void)
{
	struct ofs_audit_report r = { .size = sizeof(r) };

	CHECK(ofs_audit_verify(st.audit, NULL, NULL, &r) == 0);
	CHECK(r.signed_items == st.by_status[OFS_ITEM_SIGNED]);
	CHECK(r.unknown_items == st.by_status[OFS_ITEM_UNKNOWN]);
	CHECK(r.unclosed_batches == 0 && r.in_flight_items == 0);
	CHECK(st.p.signed_items == st.by_status[OFS_ITEM_SIGNED]);
}

static void
close_station(void)
{
	ofs_batch_free(st.batch);
	ofs_key_free(st.key);
	ofs_key_free(st.key2);
	ofs_token_free(st.token);
	ofs_token_free(st.token2);
	ofs_audit_free(st.audit);
	ofs_ctx_free(st.ctx);
}

/* the token goes at the 20th signature and is back after 700 ms */
static void
comes_back(const char *column)
{
	char script[200];

	open_station();
	snprintf(script, sizeof(script), "C_Sign 20 remove=%s back=700ms",
		column);
	CHECK(ofs_key_open(st.token, KEY_URI, 0, &st.key) == 0);
	fault_script(script);
	CHECK(run(2) == 0);
	CHECK(st.p.signed_items == ITEMS);
	CHECK(fault_calls("C_Login") >= 1);
	CHECK(st.seen.asked[OFS_PIN_USER] == 1); /* nobody was asked again */
	CHECK(st.seen.login_failed == 0);
	CHECK(st.wanted > 0 && st.back == 1);
	CHECK(fault_calls("C_Sign") < ITEMS + 10);
	check_log();
	close_station();
}

static void
comes_back_opensc(void)
{
	comes_back("opensc");
}

static void
comes_back_ykcs11(void)
{
	comes_back("ykcs11");
}

static void
comes_back_network(void)
{
	comes_back("network");
}

static void
comes_back_elsewhere(void)
{
	comes_back("opensc slot=move");
}

/* the same label and serial, another key */
static void
refuses_another(const char *column)
{
	char script[200];

	open_station();
	snprintf(script, sizeof(script),
		"C_Sign 20 remove=%s back=300ms as=other", column);
	CHECK(ofs_key_open(st.token, KEY_URI, 0, &st.key) == 0);
	fault_script(script);
	CHECK(run(2) == OFS_EKEY);
	CHECK(strstr(ofs_batch_error(st.batch)->message, "another key"));
	CHECK(st.p.signed_items >= 15 && st.p.signed_items < 25);
	CHECK(st.p.signed_items + st.p.failed + st.p.not_attempted == ITEMS);
	check_log();
	close_station();
}

static void
refuses_another_opensc(void)
{
	refuses_another("opensc");
}

static void
refuses_another_ykcs11(void)
{
	refuses_another("ykcs11");
}

static void
refuses_another_network(void)
{
	refuses_another("network");
}

static void
stays_away(void)
{
	open_station();
	st.ctx->opts.token_timeout = 600;
	CHECK(ofs_key_open(st.token, KEY_URI, 0, &st.key) == 0);
	fault_script("C_Sign 20 remove=opensc");
	CHECK(run(2) == OFS_ETOKEN);
	CHECK(strstr(ofs_batch_error(st.batch)->message, "payroll"));
	CHECK(st.wanted > 0 && st.back == 0);
	CHECK(st.p.not_attempted > 0 && st.by_status[OFS_ITEM_UNKNOWN] == 0);
	check_log();
	close_station();
}

/* the caller does not want to wait */
static void
is_given_up(void)
{
	open_station();
	st.ctx->opts.token_timeout = 60000;
	st.give_up = true;
	CHECK(ofs_key_open(st.token, KEY_URI, 0, &st.key) == 0);
	fault_script("C_Sign 20 remove=opensc");
	CHECK(run(1) == OFS_ETOKEN);
	CHECK(st.wanted == 1);
	check_log();
	close_station();
}

/* what was in the token when it hung is unknown; nothing is called after */
static void
hangs(void)
{
	open_station();
	CHECK(ofs_key_open(st.token, KEY_URI, 0, &st.key) == 0);
	fault_script("C_Sign 20 hang");
	CHECK(run(1) == OFS_ETOKEN);
	CHECK(st.by_status[OFS_ITEM_UNKNOWN] == 1);
	CHECK(st.by_status[OFS_ITEM_SIGNED] == 19);
	CHECK(st.by_status[OFS_ITEM_NOT_ATTEMPTED] == ITEMS - 20);
	check_log();
	fault_script("keep");
	close_station();
	CHECK(fault_calls("C_Finalize") == 0);
	_exit(0); /* what the thread that hangs has is no leak */
}

/* a call outside batches hangs */
static void
hangs_at_open(void)
{
	ofs_key *k;

	open_station();
	fault_script("C_FindObjects 1 hang");
	CHECK(ofs_key_open(st.token, KEY_URI, 0, &k) == OFS_ETOKEN);
	CHECK(strstr(ofs_token_error(st.token)->message, "did not answer"));
	CHECK(ofs_key_open(st.token, KEY_URI, 0, &k) == OFS_ETOKEN);
	CHECK(strstr(ofs_token_error(st.token)->message, "hangs"));
	close_station();
	CHECK(fault_calls("C_Finalize") == 0);
	_exit(0); /* what the thread that hangs has is no leak */
}

/* the pinned session is all that there is */
static void
has_one_session(void)
{
	fault_script("sessions 1 lies");
	open_station();
	CHECK(run(4) == 0);
	CHECK(st.p.signed_items == ITEMS);
	check_log();
	close_station();
}

static void
has_three_sessions(void)
{
	fault_script("sessions 3");
	open_station();
	CHECK(run(8) == 0);
	CHECK(st.p.signed_items == ITEMS);
	close_station();
}

static void
asks_once_for_always_auth(void)
{
	open_station();
	st.ctx->opts.always_auth = OFS_ALWAYS_AUTH_HOLD;
	CHECK(ofs_key_open(st.token, "pkcs11:object=careful", 0, &st.key) == 0);
	fault_script("");
	CHECK(run(4) == 0);
	CHECK(st.p.signed_items == ITEMS);
	CHECK(fault_calls("C_Login") == ITEMS);
	CHECK(st.seen.asked[OFS_PIN_USER] == 1);
	CHECK(st.seen.asked[OFS_PIN_CONTEXT] == 0);
	check_log();
	close_station();
}

static void
asks_each_time_for_always_auth(void)
{
	open_station();
	st.ctx->opts.always_auth = OFS_ALWAYS_AUTH_ASK;
	CHECK(ofs_key_open(st.token, "pkcs11:object=careful", 0, &st.key) == 0);
	CHECK(run(4) == 0);
	CHECK(st.p.signed_items == ITEMS);
	CHECK(st.seen.asked[OFS_PIN_CONTEXT] == ITEMS);
	close_station();
}

/* one wrong PIN, and no more signatures are tried */
static void
stops_at_a_wrong_context_pin(void)
{
	open_station();
	st.ctx->opts.always_auth = OFS_ALWAYS_AUTH_ASK;
	CHECK(ofs_key_open(st.token, "pkcs11:object=careful", 0, &st.key) == 0);
	st.seen.pin = "9999";
	fault_script("");
	CHECK(run(1) == OFS_EPIN);
	CHECK(st.p.signed_items == 0);
	CHECK(fault_calls("C_Login") == 1 && fault_calls("C_Sign") == 0);
	CHECK(st.seen.login_failed == 1);
	check_log();
	close_station();
}

/* NSS does not say that a key wants the PIN each time */
static void
learns_that_a_key_wants_the_pin(void)
{
	fault_script("noattr CKA_ALWAYS_AUTHENTICATE");
	open_station();
	st.ctx->opts.always_auth = OFS_ALWAYS_AUTH_HOLD;
	CHECK(ofs_key_open(st.token, "pkcs11:object=careful", 0, &st.key) == 0);
	CHECK(run(1) == 0);
	CHECK(st.p.signed_items == ITEMS);
	CHECK(st.seen.asked[OFS_PIN_USER] == 1);
	close_station();
}

static void
open_clone(void)
{
	CHECK(ofs_token_open(st.ctx, "pkcs11:token=spare", &st.token2) == 0);
	CHECK(ofs_key_open(st.token2, "pkcs11:object=signer", 0, &st.key2) ==
		0);
	CHECK(ofs_key_open(st.token, KEY_URI, 0, &st.key) == 0);
	new_batch(1);
	CHECK(ofs_batch_add_key(st.batch, st.key) == OFS_EINVAL);
	CHECK(ofs_batch_add_key(st.batch, st.key2) == 0);
}

static void
spreads_over_clones(void)
{
	open_station();
	open_clone();
	fault_script("latency 5ms");
	CHECK(run(1) == 0);
	CHECK(st.p.signed_items == ITEMS);
	check_log();
	close_station();
}

static void
survives_the_loss_of_one(void)
{
	open_station();
	st.ctx->opts.token_timeout = 60000;
	open_clone();
	fault_script("latency 5ms; C_Sign 10 remove=opensc token=payroll");
	CHECK(run(1) == 0);
	CHECK(st.p.signed_items == ITEMS);
	check_log();
	close_station();
}

static void
survives_a_hang_of_one(void)
{
	open_station();
	open_clone();
	/* the other one does the rest before the call is given up */
	fault_script("latency 5ms; C_Sign 10 hang token=payroll");
	CHECK(run(1) == OFS_EITEMS);
	CHECK(st.by_status[OFS_ITEM_UNKNOWN] == 1);
	CHECK(st.by_status[OFS_ITEM_SIGNED] == ITEMS - 1);
	check_log();
	close_station();
	_exit(0); /* what the thread that hangs has is no leak */
}

static void
refuses_a_clone_that_is_none(void)
{
	open_station();
	CHECK(ofs_key_open(st.token, KEY_URI, 0, &st.key) == 0);
	CHECK(ofs_key_open(st.token, "pkcs11:object=careful", 0, &st.key2) !=
		0);
	st.ctx->opts.always_auth = OFS_ALWAYS_AUTH_HOLD;
	CHECK(ofs_key_open(st.token, "pkcs11:object=careful", 0, &st.key2) ==
		0);
	new_batch(1);
	CHECK(ofs_batch_add_key(st.batch, st.key2) == OFS_EKEY);
	close_station();
}

/* ofs_token_open waits when it is told to */
static void
waits_for_a_token_at_the_start(void)
{
	ofs_token *t;

	open_station();
	fault_script("C_GetSlotList 1 remove=opensc back=700ms token=payroll");
	CHECK(ofs_token_open(st.ctx, "pkcs11:token=payroll", &t) == OFS_ETOKEN);
	st.ctx->opts.open_timeout = 3000;
	st.ctx->opts.wanted = NULL;
	CHECK(ofs_token_open(st.ctx, "pkcs11:token=payroll", &t) == 0);
	ofs_token_free(t);
	close_station();
}

/* a PIN that was sent is not sent again to a token that does not get going */
static void
never_logs_in_in_circles(void)
{
	open_station();
	st.ctx->opts.token_timeout = 600;
	CHECK(ofs_key_open(st.token, KEY_URI, 0, &st.key) == 0);
	fault_script("C_Sign 5+ ckr=CKR_USER_NOT_LOGGED_IN");
	CHECK(run(1) != 0);
	CHECK(st.p.signed_items == 4);
	CHECK(fault_calls("C_Login") <= 1);
	check_log();
	close_station();
}

static void
stops_at_final_try(void)
{
	fault_script("pinflags 0x00020000");
	open_station();
	CHECK(ofs_key_open(st.token, KEY_URI, 0, &st.key) == OFS_EPINLOCKED);
	CHECK(fault_calls("C_Login") == 0);
	CHECK(st.seen.asked[OFS_PIN_USER] == 0);
	st.ctx->opts.last_try = true;
	CHECK(ofs_key_open(st.token, KEY_URI, 0, &st.key) == 0);
	CHECK(fault_calls("C_Login") == 1);
	close_station();
}

static void
sends_a_wrong_pin_once(void)
{
	open_station();
	fault_script("");
	st.seen.pin = "9999";
	CHECK(ofs_key_open(st.token, KEY_URI, 0, &st.key) == OFS_EPIN);
	CHECK(ofs_key_open(st.token, KEY_URI, 0, &st.key) == OFS_EPIN);
	CHECK(fault_calls("C_Login") == 1);
	close_station();
}

/* a PIN pad takes longer than a call may, and that is no hang */
static void
waits_for_a_pin_pad(void)
{
	fault_script("pinpad; pinpad-delay 2s");
	open_station();
	CHECK(ofs_key_open(st.token, KEY_URI, 0, &st.key) == 0);
	CHECK(st.seen.asked[OFS_PIN_USER] == 0);
	CHECK(run(1) == 0);
	close_station();
}

static int
in_child(void (*scenario)(void))
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		alarm(60);
		scenario();
		exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void
play(void **state)
{
	void (*scenario)(void);

	memcpy(&scenario, state, sizeof(scenario));
	assert_int_equal(in_child(scenario), 0);
}

/* "payroll" with two keys, "other" with one of the same name */
static void
make_tokens(void)
{
	static const char *const careful[] = { "--keypairgen", "--key-type",
		"EC:prime256v1", "--label", "careful", "--id", "22",
		"--always-auth", NULL };
	static const char *const labels[] = { "payroll", "other" };
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
}

/* "spare" is a copy of "payroll" under another serial number */
static void
make_clone(void)
{
	char cmd[2048];

	/* the copy's label and serial stand in its token.object */
	snprintf(cmd, sizeof(cmd),
		"cd '%s/tokens' && src=$(grep -l payroll */token.object | "
		"head -1) && src=${src%%/*} && cp -a \"$src\" clone && "
		"serial=$(grep -aoE '[0-9a-f]{16}' clone/token.object | head "
		"-1) && sed -i -e \"s/payroll/spare  /\" clone/token.object "
		"&& sed -i -e \"s/$serial/00000000c10e0000/\" "
		"clone/token.object",
		softhsm_dir());
	CHECK(system(cmd) == 0);
}

static int
setup(void **state)
{
	(void)state;
	fault_start();
	assert_int_equal(in_child(make_tokens), 0);
	make_clone();
	return 0;
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
		TEST(comes_back_opensc),
		TEST(comes_back_ykcs11),
		TEST(comes_back_network),
		TEST(comes_back_elsewhere),
		TEST(refuses_another_opensc),
		TEST(refuses_another_ykcs11),
		TEST(refuses_another_network),
		TEST(stays_away),
		TEST(is_given_up),
		TEST(hangs),
		TEST(hangs_at_open),
		TEST(has_one_session),
		TEST(has_three_sessions),
		TEST(asks_once_for_always_auth),
		TEST(asks_each_time_for_always_auth),
		TEST(stops_at_a_wrong_context_pin),
		TEST(learns_that_a_key_wants_the_pin),
		TEST(spreads_over_clones),
		TEST(survives_the_loss_of_one),
		TEST(survives_a_hang_of_one),
		TEST(refuses_a_clone_that_is_none),
		TEST(waits_for_a_token_at_the_start),
		TEST(never_logs_in_in_circles),
		TEST(stops_at_final_try),
		TEST(sends_a_wrong_pin_once),
		TEST(waits_for_a_pin_pad),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("recover", tests, setup, teardown);
}
