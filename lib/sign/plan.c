/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a dry run found, and what every document was then. */
#include <stdlib.h>
#include <string.h>

#include <openssl/x509v3.h>

#include "sign/plan.h"

#include "base/ctx.h"
#include "base/file.h"
#include "base/spool.h"
#include "base/text.h"
#include "base/twins.h"
#include "crypto/cert.h"
#include "sign/speed.h"

#define TYPES_MAX 32 /* the last counts all others */
#define DAY_US INT64_C(86400000000)

/* in the spool, one for each item of the list */
struct seen {
	uint8_t digest[32]; /* of the signature's digest, cut */
	bool read, ready;
};

struct plan {
	struct ofs_plan found;
	struct ofs_plan_type types[TYPES_MAX];
	struct ofs_plan_duplicate *duplicates;
	size_t n_duplicates; /* with paths of their own */
	char *largest;
	char *dir; /* of the spools */
	struct spool seen;
	struct twins twins; /* digests, by item */
};

int
plan_new(const char *dir, struct plan **out, struct ofs_error *e)
{
	struct plan *p = calloc(1, sizeof(*p));

	*out = NULL;
	if (p == NULL)
		return err_nomem(e);
	p->found.size = sizeof(p->found);
	p->dir = strdup(dir);
	spool_init(&p->seen, p->dir);
	twins_init(&p->twins, p->dir);
	if (p->dir == NULL) {
		plan_free(p);
		return err_nomem(e);
	}
	*out = p;
	return 0;
}

void
plan_free(struct plan *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < p->n_duplicates; i++) {
		free((char *)(uintptr_t)p->duplicates[i].path);
		free((char *)(uintptr_t)p->duplicates[i].first_path);
	}
	free(p->duplicates);
	free(p->largest);
	spool_free(&p->seen);
	twins_free(&p->twins);
	free(p->dir);
	free(p);
}

const struct ofs_plan *
plan_get(const struct plan *p)
{
	return &p->found;
}

/* "xml" of "a/B.XML"; "" where there is none, or none that says something */
static void
extension_of(const char *path, char to[16])
{
	const char *base = file_basename(path), *dot = strrchr(base, '.');
	size_t i, n;

	to[0] = '\0';
	if (dot == NULL || dot == base)
		return;
	n = strlen(++dot);
	if (n > 15 || !text_is_utf8(dot, n))
		return;
	for (i = 0; i < n; i++) {
		if ((unsigned char)dot[i] < 0x21 || dot[i] == 0x7f) {
			to[0] = '\0';
			return;
		}
		to[i] = dot[i] >= 'A' && dot[i] <= 'Z' ? dot[i] + 32 : dot[i];
	}
	to[n] = '\0';
}

static void
count_type(struct plan *p, const struct work *w)
{
	struct ofs_plan_type *t = p->types;
	char extension[16];
	size_t i;

	extension_of(w->item->path, extension);
	for (i = 0; i < p->found.n_types; i++)
		if (strcmp(t[i].extension, extension) == 0)
			break;
	if (i == p->found.n_types && i == TYPES_MAX) {
		i = TYPES_MAX - 1;
		memcpy(t[i].extension, "*", 2);
	} else if (i == p->found.n_types) {
		memcpy(t[i].extension, extension, sizeof(extension));
		p->found.n_types++;
	}
	t[i].items++;
	t[i].bytes += w->size;
}

static void
count_failed(struct ofs_plan *f, const struct work *w)
{
	f->failed++;
	if (!w->read && w->err.code == OFS_EIO)
		f->unreadable++;
	else if (w->err.code == OFS_EMISMATCH)
		f->mismatched++;
	else if (w->err.code == OFS_EEXIST)
		f->existing++;
	else
		f->refused++;
}

static int
remember(struct plan *p, const struct work *w, struct ofs_error *e)
{
	struct seen s = { .read = w->read, .ready = w->ready };
	int rc;

	if (w->read)
		memcpy(s.digest, w->digest, sizeof(s.digest));
	rc = spool_append(&p->seen, &s, sizeof(s), e);
	return rc != 0 || !w->read
		? rc
		: twins_add(&p->twins, s.digest, w->index, e);
}

int
plan_add(struct plan *p, const struct work *w, struct ofs_error *e)
{
	struct ofs_plan *f = &p->found;

	f->items++;
	if (w->status == OFS_ITEM_FAILED)
		count_failed(f, w);
	else if (w->status == OFS_ITEM_SKIPPED)
		f->skipped++;
	else
		f->ready++;
	if (!w->read)
		return remember(p, w, e);
	f->bytes += w->size;
	if (f->largest_path == NULL || w->size > f->largest) {
		f->largest = w->size;
		free(p->largest);
		p->largest = strdup(w->item->path);
		if (p->largest == NULL)
			return err_nomem(e);
		f->largest_path = p->largest;
	}
	count_type(p, w);
	return remember(p, w, e);
}

static int
by_index(const void *a, const void *b)
{
	const struct ofs_plan_duplicate *x = a, *y = b;

	return x->index < y->index ? -1 : 1;
}

static int
by_items(const void *a, const void *b)
{
	const struct ofs_plan_type *x = a, *y = b;
	bool last_x = strcmp(x->extension, "*") == 0,
	     last_y = strcmp(y->extension, "*") == 0;

	if (last_x != last_y)
		return last_x ? 1 : -1;
	if (x->items != y->items)
		return x->items > y->items ? -1 : 1;
	return strcmp(x->extension, y->extension);
}

static int
path_of(const struct list *l, size_t index, const char **to,
	struct ofs_error *e)
{
	struct list_item it = { 0 };
	int rc = list_read(l, index, &it, e);

	if (rc == 0) {
		*to = strdup(it.path);
		rc = *to == NULL ? err_nomem(e) : 0;
	}
	list_item_free(&it);
	return rc;
}

static int
recall(const struct plan *p, uint64_t index, struct seen *s,
	struct ofs_error *e)
{
	return spool_read(&p->seen, index * sizeof(*s), s, sizeof(*s), e);
}

/* pairs of documents with one digest */
struct finding {
	struct plan *plan;
	const struct list *list;
	size_t cap;
	uint64_t first, last; /* of the digest that is looked at */
};

static int
note_duplicate(struct finding *f, uint64_t index, struct ofs_error *e)
{
	struct plan *p = f->plan;
	struct ofs_plan_duplicate *d;
	size_t cap;
	int rc;

	if (p->n_duplicates == f->cap) {
		cap = f->cap > 0 ? 2 * f->cap : 16;
		d = reallocarray(p->duplicates, cap, sizeof(*d));
		if (d == NULL)
			return err_nomem(e);
		p->duplicates = d;
		f->cap = cap;
	}
	d = &p->duplicates[p->n_duplicates++];
	memset(d, 0, sizeof(*d));
	d->index = (size_t)index;
	d->first = (size_t)f->first;
	rc = path_of(f->list, d->index, &d->path, e);
	return rc != 0 ? rc : path_of(f->list, d->first, &d->first_path, e);
}

/* a twins_fn: a third of one digest comes as the pair of second and third */
static int
found_twins(void *arg, uint64_t first, uint64_t second, struct ofs_error *e)
{
	struct finding *f = arg;
	struct seen a, b;
	int rc;

	if (first != f->last)
		f->first = first;
	f->last = second;
	rc = recall(f->plan, f->first, &a, e);
	if (rc == 0)
		rc = recall(f->plan, second, &b, e);
	if (rc != 0 || memcmp(a.digest, b.digest, sizeof(a.digest)) != 0)
		return rc;
	return note_duplicate(f, second, e);
}

static int
find_duplicates(struct plan *p, const struct list *l, struct ofs_error *e)
{
	struct finding f = { p, l, 0, UINT64_MAX, UINT64_MAX };
	int rc;

	rc = twins_each(&p->twins, found_twins, &f, e);
	twins_free(&p->twins);
	if (p->n_duplicates == 0)
		return rc;
	qsort(p->duplicates, p->n_duplicates, sizeof(*p->duplicates), by_index);
	p->found.duplicates = p->duplicates;
	p->found.n_duplicates = p->n_duplicates;
	return rc;
}

static void
describe_usage(X509 *cert, char *to, size_t size)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} names[] = { { KU_DIGITAL_SIGNATURE, "digitalSignature" },
		{ KU_NON_REPUDIATION, "nonRepudiation" },
		{ KU_KEY_ENCIPHERMENT, "keyEncipherment" },
		{ KU_DATA_ENCIPHERMENT, "dataEncipherment" },
		{ KU_KEY_AGREEMENT, "keyAgreement" },
		{ KU_KEY_CERT_SIGN, "keyCertSign" },
		{ KU_CRL_SIGN, "cRLSign" } };
	uint32_t has = X509_get_key_usage(cert);
	struct buf all = BUF_INIT;
	size_t i;

	to[0] = '\0';
	for (i = 0; has != UINT32_MAX && i < sizeof(names) / sizeof(names[0]);
		i++)
		if (has & names[i].bit)
			buf_printf(&all, "%s%s", all.len > 0 ? ", " : "",
				names[i].name);
	if (buf_ok(&all) && all.len > 0 && all.len < size) {
		memcpy(to, all.p, all.len);
		to[all.len] = '\0';
	}
	buf_free(&all);
}

static int
describe_cert(struct ofs_plan *f, const struct maker *m, struct ofs_error *e)
{
	int64_t left;
	int rc;

	if (m->cert == NULL)
		return 0;
	f->has_cert = true;
	cert_subject(m->cert, f->subject, sizeof(f->subject));
	rc = cert_not_before(m->cert, &f->not_before, e);
	if (rc == 0)
		rc = cert_not_after(m->cert, &f->not_after, e);
	left = f->not_after - ctx_now(m->ctx);
	/* rounded down: of the last day 0 is left, after it -1 */
	f->days_left = (long)(left >= 0 ? left / DAY_US
					: -((-left + DAY_US - 1) / DAY_US));
	describe_usage(m->cert, f->key_usage, sizeof(f->key_usage));
	return rc;
}

int
plan_finish(struct plan *p, const struct list *l, const struct maker *m,
	struct ofs_error *e)
{
	int rc;

	qsort(p->types, p->found.n_types, sizeof(p->types[0]), by_items);
	p->found.types = p->types;
	rc = find_duplicates(p, l, e);
	if (rc == 0)
		rc = list_sha256(l, p->found.list_sha256, e);
	return rc != 0 ? rc : describe_cert(&p->found, m, e);
}

int
plan_estimate(struct plan *p, ofs_audit *audit, const ofs_key *key,
	unsigned int limit, struct ofs_error *e)
{
	struct ofs_plan *f = &p->found;
	int rc = 0;

	if (audit != NULL)
		rc = speed_find(audit, ofs_key_get_info(key)->spki_sha256,
			&f->rate_source, &f->rate_seq, &f->per_second, e);
	if (rc != 0)
		return rc;
	if (limit > 0 &&
		(f->per_second == 0 || f->per_second > (double)limit / 60))
		f->per_second = (double)limit / 60;
	if (f->per_second > 0)
		f->seconds = (double)f->ready / f->per_second;
	return 0;
}

int
plan_check(const struct plan *p, const struct work *w, struct ofs_error *e)
{
	struct seen s;
	int rc;

	rc = recall(p, w->index, &s, e);
	if (rc != 0)
		return rc;
	if (!s.ready)
		return err_set(e, OFS_EMISMATCH,
			"'%s' could not be signed when the batch was planned; "
			"it is not signed without a new plan",
			TEXT_Q(w->item->path));
	if (memcmp(s.digest, w->digest, sizeof(s.digest)) != 0)
		return err_set(e, OFS_EMISMATCH,
			"'%s' is not the document that was planned: it changed "
			"since; it is not signed",
			TEXT_Q(w->item->path));
	return 0;
}
