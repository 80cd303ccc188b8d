/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The verifier handle: whom it trusts, and what it was told. */
#include <stdlib.h>
#include <string.h>

#include "base/ctx.h"
#include "crypto/cert.h"
#include "crypto/pubkey.h"
#include "verify/verifier.h"

int
ofs_verifier_new(
	ofs_ctx *ctx, const struct ofs_verifier_opts *opts, ofs_verifier **out)
{
	static const struct ofs_verifier_opts defaults = OFS_VERIFIER_OPTS_INIT;
	struct ofs_error e;
	ofs_verifier *v;

	if (out == NULL || ctx == NULL)
		return OFS_EINVAL;
	*out = NULL;
	if (opts == NULL)
		opts = &defaults;
	if (opts->size != sizeof(*opts) ||
		(opts->time != OFS_TIME_NOW && opts->time != OFS_TIME_AT &&
			opts->time != OFS_TIME_CLAIMED)) {
		err_set(&e, OFS_EINVAL,
			"cannot make a verifier: its options are wrong");
		return ctx_fail(ctx, &e);
	}
	v = calloc(1, sizeof(*v));
	if (v == NULL) {
		err_nomem(&e);
		return ctx_fail(ctx, &e);
	}
	v->ctx = ctx;
	v->opts = *opts;
	err_clear(&v->err);
	v->anchors = sk_X509_new_null();
	v->crls = sk_X509_CRL_new_null();
	if (v->anchors == NULL || v->crls == NULL) {
		ofs_verifier_free(v);
		err_nomem(&e);
		return ctx_fail(ctx, &e);
	}
	*out = v;
	return 0;
}

void
ofs_verifier_free(ofs_verifier *v)
{
	if (v == NULL)
		return;
	sk_X509_pop_free(v->anchors, X509_free);
	sk_X509_CRL_pop_free(v->crls, X509_CRL_free);
	X509_free(v->signer_cert);
	EVP_PKEY_free(v->signer_key);
	free(v);
}

const struct ofs_error *
ofs_verifier_error(const ofs_verifier *v)
{
	return &v->err;
}

int
ofs_verifier_trust(ofs_verifier *v, const void *p, size_t n)
{
	STACK_OF(X509) *list = NULL;
	X509 *c;
	int err;

	err_clear(&v->err);
	if (p == NULL)
		return err_set(&v->err, OFS_EINVAL, "no certificate was given");
	err = cert_list_parse(p, n, &list, &v->err);
	while (err == 0 && (c = sk_X509_shift(list)) != NULL)
		if (sk_X509_push(v->anchors, c) == 0) {
			X509_free(c);
			err = err_nomem(&v->err);
		}
	sk_X509_pop_free(list, X509_free);
	return err;
}

int
ofs_verifier_crl(ofs_verifier *v, const void *p, size_t n)
{
	STACK_OF(X509_CRL) *list = NULL;
	X509_CRL *c;
	int err;

	err_clear(&v->err);
	if (p == NULL)
		return err_set(&v->err, OFS_EINVAL, "no CRL was given");
	err = cert_crls_parse(p, n, &list, &v->err);
	while (err == 0 && (c = sk_X509_CRL_shift(list)) != NULL)
		if (sk_X509_CRL_push(v->crls, c) == 0) {
			X509_CRL_free(c);
			err = err_nomem(&v->err);
		}
	sk_X509_CRL_pop_free(list, X509_CRL_free);
	return err;
}

static int
signer_from_cert(const uint8_t *p, size_t n, X509 **cert, EVP_PKEY **key,
	struct ofs_error *e)
{
	STACK_OF(X509) *list = NULL;
	int err;

	err = cert_list_parse(p, n, &list, e);
	if (err != 0)
		return err;
	if (sk_X509_num(list) != 1)
		err = err_set(e, OFS_EFORMAT,
			"cannot tell who the signer is: there are %d "
			"certificates; give one",
			sk_X509_num(list));
	if (err == 0) {
		*cert = sk_X509_shift(list);
		*key = X509_get_pubkey(*cert);
		if (*key == NULL)
			err = err_ssl(e, OFS_EFORMAT,
				"cannot read the public key of the signer's "
				"certificate");
	}
	sk_X509_pop_free(list, X509_free);
	return err;
}

int
ofs_verifier_signer(ofs_verifier *v, const void *p, size_t n)
{
	static const char key_label[] = "-----BEGIN PUBLIC KEY-----";
	X509 *cert = NULL;
	EVP_PKEY *key = NULL;
	struct ofs_error ignored;
	int err;

	err_clear(&v->err);
	if (p == NULL || n == 0)
		return err_set(&v->err, OFS_EINVAL, "no signer was given");
	/* a bare key in PEM or DER, else a certificate; DER has a zero byte */
	if (memmem(p, n, key_label, sizeof(key_label) - 1) != NULL)
		err = pubkey_parse(p, n, &key, &v->err);
	else if (memchr(p, '\0', n) != NULL &&
		pubkey_parse(p, n, &key, &ignored) == 0)
		err = 0;
	else
		err = signer_from_cert(p, n, &cert, &key, &v->err);
	if (err != 0) {
		X509_free(cert);
		EVP_PKEY_free(key);
		return err;
	}
	X509_free(v->signer_cert);
	EVP_PKEY_free(v->signer_key);
	v->signer_cert = cert;
	v->signer_key = key;
	return 0;
}
