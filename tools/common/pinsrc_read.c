/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PINs from descriptors and programs, in memory that is locked and wiped. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/pinsrc.h"
#include "common/plain.h"

#define PROGRAM_MS 60000

char *
pinsrc_buffer_new(void)
{
	char *p = mmap(NULL, PIN_BUFFER, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	/* best effort: the limit on locked memory may be 0 */
	(void)mlock(p, PIN_BUFFER);
	(void)madvise(p, PIN_BUFFER, MADV_DONTDUMP);
	return p;
}

void
pinsrc_buffer_free(char *p)
{
	if (p == NULL)
		return;
	explicit_bzero(p, PIN_BUFFER);
	munmap(p, PIN_BUFFER);
}

int64_t
pinsrc_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* 1: a byte; 0: the end; -1: errno */
static int
next_byte(int fd, int64_t deadline, char *c)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	int64_t left = -1;
	ssize_t n;

	for (;;) {
		if (deadline != 0) {
			left = deadline - pinsrc_now();
			if (left <= 0) {
				errno = ETIMEDOUT;
				return -1;
			}
		}
		if (poll(&pfd, 1, (int)left) < 0 && errno != EINTR)
			return -1;
		if (pfd.revents == 0)
			continue;
		n = read(fd, c, 1);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		return (int)n;
	}
}

int
pinsrc_read_line(struct out *o, const char *word, int fd, int64_t deadline,
	const char *where, char *pin)
{
	const char *why = NULL;
	size_t n = 0;
	char c = 0;
	int got;

	for (;;) {
		got = next_byte(fd, deadline, &c);
		if (got < 0)
			why = strerror(errno);
		if (got <= 0 || c == '\n')
			break;
		if (c == '\0')
			why = "it has a NUL in it";
		/* one more than fits: the CR of a CR LF may be cut */
		if (n == OFS_PIN_MAX + 1)
			why = "it is too long";
		if (why != NULL)
			break;
		if (n <= OFS_PIN_MAX)
			pin[n] = c;
		n++;
	}
	c = 0;
	if (why == NULL && n > 0 && got == 1 && n <= OFS_PIN_MAX + 1 &&
		pin[n - 1] == '\r')
		n--;
	if (why == NULL && n == 0)
		why = "it is empty";
	if (why == NULL && n > OFS_PIN_MAX)
		why = "it is too long";
	if (why != NULL) {
		explicit_bzero(pin, OFS_PIN_MAX + 1);
		return out_fail(o, OFS_ENOPIN,
			"cannot read the %s from '%s': %s", word, NAME(where),
			why);
	}
	pin[n] = '\0';
	return 0;
}

/* PATH and LANG and nothing else */
struct environment {
	char *path, *lang;
	char *env[3];
};

static int
environment_make(struct environment *e)
{
	const char *path = getenv("PATH"), *lang = getenv("LANG");

	memset(e, 0, sizeof(*e));
	if (asprintf(&e->path, "PATH=%s",
		    path != NULL ? path : "/usr/bin:/bin") < 0) {
		e->path = NULL;
		return -1;
	}
	if (asprintf(&e->lang, "LANG=%s", lang != NULL ? lang : "C") < 0) {
		e->lang = NULL;
		return -1;
	}
	e->env[0] = e->path;
	e->env[1] = e->lang;
	return 0;
}

/* the program with our output pipe, /dev/null, stderr and no descriptor more */
static int
start(const char *program, int to, pid_t *pid)
{
	char *name = strdup(program), *argv[] = { name, NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	struct environment env;
	sigset_t none, all;
	int rc;

	if (environment_make(&env) != 0 || name == NULL) {
		rc = ENOMEM;
		goto out;
	}
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attr);
	rc = posix_spawn_file_actions_addopen(
		&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(
			&files, to, STDOUT_FILENO);
	if (rc == 0)
		rc = posix_spawn_file_actions_addclosefrom_np(&files, 3);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setflags(
		&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	if (rc == 0)
		rc = posix_spawnp(pid, program, &files, &attr, argv, env.env);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
out:
	free(env.path);
	free(env.lang);
	free(name);
	return rc;
}

/* true when it ended by itself with status 0 before the deadline */
static bool
ended_well(pid_t pid, int64_t deadline)
{
	struct timespec pause = { 0, 10 * 1000000L };
	int status = 0;
	pid_t got;

	for (;;) {
		got = waitpid(pid, &status, WNOHANG);
		if (got == pid)
			return WIFEXITED(status) && WEXITSTATUS(status) == 0;
		if (got < 0 && errno != EINTR)
			return false;
		if (pinsrc_now() >= deadline)
			break;
		nanosleep(&pause, NULL);
	}
	kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return false;
}

int
pinsrc_from_program(
	struct out *o, const char *word, const char *program, char *pin)
{
	int64_t deadline = pinsrc_now() + PROGRAM_MS;
	int ends[2], rc;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return out_fail(o, OFS_ENOPIN, "cannot make a pipe: %s",
			strerror(errno));
	rc = start(program, ends[1], &pid);
	close(ends[1]);
	if (rc != 0) {
		close(ends[0]);
		return out_fail(o, OFS_ENOPIN,
			"cannot start the %s program '%s': %s", word,
			NAME(program), strerror(rc));
	}
	rc = pinsrc_read_line(o, word, ends[0], deadline, program, pin);
	close(ends[0]);
	/* a program that gave nothing of use is not waited for */
	if (!ended_well(pid, rc == 0 ? deadline : pinsrc_now()) && rc == 0) {
		explicit_bzero(pin, OFS_PIN_MAX + 1);
		rc = out_fail(o, OFS_ENOPIN,
			"the %s program '%s' failed; what it wrote is not "
			"used",
			word, NAME(program));
	}
	return rc;
}
