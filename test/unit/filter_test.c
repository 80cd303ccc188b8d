/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Records found by what they say: ofs_audit_find(). */
#include "log_sample.h"

#include <offlinesig/keep.h>

static uint8_t first_id[16] = { 0xab, 0xcd, 1 };
static uint8_t second_id[16] = { 0xab, 0xce, 2 };
static uint8_t spki[32] = { 5, 6, 7 };
static ofs_audit *audit;

/* a batch of another operator, key and token, which stays open */
static uint64_t
other_batch(void)
{
	static const uint8_t list[32];
	struct rec_batch_opened r = { .list_sha256 = { list, 32 },
		.items = 1,
		.format = "cms",
		.mechanism = "ed25519" };
	struct buf body = BUF_INIT, party = BUF_INIT;
	struct rec_party p;
	struct ofs_error e;

	memset(&p, 0, sizeof(p));
	p.key.label = "invoices";
	p.key.spki_sha256 = (struct rec_span){ spki, 32 };
	p.token.serial = "0002";
	p.token.label = "vault";
	p.operator_.uid = 4711;
	p.operator_.loginuid = 4712;
	p.operator_.name = "bob";
	p.tool = "test 1";
	ok(record_party_encode(&p, &party, &e), &e);
	r.party = (struct rec_span){ party.p, party.len };
	ok(record_batch_opened_encode(&r, &body, &e), &e);
	buf_free(&party);
	return sample_append(
		audit, OFS_REC_BATCH_OPENED, second_id, &body, NULL);
}

/*
 * 1 batch-opened, 2 intent of 3, 3 signed, 4 failed, 5 not attempted, 6 closed;
 * 7 login; 8 batch-opened by bob, 9 its intent of item 7
 */
static int
make(void **state)
{
	struct buf body = BUF_INIT;
	struct ofs_error e;
	uint64_t opened, intent;

	sample_setup(state);
	audit = sample_open(OFS_AUDIT_CREATE);
	sample_begin(audit);
	opened = sample_batch_opened(audit, first_id, 3);
	intent = sample_intent(audit, first_id, 0, 3);
	(void)sample_outcome(audit, first_id, intent, 0, REC_SIGNED);
	(void)sample_outcome(audit, first_id, intent, 1, REC_FAILED);
	(void)sample_outcome(audit, first_id, intent, 2, REC_NOT_ATTEMPTED);
	ok(log_intent_done(audit, intent, &e), &e);
	sample_batch_closed(audit, first_id, opened, 1, 1);
	sample_login(audit, &body);
	(void)sample_append(audit, OFS_REC_LOGIN, NULL, &body, NULL);
	(void)other_batch();
	assert_int_equal(sample_intent(audit, second_id, 7, 1), 9);
	sample_commit(audit);
	return 0;
}

static int
unmake(void **state)
{
	ofs_audit_free(audit);
	return sample_teardown(state);
}

static int
add_seq(void *arg, const ofs_record *rec)
{
	struct ofs_record_head h;
	char *to = arg;

	ofs_record_get_head(rec, &h);
	snprintf(to + strlen(to), 8, "%s%d", to[0] != '\0' ? " " : "",
		(int)h.seq);
	return 0;
}

static void
finds(const struct ofs_audit_filter *f, const char *want)
{
	char got[256] = "";
	struct ofs_error e;

	if (ofs_audit_find(audit, f, add_seq, got) != 0) {
		ofs_audit_error(audit, &e);
		fail_msg("%s", e.message);
	}
	assert_string_equal(got, want);
}

#define FINDS(want, ...)                                               \
	do {                                                           \
		struct ofs_audit_filter f_ = OFS_AUDIT_FILTER_INIT;    \
		struct ofs_audit_filter g_ = { f_.size, __VA_ARGS__ }; \
		finds(&g_, want);                                      \
	} while (0)

static void
by_number_and_type(void **state)
{
	(void)state;
	FINDS("0 1 2 3 4 5 6 7 8 9", .first = 0);
	FINDS("2 3", .first = 2, .end = 4);
	FINDS("0", .end = 1);
	FINDS("9", .first = 9, .end = 100);
	FINDS("", .first = 10);
	FINDS("3 4 5", .type = OFS_REC_OUTCOME);
	FINDS("3 4", .type = OFS_REC_OUTCOME, .limit = 2);
	FINDS("5 4", .type = OFS_REC_OUTCOME, .limit = 2, .reverse = true);
	FINDS("9 8 7 6 5 4 3 2 1 0", .reverse = true);
}

static void
by_batch(void **state)
{
	struct ofs_audit_filter f = OFS_AUDIT_FILTER_INIT;
	char got[256] = "";

	(void)state;
	FINDS("1 2 3 4 5 6", .batch = "abcd");
	FINDS("1 2 3 4 5 6 8 9", .batch = "AB");
	FINDS("8 9", .batch = "abce0200000000000000000000000000");
	f.batch = "xyz";
	assert_int_equal(ofs_audit_find(audit, &f, add_seq, got), OFS_EINVAL);
	f.batch = "abce02000000000000000000000000000";
	assert_int_equal(ofs_audit_find(audit, &f, add_seq, got), OFS_EINVAL);
	f.batch = NULL;
	f.size--;
	assert_int_equal(ofs_audit_find(audit, &f, add_seq, got), OFS_EINVAL);
}

/* records of a batch that do not name anybody go with their batch */
static void
by_party(void **state)
{
	struct rec_operator me;
	char uid[32];

	(void)state;
	log_operator(audit, &me);
	snprintf(uid, sizeof(uid), "%d", (int)me.uid);
	FINDS("8 9", .operator_ = "bob");
	FINDS("8 9", .operator_ = "4711");
	FINDS("8 9", .operator_ = "4712");
	FINDS("", .operator_ = "bo");
	FINDS("0 1 2 3 4 5 6 7", .operator_ = uid);
	FINDS("1 2 3 4 5 6", .key = "payroll");
	FINDS("8 9", .key = "invoices");
	FINDS("8 9",
		.key = "0506070000000000000000000000000000000000000000000000"
		       "000000000000");
	FINDS("", .key = "0506");
	FINDS("1 2 3 4 5 6 7", .token = "0001");
	FINDS("8 9", .token = "vault");
	FINDS("9", .token = "vault", .type = OFS_REC_INTENT);
	FINDS("", .token = "vault", .key = "payroll");
}

/* ids are random: later ones may be smaller */
static void
by_party_of_many(void **state)
{
	uint8_t id[16] = { 0 };
	uint64_t opened;

	(void)state;
	sample_begin(audit);
	for (uint8_t i = 9; i > 0; i--) {
		id[0] = i;
		opened = sample_batch_opened(audit, id, 0);
		sample_batch_closed(audit, id, opened, 0, 0);
	}
	sample_commit(audit);
	FINDS("6 11 13 15 17 19 21 23 25 27", .key = "payroll",
		.type = OFS_REC_BATCH_CLOSED);
}

static void
by_document(void **state)
{
	uint8_t digest[32];

	(void)state;
	memset(digest, 1, 32);
	FINDS("2 4", .digest = digest, .digest_len = 32);
	FINDS("4", .digest = digest, .digest_len = 32, .type = OFS_REC_OUTCOME);
	memset(digest, 7, 32);
	FINDS("9", .digest = digest, .digest_len = 32);
	digest[31]++;
	FINDS("", .digest = digest, .digest_len = 32);
	FINDS("", .digest = digest, .digest_len = 31);
	FINDS("2 3", .document = "in/doc-0000.xml");
	FINDS("2 3", .document = "doc-0000.xml");
	FINDS("", .document = "doc-0000");
	FINDS("9", .document = "doc-0007.xml");
	/* both, of one document */
	memset(digest, 1, 32);
	FINDS("2 4", .document = "doc-0001.xml", .digest = digest,
		.digest_len = 32);
	FINDS("", .document = "doc-0000.xml", .digest = digest,
		.digest_len = 32);
}

static void
by_result(void **state)
{
	struct rec_recovery r = { 9, 1, "cut off" };
	struct buf body = BUF_INIT;
	struct ofs_error e;

	(void)state;
	FINDS("3", .result = OFS_AUDIT_SIGNED);
	FINDS("4", .result = OFS_AUDIT_FAILED);
	FINDS("5", .result = OFS_AUDIT_NOT_ATTEMPTED);
	/* the intent while nobody has closed it, then what closes it */
	FINDS("9", .result = OFS_AUDIT_UNKNOWN);
	ok(log_batch_hold(audit, 8, &e), &e);
	FINDS("", .result = OFS_AUDIT_UNKNOWN);
	log_batch_release(audit, 8);
	ok(record_recovery_encode(&r, &body, &e), &e);
	sample_begin(audit);
	(void)sample_append(audit, OFS_REC_RECOVERY, second_id, &body, NULL);
	ok(log_intent_done(audit, 9, &e), &e);
	sample_commit(audit);
	FINDS("10", .result = OFS_AUDIT_UNKNOWN);
	FINDS("10", .result = OFS_AUDIT_UNKNOWN, .operator_ = "bob");
}

static int
note_time(void *arg, const ofs_record *rec)
{
	struct ofs_record_head h;

	ofs_record_get_head(rec, &h);
	*(int64_t *)arg = h.time;
	return 3;
}

static void
refuses_what_it_does_not_know(void **state)
{
	struct ofs_audit_filter f = OFS_AUDIT_FILTER_INIT;
	uint64_t before, after, seq;
	char got[256] = "";

	(void)state;
	f.result = (enum ofs_audit_result)(OFS_AUDIT_UNKNOWN + 1);
	assert_int_equal(ofs_audit_find(audit, &f, add_seq, got), OFS_EINVAL);
	/* nothing behind a wrong size is looked at */
	f.size--;
	f.batch = (const char *)(uintptr_t)1;
	assert_int_equal(ofs_audit_find(audit, &f, add_seq, got), OFS_EINVAL);
	assert_string_equal(got, "");
	assert_int_equal(ofs_audit_size(audit, &before), 0);
	assert_int_equal(
		ofs_audit_exported(audit, NULL, &f, 0, &seq), OFS_EINVAL);
	assert_int_equal(ofs_audit_size(audit, &after), 0);
	assert_int_equal(after, before);
}

static void
by_time(void **state)
{
	struct ofs_audit_filter f = OFS_AUDIT_FILTER_INIT;
	int64_t t = 0;

	(void)state;
	f.first = 6;
	assert_int_equal(ofs_audit_find(audit, &f, note_time, &t), 3);
	assert_true(t > 0);
	FINDS("0 1 2 3 4 5", .until = t);
	FINDS("6", .since = t, .until = t + 1);
	FINDS("", .since = t, .until = t);
	FINDS("6 7 8 9", .since = t);
}

/* a record that was taken out is not passed over */
static void
names_what_is_missing(void **state)
{
	struct ofs_audit_filter f = OFS_AUDIT_FILTER_INIT;
	char got[256] = "";
	struct ofs_error e;

	(void)state;
	shell("sqlite3 %s/log.db 'DELETE FROM record WHERE seq = 4'", log_dir);
	f.type = OFS_REC_LOGIN;
	assert_int_equal(ofs_audit_find(audit, &f, add_seq, got), OFS_EDAMAGED);
	ofs_audit_error(audit, &e);
	assert_non_null(strstr(e.message, "record 4 "));
	f.first = 5;
	assert_int_equal(ofs_audit_find(audit, &f, add_seq, got), 0);
	assert_string_equal(got, "7");
	/* whose batches those are, all records tell */
	f.operator_ = "nobody";
	assert_int_equal(ofs_audit_find(audit, &f, add_seq, got), OFS_EDAMAGED);
	ofs_audit_error(audit, &e);
	assert_non_null(strstr(e.message, "record 4 "));
	f.operator_ = NULL;
	shell("sqlite3 %s/log.db 'DELETE FROM record WHERE seq = 9'", log_dir);
	assert_int_equal(ofs_audit_find(audit, &f, add_seq, got), OFS_EDAMAGED);
	ofs_audit_error(audit, &e);
	assert_non_null(strstr(e.message, "record 9 "));
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, make, unmake)
	const struct CMUnitTest tests[] = {
		TEST(by_number_and_type),
		TEST(by_batch),
		TEST(by_party),
		TEST(by_party_of_many),
		TEST(by_document),
		TEST(by_result),
		TEST(refuses_what_it_does_not_know),
		TEST(by_time),
		TEST(names_what_is_missing),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
