/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds records: by their headers first, and bodies only where needed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <offlinesig/keep.h>

#include "audit/handle.h"

#include "base/hex.h"

#define AT_ONCE 4096 /* records between which others may write */
#define ID_DIGITS 32
#define HASH_DIGITS 64

struct finding {
	ofs_audit *a;
	const struct ofs_audit_filter *f;
	struct buf seqs;    /* uint64_t: of this range, by header and tag */
	struct buf batches; /* ids of 16 bytes that the parties fit, sorted */
	struct buf unknown; /* uint64_t: dead intents without outcome, sorted */
	uint64_t next;      /* seq that has to come */
	uint64_t given;
};

static const uint8_t no_batch[16];

static int
compare_ids(const void *a, const void *b)
{
	return memcmp(a, b, 16);
}

static int
compare_seqs(const void *a, const void *b)
{
	uint64_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x < y ? -1 : x > y;
}

/* a field of text or bytes is exactly this */
static bool
is(const struct record_body *b, const char *prefix, const char *name,
	const void *p, size_t n)
{
	struct ofs_field f;
	char full[96];

	snprintf(full, sizeof(full), "%s%s", prefix, name);
	return record_body_find(b, full, &f) && f.kind != OFS_FIELD_INT &&
		f.len == n && memcmp(f.bytes, p, n) == 0;
}

static bool
is_text(const struct record_body *b, const char *prefix, const char *name,
	const char *s)
{
	return is(b, prefix, name, s, strlen(s));
}

static bool
is_number(const struct record_body *b, const char *prefix, const char *name,
	const char *s)
{
	struct ofs_field f;
	char full[96], text[32];

	snprintf(full, sizeof(full), "%s%s", prefix, name);
	if (!record_body_find(b, full, &f) || f.kind != OFS_FIELD_INT)
		return false;
	snprintf(text, sizeof(text), "%lld", (long long)f.number);
	return strcmp(text, s) == 0;
}

/* prefix: "party." or "" for records that name no key */
static bool
fits_prefix(const struct ofs_audit_filter *f, const struct record_body *b,
	const char *prefix)
{
	size_t n = f->key != NULL ? strlen(f->key) : 0;
	uint8_t sum[HASH_DIGITS / 2];

	if (f->operator_ != NULL &&
		!is_text(b, prefix, "operator.name", f->operator_) &&
		!is_number(b, prefix, "operator.uid", f->operator_) &&
		!is_number(b, prefix, "operator.loginuid", f->operator_))
		return false;
	if (f->token != NULL && !is_text(b, prefix, "token.label", f->token) &&
		!is_text(b, prefix, "token.serial", f->token))
		return false;
	if (f->key == NULL || is_text(b, prefix, "key.label", f->key))
		return true;
	return n == HASH_DIGITS && hex_decode(sum, sizeof(sum), f->key, n) &&
		(is(b, prefix, "key.spki_sha256", sum, sizeof(sum)) ||
			is(b, prefix, "key.cert_sha256", sum, sizeof(sum)));
}

static bool
wants_party(const struct ofs_audit_filter *f)
{
	return f->operator_ != NULL || f->key != NULL || f->token != NULL;
}

static bool
fits_party(const struct finding *s, const struct record_header *h,
	const struct record_body *b)
{
	struct ofs_field any;

	if (!wants_party(s->f))
		return true;
	if (record_body_find(b, "party.operator.uid", &any))
		return fits_prefix(s->f, b, "party.");
	if (record_body_find(b, "operator.uid", &any) ||
		memcmp(h->batch_id, no_batch, sizeof(no_batch)) == 0)
		return fits_prefix(s->f, b, "");
	return s->batches.len > 0 &&
		bsearch(h->batch_id, s->batches.p, s->batches.len / 16, 16,
			compare_ids) != NULL;
}

static bool
fits_result(const struct finding *s, const struct record_header *h,
	const struct record_body *b)
{
	static const int status[] = { [OFS_AUDIT_SIGNED] = REC_SIGNED,
		[OFS_AUDIT_FAILED] = REC_FAILED,
		[OFS_AUDIT_NOT_ATTEMPTED] = REC_NOT_ATTEMPTED };
	struct ofs_field f;

	switch (s->f->result) {
	case OFS_AUDIT_ANY_RESULT:
		return true;
	case OFS_AUDIT_UNKNOWN:
		if (h->type == OFS_REC_RECOVERY)
			return record_body_find(b, "unknown", &f) &&
				f.number > 0;
		return h->type == OFS_REC_INTENT && s->unknown.len > 0 &&
			bsearch(&h->seq, s->unknown.p,
				s->unknown.len / sizeof(h->seq), sizeof(h->seq),
				compare_seqs) != NULL;
	default:
		return h->type == OFS_REC_OUTCOME &&
			record_body_find(b, "status", &f) &&
			f.number == status[s->f->result];
	}
}

/* "items.17.digest" is a digest of a document, as "document.digest" is */
static const char *
document_field(const char *name)
{
	if (strncmp(name, "document.", 9) == 0)
		return name + 9;
	if (strncmp(name, "items.", 6) != 0)
		return NULL;
	name = strchr(name + 6, '.');
	return name != NULL ? name + 1 : NULL;
}

struct document {
	const struct ofs_audit_filter *f;
	bool name, digest; /* found; of one document when there are several */
	const char *item;  /* that the two are of */
	size_t item_len;
	bool found;
};

static int
see_document(void *arg, const struct ofs_field *f)
{
	const char *field = document_field(f->name);
	struct document *d = arg;
	size_t n;

	if (field == NULL)
		return 0;
	n = (size_t)(field - f->name);
	if (d->item == NULL || d->item_len != n ||
		memcmp(d->item, f->name, n) != 0) {
		d->item = f->name;
		d->item_len = n;
		d->name = d->f->document == NULL;
		d->digest = d->f->digest == NULL;
	}
	if (d->f->document != NULL &&
		(strcmp(field, "path") == 0 || strcmp(field, "name") == 0 ||
			strcmp(field, "id") == 0) &&
		f->len == strlen(d->f->document) &&
		memcmp(f->bytes, d->f->document, f->len) == 0)
		d->name = true;
	if (d->f->digest != NULL && strcmp(field, "digest") == 0 &&
		f->len == d->f->digest_len &&
		memcmp(f->bytes, d->f->digest, f->len) == 0)
		d->digest = true;
	d->found = d->name && d->digest;
	return d->found ? 1 : 0;
}

static bool
fits_document(const struct ofs_audit_filter *f, const struct record_body *b)
{
	struct document d = { .f = f };

	if (f->document == NULL && f->digest == NULL)
		return true;
	(void)record_body_each(b, see_document, &d);
	return d.found;
}

static bool
fits_batch(const char *digits, const uint8_t id[16])
{
	char hex[ID_DIGITS + 1];

	return digits == NULL ||
		strncasecmp(hex_encode(hex, id, 16), digits, strlen(digits)) ==
		0;
}

/* what the header and the tag alone rule out */
static int
may_fit(struct finding *s, const struct store_record *r,
	const struct record_header *h, bool *may, struct ofs_error *e)
{
	const struct ofs_audit_filter *f = s->f;
	uint8_t tag[TAG_SIZE];
	int rc;

	*may = (f->type == 0 || h->type == f->type) &&
		(f->since == 0 || h->time >= f->since) &&
		(f->until == 0 || h->time < f->until) &&
		fits_batch(f->batch, h->batch_id);
	if (!*may || f->digest == NULL || h->type == OFS_REC_INTENT ||
		!handle_has_tags(s->a))
		return 0;
	*may = r->tag != NULL && r->tag_len == sizeof(tag);
	if (!*may)
		return 0;
	rc = tag_of(&s->a->tag, f->digest, f->digest_len, tag, e);
	*may = rc == 0 && memcmp(tag, r->tag, sizeof(tag)) == 0;
	return rc;
}

static int
see_header(void *arg, const struct store_record *r, struct ofs_error *e)
{
	struct finding *s = arg;
	struct record_header h;
	struct ofs_error why;
	bool may;
	int rc;

	if (r->seq != s->next)
		return store_missing(s->next, e);
	s->next++;
	if (record_header_decode(r->header, r->header_len, &h, &why) != 0)
		return err_set(e, OFS_EDAMAGED,
			"record %llu of the audit log cannot be read: %s",
			(unsigned long long)r->seq, why.message);
	rc = may_fit(s, r, &h, &may, e);
	if (rc == 0 && may)
		buf_put(&s->seqs, &r->seq, sizeof(r->seq));
	return rc != 0 || buf_ok(&s->seqs) ? rc : err_nomem(e);
}

static int
read_headers(
	struct finding *s, uint64_t first, uint64_t last, struct ofs_error *e)
{
	bool nested;
	int rc;

	buf_reset(&s->seqs);
	s->next = first;
	rc = handle_enter(s->a, &nested, e);
	if (rc != 0)
		return rc;
	rc = store_record_each(&s->a->store, first, last, see_header, s, e);
	handle_leave(s->a, nested);
	return rc == 0 && s->next <= last ? store_missing(s->next, e) : rc;
}

static bool
needs_body(const struct ofs_audit_filter *f)
{
	return wants_party(f) || f->result != OFS_AUDIT_ANY_RESULT ||
		f->document != NULL || f->digest != NULL;
}

static bool
fits(const struct finding *s, const ofs_record *rec)
{
	const struct record_header *h = handle_record_header(rec);
	const struct record_body *b = handle_record_body(rec);

	return !needs_body(s->f) ||
		(b != NULL && fits_party(s, h, b) && fits_result(s, h, b) &&
			fits_document(s->f, b));
}

static int
give_one(struct finding *s, uint64_t seq, ofs_record_fn fn, void *arg)
{
	struct ofs_error e;
	ofs_record *rec;
	struct ofs_record_head h;
	int rc;

	rc = log_get(s->a, seq, &rec, &e);
	if (rc == 0)
		ofs_record_get_head(rec, &h);
	/* an answer without it would be a wrong one */
	if (rc == 0 && needs_body(s->f) && h.sealed)
		rc = err_set(&e, OFS_EAUDIT,
			"record %llu of the audit log is sealed, and no key "
			"for it is here: without one records are found by "
			"time, type and batch alone",
			(unsigned long long)seq);
	if (rc != 0) {
		(void)handle_fail(s->a, &e);
	} else if (fits(s, rec)) {
		s->given++;
		rc = fn(arg, rec);
	}
	ofs_record_free(rec);
	return rc;
}

static bool
enough(const struct finding *s)
{
	return s->f->limit != 0 && s->given >= s->f->limit;
}

static int
give_range(struct finding *s, ofs_record_fn fn, void *arg)
{
	size_t n = s->seqs.len / sizeof(uint64_t), i;
	uint64_t seq;
	int rc = 0;

	for (i = 0; i < n && rc == 0 && !enough(s); i++) {
		memcpy(&seq,
			s->seqs.p +
				(s->f->reverse ? n - 1 - i : i) * sizeof(seq),
			sizeof(seq));
		rc = give_one(s, seq, fn, arg);
	}
	return rc;
}

/* a batch whose party fits; by the reader that opens bodies */
static int
see_opened(void *arg, uint64_t seq, const struct record_body *body,
	struct ofs_error *e)
{
	struct finding *s = arg;

	(void)e;
	if (fits_prefix(s->f, body, "party."))
		buf_put(&s->seqs, &seq, sizeof(seq));
	return 0;
}

static int
take_batch_id(void *arg, const struct store_record *r, struct ofs_error *e)
{
	struct record_header h;
	int rc = record_header_decode(r->header, r->header_len, &h, e);

	if (rc == 0)
		buf_put(arg, h.batch_id, sizeof(h.batch_id));
	return rc;
}

/* the ids of the batches whose party fits: 16 bytes each */
static int
find_batches(struct finding *s, struct ofs_error *e)
{
	uint64_t seq;
	bool nested;
	int rc;

	rc = log_each_of_type(s->a, OFS_REC_BATCH_OPENED, see_opened, s, e);
	if (rc == 0)
		rc = handle_enter(s->a, &nested, e);
	if (rc != 0)
		return rc;
	for (size_t at = 0; at < s->seqs.len && rc == 0; at += sizeof(seq)) {
		memcpy(&seq, s->seqs.p + at, sizeof(seq));
		rc = store_record_each(
			&s->a->store, seq, seq, take_batch_id, &s->batches, e);
	}
	handle_leave(s->a, nested);
	if (rc == 0 && (!buf_ok(&s->seqs) || !buf_ok(&s->batches)))
		rc = err_nomem(e);
	if (rc == 0 && s->batches.len > 0)
		qsort(s->batches.p, s->batches.len / 16, 16, compare_ids);
	return rc;
}

static int
see_open_intent(void *arg, const struct log_open_intent *i)
{
	struct finding *s = arg;

	/* in the order of their numbers */
	if (!i->alive)
		buf_put(&s->unknown, &i->intent_seq, sizeof(i->intent_seq));
	return buf_ok(&s->unknown) ? 0 : OFS_ENOMEM;
}

static int
check_filter(const struct ofs_audit_filter *f, struct ofs_error *e)
{
	size_t n;

	if (f->size != sizeof(*f))
		return err_set(e, OFS_EINVAL,
			"filter of the audit log has a wrong size");
	if ((unsigned int)f->result > OFS_AUDIT_UNKNOWN)
		return err_set(e, OFS_EINVAL,
			"filter of the audit log asks for a result that is not "
			"known");
	n = f->batch != NULL ? strlen(f->batch) : 0;
	if (n > ID_DIGITS ||
		(n > 0 && strspn(f->batch, "0123456789abcdefABCDEF") != n))
		return err_set(e, OFS_EINVAL,
			"id of a batch is up to 32 hexadecimal digits");
	return 0;
}

static int
walk(struct finding *s, uint64_t end, ofs_record_fn fn, void *arg,
	struct ofs_error *e)
{
	uint64_t first = s->f->first, n;
	int rc = 0;

	while (rc == 0 && first < end && !enough(s)) {
		n = end - first < AT_ONCE ? end - first : AT_ONCE;
		if (s->f->reverse)
			rc = read_headers(s, end - n, end - 1, e);
		else
			rc = read_headers(s, first, first + n - 1, e);
		if (rc != 0)
			return handle_fail(s->a, e);
		rc = give_range(s, fn, arg);
		if (s->f->reverse)
			end -= n;
		else
			first += n;
	}
	return rc;
}

int
ofs_audit_find(ofs_audit *audit, const struct ofs_audit_filter *filter,
	ofs_record_fn fn, void *arg)
{
	struct finding s = { .a = audit, .f = filter };
	struct ofs_error e;
	uint64_t end;
	int rc;

	rc = check_filter(filter, &e);
	if (rc != 0)
		return handle_fail(audit, &e);
	rc = log_count(audit, &end, &e);
	if (rc != 0)
		return handle_fail(audit, &e);
	if (wants_party(filter))
		rc = find_batches(&s, &e);
	if (rc == 0 && filter->result == OFS_AUDIT_UNKNOWN)
		rc = log_each_open_intent(audit, see_open_intent, &s, &e);
	if (rc != 0) {
		rc = handle_fail(audit, &e);
	} else {
		if (filter->end != 0 && filter->end < end)
			end = filter->end;
		rc = walk(&s, end, fn, arg, &e);
	}
	buf_free(&s.seqs);
	buf_free(&s.batches);
	buf_free(&s.unknown);
	return rc;
}
