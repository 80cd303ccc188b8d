/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What auditors have signed allows what it says, in that log and at that place,
 * and nothing else: whoever writes the log may use it a second time.
 */
#include "keep_kit.h"

#include "audit/erase.h"
#include "audit/handle.h"
#include "format/statement.h"

#define ERASED 4 /* an outcome */

static struct ofs_error e;

/* 1 opened, 2 intent of 3, 3..5 signed, 6 closed; logins up to 9 */
static int
fresh(void **state)
{
	static int n;
	ofs_audit *a;

	(void)state;
	snprintf(log_dir, sizeof(log_dir), "%s/log%d", sample_dir, n++);
	kit_init("alice");
	a = sample_open(0);
	sample_whole_batch(a, 7, 3);
	kit_logins(a, 3);
	ofs_audit_free(a);
	shell("rm -rf %s.good; cp -r %s %s.good", log_dir, log_dir, log_dir);
	return 0;
}

static void
sign_as(const char *name, const struct statement *s)
{
	struct buf text = BUF_INIT;

	ok(statement_encode(s, &text, &e), &e);
	assert_non_null(buf_cstr(&text));
	kit_sign(name, (const char *)text.p, "-nodetach -binary", &cms);
	buf_free(&text);
}

static void
sign(const struct statement *s)
{
	sign_as("alice", s);
}

static void
header_hash(ofs_audit *a, uint64_t seq, uint8_t sum[32])
{
	struct ofs_record_head h;
	ofs_record *rec;

	assert_int_equal(ofs_audit_get(a, seq, &rec), 0);
	ofs_record_get_head(rec, &h);
	memcpy(sum, h.header_sha256, 32);
	ofs_record_free(rec);
}

/* what is true, for a test to change: of this log, for records of it */
static void
true_ones(struct statement *s, struct rec_log_event *r)
{
	ofs_audit *a = sample_open(0);

	memset(s, 0, sizeof(*s));
	memset(r, 0, sizeof(*r));
	snprintf(s->origin, sizeof(s->origin), "test");
	snprintf(s->reason, sizeof(s->reason), "asked for");
	memcpy(s->log_id, a->state.log_id, 16);
	s->time = 1;
	s->records = a->state.size;
	memcpy(s->root, a->state.root, 32);
	s->known_records = s->records + 5;
	memset(s->known_root, 7, 32);
	s->record = ERASED;
	header_hash(a, ERASED, s->header_sha256);
	ofs_audit_free(a);
}

/* the event as a writer of the store would make it */
static void
put(struct rec_log_event *r, bool erase)
{
	struct log_entry en = { .type = OFS_REC_LOG_EVENT };
	struct buf body = BUF_INIT;
	ofs_audit *a = sample_open(0);
	uint64_t seq;

	log_operator(a, &r->operator_);
	r->authorisation = (struct rec_span){ cms.p, cms.len };
	ok(record_log_event_encode(r, &body, &e), &e);
	en.body = body.p;
	en.body_len = body.len;
	sample_begin(a);
	if (erase)
		ok(store_record_erase(&a->store, ERASED, &e), &e);
	ok(log_append(a, &en, &seq, &e), &e);
	sample_commit(a);
	buf_free(&body);
	ofs_audit_free(a);
}

/* and the log is as it was in front of the event */
static void
damaged(const char *words)
{
	struct ofs_audit_report rep;

	assert_int_equal(sample_verify(&rep, &e), OFS_EDAMAGED);
	if (strstr(e.message, words) == NULL)
		fail_msg("'%s' does not say '%s'", e.message, words);
	shell("rm -r %s; cp -r %s.good %s", log_dir, log_dir, log_dir);
}

static void
put_erasure(const struct statement *s, uint64_t first, uint64_t last)
{
	struct rec_log_event r = {
		.event = "erase", .first = first, .last = last, .count = 1
	};

	sign(s);
	put(&r, true);
}

static void
erasures(void **state)
{
	static const char other[] = "it is not the erasure that an auditor";
	struct ofs_audit_report rep;
	struct rec_log_event r;
	struct statement s;

	(void)state;
	true_ones(&s, &r);
	s.kind = STATEMENT_ERASE;
	put_erasure(&s, ERASED, ERASED);
	ok(sample_verify(&rep, &e), &e);
	assert_int_equal(rep.erased_bodies, 1);
	put_erasure(&s, ERASED, ERASED);
	damaged("is there, or another one");
	put_erasure(&s, ERASED + 1, ERASED);
	damaged(other);
	put_erasure(&s, ERASED, ERASED + 1);
	damaged(other);
	s.record++;
	put_erasure(&s, ERASED, ERASED);
	damaged(other);
	s.record--;
	s.header_sha256[31] ^= 1;
	put_erasure(&s, ERASED, ERASED);
	damaged("is there, or another one");
	s.header_sha256[31] ^= 1;
	s.log_id[15] ^= 1;
	put_erasure(&s, ERASED, ERASED);
	damaged("of another log");
}

static void
put_gap(const struct statement *s, const struct rec_log_event *like)
{
	struct rec_log_event r = *like;

	r.event = "restore";
	r.path = "/backup";
	sign(s);
	put(&r, false);
}

static void
gaps(void **state)
{
	static const char other[] = "it is not the gap that an auditor";
	struct rec_log_event r, good;
	struct ofs_audit_report rep;
	struct statement s;

	(void)state;
	true_ones(&s, &good);
	s.kind = STATEMENT_RESTORE;
	good.first = s.records;
	good.last = s.known_records - 1;
	good.count = 5;
	good.sha256 = (struct rec_span){ s.known_root, 32 };
	put_gap(&s, &good);
	ok(sample_verify(&rep, &e), &e);
	assert_int_equal(rep.lost_records, 5);
	shell("rm -r %s; cp -r %s.good %s", log_dir, log_dir, log_dir);
	/* another event than it says */
	r = good;
	r.first++;
	put_gap(&s, &r);
	damaged(other);
	r = good;
	r.last++;
	put_gap(&s, &r);
	damaged(other);
	r = good;
	r.sha256 = (struct rec_span){ s.root, 32 };
	put_gap(&s, &r);
	damaged(other);
	/* at another place, of another history, of another log */
	s.records--;
	r = good;
	r.first--;
	put_gap(&s, &r);
	damaged("not the backup that an auditor has accepted");
	s.records++;
	s.root[0] ^= 1;
	put_gap(&s, &good);
	damaged("not the backup that an auditor has accepted");
	s.root[0] ^= 1;
	s.log_id[0] ^= 1;
	put_gap(&s, &good);
	damaged("of another log");
	s.log_id[0] ^= 1;
	/* one that is none */
	s.known_records = s.records;
	r = good;
	r.last = s.known_records - 1;
	put_gap(&s, &r);
	damaged(other);
}

static void
erase_refused(const struct statement *s)
{
	ofs_audit *a = sample_open(0);
	struct ofs_audit_report rep;
	uint64_t seq;

	sign(s);
	assert_int_equal(ofs_audit_erase(a, ERASED, cms.p, cms.len, &seq),
		OFS_EMISMATCH);
	ofs_audit_free(a);
	ok(sample_verify(&rep, &e), &e);
	assert_int_equal(rep.erased_bodies, 0);
}

/* nothing is erased that verification would not take */
static void
erasing(void **state)
{
	struct rec_log_event r;
	struct statement s;

	(void)state;
	true_ones(&s, &r);
	s.kind = STATEMENT_ERASE;
	s.record++;
	erase_refused(&s);
	s.record--;
	s.header_sha256[0] ^= 1;
	erase_refused(&s);
	s.header_sha256[0] ^= 1;
	s.log_id[0] ^= 1;
	erase_refused(&s);
}

/* whose certificate the log keeps for other reasons is no auditor */
static void
only_auditors(void **state)
{
	struct ofs_audit_report rep;
	struct buf der = BUF_INIT;
	struct rec_log_event r;
	struct statement s;
	ofs_audit *a;
	char path[128];
	uint64_t seq;

	(void)state;
	true_ones(&s, &r);
	s.kind = STATEMENT_ERASE;
	shell("openssl x509 -in %s/mallory.pem -outform DER -out %s/m.der",
		sample_dir, sample_dir);
	snprintf(path, sizeof(path), "%s/m.der", sample_dir);
	ok(file_read(path, 1 << 20, &der, &e), &e);
	a = sample_open(0);
	sample_begin(a);
	ok(log_cert_add(a, der.p, der.len, &e), &e);
	sample_commit(a);
	buf_free(&der);
	sign_as("mallory", &s);
	assert_int_equal(ofs_audit_erase(a, ERASED, cms.p, cms.len, &seq),
		OFS_EUNTRUSTED);
	sign(&s);
	assert_int_equal(ofs_audit_erase(a, ERASED, cms.p, cms.len, &seq), 0);
	ofs_audit_free(a);
	ok(sample_verify(&rep, &e), &e);
	shell("sqlite3 %s/log.db \"DELETE FROM cert WHERE sha256 <> "
	      "x'$(sha256sum <%s/m.der | head -c 64)'\"",
		log_dir, sample_dir);
	damaged("certificates of the auditors are not kept");
}

/* those that ofs-audit-format(5) lists */
static void
types(void **state)
{
	(void)state;
	for (int t = 0; t < 20; t++)
		assert_int_equal(erase_is_possible((enum ofs_record_type)t),
			t == 4 || t == 5 || (t >= 7 && t <= 11));
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup(fn, fresh)
	const struct CMUnitTest tests[] = {
		TEST(erasures),
		TEST(gaps),
		TEST(erasing),
		TEST(only_auditors),
		cmocka_unit_test(types),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, kit_setup, kit_teardown);
}
