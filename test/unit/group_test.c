/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Many who append at a time: threads share commits, processes take turns. */
#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>

#include "log_sample.h"

#include "audit/handle.h"

#define THREADS 8
#define EACH 40

/* a log of its own for each test */
static int
fresh(void **state)
{
	static int n;

	(void)state;
	snprintf(log_dir, sizeof(log_dir), "%s/log%d", sample_dir, n++);
	return 0;
}

/* a login at a token with this serial, by which it is told from others */
static void
login_at(const char *serial, struct buf *body)
{
	struct rec_login r = {
		.token = { .serial = serial }, .user = "user", .ok = true
	};
	struct ofs_error e;

	r.operator_.name = "nobody";
	buf_reset(body);
	ok(record_login_encode(&r, body, &e), &e);
}

static bool
has_serial(ofs_audit *a, uint64_t seq, const char *serial)
{
	ofs_record *rec;
	struct ofs_field f;
	bool has;

	if (ofs_audit_get(a, seq, &rec) != 0)
		return false;
	has = ofs_record_find(rec, "token.serial", &f) &&
		f.len == strlen(serial) && memcmp(f.bytes, serial, f.len) == 0;
	ofs_record_free(rec);
	return has;
}

struct appender {
	pthread_t id;
	ofs_audit *a;
	struct log_entry en;
	struct buf body;
	char serial[16];
	int n;
	int rc; /* of the last, or 1: not the record that it says */
	struct ofs_error e;
};

static void *
append_singly(void *arg)
{
	struct appender *t = arg;
	uint64_t seq, before = 0;

	t->rc = 0;
	for (int i = 0; i < t->n && t->rc == 0; i++) {
		t->rc = log_append_one(t->a, &t->en, &seq, &t->e);
		if (t->rc == 0 &&
			(seq <= before || !has_serial(t->a, seq, t->serial)))
			t->rc = 1;
		before = seq;
	}
	return NULL;
}

static void
start(struct appender *t, int number, ofs_audit *a, int n)
{
	memset(t, 0, sizeof(*t));
	t->a = a;
	t->n = n;
	snprintf(t->serial, sizeof(t->serial), "thread-%d", number);
	login_at(t->serial, &t->body);
	t->en = (struct log_entry){ .type = OFS_REC_LOGIN,
		.body = t->body.p,
		.body_len = t->body.len };
}

static void
run(struct appender *t)
{
	assert_int_equal(pthread_create(&t->id, NULL, append_singly, t), 0);
}

static void
end(struct appender *t)
{
	assert_int_equal(pthread_join(t->id, NULL), 0);
	buf_free(&t->body);
}

/* each gets the number of its own record */
static void
own_records(void **state)
{
	ofs_audit *a = sample_open(OFS_AUDIT_CREATE);
	struct appender t[THREADS];
	int i;

	(void)state;
	for (i = 0; i < THREADS; i++)
		start(&t[i], i, a, EACH);
	for (i = 0; i < THREADS; i++)
		run(&t[i]);
	for (i = 0; i < THREADS; i++) {
		end(&t[i]);
		ok(t[i].rc, &t[i].e);
	}
	ofs_audit_free(a);
	sample_verifies(1 + THREADS * EACH);
}

/* transactions that ever wrote to the file: its change counter */
static uint32_t
transactions(void)
{
	char path[200];
	uint8_t n[4];
	int fd;

	snprintf(path, sizeof(path), "%s/log.db", log_dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(pread(fd, n, 4, 24), 4);
	close(fd);
	return (uint32_t)n[0] << 24 | (uint32_t)n[1] << 16 |
		(uint32_t)n[2] << 8 | n[3];
}

static int
lock_log(void)
{
	char path[200];
	int fd;

	snprintf(path, sizeof(path), "%s/log.lock", log_dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	return fd;
}

static void
wait_until_queued(ofs_audit *a, size_t n)
{
	size_t queued;

	do {
		usleep(1000);
		pthread_mutex_lock(&a->group.lock);
		queued = a->group.n;
		pthread_mutex_unlock(&a->group.lock);
	} while (queued < n);
}

/* who waits for the same lock is written in the same transaction */
static void
one_commit(void **state)
{
	ofs_audit *a = sample_open(OFS_AUDIT_CREATE);
	struct appender t[THREADS];
	uint32_t before;
	int i, fd;

	(void)state;
	/* read while it is closed: to close it here drops SQLite's locks */
	ofs_audit_free(a);
	before = transactions();
	a = sample_open(0);
	fd = lock_log();
	for (i = 0; i < THREADS; i++) {
		start(&t[i], i, a, 1);
		run(&t[i]);
	}
	wait_until_queued(a, THREADS);
	close(fd);
	for (i = 0; i < THREADS; i++) {
		end(&t[i]);
		ok(t[i].rc, &t[i].e);
	}
	ofs_audit_free(a);
	assert_int_equal(transactions() - before, 1);
	sample_verifies(1 + THREADS);
}

/* a body that is refused spoils nobody else's record */
static void
refused_alone(void **state)
{
	ofs_audit *a = sample_open(OFS_AUDIT_CREATE);
	struct appender t[THREADS];
	int i, fd;

	(void)state;
	fd = lock_log();
	for (i = 0; i < THREADS; i++)
		start(&t[i], i, a, 1);
	/* not DER; DER, but not of a login */
	t[3].en.body_len--;
	t[5].en.type = OFS_REC_RECOVERY;
	for (i = 0; i < THREADS; i++)
		run(&t[i]);
	wait_until_queued(a, THREADS - 2);
	close(fd);
	for (i = 0; i < THREADS; i++) {
		end(&t[i]);
		if (i == 3)
			assert_int_equal(t[i].rc, OFS_EINTERNAL);
		else if (i == 5)
			assert_int_equal(t[i].rc, OFS_EFORMAT);
		else
			ok(t[i].rc, &t[i].e);
	}
	ofs_audit_free(a);
	sample_verifies(1 + THREADS - 2);
}

/* a commit that fails is a failure for all who shared it, and the last one */
static void
failed_together(void **state)
{
	ofs_audit *a = sample_open(OFS_AUDIT_CREATE);
	struct appender t[THREADS];
	struct ofs_audit_report rep;
	struct ofs_error e;
	char path[200];
	int i, fd;

	(void)state;
	fd = lock_log();
	/* its head file can be read, and not written */
	snprintf(path, sizeof(path), "%s/log.head", log_dir);
	close(a->head_fd);
	a->head_fd = open(path, O_RDONLY | O_CLOEXEC);
	for (i = 0; i < THREADS; i++) {
		start(&t[i], i, a, 2);
		run(&t[i]);
	}
	wait_until_queued(a, THREADS);
	close(fd);
	for (i = 0; i < THREADS; i++) {
		end(&t[i]);
		assert_int_equal(t[i].rc, OFS_EAUDIT);
	}
	assert_int_equal(log_begin(a, &e), OFS_EAUDIT);
	assert_non_null(strstr(e.message, "open it anew"));
	ofs_audit_free(a);
	/* each once: nothing was tried again behind the failure */
	ok(sample_verify(&rep, &e), &e);
	assert_int_equal(rep.records, 1 + THREADS);
}

static int
append_in_walk(void *arg, const ofs_record *rec)
{
	(void)rec;
	append_singly(arg);
	return 1; /* or it would never come to the end */
}

static int
append_in_read(void *arg, const struct store_record *r, struct ofs_error *e)
{
	(void)r;
	(void)e;
	append_singly(arg);
	return 0;
}

/* from within a transaction or a walk it is an error, never a deadlock */
static void
not_from_within(void **state)
{
	ofs_audit *a = sample_open(OFS_AUDIT_CREATE);
	struct appender t;
	struct ofs_error e;
	bool nested;

	(void)state;
	start(&t, 0, a, 1);
	sample_begin(a);
	append_singly(&t);
	assert_int_equal(t.rc, OFS_EINTERNAL);
	log_rollback(a);
	ok(handle_enter(a, &nested, &e), &e);
	ok(store_record_each(&a->store, 0, 0, append_in_read, &t, &e), &e);
	assert_int_equal(t.rc, OFS_EINTERNAL);
	handle_leave(a, nested);
	/* what is public gives no lock to its callback */
	assert_int_equal(ofs_audit_list(a, 0, 0, append_in_walk, &t), 1);
	ok(t.rc, &t.e);
	buf_free(&t.body);
	ofs_audit_free(a);
	sample_verifies(2);
}

#define PROCESSES 8
#define AT_ONCE 100
#define ROUNDS 12 /* transactions of each, were all of them equally fast */
#define RECORDS (1 + PROCESSES * ROUNDS * AT_ONCE)

struct race {
	int ready[2], go[2];
};

static void
append_until_full(const struct race *race, int number)
{
	ofs_audit *a = sample_open(0);
	struct buf body = BUF_INIT;
	char serial[16], c = 'r';
	struct ofs_error e;
	struct log_entry en = { .type = OFS_REC_LOGIN };
	uint64_t seq = 0;

	snprintf(serial, sizeof(serial), "process-%d", number);
	login_at(serial, &body);
	en.body = body.p;
	en.body_len = body.len;
	close(race->go[1]);
	assert_int_equal(write(race->ready[1], &c, 1), 1);
	assert_int_equal(read(race->go[0], &c, 1), 0);
	for (;;) {
		sample_begin(a);
		if (a->state.size >= RECORDS)
			break;
		for (int i = 0; i < AT_ONCE; i++)
			ok(log_append(a, &en, &seq, &e), &e);
		sample_commit(a);
	}
	log_rollback(a);
	buf_free(&body);
	ofs_audit_free(a);
}

struct shares {
	uint64_t next;
	unsigned int n[PROCESSES];
};

static int
count(void *arg, const ofs_record *rec)
{
	struct shares *s = arg;
	struct ofs_record_head head;
	struct ofs_field f;

	ofs_record_get_head(rec, &head);
	assert_int_equal(head.seq, s->next++);
	if (!ofs_record_find(rec, "token.serial", &f))
		return 0;
	assert_int_equal(f.len, 9);
	s->n[f.bytes[8] - '0']++;
	return 0;
}

/*
 * They begin together and go on until the log holds so many records: nobody
 * is left with less than half of what it would get by turns.
 */
static void
fair_processes(void **state)
{
	struct shares s = { 0 };
	struct race race;
	pid_t pid[PROCESSES];
	int i, status;
	ofs_audit *a;
	char c;

	(void)state;
	ofs_audit_free(sample_open(OFS_AUDIT_CREATE));
	assert_int_equal(pipe(race.ready), 0);
	assert_int_equal(pipe(race.go), 0);
	for (i = 0; i < PROCESSES; i++) {
		pid[i] = fork();
		if (pid[i] == 0) {
			append_until_full(&race, i);
			_exit(0);
		}
	}
	for (i = 0; i < PROCESSES; i++)
		assert_int_equal(read(race.ready[0], &c, 1), 1);
	close(race.go[1]);
	for (i = 0; i < PROCESSES; i++) {
		assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
		assert_int_equal(status, 0);
	}
	sample_verifies(RECORDS);
	a = sample_open(OFS_AUDIT_READ_ONLY);
	assert_int_equal(ofs_audit_list(a, 0, 0, count, &s), 0);
	ofs_audit_free(a);
	assert_int_equal(s.next, RECORDS);
	for (i = 0; i < PROCESSES; i++) {
		print_message("# process %d: %u of %u records\n", i, s.n[i],
			RECORDS - 1);
		assert_int_equal(s.n[i] % AT_ONCE, 0);
	}
	for (i = 0; i < PROCESSES; i++)
		assert_true(s.n[i] * 2 >= ROUNDS * AT_ONCE);
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup(fn, fresh)
	const struct CMUnitTest tests[] = {
		TEST(own_records),
		TEST(one_commit),
		TEST(refused_alone),
		TEST(failed_together),
		TEST(not_from_within),
		TEST(fair_processes),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, sample_setup, sample_teardown);
}
