/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs of items, tables of unfinished batches, and logs from before them. */
#include "log_sample.h"

#include <sqlite3.h>

#include "audit/handle.h"
#include "audit/track.h"

static struct ofs_error e;

/* against an array with one entry for each item */
static void
runs_are_what_was_put(void **state)
{
	enum { ITEMS = 60, STEPS = 20000 };
	static struct item_run model[ITEMS];
	struct runs rs = { NULL, 0, 0 };
	struct item_run r;
	uint64_t count[6];

	(void)state;
	srand(7);
	for (int step = 0; step < STEPS; step++) {
		r.first = (uint64_t)rand() % ITEMS;
		r.n = 1 + (uint64_t)rand() % 8;
		if (r.first + r.n > ITEMS)
			r.n = ITEMS - r.first;
		r.status = (enum run_status)(1 + rand() % 5);
		r.seq = (uint64_t)rand() % 3 + r.first;
		ok(runs_put(&rs, &r, &e), &e);
		for (uint64_t i = r.first; i < r.first + r.n; i++)
			model[i] = (struct item_run){ i, 1, r.status,
				run_seq(&r, i) };
		memset(count, 0, sizeof(count));
		for (uint64_t i = 0; i < ITEMS; i++) {
			const struct item_run *got = runs_find(&rs, i);

			count[model[i].status] += model[i].n;
			assert_true((got != NULL) == (model[i].n == 1));
			if (got == NULL)
				continue;
			assert_int_equal(got->status, model[i].status);
			assert_int_equal(run_seq(got, i), model[i].seq);
		}
		for (int s = RUN_SIGNED; s <= RUN_UNKNOWN; s++)
			assert_int_equal(
				runs_count(&rs, (enum run_status)s), count[s]);
		for (size_t i = 1; i < rs.n; i++)
			assert_true(rs.p[i - 1].first + rs.p[i - 1].n <=
				rs.p[i].first);
	}
	runs_free(&rs);
	/* neighbours that fit are one */
	for (uint64_t i = 0; i < 1000; i++) {
		r = (struct item_run){ i, 1, RUN_SIGNED, 5 + i };
		ok(runs_put(&rs, &r, &e), &e);
	}
	assert_int_equal(rs.n, 1);
	runs_free(&rs);
}

static int64_t
version_of(const char *dir)
{
	char path[160];
	sqlite3_stmt *st;
	int64_t v;
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/log.db", dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(
		sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &st, NULL),
		SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	v = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return v;
}

/* the tables as they were before there were any of these, word for word */
static const char old_tables[] =
	"CREATE TABLE record (seq INTEGER PRIMARY KEY, header BLOB NOT NULL, "
	"body BLOB, tag BLOB) STRICT;"
	"CREATE TABLE tile (level INTEGER NOT NULL, idx INTEGER NOT NULL, "
	"hash BLOB NOT NULL, PRIMARY KEY (level, idx)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE state (id INTEGER PRIMARY KEY CHECK (id = 0), "
	"log_id BLOB NOT NULL, size INTEGER NOT NULL, frontier BLOB NOT NULL, "
	"root BLOB NOT NULL) STRICT;"
	"CREATE TABLE open_batch (seq INTEGER PRIMARY KEY, "
	"batch_id BLOB NOT NULL UNIQUE) STRICT;"
	"CREATE TABLE open_intent (seq INTEGER PRIMARY KEY, "
	"batch_id BLOB NOT NULL) STRICT;"
	"CREATE TABLE pending (outcome_seq INTEGER PRIMARY KEY, "
	"batch_id BLOB NOT NULL, path BLOB NOT NULL, "
	"replace INTEGER NOT NULL, output BLOB NOT NULL) STRICT;"
	"CREATE TABLE cert (sha256 BLOB PRIMARY KEY, der BLOB NOT NULL) "
	"STRICT, WITHOUT ROWID;"
	"PRAGMA application_id = 1330008908;";

/* the log in log_dir once more, in a database of that version */
static void
make_old(int version)
{
	static const char *const tables[] = { "record", "tile", "state",
		"open_batch", "open_intent", "pending", "cert" };
	char path[160], sql[400];
	sqlite3 *db;

	shell("mv '%s/log.db' '%s/new.db'", log_dir, sample_dir);
	snprintf(path, sizeof(path), "%s/log.db", log_dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(db, old_tables, NULL, NULL, NULL), SQLITE_OK);
	snprintf(sql, sizeof(sql),
		"PRAGMA user_version = %d; ATTACH '%s/new.db' AS n", version,
		sample_dir);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		snprintf(sql, sizeof(sql), "INSERT INTO %s SELECT * FROM n.%s",
			tables[i], tables[i]);
		assert_int_equal(
			sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	}
	sqlite3_close(db);
	shell("chmod 600 '%s/log.db' && rm '%s/new.db'", log_dir, sample_dir);
}

static const uint8_t list[32] = { 1 }, outputs[32] = { 2 }, spki[32] = { 3 };

/* a tracked batch of ten, items 0 to 3 of which are signed */
static uint64_t
begin_tracked(ofs_audit *a, const uint8_t id[16], const uint8_t *root)
{
	struct rec_batch_opened r = { .list_sha256 = { list, 32 },
		.items = 10,
		.format = "cms",
		.mechanism = "ecdsa-sha256",
		.outputs_sha256 = { outputs, 32 },
		.resumes = { root, root != NULL ? 16 : 0 } };
	struct track t = { .items = 10, .form = "cms ecdsa-sha256" };
	struct rec_party p = { .key.spki_sha256 = { spki, 32 } };
	struct buf body = BUF_INIT, party = BUF_INIT;
	struct log_entry en = { .type = OFS_REC_BATCH_OPENED,
		.batch_id = id,
		.format = LOG_FORMAT_TRACKS };
	struct item_run run = { 0, 4, RUN_ANNOUNCED, 0 };
	uint64_t intent;

	log_operator(a, &p.operator_);
	ok(record_party_encode(&p, &party, &e), &e);
	r.party = (struct rec_span){ party.p, party.len };
	ok(record_batch_opened_encode(&r, &body, &e), &e);
	en.body = body.p;
	en.body_len = body.len;
	memcpy(t.batch_id, id, 16);
	memcpy(t.root_id, root != NULL ? root : id, 16);
	memcpy(t.list_sha256, list, 32);
	memcpy(t.outputs_sha256, outputs, 32);
	memcpy(t.spki_sha256, spki, 32);
	sample_begin(a);
	ok(log_append(a, &en, &t.opened_seq, &e), &e);
	ok(log_track_open(a, &t, &e), &e);
	intent = run.seq = sample_intent(a, id, 0, 4);
	ok(log_track_items(a, t.opened_seq, 0, 3, &run, 1, &e), &e);
	sample_commit(a);
	sample_verifies(0);
	sample_begin(a);
	for (uint64_t i = 0; i < 4; i++) {
		uint64_t seq = sample_outcome(a, id, intent, i, REC_SIGNED);

		run = i == 0
			? (struct item_run){ 0, 1, RUN_SIGNED, seq }
			: (struct item_run){ 0, i + 1, RUN_SIGNED, run.seq };
	}
	ok(log_intent_done(a, intent, &e), &e);
	ok(log_track_items(a, t.opened_seq, 0, 3, &run, 1, &e), &e);
	sample_commit(a);
	buf_free(&body);
	buf_free(&party);
	return t.opened_seq;
}

static void
close_tracked(ofs_audit *a, const uint8_t id[16], uint64_t opened,
	uint64_t skipped, int code)
{
	struct rec_batch_closed r = { .opened_seq = opened,
		.signed_ = 4,
		.skipped = skipped,
		.code = code };
	struct buf body = BUF_INIT;
	uint64_t seq;

	sample_begin(a);
	ok(record_batch_closed_encode(&r, &body, &e), &e);
	seq = sample_append(a, OFS_REC_BATCH_CLOSED, id, &body, NULL);
	ok(log_track_close(a, opened, seq, code == 0 && skipped == 6, &e), &e);
	sample_commit(a);
}

static int
count_track(void *arg, const struct track *t)
{
	(void)t;
	++*(int *)arg;
	return 0;
}

static int
tracks(ofs_audit *a)
{
	int n = 0;

	ok(log_each_track(a, count_track, &n, &e), &e);
	return n;
}

/* logs of the formats before: read, written, verified, and raised */
static void
old_logs_go_on(void **state)
{
	static const uint8_t first[16] = { 7 }, second[16] = { 8 };
	struct ofs_audit_report rep;
	uint64_t opened;
	ofs_audit *a;

	(void)state;
	for (int version = 1; version <= 2; version++) {
		shell("rm -rf '%s'", log_dir);
		a = sample_open(OFS_AUDIT_CREATE);
		sample_whole_batch(a, 1, 20);
		ofs_audit_free(a);
		assert_int_equal(version_of(log_dir), 1);
		make_old(version);
		sample_verifies(0);

		/* what such a log can hold leaves it what it is */
		a = sample_open(0);
		assert_int_equal(tracks(a), 0);
		sample_whole_batch(a, 2, 20);
		assert_int_equal(version_of(log_dir), version);
		sample_verifies(0);

		opened = begin_tracked(a, first, NULL);
		assert_int_equal(version_of(log_dir), 3);
		assert_int_equal(tracks(a), 1);
		sample_verifies(0);
		ofs_audit_free(a);

		a = sample_open(0);
		close_tracked(a, first, opened, 0, OFS_EINTR);
		assert_int_equal(tracks(a), 1);
		sample_verifies(0);
		/* all are signed, and not all released */
		opened = begin_tracked(a, second, first);
		close_tracked(a, second, opened, 6, OFS_EITEMS);
		assert_int_equal(tracks(a), 2);
		sample_verifies(0);
		opened = begin_tracked(a, second, first);
		close_tracked(a, second, opened, 6, 0);
		assert_int_equal(tracks(a), 0);
		sample_whole_batch(a, 3, 20);
		ofs_audit_free(a);
		ok(sample_verify(&rep, &e), &e);
		assert_int_equal(rep.batches, 6);
		assert_int_equal(version_of(log_dir), 3);
	}
}

/* an event of the log itself makes any log one of format 4 */
static void
events_raise_logs(void **state)
{
	struct rec_log_event r = { .event = "read" };
	struct buf body = BUF_INIT;
	ofs_audit *a;

	(void)state;
	for (int version = 1; version <= 3; version++) {
		shell("rm -rf '%s'", log_dir);
		a = sample_open(OFS_AUDIT_CREATE);
		sample_whole_batch(a, 1, 20);
		ofs_audit_free(a);
		if (version < 3)
			make_old(version);
		a = sample_open(0);
		sample_begin(a);
		log_operator(a, &r.operator_);
		ok(record_log_event_encode(&r, &body, &e), &e);
		(void)sample_append(a, OFS_REC_LOG_EVENT, NULL, &body, NULL);
		sample_commit(a);
		sample_whole_batch(a, 2, 20);
		ofs_audit_free(a);
		assert_int_equal(version_of(log_dir), 4);
		sample_verifies(0);
	}
}

/* one run at a time, whatever transactions come and go meanwhile */
static void
a_list_is_held(void **state)
{
	struct track t = { .items = 1, .form = "cms x" };
	ofs_audit *a, *b;
	uint64_t ours, theirs;

	(void)state;
	a = sample_open(OFS_AUDIT_CREATE);
	b = sample_open(0);
	ok(log_list_hold(a, &t, &ours, &e), &e);
	assert_int_equal(log_list_hold(a, &t, &theirs, &e), OFS_EEXIST);
	assert_int_equal(log_list_hold(b, &t, &theirs, &e), OFS_EEXIST);
	sample_begin(a);
	log_rollback(a);
	assert_int_equal(log_list_hold(b, &t, &theirs, &e), OFS_EEXIST);
	t.form[4] = 'y';
	ok(log_list_hold(b, &t, &theirs, &e), &e);
	log_batch_release(b, theirs);
	t.form[4] = 'x';
	log_batch_release(a, ours);
	ok(log_list_hold(b, &t, &theirs, &e), &e);
	ofs_audit_free(b);
	ofs_audit_free(a);
}

/* a resumed batch must be one that is there; unknown formats are refused */
static void
wrong_links_are_found(void **state)
{
	static const uint8_t id[16] = { 9 }, nobody[16] = { 10 };
	char path[160];
	ofs_audit *a;
	sqlite3 *db;

	(void)state;
	shell("rm -rf '%s'", log_dir);
	a = sample_open(OFS_AUDIT_CREATE);
	(void)begin_tracked(a, id, NULL);
	sample_verifies(0);
	ofs_audit_free(a);
	snprintf(path, sizeof(path), "%s/log.db", log_dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_exec(db, "PRAGMA user_version = 2", NULL, NULL, NULL);
	sample_refused(0, OFS_EDAMAGED, "tables of the audit log");
	sqlite3_exec(db, "PRAGMA user_version = 5", NULL, NULL, NULL);
	sample_refused(0, OFS_EAUDIT, "format is 5");
	sqlite3_exec(db, "PRAGMA user_version = 3", NULL, NULL, NULL);
	sqlite3_close(db);

	a = sample_open(0);
	sample_begin(a);
	{
		struct rec_batch_opened r = { .list_sha256 = { list, 32 },
			.items = 10,
			.format = "cms",
			.mechanism = "ecdsa-sha256",
			.outputs_sha256 = { outputs, 32 },
			.resumes = { nobody, 16 } };
		struct buf body = BUF_INIT, party = BUF_INIT;
		struct rec_party p = { .key.spki_sha256 = { spki, 32 } };

		log_operator(a, &p.operator_);
		ok(record_party_encode(&p, &party, &e), &e);
		r.party = (struct rec_span){ party.p, party.len };
		ok(record_batch_opened_encode(&r, &body, &e), &e);
		buf_free(&party);
		(void)sample_append(
			a, OFS_REC_BATCH_OPENED, nobody, &body, NULL);
	}
	sample_commit(a);
	ofs_audit_free(a);
	assert_int_equal(sample_verify(&(struct ofs_audit_report){ 0 }, &e),
		OFS_EDAMAGED);
	assert_non_null(strstr(e.message, "resumes"));
}

/* an open-ended batch with items 5 to 7, one of each status */
static void
open_ended_log(const struct rec_batch_closed *end, uint64_t items)
{
	static const uint8_t id[16] = { 11 };
	struct rec_batch_opened r = { .items = items, .format = "cms" };
	struct rec_batch_closed closed = *end;
	struct buf body = BUF_INIT, party = BUF_INIT;
	uint64_t intent;
	ofs_audit *a;

	shell("rm -rf '%s'", log_dir);
	a = sample_open(OFS_AUDIT_CREATE);
	sample_begin(a);
	sample_party(a, &party);
	r.party = (struct rec_span){ party.p, party.len };
	ok(record_batch_opened_encode(&r, &body, &e), &e);
	buf_free(&party);
	closed.opened_seq =
		sample_append(a, OFS_REC_BATCH_OPENED, id, &body, NULL);
	intent = sample_intent(a, id, 5, 3);
	for (uint64_t i = 0; i < 3; i++)
		(void)sample_outcome(
			a, id, intent, 5 + i, (enum rec_status)(i + 1));
	ok(log_intent_done(a, intent, &e), &e);
	buf_reset(&body);
	ok(record_batch_closed_encode(&closed, &body, &e), &e);
	(void)sample_append(a, OFS_REC_BATCH_CLOSED, id, &body, NULL);
	sample_commit(a);
	ofs_audit_free(a);
}

static void
open_ended_is_damaged(const char *words)
{
	assert_int_equal(sample_verify(&(struct ofs_audit_report){ 0 }, &e),
		OFS_EDAMAGED);
	if (strstr(e.message, words) == NULL)
		fail_msg("%s", e.message);
}

/* the list of an open-ended batch is known when it is closed */
static void
open_ended_lists_are_checked(void **state)
{
	struct rec_batch_closed c = { .signed_ = 1,
		.failed = 1,
		.skipped = 5,
		.not_attempted = 1,
		.list_sha256 = { list, 32 } };

	(void)state;
	open_ended_log(&c, 0);
	ok(sample_verify(&(struct ofs_audit_report){ 0 }, &e), &e);
	open_ended_log(&c, 3);
	open_ended_is_damaged("no known list");
	c.list_sha256.n = 31;
	open_ended_log(&c, 0);
	open_ended_is_damaged("of that length");
	c.list_sha256.p = NULL;
	open_ended_log(&c, 0);
	open_ended_is_damaged("no digest of the list");
	/* cut off: somebody else closed it */
	c.code = OFS_EINTR;
	open_ended_log(&c, 0);
	ok(sample_verify(&(struct ofs_audit_report){ 0 }, &e), &e);
	c.code = 0;
	c.list_sha256 = (struct rec_span){ list, 32 };
	c.skipped = 4;
	open_ended_log(&c, 0);
	open_ended_is_damaged("has an item 7");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs_are_what_was_put),
		cmocka_unit_test(old_logs_go_on),
		cmocka_unit_test(events_raise_logs),
		cmocka_unit_test(a_list_is_held),
		cmocka_unit_test(wrong_links_are_found),
		cmocka_unit_test(open_ended_lists_are_checked),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, sample_setup, sample_teardown);
}
