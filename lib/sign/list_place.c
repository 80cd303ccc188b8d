/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the outputs of a list go; what must not occur twice in it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sign/list.h"

#include "base/text.h"
#include "base/twins.h"
#include "crypto/digest.h"
#include "sign/place.h"

/* what a name is to the list; sorted so: a document, then outputs by item */
enum kind { DOCUMENT, OUTPUT, ID };
#define KIND_SHIFT 62

struct placing {
	struct list *list;
	struct placer placer;
	struct twins twins;
};

static int
note(struct placing *p, enum kind kind, size_t i, const char *name,
	struct ofs_error *e)
{
	uint8_t hash[DIGEST_MAX];
	uint64_t tag = (uint64_t)kind << KIND_SHIFT | i;
	struct buf b = BUF_INIT;
	int rc;

	/* ids and places are two worlds */
	buf_u8(&b, kind == ID);
	buf_str(&b, name);
	rc = !buf_ok(&b) ? err_nomem(e)
			 : digest_of(digest_by_id(OFS_DIGEST_SHA256), b.p,
				   b.len, hash, e);
	buf_free(&b);
	return rc != 0 ? rc : twins_add(&p->twins, hash, tag, e);
}

static int
place_file(struct placing *p, size_t i, const struct list_item *it,
	struct ofs_error *e)
{
	char *input, *output, *place;
	int rc;

	rc = placer_find(&p->placer, it->path, &input, &output, &place, e);
	if (rc == 0)
		rc = list_put_place(p->list, it, output, place, e);
	if (rc == 0 && input != NULL)
		rc = note(p, DOCUMENT, i, input, e);
	if (rc == 0 && place != NULL)
		rc = note(p, OUTPUT, i, place, e);
	free(input);
	free(output);
	free(place);
	return rc;
}

static int
place_all(struct placing *p, struct ofs_error *e)
{
	struct list_item it = { 0 };
	size_t i;
	int rc = 0;

	for (i = 0; i < p->list->n && rc == 0; i++) {
		rc = list_read(p->list, i, &it, e);
		if (rc != 0)
			break;
		rc = it.bytes == NULL
			? place_file(p, i, &it, e)
			: list_put_place(p->list, &it, NULL, NULL, e);
		if (rc == 0 && it.id != NULL)
			rc = note(p, ID, i, it.id, e);
	}
	list_item_free(&it);
	return rc;
}

static const char *
named(const struct list_item *it, char *to, size_t size)
{
	if (it->line == 0)
		snprintf(to, size, "'%s'", TEXT_Q(it->path));
	else
		snprintf(to, size, "'%s' in line %zu", TEXT_Q(it->path),
			it->line);
	return to;
}

static int
refuse_id(
	const struct list *l, size_t first, size_t second, struct ofs_error *e)
{
	struct list_item a = { 0 }, b = { 0 };
	char x[450], y[450];
	int rc;

	rc = list_read(l, first, &a, e);
	if (rc == 0)
		rc = list_read(l, second, &b, e);
	/* of the hashes that were found, two may be alike */
	if (rc == 0 && a.id != NULL && b.id != NULL && strcmp(a.id, b.id) == 0)
		rc = err_set(e, OFS_EFORMAT,
			"id '%s' is given to %s and to %s; no two documents of "
			"a batch may have one id",
			TEXT_Q(b.id), named(&a, x, sizeof(x)),
			named(&b, y, sizeof(y)));
	list_item_free(&a);
	list_item_free(&b);
	return rc;
}

static int
found(void *arg, uint64_t first, uint64_t second, struct ofs_error *e)
{
	struct placing *p = arg;
	uint64_t mask = ((uint64_t)1 << KIND_SHIFT) - 1;
	size_t a = (size_t)(first & mask), b = (size_t)(second & mask);

	switch ((enum kind)(second >> KIND_SHIFT)) {
	case ID:
		return refuse_id(p->list, a, b, e);
	case OUTPUT:
		return list_set_problem(
			p->list, b, a, first >> KIND_SHIFT == OUTPUT, e);
	case DOCUMENT:
		break; /* named twice: its outputs are one */
	}
	return 0;
}

int
list_place(struct list *l, enum ofs_format format, const char *out_dir,
	struct ofs_error *e)
{
	struct placing p = { .list = l };
	int rc;

	twins_init(&p.twins, l->dir);
	rc = placer_init(&p.placer, format, out_dir, e);
	if (rc == 0)
		rc = place_all(&p, e);
	if (rc == 0) {
		list_end_places(l);
		rc = twins_each(&p.twins, found, &p, e);
	}
	twins_free(&p.twins);
	placer_free(&p.placer);
	return rc;
}

int
list_check_limits(const struct list *l, uint64_t max_items, uint64_t max_bytes,
	struct ofs_error *e)
{
	struct list_item it = { 0 };
	uint64_t total = 0;
	struct stat st;
	size_t i;
	int rc = 0;

	if (max_items > 0 && l->n > max_items)
		return err_set(e, OFS_EFORMAT,
			"the batch has %zu documents, more than the limit of "
			"%llu; nothing is signed",
			l->n, (unsigned long long)max_items);
	for (i = 0; i < l->n && max_bytes > 0 && rc == 0; i++) {
		rc = list_read(l, i, &it, e);
		if (rc != 0)
			break;
		if (it.bytes != NULL)
			total += it.len;
		else if (it.digest_len == 0 && stat(it.path, &st) == 0 &&
			st.st_size > 0)
			total += (uint64_t)st.st_size;
		if (total > max_bytes)
			rc = err_set(e, OFS_EFORMAT,
				"the documents of the batch have more than the "
				"limit of %llu bytes; nothing is signed",
				(unsigned long long)max_bytes);
	}
	list_item_free(&it);
	return rc;
}
