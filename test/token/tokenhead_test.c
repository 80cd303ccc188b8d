/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Heads of a log as data objects on a token, whatever else is there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <offlinesig.h>

#include "faultp11.h"
#include "softhsm.h"
#include "token/dataobject.h"

#define LABEL "heads"
#define ORIGIN "station/1"
#define APPLICATION "offlinesig audit head"

/* Between us and the module: what becomes of a new object. */
static struct {
	CK_FUNCTION_LIST *real, list;
	enum { STORED, NOT_STORED, STORED_PRIVATE } how;
} spy;

struct fixture {
	struct softhsm_seen seen;
	ofs_ctx *ctx;
	ofs_audit *audit;
	ofs_token *token;
	char dir[600];
};

static CK_RV
create_object(
	CK_SESSION_HANDLE h, CK_ATTRIBUTE *t, CK_ULONG n, CK_OBJECT_HANDLE *out)
{
	CK_BBOOL yes = CK_TRUE;

	if (spy.how == NOT_STORED) {
		*out = 4711;
		return CKR_OK;
	}
	for (CK_ULONG i = 0; i < n; i++)
		if (spy.how == STORED_PRIVATE && t[i].type == CKA_PRIVATE)
			t[i].pValue = &yes;
	return spy.real->C_CreateObject(h, t, n, out);
}

static void
reopen(struct fixture *f)
{
	if (f->token != NULL)
		f->token->module->f = spy.real;
	ofs_token_free(f->token);
	f->token = softhsm_open(f->ctx, "pkcs11:token=" LABEL);
	spy.real = f->token->module->f;
	spy.list = *spy.real;
	spy.list.C_CreateObject = create_object;
	spy.how = STORED;
	f->token->module->f = &spy.list;
}

static int
group_setup(void **state)
{
	(void)state;
	fault_start();
	return 0;
}

static int
group_teardown(void **state)
{
	(void)state;
	softhsm_stop();
	return 0;
}

static ofs_audit *
new_log(struct fixture *f, const char *name, const char *origin)
{
	struct ofs_audit_init_opts o = OFS_AUDIT_INIT_OPTS_INIT;
	char dir[700], key[800];
	ofs_audit *a;

	snprintf(dir, sizeof(dir), "%s/%s", f->dir, name);
	snprintf(key, sizeof(key), "file:%s/%s.pem", f->dir, name);
	o.origin = origin;
	o.audit_key = key;
	if (ofs_audit_init(f->ctx, dir, &o) != 0 ||
		ofs_audit_open(f->ctx, dir, 0, &a) != 0)
		fail_msg("%s", ofs_ctx_error(f->ctx)->message);
	return a;
}

/* a log, and a token that is empty */
static int
setup(void **state)
{
	static int n;
	struct fixture *f = calloc(1, sizeof(*f));
	struct ofs_token_init_opts o = OFS_TOKEN_INIT_OPTS_INIT;

	fault_reset();
	f->ctx = softhsm_ctx(&f->seen);
	if (n == 0) {
		softhsm_init_token(LABEL);
	} else {
		o.label = LABEL;
		o.erase = LABEL;
		if (ofs_token_init(f->ctx, &o, NULL) != 0)
			fail_msg("%s", ofs_ctx_error(f->ctx)->message);
	}
	snprintf(f->dir, sizeof(f->dir), "%s/t%d", softhsm_dir(), n++);
	f->audit = new_log(f, "log", ORIGIN);
	memset(&f->seen, 0, sizeof(f->seen));
	reopen(f);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	fault_reset();
	f->token->module->f = spy.real;
	ofs_token_free(f->token);
	ofs_audit_free(f->audit);
	ofs_ctx_free(f->ctx);
	free(f);
	return 0;
}

static void
assert_says(ofs_audit *a, int got, int want, const char *text)
{
	struct ofs_error e;

	ofs_audit_error(a, &e);
	if (got != want || (want != 0 && strstr(e.message, text) == NULL))
		fail_msg("%d, not %d, or '%s' lacks '%s'", got, want, e.message,
			text);
}

/* the number of records in a new one */
static uint64_t
checkpoint(ofs_audit *a)
{
	struct ofs_audit_key_info k;
	char *note;
	int rc = ofs_audit_checkpoint(a, true, &note);

	assert_says(a, rc, 0, "");
	free(note);
	assert_int_equal(ofs_audit_get_key(a, &k), 0);
	return k.records;
}

static uint64_t
put(struct fixture *f, ofs_audit *a)
{
	struct ofs_audit_head h;
	uint64_t n = checkpoint(a);

	assert_says(a, ofs_audit_put_token_head(a, f->token, &h), 0, "");
	assert_int_equal(h.records, n);
	return n;
}

/* how many objects of that name there are */
static size_t
count_of(struct fixture *f, const char *application, const char *label)
{
	struct dataobject_name name = { application, label };
	struct dataobjects l;
	struct ofs_error e;
	size_t n;

	if (dataobject_read(f->token, &name, &l, &e) != 0)
		fail_msg("%s", e.message);
	n = l.n;
	dataobjects_free(&l);
	return n;
}

static size_t
count(struct fixture *f, const char *label)
{
	return count_of(f, APPLICATION, label);
}

/* one of somebody else's */
static void
store(struct fixture *f, const char *app, const char *label, const void *value,
	size_t n)
{
	static CK_OBJECT_CLASS class_ = CKO_DATA;
	CK_SESSION_HANDLE h = fault_session(fault_slot(LABEL));
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_OBJECT_HANDLE made;
	CK_ATTRIBUTE t[] = {
		{ CKA_CLASS, &class_, sizeof(class_) },
		{ CKA_TOKEN, &yes, sizeof(yes) },
		{ CKA_PRIVATE, &no, sizeof(no) },
		{ CKA_APPLICATION, (void *)(uintptr_t)app, strlen(app) },
		{ CKA_LABEL, (void *)(uintptr_t)label, strlen(label) },
		{ CKA_VALUE, (void *)(uintptr_t)value, n },
	};

	(void)f;
	assert_int_equal(fault_functions()->C_CreateObject(h, t, 6, &made), 0);
	assert_int_equal(fault_functions()->C_CloseSession(h), 0);
}

static ofs_audit *
verified(struct fixture *f)
{
	assert_says(
		f->audit, ofs_audit_verify(f->audit, NULL, NULL, NULL), 0, "");
	return f->audit;
}

static uint64_t
check(struct fixture *f)
{
	struct ofs_audit_head h;
	int rc = ofs_audit_check_token_head(verified(f), f->token, &h);

	assert_says(f->audit, rc, 0, "");
	assert_string_equal(h.kind, "token");
	assert_true(h.outside);
	return h.records;
}

static void
takes_the_place(void **state)
{
	struct fixture *f = *state;
	struct ofs_audit_exposure x;
	uint64_t n;

	assert_says(f->audit,
		ofs_audit_check_token_head(verified(f), f->token, NULL),
		OFS_ETOKEN, "holds no head of this audit log");
	for (int i = 0; i < 3; i++) {
		n = put(f, f->audit);
		assert_int_equal(count(f, ORIGIN), 1);
		assert_int_equal(check(f), n);
	}
	assert_int_equal(f->seen.login_ok, 1);
	assert_int_equal(ofs_audit_get_exposure(f->audit, &x), 0);
	assert_true(x.anchored);
	/* again without anything new: the same object */
	fault_script("");
	assert_int_equal(ofs_audit_put_token_head(f->audit, f->token, NULL), 0);
	assert_int_equal(fault_calls("C_CreateObject"), 0);
	assert_int_equal(fault_calls("C_DestroyObject"), 0);
	/* who has no PIN reads it */
	reopen(f);
	fault_script("");
	assert_int_equal(check(f), n);
	assert_int_equal(fault_calls("C_Login"), 0);
}

static void
leaves_what_is_not_its_own(void **state)
{
	struct fixture *f = *state;
	ofs_audit *twin = new_log(f, "twin", ORIGIN);
	ofs_audit *other = new_log(f, "other", "station/2");
	char cut[80], *note;
	uint64_t n;

	(void)put(f, f->audit);
	(void)put(f, other);
	(void)put(f, twin);
	assert_int_equal(ofs_audit_checkpoint(f->audit, true, &note), 0);
	snprintf(cut, sizeof(cut), "%.60s", note);
	store(f, APPLICATION, ORIGIN, cut, strlen(cut));
	store(f, APPLICATION, ORIGIN, "", 0);
	note[strlen(note) - 6] ^= 1; /* in the signature */
	store(f, APPLICATION, ORIGIN, note, strlen(note));
	store(f, "another program, head", ORIGIN, "its own", 7);
	free(note);
	assert_int_equal(count(f, ORIGIN), 5);
	f->seen.warnings = 0;
	n = put(f, f->audit);
	assert_int_equal(f->seen.warnings, 4); /* each was named */
	assert_int_equal(count(f, ORIGIN), 5);
	assert_int_equal(count(f, "station/2"), 1);
	assert_int_equal(check(f), n);
	assert_int_equal(count_of(f, "another program, head", ORIGIN), 1);
	ofs_audit_free(twin);
	ofs_audit_free(other);
}

/* nothing but what somebody else has put there */
static void
refuses_what_is_none(void **state)
{
	static const char text[] = ORIGIN "\n5\nAAAA\n\n";
	struct fixture *f = *state;
	ofs_audit *twin;

	store(f, APPLICATION, ORIGIN, text, strlen(text));
	assert_says(f->audit,
		ofs_audit_check_token_head(verified(f), f->token, NULL),
		OFS_EFORMAT, "'token heads' holds no checkpoint");
	twin = new_log(f, "twin", ORIGIN);
	(void)put(f, twin);
	(void)put(f, f->audit);
	ofs_audit_free(f->audit);
	f->audit = twin;
	assert_int_equal(check(f), 1);
}

static void
survives_a_crash(void **state)
{
	struct fixture *f = *state;
	uint64_t n;

	(void)put(f, f->audit);
	/* as if it ended there: the old one stays */
	fault_script("C_DestroyObject 1 ckr=DEVICE_ERROR");
	f->seen.warnings = 0;
	n = put(f, f->audit);
	assert_int_equal(f->seen.warnings, 1);
	assert_int_equal(count(f, ORIGIN), 2);
	assert_int_equal(check(f), n);
	fault_script("");
	n = put(f, f->audit);
	assert_int_equal(count(f, ORIGIN), 1);
	assert_int_equal(check(f), n);
}

/* whatever fails, a head that was there stays until a new one is */
static void
keeps_the_old_one(void **state)
{
	static const struct {
		const char *script;
		int how, code;
		const char *text;
	} cases[] = {
		{ "C_CreateObject 1 ckr=DEVICE_MEMORY", STORED, OFS_ETOKEN,
			"no room" },
		{ "C_CreateObject 1 ckr=ATTRIBUTE_VALUE_INVALID", STORED,
			OFS_EUNSUPPORTED, "keeps no public data objects" },
		{ "C_CreateObject 1 ckr=DEVICE_ERROR", STORED, OFS_ETOKEN,
			"cannot store a data object" },
		{ "", NOT_STORED, OFS_ETOKEN, "does not show" },
		{ "", STORED_PRIVATE, OFS_EUNSUPPORTED,
			"for who knows its PIN only" },
		{ "C_Login 1 ckr=PIN_INCORRECT", STORED, OFS_EPIN, "" },
	};
	struct fixture *f = *state;
	uint64_t before, after, n;

	n = put(f, f->audit);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		reopen(f);
		(void)checkpoint(f->audit);
		assert_int_equal(ofs_audit_size(f->audit, &before), 0);
		fault_script(cases[i].script);
		spy.how = cases[i].how;
		assert_says(f->audit,
			ofs_audit_put_token_head(f->audit, f->token, NULL),
			cases[i].code, cases[i].text);
		fault_script("");
		/* logged in or not, what was there before is all */
		assert_int_equal(count(f, ORIGIN), 1);
		reopen(f);
		assert_int_equal(ofs_audit_size(f->audit, &after), 0);
		assert_int_equal(before, after); /* no anchor */
		assert_true(check(f) >= n);
	}
}

/* one call after the other: a head is there at every moment */
static void
whichever_call_fails(void **state)
{
	struct fixture *f = *state;
	uint64_t before = put(f, f->audit), now;
	int failed = 0, done = 0;
	char script[64];

	for (int n = 1; n <= 60; n++) {
		(void)checkpoint(f->audit);
		reopen(f);
		snprintf(script, sizeof(script), "any %d ckr=DEVICE_ERROR", n);
		fault_script(script);
		if (ofs_audit_put_token_head(f->audit, f->token, NULL) != 0)
			failed++;
		else
			done++;
		fault_script("");
		reopen(f);
		now = check(f);
		assert_true(now >= before);
		before = now;
	}
	(void)put(f, f->audit);
	assert_int_equal(count(f, ORIGIN), 1);
	print_message("# %d failed, %d did not\n", failed, done);
	assert_true(failed > 10 && done > 5);
}

/* a token on which the SO alone stores objects */
static void
leaves_it_to_the_so(void **state)
{
	struct fixture *f = *state;
	uint64_t n;

	fault_script("sowrites");
	n = put(f, f->audit);
	n = put(f, f->audit);
	assert_int_equal(count(f, ORIGIN), 1);
	assert_int_equal(check(f), n);
	assert_true(f->seen.asked[OFS_PIN_SO] > 0);
}

static void
has_a_bound(void **state)
{
	struct fixture *f = *state;
	char text[16];

	for (int i = 0; i <= DATAOBJECTS_MAX; i++) {
		snprintf(text, sizeof(text), "%d", i);
		store(f, APPLICATION, ORIGIN, text, strlen(text));
	}
	assert_says(f->audit,
		ofs_audit_check_token_head(verified(f), f->token, NULL),
		OFS_ETOKEN, "more than 64 data objects");
}

static void
needs_a_log_to_write(void **state)
{
	struct fixture *f = *state;
	char dir[700];

	(void)put(f, f->audit);
	ofs_audit_free(f->audit);
	snprintf(dir, sizeof(dir), "%s/log", f->dir);
	assert_int_equal(
		ofs_audit_open(f->ctx, dir, OFS_AUDIT_READ_ONLY, &f->audit), 0);
	assert_says(f->audit,
		ofs_audit_put_token_head(f->audit, f->token, NULL), OFS_EINVAL,
		"for reading only");
	assert_true(check(f) > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(takes_the_place),
		TEST(leaves_what_is_not_its_own),
		TEST(refuses_what_is_none),
		TEST(survives_a_crash),
		TEST(keeps_the_old_one),
		TEST(whichever_call_fails),
		TEST(leaves_it_to_the_so),
		TEST(has_a_bound),
		TEST(needs_a_log_to_write),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
