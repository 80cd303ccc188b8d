/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files that are nearly right: each rule of the strict policy refuses one. */
#include "verify_kit.h"

#include <openssl/cms.h>

#include "format/cms_parse.h"
#include "format/oids.h"

/*
 * A file over attributes that a test has put together, each whole; in DER
 * order unless `as_is`.
 */
static void
craft_by(X509 *signer, EVP_PKEY *k, STACK_OF(X509) *chain, struct tlv_bytes *v,
	size_t n, bool as_is, struct buf *out)
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
	soft_sign(k, alg, hash, &sig);
	assert_int_equal(cms_maker_new(signer, chain, alg, false, &m, &e), 0);
	assert_int_equal(cms_assemble(m, attrs.p, attrs.len, sig.p, sig.len,
				 NULL, 0, out, &e),
		0);
	cms_maker_free(m);
	buf_free(&attrs);
	buf_free(&sig);
}

static void
craft(struct tlv_bytes *v, size_t n, bool as_is, struct buf *out)
{
	craft_by(ec.own, ec.own_key, NULL, v, n, as_is, out);
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
			OFS_ESIGNATURE,
			"message-digest of 'CN=Own' is missing" },
		{ 2,
			BYTES(0x30, 0x10, OID_MESSAGE_DIGEST, 0x31, 0x03, 0x02,
				0x01, 1),
			OFS_ESIGNATURE,
			"message-digest of 'CN=Own' is missing" },
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
openssl_sign(X509 *c, EVP_PKEY *k, STACK_OF(X509) *chain, const EVP_MD *md,
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
	/* RSA-PSS with a salt as long as can be, as OpenSSL has it */
	for (int good = 0; good < 2; good++) {
		BIO *in = BIO_new_mem_buf(doc, (int)sizeof(doc) - 1);
		unsigned int flags = cades | CMS_DETACHED | CMS_BINARY;

		cms = CMS_sign(NULL, NULL, NULL, NULL, flags | CMS_PARTIAL);
		si = CMS_add1_signer(
			cms, rsa.own, rsa.own_key, NULL, flags | CMS_KEY_PARAM);
		assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(
					 CMS_SignerInfo_get0_pkey_ctx(si),
					 RSA_PKCS1_PSS_PADDING),
			1);
		/* and with one that we make as well, without any NULL */
		if (good)
			assert_int_equal(
				EVP_PKEY_CTX_set_rsa_pss_saltlen(
					CMS_SignerInfo_get0_pkey_ctx(si),
					RSA_PSS_SALTLEN_DIGEST),
				1);
		assert_int_equal(CMS_final(cms, in, NULL, flags), 1);
		BIO_free(in);
		expect_cms(verifier(rsa.own), cms, good ? 0 : OFS_EUNTRUSTED,
			good ? "valid" : "RSASSA-PSS parameters");
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

/* two signers of one key each, digests as given */
static CMS_ContentInfo *
sign_twice(const EVP_MD *first, const EVP_MD *second)
{
	const unsigned int flags =
		CMS_CADES | CMS_NOSMIMECAP | CMS_DETACHED | CMS_BINARY;
	CMS_ContentInfo *cms = openssl_sign(
		ec.own, ec.own_key, NULL, first, flags | CMS_PARTIAL);
	BIO *in = BIO_new_mem_buf(doc, (int)sizeof(doc) - 1);

	assert_non_null(
		CMS_add1_signer(cms, rsa.own, rsa.own_key, second, flags));
	assert_int_equal(CMS_final(cms, in, NULL, flags), 1);
	BIO_free(in);
	return cms;
}

static void
put_cms(CMS_ContentInfo *cms, struct buf *b)
{
	uint8_t *der = NULL;
	int n = i2d_CMS_ContentInfo(cms, &der);

	assert_true(n > 0);
	buf_reset(b);
	buf_put(b, der, (size_t)n);
	OPENSSL_free(der);
}

static void
frames_wrong(void **state)
{
	struct cms_data *d = malloc(sizeof(*d));
	struct buf b = BUF_INIT;
	CMS_ContentInfo *cms;
	CMS_SignerInfo *gone;
	X509_ALGOR *sig_alg;
	struct ofs_error e;
	uint8_t *last, *at;

	(void)state;
	sign_leaf(&ec, false, &b);
	assert_int_equal(
		patch(&b, "\x02\x01\x01\x31", "\x02\x01\x03\x31", 4), 1);
	expect(verifier(ec.root), &b, OFS_ESIGNATURE, "has version 3");
	buf_reset(&b);
	sign_leaf(&ec, false, &b);
	assert_int_equal(patch(&b, "\x31\x0d\x30\x0b\x06\x09",
				 "\x31\x0d\x31\x0b\x06\x09", 6),
		1);
	expect(verifier(ec.root), &b, OFS_EUNREADABLE, "digestAlgorithms");
	/* a digest too many: its signer has been taken out */
	cms = sign_twice(EVP_sha256(), EVP_sha512());
	put_cms(cms, &b);
	expect(verifier(ec.own), &b, OFS_EUNTRUSTED, "--trust");
	assert_int_equal(cms_parse(b.p, b.len, d, &e), 0);
	assert_int_equal(d->n_digest_algs, 2);
	swap(&b, &d->digest_algs[0], &d->digest_algs[1]);
	expect(verifier(ec.own), &b, OFS_ESIGNATURE, "a SET is out of order");
	gone = sk_CMS_SignerInfo_delete(CMS_get0_SignerInfos(cms), 1);
	put_cms(cms, &b);
	/* OpenSSL has no function that frees one */
	sk_CMS_SignerInfo_push(CMS_get0_SignerInfos(cms), gone);
	expect(verifier(ec.own), &b, OFS_ESIGNATURE, "which no signer uses");
	CMS_ContentInfo_free(cms);
	/* a digest too few: the last signer claims another */
	cms = sign_twice(EVP_sha256(), EVP_sha256());
	put_cms(cms, &b);
	CMS_ContentInfo_free(cms);
	for (at = b.p, last = NULL;
		(at = memmem(at, (size_t)(b.p + b.len - at),
			 "\x65\x03\x04\x02\x01", 5)) != NULL;
		at++)
		last = at;
	assert_non_null(last);
	last[4] = 3;
	expect(verifier(ec.own), &b, OFS_ESIGNATURE, "which a signer uses");
	/* the signature algorithm's parameters, and another key's algorithm */
	cms = openssl_sign(ec.own, ec.own_key, NULL, NULL, CMS_CADES);
	CMS_SignerInfo_get0_algs(
		sk_CMS_SignerInfo_value(CMS_get0_SignerInfos(cms), 0), NULL,
		NULL, NULL, &sig_alg);
	X509_ALGOR_set0(
		sig_alg, OBJ_nid2obj(NID_ecdsa_with_SHA256), V_ASN1_NULL, NULL);
	put_cms(cms, &b);
	expect(verifier(ec.own), &b, OFS_ESIGNATURE, "wrong parameters");
	X509_ALGOR_set0(sig_alg, OBJ_nid2obj(NID_sha256WithRSAEncryption),
		V_ASN1_NULL, NULL);
	put_cms(cms, &b);
	expect(verifier(ec.own), &b, OFS_ESIGNATURE, "does not fit the key");
	CMS_ContentInfo_free(cms);
	/* a signer that was named vouches for itself alone */
	cms = sign_twice(EVP_sha256(), EVP_sha256());
	put_cms(cms, &b);
	CMS_ContentInfo_free(cms);
	{
		ofs_verifier *v = verifier(NULL);

		set_signer(v, ec.own, NULL, true);
		expect(v, &b, OFS_EUNTRUSTED, "no trust anchor was given");
	}
	free(d);
	buf_free(&b);
}

/* signing-certificate-v2 with two hashes: the signer's and `other`'s */
static void
put_two_ids(struct buf *attr, X509 *signer, X509 *other)
{
	static const uint8_t oid[] = { OID_SIGNING_CERT_V2 };
	X509 *const certs[] = { signer, other };
	struct ofs_error e;
	uint8_t hash[32];

	tlv_put_head(attr, TLV_SEQUENCE, sizeof(oid) + 2 + 2 + 2 + 2 * 36);
	buf_put(attr, oid, sizeof(oid));
	tlv_put_head(attr, TLV_SET, 2 + 2 + 2 * 36);
	tlv_put_head(attr, TLV_SEQUENCE, 2 + 2 * 36);
	tlv_put_head(attr, TLV_SEQUENCE, 2 * 36);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(cert_sha256(certs[i], hash, &e), 0);
		tlv_put_head(attr, TLV_SEQUENCE, 34);
		tlv_put(attr, TLV_OCTETS, hash, sizeof(hash));
	}
}

static void
chains_limited_by_the_signer(void **state)
{
	struct buf b = BUF_INIT, attr = BUF_INIT;
	struct tlv_bytes v[8];
	size_t n;

	(void)state;
	for (int i = 0; i < 2; i++) {
		buf_reset(&attr);
		buf_reset(&b);
		put_two_ids(&attr, ec.leaf, i == 0 ? ec.ca : ec.own);
		n = right_attrs(v);
		v[3] = (struct tlv_bytes){ attr.p, attr.len };
		craft_by(ec.leaf, ec.key, ec.chain, v, n, false, &b);
		if (i == 0)
			expect(verifier(ec.root), &b, 0, "valid");
		else
			expect(verifier(ec.root), &b, OFS_EUNTRUSTED,
				"'CN=Intermediate' is not among those");
	}
	buf_free(&b);
	buf_free(&attr);
	buf_free(&right);
}

/* what is above a pinned certificate does not matter */
static void
expired_ca(void **state)
{
	struct soft_cert was = ca_like;
	STACK_OF(X509) *chain = sk_X509_new_null();
	struct buf b = BUF_INIT;
	X509 *ca, *leaf;

	(void)state;
	was.to = -1;
	ca = soft_cert(&was, ec.ca_key, ec.root, ec.root_key);
	leaf = soft_cert(&leaf_like, ec.key, ca, ec.ca_key);
	sk_X509_push(chain, ca);
	soft_cms(leaf, ec.key, chain, alg_for(ec.type, 0), false, DOC,
		soft_now(), &b);
	expect(verifier(leaf), &b, 0, "valid");
	expect(verifier(ca), &b, OFS_EUNTRUSTED, "has expired");
	expect(verifier(ec.root), &b, OFS_EUNTRUSTED,
		"'CN=Intermediate' has expired");
	sk_X509_free(chain);
	X509_free(ca);
	X509_free(leaf);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attributes_wrong),
		cmocka_unit_test(files_by_openssl),
		cmocka_unit_test(two_signers),
		cmocka_unit_test(bytes_that_nothing_covers),
		cmocka_unit_test(frames_wrong),
		cmocka_unit_test(chains_limited_by_the_signer),
		cmocka_unit_test(expired_ca),
		cmocka_unit_test(unreadable_ones),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
