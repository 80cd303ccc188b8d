/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opens files that must be inside a directory, whatever links say. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/openat2.h>

#include "base/beneath.h"
#include "base/text.h"

#define TRIES 16

int
beneath_open_dir(const char *dir, int *fd, struct ofs_error *e)
{
	*fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*fd < 0)
		return err_sys(e, OFS_EIO, errno, "cannot open directory '%s'",
			TEXT_Q(dir));
	return 0;
}

static bool
place_of(int fd, char *to, size_t size)
{
	char link[64];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, to, size - 1);
	if (n <= 0 || (size_t)n == size - 1)
		return false;
	to[n] = '\0';
	return true;
}

/* for kernels before 5.6: looks where the file is that was reached */
static int
open_and_look(int dir, const char *path, int flags)
{
	char inside[PATH_MAX + 1], top[PATH_MAX + 1], link[64];
	int at, fd = -1, errnum = EXDEV;
	size_t n;

	at = path[0] == '/' ? -1 : openat(dir, path, O_PATH | O_CLOEXEC);
	if (at < 0) {
		errno = path[0] == '/' ? EXDEV : errno;
		return -1;
	}
	if (place_of(at, inside, sizeof(inside)) &&
		place_of(dir, top, sizeof(top))) {
		n = strcmp(top, "/") == 0 ? 0 : strlen(top);
		if (strncmp(inside, top, n) == 0 && inside[n] == '/') {
			snprintf(link, sizeof(link), "/proc/self/fd/%d", at);
			fd = open(link, flags);
			errnum = errno;
		}
	}
	close(at);
	errno = errnum;
	return fd;
}

int
beneath_open(int dir, const char *path, int flags)
{
	struct open_how how = { .flags = (uint64_t)(unsigned int)flags,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };
	long fd = -1;
	int i;

	/* EAGAIN: something was renamed meanwhile */
	for (i = 0; i < TRIES; i++) {
		fd = syscall(SYS_openat2, dir, path, &how, sizeof(how));
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	/* EPERM: what some containers say to calls that they do not know */
	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		return open_and_look(dir, path, flags);
	return (int)fd;
}
