/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The list of what a batch is to sign, and where each output goes. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sign/list.h"

#include "base/file.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "format/sums.h"

#define TREE_DEPTH_MAX 64
#define PATH_LEN_MAX 4096

/* one name that the batch reads or writes, for finding collisions */
struct place {
	const char *absolute;
	size_t item;
	bool output;
};

static int
add(struct list *l, const char *path, struct list_item **out,
	struct ofs_error *e)
{
	struct list_item *grown;
	size_t cap;

	if (strlen(path) >= PATH_LEN_MAX)
		return err_set(e, OFS_EINVAL,
			"'%s' is too long a name; the limit is %d bytes",
			TEXT_Q(path), PATH_LEN_MAX);
	if (l->n == l->cap) {
		cap = l->cap ? l->cap * 2 : 64;
		grown = reallocarray(l->items, cap, sizeof(*grown));
		if (grown == NULL)
			return err_nomem(e);
		l->items = grown;
		l->cap = cap;
	}
	*out = &l->items[l->n];
	memset(*out, 0, sizeof(**out));
	(*out)->path = strdup(path);
	if ((*out)->path == NULL)
		return err_nomem(e);
	l->n++;
	return 0;
}

int
list_add_file(struct list *l, const char *path, const uint8_t *sha256,
	struct ofs_error *e)
{
	struct list_item *it;
	int rc;

	if (path[0] == '\0')
		return err_set(e, OFS_EINVAL,
			"an empty name cannot be signed; name a file");
	rc = add(l, path, &it, e);
	if (rc != 0)
		return rc;
	if (sha256 != NULL) {
		it->has_sha256 = true;
		memcpy(it->sha256, sha256, 32);
	}
	return 0;
}

int
list_add_bytes(struct list *l, const char *name, const void *p, size_t n,
	struct ofs_error *e)
{
	struct list_item *it;
	int rc;

	rc = add(l, name, &it, e);
	if (rc != 0)
		return rc;
	it->bytes = p != NULL ? p : "";
	it->len = n;
	return 0;
}

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

static int add_dir(
	struct list *l, const char *dir, int depth, struct ofs_error *e);

static int
add_entry(struct list *l, const char *dir, const char *name, int depth,
	struct ofs_error *e)
{
	struct stat st;
	char *path;
	int rc = 0;

	path = file_join(dir, name);
	if (path == NULL)
		return err_nomem(e);
	if (lstat(path, &st) != 0)
		rc = err_sys(
			e, OFS_EIO, errno, "cannot look at '%s'", TEXT_Q(path));
	else if (S_ISDIR(st.st_mode))
		rc = add_dir(l, path, depth + 1, e);
	else if (S_ISREG(st.st_mode) && !ofs_is_signature_name(name) &&
		!file_out_is_tmp(name, NULL))
		rc = list_add_file(l, path, NULL, e);
	free(path);
	return rc;
}

static int
add_dir(struct list *l, const char *dir, int depth, struct ofs_error *e)
{
	struct dirent **names = NULL;
	int n, i, rc = 0;

	if (depth > TREE_DEPTH_MAX)
		return err_set(e, OFS_EIO,
			"'%s' lies more than %d directories deep; "
			"name its files one by one",
			TEXT_Q(dir), TREE_DEPTH_MAX);
	n = scandir(dir, &names, not_dots, by_name);
	if (n < 0)
		return err_sys(
			e, OFS_EIO, errno, "cannot list '%s'", TEXT_Q(dir));
	for (i = 0; i < n; i++) {
		if (rc == 0)
			rc = add_entry(l, dir, names[i]->d_name, depth, e);
		free(names[i]);
	}
	free(names);
	return rc;
}

static void
truncate_to(struct list *l, size_t n)
{
	struct list_item *it;

	while (l->n > n) {
		it = &l->items[--l->n];
		free(it->path);
		free(it->output);
		free(it->absolute);
		free(it->problem);
	}
}

int
list_add_tree(struct list *l, const char *dir, struct ofs_error *e)
{
	size_t before = l->n;
	int rc;

	rc = add_dir(l, dir, 0, e);
	if (rc != 0)
		truncate_to(l, before);
	return rc;
}

struct sums_walk {
	struct list *list;
	const char *dir;
};

static int
add_sum(void *arg, const char *name, const uint8_t sha256[32],
	struct ofs_error *e)
{
	struct sums_walk *w = arg;
	char *path;
	int rc;

	path = name[0] == '/' || strcmp(w->dir, ".") == 0
		? strdup(name)
		: file_join(w->dir, name);
	if (path == NULL)
		return err_nomem(e);
	rc = list_add_file(w->list, path, sha256, e);
	free(path);
	return rc;
}

int
list_add_sums(struct list *l, const char *path, struct ofs_error *e)
{
	struct buf text = BUF_INIT;
	struct sums_walk w = { l, NULL };
	size_t before = l->n;
	char *dir;
	int rc;

	dir = file_dirname(path);
	if (dir == NULL)
		return err_nomem(e);
	w.dir = dir;
	rc = file_read(path, SUMS_FILE_MAX, &text, e);
	if (rc == 0)
		rc = sums_parse(text.p, text.len, add_sum, &w, e);
	if (rc == OFS_EFORMAT)
		rc = err_set(e, OFS_EFORMAT, "cannot use list '%s': %s",
			TEXT_Q(path), e->message);
	if (rc != 0)
		truncate_to(l, before);
	buf_free(&text);
	free(dir);
	return rc;
}

void
list_free(struct list *l)
{
	truncate_to(l, 0);
	free(l->items);
	memset(l, 0, sizeof(*l));
}

/* the output of `it` is that of the item `other`, or is that document */
static int
set_problem(struct list_item *it, const char *other, bool output,
	struct ofs_error *e)
{
	const char *what =
		output ? "is also that of" : "is a document of this batch,";
	const char *next = output ? "which was named earlier; sign them apart"
				  : "and is not overwritten; use --out";

	if (it->problem != NULL)
		return 0;
	if (asprintf(&it->problem, "output '%s' %s '%s', %s",
		    TEXT_Q(it->output), what, TEXT_Q(other), next) < 0) {
		it->problem = NULL;
		return err_nomem(e);
	}
	it->problem_code = OFS_EEXIST;
	return 0;
}

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

static int
place_one(struct list_item *it, const char *suffix, const char *out_dir,
	const char *out_absolute, struct ofs_error *e)
{
	if (out_dir != NULL) {
		it->output = under(out_dir, it->path, suffix);
		it->absolute = under(out_absolute, it->path, suffix);
		if (it->absolute == NULL)
			return err_nomem(e);
	} else if (asprintf(&it->output, "%s%s", it->path, suffix) < 0) {
		it->output = NULL;
	}
	if (it->output == NULL)
		return err_nomem(e);
	/* fails where the document's own directory is missing: said later */
	if (it->absolute == NULL &&
		file_absolute(it->output, &it->absolute, e) != 0)
		err_clear(e);
	return 0;
}

/* of a directory that may not be there yet */
static int
absolute_dir(const char *dir, char **out, struct ofs_error *e)
{
	char *cwd;

	*out = realpath(dir, NULL);
	if (*out != NULL)
		return 0;
	if (dir[0] == '/') {
		*out = strdup(dir);
		return *out == NULL ? err_nomem(e) : 0;
	}
	cwd = getcwd(NULL, 0);
	if (cwd == NULL)
		return err_sys(
			e, OFS_EIO, errno, "cannot tell the current directory");
	*out = file_join(cwd, dir);
	free(cwd);
	return *out == NULL ? err_nomem(e) : 0;
}

static int
compare_places(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	int order = strcmp(x->absolute, y->absolute);

	if (order != 0)
		return order;
	if (x->output != y->output)
		return x->output ? 1 : -1;
	return x->item < y->item ? -1 : 1;
}

/* places are sorted: inputs of a name first, then outputs by item */
static int
find_collisions(
	struct list *l, const struct place *p, size_t n, struct ofs_error *e)
{
	size_t i;
	int rc = 0;

	for (i = 1; i < n && rc == 0; i++) {
		struct list_item *it = &l->items[p[i].item];
		const char *other = l->items[p[i - 1].item].path;

		if (!p[i].output ||
			strcmp(p[i].absolute, p[i - 1].absolute) != 0)
			continue;
		rc = set_problem(it, other, p[i - 1].output, e);
	}
	return rc;
}

int
list_place(struct list *l, enum ofs_format format, const char *out_dir,
	struct ofs_error *e)
{
	const char *suffix = ofs_format_suffix(format);
	struct place *p = NULL;
	char **inputs = NULL, *out_absolute = NULL;
	size_t i, n = 0;
	int rc = 0;

	if (l->n == 0)
		return 0;
	if (out_dir != NULL)
		rc = absolute_dir(out_dir, &out_absolute, e);
	if (rc != 0)
		return rc;
	p = calloc(l->n * 2, sizeof(*p));
	inputs = calloc(l->n, sizeof(*inputs));
	if (p == NULL || inputs == NULL) {
		rc = err_nomem(e);
		goto out;
	}
	for (i = 0; i < l->n; i++) {
		struct list_item *it = &l->items[i];

		if (it->bytes != NULL)
			continue;
		rc = place_one(it, suffix, out_dir, out_absolute, e);
		if (rc != 0)
			goto out;
		if (file_absolute(it->path, &inputs[i], e) == 0)
			p[n++] = (struct place){ inputs[i], i, false };
		if (it->absolute != NULL)
			p[n++] = (struct place){ it->absolute, i, true };
		err_clear(e);
	}
	qsort(p, n, sizeof(*p), compare_places);
	rc = find_collisions(l, p, n, e);
out:
	for (i = 0; inputs != NULL && i < l->n; i++)
		free(inputs[i]);
	free(inputs);
	free(p);
	free(out_absolute);
	return rc;
}

int
list_sha256(const struct list *l, uint8_t out[32], struct ofs_error *e)
{
	static const char tag[] = "ofs-list-v1";
	struct digest d = { 0 };
	struct buf line = BUF_INIT;
	size_t i;
	int rc;

	rc = digest_begin(&d, digest_by_id(OFS_DIGEST_SHA256), e);
	if (rc == 0)
		rc = digest_update(&d, tag, sizeof(tag), e);
	for (i = 0; i < l->n && rc == 0; i++) {
		const struct list_item *it = &l->items[i];

		buf_reset(&line);
		buf_u64(&line, strlen(it->path));
		buf_str(&line, it->path);
		buf_u8(&line, it->has_sha256);
		if (it->has_sha256)
			buf_put(&line, it->sha256, 32);
		rc = buf_ok(&line) ? digest_update(&d, line.p, line.len, e)
				   : err_nomem(e);
	}
	if (rc == 0)
		rc = digest_end(&d, out, e);
	digest_free(&d);
	buf_free(&line);
	return rc;
}
