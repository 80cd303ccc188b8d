/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Encodes record bodies; values are borrowed, nothing is copied twice. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "format/record.h"

#include "base/text.h"
#include "format/record_asn1.h"

/* strings of the largest body that is not an intent, with room */
#define ENC_FIXED 48
#define DOCUMENT_STRINGS 7

/* a text that was not UTF-8, made fit */
struct enc_copy {
	struct enc_copy *next;
	char s[];
};

/*
 * Lends ASN1_STRINGs that borrow their bytes. A failure is kept until the end,
 * where enc_emit() reports it.
 */
struct enc {
	ASN1_STRING *slot;
	size_t n, used;
	struct enc_copy *copies;
	bool nomem;
	const char *missing; /* a field that may not be absent */
	ASN1_STRING fixed[ENC_FIXED];
};

static void
enc_init(struct enc *c)
{
	c->slot = c->fixed;
	c->n = ENC_FIXED;
	c->used = 0;
	c->copies = NULL;
	c->nomem = false;
	c->missing = NULL;
}

static void
enc_reserve(struct enc *c, size_t n)
{
	c->slot = calloc(n, sizeof(*c->slot));
	c->n = c->slot != NULL ? n : 0;
	c->nomem = c->slot == NULL;
}

static void
enc_clear(struct enc *c)
{
	struct enc_copy *copy;

	while ((copy = c->copies) != NULL) {
		c->copies = copy->next;
		free(copy);
	}
	if (c->slot != c->fixed)
		free(c->slot);
}

static ASN1_STRING *
enc_string(struct enc *c, int type, const void *p, size_t n)
{
	ASN1_STRING *s;

	if (c->used == c->n || n > INT_MAX) {
		c->nomem = true;
		return NULL;
	}
	s = &c->slot[c->used++];
	s->type = type;
	s->length = (int)n;
	s->data = (unsigned char *)(uintptr_t)p;
	s->flags = 0;
	return s;
}

/* a body must be written whatever a token calls itself */
static const char *
enc_repair(struct enc *c, const char *s, size_t n)
{
	struct enc_copy *copy = malloc(sizeof(*copy) + n + 1);
	size_t at = 0, len;

	if (copy == NULL) {
		c->nomem = true;
		return "";
	}
	memcpy(copy->s, s, n + 1);
	while (at < n) {
		len = text_utf8_char(copy->s + at, n - at);
		if (len == 0)
			copy->s[at++] = '?';
		else
			at += len;
	}
	copy->next = c->copies;
	c->copies = copy;
	return copy->s;
}

static ASN1_STRING *
enc_text(struct enc *c, const char *s)
{
	size_t n;

	if (s == NULL)
		return NULL;
	n = strlen(s);
	if (!text_is_utf8(s, n))
		s = enc_repair(c, s, n);
	return enc_string(c, V_ASN1_UTF8STRING, s, strlen(s));
}

static ASN1_STRING *
enc_name(struct enc *c, const char *s)
{
	if (s == NULL)
		return NULL;
	return enc_string(c, V_ASN1_OCTET_STRING, s, strlen(s));
}

static ASN1_STRING *
enc_bytes(struct enc *c, struct rec_span s)
{
	if (s.p == NULL)
		return NULL;
	return enc_string(c, V_ASN1_OCTET_STRING, s.p, s.n);
}

/* no count of ours and no CK_RV gets there */
static int64_t
enc_count(uint64_t v)
{
	return v > INT64_MAX ? INT64_MAX : (int64_t)v;
}

static ASN1_BOOLEAN
enc_bool(bool v)
{
	return v ? 0xff : 0;
}

static struct der_party *
enc_party(struct enc *c, struct der_party *to, struct rec_span der)
{
	memset(to, 0, sizeof(*to));
	if (der.p == NULL || der.n > LONG_MAX) {
		c->missing = "party";
		return to;
	}
	to->enc.enc = (unsigned char *)(uintptr_t)der.p;
	to->enc.len = (long)der.n;
	return to;
}

static void
enc_key(struct enc *c, struct der_key *to, const struct rec_key *k)
{
	to->id = enc_bytes(c, k->id);
	to->label = enc_text(c, k->label);
	to->type = enc_text(c, k->type);
	to->spki_sha256 = enc_bytes(c, k->spki_sha256);
	to->cert_sha256 = enc_bytes(c, k->cert_sha256);
	to->subject = enc_text(c, k->subject);
	to->serial = enc_text(c, k->serial);
	to->not_after = k->not_after;
}

static struct der_token *
enc_token(struct enc *c, struct der_token *to, const struct rec_token *t)
{
	to->manufacturer = enc_text(c, t->manufacturer);
	to->model = enc_text(c, t->model);
	to->serial = enc_text(c, t->serial);
	to->label = enc_text(c, t->label);
	to->module = enc_text(c, t->module);
	to->module_sha256 = enc_bytes(c, t->module_sha256);
	return to;
}

static struct der_operator *
enc_operator(
	struct enc *c, struct der_operator *to, const struct rec_operator *o)
{
	to->uid = o->uid;
	to->loginuid = o->loginuid;
	to->name = enc_text(c, o->name);
	to->host = enc_text(c, o->host);
	to->tty = enc_text(c, o->tty);
	return to;
}

static struct der_document *
enc_document(
	struct enc *c, struct der_document *to, const struct rec_document *d)
{
	to->path = enc_name(c, d->path);
	to->name = enc_name(c, d->name);
	to->version = enc_text(c, d->version);
	to->id = enc_text(c, d->id);
	to->size = enc_count(d->size);
	to->digest_alg = enc_text(c, d->digest_alg);
	to->digest = enc_bytes(c, d->digest);
	to->input = enc_text(c, d->input);
	return to;
}

/* appends the DER and clears c */
static int
enc_emit(struct enc *c, const void *val, const ASN1_ITEM *it, struct buf *to,
	struct ofs_error *e)
{
	unsigned char *p;
	int n, rc = 0;

	if (c->nomem) {
		rc = err_nomem(e);
		goto out;
	}
	if (c->missing != NULL) {
		rc = err_set(e, OFS_EINTERNAL,
			"cannot encode a record: it has no %s", c->missing);
		goto out;
	}
	n = ASN1_item_i2d(val, NULL, it);
	if (n <= 0) {
		rc = err_ssl(e, OFS_EINTERNAL, "cannot encode a record");
		goto out;
	}
	if (n > (int)RECORD_BODY_MAX) {
		rc = err_set(e, OFS_EINVAL,
			"cannot encode a record of %d bytes: it may have %u", n,
			RECORD_BODY_MAX);
		goto out;
	}
	p = buf_grow(to, (size_t)n);
	if (p == NULL)
		rc = err_nomem(e);
	else if (ASN1_item_i2d(val, &p, it) != n)
		rc = err_ssl(e, OFS_EINTERNAL, "cannot encode a record");
out:
	enc_clear(c);
	return rc;
}

int
record_party_encode(
	const struct rec_party *p, struct buf *der, struct ofs_error *e)
{
	struct der_party d = { .enc = { NULL, 0, 1 } };
	struct der_key key;
	struct der_token token;
	struct der_operator operator_;
	struct enc c;

	enc_init(&c);
	enc_key(&c, &key, &p->key);
	d.key = &key;
	d.token = enc_token(&c, &token, &p->token);
	d.operator_ = enc_operator(&c, &operator_, &p->operator_);
	d.tool = enc_text(&c, p->tool);
	return enc_emit(&c, &d, ASN1_ITEM_rptr(REC_PARTY), der, e);
}

int
record_genesis_encode(
	const struct rec_genesis *r, struct buf *to, struct ofs_error *e)
{
	struct der_genesis d;
	struct der_operator operator_;
	struct enc c;

	enc_init(&c);
	d.origin = enc_text(&c, r->origin);
	d.tool = enc_text(&c, r->tool);
	d.operator_ = enc_operator(&c, &operator_, &r->operator_);
	d.salt = enc_bytes(&c, r->salt);
	d.mode = enc_text(&c, r->mode);
	d.audit_key = enc_text(&c, r->audit_key);
	d.audit_key_place = enc_text(&c, r->audit_key_place);
	d.auditors = enc_bytes(&c, r->auditors);
	if (d.origin == NULL || d.salt == NULL)
		c.missing = "origin or salt";
	return enc_emit(&c, &d, ASN1_ITEM_rptr(REC_GENESIS), to, e);
}

int
record_batch_opened_encode(
	const struct rec_batch_opened *r, struct buf *to, struct ofs_error *e)
{
	struct der_batch_opened d;
	struct der_party party;
	struct enc c;

	enc_init(&c);
	d.party = enc_party(&c, &party, r->party);
	d.list_sha256 = enc_bytes(&c, r->list_sha256);
	d.items = enc_count(r->items);
	d.format = enc_text(&c, r->format);
	d.mechanism = enc_text(&c, r->mechanism);
	d.jobs = enc_count(r->jobs);
	d.options = enc_text(&c, r->options);
	d.outputs_sha256 = enc_bytes(&c, r->outputs_sha256);
	d.resumes = enc_bytes(&c, r->resumes);
	return enc_emit(&c, &d, ASN1_ITEM_rptr(REC_BATCH_OPENED), to, e);
}

int
record_batch_closed_encode(
	const struct rec_batch_closed *r, struct buf *to, struct ofs_error *e)
{
	struct der_batch_closed d;
	struct enc c;

	enc_init(&c);
	d.opened_seq = enc_count(r->opened_seq);
	d.signed_ = enc_count(r->signed_);
	d.failed = enc_count(r->failed);
	d.skipped = enc_count(r->skipped);
	d.not_attempted = enc_count(r->not_attempted);
	d.unknown = enc_count(r->unknown);
	d.code = r->code;
	d.reason = enc_text(&c, r->reason);
	d.list_sha256 = enc_bytes(&c, r->list_sha256);
	return enc_emit(&c, &d, ASN1_ITEM_rptr(REC_BATCH_CLOSED), to, e);
}

/* items and their documents in arrays of the caller */
static void
fill_items(struct enc *c, const struct rec_intent *r,
	struct der_intent_item *items, struct der_document *docs,
	OPENSSL_STACK *list)
{
	for (size_t i = 0; i < r->n; i++) {
		if (i > 0 && r->items[i].index <= r->items[i - 1].index)
			c->missing = "ascending order of items";
		items[i].index = enc_count(r->items[i].index);
		items[i].doc = enc_document(c, &docs[i], &r->items[i].doc);
		if (OPENSSL_sk_push(list, &items[i]) <= 0)
			c->nomem = true;
	}
}

int
record_intent_encode(
	const struct rec_intent *r, struct buf *to, struct ofs_error *e)
{
	struct der_intent d = { .purpose = (int64_t)r->purpose };
	struct der_intent_item *items = NULL;
	struct der_document *docs = NULL;
	struct der_party party;
	struct enc c;
	int rc;

	if (r->n == 0 || r->n > RECORD_BODY_MAX / 16)
		return err_set(e, OFS_EINTERNAL,
			"cannot encode an intent of %zu items", r->n);
	enc_init(&c);
	enc_reserve(&c, r->n * DOCUMENT_STRINGS);
	items = calloc(r->n, sizeof(*items));
	docs = calloc(r->n, sizeof(*docs));
	d.items = OPENSSL_sk_new_reserve(NULL, (int)r->n);
	if (items == NULL || docs == NULL || d.items == NULL)
		c.nomem = true;
	else
		fill_items(&c, r, items, docs, d.items);
	if (r->party.p != NULL)
		d.party = enc_party(&c, &party, r->party);
	rc = enc_emit(&c, &d, ASN1_ITEM_rptr(REC_INTENT), to, e);
	OPENSSL_sk_free(d.items);
	free(docs);
	free(items);
	return rc;
}

int
record_outcome_encode(
	const struct rec_outcome *r, struct buf *to, struct ofs_error *e)
{
	struct der_outcome d;
	struct der_document doc;
	struct der_party party;
	struct enc c;

	enc_init(&c);
	d.intent_seq = enc_count(r->intent_seq);
	d.index = enc_count(r->index);
	d.purpose = (int64_t)r->purpose;
	d.status = (int64_t)r->status;
	d.doc = enc_document(&c, &doc, &r->doc);
	d.format = enc_text(&c, r->format);
	d.party = enc_party(&c, &party, r->party);
	d.mechanism = enc_text(&c, r->mechanism);
	d.signed_bytes = enc_bytes(&c, r->signed_bytes);
	d.signature = enc_bytes(&c, r->signature);
	d.output_sha256 = enc_bytes(&c, r->output_sha256);
	d.output_path = enc_name(&c, r->output_path);
	d.verified = enc_bool(r->verified);
	d.ckr = enc_count(r->ckr);
	d.attempts = enc_count(r->attempts);
	d.token_us = r->token_us;
	d.code = r->code;
	d.reason = enc_text(&c, r->reason);
	return enc_emit(&c, &d, ASN1_ITEM_rptr(REC_OUTCOME), to, e);
}

int
record_recovery_encode(
	const struct rec_recovery *r, struct buf *to, struct ofs_error *e)
{
	struct der_recovery d;
	struct enc c;

	enc_init(&c);
	d.intent_seq = enc_count(r->intent_seq);
	d.unknown = enc_count(r->unknown);
	d.reason = enc_text(&c, r->reason);
	return enc_emit(&c, &d, ASN1_ITEM_rptr(REC_RECOVERY), to, e);
}

int
record_release_encode(
	const struct rec_release *r, struct buf *to, struct ofs_error *e)
{
	struct der_release d;
	struct enc c;

	enc_init(&c);
	d.outcome_seq = enc_count(r->outcome_seq);
	d.path = enc_name(&c, r->path);
	d.result = enc_text(&c, r->result);
	return enc_emit(&c, &d, ASN1_ITEM_rptr(REC_RELEASE), to, e);
}

int
record_login_encode(
	const struct rec_login *r, struct buf *to, struct ofs_error *e)
{
	struct der_login d;
	struct der_token token;
	struct der_operator operator_;
	struct enc c;

	enc_init(&c);
	d.token = enc_token(&c, &token, &r->token);
	d.operator_ = enc_operator(&c, &operator_, &r->operator_);
	d.user = enc_text(&c, r->user);
	d.ok = enc_bool(r->ok);
	d.ckr = enc_count(r->ckr);
	d.code = r->code;
	d.reason = enc_text(&c, r->reason);
	return enc_emit(&c, &d, ASN1_ITEM_rptr(REC_LOGIN), to, e);
}

int
record_key_lent_encode(
	const struct rec_key_lent *r, struct buf *to, struct ofs_error *e)
{
	struct der_key_lent d;
	struct der_party party;
	struct enc c;

	enc_init(&c);
	d.party = enc_party(&c, &party, r->party);
	d.purpose = enc_text(&c, r->purpose);
	return enc_emit(&c, &d, ASN1_ITEM_rptr(REC_KEY_LENT), to, e);
}

int
record_key_event_encode(
	const struct rec_key_event *r, struct buf *to, struct ofs_error *e)
{
	struct der_key_event d;
	struct der_party party;
	struct enc c;

	enc_init(&c);
	d.event = enc_text(&c, r->event);
	d.party = enc_party(&c, &party, r->party);
	d.spki = enc_bytes(&c, r->spki);
	d.sensitive = r->sensitive;
	d.extractable = r->extractable;
	d.always_sensitive = r->always_sensitive;
	d.never_extractable = r->never_extractable;
	d.local = r->local;
	d.always_authenticate = r->always_authenticate;
	d.sign = r->sign;
	d.certificate = enc_bytes(&c, r->certificate);
	d.attestation_sha256 = enc_bytes(&c, r->attestation_sha256);
	d.attestation_issuer_sha256 =
		enc_bytes(&c, r->attestation_issuer_sha256);
	d.use = enc_text(&c, r->use);
	return enc_emit(&c, &d, ASN1_ITEM_rptr(REC_KEY_EVENT), to, e);
}

int
record_token_event_encode(
	const struct rec_token_event *r, struct buf *to, struct ofs_error *e)
{
	struct der_token_event d;
	struct der_token token;
	struct der_operator operator_;
	struct enc c;

	enc_init(&c);
	d.event = enc_text(&c, r->event);
	d.token = enc_token(&c, &token, &r->token);
	d.operator_ = enc_operator(&c, &operator_, &r->operator_);
	return enc_emit(&c, &d, ASN1_ITEM_rptr(REC_TOKEN_EVENT), to, e);
}

static void
fill_wraps(struct enc *c, const struct rec_epoch *r, struct der_wrap *wraps,
	OPENSSL_STACK *list)
{
	for (size_t i = 0; i < r->n; i++) {
		wraps[i].what = enc_text(c, r->wraps[i].what);
		wraps[i].kind = enc_text(c, r->wraps[i].kind);
		wraps[i].hint = enc_text(c, r->wraps[i].hint);
		wraps[i].data = enc_bytes(c, r->wraps[i].data);
		if (wraps[i].what == NULL || wraps[i].kind == NULL ||
			wraps[i].data == NULL)
			c->missing = "kind or data of a wrapped key";
		if (OPENSSL_sk_push(list, &wraps[i]) <= 0)
			c->nomem = true;
	}
}

int
record_epoch_encode(
	const struct rec_epoch *r, struct buf *to, struct ofs_error *e)
{
	struct der_epoch d;
	struct der_operator operator_;
	struct der_wrap *wraps = calloc(r->n + 1, sizeof(*wraps));
	struct enc c;
	int rc;

	if (r->n > RECORD_WRAPS_MAX) {
		free(wraps);
		return err_set(e, OFS_EINVAL,
			"a key of the audit log can be wrapped %d times at "
			"most",
			RECORD_WRAPS_MAX);
	}
	enc_init(&c);
	enc_reserve(&c, 4 * r->n + 8);
	d.epoch = (int64_t)r->epoch;
	d.key_commit = enc_bytes(&c, r->key_commit);
	d.reason = enc_text(&c, r->reason);
	d.operator_ = enc_operator(&c, &operator_, &r->operator_);
	d.wraps = OPENSSL_sk_new_reserve(NULL, (int)r->n);
	if (wraps == NULL || d.wraps == NULL)
		c.nomem = true;
	else
		fill_wraps(&c, r, wraps, d.wraps);
	rc = enc_emit(&c, &d, ASN1_ITEM_rptr(REC_EPOCH), to, e);
	OPENSSL_sk_free(d.wraps);
	free(wraps);
	return rc;
}

int
record_anchor_encode(
	const struct rec_anchor *r, struct buf *to, struct ofs_error *e)
{
	struct der_anchor d;
	struct der_operator operator_;
	struct enc c;

	enc_init(&c);
	d.kind = enc_text(&c, r->kind);
	d.records = enc_count(r->records);
	d.root = enc_bytes(&c, r->root);
	d.place = enc_text(&c, r->place);
	d.data = enc_bytes(&c, r->data);
	d.operator_ = enc_operator(&c, &operator_, &r->operator_);
	if (d.kind == NULL || d.root == NULL)
		c.missing = "kind or root";
	return enc_emit(&c, &d, ASN1_ITEM_rptr(REC_ANCHOR), to, e);
}

int
record_log_event_encode(
	const struct rec_log_event *r, struct buf *to, struct ofs_error *e)
{
	struct der_log_event d;
	struct der_operator operator_;
	struct enc c;

	enc_init(&c);
	d.event = enc_text(&c, r->event);
	d.operator_ = enc_operator(&c, &operator_, &r->operator_);
	d.first = enc_count(r->first);
	d.last = enc_count(r->last);
	d.count = enc_count(r->count);
	d.sha256 = enc_bytes(&c, r->sha256);
	d.path = enc_name(&c, r->path);
	d.reason = enc_text(&c, r->reason);
	d.authorisation = enc_bytes(&c, r->authorisation);
	if (d.event == NULL)
		c.missing = "event";
	return enc_emit(&c, &d, ASN1_ITEM_rptr(REC_LOG_EVENT), to, e);
}
