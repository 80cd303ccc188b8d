/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The list of what a batch is to sign, spooled. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sign/list.h"

#include "base/text.h"
#include "crypto/digest.h"
#include "format/manifest.h"

#define PATH_LEN_MAX 4096

/* in `index`, one for each item: where it is in `text` */
struct entry {
	uint64_t at;
	uint64_t len;
	uint64_t problem; /* 0: none; else 2 * (1 + other item) + output? */
};

/*
 * in `text`, followed by path, id, name, version, media_type, each with NUL;
 * in `placed_text` output and absolute come behind these
 */
struct head {
	uint64_t line, root, inside;
	const void *bytes; /* of this process, which alone reads it */
	uint64_t n_bytes;
	uint8_t sha256[32];
	uint8_t has_sha256;
	uint8_t digest_len; /* so many bytes of digest come behind this */
};

int
list_init(struct list *l, const char *dir, struct ofs_error *e)
{
	memset(l, 0, sizeof(*l));
	l->dir = strdup(dir);
	spool_init(&l->index, l->dir);
	spool_init(&l->text, l->dir);
	spool_init(&l->placed_index, l->dir);
	spool_init(&l->placed_text, l->dir);
	return l->dir == NULL ? err_nomem(e) : 0;
}

void
list_free(struct list *l)
{
	if (l->dir == NULL)
		return; /* was never made */
	while (l->n_roots > 0) {
		close(l->roots[--l->n_roots].fd);
		free(l->roots[l->n_roots].dir);
	}
	free(l->roots);
	spool_free(&l->index);
	spool_free(&l->text);
	spool_free(&l->placed_index);
	spool_free(&l->placed_text);
	buf_free(&l->scratch);
	free(l->dir);
	memset(l, 0, sizeof(*l));
}

void
list_item_reset(struct list_item *it)
{
	struct buf mem = it->mem;

	free(it->problem);
	buf_reset(&mem);
	memset(it, 0, sizeof(*it));
	it->mem = mem;
	it->path = "";
	it->root = -1;
}

void
list_item_free(struct list_item *it)
{
	free(it->problem);
	buf_free(&it->mem);
	memset(it, 0, sizeof(*it));
}

struct list_mark
list_mark(const struct list *l)
{
	return (struct list_mark){ l->n, spool_size(&l->text), l->described };
}

void
list_back(struct list *l, struct list_mark to)
{
	struct ofs_error ignored;

	if (spool_cut(&l->index, to.n * sizeof(struct entry), &ignored) != 0 ||
		spool_cut(&l->text, to.text, &ignored) != 0)
		l->broken = true;
	l->n = to.n;
	l->described = to.described;
}

/* a text and its NUL; NULL is as good as none */
static void
put_text(struct buf *to, const char *s)
{
	if (s != NULL)
		buf_str(to, s);
	buf_u8(to, 0);
}

/* appends what is in the scratch buffer, and its entry */
static int
put_scratch(struct list *l, struct spool *index, struct spool *text,
	struct ofs_error *e)
{
	struct entry en = { spool_size(text), l->scratch.len, 0 };
	int rc;

	if (!buf_ok(&l->scratch))
		return err_nomem(e);
	rc = spool_append(text, l->scratch.p, l->scratch.len, e);
	return rc != 0 ? rc : spool_append(index, &en, sizeof(en), e);
}

static int
check_length(const char *path, struct ofs_error *e)
{
	if (strlen(path) < PATH_LEN_MAX)
		return 0;
	return err_set(e, OFS_EINVAL,
		"'%s' is too long a name; the limit is %d bytes", TEXT_Q(path),
		PATH_LEN_MAX);
}

int
list_add(struct list *l, const struct ofs_item *item,
	const struct list_source *from, struct ofs_error *e)
{
	struct list_mark before = list_mark(l);
	struct head h = { .line = from->line,
		.root = from->root,
		.inside = from->inside,
		.bytes = from->bytes,
		.n_bytes = from->n_bytes,
		.digest_len = (uint8_t)from->digest_len };
	int rc;

	if (l->broken)
		return err_set(e, OFS_EIO,
			"the list is unusable since a temporary file in '%s' "
			"failed",
			TEXT_Q(l->dir));
	rc = check_length(item->path, e);
	if (rc != 0)
		return rc;
	h.has_sha256 = item->sha256 != NULL;
	if (h.has_sha256)
		memcpy(h.sha256, item->sha256, sizeof(h.sha256));
	buf_reset(&l->scratch);
	buf_put(&l->scratch, &h, sizeof(h));
	buf_put(&l->scratch, from->digest, from->digest_len);
	put_text(&l->scratch, item->path);
	put_text(&l->scratch, item->id);
	put_text(&l->scratch, item->name);
	put_text(&l->scratch, item->version);
	put_text(&l->scratch, item->media_type);
	rc = put_scratch(l, &l->index, &l->text, e);
	if (rc != 0) {
		list_back(l, before);
		return rc;
	}
	if (item->id != NULL || item->name != NULL || item->version != NULL ||
		item->media_type != NULL)
		l->described = true;
	l->n++;
	return 0;
}

int
list_check_item(const struct ofs_item *item, struct ofs_error *e)
{
	int rc;

	if (item->size != sizeof(*item))
		return err_set(e, OFS_EINVAL,
			"the item is of another version of the library; start "
			"from OFS_ITEM_INIT");
	if (item->path == NULL || item->path[0] == '\0')
		return err_set(e, OFS_EINVAL,
			"an empty name cannot be signed; name a file");
	rc = manifest_check_item(item, e);
	if (rc != 0)
		return err_set(e, rc, "cannot add '%s': %s", TEXT_Q(item->path),
			e->message);
	return check_length(item->path, e);
}

int
list_add_item(struct list *l, const struct ofs_item *item, struct ofs_error *e)
{
	const struct list_source none = { 0 };
	int rc = list_check_item(item, e);

	return rc != 0 ? rc : list_add(l, item, &none, e);
}

int
list_add_file(struct list *l, const char *path, const uint8_t *sha256,
	struct ofs_error *e)
{
	struct ofs_item item = OFS_ITEM_INIT;

	item.path = path;
	item.sha256 = sha256;
	return list_add_item(l, &item, e);
}

int
list_add_digest(struct list *l, const struct ofs_item *item,
	const uint8_t *digest, size_t len, struct ofs_error *e)
{
	const struct list_source from = { .digest = digest, .digest_len = len };
	int rc = list_check_item(item, e);

	return rc != 0 ? rc : list_add(l, item, &from, e);
}

int
list_add_bytes(struct list *l, const char *name, const void *p, size_t n,
	struct ofs_error *e)
{
	struct list_source from = { .bytes = p != NULL ? p : "", .n_bytes = n };
	struct ofs_item item = OFS_ITEM_INIT;

	item.path = name;
	return list_add(l, &item, &from, e);
}

static int
read_entry(
	const struct list *l, size_t i, struct entry *en, struct ofs_error *e)
{
	return spool_read(l->placed ? &l->placed_index : &l->index,
		i * sizeof(*en), en, sizeof(*en), e);
}

int
list_put_place(struct list *l, const struct list_item *it, const char *output,
	const char *absolute, struct ofs_error *e)
{
	buf_reset(&l->scratch);
	buf_put(&l->scratch, it->mem.p, it->mem.len);
	put_text(&l->scratch, output);
	put_text(&l->scratch, absolute);
	return put_scratch(l, &l->placed_index, &l->placed_text, e);
}

void
list_end_places(struct list *l)
{
	l->placed = true;
	spool_free(&l->index);
	spool_free(&l->text);
}

int
list_set_problem(struct list *l, size_t i, size_t other, bool output,
	struct ofs_error *e)
{
	struct entry en;
	int rc;

	rc = read_entry(l, i, &en, e);
	if (rc != 0 || en.problem != 0)
		return rc;
	en.problem = 2 * ((uint64_t)other + 1) + output;
	return spool_write(
		&l->placed_index, i * sizeof(en), &en, sizeof(en), e);
}

/* the next text of the n bytes at *p; "" is none */
static const char *
take_text(const char **p, size_t *n, bool *bad)
{
	const char *s = *p, *end = *n == 0 ? NULL : memchr(s, '\0', *n);

	if (end == NULL) {
		*bad = true;
		return NULL;
	}
	*n -= (size_t)(end + 1 - s);
	*p = end + 1;
	return s[0] == '\0' ? NULL : s;
}

static bool
take_item(const struct list *l, const char *p, size_t n, struct list_item *it)
{
	const char *path;
	struct head h;
	bool bad = false;

	if (n < sizeof(h))
		return false;
	memcpy(&h, p, sizeof(h));
	p += sizeof(h);
	n -= sizeof(h);
	if (h.digest_len > sizeof(it->digest) || h.digest_len > n)
		return false;
	it->digest_len = h.digest_len;
	memcpy(it->digest, p, h.digest_len);
	p += h.digest_len;
	n -= h.digest_len;
	path = take_text(&p, &n, &bad);
	it->id = take_text(&p, &n, &bad);
	it->name = take_text(&p, &n, &bad);
	it->version = take_text(&p, &n, &bad);
	it->media_type = take_text(&p, &n, &bad);
	if (l->placed) {
		it->output = take_text(&p, &n, &bad);
		it->absolute = take_text(&p, &n, &bad);
	}
	if (bad || n != 0 || h.root > l->n_roots ||
		(h.root > 0 && (path == NULL || h.inside >= strlen(path))))
		return false;
	if (path != NULL)
		it->path = path;
	it->line = (size_t)h.line;
	it->has_sha256 = h.has_sha256 != 0;
	memcpy(it->sha256, h.sha256, sizeof(it->sha256));
	if (h.root > 0) {
		it->root = l->roots[h.root - 1].fd;
		it->inside = path + h.inside;
	}
	it->bytes = h.bytes;
	it->len = (size_t)h.n_bytes;
	return true;
}

static int
read_item(const struct list *l, const struct entry *en, struct list_item *it,
	struct ofs_error *e)
{
	size_t n = (size_t)en->len;
	uint8_t *p;
	int rc;

	list_item_reset(it);
	p = buf_grow(&it->mem, n);
	if (p == NULL)
		return err_nomem(e);
	rc = spool_read(
		l->placed ? &l->placed_text : &l->text, en->at, p, n, e);
	if (rc == 0 && !take_item(l, (const char *)p, n, it))
		rc = err_set(e, OFS_EINTERNAL,
			"a temporary file in '%s' was changed", TEXT_Q(l->dir));
	return rc;
}

/* the output of `it` is that of another item, or is that document */
static int
tell_problem(const struct list *l, uint64_t problem, struct list_item *it,
	struct ofs_error *e)
{
	bool output = problem % 2 == 1;
	const char *what =
		output ? "is also that of" : "is a document of this batch,";
	const char *next = output ? "which was named earlier; sign them apart"
				  : "and is not overwritten; use --out";
	struct list_item other = { 0 };
	struct entry en;
	int rc;

	rc = read_entry(l, (size_t)(problem / 2 - 1), &en, e);
	if (rc == 0)
		rc = read_item(l, &en, &other, e);
	if (rc == 0 &&
		asprintf(&it->problem, "output '%s' %s '%s', %s",
			TEXT_Q(it->output != NULL ? it->output : ""), what,
			TEXT_Q(other.path), next) < 0) {
		it->problem = NULL;
		rc = err_nomem(e);
	}
	it->problem_code = OFS_EEXIST;
	list_item_free(&other);
	return rc;
}

int
list_read(const struct list *l, size_t i, struct list_item *it,
	struct ofs_error *e)
{
	struct entry en;
	int rc;

	rc = read_entry(l, i, &en, e);
	if (rc == 0)
		rc = read_item(l, &en, it, e);
	if (rc == 0 && en.problem != 0)
		rc = tell_problem(l, en.problem, it, e);
	if (rc != 0)
		list_item_reset(it);
	return rc;
}

static void
describe(struct buf *to, const char *text)
{
	buf_u8(to, text != NULL);
	if (text == NULL)
		return;
	buf_u64(to, strlen(text));
	buf_str(to, text);
}

void
list_describe_item(const struct list_item *it, bool v2, struct buf *to)
{
	buf_reset(to);
	buf_u64(to, strlen(it->path));
	buf_str(to, it->path);
	buf_u8(to, it->digest_len > 0 ? 2 : it->has_sha256);
	if (it->digest_len > 0) {
		buf_u64(to, it->digest_len);
		buf_put(to, it->digest, it->digest_len);
	}
	if (it->has_sha256)
		buf_put(to, it->sha256, sizeof(it->sha256));
	if (!v2)
		return;
	describe(to, it->id);
	describe(to, it->name);
	describe(to, it->version);
	describe(to, it->media_type);
}

int
list_sha256(const struct list *l, uint8_t out[32], struct ofs_error *e)
{
	static const char v1[] = "ofs-list-v1", v2[] = "ofs-list-v2";
	struct list_item it = { 0 };
	struct digest d = { 0 };
	struct buf line = BUF_INIT;
	size_t i;
	int rc;

	rc = digest_begin(&d, digest_by_id(OFS_DIGEST_SHA256), e);
	if (rc == 0)
		rc = digest_update(&d, l->described ? v2 : v1, sizeof(v1), e);
	for (i = 0; i < l->n && rc == 0; i++) {
		rc = list_read(l, i, &it, e);
		if (rc != 0)
			break;
		list_describe_item(&it, l->described, &line);
		rc = buf_ok(&line) ? digest_update(&d, line.p, line.len, e)
				   : err_nomem(e);
	}
	if (rc == 0)
		rc = digest_end(&d, out, e);
	digest_free(&d);
	buf_free(&line);
	list_item_free(&it);
	return rc;
}
