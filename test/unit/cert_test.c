/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Certificates and requests: made, judged by openssl(1), read strictly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "base/file.h"
#include "base/hex.h"
#include "base/text.h"
#include "crypto/cert.h"
#include "crypto/der.h"
#include "crypto/pubkey.h"

#define SECOND INT64_C(1000000)
#define T0 (INT64_C(1795247520) * SECOND) /* 2026-11-21T07:52:00Z */

static struct ofs_error e;
static char top[64];
static EVP_PKEY *rsa, *ec, *p384, *k1, *ed25519, *ed448;

static int
setup(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	snprintf(top, sizeof(top), "%s/cert_test.XXXXXX",
		tmp != NULL ? tmp : "/tmp");
	rsa = EVP_RSA_gen(2048);
	ec = EVP_EC_gen("P-256");
	p384 = EVP_EC_gen("P-384");
	k1 = EVP_EC_gen("secp256k1");
	ed25519 = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	ed448 = EVP_PKEY_Q_keygen(NULL, NULL, "ED448");
	if (rsa == NULL || ec == NULL || p384 == NULL || k1 == NULL ||
		ed25519 == NULL || ed448 == NULL)
		return -1;
	return mkdtemp(top) != NULL && chdir(top) == 0 ? 0 : -1;
}

static int
teardown(void **state)
{
	char cmd[100];

	(void)state;
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(ec);
	EVP_PKEY_free(p384);
	EVP_PKEY_free(k1);
	EVP_PKEY_free(ed25519);
	EVP_PKEY_free(ed448);
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", top);
	return chdir("/") == 0 ? system(cmd) : -1;
}

/* a token's part, in software */
static size_t
sign(EVP_PKEY *k, const struct alg *a, const struct buf *tbs, uint8_t *sig,
	size_t room)
{
	const EVP_MD *md = a->mech == ALG_EDDSA ? NULL : a->digest->md();
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *key;
	size_t n = room;

	assert_int_equal(EVP_DigestSignInit(ctx, &key, md, NULL, k), 1);
	if (a->mech == ALG_RSA_PSS) {
		assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(
					 key, RSA_PKCS1_PSS_PADDING),
			1);
		assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(
					 key, RSA_PSS_SALTLEN_DIGEST),
			1);
	}
	assert_int_equal(EVP_DigestSign(ctx, sig, &n, tbs->p, tbs->len), 1);
	EVP_MD_CTX_free(ctx);
	return n;
}

static X509_NAME *
name(const char *text)
{
	X509_NAME *n;

	assert_int_equal(cert_name_parse(text, &n, &e), 0);
	return n;
}

static X509 *
self_signed(EVP_PKEY *k, const struct alg *a, const char *subject)
{
	X509_NAME *n = name(subject);
	struct buf tbs = BUF_INIT;
	uint8_t sig[512];
	size_t len;
	X509 *c;

	assert_int_equal(cert_build_self_signed(n, k, a, T0, 365, &c, &e), 0);
	assert_int_equal(cert_tbs(c, &tbs, &e), 0);
	len = sign(k, a, &tbs, sig, sizeof(sig));
	assert_int_equal(cert_finish(c, a, sig, len, &e), 0);
	buf_free(&tbs);
	X509_NAME_free(n);
	return c;
}

static void
spit(const char *path, const struct buf *b)
{
	assert_int_equal(file_write_new(path, b->p, b->len, true, &e), 0);
}

static const struct alg *
alg_of(EVP_PKEY *k)
{
	return alg_for(pubkey_type(k), OFS_DIGEST_DEFAULT);
}

/* every kind of key, and RSA with both paddings */
#define N_MADE 9
static const struct alg *
made(size_t i, EVP_PKEY **k)
{
	EVP_PKEY *ks[N_MADE] = { rsa, rsa, rsa, rsa, ec, p384, k1, ed25519,
		ed448 };
	enum ofs_digest d = i == 2 ? OFS_DIGEST_SHA384
		: i == 3           ? OFS_DIGEST_SHA512
				   : 0;

	*k = ks[i];
	return alg_padded(pubkey_type(*k),
		i >= 1 && i <= 3 ? OFS_PADDING_PSS : OFS_PADDING_DEFAULT, d);
}

/* is there this text in what a command prints? */
static bool
prints(const char *cmd, const char *want)
{
	FILE *f = popen(cmd, "r");
	char out[20000];
	size_t n;

	assert_non_null(f);
	n = fread(out, 1, sizeof(out) - 1, f);
	out[n] = '\0';
	pclose(f);
	return strstr(out, want) != NULL;
}

static void
self_signed_verifies(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_MADE; i++) {
		EVP_PKEY *k;
		const struct alg *a = made(i, &k);
		X509 *c = self_signed(k, a, "/O=Acme/CN=Payroll batch");
		struct buf pem = BUF_INIT;

		assert_true(cert_self_issued(c));
		assert_true(cert_self_signed(c));
		assert_true(cert_has_key(c, k));
		assert_false(cert_has_key(c, k == ec ? rsa : ec));
		assert_int_equal(cert_to_pem(c, &pem, &e), 0);
		spit("c.pem", &pem);
		assert_int_equal(system("openssl verify -x509_strict "
					"-check_ss_sig -attime 1800000000 "
					"-CAfile c.pem c.pem "
					">/dev/null 2>&1"),
			0);
		/* before and after its time it does not */
		assert_int_not_equal(
			system("openssl verify -attime 1795247519 "
			       "-CAfile c.pem c.pem >/dev/null 2>&1"),
			0);
		assert_int_not_equal(
			system("openssl verify -attime 1826783521 "
			       "-CAfile c.pem c.pem >/dev/null 2>&1"),
			0);
		buf_free(&pem);
		X509_free(c);
	}
}

static void
self_signed_says(void **state)
{
	static const struct {
		const char *cmd, *want;
	} t[] = {
		{ "-noout -subject -nameopt RFC2253",
			"CN=Payroll batch,O=Acme" },
		{ "-noout -ext basicConstraints",
			"X509v3 Basic Constraints: critical\n    CA:FALSE" },
		{ "-noout -ext keyUsage",
			"X509v3 Key Usage: critical\n    "
			"Digital Signature, Non Repudiation\n" },
		{ "-noout -dates",
			"notBefore=Nov 21 07:52:00 2026 GMT\n"
			"notAfter=Nov 21 07:52:00 2027 GMT\n" },
		{ "-noout -text", "Version: 3" },
		{ "-noout -text", "Subject Key Identifier" },
	};
	X509 *c = self_signed(rsa, alg_of(rsa), "/O=Acme/CN=Payroll batch");
	struct buf pem = BUF_INIT;
	char s[200];
	int64_t at;

	(void)state;
	assert_int_equal(cert_to_pem(c, &pem, &e), 0);
	spit("c.pem", &pem);
	buf_free(&pem);
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		snprintf(s, sizeof(s), "openssl x509 -in c.pem %s", t[i].cmd);
		if (!prints(s, t[i].want))
			fail_msg("%s says no %s", s, t[i].want);
	}
	assert_int_equal(cert_not_before(c, &at, &e), 0);
	assert_true(at == T0);
	assert_int_equal(cert_not_after(c, &at, &e), 0);
	assert_true(at == T0 + 365 * 86400 * SECOND);
	cert_subject(c, s, sizeof(s));
	assert_string_equal(s, "CN=Payroll batch,O=Acme");
	cert_issuer(c, s, sizeof(s));
	assert_string_equal(s, "CN=Payroll batch,O=Acme");
	X509_free(c);
}

/* RFC 4055: NULL for RSA, inside and outside; RFC 5758: nothing for ECDSA. */
static void
algorithm_parameters(void **state)
{
	(void)state;
	for (int round = 0; round < 2; round++) {
		EVP_PKEY *k = round == 0 ? rsa : ec;
		X509 *c = self_signed(k, alg_of(k), "/CN=x");
		const X509_ALGOR *in = X509_get0_tbs_sigalg(c), *out;
		X509_NAME *n = name("/CN=x");
		X509_REQ *r;

		X509_get0_signature(NULL, &out, c);
		assert_int_equal(X509_ALGOR_cmp(in, out), 0);
		assert_int_equal(
			OBJ_obj2nid(in->algorithm), alg_of(k)->sig_nid);
		if (round == 0)
			assert_int_equal(in->parameter->type, V_ASN1_NULL);
		else
			assert_null(in->parameter);
		assert_int_equal(cert_build_csr(n, k, alg_of(k), &r, &e), 0);
		X509_REQ_get0_signature(r, NULL, &out);
		assert_int_equal(X509_ALGOR_cmp(in, out), 0);
		X509_REQ_free(r);
		X509_NAME_free(n);
		X509_free(c);
	}
}

static void
serial_numbers(void **state)
{
	char last[64] = "", s[64];

	(void)state;
	for (int i = 0; i < 300; i++) {
		X509_NAME *n = name("/CN=x");
		X509 *c;

		assert_int_equal(cert_build_self_signed(
					 n, ec, alg_of(ec), T0, 1, &c, &e),
			0);
		assert_int_equal(ASN1_STRING_type(X509_get0_serialNumber(c)),
			V_ASN1_INTEGER);
		cert_serial_hex(c, s, sizeof(s));
		assert_int_equal(strlen(s), 32);
		/* positive, and never shorter for want of luck */
		assert_true(s[0] >= '4' && s[0] <= '7');
		assert_string_not_equal(s, last);
		memcpy(last, s, sizeof(s));
		X509_free(c);
		X509_NAME_free(n);
	}
}

static void
serial_text(void **state)
{
	X509 *c = X509_new();
	ASN1_INTEGER *i = X509_get_serialNumber(c);
	char s[64];

	(void)state;
	ASN1_INTEGER_set(i, 0);
	cert_serial_hex(c, s, sizeof(s));
	assert_string_equal(s, "00");
	ASN1_INTEGER_set(i, 0x80ff);
	cert_serial_hex(c, s, sizeof(s));
	assert_string_equal(s, "80ff");
	ASN1_INTEGER_set(i, -255);
	cert_serial_hex(c, s, sizeof(s));
	assert_string_equal(s, "-ff");
	ASN1_INTEGER_set_uint64(i, UINT64_C(0x1122334455667788));
	cert_serial_hex(c, s, 17);
	assert_string_equal(s, "1122334455667788");
	cert_serial_hex(c, s, 16);
	assert_string_equal(s, "112233445566...");
	for (size_t n = 1; n < 16; n++) {
		memset(s, 'x', sizeof(s));
		cert_serial_hex(c, s, n);
		assert_true(strlen(s) < n);
		assert_int_equal(s[n], 'x');
	}
	X509_free(c);
}

static void
requests_verify(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_MADE; i++) {
		EVP_PKEY *k, *other_key;
		const struct alg *a = made(i, &k);
		const struct alg *other = made((i + 1) % N_MADE, &other_key);
		X509_NAME *n = name("/C=DE/O=Acme/CN=Payroll");
		struct buf tbs = BUF_INIT, pem = BUF_INIT;
		uint8_t sig[512];
		X509_REQ *r;
		size_t len;

		assert_int_equal(cert_build_csr(n, k, a, &r, &e), 0);
		assert_int_equal(cert_csr_tbs(r, &tbs, &e), 0);
		len = sign(k, a, &tbs, sig, sizeof(sig));
		assert_int_equal(cert_csr_finish(r, a, sig, len, &e), 0);
		assert_int_equal(cert_csr_to_pem(r, &pem, &e), 0);
		spit("r.pem", &pem);
		assert_int_equal(system("openssl req -verify -noout -in r.pem "
					">/dev/null 2>&1"),
			0);
		assert_true(prints("openssl req -in r.pem -noout -verify "
				   "-subject -nameopt RFC2253 2>&1",
			"CN=Payroll,O=Acme,C=DE"));
		assert_int_equal(X509_REQ_verify(r, k), 1);
		assert_int_equal(
			cert_csr_finish(r, other, sig, len, &e), OFS_EINTERNAL);
		sig[len / 2] ^= 1;
		assert_int_equal(cert_csr_finish(r, a, sig, len, &e), 0);
		assert_int_not_equal(X509_REQ_verify(r, k), 1);
		buf_free(&pem);
		buf_free(&tbs);
		X509_REQ_free(r);
		X509_NAME_free(n);
	}
	ERR_clear_error();
}

static void
refuses_to_build(void **state)
{
	X509_NAME *n = name("/CN=x"), *empty = X509_NAME_new();
	const struct alg *a = alg_of(ec);
	uint8_t sig[64] = { 0 };
	X509_REQ *r;
	X509 *c;

	(void)state;
	assert_int_equal(
		cert_build_self_signed(n, rsa, a, T0, 1, &c, &e), OFS_EINVAL);
	assert_null(c);
	assert_int_equal(cert_build_self_signed(empty, ec, a, T0, 1, &c, &e),
		OFS_EINVAL);
	assert_int_equal(
		cert_build_self_signed(n, ec, a, T0, 0, &c, &e), OFS_EINVAL);
	assert_int_equal(
		cert_build_self_signed(n, ec, a, T0, -1, &c, &e), OFS_EINVAL);
	assert_int_equal(cert_build_self_signed(n, ec, a, T0, 36526, &c, &e),
		OFS_EINVAL);
	assert_int_equal(
		cert_build_self_signed(n, ec, a, -1, 1, &c, &e), OFS_EINVAL);
	assert_int_equal(
		cert_build_self_signed(n, ec, a, INT64_MAX, 36525, &c, &e),
		OFS_EINVAL);
	assert_int_equal(cert_build_csr(n, rsa, a, &r, &e), OFS_EINVAL);
	assert_null(r);
	assert_int_equal(cert_build_csr(empty, ec, a, &r, &e), OFS_EINVAL);
	assert_int_equal(cert_build_self_signed(n, ec, a, T0, 1, &c, &e), 0);
	assert_int_equal(
		cert_finish(c, alg_of(rsa), sig, 64, &e), OFS_EINTERNAL);
	X509_free(c);
	X509_NAME_free(n);
	X509_NAME_free(empty);
}

/* After 2049 times are GeneralizedTime (RFC 5280 4.1.2.5). */
static void
far_future(void **state)
{
	X509_NAME *n = name("/CN=x");
	X509 *c;
	int64_t at;

	(void)state;
	assert_int_equal(
		cert_build_self_signed(n, ec, alg_of(ec), T0, 36525, &c, &e),
		0);
	assert_int_equal(
		ASN1_STRING_type(X509_get0_notBefore(c)), V_ASN1_UTCTIME);
	assert_int_equal(ASN1_STRING_type(X509_get0_notAfter(c)),
		V_ASN1_GENERALIZEDTIME);
	assert_int_equal(cert_not_after(c, &at, &e), 0);
	assert_true(at == T0 + INT64_C(36525) * 86400 * SECOND);
	ASN1_STRING_set(X509_getm_notAfter(c), "20261399000000Z", -1);
	assert_int_equal(cert_not_after(c, &at, &e), OFS_EFORMAT);
	assert_true(at == 0);
	X509_free(c);
	X509_NAME_free(n);
}

static void
der_round_trip(void **state)
{
	X509 *c = self_signed(ec, alg_of(ec), "/O=Acme/CN=x"), *back;
	struct buf der = BUF_INIT, again = BUF_INIT;
	uint8_t h1[32], h2[32];

	(void)state;
	assert_int_equal(cert_to_der(c, &der, &e), 0);
	assert_int_equal(cert_from_der(der.p, der.len, &back, &e), 0);
	assert_int_equal(X509_cmp(c, back), 0);
	assert_true(cert_self_signed(back));
	assert_int_equal(cert_to_der(back, &again, &e), 0);
	assert_int_equal(again.len, der.len);
	assert_memory_equal(again.p, der.p, der.len);
	assert_int_equal(cert_sha256(back, h1, &e), 0);
	assert_int_equal(digest_of(&digest_sha256, der.p, der.len, h2, &e), 0);
	assert_memory_equal(h1, h2, 32);
	X509_free(back);
	for (size_t n = 0; n < der.len; n++) {
		assert_int_equal(
			cert_from_der(der.p, n, &back, &e), OFS_EFORMAT);
		assert_null(back);
	}
	buf_u8(&der, 0);
	assert_int_equal(cert_from_der(der.p, der.len, &back, &e), OFS_EFORMAT);
	X509_free(c);
	buf_free(&der);
	buf_free(&again);
}

/* Any bit of a certificate flipped is refused, or its signature fails. */
static void
flipped_bits(void **state)
{
	(void)state;
	for (int round = 0; round < 2; round++) {
		EVP_PKEY *k = round == 0 ? rsa : ec;
		X509 *c = self_signed(k, alg_of(k), "/O=Acme/CN=x"), *back;
		struct buf der = BUF_INIT;

		assert_int_equal(cert_to_der(c, &der, &e), 0);
		for (size_t bit = 0; bit < 8 * der.len; bit++) {
			der.p[bit / 8] ^= 1 << bit % 8;
			if (cert_from_der(der.p, der.len, &back, &e) == 0) {
				if (X509_verify(back, k) == 1)
					fail_msg("round %d, bit %zu", round,
						bit);
				ERR_clear_error();
				X509_free(back);
			}
			der.p[bit / 8] ^= 1 << bit % 8;
		}
		X509_free(c);
		buf_free(&der);
	}
}

/* Encodings that OpenSSL takes though they are not DER. */
static void
loose_encodings(void **state)
{
	static const uint8_t yes[] = { 0x01, 0x01, 0xff };
	X509 *c = self_signed(ec, alg_of(ec), "/O=Acme/CN=x"), *back;
	struct buf der = BUF_INIT, loose = BUF_INIT;
	const uint8_t *p;
	uint8_t *at;

	(void)state;
	assert_int_equal(cert_to_der(c, &der, &e), 0);
	assert_int_equal(der.p[1], 0x82);
	for (int what = 0; what < 3; what++) {
		buf_reset(&loose);
		if (what == 0) { /* a length with a zero in front */
			buf_put(&loose, "\x30\x83\0", 3);
			buf_put(&loose, der.p + 2, der.len - 2);
		} else if (what == 1) { /* an indefinite length */
			buf_put(&loose, "\x30\x80", 2);
			buf_put(&loose, der.p + 4, der.len - 4);
			buf_put(&loose, "\0\0", 2);
		} else { /* a TRUE that is not ff */
			buf_put(&loose, der.p, der.len);
			at = memmem(loose.p, loose.len, yes, sizeof(yes));
			assert_non_null(at);
			at[2] = 1;
		}
		p = loose.p;
		back = d2i_X509(NULL, &p, (long)loose.len);
		assert_non_null(back);
		X509_free(back);
		assert_int_equal(cert_from_der(loose.p, loose.len, &back, &e),
			OFS_EFORMAT);
		assert_null(back);
	}
	X509_free(c);
	buf_free(&der);
	buf_free(&loose);
}

/*
 * An issuerUniqueID, implicitly tagged, whose unused bits are not zero: strict
 * DER to who does not know the type, but it encodes anew to other bytes.
 */
static void
reencodes_to_itself(void **state)
{
	static const uint8_t uids[][4] = { { 0x81, 0x02, 0x07, 0x80 },
		{ 0x81, 0x02, 0x07, 0xff } };
	X509 *c = self_signed(ec, alg_of(ec), "/O=Acme/CN=x"), *back;
	struct buf der = BUF_INIT, with = BUF_INIT;
	size_t at = 0;

	(void)state;
	assert_int_equal(cert_to_der(c, &der, &e), 0);
	/* the extensions: [3], after the two-byte lengths of the outer two */
	for (size_t i = 8; i + 4 < der.len && at == 0; i++)
		if (der.p[i] == 0xa3 && der.p[i + 2] == 0x30 &&
			der.p[i + 3] + 2 == der.p[i + 1])
			at = i;
	assert_true(at > 0);
	for (int i = 0; i < 2; i++) {
		const uint8_t *p;

		buf_reset(&with);
		buf_put(&with, der.p, at);
		buf_put(&with, uids[i], 4);
		buf_put(&with, der.p + at, der.len - at);
		with.p[2] = (uint8_t)((with.len - 4) >> 8);
		with.p[3] = (uint8_t)(with.len - 4);
		if (with.p[5] == 0x82) {
			with.p[7] += 4;
			assert_true(with.p[7] >= 4);
		} else {
			assert_int_equal(with.p[5], 0x81);
			with.p[6] += 4;
			assert_true(with.p[6] >= 132);
		}
		assert_true(der_is_strict(with.p, with.len));
		p = with.p;
		back = d2i_X509(NULL, &p, (long)with.len);
		assert_non_null(back);
		X509_free(back);
		assert_int_equal(cert_from_der(with.p, with.len, &back, &e),
			i == 0 ? 0 : OFS_EFORMAT);
		X509_free(back);
	}
	X509_free(c);
	buf_free(&der);
	buf_free(&with);
}

static void
names(void **state)
{
	static const struct {
		const char *text, *want;
	} good[] = {
		{ "/CN=a", "CN=a" },
		{ "/C=DE/O=Acme/OU=Pay/CN=b", "CN=b,OU=Pay,O=Acme,C=DE" },
		{ "/O=A\\/S/CN=c", "CN=c,O=A/S" },
		{ "/O=A\\\\S/CN=c", "CN=c,O=A\\\\S" },
		{ "/O=A\\+B/CN=c=d", "CN=c=d,O=A\\+B" },
		{ "/CN=a+OU=b/O=c", "O=c,OU=b+CN=a" },
		{ "/CN=J\xc3\xbcrgen \xe2\x82\xac",
			"CN=J\xc3\xbcrgen "
			"\xe2\x82\xac" },
		{ "/commonName=a", "CN=a" },
		{ "/2.5.4.3=a", "CN=a" },
		{ "/CN=a, b", "CN=a\\, b" },
		{ "/CN= a", "CN=\\ a" },
		{ "/emailAddress=a@b.example", "emailAddress=a@b.example" },
	};
	static const char *const bad[] = { "", "CN=a", "/", "/CN",
		"/CN=", "/=a", "//CN=a", "/CN=a/", "/CN=a//O=b", "/CN=a\\",
		"+CN=a", "/nosuchtype=a", "/C=DEU", "/C=\xc3\xbc", "/CN=a\nb",
		"/CN=\xff", "/CN=a\xc2\x85",
		"/CN=\xe2\x80\xae"
		"a",
		"/C\\N=a",
		"/CN=0123456789012345678901234567890123456789012345678901234567"
		"89012345" };
	char s[200], big[1100];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		X509_NAME *n = name(good[i].text);
		X509 *c = X509_new();

		X509_set_subject_name(c, n);
		cert_subject(c, s, sizeof(s));
		assert_string_equal(s, good[i].want);
		cert_issuer(c, s, sizeof(s));
		assert_string_equal(s, "");
		X509_free(c);
		X509_NAME_free(n);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		X509_NAME *n;

		if (cert_name_parse(bad[i], &n, &e) != OFS_EINVAL || n != NULL)
			fail_msg("accepted: %s", bad[i]);
		assert_int_equal(ERR_peek_error(), 0);
	}
	memset(big, 'a', sizeof(big));
	memcpy(big, "/2.5.4.13=", 10); /* description, up to 1024 */
	big[1024] = '\0';
	X509_NAME *n = name(big);
	X509_NAME_free(n);
	big[1024] = 'a';
	big[1025] = '\0';
	assert_int_equal(cert_name_parse(big, &n, &e), OFS_EINVAL);
}

/* Names of certificates from outside never disturb a terminal. */
static void
hostile_names(void **state)
{
	static const struct {
		int type;
		const char *bytes;
		int len;
		const char *want;
	} t[] = {
		{ V_ASN1_UTF8STRING, "a\x1b[31m\n", 7, "CN=a\\1B[31m\\0A" },
		{ V_ASN1_UTF8STRING, "a\0b", 3, "CN=a\\00b" },
		{ V_ASN1_UTF8STRING, "a\xc2\x85z", 4, "CN=a\\C2\\85z" },
		{ V_ASN1_UTF8STRING, "\xe2\x80\xaez", 4, "CN=\\E2\\80\\AEz" },
		{ V_ASN1_T61STRING, "\xfc", 1, "CN=\xc3\xbc" },
		{ V_ASN1_BMPSTRING, "\x20\xac", 2, "CN=\xe2\x82\xac" },
		{ V_ASN1_PRINTABLESTRING, "x\x7f", 2, "CN=x\\7F" },
	};
	char s[100];

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		X509 *c = X509_new();
		X509_NAME *n = X509_NAME_new();

		assert_int_equal(
			X509_NAME_add_entry_by_NID(n, NID_commonName, t[i].type,
				(const uint8_t *)t[i].bytes, t[i].len, -1, 0),
			1);
		X509_set_subject_name(c, n);
		cert_subject(c, s, sizeof(s));
		assert_true(text_is_utf8(s, strlen(s)));
		assert_string_equal(s, t[i].want);
		X509_NAME_free(n);
		X509_free(c);
	}
}

static void
cut_names(void **state)
{
	X509 *c = X509_new();
	X509_NAME *n = name("/CN=\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac"
			    "abcdef");
	char s[64];

	(void)state;
	X509_set_subject_name(c, n);
	for (size_t size = 1; size < 30; size++) {
		memset(s, 'x', sizeof(s));
		cert_subject(c, s, size);
		assert_true(strlen(s) < size);
		assert_int_equal(s[size], 'x');
		assert_true(text_is_utf8(s, strlen(s)));
		if (size > 18)
			assert_string_equal(s,
				"CN=\xe2\x82\xac\xe2\x82\xac"
				"\xe2\x82\xac"
				"abcdef");
		else if (size > 3)
			assert_string_equal(s + strlen(s) - 3, "...");
	}
	X509_NAME_free(n);
	X509_free(c);
}

static void
add_pem(struct buf *b, X509 *c)
{
	assert_int_equal(cert_to_pem(c, b, &e), 0);
}

static int
count(const struct buf *b)
{
	STACK_OF(X509) *list;
	int err = cert_list_parse(b->p, b->len, &list, &e), n;

	assert_int_equal(ERR_peek_error(), 0);
	if (err != 0) {
		assert_int_equal(err, e.code);
		assert_null(list);
		return err;
	}
	n = sk_X509_num(list);
	sk_X509_pop_free(list, X509_free);
	return n;
}

static void
lists(void **state)
{
	X509 *a = self_signed(ec, alg_of(ec), "/CN=a");
	X509 *b = self_signed(rsa, alg_of(rsa), "/CN=b");
	struct buf l = BUF_INIT, d = BUF_INIT;
	STACK_OF(X509) *list;
	BIO *bio = BIO_new(BIO_s_mem());
	char *p;
	long n;

	(void)state;
	assert_int_equal(count(&l), OFS_EFORMAT);
	buf_str(&l, "no certificate here\n");
	assert_int_equal(count(&l), OFS_EFORMAT);
	buf_reset(&l);
	/* 0 is what DER begins with, too */
	buf_str(&l, "0 s:/CN=a, as s_client prints it\n");
	add_pem(&l, a);
	assert_int_equal(count(&l), 1);
	buf_str(&l, "\r\ntext between \xc3\xbc\r\n");
	add_pem(&l, b);
	add_pem(&l, a);
	buf_str(&l, "and behind");
	assert_int_equal(cert_list_parse(l.p, l.len, &list, &e), 0);
	assert_int_equal(sk_X509_num(list), 3);
	assert_int_equal(X509_cmp(sk_X509_value(list, 0), a), 0);
	assert_int_equal(X509_cmp(sk_X509_value(list, 1), b), 0);
	assert_int_equal(X509_cmp(sk_X509_value(list, 2), a), 0);
	sk_X509_pop_free(list, X509_free);

	/* other things in the file are passed over; alone they are nothing */
	assert_int_equal(PEM_write_bio_PUBKEY(bio, ec), 1);
	n = BIO_get_mem_data(bio, &p);
	buf_put(&l, "\n", 1);
	buf_put(&l, p, (size_t)n);
	assert_int_equal(count(&l), 3);
	buf_reset(&l);
	buf_put(&l, p, (size_t)n);
	assert_int_equal(count(&l), OFS_EFORMAT);
	(void)BIO_reset(bio);
	assert_int_equal(PEM_write_bio_X509_AUX(bio, a), 1);
	n = BIO_get_mem_data(bio, &p);
	add_pem(&l, a);
	assert_int_equal(count(&l), 1);
	buf_put(&l, p, (size_t)n);
	assert_int_equal(count(&l), OFS_EFORMAT);
	assert_non_null(strstr(e.message, "TRUSTED CERTIFICATE"));
	buf_reset(&l);
	buf_str(&l, "-----BEGIN X509 CERTIFICATE-----\n");
	add_pem(&d, a);
	buf_put(&l, d.p + 28, d.len - 28 - 26);
	buf_str(&l, "-----END X509 CERTIFICATE-----\n");
	assert_int_equal(count(&l), 1);

	/* DER: one, with nothing behind it */
	buf_reset(&d);
	assert_int_equal(cert_to_der(a, &d, &e), 0);
	assert_int_equal(count(&d), 1);
	assert_int_equal(cert_to_der(b, &d, &e), 0);
	assert_int_equal(count(&d), OFS_EFORMAT);
	d.len = 100;
	assert_int_equal(count(&d), OFS_EFORMAT);
	BIO_free(bio);
	buf_free(&l);
	buf_free(&d);
	X509_free(a);
	X509_free(b);
}

/* PEM of these bytes under a label */
static void
add_block(struct buf *b, const char *label, const uint8_t *p, size_t n)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *s;
	long len;

	assert_true(PEM_write_bio(bio, label, "", p, (long)n) > 0);
	len = BIO_get_mem_data(bio, &s);
	buf_put(b, s, (size_t)len);
	BIO_free(bio);
}

/* A list that is damaged anywhere is no list, however much of it is good. */
static void
damaged_lists(void **state)
{
	X509 *a = self_signed(ec, alg_of(ec), "/CN=a");
	struct buf good = BUF_INIT, l = BUF_INIT, der = BUF_INIT;

	(void)state;
	add_pem(&good, a);
	assert_int_equal(cert_to_der(a, &der, &e), 0);
	for (int place = 0; place < 2; place++) {
		for (int what = 0; what < 9; what++) {
			struct buf bad = BUF_INIT;

			buf_reset(&l);
			switch (what) {
			case 0: /* not a certificate at all */
				add_block(&bad, "CERTIFICATE",
					(const uint8_t *)"garbage", 7);
				break;
			case 1: /* a byte more inside the block */
				buf_put(&bad, der.p, der.len);
				buf_u8(&bad, 0);
				add_block(&l, "CERTIFICATE", bad.p, bad.len);
				bad.len = 0;
				buf_put(&bad, l.p, l.len);
				buf_reset(&l);
				break;
			case 2: /* a byte less */
				add_block(&bad, "CERTIFICATE", der.p,
					der.len - 1);
				break;
			case 3: /* a character that is not base64 */
				buf_put(&bad, good.p, good.len);
				bad.p[100] = '*';
				break;
			case 4: /* no END */
				buf_put(&bad, good.p, good.len - 27);
				break;
			case 5: /* the END of another type */
				buf_put(&bad, good.p, good.len);
				bad.p[good.len - 10] = 'X';
				break;
			case 6: /* a BEGIN that OpenSSL passes over */
				buf_put(&bad, good.p, good.len);
				bad.p[25] = 'x';
				break;
			case 7: /* PEM headers */
				buf_str(&bad,
					"-----BEGIN CERTIFICATE-----\n"
					"Proc-Type: 4,ENCRYPTED\n\n");
				buf_put(&bad, good.p + 28, good.len - 28);
				break;
			default: /* a NUL in the text */
				buf_u8(&bad, 0);
			}
			if (place == 0)
				buf_put(&l, bad.p, bad.len);
			buf_put(&l, good.p, good.len);
			if (place == 1)
				buf_put(&l, bad.p, bad.len);
			if (count(&l) != OFS_EFORMAT)
				fail_msg("damage %d at %d", what, place);
			buf_free(&bad);
		}
	}
	buf_reset(&l);
	while (l.len <= CERT_FILE_MAX)
		buf_put(&l, good.p, good.len);
	assert_int_equal(count(&l), OFS_EFORMAT);
	l.len -= good.len;
	assert_true(count(&l) > 1000);
	buf_free(&good);
	buf_free(&der);
	buf_free(&l);
	X509_free(a);
}

static X509_CRL *
make_crl(X509 *issuer, EVP_PKEY *k)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *t = ASN1_TIME_set(NULL, (time_t)(T0 / SECOND));

	assert_int_equal(X509_CRL_set_version(crl, X509_CRL_VERSION_2), 1);
	assert_int_equal(
		X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer)),
		1);
	assert_int_equal(X509_CRL_set1_lastUpdate(crl, t), 1);
	assert_int_equal(X509_CRL_set1_nextUpdate(crl, t), 1);
	assert_true(X509_CRL_sign(crl, k, EVP_sha256()) > 0);
	ASN1_TIME_free(t);
	return crl;
}

static void
crls(void **state)
{
	X509 *c = self_signed(ec, alg_of(ec), "/CN=a");
	X509_CRL *crl = make_crl(c, ec);
	struct buf l = BUF_INIT;
	STACK_OF(X509_CRL) *list;
	uint8_t *der = NULL, *der2 = NULL;
	int n = i2d_X509_CRL(crl, &der), n2;

	(void)state;
	assert_true(n > 0);
	assert_int_equal(cert_crls_parse(der, (size_t)n, &list, &e), 0);
	assert_int_equal(sk_X509_CRL_num(list), 1);
	n2 = i2d_X509_CRL(sk_X509_CRL_value(list, 0), &der2);
	assert_int_equal(n, n2);
	assert_memory_equal(der, der2, (size_t)n);
	OPENSSL_free(der2);
	sk_X509_CRL_pop_free(list, X509_CRL_free);
	assert_int_equal(
		cert_crls_parse(der, (size_t)n - 1, &list, &e), OFS_EFORMAT);
	assert_null(list);
	buf_put(&l, der, (size_t)n);
	buf_u8(&l, 0);
	assert_int_equal(cert_crls_parse(l.p, l.len, &list, &e), OFS_EFORMAT);
	buf_reset(&l);
	add_block(&l, "X509 CRL", der, (size_t)n);
	add_pem(&l, c);
	add_block(&l, "X509 CRL", der, (size_t)n);
	assert_int_equal(cert_crls_parse(l.p, l.len, &list, &e), 0);
	assert_int_equal(sk_X509_CRL_num(list), 2);
	sk_X509_CRL_pop_free(list, X509_CRL_free);
	add_block(&l, "X509 CRL", (const uint8_t *)"x", 1);
	assert_int_equal(cert_crls_parse(l.p, l.len, &list, &e), OFS_EFORMAT);
	assert_null(list);
	buf_reset(&l);
	add_pem(&l, c);
	assert_int_equal(cert_crls_parse(l.p, l.len, &list, &e), OFS_EFORMAT);
	OPENSSL_free(der);
	buf_free(&l);
	X509_CRL_free(crl);
	X509_free(c);
}

/* Issued by another: neither self-issued nor self-signed. */
static void
issued_by_another(void **state)
{
	X509 *c = self_signed(ec, alg_of(ec), "/CN=a");
	X509_NAME *other = name("/CN=other");

	(void)state;
	assert_true(X509_sign(c, rsa, EVP_sha256()) > 0);
	assert_true(cert_self_issued(c));
	assert_false(cert_self_signed(c));
	assert_int_equal(X509_set_issuer_name(c, other), 1);
	assert_true(X509_sign(c, ec, EVP_sha256()) > 0);
	assert_false(cert_self_issued(c));
	assert_false(cert_self_signed(c));
	assert_int_equal(ERR_peek_error(), 0);
	X509_NAME_free(other);
	X509_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(self_signed_verifies),
		cmocka_unit_test(self_signed_says),
		cmocka_unit_test(algorithm_parameters),
		cmocka_unit_test(serial_numbers),
		cmocka_unit_test(serial_text),
		cmocka_unit_test(requests_verify),
		cmocka_unit_test(refuses_to_build),
		cmocka_unit_test(far_future),
		cmocka_unit_test(der_round_trip),
		cmocka_unit_test(flipped_bits),
		cmocka_unit_test(loose_encodings),
		cmocka_unit_test(reencodes_to_itself),
		cmocka_unit_test(names),
		cmocka_unit_test(hostile_names),
		cmocka_unit_test(cut_names),
		cmocka_unit_test(lists),
		cmocka_unit_test(damaged_lists),
		cmocka_unit_test(crls),
		cmocka_unit_test(issued_by_another),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
