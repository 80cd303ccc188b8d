/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small files that options name, read whole; new files, written whole. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/small.h"
#include "common/plain.h"

static int
read_fd(struct out *o, int fd, const char *name, size_t max, struct bytes *b)
{
	size_t cap = 0;
	uint8_t *grown;
	ssize_t n;

	for (;;) {
		if (cap - b->n < 2) {
			cap = cap == 0 ? 16384 : cap * 2;
			grown = realloc(b->p, cap);
			if (grown == NULL)
				return out_fail(o, OFS_ENOMEM,
					"cannot read '%s': out of memory",
					NAME(name));
			b->p = grown;
		}
		n = read(fd, b->p + b->n, cap - b->n - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return out_fail(o, OFS_EIO, "cannot read '%s': %s",
				NAME(name), strerror(errno));
		if (n == 0)
			break;
		b->n += (size_t)n;
		if (b->n > max)
			return out_fail(o, OFS_EFORMAT,
				"cannot read '%s': it is larger than %zu KiB",
				NAME(name), max / 1024);
	}
	b->p[b->n] = '\0';
	return 0;
}

int
small_read(struct out *o, const char *path, size_t max, struct bytes *out)
{
	bool std = strcmp(path, "-") == 0;
	struct bytes b = { NULL, 0 };
	int fd, rc;

	*out = b;
	fd = std ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return out_fail(o, OFS_EIO, "cannot read '%s': %s", NAME(path),
			strerror(errno));
	rc = read_fd(o, fd, std ? "standard input" : path, max, &b);
	if (!std)
		close(fd);
	if (rc == 0)
		*out = b;
	else
		free(b.p);
	return rc;
}

void
small_free(struct bytes *b)
{
	free(b->p);
	b->p = NULL;
	b->n = 0;
}

int
small_check_new(struct out *o, const char *path, bool force)
{
	struct stat st;

	if (strcmp(path, "-") == 0)
		return 0;
	if (lstat(path, &st) != 0) {
		if (errno == ENOENT)
			return 0;
		return out_fail(o, OFS_EIO, "cannot write '%s': %s", NAME(path),
			strerror(errno));
	}
	if (S_ISREG(st.st_mode) && force)
		return 0;
	if (S_ISREG(st.st_mode))
		return out_fail(o, OFS_EEXIST,
			"'%s' exists; use --force to replace it", NAME(path));
	return out_fail(o, OFS_EEXIST,
		"'%s' exists and is not a regular file; choose another name",
		NAME(path));
}

static int
write_all(int fd, const uint8_t *p, size_t n)
{
	ssize_t did;

	while (n > 0) {
		did = write(fd, p, n);
		if (did < 0 && errno == EINTR)
			continue;
		if (did < 0)
			return -1;
		p += did;
		n -= (size_t)did;
	}
	return 0;
}

/* without `force` nothing is replaced */
static int
put_in_place(const char *from, const char *to, bool force)
{
	if (force)
		return rename(from, to);
	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
		return 0;
	/* a file system may have no such rename */
	if (errno != EINVAL && errno != ENOSYS && errno != ENOTSUP)
		return -1;
	if (link(from, to) != 0)
		return -1;
	return unlink(from);
}

int
small_write(
	struct out *o, const char *path, const void *p, size_t n, bool force)
{
	char *aside = NULL;
	int fd = -1, rc;

	if (strcmp(path, "-") == 0)
		return fwrite(p, 1, n, stdout) == n && fflush(stdout) == 0
			? 0
			: OFS_EIO; /* out_end() says so */
	rc = small_check_new(o, path, force);
	if (rc != 0)
		return rc;
	if (asprintf(&aside, "%s.XXXXXX", path) < 0)
		return out_fail(o, OFS_ENOMEM, "out of memory");
	fd = mkostemp(aside, O_CLOEXEC);
	if (fd < 0 || write_all(fd, p, n) != 0 || fchmod(fd, 0644) != 0 ||
		fsync(fd) != 0 || put_in_place(aside, path, force) != 0) {
		rc = out_fail(o, errno == EEXIST ? OFS_EEXIST : OFS_EIO,
			"cannot write '%s': %s", NAME(path), strerror(errno));
		if (fd >= 0)
			unlink(aside);
	}
	if (fd >= 0)
		close(fd);
	free(aside);
	return rc;
}

int
small_begin(struct out *o, const char *path, bool force, struct small_file *s)
{
	int fd, rc;

	memset(s, 0, sizeof(*s));
	rc = small_check_new(o, path, force);
	if (rc != 0)
		return rc;
	s->path = path;
	s->force = force;
	if (asprintf(&s->aside, "%s.XXXXXX", path) < 0) {
		s->aside = NULL;
		return out_fail(o, OFS_ENOMEM, "out of memory");
	}
	fd = mkostemp(s->aside, O_CLOEXEC);
	s->f = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (s->f != NULL)
		return 0;
	rc = out_fail(o, OFS_EIO, "cannot write '%s': %s", NAME(path),
		strerror(errno));
	if (fd >= 0) {
		unlink(s->aside);
		close(fd);
	}
	free(s->aside);
	s->aside = NULL;
	return rc;
}

/* the name itself has to last, too */
static int
sync_parent(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash == NULL ? strdup(".")
				  : strndup(path, (size_t)(slash - path) + 1);
	int fd, rc = -1;

	fd = dir != NULL ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (fd >= 0) {
		rc = fsync(fd);
		close(fd);
	}
	free(dir);
	return rc;
}

int
small_commit(struct out *o, struct small_file *s)
{
	int fd = fileno(s->f), rc = 0;

	if (fflush(s->f) != 0 || ferror(s->f) || fchmod(fd, 0644) != 0 ||
		fsync(fd) != 0 ||
		put_in_place(s->aside, s->path, s->force) != 0) {
		rc = out_fail(o, errno == EEXIST ? OFS_EEXIST : OFS_EIO,
			"cannot write '%s': %s", NAME(s->path),
			strerror(errno));
		small_abort(s);
		return rc;
	}
	if (sync_parent(s->path) != 0)
		rc = out_fail(o, OFS_EIO, "cannot sync '%s': %s", NAME(s->path),
			strerror(errno));
	fclose(s->f);
	free(s->aside);
	memset(s, 0, sizeof(*s));
	return rc;
}

void
small_abort(struct small_file *s)
{
	if (s->f == NULL)
		return;
	unlink(s->aside);
	fclose(s->f);
	free(s->aside);
	memset(s, 0, sizeof(*s));
}
