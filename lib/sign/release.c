/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Puts recorded outputs in place: written, synced, renamed, synced. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sign/release.h"

#include "base/file.h"
#include "base/text.h"

/* from this many files on, one syncfs costs less than an fsync for each */
#define SYNCFS_FROM 4

/* the directory of an output; `dev` tells which file system */
struct place {
	char *dir;
	dev_t dev;
};

static int
by_dir(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return strcmp(x->dir, y->dir);
}

static int
by_dev(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return x->dev < y->dev ? -1 : x->dev > y->dev;
}

/* distinct directories; *out has room for n */
static int
find_places(const struct release *r, size_t n, struct place *out, size_t *count,
	struct ofs_error *e)
{
	size_t i, kept = 0;

	*count = 0;
	for (i = 0; i < n; i++) {
		out[i].dir = file_dirname(r[i].path);
		if (out[i].dir == NULL)
			return err_nomem(e);
		*count = i + 1;
	}
	qsort(out, n, sizeof(*out), by_dir);
	for (i = 0; i < n; i++) {
		if (kept > 0 && strcmp(out[kept - 1].dir, out[i].dir) == 0) {
			free(out[i].dir);
			continue;
		}
		out[kept++] = out[i];
	}
	*count = kept;
	return 0;
}

/* what goes into `dir` fails for `why` */
static void
fail_place(struct release *r, size_t n, const char *dir,
	const struct ofs_error *why)
{
	char *its;
	size_t i;

	for (i = 0; i < n; i++) {
		its = file_dirname(r[i].path);
		if (its == NULL || strcmp(its, dir) == 0)
			r[i].e = *why;
		free(its);
	}
}

/* The directories, durably: a file in one that is not may be lost with it. */
static void
make_places(struct release *r, size_t n, struct place *places, size_t n_places)
{
	struct ofs_error e;
	struct stat st;
	size_t i;
	int rc;

	for (i = 0; i < n_places; i++) {
		rc = 0;
		if (stat(places[i].dir, &st) != 0) {
			memset(&st, 0, sizeof(st));
			rc = file_mkdirs(places[i].dir, 0777, &e);
			if (rc == 0 && stat(places[i].dir, &st) != 0)
				rc = err_sys(&e, OFS_EIO, errno,
					"cannot write into '%s'",
					TEXT_Q(places[i].dir));
		}
		if (rc != 0)
			fail_place(r, n, places[i].dir, &e);
		places[i].dev = rc == 0 ? st.st_dev : 0;
	}
	qsort(places, n_places, sizeof(*places), by_dev);
}

static int
sync_file_system(const char *dir, struct ofs_error *e)
{
	int fd, rc = 0;

	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || syncfs(fd) != 0)
		rc = err_sys(
			e, OFS_EIO, errno, "cannot sync '%s'", TEXT_Q(dir));
	if (fd >= 0)
		close(fd);
	return rc;
}

/* places are sorted by device: one sync for each */
static int
sync_devices(const struct place *places, size_t n, struct ofs_error *e)
{
	size_t i;
	int rc = 0;

	for (i = 0; i < n && rc == 0; i++) {
		if (places[i].dev == 0) /* could not be made: nothing there */
			continue;
		if (i == 0 || places[i].dev != places[i - 1].dev)
			rc = sync_file_system(places[i].dir, e);
	}
	return rc;
}

static void
write_files(struct release *r, struct file_out *outs, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (r[i].e.code == 0 &&
			file_out_write(&outs[i], r[i].path, r[i].p, r[i].n,
				&r[i].e) != 0)
			file_out_abort(&outs[i]);
	}
}

static void
fail_all(struct release *r, struct file_out *outs, size_t n,
	const struct ofs_error *why)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (r[i].e.code != 0)
			continue;
		r[i].e = *why;
		r[i].placed = false;
		file_out_abort(&outs[i]);
	}
}

static void
sync_files(struct release *r, struct file_out *outs, size_t n,
	const struct place *places, size_t n_places)
{
	struct ofs_error e;
	size_t i;

	if (n >= SYNCFS_FROM) {
		if (sync_devices(places, n_places, &e) != 0)
			fail_all(r, outs, n, &e);
		return;
	}
	for (i = 0; i < n; i++)
		if (r[i].e.code == 0 && file_out_sync(&outs[i], &r[i].e) != 0)
			file_out_abort(&outs[i]);
}

static void
rename_files(struct release *r, struct file_out *outs, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (r[i].e.code != 0)
			continue;
		if (file_out_commit(&outs[i], r[i].replace, &r[i].e) == 0)
			r[i].placed = true;
		else
			file_out_abort(&outs[i]);
	}
}

/* up to the root of the file system; who cannot read one has not made one */
static int
sync_above(const struct place *place, struct ofs_error *e)
{
	char *at = strdup(place->dir), *up;
	struct stat st = { .st_dev = place->dev };
	int rc = 0;

	while (at != NULL && rc == 0 && strcmp(at, "/") != 0 &&
		strcmp(at, ".") != 0) {
		up = file_dirname(at);
		free(at);
		at = up;
		if (at == NULL || stat(at, &st) != 0 || st.st_dev != place->dev)
			break;
		rc = file_sync_dir(at, e);
		if (rc != 0 && e->sys_errno == EACCES)
			rc = 0;
	}
	if (at == NULL)
		rc = err_nomem(e);
	free(at);
	return rc;
}

static void
sync_places(struct release *r, struct file_out *outs, size_t n,
	const struct place *places, size_t n_places, bool again)
{
	struct ofs_error e;
	size_t i;
	int rc = 0;

	if (n_places >= SYNCFS_FROM)
		rc = sync_devices(places, n_places, &e);
	for (i = 0; n_places < SYNCFS_FROM && rc == 0 && i < n_places; i++) {
		if (places[i].dev == 0)
			continue;
		rc = file_sync_dir(places[i].dir, &e);
		/* where the file systems were synced, they are durable */
		if (rc == 0 && again && n < SYNCFS_FROM)
			rc = sync_above(&places[i], &e);
	}
	if (rc != 0)
		fail_all(r, outs, n, &e);
}

int
release_check_place(const char *dir, struct ofs_error *e)
{
	char *at = strdup(dir), *up;
	struct stat st;
	int rc = 0;

	/* the nearest that is there */
	while (at != NULL && stat(at, &st) != 0 && errno == ENOENT &&
		strcmp(at, "/") != 0 && strcmp(at, ".") != 0) {
		up = file_dirname(at);
		free(at);
		at = up;
	}
	if (at == NULL)
		return err_nomem(e);
	if (stat(at, &st) != 0)
		rc = err_sys(e, OFS_EIO, errno, "cannot write into '%s'",
			TEXT_Q(dir));
	else if (!S_ISDIR(st.st_mode))
		rc = err_set(e, OFS_EIO,
			"cannot write into '%s': '%s' is not a directory",
			TEXT_Q(dir), TEXT_Q(at));
	else if (faccessat(AT_FDCWD, at, W_OK | X_OK, AT_EACCESS) != 0)
		rc = err_sys(e, OFS_EIO, errno, "cannot write into '%s'",
			TEXT_Q(at));
	free(at);
	return rc;
}

int
release_all(struct release *r, size_t n, bool again, struct ofs_error *e)
{
	struct file_out *outs;
	struct place *places;
	size_t i, n_places = 0;
	int rc = 0;

	if (n == 0)
		return 0;
	outs = calloc(n, sizeof(*outs));
	places = calloc(n, sizeof(*places));
	if (outs == NULL || places == NULL) {
		rc = err_nomem(e);
		goto out;
	}
	for (i = 0; i < n; i++) {
		outs[i] = (struct file_out)FILE_OUT_INIT;
		r[i].placed = false;
		err_clear(&r[i].e);
	}
	rc = find_places(r, n, places, &n_places, e);
	if (rc != 0)
		goto out;
	make_places(r, n, places, n_places);
	write_files(r, outs, n);
	sync_files(r, outs, n, places, n_places);
	rename_files(r, outs, n);
	sync_places(r, outs, n, places, n_places, again);
out:
	for (i = 0; outs != NULL && i < n; i++)
		file_out_abort(&outs[i]);
	for (i = 0; places != NULL && i < n_places; i++)
		free(places[i].dir);
	free(places);
	free(outs);
	return rc;
}
