/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Proofs checked without the log, by who has its verifier key. */
#include <stdio.h>
#include <string.h>

#include <offlinesig/checkpoint.h>

#include "audit/handle.h"

#include "base/ctx.h"
#include "base/text.h"
#include "format/proof.h"

/* the log has signed, and every witness that was named */
static int
check_signers(const struct note *note, const struct ofs_proof_opts *o,
	struct ofs_proof_report *out, struct ofs_error *e)
{
	struct note_key k;
	int64_t time;
	bool found;
	size_t i;
	int rc;

	rc = note_key_given(o->vkey, &k, e);
	if (rc != 0)
		return rc;
	rc = note_check(note, &k, &found, NULL, e);
	if (rc == 0 && !found)
		rc = err_set(e, OFS_ESIGNATURE,
			"the checkpoint is not signed by '%s'", TEXT_Q(k.name));
	note_key_free(&k);
	for (i = 0; i < o->n_witnesses && rc == 0; i++) {
		rc = note_key_given(o->witnesses[i], &k, e);
		if (rc != 0)
			break;
		rc = note_check(note, &k, &found, &time, e);
		if (rc == 0 && !found)
			rc = err_set(e, OFS_EUNTRUSTED,
				"the checkpoint lacks the signature of the "
				"witness '%s'",
				TEXT_Q(k.name));
		if (rc == 0) {
			out->witnesses++;
			if (out->witnessed == 0 ||
				time * 1000000 < out->witnessed)
				out->witnessed = time * 1000000;
		}
		note_key_free(&k);
	}
	return rc;
}

static int
check_checkpoint(const char *p, size_t n, const struct ofs_proof_opts *o,
	struct ofs_proof_report *out, struct checkpoint *c, struct ofs_error *e)
{
	struct note note;
	int rc;

	rc = note_parse(p, n, &note, e);
	if (rc != 0)
		return rc;
	rc = check_signers(&note, o, out, e);
	if (rc == 0)
		rc = checkpoint_parse(note.text, note.text_len, c, e);
	note_free(&note);
	if (rc != 0)
		return rc;
	snprintf(out->origin, sizeof(out->origin), "%s", c->origin);
	out->records = c->size;
	memcpy(out->root, c->root, sizeof(out->root));
	return 0;
}

static int
check_inclusion(const struct proof *p, const struct proof_record *r,
	const struct checkpoint *c, struct ofs_error *e)
{
	uint8_t leaf[MERKLE_HASH];
	struct merkle m;
	int rc;

	if (r->h.seq != p->index)
		return err_set(e, OFS_ESIGNATURE,
			"the proof is of record %llu, and its header is that "
			"of %llu",
			(unsigned long long)p->index,
			(unsigned long long)r->h.seq);
	merkle_init(&m);
	rc = merkle_leaf(&m, r->header, RECORD_HEADER_SIZE, leaf, e);
	merkle_free(&m);
	if (rc == 0)
		rc = merkle_check_inclusion(p->index, c->size, leaf,
			(const uint8_t(*)[MERKLE_HASH])p->hash, p->n, c->root,
			e);
	return rc;
}

/* one key comes with the proof, and opens this body and no other */
static int
open_record(const struct proof_record *r, ofs_record **rec, struct ofs_error *e)
{
	struct seal seal = { .out = BUF_INIT };
	const uint8_t *body = r->body;
	size_t n = r->h.body_len;
	int rc = 0;

	if (r->key != NULL) {
		rc = seal_open(&seal, r->key, &r->h, r->body, n, e);
		body = seal.out.p;
		n = seal.out.len;
	}
	if (rc == OFS_EDAMAGED)
		rc = e->code = OFS_ESIGNATURE;
	if (rc == 0)
		rc = read_make_record(r->header, body, n, rec, e);
	seal_free(&seal);
	return rc;
}

static int
check_record(const struct proof *p, const struct checkpoint *c,
	struct ofs_proof_report *out, ofs_record **rec, struct ofs_error *e)
{
	struct proof_record r;
	int rc;

	if (p->growth)
		return err_set(e, OFS_EFORMAT,
			"this is a proof that a log grew, and not of a record");
	rc = proof_record_parse(p->extra.p, p->extra.len, &r, e);
	if (rc == 0)
		rc = check_inclusion(p, &r, c, e);
	if (rc != 0)
		return rc;
	out->seq = p->index;
	out->revealed = r.body != NULL;
	return open_record(&r, rec, e);
}

int
ofs_proof_check(ofs_ctx *ctx, const void *proof, size_t n,
	const struct ofs_proof_opts *opts, struct ofs_proof_report *out,
	ofs_record **record)
{
	ofs_record *rec = NULL;
	struct checkpoint c;
	struct ofs_error e;
	struct proof p;
	int rc;

	memset(out, 0, sizeof(*out));
	out->size = sizeof(*out);
	*record = NULL;
	if (opts == NULL || opts->size != sizeof(*opts) || opts->vkey == NULL) {
		(void)err_set(&e, OFS_EINVAL,
			"a proof is checked with the log's verifier key");
		return ctx_fail(ctx, &e);
	}
	rc = proof_parse(proof, n, &p, &e);
	if (rc != 0)
		return ctx_fail(ctx, &e);
	rc = check_checkpoint(p.note, p.note_len, opts, out, &c, &e);
	if (rc == 0)
		rc = check_record(&p, &c, out, &rec, &e);
	proof_free(&p);
	if (rc != 0) {
		ofs_record_free(rec);
		memset(out, 0, sizeof(*out));
		return ctx_fail(ctx, &e);
	}
	*record = rec;
	return 0;
}
