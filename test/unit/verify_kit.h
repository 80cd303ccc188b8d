/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Signers, files and verifiers that the tests of verdicts share. */
#ifndef TEST_UNIT_VERIFY_KIT_H
#define TEST_UNIT_VERIFY_KIT_H

#include "soft.h"

#include <stdio.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include <offlinesig/sign.h>
#include <offlinesig/verify.h>

#include "crypto/cert.h"

#define US 1000000

static const char doc[] = "pay 100 EUR to DE89 3704\r\n";
#define DOC doc, sizeof(doc) - 1

/* root, intermediate and leaf, and a self-signed one */
struct set {
	enum ofs_key_type type;
	EVP_PKEY *root_key, *ca_key, *key, *own_key;
	X509 *root, *ca, *leaf, *own;
	STACK_OF(X509) *chain; /* the intermediate */
};
static struct set rsa = { .type = OFS_KEY_RSA };
static struct set ec = { .type = OFS_KEY_EC_P256 };
static ofs_ctx *ctx;

static const struct soft_cert root_like = { .cn = "Root",
	.usage = "critical,keyCertSign,cRLSign",
	.ca = true,
	.from = -SOFT_DAY,
	.to = 9 * SOFT_DAY };
static const struct soft_cert ca_like = { .cn = "Intermediate",
	.usage = "critical,keyCertSign,cRLSign",
	.ca = true,
	.from = -SOFT_DAY,
	.to = 9 * SOFT_DAY };
static const struct soft_cert leaf_like = { .cn = "Leaf",
	.usage = "critical,digitalSignature,nonRepudiation",
	.from = -SOFT_DAY,
	.to = SOFT_DAY };

static inline void
make_set(struct set *s)
{
	s->root_key = soft_key(s->type);
	s->ca_key = soft_key(s->type);
	s->key = soft_key(s->type);
	s->own_key = soft_key(s->type);
	s->root = soft_cert(&root_like, s->root_key, NULL, NULL);
	s->ca = soft_cert(&ca_like, s->ca_key, s->root, s->root_key);
	s->leaf = soft_cert(&leaf_like, s->key, s->ca, s->ca_key);
	s->own = soft_cert(
		&(struct soft_cert){
			.cn = "Own", .from = -SOFT_DAY, .to = SOFT_DAY },
		s->own_key, NULL, NULL);
	s->chain = sk_X509_new_null();
	sk_X509_push(s->chain, s->ca);
}

static inline void
free_set(struct set *s)
{
	EVP_PKEY_free(s->root_key);
	EVP_PKEY_free(s->ca_key);
	EVP_PKEY_free(s->key);
	EVP_PKEY_free(s->own_key);
	X509_free(s->root);
	X509_free(s->ca);
	X509_free(s->leaf);
	X509_free(s->own);
	sk_X509_free(s->chain);
}

static inline int
setup(void **state)
{
	(void)state;
	make_set(&rsa);
	make_set(&ec);
	return ofs_ctx_new(NULL, &ctx);
}

static inline int
teardown(void **state)
{
	(void)state;
	free_set(&rsa);
	free_set(&ec);
	ofs_ctx_free(ctx);
	return 0;
}

static inline ofs_verifier *
verifier(X509 *anchor)
{
	ofs_verifier *v = NULL;
	struct buf pem = BUF_INIT;
	struct ofs_error e;

	assert_int_equal(ofs_verifier_new(ctx, NULL, &v), 0);
	if (anchor != NULL) {
		assert_int_equal(cert_to_pem(anchor, &pem, &e), 0);
		assert_int_equal(ofs_verifier_trust(v, pem.p, pem.len), 0);
	}
	buf_free(&pem);
	return v;
}

static inline ofs_verifier *
verifier_at(X509 *anchor, enum ofs_time_mode mode, int64_t at)
{
	struct ofs_verifier_opts o = OFS_VERIFIER_OPTS_INIT;
	struct buf der = BUF_INIT;
	ofs_verifier *v = NULL;
	struct ofs_error e;

	o.time = mode;
	o.at = at;
	assert_int_equal(ofs_verifier_new(ctx, &o, &v), 0);
	assert_int_equal(cert_to_der(anchor, &der, &e), 0);
	assert_int_equal(ofs_verifier_trust(v, der.p, der.len), 0);
	buf_free(&der);
	return v;
}

static inline void
add_crl(ofs_verifier *v, X509_CRL *crl)
{
	uint8_t *der = NULL;
	int n = i2d_X509_CRL(crl, &der);

	assert_true(n > 0);
	assert_int_equal(ofs_verifier_crl(v, der, (size_t)n), 0);
	OPENSSL_free(der);
	X509_CRL_free(crl);
}

/* judges, frees the verifier, and compares code and a word of the reason */
static inline void
expect_doc(ofs_verifier *v, const struct buf *sig, const void *p, size_t n,
	int code, const char *why)
{
	struct ofs_verdict out;
	int got;

	got = ofs_verify_bytes(v,
		p != NULL ? OFS_FORMAT_CMS : OFS_FORMAT_CMS_ATTACHED, p, n,
		sig->p, sig->len, &out);
	assert_int_equal(out.code, got);
	assert_true(out.size == sizeof(out));
	if (got != code || strstr(out.reason, why) == NULL)
		fail_msg("%d '%s' and not %d '%s'", got, out.reason, code, why);
	if (got != 0)
		assert_string_equal(ofs_verifier_error(v)->message, out.reason);
	assert_int_equal(ofs_verifier_error(v)->code, got);
	ofs_verifier_free(v);
}

static inline void
expect(ofs_verifier *v, const struct buf *sig, int code, const char *why)
{
	expect_doc(v, sig, DOC, code, why);
}

static inline void
sign_leaf(const struct set *s, bool attached, struct buf *sig)
{
	soft_cms(s->leaf, s->key, s->chain, alg_for(s->type, 0), attached, DOC,
		soft_now(), sig);
}

static inline void
set_signer(ofs_verifier *v, X509 *c, EVP_PKEY *k, bool pem)
{
	struct buf b = BUF_INIT;
	struct ofs_error e;

	if (c != NULL && pem)
		assert_int_equal(cert_to_pem(c, &b, &e), 0);
	else if (c != NULL)
		assert_int_equal(cert_to_der(c, &b, &e), 0);
	else if (pem) {
		BIO *bio = BIO_new(BIO_s_mem());
		char *p;
		long n;

		assert_int_equal(PEM_write_bio_PUBKEY(bio, k), 1);
		n = BIO_get_mem_data(bio, &p);
		buf_put(&b, p, (size_t)n);
		BIO_free(bio);
	} else
		assert_int_equal(pubkey_to_spki(k, &b, &e), 0);
	assert_int_equal(ofs_verifier_signer(v, b.p, b.len), 0);
	buf_free(&b);
}

static inline void
sign_raw(EVP_PKEY *k, enum ofs_digest d, const void *p, size_t n,
	struct buf *sig)
{
	soft_sign_message(k, alg_for(pubkey_type(k), d), p, n, sig);
}

#endif
