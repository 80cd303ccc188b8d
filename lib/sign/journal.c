/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The batch in the audit log: opened, intents, outcomes, closed. */
#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "sign/journal.h"

#include "base/file.h"
#include "base/text.h"
#include "crypto/cert.h"
#include "sign/party.h"

int
journal_init(struct journal *j, ofs_ctx *ctx, ofs_audit *audit,
	ofs_key *const *keys, size_t n_keys, const struct maker *m,
	struct ofs_error *e)
{
	size_t i;
	int rc = 0;

	memset(j, 0, sizeof(*j));
	j->audit = audit;
	j->maker = m;
	if (RAND_bytes(j->batch_id, sizeof(j->batch_id)) != 1)
		return err_ssl(e, OFS_EINTERNAL, "cannot make a batch id");
	j->parties = calloc(n_keys, sizeof(*j->parties));
	if (j->parties == NULL)
		return err_nomem(e);
	j->n_parties = n_keys;
	for (i = 0; i < n_keys && rc == 0; i++)
		rc = party_encode(
			ctx, audit, keys[i], m->cert, &j->parties[i], e);
	return rc;
}

void
journal_clear(struct journal *j)
{
	size_t i;

	for (i = 0; i < j->n_parties; i++)
		buf_free(&j->parties[i]);
	free(j->parties);
	memset(j, 0, sizeof(*j));
}

static struct rec_span
party(const struct journal *j, size_t key)
{
	return (struct rec_span){ j->parties[key].p, j->parties[key].len };
}

const char *
journal_format_name(enum ofs_format f)
{
	switch (f) {
	case OFS_FORMAT_CMS:
		return "cms";
	case OFS_FORMAT_CMS_ATTACHED:
		return "cms-attached";
	case OFS_FORMAT_RAW:
		return "raw";
	}
	return "?";
}

static int
append(struct journal *j, enum ofs_record_type type, struct buf *body,
	const struct work *w, uint64_t *seq, struct ofs_error *e)
{
	struct log_entry en = { .type = type,
		.batch_id = j->batch_id,
		.format = j->unseen ? LOG_FORMAT_UNSEEN : 0,
		.body = body->p,
		.body_len = body->len };

	if (type == OFS_REC_BATCH_OPENED)
		en.format = j->open_ended ? LOG_FORMAT_UNSEEN
			: j->tracked      ? LOG_FORMAT_TRACKS
					  : 0;
	if (w != NULL) {
		en.doc_digest = w->digest;
		en.doc_digest_len = j->maker->alg->digest->size;
	}
	return log_append(j->audit, &en, seq, e);
}

static int
keep_cert(struct journal *j, X509 *cert, struct buf *der, struct ofs_error *e)
{
	int rc;

	buf_reset(der);
	rc = cert_to_der(cert, der, e);
	return rc != 0 ? rc : log_cert_add(j->audit, der->p, der->len, e);
}

static int
keep_certs(struct journal *j, struct ofs_error *e)
{
	struct buf der = BUF_INIT;
	int rc = 0, i;

	if (j->maker->cert != NULL)
		rc = keep_cert(j, j->maker->cert, &der, e);
	for (i = 0; rc == 0 && i < sk_X509_num(j->maker->chain); i++)
		rc = keep_cert(j, sk_X509_value(j->maker->chain, i), &der, e);
	buf_free(&der);
	return rc;
}

static void
describe_options(const struct ofs_sign_opts *o, bool validated, struct buf *to)
{
	static const char *const existing[] = { "fail", "replace", "skip" };

	buf_printf(to, "existing=%s", existing[o->existing]);
	if (o->allow_expired)
		buf_str(to, " allow-expired");
	if (o->stop_on_error)
		buf_str(to, " stop-on-error");
	if (o->low_s)
		buf_str(to, " low-s");
	if (o->copy_dir != NULL)
		buf_str(to, " copy");
	if (o->rate > 0)
		buf_printf(to, " rate=%u", o->rate);
	if (validated)
		buf_str(to, " validated");
	if (o->open_ended)
		buf_str(to, " open-ended");
}

static bool
has_root(const struct track *t)
{
	static const uint8_t none[16];

	return memcmp(t->root_id, none, sizeof(none)) != 0;
}

static int
begin_track(struct journal *j, const struct track *own, struct ofs_error *e)
{
	struct track t = *own;

	t.opened_seq = j->opened_seq;
	memcpy(t.batch_id, j->batch_id, sizeof(t.batch_id));
	if (!has_root(own))
		memcpy(t.root_id, j->batch_id, sizeof(t.root_id));
	return log_track_open(j->audit, &t, e);
}

int
journal_open(struct journal *j, const struct list *l, unsigned int jobs,
	const struct ofs_sign_opts *opts, const struct track *own,
	struct ofs_error *e)
{
	struct buf body = BUF_INIT, options = BUF_INIT;
	uint8_t list[32];
	struct rec_batch_opened r;
	int rc;

	memset(&r, 0, sizeof(r));
	describe_options(opts, j->maker->validate != NULL, &options);
	r.party = party(j, 0);
	j->open_ended = opts->open_ended;
	rc = j->open_ended ? 0 : list_sha256(l, list, e);
	if (!j->open_ended) {
		r.list_sha256 = (struct rec_span){ list, sizeof(list) };
		r.items = l->n;
	}
	r.format = journal_format_name(opts->format);
	r.mechanism = j->maker->alg->name;
	r.jobs = jobs;
	r.options = buf_cstr(&options);
	j->tracked = own != NULL;
	if (own != NULL)
		r.outputs_sha256 = (struct rec_span){ own->outputs_sha256, 32 };
	if (own != NULL && has_root(own))
		r.resumes = (struct rec_span){ own->root_id, 16 };
	if (rc == 0)
		rc = keep_certs(j, e);
	if (rc == 0)
		rc = record_batch_opened_encode(&r, &body, e);
	if (rc == 0)
		rc = append(j, OFS_REC_BATCH_OPENED, &body, NULL,
			&j->opened_seq, e);
	if (rc == 0 && own != NULL)
		rc = begin_track(j, own, e);
	buf_free(&body);
	buf_free(&options);
	return rc;
}

/* what the table of items says of a work; false: nothing */
static bool
run_of(const struct chunk *c, const struct work *w, struct item_run *r)
{
	*r = (struct item_run){ .first = w->index, .n = 1, .seq = w->seq };
	switch (w->status) {
	case OFS_ITEM_SIGNED:
		r->status = RUN_SIGNED;
		break;
	case OFS_ITEM_FAILED:
		r->status = RUN_FAILED;
		break;
	case OFS_ITEM_NOT_ATTEMPTED:
		r->status = RUN_NOT_ATTEMPTED;
		break;
	case OFS_ITEM_UNKNOWN:
		r->status = RUN_UNKNOWN;
		r->seq = c->intent_seq;
		return w->ready && c->intent_seq != 0;
	case OFS_ITEM_SKIPPED:
		return false;
	}
	return !w->ready || c->intent_seq != 0;
}

/* the rows of a chunk: before its outcomes as announced, and behind them */
static int
track_chunk(struct journal *j, const struct chunk *c, bool announced,
	struct ofs_error *e)
{
	struct runs runs = { NULL, 0, 0 };
	struct item_run r;
	size_t i;
	int rc = 0;

	if (!j->tracked || c->n == 0)
		return 0;
	for (i = 0; i < c->n && rc == 0; i++) {
		const struct work *w = &c->works[i];

		if (announced && w->ready)
			r = (struct item_run){ w->index, 1, RUN_ANNOUNCED,
				c->intent_seq };
		else if (announced || !run_of(c, w, &r))
			continue;
		rc = runs_put(&runs, &r, e);
	}
	if (rc == 0)
		rc = log_track_items(j->audit, j->opened_seq, c->works[0].index,
			c->works[c->n - 1].index, runs.p, runs.n, e);
	runs_free(&runs);
	return rc;
}

static void
describe_document(
	const struct journal *j, const struct work *w, struct rec_document *d)
{
	memset(d, 0, sizeof(*d));
	d->path = w->item->path;
	d->name = w->item->name != NULL ? w->item->name
					: file_basename(w->item->path);
	d->id = w->item->id;
	d->version = w->item->version;
	d->size = w->size;
	d->digest_alg = j->maker->alg->digest->name;
	if (w->item->digest_len > 0)
		d->input = "digest";
	d->digest = (struct rec_span){ w->digest, j->maker->alg->digest->size };
}

int
journal_intent(struct journal *j, struct chunk *c, struct ofs_error *e)
{
	struct rec_intent r = { .purpose = REC_PURPOSE_DOCUMENT };
	struct rec_intent_item *items;
	struct buf body = BUF_INIT;
	bool unseen = false;
	size_t i;
	int rc;

	items = calloc(c->n, sizeof(*items));
	if (items == NULL)
		return err_nomem(e);
	for (i = 0; i < c->n; i++) {
		if (!c->works[i].ready)
			continue;
		items[r.n].index = c->works[i].index;
		describe_document(j, &c->works[i], &items[r.n++].doc);
		unseen = unseen || c->works[i].item->digest_len > 0;
	}
	j->unseen = unseen;
	r.items = items;
	rc = record_intent_encode(&r, &body, e);
	if (rc == 0)
		rc = append(j, OFS_REC_INTENT, &body, NULL, &c->intent_seq, e);
	if (rc == 0)
		rc = track_chunk(j, c, true, e);
	j->unseen = false;
	buf_free(&body);
	free(items);
	return rc;
}

static void
describe_outcome(const struct journal *j, const struct chunk *c,
	const struct work *w, struct rec_outcome *r)
{
	memset(r, 0, sizeof(*r));
	r->intent_seq = w->ready ? c->intent_seq : 0;
	r->index = w->index;
	r->purpose = REC_PURPOSE_DOCUMENT;
	r->format = journal_format_name(j->maker->format);
	r->party = party(j, w->key);
	r->mechanism = j->maker->alg->name;
	r->attempts = w->attempts;
	r->token_us = w->token_us;
	r->verified = w->verified;
	r->ckr = w->err.ckr;
	r->code = w->err.code;
	describe_document(j, w, &r->doc);
	if (!w->ready)
		r->doc.digest.n = 0, r->doc.digest.p = NULL;
	if (w->ready && w->tbs.len > 0)
		r->signed_bytes = (struct rec_span){ w->tbs.p, w->tbs.len };
	if (w->status != OFS_ITEM_SIGNED) {
		r->status = w->status == OFS_ITEM_FAILED ? REC_FAILED
							 : REC_NOT_ATTEMPTED;
		r->reason = w->err.message;
		return;
	}
	r->status = REC_SIGNED;
	r->signature = (struct rec_span){ w->sig.p, w->sig.len };
	r->output_sha256 = (struct rec_span){ w->out_sha256, 32 };
	r->output_path = w->item->absolute;
}

static int
one_outcome(struct journal *j, const struct chunk *c, struct work *w,
	struct buf *body, struct ofs_error *e)
{
	struct rec_outcome r;
	int rc;

	describe_outcome(j, c, w, &r);
	buf_reset(body);
	/* of what was announced, the intent has raised the format */
	j->unseen = !w->ready && w->item->digest_len > 0;
	rc = record_outcome_encode(&r, body, e);
	if (rc == 0)
		rc = append(j, OFS_REC_OUTCOME, body, w->ready ? w : NULL,
			&w->seq, e);
	j->unseen = false;
	if (rc == 0 && w->status == OFS_ITEM_SIGNED && w->item->output != NULL)
		rc = log_pending_add(j->audit, w->seq, w->item->absolute,
			j->maker->existing == OFS_EXISTING_REPLACE, w->out.p,
			w->out.len, e);
	return rc;
}

/* the intent's items without outcome, for good */
static int
record_unknown(struct journal *j, const struct chunk *c, const char *reason,
	uint64_t n, struct ofs_error *e)
{
	struct rec_recovery r = {
		.intent_seq = c->intent_seq, .unknown = n, .reason = reason
	};
	struct buf body = BUF_INIT;
	uint64_t seq;
	int rc;

	rc = record_recovery_encode(&r, &body, e);
	if (rc == 0)
		rc = append(j, OFS_REC_RECOVERY, &body, NULL, &seq, e);
	buf_free(&body);
	return rc;
}

int
journal_outcomes(struct journal *j, struct chunk *c, struct ofs_error *e)
{
	struct buf body = BUF_INIT;
	const char *reason = NULL;
	uint64_t unknown = 0;
	size_t i;
	int rc = 0;

	for (i = 0; i < c->n && rc == 0; i++) {
		struct work *w = &c->works[i];

		if (w->status == OFS_ITEM_SKIPPED)
			continue;
		if (w->ready && c->intent_seq == 0)
			continue; /* never announced: only counted */
		if (w->status == OFS_ITEM_UNKNOWN && !w->ready)
			continue; /* an earlier batch's */
		if (w->status == OFS_ITEM_UNKNOWN) {
			unknown++;
			reason = w->err.message;
			continue;
		}
		rc = one_outcome(j, c, w, &body, e);
	}
	if (rc == 0 && unknown > 0)
		rc = record_unknown(j, c, reason, unknown, e);
	if (rc == 0 && c->intent_seq != 0)
		rc = log_intent_done(j->audit, c->intent_seq, e);
	if (rc == 0)
		rc = track_chunk(j, c, false, e);
	buf_free(&body);
	return rc;
}

int
journal_release(ofs_audit *audit, const uint8_t batch_id[16],
	const struct rec_release *r, struct ofs_error *e)
{
	struct log_entry en = { .type = OFS_REC_RELEASE, .batch_id = batch_id };
	struct buf body = BUF_INIT;
	uint64_t seq;
	int rc;

	rc = record_release_encode(r, &body, e);
	en.body = body.p;
	en.body_len = body.len;
	if (rc == 0)
		rc = log_append(audit, &en, &seq, e);
	if (rc == 0)
		rc = log_pending_done(audit, r->outcome_seq, e);
	buf_free(&body);
	return rc;
}

static int
record_restored(struct journal *j, const struct work *w, struct ofs_error *e)
{
	struct rec_release r = { .outcome_seq = w->seq,
		.path = w->recorded_path };
	struct buf result = BUF_INIT;
	int rc;

	buf_str(&result, "made again from the record");
	if (strcmp(w->recorded_path, w->item->absolute) != 0)
		buf_printf(&result, " as '%s'", TEXT_Q(w->item->absolute));
	r.result = buf_cstr(&result);
	rc = r.result == NULL ? err_nomem(e)
			      : journal_release(j->audit, w->batch_id, &r, e);
	buf_free(&result);
	return rc;
}

int
journal_released(struct journal *j, const struct chunk *c, struct ofs_error *e)
{
	size_t i;
	int rc = 0;

	for (i = 0; i < c->n && rc == 0; i++) {
		const struct work *w = &c->works[i];

		if (w->placed && w->restored)
			rc = record_restored(j, w, e);
		else if (w->placed)
			rc = log_pending_done(j->audit, w->seq, e);
	}
	return rc;
}

static int
close_with(struct journal *j, uint64_t items, const struct ofs_progress *p,
	struct rec_span list_sha256, int code, const char *reason,
	struct ofs_error *e)
{
	struct rec_batch_closed r = { .opened_seq = j->opened_seq,
		.signed_ = p->signed_items,
		.failed = p->failed,
		.skipped = p->skipped,
		.not_attempted = p->not_attempted,
		.unknown = p->unknown,
		.code = code,
		.reason = reason,
		.list_sha256 = list_sha256 };
	struct buf body = BUF_INIT;
	uint64_t seq;
	int rc;

	rc = record_batch_closed_encode(&r, &body, e);
	if (rc == 0)
		rc = append(j, OFS_REC_BATCH_CLOSED, &body, NULL, &seq, e);
	if (rc == 0 && j->tracked)
		rc = log_track_close(j->audit, j->opened_seq, seq,
			code == 0 && p->signed_items + p->skipped == items, e);
	buf_free(&body);
	return rc;
}

int
journal_close(struct journal *j, const struct ofs_progress *p,
	struct feed *feed, int code, const char *reason, struct ofs_error *e)
{
	uint8_t list[32];
	int rc;

	if (feed == NULL)
		return journal_close_batch(j, p->items, p, code, reason, e);
	rc = feed_sha256(feed, list, e);
	return rc != 0 ? rc
		       : close_with(j, p->items, p,
				 (struct rec_span){ list, sizeof(list) }, code,
				 reason, e);
}

int
journal_close_batch(struct journal *j, uint64_t items,
	const struct ofs_progress *p, int code, const char *reason,
	struct ofs_error *e)
{
	return close_with(
		j, items, p, (struct rec_span){ NULL, 0 }, code, reason, e);
}
