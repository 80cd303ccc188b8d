/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists that are begun by one batch and finished by others, exactly once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include <offlinesig.h>

#include "audit/track.h"
#include "base/file.h"
#include "crypto/digest.h"
#include "faultp11.h"
#include "station_kit.h"

#define LABEL "resume"
#define KEY_URI "pkcs11:token=" LABEL ";object=signer"
#define CRASH_STATUS 77

/* a list of documents DIR/NAME-N, signed below DIR/NAME.out */
struct batch_of {
	const char *name;
	int items;
	size_t end_at; /* this result ends the process, or cancels */
	bool die, memory;
	struct ofs_sign_opts opts;
	/* what came of it */
	ofs_batch *batch;
	struct ofs_progress p;
	size_t results;
	size_t by_status[5];
	char message[1024];
	int code, nested, abandoned;
	struct fixture *nest; /* another run of the list, at the first result */
};

static const char *self;
static int run_list(struct fixture *f, struct batch_of *b);

static int
abandon(void *arg, const struct ofs_batch_state *st)
{
	struct fixture *f = arg;

	return ofs_batch_abandon(f->ctx, f->audit, st->batch_id, "a test");
}

static void
note(void *arg, const struct ofs_result *r)
{
	struct batch_of *b = arg;
	struct batch_of other = {
		.name = b->name, .items = b->items, .opts = OFS_SIGN_OPTS_INIT
	};

	b->by_status[r->status]++;
	if (r->message[0] != '\0')
		snprintf(b->message, sizeof(b->message), "%s", r->message);
	if (b->nest != NULL && b->results == 0) {
		b->nested = run_list(b->nest, &other);
		b->abandoned = ofs_audit_each_unfinished(
			b->nest->audit, abandon, b->nest);
	}
	if (++b->results != b->end_at)
		return;
	if (b->die)
		_exit(CRASH_STATUS);
	ofs_batch_cancel(b->batch);
}

static char *
output_of(const struct fixture *f, const char *name, int i)
{
	return in_dir(f, "%s.out%s/%s-%d.p7s", name, f->dir, name, i);
}

static void
make_list(const struct fixture *f, const char *name, int items)
{
	for (int i = 0; i < items; i++) {
		char *path = in_dir(f, "%s-%d", name, i);

		put(path, path);
	}
}

static int
run_list(struct fixture *f, struct batch_of *b)
{
	b->opts.out_dir = in_dir(f, "%s.out", b->name);
	b->results = 0;
	b->message[0] = '\0';
	memset(b->by_status, 0, sizeof(b->by_status));
	if (ofs_batch_new(f->ctx, f->key, f->audit, &b->opts, &b->batch) != 0)
		return ofs_ctx_error(f->ctx)->code;
	ofs_batch_on_result(b->batch, note, b);
	for (int i = 0; i < b->items; i++)
		if (b->memory)
			(void)ofs_batch_add_bytes(b->batch, b->name, "pay", 3);
		else
			(void)ofs_batch_add_file(
				b->batch, in_dir(f, "%s-%d", b->name, i), NULL);
	b->code = ofs_batch_run(b->batch, &b->p);
	if (b->code != 0)
		snprintf(b->message, sizeof(b->message), "%s",
			ofs_batch_error(b->batch)->message);
	ofs_batch_free(b->batch);
	return b->code;
}

static int
setup(void **state)
{
	char counts[700];

	softhsm_start();
	snprintf(counts, sizeof(counts), "%s/counts", softhsm_dir());
	setenv("FAULTP11_COUNTS", counts, 1);
	*state = make_signer(LABEL, KEY_URI);
	return 0;
}

/* C_Sign of all processes */
static unsigned long
calls(void)
{
	char line[64], name[32];
	unsigned long n, found = 0;
	FILE *file = fopen(getenv("FAULTP11_COUNTS"), "r");

	assert_non_null(file);
	while (fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "%lu %31s", &n, name) == 2 &&
			strcmp(name, "C_Sign") == 0)
			found = n;
	fclose(file);
	return found;
}

struct census {
	struct fixture *f;
	const char *name;
	int items;
	int *outcomes;  /* signed, of each item */
	int mismatches; /* files that are not what was recorded */
};

static int
count_outcome(void *arg, const ofs_record *rec)
{
	struct census *c = arg;
	struct ofs_field path, sum;
	struct ofs_record_head h;
	uint8_t ours[32];
	struct buf b = BUF_INIT;
	struct ofs_error e;
	const char *found;
	char text[1024];
	int i;

	ofs_record_get_head(rec, &h);
	if (h.type != OFS_REC_OUTCOME ||
		!ofs_record_find(rec, "output_path", &path) ||
		path.len >= sizeof(text))
		return 0;
	memcpy(text, path.bytes, path.len);
	text[path.len] = '\0';
	found = strrchr(text, '/');
	if (strncmp(found + 1, c->name, strlen(c->name)) != 0 ||
		sscanf(found + 1 + strlen(c->name), "-%d.p7s", &i) != 1 ||
		i >= c->items)
		return 0;
	c->outcomes[i]++;
	assert_true(ofs_record_find(rec, "output_sha256", &sum));
	if (file_read(output_of(c->f, c->name, i), 1 << 20, &b, &e) != 0 ||
		digest_of(&digest_sha256, b.p, b.len, ours, &e) != 0 ||
		memcmp(ours, sum.bytes, 32) != 0)
		c->mismatches++;
	buf_free(&b);
	return 0;
}

/* how many items of the list have exactly one signed outcome and its file */
static int
exactly_once(struct fixture *f, const char *name, int items)
{
	struct census c = { f, name, items, calloc((size_t)items, sizeof(int)),
		0 };
	int once = 0;

	assert_int_equal(ofs_audit_list(f->audit, 0, 0, count_outcome, &c), 0);
	for (int i = 0; i < items; i++)
		once += c.outcomes[i] == 1;
	free(c.outcomes);
	return c.mismatches == 0 ? once : -c.mismatches;
}

static int
add_one(void *arg, const struct track *t)
{
	(void)t;
	++*(size_t *)arg;
	return 0;
}

static size_t
tracked(struct fixture *f)
{
	struct ofs_error e;
	size_t n = 0;

	assert_int_equal(log_each_track(f->audit, add_one, &n, &e), 0);
	return n;
}

/* in a process of its own */
static int
crash(const char *dir, const char *name, int items, size_t end_at)
{
	struct fixture f = { 0 };
	struct batch_of b = { .name = name,
		.items = items,
		.end_at = end_at,
		.die = true,
		.memory = strcmp(name, "memory") == 0,
		.opts = OFS_SIGN_OPTS_INIT };

	softhsm_join(dir);
	open_station(&f, LABEL);
	if (ofs_key_open(f.token, KEY_URI, 0, &f.key) != 0)
		return 1;
	b.opts.resign_unknown = true;
	(void)run_list(&f, &b);
	return 1;
}

static void
run_crash(const char *name, int items, int end_at)
{
	char n[16], at[16];
	const char *argv[] = { self, softhsm_dir(), name, n, at, NULL };

	snprintf(n, sizeof(n), "%d", items);
	snprintf(at, sizeof(at), "%d", end_at);
	assert_int_equal(softhsm_run(argv), CRASH_STATUS);
}

static void
finishes_what_a_crash_left(void **state)
{
	enum { ITEMS = 600 };
	struct fixture *f = *state;
	struct ofs_audit_report before, r;
	struct batch_of b = {
		.name = "crash", .items = ITEMS, .opts = OFS_SIGN_OPTS_INIT
	};
	unsigned long start, lost;
	size_t unknown;

	make_list(f, "crash", ITEMS);
	verify_log(f, &before);
	start = calls();
	run_crash("crash", ITEMS, 300);
	verify_log(f, &r);
	assert_int_equal(r.unclosed_batches, 1);
	/* signed by the token, and never heard of again */
	lost = calls() - start - (r.signed_items - before.signed_items);
	unknown = r.unknown_items;
	assert_int_equal(tracked(f), 1);

	assert_int_equal(run_list(f, &b), unknown > 0 ? OFS_EITEMS : 0);
	assert_int_equal(b.by_status[OFS_ITEM_UNKNOWN], unknown);
	assert_int_equal(b.by_status[OFS_ITEM_SKIPPED], b.p.resumed);
	assert_int_equal(b.p.resumed, r.signed_items - before.signed_items);
	assert_int_equal(
		b.by_status[OFS_ITEM_SIGNED], ITEMS - unknown - b.p.resumed);
	assert_int_equal(strlen(b.p.resumes), 32);
	verify_log(f, &r);
	assert_int_equal(r.unclosed_batches, 0);
	assert_int_equal(r.pending_outputs, 0);
	assert_int_equal(exactly_once(f, "crash", ITEMS), ITEMS - unknown);
	assert_int_equal(calls() - start, ITEMS - unknown + lost);

	b.opts.resign_unknown = true;
	assert_int_equal(run_list(f, &b), 0);
	assert_int_equal(b.by_status[OFS_ITEM_SIGNED], unknown);
	verify_log(f, &r);
	assert_int_equal(exactly_once(f, "crash", ITEMS), ITEMS);
	assert_int_equal(calls() - start, ITEMS + lost);
	assert_true(lost <= unknown);
	assert_int_equal(tracked(f), 0);
}

/* crashes of the ones that go on, too */
static void
finishes_after_many_crashes(void **state)
{
	enum { ITEMS = 400 };
	struct fixture *f = *state;
	struct ofs_audit_report r;
	struct batch_of b = {
		.name = "again", .items = ITEMS, .opts = OFS_SIGN_OPTS_INIT
	};

	make_list(f, "again", ITEMS);
	for (int at = 40; at <= 320; at += 70) {
		run_crash("again", ITEMS, at);
		verify_log(f, &r);
	}
	b.opts.resign_unknown = true;
	assert_int_equal(run_list(f, &b), 0);
	verify_log(f, &r);
	assert_int_equal(r.unclosed_batches, 0);
	assert_int_equal(exactly_once(f, "again", ITEMS), ITEMS);
	assert_int_equal(tracked(f), 0);
}

static void
goes_on_after_cancelling(void **state)
{
	enum { ITEMS = 900 };
	struct fixture *f = *state;
	struct ofs_audit_report r;
	struct batch_of b = { .name = "cancel",
		.items = ITEMS,
		.end_at = 20,
		.opts = OFS_SIGN_OPTS_INIT };
	unsigned long start;
	char first[33];
	size_t done;

	make_list(f, "cancel", ITEMS);
	start = calls();
	assert_int_equal(run_list(f, &b), OFS_EINTR);
	assert_string_equal(b.p.resumes, "");
	done = b.p.signed_items;
	assert_true(done >= 20 && done < ITEMS);
	snprintf(first, sizeof(first), "%s", b.p.batch_id);
	verify_log(f, &r);
	assert_int_equal(tracked(f), 1);

	/* other lists have nothing to do with it */
	b.items = ITEMS - 1;
	b.opts.resume = first;
	assert_int_equal(run_list(f, &b), OFS_EMISMATCH);
	assert_non_null(strstr(b.message, "900 items then, 899 now"));
	b.opts.resume = "0123456789";
	assert_int_equal(run_list(f, &b), OFS_EFORMAT);
	b.opts.resume = "012";
	assert_int_equal(run_list(f, &b), OFS_EINVAL);
	b.opts.resume = NULL;

	b.items = ITEMS;
	b.end_at = 0;
	first[6] = '\0';
	b.opts.resume = first;
	assert_int_equal(run_list(f, &b), 0);
	assert_int_equal(strncmp(b.p.resumes, first, 6), 0);
	assert_int_equal(b.p.resumed, done);
	assert_int_equal(b.by_status[OFS_ITEM_SKIPPED], done);
	assert_int_equal(calls() - start, ITEMS);
	assert_int_equal(exactly_once(f, "cancel", ITEMS), ITEMS);
	verify_log(f, &r);
	assert_int_equal(tracked(f), 0);
}

/* what happens to documents and signatures between two runs */
static void
looks_at_what_stands(void **state)
{
	enum { ITEMS = 200 };
	struct fixture *f = *state;
	struct ofs_audit_report r;
	struct batch_of b = { .name = "look",
		.items = ITEMS,
		.end_at = 20,
		.opts = OFS_SIGN_OPTS_INIT };
	unsigned long start;
	size_t done;

	make_list(f, "look", ITEMS);
	/* one that can never be signed: the list stays unfinished */
	assert_int_equal(unlink(in_dir(f, "look-199")), 0);
	start = calls();
	(void)run_list(f, &b);
	done = b.p.signed_items;
	assert_true(done >= 20);
	put(in_dir(f, "look-1"), "changed");
	assert_int_equal(unlink(output_of(f, "look", 2)), 0);
	put(output_of(f, "look", 3), "not a signature");
	put(in_dir(f, "look-4"), "changed");
	assert_int_equal(unlink(output_of(f, "look", 4)), 0);

	b.end_at = 0;
	assert_int_equal(run_list(f, &b), OFS_EITEMS);
	/* changed; something else stands there; missing */
	assert_int_equal(b.by_status[OFS_ITEM_FAILED], 3);
	/* 2 is restored, and 4 is another document now */
	assert_int_equal(b.by_status[OFS_ITEM_SKIPPED], done - 3);
	assert_int_equal(calls() - start, ITEMS - 1 + 1);
	verify_log(f, &r);

	/* the recorded signature goes where something else stands */
	b.opts.existing = OFS_EXISTING_REPLACE;
	assert_int_equal(run_list(f, &b), OFS_EITEMS);
	assert_int_equal(b.by_status[OFS_ITEM_FAILED], 2);
	assert_int_equal(calls() - start, ITEMS);

	/* as if all were new */
	put(in_dir(f, "look-199"), "there");
	b.opts.on_duplicate = OFS_DUPLICATE_SIGN;
	assert_int_equal(run_list(f, &b), 0);
	assert_int_equal(calls() - start, 2 * ITEMS);
	verify_log(f, &r);
	assert_int_equal(tracked(f), 0);
}

static void
one_run_of_a_list_at_a_time(void **state)
{
	enum { ITEMS = 40 };
	struct fixture *f = *state;
	struct fixture other = *f;
	struct batch_of b = {
		.name = "once", .items = ITEMS, .opts = OFS_SIGN_OPTS_INIT
	};

	make_list(f, "once", ITEMS);
	/* as another process would: with a handle of its own */
	assert_int_equal(
		ofs_audit_open(f->ctx, in_dir(f, "audit"), 0, &other.audit), 0);
	b.nest = &other;
	assert_int_equal(run_list(f, &b), 0);
	assert_int_equal(b.nested, OFS_EEXIST);
	assert_int_equal(b.abandoned, OFS_EEXIST);
	assert_int_equal(exactly_once(f, "once", ITEMS), ITEMS);
	ofs_audit_free(other.audit);
}

static void
duplicates(void **state)
{
	enum { ITEMS = 30 };
	static const struct {
		enum ofs_duplicate duplicate;
		enum ofs_existing existing;
		int code;
		enum ofs_item_status status;
		unsigned int calls;
	} cases[] = {
		{ OFS_DUPLICATE_DEFAULT, OFS_EXISTING_FAIL, 0, OFS_ITEM_SKIPPED,
			0 },
		{ OFS_DUPLICATE_SKIP, OFS_EXISTING_REPLACE, 0, OFS_ITEM_SKIPPED,
			0 },
		{ OFS_DUPLICATE_REFUSE, OFS_EXISTING_FAIL, OFS_EITEMS,
			OFS_ITEM_FAILED, 0 },
		{ OFS_DUPLICATE_SIGN, OFS_EXISTING_FAIL, OFS_EITEMS,
			OFS_ITEM_FAILED, 0 },
		{ OFS_DUPLICATE_DEFAULT, OFS_EXISTING_REPLACE, 0,
			OFS_ITEM_SIGNED, ITEMS },
	};
	static const enum ofs_format formats[] = { OFS_FORMAT_CMS,
		OFS_FORMAT_CMS_ATTACHED, OFS_FORMAT_RAW };
	struct fixture *f = *state;
	struct batch_of b = {
		.name = "twice", .items = ITEMS, .opts = OFS_SIGN_OPTS_INIT
	};
	unsigned long start;

	make_list(f, "twice", ITEMS);
	for (size_t k = 0; k < 3; k++) {
		b.opts = (struct ofs_sign_opts)OFS_SIGN_OPTS_INIT;
		b.opts.format = formats[k];
		assert_int_equal(run_list(f, &b), 0);
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			b.opts.on_duplicate = cases[i].duplicate;
			b.opts.existing = cases[i].existing;
			start = calls();
			assert_int_equal(run_list(f, &b), cases[i].code);
			assert_int_equal(b.by_status[cases[i].status], ITEMS);
			assert_int_equal(calls() - start, cases[i].calls);
		}
	}
	/* the document of another signature */
	put(in_dir(f, "twice-0"), "changed");
	b.opts = (struct ofs_sign_opts)OFS_SIGN_OPTS_INIT;
	assert_int_equal(run_list(f, &b), OFS_EITEMS);
	assert_int_equal(b.by_status[OFS_ITEM_FAILED], 1);
	assert_int_equal(tracked(f), 0);
}

static void
memory_items_are_not_gone_on_with(void **state)
{
	struct fixture *f = *state;
	struct ofs_sign_opts o = OFS_SIGN_OPTS_INIT;
	struct ofs_audit_report r;
	struct ofs_progress p;
	ofs_batch *b;

	for (int i = 0; i < 2; i++) {
		assert_int_equal(
			ofs_batch_new(f->ctx, f->key, f->audit, &o, &b), 0);
		assert_int_equal(ofs_batch_add_bytes(b, "-", "x", 1), 0);
		assert_int_equal(
			ofs_batch_add_file(b, in_dir(f, "none"), NULL), 0);
		assert_int_equal(ofs_batch_run(b, &p), OFS_EITEMS);
		assert_int_equal(p.signed_items, 1);
		assert_int_equal(tracked(f), 0);
		ofs_batch_free(b);
	}
	/* one that was cut off is closed, by what its records say */
	run_crash("memory", 300, 100);
	verify_log(f, &r);
	assert_int_equal(r.unclosed_batches, 1);
	assert_int_equal(ofs_batch_new(f->ctx, f->key, f->audit, &o, &b), 0);
	assert_int_equal(ofs_batch_add_bytes(b, "-", "x", 1), 0);
	assert_int_equal(ofs_batch_run(b, &p), 0);
	ofs_batch_free(b);
	verify_log(f, &r);
	assert_int_equal(r.unclosed_batches, 0);
	o.resume = "abcdef";
	assert_int_equal(ofs_batch_new(f->ctx, f->key, f->audit, &o, &b), 0);
	assert_int_equal(ofs_batch_add_bytes(b, "-", "x", 1), 0);
	assert_int_equal(ofs_batch_run(b, &p), OFS_EINVAL);
	ofs_batch_free(b);
}

/* the tables are checked against the records */
static void
tables_are_verified(void **state)
{
	static const char *const changes[] = {
		"UPDATE batch_item SET status = 2 WHERE status = 1",
		"UPDATE batch_item SET seq = seq + 1",
		"UPDATE batch_item SET n = n + 1",
		"UPDATE batch_item SET n = n - 1 WHERE n > 1",
		"UPDATE batch_item SET first = first + 1000",
		"UPDATE batch_item SET opened_seq = opened_seq + 1",
		"DELETE FROM batch_item WHERE first = 0",
		"INSERT INTO batch_item VALUES ((SELECT max(opened_seq) FROM "
		"batch), 150, 1, 1, 3)",
		"DELETE FROM batch",
		"UPDATE batch SET items = items + 1",
		"UPDATE batch SET closed_seq = 0",
		"UPDATE batch SET root_id = zeroblob(16)",
		"UPDATE batch SET list_sha256 = zeroblob(32)",
		"UPDATE batch SET outputs_sha256 = zeroblob(32)",
		"UPDATE batch SET spki_sha256 = zeroblob(32)",
		"UPDATE batch SET form = x'41'",
		"UPDATE batch SET batch_id = zeroblob(16)",
		"INSERT INTO batch SELECT 1, batch_id, root_id, list_sha256, "
		"outputs_sha256, spki_sha256, form, items, closed_seq FROM batch",
	};
	struct fixture *f = *state;
	struct ofs_audit_report r;
	struct batch_of b = { .name = "table",
		.items = 200,
		.end_at = 20,
		.opts = OFS_SIGN_OPTS_INIT };
	ofs_audit *copy;
	sqlite3 *db;
	char cmd[2048];

	make_list(f, "table", 140);
	assert_true(run_list(f, &b) != 0);
	assert_int_equal(tracked(f), 1);
	verify_log(f, &r);
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		snprintf(cmd, sizeof(cmd), "rm -rf '%s' && cp -a '%s' '%s'",
			in_dir(f, "copy"), in_dir(f, "audit"),
			in_dir(f, "copy"));
		assert_int_equal(system(cmd), 0);
		assert_int_equal(
			sqlite3_open(in_dir(f, "copy/log.db"), &db), 0);
		if (sqlite3_exec(db, changes[i], NULL, NULL, NULL) != 0)
			fail_msg("%s: %s", changes[i], sqlite3_errmsg(db));
		assert_true(sqlite3_changes(db) > 0);
		sqlite3_close(db);
		assert_int_equal(ofs_audit_open(f->ctx, in_dir(f, "copy"),
					 OFS_AUDIT_READ_ONLY, &copy),
			0);
		if (ofs_audit_verify(copy, NULL, NULL, &r) != OFS_EDAMAGED)
			fail_msg("not noticed: %s", changes[i]);
		ofs_audit_free(copy);
	}
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(finishes_what_a_crash_left),
		cmocka_unit_test(finishes_after_many_crashes),
		cmocka_unit_test(goes_on_after_cancelling),
		cmocka_unit_test(looks_at_what_stands),
		cmocka_unit_test(one_run_of_a_list_at_a_time),
		cmocka_unit_test(duplicates),
		cmocka_unit_test(memory_items_are_not_gone_on_with),
		cmocka_unit_test(tables_are_verified),
	};

	self = argv[0];
	setenv("OFS_TEST_MODULE", fault_path(), 1);
	if (argc == 5)
		return crash(
			argv[1], argv[2], atoi(argv[3]), (size_t)atoi(argv[4]));
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("resume", tests, setup, end_station);
}
