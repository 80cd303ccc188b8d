/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a log that is not made after all would leave behind. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/place_new.h"

#include "base/file.h"

/* the lock that others may wait for last */
static const char *const names[PLACE_NEW_FILES] = { PLACE_DB, PLACE_JOURNAL,
	PLACE_BATCHES, PLACE_LOCK };

static bool
is_missing(const char *path)
{
	struct stat st;

	return lstat(path, &st) != 0 && errno == ENOENT;
}

/* DIR without what is behind its last name: lstat("DIR/") would follow a link
 */
static char *
without_slashes(const char *dir)
{
	size_t len = strlen(dir);

	while (len > 1 && dir[len - 1] == '/')
		len--;
	return strndup(dir, len);
}

static int
look_at_dirs(struct place_new *n, struct ofs_error *e)
{
	char *dir = strdup(n->dir), *above;

	while (dir != NULL && is_missing(dir)) {
		n->n_dirs++;
		above = file_dirname(dir);
		free(dir);
		dir = above;
	}
	if (dir == NULL)
		return err_nomem(e);
	free(dir);
	return 0;
}

int
place_new_look(struct place_new *n, const char *dir, struct ofs_error *e)
{
	char *path;

	memset(n, 0, sizeof(*n));
	n->dir = without_slashes(dir);
	if (n->dir == NULL)
		return err_nomem(e);
	for (size_t i = 0; i < PLACE_NEW_FILES; i++) {
		path = file_join(n->dir, names[i]);
		if (path == NULL)
			return err_nomem(e);
		if (is_missing(path))
			n->files[i] = names[i];
		free(path);
	}
	return look_at_dirs(n, e);
}

/* a commit that failed may be there all the same */
static bool
has_content(const struct place_new *n, const char *name)
{
	char *path = file_join(n->dir, name);
	struct stat st;
	bool has = path == NULL || (lstat(path, &st) == 0 && st.st_size > 0);

	free(path);
	return has;
}

void
place_new_undo_files(const struct place_new *n)
{
	char *path;

	if (has_content(n, PLACE_DB) || has_content(n, PLACE_JOURNAL))
		return;
	for (size_t i = 0; i < PLACE_NEW_FILES; i++) {
		if (n->files[i] == NULL)
			continue;
		path = file_join(n->dir, n->files[i]);
		if (path != NULL)
			(void)unlink(path);
		free(path);
	}
}

void
place_new_undo_dirs(const struct place_new *n)
{
	char *dir = n->n_dirs > 0 ? strdup(n->dir) : NULL, *above;

	for (size_t i = 0; dir != NULL && i < n->n_dirs; i++) {
		if (rmdir(dir) != 0)
			break;
		above = file_dirname(dir);
		free(dir);
		dir = above;
	}
	free(dir);
}

void
place_new_free(struct place_new *n)
{
	free(n->dir);
	n->dir = NULL;
}
