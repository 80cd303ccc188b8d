/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The certificates of those who may read an encrypted log. */
#include <string.h>

#include "audit/auditors.h"

#include "base/ctx.h"
#include "audit/handle.h"
#include "crypto/cert.h"
#include "crypto/wrap.h"

int
auditors_find(STACK_OF(X509) *all, const uint8_t sha256[32])
{
	struct ofs_error ignored;
	uint8_t sum[32];
	int i;

	for (i = 0; i < sk_X509_num(all); i++)
		if (cert_sha256(sk_X509_value(all, i), sum, &ignored) == 0 &&
			memcmp(sum, sha256, sizeof(sum)) == 0)
			return i;
	return -1;
}

static int
add(ofs_audit *a, X509 *c, STACK_OF(X509) *to, struct buf *sums,
	struct ofs_error *e)
{
	uint8_t sum[32];
	int rc;

	rc = wrap_x509_check(c, ctx_now(a->ctx), e);
	if (rc == 0)
		rc = cert_sha256(c, sum, e);
	if (rc != 0 || auditors_find(to, sum) >= 0)
		return rc;
	if (X509_add_cert(to, c, X509_ADD_FLAG_UP_REF) != 1)
		return err_nomem(e);
	buf_put(sums, sum, sizeof(sum));
	return buf_ok(sums) ? 0 : err_nomem(e);
}

int
auditors_parse(ofs_audit *a, const struct ofs_audit_cert *certs, size_t n,
	STACK_OF(X509) **out, struct buf *sums, struct ofs_error *e)
{
	STACK_OF(X509) *in, *all;
	struct ofs_error why;
	size_t i;
	int rc = 0;

	*out = NULL;
	all = sk_X509_new_null();
	if (all == NULL)
		return err_nomem(e);
	for (i = 0; i < n && rc == 0; i++) {
		in = NULL;
		rc = cert_list_parse(certs[i].p, certs[i].n, &in, &why);
		if (rc != 0)
			rc = err_set(e, rc,
				"file %zu of those of auditors' certificates: "
				"%s",
				i + 1, why.message);
		if (rc == 0 && sk_X509_num(in) != 1)
			rc = err_set(e, OFS_ECERT,
				"file %zu of those of auditors' certificates "
				"holds %d of them instead of one",
				i + 1, sk_X509_num(in));
		if (rc == 0)
			rc = add(a, sk_X509_value(in, 0), all, sums, e);
		sk_X509_pop_free(in, X509_free);
	}
	if (rc == 0)
		*out = all;
	else
		sk_X509_pop_free(all, X509_free);
	return rc;
}

int
auditors_keep(ofs_audit *a, STACK_OF(X509) *all, struct ofs_error *e)
{
	struct buf der = BUF_INIT;
	uint8_t sum[32];
	int i, rc = 0;

	for (i = 0; i < sk_X509_num(all) && rc == 0; i++) {
		buf_reset(&der);
		rc = cert_to_der(sk_X509_value(all, i), &der, e);
		if (rc == 0)
			rc = digest_of(&digest_sha256, der.p, der.len, sum, e);
		if (rc == 0)
			rc = store_cert_put(&a->store, sum, der.p, der.len, e);
	}
	buf_free(&der);
	return rc;
}
