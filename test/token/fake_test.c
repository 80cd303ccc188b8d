/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Answers that SoftHSM2 never gives, from a module made of a few functions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/pubkey.h"
#include "token/keydef.h"
#include "token/label.h"
#include "token/login.h"

static struct ofs_error e;

/* What the module does, and what it saw. */
static struct {
	CK_FLAGS flags;       /* of the token */
	CK_FLAGS flags_later; /* from the second reading on, when not 0 */
	int info_reads;
	char serial; /* of the token, now */
	CK_STATE state;
	CK_RV state_rv;
	CK_RV login_rv;
	int logins, logouts, opened, closed;
	bool null_pin;
	char pin[64];
	int asked; /* of the PIN callback */
	CK_ULONG slots, slots_later;
	bool slots_lie; /* CKR_OK with more than there was room for */
	int slot_calls;
	int stop_at_unknown; /* C_GetAttributeValue ends at the first one */
	CK_ULONG objects;    /* that C_FindObjects has to give */
	CK_RV find_rv;
	int finals;
	CK_ULONG most;          /* asked for at once */
	CK_MECHANISM_TYPE mech; /* of the last C_SignInit */
	CK_RV init_rv, sign_rv;
	CK_ULONG sig_len;
	int signs;
} f;

static CK_RV
get_token_info(CK_SLOT_ID id, CK_TOKEN_INFO *t)
{
	(void)id;
	memset(t, ' ', sizeof(*t));
	memcpy(t->label, "fake", 4);
	t->serialNumber[0] = (CK_CHAR)f.serial;
	t->flags = f.flags;
	if (f.info_reads++ > 0 && f.flags_later != 0)
		t->flags = f.flags_later;
	return CKR_OK;
}

static CK_RV
get_slot_list(CK_BBOOL present, CK_SLOT_ID *v, CK_ULONG *n)
{
	CK_ULONG have = f.slots;

	(void)present;
	if (f.slot_calls++ > 0)
		have = f.slots_later;
	if (v != NULL && *n < have) {
		*n = have;
		return f.slots_lie ? CKR_OK : CKR_BUFFER_TOO_SMALL;
	}
	for (CK_ULONG i = 0; v != NULL && i < have; i++)
		v[i] = i + 10;
	*n = have;
	return CKR_OK;
}

static CK_RV
open_session(CK_SLOT_ID id, CK_FLAGS flags, void *app, CK_NOTIFY notify,
	CK_SESSION_HANDLE *h)
{
	(void)id;
	(void)flags;
	(void)app;
	(void)notify;
	*h = (CK_SESSION_HANDLE)++f.opened;
	return CKR_OK;
}

static CK_RV
close_session(CK_SESSION_HANDLE h)
{
	(void)h;
	f.closed++;
	return CKR_OK;
}

static CK_RV
get_session_info(CK_SESSION_HANDLE h, CK_SESSION_INFO *i)
{
	(void)h;
	memset(i, 0, sizeof(*i));
	i->state = f.state;
	return f.state_rv;
}

static CK_RV
login(CK_SESSION_HANDLE h, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG n)
{
	(void)h;
	(void)user;
	f.logins++;
	f.null_pin = pin == NULL && n == 0;
	if (pin != NULL && n < sizeof(f.pin)) {
		memcpy(f.pin, pin, n);
		f.pin[n] = '\0';
	}
	return f.login_rv;
}

static CK_RV
logout(CK_SESSION_HANDLE h)
{
	(void)h;
	f.logouts++;
	return CKR_OK;
}

/* CKA_LABEL is there, CKA_ID is not known, CKA_SIGN is hidden, more follows */
static CK_RV
get_attribute_value(
	CK_SESSION_HANDLE h, CK_OBJECT_HANDLE o, CK_ATTRIBUTE *a, CK_ULONG n)
{
	CK_RV rv = CKR_OK;

	(void)h;
	(void)o;
	for (CK_ULONG i = 0; i < n; i++) {
		CK_ULONG room = a[i].ulValueLen, len;
		CK_RV one = CKR_OK;

		switch (a[i].type) {
		case CKA_LABEL:
			len = a[i].pValue == NULL ? 9 : 5;
			if (a[i].pValue != NULL && room >= 5)
				memcpy(a[i].pValue, "label", 5);
			break;
		case CKA_KEY_TYPE:
			len = sizeof(CK_ULONG);
			if (a[i].pValue != NULL && room >= len)
				memcpy(a[i].pValue, &(CK_ULONG){ CKK_EC }, len);
			break;
		case CKA_VALUE: /* grows between the two passes */
			len = a[i].pValue == NULL ? 4 : 400;
			if (a[i].pValue != NULL)
				one = CKR_BUFFER_TOO_SMALL;
			break;
		case CKA_MODULUS:
			len = 1UL << 40;
			break;
		case CKA_SIGN:
			len = (CK_ULONG)-1;
			one = CKR_ATTRIBUTE_SENSITIVE;
			break;
		default:
			len = (CK_ULONG)-1;
			one = CKR_ATTRIBUTE_TYPE_INVALID;
		}
		a[i].ulValueLen = len;
		if (one != CKR_OK)
			rv = one;
		if (one != CKR_OK && f.stop_at_unknown)
			return rv;
	}
	return rv;
}

static CK_RV
find_init(CK_SESSION_HANDLE h, CK_ATTRIBUTE *a, CK_ULONG n)
{
	(void)h;
	for (CK_ULONG i = 0; i < n; i++)
		if (a[i].ulValueLen == 0)
			return CKR_GENERAL_ERROR;
	return CKR_OK;
}

static CK_RV
find(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE *v, CK_ULONG max, CK_ULONG *n)
{
	(void)h;
	if (max > f.most)
		f.most = max;
	*n = f.objects < max ? f.objects : max;
	for (CK_ULONG i = 0; i < *n; i++)
		v[i] = f.objects - i;
	f.objects -= *n;
	return f.find_rv;
}

static CK_RV
find_final(CK_SESSION_HANDLE h)
{
	(void)h;
	f.finals++;
	return CKR_OK;
}

static CK_RV
sign_init(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE o)
{
	(void)h;
	(void)o;
	f.mech = m->mechanism;
	return f.init_rv;
}

static CK_RV
sign(CK_SESSION_HANDLE h, CK_BYTE *in, CK_ULONG in_len, CK_BYTE *out,
	CK_ULONG *n)
{
	(void)h;
	(void)in;
	(void)in_len;
	f.signs++;
	if (f.sig_len <= *n)
		memset(out, 0x41, f.sig_len);
	*n = f.sig_len;
	return f.sign_rv;
}

static CK_FUNCTION_LIST functions = {
	.C_GetTokenInfo = get_token_info,
	.C_GetSlotList = get_slot_list,
	.C_OpenSession = open_session,
	.C_CloseSession = close_session,
	.C_GetSessionInfo = get_session_info,
	.C_Login = login,
	.C_Logout = logout,
	.C_GetAttributeValue = get_attribute_value,
	.C_FindObjectsInit = find_init,
	.C_FindObjects = find,
	.C_FindObjectsFinal = find_final,
	.C_SignInit = sign_init,
	.C_Sign = sign,
};

static char path[] = "/fake.so";
static struct module module = { .path = path, .f = &functions, .refs = 1 };
static ofs_ctx *ctx;
static ofs_token token;
static const struct session session = { .module = &module, .h = 1 };

static int
give_pin(void *arg, const struct ofs_pin_request *req, char *pin)
{
	(void)arg;
	(void)req;
	f.asked++;
	strcpy(pin, "1234");
	return 0;
}

static int
set_up(void **state)
{
	struct ofs_ctx_opts o = OFS_CTX_OPTS_INIT;
	struct slot s = { .module = &module };

	(void)state;
	memset(&f, 0, sizeof(f));
	f.flags = CKF_LOGIN_REQUIRED | CKF_TOKEN_INITIALIZED |
		CKF_USER_PIN_INITIALIZED;
	f.serial = '1';
	o.pin = give_pin;
	if (ofs_ctx_new(&o, &ctx) != 0)
		return -1;
	memset(&token, 0, sizeof(token));
	token.ctx = ctx;
	token.module = &module;
	token.pid = getpid();
	(void)get_token_info(0, &token.raw);
	s.raw = token.raw;
	slot_describe(&s, &token.info);
	f.info_reads = 0;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	session_close(&token.pinned);
	assert_int_equal(f.opened, f.closed);
	ofs_ctx_free(ctx);
	return 0;
}

static void
logs_in(void **state)
{
	(void)state;
	assert_int_equal(ofs_token_login(&token), 0);
	assert_int_equal(f.logins, 1);
	assert_string_equal(f.pin, "1234");
}

static void
asks_nobody_when_logged_in(void **state)
{
	(void)state;
	f.state = CKS_RW_USER_FUNCTIONS;
	assert_int_equal(ofs_token_login(&token), 0);
	assert_int_equal(f.asked + f.logins, 0);
	f.state = CKS_RW_SO_FUNCTIONS;
	assert_int_equal(ofs_token_login(&token), OFS_ETOKEN);
	assert_int_equal(f.asked + f.logins, 0);
}

static void
takes_an_older_login_as_success(void **state)
{
	(void)state;
	f.login_rv = CKR_USER_ALREADY_LOGGED_IN;
	assert_int_equal(ofs_token_login(&token), 0);
}

static void
needs_no_login_where_none_is_required(void **state)
{
	(void)state;
	f.flags &= ~CKF_LOGIN_REQUIRED;
	assert_int_equal(ofs_token_login(&token), 0);
	assert_int_equal(f.asked + f.logins, 0);
}

static void
refuse_login(CK_FLAGS flag)
{
	tear_down(NULL);
	set_up(NULL);
	f.flags |= flag;
	assert_int_equal(ofs_token_login(&token), OFS_EPINLOCKED);
	assert_int_equal(f.asked + f.logins, 0);
	/* it may also turn so while the operator types */
	tear_down(NULL);
	set_up(NULL);
	f.info_reads = -1; /* after the session's look and the one before */
	f.flags_later = f.flags | flag;
	assert_int_equal(ofs_token_login(&token), OFS_EPINLOCKED);
	assert_int_equal(f.asked, 1);
	assert_int_equal(f.logins, 0);
}

static void
sends_nothing_to_a_locked_token(void **state)
{
	(void)state;
	refuse_login(CKF_USER_PIN_LOCKED);
	refuse_login(CKF_USER_PIN_FINAL_TRY);
	refuse_login(CKF_USER_PIN_TO_BE_CHANGED);
}

static void
takes_the_last_try_when_told(void **state)
{
	(void)state;
	f.flags |= CKF_USER_PIN_FINAL_TRY;
	ctx->opts.last_try = true;
	assert_int_equal(ofs_token_login(&token), 0);
	assert_int_equal(f.logins, 1);
}

static void
remembers_a_rejection(void **state)
{
	static const struct {
		CK_RV rv;
		int code;
		bool final; /* no more PINs to this token */
	} answers[] = {
		{ CKR_PIN_INCORRECT, OFS_EPIN, true },
		{ CKR_PIN_INVALID, OFS_EPIN, true },
		{ CKR_PIN_LEN_RANGE, OFS_EPIN, true },
		{ CKR_PIN_LOCKED, OFS_EPINLOCKED, true },
		{ CKR_PIN_EXPIRED, OFS_EPINLOCKED, true },
		{ CKR_USER_PIN_NOT_INITIALIZED, OFS_ENOPIN, false },
		{ CKR_FUNCTION_CANCELED, OFS_ENOPIN, false },
		{ CKR_DEVICE_REMOVED, OFS_ETOKEN, false },
		{ CKR_HOST_MEMORY, OFS_ENOMEM, false },
		{ 0x80001234, OFS_ETOKEN, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		tear_down(NULL);
		set_up(NULL);
		f.login_rv = answers[i].rv;
		assert_int_equal(ofs_token_login(&token), answers[i].code);
		assert_int_equal(ofs_token_error(&token)->ckr, answers[i].rv);
		assert_int_equal(f.logins, 1);
		f.login_rv = CKR_OK;
		assert_int_equal(ofs_token_login(&token),
			answers[i].final ? OFS_EPIN : 0);
		assert_int_equal(f.logins, answers[i].final ? 1 : 2);
		assert_int_equal(f.asked, f.logins);
	}
}

static void
tells_that_the_pin_is_locked_now(void **state)
{
	(void)state;
	f.login_rv = CKR_PIN_INCORRECT;
	f.info_reads = -2;
	f.flags_later = f.flags | CKF_USER_PIN_LOCKED;
	assert_int_equal(ofs_token_login(&token), OFS_EPIN);
	assert_non_null(strstr(ofs_token_error(&token)->message, "locked now"));
	assert_int_equal(ofs_token_error(&token)->ckr, CKR_PIN_INCORRECT);
}

static void
leaves_the_pin_to_the_pad(void **state)
{
	(void)state;
	f.flags |= CKF_PROTECTED_AUTHENTICATION_PATH;
	assert_int_equal(ofs_token_login(&token), 0);
	assert_int_equal(f.asked, 0);
	assert_int_equal(f.logins, 1);
	assert_true(f.null_pin);
}

static void
notices_another_token(void **state)
{
	(void)state;
	f.serial = '2';
	assert_int_equal(ofs_token_login(&token), OFS_ETOKEN);
	assert_int_equal(f.asked + f.logins, 0);
	/* the session lives on, but the card was changed */
	f.serial = '1';
	assert_int_equal(ofs_token_login(&token), 0);
	f.serial = '2';
	assert_int_equal(ofs_token_login(&token), OFS_ETOKEN);
	assert_int_equal(f.logins, 1);
}

static void
opens_a_new_session_for_a_dead_one(void **state)
{
	(void)state;
	assert_int_equal(ofs_token_login(&token), 0);
	f.state_rv = CKR_SESSION_HANDLE_INVALID;
	assert_int_not_equal(ofs_token_login(&token), 0);
	assert_int_equal(f.opened, 2);
	assert_int_equal(f.logins, 1);
}

static void
reads_what_is_there(void **state)
{
	static const CK_ATTRIBUTE_TYPE types[] = { CKA_ID, CKA_LABEL, CKA_SIGN,
		CKA_VALUE, CKA_MODULUS, CKA_KEY_TYPE };
	struct attrs a;
	CK_ULONG v;
	size_t len;

	(void)state;
	for (f.stop_at_unknown = 0; f.stop_at_unknown < 2;
		f.stop_at_unknown++) {
		assert_int_equal(attrs_read(&session, 1, types, 6, &a, &e), 0);
		assert_null(attrs_get(&a, CKA_ID, &len));
		assert_memory_equal(attrs_get(&a, CKA_LABEL, &len), "label", 5);
		assert_int_equal(len, 5);
		assert_int_equal(attrs_bool(&a, CKA_SIGN), -1);
		assert_int_equal(attrs_bool(&a, CKA_LABEL), -1);
		assert_null(attrs_get(&a, CKA_VALUE, &len));
		assert_null(attrs_get(&a, CKA_MODULUS, &len));
		assert_int_equal(len, 0);
		if (f.stop_at_unknown == 0) {
			assert_true(attrs_ulong(&a, CKA_KEY_TYPE, &v));
			assert_int_equal(v, CKK_EC);
		}
		attrs_free(&a);
	}
}

static void
finds_in_portions(void **state)
{
	struct object_query q = { .class_ = CKO_PRIVATE_KEY };
	struct object_list l;

	(void)state;
	f.objects = 200;
	assert_int_equal(object_find(&session, &q, &l, &e), 0);
	assert_int_equal(l.n, 200);
	assert_int_equal(f.most, 64);
	assert_int_equal(f.finals, 1);
	object_list_free(&l);
	/* a module that does not filter */
	f.objects = 3;
	q.label = (const uint8_t *)"other";
	q.label_len = 5;
	assert_int_equal(object_find(&session, &q, &l, &e), 0);
	assert_int_equal(l.n, 0);
	object_list_free(&l);
	/* a search that fails is ended all the same */
	f.objects = 3;
	f.find_rv = CKR_DEVICE_ERROR;
	assert_int_equal(object_find(&session, &q, &l, &e), OFS_ETOKEN);
	assert_int_equal(e.ckr, CKR_DEVICE_ERROR);
	assert_int_equal(f.finals, 3);
	object_list_free(&l);
	/* one that never ends */
	f.find_rv = CKR_OK;
	f.objects = 1UL << 40;
	assert_int_equal(object_find(&session, &q, &l, &e), OFS_ETOKEN);
	assert_int_equal(f.finals, 4);
	object_list_free(&l);
}

static void
lists_slots_that_come_and_go(void **state)
{
	CK_SLOT_ID *ids;
	size_t n;

	(void)state;
	f.slots = 1;
	f.slots_later = 3; /* appeared between the two calls */
	assert_int_equal(module_slots(&module, &ids, &n, &e), 0);
	assert_int_equal(n, 3);
	assert_int_equal(ids[2], 12);
	free(ids);
	f.slot_calls = 0;
	f.slots = 3;
	f.slots_later = 1;
	assert_int_equal(module_slots(&module, &ids, &n, &e), 0);
	assert_int_equal(n, 1);
	free(ids);
	f.slot_calls = 0;
	f.slots = f.slots_later = 0;
	assert_int_equal(module_slots(&module, &ids, &n, &e), 0);
	assert_int_equal(n, 0);
	assert_null(ids);
	f.slot_calls = 0;
	f.slots = 1;
	f.slots_later = 3;
	f.slots_lie = true;
	assert_int_equal(module_slots(&module, &ids, &n, &e), 0);
	assert_int_equal(n, 3);
	assert_int_equal(ids[2], 12);
	free(ids);
	f.slot_calls = 0;
	f.slots = f.slots_later = 1UL << 40;
	assert_int_equal(module_slots(&module, &ids, &n, &e), OFS_EMODULE);
	assert_null(ids);
}

static void
takes_signatures_strictly(void **state)
{
	static const struct {
		CK_ULONG len;
		int code;
	} lens[] = { { 64, 0 }, { 0, OFS_EBADSIG }, { 63, OFS_EBADSIG },
		{ 2049, OFS_EBADSIG }, { 1UL << 40, OFS_EBADSIG } };
	static const CK_RV broken[] = { CKR_DEVICE_ERROR, CKR_DEVICE_REMOVED,
		CKR_BUFFER_TOO_SMALL, CKR_USER_NOT_LOGGED_IN,
		CKR_SESSION_HANDLE_INVALID };
	const struct alg *a = alg_for(OFS_KEY_EC_P256, OFS_DIGEST_SHA256);
	struct to_sign t = { .alg = a };
	struct ofs_key k = {
		.token = &token, .signs = true, .mechs = UINT32_MAX
	};
	struct buf sig = BUF_INIT;
	struct key_session *s;
	uint8_t hash[32] = { 1 };

	(void)state;
	t.hash = hash;
	k.p.info.type = OFS_KEY_EC_P256;
	k.p.info.bits = 256;
	assert_int_equal(key_session_open(&k, &s, &e), 0);
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		buf_reset(&sig);
		f.sig_len = lens[i].len;
		assert_int_equal(
			key_session_try(s, &t, &sig, &e), lens[i].code);
		assert_int_equal(sig.len, lens[i].code == 0 ? 70 : 0);
	}
	assert_int_equal(f.mech, CKM_ECDSA);
	/* an RSA signature has the modulus' length */
	k.p.info.type = OFS_KEY_RSA;
	k.p.info.bits = 511;
	t.alg = alg_for(OFS_KEY_RSA, OFS_DIGEST_SHA256);
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		bool good = lens[i].len == 64;

		buf_reset(&sig);
		f.sig_len = lens[i].len;
		assert_int_equal(key_session_try(s, &t, &sig, &e),
			good ? 0 : OFS_EBADSIG);
		assert_int_equal(sig.len, good ? lens[i].len : 0);
	}
	assert_int_equal(f.mech, CKM_RSA_PKCS);
	k.p.info.type = OFS_KEY_EC_P256;
	k.p.info.bits = 256;
	t.alg = a;
	f.sig_len = 64;
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		int opened = f.opened, signs = f.signs;

		buf_reset(&sig);
		assert_int_equal(key_session_try(s, &t, &sig, &e), 0);
		f.sign_rv = broken[i];
		assert_int_equal(key_session_try(s, &t, &sig, &e), OFS_ETOKEN);
		assert_int_equal(e.ckr, broken[i]);
		f.sign_rv = CKR_OK;
		f.init_rv = broken[i];
		assert_int_equal(key_session_try(s, &t, &sig, &e), OFS_ETOKEN);
		f.init_rv = CKR_OK;
		/* nothing was tried again, and no session used again */
		assert_int_equal(f.signs, signs + 2);
		assert_int_equal(f.opened, opened + 2);
		assert_int_equal(f.opened, f.closed);
		assert_int_equal(sig.len, 70);
	}
	/* nor is another token signed with */
	f.serial = '2';
	f.signs = 0;
	f.sign_rv = CKR_OK;
	assert_int_equal(key_session_try(s, &t, &sig, &e), OFS_ETOKEN);
	assert_int_equal(f.signs, 0);
	key_session_close(s);
	buf_free(&sig);
}

static void
shows_labels(void **state)
{
	static const uint8_t odd[] = "a\xff\n\xc3\xa4 \0 ";
	char to[64], small[6];

	(void)state;
	assert_int_equal(label_len(odd, sizeof(odd)), 5);
	assert_int_equal(label_len(odd, 0), 0);
	assert_string_equal(
		label_text(to, sizeof(to), odd, 5), "a\\xff\\x0a\xc3\xa4");
	/* only whole characters */
	assert_string_equal(label_text(small, sizeof(small), odd, 5), "a\\xff");
	assert_string_equal(label_text(small, 5, odd, 5), "a");
	assert_string_equal(label_text(small, 2, odd + 3, 2), "");
	assert_string_equal(label_text(to, sizeof(to), NULL, 0), "");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(logs_in),
		TEST(asks_nobody_when_logged_in),
		TEST(takes_an_older_login_as_success),
		TEST(needs_no_login_where_none_is_required),
		TEST(sends_nothing_to_a_locked_token),
		TEST(takes_the_last_try_when_told),
		TEST(remembers_a_rejection),
		TEST(tells_that_the_pin_is_locked_now),
		TEST(leaves_the_pin_to_the_pad),
		TEST(notices_another_token),
		TEST(opens_a_new_session_for_a_dead_one),
		TEST(reads_what_is_there),
		TEST(finds_in_portions),
		TEST(lists_slots_that_come_and_go),
		TEST(takes_signatures_strictly),
		TEST(shows_labels),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
