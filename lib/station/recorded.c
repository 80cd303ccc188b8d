/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Single signatures outside batches, each with its intent and its outcome. */
#include <string.h>

#include "station/recorded.h"

#include "crypto/cert.h"
#include "crypto/pubkey.h"
#include "sign/checked.h"
#include "sign/party.h"

int
recorded_init(struct recorded *r, ofs_audit *audit, ofs_key *key, X509 *cert,
	struct ofs_error *e)
{
	memset(r, 0, sizeof(*r));
	if (audit == NULL)
		return err_set(e, OFS_EINVAL,
			"a key is not used without an audit log; open one");
	r->ctx = token_ctx(key_token(key));
	r->audit = audit;
	r->key = key;
	return party_encode(r->ctx, audit, key, cert, &r->party, e);
}

void
recorded_clear(struct recorded *r)
{
	buf_free(&r->party);
	memset(r, 0, sizeof(*r));
}

int
recorded_append(ofs_audit *audit, enum ofs_record_type type,
	const struct buf *body, uint64_t *seq, struct ofs_error *e)
{
	struct log_entry en = {
		.type = type, .body = body->p, .body_len = body->len
	};

	return log_append_one(audit, &en, seq, e);
}

static struct rec_span
span(const struct buf *b)
{
	return (struct rec_span){ b->p, b->len };
}

int
recorded_intent(struct recorded *r, enum rec_purpose purpose,
	const struct rec_document *doc, uint64_t *seq, struct ofs_error *e)
{
	struct rec_intent_item item = { .index = 0, .doc = *doc };
	struct rec_intent in = { .purpose = purpose,
		.party = span(&r->party),
		.items = &item,
		.n = 1 };
	struct log_entry en = { .type = OFS_REC_INTENT,
		.format = purpose == REC_PURPOSE_CHECKPOINT ? 4
			: purpose == REC_PURPOSE_BENCH      ? 2
							    : 0 };
	struct buf body = BUF_INIT;
	int rc;

	rc = record_intent_encode(&in, &body, e);
	en.body = body.p;
	en.body_len = body.len;
	if (rc == 0)
		rc = log_append_one(r->audit, &en, seq, e);
	buf_free(&body);
	return rc;
}

int
recorded_outcome(
	struct recorded *r, const struct rec_outcome *o, struct ofs_error *e)
{
	struct log_entry en = { .type = OFS_REC_OUTCOME };
	struct buf body = BUF_INIT;
	uint64_t seq;
	int rc;

	rc = record_outcome_encode(o, &body, e);
	en.body = body.p;
	en.body_len = body.len;
	en.doc_digest = o->doc.digest.p;
	en.doc_digest_len = o->doc.digest.n;
	if (rc == 0)
		rc = log_begin(r->audit, e);
	if (rc != 0)
		goto out;
	rc = log_append(r->audit, &en, &seq, e);
	if (rc == 0)
		rc = log_intent_done(r->audit, o->intent_seq, e);
	if (rc == 0)
		rc = log_commit(r->audit, e);
	else
		log_rollback(r->audit);
out:
	buf_free(&body);
	return rc;
}

/* the token's answer, checked; `o` learns what came of it */
static int
ask_token(struct recorded *r, const struct to_sign *t, struct buf *sig,
	struct rec_outcome *o, struct ofs_error *e)
{
	struct pubkey_verifier v = { .alg = NULL };
	struct key_session *s = NULL;
	struct checked c = { 0 };
	int rc;

	rc = pubkey_verifier_init(&v, key_pub(r->key), t->alg, e);
	if (rc == 0)
		rc = key_session_open(r->key, &s, e);
	if (rc == 0)
		rc = checked_sign(s, &v, t, false, sig, &c, e);
	key_session_close(s);
	pubkey_verifier_free(&v);
	o->attempts = c.asked;
	o->token_us = c.token_us;
	o->status = rc == 0 ? REC_SIGNED : REC_FAILED;
	o->verified = rc == 0;
	o->code = rc;
	if (rc == 0) {
		o->signature = span(sig);
	} else {
		o->ckr = e->ckr;
		o->reason = e->message;
	}
	return rc;
}

int
recorded_sign(struct recorded *r, enum rec_purpose purpose, const char *name,
	const struct alg *alg, const uint8_t *tbs, size_t n, struct buf *sig,
	struct ofs_error *e)
{
	uint8_t hash[DIGEST_MAX];
	struct rec_document doc = { .path = name,
		.name = name,
		.size = n,
		.digest_alg = alg->digest->name,
		.digest = { hash, alg->digest->size } };
	struct to_sign t = {
		.alg = alg, .hash = hash, .message = tbs, .message_len = n
	};
	struct rec_outcome o;
	struct ofs_error token_error;
	int rc, asked;

	memset(&o, 0, sizeof(o));
	err_clear(&token_error);
	rc = digest_of(alg->digest, tbs, n, hash, e);
	if (rc == 0)
		rc = recorded_intent(r, purpose, &doc, &o.intent_seq, e);
	if (rc != 0)
		return rc;
	o.purpose = purpose;
	o.doc = doc;
	o.format = "raw";
	o.party = span(&r->party);
	o.mechanism = alg->name;
	asked = ask_token(r, &t, sig, &o, &token_error);
	rc = recorded_outcome(r, &o, e);
	if (rc == 0 && asked != 0) {
		*e = token_error;
		rc = asked;
	}
	if (rc != 0)
		buf_wipe(sig);
	return rc;
}

static void
take_attributes(const struct ofs_key_info *info, struct rec_key_event *ev)
{
	ev->sensitive = info->sensitive;
	ev->extractable = info->extractable;
	ev->always_sensitive = info->always_sensitive;
	ev->never_extractable = info->never_extractable;
	ev->local = info->local;
	ev->always_authenticate = info->always_authenticate;
	ev->sign = info->sign;
}

/* a certificate for the table of certificates, and its hash */
struct kept {
	struct buf der;
	uint8_t sha256[32];
};

static int
keep(struct kept *to, X509 *cert, struct rec_span *sha256, struct ofs_error *e)
{
	int rc;

	if (cert == NULL)
		return 0;
	rc = cert_to_der(cert, &to->der, e);
	if (rc == 0)
		rc = cert_sha256(cert, to->sha256, e);
	if (rc == 0 && sha256 != NULL)
		*sha256 = (struct rec_span){ to->sha256, 32 };
	return rc;
}

/* the record, and the certificates themselves in their table */
static int
append_key_event(struct recorded *r, const struct buf *body, int format,
	const struct kept certs[3], uint64_t *seq, struct ofs_error *e)
{
	struct log_entry en = { .type = OFS_REC_KEY_EVENT,
		.format = format,
		.body = body->p,
		.body_len = body->len };
	int rc;

	rc = log_begin(r->audit, e);
	if (rc != 0)
		return rc;
	rc = log_append(r->audit, &en, seq, e);
	for (size_t i = 0; rc == 0 && i < 3; i++)
		if (certs[i].der.len > 0)
			rc = log_cert_add(
				r->audit, certs[i].der.p, certs[i].der.len, e);
	if (rc == 0)
		return log_commit(r->audit, e);
	log_rollback(r->audit);
	return rc;
}

int
recorded_key_event(struct recorded *r, const char *event, X509 *cert,
	const struct attestation *attested, uint64_t *seq, struct ofs_error *e)
{
	return recorded_enrolled(r, event, cert, attested, NULL, seq, e);
}

int
recorded_enrolled(struct recorded *r, const char *event, X509 *cert,
	const struct attestation *attested, const char *use, uint64_t *seq,
	struct ofs_error *e)
{
	static const struct attestation none;
	struct buf spki = BUF_INIT, body = BUF_INIT;
	struct kept certs[3] = { 0 };
	struct rec_key_event ev = {
		.event = event, .party = span(&r->party), .use = use
	};
	int rc;

	if (attested == NULL)
		attested = &none;
	/* a key of a kind that cannot be read is recorded without it */
	rc = key_pub(r->key) == NULL
		? 0
		: pubkey_to_spki(key_pub(r->key), &spki, e);
	if (rc == 0)
		rc = keep(&certs[0], cert, NULL, e);
	if (rc == 0)
		rc = keep(&certs[1], attested->cert, &ev.attestation_sha256, e);
	if (rc == 0)
		rc = keep(&certs[2], attested->issuer,
			&ev.attestation_issuer_sha256, e);
	if (spki.len > 0)
		ev.spki = span(&spki);
	if (certs[0].der.len > 0)
		ev.certificate = span(&certs[0].der);
	take_attributes(ofs_key_get_info(r->key), &ev);
	if (rc == 0)
		rc = record_key_event_encode(&ev, &body, e);
	if (rc == 0)
		rc = append_key_event(r, &body,
			use != NULL ? LOG_FORMAT_UNSEEN : 0, certs, seq, e);
	for (size_t i = 0; i < 3; i++)
		buf_free(&certs[i].der);
	buf_free(&spki);
	buf_free(&body);
	return rc;
}

int
recorded_lent(struct recorded *r, const char *purpose, struct ofs_error *e)
{
	struct rec_key_lent rec = { .party = span(&r->party),
		.purpose = purpose };
	struct buf body = BUF_INIT;
	uint64_t seq;
	int rc;

	rc = record_key_lent_encode(&rec, &body, e);
	if (rc == 0)
		rc = recorded_append(
			r->audit, OFS_REC_KEY_LENT, &body, &seq, e);
	buf_free(&body);
	return rc;
}

int
recorded_token_event(ofs_audit *audit, const char *event,
	const struct ofs_token_info *info, struct ofs_error *e)
{
	struct rec_token_event r;
	struct buf body = BUF_INIT;
	uint64_t seq;
	int rc;

	memset(&r, 0, sizeof(r));
	r.event = event;
	party_token(info, &r.token);
	log_operator(audit, &r.operator_);
	rc = record_token_event_encode(&r, &body, e);
	if (rc == 0)
		rc = recorded_append(
			audit, OFS_REC_TOKEN_EVENT, &body, &seq, e);
	buf_free(&body);
	return rc;
}
