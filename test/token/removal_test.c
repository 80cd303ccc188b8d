/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* faultp11.so loses a token as OpenSC, ykcs11 and a network module do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "faultp11.h"
#include "softhsm.h"

static CK_FUNCTION_LIST *f;
static CK_SLOT_ID one, two;
static CK_SESSION_HANDLE h; /* on "one", logged in */
static CK_OBJECT_HANDLE key, public_key;
static unsigned char sig[80];
static CK_ULONG len;
static char back[600]; /* a file; when it is there, the token is */

static int
make_tokens(void **state)
{
	static const char *const labels[] = { "one", "two" };

	(void)state;
	fault_start();
	snprintf(back, sizeof(back), "%s/back", softhsm_dir());
	f = fault_functions();
	assert_int_equal(f->C_Initialize(NULL), CKR_OK);
	for (int i = 0; i < 2; i++) {
		CK_SESSION_HANDLE s;

		fault_init_token(labels[i]);
		s = fault_session(fault_slot(labels[i]));
		assert_int_equal(fault_login(s, CKU_USER, SOFTHSM_PIN), 0);
		fault_make_key(s, "a", 1);
		assert_int_equal(f->C_CloseSession(s), CKR_OK);
	}
	return f->C_Finalize(NULL) == CKR_OK ? 0 : -1;
}

static int
drop_tokens(void **state)
{
	(void)state;
	softhsm_stop();
	return 0;
}

static int
log_in(void **state)
{
	CK_C_INITIALIZE_ARGS args = { .flags = CKF_OS_LOCKING_OK };

	(void)state;
	unlink(back);
	fault_reset();
	assert_int_equal(f->C_Initialize(&args), CKR_OK);
	one = fault_slot("one");
	two = fault_slot("two");
	h = fault_session(one);
	assert_int_equal(fault_login(h, CKU_USER, SOFTHSM_PIN), CKR_OK);
	key = fault_find(h, CKO_PRIVATE_KEY, "a");
	public_key = fault_find(h, CKO_PUBLIC_KEY, "a");
	return 0;
}

static int
log_out(void **state)
{
	(void)state;
	fault_reset();
	return f->C_Finalize(NULL) == CKR_OK ? 0 : -1;
}

/* the rule, and back when the file is there */
static void
script(const char *rule)
{
	char text[1200];

	snprintf(text, sizeof(text), "%s back='%s'", rule, back);
	fault_script(text);
}

static void
put_back(void)
{
	FILE *out = fopen(back, "w");

	assert_non_null(out);
	fclose(out);
}

static CK_RV
sign(void)
{
	return fault_sign(h, key, sig, &len);
}

/* C_Sign alone */
static CK_RV
sign_only(void)
{
	len = 64;
	return f->C_Sign(h, sig, 32, sig, &len);
}

static CK_RV
try_session(CK_SLOT_ID slot, CK_SESSION_HANDLE *s)
{
	return f->C_OpenSession(
		slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, s);
}

static CK_STATE
state_of(CK_SESSION_HANDLE s)
{
	CK_SESSION_INFO i;

	assert_int_equal(f->C_GetSessionInfo(s, &i), CKR_OK);
	return i.state;
}

static bool
is_listed(CK_SLOT_ID slot, CK_BBOOL present)
{
	CK_SLOT_ID v[16];
	CK_ULONG n = 16;

	assert_int_equal(f->C_GetSlotList(present, v, &n), CKR_OK);
	for (CK_ULONG i = 0; i < n; i++)
		if (v[i] == slot)
			return true;
	return false;
}

static void
shows_an_empty_slot(void)
{
	CK_MECHANISM_INFO m;
	CK_TOKEN_INFO t;
	CK_SLOT_INFO i;
	CK_ULONG n = 0;

	assert_false(is_listed(one, CK_TRUE));
	assert_true(is_listed(one, CK_FALSE));
	assert_true(is_listed(two, CK_TRUE));
	assert_int_equal(f->C_GetTokenInfo(one, &t), CKR_TOKEN_NOT_PRESENT);
	assert_int_equal(f->C_GetSlotInfo(one, &i), CKR_OK);
	assert_int_equal(i.flags & CKF_TOKEN_PRESENT, 0);
	assert_int_equal(
		f->C_GetMechanismList(one, NULL, &n), CKR_TOKEN_NOT_PRESENT);
	assert_int_equal(f->C_GetMechanismInfo(one, CKM_ECDSA, &m),
		CKR_TOKEN_NOT_PRESENT);
	assert_int_equal(f->C_GetTokenInfo(two, &t), CKR_OK);
}

/* with a new session: log in, find, sign, as if nothing had been */
static void
works_again(CK_SLOT_ID slot)
{
	CK_SESSION_HANDLE s = fault_session(slot);
	CK_OBJECT_HANDLE o;

	assert_int_equal(state_of(s), CKS_RW_PUBLIC_SESSION);
	assert_int_equal(fault_login(s, CKU_USER, SOFTHSM_PIN), CKR_OK);
	o = fault_find(s, CKO_PRIVATE_KEY, "a");
	assert_int_not_equal(o, 0);
	assert_int_equal(fault_sign(s, o, sig, &len), CKR_OK);
	assert_true(fault_verifies(
		s, fault_find(s, CKO_PUBLIC_KEY, "a"), sig, len));
}

static void
opensc_without_a_question(void **state)
{
	CK_SESSION_HANDLE s;

	(void)state;
	script("C_Sign 2 remove=opensc");
	assert_int_equal(sign(), CKR_OK);
	assert_int_equal(sign(), CKR_DEVICE_REMOVED);
	assert_int_equal(try_session(one, &s), CKR_TOKEN_NOT_PRESENT);
	put_back();
	/* nobody asked for the slot, and it stays as it is for ever */
	for (int i = 0; i < 3; i++)
		assert_int_equal(sign_only(), CKR_DEVICE_REMOVED);
	assert_int_equal(
		fault_login(h, CKU_USER, SOFTHSM_PIN), CKR_DEVICE_REMOVED);
	works_again(one);
	assert_int_equal(sign_only(), CKR_DEVICE_REMOVED);
}

static void
opensc_when_asked(void **state)
{
	CK_SESSION_HANDLE s;
	CK_SESSION_INFO i;
	CK_SLOT_INFO si;

	(void)state;
	script("C_Sign 1 remove=opensc");
	assert_int_equal(sign(), CKR_DEVICE_REMOVED);
	shows_an_empty_slot();
	assert_int_equal(sign_only(), CKR_DEVICE_REMOVED); /* it is out */
	put_back();
	assert_int_equal(f->C_GetSlotInfo(one, &si), CKR_OK);
	assert_true(si.flags & CKF_TOKEN_PRESENT);
	assert_int_equal(sign_only(), CKR_SESSION_HANDLE_INVALID);
	assert_int_equal(
		f->C_GetSessionInfo(h, &i), CKR_SESSION_HANDLE_INVALID);
	/* the old numbers name nothing in a new session */
	s = fault_session(one);
	assert_int_equal(fault_login(s, CKU_USER, SOFTHSM_PIN), CKR_OK);
	assert_int_equal(fault_sign(s, key, sig, &len), CKR_KEY_HANDLE_INVALID);
	assert_int_equal(f->C_CloseSession(s), CKR_OK);
	assert_int_equal(f->C_CloseSession(h), CKR_SESSION_HANDLE_INVALID);
	works_again(one);
}

static void
ykcs11_heals_when_all_is_closed(void **state)
{
	CK_SESSION_HANDLE s;
	CK_TOKEN_INFO t;

	(void)state;
	script("C_Sign 2 remove=ykcs11");
	assert_int_equal(sign(), CKR_OK);
	assert_int_equal(sign(), CKR_DEVICE_ERROR);
	shows_an_empty_slot();
	assert_int_equal(try_session(one, &s), CKR_OK); /* (!) */
	assert_int_equal(fault_sign(s, key, sig, &len), CKR_DEVICE_ERROR);
	put_back();
	assert_int_equal(f->C_GetTokenInfo(one, &t), CKR_OK);
	assert_int_equal(sign_only(), CKR_DEVICE_ERROR);
	assert_int_equal(fault_login(h, CKU_USER, SOFTHSM_PIN),
		CKR_USER_ALREADY_LOGGED_IN);
	assert_int_equal(try_session(one, &s), CKR_OK);
	assert_int_equal(fault_login(s, CKU_USER, SOFTHSM_PIN),
		CKR_USER_ALREADY_LOGGED_IN);
	assert_int_equal(fault_sign(s, key, sig, &len), CKR_DEVICE_ERROR);
	assert_int_equal(f->C_CloseAllSessions(one), CKR_OK);
	works_again(one);
	assert_int_equal(sign_only(), CKR_SESSION_HANDLE_INVALID);
}

static void
ykcs11_heals_with_the_last_session(void **state)
{
	CK_SESSION_HANDLE s;

	(void)state;
	fault_script("C_Sign 1 remove=ykcs11 back=0");
	assert_int_equal(sign(), CKR_DEVICE_ERROR);
	assert_int_equal(try_session(one, &s), CKR_OK);
	assert_int_equal(f->C_CloseSession(s), CKR_OK);
	assert_int_equal(sign_only(), CKR_DEVICE_ERROR);
	assert_int_equal(f->C_CloseSession(h), CKR_OK);
	works_again(one);
	assert_int_not_equal(sign(), CKR_OK);
}

static volatile sig_atomic_t piped;

static void
note_pipe(int number)
{
	piped = number;
}

static void
network_heals_with_a_new_beginning(void **state)
{
	CK_SESSION_HANDLE s;
	CK_TOKEN_INFO t;
	CK_ULONG n = 0;

	(void)state;
	piped = 0;
	signal(SIGPIPE, note_pipe);
	script("C_Sign 2 remove=network");
	assert_int_equal(sign(), CKR_OK);
	assert_int_equal(piped, 0);
	assert_int_equal(sign(), CKR_DEVICE_ERROR);
	assert_int_equal(piped, SIGPIPE);
	piped = 0;
	assert_int_equal(sign_only(), CKR_DEVICE_ERROR);
	assert_int_equal(piped, 0);
	assert_int_equal(try_session(one, &s), CKR_DEVICE_ERROR);
	assert_int_equal(f->C_GetTokenInfo(two, &t), CKR_DEVICE_ERROR);
	assert_int_equal(f->C_GetSlotList(CK_TRUE, NULL, &n), CKR_DEVICE_ERROR);
	assert_int_equal(f->C_Finalize(NULL), CKR_OK);
	assert_int_equal(f->C_Initialize(NULL), CKR_DEVICE_ERROR);
	put_back();
	assert_int_equal(f->C_Initialize(NULL), CKR_OK);
	works_again(fault_slot("one"));
	/* numbers begin again behind, and the old ones still name nothing */
	assert_int_equal(sign_only(), CKR_SESSION_HANDLE_INVALID);
	s = fault_session(two);
	assert_int_not_equal(s, h);
	assert_int_equal(fault_login(s, CKU_USER, SOFTHSM_PIN), CKR_OK);
	assert_int_not_equal(fault_sign(s, key, sig, &len), CKR_OK);
	signal(SIGPIPE, SIG_DFL);
}

static void
network_needs_both_halves(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	fault_script("C_Sign 1 remove=network back=0");
	assert_int_equal(sign(), CKR_DEVICE_ERROR);
	assert_int_equal(f->C_CloseAllSessions(one), CKR_DEVICE_ERROR);
	assert_int_equal(sign(), CKR_DEVICE_ERROR);
	assert_int_equal(f->C_Finalize(NULL), CKR_OK);
	assert_int_equal(f->C_Initialize(NULL), CKR_OK);
	works_again(one);
	signal(SIGPIPE, SIG_DFL);
}

static void
another_comes_back(void **state)
{
	CK_TOKEN_INFO before, after;
	CK_SESSION_HANDLE s;
	CK_SLOT_ID slot;

	(void)state;
	assert_int_equal(sign(), CKR_OK);
	assert_int_equal(f->C_GetTokenInfo(one, &before), CKR_OK);
	fault_script("C_Sign 1 remove=opensc back=0 as=two slot=move");
	assert_int_equal(sign(), CKR_DEVICE_REMOVED);
	assert_false(fault_find_slot("two", &slot));
	assert_true(fault_find_slot("one", &slot));
	assert_int_not_equal(slot, one);
	assert_int_not_equal(slot, two);
	assert_false(is_listed(one, CK_TRUE));
	assert_int_equal(f->C_GetTokenInfo(slot, &after), CKR_OK);
	assert_memory_equal(before.label, after.label, 32);
	assert_memory_equal(before.serialNumber, after.serialNumber, 16);
	works_again(slot);
	/* what it signs is another key's */
	s = fault_session(slot);
	assert_int_equal(
		fault_sign(s, fault_find(s, CKO_PRIVATE_KEY, "a"), sig, &len),
		CKR_OK);
	fault_reset();
	assert_int_equal(f->C_CloseAllSessions(two), CKR_OK);
	s = fault_session(one);
	public_key = fault_find(s, CKO_PUBLIC_KEY, "a");
	assert_false(fault_verifies(s, public_key, sig, len));
}

static void
comes_back_after_a_time(void **state)
{
	CK_SLOT_ID slot;

	(void)state;
	fault_script("C_Sign 1 remove=opensc back=600ms");
	assert_int_equal(sign(), CKR_DEVICE_REMOVED);
	assert_false(fault_find_slot("one", &slot));
	usleep(700000);
	assert_true(fault_find_slot("one", &slot));
	assert_int_equal(slot, one);
	works_again(one);
}

static void
never_comes_back(void **state)
{
	CK_SLOT_ID slot;

	(void)state;
	/* the other one, while this one signs */
	fault_script("C_Sign 1 remove=ykcs11 token=two");
	assert_int_equal(sign(), CKR_OK);
	assert_false(fault_find_slot("two", &slot));
	assert_true(fault_find_slot("one", &slot));
	usleep(20000);
	assert_false(fault_find_slot("two", &slot));
	assert_int_equal(sign(), CKR_OK);
}

static void
is_not_there_at_the_beginning(void **state)
{
	CK_SLOT_ID slot;

	(void)state;
	assert_int_equal(f->C_Finalize(NULL), CKR_OK);
	script("C_Initialize 1 remove=opensc token=two");
	assert_int_equal(f->C_Initialize(NULL), CKR_OK);
	assert_false(fault_find_slot("two", &slot));
	put_back();
	works_again(fault_slot("two"));
}

static void *
sign_on(void *arg)
{
	CK_SESSION_HANDLE s = *(CK_SESSION_HANDLE *)arg;
	unsigned char own[80];
	CK_ULONG n;

	while (fault_sign(s, key, own, &n) == CKR_OK)
		;
	return NULL;
}

/* nothing is closed under a call that is inside SoftHSM2 */
static void
goes_while_others_sign(void **state)
{
	CK_SESSION_HANDLE s[3];
	pthread_t id[3];

	(void)state;
	for (int round = 0; round < 20; round++) {
		fault_script("C_Sign 30 remove=opensc back=0");
		for (int i = 0; i < 3; i++) {
			s[i] = fault_session(one);
			pthread_create(&id[i], NULL, sign_on, &s[i]);
		}
		for (int i = 0; i < 3; i++)
			pthread_join(id[i], NULL);
		h = fault_session(one);
		assert_int_equal(fault_login(h, CKU_USER, SOFTHSM_PIN), CKR_OK);
		key = fault_find(h, CKO_PRIVATE_KEY, "a");
	}
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, log_in, log_out)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(opensc_without_a_question),
		TEST(opensc_when_asked),
		TEST(ykcs11_heals_when_all_is_closed),
		TEST(ykcs11_heals_with_the_last_session),
		TEST(network_heals_with_a_new_beginning),
		TEST(network_needs_both_halves),
		TEST(another_comes_back),
		TEST(comes_back_after_a_time),
		TEST(never_comes_back),
		TEST(is_not_there_at_the_beginning),
		TEST(goes_while_others_sign),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_tokens, drop_tokens);
}
