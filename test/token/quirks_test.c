/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a module and its users see of us: beginnings, ends, sessions, turns. */
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
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <offlinesig.h>

#include "base/time.h"
#include "faultp11.h"
#include "softhsm.h"
#include "token/keydef.h"

#define ITEMS 40
/* a scenario runs in a process of its own */
#define CHECK(cond) check((cond), __LINE__, #cond)

struct station {
	struct softhsm_seen seen;
	ofs_ctx *ctx;
	ofs_audit *audit;
	ofs_token *token;
	ofs_key *key;
	ofs_batch *batch;
	struct ofs_progress p;
	char message[1024];
};

static struct station st;

static void
check(bool ok, int line, const char *what)
{
	if (ok)
		return;
	fprintf(stderr,
		"line %d: %s\n%zu signed; item: %s; batch: %s; token: %s\n",
		line, what, st.p.signed_items, st.message,
		st.batch != NULL ? ofs_batch_error(st.batch)->message : "",
		st.token != NULL ? ofs_token_error(st.token)->message : "");
	_exit(1);
}

static void
note(void *arg, const struct ofs_result *r)
{
	(void)arg;
	if (r->code != 0)
		snprintf(st.message, sizeof(st.message), "%s", r->message);
}

static void
open_ctx(void)
{
	static char locks[4200];

	snprintf(locks, sizeof(locks), "%s/locks", softhsm_dir());
	st.ctx = softhsm_ctx(&st.seen);
	st.ctx->opts.token_timeout = 3000;
	st.ctx->opts.call_timeout = 1500;
	free((void *)(uintptr_t)st.ctx->opts.lock_dir);
	st.ctx->opts.lock_dir = strdup(locks);
}

static void
open_station(void)
{
	char audit[4200];

	open_ctx();
	snprintf(audit, sizeof(audit), "%s/audit-%d", softhsm_dir(),
		(int)getpid());
	CHECK(ofs_audit_open(st.ctx, audit, OFS_AUDIT_CREATE, &st.audit) == 0);
	CHECK(ofs_token_open(st.ctx, "pkcs11:token=payroll", &st.token) == 0);
	CHECK(ofs_key_open(st.token, "pkcs11:object=signer", 0, &st.key) == 0);
}

static int
run(unsigned int jobs)
{
	struct ofs_sign_opts o = OFS_SIGN_OPTS_INIT;
	char name[32];

	ofs_batch_free(st.batch);
	o.format = OFS_FORMAT_RAW;
	o.jobs = jobs;
	CHECK(ofs_batch_new(st.ctx, st.key, st.audit, &o, &st.batch) == 0);
	ofs_batch_on_result(st.batch, note, NULL);
	for (int i = 0; i < ITEMS; i++) {
		snprintf(name, sizeof(name), "order %d", i);
		CHECK(ofs_batch_add_bytes(st.batch, name, "pay", 3) == 0);
	}
	return ofs_batch_run(st.batch, &st.p);
}

static void
close_station(void)
{
	ofs_batch_free(st.batch);
	ofs_key_free(st.key);
	ofs_token_free(st.token);
	ofs_audit_free(st.audit);
	ofs_ctx_free(st.ctx);
	memset(&st, 0, sizeof(st));
}

static unsigned long
calls(const char *function)
{
	return fault_calls(function);
}

/* --- module life */

static void
begins_and_ends_once(void)
{
	struct softhsm_seen other_seen;
	ofs_ctx *other;

	fault_script("");
	open_station();
	other = softhsm_ctx(&other_seen);
	CHECK(run(4) == 0);
	CHECK(run(2) == 0);
	ofs_ctx_free(other);
	CHECK(calls("C_Finalize") == 0);
	CHECK(run(1) == 0); /* the other context has not ended it */
	close_station();
	CHECK(calls("C_Initialize") == 1 && calls("C_Finalize") == 1);
	CHECK(calls("C_OpenSession") == calls("C_CloseSession"));
	CHECK(calls("C_FindObjectsInit") == calls("C_FindObjectsFinal"));
	CHECK(calls("C_Login") == 1);
	/* and once more, from the beginning */
	open_station();
	CHECK(run(1) == 0);
	close_station();
	CHECK(calls("C_Initialize") == 2 && calls("C_Finalize") == 2);
}

/* ALREADY_INITIALIZED: not ours, not even where that would heal it */
static void
leaves_to_others_what_is_theirs(void)
{
	CK_FUNCTION_LIST *f = fault_functions();
	CK_C_INITIALIZE_ARGS args = { .flags = CKF_OS_LOCKING_OK };
	CK_INFO info;

	CHECK(f->C_Initialize(&args) == CKR_OK);
	fault_script("");
	open_station();
	CHECK(run(2) == 0);
	close_station();
	CHECK(calls("C_Initialize") == 1 && calls("C_Finalize") == 0);
	CHECK(f->C_GetInfo(&info) == CKR_OK);
	open_station();
	st.ctx->opts.token_timeout = 500;
	fault_script("C_Sign 5 remove=network back=0");
	CHECK(run(1) == OFS_ETOKEN);
	CHECK(st.p.signed_items == 4);
	CHECK(calls("C_Finalize") == 0);
	close_station();
	CHECK(calls("C_Finalize") == 0);
}

static int
cancel(void *arg)
{
	ofs_batch_cancel(arg);
	return 0;
}

/* once something is signed, and more is under way */
static void *
cancel_soon(void *arg)
{
	for (int i = 0; i < 20000 && calls("C_Sign") < 5; i++)
		usleep(1000);
	cancel(arg);
	return NULL;
}

/* a batch that is cancelled has calls under way: they end before the module */
static void
ends_after_what_is_under_way(void)
{
	pthread_t thread;

	open_station();
	fault_script("latency 60ms");
	{
		struct ofs_sign_opts o = OFS_SIGN_OPTS_INIT;

		o.format = OFS_FORMAT_RAW;
		o.jobs = 3;
		CHECK(ofs_batch_new(st.ctx, st.key, st.audit, &o, &st.batch) ==
			0);
		for (int i = 0; i < ITEMS; i++)
			CHECK(ofs_batch_add_bytes(st.batch, "x", "pay", 3) ==
				0);
		pthread_create(&thread, NULL, cancel_soon, st.batch);
		CHECK(ofs_batch_run(st.batch, &st.p) == OFS_EINTR);
		pthread_join(thread, NULL);
	}
	CHECK(st.p.signed_items > 0 && st.p.signed_items < ITEMS);
	CHECK(calls("C_Sign") == st.p.signed_items + st.p.failed);
	CHECK(st.p.unknown == 0);
	fault_script("keep C_Sign 1+ ckr=CKR_GENERAL_ERROR");
	close_station();
	CHECK(calls("C_Finalize") == 1);
}

/* code that a module has left behind may run at any time */
static void
stays_mapped(void)
{
	char cmd[9000], line[4300];
	bool mapped = false;
	ofs_ctx *ctx;
	FILE *f;

	snprintf(cmd, sizeof(cmd), "cp '%s' '%s/mapped.so'", fault_path(),
		softhsm_dir());
	CHECK(system(cmd) == 0);
	snprintf(cmd, sizeof(cmd), "%s/mapped.so", softhsm_dir());
	CHECK(ofs_ctx_new(NULL, &ctx) == 0);
	CHECK(ofs_ctx_add_module(ctx, cmd) == 0);
	ofs_ctx_free(ctx);
	f = fopen("/proc/self/maps", "r");
	CHECK(f != NULL);
	while (fgets(line, sizeof(line), f) != NULL)
		mapped = mapped || strstr(line, "/mapped.so") != NULL;
	fclose(f);
	CHECK(mapped);
}

/* what a child does; its calls are counted by itself */
static int
in_fork(void (*fn)(void))
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		alarm(20);
		fn();
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	return status;
}

static void
only_frees(void)
{
	fault_script("");
	close_station();
	CHECK(calls("any") == 0);
	CHECK(calls("C_CloseSession") == 0 && calls("C_Finalize") == 0);
	CHECK(calls("C_Logout") == 0 && calls("C_CloseAllSessions") == 0);
}

static void
is_refused_and_begins_anew(void)
{
	ofs_key *k;

	fault_script("fork-strict");
	CHECK(run(1) != 0);
	CHECK(ofs_key_open(st.token, "pkcs11:object=signer", 0, &k) ==
		OFS_ETOKEN);
	CHECK(strstr(ofs_token_error(st.token)->message, "fork") != NULL);
	CHECK(calls("C_Sign") == 0 && calls("C_OpenSession") == 0);
	memset(&st, 0, sizeof(st));
	open_station();
	CHECK(calls("C_Initialize") == 1);
	CHECK(run(2) == 0);
	CHECK(calls("C_Login") == 1);
	close_station();
}

/* the module answers a child's calls only after its own C_Initialize */
static void
survives_a_fork(void)
{
	fault_script("fork-strict");
	open_station();
	CHECK(run(2) == 0);
	CHECK(in_fork(only_frees) == 0);
	CHECK(in_fork(is_refused_and_begins_anew) == 0);
	CHECK(run(2) == 0);
	CHECK(calls("C_Finalize") == 0);
	close_station();
	CHECK(calls("C_Initialize") == 1 && calls("C_Finalize") == 1);
}

/* --- sessions */

/* after an error a session is not used again, but for a small buffer */
static void
replaces_sessions_after_errors(void)
{
	static const char *const answers[] = { "CKR_FUNCTION_FAILED",
		"CKR_GENERAL_ERROR", "CKR_BUFFER_TOO_SMALL", "CKR_DATA_INVALID",
		"CKR_OPERATION_NOT_INITIALIZED" };
	char script[100];

	open_station();
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		snprintf(script, sizeof(script), "C_Sign 5 ckr=%s", answers[i]);
		fault_script(script);
		CHECK(run(1) == OFS_EITEMS);
		CHECK(st.p.failed == 1 && st.p.signed_items == ITEMS - 1);
		CHECK(calls("C_OpenSession") == 2);
		ofs_batch_free(st.batch);
		st.batch = NULL;
		CHECK(calls("C_CloseSession") == 2);
		CHECK(calls("C_Login") == 0);
	}
	close_station();
}

/* with none open, no free session is an error and no wait */
static void
does_not_wait_for_a_session(void)
{
	int64_t began;
	ofs_key *k;

	open_ctx();
	CHECK(ofs_token_open(st.ctx, "pkcs11:token=payroll", &st.token) == 0);
	fault_script("C_OpenSession 1+ ckr=CKR_SESSION_COUNT");
	began = time_mono();
	CHECK(ofs_key_open(st.token, "pkcs11:object=signer", 0, &k) ==
		OFS_ETOKEN);
	CHECK(time_mono() - began < 1000000);
	CHECK(strstr(ofs_token_error(st.token)->message, "no free session"));
	CHECK(calls("C_OpenSession") == 1 && calls("C_Login") == 0);
	close_station();
}

/* nothing leaks: what the last batch had, the next one gets */
static void
gives_sessions_back(void)
{
	fault_script("sessions 3");
	open_station();
	for (int i = 0; i < 4; i++) {
		CHECK(run(8) == 0);
		CHECK(st.p.signed_items == ITEMS);
	}
	fault_script("keep sessions 3\nC_Sign 7 ckr=CKR_DEVICE_ERROR");
	CHECK(run(8) == 0);
	CHECK(run(8) == 0);
	close_station();
}

/* a search that fails is ended: C_FindObjectsInit works afterwards */
static void
ends_searches(void)
{
	ofs_key *k;

	open_station();
	fault_script("C_FindObjects 1 ckr=CKR_GENERAL_ERROR");
	CHECK(ofs_key_open(st.token, "pkcs11:object=signer", 0, &k) != 0);
	CHECK(calls("C_FindObjectsInit") == 1);
	CHECK(calls("C_FindObjectsFinal") == 1);
	CHECK(ofs_key_open(st.token, "pkcs11:object=signer", 0, &k) == 0);
	ofs_key_free(k);
	close_station();
}

/* a slot that fails hides its own token only */
static void
passes_over_a_slot(void)
{
	ofs_token *t;

	open_ctx();
	fault_script("C_GetTokenInfo 1+ ckr=CKR_DEVICE_ERROR token=other");
	CHECK(ofs_token_open(st.ctx, "pkcs11:token=payroll", &st.token) == 0);
	CHECK(strstr(st.seen.last_log, "slot passed over") != NULL);
	CHECK(ofs_token_open(st.ctx, "pkcs11:token=other", &t) == OFS_ETOKEN);
	close_station();
}

/* --- the process's login */

/* somebody else in the process logs everybody out: one PIN more, not asked */
static void
logs_in_after_a_logout(void)
{
	CK_FUNCTION_LIST *f = fault_functions();
	CK_SESSION_HANDLE s;

	open_station();
	CHECK(run(2) == 0);
	s = fault_session(st.token->slot);
	CHECK(f->C_Logout(s) == CKR_OK);
	fault_script("");
	CHECK(run(2) == 0);
	CHECK(st.p.signed_items == ITEMS);
	CHECK(calls("C_Login") == 1);
	CHECK(st.seen.asked[OFS_PIN_USER] == 1);
	close_station();
}

/* SIGPIPE is an answer, and reaches nobody */
static void
survives_sigpipe(void)
{
	sigset_t pending;

	open_station();
	fault_script("C_Sign 3 sigpipe\nC_Sign 9 sigpipe\n"
		     "C_OpenSession 2 sigpipe\nC_GetTokenInfo 2 sigpipe");
	CHECK(run(2) == 0);
	CHECK(st.p.signed_items == ITEMS);
	CHECK(sigpending(&pending) == 0 && !sigismember(&pending, SIGPIPE));
	close_station();
}

/* lengths that are announced are room, and not what is returned */
static CK_FUNCTION_LIST *real;
static CK_LONG more;

static CK_RV
announce(
	CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE_PTR a, CK_ULONG n)
{
	CK_RV rv;

	bool lengths = n > 0 && a[0].pValue == NULL;

	rv = real->C_GetAttributeValue(s, o, a, n);
	for (CK_ULONG i = 0; lengths && i < n; i++)
		if (a[i].ulValueLen != (CK_ULONG)-1)
			a[i].ulValueLen += (CK_ULONG)more;
	return rv;
}

static void
takes_lengths_as_room(void)
{
	CK_FUNCTION_LIST changed;
	ofs_key *k;

	open_station();
	real = st.token->module->f;
	changed = *real;
	changed.C_GetAttributeValue = announce;
	st.token->module->f = &changed;
	for (more = 1; more < 3000; more *= 7) {
		CHECK(ofs_key_open(st.token, "pkcs11:object=signer", 0, &k) ==
			0);
		CHECK(k->p.info.id_len == 1 && k->p.info.has_public);
		CHECK(strcmp(k->p.info.label, "signer") == 0);
		ofs_key_free(k);
	}
	/* too small a room: the key is not found, and nothing is overrun */
	more = -1;
	CHECK(ofs_key_open(st.token, "pkcs11:object=signer", 0, &k) != 0);
	st.token->module->f = real;
	close_station();
}

/* --- turns between processes */

static struct {
	int64_t began[2], ended[2];
	atomic_int ready;
} * shared;

static int me;

static void
sign_beside_another(void)
{
	alarm(30);
	fault_script("sessions 2; latency 15ms");
	/* SoftHSM2 itself fails when two log in at the same moment */
	while (atomic_load(&shared->ready) < me)
		usleep(1000);
	open_station();
	CHECK(st.token->turn != NULL);
	atomic_fetch_add(&shared->ready, 1);
	while (atomic_load(&shared->ready) < 2)
		usleep(1000);
	shared->began[me] = time_mono();
	CHECK(run(2) == 0);
	shared->ended[me] = time_mono();
	CHECK(st.p.signed_items == ITEMS);
	close_station();
	exit(0);
}

/* two signers on one token: neither waits until the other has finished */
static void
shares_a_token(void)
{
	int64_t first, last, began;
	int status;
	pid_t pid[2];

	for (me = 0; me < 2; me++) {
		pid[me] = fork();
		CHECK(pid[me] >= 0);
		if (pid[me] == 0)
			sign_beside_another();
	}
	for (int i = 0; i < 2; i++) {
		CHECK(waitpid(pid[i], &status, 0) == pid[i]);
		CHECK(status == 0);
	}
	first = shared->ended[0];
	last = shared->ended[1];
	if (first > last) {
		first = shared->ended[1];
		last = shared->ended[0];
	}
	began = shared->began[0] < shared->began[1] ? shared->began[0]
						    : shared->began[1];
	fprintf(stderr, "# one took %lld ms, both %lld ms\n",
		(long long)(first - began) / 1000,
		(long long)(last - began) / 1000);
	/* by turns: one after the other takes both signatures' time */
	CHECK(last - began >= 2 * ITEMS * 15000 * INT64_C(9) / 10);
	/* and neither has it to itself */
	CHECK((first - began) * 10 >= (last - began) * 6);
}

static void
holds_it(void)
{
	struct key_session *s;
	struct ofs_error e;

	alarm(40);
	fault_script("sessions 2");
	open_station();
	CHECK(key_session_open(st.key, &s, &e) == 0);
	CHECK(key_session_enter(s, &e) == 0);
	atomic_fetch_add(&shared->ready, 1);
	sleep(30);
	_exit(0);
}

/* the deadline passes, and who has the token is told */
static void
names_the_holder(void)
{
	char pid_text[32];
	const char *why;
	int64_t began;
	pid_t pid;

	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0)
		holds_it();
	while (atomic_load(&shared->ready) < 1)
		usleep(1000);
	fault_script("sessions 2");
	open_station();
	began = time_mono();
	CHECK(run(1) != 0);
	CHECK(time_mono() - began < 15000000);
	snprintf(pid_text, sizeof(pid_text), "(pid %d, user ", (int)pid);
	why = ofs_batch_error(st.batch)->message;
	CHECK(strstr(why, "'payroll' is in use by quirks_test") != NULL);
	CHECK(strstr(why, pid_text) != NULL);
	CHECK(st.p.signed_items == 0);
	CHECK(calls("C_Sign") == 0);
	/* it dies: the kernel gives the token back */
	kill(pid, SIGKILL);
	CHECK(waitpid(pid, NULL, 0) == pid);
	CHECK(run(1) == 0);
	close_station();
}

/* a token with plenty of sessions is nobody's alone */
static void
takes_no_turns_where_there_is_plenty(void)
{
	open_station();
	CHECK(st.token->turn == NULL);
	close_station();
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
	memset(shared, 0, sizeof(*shared));
	assert_int_equal(in_child(scenario), 0);
}

static void
make_tokens(void)
{
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
}

static int
setup(void **state)
{
	char locks[4200];

	(void)state;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(shared != MAP_FAILED);
	fault_start();
	snprintf(locks, sizeof(locks), "%s/locks", softhsm_dir());
	assert_int_equal(mkdir(locks, 0700), 0);
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
		TEST(begins_and_ends_once),
		TEST(leaves_to_others_what_is_theirs),
		TEST(ends_after_what_is_under_way),
		TEST(stays_mapped),
		TEST(survives_a_fork),
		TEST(replaces_sessions_after_errors),
		TEST(does_not_wait_for_a_session),
		TEST(gives_sessions_back),
		TEST(ends_searches),
		TEST(passes_over_a_slot),
		TEST(logs_in_after_a_logout),
		TEST(survives_sigpipe),
		TEST(takes_lengths_as_room),
		TEST(shares_a_token),
		TEST(names_the_holder),
		TEST(takes_no_turns_where_there_is_plenty),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
