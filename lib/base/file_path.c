/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of files, and directories. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"

int
file_sync_dir(const char *dir, struct ofs_error *e)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), errnum = 0;

	if (fd < 0)
		return err_sys(e, OFS_EIO, errno, "cannot open directory '%s'",
			TEXT_Q(dir));
	/* EINVAL: this file system has no syncing of directories */
	if (fsync(fd) != 0 && errno != EINVAL)
		errnum = errno;
	close(fd);
	if (errnum != 0)
		return err_sys(e, OFS_EIO, errnum, "cannot sync directory '%s'",
			TEXT_Q(dir));
	return 0;
}

/* One directory; its parent exists. *made tells whether it was missing. */
static int
make_dir(const char *dir, mode_t mode, bool *made, struct ofs_error *e)
{
	struct stat st;
	int fd, errnum = 0;

	*made = false;
	if (stat(dir, &st) == 0 && S_ISDIR(st.st_mode))
		return 0;
	if (mkdir(dir, mode != 0 ? mode : 0777) != 0) {
		errnum = errno;
		if (errnum == EEXIST && stat(dir, &st) == 0) {
			if (S_ISDIR(st.st_mode))
				return 0;
			errnum = ENOTDIR;
		}
		return err_sys(e, OFS_EIO, errnum, "cannot make directory '%s'",
			TEXT_Q(dir));
	}
	*made = true;
	if (mode == 0)
		return 0;
	/* past the umask */
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fchmod(fd, mode) != 0)
		errnum = errno;
	if (fd >= 0)
		close(fd);
	if (errnum != 0)
		return err_sys(e, OFS_EIO, errnum,
			"cannot set the mode of directory '%s'", TEXT_Q(dir));
	return 0;
}

/* Made durably, or not at all: the next try then makes and syncs it again. */
static int
make_dir_synced(const char *dir, mode_t mode, struct ofs_error *e)
{
	char *parent;
	bool made;
	int err;

	err = make_dir(dir, mode, &made, e);
	if (err != 0 || !made)
		return err;
	parent = file_dirname(dir);
	if (parent == NULL)
		return err_nomem(e);
	err = file_sync_dir(parent, e);
	if (err != 0)
		rmdir(dir);
	free(parent);
	return err;
}

int
file_mkdirs(const char *dir, mode_t mode, struct ofs_error *e)
{
	size_t len = strlen(dir);
	char *s;
	int err = 0;

	s = strdup(dir);
	if (s == NULL)
		return err_nomem(e);
	while (len > 1 && s[len - 1] == '/')
		s[--len] = '\0';
	for (size_t i = 1; err == 0 && i < len; i++) {
		if (s[i] != '/' || s[i - 1] == '/')
			continue;
		s[i] = '\0';
		err = make_dir_synced(s, mode, e);
		s[i] = '/';
	}
	if (err == 0)
		err = make_dir_synced(s, mode, e);
	free(s);
	return err;
}

char *
file_join(const char *dir, const char *name)
{
	size_t len = strlen(dir);
	const char *sep = len == 0 || dir[len - 1] == '/' ? "" : "/";
	char *s;

	if (asprintf(&s, "%s%s%s", dir, sep, name) < 0)
		return NULL;
	return s;
}

char *
file_dirname(const char *path)
{
	size_t len = (size_t)(file_basename(path) - path);

	if (len == 0)
		return strdup(".");
	while (len > 1 && path[len - 1] == '/')
		len--;
	return strndup(path, len);
}

const char *
file_basename(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

int
file_absolute(const char *path, char **out, struct ofs_error *e)
{
	const char *base = file_basename(path);
	char *dir = NULL, *real = NULL;
	int err = 0;

	*out = NULL;
	/* a name that can only be a directory's is resolved as a whole */
	if (base[0] == '\0' || strcmp(base, ".") == 0 ||
		strcmp(base, "..") == 0) {
		dir = strdup(path);
		base = "";
	} else {
		dir = file_dirname(path);
	}
	if (dir == NULL)
		return err_nomem(e);
	real = realpath(dir, NULL);
	if (real == NULL) {
		err = err_sys(
			e, OFS_EIO, errno, "cannot find '%s'", TEXT_Q(dir));
		goto out;
	}
	if (base[0] == '\0') {
		*out = real;
		real = NULL;
		goto out;
	}
	*out = file_join(real, base);
	if (*out == NULL)
		err = err_nomem(e);
out:
	free(real);
	free(dir);
	return err;
}

char *
file_relative_as_tar(const char *path)
{
	char *to = malloc(strlen(path) + 2), *s = to;

	if (to == NULL)
		return NULL;
	while (*path != '\0') {
		size_t n = strcspn(path, "/");

		if (n == 2 && path[0] == '.' && path[1] == '.') {
			s = to; /* all up to the last ".." goes */
		} else if (n > 0 && !(n == 1 && path[0] == '.')) {
			if (s != to)
				*s++ = '/';
			memcpy(s, path, n);
			s += n;
		}
		path += n;
		path += strspn(path, "/");
	}
	if (s == to)
		*s++ = '.';
	*s = '\0';
	return to;
}
