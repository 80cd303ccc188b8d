/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A few records, read in one go and checked each by itself. */
#include <stdlib.h>
#include <string.h>

#include "verify/audit-range.h"

#include "base/mem.h"
#include "verify/audit-verify.h"

int
av_range_new(struct av_range **out, struct ofs_error *e)
{
	*out = calloc(1, sizeof(**out));
	if (*out == NULL)
		return err_nomem(e);
	merkle_init(&(*out)->tree);
	return 0;
}

/* of the rows of before */
static void
reset(struct av_range *r, uint64_t first)
{
	for (size_t i = 0; i < r->n; i++) {
		record_body_free(r->rows[i].body);
		if (r->rows[i].has_key)
			mem_wipe(r->rows[i].key, sizeof(r->rows[i].key));
	}
	buf_reset(&r->bytes);
	err_clear(&r->e);
	r->first = first;
	r->n = r->good = 0;
	r->whole = false;
}

void
av_range_free(struct av_range *r)
{
	if (r == NULL)
		return;
	reset(r, 0);
	buf_free(&r->bytes);
	digest_free(&r->sha);
	seal_free(&r->seal);
	buf_wipe(&r->known.party);
	merkle_free(&r->tree);
	free(r);
}

static int
copy_row(void *arg, const struct store_record *from, struct ofs_error *e)
{
	struct av_range *r = arg;
	struct av_row *row = &r->rows[r->n];

	row->seq = from->seq;
	row->at = r->bytes.len;
	row->header_len = from->header_len;
	row->body_len = from->body_len;
	row->tag_len = from->tag_len;
	row->has_body = from->body != NULL;
	row->has_tag = from->tag != NULL;
	row->body = NULL;
	row->has_key = false;
	if (from->header_len > 0)
		buf_put(&r->bytes, from->header, from->header_len);
	if (from->body_len > 0)
		buf_put(&r->bytes, from->body, from->body_len);
	if (from->tag_len > 0)
		buf_put(&r->bytes, from->tag, from->tag_len);
	if (!buf_ok(&r->bytes))
		return err_nomem(e);
	r->n++;
	return r->n == AV_RANGE_RECORDS || r->bytes.len > AV_RANGE_BYTES;
}

void
av_range_fail(struct av_range *r, uint64_t first, const struct ofs_error *e)
{
	reset(r, first);
	r->e = *e;
}

/* false, and the fault is in r->e: no key where there must be one */
static bool
read_key(struct av_range *r, ofs_audit *a, struct av_row *w)
{
	struct record_header h;
	struct ofs_error why;

	/* a header that is wrong is found when it is checked */
	if (!w->has_body ||
		record_header_decode(
			av_row_header(r, w), w->header_len, &h, &why) != 0 ||
		h.cipher == 0)
		return true;
	if (keys_record(a, &h, w->key, &w->has_key, &why) == 0)
		return true;
	r->e = why;
	if (why.code == OFS_EDAMAGED)
		(void)av_damage(&r->e, w->seq, "%s", why.message);
	return false;
}

/* the range ends before a record that has no right key, or begins with it */
static void
read_keys(struct av_range *r, ofs_audit *a)
{
	size_t i = 0;

	while (i < r->n && read_key(r, a, &r->rows[i]))
		i++;
	if (i > 0)
		err_clear(&r->e);
	r->n = i;
}

void
av_range_read(struct av_range *r, ofs_audit *a, uint64_t first, uint64_t end,
	bool keys)
{
	uint64_t last = first | (AV_RANGE_RECORDS - 1);
	struct ofs_error e;
	int rc;

	reset(r, first);
	if (last >= end)
		last = end - 1;
	rc = store_record_each(&a->store, first, last, copy_row, r, &e);
	if (rc < 0)
		av_range_fail(r, first, &e);
	else if (r->n == 0)
		(void)av_damage(&r->e, first, "it is missing");
	else if (keys)
		read_keys(r, a);
}

const uint8_t *
av_row_header(const struct av_range *r, const struct av_row *w)
{
	return r->bytes.p + w->at;
}

const uint8_t *
av_row_body(const struct av_range *r, const struct av_row *w)
{
	return av_row_header(r, w) + w->header_len;
}

const uint8_t *
av_row_tag(const struct av_range *r, const struct av_row *w)
{
	return w->has_tag ? av_row_body(r, w) + w->body_len : NULL;
}

static int
sha256(struct av_range *r, const uint8_t *p, size_t n, uint8_t out[32],
	struct ofs_error *e)
{
	int rc;

	rc = digest_begin(&r->sha, &digest_sha256, e);
	if (rc == 0)
		rc = digest_update(&r->sha, p, n, e);
	if (rc == 0)
		rc = digest_end(&r->sha, out, e);
	return rc;
}

/* the genesis names the log: by its hash */
static int
check_log_id(struct av_range *r, const struct av_row *w,
	const uint8_t log_id[16], struct ofs_error *e)
{
	static const uint8_t zeros[16];
	const struct record_header *h = &w->h;
	uint8_t sum[32];
	int rc;

	if ((h->seq == 0) != (h->type == OFS_REC_GENESIS))
		return av_damage(e, h->seq, "only record 0 is a genesis");
	if (h->seq > 0) {
		if (memcmp(h->log_id, log_id, 16) != 0)
			return av_damage(e, h->seq, "it is of another log");
		return 0;
	}
	rc = sha256(r, av_row_header(r, w), RECORD_HEADER_SIZE, sum, e);
	if (rc == 0 &&
		(memcmp(h->log_id, zeros, 16) != 0 ||
			memcmp(sum, log_id, 16) != 0))
		rc = av_damage(e, 0, "it is not the genesis of this log");
	return rc;
}

static int
check_header(struct av_range *r, struct av_row *w, const uint8_t log_id[16],
	struct ofs_error *e)
{
	struct record_header *h = &w->h;
	struct ofs_error why;
	uint8_t sum[32];
	int rc;

	if (record_header_decode(av_row_header(r, w), w->header_len, h, &why) !=
		0)
		return av_damage(e, w->seq, "%s", why.message);
	if (h->seq != w->seq)
		return av_damage(e, w->seq, "its header is that of %llu",
			(unsigned long long)h->seq);
	rc = check_log_id(r, w, log_id, e);
	if (rc != 0)
		return rc;
	if (!w->has_body)
		return 0; /* whether it may be absent, later records say */
	if (w->body_len != h->body_len)
		return av_damage(e, w->seq,
			"its body has not the length that its header gives");
	rc = sha256(r, av_row_body(r, w), w->body_len, sum, e);
	if (rc == 0 && memcmp(sum, h->body_sha256, sizeof(sum)) != 0)
		rc = av_damage(e, w->seq,
			"its body is not the one that its header was made for");
	return rc;
}

static int
decode_body(struct av_range *r, struct av_row *w, struct ofs_error *e)
{
	const uint8_t *der = av_row_body(r, w);
	size_t n = w->body_len;
	struct ofs_error why;
	int rc = 0;

	if (w->h.cipher != 0 && !w->has_key)
		return 0;
	if (w->h.cipher != 0) {
		rc = seal_open(&r->seal, w->key, &w->h, der, n, &why);
		der = r->seal.out.p;
		n = r->seal.out.len;
	}
	if (rc == 0)
		rc = record_body_decode_next(
			&r->known, w->h.type, der, n, &w->body, &why);
	if (rc == OFS_ENOMEM)
		return err_nomem(e);
	return rc != 0 ? av_damage(e, w->seq, "%s", why.message) : 0;
}

/* who may erase a body, and that it was: these are looked into in any case */
static bool
says_what_is_absent(const struct record_header *h)
{
	return h->cipher == 0 &&
		(h->type == OFS_REC_GENESIS || h->type == OFS_REC_LOG_EVENT);
}

static int
check_row(struct av_range *r, struct av_row *w, uint64_t seq,
	const uint8_t log_id[16], bool bodies, struct ofs_error *e)
{
	int rc;

	if (w->seq != seq)
		return av_damage(e, seq, "it is missing");
	rc = check_header(r, w, log_id, e);
	if (rc == 0 && w->has_body && (bodies || says_what_is_absent(&w->h)))
		rc = decode_body(r, w, e);
	if (rc == 0 && w->has_tag &&
		(w->h.type != OFS_REC_OUTCOME || !w->has_body))
		rc = av_damage(e, w->seq, "it may not have a document tag");
	if (rc == 0)
		rc = merkle_leaf(&r->tree, av_row_header(r, w),
			RECORD_HEADER_SIZE, w->leaf, e);
	return rc;
}

static int
hash_tile(struct av_range *r, struct ofs_error *e)
{
	int rc = 0;

	merkle_reset(&r->tree);
	for (size_t i = 0; i < r->n && rc == 0; i++)
		rc = merkle_add(&r->tree, 0, r->rows[i].leaf, e);
	if (rc == 0)
		rc = merkle_root(&r->tree, r->root, e);
	r->whole = rc == 0;
	return rc;
}

void
av_range_check(struct av_range *r, const uint8_t log_id[16], bool bodies)
{
	int rc = r->e.code;

	while (rc == 0 && r->good < r->n) {
		rc = check_row(r, &r->rows[r->good], r->first + r->good, log_id,
			bodies, &r->e);
		r->good += rc == 0;
	}
	if (rc == 0 && r->n == AV_RANGE_RECORDS)
		(void)hash_tile(r, &r->e);
}
