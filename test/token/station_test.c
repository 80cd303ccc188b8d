/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Enrolling, adopting, importing and lending keys, with what is recorded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <offlinesig.h>

#include "station_kit.h"

#define LABEL "station"
#define URI(object) "pkcs11:token=" LABEL ";object=" object

static int
setup(void **state)
{
	*state = make_station(LABEL);
	return 0;
}

/* the type and one number or text of a record */
static enum ofs_record_type
type_of(struct fixture *f, uint64_t seq)
{
	struct ofs_record_head h;
	ofs_record *rec;

	assert_int_equal(ofs_audit_get(f->audit, seq, &rec), 0);
	ofs_record_get_head(rec, &h);
	ofs_record_free(rec);
	return h.type;
}

static int64_t
number_of(struct fixture *f, uint64_t seq, const char *name)
{
	struct ofs_field field;
	ofs_record *rec;

	assert_int_equal(ofs_audit_get(f->audit, seq, &rec), 0);
	assert_true(ofs_record_find(rec, name, &field));
	ofs_record_free(rec);
	return field.number;
}

static void
must_enroll(struct fixture *f, const char *uri, const char *type,
	const char *subject, bool csr, struct ofs_enrolled *en)
{
	struct ofs_enroll_opts o = OFS_ENROLL_OPTS_INIT;

	o.key_type = type;
	o.subject = subject;
	o.self_signed = subject != NULL && !csr;
	o.csr = csr;
	if (ofs_key_enroll(f->token, f->audit, uri, &o, en) != 0)
		fail_msg("%s", ofs_token_error(f->token)->message);
}

static bool
key_is_there(struct fixture *f, const char *uri)
{
	ofs_key *k;

	if (ofs_key_open(f->token, uri, 0, &k) != 0)
		return false;
	ofs_key_free(k);
	return true;
}

static void
enrolment_is_recorded(void **state)
{
	struct fixture *f = *state;
	uint64_t before = log_size(f);
	struct ofs_enrolled en;

	must_enroll(f, URI("one"), "ec:P-256", "/CN=One", false, &en);
	assert_int_equal(en.key.extractable, 0);
	assert_int_equal(en.key.sensitive, 1);
	assert_true(en.key.has_cert);
	assert_string_equal(en.key.cert_subject, "CN=One");
	/* proof: intent, outcome; certificate: intent, outcome; key event */
	assert_int_equal(log_size(f), before + 5);
	assert_int_equal(type_of(f, before), OFS_REC_INTENT);
	assert_int_equal(number_of(f, before, "purpose"), 2);
	assert_int_equal(type_of(f, before + 1), OFS_REC_OUTCOME);
	assert_int_equal(number_of(f, before + 1, "verified"), 1);
	assert_int_equal(number_of(f, before + 2, "purpose"), 3);
	assert_int_equal(type_of(f, before + 4), OFS_REC_KEY_EVENT);
	assert_int_equal(en.seq, before + 4);
	assert_int_equal(number_of(f, en.seq, "extractable"), 0);
	ofs_enrolled_clear(&en);
}

static void
options_are_checked(void **state)
{
	struct fixture *f = *state;
	struct ofs_enroll_opts o = OFS_ENROLL_OPTS_INIT;
	struct ofs_enrolled en;
	uint64_t before = log_size(f);

	o.key_type = "ec:P-256";
	o.self_signed = true; /* and no subject */
	assert_int_equal(
		ofs_key_enroll(f->token, f->audit, URI("bad"), &o, &en),
		OFS_EINVAL);
	o.subject = "/CN=x";
	o.csr = true;
	assert_int_equal(
		ofs_key_enroll(f->token, f->audit, URI("bad"), &o, &en),
		OFS_EINVAL);
	o.csr = false;
	o.key_type = "rsa:1024";
	assert_int_not_equal(
		ofs_key_enroll(f->token, f->audit, URI("bad"), &o, &en), 0);
	o.key_type = "ec:P-256";
	assert_int_equal(ofs_key_enroll(f->token, NULL, URI("bad"), &o, &en),
		OFS_EINVAL);
	assert_false(key_is_there(f, URI("bad")));
	assert_int_equal(log_size(f), before);
}

/* a key whose enrolment cannot be recorded does not stay on the token */
static void
nothing_stays_without_a_record(void **state)
{
	struct fixture *f = *state;
	struct ofs_enroll_opts o = OFS_ENROLL_OPTS_INIT;
	struct ofs_enrolled en;
	ofs_audit *read_only;
	char dir[600];

	snprintf(dir, sizeof(dir), "%s/audit", softhsm_dir());
	assert_int_equal(
		ofs_audit_open(f->ctx, dir, OFS_AUDIT_READ_ONLY, &read_only),
		0);
	o.key_type = "ec:P-256";
	assert_int_equal(
		ofs_key_enroll(f->token, read_only, URI("ghost"), &o, &en),
		OFS_EAUDIT);
	assert_null(en.pem);
	assert_false(key_is_there(f, URI("ghost")));
	ofs_audit_free(read_only);
}

static void
adopts_good_keys_only(void **state)
{
	struct fixture *f = *state;
	const char *const good[] = { "--keypairgen", "--key-type",
		"EC:prime256v1", "--label", "good", "--id", "aa", "--sensitive",
		"--usage-sign", NULL };
	const char *const loose[] = { "--keypairgen", "--key-type",
		"EC:prime256v1", "--label", "loose", "--id", "bb",
		"--extractable", "--usage-sign", NULL };
	struct ofs_enrolled en;

	assert_int_equal(softhsm_pkcs11_tool(LABEL, good), 0);
	assert_int_equal(softhsm_pkcs11_tool(LABEL, loose), 0);
	if (ofs_key_adopt(f->token, f->audit, URI("good"), NULL, &en) != 0)
		fail_msg("%s", ofs_token_error(f->token)->message);
	assert_int_equal(type_of(f, en.seq), OFS_REC_KEY_EVENT);
	ofs_enrolled_clear(&en);
	assert_int_equal(
		ofs_key_adopt(f->token, f->audit, URI("loose"), NULL, &en),
		OFS_EPOLICY);
	assert_non_null(
		strstr(ofs_token_error(f->token)->message, "extractable"));
	/* it is still there: adopting destroys nothing */
	assert_true(key_is_there(f, URI("loose")));
}

static void
imports_the_certificate_of_the_key(void **state)
{
	struct fixture *f = *state;
	struct ofs_enrolled own, other;
	uint64_t before;

	must_enroll(f, URI("own"), "ec:P-256", "/CN=Own", false, &own);
	must_enroll(f, URI("other"), "ec:P-384", "/CN=Other", true, &other);
	assert_int_equal(ofs_cert_import(f->token, f->audit, URI("other"),
				 own.pem, strlen(own.pem)),
		OFS_ECERT);
	before = log_size(f);
	assert_int_equal(ofs_cert_import(f->token, f->audit, URI("own"),
				 own.pem, strlen(own.pem)),
		0);
	assert_int_equal(log_size(f), before + 1);
	assert_int_equal(type_of(f, before), OFS_REC_KEY_EVENT);
	ofs_enrolled_clear(&own);
	ofs_enrolled_clear(&other);
}

/* an application makes a request of its own with a lent key */
static void
lends_a_key_and_records_it(void **state)
{
	struct fixture *f = *state;
	struct ofs_enrolled en;
	EVP_PKEY *lent = NULL;
	X509_REQ *req = X509_REQ_new();
	uint64_t before;
	ofs_key *k;

	must_enroll(f, URI("lent"), "rsa:2048", "/CN=Lent", false, &en);
	assert_int_equal(ofs_key_open(f->token, URI("lent"), 0, &k), 0);
	before = log_size(f);
	assert_int_equal(ofs_key_evp_pkey(k, f->audit, 0, &lent), OFS_EINVAL);
	assert_null(lent);
	assert_int_equal(log_size(f), before);

	assert_int_equal(
		ofs_key_evp_pkey(k, f->audit, OFS_KEY_UNRECORDED, &lent), 0);
	assert_int_equal(type_of(f, before), OFS_REC_KEY_LENT);
	assert_int_equal(X509_REQ_set_pubkey(req, lent), 1);
	assert_true(X509_REQ_sign(req, lent, EVP_sha256()) > 0);
	assert_int_equal(X509_REQ_verify(req, lent), 1);
	X509_REQ_free(req);
	EVP_PKEY_free(lent);
	ofs_key_free(k);
	ofs_enrolled_clear(&en);
}

static void
logins_are_recorded(void **state)
{
	struct fixture *f = *state;
	struct softhsm_seen seen;
	ofs_ctx *ctx = softhsm_ctx(&seen);
	uint64_t before;
	ofs_token *t;

	/* everybody in a process shares one login: the fixture's must end */
	ofs_token_free(f->token);
	before = log_size(f);
	assert_int_equal(ofs_ctx_set_audit(ctx, f->audit), 0);
	t = softhsm_open(ctx, "pkcs11:token=" LABEL);
	seen.pin = "wrong pin";
	assert_int_equal(ofs_token_login(t), OFS_EPIN);
	assert_int_equal(log_size(f), before + 1);
	assert_int_equal(type_of(f, before), OFS_REC_LOGIN);
	assert_int_equal(number_of(f, before, "ok"), 0);
	ofs_token_free(t);
	t = softhsm_open(ctx, "pkcs11:token=" LABEL);
	seen.pin = NULL;
	assert_int_equal(ofs_token_login(t), 0);
	assert_int_equal(log_size(f), before + 2);
	assert_int_equal(number_of(f, before + 1, "ok"), 1);
	ofs_token_free(t);
	assert_int_equal(ofs_ctx_set_audit(ctx, NULL), 0);
	ofs_ctx_free(ctx);
	f->token = softhsm_open(f->ctx, "pkcs11:token=" LABEL);
}

static void
the_log_verifies(void **state)
{
	struct fixture *f = *state;
	struct ofs_audit_report r;
	struct ofs_error e;

	if (ofs_audit_verify(f->audit, NULL, NULL, &r) != 0) {
		ofs_audit_error(f->audit, &e);
		fail_msg("%s", e.message);
	}
	assert_int_equal(r.unknown_items, 0);
	assert_int_equal(r.in_flight_items, 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(enrolment_is_recorded),
		cmocka_unit_test(options_are_checked),
		cmocka_unit_test(nothing_stays_without_a_record),
		cmocka_unit_test(adopts_good_keys_only),
		cmocka_unit_test(imports_the_certificate_of_the_key),
		cmocka_unit_test(logins_are_recorded),
		/* keeps a session, and so the login, to the end */
		cmocka_unit_test(lends_a_key_and_records_it),
		cmocka_unit_test(the_log_verifies),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name(
		"station", tests, setup, end_station);
}
