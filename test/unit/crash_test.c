/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The power goes at every write and sync of a log, or one of these fails: what
 * was promised holds, and the log goes on.
 */
#include "crash_work.h"

#include <dirent.h>

#include "base/file.h"
#include "sign/recover.h"

#define CRASHES 60 /* of each log and kind; all with OFS_LONG */
#define FAULTS 40

static uint64_t seed;
static char now[160]; /* the case, for messages */

static void
fails(const char *what, const struct ofs_error *e)
{
	fail_msg("%s: %s: %s", now, what, e != NULL ? e->message : "");
}

static void
make_dirs(void)
{
	shell("cd '%s' && rm -rf log keys out && mkdir -m 700 log keys out",
		sample_dir);
}

/* an empty disk that counts, and fails as it is told */
static void
fresh_disk(enum crash_fault kind, size_t n)
{
	crashvfs_off();
	make_dirs();
	disk_begin(sample_dir);
	crashvfs_on(kind, n);
}

struct seen {
	struct {
		enum thing_kind kind;
		uint64_t seq;
	} of[THINGS_MAX];
	size_t n;
};

static int
see(struct seen *s, enum thing_kind kind, uint64_t seq)
{
	assert_true(s->n < THINGS_MAX);
	s->of[s->n].kind = kind;
	s->of[s->n++].seq = seq;
	return 0;
}

static int
see_batch(void *arg, const struct log_open_batch *b)
{
	return see(arg, THING_BATCH, b->opened_seq);
}

static int
see_intent(void *arg, const struct log_open_intent *i)
{
	return see(arg, THING_INTENT, i->intent_seq);
}

static int
see_pending(void *arg, const struct log_pending *p)
{
	/* an output is its path */
	if (p->path != NULL &&
		(p->n != strlen(p->path) || memcmp(p->p, p->path, p->n) != 0))
		fails("another output is pending", NULL);
	return see(arg, THING_PENDING, p->outcome_seq);
}

static void
look(ofs_audit *a, struct seen *s)
{
	struct ofs_error e;

	s->n = 0;
	ok(log_each_open_batch(a, see_batch, s, &e), &e);
	ok(log_each_open_intent(a, see_intent, s, &e), &e);
	ok(log_each_pending(a, 0, see_pending, s, &e), &e);
}

static bool
is_seen(const struct seen *s, const struct thing *t)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->of[i].kind == t->kind && s->of[i].seq == t->seq)
			return true;
	return false;
}

/* what was open is known, and what was closed is not open any more */
static void
check_things(ofs_audit *a, size_t n)
{
	struct seen s;

	look(a, &s);
	for (size_t i = 0; i < work.n_things; i++) {
		const struct thing *t = &work.things[i];
		bool is = is_seen(&s, t);

		if (t->added <= n && (t->leaving == NEVER || t->leaving > n) &&
			!is)
			fails("something open is forgotten", NULL);
		if (t->left != NEVER && t->left <= n && is)
			fails("something done is open again", NULL);
	}
}

static void
check_root(ofs_audit *a, const struct work_ack *k)
{
	struct ofs_error e;
	uint8_t root[32];
	int rc;

	ok(store_begin(&a->store, false, &e), &e);
	rc = store_root_at(&a->store, k->size, root, &e);
	store_rollback(&a->store);
	if (rc != 0)
		fails("the tree", &e);
	if (memcmp(root, k->root, sizeof(root)) != 0)
		fails("what was acknowledged is changed", NULL);
}

/* nothing that was acknowledged within the first n events is missing */
static void
check_acks(ofs_audit *a, size_t n)
{
	const struct work_ack *k = NULL;

	for (size_t i = 0; i < work.n_acks; i++)
		if (work.acks[i].at <= n)
			k = &work.acks[i];
	if (k == NULL)
		return;
	if (a->state.size < k->size)
		fails("acknowledged records are missing", NULL);
	if (!a->head.present || head_newest(&a->head)->size < k->size)
		fails("the head file does not know of all", NULL);
	check_root(a, k);
	/* and an older one */
	check_root(a,
		&work.acks[disk_random(&seed) % (size_t)(k - work.acks + 1)]);
}

static void
verify(ofs_audit *a, struct ofs_audit_report *rep)
{
	struct ofs_error e;

	if (ofs_audit_verify(a, NULL, NULL, rep) != 0) {
		ofs_audit_error(a, &e);
		fails("verification", &e);
	}
}

static void
check_released(const struct seen *s)
{
	struct buf b = BUF_INIT;
	struct ofs_error e;
	char path[160];

	for (size_t i = 0; i < work.n_things; i++) {
		if (work.things[i].kind != THING_PENDING ||
			!is_seen(s, &work.things[i]))
			continue;
		sample_output(work.things[i].index, path, sizeof(path));
		buf_reset(&b);
		if (file_read(path, sizeof(path), &b, &e) != 0)
			fails("an output", &e);
		if (b.len != strlen(path) || memcmp(b.p, path, b.len) != 0)
			fails("an output is another one", NULL);
	}
	buf_free(&b);
}

/* a later run finishes what is left; then the log goes on */
static void
go_on(ofs_audit *a)
{
	struct ofs_audit_report rep;
	struct seen before, after;
	struct ofs_error e;

	look(a, &before);
	if (recover_run(sample_ctx, a, &e) != 0)
		fails("recovery", &e);
	look(a, &after);
	if (work.log != WORK_SEALED) {
		if (after.n != 0)
			fails("recovery leaves something", NULL);
		check_released(&before);
	}
	sample_whole_batch(a, 0xee, 2);
	verify(a, &rep);
	if (rep.unclosed_batches != 0 || !rep.head_present)
		fails("it does not go on well", NULL);
}

/* a log that was not yet made is there, or can be made */
static ofs_audit *
open_or_make(bool made)
{
	bool init_first = !made && disk_random(&seed) % 2 == 0;
	ofs_audit *a;
	int rc;

	if (!init_first && ofs_audit_open(sample_ctx, log_dir, 0, &a) == 0)
		return a;
	if (made)
		fails("opening", ofs_ctx_error(sample_ctx));
	rc = work_init(work.log);
	if (rc != 0 && !(init_first && rc == OFS_EEXIST))
		fails("making a log", ofs_ctx_error(sample_ctx));
	if (ofs_audit_open(sample_ctx, log_dir, 0, &a) != 0)
		fails("opening a new one", ofs_ctx_error(sample_ctx));
	return a;
}

/* all that AUDIT promises of the files as they are, after n events */
static void
check_log(size_t n)
{
	struct ofs_audit_report rep;
	struct ofs_error e;
	ofs_audit *a = open_or_make(work.created <= n);

	check_acks(a, n);
	verify(a, &rep);
	check_things(a, n);
	go_on(a);
	ofs_audit_free(a);
	if (sample_verify(&rep, &e) != 0)
		fails("verification in the end", &e);
}

static void
crash_at(size_t n, enum disk_left how)
{
	static const char *const left[] = { "dropped", "kept", "some files",
		"some sectors", "garbled" };
	uint64_t chance = disk_random(&seed);
	char event[80];

	disk_describe(n, event, sizeof(event));
	snprintf(now, sizeof(now), "%s log, %zu of %zu events (%s), %s",
		work_names[work.log], n, disk_events(), event, left[how]);
	disk_lose_power(n, how, chance);
	check_log(n);
}

static void
loses_power(enum work_log log)
{
	bool all = getenv("OFS_LONG") != NULL;
	size_t n, done = 0;

	fresh_disk(FAULT_NONE, 0);
	assert_true(work_run(log, false));
	crashvfs_off();
	assert_int_equal(work.n_acks, log == WORK_STATION ? 19 : 17);
	n = disk_events();
	for (size_t i = 0; all && i < (n + 1) * LEFT_KINDS; i++, done++)
		crash_at(i / LEFT_KINDS, (enum disk_left)(i % LEFT_KINDS));
	for (; !all && done < CRASHES; done++)
		crash_at(disk_random(&seed) % (n + 1),
			(enum disk_left)(done % LEFT_KINDS));
	print_message("# %s log: %zu crashes at %zu crash points, each in %d "
		      "ways\n",
		work_names[log], done, n + 1, LEFT_KINDS);
	disk_end();
}

static void
loses_power_plain(void **state)
{
	(void)state;
	loses_power(WORK_PLAIN);
}

static void
loses_power_station(void **state)
{
	(void)state;
	loses_power(WORK_STATION);
}

static void
loses_power_sealed(void **state)
{
	(void)state;
	loses_power(WORK_SEALED);
}

/* the n-th call fails; the power goes afterwards, or it does not */
static void
fail_at(enum work_log log, size_t n, enum crash_fault kind, bool power)
{
	static const char *const kinds[] = { "", "EIO", "ENOSPC",
		"a short write", "EIO for ever" };
	uint64_t chance = disk_random(&seed);

	snprintf(now, sizeof(now), "%s log, %s at call %zu%s", work_names[log],
		kinds[kind], n, power ? ", and the power goes" : "");
	fresh_disk(kind, n);
	if (!work_run(log, kind == FAULT_DEAD))
		fails("no log can be made", ofs_ctx_error(sample_ctx));
	assert_true(crashvfs_calls() >= n);
	crashvfs_off();
	if (power)
		disk_lose_power(disk_events(),
			(enum disk_left)(chance % LEFT_KINDS), chance);
	check_log(disk_events());
	disk_end();
}

static void
fails_at_calls(enum work_log log)
{
	bool all = getenv("OFS_LONG") != NULL;
	size_t n, cases, done = 0;

	fresh_disk(FAULT_NONE, 0);
	assert_true(work_run(log, false));
	n = crashvfs_calls();
	cases = n * (FAULT_KINDS - 1);
	for (; all && done < cases; done++)
		fail_at(log, done % n + 1,
			(enum crash_fault)(FAULT_EIO + done / n),
			disk_random(&seed) % 2 == 0);
	for (; !all && done < FAULTS; done++)
		fail_at(log, disk_random(&seed) % n + 1,
			(enum crash_fault)(
				FAULT_EIO + done % (FAULT_KINDS - 1)),
			disk_random(&seed) % 2 == 0);
	print_message("# %s log: %zu failures at %zu calls, each in %d ways\n",
		work_names[log], done, n, FAULT_KINDS - 1);
}

static void
fails_plain(void **state)
{
	(void)state;
	fails_at_calls(WORK_PLAIN);
}

static void
fails_station(void **state)
{
	(void)state;
	fails_at_calls(WORK_STATION);
}

static int
setup(void **state)
{
	const char *s = getenv("SEED");

	seed = s != NULL ? strtoull(s, NULL, 10) : 1;
	print_message("# seed %llu\n", (unsigned long long)seed);
	crashvfs_register();
	sample_setup(state);
	snprintf(sample_out, sizeof(sample_out), "%s/out", sample_dir);
	work_make_cert();
	return 0;
}

static int
teardown(void **state)
{
	crashvfs_off();
	disk_end();
	buf_free(&work_cert);
	return sample_teardown(state);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loses_power_plain),
		cmocka_unit_test(loses_power_station),
		cmocka_unit_test(loses_power_sealed),
		cmocka_unit_test(fails_plain),
		cmocka_unit_test(fails_station),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
