/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Preloaded: makes the nth write or sync of matching files fail. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/*
 * IOFAIL="OP PART N ERRNO": calls of OP ("write": write, pwrite; "sync":
 * fsync, fdatasync, syncfs) on a descriptor whose path holds PART fail with
 * ERRNO from the Nth on (counted from 1). IOFAIL_LOG=FILE gets a line for each
 * call that was made to fail.
 */
static atomic_long calls;

static int
fails(const char *op, int fd)
{
	const char *spec = getenv("IOFAIL"), *log = getenv("IOFAIL_LOG");
	char want[16], part[200], name[64], path[4096];
	long nth;
	ssize_t n;
	int errnum, saved = errno;
	FILE *f;

	if (spec == NULL ||
		sscanf(spec, "%15s %199s %ld %d", want, part, &nth, &errnum) !=
			4 ||
		strcmp(want, op) != 0)
		return 0;
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	n = readlink(name, path, sizeof(path) - 1);
	errno = saved;
	if (n < 0)
		return 0;
	path[n] = '\0';
	if (strstr(path, part) == NULL || atomic_fetch_add(&calls, 1) + 1 < nth)
		return 0;
	if (log != NULL && (f = fopen(log, "a")) != NULL) {
		fprintf(f, "%s %s\n", op, path);
		fclose(f);
	}
	return errnum;
}

typedef ssize_t (*write_fn)(int, const void *, size_t);
typedef ssize_t (*pwrite_fn)(int, const void *, size_t, off_t);
typedef int (*sync_fn)(int);

ssize_t
write(int fd, const void *p, size_t n)
{
	write_fn real = (write_fn)dlsym(RTLD_NEXT, "write");
	int e = fails("write", fd);

	if (e == 0)
		return real(fd, p, n);
	errno = e;
	return -1;
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t at)
{
	pwrite_fn real = (pwrite_fn)dlsym(RTLD_NEXT, "pwrite");
	int e = fails("write", fd);

	if (e == 0)
		return real(fd, p, n, at);
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
	int e = fails("sync", fd);

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
