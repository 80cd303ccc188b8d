/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Public keys: used to verify. */
#include <openssl/err.h>
#include <openssl/rsa.h>

#include "crypto/der.h"
#include "crypto/pubkey.h"

static bool
set_padding(EVP_PKEY_CTX *ctx, const struct alg *a)
{
	switch (a->mech) {
	case ALG_RSA_PKCS1:
		return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) ==
			1;
	case ALG_RSA_PSS:
		return EVP_PKEY_CTX_set_rsa_padding(
			       ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
			EVP_PKEY_CTX_set_rsa_pss_saltlen(
				ctx, RSA_PSS_SALTLEN_DIGEST) == 1 &&
			EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, a->digest->md()) == 1;
	default:
		return true;
	}
}

static bool
init(struct pubkey_verifier *v, EVP_PKEY *k)
{
	if (v->alg->mech == ALG_EDDSA) {
		v->md = EVP_MD_CTX_new();
		if (v->md == NULL || EVP_PKEY_up_ref(k) != 1)
			return false;
		v->key = k;
		return true;
	}
	v->ctx = EVP_PKEY_CTX_new(k, NULL);
	return v->ctx != NULL && EVP_PKEY_verify_init(v->ctx) == 1 &&
		EVP_PKEY_CTX_set_signature_md(v->ctx, v->alg->digest->md()) ==
		1 &&
		set_padding(v->ctx, v->alg);
}

int
pubkey_verifier_init(struct pubkey_verifier *v, EVP_PKEY *k,
	const struct alg *alg, struct ofs_error *e)
{
	v->ctx = NULL;
	v->md = NULL;
	v->key = NULL;
	v->alg = alg;
	if (!alg_fits(alg, pubkey_type(k)))
		return err_set(e, OFS_EINTERNAL,
			"cannot verify %s with a key that is not for it",
			alg->name);
	if (!init(v, k)) {
		pubkey_verifier_free(v);
		return err_ssl(e, OFS_EINTERNAL, "cannot verify %s", alg->name);
	}
	return 0;
}

/* 1: right; 0: wrong; less: could not be tried */
static int
check(struct pubkey_verifier *v, const struct to_sign *t, const uint8_t *sig,
	size_t sig_len)
{
	switch (v->alg->mech) {
	case ALG_EDDSA:
		if (EVP_DigestVerifyInit(v->md, NULL, NULL, NULL, v->key) != 1)
			return -1;
		return EVP_DigestVerify(v->md, sig, sig_len, t->message,
			       t->message_len) == 1;
	case ALG_ECDSA:
		/* less than 0 is also for r and s that lead to no point */
		return der_is_ecdsa_sig(sig, sig_len) &&
			EVP_PKEY_verify(v->ctx, sig, sig_len, t->hash,
				v->alg->digest->size) == 1;
	default:
		return EVP_PKEY_verify(
			v->ctx, sig, sig_len, t->hash, v->alg->digest->size);
	}
}

int
pubkey_verifier_check(struct pubkey_verifier *v, const struct to_sign *t,
	const uint8_t *sig, size_t sig_len, struct ofs_error *e)
{
	int r;

	if (v->alg != t->alg ||
		(v->alg->mech == ALG_EDDSA ? t->message == NULL
					   : t->hash == NULL))
		return err_set(e, OFS_EINTERNAL,
			"cannot verify %s: what was signed is not known",
			v->alg->name);
	r = check(v, t, sig, sig_len);
	if (r == 1)
		return 0;
	if (r < 0)
		return err_ssl(
			e, OFS_EINTERNAL, "cannot verify %s", v->alg->name);
	ERR_clear_error();
	return err_set(e, OFS_ESIGNATURE,
		"signature does not match the key and the signed bytes");
}

void
pubkey_verifier_free(struct pubkey_verifier *v)
{
	EVP_PKEY_CTX_free(v->ctx);
	v->ctx = NULL;
	EVP_MD_CTX_free(v->md);
	v->md = NULL;
	EVP_PKEY_free(v->key);
	v->key = NULL;
}

int
pubkey_verify_signed(EVP_PKEY *k, const struct to_sign *t, const uint8_t *sig,
	size_t sig_len, struct ofs_error *e)
{
	struct pubkey_verifier v;
	int err;

	err = pubkey_verifier_init(&v, k, t->alg, e);
	if (err == 0)
		err = pubkey_verifier_check(&v, t, sig, sig_len, e);
	pubkey_verifier_free(&v);
	return err;
}

int
pubkey_verify(EVP_PKEY *k, const struct alg *alg, const uint8_t *hash,
	const uint8_t *sig, size_t sig_len, struct ofs_error *e)
{
	struct to_sign t = { .alg = alg, .hash = hash };

	return pubkey_verify_signed(k, &t, sig, sig_len, e);
}
