/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A lock file in a directory that others can write, and who holds it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "base/time.h"
#include "token/lockfile.h"

#define LOCK_BYTE 0
#define QUEUE_BYTE 1
#define BOTH 2 /* bytes */

#define POLL_US 1000 /* these locks have no wait with a deadline */
#define OPEN_TRIES 8 /* somebody makes or removes the file meanwhile */

#define NOTE_SIZE 160 /* of the file; blanks fill it */
#define NOTE_HEAD "offlinesig-lock pid="

/* the name of the main thread; "" when it cannot be read */
static void
find_program(char to[LOCKFILE_PROGRAM_MAX])
{
	int fd = open("/proc/self/comm", O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	if (fd >= 0) {
		n = read(fd, to, LOCKFILE_PROGRAM_MAX - 1);
		close(fd);
	}
	to[n > 0 ? n : 0] = '\0';
	to[strcspn(to, "\n")] = '\0';
}

static void
describe(struct lockfile *f)
{
	char program[LOCKFILE_PROGRAM_MAX];

	find_program(program);
	snprintf(f->note, sizeof(f->note), NOTE_HEAD "%ld uid=%ld program=%s",
		(long)getpid(), (long)geteuid(), program);
}

/*
 * First without O_CREAT: with it, fs.protected_regular refuses other users'
 * files in a directory like /tmp. O_NONBLOCK, as it may be a FIFO.
 */
static int
open_or_make(const char *path)
{
	const int flags =
		O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	int fd = -1, saved;

	for (int i = 0; i < OPEN_TRIES; i++) {
		fd = open(path, flags);
		if (fd >= 0 || errno != ENOENT)
			return fd;
		fd = open(path, flags | O_CREAT | O_EXCL, 0666);
		if (fd >= 0)
			break;
		if (errno != EEXIST)
			return -1;
	}
	if (fd >= 0 && fchmod(fd, 0666) != 0) { /* whatever the umask */
		saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

static int
refuse_open(const char *path, int errnum, struct ofs_error *e)
{
	const char *hint = "";

	if (errnum == ELOOP)
		return err_set(e, OFS_EIO,
			"cannot use the lock file '%s': it is a symbolic link; "
			"remove it",
			TEXT_Q(path));
	if (errnum == ENOENT || errnum == ENOTDIR || errnum == EROFS)
		hint = "; name another lock directory";
	else if (errnum == EACCES || errnum == EPERM)
		hint = "; its owner makes it writable for all or removes it, "
		       "or name another lock directory";
	err_sys(e, OFS_EIO, errnum, "cannot open the lock file '%s'",
		TEXT_Q(path));
	err_set(e, OFS_EIO, "%s%s", e->message, hint);
	e->sys_errno = errnum;
	return e->code;
}

static int
open_checked(const char *path, int *out, struct ofs_error *e)
{
	const char *why = NULL;
	struct stat st;
	int fd = open_or_make(path);

	*out = -1;
	if (fd < 0)
		return refuse_open(path, errno, e);
	if (fstat(fd, &st) != 0)
		why = "it cannot be looked at";
	else if (!S_ISREG(st.st_mode))
		why = "it is not a regular file";
	else if (st.st_nlink > 1)
		why = "it has a second name, so that it may be another's file";
	if (why == NULL) {
		*out = fd;
		return 0;
	}
	close(fd);
	return err_set(e, OFS_EIO,
		"cannot use the lock file '%s': %s; remove it", TEXT_Q(path),
		why);
}

int
lockfile_open(struct lockfile *f, const char *dir, const char *name,
	struct ofs_error *e)
{
	int rc;

	f->fd = -1;
	f->path = file_join(dir, name);
	if (f->path == NULL)
		return err_nomem(e);
	describe(f);
	rc = open_checked(f->path, &f->fd, e);
	if (rc != 0)
		lockfile_close(f);
	return rc;
}

void
lockfile_close(struct lockfile *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
	free(f->path);
	f->path = NULL;
}

/* F_WRLCK or F_UNLCK; 1: done, 0: somebody else has it, -1: errno */
static int
set(const struct lockfile *f, short type, off_t first, off_t n)
{
	struct flock l = { .l_type = type,
		.l_whence = SEEK_SET,
		.l_start = first,
		.l_len = n };

	if (fcntl(f->fd, F_OFD_SETLK, &l) == 0)
		return 1;
	return errno == EAGAIN || errno == EACCES ? 0 : -1;
}

/* as set() */
static int
wait_for(const struct lockfile *f, off_t byte, int64_t deadline)
{
	int64_t now, us;
	int got;

	for (;;) {
		got = set(f, F_WRLCK, byte, 1);
		now = time_mono();
		if (got != 0 || now >= deadline)
			return got;
		us = deadline - now < POLL_US ? deadline - now : POLL_US;
		(void)nanosleep(
			&(struct timespec){ .tv_nsec = (long)us * 1000 }, NULL);
	}
}

/* as set(): at once when nobody has the lock or queues, else behind them */
static int
take(const struct lockfile *f, int64_t deadline)
{
	int got = set(f, F_WRLCK, LOCK_BYTE, BOTH);

	if (got == 0) {
		got = wait_for(f, QUEUE_BYTE, deadline);
		if (got == 1)
			got = wait_for(f, LOCK_BYTE, deadline);
	}
	if (got == 1)
		got = set(f, F_UNLCK, QUEUE_BYTE, 1);
	if (got != 1) {
		int saved = errno;

		(void)set(f, F_UNLCK, LOCK_BYTE, BOTH);
		errno = saved;
	}
	return got;
}

/* for the messages of others: a failure costs nothing else */
static void
write_note(const struct lockfile *f)
{
	char text[NOTE_SIZE + 1], since[TIME_TEXT_SIZE];
	ssize_t n;
	int len;

	len = snprintf(text, sizeof(text), "%s\nsince=%s\n", f->note,
		time_rfc3339(since, time_now(), true));
	if (len < 0 || (size_t)len >= sizeof(text))
		return;
	memset(text + len, ' ', NOTE_SIZE - (size_t)len);
	n = pwrite(f->fd, text, NOTE_SIZE, 0);
	(void)n;
}

int
lockfile_take(
	struct lockfile *f, int64_t deadline_us, bool *got, struct ofs_error *e)
{
	struct stat st;
	int state, rc, fd;

	*got = false;
	for (;;) {
		state = take(f, deadline_us);
		if (state == 0)
			return 0;
		if (state < 0 || fstat(f->fd, &st) != 0)
			return err_sys(e, OFS_EIO, errno,
				"cannot lock '%s'; name another lock directory",
				TEXT_Q(f->path));
		if (st.st_nlink > 0)
			break;
		/* removed: who comes now locks a new file */
		rc = open_checked(f->path, &fd, e);
		if (rc != 0)
			return rc;
		state = dup3(fd, f->fd, O_CLOEXEC);
		close(fd);
		if (state < 0)
			return err_sys(e, OFS_EIO, errno,
				"cannot use the lock file '%s'",
				TEXT_Q(f->path));
	}
	write_note(f);
	*got = true;
	return 0;
}

void
lockfile_give(struct lockfile *f)
{
	(void)set(f, F_UNLCK, LOCK_BYTE, BOTH);
}

bool
lockfile_wanted(const struct lockfile *f)
{
	struct flock l = { .l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = QUEUE_BYTE,
		.l_len = 1 };

	return fcntl(f->fd, F_OFD_GETLK, &l) == 0 && l.l_type != F_UNLCK;
}

/* the decimal number after `name` in s, or -1 */
static int64_t
number(const char *s, const char *name)
{
	const char *at = strstr(s, name);
	long long v;
	char *end;

	if (at == NULL)
		return -1;
	at += strlen(name);
	if (*at < '0' || *at > '9')
		return -1;
	errno = 0;
	v = strtoll(at, &end, 10);
	return errno == 0 && (*end == ' ' || *end == '\0') ? v : -1;
}

/* what follows `name` in s, cut short to fit */
static void
words(const char *s, const char *name, char *to, size_t size)
{
	const char *at = strstr(s, name);

	to[0] = '\0';
	if (at != NULL)
		snprintf(to, size, "%s", at + strlen(name));
}

void
lockfile_holder(const struct lockfile *f, struct lockfile_holder *out)
{
	char text[NOTE_SIZE + 1], since[TIME_TEXT_SIZE], *second;
	ssize_t n = pread(f->fd, text, NOTE_SIZE, 0);

	*out = (struct lockfile_holder){ .pid = -1, .uid = -1 };
	text[n > 0 ? n : 0] = '\0';
	if (strncmp(text, NOTE_HEAD, strlen(NOTE_HEAD)) != 0)
		return;
	second = strchr(text, '\n');
	if (second == NULL)
		return;
	*second++ = '\0';
	second[strcspn(second, "\n")] = '\0';
	out->pid = number(text, " pid=");
	out->uid = number(text, " uid=");
	words(text, " program=", out->program, sizeof(out->program));
	words(second, "since=", since, sizeof(since));
	if (!time_parse(since, &out->since))
		out->since = 0;
}
