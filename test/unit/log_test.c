/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The log as a writer sees it: crashes, races, roll-backs, permissions. */
#include "log_sample.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/resource.h>

#include "audit/handle.h"
#include "sign/recover.h"
#include "store/store_stmt.h"

#define NOBODY 65534

/* a log of its own for each test */
static int
fresh(void **state)
{
	static int n;

	(void)state;
	snprintf(log_dir, sizeof(log_dir), "%s/log%d", sample_dir, n++);
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

/* runs fn in a child; the exit status must be 0 unless it is killed */
static pid_t
spawn(void (*fn)(void *), void *arg)
{
	pid_t pid = fork();

	if (pid == 0) {
		fn(arg);
		_exit(0);
	}
	assert_true(pid > 0);
	return pid;
}

static void
join(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static int
mode_of(const char *name)
{
	char path[200];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", log_dir, name);
	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

static void
creates_and_reads(void **state)
{
	struct ofs_audit_init_opts opts = OFS_AUDIT_INIT_OPTS_INIT;
	struct ofs_record_head head;
	struct ofs_audit_report rep;
	struct ofs_error e;
	struct ofs_field f;
	ofs_record *rec;
	ofs_audit *a;
	uint64_t size;
	mode_t mask;

	(void)state;
	sample_refused(0, OFS_EAUDIT, "ofs-audit init");
	sample_refused(OFS_AUDIT_READ_ONLY, OFS_EAUDIT, "ofs-audit init");
	opts.origin = "example.org/signing";
	mask = umask(0777);
	assert_int_equal(ofs_audit_init(sample_ctx, log_dir, &opts), 0);
	umask(mask);
	assert_int_equal(
		ofs_audit_init(sample_ctx, log_dir, &opts), OFS_EEXIST);
	assert_int_equal(mode_of("."), 0700);
	assert_int_equal(mode_of("log.db"), 0600);
	assert_int_equal(mode_of("log.head"), 0600);
	a = sample_open(0);
	add_logins(a, 3);
	assert_int_equal(mode_of("log.db-journal"), 0600);
	assert_int_equal(ofs_audit_size(a, &size), 0);
	assert_int_equal(size, 4);
	assert_int_equal(ofs_audit_get(a, 0, &rec), 0);
	ofs_record_get_head(rec, &head);
	assert_string_equal(head.type_name, "genesis");
	assert_true(ofs_record_find(rec, "origin", &f));
	assert_memory_equal(f.bytes, "example.org/signing", f.len);
	ofs_record_free(rec);
	assert_int_equal(ofs_audit_get(a, 4, &rec), OFS_EKEY);
	ofs_audit_error(a, &e);
	assert_int_equal(e.code, OFS_EKEY);
	ofs_audit_free(a);
	ok(sample_verify(&rep, &e), &e);
	assert_int_equal(rep.records, 4);
	assert_true(rep.head_present);
	assert_int_equal(rep.head_records, 4);
	assert_string_equal(rep.origin, "example.org/signing");
	opts.origin = "two\nlines";
	fresh(NULL);
	assert_int_equal(
		ofs_audit_init(sample_ctx, log_dir, &opts), OFS_EINVAL);
}

static int
count_records(void *arg, const ofs_record *rec)
{
	uint64_t *next = arg;
	struct ofs_record_head head;

	ofs_record_get_head(rec, &head);
	assert_int_equal(head.seq, *next);
	++*next;
	return *next == 290 ? 7 : 0;
}

static void
lists_in_order(void **state)
{
	ofs_audit *a = sample_open(OFS_AUDIT_CREATE);
	uint64_t next = 5;

	(void)state;
	add_logins(a, 600);
	assert_int_equal(ofs_audit_list(a, 5, 0, count_records, &next), 7);
	assert_int_equal(next, 290);
	assert_int_equal(ofs_audit_list(a, 290, 600, count_records, &next), 0);
	assert_int_equal(next, 601);
	next = 600;
	assert_int_equal(ofs_audit_list(a, 600, 0, count_records, &next), 0);
	assert_int_equal(next, 601);
	ofs_audit_free(a);
	sample_verifies(601);
}

static int
refuse_third(void *arg, const ofs_record *rec, struct ofs_error *e)
{
	int *n = arg;

	(void)rec;
	return ++*n == 3 ? err_set(e, OFS_EITEMS, "the third") : 0;
}

/* the record of the handle is for callers from outside, and their threads */
static void
reads_without_the_errors_of_others(void **state)
{
	ofs_audit *a = sample_open(OFS_AUDIT_CREATE);
	struct ofs_error e, theirs;
	ofs_record *rec;
	int n = 0;

	(void)state;
	add_logins(a, 10);
	assert_int_equal(ofs_audit_get(a, 70, &rec), OFS_EKEY);
	assert_int_equal(log_get(a, 80, &rec, &e), OFS_EKEY);
	assert_null(rec);
	assert_non_null(strstr(e.message, "no record 80"));
	assert_int_equal(log_list(a, 5, 0, refuse_third, &n, &e), OFS_EITEMS);
	assert_string_equal(e.message, "the third");
	assert_int_equal(n, 3);
	ofs_audit_error(a, &theirs);
	assert_non_null(strstr(theirs.message, "no record 70"));
	ofs_audit_free(a);
}

static void
rolls_back(void **state)
{
	ofs_audit *a = sample_open(OFS_AUDIT_CREATE);
	struct log_entry bad = { .type = OFS_REC_LOGIN,
		.body = (const uint8_t *)"\x30\x00",
		.body_len = 2 };
	struct buf body = BUF_INIT;
	struct ofs_error e;
	uint64_t seq, size;

	(void)state;
	sample_begin(a);
	sample_login(a, &body);
	(void)sample_append(a, OFS_REC_LOGIN, NULL, &body, NULL);
	assert_int_equal(log_begin(a, &e), OFS_EINTERNAL);
	assert_int_equal(ofs_audit_size(a, &size), 0);
	assert_int_equal(size, 2);
	log_rollback(a);
	assert_int_equal(ofs_audit_size(a, &size), 0);
	assert_int_equal(size, 1);
	/* a body that does not decode is not written, nor what came before */
	sample_begin(a);
	sample_login(a, &body);
	(void)sample_append(a, OFS_REC_LOGIN, NULL, &body, NULL);
	assert_int_not_equal(log_append(a, &bad, &seq, &e), 0);
	assert_int_equal(log_commit(a, &e), OFS_EAUDIT);
	add_logins(a, 1);
	ofs_audit_free(a);
	sample_verifies(2);
}

static void
die_in_transaction(void *arg)
{
	ofs_audit *a = sample_open(0);
	struct buf body = BUF_INIT;

	/* enough to spill the cache into the file */
	sample_begin(a);
	for (int i = 0; i < *(int *)arg; i++) {
		sample_login(a, &body);
		(void)sample_append(a, OFS_REC_LOGIN, NULL, &body, NULL);
	}
	_exit(0);
}

static void
survives_a_crash(void **state)
{
	ofs_audit *a = sample_open(OFS_AUDIT_CREATE);
	int few = 10, many = 60000;
	char path[200];
	struct stat st;

	(void)state;
	add_logins(a, 5);
	ofs_audit_free(a);
	join(spawn(die_in_transaction, &few));
	sample_verifies(6);
	join(spawn(die_in_transaction, &many));
	/* it got as far as the file: the journal is hot */
	snprintf(path, sizeof(path), "%s/log.db-journal", log_dir);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size > 0);
	/* a reader rolls back what is its own, and nothing else */
	assert_int_equal(chmod(log_dir, 0755), 0);
	sample_refused(OFS_AUDIT_READ_ONLY, OFS_EAUDIT, "journal");
	assert_int_equal(chmod(log_dir, 0700), 0);
	sample_verifies(6);
	assert_true(stat(path, &st) != 0 || st.st_size == 0);
}

static void
append_many(void *arg)
{
	ofs_audit *a = sample_open(OFS_AUDIT_CREATE);

	(void)arg;
	for (int i = 0; i < 60; i++)
		sample_one_login(a);
	ofs_audit_free(a);
}

/* they also race to create it */
static void
four_processes(void **state)
{
	pid_t pid[4];
	int i;

	(void)state;
	for (i = 0; i < 4; i++)
		pid[i] = spawn(append_many, NULL);
	for (i = 0; i < 4; i++)
		join(pid[i]);
	sample_verifies(1 + 4 * 60);
}

static void *
append_in_thread(void *arg)
{
	ofs_audit *a = arg;

	for (int i = 0; i < 50; i++)
		add_logins(a, 3);
	return NULL;
}

static void *
verify_in_thread(void *arg)
{
	struct ofs_audit_report rep;

	for (int i = 0; i < 10; i++)
		if (ofs_audit_verify(arg, NULL, NULL, &rep) != 0)
			return arg;
	return NULL;
}

static void
threads_of_one_handle(void **state)
{
	ofs_audit *a = sample_open(OFS_AUDIT_CREATE);
	pthread_t t[4];
	void *bad;

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(
			pthread_create(&t[i], NULL, append_in_thread, a), 0);
	assert_int_equal(pthread_create(&t[3], NULL, verify_in_thread, a), 0);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(t[i], &bad), 0);
		assert_null(bad);
	}
	ofs_audit_free(a);
	sample_verifies(1 + 3 * 150);
}

/* every older copy of the store is refused against the head file */
static void
notices_roll_back(void **state)
{
	ofs_audit *a = sample_open(OFS_AUDIT_CREATE);
	struct ofs_audit_report rep;
	struct ofs_error e;

	(void)state;
	add_logins(a, 300);
	shell("cp -p %s/log.db %s/old.db", log_dir, sample_dir);
	add_logins(a, 1);
	/* under a handle that is in use: by rename, then in place */
	shell("cp -p %s/log.db %s/new.db; cp -p %s/old.db %s/log.db.x; "
	      "mv %s/log.db.x %s/log.db",
		log_dir, sample_dir, sample_dir, log_dir, log_dir, log_dir);
	assert_int_equal(log_begin(a, &e), OFS_EDAMAGED);
	assert_non_null(strstr(e.message, "replaced"));
	assert_int_equal(log_begin(a, &e), OFS_EAUDIT);
	ofs_audit_free(a);
	sample_refused(0, OFS_EDAMAGED, "rolled back");
	assert_int_equal(sample_verify(&rep, &e), OFS_EDAMAGED);
	assert_non_null(strstr(e.message, "rolled back"));
	assert_false(rep.head_present);
	/* one record further, but not the one that was there */
	shell("mv %s/log.head %s/head", log_dir, sample_dir);
	a = sample_open(0);
	add_logins(a, 1);
	ofs_audit_free(a);
	sample_verifies(302);
	shell("mv %s/head %s/log.head", sample_dir, log_dir);
	sample_refused(0, OFS_EDAMAGED, "rewritten");
	assert_int_equal(sample_verify(&rep, &e), OFS_EDAMAGED);
	/* the right one is taken */
	shell("cp -p %s/new.db %s/log.db", sample_dir, log_dir);
	ofs_audit_free(sample_open(0));
	sample_verifies(302);
}

static void
find_no_head(void *arg, const struct ofs_audit_finding *f)
{
	if (strcmp(f->id, "no-head") == 0)
		++*(int *)arg;
}

static void
head_file(void **state)
{
	ofs_audit *a = sample_open(OFS_AUDIT_CREATE);
	struct ofs_audit_report rep;
	struct ofs_error e;
	int found = 0;

	(void)state;
	add_logins(a, 2);
	add_logins(a, 2);
	ofs_audit_free(a);
	/* one torn slot is a crash; the other one still counts */
	shell("printf xxxxxxxx | dd of=%s/log.head bs=1 seek=30 conv=notrunc "
	      "2>/dev/null",
		log_dir);
	sample_verifies(5);
	a = sample_open(0);
	add_logins(a, 1);
	ofs_audit_free(a);
	sample_verifies(6);
	/* missing: opened, said, and written anew */
	shell("rm %s/log.head", log_dir);
	a = sample_open(0);
	assert_int_equal(ofs_audit_verify(a, find_no_head, &found, &rep), 0);
	assert_false(rep.head_present);
	assert_int_equal(found, 1);
	add_logins(a, 1);
	assert_int_equal(ofs_audit_verify(a, NULL, NULL, &rep), 0);
	assert_true(rep.head_present);
	assert_int_equal(rep.head_records, 7);
	assert_int_equal(mode_of("log.head"), 0600);
	/* taken away while it is in use: the next record makes it again */
	shell("rm %s/log.head", log_dir);
	add_logins(a, 1);
	assert_int_equal(mode_of("log.head"), 0600);
	ofs_audit_free(a);
	/* no slot left is no accident */
	shell("printf xxxxxxxx | dd of=%s/log.head bs=1 seek=30 conv=notrunc "
	      "2>/dev/null; "
	      "printf xxxxxxxx | dd of=%s/log.head bs=1 seek=4130 conv=notrunc "
	      "2>/dev/null",
		log_dir, log_dir);
	sample_refused(0, OFS_EDAMAGED, "head file");
	assert_int_equal(sample_verify(&rep, &e), OFS_EDAMAGED);
}

/* a crash between commit and head file: the head is behind, and that is fine */
static void
head_behind(void **state)
{
	ofs_audit *a = sample_open(OFS_AUDIT_CREATE);

	(void)state;
	add_logins(a, 700);
	shell("cp -p %s/log.head %s/head", log_dir, sample_dir);
	add_logins(a, 300);
	ofs_audit_free(a);
	shell("cp -p %s/head %s/log.head", sample_dir, log_dir);
	sample_verifies(1001);
	a = sample_open(0);
	add_logins(a, 1);
	ofs_audit_free(a);
	sample_verifies(1002);
}

/* a valid slot with another root, of `back` records before the older one */
static void
forge_head(uint64_t back)
{
	struct head_file f;
	struct ofs_error e;
	struct head h;
	char path[200];
	int fd;

	snprintf(path, sizeof(path), "%s/log.head", log_dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	ok(head_read(fd, &f, &e), &e);
	assert_true(f.valid[0] && f.valid[1]);
	h = f.slot[0].size < f.slot[1].size ? f.slot[0] : f.slot[1];
	assert_true(h.size > back);
	h.size -= back;
	h.root[31] ^= 1;
	ok(head_write(fd, &f, &h, &e), &e);
	close(fd);
}

/* both slots are held against the log before each transaction */
static void
head_forged_under_a_handle(void **state)
{
	(void)state;
	for (uint64_t back = 0; back < 2; back++) {
		ofs_audit *a = sample_open(OFS_AUDIT_CREATE);
		struct ofs_error e;

		add_logins(a, 3);
		add_logins(a, 3);
		forge_head(back);
		assert_int_equal(log_begin(a, &e), OFS_EDAMAGED);
		assert_non_null(strstr(e.message, "was rewritten"));
		ofs_audit_free(a);
		shell("rm -r %s", log_dir);
	}
}

static void
refuses_places(void **state)
{
	ofs_audit *a = sample_open(OFS_AUDIT_CREATE);

	(void)state;
	add_logins(a, 1);
	ofs_audit_free(a);
	shell("chmod 0750 %s", log_dir);
	sample_refused(0, OFS_EAUDIT, "0750");
	sample_verifies(2);
	shell("chmod 0700 %s; chmod 0644 %s/log.db", log_dir, log_dir);
	sample_refused(0, OFS_EAUDIT, "0644");
	shell("chmod 0600 %s/log.db; ln %s/log.db %s/link", log_dir, log_dir,
		sample_dir);
	sample_refused(0, OFS_EAUDIT, "linked from elsewhere");
	shell("rm %s/link; mv %s/log.head %s/h; ln -s %s/h %s/log.head",
		sample_dir, log_dir, sample_dir, sample_dir, log_dir);
	sample_refused(0, OFS_EAUDIT, "not a regular file");
	shell("rm %s/log.head; mv %s/h %s/log.head", log_dir, sample_dir,
		log_dir);
	ofs_audit_free(sample_open(0));
	shell("mv %s/log.db %s/d; ln -s %s/d %s/log.db", log_dir, sample_dir,
		sample_dir, log_dir);
	sample_refused(0, OFS_EAUDIT, "log.db' is not a regular file");
	shell("rm %s/log.db; mv %s/d %s/log.db", log_dir, sample_dir, log_dir);
	ofs_audit_free(sample_open(0));

	/* the directory: a link, a file, somebody else's things */
	shell("ln -s %s %s/alias", log_dir, sample_dir);
	snprintf(log_dir, sizeof(log_dir), "%s/alias/", sample_dir);
	sample_refused(0, OFS_EAUDIT, "symbolic link");
	shell("rm %s/alias; touch %s/alias", sample_dir, sample_dir);
	snprintf(log_dir, sizeof(log_dir), "%s/alias", sample_dir);
	sample_refused(OFS_AUDIT_CREATE, OFS_EAUDIT, "not a directory");
	shell("rm %s/alias; mkdir -m 700 %s/alias; touch %s/alias/diary",
		sample_dir, sample_dir, sample_dir);
	sample_refused(OFS_AUDIT_CREATE, OFS_EAUDIT, "diary");
	assert_int_equal(ofs_audit_init(sample_ctx, log_dir, NULL), OFS_EAUDIT);
	shell("rm %s/alias/diary; echo 'not a database at all' "
	      ">%s/alias/log.db; chmod 600 %s/alias/log.db",
		sample_dir, sample_dir, sample_dir);
	sample_refused(OFS_AUDIT_CREATE, OFS_EDAMAGED, "not a database");
	sample_refused(OFS_AUDIT_READ_ONLY, OFS_EDAMAGED, "not a database");
	shell("rm -rf %s/alias", sample_dir);
}

static void
refuses_other_databases(void **state)
{
	sqlite3 *db;
	char path[200];

	(void)state;
	shell("mkdir -m 700 %s", log_dir);
	snprintf(path, sizeof(path), "%s/log.db", log_dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(db, "CREATE TABLE t (x)", NULL, NULL, NULL),
		SQLITE_OK);
	sqlite3_close(db);
	shell("chmod 600 %s", path);
	sample_refused(OFS_AUDIT_CREATE, OFS_EAUDIT, "other program");
	fresh(NULL);
	ofs_audit_free(sample_open(OFS_AUDIT_CREATE));
	snprintf(path, sizeof(path), "%s/log.db", log_dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(db,
			"CREATE TRIGGER t AFTER INSERT ON record BEGIN "
			"DELETE FROM record; END",
			NULL, NULL, NULL),
		SQLITE_OK);
	sqlite3_close(db);
	sample_refused(0, OFS_EDAMAGED, "tables");
	sample_refused(OFS_AUDIT_READ_ONLY, OFS_EDAMAGED, "tables");
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(db, "DROP TRIGGER t; PRAGMA user_version = 9",
			NULL, NULL, NULL),
		SQLITE_OK);
	sqlite3_close(db);
	sample_refused(0, OFS_EAUDIT, "format is 9");
}

/* a half-made log: the file is there and empty */
static void
finishes_creation(void **state)
{
	(void)state;
	shell("mkdir -m 700 %s; touch %s/log.db %s/log.lock; chmod 600 "
	      "%s/log.*",
		log_dir, log_dir, log_dir, log_dir);
	sample_refused(0, OFS_EAUDIT, "no audit log");
	sample_refused(OFS_AUDIT_READ_ONLY, OFS_EAUDIT, "no audit log");
	ofs_audit_free(sample_open(OFS_AUDIT_CREATE));
	sample_verifies(1);
}

static void
network_file_systems(void **state)
{
	(void)state;
	assert_true(place_fs_is_remote(0x6969, ""));
	assert_true(place_fs_is_remote((long)0xff534d42, ""));
	assert_true(place_fs_is_remote(-11317950, "")); /* CIFS on 32 bits */
	assert_true(place_fs_is_remote(0x65735546, "fuse.sshfs"));
	assert_false(place_fs_is_remote(0x65735546, "fuseblk"));
	assert_false(place_fs_is_remote(0xef53, ""));
	assert_false(place_fs_is_remote(0x01021997, "")); /* 9p */
}

static void
become(uid_t uid, gid_t gid, const gid_t *groups, size_t n)
{
	assert_int_equal(setgroups(n, groups), 0);
	assert_int_equal(setgid(gid), 0);
	assert_int_equal(setuid(uid), 0);
}

static void
as_other_user(void *arg)
{
	(void)arg;
	become(NOBODY, NOBODY, NULL, 0);
	sample_refused(0, OFS_EAUDIT, "cannot");
	/* a copy that anybody may read */
	snprintf(log_dir, sizeof(log_dir), "%s/copy", sample_dir);
	sample_verifies(11);
	sample_refused(0, OFS_EAUDIT, "0755");
}

/* a directory of one's own, and files of somebody else in it */
static void
as_owner_of_the_directory(void *arg)
{
	(void)arg;
	become(NOBODY, NOBODY, NULL, 0);
	sample_refused(0, OFS_EAUDIT, "log.db' belongs to user 0");
}

static void
other_users(void **state)
{
	ofs_audit *a;

	(void)state;
	if (geteuid() != 0) {
		print_message("needs root: not tried\n");
		return;
	}
	a = sample_open(OFS_AUDIT_CREATE);
	add_logins(a, 10);
	ofs_audit_free(a);
	shell("chmod 755 %s; mkdir %s/copy; cp %s/log.db %s/log.head %s/copy; "
	      "chmod 755 %s/copy; chmod 444 %s/copy/log.*",
		sample_dir, sample_dir, log_dir, log_dir, sample_dir,
		sample_dir, sample_dir);
	join(spawn(as_other_user, NULL));
	shell("chown %d %s", NOBODY, log_dir);
	join(spawn(as_owner_of_the_directory, NULL));
	/* root does not write into another user's log either */
	shell("chown -R %d %s", NOBODY, log_dir);
	sample_refused(0, OFS_EAUDIT, "belongs to user 65534");
	sample_verifies(11);
}

static void
as_member(void *arg)
{
	gid_t group = *(gid_t *)arg;
	ofs_audit *a;

	become(NOBODY, NOBODY, &group, 1);
	a = sample_open(0);
	add_logins(a, 5);
	ofs_audit_free(a);
}

static void
as_stranger(void *arg)
{
	(void)arg;
	become(NOBODY, NOBODY, NULL, 0);
	sample_refused(0, OFS_EAUDIT, "Permission denied");
}

/* of the group that the files still have */
static void
as_other_group(void *arg)
{
	gid_t group = *(gid_t *)arg;

	become(NOBODY - 1, NOBODY - 1, &group, 1);
	sample_refused(0, OFS_EAUDIT, "Permission denied");
}

static void
shared_with_a_group(void **state)
{
	struct ofs_audit_init_opts opts = OFS_AUDIT_INIT_OPTS_INIT;
	struct group *g = getgrnam("daemon");
	ofs_audit *a;
	gid_t gid;

	(void)state;
	opts.group = "no-such-group-here";
	assert_int_equal(
		ofs_audit_init(sample_ctx, log_dir, &opts), OFS_EINVAL);
	if (geteuid() != 0 || g == NULL) {
		print_message("needs root and a group: not tried\n");
		return;
	}
	gid = g->gr_gid;
	opts.group = "daemon";
	shell("chmod 755 %s", sample_dir);
	assert_int_equal(ofs_audit_init(sample_ctx, log_dir, &opts), 0);
	assert_int_equal(mode_of("."), 02770);
	assert_int_equal(mode_of("log.db"), 0660);
	assert_int_equal(mode_of("log.head"), 0660);
	assert_int_equal(mode_of("log.lock"), 0660);
	join(spawn(as_member, &gid));
	join(spawn(as_stranger, NULL));
	a = sample_open(0);
	add_logins(a, 5);
	ofs_audit_free(a);
	shell("rm %s/log.head", log_dir);
	join(spawn(as_member, &gid));
	assert_int_equal(mode_of("log.head"), 0660);
	ofs_audit_free(sample_open(0));
	sample_verifies(16);
	/* a directory of another group than its files, and than its users */
	shell("chgrp %d %s", NOBODY, log_dir);
	sample_refused(0, OFS_EAUDIT, "belongs to group");
	join(spawn(as_other_group, &gid));
	shell("chgrp daemon %s; chmod 2770 %s", log_dir, log_dir);
	ofs_audit_free(sample_open(0));
	shell("chmod 2777 %s", log_dir);
	sample_refused(0, OFS_EAUDIT, "2777");
	shell("chmod 2770 %s; chmod 600 %s/log.db", log_dir, log_dir);
	sample_refused(0, OFS_EAUDIT, "instead of 0660");
}

struct queue {
	int to_child[2], to_parent[2];
};

static void
append_and_tell(void *arg)
{
	struct queue *q = arg;
	ofs_audit *a = sample_open(0);
	char c;

	assert_int_equal(write(q->to_parent[1], "o", 1), 1);
	assert_int_equal(read(q->to_child[0], &c, 1), 1);
	add_logins(a, 1);
	assert_int_equal(write(q->to_parent[1], "x", 1), 1);
	ofs_audit_free(a);
}

/* writers wait for the flock, so that head files follow their commits */
static void
writers_queue(void **state)
{
	struct queue q;
	struct pollfd p;
	char path[200], c;
	pid_t pid;
	int lock;

	(void)state;
	ofs_audit_free(sample_open(OFS_AUDIT_CREATE));
	snprintf(path, sizeof(path), "%s/log.lock", log_dir);
	lock = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(pipe(q.to_child), 0);
	assert_int_equal(pipe(q.to_parent), 0);
	pid = spawn(append_and_tell, &q);
	assert_int_equal(read(q.to_parent[0], &c, 1), 1);
	assert_int_equal(flock(lock, LOCK_EX), 0);
	assert_int_equal(write(q.to_child[1], "g", 1), 1);
	p = (struct pollfd){ .fd = q.to_parent[0], .events = POLLIN };
	assert_int_equal(poll(&p, 1, 300), 0);
	assert_int_equal(flock(lock, LOCK_UN), 0);
	assert_int_equal(poll(&p, 1, 10000), 1);
	join(pid);
	close(lock);
	sample_verifies(2);
}

static uint64_t opened_elsewhere;

static void
hold_and_wait(void *arg)
{
	int *fd = arg;
	ofs_audit *a = sample_open(0);
	struct ofs_error e;
	char c;

	ok(log_batch_hold(a, opened_elsewhere, &e), &e);
	assert_int_equal(write(fd[1], "x", 1), 1);
	/* until the parent closes its end */
	close(fd[3]);
	(void)!read(fd[2], &c, 1);
}

static int
count_alive(void *arg, const struct log_open_intent *i)
{
	int *n = arg;

	n[i->alive ? 1 : 0]++;
	return 0;
}

static void
batches_alive(void **state)
{
	ofs_audit *a = sample_open(OFS_AUDIT_CREATE), *b;
	uint8_t id[16] = { 9 };
	struct ofs_error e;
	int fd[4], n[2] = { 0, 0 };
	uint64_t lone;
	pid_t pid;
	char c;

	(void)state;
	sample_begin(a);
	opened_elsewhere = sample_batch_opened(a, id, 2);
	(void)sample_intent(a, id, 0, 2);
	sample_commit(a);
	assert_false(log_batch_alive(a, opened_elsewhere));
	assert_int_equal(pipe(fd), 0);
	assert_int_equal(pipe(fd + 2), 0);
	pid = spawn(hold_and_wait, fd);
	assert_int_equal(read(fd[0], &c, 1), 1);
	assert_true(log_batch_alive(a, opened_elsewhere));
	assert_int_equal(log_batch_hold(a, opened_elsewhere, &e), OFS_EAUDIT);
	ok(log_each_open_intent(a, count_alive, n, &e), &e);
	assert_int_equal(n[1], 1);
	close(fd[3]);
	join(pid);
	assert_false(log_batch_alive(a, opened_elsewhere));
	n[0] = n[1] = 0;
	ok(log_each_open_intent(a, count_alive, n, &e), &e);
	assert_int_equal(n[0], 1);

	/* within a process: another handle, and the same one */
	b = sample_open(0);
	ok(log_batch_hold(b, opened_elsewhere, &e), &e);
	assert_int_equal(log_batch_hold(b, opened_elsewhere, &e), OFS_EAUDIT);
	assert_int_equal(log_batch_hold(a, opened_elsewhere, &e), OFS_EAUDIT);
	assert_true(log_batch_alive(a, opened_elsewhere));
	assert_true(log_batch_alive(b, opened_elsewhere));
	log_batch_release(b, opened_elsewhere);
	assert_false(log_batch_alive(b, opened_elsewhere));

	/* an intent outside batches is alive until it is done, or dropped */
	sample_begin(a);
	lone = sample_intent(a, NULL, 0, 1);
	log_rollback(a);
	assert_false(log_batch_alive(b, lone));
	sample_begin(a);
	lone = sample_intent(a, NULL, 0, 1);
	sample_commit(a);
	assert_true(log_batch_alive(b, lone));
	sample_begin(a);
	(void)sample_outcome(a, NULL, lone, 0, REC_FAILED);
	ok(log_intent_done(a, lone, &e), &e);
	assert_true(log_batch_alive(b, lone));
	sample_commit(a);
	assert_false(log_batch_alive(b, lone));
	ofs_audit_free(a);
	ofs_audit_free(b);
	sample_verifies(5);
}

static int
see_pending(void *arg, const struct log_pending *p)
{
	int *n = arg;

	assert_string_equal(p->path, "/out/doc-0001.p7s");
	assert_int_equal(p->n, strlen(p->path));
	assert_memory_equal(p->p, p->path, p->n);
	++*n;
	return 0;
}

static void
pending_outputs(void **state)
{
	ofs_audit *a = sample_open(OFS_AUDIT_CREATE);
	uint8_t id[16] = { 9 };
	uint64_t intent, outcome;
	struct ofs_error e;
	int n = 0;

	(void)state;
	sample_begin(a);
	(void)sample_batch_opened(a, id, 2);
	intent = sample_intent(a, id, 0, 2);
	(void)sample_outcome(a, id, intent, 0, REC_FAILED);
	outcome = sample_outcome(a, id, intent, 1, REC_SIGNED);
	sample_pending(a, outcome, 1);
	ok(log_intent_done(a, intent, &e), &e);
	sample_commit(a);
	ok(log_each_pending(a, 0, see_pending, &n, &e), &e);
	assert_int_equal(n, 1);
	sample_begin(a);
	ok(log_pending_done(a, outcome, &e), &e);
	sample_commit(a);
	ok(log_each_pending(a, 0, see_pending, &n, &e), &e);
	assert_int_equal(n, 1);
	ofs_audit_free(a);
	sample_verifies(5);
}

#define MANY 500

static int
count_pending(void *arg, const struct log_pending *p)
{
	int *n = arg;

	(void)p;
	return ++*n == 3 ? LOG_ENOUGH : 0;
}

static int
count_output(void *arg, const struct ofs_audit_output *o)
{
	uint64_t *last = arg;

	assert_true(o->seq > *last);
	*last = o->seq;
	return 0;
}

/* what the reading of pending rows has cost since this was asked last */
static int
steps(ofs_audit *a)
{
	return sqlite3_stmt_status(
		a->store.stmt[PENDING_EACH], SQLITE_STMTSTATUS_VM_STEP, 1);
}

static void
many_outputs_are_read_once(void **state)
{
	static const uint8_t id[16] = { 9 };
	ofs_audit *a = sample_open(OFS_AUDIT_CREATE);
	uint64_t intent = 0, last = 0;
	struct ofs_error e;
	int n = 0, once;

	(void)state;
	snprintf(sample_out, sizeof(sample_out), "%s/out", sample_dir);
	shell("mkdir %s", sample_out);
	sample_begin(a);
	(void)sample_batch_opened(a, id, MANY);
	for (uint64_t i = 0; i < MANY; i++) {
		if (i % 50 == 0)
			intent = sample_intent(a, id, i, 50);
		sample_pending(
			a, sample_outcome(a, id, intent, i, REC_SIGNED), i);
		if (i % 50 == 49)
			ok(log_intent_done(a, intent, &e), &e);
	}
	sample_commit(a);
	ok(log_each_pending(a, 0, count_pending, &n, &e), &e);
	assert_int_equal(n, 3);
	(void)steps(a);
	n = 3;
	ok(log_each_pending(a, 0, count_pending, &n, &e), &e);
	assert_int_equal(n, 3 + MANY);
	once = steps(a);
	assert_true(once > MANY);
	assert_int_equal(ofs_audit_each_output(a, count_output, &last), 0);
	assert_true(steps(a) < 2 * once);
	ok(recover_run(sample_ctx, a, &e), &e);
	assert_true(steps(a) < 2 * once);
	shell("test $(ls %s | wc -l) = %d", sample_out, MANY);
	ofs_audit_free(a);
	snprintf(sample_out, sizeof(sample_out), "/out");
}

/* a disk that refuses: the n-th sync fails, of the database or its journal */
static sqlite3_vfs failing_vfs;
static sqlite3_vfs *real_vfs;
static int syncs_left;
/* of the database, and of its journal: they are not the same */
static sqlite3_io_methods failing_methods[2];
static const sqlite3_io_methods *real_methods[2];

static int
failing_sync(sqlite3_file *f, int flags)
{
	int kind = f->pMethods == &failing_methods[1];

	if (syncs_left == 0)
		return SQLITE_IOERR_FSYNC;
	if (syncs_left > 0)
		syncs_left--;
	return real_methods[kind]->xSync(f, flags);
}

static int
failing_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags,
	int *out)
{
	int kind = (flags & SQLITE_OPEN_MAIN_DB) == 0, rc;

	(void)vfs;
	rc = real_vfs->xOpen(real_vfs, name, f, flags, out);
	if (rc != SQLITE_OK || f->pMethods == NULL)
		return rc;
	real_methods[kind] = f->pMethods;
	failing_methods[kind] = *f->pMethods;
	failing_methods[kind].xSync = failing_sync;
	f->pMethods = &failing_methods[kind];
	return rc;
}

static void
latches_after_a_failed_sync(void **state)
{
	struct ofs_audit_report rep;
	struct ofs_error e;
	struct buf body = BUF_INIT;
	uint64_t size;
	ofs_audit *a;
	int n, failures = 0;

	(void)state;
	ofs_audit_free(sample_open(OFS_AUDIT_CREATE));
	real_vfs = sqlite3_vfs_find(NULL);
	failing_vfs = *real_vfs;
	failing_vfs.zName = "failing";
	failing_vfs.xOpen = failing_open;
	assert_int_equal(sqlite3_vfs_register(&failing_vfs, 1), SQLITE_OK);
	for (n = 0; n < 10; n++) {
		syncs_left = -1;
		a = sample_open(0);
		assert_int_equal(ofs_audit_size(a, &size), 0);
		sample_begin(a);
		sample_login(a, &body);
		(void)sample_append(a, OFS_REC_LOGIN, NULL, &body, NULL);
		syncs_left = n;
		if (log_commit(a, &e) == 0) {
			ofs_audit_free(a);
			break;
		}
		failures++;
		assert_int_equal(e.code, OFS_EAUDIT);
		/* even when the disk is well again */
		syncs_left = -1;
		assert_int_equal(log_begin(a, &e), OFS_EAUDIT);
		assert_non_null(strstr(e.message, "open it anew"));
		assert_int_equal(
			ofs_audit_verify(a, NULL, NULL, &rep), OFS_EAUDIT);
		ofs_audit_free(a);
		ofs_audit_free(sample_open(0));
		sample_verifies(0);
	}
	syncs_left = -1;
	sqlite3_vfs_unregister(&failing_vfs);
	/* journal, its directory or header, database, truncated journal */
	assert_in_range(failures, 3, 9);
	sample_verifies(0);
}

/* recorded, but the head file does not say so: no success, and no more writes
 */
static void
latches_without_a_head(void **state)
{
	ofs_audit *a = sample_open(OFS_AUDIT_CREATE);
	struct ofs_audit_report rep;
	struct ofs_error e;
	struct buf body = BUF_INIT;

	(void)state;
	sample_begin(a);
	sample_login(a, &body);
	(void)sample_append(a, OFS_REC_LOGIN, NULL, &body, NULL);
	close(a->head_fd);
	a->head_fd = open("/dev/full", O_RDWR | O_CLOEXEC);
	assert_int_equal(log_commit(a, &e), OFS_EAUDIT);
	assert_int_equal(log_begin(a, &e), OFS_EAUDIT);
	ofs_audit_free(a);
	ok(sample_verify(&rep, &e), &e);
	assert_int_equal(rep.records, 2);
	assert_int_equal(rep.head_records, 1);
	a = sample_open(0);
	add_logins(a, 1);
	ofs_audit_free(a);
	ok(sample_verify(&rep, &e), &e);
	assert_int_equal(rep.head_records, 3);
}

/* a slot that is not looked at twice is so only as long as it says the same */
static void
forged_old_slot(void **state)
{
	ofs_audit *a = sample_open(OFS_AUDIT_CREATE);
	struct head_file f;
	struct ofs_error e;
	struct head h;

	(void)state;
	for (int i = 0; i < 3; i++)
		add_logins(a, 2);
	ok(head_read(a->head_fd, &f, &e), &e);
	assert_true(f.valid[0] && f.valid[1]);
	assert_int_equal(head_newest(&f)->size, 7);
	h = head_newest(&f) == &f.slot[0] ? f.slot[1] : f.slot[0];
	assert_int_equal(h.size, 5);
	h.root[7] ^= 1;
	ok(head_write(a->head_fd, &f, &h, &e), &e);
	assert_int_equal(log_begin(a, &e), OFS_EDAMAGED);
	assert_non_null(strstr(e.message, "rewritten"));
	ofs_audit_free(a);
}

/* full while appending: the transaction is lost, the log is not */
static void
with_a_limit(void *arg)
{
	struct rlimit limit;
	struct ofs_error e;
	struct buf body = BUF_INIT;
	ofs_audit *a;
	int failed = 0;

	(void)arg;
	signal(SIGXFSZ, SIG_IGN);
	a = sample_open(0);
	limit.rlim_cur = limit.rlim_max = 1 << 20;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	for (int i = 0; i < 5000 && !failed; i++) {
		struct log_entry en = { .type = OFS_REC_LOGIN };
		uint64_t seq;

		sample_login(a, &body);
		en.body = body.p;
		en.body_len = body.len;
		if (i % 100 == 0)
			sample_begin(a);
		failed = log_append(a, &en, &seq, &e) != 0;
		if (!failed && i % 100 == 99)
			failed = log_commit(a, &e) != 0;
		buf_free(&body);
	}
	assert_true(failed);
	assert_int_equal(e.code, OFS_EAUDIT);
	ofs_audit_free(a);
}

static void
full_disk(void **state)
{
	struct ofs_audit_report rep;
	struct ofs_error e;
	ofs_audit *a;

	(void)state;
	ofs_audit_free(sample_open(OFS_AUDIT_CREATE));
	join(spawn(with_a_limit, NULL));
	a = sample_open(0);
	add_logins(a, 1);
	ofs_audit_free(a);
	ok(sample_verify(&rep, &e), &e);
	assert_true(rep.records > 100);
	assert_int_equal(rep.records % 100, 2);
}

static void
read_only_writes_nothing(void **state)
{
	struct buf body = BUF_INIT;
	struct ofs_error e;
	ofs_audit *a;

	(void)state;
	ofs_audit_free(sample_open(OFS_AUDIT_CREATE));
	a = sample_open(OFS_AUDIT_READ_ONLY);
	assert_true(log_read_only(a));
	assert_int_equal(log_begin(a, &e), OFS_EAUDIT);
	assert_int_equal(log_batch_hold(a, 1, &e), OFS_EAUDIT);
	ofs_audit_free(a);
	sample_refused(
		OFS_AUDIT_READ_ONLY | OFS_AUDIT_CREATE, OFS_EINVAL, "flags");
	buf_free(&body);
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup(fn, fresh)
	const struct CMUnitTest tests[] = {
		TEST(creates_and_reads),
		TEST(lists_in_order),
		TEST(reads_without_the_errors_of_others),
		TEST(rolls_back),
		TEST(survives_a_crash),
		TEST(four_processes),
		TEST(threads_of_one_handle),
		TEST(notices_roll_back),
		TEST(head_file),
		TEST(head_forged_under_a_handle),
		TEST(head_behind),
		TEST(refuses_places),
		TEST(refuses_other_databases),
		TEST(finishes_creation),
		TEST(network_file_systems),
		TEST(other_users),
		TEST(shared_with_a_group),
		TEST(writers_queue),
		TEST(batches_alive),
		TEST(pending_outputs),
		TEST(many_outputs_are_read_once),
		TEST(latches_after_a_failed_sync),
		TEST(latches_without_a_head),
		TEST(forged_old_slot),
		TEST(full_disk),
		TEST(read_only_writes_nothing),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, sample_setup, sample_teardown);
}
