/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The files in a directory and in those below it. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"

#define DEPTH_MAX 64

static int
not_dots(const struct dirent *d)
{
	return strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
}

/* byte order, whatever the locale: a list has one digest everywhere */
static int
by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int walk(const char *dir, int depth, file_tree_fn fn, void *arg,
	struct ofs_error *e);

static int
walk_entry(const char *dir, const char *name, int depth, file_tree_fn fn,
	void *arg, struct ofs_error *e)
{
	char *path = file_join(dir, name);
	struct stat st;
	int rc;

	if (path == NULL)
		return err_nomem(e);
	if (lstat(path, &st) != 0)
		rc = fn(arg, path, NULL, e);
	else if (S_ISDIR(st.st_mode))
		rc = walk(path, depth + 1, fn, arg, e);
	else
		rc = fn(arg, path, &st, e);
	free(path);
	return rc;
}

static int
walk(const char *dir, int depth, file_tree_fn fn, void *arg,
	struct ofs_error *e)
{
	struct dirent **names = NULL;
	int n, i, rc = 0;

	if (depth > DEPTH_MAX)
		return err_set(e, OFS_EIO,
			"'%s' lies more than %d directories deep; name it, or "
			"its files, by themselves",
			TEXT_Q(dir), DEPTH_MAX);
	n = scandir(dir, &names, not_dots, by_name);
	if (n < 0)
		return err_sys(
			e, OFS_EIO, errno, "cannot list '%s'", TEXT_Q(dir));
	for (i = 0; i < n; i++) {
		if (rc == 0)
			rc = walk_entry(
				dir, names[i]->d_name, depth, fn, arg, e);
		free(names[i]);
	}
	free(names);
	return rc;
}

int
file_tree(const char *dir, file_tree_fn fn, void *arg, struct ofs_error *e)
{
	return walk(dir, 0, fn, arg, e);
}
