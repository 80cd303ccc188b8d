/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Backups of a log, made while others write, and what is refused. */
#include "log_sample.h"

#include <offlinesig/keep.h>

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

#include "audit/handle.h"
#include "format/statement.h"

static char dest[128];

static int
fresh(void **state)
{
	static int n;

	(void)state;
	snprintf(log_dir, sizeof(log_dir), "%s/log%d", sample_dir, n);
	snprintf(dest, sizeof(dest), "%s/backup%d", sample_dir, n++);
	return 0;
}

static void
add_logins(ofs_audit *a, int n)
{
	struct buf body = BUF_INIT;

	sample_begin(a);
	for (int i = 0; i < n; i++) {
		sample_login(a, &body);
		(void)sample_append(a, OFS_REC_LOGIN, NULL, &body, NULL);
	}
	sample_commit(a);
}

static void
backs_up(ofs_audit *a, const char *to, struct ofs_audit_backup_report *rep)
{
	struct ofs_error e;
	int rc;

	rep->size = sizeof(*rep);
	rc = ofs_audit_backup(a, to, NULL, NULL, rep);
	ofs_audit_error(a, &e);
	ok(rc, &e);
}

/* refused, with these words, and nothing is left of it */
static void
refused(ofs_audit *a, int code, const char *words)
{
	struct dirent **names;
	struct ofs_error e;
	int n;

	assert_int_equal(ofs_audit_backup(a, dest, NULL, NULL, NULL), code);
	ofs_audit_error(a, &e);
	if (strstr(e.message, words) == NULL)
		fail_msg("'%s' does not say '%s'", e.message, words);
	n = scandir(sample_dir, &names, NULL, NULL);
	while (n > 0) {
		n--;
		if (strstr(names[n]->d_name, "backup") != NULL &&
			strchr(names[n]->d_name, '.') != NULL)
			fail_msg("left behind: %s", names[n]->d_name);
		free(names[n]);
	}
	free(names);
}

/* verifies a copy by itself; *e is the last finding's text */
static void
verifies(const char *dir, struct ofs_audit_report *rep)
{
	char kept[sizeof(log_dir)];
	struct ofs_error e;

	memcpy(kept, log_dir, sizeof(kept));
	snprintf(log_dir, sizeof(log_dir), "%s", dir);
	ok(sample_verify(rep, &e), &e);
	memcpy(log_dir, kept, sizeof(kept));
}

static int
see_pending(void *arg, const struct log_pending *p)
{
	assert_string_equal(p->path, "/out/doc-0001.p7s");
	assert_memory_equal(p->p, p->path, p->n);
	++*(int *)arg;
	return 0;
}

/* what is open comes along, and can be used */
static void
copies_all_of_it(void **state)
{
	ofs_audit *a = sample_open(OFS_AUDIT_CREATE), *copy;
	struct ofs_audit_backup_report rep;
	struct ofs_audit_report found;
	uint8_t id[16] = { 9 };
	uint64_t intent, outcome;
	struct ofs_record_head h;
	struct ofs_field f;
	struct ofs_error e;
	ofs_record *rec;
	int n = 0;

	(void)state;
	sample_whole_batch(a, 3, 40);
	sample_begin(a);
	(void)sample_batch_opened(a, id, 3);
	intent = sample_intent(a, id, 0, 2);
	(void)sample_outcome(a, id, intent, 0, REC_FAILED);
	outcome = sample_outcome(a, id, intent, 1, REC_SIGNED);
	sample_pending(a, outcome, 1);
	ok(log_intent_done(a, intent, &e), &e);
	(void)sample_intent(a, id, 2, 1);
	ok(log_cert_add(a, (const uint8_t *)"cert", 4, &e), &e);
	sample_commit(a);
	add_logins(a, 600);
	backs_up(a, dest, &rep);
	assert_int_equal(rep.records, rep.seq);
	verifies(dest, &found);
	assert_int_equal(found.records, rep.records);
	assert_memory_equal(found.root, rep.root, 32);
	assert_int_equal(found.unclosed_batches, 1);
	assert_int_equal(found.unknown_items, 1);
	assert_int_equal(found.pending_outputs, 1);
	assert_true(found.head_present);
	ok(ofs_audit_open(sample_ctx, dest, OFS_AUDIT_READ_ONLY, &copy),
		ofs_ctx_error(sample_ctx));
	ok(log_each_pending(copy, 0, see_pending, &n, &e), &e);
	assert_int_equal(n, 1);
	ofs_audit_free(copy);
	/* the log knows of it */
	assert_int_equal(ofs_audit_get(a, rep.seq, &rec), 0);
	ofs_record_get_head(rec, &h);
	assert_int_equal(h.type, OFS_REC_LOG_EVENT);
	assert_true(ofs_record_find(rec, "event", &f));
	assert_memory_equal(f.bytes, "backup", f.len);
	assert_true(ofs_record_find(rec, "count", &f));
	assert_int_equal(f.number, rep.records);
	assert_true(ofs_record_find(rec, "sha256", &f));
	assert_memory_equal(f.bytes, rep.root, 32);
	assert_true(ofs_record_find(rec, "path", &f));
	assert_int_equal(f.len, strlen(dest));
	ofs_record_free(rec);
	ofs_audit_free(a);
	sample_verifies(rep.records + 1);
}

static void
is_not_written_to(void **state)
{
	ofs_audit *a = sample_open(OFS_AUDIT_CREATE);
	struct ofs_audit_backup_report rep;

	(void)state;
	backs_up(a, dest, &rep);
	ofs_audit_free(a);
	memcpy(log_dir, dest, sizeof(log_dir));
	sample_refused(0, OFS_EAUDIT, "it is a backup");
	shell("cd %s && test \"$(ls)\" = \"$(printf "
	      "'backup.txt\\nlog.db\\nlog.head')\" && test \"$(stat -c %%a . "
	      "* | tr '\\n' ' ')\" = '700 600 600 600 '",
		dest);
}

struct meanwhile {
	ofs_audit *other;
	uint64_t last;
	int calls;
};

static void
append_meanwhile(void *arg, const struct ofs_audit_progress *now)
{
	struct meanwhile *m = arg;

	if (strcmp(now->phase, "copy") != 0)
		return;
	assert_true(now->done >= m->last && now->done <= now->total);
	m->last = now->done;
	m->calls++;
	/* nobody waits: between two reads the log is free */
	add_logins(m->other, 10);
}

/* the size is fixed at the beginning, however much is written */
static void
does_not_run_after_writers(void **state)
{
	ofs_audit *a = sample_open(OFS_AUDIT_CREATE);
	struct ofs_audit_backup_report rep = { .size = sizeof(rep) };
	struct meanwhile m = { .other = sample_open(0) };
	struct ofs_audit_report found;
	struct ofs_error e;
	uint64_t size;

	(void)state;
	add_logins(a, 30000);
	ok(ofs_audit_backup(a, dest, append_meanwhile, &m, &rep), &e);
	assert_true(m.calls > 3);
	assert_int_equal(rep.records, 30001);
	assert_int_equal(ofs_audit_size(a, &size), 0);
	assert_int_equal(size, 30001 + 10 * (uint64_t)m.calls + 1);
	verifies(dest, &found);
	assert_int_equal(found.records, 30001);
	ofs_audit_free(m.other);
	ofs_audit_free(a);
}

static int writing;

static void *
sign_on(void *arg)
{
	ofs_audit *a = sample_open(0);

	/* 5,000 signatures, in batches of 50 */
	for (int i = 0; i < 100; i++)
		sample_whole_batch(a, (uint8_t)(i + 1), 50);
	ofs_audit_free(a);
	__atomic_store_n(&writing, 0, __ATOMIC_SEQ_CST);
	return arg;
}

static void
while_others_sign(void **state)
{
	ofs_audit *a = sample_open(OFS_AUDIT_CREATE);
	struct ofs_audit_backup_report rep;
	struct ofs_audit_report found;
	uint64_t last = 0;
	pthread_t t;
	int n = 0;

	(void)state;
	__atomic_store_n(&writing, 1, __ATOMIC_SEQ_CST);
	assert_int_equal(pthread_create(&t, NULL, sign_on, NULL), 0);
	do {
		char to[160];

		snprintf(to, sizeof(to), "%s-%d", dest, n++);
		backs_up(a, to, &rep);
		verifies(to, &found);
		assert_int_equal(found.records, rep.records);
		assert_true(rep.records > last);
		last = rep.records;
	} while (n < 8 && __atomic_load_n(&writing, __ATOMIC_SEQ_CST));
	assert_int_equal(pthread_join(t, NULL), 0);
	backs_up(a, dest, &rep);
	ofs_audit_free(a);
	verifies(dest, &found);
	assert_int_equal(found.signed_items, 5000);
	/* batches, intents, outcomes, closed; and a record of each backup */
	assert_int_equal(found.records, 1 + 5000 + 300 + (uint64_t)n);
	sample_verifies(found.records + 1);
}

static void
refuses(void **state)
{
	ofs_audit *a = sample_open(OFS_AUDIT_CREATE), *longer;
	char kept[sizeof(dest)];

	(void)state;
	add_logins(a, 300);
	shell("mkdir %s", dest);
	refused(a, OFS_EEXIST, "there already");
	shell("rmdir %s; ln -s nowhere %s", dest, dest);
	refused(a, OFS_EEXIST, "there already");
	shell("rm %s", dest);
	memcpy(kept, dest, sizeof(kept));
	snprintf(dest, sizeof(dest), "%s/none/backup", sample_dir);
	refused(a, OFS_EIO, "none");
	snprintf(dest, sizeof(dest), "%s", "/");
	assert_int_not_equal(ofs_audit_backup(a, dest, NULL, NULL, NULL), 0);
	memcpy(dest, kept, sizeof(kept));
	ofs_audit_free(a);
	a = sample_open(OFS_AUDIT_READ_ONLY);
	refused(a, OFS_EAUDIT, "read-only");
	ofs_audit_free(a);
	/* a head file that knows of more */
	a = sample_open(0);
	shell("cp -r %s %s/longer", log_dir, sample_dir);
	memcpy(kept, log_dir, sizeof(log_dir));
	snprintf(log_dir, sizeof(log_dir), "%s/longer", sample_dir);
	longer = sample_open(0);
	add_logins(longer, 1);
	ofs_audit_free(longer);
	memcpy(log_dir, kept, sizeof(log_dir));
	shell("cp %s/log.head %s/head; cp %s/longer/log.head %s/log.head",
		log_dir, sample_dir, sample_dir, log_dir);
	refused(a, OFS_EDAMAGED, "rolled back");
	shell("cp %s/head %s/log.head; rm -r %s/longer", sample_dir, log_dir,
		sample_dir);
	ofs_audit_free(a);
	/* a body that is another, deep below the tail */
	shell("sqlite3 %s/log.db 'UPDATE record SET body = zeroblob(9) WHERE "
	      "seq = 9'",
		log_dir);
	a = sample_open(0);
	refused(a, OFS_EDAMAGED, "record 9");
	ofs_audit_free(a);
	shell("sqlite3 %s/log.db 'DELETE FROM record WHERE seq = 10'", log_dir);
	a = sample_open(0);
	refused(a, OFS_EDAMAGED, "record 10");
	ofs_audit_free(a);
}

/* the destination is full */
static void
with_a_limit(void *arg)
{
	ofs_audit *a = sample_open(0);
	struct rlimit limit;

	(void)arg;
	signal(SIGXFSZ, SIG_IGN);
	limit.rlim_cur = limit.rlim_max = 1 << 20;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	refused(a, OFS_EIO, "cannot write a copy");
	ofs_audit_free(a);
}

static void
full_disk(void **state)
{
	ofs_audit *a = sample_open(OFS_AUDIT_CREATE);
	int status;
	pid_t pid;

	(void)state;
	add_logins(a, 20000);
	ofs_audit_free(a);
	pid = fork();
	if (pid == 0) {
		with_a_limit(NULL);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	sample_verifies(20001);
}

static const struct statement samples[] = {
	{ .kind = STATEMENT_BACKUP,
		.origin = "example.org/\xc3\xa9t\xc3\xa9",
		.records = 7,
		.first_time = 1,
		.last_time = INT64_C(1790000000000000),
		.time = INT64_C(1790000000000001),
		.tool = "test 1" },
	{ .kind = STATEMENT_RESTORE,
		.origin = "a",
		.known_records = INT64_MAX >> 8,
		.reason = "the disk: broke" },
	{ .kind = STATEMENT_ERASE,
		.origin = "a",
		.record = 12,
		.reason = "GDPR 17" },
};

static void
statements(void **state)
{
	struct buf text = BUF_INIT, again = BUF_INIT;
	struct statement s, bad = samples[1];
	struct ofs_error e;
	size_t i, k;

	(void)state;
	for (i = 0; i < 3; i++) {
		buf_reset(&text);
		ok(statement_encode(&samples[i], &text, &e), &e);
		ok(statement_decode(text.p, text.len, samples[i].kind, &s, &e),
			&e);
		assert_memory_equal(&s, &samples[i], sizeof(s));
		assert_int_equal(statement_decode(text.p, text.len,
					 samples[(i + 1) % 3].kind, &s, &e),
			OFS_EFORMAT);
		for (k = 0; k < text.len; k++)
			assert_int_equal(statement_decode(text.p, k,
						 samples[i].kind, &s, &e),
				OFS_EFORMAT);
		/* a flipped byte is refused, or means something else */
		for (k = 0; k < text.len; k++) {
			text.p[k] ^= 0x20;
			if (statement_decode(text.p, text.len, samples[i].kind,
				    &s, &e) == 0)
				assert_memory_not_equal(
					&s, &samples[i], sizeof(s));
			text.p[k] ^= 0x20;
		}
		buf_str(&text, "\n");
		assert_int_equal(statement_decode(text.p, text.len,
					 samples[i].kind, &s, &e),
			OFS_EFORMAT);
	}
	/* lines as CMS tools write them */
	text.len--;
	for (k = 0; k < text.len; k++) {
		if (text.p[k] == '\n')
			buf_u8(&again, '\r');
		buf_u8(&again, text.p[k]);
	}
	ok(statement_decode(again.p, again.len, STATEMENT_ERASE, &s, &e), &e);
	assert_memory_equal(&s, &samples[2], sizeof(s));
	buf_reset(&again);
	snprintf(bad.reason, sizeof(bad.reason), "two\nlines");
	assert_int_equal(statement_encode(&bad, &again, &e), OFS_EINVAL);
	bad.reason[0] = '\0';
	assert_int_equal(statement_encode(&bad, &again, &e), OFS_EINVAL);
	buf_free(&text);
	buf_free(&again);
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup(fn, fresh)
	const struct CMUnitTest tests[] = {
		TEST(copies_all_of_it),
		TEST(is_not_written_to),
		TEST(does_not_run_after_writers),
		TEST(while_others_sign),
		TEST(refuses),
		TEST(full_disk),
		TEST(statements),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, sample_setup, sample_teardown);
}
