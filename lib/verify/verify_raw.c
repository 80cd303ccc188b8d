/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The verdict over a bare signature by a signer that was named. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ctx.h"
#include "base/file.h"
#include "base/text.h"
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

static int
not_signed(struct ofs_error *e)
{
	return err_set(e, OFS_ESIGNATURE,
		"the signature was not made over this document with the named "
		"signer's key");
}

/* 0, OFS_ESIGNATURE or OFS_ENOMEM */
static int
try_alg(struct raw_job *j, const struct to_sign *t, struct ofs_error *e)
{
	int err = pubkey_verify_signed(
		j->v->signer_key, t, j->sig, j->sig_len, e);

	/* a key from outside may be one that OpenSSL cannot try */
	if (err != 0)
		return err == OFS_ENOMEM ? err : not_signed(e);
	snprintf(j->out->algorithm, sizeof(j->out->algorithm), "%s",
		t->alg->name);
	if (t->hash != NULL && t->alg->digest->id == OFS_DIGEST_SHA256)
		memcpy(j->out->document_sha256, t->hash, 32);
	return 0;
}

/*
 * The file does not say which digest and which padding were used: tries each
 * padding with these digests, in one reading of the document.
 */
static int
try_digests(struct raw_job *j, enum ofs_key_type type, struct document_hash *h,
	size_t n, struct ofs_error *e)
{
	static const enum ofs_padding paddings[] = { OFS_PADDING_DEFAULT,
		OFS_PADDING_PSS };
	int err;

	err = document_hash(j->doc, h, n, &j->prefix, e);
	if (err != 0)
		return err;
	if (raw_looks_like_attrs(j->prefix.p, j->prefix.n, j->prefix.total))
		return refuse_attrs(e);
	err = not_signed(e);
	for (size_t i = 0; i < n; i++)
		for (size_t pad = 0; pad < 2; pad++) {
			struct to_sign t = { .hash = h[i].hash };

			t.alg = alg_padded(type, paddings[pad], h[i].alg->id);
			if (err == OFS_ESIGNATURE && t.alg != NULL)
				err = try_alg(j, &t, e);
		}
	return err;
}

/* the key's own digest first: one hash is enough for most files */
static int
check_hashed(struct raw_job *j, enum ofs_key_type type, struct ofs_error *e)
{
	enum ofs_digest first = alg_default_digest(type);
	struct document_hash h[N_DIGESTS] = { { .alg = digest_by_id(first) } };
	size_t n = 0;
	int err;

	err = try_digests(j, type, h, 1, e);
	if (err != OFS_ESIGNATURE)
		return err;
	for (int id = OFS_DIGEST_SHA256; id <= OFS_DIGEST_SHA512; id++)
		if (id != (int)first &&
			alg_for(type, (enum ofs_digest)id) != NULL)
			h[n++].alg = digest_by_id((enum ofs_digest)id);
	return n > 0 ? try_digests(j, type, h, n, e) : err;
}

/* EdDSA is over the document itself: RFC 8032 */
static int
check_message(struct raw_job *j, const struct alg *alg, struct ofs_error *e)
{
	struct to_sign t = {
		.alg = alg, .message = j->doc->p, .message_len = j->doc->n
	};
	struct buf b = BUF_INIT;
	size_t head;
	int err = 0;

	if (j->doc->path != NULL) {
		err = file_read(j->doc->path, RAW_MESSAGE_MAX, &b, e);
		t.message = b.p != NULL ? b.p : (const uint8_t *)"";
		t.message_len = b.len;
	}
	if (err == OFS_EFORMAT)
		err = err_set(e, OFS_EUNREADABLE,
			"'%s' is larger than %u MiB, too large for a raw %s "
			"signature, which is over the document itself; have "
			"it signed as CMS",
			TEXT_Q(j->doc->path), RAW_MESSAGE_MAX >> 20, alg->name);
	head = t.message_len < RAW_PREFIX ? t.message_len : RAW_PREFIX;
	if (err == 0 && raw_looks_like_attrs(t.message, head, t.message_len))
		err = refuse_attrs(e);
	if (err == 0)
		err = try_alg(j, &t, e);
	buf_free(&b);
	return err;
}

static int
check_valid(struct raw_job *j, struct ofs_error *e)
{
	enum ofs_key_type type = pubkey_type(j->v->signer_key);
	const struct alg *alg = alg_for(type, OFS_DIGEST_DEFAULT);

	return alg->mech == ALG_EDDSA ? check_message(j, alg, e)
				      : check_hashed(j, type, e);
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
