/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A log verified by several threads: as by one, and the first fault named. */
#include <pthread.h>

#include "log_sample.h"

#include "verify/audit-verify.h"

#define BATCHES 40 /* of 60 items each, and the records around them */
#define UNKNOWN 20 /* batches of two items that are unknown: two findings */
#define RECORDS (1 + BATCHES * 63 + UNKNOWN * 4 + 1)
#define FINDINGS (UNKNOWN * 2 + 1)

/* a batch that was cut off, and recovered */
static void
unknown_batch(ofs_audit *a, uint8_t tag)
{
	struct rec_recovery r = { .unknown = 2, .reason = "crash" };
	struct buf body = BUF_INIT;
	uint8_t id[16];
	uint64_t opened;
	struct ofs_error e;

	memset(id, tag, sizeof(id));
	sample_begin(a);
	opened = sample_batch_opened(a, id, 2);
	r.intent_seq = sample_intent(a, id, 0, 2);
	ok(record_recovery_encode(&r, &body, &e), &e);
	(void)sample_append(a, OFS_REC_RECOVERY, id, &body, NULL);
	ok(log_intent_done(a, r.intent_seq, &e), &e);
	sample_batch_closed(a, id, opened, 0, 0);
	sample_commit(a);
}

static int
make_log(void **state)
{
	uint8_t id[16] = { 0xee };
	ofs_audit *a;

	(void)sample_setup(state);
	a = sample_open(OFS_AUDIT_CREATE);
	for (int i = 0; i < BATCHES; i++) {
		sample_whole_batch(a, (uint8_t)(i + 1), 60);
		if (i % 2 == 0)
			unknown_batch(a, (uint8_t)(100 + i));
	}
	/* and one that is not closed */
	sample_begin(a);
	(void)sample_batch_opened(a, id, 5);
	sample_commit(a);
	ofs_audit_free(a);
	return 0;
}

struct found {
	pthread_t caller;
	unsigned int n;
	bool elsewhere;
};

static void
count_finding(void *arg, const struct ofs_audit_finding *f)
{
	struct found *found = arg;

	(void)f;
	if (!pthread_equal(found->caller, pthread_self()))
		found->elsewhere = true;
	found->n++;
}

static int
verify_by(unsigned int threads, bool hashes_only, struct ofs_audit_report *rep,
	struct found *found, struct ofs_error *e)
{
	struct av_how how = { threads, hashes_only };
	ofs_audit *a = sample_open(OFS_AUDIT_READ_ONLY);
	int rc;

	*found = (struct found){ pthread_self(), 0, false };
	rc = av_verify(a, &how, count_finding, found, rep);
	ofs_audit_error(a, e);
	ofs_audit_free(a);
	assert_false(found->elsewhere);
	return rc;
}

static void
same_report(void **state)
{
	struct ofs_audit_report one, many;
	struct found found;
	struct ofs_error e;

	(void)state;
	ok(verify_by(1, false, &one, &found, &e), &e);
	assert_int_equal(one.records, RECORDS);
	assert_int_equal(one.signed_items, BATCHES * 60);
	assert_int_equal(found.n, FINDINGS);
	for (unsigned int threads = 2; threads <= 20; threads += 6) {
		ok(verify_by(threads, false, &many, &found, &e), &e);
		assert_memory_equal(&one, &many, sizeof(one));
		assert_int_equal(found.n, FINDINGS);
	}
}

/* without a look into bodies: the same records and root */
static void
hashes_alone(void **state)
{
	struct ofs_audit_report all, hashes;
	struct found found;
	struct ofs_error e;

	(void)state;
	ok(verify_by(2, false, &all, &found, &e), &e);
	ok(verify_by(2, true, &hashes, &found, &e), &e);
	assert_int_equal(hashes.records, RECORDS);
	assert_memory_equal(all.root, hashes.root, sizeof(all.root));
	assert_int_equal(hashes.last_time, all.last_time);
	assert_int_equal(hashes.outcomes, 0);
	assert_int_equal(found.n, 0);
}

static void
sql(const char *text)
{
	shell("sqlite3 '%s/log.db' \"%s\"", log_dir, text);
}

/* the log is damaged from record `first` on, in any number of places */
static void
first_is_named(uint64_t first, const char *why, bool hashes_only)
{
	struct ofs_audit_report rep;
	struct found found;
	struct ofs_error e;
	char want[64];

	snprintf(want, sizeof(want), "record %llu of",
		(unsigned long long)first);
	for (unsigned int threads = 1; threads <= 8; threads++) {
		assert_int_equal(
			verify_by(threads, hashes_only, &rep, &found, &e),
			OFS_EDAMAGED);
		if (strstr(e.message, want) == NULL ||
			strstr(e.message, why) == NULL)
			fail_msg("'%s' is not '%s ... %s'", e.message, want,
				why);
		/* what is right before it was counted, and nothing else */
		assert_int_equal(rep.records, first);
	}
}

/* each fault makes one before those of the last, so that it comes first */
static void
first_fault(void **state)
{
	(void)state;
	shell("cp -a '%s' '%s/whole'", log_dir, sample_dir);
	sql("DELETE FROM record WHERE seq = 2400");
	first_is_named(2400, "missing", false);
	first_is_named(2400, "missing", true);
	sql("UPDATE record SET body = zeroblob(length(body)) WHERE seq IN "
	    "(2000, 2100, 2300)");
	first_is_named(2000, "its body", false);
	sql("UPDATE record SET header = zeroblob(180) WHERE seq = 1791");
	first_is_named(1791, "", true);
	sql("UPDATE record SET tag = NULL WHERE seq IN (1100, 1105)");
	first_is_named(1100, "document tag", false);
	sql("DELETE FROM record WHERE seq BETWEEN 300 AND 1000");
	first_is_named(300, "missing", false);
	sql("DELETE FROM record WHERE seq BETWEEN 256 AND 300");
	first_is_named(256, "missing", true);
	shell("rm -rf '%s' && mv '%s/whole' '%s'", log_dir, sample_dir,
		log_dir);
}

/* another boot id in its header: only the tree shows that */
static void
other_boot(unsigned int seq)
{
	char text[200];

	snprintf(text, sizeof(text),
		"UPDATE record SET header = CAST(substr(header, 1, 60) || "
		"x'a55aa55a' || substr(header, 65) AS BLOB) WHERE seq = %u",
		seq);
	sql(text);
}

/* headers are hashed a tile at once */
static void
tiles_and_head(void **state)
{
	struct ofs_audit_report rep;
	struct found found;
	struct ofs_error e;

	(void)state;
	shell("cp -a '%s' '%s/whole'", log_dir, sample_dir);
	other_boot(700);
	for (unsigned int threads = 1; threads <= 4; threads++)
		assert_int_equal(verify_by(threads, true, &rep, &found, &e),
			OFS_EDAMAGED);
	assert_non_null(strstr(e.message, "record 767"));
	assert_non_null(strstr(e.message, "tile"));
	shell("rm -rf '%s' && mv '%s/whole' '%s'", log_dir, sample_dir,
		log_dir);
	other_boot(RECORDS - 6);
	assert_int_equal(verify_by(3, true, &rep, &found, &e), OFS_EDAMAGED);
	if (strstr(e.message, "head file") == NULL)
		fail_msg("%s", e.message);
}

/* a head within a tile, of a log that went on otherwise: a fork is seen */
static void
head_of_a_fork(void **state)
{
	struct ofs_audit_report rep;
	struct found found;
	struct ofs_error e;
	ofs_audit *a;
	uint8_t i;

	(void)state;
	snprintf(log_dir, sizeof(log_dir), "%s/fork", sample_dir);
	a = sample_open(OFS_AUDIT_CREATE);
	for (i = 1; i <= 5; i++)
		sample_whole_batch(a, i, 60);
	ofs_audit_free(a);
	shell("cp -a '%s' '%s/before'", log_dir, sample_dir);
	a = sample_open(0);
	for (; i <= 9; i++)
		sample_whole_batch(a, i, 60);
	ofs_audit_free(a);
	shell("cp '%s/log.head' '%s/head'", log_dir, sample_dir);
	shell("rm -r '%s' && mv '%s/before' '%s'", log_dir, sample_dir,
		log_dir);
	a = sample_open(0);
	for (i = 101; i <= 110; i++)
		sample_whole_batch(a, i, 60);
	ofs_audit_free(a);
	ok(verify_by(2, false, &rep, &found, &e), &e);
	assert_int_equal(rep.records, 1 + 15 * 63);
	shell("cp '%s/head' '%s/log.head'", sample_dir, log_dir);
	for (unsigned int threads = 1; threads <= 3; threads++) {
		assert_int_equal(
			verify_by(threads, threads == 2, &rep, &found, &e),
			OFS_EDAMAGED);
		if (strstr(e.message, "head file") == NULL)
			fail_msg("%s", e.message);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_report),
		cmocka_unit_test(hashes_alone),
		cmocka_unit_test(first_fault),
		cmocka_unit_test(tiles_and_head),
		cmocka_unit_test(head_of_a_fork),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_log, sample_teardown);
}
