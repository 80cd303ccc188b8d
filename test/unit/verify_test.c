/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Verdicts: what must be valid is, and everything else is refused, named. */
#include "soft.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <offlinesig/sign.h>
#include <offlinesig/verify.h>

#include "base/file.h"
#include "crypto/cert.h"
#include "format/cms_parse.h"
#include "format/oids.h"

#define US 1000000

static const char doc[] = "pay 100 EUR to DE89 3704\r\n";
#define DOC doc, sizeof(doc) - 1

/* root, intermediate and leaf, and a self-signed one */
struct set {
	enum ofs_key_type type;
	EVP_PKEY *root_key, *ca_key, *key, *own_key;
	X509 *root, *ca, *leaf, *own;
	STACK_OF(X509) * chain; /* the intermediate */
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

static void
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

static void
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

static int
setup(void **state)
{
	(void)state;
	make_set(&rsa);
	make_set(&ec);
	return ofs_ctx_new(NULL, &ctx);
}

static int
teardown(void **state)
{
	(void)state;
	free_set(&rsa);
	free_set(&ec);
	ofs_ctx_free(ctx);
	return 0;
}

static ofs_verifier *
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

static ofs_verifier *
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

static void
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
static void
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

static void
expect(ofs_verifier *v, const struct buf *sig, int code, const char *why)
{
	expect_doc(v, sig, DOC, code, why);
}

static void
sign_leaf(const struct set *s, bool attached, struct buf *sig)
{
	soft_cms(s->leaf, s->key, s->chain, alg_for(s->type, 0), attached, DOC,
		soft_now(), sig);
}

static void
valid_ones(void **state)
{
	static const enum ofs_key_type types[] = { OFS_KEY_EC_P384,
		OFS_KEY_EC_P521 };

	(void)state;
	for (int i = 0; i < 2; i++) {
		const struct set *s = i == 0 ? &rsa : &ec;

		for (int attached = 0; attached < 2; attached++) {
			const void *p = attached ? NULL : doc;
			size_t n = attached ? 0 : sizeof(doc) - 1;
			struct buf b = BUF_INIT;

			sign_leaf(s, attached, &b);
			expect_doc(verifier(s->root), &b, p, n, 0, "valid");
			expect_doc(verifier(s->ca), &b, p, n, 0, "valid");
			expect_doc(verifier(s->leaf), &b, p, n, 0, "valid");
			/* the document given as well */
			expect(verifier(s->root), &b, 0, "valid");
			buf_reset(&b);
			soft_cms(s->own, s->own_key, NULL, alg_for(s->type, 0),
				attached, DOC, soft_now(), &b);
			expect_doc(verifier(s->own), &b, p, n, 0, "valid");
			buf_free(&b);
		}
	}
	for (size_t i = 0; i < 2; i++) {
		struct buf b = BUF_INIT;
		EVP_PKEY *k = soft_key(types[i]);
		X509 *c = soft_cert(&leaf_like, k, NULL, NULL);

		soft_cms(c, k, NULL, alg_for(types[i], 0), false, DOC,
			soft_now(), &b);
		expect(verifier(c), &b, 0, "valid");
		buf_free(&b);
		X509_free(c);
		EVP_PKEY_free(k);
	}
}

static void
verdict_is_filled(void **state)
{
	int64_t now = soft_now();
	struct ofs_verdict out;
	struct buf b = BUF_INIT;
	struct ofs_error e;
	uint8_t hash[32];
	char serial[64];
	ofs_verifier *v = verifier(rsa.root);

	(void)state;
	soft_cms(rsa.leaf, rsa.key, rsa.chain, alg_for(OFS_KEY_RSA, 0), false,
		DOC, now, &b);
	memset(&out, 0xff, sizeof(out));
	assert_int_equal(
		ofs_verify_bytes(v, OFS_FORMAT_CMS, DOC, b.p, b.len, &out), 0);
	assert_true(out.revocation_not_checked);
	assert_false(out.time_unproven);
	assert_string_equal(out.format, "cms");
	assert_string_equal(out.algorithm, "rsa-pkcs1-sha256");
	assert_string_equal(out.signer, "CN=Leaf");
	assert_string_equal(out.issuer, "CN=Intermediate");
	cert_serial_hex(rsa.leaf, serial, sizeof(serial));
	assert_string_equal(out.serial, serial);
	assert_true(out.signing_time == now);
	assert_int_equal(digest_of(&digest_sha256, DOC, hash, &e), 0);
	assert_memory_equal(out.document_sha256, hash, 32);
	assert_int_equal(cert_sha256(rsa.leaf, hash, &e), 0);
	assert_memory_equal(out.cert_sha256, hash, 32);
	assert_string_equal(out.document, "");
	/* without a place for the verdict */
	assert_int_equal(
		ofs_verify_bytes(v, OFS_FORMAT_CMS, DOC, b.p, b.len, NULL), 0);
	/* calls that make no sense */
	assert_int_equal(
		ofs_verify_bytes(v, OFS_FORMAT_CMS, NULL, 0, b.p, b.len, &out),
		OFS_EINVAL);
	assert_int_equal(out.code, OFS_EINVAL);
	assert_int_equal(
		ofs_verify_bytes(v, OFS_FORMAT_CMS, DOC, NULL, 0, &out),
		OFS_EINVAL);
	assert_int_equal(
		ofs_verify_bytes(v, (enum ofs_format)9, DOC, b.p, b.len, &out),
		OFS_EINVAL);
	ofs_verifier_free(v);
	buf_free(&b);
}

static void
other_documents(void **state)
{
	uint8_t other[sizeof(doc) - 1];
	struct buf b = BUF_INIT, att = BUF_INIT;

	(void)state;
	sign_leaf(&ec, false, &b);
	sign_leaf(&ec, true, &att);
	for (size_t bit = 0; bit < 8 * sizeof(other); bit++) {
		memcpy(other, DOC);
		other[bit / 8] ^= (uint8_t)(1u << bit % 8);
		expect_doc(verifier(ec.root), &b, other, sizeof(other),
			OFS_ESIGNATURE, "the document is not what 'CN=Leaf'");
	}
	expect_doc(verifier(ec.root), &b, doc, sizeof(doc), OFS_ESIGNATURE,
		"the document is not");
	expect_doc(verifier(ec.root), &b, doc, 0, OFS_ESIGNATURE,
		"the document is not");
	expect_doc(verifier(ec.root), &att, doc, 1, OFS_ESIGNATURE,
		"the document is not");
	/* a detached one alone */
	expect_doc(verifier(ec.root), &b, NULL, 0, OFS_EUNREADABLE,
		"no content inside");
	/* invalid comes before untrusted */
	expect_doc(verifier(NULL), &b, doc, 1, OFS_ESIGNATURE,
		"the document is not");
	buf_free(&b);
	buf_free(&att);
}

static void
untrusted_ones(void **state)
{
	int64_t now = soft_now();
	struct buf b = BUF_INIT;

	(void)state;
	sign_leaf(&ec, false, &b);
	expect(verifier(NULL), &b, OFS_EUNTRUSTED, "--trust");
	expect(verifier(rsa.root), &b, OFS_EUNTRUSTED, "--trust");
	expect(verifier_at(ec.root, OFS_TIME_AT, now + 2ll * SOFT_DAY * US), &b,
		OFS_EUNTRUSTED, "'CN=Leaf' has expired");
	expect(verifier_at(ec.leaf, OFS_TIME_AT, now + 2ll * SOFT_DAY * US), &b,
		OFS_EUNTRUSTED, "'CN=Leaf' has expired");
	expect(verifier_at(ec.root, OFS_TIME_AT, now - 2ll * SOFT_DAY * US), &b,
		OFS_EUNTRUSTED, "is not yet valid");
	expect(verifier_at(ec.root, OFS_TIME_AT, now), &b, 0, "valid");
	buf_free(&b);
}

static void
claimed_time(void **state)
{
	struct soft_cert was = leaf_like;
	struct ofs_verdict out;
	struct buf b = BUF_INIT;
	ofs_verifier *v;
	X509 *old;

	(void)state;
	was.from = -3 * SOFT_DAY;
	was.to = -2 * SOFT_DAY;
	old = soft_cert(&was, ec.key, NULL, NULL);
	soft_cms(old, ec.key, NULL, alg_for(ec.type, 0), false, DOC,
		soft_now() - 5ll * SOFT_DAY / 2 * US, &b);
	expect(verifier(old), &b, OFS_EUNTRUSTED, "has expired");
	v = verifier_at(old, OFS_TIME_CLAIMED, 0);
	assert_int_equal(
		ofs_verify_bytes(v, OFS_FORMAT_CMS, DOC, b.p, b.len, &out), 0);
	assert_true(out.time_unproven);
	ofs_verifier_free(v);
	buf_reset(&b);
	soft_cms(old, ec.key, NULL, alg_for(ec.type, 0), false, DOC, soft_now(),
		&b);
	expect(verifier_at(old, OFS_TIME_CLAIMED, 0), &b, OFS_EUNTRUSTED,
		"has expired");
	buf_free(&b);
	X509_free(old);
}

/* a leaf with something wrong, issued by a CA that is trusted */
static void
expect_leaf(const struct soft_cert *what, EVP_PKEY *key, X509 *issuer,
	EVP_PKEY *issuer_key, int code, const char *why)
{
	X509 *c = soft_cert(what, key, issuer, issuer_key);
	struct buf b = BUF_INIT;

	soft_cms(c, key, NULL, alg_for(pubkey_type(key), 0), false, DOC,
		soft_now(), &b);
	expect(verifier(issuer != NULL ? issuer : c), &b, code, why);
	buf_free(&b);
	X509_free(c);
}

static void
certificates_not_for_it(void **state)
{
	struct soft_cert c = leaf_like;
	EVP_PKEY *weak = EVP_RSA_gen(1024);

	(void)state;
	c.usage = "critical,keyEncipherment";
	expect_leaf(&c, ec.key, ec.ca, ec.ca_key, OFS_EUNTRUSTED, "key usage");
	expect_leaf(&c, ec.key, NULL, NULL, OFS_EUNTRUSTED, "key usage");
	c.usage = "nonRepudiation";
	expect_leaf(&c, ec.key, ec.ca, ec.ca_key, 0, "");
	c.usage = NULL;
	expect_leaf(&c, ec.key, ec.ca, ec.ca_key, 0, "");
	expect_leaf(&c, weak, ec.ca, ec.ca_key, OFS_EUNTRUSTED, "RSA-1024");
	expect_leaf(&c, weak, NULL, NULL, OFS_EUNTRUSTED, "RSA-1024");
	c.md = EVP_sha1();
	expect_leaf(&c, ec.key, rsa.ca, rsa.ca_key, OFS_EUNTRUSTED, "CN=Leaf");
	c.md = NULL;
	c.ext = "1.3.6.1.4.1.99999.1";
	expect_leaf(&c, ec.key, ec.ca, ec.ca_key, OFS_EUNTRUSTED,
		"critical extension");
	c.ext = NULL;
	/* issued by a leaf, which is trusted as it is and no more */
	expect_leaf(&c, ec.key, ec.own, ec.own_key, OFS_EUNTRUSTED,
		"certificate 'CN=");
	/* by an intermediate that is no CA */
	{
		X509 *mid =
			soft_cert(&leaf_like, ec.ca_key, ec.root, ec.root_key);
		X509 *end = soft_cert(&c, ec.key, mid, ec.ca_key);
		STACK_OF(X509) *chain = sk_X509_new_null();
		struct cms_maker *m;
		struct ofs_error e;

		sk_X509_push(chain, mid);
		/* the maker already says no */
		assert_int_equal(cms_maker_new(end, chain, alg_for(ec.type, 0),
					 false, &m, &e),
			OFS_ECERT);
		sk_X509_free(chain);
		X509_free(mid);
		X509_free(end);
	}
	/* by one that OpenSSL would take for a CA, on account of keyCertSign */
	{
		struct soft_cert almost = ca_like;
		STACK_OF(X509) *chain = sk_X509_new_null();
		X509 *mid, *end;
		struct buf b = BUF_INIT;

		almost.bare = true;
		mid = soft_cert(&almost, ec.ca_key, ec.root, ec.root_key);
		end = soft_cert(&c, ec.key, mid, ec.ca_key);
		sk_X509_push(chain, mid);
		soft_cms(end, ec.key, chain, alg_for(ec.type, 0), false, DOC,
			soft_now(), &b);
		expect(verifier(ec.root), &b, OFS_EUNTRUSTED,
			"'CN=Intermediate': invalid CA");
		buf_free(&b);
		sk_X509_free(chain);
		X509_free(mid);
		X509_free(end);
	}
	EVP_PKEY_free(weak);
}

static void
check_crls(ofs_verifier *v, const struct buf *b, int code, bool not_checked)
{
	struct ofs_verdict out;
	int got = ofs_verify_bytes(v, OFS_FORMAT_CMS, DOC, b->p, b->len, &out);

	if (got != code)
		fail_msg("%d '%s' and not %d", got, out.reason, code);
	assert_int_equal(out.revocation_not_checked, not_checked);
	ofs_verifier_free(v);
}

static void
revocation(void **state)
{
	const struct set *s = &ec;
	struct buf b = BUF_INIT;
	ofs_verifier *v;
	long d = SOFT_DAY;

	(void)state;
	sign_leaf(s, false, &b);
	check_crls(verifier(s->root), &b, 0, true);

	v = verifier(s->root);
	add_crl(v, soft_crl(s->root, s->root_key, NULL, -d, d));
	add_crl(v, soft_crl(s->ca, s->ca_key, NULL, -d, d));
	check_crls(v, &b, 0, false);
	/* one is missing */
	v = verifier(s->root);
	add_crl(v, soft_crl(s->ca, s->ca_key, NULL, -d, d));
	expect(v, &b, OFS_EUNTRUSTED, "'CN=Intermediate': unable to get");
	v = verifier(s->root);
	add_crl(v, soft_crl(s->root, s->root_key, NULL, -d, d));
	expect(v, &b, OFS_EUNTRUSTED, "'CN=Leaf': unable to get");
	/* none for the anchor is no harm */
	v = verifier(s->ca);
	add_crl(v, soft_crl(s->ca, s->ca_key, NULL, -d, d));
	check_crls(v, &b, 0, false);
	/* revoked */
	v = verifier(s->root);
	add_crl(v, soft_crl(s->root, s->root_key, NULL, -d, d));
	add_crl(v, soft_crl(s->ca, s->ca_key, s->leaf, -d, d));
	expect(v, &b, OFS_EUNTRUSTED, "'CN=Leaf': certificate revoked");
	v = verifier(s->root);
	add_crl(v, soft_crl(s->root, s->root_key, s->ca, -d, d));
	add_crl(v, soft_crl(s->ca, s->ca_key, NULL, -d, d));
	expect(v, &b, OFS_EUNTRUSTED, "'CN=Intermediate': certificate revoked");
	/* not of now */
	v = verifier(s->root);
	add_crl(v, soft_crl(s->root, s->root_key, NULL, -d, d));
	add_crl(v, soft_crl(s->ca, s->ca_key, NULL, -2 * d, -d));
	expect(v, &b, OFS_EUNTRUSTED, "CRL has expired");
	v = verifier(s->root);
	add_crl(v, soft_crl(s->root, s->root_key, NULL, -d, d));
	add_crl(v, soft_crl(s->ca, s->ca_key, NULL, d, 2 * d));
	expect(v, &b, OFS_EUNTRUSTED, "CRL is not yet valid");
	/* signed by somebody else */
	v = verifier(s->root);
	add_crl(v, soft_crl(s->root, s->root_key, NULL, -d, d));
	add_crl(v, soft_crl(s->ca, s->own_key, NULL, -d, d));
	expect(v, &b, OFS_EUNTRUSTED, "CRL");
	buf_free(&b);
}

/* the very signer as the anchor: nothing checks it, and that is said */
static void
revocation_of_a_pinned_one(void **state)
{
	const struct set *s = &ec;
	struct buf b = BUF_INIT;
	ofs_verifier *v;
	long d = SOFT_DAY;

	(void)state;
	sign_leaf(s, false, &b);
	v = verifier(s->leaf);
	add_crl(v, soft_crl(s->ca, s->ca_key, NULL, -d, d));
	check_crls(v, &b, 0, true);
	/* but a CRL that names it is heard, whoever issued that CRL */
	v = verifier(s->leaf);
	add_crl(v, soft_crl(s->ca, s->ca_key, s->leaf, -d, d));
	expect(v, &b, OFS_EUNTRUSTED, "'CN=Leaf': certificate revoked");
	buf_reset(&b);
	soft_cms(s->own, s->own_key, NULL, alg_for(s->type, 0), false, DOC,
		soft_now(), &b);
	v = verifier(s->own);
	add_crl(v, soft_crl(s->ca, s->ca_key, NULL, -d, d));
	check_crls(v, &b, 0, true);
	buf_free(&b);
}

static void
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

static void
named_signers(void **state)
{
	const struct set *s = &ec;
	struct buf b = BUF_INIT;
	ofs_verifier *v;

	(void)state;
	sign_leaf(s, false, &b);
	for (int pem = 0; pem < 2; pem++) {
		v = verifier(s->root);
		set_signer(v, s->leaf, NULL, pem);
		expect(v, &b, 0, "valid");
		v = verifier(s->root);
		set_signer(v, NULL, s->key, pem);
		expect(v, &b, 0, "valid");
		v = verifier(s->root);
		set_signer(v, s->own, NULL, pem);
		expect(v, &b, OFS_EUNTRUSTED, "not by the signer that was");
		v = verifier(s->root);
		set_signer(v, NULL, s->own_key, pem);
		expect(v, &b, OFS_EUNTRUSTED, "not by the signer that was");
		/* without anchors it is trusted as it is */
		v = verifier(NULL);
		set_signer(v, s->leaf, NULL, pem);
		expect(v, &b, 0, "valid");
		v = verifier(NULL);
		set_signer(v, NULL, s->key, pem);
		expect(v, &b, 0, "valid");
		/* with anchors it is not */
		v = verifier(rsa.root);
		set_signer(v, s->leaf, NULL, pem);
		expect(v, &b, OFS_EUNTRUSTED, "--trust");
	}
	v = verifier(NULL);
	assert_int_equal(ofs_verifier_signer(v, "x", 1), OFS_EFORMAT);
	assert_int_equal(ofs_verifier_trust(v, "x", 1), OFS_EFORMAT);
	assert_int_equal(ofs_verifier_crl(v, "x", 1), OFS_EFORMAT);
	assert_int_equal(ofs_verifier_error(v)->code, OFS_EFORMAT);
	assert_int_equal(ofs_verifier_signer(v, NULL, 0), OFS_EINVAL);
	expect(v, &b, OFS_EUNTRUSTED, "--trust");
	buf_free(&b);
}

static void
sign_raw(EVP_PKEY *k, enum ofs_digest d, const void *p, size_t n,
	struct buf *sig)
{
	const struct alg *alg = alg_for(pubkey_type(k), d);
	uint8_t hash[DIGEST_MAX];
	struct ofs_error e;

	assert_int_equal(digest_of(alg->digest, p, n, hash, &e), 0);
	soft_sign(k, alg, hash, sig);
}

static void
expect_raw(ofs_verifier *v, const void *p, size_t n, const struct buf *sig,
	int code, const char *why, const char *algorithm)
{
	struct ofs_verdict out;
	int got = ofs_verify_bytes(
		v, OFS_FORMAT_RAW, p, n, sig->p, sig->len, &out);

	if (got != code || strstr(out.reason, why) == NULL)
		fail_msg("%d '%s' and not %d '%s'", got, out.reason, code, why);
	assert_string_equal(out.format, "raw");
	assert_string_equal(out.algorithm, algorithm);
	ofs_verifier_free(v);
}

static ofs_verifier *
raw_verifier(X509 *anchor, X509 *c, EVP_PKEY *k)
{
	ofs_verifier *v = verifier(anchor);

	set_signer(v, c, k, true);
	return v;
}

static void
raw_signatures(void **state)
{
	struct buf b = BUF_INIT;
	struct ofs_error e;

	(void)state;
	sign_raw(rsa.key, OFS_DIGEST_SHA256, DOC, &b);
	expect_raw(raw_verifier(NULL, NULL, rsa.key), DOC, &b, 0, "",
		"rsa-pkcs1-sha256");
	expect_raw(raw_verifier(NULL, rsa.leaf, NULL), DOC, &b, 0, "",
		"rsa-pkcs1-sha256");
	expect_raw(raw_verifier(rsa.ca, rsa.leaf, NULL), DOC, &b, 0, "",
		"rsa-pkcs1-sha256");
	/* the intermediate is nowhere to be found */
	expect_raw(raw_verifier(rsa.root, rsa.leaf, NULL), DOC, &b,
		OFS_EUNTRUSTED, "CN=Leaf", "rsa-pkcs1-sha256");
	expect_raw(raw_verifier(ec.root, rsa.leaf, NULL), DOC, &b,
		OFS_EUNTRUSTED, "CN=Leaf", "rsa-pkcs1-sha256");
	expect_raw(raw_verifier(NULL, NULL, ec.key), DOC, &b, OFS_ESIGNATURE,
		"named signer", "");
	expect_raw(verifier(rsa.root), DOC, &b, OFS_EUNTRUSTED, "--signer", "");
	expect_raw(raw_verifier(NULL, NULL, rsa.key), doc, 3, &b,
		OFS_ESIGNATURE, "named signer", "");
	/* longer and shorter values */
	buf_u8(&b, 0);
	expect_raw(raw_verifier(NULL, NULL, rsa.key), DOC, &b, OFS_ESIGNATURE,
		"named signer", "");
	b.len = 0;
	expect_raw(raw_verifier(NULL, NULL, rsa.key), DOC, &b, OFS_EUNREADABLE,
		"between 1", "");
	/* digests that are not the default */
	sign_raw(rsa.key, OFS_DIGEST_SHA384, DOC, &b);
	expect_raw(raw_verifier(NULL, NULL, rsa.key), DOC, &b, 0, "",
		"rsa-pkcs1-sha384");
	buf_reset(&b);
	sign_raw(rsa.key, OFS_DIGEST_SHA512, DOC, &b);
	expect_raw(raw_verifier(NULL, NULL, rsa.key), DOC, &b, 0, "",
		"rsa-pkcs1-sha512");
	buf_reset(&b);
	sign_raw(ec.key, 0, DOC, &b);
	expect_raw(raw_verifier(NULL, NULL, ec.key), DOC, &b, 0, "",
		"ecdsa-sha256");
	/* every bit of it and of the document */
	for (size_t bit = 0; bit < 8 * b.len; bit++) {
		b.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		expect_raw(raw_verifier(NULL, NULL, ec.key), DOC, &b,
			OFS_ESIGNATURE, "named signer", "");
		b.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	buf_reset(&b);
	{
		EVP_PKEY *k = soft_key(OFS_KEY_EC_P521);
		EVP_PKEY *weak = EVP_RSA_gen(1024);
		X509 *c = soft_cert(&leaf_like, k, NULL, NULL);

		sign_raw(k, OFS_DIGEST_SHA384, DOC, &b);
		expect_raw(raw_verifier(NULL, c, NULL), DOC, &b, 0, "",
			"ecdsa-sha384");
		buf_reset(&b);
		sign_raw(weak, 0, DOC, &b);
		expect_raw(raw_verifier(NULL, NULL, weak), DOC, &b,
			OFS_EUNTRUSTED, "too weak", "");
		X509_free(c);
		EVP_PKEY_free(k);
		EVP_PKEY_free(weak);
	}
	buf_free(&b);
	(void)e;
}

/* the attack that raw signing refuses must not verify either */
static void
raw_over_attributes(void **state)
{
	struct buf attrs = BUF_INIT, sig = BUF_INIT;
	uint8_t hash[32] = { 7 };
	struct cms_maker *m;
	struct ofs_error e;

	(void)state;
	assert_int_equal(
		cms_maker_new(ec.own, NULL, alg_for(ec.type, 0), false, &m, &e),
		0);
	assert_int_equal(cms_attrs(m, hash, soft_now(), &attrs, &e), 0);
	sign_raw(ec.own_key, 0, attrs.p, attrs.len, &sig);
	expect_raw(raw_verifier(NULL, NULL, ec.own_key), attrs.p, attrs.len,
		&sig, OFS_ESIGNATURE, "signed attributes", "");
	cms_maker_free(m);
	buf_free(&attrs);
	buf_free(&sig);
}

/*
 * A file by the self-signed signer over attributes that a test has put
 * together, each whole; in DER order unless `as_is`.
 */
static void
craft(struct tlv_bytes *v, size_t n, bool as_is, struct buf *out)
{
	const struct alg *alg = alg_for(ec.type, 0);
	struct buf attrs = BUF_INIT, sig = BUF_INIT;
	uint8_t hash[DIGEST_MAX];
	struct cms_maker *m;
	struct ofs_error e;
	size_t total = 0;

	if (!as_is)
		tlv_sort(v, n);
	for (size_t i = 0; i < n; i++)
		total += v[i].n;
	tlv_put_head(&attrs, TLV_SET, total);
	for (size_t i = 0; i < n; i++)
		buf_put(&attrs, v[i].p, v[i].n);
	assert_int_equal(
		digest_of(alg->digest, attrs.p, attrs.len, hash, &e), 0);
	soft_sign(ec.own_key, alg, hash, &sig);
	assert_int_equal(cms_maker_new(ec.own, NULL, alg, false, &m, &e), 0);
	assert_int_equal(cms_assemble(m, attrs.p, attrs.len, sig.p, sig.len,
				 NULL, 0, out, &e),
		0);
	cms_maker_free(m);
	buf_free(&attrs);
	buf_free(&sig);
}

/* the right attributes: 0 content-type 1 time 2 digest 3 certificate */
static struct buf right;
static size_t
right_attrs(struct tlv_bytes v[8])
{
	uint8_t hash[DIGEST_MAX];
	struct cms_maker *m;
	struct ofs_error e;
	struct tlv set, t;
	struct rd r, in;
	size_t n = 0;

	buf_reset(&right);
	assert_int_equal(digest_of(&digest_sha256, DOC, hash, &e), 0);
	assert_int_equal(
		cms_maker_new(ec.own, NULL, alg_for(ec.type, 0), false, &m, &e),
		0);
	assert_int_equal(cms_attrs(m, hash, soft_now(), &right, &e), 0);
	cms_maker_free(m);
	rd_init(&r, right.p, right.len);
	assert_true(tlv_take(&r, TLV_SET, &set));
	tlv_open(&set, &in);
	while (in.left > 0 && tlv_next(&in, &t))
		v[n++] = (struct tlv_bytes){ t.der, t.der_len };
	assert_int_equal(n, 4);
	return n;
}

#define BYTES(...)                                               \
	{                                                        \
		(const uint8_t[]){ __VA_ARGS__ },                \
			sizeof((const uint8_t[]){ __VA_ARGS__ }) \
	}

static void
attributes_wrong(void **state)
{
	static const char *const names[] = { "content-type", "signing-time",
		"message-digest", "signing-certificate-v2" };
	/* what replaces an attribute, or is added when `at` is 4 */
	const struct {
		size_t at;
		struct tlv_bytes attr;
		int code;
		const char *why;
	} cases[] = {
		/* content-type id-signedData */
		{ 0,
			BYTES(0x30, 0x18, OID_CONTENT_TYPE, 0x31, 0x0b,
				OID_SIGNED_DATA),
			OFS_ESIGNATURE, "content-type of 'CN=Own' is not" },
		{ 0, BYTES(0x30, 0x0d, OID_CONTENT_TYPE, 0x31, 0x00),
			OFS_ESIGNATURE, "content-type of 'CN=Own' is missing" },
		{ 0,
			BYTES(0x30, 0x23, OID_CONTENT_TYPE, 0x31, 0x16,
				OID_DATA, OID_SIGNED_DATA),
			OFS_ESIGNATURE, "content-type of 'CN=Own' is missing" },
		/* message-digest of 4 bytes, of the wrong type */
		{ 2,
			BYTES(0x30, 0x13, OID_MESSAGE_DIGEST, 0x31, 0x06, 0x04,
				0x04, 1, 2, 3, 4),
			OFS_ESIGNATURE, "message-digest" },
		{ 2,
			BYTES(0x30, 0x10, OID_MESSAGE_DIGEST, 0x31, 0x03, 0x02,
				0x01, 1),
			OFS_ESIGNATURE, "message-digest" },
		/* a time without seconds */
		{ 1,
			BYTES(0x30, 0x1a, OID_SIGNING_TIME, 0x31, 0x0d, 0x17,
				0x0b, '2', '6', '1', '1', '2', '1', '0', '7',
				'5', '2', 'Z'),
			OFS_ESIGNATURE, "signing-time" },
		/* no certificate named; another one */
		{ 3,
			BYTES(0x30, 0x13, OID_SIGNING_CERT_V2, 0x31, 0x04, 0x30,
				0x02, 0x30, 0x00),
			OFS_ESIGNATURE, "signing-certificate-v2" },
		{ 3,
			BYTES(0x30, 0x19, OID_SIGNING_CERT_V2, 0x31, 0x0a, 0x30,
				0x08, 0x30, 0x06, 0x30, 0x04, 0x04, 0x02, 1, 2),
			OFS_ESIGNATURE, "names another certificate" },
		/* the same attribute twice, with another value */
		{ 4,
			BYTES(0x30, 0x1c, OID_SIGNING_TIME, 0x31, 0x0f, 0x17,
				0x0d, '2', '6', '1', '1', '2', '1', '0', '7',
				'5', '2', '0', '0', 'Z'),
			OFS_ESIGNATURE, "is there twice" },
		/* S/MIME capabilities do no harm; what is unknown may */
		{ 4,
			BYTES(0x30, 0x0f, OID_SMIME_CAPABILITIES, 0x31, 0x02,
				0x30, 0x00),
			0, "valid" },
		{ 4, BYTES(0x30, 0x09, 0x06, 0x03, 0x2a, 3, 4, 0x31, 2, 5, 0),
			OFS_EUNTRUSTED, "1.2.3.4 of 'CN=Own'" },
		/* RFC 6211: right, and with another signature algorithm */
		{ 4,
			BYTES(0x30, 0x2a, OID_ALGORITHM_PROTECTION, 0x31, 0x1d,
				0x30, 0x1b, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86,
				0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0xa1,
				0x0c, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
				0x04, 0x03, 0x02, 0x05, 0x00),
			OFS_ESIGNATURE, "CMSAlgorithmProtection" },
		{ 4,
			BYTES(0x30, 0x28, OID_ALGORITHM_PROTECTION, 0x31, 0x1b,
				0x30, 0x19, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86,
				0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0xa1,
				0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
				0x04, 0x03, 0x02),
			0, "valid" },
		{ 4,
			BYTES(0x30, 0x28, OID_ALGORITHM_PROTECTION, 0x31, 0x1b,
				0x30, 0x19, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86,
				0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0xa1,
				0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
				0x04, 0x03, 0x03),
			OFS_ESIGNATURE, "CMSAlgorithmProtection" },
	};
	struct tlv_bytes v[8], t;
	struct buf b = BUF_INIT;
	size_t n;

	(void)state;
	n = right_attrs(v);
	craft(v, n, false, &b);
	expect(verifier(ec.own), &b, 0, "valid");
	/* each one left out */
	for (size_t i = 0; i < 4; i++) {
		n = right_attrs(v);
		v[i] = v[n - 1];
		buf_reset(&b);
		craft(v, n - 1, false, &b);
		expect(verifier(ec.own), &b, OFS_ESIGNATURE, names[i]);
	}
	/* each one there twice, byte for byte */
	for (size_t i = 0; i < 4; i++) {
		n = right_attrs(v);
		v[n] = v[i];
		buf_reset(&b);
		craft(v, n + 1, false, &b);
		expect(verifier(ec.own), &b, OFS_ESIGNATURE, "is there twice");
	}
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		n = right_attrs(v);
		v[cases[i].at] = cases[i].attr;
		n += cases[i].at == 4;
		buf_reset(&b);
		craft(v, n, false, &b);
		expect(verifier(ec.own), &b, cases[i].code, cases[i].why);
	}
	/* out of order, though signed so */
	n = right_attrs(v);
	t = v[0];
	v[0] = v[1];
	v[1] = t;
	buf_reset(&b);
	craft(v, n, true, &b);
	expect(verifier(ec.own), &b, OFS_ESIGNATURE, "DER order");
	buf_free(&b);
	buf_free(&right);
}

/* a file that OpenSSL's CMS code makes */
static CMS_ContentInfo *
openssl_sign(X509 *c, EVP_PKEY *k, STACK_OF(X509) * chain, const EVP_MD *md,
	unsigned int flags)
{
	BIO *in = BIO_new_mem_buf(doc, (int)sizeof(doc) - 1);
	CMS_ContentInfo *cms;

	flags |= CMS_DETACHED | CMS_BINARY;
	cms = CMS_sign(NULL, NULL, chain, NULL, flags | CMS_PARTIAL);
	assert_non_null(cms);
	assert_non_null(CMS_add1_signer(cms, c, k, md, flags));
	if ((flags & CMS_PARTIAL) == 0)
		assert_int_equal(CMS_final(cms, in, NULL, flags), 1);
	BIO_free(in);
	return cms;
}

static void
expect_cms(ofs_verifier *v, CMS_ContentInfo *cms, int code, const char *why)
{
	struct buf b = BUF_INIT;
	uint8_t *der = NULL;
	int n = i2d_CMS_ContentInfo(cms, &der);

	assert_true(n > 0);
	buf_put(&b, der, (size_t)n);
	OPENSSL_free(der);
	CMS_ContentInfo_free(cms);
	expect(v, &b, code, why);
	buf_free(&b);
}

static void
files_by_openssl(void **state)
{
	const unsigned int cades = CMS_CADES | CMS_NOSMIMECAP;
	STACK_OF(X509) *extra = sk_X509_new_null();
	CMS_SignerInfo *si;
	CMS_ContentInfo *cms;
	X509_CRL *crl;

	(void)state;
	for (int i = 0; i < 2; i++) {
		const struct set *s = i == 0 ? &rsa : &ec;

		expect_cms(verifier(s->root),
			openssl_sign(s->leaf, s->key, s->chain, NULL, cades), 0,
			"valid");
		expect_cms(verifier(s->own),
			openssl_sign(s->own, s->own_key, NULL, NULL, CMS_CADES),
			0, "valid");
		expect_cms(verifier(s->own),
			openssl_sign(s->own, s->own_key, NULL, NULL,
				cades | CMS_USE_KEYID),
			0, "valid");
		expect_cms(verifier(s->own),
			openssl_sign(
				s->own, s->own_key, NULL, EVP_sha512(), cades),
			0, "valid");
		expect_cms(verifier(s->own),
			openssl_sign(
				s->own, s->own_key, NULL, EVP_sha1(), cades),
			OFS_EUNTRUSTED, "(sha1) is not supported");
		/* not CAdES */
		expect_cms(verifier(s->own),
			openssl_sign(s->own, s->own_key, NULL, NULL, 0),
			OFS_ESIGNATURE, "signing-certificate-v2");
		expect_cms(verifier(s->own),
			openssl_sign(
				s->own, s->own_key, NULL, NULL, CMS_NOATTR),
			OFS_ESIGNATURE, "no signed attributes");
		expect_cms(verifier(s->own),
			openssl_sign(s->own, s->own_key, NULL, NULL,
				cades | CMS_NOCERTS),
			OFS_ESIGNATURE, "no certificate in the file");
	}
	/* somebody else's certificate in the bag */
	sk_X509_push(extra, rsa.own);
	expect_cms(verifier(ec.own),
		openssl_sign(ec.own, ec.own_key, extra, NULL, cades),
		OFS_ESIGNATURE, "'CN=Own' in the file is in no signer's");
	/* an intermediate that nothing vouches for when the leaf is pinned */
	expect_cms(verifier(ec.leaf),
		openssl_sign(ec.leaf, ec.key, ec.chain, NULL, cades),
		OFS_EUNTRUSTED, "'CN=Intermediate' in the file leads to no");
	/* what no signature covers */
	cms = openssl_sign(ec.own, ec.own_key, NULL, NULL, cades);
	si = sk_CMS_SignerInfo_value(CMS_get0_SignerInfos(cms), 0);
	assert_int_equal(CMS_unsigned_add1_attr_by_txt(
				 si, "1.2.3.4", V_ASN1_OCTET_STRING, "x", 1),
		1);
	expect_cms(verifier(ec.own), cms, OFS_ESIGNATURE, "unsigned attr");
	cms = openssl_sign(ec.own, ec.own_key, NULL, NULL, cades);
	crl = soft_crl(ec.own, ec.own_key, NULL, 0, 1);
	assert_int_equal(CMS_add1_crl(cms, crl), 1);
	X509_CRL_free(crl);
	expect_cms(verifier(ec.own), cms, OFS_ESIGNATURE, "CRLs inside");
	/* content of another type, signed as such */
	{
		BIO *in = BIO_new_mem_buf(doc, (int)sizeof(doc) - 1);

		cms = openssl_sign(
			ec.own, ec.own_key, NULL, NULL, cades | CMS_PARTIAL);
		CMS_set1_eContentType(
			cms, OBJ_nid2obj(NID_id_smime_ct_TSTInfo));
		assert_int_equal(CMS_final(cms, in, NULL,
					 cades | CMS_DETACHED | CMS_BINARY),
			1);
		BIO_free(in);
		expect_cms(
			verifier(ec.own), cms, OFS_ESIGNATURE, "not id-data");
	}
	/* RSA-PSS is somebody else's */
	{
		BIO *in = BIO_new_mem_buf(doc, (int)sizeof(doc) - 1);
		unsigned int flags = cades | CMS_DETACHED | CMS_BINARY;

		cms = CMS_sign(NULL, NULL, NULL, NULL, flags | CMS_PARTIAL);
		si = CMS_add1_signer(
			cms, rsa.own, rsa.own_key, NULL, flags | CMS_KEY_PARAM);
		assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(
					 CMS_SignerInfo_get0_pkey_ctx(si),
					 RSA_PKCS1_PSS_PADDING),
			1);
		assert_int_equal(CMS_final(cms, in, NULL, flags), 1);
		BIO_free(in);
		expect_cms(verifier(rsa.own), cms, OFS_EUNTRUSTED,
			"(rsassaPss) is not supported");
	}
	sk_X509_free(extra);
}

/* both must be right, and either may be the one that was named */
static void
two_signers(void **state)
{
	const unsigned int flags =
		CMS_CADES | CMS_NOSMIMECAP | CMS_DETACHED | CMS_BINARY;

	(void)state;
	for (int i = 0; i < 4; i++) {
		CMS_ContentInfo *cms = openssl_sign(
			ec.own, ec.own_key, NULL, NULL, flags | CMS_PARTIAL);
		BIO *in = BIO_new_mem_buf(doc, (int)sizeof(doc) - 1);
		ofs_verifier *v = verifier(ec.own);
		struct buf der = BUF_INIT;
		struct ofs_error e;

		assert_non_null(CMS_add1_signer(
			cms, rsa.own, rsa.own_key, EVP_sha512(), flags));
		assert_int_equal(CMS_final(cms, in, NULL, flags), 1);
		BIO_free(in);
		if (i == 0) {
			expect_cms(v, cms, OFS_EUNTRUSTED, "--trust");
			continue;
		}
		assert_int_equal(cert_to_der(rsa.own, &der, &e), 0);
		assert_int_equal(ofs_verifier_trust(v, der.p, der.len), 0);
		buf_free(&der);
		if (i == 2)
			set_signer(v, rsa.own, NULL, true);
		if (i < 3) {
			expect_cms(v, cms, 0, "valid");
			continue;
		}
		/* the second signature value is broken */
		{
			CMS_SignerInfo *si = sk_CMS_SignerInfo_value(
				CMS_get0_SignerInfos(cms), 1);
			ASN1_OCTET_STRING *s =
				CMS_SignerInfo_get0_signature(si);

			ASN1_STRING_set(s, "0123456789", 10);
			expect_cms(v, cms, OFS_ESIGNATURE, "signature value");
		}
	}
}

/* takes the bytes `from` for `to`, everywhere */
static int
patch(struct buf *b, const void *from, const void *to, size_t n)
{
	uint8_t *p = b->p, *end = b->p + b->len;
	int count = 0;

	while ((p = memmem(p, (size_t)(end - p), from, n)) != NULL) {
		memcpy(p, to, n);
		p += n;
		count++;
	}
	return count;
}

/* two neighbours of the file change places */
static void
swap(struct buf *b, const struct tlv *x, const struct tlv *y)
{
	size_t at = (size_t)(x->der - b->p), n = x->der_len, m = y->der_len;
	uint8_t *copy = malloc(n + m);

	assert_ptr_equal(x->der + n, y->der);
	memcpy(copy, y->der, m);
	memcpy(copy + m, x->der, n);
	memcpy(b->p + at, copy, n + m);
	free(copy);
}

static void
bytes_that_nothing_covers(void **state)
{
	struct cms_data *d = malloc(sizeof(*d));
	struct buf b = BUF_INIT;
	struct ofs_error e;

	(void)state;
	/* both digestAlgorithms, but not the hash in signatureAlgorithm */
	for (int i = 0; i < 2; i++) {
		buf_reset(&b);
		sign_leaf(i == 0 ? &rsa : &ec, false, &b);
		assert_int_equal(patch(&b, "\x65\x03\x04\x02\x01\x31\x0b",
					 "\x65\x03\x04\x02\x02\x31\x0b", 7) +
				patch(&b, "\x65\x03\x04\x02\x01\x30\x0b",
					"\x65\x03\x04\x02\x02\x30\x0b", 7) +
				patch(&b, "\x65\x03\x04\x02\x01\xa0\x81",
					"\x65\x03\x04\x02\x02\xa0\x81", 7),
			2);
		expect(verifier(i == 0 ? rsa.root : ec.root), &b,
			OFS_ESIGNATURE, "digestAlgorithm of 'CN=Leaf' is");
	}
	/* certificates in another order */
	buf_reset(&b);
	sign_leaf(&ec, false, &b);
	assert_int_equal(cms_parse(b.p, b.len, d, &e), 0);
	assert_int_equal(d->n_certs, 2);
	swap(&b, &d->certs[0], &d->certs[1]);
	expect(verifier(ec.root), &b, OFS_ESIGNATURE, "certificates is not in");
	free(d);
	buf_free(&b);
}

/* bytes that are no signature, and DER that is none */
static void
unreadable_ones(void **state)
{
	static const uint8_t indefinite[] = { 0x30, 0x80, 0x06, 0x09, OID_PKCS7,
		0x02, 0xa0, 0x80, 0, 0, 0, 0, 0, 0 };
	struct buf b = BUF_INIT, c = BUF_INIT;

	(void)state;
	buf_str(&c, "not a signature\n");
	expect(verifier(ec.root), &c, OFS_EUNREADABLE, "not a CMS file");
	buf_reset(&c);
	buf_put(&c, indefinite, sizeof(indefinite));
	expect(verifier(ec.root), &c, OFS_EUNREADABLE, "not a CMS file");
	sign_leaf(&ec, false, &b);
	/* every beginning */
	for (size_t n = 0; n < b.len; n++) {
		buf_reset(&c);
		buf_put(&c, b.p, n + 1);
		c.len--;
		expect(verifier(ec.root), &c, OFS_EUNREADABLE, "read");
	}
	buf_reset(&c);
	buf_put(&c, b.p, b.len);
	buf_u8(&c, '\n');
	expect(verifier(ec.root), &c, OFS_ESIGNATURE, "behind the end");
	/* the outer length in one octet more than it needs */
	buf_reset(&c);
	assert_int_equal(b.p[1], 0x82);
	buf_put(&c, "\x30\x83\x00", 3);
	buf_put(&c, b.p + 2, b.len - 2);
	expect(verifier(ec.root), &c, OFS_EUNREADABLE, "not a CMS file");
	/* a key in place of a signature */
	buf_reset(&c);
	{
		struct ofs_error e;

		assert_int_equal(pubkey_to_spki(ec.key, &c, &e), 0);
	}
	expect(verifier(ec.root), &c, OFS_EUNREADABLE, "cannot read");
	buf_free(&b);
	buf_free(&c);
}

/* one of n bits, all with OFS_FLIP_ALL=1 */
static void
flip(const char *what, X509 *anchor, const struct buf *sig, bool attached)
{
	const char *all = getenv("OFS_FLIP_ALL");
	unsigned int every = all != NULL && all[0] == '1' ? 1 : 23;
	unsigned int seed = (unsigned int)time(NULL);
	size_t bits = 8 * sig->len, tried = 0;
	ofs_verifier *v = verifier(anchor);
	int counts[3] = { 0, 0, 0 };

	for (size_t bit = seed % every; bit < bits; bit += every) {
		struct ofs_verdict out;
		int code;

		sig->p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		code = ofs_verify_bytes(v,
			attached ? OFS_FORMAT_CMS_ATTACHED : OFS_FORMAT_CMS,
			attached ? NULL : doc, attached ? 0 : sizeof(doc) - 1,
			sig->p, sig->len, &out);
		sig->p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (code != OFS_ESIGNATURE && code != OFS_EUNTRUSTED &&
			code != OFS_EUNREADABLE)
			fail_msg("%s: bit %zu (every %u, first %u): %d '%s'",
				what, bit, every, seed % every, code,
				out.reason);
		assert_true(out.reason[0] != '\0');
		counts[OFS_ESIGNATURE - code]++;
		tried++;
	}
	printf("# %s: %zu of %zu bits, first %u: %d invalid, %d untrusted, %d "
	       "unreadable\n",
		what, tried, bits, seed % every, counts[0], counts[1],
		counts[2]);
	/* and unchanged it is valid still */
	expect_doc(v, sig, attached ? NULL : doc,
		attached ? 0 : sizeof(doc) - 1, 0, "valid");
}

static void
flipped_bits(void **state)
{
	static const char *const kinds[] = { "self-signed", "chain to the root",
		"chain, intermediate trusted", "chain, leaf trusted" };

	(void)state;
	for (int i = 0; i < 2; i++)
		for (int attached = 0; attached < 2; attached++)
			for (int kind = 0; kind < 4; kind++) {
				const struct set *s = i == 0 ? &rsa : &ec;
				X509 *const anchors[] = { s->own, s->root,
					s->ca, s->leaf };
				struct buf b = BUF_INIT;
				char what[80];

				snprintf(what, sizeof(what), "%s, %s, %s",
					i == 0 ? "RSA" : "P-256",
					attached ? "attached" : "detached",
					kinds[kind]);
				if (kind == 0)
					soft_cms(s->own, s->own_key, NULL,
						alg_for(s->type, 0), attached,
						DOC, soft_now(), &b);
				else
					sign_leaf(s, attached, &b);
				flip(what, anchors[kind], &b, attached);
				buf_free(&b);
			}
}

static char dir[] = "/tmp/verify_test.XXXXXX";

static const char *
path(const char *name)
{
	static char paths[4][256];
	static int next;
	char *p = paths[next++ % 4];

	snprintf(p, sizeof(paths[0]), "%s/%s", dir, name);
	return p;
}

static void
put_file(const char *name, const void *p, size_t n)
{
	struct ofs_error e;

	if (file_write_new(path(name), p, n, true, &e) != 0)
		fail_msg("%s", e.message);
}

static void
expect_file(const char *document, const char *signature, int code,
	const char *why, const char *got_document, const char *got_signature)
{
	char d[256], s[256];
	struct ofs_verdict out;
	ofs_verifier *v = verifier(ec.root);
	int got;

	set_signer(v, ec.leaf, NULL, true);
	snprintf(d, sizeof(d), "%s/%s", dir, document);
	snprintf(
		s, sizeof(s), "%s/%s", dir, signature != NULL ? signature : "");
	got = ofs_verify_file(v, d, signature != NULL ? s : NULL, &out);
	if (got != code || strstr(out.reason, why) == NULL)
		fail_msg("%s: %d '%s' and not %d '%s'", document, got,
			out.reason, code, why);
	if (got_document != NULL)
		assert_string_equal(out.document,
			got_document[0] != '\0' ? path(got_document) : "");
	if (got_signature != NULL)
		assert_string_equal(out.signature, path(got_signature));
	ofs_verifier_free(v);
}

static void
which_files(void **state)
{
	static const char *const all[] = { "a.xml", "a.xml.p7s", "b.xml",
		"b.xml.sig", "c.xml.p7m", "d.xml", "d.xml.p7s", "d.xml.sig",
		"lone.p7s", "odd", "odd.signature", "big.p7s", "big",
		"empty.p7s", "empty", ".sig", ".sig.p7s", "raw.bin" };
	struct buf p7s = BUF_INIT, p7m = BUF_INIT, sig = BUF_INIT;
	uint8_t *big = calloc(1, CMS_FILE_MAX + 1);

	(void)state;
	assert_non_null(mkdtemp(dir));
	sign_leaf(&ec, false, &p7s);
	sign_leaf(&ec, true, &p7m);
	sign_raw(ec.key, 0, DOC, &sig);
	put_file("a.xml", DOC);
	put_file("a.xml.p7s", p7s.p, p7s.len);
	expect_file("a.xml", NULL, 0, "valid", "a.xml", "a.xml.p7s");
	expect_file("a.xml.p7s", NULL, 0, "valid", "a.xml", "a.xml.p7s");
	expect_file("a.xml", "a.xml.p7s", 0, "valid", "a.xml", "a.xml.p7s");
	put_file("c.xml.p7m", p7m.p, p7m.len);
	expect_file("c.xml.p7m", NULL, 0, "valid", "", "c.xml.p7m");
	expect_file("a.xml", "c.xml.p7m", 0, "valid", "a.xml", "c.xml.p7m");
	put_file("b.xml", DOC);
	expect_file("b.xml", NULL, OFS_EIO, "neither", "", NULL);
	/* a raw one whose certificate needs the intermediate */
	put_file("b.xml.sig", sig.p, sig.len);
	expect_file(
		"b.xml", NULL, OFS_EUNTRUSTED, "CN=Leaf", "b.xml", "b.xml.sig");
	expect_file("b.xml.sig", NULL, OFS_EUNTRUSTED, "CN=Leaf", "b.xml",
		"b.xml.sig");
	/* .p7s before .sig, even when it is the bad one */
	put_file("d.xml", DOC);
	put_file("d.xml.sig", sig.p, sig.len);
	put_file("d.xml.p7s", "x", 1);
	expect_file("d.xml", NULL, OFS_EUNREADABLE, "not a CMS file", "d.xml",
		"d.xml.p7s");
	/* no document, no signature, neither */
	put_file("lone.p7s", p7s.p, p7s.len);
	expect_file("lone.p7s", NULL, OFS_EIO, "lone'", "lone", "lone.p7s");
	expect_file("none", NULL, OFS_EIO, "neither", NULL, NULL);
	expect_file(
		"a.xml", "none.p7s", OFS_EIO, "none.p7s", "a.xml", "none.p7s");
	expect_file("none.p7m", NULL, OFS_EIO, "none.p7m", "", "none.p7m");
	/* names that tell nothing: the content tells */
	put_file("odd", DOC);
	put_file("odd.signature", p7s.p, p7s.len);
	expect_file("odd", "odd.signature", 0, "valid", "odd", "odd.signature");
	put_file("raw.bin", sig.p, sig.len);
	expect_file(
		"odd", "raw.bin", OFS_EUNTRUSTED, "CN=Leaf", "odd", "raw.bin");
	/* too large, empty */
	put_file("big", DOC);
	put_file("big.p7s", big, CMS_FILE_MAX + 1);
	expect_file("big", NULL, OFS_EUNREADABLE, "larger than", NULL, NULL);
	put_file("empty", DOC);
	put_file("empty.p7s", "", 0);
	expect_file("empty", NULL, OFS_EUNREADABLE, "empty", NULL, NULL);
	/* a name that is nothing but a suffix is a document's */
	put_file(".sig", DOC);
	put_file(".sig.p7s", p7s.p, p7s.len);
	expect_file(".sig", NULL, 0, "valid", ".sig", ".sig.p7s");
	/* the document changed on disk */
	put_file("a.xml", "pay 900", 7);
	expect_file("a.xml", NULL, OFS_ESIGNATURE, "the document is not",
		"a.xml", "a.xml.p7s");
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		unlink(path(all[i]));
	assert_int_equal(rmdir(dir), 0);
	free(big);
	buf_free(&p7s);
	buf_free(&p7m);
	buf_free(&sig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(valid_ones),
		cmocka_unit_test(verdict_is_filled),
		cmocka_unit_test(other_documents),
		cmocka_unit_test(untrusted_ones),
		cmocka_unit_test(claimed_time),
		cmocka_unit_test(certificates_not_for_it),
		cmocka_unit_test(revocation),
		cmocka_unit_test(revocation_of_a_pinned_one),
		cmocka_unit_test(named_signers),
		cmocka_unit_test(raw_signatures),
		cmocka_unit_test(raw_over_attributes),
		cmocka_unit_test(attributes_wrong),
		cmocka_unit_test(files_by_openssl),
		cmocka_unit_test(two_signers),
		cmocka_unit_test(bytes_that_nothing_covers),
		cmocka_unit_test(unreadable_ones),
		cmocka_unit_test(flipped_bits),
		cmocka_unit_test(which_files),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
