/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands that accept or refuse each document before it is signed. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/plain.h"
#include "sign.h"

#define LOOK_MS 100
#define LINES_MAX 3

/* for cmd_sign_validate_kill(): a process group, or 0 */
static atomic_int child;

void
cmd_sign_validate_kill(void)
{
	int pid = atomic_load(&child);

	if (pid > 0)
		(void)kill(-pid, SIGKILL);
}

/* one word of a command in place; NULL at the end, *bad: a quote is open */
static char *
next_word(char **at, bool *bad)
{
	char *from = *at + strspn(*at, " \t\n"), *to = from, *word = from;
	char quote;

	if (*from == '\0')
		return NULL;
	while (*from != '\0' && strchr(" \t\n", *from) == NULL) {
		if (*from != '\'' && *from != '"') {
			*to++ = *from++;
			continue;
		}
		quote = *from++;
		while (*from != '\0' && *from != quote)
			*to++ = *from++;
		if (*from++ == '\0') {
			*bad = true;
			return NULL;
		}
	}
	*at = *from != '\0' ? from + 1 : from;
	*to = '\0';
	return word;
}

/* where a shell would find it with our PATH */
static char *
find_program(const char *name)
{
	static const char *const dirs[] = { "/usr/bin", "/bin" };
	char *path = NULL;
	size_t i;

	if (strchr(name, '/') != NULL)
		return access(name, X_OK) == 0 ? strdup(name) : NULL;
	for (i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		if (asprintf(&path, "%s/%s", dirs[i], name) < 0)
			return NULL;
		if (access(path, X_OK) == 0)
			return path;
		free(path);
	}
	return NULL;
}

static int
parse(struct out *o, struct validate_command *c, const char *text)
{
	bool bad = false;
	char *at, *word = NULL;

	c->text = at = strdup(text);
	if (c->text == NULL)
		return out_fail(o, OFS_ENOMEM, "out of memory");
	while (c->n < VALIDATE_WORDS && (word = next_word(&at, &bad)) != NULL)
		c->argv[c->n++] = word;
	if (bad)
		return out_fail(o, OFS_EINVAL,
			"a quote in the command '%s' is not closed",
			NAME(text));
	if (word != NULL)
		return out_fail(o, OFS_EINVAL,
			"the command '%s' has more than %d words; put it into "
			"a script",
			NAME(text), VALIDATE_WORDS - 1);
	if (c->n == 0)
		return out_fail(o, OFS_EINVAL, "'--validate' names no command");
	c->program = find_program(c->argv[0]);
	if (c->program == NULL)
		return out_fail(o, OFS_EINVAL,
			"cannot run '%s' to validate documents: it is no "
			"program, or not in /usr/bin or /bin; give its path",
			NAME(c->argv[0]));
	return 0;
}

int
cmd_sign_validate_open(
	struct out *o, const struct sign_options *opts, struct validator *v)
{
	int rc = 0;

	memset(v, 0, sizeof(*v));
	/* where it is ignored, nobody learns how a command ended */
	if (opts->validate.n > 0)
		(void)signal(SIGCHLD, SIG_DFL);
	v->timeout_ms = (int64_t)opts->validate_timeout * 1000;
	while (rc == 0 && v->n < opts->validate.n) {
		v->n++;
		rc = parse(
			o, &v->commands[v->n - 1], opts->validate.p[v->n - 1]);
	}
	return rc;
}

void
cmd_sign_validate_close(struct validator *v)
{
	while (v->n > 0) {
		v->n--;
		free(v->commands[v->n].text);
		free(v->commands[v->n].program);
	}
}

/* a document from standard input has no path: /dev/stdin stands for it */
static int
document_fd(const struct ofs_document *d)
{
	int fd;

	if (d->fd >= 0)
		return fcntl(d->fd, F_DUPFD_CLOEXEC, 3);
	fd = memfd_create("document", MFD_CLOEXEC);
	if (fd >= 0 &&
		(write(fd, d->bytes, d->document_size) !=
				(ssize_t)d->document_size ||
			lseek(fd, 0, SEEK_SET) != 0)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* a path that a program does not take for an option */
static int
make_path(const struct ofs_document *d, char **path, char **env)
{
	char hex[65];

	plain_hex(hex, d->sha256, 32);
	*path = env[2] = env[3] = NULL;
	if (d->fd < 0)
		*path = strdup("/dev/stdin");
	else if (asprintf(path, "%s%s", d->path[0] == '-' ? "./" : "",
			 d->path) < 0)
		*path = NULL;
	if (*path == NULL || asprintf(&env[2], "OFS_DOCUMENT=%s", *path) < 0) {
		env[2] = NULL;
		return ENOMEM;
	}
	if (asprintf(&env[3], "OFS_SHA256=%s", hex) < 0) {
		env[3] = NULL;
		return ENOMEM;
	}
	return 0;
}

/* in a session of its own, so that ^C and what it leaves behind are ours */
static int
spawn(const struct validate_command *c, char *const argv[], char *const env[],
	int in, int out, pid_t *pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int rc;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attr);
	rc = posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(
			&files, out, STDOUT_FILENO);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(
			&files, out, STDERR_FILENO);
	if (rc == 0)
		rc = posix_spawn_file_actions_addclosefrom_np(&files, 3);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setflags(&attr,
		POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
			POSIX_SPAWN_SETSID);
	if (rc == 0)
		rc = posix_spawn(pid, c->program, &files, &attr, argv, env);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	return rc;
}

static int
start(const struct validate_command *c, const struct ofs_document *d, int out,
	pid_t *pid)
{
	char path_env[] = "PATH=/usr/bin:/bin", locale[] = "LC_ALL=C";
	char *argv[VALIDATE_WORDS + 2], *env[5] = { path_env, locale }, *path;
	int in, rc;

	rc = make_path(d, &path, env);
	in = document_fd(d);
	if (rc == 0 && in < 0)
		rc = errno;
	if (rc == 0) {
		memcpy(argv, c->argv, c->n * sizeof(*argv));
		argv[c->n] = path;
		argv[c->n + 1] = NULL;
		rc = spawn(c, argv, env, in, out, pid);
	}
	if (in >= 0)
		close(in);
	free(path);
	free(env[2]);
	free(env[3]);
	return rc;
}

/* what a command said: the beginning is kept, the rest read and dropped */
struct words {
	char text[1024];
	size_t n;
};

/* false at the end */
static bool
take_words(struct words *w, int fd)
{
	char block[4096];
	ssize_t got = read(fd, block, sizeof(block));
	size_t keep = sizeof(w->text) - 1 - w->n;

	if (got < 0)
		return errno == EINTR || errno == EAGAIN;
	if ((size_t)got < keep)
		keep = (size_t)got;
	memcpy(w->text + w->n, block, keep);
	w->n += keep;
	return got > 0;
}

enum ended { BY_ITSELF, TOO_LATE, GIVEN_UP, LOST };

/* still to be waited for, so that its number is nobody else's */
static bool
has_ended(pid_t pid, bool *lost)
{
	siginfo_t info = { .si_pid = 0 };

	*lost = waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) !=
			0 &&
		errno != EINTR;
	return *lost || info.si_pid == pid;
}

/* what it started goes with it */
static bool
reap(pid_t pid, int *status)
{
	pid_t got;

	(void)kill(-pid, SIGKILL);
	atomic_store(&child, 0);
	do
		got = waitpid(pid, status, 0);
	while (got < 0 && errno == EINTR);
	return got == pid;
}

/* until it ends, its time is over, or the batch is stopped */
static enum ended
watch(pid_t pid, int fd, int64_t deadline, struct words *said, int *status)
{
	struct pollfd p[2] = { { .fd = fd, .events = POLLIN },
		{ .fd = pidfd_open(pid, 0), .events = POLLIN } };
	int tick = p[1].fd >= 0 ? LOOK_MS : LOOK_MS / 10;
	enum ended how = BY_ITSELF;
	bool lost = false;

	while (!has_ended(pid, &lost)) {
		if (cmd_sign_stopping() || pinsrc_now() >= deadline) {
			how = cmd_sign_stopping() ? GIVEN_UP : TOO_LATE;
			break;
		}
		if (poll(p, 2, tick) > 0 && p[0].revents != 0 &&
			!take_words(said, fd))
			p[0].fd = -1;
	}
	if (p[1].fd >= 0)
		close(p[1].fd);
	/* without its status nothing is accepted */
	return reap(pid, status) && !lost ? how : LOST;
}

/* the first lines, as one */
static void
put_words(FILE *f, const struct words *w)
{
	const char *at = w->text, *end;
	int lines = 0;
	size_t n;

	for (; *at != '\0' && lines < LINES_MAX; at = end + strspn(end, "\n")) {
		end = at + strcspn(at, "\n");
		n = (size_t)(end - at);
		while (n > 0 && (at[n - 1] == '\r' || at[n - 1] == ' '))
			n--;
		if (n == 0)
			continue;
		fputs(lines++ == 0 ? ": " : "; ", f);
		fwrite(at, 1, n, f);
	}
}

static int
judge(const struct validator *v, const struct validate_command *c,
	enum ended how, int status, const struct words *said, char *message,
	size_t size)
{
	FILE *f;

	if (how == GIVEN_UP)
		return OFS_EINTR;
	if (how == BY_ITSELF && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	f = fmemopen(message, size, "w");
	if (f == NULL)
		return OFS_EPOLICY;
	fprintf(f, "'%s' ", c->argv[0]);
	if (how == LOST)
		fputs("ended, and how is not known", f);
	else if (how == TOO_LATE)
		fprintf(f, "was not done after %lld s",
			(long long)(v->timeout_ms / 1000));
	else if (WIFSIGNALED(status))
		fprintf(f, "was killed by signal %d", WTERMSIG(status));
	else
		fprintf(f, "exited with %d", WEXITSTATUS(status));
	put_words(f, said);
	fclose(f);
	return OFS_EPOLICY;
}

static int
ask(const struct validator *v, const struct validate_command *c,
	const struct ofs_document *d, char *message, size_t size)
{
	int64_t deadline = pinsrc_now() + v->timeout_ms;
	struct words said = { .n = 0 };
	int ends[2], status = 0, rc;
	enum ended how;
	pid_t pid;

	rc = pipe2(ends, O_CLOEXEC) != 0 ? errno : 0;
	if (rc == 0) {
		rc = start(c, d, ends[1], &pid);
		close(ends[1]);
		if (rc != 0)
			close(ends[0]);
	}
	if (rc != 0) {
		snprintf(message, size, "cannot start '%s': %s", c->argv[0],
			strerror(rc));
		return OFS_EIO;
	}
	(void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
	atomic_store(&child, pid);
	how = watch(pid, ends[0], deadline, &said, &status);
	errno = 0;
	while (said.n < sizeof(said.text) - 1 && errno == 0 &&
		take_words(&said, ends[0]))
		;
	close(ends[0]);
	return judge(v, c, how, status, &said, message, size);
}

int
cmd_sign_validate(
	void *arg, const struct ofs_document *d, char *message, size_t size)
{
	const struct validator *v = arg;
	size_t i;
	int rc = 0;

	for (i = 0; i < v->n && rc == 0; i++) {
		if (d->fd >= 0 && lseek(d->fd, 0, SEEK_SET) != 0)
			return OFS_EIO;
		rc = ask(v, &v->commands[i], d, message, size);
	}
	return rc;
}
