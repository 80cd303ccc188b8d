/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Proofs out of the store: of one record, and that the log only grew. */
#include <string.h>

#include <offlinesig/checkpoint.h>

#include "audit/handle.h"

#include "base/mem.h"
#include "base/text.h"
#include "format/proof.h"

/* the hashes of the ranges that a proof has in a tree */
static int
fill(struct store *s, const struct merkle_range *r, size_t n, struct proof *p,
	struct ofs_error *e)
{
	struct merkle m;
	int rc = 0;

	merkle_init(&m);
	for (p->n = 0; p->n < n && rc == 0; p->n++)
		rc = store_range_root(
			s, r[p->n].lo, r[p->n].hi, &m, p->hash[p->n], e);
	merkle_free(&m);
	return rc;
}

/* the record as the proof discloses it */
struct disclosed {
	ofs_audit *a;
	struct buf *to;
	bool body, found;
};

static int
disclose(void *arg, const struct store_record *r, struct ofs_error *e)
{
	struct disclosed *d = arg;
	struct proof_record out = { .header = r->header };
	uint8_t key[SEAL_KEY];
	bool has = true;
	int rc;

	d->found = true;
	rc = record_header_decode(r->header, r->header_len, &out.h, e);
	if (rc != 0)
		return err_set(e, OFS_EDAMAGED,
			"record %llu of the audit log cannot be read",
			(unsigned long long)r->seq);
	if (d->body && (r->body == NULL || r->body_len != out.h.body_len))
		return err_set(e, OFS_EKEY,
			"the body of record %llu was erased; prove it without "
			"disclosing it",
			(unsigned long long)r->seq);
	if (d->body) {
		out.body = r->body;
		if (out.h.cipher != 0) {
			rc = keys_record(d->a, &out.h, key, &has, e);
			out.key = key;
		}
	}
	if (rc == 0 && !has)
		rc = err_set(e, OFS_EKEY,
			"no key is here that opens record %llu; disclose it "
			"where there is one",
			(unsigned long long)r->seq);
	if (rc == 0)
		proof_record_put(&out, d->to);
	mem_wipe(key, sizeof(key));
	if (rc != 0)
		return rc;
	return buf_ok(d->to) ? 0 : err_nomem(e);
}

static int
prove_record(ofs_audit *a, uint64_t seq, uint64_t size, bool reveal,
	struct proof *p, struct ofs_error *e)
{
	struct merkle_range r[MERKLE_HEIGHT];
	struct disclosed d = { a, &p->extra, reveal, false };
	struct store *s = &a->store;
	int rc;

	p->index = seq;
	rc = store_record_each(s, seq, seq, disclose, &d, e);
	if (rc == 0 && !d.found)
		rc = store_missing(seq, e);
	if (rc == 0)
		rc = fill(s, r, merkle_inclusion(seq, size, r), p, e);
	return rc;
}

static int
no_checkpoint(const ofs_audit *a, struct ofs_error *e)
{
	return err_set(e, OFS_EAUDIT,
		"audit log '%s' has no checkpoint of so many records; sign one "
		"with ofs-audit checkpoint --sign",
		TEXT_Q(a->place.dir));
}

/* one short read: `seq` or, when it is too large, nothing */
static int
prove(ofs_audit *a, bool growth, uint64_t at, bool reveal, struct buf *text,
	struct ofs_error *e)
{
	struct merkle_range r[MERKLE_HEIGHT];
	struct proof p = { .growth = growth, .index = at };
	struct store_state st;
	struct buf note = BUF_INIT;
	uint64_t size;
	int rc;

	rc = store_state_get(&a->store, &st, e);
	if (rc == 0 && !growth && at >= st.size)
		rc = err_set(e, OFS_EINVAL,
			"there is no record %llu in the audit log",
			(unsigned long long)at);
	if (rc == 0)
		rc = store_checkpoint_last(&a->store, &size, &note, e);
	if (rc == 0 && (size == 0 || (growth ? at > size : at >= size)))
		rc = size == 0 ? log_no_checkpoint(a, e) : no_checkpoint(a, e);
	if (rc == 0 && !growth)
		rc = prove_record(a, at, size, reveal, &p, e);
	else if (rc == 0 && at > 0)
		rc = fill(&a->store, r, merkle_consistency(at, size, r), &p, e);
	p.note = (const char *)note.p;
	p.note_len = note.len;
	if (rc == 0) {
		proof_text(&p, text);
		rc = buf_cstr(text) != NULL ? 0 : err_nomem(e);
	}
	proof_free(&p);
	buf_free(&note);
	return rc;
}

static int
prove_in_read(ofs_audit *a, bool growth, uint64_t at, bool reveal, char **out)
{
	struct buf text = BUF_INIT;
	size_t n;
	struct ofs_error e;
	bool nested;
	int rc;

	*out = NULL;
	rc = handle_enter(a, &nested, &e);
	if (rc == 0) {
		if (!nested)
			rc = store_begin(&a->store, false, &e);
		if (rc == 0)
			rc = prove(a, growth, at, reveal, &text, &e);
		if (!nested)
			store_rollback(&a->store);
		handle_leave(a, nested);
	}
	if (rc == 0)
		*out = (char *)buf_take(&text, &n);
	buf_free(&text);
	return rc != 0 ? handle_fail(a, &e) : 0;
}

int
ofs_audit_prove(ofs_audit *audit, uint64_t seq, bool reveal, char **proof)
{
	return prove_in_read(audit, false, seq, reveal, proof);
}

int
ofs_audit_prove_growth(ofs_audit *audit, uint64_t records, char **proof)
{
	return prove_in_read(audit, true, records, false, proof);
}
