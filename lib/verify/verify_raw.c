/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The verdict over a bare signature by a signer that was named. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ctx.h"
#include "crypto/cert.h"
#include "crypto/pubkey.h"
#include "format/raw.h"
#include "verify/chain.h"
#include "verify/verifier.h"

#define N_DIGESTS 3

struct raw_job {
	ofs_verifier *v;
	const struct document *doc;
	const uint8_t *sig;
	size_t sig_len;
	struct ofs_verdict *out;
	struct document_prefix prefix;
};

static int
refuse_attrs(struct ofs_error *e)
{
	return err_set(e, OFS_ESIGNATURE,
		"the document looks like the signed attributes of a CMS "
		"signature: its raw signature could be that of another "
		"document");
}

/*
 * The file does not say which digest was used: tries these, in one reading of
 * the document. 0, OFS_ESIGNATURE if it is none of them.
 */
static int
try_digests(struct raw_job *j, const struct alg **algs, size_t n,
	struct ofs_error *e)
{
	struct document_hash h[N_DIGESTS];
	int err;

	for (size_t i = 0; i < n; i++)
		h[i].alg = algs[i]->digest;
	err = document_hash(j->doc, h, n, &j->prefix, e);
	if (err != 0)
		return err;
	if (raw_looks_like_attrs(j->prefix.p, j->prefix.n, j->prefix.total))
		return refuse_attrs(e);
	err = OFS_ESIGNATURE;
	for (size_t i = 0; i < n && err == OFS_ESIGNATURE; i++) {
		err = pubkey_verify(j->v->signer_key, algs[i], h[i].hash,
			j->sig, j->sig_len, e);
		/* a key from outside may be one that OpenSSL cannot try */
		if (err != 0 && err != OFS_ENOMEM)
			err = OFS_ESIGNATURE;
		if (err != 0)
			continue;
		snprintf(j->out->algorithm, sizeof(j->out->algorithm), "%s",
			algs[i]->name);
		if (algs[i]->digest->id == OFS_DIGEST_SHA256)
			memcpy(j->out->document_sha256, h[i].hash, 32);
	}
	if (err == OFS_ESIGNATURE)
		err_set(e, OFS_ESIGNATURE,
			"the signature was not made over this document with "
			"the named signer's key");
	return err;
}

/* the key's own digest first: one hash is enough for most files */
static int
check_valid(struct raw_job *j, struct ofs_error *e)
{
	enum ofs_key_type type = pubkey_type(j->v->signer_key);
	const struct alg *first = alg_for(type, OFS_DIGEST_DEFAULT);
	const struct alg *others[N_DIGESTS];
	size_t n = 0;
	int err;

	err = try_digests(j, &first, 1, e);
	if (err != OFS_ESIGNATURE)
		return err;
	for (int id = OFS_DIGEST_SHA256; id <= OFS_DIGEST_SHA512; id++) {
		const struct alg *a = alg_for(type, (enum ofs_digest)id);

		if (a != NULL && a != first)
			others[n++] = a;
	}
	return n > 0 ? try_digests(j, others, n, e) : err;
}

/*
 * A certificate that was given by the verifier's user is trusted as it is,
 * unless there are anchors: then it must lead to one.
 */
static int
check_trust(struct raw_job *j, struct ofs_error *e)
{
	ofs_verifier *v = j->v;
	struct chain_rules rules = { .anchors = v->anchors, .crls = v->crls };
	struct chain chain = { NULL, false };
	STACK_OF(X509) *own = NULL;
	int err;

	err = verdict_signer(j->out, v->signer_cert, e);
	if (err == 0)
		err = chain_check_signer(v->signer_cert, e);
	if (err != 0)
		return err;
	if (v->opts.time == OFS_TIME_CLAIMED)
		return err_set(e, OFS_EUNTRUSTED,
			"a raw signature claims no time that the certificate "
			"could be judged at; check it at a time that you know");
	rules.at = v->opts.time == OFS_TIME_AT ? v->opts.at : ctx_now(v->ctx);
	if (sk_X509_num(v->anchors) == 0) {
		rules.anchors = own = sk_X509_new_null();
		if (own == NULL || sk_X509_push(own, v->signer_cert) == 0)
			err = err_nomem(e);
	}
	if (err == 0)
		err = chain_verify(&rules, v->signer_cert, &chain, e);
	if (err == 0 && sk_X509_num(chain.certs) == 1 && chain.anchor_unchecked)
		j->out->revocation_not_checked = true;
	chain_clear(&chain);
	sk_X509_free(own);
	return err;
}

int
verify_raw(ofs_verifier *v, const struct document *doc, const uint8_t *sig,
	size_t sig_len, struct ofs_verdict *out, struct ofs_error *e)
{
	struct raw_job j = { v, doc, sig, sig_len, out, { NULL, 0, 0 } };
	int err;

	snprintf(out->format, sizeof(out->format), "raw");
	if (sig_len == 0 || sig_len > VERIFY_RAW_MAX)
		return err_set(e, OFS_EUNREADABLE,
			"cannot read the signature: a raw one has between 1 "
			"and %d bytes",
			VERIFY_RAW_MAX);
	if (v->signer_key == NULL)
		return err_set(e, OFS_EUNTRUSTED,
			"a raw signature does not say who made it; pass the "
			"certificate or public key with --signer");
	err = chain_check_key(v->signer_key, e);
	if (err != 0)
		return err;
	j.prefix.p = malloc(RAW_PREFIX);
	if (j.prefix.p == NULL)
		return err_nomem(e);
	err = check_valid(&j, e);
	free(j.prefix.p);
	if (err != 0)
		return err;
	if (v->signer_cert != NULL)
		return check_trust(&j, e);
	/* nobody has issued a bare key, so nobody can have revoked it */
	out->revocation_not_checked = true;
	return 0;
}
