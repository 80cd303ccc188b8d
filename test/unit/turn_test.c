/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Processes and threads take turns on a token. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/time.h"
#include "token/turn.h"

#define MS INT64_C(1000)
#define RACERS 3

static char dir[] = "/tmp/ofs-turn-XXXXXX";
static char path[256]; /* of the lock file */

/* seen by all processes of a test */
static struct {
	atomic_int inside, clashes, go, stop;
	atomic_int turns[RACERS];
} * shared;

static void
nap(int64_t us)
{
	struct timespec ts = { us / 1000000, (us % 1000000) * 1000 };

	while (nanosleep(&ts, &ts) != 0 && errno == EINTR)
		;
}

static void
pad(unsigned char *to, size_t n, const char *s)
{
	memset(to, ' ', n);
	memcpy(to, s, strlen(s));
}

static CK_TOKEN_INFO
token(const char *serial)
{
	CK_TOKEN_INFO t = { 0 };

	pad(t.label, sizeof(t.label), "payroll");
	pad(t.manufacturerID, sizeof(t.manufacturerID), "Acme");
	pad(t.model, sizeof(t.model), "M1");
	pad(t.serialNumber, sizeof(t.serialNumber), serial);
	return t;
}

static struct turn *
open_turn(void)
{
	CK_TOKEN_INFO info = token("0001");
	struct ofs_error e;
	struct turn *t;

	if (turn_open(dir, &info, &t, &e) != 0) {
		fprintf(stderr, "# %s\n", e.message);
		abort();
	}
	return t;
}

static int
enter(struct turn *t, int64_t wait_us, struct ofs_error *e)
{
	err_clear(e);
	return turn_enter(t, time_mono() + wait_us, e);
}

static int
setup(void **state)
{
	(void)state;
	/* printf "Acme|M1|0001" | sha256sum | cut -c1-16 */
	snprintf(
		path, sizeof(path), "%s/offlinesig-20dc9fe724fe519c.lock", dir);
	memset(shared, 0, sizeof(*shared));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	(void)remove(path);
	return 0;
}

/* a child that runs fn and exits with its answer */
static pid_t
start(int (*fn)(int), int arg)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(fn(arg));
	assert_true(pid > 0);
	return pid;
}

static void
finish(pid_t pid)
{
	int status = -1;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
names(void **state)
{
	CK_TOKEN_INFO a = token("0001"), b = token("0002"), nul = a;
	struct turn *t, *u, *v;
	struct ofs_error e;
	struct stat st;
	mode_t mask = umask(077);

	(void)state;
	assert_int_equal(turn_open(dir, &a, &t, &e), 0);
	umask(mask);
	assert_int_equal(lstat(path, &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0666);
	/* another token has another file; padding does not matter */
	assert_int_equal(turn_open(dir, &b, &u, &e), 0);
	memset(nul.serialNumber + 4, 0, sizeof(nul.serialNumber) - 4);
	assert_int_equal(turn_open(dir, &nul, &v, &e), 0);
	assert_int_equal(enter(t, 0, &e), 0);
	assert_int_equal(enter(u, 0, &e), 0);
	assert_int_equal(enter(v, 0, &e), OFS_ETOKEN);
	turn_leave(t);
	assert_int_equal(enter(v, 0, &e), 0);
	turn_leave(v);
	turn_leave(u);
	turn_close(t);
	turn_close(u);
	turn_close(v);
	snprintf(
		path, sizeof(path), "%s/offlinesig-555f743eb77ce55b.lock", dir);
	(void)remove(path);
	setup(state);
}

static void
none(void **state)
{
	CK_TOKEN_INFO a = token("0001");
	struct turn *t = (struct turn *)1;
	struct ofs_error e;

	(void)state;
	assert_int_equal(turn_open("", &a, &t, &e), 0);
	assert_null(t);
	assert_int_equal(turn_enter(t, 0, &e), 0);
	turn_leave(t);
	turn_close(t);
}

static int
race(int me)
{
	struct turn *t = open_turn();
	struct ofs_error e;

	while (!shared->go)
		nap(100);
	while (!shared->stop) {
		if (enter(t, 5000 * MS, &e) != 0) {
			fprintf(stderr, "# %s\n", e.message);
			return 1;
		}
		if (atomic_fetch_add(&shared->inside, 1) != 0)
			shared->clashes++;
		nap(2 * MS);
		shared->turns[me]++;
		atomic_fetch_sub(&shared->inside, 1);
		turn_leave(t);
	}
	turn_close(t);
	return 0;
}

static void
race_of(int n, int factor)
{
	pid_t pid[RACERS];
	int least = 0, most = 0;

	for (int i = 0; i < n; i++)
		pid[i] = start(race, i);
	shared->go = 1;
	nap(1500 * MS);
	shared->stop = 1;
	for (int i = 0; i < n; i++) {
		int got = shared->turns[i];

		finish(pid[i]);
		printf("# process %d: %d turns\n", i, got);
		least = i == 0 || got < least ? got : least;
		most = got > most ? got : most;
	}
	assert_int_equal(shared->clashes, 0);
	assert_true(least > 20);
	assert_true(most <= factor * least);
}

static void
two_alternate(void **state)
{
	(void)state;
	race_of(2, 2);
}

static void
three_alternate(void **state)
{
	(void)state;
	race_of(3, 3); /* who queues next is chance */
}

static int
hold(int ms)
{
	struct turn *t = open_turn();
	struct ofs_error e;

	prctl(PR_SET_NAME, "ofs-\x1b[31m");
	turn_close(t);
	t = open_turn(); /* with the new name */
	if (enter(t, 0, &e) != 0)
		return 1;
	shared->go = 1;
	nap(ms * MS);
	turn_leave(t);
	turn_close(t);
	return 0;
}

static void
wait_go(void)
{
	while (!shared->go)
		nap(100);
}

static void
deadline_names_holder(void **state)
{
	struct turn *t = open_turn();
	char want[128], user[32];
	struct ofs_error e;
	int64_t before;
	pid_t pid;

	(void)state;
	pid = start(hold, 1300);
	wait_go();
	nap(1050 * MS);
	before = time_mono();
	assert_int_equal(enter(t, 50 * MS, &e), OFS_ETOKEN);
	assert_true(time_mono() - before >= 50 * MS);
	assert_true(time_mono() - before < 1000 * MS);
	/* the name is made harmless, and the user's is looked up */
	snprintf(user, sizeof(user), "user %s", geteuid() == 0 ? "root" : "");
	snprintf(want, sizeof(want),
		"token 'payroll' is in use by ofs-\\x1b[31m (pid %ld, %s",
		(long)pid, user);
	if (strncmp(e.message, want, strlen(want)) != 0)
		fail_msg("%s", e.message);
	if (strstr(e.message, ") for 1 s; wait for it or end it") == NULL)
		fail_msg("%s", e.message);
	finish(pid);
	assert_int_equal(enter(t, 0, &e), 0);
	turn_leave(t);
	turn_close(t);
}

static void
killed_holder_frees_it(void **state)
{
	struct turn *t = open_turn();
	struct ofs_error e;
	pid_t pid;
	int status;

	(void)state;
	pid = start(hold, 60000);
	wait_go();
	assert_int_equal(enter(t, 0, &e), OFS_ETOKEN);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(enter(t, 1000 * MS, &e), 0);
	turn_leave(t);
	turn_close(t);
}

/* a child that is there still does not keep what its parent gave up */
static int
linger(int ms)
{
	shared->go = 1;
	nap(ms * MS);
	return 0;
}

static void
fork_keeps_nothing(void **state)
{
	struct turn *t = open_turn(), *u = open_turn();
	struct ofs_error e;
	pid_t pid;
	int status;

	(void)state;
	assert_int_equal(enter(t, 0, &e), 0);
	pid = start(linger, 60000);
	turn_leave(t);
	assert_int_equal(enter(u, 0, &e), 0);
	turn_leave(u);
	turn_close(u);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	/* nor does it enter with what it got, or unlock by closing it */
	assert_int_equal(enter(t, 0, &e), 0);
	turn_leave(t);
	pid = fork();
	if (pid == 0) {
		bool refused = enter(t, 0, &e) == OFS_ETOKEN;

		turn_close(t);
		_exit(refused && strstr(e.message, "fork") != NULL ? 0 : 1);
	}
	finish(pid);
	turn_close(t);
}

struct sharer {
	struct turn *t;
	pthread_t id;
	int rc, turns;
};

/* never all outside at once */
static void *
overlap(void *arg)
{
	struct sharer *s = arg;
	struct ofs_error e;

	while (!shared->stop && s->rc == 0) {
		s->rc = enter(s->t, 5000 * MS, &e);
		if (s->rc != 0)
			break;
		atomic_fetch_add(&shared->inside, 1);
		nap(7 * MS);
		atomic_fetch_sub(&shared->inside, 1);
		turn_leave(s->t);
		s->turns++;
	}
	return NULL;
}

static int
compete(int want)
{
	struct turn *t = open_turn();
	struct ofs_error e;

	wait_go();
	for (int i = 0; i < want; i++) {
		if (enter(t, 2000 * MS, &e) != 0) {
			fprintf(stderr, "# %s\n", e.message);
			return 1;
		}
		if (shared->inside != 0)
			shared->clashes++;
		nap(MS);
		turn_leave(t);
	}
	turn_close(t);
	shared->stop = 1;
	return 0;
}

static void
threads_share(void **state)
{
	struct sharer s[4] = { { 0 } };
	struct turn *t = open_turn();
	int most = 0;
	int64_t until = time_mono() + 10000 * MS;
	pid_t pid;

	(void)state;
	pid = start(compete, 5);
	for (int i = 0; i < 4; i++) {
		s[i].t = t;
		assert_int_equal(
			pthread_create(&s[i].id, NULL, overlap, &s[i]), 0);
		nap(2 * MS);
	}
	shared->go = 1;
	while (!shared->stop && time_mono() < until) {
		int n = shared->inside;

		most = n > most ? n : most;
		nap(MS);
	}
	shared->stop = 1;
	for (int i = 0; i < 4; i++) {
		pthread_join(s[i].id, NULL);
		assert_int_equal(s[i].rc, 0);
		assert_true(s[i].turns > 5);
	}
	finish(pid); /* it had its five turns, alone */
	assert_int_equal(shared->clashes, 0);
	assert_true(most > 1);
	turn_close(t);
}

/* several threads give up at one deadline: each names the holder */
static void *
give_up(void *arg)
{
	struct sharer *s = arg;
	struct ofs_error e;

	s->rc = enter(s->t, 100 * MS, &e);
	if (s->rc == OFS_ETOKEN && strstr(e.message, "(pid ") == NULL)
		s->rc = 1;
	return NULL;
}

static void
threads_give_up(void **state)
{
	struct sharer s[3] = { { 0 } };
	struct turn *t = open_turn();
	struct ofs_error e;
	pid_t pid;

	(void)state;
	pid = start(hold, 600);
	wait_go();
	for (int i = 0; i < 3; i++) {
		s[i].t = t;
		assert_int_equal(
			pthread_create(&s[i].id, NULL, give_up, &s[i]), 0);
	}
	for (int i = 0; i < 3; i++) {
		pthread_join(s[i].id, NULL);
		assert_int_equal(s[i].rc, OFS_ETOKEN);
	}
	finish(pid);
	assert_int_equal(enter(t, 0, &e), 0);
	turn_leave(t);
	turn_close(t);
}

static int
queue_once(int ms)
{
	struct turn *t = open_turn();
	struct ofs_error e;

	shared->go = 1;
	if (enter(t, ms * MS, &e) != 0)
		return 1;
	turn_leave(t);
	turn_close(t);
	return 0;
}

/* held back by its own process, as another one waits */
static void
held_back(void **state)
{
	struct turn *t = open_turn();
	struct ofs_error e;
	pid_t pid;

	(void)state;
	assert_int_equal(enter(t, 0, &e), 0);
	assert_int_equal(enter(t, 0, &e), 0); /* stands for another thread */
	turn_leave(t);
	pid = start(queue_once, 5000);
	wait_go();
	nap(200 * MS);
	assert_int_equal(enter(t, 20 * MS, &e), OFS_ETOKEN);
	if (strstr(e.message, "other calls of this program") == NULL)
		fail_msg("%s", e.message);
	turn_leave(t);
	finish(pid);
	assert_int_equal(enter(t, 0, &e), 0);
	turn_leave(t);
	turn_close(t);
}

static void
removed_file(void **state)
{
	struct turn *t = open_turn(), *u;
	struct ofs_error e;
	struct stat st;

	(void)state;
	assert_int_equal(unlink(path), 0);
	assert_int_equal(enter(t, 0, &e), 0);
	assert_int_equal(stat(path, &st), 0);
	u = open_turn();
	assert_int_equal(enter(u, 0, &e), OFS_ETOKEN);
	turn_leave(t);
	turn_close(t);
	turn_close(u);
}

static void
refused(const char *part)
{
	CK_TOKEN_INFO a = token("0001");
	struct turn *t = (struct turn *)1;
	struct ofs_error e;

	err_clear(&e);
	assert_int_equal(turn_open(dir, &a, &t, &e), OFS_EIO);
	assert_null(t);
	if (strstr(e.message, part) == NULL)
		fail_msg("no \"%s\" in: %s", part, e.message);
}

static void
bad_files(void **state)
{
	char other[300];
	int fd;

	(void)state;
	snprintf(other, sizeof(other), "%s/other", dir);
	fd = open(other, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "mine", 4), 4);
	close(fd);

	assert_int_equal(symlink(other, path), 0);
	refused("it is a symbolic link; remove it");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("nowhere", path), 0);
	refused("it is a symbolic link; remove it");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(link(other, path), 0);
	refused("it has a second name");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0666), 0);
	refused("it is not a regular file; remove it");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0777), 0);
	refused("Is a directory");
	assert_int_equal(rmdir(path), 0);

	fd = open(other, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(lseek(fd, 0, SEEK_END), 4); /* not touched */
	close(fd);
	unlink(other);
}

static void
bad_directory(void **state)
{
	CK_TOKEN_INFO a = token("0001");
	struct ofs_error e;
	struct turn *t;

	(void)state;
	assert_int_equal(turn_open("/nonexistent/dir", &a, &t, &e), OFS_EIO);
	assert_null(t);
	assert_non_null(strstr(e.message, "name another lock directory"));
}

/* whatever others write there */
static void
strange_notes(void **state)
{
	static const char *const notes[] = { "", "\n\n\n",
		"offlinesig-lock pid=", "offlinesig-lock pid=1 uid=\n",
		"offlinesig-lock pid=-1 uid=0 "
		"program=x\nsince=2026-11-21T07:52:00Z\n",
		"offlinesig-lock pid=99999999999999999999 uid=0 program=x\n",
		"offlinesig-lock pid=1x uid=0 program=x\nsince=\n" };
	char big[4096];
	struct turn *t = open_turn(), *u = open_turn();
	struct ofs_error e;
	int fd = open(path, O_WRONLY);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(enter(t, 0, &e), 0);
	for (size_t i = 0; i < sizeof(notes) / sizeof(notes[0]); i++) {
		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(pwrite(fd, notes[i], strlen(notes[i]), 0),
			strlen(notes[i]));
		assert_int_equal(enter(u, 0, &e), OFS_ETOKEN);
		if (strstr(e.message, "another program, which holds") == NULL)
			fail_msg("%zu: %s", i, e.message);
	}
	memset(big, 'A', sizeof(big));
	memcpy(big, "offlinesig-lock pid=7 uid=4294967295 program=x\nsince=9",
		54);
	assert_int_equal(pwrite(fd, big, sizeof(big), 0), sizeof(big));
	assert_int_equal(enter(u, 0, &e), OFS_ETOKEN);
	assert_string_equal(e.message,
		"token 'payroll' is in use by x (pid 7, user 4294967295); "
		"wait for it or end it");
	turn_leave(t);
	/* what the next holder writes is what is read */
	assert_int_equal(enter(t, 0, &e), 0);
	assert_int_equal(enter(u, 0, &e), OFS_ETOKEN);
	snprintf(big, sizeof(big), "(pid %ld, ", (long)getpid());
	assert_non_null(strstr(e.message, big));
	turn_leave(t);
	close(fd);
	turn_close(t);
	turn_close(u);
}

/* another user: 0 when it could share, 1 when it got the clear error */
static int
as_nobody(int unused)
{
	CK_TOKEN_INFO a = token("0001");
	struct ofs_error e;
	struct turn *t;

	(void)unused;
	if (setresgid(65534, 65534, 65534) != 0 ||
		setresuid(65534, 65534, 65534) != 0)
		return 2;
	if (turn_open(dir, &a, &t, &e) != 0)
		return strstr(e.message,
			       "Permission denied; its owner makes it writable") !=
				NULL
			? 1
			: 3;
	return enter(t, 0, &e) == 0 ? 0 : 4;
}

static void
other_users(void **state)
{
	struct ofs_error e;
	struct turn *t;
	int status;
	pid_t pid;

	(void)state;
	if (geteuid() != 0) {
		printf("# not root: sharing between users is not tested\n");
		return;
	}
	t = open_turn();
	pid = start(as_nobody, 0);
	finish(pid);
	turn_close(t);
	assert_int_equal(chmod(path, 0600), 0);
	pid = start(as_nobody, 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 1);
	/* and theirs for root */
	assert_int_equal(unlink(path), 0);
	finish(start(as_nobody, 0));
	t = open_turn();
	assert_int_equal(enter(t, 0, &e), 0);
	turn_leave(t);
	turn_close(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(names, setup, teardown),
		cmocka_unit_test_setup_teardown(none, setup, teardown),
		cmocka_unit_test_setup_teardown(two_alternate, setup, teardown),
		cmocka_unit_test_setup_teardown(
			three_alternate, setup, teardown),
		cmocka_unit_test_setup_teardown(
			deadline_names_holder, setup, teardown),
		cmocka_unit_test_setup_teardown(
			killed_holder_frees_it, setup, teardown),
		cmocka_unit_test_setup_teardown(
			fork_keeps_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(threads_share, setup, teardown),
		cmocka_unit_test_setup_teardown(
			threads_give_up, setup, teardown),
		cmocka_unit_test_setup_teardown(held_back, setup, teardown),
		cmocka_unit_test_setup_teardown(removed_file, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_files, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_directory, setup, teardown),
		cmocka_unit_test_setup_teardown(strange_notes, setup, teardown),
		cmocka_unit_test_setup_teardown(other_users, setup, teardown),
	};
	int rc;

	cmocka_set_message_output(CM_OUTPUT_TAP);
	if (mkdtemp(dir) == NULL || chmod(dir, 01777) != 0)
		return 1;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return 1;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	(void)rmdir(dir);
	return rc;
}
