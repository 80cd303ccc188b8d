/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Preloaded: makes the nth write or sync of matching files fail, or kills. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/*
 * IOFAIL="OP PART N ERRNO [TIMES]": calls of OP ("write": write, pwrite;
 * "sync": fsync, fdatasync, syncfs) on a descriptor whose path holds PART fail
 * with ERRNO from the Nth on (counted from 1), TIMES of them or all. "full" is
 * "write" as on a disk that fills up: of the Nth half is written. With the
 * ERRNO 0 the process gets SIGKILL at the Nth. IOFAIL_LOG=FILE gets a line for
 * each call that was made to fail.
 */
static atomic_long calls;

struct spec {
	char op[16], part[200];
	long nth, times;
	int errnum;
};

static int
read_spec(struct spec *s)
{
	const char *text = getenv("IOFAIL");

	s->times = LONG_MAX;
	return text != NULL &&
		sscanf(text, "%15s %199s %ld %d %ld", s->op, s->part, &s->nth,
			&s->errnum, &s->times) >= 4;
}

static int
matches(const struct spec *s, int fd, char path[4096])
{
	char name[64];
	int saved = errno;
	ssize_t n;

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	n = readlink(name, path, 4095);
	errno = saved;
	if (n < 0)
		return 0;
	path[n] = '\0';
	return strstr(path, s->part) != NULL;
}

static void
note(const char *op, const char *path)
{
	const char *log = getenv("IOFAIL_LOG");
	FILE *f = log != NULL ? fopen(log, "a") : NULL;

	if (f == NULL)
		return;
	fprintf(f, "%s %s\n", op, path);
	fclose(f);
}

/* *cut: the first that fails, of "full" */
static int
fails(const char *op, int fd, int *cut)
{
	char path[4096];
	struct spec s;
	long n;

	*cut = 0;
	if (!read_spec(&s) ||
		(strcmp(s.op, op) != 0 &&
			(strcmp(s.op, "full") != 0 ||
				strcmp(op, "write") != 0)) ||
		!matches(&s, fd, path))
		return 0;
	n = atomic_fetch_add(&calls, 1) + 1 - s.nth;
	if (n < 0 || n >= s.times)
		return 0;
	note(op, path);
	if (s.errnum == 0)
		raise(SIGKILL);
	*cut = n == 0 && strcmp(s.op, "full") == 0;
	return s.errnum;
}

typedef ssize_t (*write_fn)(int, const void *, size_t);
typedef ssize_t (*pwrite_fn)(int, const void *, size_t, off_t);
typedef int (*sync_fn)(int);

ssize_t
write(int fd, const void *p, size_t n)
{
	write_fn real = (write_fn)dlsym(RTLD_NEXT, "write");
	int cut, e = fails("write", fd, &cut);

	if (e == 0)
		return real(fd, p, n);
	if (cut && n > 1)
		return real(fd, p, n / 2);
	errno = e;
	return -1;
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t at)
{
	pwrite_fn real = (pwrite_fn)dlsym(RTLD_NEXT, "pwrite");
	int cut, e = fails("write", fd, &cut);

	if (e == 0)
		return real(fd, p, n, at);
	if (cut && n > 1)
		return real(fd, p, n / 2, at);
	errno = e;
	return -1;
}

ssize_t
pwrite64(int fd, const void *p, size_t n, off_t at)
{
	return pwrite(fd, p, n, at);
}

static int
sync_by(const char *name, int fd)
{
	sync_fn real = (sync_fn)dlsym(RTLD_NEXT, name);
	int cut, e = fails("sync", fd, &cut);

	if (e == 0)
		return real(fd);
	errno = e;
	return -1;
}

int
fsync(int fd)
{
	return sync_by("fsync", fd);
}

int
fdatasync(int fd)
{
	return sync_by("fdatasync", fd);
}

int
syncfs(int fd)
{
	return sync_by("syncfs", fd);
}
