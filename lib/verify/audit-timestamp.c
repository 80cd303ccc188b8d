/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Time-stamps (RFC 3161) over checkpoints: asked for, recorded, checked. */
#include <string.h>

#include "verify/audit-head.h"

#include <offlinesig/heads.h>

#include "audit/anchor.h"
#include "base/ctx.h"
#include "base/file.h"
#include "base/text.h"
#include "base/time.h"
#include "crypto/cert.h"
#include "crypto/digest.h"
#include "crypto/tsp.h"

int
ofs_audit_timestamp_request(ofs_audit *audit, uint8_t **der, size_t *n)
{
	struct buf note = BUF_INIT, out = BUF_INIT;
	struct ofs_error e;
	int rc;

	*der = NULL;
	*n = 0;
	rc = log_newest_checkpoint(audit, &note, &e);
	if (rc == 0)
		rc = tsp_request(note.p, note.len, &out, &e);
	if (rc == 0 && (*der = buf_take(&out, n)) == NULL)
		rc = err_nomem(&e);
	buf_free(&note);
	buf_free(&out);
	return rc != 0 ? handle_fail(audit, &e) : 0;
}

/* the checkpoint that has this hash; *size is 0 when the log keeps none */
static int
find_note(struct store *s, const uint8_t sha256[32], uint64_t *size,
	struct buf *note, struct ofs_error *e)
{
	uint8_t got[32];
	bool found = false;
	int rc;

	*size = 0;
	do {
		rc = store_checkpoint_next(s, *size, size, note, e);
		if (rc == 0 && *size != 0)
			rc = digest_of(
				&digest_sha256, note->p, note->len, got, e);
		found = rc == 0 && *size != 0 &&
			memcmp(got, sha256, sizeof(got)) == 0;
	} while (rc == 0 && *size != 0 && !found);
	return rc;
}

static int
read_trust(
	const struct ofs_tsa_opts *o, struct tsp_trust *t, struct ofs_error *e)
{
	int rc;

	if (o->size != sizeof(*o) || o->trust == NULL)
		return err_set(e, OFS_EINVAL,
			"options for time-stamps have a wrong size, or name "
			"nobody to trust");
	rc = cert_list_parse(o->trust, o->trust_len, &t->roots, e);
	if (rc == 0 && o->chain != NULL)
		rc = cert_list_parse(o->chain, o->chain_len, &t->chain, e);
	return rc;
}

static void
trust_free(struct tsp_trust *t)
{
	sk_X509_pop_free(t->roots, X509_free);
	sk_X509_pop_free(t->chain, X509_free);
}

static int
record(ofs_audit *a, const uint8_t sha256[32], const void *response, size_t n,
	struct ofs_audit_head *out, struct ofs_error *e)
{
	struct rec_anchor r = { .kind = "timestamp", .data = { response, n } };
	struct buf note = BUF_INIT;
	int rc = log_begin(a, e);

	if (rc != 0)
		return rc;
	rc = find_note(&a->store, sha256, &r.records, &note, e);
	buf_free(&note);
	if (rc == 0 && r.records == 0)
		rc = err_set(e, OFS_EMISMATCH,
			"the time-stamp request is over no checkpoint of this "
			"log");
	if (rc == 0)
		rc = anchor_append(a, &r, &out->seq, e);
	out->records = r.records;
	if (rc == 0)
		return log_commit(a, e);
	log_rollback(a);
	return rc;
}

int
ofs_audit_timestamp_record(ofs_audit *audit, const struct ofs_tsa_opts *opts,
	const void *request, size_t request_len, const void *response,
	size_t response_len, struct ofs_audit_head *out)
{
	struct ofs_audit_head got = {
		.size = sizeof(got), .kind = "timestamp", .outside = true
	};
	struct tsp_trust trust = { .now = ctx_now(audit->ctx) };
	uint8_t sha256[32];
	struct ofs_error e;
	int rc;

	rc = read_trust(opts, &trust, &e);
	if (rc == 0)
		rc = tsp_request_imprint(request, request_len, sha256, &e);
	if (rc == 0)
		rc = tsp_check(response, response_len, sha256, request,
			request_len, &trust, &got.time, &e);
	if (rc == 0)
		rc = record(audit, sha256, response, response_len, &got, &e);
	trust_free(&trust);
	if (out != NULL)
		*out = got;
	return rc != 0 ? handle_fail(audit, &e) : 0;
}

int
ofs_audit_trust_tsa(ofs_audit *audit, const struct ofs_tsa_opts *opts)
{
	struct tsp_trust trust = { .roots = NULL };
	struct ofs_error e;
	int rc = read_trust(opts, &trust, &e);

	if (rc != 0) {
		trust_free(&trust);
		return handle_fail(audit, &e);
	}
	sk_X509_pop_free(audit->tsa_trust, X509_free);
	sk_X509_pop_free(audit->tsa_chain, X509_free);
	audit->tsa_trust = trust.roots;
	audit->tsa_chain = trust.chain;
	return 0;
}

/* the head that a checkpoint of the log is, which this is the hash of */
static int
take_stamped(const char *path, const uint8_t sha256[32], ofs_audit *a,
	struct head *h, struct ofs_error *e)
{
	struct buf text = BUF_INIT;
	char t[TIME_TEXT_SIZE];
	struct checkpoint c;
	int rc;

	rc = find_note(&a->store, sha256, &h->size, &text, e);
	if (rc == 0 && h->size == 0)
		rc = err_set(e, OFS_EDAMAGED,
			"audit log keeps no checkpoint that '%s' of %s is "
			"over: it was rolled back or rewritten since, or the "
			"time-stamp is of another log",
			TEXT_Q(path), time_rfc3339(t, h->time, false));
	if (rc == 0)
		rc = auditkey_check(&a->key, text.p, text.len, &c, e);
	if (rc == 0)
		memcpy(h->root, c.root, sizeof(h->root));
	buf_free(&text);
	return rc;
}

int
kept_stamped(const char *path, ofs_audit *a, struct kept *out, bool *is,
	struct ofs_error *e)
{
	struct tsp_trust trust = { .roots = a->tsa_trust,
		.chain = a->tsa_chain };
	struct buf der = BUF_INIT;
	struct ofs_error why;
	uint8_t sha256[32];
	int rc;

	memset(out, 0, sizeof(*out));
	*is = file_read(path, TSP_MAX, &der, &why) == 0 &&
		tsp_time(der.p, der.len, &out->head[0].time, &why) == 0;
	if (!*is) {
		buf_free(&der);
		return 0;
	}
	rc = tsp_imprint(der.p, der.len, sha256, &why);
	if (rc == 0 && trust.roots == NULL)
		rc = err_set(&why, OFS_EINVAL,
			"it counts only with the root of its authority; name "
			"that with --tsa-trust");
	else if (rc == 0)
		rc = tsp_check(der.p, der.len, sha256, NULL, 0, &trust,
			&out->head[0].time, &why);
	buf_free(&der);
	if (rc != 0)
		return err_set(e, rc, "time-stamp '%s': %s", TEXT_Q(path),
			why.message);
	out->kind = "timestamp";
	out->n = 1;
	return take_stamped(path, sha256, a, &out->head[0], e);
}

int
av_timestamp(struct av *v, const struct av_record *r, struct head *h,
	bool *trusted, struct ofs_error *e)
{
	struct tsp_trust trust = { .roots = v->a->tsa_trust,
		.chain = v->a->tsa_chain };
	struct buf note = BUF_INIT;
	char t[TIME_TEXT_SIZE];
	struct rec_span data;
	struct ofs_error why;
	uint8_t sha256[32];
	uint64_t size;
	int rc;

	if (!av_bytes(r->body, "data", &data) ||
		tsp_time(data.p, data.n, &h->time, &why) != 0)
		return av_damage(
			e, r->seq, "the time-stamp in it cannot be read");
	rc = store_checkpoint_next(&v->a->store, h->size - 1, &size, &note, e);
	if (rc == 0 && size != h->size)
		rc = av_damage(e, r->seq,
			"the checkpoint that its time-stamp is over is "
			"missing");
	if (rc == 0)
		rc = digest_of(&digest_sha256, note.p, note.len, sha256, e);
	buf_free(&note);
	if (rc != 0 || trust.roots == NULL)
		return rc;
	*trusted = tsp_check(data.p, data.n, sha256, NULL, 0, &trust, &h->time,
			   &why) == 0;
	if (!*trusted)
		av_find(v, r->seq, "timestamp",
			"the time-stamp of %s over %llu records does not "
			"count: %s",
			time_rfc3339(t, h->time, false),
			(unsigned long long)h->size, why.message);
	return 0;
}
