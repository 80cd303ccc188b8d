/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a list is filled from: trees, SHA256SUMS, manifests, lists of names. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sign/list.h"

#include "base/beneath.h"
#include "base/file.h"
#include "base/lines.h"
#include "base/text.h"
#include "base/twins.h"
#include "crypto/digest.h"
#include "format/manifest.h"
#include "format/sums.h"

#define NAME_LINE_MAX 65536

static int
add_found(
	void *arg, const char *path, const struct stat *st, struct ofs_error *e)
{
	if (st == NULL)
		return err_sys(
			e, OFS_EIO, errno, "cannot look at '%s'", TEXT_Q(path));
	if (!S_ISREG(st->st_mode) || ofs_is_signature_name(path) ||
		file_out_is_tmp(file_basename(path), NULL))
		return 0;
	return list_add_file(arg, path, NULL, e);
}

int
list_add_tree(struct list *l, const char *dir, struct ofs_error *e)
{
	struct list_mark before = list_mark(l);
	int rc;

	rc = file_tree(dir, add_found, l, e);
	if (rc != 0)
		list_back(l, before);
	return rc;
}

/* allocated; `dir` is "." for what a list has beside it */
static char *
beside(const char *dir, const char *name)
{
	return name[0] == '/' || strcmp(dir, ".") == 0 ? strdup(name)
						       : file_join(dir, name);
}

/* one that items may not leave: *root is for struct list_source */
static int
find_root(struct list *l, const char *dir, size_t *root, struct ofs_error *e)
{
	struct list_root *grown;
	size_t i;
	int fd, rc;

	for (i = 0; i < l->n_roots; i++)
		if (strcmp(l->roots[i].dir, dir) == 0)
			break;
	*root = i + 1;
	if (i < l->n_roots)
		return 0;
	rc = beneath_open_dir(dir, &fd, e);
	if (rc != 0)
		return rc;
	grown = reallocarray(l->roots, i + 1, sizeof(*grown));
	if (grown != NULL) {
		l->roots = grown;
		grown[i] = (struct list_root){ strdup(dir), fd };
	}
	if (grown == NULL || grown[i].dir == NULL) {
		close(fd);
		return err_nomem(e);
	}
	l->n_roots++;
	return 0;
}

static bool
has_parent(const char *path)
{
	size_t n;

	for (; *path != '\0'; path += n, path += strspn(path, "/")) {
		n = strcspn(path, "/");
		if (n == 2 && path[0] == '.' && path[1] == '.')
			return true;
	}
	return false;
}

/* what is missing or unreadable is said when it is read, as it always is */
static int
check_inside(
	const struct list_root *root, const char *path, struct ofs_error *e)
{
	const char *why = path[0] == '/' ? "is absolute"
		: has_parent(path)       ? "has '..' in it"
					 : NULL;
	int fd;

	if (why != NULL)
		return err_set(e, OFS_EFORMAT,
			"'%s' %s; documents are named relative to '%s', and "
			"lie below it",
			TEXT_Q(path), why, TEXT_Q(root->dir));
	fd = beneath_open(root->fd, path, O_PATH | O_CLOEXEC);
	if (fd < 0 && errno == EXDEV)
		return err_set(e, OFS_EFORMAT,
			"'%s' leads out of '%s' by a symbolic link; name "
			"documents that lie below it",
			TEXT_Q(path), TEXT_Q(root->dir));
	if (fd >= 0)
		close(fd);
	return 0;
}

/* A list of documents that is read line by line. */
struct naming {
	struct list *list;
	struct lines lines;
	const char *dir;            /* that names are relative to */
	size_t root;                /* 0: names may be anywhere */
	struct buf text;            /* for the one that is added */
	struct twins *unique;       /* names occur once; NULL: or twice */
	size_t digest_len;          /* of a list of digests */
	uint8_t digest[DIGEST_MAX]; /* of the document that is named */
};

static int
add_named(struct naming *w, struct ofs_item *item, struct ofs_error *e)
{
	struct list_source from = { .line = w->lines.line,
		.root = w->root,
		.digest = w->digest,
		.digest_len = w->digest_len };
	const char *name = item->path;
	char *path = beside(w->dir, name);
	int rc = 0;

	if (path == NULL)
		return err_nomem(e);
	if (w->root > 0)
		rc = check_inside(&w->list->roots[w->root - 1], name, e);
	from.inside = strlen(path) - strlen(name);
	item->path = path;
	if (rc == 0)
		rc = list_add(w->list, item, &from, e);
	if (rc == OFS_EINVAL || rc == OFS_EFORMAT)
		rc = err_set(e, OFS_EFORMAT, "line %zu: %s", w->lines.line,
			e->message);
	free(path);
	return rc;
}

static int
add_manifest_line(
	struct naming *w, const uint8_t *p, size_t n, struct ofs_error *e)
{
	struct manifest_line line;
	int rc;

	rc = manifest_parse(p, n, w->lines.line, &line, e);
	if (rc != 0)
		return rc;
	rc = add_named(w, &line.item, e);
	manifest_clear(&line);
	return rc;
}

static int
add_name_line(struct naming *w, const uint8_t *p, size_t n, struct ofs_error *e)
{
	struct ofs_item item = OFS_ITEM_INIT;
	char *name;
	int rc;

	if (n == 0)
		return err_set(
			e, OFS_EFORMAT, "line %zu is empty", w->lines.line);
	if (memchr(p, '\0', n) != NULL)
		return err_set(e, OFS_EFORMAT,
			"line %zu has a NUL; names are separated by NULs or by "
			"newlines",
			w->lines.line);
	name = strndup((const char *)p, n);
	if (name == NULL)
		return err_nomem(e);
	item.path = name;
	rc = add_named(w, &item, e);
	free(name);
	return rc;
}

/* the number of the line goes with the name */
static int
note_name(struct naming *w, const char *name, struct ofs_error *e)
{
	uint8_t hash[DIGEST_MAX];
	int rc = digest_of(&digest_sha256, name, strlen(name), hash, e);

	return rc != 0 ? rc : twins_add(w->unique, hash, w->lines.line, e);
}

static int
add_sum_line(struct naming *w, const uint8_t *p, size_t n, struct ofs_error *e)
{
	struct ofs_item item = OFS_ITEM_INIT;
	bool here = w->digest_len == 0; /* to be read, and to be that */
	int rc;

	/* a name that was cut off could be another file's */
	if (w->lines.cut)
		return err_set(e, OFS_EFORMAT,
			"line %zu does not end in a newline; the file may have "
			"been cut off",
			w->lines.line);
	rc = sums_parse(p, n, w->lines.line, &w->text, w->digest,
		here ? digest_sha256.size : w->digest_len, e);
	if (rc != 0)
		return rc;
	item.path = (const char *)w->text.p;
	if (here)
		item.sha256 = w->digest;
	rc = note_name(w, item.path, e);
	return rc != 0 ? rc : add_named(w, &item, e);
}

typedef int (*line_fn)(
	struct naming *w, const uint8_t *p, size_t n, struct ofs_error *e);

static int
add_lines(struct naming *w, line_fn add, char end, struct ofs_error *e)
{
	const uint8_t *p;
	size_t n;
	int rc;

	while ((rc = lines_next(&w->lines, end, &p, &n, e)) == 0 && p != NULL) {
		rc = add(w, p, n, e);
		if (rc != 0)
			break;
	}
	if (rc == 0 && w->lines.line == 0)
		rc = err_set(
			e, OFS_EINVAL, "it is empty: there is nothing to sign");
	return rc;
}

/* `add` for each line of `path`; all of them or none */
static int
add_listed(struct naming *w, const char *path, const char *root, size_t max,
	line_fn add, enum ofs_names how, struct ofs_error *e)
{
	struct list_mark before = list_mark(w->list);
	bool nul = how == OFS_NAMES_NUL;
	int rc = 0;

	if (root != NULL) {
		w->dir = root;
		rc = find_root(w->list, root, &w->root, e);
	}
	if (rc == 0)
		rc = lines_open(&w->lines, path, max, e);
	if (rc != 0)
		return rc;
	if (how == OFS_NAMES_AUTO)
		rc = lines_has(&w->lines, '\0', &nul, e);
	if (rc == 0)
		rc = add_lines(w, add, nul ? '\0' : '\n', e);
	if (rc == OFS_EFORMAT || rc == OFS_EINVAL)
		rc = err_set(e, rc, "cannot use list '%s': %s", TEXT_Q(path),
			e->message);
	lines_close(&w->lines);
	if (rc != 0)
		list_back(w->list, before);
	return rc;
}

struct repeats {
	const struct list *list;
	size_t before; /* items of the list before line 1 */
};

/* a twins_fn; `first` and `second` are lines */
static int
refuse_repeat(void *arg, uint64_t first, uint64_t second, struct ofs_error *e)
{
	const struct repeats *r = arg;
	struct list_item it = { 0 };
	int rc;

	rc = list_read(r->list, r->before + (size_t)second - 1, &it, e);
	if (rc == 0)
		rc = err_set(e, OFS_EFORMAT,
			"line %zu repeats '%s' of line %zu", (size_t)second,
			TEXT_Q(it.path), (size_t)first);
	list_item_free(&it);
	return rc;
}

/* a SHA256SUMS file, or one of digests of `digest_len` bytes */
static int
add_sums(struct list *l, const char *path, size_t digest_len,
	struct ofs_error *e)
{
	struct list_mark before = list_mark(l);
	struct repeats repeats = { l, l->n };
	struct naming w = { .list = l, .digest_len = digest_len };
	struct twins names;
	char *dir = strcmp(path, "-") == 0 ? strdup(".") : file_dirname(path);
	int rc;

	if (dir == NULL)
		return err_nomem(e);
	twins_init(&names, l->dir);
	w.dir = dir;
	w.unique = &names;
	rc = add_listed(&w, path, NULL, NAME_LINE_MAX, add_sum_line,
		OFS_NAMES_LINES, e);
	if (rc == 0) {
		rc = twins_each(&names, refuse_repeat, &repeats, e);
		if (rc == OFS_EFORMAT)
			rc = err_set(e, rc, "cannot use list '%s': %s",
				TEXT_Q(path), e->message);
		if (rc != 0)
			list_back(l, before);
	}
	twins_free(&names);
	buf_free(&w.text);
	free(dir);
	return rc;
}

int
list_add_sums(struct list *l, const char *path, struct ofs_error *e)
{
	return add_sums(l, path, 0, e);
}

int
list_add_digests(
	struct list *l, const char *path, size_t len, struct ofs_error *e)
{
	return add_sums(l, path, len, e);
}

int
list_add_manifest(
	struct list *l, const char *path, const char *root, struct ofs_error *e)
{
	struct naming w = { .list = l };
	char *dir = strcmp(path, "-") == 0 ? strdup(".") : file_dirname(path);
	int rc;

	if (dir == NULL)
		return err_nomem(e);
	w.dir = dir;
	rc = add_listed(&w, path, root, MANIFEST_LINE_MAX, add_manifest_line,
		OFS_NAMES_LINES, e);
	free(dir);
	return rc;
}

int
list_add_names(struct list *l, const char *path, const char *root,
	enum ofs_names how, struct ofs_error *e)
{
	struct naming w = { .list = l, .dir = "." };

	return add_listed(&w, path, root, NAME_LINE_MAX, add_name_line, how, e);
}
