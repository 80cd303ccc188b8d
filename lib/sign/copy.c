/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Second copies of released files, on other media. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sign/copy.h"

#include "base/file.h"
#include "base/text.h"
#include "base/twins.h"
#include "sign/release.h"

/* of a signature that was there before: larger than any that we make */
#define SIGNATURE_MAX (128u << 20)

/* where the copy of an output goes; allocated, NULL when out of memory */
static char *
path_of(const struct ofs_sign_opts *o, const struct list_item *it)
{
	size_t n = o->out_dir != NULL ? strlen(o->out_dir) : 0;
	char *rel, *path;

	if (o->out_dir != NULL && strncmp(it->output, o->out_dir, n) == 0)
		rel = strdup(it->output + n + strspn(it->output + n, "/"));
	else
		rel = file_relative_as_tar(it->output);
	path = rel != NULL ? file_join(o->copy_dir, rel) : NULL;
	free(rel);
	return path;
}

static bool
is_output(const struct list_item *it, const char *copy)
{
	struct ofs_error ignored;
	char *absolute = NULL;
	bool same;

	if (it->absolute == NULL ||
		file_absolute(copy, &absolute, &ignored) != 0)
		return false;
	same = strcmp(absolute, it->absolute) == 0;
	free(absolute);
	return same;
}

int
copy_find(const struct ofs_sign_opts *o, const struct list_item *it,
	char **path, struct ofs_error *e)
{
	*path = path_of(o, it);
	if (*path == NULL)
		return err_nomem(e);
	if (!is_output(it, *path))
		return 0;
	return err_set(e, OFS_EEXIST,
		"the second copy '%s' is the signature itself; use another "
		"directory",
		TEXT_Q(*path));
}

/* its copy's place among those of all others */
static int
note_copy(const struct ofs_sign_opts *o, const struct list_item *it, size_t i,
	struct twins *places, struct ofs_error *e)
{
	uint8_t hash[DIGEST_MAX];
	char *path;
	int rc;

	rc = copy_find(o, it, &path, e);
	if (rc == 0)
		rc = digest_of(&digest_sha256, path, strlen(path), hash, e);
	if (rc == 0)
		rc = twins_add(places, hash, i, e);
	free(path);
	return rc;
}

/* a twins_fn */
static int
refuse_twins(void *arg, uint64_t first, uint64_t second, struct ofs_error *e)
{
	const struct ofs_sign_opts *o = arg;

	(void)first, (void)second;
	return err_set(e, OFS_EEXIST,
		"two documents would have one second copy in '%s'; sign them "
		"apart, or use --out",
		TEXT_Q(o->copy_dir));
}

static int
find_collisions(const struct list *l, const struct ofs_sign_opts *o,
	struct ofs_error *e)
{
	struct list_item it = { 0 };
	struct twins places;
	size_t i;
	int rc = 0;

	twins_init(&places, l->dir);
	for (i = 0; i < l->n && rc == 0; i++) {
		rc = list_read(l, i, &it, e);
		if (rc == 0 && it.output != NULL)
			rc = note_copy(o, &it, i, &places, e);
	}
	list_item_free(&it);
	if (rc == 0)
		rc = twins_each(&places, refuse_twins, (void *)(uintptr_t)o, e);
	twins_free(&places);
	return rc;
}

static int
check_dir(const char *dir, struct ofs_error *e)
{
	struct stat st;

	if (stat(dir, &st) != 0)
		return err_sys(e, OFS_EIO, errno,
			"cannot put second copies into '%s'", TEXT_Q(dir));
	if (!S_ISDIR(st.st_mode))
		return err_set(e, OFS_EIO,
			"cannot put second copies into '%s': it is not a "
			"directory",
			TEXT_Q(dir));
	return release_check_place(dir, e);
}

int
copy_place(const struct list *l, const struct ofs_sign_opts *o,
	struct ofs_error *e)
{
	int rc = check_dir(o->copy_dir, e);

	return rc != 0 ? rc : find_collisions(l, o, e);
}

static bool
holds(const char *path, const uint8_t *p, size_t n, struct ofs_error *e)
{
	struct buf there = BUF_INIT;
	bool same = false;

	if (file_read(path, n, &there, e) == 0) {
		same = there.len == n && memcmp(there.p, p, n) == 0;
		if (!same)
			(void)err_set(e, OFS_EIO, "it holds other bytes");
	}
	buf_free(&there);
	return same;
}

/* from the medium, as far as the kernel lets go of its own copy */
static int
read_back(const struct release *r, struct ofs_error *e)
{
	struct ofs_error why;
	int fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd >= 0) {
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		close(fd);
	}
	if (holds(r->path, r->p, r->n, &why))
		return 0;
	return err_set(e, OFS_EIO,
		"cannot rely on the second copy '%s', which was read back: %s",
		TEXT_Q(r->path), why.message);
}

static int
note(struct work *w, const struct ofs_error *why, struct ofs_error *e)
{
	w->copy_code = why->code;
	w->copy_message = strdup(why->message);
	return w->copy_message == NULL ? err_nomem(e) : 0;
}

static int
copy_all(struct release *r, struct work **works, size_t n, struct ofs_error *e)
{
	struct ofs_error why;
	bool again = false;
	size_t i;
	int rc;

	for (i = 0; i < n; i++) {
		/* written once more: it may never have reached the medium */
		r[i].replace =
			r[i].replace || holds(r[i].path, r[i].p, r[i].n, &why);
		again = again || works[i]->restored ||
			works[i]->status == OFS_ITEM_SKIPPED;
	}
	rc = release_all(r, n, again, e);
	for (i = 0; i < n && rc == 0; i++) {
		if (!r[i].placed)
			rc = note(works[i], &r[i].e, e);
		else if (read_back(&r[i], &why) != 0)
			rc = note(works[i], &why, e);
	}
	return rc;
}

/* what an earlier run signed; perhaps it was cut off before the copy */
static int
copy_skipped(const struct ofs_sign_opts *o, struct work *w, struct ofs_error *e)
{
	struct buf out = BUF_INIT;
	struct ofs_error why;
	struct release r = { .path = w->copy,
		.replace = o->existing == OFS_EXISTING_REPLACE };
	int rc;

	if (file_read(w->item->output, SIGNATURE_MAX, &out, &why) != 0) {
		rc = note(w, &why, e);
	} else {
		r.p = out.p != NULL ? out.p : (const uint8_t *)"";
		r.n = out.len;
		rc = copy_all(&r, &w, 1, e);
	}
	buf_free(&out);
	return rc;
}

int
copy_chunk(const struct ofs_sign_opts *o, struct chunk *c, struct ofs_error *e)
{
	struct release todo[CHUNK_ITEMS_MAX];
	struct work *works[CHUNK_ITEMS_MAX];
	size_t i, n = 0;
	int rc = 0;

	if (o->copy_dir == NULL)
		return 0;
	for (i = 0; i < c->n && rc == 0; i++) {
		struct work *w = &c->works[i];

		if (!w->placed && w->status != OFS_ITEM_SKIPPED)
			continue;
		w->copy = path_of(o, w->item);
		if (w->copy == NULL)
			return err_nomem(e);
		if (w->status == OFS_ITEM_SKIPPED) {
			rc = copy_skipped(o, w, e);
			continue;
		}
		todo[n] = (struct release){ .path = w->copy,
			.p = w->out.p,
			.n = w->out.len,
			.replace = o->existing == OFS_EXISTING_REPLACE };
		works[n++] = w;
	}
	return rc != 0 || n == 0 ? rc : copy_all(todo, works, n, e);
}
