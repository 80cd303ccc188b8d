/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keys, certificates, CRLs and signatures in memory, for tests only. */
#ifndef TEST_UNIT_SOFT_H
#define TEST_UNIT_SOFT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "crypto/pubkey.h"
#include "format/cms.h"

#define SOFT_DAY 86400

static inline EVP_PKEY *
soft_key(enum ofs_key_type type)
{
	EVP_PKEY *k = NULL;

	switch (type) {
	case OFS_KEY_RSA:
		k = EVP_RSA_gen(2048);
		break;
	case OFS_KEY_EC_P384:
		k = EVP_EC_gen("P-384");
		break;
	case OFS_KEY_EC_P521:
		k = EVP_EC_gen("P-521");
		break;
	case OFS_KEY_EC_SECP256K1:
		k = EVP_EC_gen("secp256k1");
		break;
	case OFS_KEY_ED25519:
		k = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
		break;
	case OFS_KEY_ED448:
		k = EVP_PKEY_Q_keygen(NULL, NULL, "ED448");
		break;
	default:
		k = EVP_EC_gen("P-256");
	}
	assert_non_null(k);
	return k;
}

struct soft_cert {
	const char *cn;
	const char *usage; /* keyUsage; NULL: none */
	bool ca, bare;     /* bare: no basicConstraints */
	long from, to;     /* seconds from now */
	const EVP_MD *md;  /* NULL: SHA-256 */
	const char *ext;   /* "1.2.3.4" critical unknown extension, or NULL */
};

static inline void
soft_ext(X509 *c, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *x;
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, issuer, c, NULL, NULL, 0);
	x = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(x);
	assert_int_equal(X509_add_ext(c, x, -1), 1);
	X509_EXTENSION_free(x);
}

/* issuer NULL: self-signed with `key` */
static inline X509 *
soft_cert(const struct soft_cert *what, EVP_PKEY *key, X509 *issuer,
	EVP_PKEY *issuer_key)
{
	static long serial = 1000;
	EVP_PKEY *by = issuer != NULL ? issuer_key : key;
	const EVP_MD *md = what->md != NULL ? what->md : EVP_sha256();
	X509 *c = X509_new();
	X509_NAME *name = X509_NAME_new();

	assert_non_null(c);
	assert_non_null(name);
	assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
				 (const uint8_t *)what->cn, -1, -1, 0),
		1);
	assert_int_equal(X509_set_version(c, X509_VERSION_3), 1);
	ASN1_INTEGER_set(X509_get_serialNumber(c), ++serial);
	X509_set_subject_name(c, name);
	X509_set_issuer_name(
		c, issuer != NULL ? X509_get_subject_name(issuer) : name);
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(c), what->from));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(c), what->to));
	assert_int_equal(X509_set_pubkey(c, key), 1);
	if (!what->bare)
		soft_ext(c, issuer != NULL ? issuer : c, NID_basic_constraints,
			what->ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
	if (what->usage != NULL)
		soft_ext(c, issuer != NULL ? issuer : c, NID_key_usage,
			what->usage);
	soft_ext(c, issuer != NULL ? issuer : c, NID_subject_key_identifier,
		"hash");
	if (what->ext != NULL) {
		ASN1_OBJECT *o = OBJ_txt2obj(what->ext, 1);
		ASN1_OCTET_STRING *s = ASN1_OCTET_STRING_new();
		X509_EXTENSION *x;

		ASN1_OCTET_STRING_set(s, (const uint8_t *)"\x05", 2);
		x = X509_EXTENSION_create_by_OBJ(NULL, o, 1, s);
		assert_int_equal(X509_add_ext(c, x, -1), 1);
		X509_EXTENSION_free(x);
		ASN1_OCTET_STRING_free(s);
		ASN1_OBJECT_free(o);
	}
	if (pubkey_type(by) == OFS_KEY_ED25519 ||
		pubkey_type(by) == OFS_KEY_ED448)
		md = NULL;
	assert_true(X509_sign(c, by, md) > 0);
	X509_NAME_free(name);
	return c;
}

/* CRL of issuer: revokes `revoked` (may be NULL) */
static inline X509_CRL *
soft_crl(X509 *issuer, EVP_PKEY *key, X509 *revoked, long from, long to)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *t = ASN1_TIME_new();

	X509_CRL_set_version(crl, X509_CRL_VERSION_2);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer));
	X509_gmtime_adj(t, from);
	X509_CRL_set1_lastUpdate(crl, t);
	X509_gmtime_adj(t, to);
	X509_CRL_set1_nextUpdate(crl, t);
	if (revoked != NULL) {
		X509_REVOKED *r = X509_REVOKED_new();

		X509_gmtime_adj(t, from);
		X509_REVOKED_set_revocationDate(r, t);
		X509_REVOKED_set_serialNumber(
			r, X509_get_serialNumber(revoked));
		X509_CRL_add0_revoked(crl, r);
	}
	X509_CRL_sort(crl);
	assert_true(X509_CRL_sign(crl, key, EVP_sha256()) > 0);
	ASN1_TIME_free(t);
	return crl;
}

/* what a token would answer: the signature over a hash */
static inline void
soft_sign(EVP_PKEY *k, const struct alg *alg, const uint8_t *hash,
	struct buf *sig)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(k, NULL);
	size_t n = 0;

	assert_int_equal(EVP_PKEY_sign_init(ctx), 1);
	assert_int_equal(
		EVP_PKEY_CTX_set_signature_md(ctx, alg->digest->md()), 1);
	if (alg->mech == ALG_RSA_PSS) {
		assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(
					 ctx, RSA_PKCS1_PSS_PADDING),
			1);
		assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(
					 ctx, RSA_PSS_SALTLEN_DIGEST),
			1);
	}
	assert_int_equal(
		EVP_PKEY_sign(ctx, NULL, &n, hash, alg->digest->size), 1);
	assert_non_null(buf_grow(sig, n));
	sig->len -= n;
	assert_int_equal(EVP_PKEY_sign(ctx, sig->p + sig->len, &n, hash,
				 alg->digest->size),
		1);
	sig->len += n;
	EVP_PKEY_CTX_free(ctx);
}

/* the same over a message, with every algorithm */
static inline void
soft_sign_message(EVP_PKEY *k, const struct alg *alg, const void *p, size_t n,
	struct buf *sig)
{
	uint8_t hash[DIGEST_MAX];
	struct ofs_error e;
	EVP_MD_CTX *ctx;
	size_t len = 114;

	if (alg->mech != ALG_EDDSA) {
		assert_int_equal(digest_of(alg->digest, p, n, hash, &e), 0);
		soft_sign(k, alg, hash, sig);
		return;
	}
	ctx = EVP_MD_CTX_new();
	assert_int_equal(EVP_DigestSignInit(ctx, NULL, NULL, NULL, k), 1);
	assert_non_null(buf_grow(sig, len));
	sig->len -= len;
	assert_int_equal(EVP_DigestSign(ctx, sig->p + sig->len, &len, p, n), 1);
	sig->len += len;
	EVP_MD_CTX_free(ctx);
}

/* signs what was made of `doc`, as a batch does */
static inline void
soft_cms(X509 *signer, EVP_PKEY *k, STACK_OF(X509) *chain,
	const struct alg *alg, bool attached, const void *doc, size_t n,
	int64_t time, struct buf *out)
{
	struct cms_maker *m = NULL;
	struct ofs_error e;
	struct buf attrs = BUF_INIT, sig = BUF_INIT;
	uint8_t hash[DIGEST_MAX];

	assert_int_equal(
		cms_maker_new(signer, chain, alg, attached, &m, &e), 0);
	assert_int_equal(digest_of(alg->digest, doc, n, hash, &e), 0);
	assert_int_equal(cms_attrs(m, hash, time, &attrs, &e), 0);
	soft_sign_message(k, alg, attrs.p, attrs.len, &sig);
	assert_int_equal(
		cms_assemble(m, attrs.p, attrs.len, sig.p, sig.len,
			attached ? doc : NULL, attached ? n : 0, out, &e),
		0);
	buf_free(&attrs);
	buf_free(&sig);
	cms_maker_free(m);
}

static inline int64_t
soft_now(void)
{
	return (int64_t)time(NULL) * 1000000;
}

#endif
