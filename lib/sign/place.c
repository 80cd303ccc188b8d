/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the output of a document goes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sign/place.h"

#include "base/file.h"

/* DIR/PATH made relative, and the suffix; allocated */
static char *
under(const char *dir, const char *path, const char *suffix)
{
	char *rel, *base, *out = NULL;

	rel = file_relative_as_tar(path);
	base = rel == NULL ? NULL : file_join(dir, rel);
	if (base != NULL && asprintf(&out, "%s%s", base, suffix) < 0)
		out = NULL;
	free(rel);
	free(base);
	return out;
}

/* what `name` is below the real path `dir`, when it is made there; allocated */
static char *
below(const char *dir, const char *name)
{
	if (name[0] == '\0' || strcmp(name, ".") == 0)
		return strdup(dir);
	if (strcmp(name, "..") == 0)
		return file_dirname(dir);
	return file_join(dir, name);
}

/*
 * Of a directory that may not be there yet: the same as when it is, so that
 * who goes on with a list finds the same outputs.
 */
static int
absolute_dir(const char *dir, char **out, struct ofs_error *e)
{
	char *path = strdup(dir), *at = path, *real, *next, *name;

	*out = NULL;
	real = dir[0] == '/' ? strdup("/") : realpath(".", NULL);
	if (real == NULL) {
		free(path);
		return err_sys(
			e, OFS_EIO, errno, "cannot tell the current directory");
	}
	while (real != NULL && (name = strsep(&at, "/")) != NULL) {
		next = below(real, name);
		free(real);
		real = next != NULL ? realpath(next, NULL) : NULL;
		if (real == NULL)
			real = next;
		else
			free(next);
	}
	if (path == NULL) {
		free(real);
		return err_nomem(e);
	}
	free(path);
	*out = real;
	return real == NULL ? err_nomem(e) : 0;
}

/*
 * Absolute, or NULL where its directory is missing, which is said when it is
 * read. Most items of a list lie together: their directory is resolved once.
 */
static int
absolute(struct placer *p, const char *path, char **out, struct ofs_error *e)
{
	const char *base = file_basename(path);
	char *dir;
	int rc = 0;

	*out = NULL;
	if (base[0] == '\0' || strcmp(base, ".") == 0 ||
		strcmp(base, "..") == 0) {
		rc = file_absolute(path, out, e);
		return rc == OFS_ENOMEM ? rc : 0;
	}
	dir = file_dirname(path);
	if (dir == NULL)
		return err_nomem(e);
	if (p->dir == NULL || strcmp(dir, p->dir) != 0) {
		free(p->dir);
		free(p->real);
		p->dir = dir;
		p->real = realpath(dir, NULL);
	} else {
		free(dir);
	}
	if (p->real == NULL)
		return 0;
	*out = file_join(p->real, base);
	return *out == NULL ? err_nomem(e) : 0;
}

int
placer_init(struct placer *p, enum ofs_format format, const char *out_dir,
	struct ofs_error *e)
{
	memset(p, 0, sizeof(*p));
	p->suffix = ofs_format_suffix(format);
	p->out_dir = out_dir;
	return out_dir == NULL ? 0 : absolute_dir(out_dir, &p->out_absolute, e);
}

void
placer_free(struct placer *p)
{
	free(p->out_absolute);
	free(p->dir);
	free(p->real);
	memset(p, 0, sizeof(*p));
}

int
placer_find(struct placer *p, const char *path, char **input, char **output,
	char **place, struct ofs_error *e)
{
	int rc;

	*output = *place = NULL;
	rc = absolute(p, path, input, e);
	if (rc != 0)
		return rc;
	if (p->out_dir != NULL) {
		*output = under(p->out_dir, path, p->suffix);
		*place = under(p->out_absolute, path, p->suffix);
		if (*place == NULL)
			rc = err_nomem(e);
	} else if (asprintf(output, "%s%s", path, p->suffix) < 0) {
		*output = NULL;
	} else {
		rc = absolute(p, *output, place, e);
	}
	if (*output == NULL)
		rc = err_nomem(e);
	return rc;
}
