/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An audit key on a token: logs made with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <offlinesig.h>

#include "softhsm.h"

#define URI(token, object) "pkcs11:token=" token ";object=" object

struct fixture {
	struct softhsm_seen seen;
	ofs_ctx *ctx;
	ofs_token *token;
	char dir[600];
};

static char *
in_dir(const struct fixture *f, const char *name)
{
	static char path[4][700];
	static int n;

	n = (n + 1) % 4;
	snprintf(path[n], sizeof(path[n]), "%s/%s", f->dir, name);
	return path[n];
}

static void
ok(int rc, const struct ofs_error *e)
{
	if (rc != 0)
		fail_msg("%d: %s", rc, e->message);
}

static void
enroll(struct fixture *f, ofs_audit *log, const char *token, const char *uri,
	const char *type, const char *subject)
{
	struct ofs_enroll_opts o = OFS_ENROLL_OPTS_INIT;
	ofs_token *t = softhsm_open(f->ctx, token);
	struct ofs_enrolled en;

	o.key_type = type;
	o.subject = subject;
	o.self_signed = subject != NULL;
	ok(ofs_key_enroll(t, log, uri, &o, &en), ofs_token_error(t));
	ofs_enrolled_clear(&en);
	ofs_token_free(t);
}

static int
group_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	ofs_audit *log;

	softhsm_start();
	softhsm_init_token("desk");
	softhsm_init_token("vault");
	f->ctx = softhsm_ctx(&f->seen);
	snprintf(f->dir, sizeof(f->dir), "%s", softhsm_dir());
	ok(ofs_audit_open(f->ctx, in_dir(f, "setup"), OFS_AUDIT_CREATE, &log),
		ofs_ctx_error(f->ctx));
	enroll(f, log, "pkcs11:token=desk", URI("desk", "docs"), "ec:P-256",
		"/CN=docs");
	enroll(f, log, "pkcs11:token=desk", URI("desk", "audit"), "ec:P-256",
		NULL);
	enroll(f, log, "pkcs11:token=vault", URI("vault", "audit"), "ec:P-256",
		NULL);
	enroll(f, log, "pkcs11:token=vault", URI("vault", "rsa"), "rsa:2048",
		NULL);
	ofs_audit_free(log);
	*state = f;
	return 0;
}

static int
group_teardown(void **state)
{
	struct fixture *f = *state;

	ofs_ctx_free(f->ctx);
	free(f);
	softhsm_stop();
	return 0;
}

static ofs_audit *
new_log(struct fixture *f, const char *name, const char *token, const char *uri)
{
	ofs_token *t = softhsm_open(f->ctx, token);
	ofs_audit *log;

	ok(ofs_audit_init_token_key(t, uri, in_dir(f, name), NULL),
		ofs_token_error(t));
	ofs_token_free(t);
	ok(ofs_audit_open(f->ctx, in_dir(f, name), 0, &log),
		ofs_ctx_error(f->ctx));
	return log;
}

static void
is_in_the_genesis(void **state)
{
	struct fixture *f = *state;
	struct ofs_audit_key_info k;
	struct ofs_record_head h;
	struct ofs_field field;
	ofs_record *rec;
	ofs_audit *log;
	ofs_token *t;
	uint64_t n;

	memset(&f->seen, 0, sizeof(f->seen));
	log = new_log(f, "one", "pkcs11:token=vault", URI("vault", "audit"));
	assert_int_equal(f->seen.login_ok, 0); /* the new log has it */
	assert_int_equal(f->seen.asked[OFS_PIN_USER], 1);
	assert_int_equal(ofs_audit_size(log, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(ofs_audit_get(log, 0, &rec), 0);
	assert_true(ofs_record_find(rec, "audit_key_place", &field));
	assert_memory_equal(field.bytes, "token", 5);
	ofs_record_free(rec);
	assert_int_equal(ofs_audit_get(log, 1, &rec), 0);
	ofs_record_get_head(rec, &h);
	assert_int_equal(h.type, OFS_REC_LOGIN);
	assert_true(ofs_record_find(rec, "token.label", &field));
	assert_memory_equal(field.bytes, "vault", 5);
	ofs_record_free(rec);
	assert_int_equal(ofs_audit_get_key(log, &k), 0);
	assert_true(k.on_token);
	assert_non_null(strstr(k.place, "token=vault"));
	assert_int_equal(ofs_audit_verify(log, NULL, NULL, NULL), 0);
	ofs_audit_free(log);
	/* who is logged in already is not so again, and the listener is back */
	t = softhsm_open(f->ctx, "pkcs11:token=vault");
	ok(ofs_token_login(t), ofs_token_error(t));
	assert_int_equal(f->seen.login_ok, 1);
	log = new_log(f, "two", "pkcs11:token=vault", URI("vault", "audit"));
	assert_int_equal(ofs_audit_size(log, &n), 0);
	assert_int_equal(n, 1);
	ofs_audit_free(log);
	ofs_token_free(t);
}

static void
is_refused(void **state)
{
	struct ofs_audit_init_opts with_file = OFS_AUDIT_INIT_OPTS_INIT;
	const struct {
		const char *token, *uri, *pin;
		const struct ofs_audit_init_opts *opts;
		int code;
	} cases[] = {
		{ "desk", URI("desk", "docs"), NULL, NULL, OFS_EPOLICY },
		{ "desk", URI("desk", "none"), NULL, NULL, OFS_EKEY },
		{ "vault", URI("vault", "rsa"), NULL, NULL, OFS_EUNSUPPORTED },
		{ "desk", URI("desk", "audit"), NULL, &with_file, OFS_EINVAL },
		{ "desk", URI("desk", "audit"), "0000", NULL, OFS_EPIN },
	};
	struct fixture *f = *state;
	char uri[64];
	ofs_token *t;

	with_file.audit_key = "file";
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(uri, sizeof(uri), "pkcs11:token=%s", cases[i].token);
		f->seen.pin = cases[i].pin;
		t = softhsm_open(f->ctx, uri);
		assert_int_equal(ofs_audit_init_token_key(t, cases[i].uri,
					 in_dir(f, "refused"), cases[i].opts),
			cases[i].code);
		assert_int_equal(ofs_token_error(t)->code, cases[i].code);
		assert_int_not_equal(access(in_dir(f, "refused"), F_OK), 0);
		ofs_token_free(t);
	}
	f->seen.pin = NULL;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_in_the_genesis),
		cmocka_unit_test(is_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
