/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An audit key on a token: logs made with it, and whose PIN it is behind. */
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

	ok(ofs_audit_init_on_token(t, uri, NULL, in_dir(f, name), NULL),
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
		assert_int_equal(ofs_audit_init_on_token(t, cases[i].uri, NULL,
					 in_dir(f, "refused"), cases[i].opts),
			cases[i].code);
		assert_int_equal(ofs_token_error(t)->code, cases[i].code);
		assert_int_not_equal(access(in_dir(f, "refused"), F_OK), 0);
		ofs_token_free(t);
	}
	f->seen.pin = NULL;
}

static void
sign(struct fixture *f, ofs_audit *log)
{
	ofs_token *t = softhsm_open(f->ctx, "pkcs11:token=desk");
	struct ofs_progress p;
	ofs_batch *b;
	ofs_key *k;

	ok(ofs_key_open(t, URI("desk", "docs"), 0, &k), ofs_token_error(t));
	ok(ofs_batch_new(f->ctx, k, log, NULL, &b), ofs_ctx_error(f->ctx));
	assert_int_equal(ofs_batch_add_bytes(b, "order 1", "pay", 3), 0);
	assert_int_equal(ofs_batch_run(b, &p), 0);
	ofs_batch_free(b);
	ofs_key_free(k);
	ofs_token_free(t);
}

static void
checkpoint(struct fixture *f, ofs_audit *log, const char *token)
{
	ofs_token *t = softhsm_open(f->ctx, token);
	ofs_key *k;
	char *note;

	ok(ofs_audit_find_key(log, t, &k), ofs_token_error(t));
	ok(ofs_audit_use_key(log, k), ofs_key_error(k));
	assert_int_equal(ofs_audit_checkpoint(log, true, &note), 0);
	(void)ofs_audit_use_key(log, NULL);
	free(note);
	ofs_key_free(k);
	ofs_token_free(t);
}

struct found {
	int n;
	uint64_t seq;
};

static void
find(void *arg, const struct ofs_audit_finding *f)
{
	struct found *found = arg;

	if (strcmp(f->id, "audit-key-shared") != 0)
		return;
	found->n++;
	found->seq = f->seq;
}

/* what ofs_audit_check_key and ofs_audit_verify say */
static void
assert_shared(ofs_audit *log, bool shared)
{
	struct ofs_audit_report r = { .size = sizeof(r) };
	struct ofs_audit_key_check c;
	struct ofs_record_head h;
	struct found found = { 0, 0 };
	ofs_record *rec;

	assert_int_equal(ofs_audit_check_key(log, &c), 0);
	assert_int_equal(ofs_audit_verify(log, find, &found, &r), 0);
	assert_int_equal(c.shared, shared);
	assert_int_equal(r.audit_key_shared, shared);
	assert_int_equal(found.n, shared);
	if (!shared)
		return;
	assert_int_equal(found.seq, c.seq);
	assert_string_equal(c.token, "desk");
	assert_int_equal(ofs_audit_get(log, c.seq, &rec), 0);
	ofs_record_get_head(rec, &h);
	assert_int_equal(h.type, OFS_REC_BATCH_OPENED);
	ofs_record_free(rec);
}

static void
is_on_the_same_token(void **state)
{
	struct fixture *f = *state;
	ofs_audit *log =
		new_log(f, "same", "pkcs11:token=desk", URI("desk", "audit"));

	assert_shared(log, false);
	sign(f, log);
	assert_shared(log, false); /* no record tells where it is */
	checkpoint(f, log, "pkcs11:token=desk");
	assert_shared(log, true);
	sign(f, log);
	assert_shared(log, true);
	ofs_audit_free(log);
}

static void
is_on_another_token(void **state)
{
	struct fixture *f = *state;
	ofs_audit *log = new_log(
		f, "other", "pkcs11:token=vault", URI("vault", "audit"));

	sign(f, log);
	checkpoint(f, log, "pkcs11:token=vault");
	assert_shared(log, false);
	ofs_audit_free(log);
	assert_int_equal(
		ofs_audit_open(f->ctx, in_dir(f, "setup"), 0, &log), 0);
	assert_shared(log, false); /* it has none */
	ofs_audit_free(log);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_in_the_genesis),
		cmocka_unit_test(is_refused),
		cmocka_unit_test(is_on_the_same_token),
		cmocka_unit_test(is_on_another_token),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
