/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Verdicts: whom and what is trusted, raw signatures, names of files. */
#include "verify_kit.h"

#include <unistd.h>

#include "base/file.h"
#include "format/cms_parse.h"

static void
valid_ones(void **state)
{
	static const enum ofs_key_type types[] = { OFS_KEY_EC_P384,
		OFS_KEY_EC_P521, OFS_KEY_EC_SECP256K1, OFS_KEY_ED25519,
		OFS_KEY_ED448 };

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
	for (int d = OFS_DIGEST_SHA256; d <= OFS_DIGEST_SHA512; d++) {
		struct buf b = BUF_INIT;

		soft_cms(rsa.own, rsa.own_key, NULL,
			alg_padded(OFS_KEY_RSA, OFS_PADDING_PSS,
				(enum ofs_digest)d),
			false, DOC, soft_now(), &b);
		expect(verifier(rsa.own), &b, 0, "valid");
		buf_free(&b);
	}
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
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
/* the algorithm is found out, and every bit counts */
static void
raw_algorithms(void **state)
{
	static const enum ofs_key_type types[] = { OFS_KEY_EC_SECP256K1,
		OFS_KEY_ED25519, OFS_KEY_ED448 };
	struct buf b = BUF_INIT;

	(void)state;
	for (int d = OFS_DIGEST_SHA256; d <= OFS_DIGEST_SHA512; d++) {
		const struct alg *a = alg_padded(
			OFS_KEY_RSA, OFS_PADDING_PSS, (enum ofs_digest)d);

		soft_sign_message(rsa.key, a, DOC, &b);
		expect_raw(raw_verifier(NULL, NULL, rsa.key), DOC, &b, 0, "",
			a->name);
		buf_reset(&b);
	}
	for (size_t i = 0; i < 3; i++) {
		EVP_PKEY *k = soft_key(types[i]);
		const struct alg *a = alg_for(types[i], 0);

		soft_sign_message(k, a, DOC, &b);
		expect_raw(
			raw_verifier(NULL, NULL, k), DOC, &b, 0, "", a->name);
		expect_raw(raw_verifier(NULL, NULL, k), doc, 3, &b,
			OFS_ESIGNATURE, "named signer", "");
		for (size_t bit = 0; bit < 8 * b.len; bit++) {
			b.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
			expect_raw(raw_verifier(NULL, NULL, k), DOC, &b,
				OFS_ESIGNATURE, "named signer", "");
			b.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
		buf_u8(&b, 0);
		expect_raw(raw_verifier(NULL, NULL, k), DOC, &b, OFS_ESIGNATURE,
			"named signer", "");
		buf_reset(&b);
		/* an empty document */
		soft_sign_message(k, a, "", 0, &b);
		expect_raw(
			raw_verifier(NULL, NULL, k), "", 0, &b, 0, "", a->name);
		buf_reset(&b);
		/* what could be signed attributes */
		soft_sign_message(k, a, "\x31\x00", 2, &b);
		expect_raw(raw_verifier(NULL, NULL, k), "\x31\x00", 2, &b,
			OFS_ESIGNATURE, "signed attributes", "");
		buf_reset(&b);
		EVP_PKEY_free(k);
	}
	buf_free(&b);
}

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
	expect_file("lone.p7s", NULL, OFS_EIO, "beside its signature", "lone",
		"lone.p7s");
	expect_file("none", NULL, OFS_EIO, "cannot open", NULL, NULL);
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
		cmocka_unit_test(raw_algorithms),
		cmocka_unit_test(raw_over_attributes),
		cmocka_unit_test(which_files),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
