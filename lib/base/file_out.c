/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Outputs that appear whole or not at all. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hex.h"
#include "base/text.h"

#define TMP_TRIES 8
#define TMP_NAME_MAX 200 /* bytes of the final name in a temporary one */

#define TMP_TAIL 21 /* bytes of .RANDOM.tmp */

/* how much of a name goes into a temporary one: cut between two characters */
static size_t
cut_name(const char *base)
{
	size_t cut = strlen(base);

	if (cut <= TMP_NAME_MAX)
		return cut;
	cut = TMP_NAME_MAX;
	while (cut > TMP_NAME_MAX - 4 && (base[cut] & 0xc0) == 0x80)
		cut--;
	return cut;
}

/* DIR/.NAME.RANDOM.tmp */
static char *
tmp_name(const char *path)
{
	const char *base = file_basename(path);
	size_t dir = (size_t)(base - path);
	uint8_t rnd[8];
	char hex[2 * sizeof(rnd) + 1];
	char *s = NULL;

	if (getrandom(rnd, sizeof(rnd), 0) != (ssize_t)sizeof(rnd))
		return NULL;
	if (dir > INT_MAX ||
		asprintf(&s, "%.*s.%.*s.%s.tmp", (int)dir, path,
			(int)cut_name(base), base,
			hex_encode(hex, rnd, sizeof(rnd))) < 0)
		return NULL;
	return s;
}

bool
file_out_is_tmp(const char *name, const char *base)
{
	size_t len = strlen(name), cut;
	const char *tail;

	if (len < 2 + TMP_TAIL)
		return false;
	tail = name + len - TMP_TAIL;
	if (name[0] != '.' || tail[0] != '.' ||
		strspn(tail + 1, "0123456789abcdef") != TMP_TAIL - 5 ||
		strcmp(tail + TMP_TAIL - 4, ".tmp") != 0)
		return false;
	if (base == NULL)
		return true;
	cut = cut_name(base);
	return len == 1 + cut + TMP_TAIL && memcmp(name + 1, base, cut) == 0;
}

static int
write_all(int fd, const uint8_t *p, size_t n)
{
	while (n > 0) {
		ssize_t put = write(fd, p, n);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return errno;
		if (put == 0)
			return EIO;
		p += put;
		n -= (size_t)put;
	}
	return 0;
}

/* opens o->tmp under a name that did not exist */
static int
create_tmp(struct file_out *o, struct ofs_error *e)
{
	int errnum = EEXIST;

	for (int i = 0; i < TMP_TRIES && errnum == EEXIST; i++) {
		o->tmp = tmp_name(o->path);
		if (o->tmp == NULL)
			return err_nomem(e);
		o->fd = open(o->tmp,
			O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
			0666);
		if (o->fd >= 0)
			return 0;
		errnum = errno;
		free(o->tmp);
		o->tmp = NULL;
	}
	return err_sys(
		e, OFS_EIO, errnum, "cannot create '%s'", TEXT_Q(o->path));
}

int
file_out_write(struct file_out *o, const char *path, const void *p, size_t n,
	struct ofs_error *e)
{
	const char *base = file_basename(path);
	int err, errnum;

	*o = (struct file_out)FILE_OUT_INIT;
	if (base[0] == '\0' || strcmp(base, ".") == 0 ||
		strcmp(base, "..") == 0)
		return err_set(e, OFS_EIO,
			"cannot write '%s': it is not a file name",
			TEXT_Q(path));
	o->path = strdup(path);
	if (o->path == NULL)
		return err_nomem(e);
	err = create_tmp(o, e);
	if (err != 0)
		goto out;
	errnum = write_all(o->fd, p, n);
	if (errnum != 0)
		err = err_sys(
			e, OFS_EIO, errnum, "cannot write '%s'", TEXT_Q(path));
out:
	if (err != 0)
		file_out_abort(o);
	return err;
}

int
file_out_sync(struct file_out *o, struct ofs_error *e)
{
	int fd = o->fd;

	if (fd < 0)
		return err_set(e, OFS_EINTERNAL,
			"cannot sync '%s': it is not open", TEXT_Q(o->path));
	if (fsync(fd) != 0)
		return err_sys(
			e, OFS_EIO, errno, "cannot sync '%s'", TEXT_Q(o->path));
	o->fd = -1;
	if (close(fd) != 0)
		return err_sys(e, OFS_EIO, errno, "cannot close '%s'",
			TEXT_Q(o->path));
	return 0;
}

/* Gives tmp the name path unless that exists; returns 0 or errno. */
static int
rename_new(const char *tmp, const char *path)
{
	if (renameat2(AT_FDCWD, tmp, AT_FDCWD, path, RENAME_NOREPLACE) == 0)
		return 0;
	/* EINVAL: the file system has no such rename */
	if (errno != EINVAL && errno != ENOSYS && errno != ENOTSUP)
		return errno;
	if (link(tmp, path) != 0)
		return errno;
	/* the output is whole: a leftover second name is no failure */
	(void)unlink(tmp);
	return 0;
}

int
file_out_commit(struct file_out *o, bool replace, struct ofs_error *e)
{
	int errnum = 0, fd = o->fd;

	if (o->tmp == NULL)
		return err_set(e, OFS_EINTERNAL,
			"cannot commit '%s': it was not written",
			TEXT_Q(o->path));
	o->fd = -1;
	if (fd >= 0 && close(fd) != 0)
		return err_sys(e, OFS_EIO, errno, "cannot close '%s'",
			TEXT_Q(o->path));
	if (!replace)
		errnum = rename_new(o->tmp, o->path);
	else if (rename(o->tmp, o->path) != 0)
		errnum = errno;
	if (errnum == EEXIST)
		return err_sys(e, OFS_EEXIST, errnum, "cannot write '%s'",
			TEXT_Q(o->path));
	if (errnum != 0)
		return err_sys(e, OFS_EIO, errnum, "cannot write '%s'",
			TEXT_Q(o->path));
	free(o->tmp);
	o->tmp = NULL;
	file_out_abort(o);
	return 0;
}

void
file_out_abort(struct file_out *o)
{
	if (o->fd >= 0)
		close(o->fd);
	if (o->tmp != NULL)
		(void)unlink(o->tmp);
	free(o->tmp);
	free(o->path);
	*o = (struct file_out)FILE_OUT_INIT;
}

int
file_write_new(const char *path, const void *p, size_t n, bool replace,
	struct ofs_error *e)
{
	struct file_out o = FILE_OUT_INIT;
	char *dir = NULL;
	int err;

	err = file_out_write(&o, path, p, n, e);
	if (err != 0)
		return err;
	dir = file_dirname(path);
	if (dir == NULL)
		err = err_nomem(e);
	if (err == 0)
		err = file_out_sync(&o, e);
	if (err == 0)
		err = file_out_commit(&o, replace, e);
	if (err == 0)
		err = file_sync_dir(dir, e);
	file_out_abort(&o);
	free(dir);
	return err;
}
