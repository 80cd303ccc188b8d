/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bodies that are erased, and those that are only gone. */
#include "keep_kit.h"

#include <offlinesig/checkpoint.h>

#include "audit/erase.h"
#include "audit/handle.h"
#include "audit/track.h"

static char *text;

/* 1 opened, 2 intent of 3, 3..5 signed, 6 closed; then a login */
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
	kit_logins(a, 1);
	ofs_audit_free(a);
	return 0;
}

static int
try(uint64_t seq, const char *who, struct ofs_error *e)
{
	ofs_audit *a = sample_open(0);
	uint64_t event;
	int rc;

	rc = ofs_audit_erase_statement(a, seq, "asked for", &text);
	if (rc == 0) {
		kit_sign(who, text, "-nodetach -binary", &cms);
		rc = ofs_audit_erase(a, seq, cms.p, cms.len, &event);
		free(text);
	}
	ofs_audit_error(a, e);
	ofs_audit_free(a);
	return rc;
}

static void
erases(uint64_t seq)
{
	struct ofs_error e;

	ok(try(seq, "alice", &e), &e);
}

static void
refused(uint64_t seq, int code, const char *words)
{
	struct ofs_error e;

	assert_int_equal(try(seq, "alice", &e), code);
	if (strstr(e.message, words) == NULL)
		fail_msg("'%s' does not say '%s'", e.message, words);
}

static void
damaged(const char *words)
{
	struct ofs_audit_report rep;
	struct ofs_error e;

	assert_int_equal(sample_verify(&rep, &e), OFS_EDAMAGED);
	if (strstr(e.message, words) == NULL)
		fail_msg("'%s' does not say '%s'", e.message, words);
}

static void
verifies(uint64_t n_erased)
{
	struct ofs_audit_report rep;
	struct ofs_error e;

	ok(sample_verify(&rep, &e), &e);
	assert_int_equal(rep.erased_bodies, n_erased);
	ofs_audit_free(sample_open(0));
}

/* its header can be proven, and nothing more disclosed */
static void
proves(uint64_t seq)
{
	ofs_audit *a = sample_open(0);
	char place[128], *proof;

	snprintf(place, sizeof(place), "file:%s.audit", log_dir);
	assert_int_equal(ofs_audit_set_key(a, place), 0);
	assert_int_equal(ofs_audit_checkpoint(a, true, &proof), 0);
	free(proof);
	assert_int_equal(ofs_audit_prove(a, seq, true, &proof), OFS_EKEY);
	assert_int_equal(ofs_audit_prove(a, seq, false, &proof), 0);
	free(proof);
	ofs_audit_free(a);
}

static int
only_intents(void *arg, const ofs_record *rec)
{
	struct ofs_record_head h;

	(void)arg;
	ofs_record_get_head(rec, &h);
	return h.type != OFS_REC_INTENT;
}

/* what it said is nowhere in the files, and the tree is the same */
static void
erases_an_outcome(void **state)
{
	struct ofs_audit_filter f = OFS_AUDIT_FILTER_INIT;
	struct ofs_record_head h;
	struct ofs_field field;
	uint8_t before[32], after[32];
	struct ofs_error e;
	ofs_record *rec;
	ofs_audit *a;

	(void)state;
	a = sample_open(0);
	memcpy(before, a->state.root, 32);
	ofs_audit_free(a);
	shell("grep -qa /out/doc-0001.p7s %s/log.db", log_dir);
	erases(4);
	shell("! grep -qa /out/doc-0001.p7s %s/log.db*", log_dir);
	verifies(1);
	a = sample_open(0);
	ok(store_root_at(&a->store, 8, after, &e), &e);
	assert_memory_equal(before, after, 32);
	assert_int_equal(ofs_audit_get(a, 4, &rec), 0);
	ofs_record_get_head(rec, &h);
	assert_true(h.erased);
	assert_int_equal(h.type, OFS_REC_OUTCOME);
	assert_false(ofs_record_find(rec, "document.path", &field));
	ofs_record_free(rec);
	f.document = "doc-0001.xml";
	/* the intent that names it is another record */
	assert_int_equal(ofs_audit_find(a, &f, only_intents, NULL), 0);
	ofs_audit_free(a);
	proves(4);
}

static void
erases_more(void **state)
{
	struct rec_log_event r = { .event = "erase" };
	struct ofs_error e;
	uint64_t seq;
	ofs_audit *a;

	(void)state;
	erases(2); /* the intent of what follows */
	verifies(1);
	erases(3);
	erases(4);
	erases(5);
	verifies(4);
	erases(7); /* the login */
	verifies(5);
	refused(7, OFS_EKEY, "already");
	assert_int_equal(try(99, "alice", &e), OFS_EKEY);
	/* two who are at it at once: the second sees it in its transaction */
	a = sample_open(0);
	sample_begin(a);
	assert_int_equal(erase_body(a, 7, &r, &seq, &e), OFS_EKEY);
	log_rollback(a);
	assert_int_equal(erase_body(a, 6, &r, &seq, &e), OFS_EINTERNAL);
	ofs_audit_free(a);
	/* further records, beyond what is looked at on opening */
	a = sample_open(0);
	kit_logins(a, 300);
	ofs_audit_free(a);
	verifies(5);
	erases(20);
	verifies(6);
}

/* outcomes without a batch, and one of two that stayed unknown */
static void
erases_among_unknown(void **state)
{
	struct rec_recovery r = { 0, 1, "cut off" };
	struct buf body = BUF_INIT;
	struct ofs_audit_report rep;
	uint64_t intent, first;
	struct ofs_error e;
	ofs_audit *a;

	(void)state;
	a = sample_open(0);
	sample_begin(a);
	intent = sample_intent(a, NULL, 0, 2);
	first = sample_outcome(a, NULL, intent, 0, REC_SIGNED);
	sample_commit(a);
	sample_begin(a);
	r.intent_seq = intent;
	ok(record_recovery_encode(&r, &body, &e), &e);
	(void)sample_append(a, OFS_REC_RECOVERY, NULL, &body, NULL);
	ok(log_intent_done(a, intent, &e), &e);
	intent = sample_intent(a, NULL, 0, 1);
	(void)sample_outcome(a, NULL, intent, 0, REC_SIGNED);
	ok(log_intent_done(a, intent, &e), &e);
	sample_commit(a);
	ofs_audit_free(a);
	erases(first);
	verifies(1);
	erases(intent + 1);
	verifies(2);
	ok(sample_verify(&rep, &e), &e);
	assert_int_equal(rep.unknown_items, 1);
	/* an outcome that nobody erased is still missed */
	shell("sqlite3 %s/log.db 'UPDATE record SET body = NULL, tag = NULL "
	      "WHERE seq = 4'",
		log_dir);
	damaged("record 4 of the audit log: its body is missing");
}

static void
refuses(void **state)
{
	uint8_t id[16] = { 9 };
	uint64_t intent, outcome, opened;
	char reason[513] = "";
	struct ofs_error e;
	ofs_audit *a;

	(void)state;
	refused(0, OFS_EINVAL, "genesis");
	refused(1, OFS_EINVAL, "batch-opened");
	refused(6, OFS_EINVAL, "batch-closed");
	assert_int_equal(try(4, "mallory", &e), OFS_EUNTRUSTED);
	verifies(0);
	a = sample_open(0);
	sample_begin(a);
	opened = sample_batch_opened(a, id, 2);
	intent = sample_intent(a, id, 0, 1);
	outcome = sample_outcome(a, id, intent, 0, REC_SIGNED);
	sample_pending(a, outcome, 0);
	ok(log_intent_done(a, intent, &e), &e);
	sample_commit(a);
	refused(outcome - 1, OFS_EEXIST, "its batch is not closed");
	refused(outcome, OFS_EEXIST, "cannot be erased now");
	sample_begin(a);
	sample_batch_closed(a, id, opened, 1, 0);
	sample_commit(a);
	refused(outcome, OFS_EEXIST, "waits for its release");
	sample_begin(a);
	ok(log_pending_done(a, outcome, &e), &e);
	sample_commit(a);
	ofs_audit_free(a);
	erases(outcome);
	refused(outcome + 2, OFS_EINVAL, "log-event");
	verifies(1);
	/* nobody is asked to allow what cannot be */
	a = sample_open(0);
	assert_int_equal(
		ofs_audit_erase_statement(a, 0, "x", &text), OFS_EINVAL);
	assert_int_equal(
		ofs_audit_erase_statement(a, outcome, "x", &text), OFS_EKEY);
	memset(reason, 'x', sizeof(reason) - 1);
	assert_int_equal(
		ofs_audit_erase_statement(a, 4, reason, &text), OFS_EINVAL);
	reason[sizeof(reason) - 2] = '\0';
	assert_int_equal(ofs_audit_erase_statement(a, 4, reason, &text), 0);
	free(text);
	ofs_audit_free(a);
	/* what was signed for one record is good for no other */
	a = sample_open(0);
	assert_int_equal(
		ofs_audit_erase(a, 4, cms.p, cms.len, &intent), OFS_EMISMATCH);
	ofs_audit_free(a);
}

/* what resuming or recovery needs; and the handle can be used afterwards */
static void
still_needed(void **state)
{
	struct track t = { .items = 3, .form = "cms ecdsa-sha256" };
	uint8_t id[16] = { 9 };
	uint64_t intent, event;
	struct ofs_error e;
	ofs_audit *a;

	(void)state;
	a = sample_open(0);
	sample_begin(a);
	intent = sample_intent(a, NULL, 0, 1);
	sample_commit(a);
	ofs_audit_free(a);
	refused(intent, OFS_EEXIST, "its outcome is not recorded");
	a = sample_open(0);
	assert_int_equal(
		ofs_audit_erase(a, intent, cms.p, cms.len, &event), OFS_EEXIST);
	sample_begin(a);
	(void)sample_outcome(a, NULL, intent, 0, REC_SIGNED);
	ok(log_intent_done(a, intent, &e), &e);
	memcpy(t.batch_id, id, 16);
	memcpy(t.root_id, id, 16);
	t.opened_seq = sample_batch_opened(a, id, 3);
	ok(log_track_open(a, &t, &e), &e);
	intent = sample_intent(a, id, 0, 1);
	(void)sample_outcome(a, id, intent, 0, REC_SIGNED);
	ok(log_intent_done(a, intent, &e), &e);
	sample_batch_closed(a, id, t.opened_seq, 1, 0);
	sample_commit(a);
	ofs_audit_free(a);
	refused(intent, OFS_EEXIST, "the list of its batch is not finished");
}

static void
only_gone(void **state)
{
	ofs_audit *a;

	(void)state;
	shell("cp %s/log.db %s/whole.db", log_dir, sample_dir);
	erases(4);
	/* another one besides; a tag that was left; the body put back */
	shell("cp %s/log.db %s/kept.db; sqlite3 %s/log.db 'UPDATE record SET "
	      "body = NULL, tag = NULL WHERE seq = 5'",
		log_dir, sample_dir, log_dir);
	damaged("record 5 of the audit log: its body is missing");
	sample_refused(0, OFS_EDAMAGED, "missing");
	shell("cp %s/kept.db %s/log.db; sqlite3 %s/log.db 'UPDATE record SET "
	      "tag = zeroblob(16) WHERE seq = 4'",
		sample_dir, log_dir, log_dir);
	damaged("record 4");
	shell("cp %s/kept.db %s/log.db; sqlite3 %s/log.db \"ATTACH "
	      "'%s/whole.db' AS w; UPDATE record SET body = (SELECT body FROM "
	      "w.record WHERE seq = 4), tag = (SELECT tag FROM w.record WHERE "
	      "seq = 4) WHERE seq = 4\"",
		sample_dir, log_dir, log_dir, sample_dir);
	damaged("record 4 that it erased is there");
	/* types that are never erased */
	shell("cp %s/kept.db %s/log.db; sqlite3 %s/log.db 'UPDATE record SET "
	      "body = NULL WHERE seq = 6'",
		sample_dir, log_dir, log_dir);
	damaged("record 6 of the audit log: its body is missing");
	/* a backup of what is left is as good */
	shell("cp %s/kept.db %s/log.db", sample_dir, log_dir);
	a = sample_open(0);
	shell("rm -rf %s/backup", sample_dir);
	char to[128];
	snprintf(to, sizeof(to), "%s/backup", sample_dir);
	assert_int_equal(ofs_audit_backup(a, to, NULL, NULL, NULL), 0);
	ofs_audit_free(a);
}

/* an erasure that no auditor has signed */
static void
forged(void **state)
{
	struct rec_log_event r = {
		.event = "erase", .first = 4, .last = 4, .count = 1
	};
	struct log_entry en = { .type = OFS_REC_LOG_EVENT };
	struct buf body = BUF_INIT;
	struct ofs_error e;
	ofs_audit *a = sample_open(0);
	uint64_t seq;

	(void)state;
	log_operator(a, &r.operator_);
	ok(record_log_event_encode(&r, &body, &e), &e);
	en.body = body.p;
	en.body_len = body.len;
	sample_begin(a);
	ok(store_record_erase(&a->store, 4, &e), &e);
	ok(log_append(a, &en, &seq, &e), &e);
	sample_commit(a);
	buf_free(&body);
	ofs_audit_free(a);
	damaged("no auditor has allowed it");
}

/* who has no key sees, too, that an auditor has allowed the gap */
static void
erases_encrypted(void **state)
{
	struct ofs_audit_report rep;
	struct ofs_error e;
	ofs_audit *a;

	(void)state;
	snprintf(log_dir, sizeof(log_dir), "%s/encrypted", sample_dir);
	kit_init_encrypted("alice");
	a = sample_open(0);
	sample_whole_batch(a, 7, 3);
	ofs_audit_free(a);
	erases(5);
	verifies(1);
	shell("mv %s.key %s.gone", log_dir, log_dir);
	ok(sample_verify(&rep, &e), &e);
	assert_int_equal(rep.erased_bodies, 1);
	assert_int_equal(rep.sealed_bodies, 5);
	shell("sqlite3 %s/log.db 'UPDATE record SET body = NULL, tag = NULL "
	      "WHERE seq = 6'",
		log_dir);
	damaged("no erasure is recorded");
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup(fn, fresh)
	const struct CMUnitTest tests[] = {
		TEST(erases_an_outcome),
		TEST(erases_more),
		TEST(erases_among_unknown),
		TEST(refuses),
		TEST(still_needed),
		TEST(only_gone),
		TEST(forged),
		TEST(erases_encrypted),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, kit_setup, kit_teardown);
}
