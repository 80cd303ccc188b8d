/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a dry run found, and what every document was then. */
#include <stdlib.h>
#include <string.h>

#include <openssl/x509v3.h>

#include "sign/plan.h"

#include "base/ctx.h"
#include "base/file.h"
#include "base/text.h"
#include "crypto/cert.h"
#include "sign/speed.h"

#define TYPES_MAX 32 /* the last counts all others */
#define DAY_US INT64_C(86400000000)

/* a document that was read; `index` ascends */
struct seen {
	uint8_t digest[32]; /* of the signature's digest, cut */
	size_t index;
	bool ready;
};

struct plan {
	struct ofs_plan found;
	struct ofs_plan_type types[TYPES_MAX];
	struct ofs_plan_duplicate *duplicates;
	size_t n_duplicates; /* with paths of their own */
	char *largest;
	struct seen *seen;
	size_t n, cap;
};

int
plan_new(struct plan **out, struct ofs_error *e)
{
	*out = calloc(1, sizeof(**out));
	if (*out == NULL)
		return err_nomem(e);
	(*out)->found.size = sizeof((*out)->found);
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
	free(p->seen);
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
	struct seen *grown;
	size_t cap;

	if (p->n == p->cap) {
		cap = p->cap > 0 ? 2 * p->cap : 64;
		grown = reallocarray(p->seen, cap, sizeof(*grown));
		if (grown == NULL)
			return err_nomem(e);
		p->seen = grown;
		p->cap = cap;
	}
	memcpy(p->seen[p->n].digest, w->digest, 32);
	p->seen[p->n].index = w->index;
	p->seen[p->n++].ready = w->ready;
	return 0;
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
		return 0;
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
by_digest(const void *a, const void *b)
{
	const struct seen *x = *(const struct seen *const *)a,
			  *y = *(const struct seen *const *)b;
	int order = memcmp(x->digest, y->digest, sizeof(x->digest));

	return order != 0 ? order : x->index < y->index ? -1 : 1;
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

/* s is sorted by digest and index */
static int
note_duplicates(struct plan *p, const struct list *l,
	const struct seen *const *s, struct ofs_error *e)
{
	struct ofs_plan_duplicate *d;
	size_t i, n = 0, first = 0;
	int rc = 0;

	for (i = 1; i < p->n; i++)
		n += memcmp(s[i]->digest, s[i - 1]->digest, 32) == 0;
	if (n == 0)
		return 0;
	p->duplicates = calloc(n, sizeof(*p->duplicates));
	if (p->duplicates == NULL)
		return err_nomem(e);
	for (i = 1; i < p->n && rc == 0; i++) {
		if (memcmp(s[i]->digest, s[first]->digest, 32) != 0) {
			first = i;
			continue;
		}
		d = &p->duplicates[p->n_duplicates++];
		d->index = s[i]->index;
		d->first = s[first]->index;
		rc = path_of(l, d->index, &d->path, e);
		if (rc == 0)
			rc = path_of(l, d->first, &d->first_path, e);
	}
	if (rc != 0)
		return rc;
	qsort(p->duplicates, n, sizeof(*p->duplicates), by_index);
	p->found.duplicates = p->duplicates;
	p->found.n_duplicates = n;
	return 0;
}

static int
find_duplicates(struct plan *p, const struct list *l, struct ofs_error *e)
{
	const struct seen **sorted;
	size_t i;
	int rc;

	if (p->n < 2)
		return 0;
	sorted = calloc(p->n, sizeof(*sorted));
	if (sorted == NULL)
		return err_nomem(e);
	for (i = 0; i < p->n; i++)
		sorted[i] = &p->seen[i];
	qsort(sorted, p->n, sizeof(*sorted), by_digest);
	rc = note_duplicates(p, l, sorted, e);
	free(sorted);
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

static int
find_index(const void *key, const void *member)
{
	const size_t *want = key;
	const struct seen *s = member;

	return *want < s->index ? -1 : *want > s->index;
}

int
plan_check(const struct plan *p, const struct work *w, struct ofs_error *e)
{
	const struct seen *s;

	s = p->n == 0 ? NULL
		      : bsearch(&w->index, p->seen, p->n, sizeof(*p->seen),
				find_index);
	if (s == NULL || !s->ready)
		return err_set(e, OFS_EMISMATCH,
			"'%s' could not be signed when the batch was planned; "
			"it is not signed without a new plan",
			TEXT_Q(w->item->path));
	if (memcmp(s->digest, w->digest, sizeof(s->digest)) != 0)
		return err_set(e, OFS_EMISMATCH,
			"'%s' is not the document that was planned: it changed "
			"since; it is not signed",
			TEXT_Q(w->item->path));
	return 0;
}
