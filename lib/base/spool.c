/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bytes of any number that nobody else sees: in memory, then in a file. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/spool.h"
#include "base/text.h"

void
spool_init(struct spool *s, const char *dir)
{
	memset(s, 0, sizeof(*s));
	s->dir = dir;
	s->fd = -1;
}

void
spool_free(struct spool *s)
{
	const char *dir = s->dir;

	if (s->fd >= 0)
		close(s->fd);
	buf_free(&s->tail);
	spool_init(s, dir);
}

uint64_t
spool_size(const struct spool *s)
{
	return s->on_disk + s->tail.len;
}

/* for file systems that know no file without a name */
static int
open_named(struct spool *s)
{
	char *path = file_join(s->dir, ".ofs-spool.XXXXXX");

	if (path == NULL) {
		errno = ENOMEM;
		return -1;
	}
	s->fd = mkostemp(path, O_CLOEXEC);
	if (s->fd >= 0)
		(void)unlink(path);
	free(path);
	return s->fd;
}

static int
open_file(struct spool *s, struct ofs_error *e)
{
	s->fd = open(s->dir, O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	if (s->fd < 0 &&
		(errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT))
		(void)open_named(s);
	if (s->fd < 0)
		return err_sys(e, OFS_EIO, errno,
			"cannot make a temporary file in '%s'", TEXT_Q(s->dir));
	return 0;
}

static int
write_at(struct spool *s, uint64_t at, const uint8_t *p, size_t n,
	struct ofs_error *e)
{
	ssize_t got;

	while (n > 0) {
		got = pwrite(s->fd, p, n, (off_t)at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return err_sys(e, OFS_EIO, got < 0 ? errno : ENOSPC,
				"cannot write a temporary file in '%s'",
				TEXT_Q(s->dir));
		p += got;
		at += (uint64_t)got;
		n -= (size_t)got;
	}
	return 0;
}

static int
flush(struct spool *s, struct ofs_error *e)
{
	int rc = 0;

	if (s->fd < 0)
		rc = open_file(s, e);
	if (rc == 0)
		rc = write_at(s, s->on_disk, s->tail.p, s->tail.len, e);
	if (rc != 0)
		return rc;
	s->on_disk += s->tail.len;
	buf_reset(&s->tail);
	return 0;
}

int
spool_append(struct spool *s, const void *p, size_t n, struct ofs_error *e)
{
	if (s->tail.len > 0 && s->tail.len + n > SPOOL_MEMORY) {
		int rc = flush(s, e);

		if (rc != 0)
			return rc;
	}
	buf_put(&s->tail, p, n);
	return buf_ok(&s->tail) ? 0 : err_nomem(e);
}

static int
read_at(const struct spool *s, uint64_t at, uint8_t *p, size_t n,
	struct ofs_error *e)
{
	ssize_t got;

	while (n > 0) {
		got = pread(s->fd, p, n, (off_t)at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return err_sys(e, OFS_EIO, got < 0 ? errno : EIO,
				"cannot read a temporary file in '%s'",
				TEXT_Q(s->dir));
		p += got;
		at += (uint64_t)got;
		n -= (size_t)got;
	}
	return 0;
}

/* how many of n bytes from `at` on are in the file */
static size_t
part_on_disk(const struct spool *s, uint64_t at, size_t n)
{
	if (at >= s->on_disk)
		return 0;
	return s->on_disk - at < n ? (size_t)(s->on_disk - at) : n;
}

static int
check_range(const struct spool *s, uint64_t at, size_t n, struct ofs_error *e)
{
	uint64_t size = spool_size(s);

	if (at > size || n > size - at)
		return err_set(e, OFS_EINTERNAL,
			"a temporary file in '%s' is read behind its end",
			TEXT_Q(s->dir));
	return 0;
}

int
spool_read(const struct spool *s, uint64_t at, void *p, size_t n,
	struct ofs_error *e)
{
	size_t disk = part_on_disk(s, at, n);
	int rc;

	rc = check_range(s, at, n, e);
	if (rc == 0)
		rc = read_at(s, at, p, disk, e);
	if (rc == 0 && n > disk)
		memcpy((uint8_t *)p + disk,
			s->tail.p + (at + disk - s->on_disk), n - disk);
	return rc;
}

int
spool_write(struct spool *s, uint64_t at, const void *p, size_t n,
	struct ofs_error *e)
{
	size_t disk = part_on_disk(s, at, n);
	int rc;

	rc = check_range(s, at, n, e);
	if (rc == 0)
		rc = write_at(s, at, p, disk, e);
	if (rc == 0 && n > disk)
		memcpy(s->tail.p + (at + disk - s->on_disk),
			(const uint8_t *)p + disk, n - disk);
	return rc;
}

int
spool_cut(struct spool *s, uint64_t size, struct ofs_error *e)
{
	if (size >= s->on_disk) {
		if (size < spool_size(s))
			s->tail.len = (size_t)(size - s->on_disk);
		s->tail.failed = false;
		return 0;
	}
	buf_reset(&s->tail);
	if (ftruncate(s->fd, (off_t)size) != 0)
		return err_sys(e, OFS_EIO, errno,
			"cannot cut a temporary file in '%s'", TEXT_Q(s->dir));
	s->on_disk = size;
	return 0;
}
