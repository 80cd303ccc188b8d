/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Logs with batches, intents and outcomes in them, for tests only. */
#ifndef TEST_UNIT_LOG_SAMPLE_H
#define TEST_UNIT_LOG_SAMPLE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "audit/log.h"
#include "crypto/digest.h"

static ofs_ctx *sample_ctx;
static char sample_dir[64]; /* holds everything; removed at the end */
static char log_dir[96];
static char sample_out[96] = "/out"; /* where outputs would go */
static jmp_buf *sample_escape;       /* where to, instead of a failed test */

static inline int
sample_setup(void **state)
{
	(void)state;
	snprintf(sample_dir, sizeof(sample_dir), "/tmp/ofs-log-XXXXXX");
	assert_non_null(mkdtemp(sample_dir));
	snprintf(log_dir, sizeof(log_dir), "%s/log", sample_dir);
	assert_int_equal(ofs_ctx_new(NULL, &sample_ctx), 0);
	return 0;
}

static inline void shell(const char *fmt, ...)
	__attribute__((format(printf, 1, 2)));

static inline void
shell(const char *fmt, ...)
{
	char cmd[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	if (system(cmd) != 0)
		fail_msg("%s", cmd);
}

static inline int
sample_teardown(void **state)
{
	(void)state;
	ofs_ctx_free(sample_ctx);
	shell("rm -rf '%s'", sample_dir);
	return 0;
}

/* fails the test with the message */
static inline void
ok(int rc, const struct ofs_error *e)
{
	if (rc != 0 && sample_escape != NULL)
		longjmp(*sample_escape, 1);
	if (rc != 0)
		fail_msg("%s: %s", ofs_err_name(rc), e->message);
}

static inline ofs_audit *
sample_open(unsigned int flags)
{
	ofs_audit *a;

	ok(ofs_audit_open(sample_ctx, log_dir, flags, &a),
		ofs_ctx_error(sample_ctx));
	return a;
}

/* opening fails with this code and these words in the message */
static inline void
sample_refused(unsigned int flags, int code, const char *words)
{
	const char *message;
	ofs_audit *a;

	assert_int_equal(ofs_audit_open(sample_ctx, log_dir, flags, &a), code);
	assert_null(a);
	message = ofs_ctx_error(sample_ctx)->message;
	if (strstr(message, words) == NULL)
		fail_msg("'%s' does not say '%s'", message, words);
}

/* the signer's, which the log keeps; n 0: there is none */
static struct rec_span sample_cert;

static inline void
sample_party(ofs_audit *a, struct buf *to)
{
	static const uint8_t id[4] = { 1, 2, 3, 4 };
	struct rec_party p;
	struct ofs_error e;

	memset(&p, 0, sizeof(p));
	p.key.id = (struct rec_span){ id, sizeof(id) };
	p.key.label = "payroll";
	p.key.type = "P-256";
	p.key.cert_sha256 = sample_cert;
	p.token.serial = "0001";
	log_operator(a, &p.operator_);
	p.tool = "test 1";
	ok(record_party_encode(&p, to, &e), &e);
}

static inline uint64_t
sample_append(ofs_audit *a, enum ofs_record_type type, const uint8_t *batch,
	struct buf *body, const uint8_t *digest)
{
	struct log_entry en = { type, batch, body->p, body->len, digest,
		digest != NULL ? 32 : 0, 0, false, false };
	struct ofs_error e;
	uint64_t seq;
	int rc = log_append(a, &en, &seq, &e);

	buf_free(body);
	ok(rc, &e);
	return seq;
}

static inline void
sample_begin(ofs_audit *a)
{
	struct ofs_error e;

	ok(log_begin(a, &e), &e);
}

static inline void
sample_commit(ofs_audit *a)
{
	struct ofs_error e;

	ok(log_commit(a, &e), &e);
}

/* the document of an item; digest is filled */
static inline struct rec_document
sample_document(uint64_t index, char path[32], uint8_t digest[32])
{
	snprintf(path, 32, "in/doc-%04u.xml", (unsigned int)index);
	memset(digest, (int)index, 32);
	return (struct rec_document){ path, path + 3, NULL, NULL, 100 + index,
		"sha256", { digest, 32 }, NULL };
}

/* the output of an item: its path and its bytes */
static inline void
sample_output(uint64_t index, char *out, size_t size)
{
	snprintf(out, size, "%s/doc-%04u.p7s", sample_out, (unsigned int)index);
}

static inline uint64_t
sample_batch_opened(ofs_audit *a, const uint8_t id[16], uint64_t items)
{
	static const uint8_t list[32];
	struct rec_batch_opened r = { .list_sha256 = { list, 32 },
		.items = items,
		.format = "cms",
		.mechanism = "ecdsa-sha256" };
	struct buf body = BUF_INIT, party = BUF_INIT;
	struct ofs_error e;

	sample_party(a, &party);
	r.party = (struct rec_span){ party.p, party.len };
	ok(record_batch_opened_encode(&r, &body, &e), &e);
	buf_free(&party);
	return sample_append(a, OFS_REC_BATCH_OPENED, id, &body, NULL);
}

/* items first..first+n-1; outside batches (id NULL) with its party */
static inline uint64_t
sample_intent(ofs_audit *a, const uint8_t *id, uint64_t first, size_t n)
{
	struct rec_intent_item items[64];
	char paths[64][32];
	uint8_t digests[64][32];
	struct rec_intent r = { REC_PURPOSE_DOCUMENT, { NULL, 0 }, items, n };
	struct buf body = BUF_INIT, party = BUF_INIT;
	struct ofs_error e;

	assert_true(n <= 64);
	for (size_t i = 0; i < n; i++)
		items[i] = (struct rec_intent_item){ first + i,
			sample_document(first + i, paths[i], digests[i]) };
	if (id == NULL) {
		sample_party(a, &party);
		r.party = (struct rec_span){ party.p, party.len };
	}
	ok(record_intent_encode(&r, &body, &e), &e);
	buf_free(&party);
	return sample_append(a, OFS_REC_INTENT, id, &body, NULL);
}

/* what an outcome says besides the usual */
struct sample_twist {
	enum rec_purpose purpose; /* 0: document */
	bool unverified, no_signature, no_tag, other_digest, unseen;
	uint64_t attempts;
};

static inline uint64_t
sample_outcome_with(ofs_audit *a, const uint8_t *id, uint64_t intent,
	uint64_t index, enum rec_status status, const struct sample_twist *t)
{
	static const uint8_t signature[64] = { 1 };
	struct buf body = BUF_INIT, party = BUF_INIT;
	uint8_t digest[32], sum[32];
	char path[32], out[128];
	struct rec_outcome r;
	struct ofs_error e;

	memset(&r, 0, sizeof(r));
	sample_party(a, &party);
	sample_output(index, out, sizeof(out));
	ok(digest_of(&digest_sha256, out, strlen(out), sum, &e), &e);
	r.intent_seq = intent;
	r.index = index;
	r.purpose = t->purpose != 0 ? t->purpose : REC_PURPOSE_DOCUMENT;
	r.status = status;
	r.doc = sample_document(index, path, digest);
	if (t->unseen)
		r.doc.input = "digest";
	if (t->other_digest)
		digest[31] ^= 1;
	r.format = "cms";
	r.party = (struct rec_span){ party.p, party.len };
	r.mechanism = "ecdsa-sha256";
	r.attempts = t->attempts;
	if (status == REC_SIGNED) {
		r.attempts = 1;
		r.verified = !t->unverified;
		if (!t->no_signature)
			r.signature = (struct rec_span){ signature, 64 };
		r.output_sha256 = (struct rec_span){ sum, 32 };
		r.output_path = out;
	} else {
		r.code = OFS_ETOKEN;
		r.reason = "removed";
	}
	ok(record_outcome_encode(&r, &body, &e), &e);
	buf_free(&party);
	return sample_append(
		a, OFS_REC_OUTCOME, id, &body, t->no_tag ? NULL : digest);
}

static inline uint64_t
sample_outcome(ofs_audit *a, const uint8_t *id, uint64_t intent, uint64_t index,
	enum rec_status status)
{
	static const struct sample_twist none;

	return sample_outcome_with(a, id, intent, index, status, &none);
}

/* the pending row that belongs to sample_outcome(index) */
static inline void
sample_pending(ofs_audit *a, uint64_t outcome, uint64_t index)
{
	struct ofs_error e;
	char out[128];

	sample_output(index, out, sizeof(out));
	ok(log_pending_add(a, outcome, out, false, (const uint8_t *)out,
		   strlen(out), &e),
		&e);
}

static inline void
sample_batch_closed(ofs_audit *a, const uint8_t id[16], uint64_t opened,
	uint64_t n_signed, uint64_t failed)
{
	struct rec_batch_closed r = {
		.opened_seq = opened, .signed_ = n_signed, .failed = failed
	};
	struct buf body = BUF_INIT;
	struct ofs_error e;

	ok(record_batch_closed_encode(&r, &body, &e), &e);
	(void)sample_append(a, OFS_REC_BATCH_CLOSED, id, &body, NULL);
}

/* a login: a record that nothing hangs on */
static inline void
sample_login(ofs_audit *a, struct buf *body)
{
	struct rec_login r = { .user = "user", .ok = true };
	struct ofs_error e;

	r.token.serial = "0001";
	log_operator(a, &r.operator_);
	ok(record_login_encode(&r, body, &e), &e);
}

/* the same, in a transaction of its own */
static inline void
sample_one_login(ofs_audit *a)
{
	struct log_entry en = { .type = OFS_REC_LOGIN };
	struct buf body = BUF_INIT;
	struct ofs_error e;
	uint64_t seq;

	sample_login(a, &body);
	en.body = body.p;
	en.body_len = body.len;
	ok(log_append_one(a, &en, &seq, &e), &e);
	buf_free(&body);
}

/* one batch of n items in a single intent, all signed; *opened gets its seq */
static inline void
sample_whole_batch(ofs_audit *a, uint8_t tag, size_t n)
{
	uint8_t id[16];
	uint64_t opened, intent;
	struct ofs_error e;

	memset(id, tag, sizeof(id));
	sample_begin(a);
	opened = sample_batch_opened(a, id, n);
	intent = sample_intent(a, id, 0, n);
	sample_commit(a);
	sample_begin(a);
	for (size_t i = 0; i < n; i++)
		(void)sample_outcome(a, id, intent, i, REC_SIGNED);
	ok(log_intent_done(a, intent, &e), &e);
	sample_batch_closed(a, id, opened, n, 0);
	sample_commit(a);
}

/* 0, or what verification of the log in log_dir says, read-only */
static inline int
sample_verify(struct ofs_audit_report *rep, struct ofs_error *e)
{
	ofs_audit *a;
	int rc;

	rc = ofs_audit_open(sample_ctx, log_dir, OFS_AUDIT_READ_ONLY, &a);
	if (rc != 0) {
		*e = *ofs_ctx_error(sample_ctx);
		return rc;
	}
	rc = ofs_audit_verify(a, NULL, NULL, rep);
	ofs_audit_error(a, e);
	ofs_audit_free(a);
	return rc;
}

static inline void
sample_verifies(uint64_t records)
{
	struct ofs_audit_report rep;
	struct ofs_error e;

	ok(sample_verify(&rep, &e), &e);
	if (records != 0)
		assert_int_equal(rep.records, records);
}

/* whether a process waits for a lock that another one has */
static inline bool
sample_waits(pid_t pid)
{
	char cmd[80];

	snprintf(cmd, sizeof(cmd), "grep -q -- '-> FLOCK.* %d ' /proc/locks",
		(int)pid);
	return system(cmd) == 0;
}

#endif
