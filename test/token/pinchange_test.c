/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PINs changed and unblocked: what is sent, how often, and what is recorded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <offlinesig.h>

#include "base/ctx.h"
#include "softhsm.h"
#include "token/token.h"

#define LABEL "pins"
#define TOKEN "pkcs11:token=" LABEL

/* Between us and SoftHSM2: counts calls, and shows other flags. */
static struct {
	CK_FUNCTION_LIST *real, list;
	int logins, set_pins, init_pins; /* calls since arm() */
	CK_FLAGS flags;                  /* set in C_GetTokenInfo's answer */
	CK_FLAGS flags_later;            /* and those, once PINs were asked */
	CK_ULONG max;                    /* longest PIN, when not 0 */
	bool asked;
	bool pad;      /* a reader with a PIN pad: what is sent is noted */
	bool null_pin; /* all PINs that were sent were NULL and 0 */
	CK_RV rv;      /* answer of C_SetPIN and C_InitPIN when not CKR_OK */
} spy;

struct fixture {
	struct softhsm_seen seen;
	ofs_ctx *ctx;
	ofs_audit *audit;
	ofs_token *token; /* opened anew by each test */
};

/* What the callback answers; the token's true PINs are user and so. */
static struct {
	char user[32], so[32]; /* as they are on the token */
	const char *old_user, *old_so, *new_user, *new_so; /* NULL: none */
	int asked[5];
} pins;

static int
give_pin(void *arg, const struct ofs_pin_request *req, char *pin)
{
	const char *all[] = { [OFS_PIN_USER] = pins.old_user,
		[OFS_PIN_SO] = pins.old_so,
		[OFS_PIN_NEW_USER] = pins.new_user,
		[OFS_PIN_NEW_SO] = pins.new_so,
		[OFS_PIN_CONTEXT] = NULL };

	(void)arg;
	pins.asked[req->kind]++;
	spy.asked = true;
	if (all[req->kind] == NULL)
		return OFS_ENOPIN;
	strcpy(pin, all[req->kind]);
	return 0;
}

static CK_RV
get_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *t)
{
	CK_RV rv = spy.real->C_GetTokenInfo(slot, t);

	t->flags |= spy.flags;
	if (spy.asked)
		t->flags |= spy.flags_later;
	if (spy.pad)
		t->flags |= CKF_PROTECTED_AUTHENTICATION_PATH;
	if (spy.max != 0)
		t->ulMaxPinLen = spy.max;
	return rv;
}

/* the pad's user always knows the PIN */
static CK_RV
login(CK_SESSION_HANDLE h, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG n)
{
	const char *typed = user == CKU_SO ? pins.so : pins.user;

	spy.logins++;
	if (!spy.pad)
		return spy.real->C_Login(h, user, pin, n);
	spy.null_pin &= pin == NULL && n == 0;
	return spy.real->C_Login(
		h, user, (CK_UTF8CHAR *)(uintptr_t)typed, strlen(typed));
}

static CK_RV
set_pin(CK_SESSION_HANDLE h, CK_UTF8CHAR *old, CK_ULONG old_n, CK_UTF8CHAR *new,
	CK_ULONG new_n)
{
	spy.set_pins++;
	spy.null_pin &= old == NULL && old_n == 0 && new == NULL &&new_n == 0;
	if (spy.pad || spy.rv != CKR_OK)
		return spy.rv;
	return spy.real->C_SetPIN(h, old, old_n, new, new_n);
}

static CK_RV
init_pin(CK_SESSION_HANDLE h, CK_UTF8CHAR *new, CK_ULONG n)
{
	spy.init_pins++;
	spy.null_pin &= new == NULL &&n == 0;
	if (spy.pad || spy.rv != CKR_OK)
		return spy.rv;
	return spy.real->C_InitPIN(h, new, n);
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	ofs_token *t;
	char dir[600];

	softhsm_start();
	softhsm_init_token(LABEL);
	strcpy(pins.user, SOFTHSM_PIN);
	strcpy(pins.so, SOFTHSM_SO_PIN);
	f->ctx = softhsm_ctx(&f->seen);
	f->ctx->opts.pin = give_pin;
	snprintf(dir, sizeof(dir), "%s/audit", softhsm_dir());
	if (ofs_audit_open(f->ctx, dir, OFS_AUDIT_CREATE, &f->audit) != 0 ||
		ofs_ctx_set_audit(f->ctx, f->audit) != 0)
		fail_msg("%s", ofs_ctx_error(f->ctx)->message);
	t = softhsm_open(f->ctx, TOKEN);
	spy.real = t->module->f;
	spy.list = *spy.real;
	spy.list.C_GetTokenInfo = get_token_info;
	spy.list.C_Login = login;
	spy.list.C_SetPIN = set_pin;
	spy.list.C_InitPIN = init_pin;
	ofs_token_free(t);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	ofs_audit_free(f->audit);
	f->ctx->event = NULL;
	ofs_ctx_free(f->ctx);
	free(f);
	softhsm_stop();
	return 0;
}

static int
arm(void **state)
{
	CK_FUNCTION_LIST *real = spy.real, list = spy.list;
	struct fixture *f = *state;

	memset(&spy, 0, sizeof(spy));
	spy.real = real;
	spy.list = list;
	spy.null_pin = true;
	memset(pins.asked, 0, sizeof(pins.asked));
	pins.old_user = pins.user;
	pins.old_so = pins.so;
	pins.new_user = "new user pin";
	pins.new_so = "new so pin";
	f->ctx->opts.last_try = false;
	f->token = softhsm_open(f->ctx, TOKEN);
	f->token->module->f = &spy.list;
	return 0;
}

static int
disarm(void **state)
{
	struct fixture *f = *state;

	f->token->module->f = spy.real;
	ofs_token_free(f->token);
	f->token = NULL;
	return 0;
}

#define assert_says(f, text)                                                 \
	do {                                                                 \
		if (strstr(ofs_token_error((f)->token)->message, (text)) ==  \
			NULL)                                                \
			fail_msg("'%s' lacks '%s'",                          \
				ofs_token_error((f)->token)->message, text); \
	} while (0)

#define assert_sent(l, s, i)                        \
	do {                                        \
		assert_int_equal(spy.logins, l);    \
		assert_int_equal(spy.set_pins, s);  \
		assert_int_equal(spy.init_pins, i); \
	} while (0)

static uint64_t
log_size(struct fixture *f)
{
	uint64_t n;

	assert_int_equal(ofs_audit_size(f->audit, &n), 0);
	return n;
}

/* `what` is the event of a token event, or "ok" or "failed" of a login */
static void
assert_record(struct fixture *f, uint64_t seq, const char *what)
{
	struct ofs_record_head h;
	struct ofs_field field;
	ofs_record *rec;

	assert_int_equal(ofs_audit_get(f->audit, seq, &rec), 0);
	ofs_record_get_head(rec, &h);
	if (ofs_record_find(rec, "event", &field)) {
		assert_int_equal(h.type, OFS_REC_TOKEN_EVENT);
		assert_int_equal(field.len, strlen(what));
		assert_memory_equal(field.bytes, what, field.len);
	} else {
		assert_int_equal(h.type, OFS_REC_LOGIN);
		assert_true(ofs_record_find(rec, "ok", &field));
		assert_string_equal(field.number ? "ok" : "failed", what);
	}
	ofs_record_free(rec);
}

/* the token itself says whether this is its PIN */
static bool
is_pin(struct fixture *f, CK_USER_TYPE user, const char *pin)
{
	CK_SESSION_HANDLE h;
	CK_RV rv;

	assert_int_equal(
		spy.real->C_OpenSession(f->token->slot,
			CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &h),
		CKR_OK);
	rv = spy.real->C_Login(
		h, user, (CK_UTF8CHAR *)(uintptr_t)pin, strlen(pin));
	spy.real->C_CloseSession(h);
	return rv == CKR_OK;
}

static void
must(struct fixture *f, int rc)
{
	if (rc != 0)
		fail_msg("%s", ofs_token_error(f->token)->message);
}

static void
the_user_changes_the_pin(void **state)
{
	struct fixture *f = *state;
	uint64_t before = log_size(f);

	must(f, ofs_token_change_pin(f->token, f->audit));
	/* no login: a wrong PIN would have been sent once and not twice */
	assert_sent(0, 1, 0);
	assert_int_equal(log_size(f), before + 2);
	assert_record(f, before, "pin-change-begun");
	assert_record(f, before + 1, "pin-change");
	strcpy(pins.user, "new user pin");
	must(f, ofs_token_login(f->token));
	/* also while the user is logged in */
	pins.new_user = "third pin";
	must(f, ofs_token_change_pin(f->token, f->audit));
	strcpy(pins.user, "third pin");
	ofs_token_free(f->token);
	f->token = softhsm_open(f->ctx, TOKEN);
	assert_true(is_pin(f, CKU_USER, "third pin"));
	assert_false(is_pin(f, CKU_USER, "new user pin"));
}

static void
a_wrong_pin_is_sent_once(void **state)
{
	struct fixture *f = *state;
	uint64_t before = log_size(f);

	pins.old_user = "not the pin";
	assert_int_equal(ofs_token_change_pin(f->token, f->audit), OFS_EPIN);
	assert_says(f, "rejected the PIN");
	assert_sent(0, 1, 0);
	assert_int_equal(log_size(f), before + 3);
	assert_record(f, before, "pin-change-begun");
	assert_record(f, before + 1, "failed");
	assert_record(f, before + 2, "pin-change-failed");
	/* none more is sent, and nobody is asked for one */
	assert_int_equal(ofs_token_change_pin(f->token, f->audit), OFS_EPIN);
	assert_int_equal(ofs_token_login(f->token), OFS_EPIN);
	assert_sent(0, 1, 0);
	assert_int_equal(pins.asked[OFS_PIN_USER], 1);
	assert_int_equal(log_size(f), before + 3);
	assert_true(is_pin(f, CKU_USER, pins.user));
}

static void
a_wrong_so_pin_is_sent_once(void **state)
{
	struct fixture *f = *state;
	uint64_t before = log_size(f);

	pins.old_so = "not the pin";
	assert_int_equal(ofs_token_unblock_pin(f->token, f->audit), OFS_EPIN);
	assert_sent(1, 0, 0);
	assert_record(f, before, "pin-unblock-begun");
	assert_record(f, before + 1, "failed");
	assert_record(f, before + 2, "pin-unblock-failed");
	assert_int_equal(ofs_token_unblock_pin(f->token, f->audit), OFS_EPIN);
	assert_int_equal(ofs_token_change_so_pin(f->token, f->audit), OFS_EPIN);
	assert_sent(1, 0, 0);
	assert_int_equal(pins.asked[OFS_PIN_SO], 1);
	assert_int_equal(log_size(f), before + 3);
	/* the user's PIN is another one */
	must(f, ofs_token_login(f->token));
}

static void
the_so_unblocks(void **state)
{
	struct fixture *f = *state;
	struct session *pinned;
	struct ofs_error e;
	uint64_t before;

	/* a read-only session of our own, with a login, is no obstacle */
	must(f, ofs_token_login(f->token));
	assert_int_equal(token_session(f->token, &pinned, &e), 0);
	before = log_size(f);
	spy.logins = 0;
	pins.new_user = "unblocked";
	must(f, ofs_token_unblock_pin(f->token, f->audit));
	assert_sent(1, 0, 1);
	assert_record(f, before, "pin-unblock-begun");
	assert_record(f, before + 1, "ok");
	assert_record(f, before + 2, "pin-unblock");
	assert_int_equal(log_size(f), before + 3);
	strcpy(pins.user, "unblocked");
	/* the SO is out again: the user can log in with the new one */
	must(f, ofs_token_login(f->token));
	assert_int_equal(spy.logins, 2);
}

static void
the_so_changes_its_pin(void **state)
{
	struct fixture *f = *state;
	uint64_t before = log_size(f);

	must(f, ofs_token_change_so_pin(f->token, f->audit));
	assert_sent(1, 1, 0);
	assert_record(f, before, "so-pin-change-begun");
	assert_record(f, before + 1, "ok");
	assert_record(f, before + 2, "so-pin-change");
	strcpy(pins.so, "new so pin");
	assert_true(is_pin(f, CKU_SO, "new so pin"));
	assert_true(is_pin(f, CKU_USER, pins.user));
}

/* somebody else's session in this process: told, and nothing is changed */
static void
the_so_needs_the_token_alone(void **state)
{
	struct fixture *f = *state;
	ofs_token *other = softhsm_open(f->ctx, TOKEN);
	struct session *s;
	struct ofs_error e;

	assert_int_equal(token_session(other, &s, &e), 0);
	assert_int_equal(ofs_token_unblock_pin(f->token, f->audit), OFS_ETOKEN);
	assert_says(f, "in another role");
	assert_sent(1, 0, 0);
	assert_record(f, log_size(f) - 1, "pin-unblock-failed");
	ofs_token_free(other);
	assert_true(is_pin(f, CKU_USER, pins.user));
}

struct guard {
	int (*change)(ofs_token *, ofs_audit *);
	CK_FLAGS flags;
	const char *says;
};

static const struct guard guards[] = {
	{ ofs_token_change_pin, CKF_USER_PIN_LOCKED, "ofs-token pin unblock" },
	{ ofs_token_change_pin, CKF_USER_PIN_FINAL_TRY, "last try" },
	{ ofs_token_unblock_pin, CKF_SO_PIN_LOCKED, "SO PIN is locked" },
	{ ofs_token_unblock_pin, CKF_SO_PIN_FINAL_TRY, "last try" },
	{ ofs_token_unblock_pin, CKF_SO_PIN_TO_BE_CHANGED,
		"ofs-token so-pin change" },
	{ ofs_token_change_so_pin, CKF_SO_PIN_LOCKED, "SO PIN is locked" },
	{ ofs_token_change_so_pin, CKF_SO_PIN_FINAL_TRY, "last try" },
};

#define N_GUARDS (sizeof(guards) / sizeof(guards[0]))

static void
nothing_is_sent_in_a_bad_state(void **state)
{
	struct fixture *f = *state;
	uint64_t before = log_size(f);

	pins.new_so = "another one";
	for (size_t i = 0; i < N_GUARDS; i++) {
		spy.flags = guards[i].flags;
		assert_int_equal(
			guards[i].change(f->token, f->audit), OFS_EPINLOCKED);
		assert_says(f, guards[i].says);
	}
	assert_int_equal(pins.asked[OFS_PIN_USER] + pins.asked[OFS_PIN_SO], 0);
	/* it became so while the prompt stood */
	spy.flags = 0;
	for (size_t i = 0; i < N_GUARDS; i++) {
		spy.asked = false;
		spy.flags_later = guards[i].flags;
		assert_int_equal(
			guards[i].change(f->token, f->audit), OFS_EPINLOCKED);
		assert_says(f, guards[i].says);
		assert_true(spy.asked);
	}
	assert_sent(0, 0, 0);
	assert_int_equal(log_size(f), before);
}

static void
the_last_try_is_allowed(void **state)
{
	struct fixture *f = *state;

	f->ctx->opts.last_try = true;
	spy.flags = CKF_USER_PIN_FINAL_TRY | CKF_SO_PIN_FINAL_TRY;
	pins.old_user = "wrong";
	assert_int_equal(ofs_token_change_pin(f->token, f->audit), OFS_EPIN);
	assert_says(f, "one more wrong one locks it");
	assert_sent(0, 1, 0);
	pins.new_user = "last try";
	must(f, ofs_token_unblock_pin(f->token, f->audit));
	strcpy(pins.user, "last try");
	/* after the unblocking a PIN may be sent again */
	pins.old_user = pins.user;
	pins.new_user = "after it";
	must(f, ofs_token_change_pin(f->token, f->audit));
	strcpy(pins.user, "after it");
}

/* the one thing that may be done with such a PIN */
static void
a_pin_that_must_be_changed_can_be(void **state)
{
	struct fixture *f = *state;

	spy.flags = CKF_USER_PIN_TO_BE_CHANGED | CKF_SO_PIN_TO_BE_CHANGED;
	assert_int_equal(ofs_token_login(f->token), OFS_EPINLOCKED);
	assert_says(f, "ofs-token pin change");
	assert_sent(0, 0, 0);
	pins.new_user = "changed it";
	must(f, ofs_token_change_pin(f->token, f->audit));
	strcpy(pins.user, "changed it");
	pins.new_so = "changed that";
	must(f, ofs_token_change_so_pin(f->token, f->audit));
	strcpy(pins.so, "changed that");
	assert_sent(1, 2, 0);
}

static void
new_pins_are_checked_first(void **state)
{
	struct fixture *f = *state;
	uint64_t before = log_size(f);

	pins.new_user = pins.new_so = "123";
	assert_int_equal(ofs_token_change_pin(f->token, f->audit), OFS_EINVAL);
	assert_says(f, "4 to 255 bytes");
	assert_int_equal(ofs_token_unblock_pin(f->token, f->audit), OFS_EINVAL);
	assert_int_equal(
		ofs_token_change_so_pin(f->token, f->audit), OFS_EINVAL);
	spy.max = 8;
	pins.new_user = pins.new_so = "123456789";
	assert_int_equal(ofs_token_change_pin(f->token, f->audit), OFS_EINVAL);
	assert_says(f, "4 to 8 bytes");
	assert_int_equal(
		ofs_token_change_so_pin(f->token, f->audit), OFS_EINVAL);
	spy.max = 0;
	pins.new_user = pins.user;
	pins.new_so = pins.so;
	assert_int_equal(ofs_token_change_pin(f->token, f->audit), OFS_EINVAL);
	assert_says(f, "the new one is the old one");
	assert_int_equal(
		ofs_token_change_so_pin(f->token, f->audit), OFS_EINVAL);
	pins.new_user = NULL;
	assert_int_equal(ofs_token_change_pin(f->token, f->audit), OFS_ENOPIN);
	assert_int_equal(ofs_token_unblock_pin(f->token, f->audit), OFS_ENOPIN);
	assert_sent(0, 0, 0);
	assert_int_equal(log_size(f), before);
}

static void
the_tokens_answers_are_told_apart(void **state)
{
	static const struct {
		CK_RV rv;
		int code;
		const char *says;
	} answers[] = {
		{ CKR_PIN_INVALID, OFS_EINVAL, "refuses the new one" },
		{ CKR_PIN_LEN_RANGE, OFS_EINVAL, "refuses the new one" },
		{ CKR_FUNCTION_NOT_SUPPORTED, OFS_EUNSUPPORTED, "maker" },
		{ CKR_USER_PIN_NOT_INITIALIZED, OFS_ENOPIN,
			"ofs-token pin unblock" },
		{ CKR_DEVICE_ERROR, OFS_ETOKEN, "cannot set the user PIN" },
		/* the last: no PIN is sent after it */
		{ CKR_PIN_LOCKED, OFS_EPINLOCKED, "ofs-token pin unblock" },
	};
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		spy.rv = answers[i].rv;
		assert_int_equal(ofs_token_change_pin(f->token, f->audit),
			answers[i].code);
		assert_says(f, answers[i].says);
		assert_int_equal(ofs_token_error(f->token)->ckr, answers[i].rv);
		assert_record(f, log_size(f) - 1, "pin-change-failed");
	}
	assert_sent(0, (int)i, 0);
	assert_int_equal(ofs_token_change_pin(f->token, f->audit), OFS_EPIN);
	assert_sent(0, (int)i, 0);
}

static void
a_pin_pad_gets_no_pins(void **state)
{
	struct fixture *f = *state;

	spy.pad = true;
	must(f, ofs_token_change_pin(f->token, f->audit));
	assert_sent(0, 1, 0);
	must(f, ofs_token_unblock_pin(f->token, f->audit));
	must(f, ofs_token_change_so_pin(f->token, f->audit));
	assert_sent(2, 2, 1);
	assert_true(spy.null_pin);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(pins.asked[i], 0);
}

static void
nothing_is_sent_without_a_record(void **state)
{
	struct fixture *f = *state;
	ofs_audit *read_only;
	char dir[600];

	snprintf(dir, sizeof(dir), "%s/audit", softhsm_dir());
	assert_int_equal(
		ofs_audit_open(f->ctx, dir, OFS_AUDIT_READ_ONLY, &read_only),
		0);
	assert_int_equal(ofs_token_change_pin(f->token, read_only), OFS_EAUDIT);
	assert_int_equal(
		ofs_token_unblock_pin(f->token, read_only), OFS_EAUDIT);
	assert_int_equal(
		ofs_token_change_so_pin(f->token, read_only), OFS_EAUDIT);
	assert_int_equal(ofs_token_change_pin(f->token, NULL), OFS_EINVAL);
	assert_sent(0, 0, 0);
	ofs_audit_free(read_only);
}

/* the log verifies, and none of the PINs of this program is in it */
static void
the_log_verifies(void **state)
{
	static const char *const secrets[] = { "new user pin", "third pin",
		"not the pin", "unblocked", "new so pin", "last try",
		"after it", "changed it", "changed that" };
	struct fixture *f = *state;
	struct ofs_audit_report r;
	struct ofs_error e;
	static char text[1 << 22];
	char path[600];
	FILE *db;
	size_t n;

	if (ofs_audit_verify(f->audit, NULL, NULL, &r) != 0) {
		ofs_audit_error(f->audit, &e);
		fail_msg("%s", e.message);
	}
	snprintf(path, sizeof(path), "%s/audit/log.db", softhsm_dir());
	db = fopen(path, "r");
	assert_non_null(db);
	n = fread(text, 1, sizeof(text), db);
	fclose(db);
	assert_true(n > 1000 && n < sizeof(text));
	assert_non_null(memmem(text, n, "pin-change-begun", 16));
	for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++)
		assert_null(memmem(text, n, secrets[i], strlen(secrets[i])));
}

#define T(f) cmocka_unit_test_setup_teardown(f, arm, disarm)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		T(the_user_changes_the_pin),
		T(a_wrong_pin_is_sent_once),
		T(a_wrong_so_pin_is_sent_once),
		T(the_so_unblocks),
		T(the_so_changes_its_pin),
		T(the_so_needs_the_token_alone),
		T(nothing_is_sent_in_a_bad_state),
		T(the_last_try_is_allowed),
		T(a_pin_that_must_be_changed_can_be),
		T(new_pins_are_checked_first),
		T(the_tokens_answers_are_told_apart),
		T(a_pin_pad_gets_no_pins),
		T(nothing_is_sent_without_a_record),
		cmocka_unit_test(the_log_verifies),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("pinchange", tests, setup, teardown);
}
