/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the CMS maker builds, judged by OpenSSL's own CMS and ASN.1 code. */
#include "soft.h"

#include <stdio.h>

#include <openssl/cms.h>
#include <openssl/err.h>

#include "base/hex.h"
#include "base/time.h"
#include "crypto/cert.h"
#include "crypto/der.h"
#include "format/cms_parse.h"

static const enum ofs_key_type types[] = { OFS_KEY_RSA, OFS_KEY_EC_P256,
	OFS_KEY_EC_P384, OFS_KEY_EC_P521, OFS_KEY_EC_SECP256K1, OFS_KEY_ED25519,
	OFS_KEY_ED448 };

#define N_TYPES (sizeof(types) / sizeof(types[0]))

/* keys and a chain of three for each type: they are slow to make */
static struct {
	EVP_PKEY *root_key, *ca_key, *key;
	X509 *root, *ca, *cert;
	STACK_OF(X509) *chain;
} sets[N_TYPES];

static int
make_sets(void **state)
{
	static const struct soft_cert root = { .cn = "Root",
		.usage = "critical,keyCertSign,cRLSign",
		.ca = true,
		.from = -SOFT_DAY,
		.to = SOFT_DAY };
	static const struct soft_cert ca = { .cn = "CA",
		.usage = "critical,keyCertSign,cRLSign",
		.ca = true,
		.from = -SOFT_DAY,
		.to = SOFT_DAY };
	static const struct soft_cert leaf = { .cn = "Leaf",
		.usage = "critical,digitalSignature,nonRepudiation",
		.from = -SOFT_DAY,
		.to = SOFT_DAY };

	(void)state;
	for (size_t i = 0; i < N_TYPES; i++) {
		sets[i].root_key = soft_key(OFS_KEY_EC_P256);
		sets[i].ca_key = soft_key(OFS_KEY_EC_P256);
		sets[i].key = soft_key(types[i]);
		sets[i].root = soft_cert(&root, sets[i].root_key, NULL, NULL);
		sets[i].ca = soft_cert(
			&ca, sets[i].ca_key, sets[i].root, sets[i].root_key);
		sets[i].cert = soft_cert(
			&leaf, sets[i].key, sets[i].ca, sets[i].ca_key);
		sets[i].chain = sk_X509_new_null();
		/* out of order, with a root and a repetition to be dropped */
		sk_X509_push(sets[i].chain, sets[i].root);
		sk_X509_push(sets[i].chain, sets[i].ca);
		sk_X509_push(sets[i].chain, sets[i].cert);
	}
	return 0;
}

static int
free_sets(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_TYPES; i++) {
		EVP_PKEY_free(sets[i].root_key);
		EVP_PKEY_free(sets[i].ca_key);
		EVP_PKEY_free(sets[i].key);
		X509_free(sets[i].root);
		X509_free(sets[i].ca);
		X509_free(sets[i].cert);
		sk_X509_free(sets[i].chain);
	}
	return 0;
}

/* decode, encode anew from the parts, compare */
static void
assert_reencodes(const struct buf *b)
{
	const uint8_t *p = b->p;
	CMS_ContentInfo *cms;
	uint8_t *der = NULL;
	int n;

	assert_true(der_is_strict(b->p, b->len));
	cms = d2i_CMS_ContentInfo(NULL, &p, (long)b->len);
	assert_non_null(cms);
	assert_ptr_equal(p, b->p + b->len);
	n = i2d_CMS_ContentInfo(cms, &der);
	assert_int_equal(n, b->len);
	assert_memory_equal(der, b->p, b->len);
	OPENSSL_free(der);
	CMS_ContentInfo_free(cms);
}

static int
openssl_verifies(const struct buf *sig, X509 *anchor, const void *doc, size_t n)
{
	const uint8_t *p = sig->p;
	CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &p, (long)sig->len);
	BIO *content = doc != NULL ? BIO_new_mem_buf(doc, (int)n) : NULL;
	X509_STORE *store = X509_STORE_new();
	BIO *out = BIO_new(BIO_s_mem());
	int ok;

	assert_non_null(cms);
	X509_STORE_add_cert(store, anchor);
	X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
	X509_STORE_set_purpose(store, X509_PURPOSE_ANY);
	ok = CMS_verify(cms, NULL, store, content, out, CMS_CADES | CMS_BINARY);
	ERR_clear_error();
	X509_STORE_free(store);
	BIO_free(content);
	BIO_free(out);
	CMS_ContentInfo_free(cms);
	return ok;
}

static void
check_with_openssl(size_t set, const struct alg *alg)
{
	static const char doc[] = "binary\r\n\0content\n";
	X509 *root = sets[set].root;
	struct buf b = BUF_INIT;
	size_t n = sizeof(doc);

	soft_cms(sets[set].cert, sets[set].key, sets[set].chain, alg, false,
		doc, n, soft_now(), &b);
	assert_reencodes(&b);
	/* 3.0 hands EdDSA a digest, and then refuses it itself */
	if (alg->mech != ALG_EDDSA) {
		assert_int_equal(openssl_verifies(&b, root, doc, n), 1);
		assert_int_equal(openssl_verifies(&b, root, doc, n - 1), 0);
	}
	buf_reset(&b);
	soft_cms(sets[set].cert, sets[set].key, sets[set].chain, alg, true, doc,
		n, soft_now(), &b);
	assert_reencodes(&b);
	if (alg->mech != ALG_EDDSA)
		assert_int_equal(openssl_verifies(&b, root, NULL, 0), 1);
	buf_free(&b);
}

static void
openssl_accepts(void **state)
{
	int done = 0;

	(void)state;
	for (size_t i = 0; i < N_TYPES; i++)
		for (int pad = 0; pad <= OFS_PADDING_PSS; pad += 2)
			for (int d = OFS_DIGEST_SHA256;
				d <= OFS_DIGEST_SHAKE256; d++) {
				const struct alg *alg = alg_padded(types[i],
					(enum ofs_padding)pad,
					(enum ofs_digest)d);

				if (alg == NULL)
					continue;
				check_with_openssl(i, alg);
				done++;
			}
	assert_int_equal(done, 6 + 1 + 2 + 3 + 1 + 2);
}

/* the three identifiers of a SignerInfo, byte for byte: RFC 8419, RFC 4056 */
static void
identifiers(void **state)
{
	static const struct {
		size_t set;
		enum ofs_padding padding;
		const char *digest, *sig;
	} t[] = {
		{ 0, OFS_PADDING_PSS, "300b0609608648016503040201",
			"304106092a864886f70d01010a3034a00f300d0609608648016503"
			"0402010500a11c301a06092a864886f70d010108300d0609608648"
			"0165030402010500a203020120" },
		{ 0, OFS_PADDING_PKCS1, "300b0609608648016503040201",
			"300d06092a864886f70d01010b0500" },
		{ 4, 0, "300b0609608648016503040201",
			"300a06082a8648ce3d040302" },
		{ 5, 0, "300b0609608648016503040203", "300506032b6570" },
		{ 6, 0, "300f060960864801650304021202020200",
			"300506032b6571" },
	};
	static struct cms_data d;
	struct ofs_error e;
	char hex[200];

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		const struct alg *alg =
			alg_padded(types[t[i].set], t[i].padding, 0);
		struct buf b = BUF_INIT;
		bool null;

		soft_cms(sets[t[i].set].cert, sets[t[i].set].key, NULL, alg,
			false, "abc", 3, soft_now(), &b);
		assert_int_equal(cms_parse(b.p, b.len, &d, &e), 0);
		assert_int_equal(d.n_digest_algs, 1);
		hex_encode(hex, d.digest_algs[0].der, d.digest_algs[0].der_len);
		assert_string_equal(hex, t[i].digest);
		hex_encode(hex, d.signers[0].digest_alg.der,
			d.signers[0].digest_alg.der_len);
		assert_string_equal(hex, t[i].digest);
		hex_encode(hex, d.signers[0].sig_alg.der,
			d.signers[0].sig_alg.der_len);
		assert_string_equal(hex, t[i].sig);
		assert_ptr_equal(
			cms_digest_alg(&d.signers[0].digest_alg), alg->digest);
		assert_int_equal(
			cms_alg_oid_nid(&d.signers[0].sig_alg), alg->sig_nid);
		assert_int_equal(cms_alg_nid(&d.signers[0].sig_alg, &null),
			alg->mech == ALG_RSA_PSS ? NID_undef : alg->sig_nid);
		buf_free(&b);
	}
}

/* SHAKE256 has its length told, and 512 is the one: RFC 8419 3.1 */
static void
shake_identifiers(void **state)
{
	static const struct {
		const char *hex;
		bool ok;
	} t[] = {
		{ "300f060960864801650304021202020200", true },
		{ "300b060960864801650304020c", false },
		{ "300d060960864801650304020c0500", false },
		{ "300b0609608648016503040212", false },
		{ "300f060960864801650304021202020100", false },
		{ "300e0609608648016503040212020100", false },
		{ "3011060960864801650304021202020200"
		  "0500",
			false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		size_t n = strlen(t[i].hex) / 2;
		uint8_t der[32];
		struct tlv id;
		struct rd r;

		assert_true(hex_decode(der, n, t[i].hex, 2 * n));
		rd_init(&r, der, n);
		assert_true(tlv_take(&r, TLV_SEQUENCE, &id));
		assert_ptr_equal(
			cms_digest_alg(&id), t[i].ok ? &digest_shake256 : NULL);
	}
}

/* lengths that take one to four octets, and nothing at all */
static void
content_sizes(void **state)
{
	static const size_t sizes[] = { 0, 1, 100, 127, 128, 129, 255, 256,
		65400, 65536, 70000, CMS_ATTACHED_MAX };
	uint8_t *doc = calloc(1, CMS_ATTACHED_MAX + 1);
	const struct alg *alg = alg_for(OFS_KEY_EC_P256, 0);
	struct cms_maker *m;
	struct ofs_error e;

	(void)state;
	assert_non_null(doc);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct buf b = BUF_INIT;

		soft_cms(sets[1].cert, sets[1].key, sets[1].chain, alg, true,
			doc, sizes[i], soft_now(), &b);
		assert_reencodes(&b);
		assert_int_equal(
			openssl_verifies(&b, sets[1].root, NULL, 0), 1);
		buf_free(&b);
	}
	assert_int_equal(
		cms_maker_new(sets[1].cert, NULL, alg, true, &m, &e), 0);
	{
		struct buf b = BUF_INIT;
		static const uint8_t attrs[] = { 0x31, 0 };

		assert_int_equal(cms_assemble(m, attrs, 2, attrs, 2, doc,
					 CMS_ATTACHED_MAX + 1, &b, &e),
			OFS_EUNSUPPORTED);
		/* an attached one without content, and the other way round */
		assert_int_equal(
			cms_assemble(m, attrs, 2, attrs, 2, NULL, 0, &b, &e),
			OFS_EINTERNAL);
	}
	cms_maker_free(m);
	free(doc);
}

static void
put_attrs(const char *when, struct buf *attrs)
{
	const struct alg *alg = alg_for(OFS_KEY_EC_P256, 0);
	uint8_t hash[DIGEST_MAX];
	struct cms_maker *m;
	struct ofs_error e;
	int64_t t;

	memset(hash, 0xab, sizeof(hash));
	assert_true(time_parse(when, &t));
	assert_int_equal(
		cms_maker_new(sets[1].cert, NULL, alg, false, &m, &e), 0);
	assert_int_equal(cms_attrs(m, hash, t, attrs, &e), 0);
	cms_maker_free(m);
}

/* every byte, in ascending order of the whole attributes */
static void
attributes_byte_for_byte(void **state)
{
	struct buf attrs = BUF_INIT, want = BUF_INIT;
	char hex[1024], cert[65], content[65];
	uint8_t hash[32];
	struct ofs_error e;

	(void)state;
	put_attrs("2026-11-21T07:52:00.999999Z", &attrs);
	assert_true(attrs.len * 2 < sizeof(hex));
	hex_encode(hex, attrs.p, attrs.len);
	assert_int_equal(cert_sha256(sets[1].cert, hash, &e), 0);
	hex_encode(cert, hash, sizeof(hash));
	memset(hash, 0xab, sizeof(hash));
	hex_encode(content, hash, sizeof(hash));
	buf_printf(&want, "3181a2");
	buf_printf(
		&want, "301806092a864886f70d010903310b06092a864886f70d010701");
	buf_printf(&want, "301c06092a864886f70d010905310f170d%s",
		"3236313132313037353230305a");
	buf_printf(&want, "302f06092a864886f70d01090431220420%s", content);
	buf_printf(&want,
		"3037060b2a864886f70d010910022f"
		"31283026302430220420%s",
		cert);
	assert_string_equal(hex, buf_cstr(&want));
	assert_true(der_is_strict(attrs.p, attrs.len));
	buf_free(&attrs);
	buf_free(&want);
}

/* RFC 5652 11.3; and what is written is what is read */
static void
signing_times(void **state)
{
	static const struct {
		const char *when, *hex;
	} cases[] = {
		{ "1950-01-01T00:00:00Z", "170d3530303130313030303030305a" },
		{ "1969-12-31T23:59:59.5Z", "170d3639313233313233353935395a" },
		{ "2049-12-31T23:59:59Z", "170d3439313233313233353935395a" },
		{ "2050-01-01T00:00:00Z",
			"180f32303530303130313030303030305a" },
		{ "1949-12-31T23:59:59Z",
			"180f31393439313233313233353935395a" },
		{ "9999-12-31T23:59:59Z",
			"180f39393939313233313233353935395a" },
	};
	static const char *const bad[] = { "170d3236303233303030303030305a",
		"170d3236313330313030303030305a",
		"170c32363131323130373532305a",
		"170d3236313132313234303030305a",
		"170d3236313132313030363030305a",
		"170d3236313132313030303036305a",
		"170d32363131323130303030303030",
		"180f32303236313132313037353230305a",
		"170b323631313231303735325a",
		"18103230353030313031303030302e30305a",
		"181332303530303130313030303030302b30303030" };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf attrs = BUF_INIT;
		int64_t want, got;
		uint8_t raw[17];
		size_t n = strlen(cases[i].hex) / 2;
		struct tlv t;
		struct rd r;

		put_attrs(cases[i].when, &attrs);
		assert_true(hex_decode(raw, n, cases[i].hex, 2 * n));
		assert_non_null(memmem(attrs.p, attrs.len, raw, n));
		rd_init(&r, raw, n);
		assert_true(tlv_next(&r, &t));
		assert_true(cms_time(&t, &got));
		assert_true(time_parse(cases[i].when, &want));
		if (want % 1000000 != 0)
			want -= (want % 1000000 + 1000000) % 1000000;
		assert_true(got == want);
		buf_free(&attrs);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint8_t raw[32];
		size_t n = strlen(bad[i]) / 2;
		struct tlv t;
		struct rd r;
		int64_t got;

		assert_true(hex_decode(raw, n, bad[i], 2 * n));
		rd_init(&r, raw, n);
		assert_true(tlv_next(&r, &t));
		if (cms_time(&t, &got))
			fail_msg("time accepted: %s", bad[i]);
	}
}

static void
times_out_of_range(void **state)
{
	struct buf attrs = BUF_INIT;
	uint8_t hash[32] = { 0 };
	struct cms_maker *m;
	struct ofs_error e;

	(void)state;
	assert_int_equal(cms_maker_new(sets[1].cert, NULL,
				 alg_for(OFS_KEY_EC_P256, 0), false, &m, &e),
		0);
	assert_int_equal(cms_attrs(m, hash, INT64_MAX, &attrs, &e), OFS_EINVAL);
	assert_int_equal(cms_attrs(m, hash, INT64_MIN, &attrs, &e), OFS_EINVAL);
	assert_int_equal(attrs.len, 0);
	cms_maker_free(m);
}

/* the parser sees what the maker wrote; the root is left out */
static void
parsed_back(void **state)
{
	struct cms_data *d = malloc(sizeof(*d));
	struct buf b = BUF_INIT, der = BUF_INIT;
	struct ofs_error e;

	(void)state;
	soft_cms(sets[0].cert, sets[0].key, sets[0].chain,
		alg_for(OFS_KEY_RSA, 0), true, "abc", 3, soft_now(), &b);
	assert_int_equal(cms_parse(b.p, b.len, d, &e), 0);
	assert_true(cms_looks_like(b.p, b.len));
	assert_int_equal(d->version, 1);
	assert_int_equal(d->n_digest_algs, 1);
	assert_int_equal(d->n_signers, 1);
	assert_int_equal(d->signers[0].n_attrs, 4);
	assert_int_equal(d->content.n, 3);
	assert_memory_equal(d->content.p, "abc", 3);
	assert_int_equal(d->n_certs, 2);
	for (size_t i = 0; i < 2; i++) {
		X509 *c;

		assert_int_equal(cert_from_der(d->certs[i].der,
					 d->certs[i].der_len, &c, &e),
			0);
		assert_true(X509_cmp(c, sets[0].cert) == 0 ||
			X509_cmp(c, sets[0].ca) == 0);
		X509_free(c);
	}
	/* RFC 5754: no parameters */
	assert_true(tlv_same(&d->digest_algs[0],
		"\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01", 13));
	free(d);
	buf_free(&b);
	buf_free(&der);
}

static void
makers_refused(void **state)
{
	const struct alg *alg = alg_for(OFS_KEY_EC_P256, 0);
	STACK_OF(X509) *other = sk_X509_new_null();
	struct cms_maker *m = NULL;
	struct ofs_error e;

	(void)state;
	/* another CA of the same name */
	sk_X509_push(other, sets[2].ca);
	assert_int_equal(cms_maker_new(sets[1].cert, other, alg, false, &m, &e),
		OFS_ECERT);
	assert_null(m);
	assert_non_null(strstr(e.message, "'CN=CA'"));
	sk_X509_free(other);
	/* an algorithm that is not the key's */
	assert_int_equal(cms_maker_new(sets[0].cert, NULL, alg, false, &m, &e),
		OFS_ECERT);
	assert_int_equal(cms_maker_new(sets[1].cert, NULL,
				 alg_for(OFS_KEY_RSA, 0), false, &m, &e),
		OFS_ECERT);
	assert_int_equal(cms_maker_new(sets[1].cert, NULL,
				 alg_for(OFS_KEY_EC_P521, OFS_DIGEST_SHA512),
				 false, &m, &e),
		OFS_ECERT);
	assert_null(m);
}

/* every beginning of a file is refused, and so is a byte more */
static void
cut_files(void **state)
{
	struct cms_data *d = malloc(sizeof(*d));
	struct buf b = BUF_INIT;
	struct ofs_error e;

	(void)state;
	soft_cms(sets[1].cert, sets[1].key, NULL, alg_for(OFS_KEY_EC_P256, 0),
		false, "abc", 3, soft_now(), &b);
	for (size_t n = 0; n < b.len; n++) {
		uint8_t *p = malloc(n + 1);

		memcpy(p, b.p, n);
		assert_int_equal(cms_parse(p, n, d, &e), OFS_EUNREADABLE);
		(void)cms_looks_like(p, n);
		free(p);
	}
	buf_u8(&b, 0);
	assert_int_equal(cms_parse(b.p, b.len, d, &e), OFS_ESIGNATURE);
	assert_non_null(strstr(e.message, "behind the end"));
	free(d);
	buf_free(&b);
}

/* lengths: definite and minimal, and no more than there is */
static void
lengths_read(void **state)
{
	static const struct {
		const char *hex;
		bool ok;
	} cases[] = { { "0400", true }, { "040141", true }, { "0402ff", false },
		{ "04810141", false }, { "048041", false }, { "1f0100", false },
		{ "0482000141", false }, { "0485000000000141", false },
		{ "0484ffffffff", false }, { "04", false }, { "", false } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t raw[16];
		size_t n = strlen(cases[i].hex) / 2;
		struct tlv t;
		struct rd r;

		assert_true(hex_decode(raw, n, cases[i].hex, 2 * n));
		rd_init(&r, raw, n);
		if (tlv_next(&r, &t) != cases[i].ok ||
			rd_done(&r) != cases[i].ok)
			fail_msg("%s", cases[i].hex);
		assert_int_equal(t.p != NULL, cases[i].ok);
	}
}

/* the target is 10 us; ten times as much would be a mistake in the code */
static void
fast_enough(void **state)
{
	const int rounds = 20000;
	const struct alg *alg = alg_for(OFS_KEY_RSA, 0);
	struct buf attrs = BUF_INIT, out = BUF_INIT;
	uint8_t hash[32] = { 1 }, sig[256] = { 2 };
	struct cms_maker *m;
	struct ofs_error e;
	int64_t start;
	double each;

	(void)state;
	assert_int_equal(
		cms_maker_new(sets[0].cert, sets[0].chain, alg, false, &m, &e),
		0);
	start = time_mono();
	for (int i = 0; i < rounds; i++) {
		buf_reset(&attrs);
		buf_reset(&out);
		assert_int_equal(cms_attrs(m, hash, i, &attrs, &e), 0);
		assert_int_equal(cms_assemble(m, attrs.p, attrs.len, sig,
					 sizeof(sig), NULL, 0, &out, &e),
			0);
	}
	each = (double)(time_mono() - start) / rounds;
	printf("# attributes and assembly: %.2f us an item\n", each);
	assert_true(each < 100);
	buf_free(&attrs);
	buf_free(&out);
	cms_maker_free(m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(openssl_accepts),
		cmocka_unit_test(identifiers),
		cmocka_unit_test(shake_identifiers),
		cmocka_unit_test(content_sizes),
		cmocka_unit_test(attributes_byte_for_byte),
		cmocka_unit_test(signing_times),
		cmocka_unit_test(times_out_of_range),
		cmocka_unit_test(parsed_back),
		cmocka_unit_test(makers_refused),
		cmocka_unit_test(cut_files),
		cmocka_unit_test(lengths_read),
		cmocka_unit_test(fast_enough),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_sets, free_sets);
}
