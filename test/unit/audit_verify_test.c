/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ofs_audit_verify: what it counts, what it names, and what it catches. */
#include "log_sample.h"

#include <sqlite3.h>

static const uint8_t id_a[16] = { 0xa }, id_b[16] = { 0xb };

static int
fresh(void **state)
{
	static int n;

	(void)state;
	snprintf(log_dir, sizeof(log_dir), "%s/log%d", sample_dir, n++);
	return 0;
}

struct seen {
	int n;
	char all[16384];
};

static void
collect(void *arg, const struct ofs_audit_finding *f)
{
	struct seen *s = arg;
	size_t len = strlen(s->all);

	s->n++;
	snprintf(s->all + len, sizeof(s->all) - len, "%s %llu %s\n", f->id,
		(unsigned long long)f->seq, f->text);
}

static void
says(const struct seen *s, const char *words)
{
	if (strstr(s->all, words) == NULL)
		fail_msg("'%s' is not in:\n%s", words, s->all);
}

/*
 * 0 genesis; batch A: 1 opened, 2 intent of 40, 3..42 outcomes, 43 closed;
 * batch B: 44 opened, 45 intent of 3, 46..48 outcomes (one failed), 49 intent
 * of 2 and no more; 50.. logins, up to two tiles and a bit. Pending: 46.
 */
static ofs_audit *
make_log(void)
{
	ofs_audit *a = sample_open(OFS_AUDIT_CREATE);
	struct buf body = BUF_INIT;
	struct ofs_error e;
	uint64_t opened, intent, outcome;

	sample_whole_batch(a, 0xa1, 40);
	sample_begin(a);
	ok(log_cert_add(a, (const uint8_t *)"a certificate", 13, &e), &e);
	opened = sample_batch_opened(a, id_b, 5);
	assert_int_equal(opened, 44);
	ok(log_batch_hold(a, opened, &e), &e);
	intent = sample_intent(a, id_b, 0, 3);
	outcome = sample_outcome(a, id_b, intent, 0, REC_SIGNED);
	sample_pending(a, outcome, 0);
	(void)sample_outcome(a, id_b, intent, 1, REC_FAILED);
	(void)sample_outcome(a, id_b, intent, 2, REC_SIGNED);
	ok(log_intent_done(a, intent, &e), &e);
	assert_int_equal(sample_intent(a, id_b, 3, 2), 49);
	for (int i = 0; i < 550; i++) {
		sample_login(a, &body);
		(void)sample_append(a, OFS_REC_LOGIN, NULL, &body, NULL);
	}
	sample_commit(a);
	return a;
}

static void
counts_and_names(void **state)
{
	ofs_audit *a = make_log();
	struct ofs_audit_report rep;
	struct seen s = { 0, "" };

	(void)state;
	assert_int_equal(ofs_audit_verify(a, collect, &s, &rep), 0);
	assert_int_equal(rep.records, 600);
	assert_int_equal(rep.batches, 2);
	assert_int_equal(rep.unclosed_batches, 1);
	assert_int_equal(rep.intents, 3);
	assert_int_equal(rep.outcomes, 43);
	assert_int_equal(rep.signed_items, 42);
	assert_int_equal(rep.failed_items, 1);
	assert_int_equal(rep.in_flight_items, 2);
	assert_int_equal(rep.unknown_items, 0);
	assert_int_equal(rep.pending_outputs, 1);
	says(&s, "pending-output 46 signature for '/out/doc-0000.p7s'");
	says(&s, "running-batch 44 ");
	assert_int_equal(s.n, 2);
	/* the process is gone: now they are unknown, and called by name */
	ofs_audit_free(a);
	memset(&s, 0, sizeof(s));
	a = sample_open(OFS_AUDIT_READ_ONLY);
	assert_int_equal(ofs_audit_verify(a, collect, &s, &rep), 0);
	assert_int_equal(rep.in_flight_items, 0);
	assert_int_equal(rep.unknown_items, 2);
	says(&s, "unclosed-batch 44 ");
	says(&s, "unknown-item 49 outcome of 'in/doc-0003.xml' is unknown");
	says(&s, "unknown-item 49 outcome of 'in/doc-0004.xml' is unknown");
	assert_int_equal(s.n, 4);
	ofs_audit_free(a);
}

static void
follows_recovery_and_release(void **state)
{
	ofs_audit *a = make_log();
	struct rec_recovery rec = { 49, 2, "gone" };
	struct rec_release rel = { 46, "/out/doc-0000.p7s", "released" };
	struct ofs_audit_report rep;
	struct seen s = { 0, "" };
	struct buf body = BUF_INIT;
	struct ofs_error e;

	(void)state;
	sample_begin(a);
	ok(record_recovery_encode(&rec, &body, &e), &e);
	assert_int_equal(
		sample_append(a, OFS_REC_RECOVERY, id_b, &body, NULL), 600);
	ok(log_intent_done(a, 49, &e), &e);
	ok(record_release_encode(&rel, &body, &e), &e);
	(void)sample_append(a, OFS_REC_RELEASE, id_b, &body, NULL);
	ok(log_pending_done(a, 46, &e), &e);
	sample_batch_closed(a, id_b, 44, 2, 1);
	sample_commit(a);
	assert_int_equal(ofs_audit_verify(a, collect, &s, &rep), 0);
	assert_int_equal(rep.unclosed_batches, 0);
	assert_int_equal(rep.unknown_items, 2);
	assert_int_equal(rep.pending_outputs, 0);
	says(&s, "unknown-item 600 outcome of 'in/doc-0004.xml'");
	ofs_audit_free(a);
}

static int64_t fake_now;

static int64_t
fake_clock(void *arg)
{
	(void)arg;
	return fake_now;
}

static void
tells_of_the_clock(void **state)
{
	struct ofs_ctx_opts opts = OFS_CTX_OPTS_INIT;
	struct ofs_audit_report rep;
	struct seen s = { 0, "" };
	struct buf body = BUF_INIT;
	ofs_ctx *ctx;
	ofs_audit *a;

	(void)state;
	opts.clock = fake_clock;
	fake_now = INT64_C(1795247520000000);
	assert_int_equal(ofs_ctx_new(&opts, &ctx), 0);
	assert_int_equal(ofs_audit_open(ctx, log_dir, OFS_AUDIT_CREATE, &a), 0);
	fake_now -= 1;
	sample_begin(a);
	sample_login(a, &body);
	(void)sample_append(a, OFS_REC_LOGIN, NULL, &body, NULL);
	sample_commit(a);
	assert_int_equal(ofs_audit_verify(a, collect, &s, &rep), 0);
	assert_int_equal(rep.clock_steps_back, 1);
	assert_int_equal(rep.first_time, INT64_C(1795247520000000));
	assert_int_equal(rep.last_time, INT64_C(1795247519999999));
	says(&s,
		"clock-back 1 clock went back from "
		"2026-11-21T07:52:00.000000Z");
	ofs_audit_free(a);
	ofs_ctx_free(ctx);
}

static void
sql(const char *text)
{
	char path[200], *why = NULL;
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/log.db", log_dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, text, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s: %s", text, why);
	if (sqlite3_changes(db) == 0)
		fail_msg("%s changes nothing", text);
	sqlite3_close(db);
}

/* one change at a time by another program; the words must name the place */
static void
catches_edits(void **state)
{
#define FLIP(col, at)                                  \
#col " = CAST(substr(" #col ",1," #at ") || "  \
	     "CASE substr(" #col "," #at               \
	     "+1,1) WHEN x'5a' THEN x'a5' ELSE x'5a' " \
	     "END || substr(" #col "," #at "+2) AS BLOB)"
	static const struct {
		const char *sql, *words;
	} edits[] = {
		{ "UPDATE record SET " FLIP(body, 20) " WHERE seq = 5",
			"record 5 " },
		{ "UPDATE record SET " FLIP(body, 9) " WHERE seq = 0",
			"record 0 " },
		{ "UPDATE record SET " FLIP(header, 40) " WHERE seq = 7", "" },
		{ "UPDATE record SET " FLIP(header, 100) " WHERE seq = 599",
			"record 599 " },
		{ "UPDATE record SET " FLIP(header, 10) " WHERE seq = 0", "" },
		{ "UPDATE record SET " FLIP(tag, 3) " WHERE seq = 4",
			"record 4 " },
		{ "UPDATE record SET tag = NULL WHERE seq = 4", "record 4 " },
		{ "UPDATE record SET tag = x'00' WHERE seq = 60",
			"record 60 " },
		{ "UPDATE record SET body = NULL WHERE seq = 300",
			"record 300 " },
		{ "DELETE FROM record WHERE seq = 300", "record 300 " },
		{ "DELETE FROM record WHERE seq = 599", "record 599 " },
		{ "DELETE FROM record WHERE seq >= 10", "record 10 " },
		{ "INSERT INTO record SELECT 600, header, body, tag FROM "
		  "record WHERE seq = 599",
			"record 600 " },
		{ "INSERT INTO record SELECT -1, header, body, tag FROM "
		  "record WHERE seq = 599",
			"" },
		{ "UPDATE record SET seq = 1000 WHERE seq = 51;"
		  "UPDATE record SET seq = 51 WHERE seq = 52;"
		  "UPDATE record SET seq = 52 WHERE seq = 1000",
			"record 51 " },
		{ "UPDATE tile SET " FLIP(hash, 0) " WHERE idx = 1",
			"record 511" },
		{ "DELETE FROM tile WHERE idx = 0", "tile 0" },
		{ "INSERT INTO tile VALUES (1, 2, zeroblob(32))", "tiles" },
		{ "UPDATE state SET " FLIP(root, 31), "root" },
		{ "UPDATE state SET " FLIP(frontier, 0), "root" },
		{ "UPDATE state SET " FLIP(log_id, 0), "" },
		{ "UPDATE state SET size = 599", "" },
		{ "DELETE FROM state", "state" },
		{ "DELETE FROM open_batch", "open_batch" },
		{ "INSERT INTO open_batch VALUES (1, zeroblob(16))",
			"open_batch" },
		{ "UPDATE open_batch SET seq = 43", "open_batch" },
		{ "DELETE FROM open_intent", "open_intent" },
		{ "INSERT INTO open_intent VALUES (2, zeroblob(16))",
			"open_intent" },
		{ "UPDATE open_intent SET " FLIP(batch_id, 0), "open_intent" },
		{ "UPDATE pending SET output = x'00'", "pending" },
		{ "UPDATE pending SET path = x'41'", "pending" },
		{ "UPDATE pending SET outcome_seq = 47", "pending" },
		{ "UPDATE pending SET outcome_seq = 900", "pending" },
		{ "UPDATE pending SET " FLIP(batch_id, 0), "pending" },
		{ "UPDATE pending SET replace = 1", "pending" },
		{ "UPDATE cert SET der = x'00'", "certificate" },
	};
	struct ofs_audit_report rep;
	struct ofs_error e;
	size_t i;

	(void)state;
	ofs_audit_free(make_log());
	shell("cp -p %s/log.db %s/good.db", log_dir, sample_dir);
	for (i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
		sql(edits[i].sql);
		if (sample_verify(&rep, &e) != OFS_EDAMAGED)
			fail_msg("%s: not seen", edits[i].sql);
		if (strstr(e.message, edits[i].words) == NULL)
			fail_msg("%s: '%s' does not name '%s'", edits[i].sql,
				e.message, edits[i].words);
		shell("cp -p %s/good.db %s/log.db", sample_dir, log_dir);
	}
	sample_verifies(600);
}

/* every byte of the head file counts, unless the other slot makes up for it */
static void
catches_head_edits(void **state)
{
	struct ofs_audit_report rep;
	struct ofs_error e;
	char path[200];
	FILE *f;

	(void)state;
	ofs_audit_free(make_log());
	snprintf(path, sizeof(path), "%s/log.head", log_dir);
	for (long at = 0; at < 110; at += 3) {
		uint8_t c[2];

		f = fopen(path, "r+b");
		assert_non_null(f);
		for (int slot = 0; slot < 2; slot++) {
			fseek(f, at + slot * 4096, SEEK_SET);
			assert_int_equal(fread(&c[slot], 1, 1, f), 1);
			fseek(f, at + slot * 4096, SEEK_SET);
			assert_int_equal(fputc(c[slot] ^ 4, f), c[slot] ^ 4);
		}
		fclose(f);
		assert_int_equal(sample_verify(&rep, &e), OFS_EDAMAGED);
		f = fopen(path, "r+b");
		for (int slot = 0; slot < 2; slot++) {
			fseek(f, at + slot * 4096, SEEK_SET);
			fputc(c[slot], f);
		}
		fclose(f);
	}
	sample_verifies(600);
}

/* a log whose hashes all agree, and whose records contradict each other */
static void
contradiction(void (*fn)(ofs_audit *a, uint64_t opened, uint64_t intent),
	const char *words)
{
	ofs_audit *a;
	struct ofs_audit_report rep;
	struct ofs_error e;
	uint64_t opened, intent;

	fresh(NULL);
	a = sample_open(OFS_AUDIT_CREATE);
	sample_begin(a);
	opened = sample_batch_opened(a, id_a, 3);
	intent = sample_intent(a, id_a, 0, 3);
	fn(a, opened, intent);
	sample_commit(a);
	assert_int_equal(ofs_audit_verify(a, NULL, NULL, &rep), OFS_EDAMAGED);
	ofs_audit_error(a, &e);
	if (strstr(e.message, words) == NULL)
		fail_msg("'%s' does not say '%s'", e.message, words);
	ofs_audit_free(a);
}

static void
with_twist(ofs_audit *a, uint64_t intent, uint64_t index,
	enum rec_status status, struct sample_twist t)
{
	(void)sample_outcome_with(a, id_a, intent, index, status, &t);
}

static void
answered_twice(ofs_audit *a, uint64_t opened, uint64_t intent)
{
	(void)opened;
	(void)sample_outcome(a, id_a, intent, 1, REC_SIGNED);
	(void)sample_outcome(a, id_a, intent, 1, REC_SIGNED);
}

static void
not_announced(ofs_audit *a, uint64_t opened, uint64_t intent)
{
	(void)opened;
	(void)sample_outcome(a, id_a, intent, 3, REC_SIGNED);
}

static void
no_intent(ofs_audit *a, uint64_t opened, uint64_t intent)
{
	(void)opened;
	(void)sample_outcome(a, id_a, intent + 1, 1, REC_FAILED);
}

static void
signed_without_intent(ofs_audit *a, uint64_t opened, uint64_t intent)
{
	(void)opened;
	(void)intent;
	(void)sample_outcome(a, id_a, 0, 1, REC_SIGNED);
}

static void
asked_without_intent(ofs_audit *a, uint64_t opened, uint64_t intent)
{
	struct sample_twist t = { .attempts = 1 };

	(void)opened;
	(void)intent;
	with_twist(a, 0, 1, REC_FAILED, t);
}

static void
other_batch(ofs_audit *a, uint64_t opened, uint64_t intent)
{
	(void)opened;
	(void)sample_batch_opened(a, id_b, 3);
	(void)sample_outcome(a, id_b, intent, 1, REC_SIGNED);
}

static void
closed_batch(ofs_audit *a, uint64_t opened, uint64_t intent)
{
	sample_batch_closed(a, id_a, opened, 0, 0);
	(void)sample_outcome(a, id_a, intent, 1, REC_SIGNED);
}

static void
other_purpose(ofs_audit *a, uint64_t opened, uint64_t intent)
{
	struct sample_twist t = { .purpose = REC_PURPOSE_CSR };

	(void)opened;
	with_twist(a, intent, 0, REC_SIGNED, t);
}

static void
other_document(ofs_audit *a, uint64_t opened, uint64_t intent)
{
	struct sample_twist t = { .other_digest = true };

	(void)opened;
	with_twist(a, intent, 0, REC_SIGNED, t);
}

static void
not_seen(ofs_audit *a, uint64_t opened, uint64_t intent)
{
	struct sample_twist t = { .unseen = true };

	(void)opened;
	with_twist(a, intent, 0, REC_SIGNED, t);
}

static void
not_verified(ofs_audit *a, uint64_t opened, uint64_t intent)
{
	struct sample_twist t = { .unverified = true };

	(void)opened;
	with_twist(a, intent, 0, REC_SIGNED, t);
}

static void
not_signed(ofs_audit *a, uint64_t opened, uint64_t intent)
{
	struct sample_twist t = { .no_signature = true };

	(void)opened;
	with_twist(a, intent, 0, REC_SIGNED, t);
}

static void
not_tagged(ofs_audit *a, uint64_t opened, uint64_t intent)
{
	struct sample_twist t = { .no_tag = true };

	(void)opened;
	with_twist(a, intent, 0, REC_SIGNED, t);
}

static void
wrong_count(ofs_audit *a, uint64_t opened, uint64_t intent)
{
	(void)sample_outcome(a, id_a, intent, 0, REC_SIGNED);
	sample_batch_closed(a, id_a, opened, 2, 0);
}

static void
wrong_batch_closed(ofs_audit *a, uint64_t opened, uint64_t intent)
{
	(void)intent;
	sample_batch_closed(a, id_a, opened + 1, 0, 0);
}

static void
closed_unknown_batch(ofs_audit *a, uint64_t opened, uint64_t intent)
{
	(void)intent;
	sample_batch_closed(a, id_b, opened, 0, 0);
}

static void
recover(ofs_audit *a, uint64_t intent, uint64_t unknown)
{
	struct rec_recovery rec = { intent, unknown, NULL };
	struct buf body = BUF_INIT;
	struct ofs_error e;

	ok(record_recovery_encode(&rec, &body, &e), &e);
	(void)sample_append(a, OFS_REC_RECOVERY, id_a, &body, NULL);
	ok(log_intent_done(a, intent, &e), &e);
}

static void
recovered_wrongly(ofs_audit *a, uint64_t opened, uint64_t intent)
{
	(void)opened;
	recover(a, intent, 2);
}

static void
answered_after_recovery(ofs_audit *a, uint64_t opened, uint64_t intent)
{
	(void)opened;
	recover(a, intent, 3);
	(void)sample_outcome(a, id_a, intent, 0, REC_SIGNED);
}

static void
left_without_outcome(ofs_audit *a, uint64_t opened, uint64_t intent)
{
	struct ofs_error e;

	(void)opened;
	(void)sample_outcome(a, id_a, intent, 0, REC_SIGNED);
	ok(log_intent_done(a, intent, &e), &e);
}

static void
released_nothing(ofs_audit *a, uint64_t opened, uint64_t intent)
{
	struct rec_release rel = { intent, "/out/x", "released" };
	struct buf body = BUF_INIT;
	struct ofs_error e;

	(void)opened;
	ok(record_release_encode(&rel, &body, &e), &e);
	(void)sample_append(a, OFS_REC_RELEASE, id_a, &body, NULL);
}

static void
catches_contradictions(void **state)
{
	(void)state;
	contradiction(answered_twice, "record 4 ");
	contradiction(not_announced, "record 3 of the audit log: its item");
	contradiction(no_intent, "intent 3 is not open");
	contradiction(signed_without_intent, "without an intent");
	contradiction(asked_without_intent, "the token was asked");
	contradiction(other_batch, "another batch's");
	contradiction(closed_batch, "its batch is not open");
	contradiction(other_purpose, "of another purpose");
	contradiction(other_document, "its document is not the one");
	contradiction(not_seen, "its document is not the one");
	contradiction(not_verified, "its verification");
	contradiction(not_signed, "a signature or its verification");
	contradiction(not_tagged, "document tag");
	contradiction(wrong_count, "it counts other outcomes");
	contradiction(wrong_batch_closed, "closes no open batch");
	contradiction(closed_unknown_batch, "its batch is not open");
	contradiction(recovered_wrongly, "3 items without outcome");
	contradiction(answered_after_recovery, "recovered before");
	contradiction(left_without_outcome, "open_intent");
	contradiction(released_nothing, "not the outcome of that output");
}

/* a callback may use the log; verification holds no lock while it runs */
static void
use_the_log(void *arg, const struct ofs_audit_finding *f)
{
	ofs_record *rec;

	assert_int_equal(ofs_audit_get(arg, f->seq, &rec), 0);
	ofs_record_free(rec);
}

static void
callback_may_read(void **state)
{
	ofs_audit *a = make_log();

	(void)state;
	assert_int_equal(ofs_audit_verify(a, use_the_log, a, NULL), 0);
	ofs_audit_free(a);
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup(fn, fresh)
	const struct CMUnitTest tests[] = {
		TEST(counts_and_names),
		TEST(follows_recovery_and_release),
		TEST(tells_of_the_clock),
		TEST(catches_edits),
		TEST(catches_head_edits),
		TEST(catches_contradictions),
		TEST(callback_may_read),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, sample_setup, sample_teardown);
}
