/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A log that could not be made leaves nothing, and stands in nobody's way. */
#include "log_sample.h"

#include <fcntl.h>
#include <grp.h>
#include <sys/file.h>

#include "audit/handle.h"

/* a log of its own for each test, two directories below */
static int
fresh(void **state)
{
	static int n;

	(void)state;
	snprintf(log_dir, sizeof(log_dir), "%s/top%d/below/log", sample_dir,
		n++);
	return 0;
}

/* it fails last of all, when all files have been made */
static void
fail_to_init(const char *group)
{
	struct ofs_audit_init_opts o = OFS_AUDIT_INIT_OPTS_INIT;

	o.plain = true;
	o.group = group;
	o.audit_key = "file:/nonexistent/key";
	assert_int_equal(ofs_audit_init(sample_ctx, log_dir, &o), OFS_EIO);
}

/* what there is, beside the directories of these tests */
static void
there_is(const char *want)
{
	char got[256] = "", line[200];
	FILE *f;

	snprintf(line, sizeof(line),
		"cd %s && find . -mindepth 1 -printf '%%P\\n' | LC_ALL=C sort",
		sample_dir);
	f = popen(line, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL)
		strncat(got, line, sizeof(got) - strlen(got) - 1);
	assert_int_equal(pclose(f), 0);
	assert_string_equal(got, want);
}

static void
leaves_nothing(void **state)
{
	(void)state;
	fail_to_init(NULL);
	there_is("");
	shell("mkdir -p %s/top0/below", sample_dir);
	fail_to_init(NULL);
	there_is("top0\ntop0/below\n");
	/* what is there was there before */
	shell("mkdir -m 700 %s; umask 077; : >%s/log.lock", log_dir, log_dir);
	fail_to_init(NULL);
	there_is("top0\ntop0/below\ntop0/below/log\n"
		 "top0/below/log/log.lock\n");
	ofs_audit_free(sample_open(OFS_AUDIT_CREATE));
	shell("rm -r %s/top*", sample_dir);
}

/* the first use of a log makes it, too */
static void
opening_leaves_nothing(void **state)
{
	struct ofs_ctx_opts o = OFS_CTX_OPTS_INIT;
	ofs_ctx *shared = sample_ctx;

	(void)state;
	o.station_keys = "/proc/nowhere";
	assert_int_equal(ofs_ctx_new(&o, &sample_ctx), 0);
	sample_refused(OFS_AUDIT_CREATE, OFS_EAUDIT, "/proc/nowhere");
	there_is("");
	ofs_ctx_free(sample_ctx);
	sample_ctx = shared;
}

/* a key that nothing was signed with: the next log would have it */
static void
leaves_no_audit_key(void **state)
{
	struct ofs_audit_init_opts o = OFS_AUDIT_INIT_OPTS_INIT;
	char key[200];

	(void)state;
	o.audit_key = "file";
	o.station_key = "/proc/nowhere/key";
	assert_int_equal(ofs_audit_init(sample_ctx, log_dir, &o), OFS_EAUDIT);
	there_is("");
	/* one that was there stays */
	snprintf(key, sizeof(key), "file:%s/key", sample_dir);
	o.audit_key = key;
	shell("openssl genpkey -algorithm ed25519 -out %s/key && chmod 600 "
	      "%s/key",
		sample_dir, sample_dir);
	assert_int_equal(ofs_audit_init(sample_ctx, log_dir, &o), OFS_EAUDIT);
	there_is("key\n");
	shell("rm %s/key", sample_dir);
}

/* the next attempt may want other modes */
static void
can_be_shared_afterwards(void **state)
{
	struct ofs_audit_init_opts o = OFS_AUDIT_INIT_OPTS_INIT;

	(void)state;
	if (geteuid() != 0 || getgrnam("daemon") == NULL) {
		print_message("needs root and a group: not tried\n");
		return;
	}
	fail_to_init("daemon");
	there_is("");
	shell("mkdir -p %s && chmod 700 %s", log_dir, log_dir);
	fail_to_init(NULL);
	o.plain = true;
	o.group = "daemon";
	ok(ofs_audit_init(sample_ctx, log_dir, &o), ofs_ctx_error(sample_ctx));
	shell("rm -r %s/top*", sample_dir);
}

/* a log that is there, but is of no use, is left alone */
static void
keeps_a_log(void **state)
{
	(void)state;
	ofs_audit_free(sample_open(OFS_AUDIT_CREATE));
	shell("cd %s && rm *.lock && cp log.db .. && dd if=/dev/zero of=log.db "
	      "bs=64 count=1 conv=notrunc status=none && cp log.db ../bad",
		log_dir);
	sample_refused(OFS_AUDIT_CREATE, OFS_EDAMAGED, "not a database");
	shell("cd %s && cmp log.db ../bad && cp ../log.db log.db", log_dir);
	ofs_audit_free(sample_open(OFS_AUDIT_CREATE));
	sample_verifies(1);
	shell("rm -r %s/top*", sample_dir);
}

static int
open_lock(void)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/" PLACE_LOCK, log_dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	return fd;
}

/* until somebody stands in the queue of writers (handle_flock) */
static void
wait_for_a_writer(int lock)
{
	struct flock gate;

	do {
		gate = (struct flock){
			.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1
		};
		usleep(1000);
		assert_int_equal(fcntl(lock, F_OFD_GETLK, &gate), 0);
	} while (gate.l_type == F_UNLCK);
}

/* who waits meanwhile does not lock a file that others do not see */
static void
who_waits_has_the_lock_of_others(void **state)
{
	struct stat ours, theirs;
	int lock, status;
	ofs_audit *a;
	pid_t pid;

	(void)state;
	shell("mkdir -p %s && chmod 700 %s", log_dir, log_dir);
	lock = open_lock();
	assert_int_equal(flock(lock, LOCK_EX), 0);
	pid = fork();
	if (pid == 0) {
		close(lock); /* it would be ours as well */
		a = sample_open(OFS_AUDIT_CREATE);
		lock = open_lock();
		status = fstat(a->lock_fd, &ours) != 0 ||
			fstat(lock, &theirs) != 0 ||
			ours.st_ino != theirs.st_ino;
		ofs_audit_free(a);
		_exit(status);
	}
	assert_true(pid > 0);
	wait_for_a_writer(lock);
	shell("rm %s/*", log_dir);
	close(lock);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	sample_verifies(1);
	shell("rm -r %s/top*", sample_dir);
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup(fn, fresh)
	const struct CMUnitTest tests[] = {
		TEST(leaves_nothing),
		TEST(opening_leaves_nothing),
		TEST(leaves_no_audit_key),
		TEST(can_be_shared_afterwards),
		TEST(keeps_a_log),
		TEST(who_waits_has_the_lock_of_others),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, sample_setup, sample_teardown);
}
