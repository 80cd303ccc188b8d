/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading records back, one or a range. */
#include <stdlib.h>
#include <string.h>

#include "audit/handle.h"

#include "base/buf.h"

/* read in one go: bounds memory and how long a writer can be kept waiting */
#define RANGE_RECORDS 256
#define RANGE_BYTES (4u << 20)

struct ofs_record {
	struct record_header h;
	uint8_t header_sha256[32];
	struct record_body *body; /* NULL: erased, or no key for it is here */
	bool erased;
	ofs_record *next; /* in a range */
};

struct range {
	ofs_audit *a;
	ofs_record *first, **last;
	size_t n, bytes;
	uint64_t next; /* seq that has to come */
};

static int
make_record(void *arg, const struct store_record *r, struct ofs_error *e)
{
	struct range *range = arg;
	struct ofs_error why;
	const uint8_t *der = NULL;
	ofs_record *rec;
	size_t der_n;
	int rc;

	if (r->seq != range->next)
		return store_missing(range->next, e);
	rec = calloc(1, sizeof(*rec));
	if (rec == NULL)
		return err_nomem(e);
	rc = record_header_decode(r->header, r->header_len, &rec->h, &why);
	if (rc == 0 && r->body != NULL && r->body_len != rec->h.body_len)
		rc = err_set(&why, OFS_EFORMAT, "its body is cut off");
	if (rc == 0 && rec->h.seq != r->seq)
		rc = err_set(&why, OFS_EFORMAT, "its header is another's");
	if (rc == 0)
		rc = digest_of(&digest_sha256, r->header, r->header_len,
			rec->header_sha256, &why);
	/* verification says whether it may be absent */
	rec->erased = r->body == NULL;
	if (rc == 0 && !rec->erased)
		rc = keys_open_body(range->a, &rec->h, r->body, r->body_len,
			&der, &der_n, &why);
	if (rc == 0 && der != NULL)
		rc = record_body_decode(
			rec->h.type, der, der_n, &rec->body, &why);
	if (rc != 0) {
		ofs_record_free(rec);
		return err_set(e, rc == OFS_EFORMAT ? OFS_EDAMAGED : rc,
			"record %llu of the audit log cannot be read: %s",
			(unsigned long long)r->seq, why.message);
	}
	*range->last = rec;
	range->last = &rec->next;
	range->n++;
	range->next++;
	range->bytes += r->body_len;
	/* any value ends the walk; the caller looks at what it got */
	return range->bytes > RANGE_BYTES ? 1 : 0;
}

int
read_make_record(const uint8_t *header, const uint8_t *body, size_t n,
	ofs_record **out, struct ofs_error *e)
{
	ofs_record *rec = calloc(1, sizeof(*rec));
	int rc;

	*out = NULL;
	if (rec == NULL)
		return err_nomem(e);
	rc = record_header_decode(header, RECORD_HEADER_SIZE, &rec->h, e);
	if (rc == 0)
		rc = digest_of(&digest_sha256, header, RECORD_HEADER_SIZE,
			rec->header_sha256, e);
	if (rc == 0 && body != NULL)
		rc = record_body_decode(rec->h.type, body, n, &rec->body, e);
	if (rc != 0)
		ofs_record_free(rec);
	else
		*out = rec;
	return rc;
}

static void
range_free(struct range *range)
{
	ofs_record *rec;

	while ((rec = range->first) != NULL) {
		range->first = rec->next;
		ofs_record_free(rec);
	}
}

static int
read_range(ofs_audit *a, uint64_t first, uint64_t last, struct range *range,
	struct ofs_error *e)
{
	bool nested;
	int rc;

	memset(range, 0, sizeof(*range));
	range->a = a;
	range->last = &range->first;
	range->next = first;
	rc = handle_enter(a, &nested, e);
	if (rc != 0)
		return rc;
	rc = store_record_each(&a->store, first, last, make_record, range, e);
	handle_leave(a, nested);
	return rc > 0 ? 0 : rc;
}

int
log_get(ofs_audit *a, uint64_t seq, ofs_record **out, struct ofs_error *e)
{
	struct range range;
	int rc;

	*out = NULL;
	if (seq > INT64_MAX)
		seq = INT64_MAX;
	rc = read_range(a, seq, seq, &range, e);
	if (rc == 0 && range.n == 0)
		rc = err_set(e, OFS_EKEY,
			"there is no record %llu in the audit log",
			(unsigned long long)seq);
	if (rc != 0) {
		range_free(&range);
		return rc;
	}
	*out = range.first;
	return 0;
}

int
ofs_audit_get(ofs_audit *audit, uint64_t seq, ofs_record **out)
{
	struct ofs_error e;
	int rc = log_get(audit, seq, out, &e);

	return rc != 0 ? handle_fail(audit, &e) : 0;
}

void
ofs_record_free(ofs_record *rec)
{
	if (rec == NULL)
		return;
	record_body_free(rec->body);
	free(rec);
}

const struct record_header *
handle_record_header(const ofs_record *rec)
{
	return &rec->h;
}

const struct record_body *
handle_record_body(const ofs_record *rec)
{
	return rec->body;
}

void
ofs_record_get_head(const ofs_record *rec, struct ofs_record_head *out)
{
	memset(out, 0, sizeof(*out));
	out->size = sizeof(*out);
	out->seq = rec->h.seq;
	out->type = (enum ofs_record_type)rec->h.type;
	out->type_name = record_type_name(rec->h.type);
	out->time = rec->h.time;
	out->boottime = rec->h.boottime;
	memcpy(out->boot_id, rec->h.boot_id, sizeof(out->boot_id));
	memcpy(out->batch_id, rec->h.batch_id, sizeof(out->batch_id));
	out->epoch = rec->h.epoch;
	out->cipher = rec->h.cipher;
	out->body_len = rec->h.body_len;
	memcpy(out->header_sha256, rec->header_sha256,
		sizeof(out->header_sha256));
	out->sealed = rec->body == NULL && !rec->erased;
	out->erased = rec->erased;
}

int
ofs_record_each(const ofs_record *rec, ofs_field_fn fn, void *arg)
{
	return rec->body != NULL ? record_body_each(rec->body, fn, arg) : 0;
}

bool
ofs_record_find(const ofs_record *rec, const char *name, struct ofs_field *out)
{
	memset(out, 0, sizeof(*out));
	return rec->body != NULL && record_body_find(rec->body, name, out);
}

/* fn runs without any lock: it may call the log */
static int
give_range(const struct range *range, log_list_fn fn, void *arg,
	struct ofs_error *e)
{
	const ofs_record *rec;
	int rc = 0;

	for (rec = range->first; rec != NULL && rc == 0; rec = rec->next)
		rc = fn(arg, rec, e);
	return rc;
}

int
log_list(ofs_audit *a, uint64_t first, uint64_t last, log_list_fn fn, void *arg,
	struct ofs_error *e)
{
	struct range range;
	uint64_t end, size;
	int rc;

	if (last == 0 || last > INT64_MAX)
		last = INT64_MAX;
	while (first <= last) {
		end = last - first >= RANGE_RECORDS ? first + RANGE_RECORDS - 1
						    : last;
		rc = read_range(a, first, end, &range, e);
		if (rc == 0 && range.n == 0)
			break;
		first = range.next;
		if (rc == 0)
			rc = give_range(&range, fn, arg, e);
		range_free(&range);
		if (rc != 0)
			return rc;
	}
	rc = log_count(a, &size, e);
	if (rc == 0 && first <= last && first < size)
		rc = store_missing(first, e);
	return rc;
}

struct listing {
	ofs_record_fn fn;
	void *arg;
	int ended; /* what fn returned to end it */
};

static int
list_one(void *arg, const ofs_record *rec, struct ofs_error *e)
{
	struct listing *l = arg;

	(void)e;
	l->ended = l->fn(l->arg, rec);
	return l->ended;
}

int
ofs_audit_list(ofs_audit *audit, uint64_t first, uint64_t last,
	ofs_record_fn fn, void *arg)
{
	struct listing l = { fn, arg, 0 };
	struct ofs_error e;
	int rc = log_list(audit, first, last, list_one, &l, &e);

	return rc != 0 && l.ended == 0 ? handle_fail(audit, &e) : rc;
}

int
log_count(ofs_audit *a, uint64_t *out, struct ofs_error *e)
{
	struct store_state st;
	bool nested;
	int rc;

	*out = 0;
	rc = handle_enter(a, &nested, e);
	if (rc != 0)
		return rc;
	if (nested) {
		*out = a->tree.size;
		return 0;
	}
	rc = store_state_get(&a->store, &st, e);
	handle_leave(a, nested);
	if (rc == 0)
		*out = st.size;
	return rc;
}

int
ofs_audit_size(ofs_audit *audit, uint64_t *out)
{
	struct ofs_error e;
	int rc = log_count(audit, out, &e);

	return rc != 0 ? handle_fail(audit, &e) : 0;
}
