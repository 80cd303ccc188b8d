/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads files, whole or as a stream, and notices when they change. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/beneath.h"
#include "base/file.h"
#include "base/text.h"

#define BLOCK 65536
/* the kernel may stamp all changes within so long alike (HZ=100, twice) */
#define TICK_NS 20000000L

/* Never waits for a FIFO's other end, a modem or a lease. */
static int
open_regular(const struct file_place *at, int *fd, struct stat *st,
	struct ofs_error *e)
{
	int err = 0, flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	const char *path = at->path;

	*fd = at->inside == NULL ? open(path, flags)
				 : beneath_open(at->root, at->inside, flags);
	if (*fd < 0 && at->inside != NULL && errno == EXDEV)
		return err_set(e, OFS_EIO,
			"cannot open '%s': a symbolic link leads out of the "
			"directory that it has to be in",
			TEXT_Q(path));
	if (*fd < 0)
		return err_sys(
			e, OFS_EIO, errno, "cannot open '%s'", TEXT_Q(path));
	if (fstat(*fd, st) != 0)
		err = err_sys(
			e, OFS_EIO, errno, "cannot look at '%s'", TEXT_Q(path));
	else if (S_ISDIR(st->st_mode))
		err = err_set(e, OFS_EIO, "cannot read '%s': it is a directory",
			TEXT_Q(path));
	else if (!S_ISREG(st->st_mode))
		err = err_set(e, OFS_EIO,
			"cannot read '%s': it is not a regular file",
			TEXT_Q(path));
	else if ((flags = fcntl(*fd, F_GETFL)) < 0 ||
		fcntl(*fd, F_SETFL, flags & ~O_NONBLOCK) < 0)
		err = err_sys(
			e, OFS_EIO, errno, "cannot set up '%s'", TEXT_Q(path));
	if (err != 0) {
		close(*fd);
		*fd = -1;
	}
	return err;
}

/* one read(2) that is not interrupted */
static ssize_t
read_some(int fd, void *p, size_t n)
{
	ssize_t got;

	do
		got = read(fd, p, n);
	while (got < 0 && errno == EINTR);
	return got;
}

int
file_read(const char *path, size_t max, struct buf *to, struct ofs_error *e)
{
	const struct file_place at = { path, -1, NULL };
	size_t start = to->len, total = 0, block;
	struct stat st;
	int fd, err;

	err = open_regular(&at, &fd, &st, e);
	if (err != 0)
		return err;
	/* one more than the size: most files then end with the second read */
	block = st.st_size < BLOCK ? (size_t)st.st_size + 1 : BLOCK;
	for (;;) {
		uint8_t *p = buf_grow(to, block);
		ssize_t got;

		if (p == NULL) {
			err = err_nomem(e);
			break;
		}
		got = read_some(fd, p, block);
		if (got < 0) {
			err = err_sys(e, OFS_EIO, errno, "cannot read '%s'",
				TEXT_Q(path));
			break;
		}
		to->len -= block - (size_t)got;
		total += (size_t)got;
		if (total > max) {
			err = err_set(e, OFS_EFORMAT,
				"cannot use '%s': it is larger than %zu bytes",
				TEXT_Q(path), max);
			break;
		}
		if (got == 0)
			break;
	}
	if (err != 0)
		to->len = start;
	close(fd);
	return err;
}

static bool
same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
		a->st_size == b->st_size &&
		a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
		a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
		a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
		a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static int
stream_blocks(int fd, const char *path, size_t block, file_block_fn fn,
	void *arg, uint64_t *total, struct ofs_error *e)
{
	uint8_t *p = malloc(block);
	ssize_t got;
	int err = 0;

	if (p == NULL)
		return err_nomem(e);
	while ((got = read_some(fd, p, block)) > 0) {
		err = fn(arg, p, (size_t)got, e);
		if (err != 0)
			break;
		*total += (uint64_t)got;
	}
	if (got < 0)
		err = err_sys(
			e, OFS_EIO, errno, "cannot read '%s'", TEXT_Q(path));
	free(p);
	return err;
}

/* until a change of the file would give it another ctime than it has */
static void
let_settle(int fd, struct stat *st)
{
	struct timespec now, pause = { 0, TICK_NS };

	if (clock_gettime(CLOCK_REALTIME, &now) != 0)
		return;
	if (now.tv_sec - st->st_ctim.tv_sec > 1)
		return;
	if ((now.tv_sec - st->st_ctim.tv_sec) * 1000000000L + now.tv_nsec -
			st->st_ctim.tv_nsec >
		TICK_NS)
		return;
	while (nanosleep(&pause, &pause) != 0 && errno == EINTR)
		;
	(void)fstat(fd, st);
}

int
file_stream(const char *path, file_block_fn fn, void *arg, uint64_t *size,
	struct ofs_error *e)
{
	const struct file_place at = { path, -1, NULL };

	return file_stream_then(&at, fn, NULL, arg, size, e);
}

int
file_stream_then(const struct file_place *at, file_block_fn fn,
	file_then_fn then, void *arg, uint64_t *size, struct ofs_error *e)
{
	const char *path = at->path;
	struct stat before, after, named;
	uint64_t total = 0;
	size_t block;
	int fd, err;

	*size = 0;
	err = open_regular(at, &fd, &before, e);
	if (err != 0)
		return err;
	if (then != NULL)
		let_settle(fd, &before);
	block = before.st_size < BLOCK ? (size_t)before.st_size + 1 : BLOCK;
	if (before.st_size > BLOCK)
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	err = stream_blocks(fd, path, block, fn, arg, &total, e);
	if (err == 0 && then != NULL) {
		if (lseek(fd, 0, SEEK_SET) != 0)
			err = err_sys(e, OFS_EIO, errno, "cannot read '%s'",
				TEXT_Q(path));
		else
			err = then(arg, fd, e);
	}
	if (err != 0)
		goto out;
	/* the open file, and the file that now bears the name */
	if (fstat(fd, &after) != 0 || stat(path, &named) != 0 ||
		!same_file(&before, &after) || !same_file(&before, &named) ||
		total != (uint64_t)before.st_size) {
		err = err_set(e, OFS_EIO,
			"cannot use '%s': it changed while it was read",
			TEXT_Q(path));
		goto out;
	}
	*size = total;
out:
	close(fd);
	return err;
}
