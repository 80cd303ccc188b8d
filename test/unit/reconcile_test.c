/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Signature files against records: what is missed, and what is not. */
#include "log_sample.h"

#include <offlinesig/keep.h>

#include "audit/handle.h"
#include "base/file.h"
#include "crypto/cert.h"

static char findings[2048];
static ofs_audit *at_work; /* while it is reconciled */

/* outputs of three items, which are signed, of a batch */
static int
fresh(void **state)
{
	static int n;

	(void)state;
	snprintf(log_dir, sizeof(log_dir), "%s/log%d", sample_dir, n);
	snprintf(sample_out, sizeof(sample_out), "%s/out%d", sample_dir, n++);
	shell("mkdir -p '%s'", sample_out);
	return 0;
}

/* as it was released: what sample_outcome() says of its bytes */
static void
release(uint64_t index)
{
	char path[128];
	FILE *f;

	sample_output(index, path, sizeof(path));
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(path, f);
	fclose(f);
}

static void
note(void *arg, const struct ofs_reconcile_finding *f)
{
	size_t n = strlen(findings);

	(void)arg;
	snprintf(findings + n, sizeof(findings) - n, "%s %llu %s\n", f->id,
		(unsigned long long)f->seq, strrchr(f->path, '/') + 1);
}

static struct ofs_reconcile_report
reconcile(const char *dir, int code, const char *want)
{
	struct ofs_reconcile_report rep;
	struct ofs_error e;
	ofs_audit *a = sample_open(0);

	findings[0] = '\0';
	at_work = a;
	if (ofs_audit_reconcile(a, &dir, 1, note, NULL, &rep) != code) {
		ofs_audit_error(a, &e);
		fail_msg("%s%s", findings, e.message);
	}
	at_work = NULL;
	ofs_audit_free(a);
	assert_string_equal(findings, want);
	return rep;
}

/* 1 opened, 2 intent, 3..5 signed, 6 closed */
static void
counts(void **state)
{
	struct ofs_reconcile_report r;
	struct ofs_record_head h;
	struct ofs_field f;
	ofs_record *rec;
	ofs_audit *a;

	(void)state;
	a = sample_open(OFS_AUDIT_CREATE);
	sample_whole_batch(a, 1, 3);
	release(0);
	release(1);
	shell("cd '%s' && cp doc-0000.p7s copy.p7s && cp doc-0000.p7s doc.txt "
	      "&& mkdir below && echo x >below/other.p7s && "
	      "cp below/other.p7s below/twin.sig && ln -s doc-0000.p7s l.p7s",
		sample_out);
	r = reconcile(sample_out, OFS_EITEMS,
		"foreign-signature 0 other.p7s\nforeign-signature 0 twin.sig\n"
		"missing-file 5 doc-0002.p7s\n");
	assert_int_equal(r.files, 5);
	assert_int_equal(r.known, 3);
	assert_int_equal(r.foreign, 2);
	assert_int_equal(r.missing, 1);
	assert_int_equal(ofs_audit_get(a, r.seq, &rec), 0);
	ofs_record_get_head(rec, &h);
	assert_int_equal(h.type, OFS_REC_LOG_EVENT);
	assert_true(ofs_record_find(rec, "count", &f));
	assert_int_equal(f.number, 5);
	ofs_record_free(rec);
	release(2);
	(void)reconcile(sample_out, 0,
		"foreign-signature 0 other.p7s\n"
		"foreign-signature 0 twin.sig\n");
	/* signed again, 11..13: the first is not missed any more */
	sample_whole_batch(a, 2, 3);
	ofs_audit_free(a);
	shell("cd '%s' && rm -r below doc-0001.p7s", sample_out);
	(void)reconcile(
		sample_out, OFS_EITEMS, "missing-file 12 doc-0001.p7s\n");
	/* it counts once, whoever has made it */
	shell("cd '%s' && rm copy.p7s && echo x >doc-0001.p7s", sample_out);
	r = reconcile(sample_out, OFS_EITEMS, "changed-file 0 doc-0001.p7s\n");
	assert_int_equal(r.files, 3);
	assert_int_equal(r.known, 2);
	assert_int_equal(r.changed, 1);
	assert_int_equal(r.foreign, 0);
}

/* what failed, waits, was given up or went elsewhere */
static void
is_not_missed(void **state)
{
	struct rec_release r = { .result = "discarded: it stood there" };
	ofs_audit *a = sample_open(OFS_AUDIT_CREATE);
	static const uint8_t id[16] = { 4 };
	uint64_t opened, intent, outcome[3];
	struct buf body = BUF_INIT;
	char path[128], prefix[128];
	struct ofs_error e;

	(void)state;
	sample_begin(a);
	opened = sample_batch_opened(a, id, 4);
	intent = sample_intent(a, id, 0, 4);
	for (uint64_t i = 0; i < 3; i++)
		outcome[i] = sample_outcome(a, id, intent, i, REC_SIGNED);
	(void)sample_outcome(a, id, intent, 3, REC_FAILED);
	sample_pending(a, outcome[0], 0);
	ok(log_intent_done(a, intent, &e), &e);
	r.outcome_seq = outcome[1];
	sample_output(1, path, sizeof(path));
	r.path = path;
	ok(record_release_encode(&r, &body, &e), &e);
	(void)sample_append(a, OFS_REC_RELEASE, id, &body, NULL);
	sample_batch_closed(a, id, opened, 3, 1);
	sample_commit(a);
	/* a directory whose name this one only begins with */
	snprintf(prefix, sizeof(prefix), "%.*s", (int)strlen(sample_out) - 1,
		sample_out);
	shell("mkdir '%s'", prefix);
	(void)reconcile(prefix, 0, "");
	shell("rmdir '%s'", prefix);
	(void)reconcile(
		sample_out, OFS_EITEMS, "missing-file 5 doc-0002.p7s\n");
	/* the same output again, by a later batch */
	release(2);
	(void)reconcile(sample_out, 0, "");
	sample_begin(a);
	ok(log_pending_done(a, outcome[0], &e), &e);
	sample_commit(a);
	(void)reconcile(
		sample_out, OFS_EITEMS, "missing-file 3 doc-0000.p7s\n");
	ofs_audit_free(a);
}

static unsigned int asked_unlocked;

/* verification asks for the time, too */
static int64_t
clock_that_looks(void *arg)
{
	(void)arg;
	if (at_work != NULL && !handle_is_ours(at_work))
		asked_unlocked++;
	return (int64_t)time(NULL) * 1000000;
}

/* a certificate with the key NAME.key, in sample_dir, which the log keeps */
static void
keep_cert(ofs_audit *a, const char *name)
{
	struct buf pem = BUF_INIT, der = BUF_INIT;
	STACK_OF(X509) *certs;
	struct ofs_error e;
	char path[128];

	shell("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
	      "-nodes -subj /CN=%s -days 1 -keyout %s/%s.key -out %s/%s.pem "
	      "2>/dev/null",
		name, sample_dir, name, sample_dir, name);
	snprintf(path, sizeof(path), "%s/%s.pem", sample_dir, name);
	ok(file_read(path, 1 << 20, &pem, &e), &e);
	ok(cert_list_parse(pem.p, pem.len, &certs, &e), &e);
	ok(cert_to_der(sk_X509_value(certs, 0), &der, &e), &e);
	sk_X509_pop_free(certs, X509_free);
	sample_begin(a);
	ok(log_cert_add(a, der.p, der.len, &e), &e);
	sample_commit(a);
	buf_free(&pem);
	buf_free(&der);
}

static void
sign_raw(const char *key, const char *doc)
{
	shell("cd '%s' && echo %s >%s && openssl dgst -sha256 -sign %s/%s.key "
	      "-out %s.sig %s",
		sample_out, doc, doc, sample_dir, key, doc, doc);
}

/* the log is free for others meanwhile, whichever certificate it is */
static void
tries_certificates_unlocked(void **state)
{
	static const char *const keys[] = { "one", "two", "three" };
	struct ofs_ctx_opts o = OFS_CTX_OPTS_INIT;
	ofs_ctx *shared = sample_ctx;
	ofs_audit *a;

	(void)state;
	o.clock = clock_that_looks;
	assert_int_equal(ofs_ctx_new(&o, &sample_ctx), 0);
	a = sample_open(OFS_AUDIT_CREATE);
	for (size_t i = 0; i < 3; i++) {
		keep_cert(a, keys[i]);
		sign_raw(keys[i], keys[i]);
	}
	ofs_audit_free(a);
	(void)reconcile(sample_out, OFS_EITEMS,
		"unknown-signature 0 one.sig\n"
		"unknown-signature 0 three.sig\n"
		"unknown-signature 0 two.sig\n");
	assert_int_equal(asked_unlocked, 3);
	shell("cd '%s' && rm one.sig two.sig three", sample_out);
	(void)reconcile(
		sample_out, OFS_EITEMS, "unchecked-signature 0 three.sig\n");
	ofs_ctx_free(sample_ctx);
	sample_ctx = shared;
}

static void
refuses(void **state)
{
	ofs_audit *a = sample_open(OFS_AUDIT_CREATE);
	const char *dir = sample_out;

	(void)state;
	assert_int_equal(
		ofs_audit_reconcile(a, &dir, 0, NULL, NULL, NULL), OFS_EINVAL);
	ofs_audit_free(a);
	a = sample_open(OFS_AUDIT_READ_ONLY);
	assert_int_equal(
		ofs_audit_reconcile(a, &dir, 1, NULL, NULL, NULL), OFS_EAUDIT);
	ofs_audit_free(a);
	shell("cd '%s' && for i in $(seq 64); do mkdir d && cd d; done",
		sample_out);
	(void)reconcile(sample_out, 0, "");
	shell("cd '%s' && for i in $(seq 64); do cd d; done && mkdir d",
		sample_out);
	(void)reconcile(sample_out, OFS_EIO, "");
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup(fn, fresh)
	const struct CMUnitTest tests[] = {
		TEST(counts),
		TEST(is_not_missed),
		TEST(tries_certificates_unlocked),
		TEST(refuses),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, sample_setup, sample_teardown);
}
