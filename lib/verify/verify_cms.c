/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The verdict over a CMS file: first valid or invalid, then trusted or not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/ctx.h"
#include "crypto/cert.h"
#include "format/oids.h"
#include "verify/chain.h"
#include "verify/made.h"
#include "verify/verify_cms.h"

static const uint8_t oid_data[] = { OID_DATA };

/* Everything about one file; large, so it lives on the heap. */
struct job {
	ofs_verifier *v;
	const struct document *doc;
	struct ofs_verdict *out;
	struct cms_data data;
	struct bag bag;
	struct signer signers[CMS_SIGNERS_MAX];
	struct chain chains[CMS_SIGNERS_MAX];
};

/* each algorithm of a signer is in the set, and each of the set is a signer's
 */
static int
check_digest_algs(const struct cms_data *d, struct ofs_error *e)
{
	bool used[CMS_DIGESTS_MAX] = { false };
	char name[160];

	for (size_t s = 0; s < d->n_signers; s++) {
		const struct tlv *own = &d->signers[s].digest_alg;
		const struct digest_alg *alg = cms_digest_alg(own);
		bool found = false;

		for (size_t i = 0; i < d->n_digest_algs; i++) {
			const struct tlv *t = &d->digest_algs[i];

			/* absent and NULL parameters are the same */
			if (!tlv_same(t, own->der, own->der_len) &&
				(alg == NULL || cms_digest_alg(t) != alg))
				continue;
			/* twice in the set: only the first counts */
			if (!found)
				used[i] = true;
			found = true;
		}
		cms_oid_text(own, name, sizeof(name));
		if (!found)
			return err_set(e, OFS_ESIGNATURE,
				"digestAlgorithms does not name %s, which a "
				"signer uses",
				name);
	}
	for (size_t i = 0; i < d->n_digest_algs; i++) {
		cms_oid_text(&d->digest_algs[i], name, sizeof(name));
		if (!used[i])
			return err_set(e, OFS_ESIGNATURE,
				"digestAlgorithms names %s, which no signer "
				"uses",
				name);
	}
	return 0;
}

/* What no signature covers must have its one possible form, or be absent. */
static int
check_frame(const struct cms_data *d, struct ofs_error *e)
{
	uint8_t version = 1;

	if (!tlv_same(&d->content_type, oid_data, sizeof(oid_data)))
		return err_set(e, OFS_ESIGNATURE,
			"the type of the content is not id-data");
	for (size_t i = 0; i < d->n_signers; i++) {
		if (d->signers[i].unsigned_attrs.p != NULL)
			return err_set(e, OFS_ESIGNATURE,
				"the file has unsigned attributes "
				"(time-stamps, counter-signatures): no "
				"signature covers these bytes, and the strict "
				"policy refuses them");
		if (d->signers[i].version == 3)
			version = 3;
	}
	if (d->crls.p != NULL)
		return err_set(e, OFS_ESIGNATURE,
			"the file has CRLs inside: no signature covers these "
			"bytes, and the strict policy refuses them; pass them "
			"with --crl");
	/* RFC 5652 5.1 */
	if (d->version != version)
		return err_set(e, OFS_ESIGNATURE,
			"SignedData has version %d and should have %d",
			d->version, version);
	return check_digest_algs(d, e);
}

static int
open_bag(struct job *j, struct ofs_error *e)
{
	const struct cms_data *d = &j->data;
	struct bag *b = &j->bag;

	for (b->n = 0; b->n < d->n_certs; b->n++) {
		const struct tlv *t = &d->certs[b->n];

		if (t->tag != TLV_SEQUENCE)
			return err_set(e, OFS_ESIGNATURE,
				"the file has a certificate inside that is not "
				"X.509, and in no signer's chain");
		if (b->n > 0 &&
			tlv_same(t, d->certs[b->n - 1].der,
				d->certs[b->n - 1].der_len))
			return err_set(e, OFS_ESIGNATURE,
				"the file has a certificate inside twice");
		if (cert_from_der(t->der, t->der_len, &b->certs[b->n], e) != 0)
			return err_set(e, OFS_EUNREADABLE,
				"cannot read certificate %zu in the file: %s",
				b->n + 1, e->message);
	}
	return 0;
}

static bool
issued(X509 *issuer, X509 *c)
{
	EVP_PKEY *k = X509_get0_pubkey(issuer);
	bool yes = k != NULL && X509_check_issued(issuer, c) == X509_V_OK &&
		X509_verify(c, k) == 1;

	ERR_clear_error();
	return yes;
}

/* from each signer's certificate upwards, whoever is trusted */
static int
check_bag(const struct job *j, struct ofs_error *e)
{
	const struct bag *b = &j->bag;
	bool reached[CMS_CERTS_MAX] = { false };
	size_t queue[CMS_CERTS_MAX], n = 0;
	char name[256];

	for (size_t s = 0; s < j->data.n_signers; s++)
		for (size_t i = 0; i < b->n; i++)
			if (!reached[i] && b->certs[i] == j->signers[s].cert) {
				reached[i] = true;
				queue[n++] = i;
			}
	for (size_t at = 0; at < n; at++)
		for (size_t i = 0; i < b->n; i++)
			if (!reached[i] &&
				issued(b->certs[i], b->certs[queue[at]])) {
				reached[i] = true;
				queue[n++] = i;
			}
	for (size_t i = 0; i < b->n; i++) {
		if (reached[i])
			continue;
		cert_subject(b->certs[i], name, sizeof(name));
		return err_set(e, OFS_ESIGNATURE,
			"certificate '%s' in the file is in no signer's chain",
			name);
	}
	return 0;
}

static int
check_hashes(const struct job *j, const struct document_hash *h, size_t n,
	const char *what, struct ofs_error *e)
{
	for (size_t s = 0; s < j->data.n_signers; s++)
		for (size_t i = 0; i < n; i++)
			if (h[i].alg == j->signers[s].digest &&
				memcmp(h[i].hash,
					j->signers[s].content_digest.p,
					h[i].alg->size) != 0)
				return err_set(e, OFS_ESIGNATURE,
					"%s is not what '%s' has signed: its "
					"%s is not that of signed attribute "
					"message-digest",
					what, j->signers[s].subject,
					h[i].alg->name);
	return 0;
}

/* the document, the content inside, or both: they must be what was signed */
static int
check_content(struct job *j, struct ofs_error *e)
{
	const struct tlv *content = &j->data.content;
	struct document inside = { NULL, content->p, content->n };
	struct document_hash h[3];
	size_t n = 0;
	int err = 0;

	for (size_t s = 0; s < j->data.n_signers; s++) {
		bool known = false;

		for (size_t i = 0; i < n; i++)
			known |= h[i].alg == j->signers[s].digest;
		if (!known)
			h[n++].alg = j->signers[s].digest;
	}
	if (content->p != NULL) {
		err = document_hash(&inside, h, n, NULL, e);
		if (err == 0)
			err = check_hashes(j, h, n, "the content inside", e);
	} else if (!document_given(j->doc)) {
		err = err_set(e, OFS_EUNREADABLE,
			"the signature has no content inside: name the "
			"document that it is for");
	}
	if (err == 0 && document_given(j->doc)) {
		err = document_hash(j->doc, h, n, NULL, e);
		if (err == 0)
			err = check_hashes(j, h, n, "the document", e);
	}
	for (size_t i = 0; i < n && err == 0; i++)
		if (h[i].alg->id == OFS_DIGEST_SHA256)
			memcpy(j->out->document_sha256, h[i].hash, 32);
	return err;
}

/* the part that depends on nobody's trust */
static int
check_valid(struct job *j, struct ofs_error *e)
{
	int err;

	err = check_frame(&j->data, e);
	if (err == 0)
		err = open_bag(j, e);
	for (size_t i = 0; i < j->data.n_signers && err == 0; i++) {
		j->signers[i].info = &j->data.signers[i];
		err = signer_check(&j->signers[i], &j->data, &j->bag, e);
	}
	if (err == 0)
		err = check_content(j, e);
	for (size_t i = 0; i < j->data.n_signers && err == 0; i++)
		err = signer_check_value(&j->signers[i], e);
	if (err == 0)
		err = check_bag(j, e);
	return err;
}

static bool
is_expected(const ofs_verifier *v, X509 *c)
{
	if (v->signer_cert != NULL)
		return X509_cmp(v->signer_cert, c) == 0;
	return v->signer_key == NULL || cert_has_key(c, v->signer_key);
}

/* the signer that the verdict is about; all of them must be right */
static int
describe(struct job *j, struct ofs_error *e)
{
	const struct signer *found = NULL, *s;
	int err;

	for (size_t i = 0; i < j->data.n_signers && found == NULL; i++)
		if (is_expected(j->v, j->signers[i].cert))
			found = &j->signers[i];
	s = found != NULL ? found : &j->signers[0];
	snprintf(j->out->algorithm, sizeof(j->out->algorithm), "%s",
		s->alg->name);
	j->out->signing_time = s->time;
	err = verdict_signer(j->out, s->cert, e);
	if (err == 0 && found == NULL)
		err = err_set(e, OFS_EUNTRUSTED,
			"the signature was made by '%s' and not by the signer "
			"that was named",
			s->subject);
	return err;
}

/* anchors for one signer; the list is borrowed or put into *own */
static int
find_anchors(const struct job *j, const struct signer *s, STACK_OF(X509) **own,
	STACK_OF(X509) **anchors, struct ofs_error *e)
{
	const ofs_verifier *v = j->v;

	*own = NULL;
	*anchors = v->anchors;
	if (sk_X509_num(v->anchors) > 0)
		return 0;
	/* a signer that was named is trusted as it is */
	if (v->signer_key == NULL || !is_expected(v, s->cert))
		return err_set(e, OFS_EUNTRUSTED,
			"no trust anchor was given for '%s'; pass its CA or "
			"the signer's certificate with --trust",
			s->subject);
	*own = *anchors = sk_X509_new_null();
	if (*own == NULL || sk_X509_push(*own, s->cert) == 0)
		return err_nomem(e);
	return 0;
}

static int64_t
moment(struct job *j, const struct signer *s)
{
	switch (j->v->opts.time) {
	case OFS_TIME_AT:
		return j->v->opts.at;
	case OFS_TIME_CLAIMED:
		j->out->time_unproven = true;
		return s->time;
	default:
		return ctx_now(j->v->ctx);
	}
}

/* RFC 5035 3: where it names more than one, only these and the anchor count */
static int
check_limits(const struct signer *s, const struct chain *c, struct ofs_error *e)
{
	char name[256];

	if (s->n_ids < 2)
		return 0;
	for (int i = 0; i < sk_X509_num(c->certs) - 1; i++) {
		X509 *x = sk_X509_value(c->certs, i);

		if (signer_names(s, x))
			continue;
		cert_subject(x, name, sizeof(name));
		return err_set(e, OFS_EUNTRUSTED,
			"certificate '%s' is not among those that signed "
			"attribute signing-certificate-v2 of '%s' allows",
			name, s->subject);
	}
	return 0;
}

static int
check_chain(
	struct job *j, size_t i, STACK_OF(X509) *untrusted, struct ofs_error *e)
{
	const struct signer *s = &j->signers[i];
	struct chain_rules rules = { .crls = j->v->crls,
		.untrusted = untrusted };
	STACK_OF(X509) *own;
	int err;

	err = signer_check_known(s, e);
	if (err == 0)
		err = chain_check_signer(s->cert, e);
	if (err != 0)
		return err;
	rules.at = moment(j, s);
	err = find_anchors(j, s, &own, &rules.anchors, e);
	if (err == 0)
		err = chain_verify(&rules, s->cert, &j->chains[i], e);
	if (err == 0)
		err = check_limits(s, &j->chains[i], e);
	if (err == 0 && sk_X509_num(j->chains[i].certs) == 1 &&
		j->chains[i].anchor_unchecked)
		j->out->revocation_not_checked = true;
	sk_X509_free(own);
	return err;
}

/*
 * Every byte of the file must be vouched for: a certificate inside that is in
 * no chain to an anchor, nor named with its hash by a signer, could have been
 * changed by anybody.
 */
static int
check_covered(struct job *j, STACK_OF(X509) *untrusted, struct ofs_error *e)
{
	struct chain_rules rules = { .anchors = j->v->anchors,
		.untrusted = untrusted };
	char name[256];

	for (size_t i = 0; i < j->bag.n; i++) {
		X509 *c = j->bag.certs[i];
		struct chain chain = { NULL, false };
		bool covered = false;

		for (size_t s = 0; s < j->data.n_signers && !covered; s++)
			covered = signer_names(&j->signers[s], c) ||
				chain_has(j->chains[s].certs, c);
		if (!covered) {
			rules.at = moment(j, &j->signers[0]);
			covered = chain_verify(&rules, c, &chain, e) == 0;
			chain_clear(&chain);
		}
		if (covered)
			continue;
		cert_subject(c, name, sizeof(name));
		return err_set(e, OFS_EUNTRUSTED,
			"certificate '%s' in the file leads to no trusted "
			"certificate, and no signature covers it; pass its CA "
			"with --trust",
			name);
	}
	return 0;
}

static int
check_trust(struct job *j, struct ofs_error *e)
{
	STACK_OF(X509) *untrusted = sk_X509_new_null();
	int err = 0;

	if (untrusted == NULL)
		return err_nomem(e);
	for (size_t i = 0; i < j->bag.n && err == 0; i++)
		if (sk_X509_push(untrusted, j->bag.certs[i]) == 0)
			err = err_nomem(e);
	for (size_t i = 0; i < j->data.n_signers && err == 0; i++)
		err = check_chain(j, i, untrusted, e);
	if (err == 0)
		err = check_covered(j, untrusted, e);
	sk_X509_free(untrusted);
	return err;
}

static void
job_free(struct job *j)
{
	for (size_t i = 0; i < CMS_CERTS_MAX; i++)
		X509_free(j->bag.certs[i]);
	for (size_t i = 0; i < CMS_SIGNERS_MAX; i++)
		chain_clear(&j->chains[i]);
	free(j);
}

int
verify_cms(ofs_verifier *v, const struct document *doc, const uint8_t *sig,
	size_t sig_len, struct ofs_verdict *out, struct ofs_error *e)
{
	struct job *j = calloc(1, sizeof(*j));
	int err;

	if (j == NULL)
		return err_nomem(e);
	j->v = v;
	j->doc = doc;
	j->out = out;
	err = cms_parse(sig, sig_len, &j->data, e);
	if (err == 0) {
		snprintf(out->format, sizeof(out->format), "%s",
			j->data.content.p != NULL ? "cms-attached" : "cms");
		err = check_valid(j, e);
	}
	if (err == 0)
		err = describe(j, e);
	if (err == 0)
		err = check_trust(j, e);
	job_free(j);
	return err;
}

/* check_valid(), with the digest of the document instead of the document */
static int
check_made(struct job *j, const struct digest_alg *alg, const uint8_t *digest,
	struct ofs_error *e)
{
	struct document_hash h = { .alg = alg };
	struct document none = { NULL, NULL, 0 };
	struct signer *s = &j->signers[0];
	int err;

	err = check_frame(&j->data, e);
	if (err == 0)
		err = open_bag(j, e);
	s->info = &j->data.signers[0];
	if (err == 0)
		err = signer_check(s, &j->data, &j->bag, e);
	if (err == 0 && (s->digest != alg || !is_expected(j->v, s->cert)))
		err = err_set(e, OFS_ESIGNATURE, "it is another key's");
	memcpy(h.hash, digest, alg->size);
	if (err == 0)
		err = check_hashes(j, &h, 1, "the document", e);
	j->doc = &none;
	if (err == 0 && j->data.content.p != NULL)
		err = check_content(j, e);
	if (err == 0)
		err = signer_check_value(s, e);
	return err != 0 ? err : check_bag(j, e);
}

int
made_cms(EVP_PKEY *key, const struct digest_alg *alg, const uint8_t *digest,
	bool attached, const uint8_t *sig, size_t sig_len, struct ofs_error *e)
{
	ofs_verifier v = { .signer_key = key };
	struct ofs_verdict ignored;
	struct job *j = calloc(1, sizeof(*j));
	int err;

	if (j == NULL)
		return err_nomem(e);
	j->v = &v;
	j->out = &ignored;
	err = cms_parse(sig, sig_len, &j->data, e);
	if (err == 0 &&
		(j->data.n_signers != 1 ||
			(j->data.content.p != NULL) != attached))
		err = err_set(e, OFS_ESIGNATURE, "it is of another form");
	if (err == 0)
		err = check_made(j, alg, digest, e);
	job_free(j);
	return err;
}
