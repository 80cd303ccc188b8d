/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether a certificate leads to a trust anchor at a moment, offline. */
#include <stdio.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/time.h"
#include "crypto/cert.h"
#include "crypto/pubkey.h"
#include "verify/chain.h"

#define RSA_BITS_MIN 2048
#define AUTH_LEVEL 2 /* 112 bits: RSA-2048, SHA-256 */
#define DEPTH_MAX 32

/* What the callback needs to know; hangs on the X509_STORE_CTX. */
struct walk {
	bool anchor_unchecked;
	int first_error; /* the one that is reported */
	char subject[256];
};

/* An error of a CRL, not of the certificate. */
static bool
is_crl_error(int error)
{
	switch (error) {
	case X509_V_ERR_UNABLE_TO_GET_CRL:
	case X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER:
	case X509_V_ERR_UNABLE_TO_DECRYPT_CRL_SIGNATURE:
	case X509_V_ERR_CRL_SIGNATURE_FAILURE:
	case X509_V_ERR_CRL_NOT_YET_VALID:
	case X509_V_ERR_CRL_HAS_EXPIRED:
	case X509_V_ERR_ERROR_IN_CRL_LAST_UPDATE_FIELD:
	case X509_V_ERR_ERROR_IN_CRL_NEXT_UPDATE_FIELD:
	case X509_V_ERR_KEYUSAGE_NO_CRL_SIGN:
	case X509_V_ERR_UNHANDLED_CRITICAL_CRL_EXTENSION:
	case X509_V_ERR_DIFFERENT_CRL_SCOPE:
	case X509_V_ERR_CRL_PATH_VALIDATION_ERROR:
		return true;
	default:
		return false;
	}
}

/*
 * OpenSSL asks for a CRL of the anchor too. RFC 5280 6.1 does not validate the
 * anchor, and one that is pinned need not have an issuer at hand. A CRL that
 * does list the anchor as revoked still refuses: that is no CRL error.
 */
static int
on_verify(int ok, X509_STORE_CTX *ctx)
{
	X509_STORE_CTX *parent = X509_STORE_CTX_get0_parent_ctx(ctx);
	STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(ctx);
	int error = X509_STORE_CTX_get_error(ctx);
	int depth = X509_STORE_CTX_get_error_depth(ctx);
	struct walk *w;

	if (ok)
		return 1;
	/* the path of a CRL's issuer is a context of its own */
	w = X509_STORE_CTX_get_app_data(parent != NULL ? parent : ctx);
	if (w == NULL)
		return 0;
	if (is_crl_error(error) && chain != NULL &&
		depth == sk_X509_num(chain) - 1) {
		if (parent == NULL)
			w->anchor_unchecked = true;
		X509_STORE_CTX_set_error(ctx, X509_V_OK);
		return 1;
	}
	if (parent == NULL && w->first_error == X509_V_OK) {
		X509 *c = X509_STORE_CTX_get_current_cert(ctx);

		w->first_error = error;
		if (c != NULL)
			cert_subject(c, w->subject, sizeof(w->subject));
	}
	return 0;
}

/* a certificate that is itself an anchor needs no other */
static X509_STORE *
make_store(const struct chain_rules *r, X509 *pinned)
{
	X509_STORE *s = X509_STORE_new();

	if (s == NULL)
		return NULL;
	if (pinned != NULL && X509_STORE_add_cert(s, pinned) != 1)
		goto fail;
	for (int i = 0; pinned == NULL && i < sk_X509_num(r->anchors); i++)
		if (X509_STORE_add_cert(s, sk_X509_value(r->anchors, i)) != 1)
			goto fail;
	for (int i = 0; r->crls != NULL && i < sk_X509_CRL_num(r->crls); i++)
		if (X509_STORE_add_crl(s, sk_X509_CRL_value(r->crls, i)) != 1)
			goto fail;
	return s;
fail:
	X509_STORE_free(s);
	return NULL;
}

/*
 * OpenSSL's partial chains may go on behind an anchor with certificates that
 * it has not verified: these are no part of the chain.
 */
static void
end_at_anchor(STACK_OF(X509) *chain, STACK_OF(X509) *anchors)
{
	int n = 0;

	while (n < sk_X509_num(chain) &&
		!chain_has(anchors, sk_X509_value(chain, n)))
		n++;
	while (sk_X509_num(chain) > n + 1)
		X509_free(sk_X509_pop(chain));
}

/*
 * Not X509_V_FLAG_X509_STRICT: it refuses chains without key identifiers, as
 * many a private CA's are. That every certificate between the signer's and the
 * anchor says CA:TRUE (RFC 5280 6.1.4 k) is checked without it.
 */
static bool
set_rules(X509_STORE_CTX *ctx, const struct chain_rules *r, struct walk *w)
{
	X509_VERIFY_PARAM *p = X509_STORE_CTX_get0_param(ctx);
	unsigned long flags = X509_V_FLAG_PARTIAL_CHAIN;
	int64_t s = r->at / 1000000 - (r->at % 1000000 < 0);

	if (r->crls != NULL && sk_X509_CRL_num(r->crls) > 0)
		flags |= X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL |
			X509_V_FLAG_EXTENDED_CRL_SUPPORT |
			X509_V_FLAG_USE_DELTAS;
	X509_VERIFY_PARAM_set_auth_level(p, AUTH_LEVEL);
	X509_VERIFY_PARAM_set_depth(p, DEPTH_MAX);
	X509_VERIFY_PARAM_set_time(p, (time_t)s);
	X509_STORE_CTX_set_verify_cb(ctx, on_verify);
	return X509_VERIFY_PARAM_set_flags(p, flags) == 1 &&
		X509_STORE_CTX_set_app_data(ctx, w) == 1;
}

static int
describe(const struct walk *w, const struct chain_rules *r, X509 *c,
	struct ofs_error *e)
{
	char name[256], when[TIME_TEXT_SIZE];
	const char *subject = w->subject;
	const char *hint = "";

	if (subject[0] == '\0') {
		cert_subject(c, name, sizeof(name));
		subject = name;
	}
	switch (w->first_error) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return err_set(e, OFS_EUNTRUSTED,
			"certificate '%s' %s at the time of the check, %s",
			subject,
			w->first_error == X509_V_ERR_CERT_HAS_EXPIRED
				? "has expired"
				: "is not yet valid",
			time_rfc3339(when, r->at, false));
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_CERT_UNTRUSTED:
		return err_set(e, OFS_EUNTRUSTED,
			"certificate '%s' leads to no trusted certificate; "
			"pass its CA or itself with --trust",
			subject);
	case X509_V_ERR_UNABLE_TO_GET_CRL:
		hint = "; pass that of its issuer with --crl";
		break;
	default:
		break;
	}
	return err_set(e, OFS_EUNTRUSTED, "certificate '%s': %s%s", subject,
		X509_verify_cert_error_string(w->first_error), hint);
}

int
chain_verify(const struct chain_rules *r, X509 *c, struct chain *out,
	struct ofs_error *e)
{
	struct walk w = { false, X509_V_OK, "" };
	X509 *pinned = chain_has(r->anchors, c) ? c : NULL;
	X509_STORE *store = make_store(r, pinned);
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	int err = 0;

	out->certs = NULL;
	out->anchor_unchecked = false;
	if (store == NULL || ctx == NULL ||
		X509_STORE_CTX_init(ctx, store, c,
			pinned != NULL ? NULL : r->untrusted) != 1 ||
		!set_rules(ctx, r, &w)) {
		err = err_nomem(e);
		goto out;
	}
	if (X509_verify_cert(ctx) != 1) {
		if (w.first_error == X509_V_OK)
			w.first_error = X509_STORE_CTX_get_error(ctx);
		if (w.first_error == X509_V_OK)
			w.first_error = X509_V_ERR_UNSPECIFIED;
		err = describe(&w, r, c, e);
		goto out;
	}
	out->certs = X509_STORE_CTX_get1_chain(ctx);
	out->anchor_unchecked = w.anchor_unchecked;
	if (out->certs == NULL) {
		err = err_nomem(e);
		goto out;
	}
	end_at_anchor(out->certs, r->anchors);
out:
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	ERR_clear_error();
	if (err != 0)
		chain_clear(out);
	return err;
}

void
chain_clear(struct chain *c)
{
	sk_X509_pop_free(c->certs, X509_free);
	c->certs = NULL;
	c->anchor_unchecked = false;
}

int
chain_check_key(const EVP_PKEY *k, struct ofs_error *e)
{
	char what[64];

	pubkey_describe(k, what, sizeof(what));
	if (pubkey_type(k) == OFS_KEY_OTHER)
		return err_set(e, OFS_EUNTRUSTED,
			"a signature with a %s key is not supported", what);
	if (pubkey_type(k) == OFS_KEY_RSA && pubkey_bits(k) < RSA_BITS_MIN)
		return err_set(e, OFS_EUNTRUSTED,
			"a signature with a %s key is too weak; at least %d "
			"bits are needed",
			what, RSA_BITS_MIN);
	return 0;
}

int
chain_check_signer(X509 *c, struct ofs_error *e)
{
	char name[256];

	if ((X509_get_key_usage(c) &
		    (KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION)) == 0) {
		cert_subject(c, name, sizeof(name));
		return err_set(e, OFS_EUNTRUSTED,
			"certificate '%s' is not for signing: its key usage "
			"has neither digitalSignature nor nonRepudiation",
			name);
	}
	return chain_check_key(X509_get0_pubkey(c), e);
}

bool
chain_has(STACK_OF(X509) *list, X509 *c)
{
	for (int i = 0; i < sk_X509_num(list); i++)
		if (X509_cmp(sk_X509_value(list, i), c) == 0)
			return true;
	return false;
}
