/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Modules, tokens and logins against SoftHSM2. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "softhsm.h"
#include "token/key.h"
#include "token/login.h"
#include "token/token.h"

static struct softhsm_seen seen;
static struct ofs_error e;

static int
open_ctx(void **state)
{
	*state = softhsm_ctx(&seen);
	return 0;
}

static int
close_ctx(void **state)
{
	ofs_ctx_free(*state);
	return 0;
}

#define assert_says(err, text)                                             \
	do {                                                               \
		if (strstr((err)->message, (text)) == NULL)                \
			fail_msg("'%s' lacks '%s'", (err)->message, text); \
	} while (0)

struct listed {
	int n, blank;
	struct ofs_token_info last;
	const char *wanted;
};

static int
note(void *arg, const struct ofs_token_info *info)
{
	struct listed *l = arg;

	if (!info->initialised) {
		l->blank++;
		return 0;
	}
	l->n++;
	if (l->wanted != NULL && strcmp(info->label, l->wanted) == 0)
		l->last = *info;
	return 0;
}

static int
stop(void *arg, const struct ofs_token_info *info)
{
	(void)info;
	++*(int *)arg;
	return 77;
}

static void
lists_tokens(void **state)
{
	struct listed l = { .wanted = "alpha" };
	int calls = 0;

	assert_int_equal(ofs_token_list(*state, note, &l), 0);
	assert_int_equal(l.n, 4);
	assert_int_equal(l.blank, 1);
	assert_string_equal(l.last.label, "alpha");
	assert_int_equal(strlen(l.last.serial), 16);
	assert_true(l.last.pin_initialised && l.last.login_required);
	assert_false(l.last.pinpad || l.last.pin_locked);
	assert_int_equal(l.last.module[0], '/');
	assert_non_null(strstr(l.last.uri, "token=alpha"));
	assert_non_null(strstr(l.last.uri, l.last.serial));
	assert_int_equal(l.last.size, sizeof(l.last));
	assert_int_equal(ofs_token_list(*state, stop, &calls), 77);
	assert_int_equal(calls, 1);
}

/* the digest is of the module's file: sha256sum says the same */
static void
tells_the_modules_digest(void **state)
{
	struct listed l = { .wanted = "alpha" };
	char cmd[5000], want[65] = "", got[65];
	FILE *p;

	assert_int_equal(ofs_token_list(*state, note, &l), 0);
	snprintf(cmd, sizeof(cmd), "sha256sum < '%s'", l.last.module);
	p = popen(cmd, "r");
	assert_non_null(p);
	assert_int_equal(fscanf(p, "%64s", want), 1);
	pclose(p);
	for (int i = 0; i < 32; i++)
		snprintf(got + 2 * i, 3, "%02x", l.last.module_sha256[i]);
	assert_string_equal(got, want);
}

static void
needs_a_module(void **state)
{
	struct listed l = { 0 };
	ofs_ctx *ctx;
	ofs_token *t;

	(void)state;
	assert_int_equal(ofs_ctx_new(NULL, &ctx), 0);
	assert_int_equal(ofs_token_list(ctx, note, &l), OFS_EMODULE);
	assert_int_equal(
		ofs_token_open(ctx, "pkcs11:token=alpha", &t), OFS_EMODULE);
	assert_null(t);
	ofs_ctx_free(ctx);
}

static void
refuses_bad_modules(void **state)
{
	char text[4300], link[4300];
	ofs_ctx *ctx = *state;
	FILE *f;

	assert_int_equal(
		ofs_ctx_add_module(ctx, "/nonexistent.so"), OFS_EMODULE);
	assert_says(ofs_ctx_error(ctx), "No such file");
	snprintf(text, sizeof(text), "%s/text.so", softhsm_dir());
	f = fopen(text, "w");
	assert_non_null(f);
	fputs("no module\n", f);
	fclose(f);
	assert_int_equal(ofs_ctx_add_module(ctx, text), OFS_EMODULE);
	assert_says(ofs_ctx_error(ctx), "cannot load");
	assert_int_equal(ofs_ctx_add_module(ctx, softhsm_dir()), OFS_EMODULE);
	assert_int_equal(ofs_ctx_add_module(ctx, ""), OFS_EMODULE);
	assert_int_equal(ofs_ctx_add_module(ctx, "a/b.so"), OFS_EMODULE);
	assert_int_equal(
		ofs_ctx_add_module(ctx, "no-such-module.so"), OFS_EMODULE);
	/* a library, but no module */
	snprintf(link, sizeof(link), "%s/libm.so", softhsm_dir());
	(void)unlink(link);
	if (access("/lib/x86_64-linux-gnu/libm.so.6", R_OK) == 0) {
		assert_int_equal(
			symlink("/lib/x86_64-linux-gnu/libm.so.6", link), 0);
		assert_int_equal(ofs_ctx_add_module(ctx, link), OFS_EMODULE);
		assert_says(ofs_ctx_error(ctx), "not a PKCS#11 module");
	}
}

static void
takes_a_module_once(void **state)
{
	struct listed l = { 0 };
	struct softhsm_seen other_seen;
	char link[4300];
	ofs_ctx *ctx = *state, *other;

	snprintf(link, sizeof(link), "%s/again.so", softhsm_dir());
	assert_int_equal(symlink(softhsm_module(), link), 0);
	assert_int_equal(ofs_ctx_add_module(ctx, softhsm_module()), 0);
	assert_int_equal(ofs_ctx_add_module(ctx, link), 0);
	assert_int_equal(ofs_token_list(ctx, note, &l), 0);
	assert_int_equal(l.n, 4);
	/* another context may come and go without finalising it under us */
	other = softhsm_ctx(&other_seen);
	ofs_ctx_free(other);
	assert_int_equal(ofs_token_list(ctx, note, &l), 0);
	assert_int_equal(unlink(link), 0);
}

/* somebody else's initialisation outlives ours */
static void
shares_an_initialised_module(void **state)
{
	CK_C_INITIALIZE_ARGS args = { .flags = CKF_OS_LOCKING_OK };
	struct module *m;
	CK_FUNCTION_LIST *raw;
	CK_RV (*get)(CK_FUNCTION_LIST **);
	struct softhsm_seen mine;
	struct listed l = { 0 };
	CK_INFO info;
	ofs_ctx *ctx;
	void *h;

	(void)state;
	h = dlopen(softhsm_module(), RTLD_NOW);
	assert_non_null(h);
	*(void **)&get = dlsym(h, "C_GetFunctionList");
	assert_int_equal(get(&raw), CKR_OK);
	assert_int_equal(raw->C_Initialize(&args), CKR_OK);
	ctx = softhsm_ctx(&mine);
	assert_int_equal(ofs_token_list(ctx, note, &l), 0);
	assert_int_equal(l.n, 4);
	ofs_ctx_free(ctx);
	assert_int_equal(raw->C_GetInfo(&info), CKR_OK);
	assert_int_equal(raw->C_Finalize(NULL), CKR_OK);
	/* and what we initialise we finalise */
	assert_int_equal(module_acquire(softhsm_module(), 1000000, &m, &e), 0);
	assert_int_equal(raw->C_GetInfo(&info), CKR_OK);
	module_release(m);
	assert_int_equal(raw->C_GetInfo(&info), CKR_CRYPTOKI_NOT_INITIALIZED);
	dlclose(h);
}

static void
opens_by_label_and_serial(void **state)
{
	struct listed l = { .wanted = "beta" };
	char uri[600];
	ofs_token *t;

	assert_int_equal(ofs_token_list(*state, note, &l), 0);
	t = softhsm_open(*state, "pkcs11:token=beta");
	assert_string_equal(ofs_token_get_info(t)->label, "beta");
	assert_string_equal(ofs_token_get_info(t)->serial, l.last.serial);
	ofs_token_free(t);
	snprintf(uri, sizeof(uri), "pkcs11:serial=%s", l.last.serial);
	t = softhsm_open(*state, uri);
	assert_string_equal(ofs_token_get_info(t)->label, "beta");
	ofs_token_free(t);
	/* its own URI, and object parts that are passed over */
	snprintf(uri, sizeof(uri), "%s;object=x;type=private", l.last.uri);
	t = softhsm_open(*state, uri);
	assert_string_equal(ofs_token_get_info(t)->label, "beta");
	ofs_token_free(t);
	snprintf(uri, sizeof(uri), "pkcs11:slot-id=%lu", l.last.slot_id);
	t = softhsm_open(*state, uri);
	assert_string_equal(ofs_token_get_info(t)->label, "beta");
	ofs_token_free(t);
}

static void
says_what_tokens_are_there(void **state)
{
	ofs_token *t;

	assert_int_equal(
		ofs_token_open(*state, "pkcs11:token=gone", &t), OFS_ETOKEN);
	assert_null(t);
	assert_says(ofs_ctx_error(*state), "'alpha'");
	assert_says(ofs_ctx_error(*state), "'beta'");
	assert_int_equal(ofs_token_open(*state, "pkcs11:", &t), OFS_EAMBIGUOUS);
	assert_null(t);
}

/* two tokens of one label, as another program may make them */
static void
refuses_ambiguous_tokens(void **state)
{
	struct listed l = { .wanted = "twin" };
	char uri[600];
	ofs_token *t;

	assert_int_equal(ofs_token_open(*state, "pkcs11:token=twin", &t),
		OFS_EAMBIGUOUS);
	assert_null(t);
	assert_says(ofs_ctx_error(*state), "serial");
	assert_int_equal(ofs_token_list(*state, note, &l), 0);
	assert_says(ofs_ctx_error(*state), "");
	snprintf(
		uri, sizeof(uri), "pkcs11:token=twin;serial=%s", l.last.serial);
	t = softhsm_open(*state, uri);
	ofs_token_free(t);
}

static void
refuses_bad_uris(void **state)
{
	static const struct {
		const char *uri, *why;
	} bad[] = {
		{ "alpha", "pkcs11:" },
		{ "", "pkcs11:" },
		{ "PKCS11:token=alpha?pin-value=geheim", "pkcs11:" },
		{ "pkcs11:token=alpha?pin-value=geheim", "process list" },
		{ "pkcs11:token=alpha?id=%01", "before the '?'" },
		{ "pkcs11:token=alpha;pin-value=geheim", "process list" },
		{ "pkcs11:token=alpha?pin-source=file:/x", "PIN source" },
		{ "pkcs11:token=alpha?module-path=/tmp/x.so", "code" },
		{ "pkcs11:token=alpha?module-name=x", "code" },
		{ "pkcs11:token=alpha&pin-value=geheim", NULL },
		{ "pkcs11:tokens=alpha", "not known" },
		{ "pkcs11:token=alpha;x-vendor=1", "not known" },
		{ "pkcs11:library-description=x", "not known" },
		{ "pkcs11:token=alpha;token=beta", "twice" },
		{ "pkcs11:id=%01;id=%02", "twice" },
		{ "pkcs11:token=", "empty" },
		{ "pkcs11:token=alpha;id=", "empty" },
		{ "pkcs11:slot-id=", "empty" },
		{ "pkcs11:slot-id=99999999999999999999", "too large" },
		{ "pkcs11:slot-id=x", "form" },
		{ "pkcs11:token=%00alpha", "NUL" },
		{ "pkcs11:token=%0", "%XX" },
		{ "pkcs11:token=%zz", "%XX" },
		{ "pkcs11:token", "NAME=VALUE" },
		{ "pkcs11:;token=alpha", "NAME=VALUE" },
		{ "pkcs11:token=alpha;;serial=1", "NAME=VALUE" },
		{ "pkcs11:token=alpha;", "separator" },
		{ "pkcs11:token=al pha", "%20" },
		{ "pkcs11:token=alph\xc3\xa4", "%XX" },
		{ "pkcs11:token=123456789012345678901234567890123", "32" },
		{ "pkcs11:type=nonsense", "type" },
	};
	ofs_token *t;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		t = (ofs_token *)&seen;
		if (ofs_token_open(*state, bad[i].uri, &t) != OFS_EINVAL &&
			bad[i].why != NULL)
			fail_msg("'%s' was taken", bad[i].uri);
		assert_null(t);
		if (bad[i].why != NULL)
			assert_says(ofs_ctx_error(*state), bad[i].why);
		assert_null(strstr(ofs_ctx_error(*state)->message, "geheim"));
	}
}

static void
logs_in_once(void **state)
{
	ofs_token *t = softhsm_open(*state, "pkcs11:token=alpha");

	assert_int_equal(ofs_token_login(t), 0);
	assert_int_equal(ofs_token_login(t), 0);
	assert_int_equal(seen.asked[OFS_PIN_USER], 1);
	assert_int_equal(seen.login_ok, 1);
	ofs_token_free(t);
	/* the last session is closed: the login is gone */
	t = softhsm_open(*state, "pkcs11:token=alpha");
	assert_int_equal(ofs_token_login(t), 0);
	assert_int_equal(seen.asked[OFS_PIN_USER], 2);
	ofs_token_free(t);
}

/* the login is the process's: a second handle needs no PIN */
static void
shares_the_login(void **state)
{
	ofs_token *t = softhsm_open(*state, "pkcs11:token=alpha");
	ofs_token *u = softhsm_open(*state, "pkcs11:token=alpha");

	assert_int_equal(ofs_token_login(t), 0);
	assert_int_equal(ofs_token_login(u), 0);
	assert_int_equal(seen.asked[OFS_PIN_USER], 1);
	assert_int_equal(seen.login_ok, 1);
	ofs_token_free(t);
	assert_int_equal(ofs_token_login(u), 0);
	assert_int_equal(seen.asked[OFS_PIN_USER], 1);
	ofs_token_free(u);
}

static bool
count_low(ofs_ctx *ctx, const char *label)
{
	struct listed l = { .wanted = label };

	assert_int_equal(ofs_token_list(ctx, note, &l), 0);
	return l.last.pin_count_low;
}

static void
sends_a_wrong_pin_once(void **state)
{
	ofs_token *t = softhsm_open(*state, "pkcs11:token=beta");

	assert_false(count_low(*state, "beta"));
	seen.pin = "9999";
	assert_int_equal(ofs_token_login(t), OFS_EPIN);
	assert_int_equal(ofs_token_error(t)->ckr, CKR_PIN_INCORRECT);
	assert_null(strstr(ofs_token_error(t)->message, "9999"));
	assert_true(count_low(*state, "beta"));
	assert_int_equal(seen.asked[OFS_PIN_USER], 1);
	assert_int_equal(seen.login_failed, 1);
	assert_int_equal(seen.failed_code, OFS_EPIN);
	assert_int_equal(seen.failed_ckr, CKR_PIN_INCORRECT);
	/* not asked for, not sent again: not even the right one */
	seen.pin = NULL;
	assert_int_equal(ofs_token_login(t), OFS_EPIN);
	assert_int_equal(seen.asked[OFS_PIN_USER], 1);
	assert_int_equal(seen.login_failed, 1);
	ofs_token_free(t);
	t = softhsm_open(*state, "pkcs11:token=beta");
	assert_int_equal(ofs_token_login(t), 0);
	assert_false(count_low(*state, "beta"));
	ofs_token_free(t);
}

static void
needs_a_pin(void **state)
{
	char long_pin[OFS_PIN_MAX + 2];
	ofs_token *t = softhsm_open(*state, "pkcs11:token=alpha");
	ofs_ctx *ctx = *state;

	seen.pin_code = OFS_ENOPIN;
	assert_int_equal(ofs_token_login(t), OFS_ENOPIN);
	seen.pin_code = 0;
	seen.pin = "";
	assert_int_equal(ofs_token_login(t), OFS_ENOPIN);
	memset(long_pin, '1', sizeof(long_pin));
	long_pin[OFS_PIN_MAX] = '\0'; /* the most that fits */
	seen.pin = long_pin;
	assert_int_equal(ofs_token_login(t), OFS_EPIN);
	ofs_token_free(t);
	t = softhsm_open(ctx, "pkcs11:token=alpha");
	ctx->opts.pinpad = true;
	assert_int_equal(ofs_token_login(t), OFS_ENOPIN);
	assert_says(ofs_token_error(t), "PIN pad");
	ctx->opts.pinpad = false;
	ctx->opts.pin = NULL;
	assert_int_equal(ofs_token_login(t), OFS_ENOPIN);
	assert_int_equal(seen.login_failed, 1);
	ofs_token_free(t);
}

static CK_STATE
state_of(ofs_token *t)
{
	struct session *s;
	CK_STATE st;

	assert_int_equal(token_session(t, &s, &e), 0);
	assert_int_equal(session_state(s, &st), CKR_OK);
	return st;
}

static void
undoes_a_login_that_is_not_recorded(void **state)
{
	ofs_token *t = softhsm_open(*state, "pkcs11:token=alpha");

	seen.event_code = OFS_EAUDIT;
	assert_int_equal(ofs_token_login(t), OFS_EAUDIT);
	assert_says(ofs_token_error(t), "listener refuses");
	assert_int_equal(seen.login_ok, 1);
	assert_int_equal(state_of(t), CKS_RO_PUBLIC_SESSION);
	/* a rejection stays a rejection */
	seen.pin = "9999";
	assert_int_equal(ofs_token_login(t), OFS_EPIN);
	assert_non_null(strstr(seen.last_log, "could not be recorded"));
	seen.event_code = 0;
	seen.pin = NULL;
	ofs_token_free(t);
	t = softhsm_open(*state, "pkcs11:token=alpha");
	assert_int_equal(ofs_token_login(t), 0);
	assert_int_equal(state_of(t), CKS_RO_USER_FUNCTIONS);
	ofs_token_free(t);
}

static void
guards_the_pin(void **state)
{
	ofs_ctx *ctx = *state;
	struct ofs_token_info i = { .label = "x" };

	assert_int_equal(login_guard(ctx, OFS_PIN_USER, &i, &e), 0);
	i.pin_count_low = true;
	assert_int_equal(login_guard(ctx, OFS_PIN_USER, &i, &e), 0);
	i.pin_final_try = true;
	assert_int_equal(
		login_guard(ctx, OFS_PIN_USER, &i, &e), OFS_EPINLOCKED);
	assert_int_equal(login_guard(ctx, OFS_PIN_SO, &i, &e), 0);
	ctx->opts.last_try = true;
	assert_int_equal(login_guard(ctx, OFS_PIN_USER, &i, &e), 0);
	i.pin_to_be_changed = true;
	assert_int_equal(
		login_guard(ctx, OFS_PIN_USER, &i, &e), OFS_EPINLOCKED);
	i.pin_to_be_changed = false;
	i.pin_locked = true;
	assert_int_equal(
		login_guard(ctx, OFS_PIN_USER, &i, &e), OFS_EPINLOCKED);
	i.flags = CKF_SO_PIN_FINAL_TRY;
	assert_int_equal(login_guard(ctx, OFS_PIN_SO, &i, &e), 0);
	ctx->opts.last_try = false;
	assert_int_equal(login_guard(ctx, OFS_PIN_SO, &i, &e), OFS_EPINLOCKED);
	i.flags = CKF_SO_PIN_LOCKED;
	ctx->opts.last_try = true;
	assert_int_equal(login_guard(ctx, OFS_PIN_SO, &i, &e), OFS_EPINLOCKED);
}

static int
init(ofs_ctx *ctx, const char *label, const char *uri, const char *erase,
	struct ofs_token_info *out)
{
	struct ofs_token_init_opts o = OFS_TOKEN_INIT_OPTS_INIT;

	o.label = label;
	o.uri = uri;
	o.erase = erase;
	return token_init(ctx, &o, out, &e);
}

static void
initialises_and_erases(void **state)
{
	struct ofs_token_info a, b;
	ofs_token *t;

	assert_int_equal(init(*state, "fresh one", NULL, NULL, &a), 0);
	assert_string_equal(a.label, "fresh one");
	assert_true(a.initialised && a.pin_initialised);
	assert_int_equal(seen.asked[OFS_PIN_NEW_SO], 1);
	assert_int_equal(seen.asked[OFS_PIN_NEW_USER], 1);
	assert_int_equal(seen.asked[OFS_PIN_SO], 0);
	assert_int_equal(seen.login_ok, 1);
	t = softhsm_open(*state, "pkcs11:token=fresh%20one");
	assert_int_equal(ofs_token_login(t), 0);
	/* in use */
	assert_int_equal(
		init(*state, "other", NULL, "fresh one", &b), OFS_ETOKEN);
	assert_int_equal(e.ckr, CKR_SESSION_EXISTS);
	ofs_token_free(t);
	/* not without its own label */
	assert_int_equal(init(*state, "other", a.uri, NULL, &b), OFS_EPOLICY);
	assert_int_equal(
		init(*state, "other", a.uri, "alpha", &b), OFS_EPOLICY);
	assert_int_equal(init(*state, "other", NULL, "gone", &b), OFS_ETOKEN);
	assert_int_equal(b.size, 0);
	/* with it */
	assert_int_equal(init(*state, "other", a.uri, "fresh one", &b), 0);
	assert_string_equal(b.label, "other");
	assert_int_equal(seen.asked[OFS_PIN_SO], 2);
	assert_int_equal(ofs_token_open(*state, "pkcs11:token=fresh%20one", &t),
		OFS_ETOKEN);
	/* the same label once more is fine where it is the one erased */
	assert_int_equal(init(*state, "other", NULL, "other", &b), 0);
}

static int
wrong_so(void *arg, const struct ofs_pin_request *req, char *pin)
{
	(void)arg;
	strcpy(pin, req->kind == OFS_PIN_SO ? "11111111" : "1234");
	return 0;
}

static void
refuses_bad_initialisations(void **state)
{
	struct ofs_token_info i;
	ofs_ctx *ctx = *state;
	int asked;

	assert_int_equal(init(ctx, "alpha", NULL, NULL, &i), OFS_EPOLICY);
	assert_says(&e, "label");
	assert_int_equal(init(ctx, NULL, NULL, NULL, &i), OFS_EINVAL);
	assert_int_equal(init(ctx, "", NULL, NULL, &i), OFS_EINVAL);
	assert_int_equal(init(ctx, "a\nb", NULL, NULL, &i), OFS_EINVAL);
	assert_int_equal(init(ctx, "\xff", NULL, NULL, &i), OFS_EINVAL);
	assert_int_equal(init(ctx, "blank ", NULL, NULL, &i), OFS_EINVAL);
	assert_int_equal(
		init(ctx, "123456789012345678901234567890123", NULL, NULL, &i),
		OFS_EINVAL);
	assert_int_equal(
		init(ctx, "x", "pkcs11:token=beta", NULL, &i), OFS_EPOLICY);
	assert_int_equal(init(ctx, "x", NULL, "twin", &i), OFS_EAMBIGUOUS);
	asked = seen.asked[OFS_PIN_NEW_SO] + seen.asked[OFS_PIN_NEW_USER] +
		seen.asked[OFS_PIN_SO];
	assert_int_equal(asked, 0);
	/* a user PIN that the token will not take: nothing is begun */
	seen.pin = "1";
	assert_int_equal(init(ctx, "short", NULL, NULL, &i), OFS_EINVAL);
	seen.pin = NULL;
	assert_int_equal(
		init(ctx, "x", "pkcs11:token=short", NULL, &i), OFS_ETOKEN);
	/* a wrong SO PIN leaves the token as it was, and is reported */
	ctx->opts.pin = wrong_so;
	assert_int_equal(init(ctx, "x", NULL, "beta", &i), OFS_EPIN);
	assert_int_equal(seen.login_failed, 1);
	ofs_token_free(softhsm_open(ctx, "pkcs11:token=beta"));
}

/* a child must not touch what its parent has open */
static void
refuses_a_forked_handle(void **state)
{
	ofs_token *t = softhsm_open(*state, "pkcs11:token=alpha");
	int status;
	pid_t pid;

	assert_int_equal(ofs_token_login(t), 0);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		ofs_ctx *ctx = *state;
		int ok = ofs_token_login(t) == OFS_ETOKEN &&
			strstr(ofs_token_error(t)->message, "fork") != NULL;

		ofs_token_free(t);
		/* but may start anew */
		ok = ok && ofs_ctx_add_module(*state, softhsm_module()) == 0 &&
			ctx->modules->v[0]->pid == getpid() &&
			ofs_token_open(*state, "pkcs11:token=beta", &t) == 0 &&
			ofs_token_login(t) == 0;
		_exit(ok ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(state_of(t), CKS_RO_USER_FUNCTIONS);
	ofs_token_free(t);
}

/* SIGPIPE inside a call does not end the process, nor comes later */
static void
survives_sigpipe(void **state)
{
	struct cryptoki_guard g, inner;
	sigset_t set;

	(void)state;
	assert_int_equal(signal(SIGPIPE, SIG_DFL) == SIG_ERR, 0);
	cryptoki_enter(&g);
	cryptoki_enter(&inner);
	raise(SIGPIPE);
	cryptoki_leave(&inner);
	raise(SIGPIPE);
	cryptoki_leave(&g);
	sigpending(&set);
	assert_int_equal(sigismember(&set, SIGPIPE), 0);
	pthread_sigmask(SIG_BLOCK, NULL, &set);
	assert_int_equal(sigismember(&set, SIGPIPE), 0);
	/* one that waited before the call still waits after it */
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	raise(SIGPIPE);
	cryptoki_enter(&g);
	cryptoki_leave(&g);
	sigpending(&set);
	assert_int_equal(sigismember(&set, SIGPIPE), 1);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static void
make_twin(void)
{
	const char *const argv[] = { "softhsm2-util", "--init-token", "--free",
		"--label", "twin", "--so-pin", SOFTHSM_SO_PIN, "--pin",
		SOFTHSM_PIN, NULL };

	if (softhsm_run(argv) != 0) {
		printf("Bail out! softhsm2-util\n");
		exit(1);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_ctx, close_ctx)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(lists_tokens),
		TEST(tells_the_modules_digest),
		TEST(needs_a_module),
		TEST(refuses_bad_modules),
		TEST(takes_a_module_once),
		cmocka_unit_test(shares_an_initialised_module),
		TEST(opens_by_label_and_serial),
		TEST(says_what_tokens_are_there),
		TEST(refuses_ambiguous_tokens),
		TEST(refuses_bad_uris),
		TEST(logs_in_once),
		TEST(shares_the_login),
		TEST(sends_a_wrong_pin_once),
		TEST(needs_a_pin),
		TEST(undoes_a_login_that_is_not_recorded),
		TEST(guards_the_pin),
		TEST(initialises_and_erases),
		TEST(refuses_bad_initialisations),
		TEST(refuses_a_forked_handle),
		cmocka_unit_test(survives_sigpipe),
	};
	int rc;

	softhsm_start();
	make_twin();
	make_twin();
	softhsm_init_token("alpha");
	softhsm_init_token("beta");
	cmocka_set_message_output(CM_OUTPUT_TAP);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	softhsm_stop();
	return rc;
}
