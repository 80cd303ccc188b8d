/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes as a CMS file: the parser, the values in it, and the verdict. */
#include <stdlib.h>
#include <string.h>

#include <offlinesig/verify.h>

#include "format/cms_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
look_into(const struct cms_data *d)
{
	static struct cms_cert_id ids[CMS_CERT_IDS_MAX];
	char text[64];
	size_t count;
	int64_t us;
	bool null;

	for (size_t i = 0; i < d->n_digest_algs; i++) {
		(void)cms_digest_alg(&d->digest_algs[i]);
		cms_oid_text(&d->digest_algs[i], text, sizeof(text));
	}
	for (size_t s = 0; s < d->n_signers; s++) {
		const struct cms_signer *x = &d->signers[s];

		(void)cms_alg_nid(&x->sig_alg, &null);
		(void)cms_alg_oid_nid(&x->sig_alg);
		(void)alg_by_id(x->sig_alg.der, x->sig_alg.der_len);
		for (size_t a = 0; a < x->n_attrs; a++) {
			const struct cms_attr *at = &x->attrs[a];
			struct tlv v;

			(void)cms_attr_find(x, at->oid.der, at->oid.der_len);
			cms_oid_text(&at->oid, text, sizeof(text));
			if (cms_attr_value(at, TLV_SEQUENCE, &v))
				(void)cms_cert_ids(&v, ids, &count);
			if (cms_attr_value(at, TLV_UTC_TIME, &v) ||
				cms_attr_value(at, TLV_GENERALIZED_TIME, &v))
				(void)cms_time(&v, &us);
		}
	}
}

static ofs_verifier *
verifier(void)
{
	static ofs_verifier *v;
	ofs_ctx *ctx;

	if (v == NULL &&
		(ofs_ctx_new(NULL, &ctx) != 0 ||
			ofs_verifier_new(ctx, NULL, &v) != 0))
		abort();
	return v;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct cms_data d;
	struct ofs_verdict out;
	struct ofs_error e;
	int code;

	if (cms_parse(p, n, &d, &e) == 0)
		look_into(&d);
	(void)cms_looks_like(p, n);
	code = ofs_verify_bytes(
		verifier(), OFS_FORMAT_CMS_ATTACHED, NULL, 0, p, n, &out);
	/* nobody is trusted, so nothing can be valid; nor may it be a bug */
	if (code != OFS_ESIGNATURE && code != OFS_EUNTRUSTED &&
		code != OFS_EUNREADABLE && !(p == NULL && code == OFS_EINVAL))
		abort();
	if (strlen(out.reason) == 0)
		abort();
	return 0;
}
