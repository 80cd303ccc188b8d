/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The station key: 32 random bytes in a file outside of the log. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/rand.h>

#include "audit/keyfile.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

static int
check(const char *path, const struct place *log, const struct stat *st,
	struct ofs_error *e)
{
	bool group = log->shared && st->st_gid == log->gid;

	if (!S_ISREG(st->st_mode))
		return err_set(e, OFS_EAUDIT,
			"station key '%s' is not a regular file", TEXT_Q(path));
	if (st->st_uid != geteuid() && st->st_uid != 0 && !group)
		return err_set(e, OFS_EAUDIT,
			"station key '%s' belongs to user %lu", TEXT_Q(path),
			(unsigned long)st->st_uid);
	if ((st->st_mode & (group ? 0137 : 0177)) != 0)
		return err_set(e, OFS_EAUDIT,
			"station key '%s' has mode %04o and is open to "
			"others; make it %04o",
			TEXT_Q(path), (unsigned int)(st->st_mode & 07777),
			group ? 0640u : 0600u);
	if (st->st_size != KEYFILE_SIZE)
		return err_set(e, OFS_EAUDIT,
			"station key '%s' has %lld bytes instead of %d",
			TEXT_Q(path), (long long)st->st_size, KEYFILE_SIZE);
	return 0;
}

static int
read_key(int fd, uint8_t key[KEYFILE_SIZE])
{
	size_t done = 0;
	ssize_t n;

	while (done < KEYFILE_SIZE) {
		n = read(fd, key + done, KEYFILE_SIZE - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : EIO;
		done += (size_t)n;
	}
	return 0;
}

int
keyfile_read(const char *path, const struct place *log,
	uint8_t key[KEYFILE_SIZE], struct ofs_error *e)
{
	struct stat st;
	int fd, rc, errnum;

	/* the name may come from a log: nothing is waited for */
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0) {
		rc = err_sys(e, OFS_EAUDIT, errno,
			"cannot read station key '%s'", TEXT_Q(path));
	} else {
		rc = check(path, log, &st, e);
		errnum = rc == 0 ? read_key(fd, key) : 0;
		if (errnum != 0)
			rc = err_sys(e, OFS_EAUDIT, errnum,
				"cannot read station key '%s'", TEXT_Q(path));
	}
	if (fd >= 0)
		close(fd);
	if (rc != 0)
		mem_wipe(key, KEYFILE_SIZE);
	return rc;
}

/* directory and name; the directory exists on return */
static int
prepare(const char *path, const struct place *log, char **absolute,
	struct ofs_error *e)
{
	char *dir = file_dirname(path), *real;
	size_t n = strlen(log->dir);
	int rc = 0;

	if (dir == NULL)
		return err_nomem(e);
	if (file_mkdirs(dir, log->shared ? 0755 : 0700, e) != 0)
		rc = e->code = OFS_EAUDIT;
	real = rc == 0 ? realpath(dir, NULL) : NULL;
	if (rc == 0 && real == NULL)
		rc = err_sys(e, OFS_EAUDIT, errno,
			"cannot make a station key in '%s'", TEXT_Q(dir));
	if (rc == 0 && strncmp(real, log->dir, n) == 0 &&
		(real[n] == '/' || real[n] == '\0'))
		rc = err_set(e, OFS_EINVAL,
			"station key '%s' would lie in the directory of the "
			"audit log, where every thief of it finds it; name "
			"another place",
			TEXT_Q(path));
	if (rc == 0) {
		*absolute = file_join(real, file_basename(path));
		if (*absolute == NULL)
			rc = err_nomem(e);
	}
	free(real);
	free(dir);
	return rc;
}

static int
write_new(int fd, const struct place *log, const void *p, size_t n)
{
	bool shared = log != NULL && log->shared;

	/* past the umask; the group of the log is for logs that are shared */
	errno = 0;
	if (fchmod(fd, shared ? 0640 : 0600) != 0 ||
		(shared && fchown(fd, (uid_t)-1, log->gid) != 0) ||
		write(fd, p, n) != (ssize_t)n || fsync(fd) != 0)
		return errno != 0 ? errno : EIO;
	return 0;
}

/* a new file beside `path`, for nobody else to read */
static int
open_new(const char *path, struct file_out *o)
{
	struct buf tmp = BUF_INIT;

	o->path = strdup(path);
	buf_printf(&tmp, "%s.XXXXXX", path);
	if (o->path == NULL || buf_cstr(&tmp) == NULL) {
		buf_free(&tmp);
		return ENOMEM;
	}
	o->fd = mkostemp((char *)tmp.p, O_CLOEXEC);
	if (o->fd < 0) {
		buf_free(&tmp);
		return errno;
	}
	o->tmp = (char *)tmp.p; /* taken */
	return 0;
}

int
keyfile_write(const char *path, const struct place *log, const char *what,
	const void *p, size_t n, struct ofs_error *e)
{
	struct file_out o = FILE_OUT_INIT;
	char *dir = file_dirname(path);
	int errnum, rc;

	if (dir == NULL)
		return err_nomem(e);
	errnum = open_new(path, &o);
	if (errnum == 0)
		errnum = write_new(o.fd, log, p, n);
	rc = errnum == 0 ? file_out_commit(&o, false, e)
			 : err_sys(e, OFS_EIO, errnum, "cannot %s '%s'", what,
				   TEXT_Q(path));
	if (rc == 0) {
		rc = file_sync_dir(dir, e);
		if (rc != 0)
			(void)unlink(path);
	}
	file_out_abort(&o);
	free(dir);
	return rc;
}

static int
create(const char *path, const struct place *log, uint8_t key[KEYFILE_SIZE],
	bool *made, struct ofs_error *e)
{
	struct stat st;
	int rc;

	if (lstat(path, &st) == 0)
		return 0;
	if (RAND_priv_bytes(key, KEYFILE_SIZE) != 1)
		return err_sys(e, OFS_EAUDIT, EIO,
			"cannot make station key '%s'", TEXT_Q(path));
	rc = keyfile_write(path, log, "make station key", key, KEYFILE_SIZE, e);
	*made = rc == 0;
	if (rc == OFS_EEXIST) /* another one made it meanwhile */
		return 0;
	return rc == OFS_EIO ? e->code = OFS_EAUDIT : rc;
}

int
keyfile_make(const char *path, const struct place *log,
	uint8_t key[KEYFILE_SIZE], char **absolute, bool *made,
	struct ofs_error *e)
{
	int rc;

	*absolute = NULL;
	*made = false;
	rc = prepare(path, log, absolute, e);
	if (rc == 0)
		rc = create(*absolute, log, key, made, e);
	if (rc == 0 && !*made)
		rc = keyfile_read(*absolute, log, key, e);
	if (rc != 0) {
		mem_wipe(key, KEYFILE_SIZE);
		free(*absolute);
		*absolute = NULL;
	}
	return rc;
}
