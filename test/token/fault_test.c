/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* faultp11.so does what a script says: rules, and modes of a token. */
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
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "faultp11.h"
#include "softhsm.h"

static CK_FUNCTION_LIST *f;
static CK_SLOT_ID one, two;
static CK_SESSION_HANDLE h; /* on "one", logged in */
static CK_OBJECT_HANDLE key, public_key;
static unsigned char sig[80];
static CK_ULONG len;

static int
make_tokens(void **state)
{
	static const char *const labels[] = { "one", "two" };

	(void)state;
	fault_start();
	f = fault_functions();
	assert_int_equal(f->C_Initialize(NULL), CKR_OK);
	for (int i = 0; i < 2; i++) {
		CK_SESSION_HANDLE s;

		fault_init_token(labels[i]);
		s = fault_session(fault_slot(labels[i]));
		assert_int_equal(fault_login(s, CKU_USER, SOFTHSM_PIN), 0);
		fault_make_key(s, "a", 1);
		fault_make_key(s, "b", 2);
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
	fault_reset();
	assert_int_equal(f->C_Initialize(&args), CKR_OK);
	one = fault_slot("one");
	two = fault_slot("two");
	h = fault_session(one);
	assert_int_equal(fault_login(h, CKU_USER, SOFTHSM_PIN), CKR_OK);
	key = fault_find(h, CKO_PRIVATE_KEY, "a");
	public_key = fault_find(h, CKO_PUBLIC_KEY, "a");
	assert_true(key != 0 && public_key != 0);
	fault_script("");
	return 0;
}

static int
log_out(void **state)
{
	(void)state;
	fault_reset();
	return f->C_Finalize(NULL) == CKR_OK ? 0 : -1;
}

static int64_t
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static CK_RV
sign(void)
{
	return fault_sign(h, key, sig, &len);
}

static CK_ULONG
flags_of(CK_SLOT_ID slot)
{
	CK_TOKEN_INFO t;

	assert_int_equal(f->C_GetTokenInfo(slot, &t), CKR_OK);
	return t.flags;
}

static CK_STATE
state_of(CK_SESSION_HANDLE s)
{
	CK_SESSION_INFO i;

	assert_int_equal(f->C_GetSessionInfo(s, &i), CKR_OK);
	return i.state;
}

static void
answers_the_nth_call(void **state)
{
	(void)state;
	fault_script("C_SignInit 2 ckr=0x32; C_SignInit 4-5 ckr=DEVICE_ERROR\n"
		     "# and at last\n\tC_SignInit 7+ ckr=CKR_KEY_HANDLE_INVALID"
		     " # for ever");
	assert_int_equal(sign(), CKR_OK);
	assert_int_equal(sign(), 0x32);
	assert_int_equal(fault_calls("C_Sign"), 1);
	assert_int_equal(sign(), CKR_OK);
	assert_int_equal(sign(), 0x30);
	assert_int_equal(sign(), 0x30);
	assert_int_equal(sign(), CKR_OK);
	assert_int_equal(sign(), 0x60);
	assert_int_equal(sign(), 0x60);
	assert_int_equal(fault_calls("C_SignInit"), 8);
	assert_true(fault_verifies(h, public_key, sig, len));
}

static void
any_function_counts_for_any(void **state)
{
	CK_INFO info;

	(void)state;
	fault_script("any 3 ckr=0x31");
	assert_int_equal(f->C_GetInfo(&info), CKR_OK);
	assert_int_equal(state_of(h), CKS_RW_USER_FUNCTIONS);
	assert_int_equal(f->C_GetInfo(&info), 0x31);
	assert_int_equal(f->C_GetInfo(&info), CKR_OK);
}

static void
counts_one_tokens_calls(void **state)
{
	CK_TOKEN_INFO t;

	(void)state;
	fault_script("C_GetTokenInfo 2 ckr=0x31 token=two");
	for (int i = 0; i < 3; i++)
		assert_int_equal(f->C_GetTokenInfo(one, &t), CKR_OK);
	assert_int_equal(f->C_GetTokenInfo(two, &t), CKR_OK);
	assert_int_equal(f->C_GetTokenInfo(one, &t), CKR_OK);
	assert_int_equal(f->C_GetTokenInfo(two, &t), 0x31);
}

static void
arms_anew_or_keeps_counting(void **state)
{
	(void)state;
	assert_int_equal(sign(), CKR_OK);
	assert_int_equal(fault_calls("C_Sign"), 1);
	fault_script("keep C_Sign 2 ckr=0x30");
	assert_int_equal(fault_calls("C_Sign"), 1);
	assert_int_equal(sign(), CKR_OK);
	assert_int_equal(sign(), 0x30);
	fault_script("C_Sign 9 ckr=0x30");
	assert_int_equal(fault_calls("C_Sign"), 0);
	assert_int_equal(fault_calls("C_Nonsense"), 0);
}

static void
refuses_a_wrong_script(void **state)
{
	static const struct {
		const char *text;
		int line;
	} bad[] = {
		{ "C_Signs 1 hang", 1 },
		{ "\n\nC_Sign", 3 },
		{ "C_Sign x hang", 1 },
		{ "C_Sign 0 hang", 1 },
		{ "C_Sign 3-2 hang", 1 },
		{ "C_Sign 1 ckr=CKR_NONE_SUCH", 1 },
		{ "C_Sign 1 ckr=", 1 },
		{ "C_Sign 1 back=100", 1 },
		{ "C_Sign 1 remove=card", 1 },
		{ "C_Sign 1 length=x", 1 },
		{ "sessions", 1 },
		{ "sessions 4 maybe", 1 },
		{ "ecpoint round", 1 },
		{ "noattr CKA_NONE", 1 },
		{ "yubikey 5", 1 },
		{ "swap onlyone", 1 },
		{ "latency 5h", 1 },
		{ "C_Sign 1 hang; pinlock 3\nlabel 'a", 2 },
	};

	(void)state;
	fault_script("C_Sign 1+ ckr=0x30");
	fclose(freopen("/dev/null", "w", stderr));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (fault_try_script(bad[i].text) != bad[i].line)
			fail_msg("'%s'", bad[i].text);
	assert_int_equal(sign(), 0x30); /* what was armed still is */
}

static void
answers_after_the_fact(void **state)
{
	CK_SESSION_HANDLE s;

	(void)state;
	s = fault_session(two);
	fault_script("C_Login 1 after-ckr=0x30");
	assert_int_equal(fault_login(s, CKU_USER, SOFTHSM_PIN), 0x30);
	assert_int_equal(state_of(s), CKS_RW_USER_FUNCTIONS);
}

static void
delays(void **state)
{
	int64_t t = now();

	(void)state;
	fault_script("C_SignInit 1 delay=400ms");
	assert_int_equal(sign(), CKR_OK);
	assert_in_range(now() - t, 400, 9000);
	t = now();
	assert_int_equal(sign(), CKR_OK);
	assert_in_range(now() - t, 0, 399);
}

/* a child calls C_Sign after arming; its wait status, or -1 if it hung */
static int
child_signs(const char *script, bool block_pipe)
{
	sigset_t set;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		sigemptyset(&set);
		sigaddset(&set, SIGPIPE);
		if (block_pipe)
			sigprocmask(SIG_BLOCK, &set, NULL);
		fault_script(script);
		_exit(sign() == CKR_DEVICE_ERROR ? 30 : 1);
	}
	for (int i = 0; i < 50; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return status;
		usleep(20000);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return -1;
}

static void
ends_processes(void **state)
{
	int st;

	(void)state;
	st = child_signs("C_Sign 1 kill", false);
	assert_true(WIFSIGNALED(st) && WTERMSIG(st) == SIGKILL);
	st = child_signs("C_Sign 1 sigpipe", false);
	assert_true(WIFSIGNALED(st) && WTERMSIG(st) == SIGPIPE);
	st = child_signs("C_Sign 1 sigpipe", true);
	assert_true(WIFEXITED(st) && WEXITSTATUS(st) == 30);
	assert_int_equal(child_signs("C_Sign 1 hang", false), -1);
	st = child_signs("C_Sign 2 hang", false);
	assert_true(WIFEXITED(st) && WEXITSTATUS(st) == 1);
}

static void
lies_about_signatures(void **state)
{
	(void)state;
	memset(sig, 0x55, sizeof(sig));
	fault_script("C_Sign 1 wrong");
	assert_int_equal(sign(), CKR_OK);
	assert_int_equal(len, 64);
	assert_false(fault_verifies(h, public_key, sig, len));
	assert_int_equal(sig[64], 0x55);
	assert_int_equal(sign(), CKR_OK);
	assert_true(fault_verifies(h, public_key, sig, len));
}

static void
lies_about_the_rest(void **state)
{
	CK_ATTRIBUTE label = { CKA_LABEL, sig, sizeof(sig) };
	CK_SLOT_ID slots[8];
	CK_SESSION_HANDLE s;
	CK_TOKEN_INFO t;
	CK_ULONG n = 8;

	(void)state;
	fault_script("C_GetTokenInfo 1 wrong; C_GetSlotList 1 wrong\n"
		     "C_GetAttributeValue 1 wrong; C_OpenSession 1 wrong\n"
		     "C_FindObjects 1 wrong; C_Login 1 wrong");
	assert_int_equal(f->C_GetTokenInfo(one, &t), CKR_OK);
	assert_memory_not_equal(t.label, "one ", 4);
	assert_int_equal(f->C_GetSlotList(CK_TRUE, slots, &n), CKR_OK);
	assert_int_equal(n, 3);
	for (CK_ULONG i = 0; i < n; i++)
		assert_true(slots[i] != one && slots[i] != two);
	assert_int_equal(f->C_GetAttributeValue(h, key, &label, 1), CKR_OK);
	assert_int_equal(label.ulValueLen, 1);
	assert_int_not_equal(sig[0], 'a');
	assert_int_equal(
		f->C_OpenSession(two, CKF_SERIAL_SESSION, NULL, NULL, &s),
		CKR_OK);
	assert_int_equal(f->C_CloseSession(s), CKR_SESSION_HANDLE_INVALID);
	assert_int_not_equal(fault_find(h, CKO_PRIVATE_KEY, "a"), key);
	s = fault_session(two);
	assert_int_equal(fault_login(s, CKU_USER, SOFTHSM_PIN), CKR_OK);
	assert_int_equal(state_of(s), CKS_RW_PUBLIC_SESSION);
}

static void
lies_about_lengths(void **state)
{
	CK_ATTRIBUTE label = { CKA_LABEL, sig, sizeof(sig) };
	CK_ULONG n = 0;

	(void)state;
	memset(sig, 0x55, sizeof(sig));
	fault_script("C_Sign 1 length=+100; C_Sign 2 length=-3\n"
		     "C_Sign 3 length=0; C_GetAttributeValue 1 length==7\n"
		     "C_GetSlotList 1 length=+1000");
	assert_int_equal(sign(), CKR_OK);
	assert_int_equal(len, 164);
	assert_int_equal(sig[64], 0x55);
	assert_int_equal(sign(), CKR_OK);
	assert_int_equal(len, 61);
	assert_int_equal(sign(), CKR_OK);
	assert_int_equal(len, 0);
	assert_int_equal(f->C_GetAttributeValue(h, key, &label, 1), CKR_OK);
	assert_int_equal(label.ulValueLen, 7);
	assert_int_equal(f->C_GetSlotList(CK_TRUE, NULL, &n), CKR_OK);
	assert_int_equal(n, 1003);
}

static void
limits_sessions(void **state)
{
	CK_SESSION_HANDLE s[3], more;
	CK_TOKEN_INFO t;

	(void)state;
	fault_script("sessions 3");
	s[0] = fault_session(one);
	s[1] = fault_session(one);
	assert_int_equal(
		f->C_OpenSession(one, CKF_SERIAL_SESSION, NULL, NULL, &more),
		CKR_SESSION_COUNT);
	s[2] = fault_session(two); /* each token has its own */
	assert_int_equal(f->C_GetTokenInfo(one, &t), CKR_OK);
	assert_int_equal(t.ulMaxSessionCount, 3);
	assert_int_equal(f->C_CloseSession(s[0]), CKR_OK);
	more = fault_session(one);
	fault_script("sessions 3 lies");
	assert_int_equal(f->C_GetTokenInfo(one, &t), CKR_OK);
	assert_true(t.ulMaxSessionCount == CK_UNAVAILABLE_INFORMATION);
	assert_int_equal(t.ulMaxRwSessionCount, CK_EFFECTIVELY_INFINITE);
	assert_int_equal(
		f->C_OpenSession(one, CKF_SERIAL_SESSION, NULL, NULL, &more),
		CKR_SESSION_COUNT);
}

struct signer {
	CK_SESSION_HANDLE h;
	CK_OBJECT_HANDLE key;
	CK_RV rv;
};

static void *
sign_twice(void *arg)
{
	struct signer *s = arg;
	unsigned char own[80];
	CK_ULONG n;

	s->rv = fault_sign(s->h, s->key, own, &n);
	if (s->rv == CKR_OK)
		s->rv = fault_sign(s->h, s->key, own, &n);
	return NULL;
}

/* how long two threads take with two signatures each */
static int64_t
both_sign(CK_SLOT_ID slot)
{
	struct signer s[2] = { { h, key, 1 }, { fault_session(slot), 0, 1 } };
	int64_t t;
	pthread_t id[2];

	if (slot != one)
		assert_int_equal(
			fault_login(s[1].h, CKU_USER, SOFTHSM_PIN), CKR_OK);
	s[1].key = fault_find(s[1].h, CKO_PRIVATE_KEY, "a");
	t = now();
	for (int i = 0; i < 2; i++)
		pthread_create(&id[i], NULL, sign_twice, &s[i]);
	for (int i = 0; i < 2; i++)
		pthread_join(id[i], NULL);
	assert_int_equal(s[0].rv + s[1].rv, CKR_OK);
	return now() - t;
}

static void
is_slow_token_by_token(void **state)
{
	(void)state;
	/* wide limits: the machine may be busy */
	fault_script("latency 250ms");
	assert_in_range(both_sign(one), 1000, 9000);
	assert_in_range(both_sign(two), 500, 950);
	fault_script("latency 250ms token=two");
	assert_in_range(both_sign(one), 0, 950);
}

#define PIN_BITS \
	(CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY | CKF_USER_PIN_LOCKED)

static void
locks_the_pin(void **state)
{
	CK_SESSION_HANDLE s = fault_session(two);

	(void)state;
	fault_script("pinlock 3");
	assert_int_equal(flags_of(two) & PIN_BITS, 0);
	assert_int_equal(fault_login(s, CKU_USER, "9999"), CKR_PIN_INCORRECT);
	assert_int_equal(flags_of(two) & PIN_BITS, CKF_USER_PIN_COUNT_LOW);
	assert_int_equal(fault_login(s, CKU_USER, SOFTHSM_PIN), CKR_OK);
	assert_int_equal(f->C_Logout(s), CKR_OK);
	assert_int_equal(flags_of(two) & PIN_BITS, 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(
			fault_login(s, CKU_USER, "9999"), CKR_PIN_INCORRECT);
	assert_int_equal(flags_of(two) & PIN_BITS,
		CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY);
	assert_int_equal(fault_login(s, CKU_USER, "9999"), CKR_PIN_INCORRECT);
	assert_int_equal(flags_of(two) & PIN_BITS, CKF_USER_PIN_LOCKED);
	assert_int_equal(fault_login(s, CKU_USER, SOFTHSM_PIN), CKR_PIN_LOCKED);
	assert_int_equal(flags_of(one) & PIN_BITS, 0);
	/* the SO opens it */
	assert_int_equal(fault_login(s, CKU_SO, SOFTHSM_SO_PIN), CKR_OK);
	assert_int_equal(
		f->C_InitPIN(s, (CK_UTF8CHAR *)(uintptr_t)SOFTHSM_PIN, 4), 0);
	assert_int_equal(f->C_Logout(s), CKR_OK);
	assert_int_equal(fault_login(s, CKU_USER, SOFTHSM_PIN), CKR_OK);
}

static void
changes_flags(void **state)
{
	CK_SLOT_INFO i;

	(void)state;
	fault_script("pinflags 0x40000; flags 2; hideflags 0x4 token=two\n"
		     "slotflags 2");
	assert_true(flags_of(one) & CKF_USER_PIN_LOCKED);
	assert_true(flags_of(one) & CKF_WRITE_PROTECTED);
	assert_true(flags_of(one) & CKF_LOGIN_REQUIRED);
	assert_false(flags_of(two) & CKF_LOGIN_REQUIRED);
	assert_int_equal(f->C_GetSlotInfo(one, &i), CKR_OK);
	assert_true(i.flags & CKF_REMOVABLE_DEVICE);
}

static void
swaps_two_keys(void **state)
{
	CK_OBJECT_HANDLE other, other_public;
	CK_ATTRIBUTE label = { CKA_LABEL, sig, sizeof(sig) };

	(void)state;
	other = fault_find(h, CKO_PRIVATE_KEY, "b");
	other_public = fault_find(h, CKO_PUBLIC_KEY, "b");
	fault_script("C_Sign 2 swap=a,b");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(sign(), CKR_OK);
		assert_true(fault_verifies(h, public_key, sig, len));
	}
	/* the number names the other key, and a search finds the right one */
	assert_int_equal(sign(), CKR_OK);
	assert_true(fault_verifies(h, other_public, sig, len));
	assert_int_equal(f->C_GetAttributeValue(h, key, &label, 1), CKR_OK);
	assert_int_equal(sig[0], 'b');
	assert_int_equal(fault_find(h, CKO_PRIVATE_KEY, "a"), other);
	fault_script("");
	assert_int_equal(sign(), CKR_OK);
	assert_true(fault_verifies(h, public_key, sig, len));
	fault_script("swap a b");
	assert_int_equal(sign(), CKR_OK);
	assert_true(fault_verifies(h, other_public, sig, len));
}

static void
hides_mechanisms(void **state)
{
	CK_MECHANISM_TYPE list[256];
	CK_MECHANISM_INFO i;
	CK_ULONG all = 256, n = 0;

	(void)state;
	assert_int_equal(f->C_GetMechanismList(one, list, &all), CKR_OK);
	fault_script("hide CKM_ECDSA; hide 0x0");
	assert_int_equal(f->C_GetMechanismList(one, NULL, &n), CKR_OK);
	assert_int_equal(n, all - 2);
	n = all - 3;
	assert_int_equal(
		f->C_GetMechanismList(one, list, &n), CKR_BUFFER_TOO_SMALL);
	n = 256;
	assert_int_equal(f->C_GetMechanismList(one, list, &n), CKR_OK);
	for (CK_ULONG k = 0; k < n; k++)
		assert_true(list[k] != CKM_ECDSA &&
			list[k] != CKM_RSA_PKCS_KEY_PAIR_GEN);
	assert_int_equal(f->C_GetMechanismInfo(one, CKM_ECDSA, &i),
		CKR_MECHANISM_INVALID);
	assert_int_equal(sign(), CKR_MECHANISM_INVALID);
}

static void
lacks_attributes(void **state)
{
	unsigned char id = 0;
	CK_ATTRIBUTE a[] = {
		{ CKA_LABEL, sig, sizeof(sig) },
		{ CKA_ALWAYS_AUTHENTICATE, sig, sizeof(sig) },
		{ CKA_ID, &id, 1 },
	};

	(void)state;
	fault_script("noattr CKA_ALWAYS_AUTHENTICATE,LABEL");
	assert_int_equal(f->C_GetAttributeValue(h, key, a, 3),
		CKR_ATTRIBUTE_TYPE_INVALID);
	assert_true(a[0].ulValueLen == (CK_ULONG)-1);
	assert_true(a[1].ulValueLen == (CK_ULONG)-1);
	assert_int_equal(a[2].ulValueLen, 1);
	assert_int_equal(id, 1);
}

static void
shows_no_public_keys(void **state)
{
	CK_OBJECT_HANDLE v[16];
	CK_ULONG n;

	(void)state;
	fault_script("nopublic");
	assert_int_equal(fault_find(h, CKO_PUBLIC_KEY, "a"), 0);
	assert_int_equal(fault_find(h, CKO_PRIVATE_KEY, "a"), key);
	assert_int_equal(f->C_FindObjectsInit(h, NULL, 0), CKR_OK);
	assert_int_equal(f->C_FindObjects(h, v, 16, &n), CKR_OK);
	assert_int_equal(n, 2);
	assert_int_equal(f->C_FindObjectsFinal(h), CKR_OK);
}

static void
forms_ec_points(void **state)
{
	CK_ATTRIBUTE a = { CKA_EC_POINT, NULL, 0 };

	(void)state;
	fault_script("ecpoint raw");
	assert_int_equal(f->C_GetAttributeValue(h, public_key, &a, 1), CKR_OK);
	assert_int_equal(a.ulValueLen, 65);
	a.pValue = sig;
	a.ulValueLen = 64;
	assert_int_equal(f->C_GetAttributeValue(h, public_key, &a, 1),
		CKR_BUFFER_TOO_SMALL);
	a.ulValueLen = 65;
	assert_int_equal(f->C_GetAttributeValue(h, public_key, &a, 1), CKR_OK);
	assert_int_equal(sig[0], 0x04);
	assert_int_equal(a.ulValueLen, 65);
	fault_script("ecpoint wrapped");
	a.ulValueLen = sizeof(sig);
	assert_int_equal(f->C_GetAttributeValue(h, public_key, &a, 1), CKR_OK);
	assert_int_equal(a.ulValueLen, 67);
	assert_memory_equal(sig, "\x04\x41\x04", 3);
}

static void
has_a_pin_pad(void **state)
{
	CK_SESSION_HANDLE s = fault_session(two);
	int64_t t = now();

	(void)state;
	assert_int_not_equal(fault_login(s, CKU_USER, NULL), CKR_OK);
	setenv("FAULTP11_PIN", SOFTHSM_PIN, 1);
	fault_script("pinpad; pinpad-delay 150ms");
	assert_true(flags_of(two) & CKF_PROTECTED_AUTHENTICATION_PATH);
	assert_int_equal(fault_login(s, CKU_USER, NULL), CKR_OK);
	assert_in_range(now() - t, 150, 9000);
	assert_int_equal(state_of(s), CKS_RW_USER_FUNCTIONS);
	unsetenv("FAULTP11_PIN");
}

static void
wears_other_names(void **state)
{
	CK_SLOT_ID slot;
	CK_TOKEN_INFO t;

	(void)state;
	fault_script("label two 'clone of one'; serial two 4711");
	assert_false(fault_find_slot("two", &slot));
	assert_true(fault_find_slot("clone of one", &slot));
	assert_int_equal(slot, two);
	assert_int_equal(f->C_GetTokenInfo(two, &t), CKR_OK);
	assert_memory_equal(t.serialNumber, "4711            ", 16);
}

static CK_RV
generate(CK_SESSION_HANDLE s, unsigned char id, bool extractable)
{
	static unsigned char p256[] = { 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
		0x3d, 0x03, 0x01, 0x07 };
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_MECHANISM mech = { CKM_EC_KEY_PAIR_GEN, NULL, 0 };
	CK_ATTRIBUTE pub[] = {
		{ CKA_TOKEN, &yes, 1 },
		{ CKA_EC_PARAMS, p256, sizeof(p256) },
	};
	CK_ATTRIBUTE priv[] = {
		{ CKA_TOKEN, &yes, 1 },
		{ CKA_PRIVATE, &yes, 1 },
		{ CKA_SIGN, &yes, 1 },
		{ CKA_ID, &id, 1 },
		{ CKA_LABEL, (void *)(uintptr_t) "mine", 4 },
		{ CKA_EXTRACTABLE, &no, 1 },
	};
	CK_OBJECT_HANDLE a, b;

	return f->C_GenerateKeyPair(
		s, &mech, pub, 2, priv, extractable ? 6 : 5, &a, &b);
}

static X509 *
read_cert(CK_SESSION_HANDLE s, const char *label)
{
	unsigned char der[4096];
	const unsigned char *p = der;
	CK_ATTRIBUTE a = { CKA_VALUE, der, sizeof(der) };
	CK_OBJECT_HANDLE o = fault_find(s, CKO_CERTIFICATE, label);

	assert_int_not_equal(o, 0);
	assert_int_equal(f->C_GetAttributeValue(s, o, &a, 1), CKR_OK);
	return d2i_X509(NULL, &p, (long)a.ulValueLen);
}

static void
is_a_yubikey(void **state)
{
	CK_ATTRIBUTE name = { CKA_LABEL, (void *)(uintptr_t) "x", 1 };
	CK_SESSION_HANDLE s = fault_session(two);
	CK_OBJECT_HANDLE o;

	(void)state;
	fault_script("yubikey");
	assert_int_equal(fault_login(s, CKU_USER, SOFTHSM_PIN), CKR_OK);
	assert_int_equal(generate(s, 4, false), CKR_USER_TYPE_INVALID);
	assert_int_equal(f->C_Logout(s), CKR_OK);
	assert_int_equal(fault_login(s, CKU_SO, "123"), CKR_PIN_INCORRECT);
	assert_int_equal(fault_login(s, CKU_SO, SOFTHSM_SO_PIN), CKR_OK);
	assert_int_equal(state_of(s), CKS_RW_SO_FUNCTIONS);
	assert_int_equal(generate(s, 4, true), CKR_ATTRIBUTE_VALUE_INVALID);
	assert_int_equal(generate(s, 26, false), CKR_ATTRIBUTE_VALUE_INVALID);
	assert_int_equal(generate(s, 4, false), CKR_OK);
	o = fault_find(
		s, CKO_PRIVATE_KEY, "Private key for Card Authentication");
	assert_int_equal(generate(s, 4, false), CKR_OK); /* overwrites */
	assert_int_not_equal(f->C_GetObjectSize(s, o, &len), CKR_OK);
	assert_int_equal(fault_find(s, CKO_PRIVATE_KEY, "mine"), 0);
	o = fault_find(
		s, CKO_PRIVATE_KEY, "Private key for Card Authentication");
	assert_int_not_equal(o, 0);
	assert_int_equal(f->C_SetAttributeValue(s, o, &name, 1),
		CKR_FUNCTION_NOT_SUPPORTED);
	assert_int_equal(f->C_Logout(s), CKR_OK);
	assert_int_equal(fault_login(s, CKU_USER, SOFTHSM_PIN), CKR_OK);
	o = fault_find(
		s, CKO_PRIVATE_KEY, "Private key for Card Authentication");
	assert_int_equal(f->C_DestroyObject(s, o), CKR_USER_TYPE_INVALID);
	assert_int_equal(fault_sign(s, o, sig, &len), CKR_OK);
}

static void
keeps_the_keys_of_a_yubikey(void **state)
{
	static const char key_name[] = "Private key for Card Authentication",
			  cert_name[] =
				  "X.509 Certificate for Card Authentication";
	CK_UTF8CHAR new_pin[] = "4321";
	CK_SESSION_HANDLE s = fault_session(two);
	CK_OBJECT_HANDLE o;
	CK_TOKEN_INFO t;
	X509 *x;

	(void)state;
	fault_script("yubikey");
	assert_int_equal(f->C_GetTokenInfo(two, &t), CKR_OK);
	assert_memory_equal(t.manufacturerID, "Yubico ", 7);
	assert_memory_equal(t.model, "YubiKey ", 8);
	assert_int_equal(fault_login(s, CKU_SO, SOFTHSM_SO_PIN), CKR_OK);
	assert_int_equal(
		f->C_InitPIN(s, new_pin, 4), CKR_FUNCTION_NOT_SUPPORTED);
	assert_int_equal(generate(s, 4, false), CKR_OK);
	/* a certificate that nobody has signed */
	x = read_cert(s, cert_name);
	assert_non_null(x);
	assert_int_equal(X509_NAME_cmp(X509_get_subject_name(x),
				 X509_get_issuer_name(x)),
		0);
	assert_int_not_equal(X509_verify(x, X509_get0_pubkey(x)), 1);
	X509_free(x);
	o = fault_find(s, CKO_PRIVATE_KEY, key_name);
	assert_int_equal(f->C_DestroyObject(s, o), CKR_OK);
	assert_int_equal(fault_find(s, CKO_PRIVATE_KEY, key_name), 0);
	/* it is back when the sessions of the token are closed */
	assert_int_equal(f->C_CloseAllSessions(two), CKR_OK);
	s = fault_session(two);
	assert_int_equal(fault_login(s, CKU_USER, SOFTHSM_PIN), CKR_OK);
	assert_int_not_equal(fault_find(s, CKO_PRIVATE_KEY, key_name), 0);
	assert_int_equal(fault_find(s, CKO_CERTIFICATE, cert_name), 0);
}

static void
leaves_writing_to_the_so(void **state)
{
	CK_ATTRIBUTE name = { CKA_LABEL, (void *)(uintptr_t) "x", 1 };
	CK_SESSION_HANDLE s = fault_session(two);
	CK_OBJECT_HANDLE o;

	(void)state;
	fault_script("sowrites");
	assert_int_equal(fault_login(s, CKU_USER, SOFTHSM_PIN), CKR_OK);
	assert_int_equal(generate(s, 4, true), CKR_USER_NOT_LOGGED_IN);
	assert_int_equal(f->C_Logout(s), CKR_OK);
	assert_int_equal(fault_login(s, CKU_SO, SOFTHSM_SO_PIN), CKR_OK);
	assert_int_equal(generate(s, 4, true), CKR_OK);
	assert_int_equal(f->C_Logout(s), CKR_OK);
	assert_int_equal(fault_login(s, CKU_USER, SOFTHSM_PIN), CKR_OK);
	o = fault_find(s, CKO_PRIVATE_KEY, "mine");
	assert_int_equal(
		f->C_SetAttributeValue(s, o, &name, 1), CKR_USER_NOT_LOGGED_IN);
	assert_int_equal(f->C_DestroyObject(s, o), CKR_USER_NOT_LOGGED_IN);
	assert_int_equal(f->C_Logout(s), CKR_OK);
	assert_int_equal(fault_login(s, CKU_SO, SOFTHSM_SO_PIN), CKR_OK);
	/* handles of private objects end with a login */
	o = fault_find(s, CKO_PRIVATE_KEY, "mine");
	assert_int_equal(f->C_SetAttributeValue(s, o, &name, 1), CKR_OK);
	assert_int_equal(f->C_DestroyObject(s, o), CKR_OK);
	assert_int_equal(f->C_Logout(s), CKR_OK);
	assert_int_equal(fault_login(s, CKU_USER, SOFTHSM_PIN), CKR_OK);
	assert_int_equal(fault_find(s, CKO_PRIVATE_KEY, "x"), 0);
}

static void
attests_its_keys(void **state)
{
	static const char title[] = "X.509 Certificate for PIV Attestation";
	CK_SESSION_HANDLE s = fault_session(two);
	unsigned char point[80], *spki = NULL;
	CK_ATTRIBUTE a = { CKA_EC_POINT, point, sizeof(point) };
	X509 *root, *x;
	int n;

	(void)state;
	fault_script("yubikey; attest");
	assert_int_equal(fault_login(s, CKU_SO, SOFTHSM_SO_PIN), CKR_OK);
	assert_int_equal(generate(s, 2, false), CKR_OK);
	assert_int_equal(generate(s, 1, false), CKR_OK);
	x = read_cert(s, "X.509 Certificate for PIV Attestation 9a");
	root = read_cert(s, title);
	assert_non_null(x);
	assert_non_null(root);
	assert_int_equal(X509_verify(x, X509_get0_pubkey(root)), 1);
	assert_int_equal(X509_check_issued(root, x), X509_V_OK);
	/* it is this key's: the point is the end of the key */
	assert_int_equal(f->C_GetAttributeValue(s,
				 fault_find(s, CKO_PUBLIC_KEY,
					 "Public key for PIV Authentication"),
				 &a, 1),
		CKR_OK);
	n = i2d_PUBKEY(X509_get0_pubkey(x), &spki);
	assert_true(n > 65 && a.ulValueLen == 67);
	assert_memory_equal(spki + n - 65, point + 2, 65);
	OPENSSL_free(spki);
	X509_free(x);
	X509_free(root);
}

static int
child_of(int (*fn)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(fn());
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int
uses_the_parents(void)
{
	CK_SESSION_INFO i;

	if (f->C_GetSessionInfo(h, &i) == CKR_OK)
		return 1;
	if (f->C_GetSessionInfo(h, &i) != CKR_CRYPTOKI_NOT_INITIALIZED)
		return 2;
	if (f->C_Initialize(NULL) != CKR_OK)
		return 3;
	if (f->C_GetSessionInfo(h, &i) != CKR_SESSION_HANDLE_INVALID)
		return 4;
	fault_session(fault_slot("one"));
	return 0;
}

static void
knows_a_forked_child(void **state)
{
	(void)state;
	assert_int_equal(child_of(uses_the_parents), 1);
	fault_script("fork-strict");
	assert_int_equal(child_of(uses_the_parents), 0);
	assert_int_equal(state_of(h), CKS_RW_USER_FUNCTIONS);
}

static int
finalizes(void)
{
	alarm(1);
	return f->C_Finalize(NULL) == CKR_OK ? 0 : 1;
}

static void
hangs_at_the_end(void **state)
{
	(void)state;
	assert_int_equal(child_of(finalizes), 0);
	fault_script("finalize-hang");
	assert_int_equal(child_of(finalizes), -1); /* SIGALRM */
}

static void
write_script(const char *path, const char *text)
{
	char tmp[600];
	FILE *out;

	snprintf(tmp, sizeof(tmp), "%s.new", path);
	out = fopen(tmp, "w");
	assert_non_null(out);
	fputs(text, out);
	fclose(out);
	assert_int_equal(rename(tmp, path), 0);
}

static void
reads_a_file_that_changes(void **state)
{
	CK_INFO info;
	char path[512];

	(void)state;
	snprintf(path, sizeof(path), "%s/script", softhsm_dir());
	setenv("FAULTP11_SCRIPT_FILE", path, 1);
	assert_int_equal(f->C_GetInfo(&info), CKR_OK);
	write_script(path, "C_GetInfo 2 ckr=0x31");
	assert_int_equal(f->C_GetInfo(&info), CKR_OK);
	assert_int_equal(f->C_GetInfo(&info), 0x31);
	write_script(path, "C_GetInfo 2 ckr=0x32");
	assert_int_equal(f->C_GetInfo(&info), CKR_OK);
	assert_int_equal(f->C_GetInfo(&info), 0x32);
	write_script(path, "C_GetInfo 2 ckr=nonsense");
	assert_int_equal(f->C_GetInfo(&info), CKR_GENERAL_ERROR);
	write_script(path, "");
	assert_int_equal(f->C_GetInfo(&info), CKR_OK);
	unsetenv("FAULTP11_SCRIPT_FILE");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, log_in, log_out)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(answers_the_nth_call),
		TEST(any_function_counts_for_any),
		TEST(counts_one_tokens_calls),
		TEST(arms_anew_or_keeps_counting),
		TEST(answers_after_the_fact),
		TEST(delays),
		TEST(ends_processes),
		TEST(lies_about_signatures),
		TEST(lies_about_the_rest),
		TEST(lies_about_lengths),
		TEST(limits_sessions),
		TEST(is_slow_token_by_token),
		TEST(locks_the_pin),
		TEST(changes_flags),
		TEST(swaps_two_keys),
		TEST(hides_mechanisms),
		TEST(lacks_attributes),
		TEST(shows_no_public_keys),
		TEST(forms_ec_points),
		TEST(has_a_pin_pad),
		TEST(wears_other_names),
		TEST(is_a_yubikey),
		TEST(keeps_the_keys_of_a_yubikey),
		TEST(leaves_writing_to_the_so),
		TEST(attests_its_keys),
		TEST(knows_a_forked_child),
		TEST(hangs_at_the_end),
		TEST(reads_a_file_that_changes),
		TEST(refuses_a_wrong_script),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_tokens, drop_tokens);
}
