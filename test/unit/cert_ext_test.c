/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Extensions in openssl's syntax, for certificates and requests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "crypto/alg.h"
#include "crypto/cert.h"
#include "crypto/cert_ext.h"
#include "crypto/pubkey.h"

#define N(v) (sizeof(v) / sizeof((v)[0]))

struct made {
	EVP_PKEY *key;
	X509 *cert;
	X509_REQ *req;
};

static void
make(struct made *m)
{
	const struct alg *alg;
	X509_NAME *name;
	struct ofs_error e;

	m->key = EVP_EC_gen("P-256");
	assert_non_null(m->key);
	alg = alg_for(pubkey_type(m->key), OFS_DIGEST_DEFAULT);
	assert_non_null(alg);
	assert_int_equal(cert_name_parse("/CN=x", &name, &e), 0);
	assert_int_equal(
		cert_build_self_signed(name, m->key, alg, 0, 1, &m->cert, &e),
		0);
	assert_int_equal(cert_build_csr(name, m->key, alg, &m->req, &e), 0);
	X509_NAME_free(name);
}

static void
drop(struct made *m)
{
	EVP_PKEY_free(m->key);
	X509_free(m->cert);
	X509_REQ_free(m->req);
}

/* "NAME[!]: VALUE" for each extension, as openssl prints them */
static char *
text(const STACK_OF(X509_EXTENSION) *all)
{
	BIO *b = BIO_new(BIO_s_mem());
	char *p, *copy;
	long n;

	assert_non_null(b);
	for (int i = 0; i < sk_X509_EXTENSION_num(all); i++) {
		X509_EXTENSION *x = sk_X509_EXTENSION_value(all, i);

		BIO_printf(b, "%s%s: ",
			OBJ_nid2sn(OBJ_obj2nid(X509_EXTENSION_get_object(x))),
			X509_EXTENSION_get_critical(x) ? "!" : "");
		if (OBJ_obj2nid(X509_EXTENSION_get_object(x)) ==
			NID_subject_key_identifier)
			BIO_printf(b, "...");
		else
			X509V3_EXT_print(b, x, 0, 0);
		BIO_printf(b, "\n");
	}
	n = BIO_get_mem_data(b, &p);
	copy = n > 0 ? strndup(p, (size_t)n) : strdup("");
	assert_non_null(copy);
	BIO_free(b);
	return copy;
}

static void
certificate(const char *const *v, size_t n, const char *want)
{
	struct ofs_error e;
	struct made m;
	X509 *again;
	struct buf der = BUF_INIT;
	char *got;

	make(&m);
	if (cert_ext_set(m.cert, v, n, &e) != 0)
		fail_msg("%s", e.message);
	/* as whoever gets it reads it */
	assert_true(X509_sign(m.cert, m.key, EVP_sha256()) > 0);
	assert_int_equal(cert_to_der(m.cert, &der, &e), 0);
	assert_int_equal(cert_from_der(der.p, der.len, &again, &e), 0);
	got = text(X509_get0_extensions(again));
	assert_string_equal(got, want);
	free(got);
	X509_free(again);
	buf_free(&der);
	drop(&m);
}

static void
request(const char *const *v, size_t n, const char *want)
{
	STACK_OF(X509_EXTENSION) *all;
	struct ofs_error e;
	struct made m;
	char *got;

	make(&m);
	if (cert_ext_request(m.req, v, n, &e) != 0)
		fail_msg("%s", e.message);
	all = X509_REQ_get_extensions(m.req);
	got = text(all);
	assert_string_equal(got, want);
	free(got);
	sk_X509_EXTENSION_pop_free(all, X509_EXTENSION_free);
	drop(&m);
}

static void
refused(const char *const *v, size_t n, const char *part)
{
	struct ofs_error e;
	struct made m;

	make(&m);
	for (int i = 0; i < 4; i++) {
		int rc = i == 0  ? cert_ext_set(m.cert, v, n, &e)
			: i == 1 ? cert_ext_request(m.req, v, n, &e)
				 : cert_ext_check(i == 2, v, n, &e);

		if (rc != OFS_EINVAL)
			fail_msg("'%s' gives %d", v[n - 1], rc);
		if (strstr(e.message, part) == NULL)
			fail_msg("no '%s' in: %s", part, e.message);
		assert_int_equal(ERR_peek_error(), 0);
	}
	drop(&m);
}

#define DEFAULTS_REST "subjectKeyIdentifier: ...\n"

static void
sets(void **state)
{
	static const char *const some[] = {
		"subjectAltName=DNS:a.example,email:b@example,URI:urn:x",
		"keyUsage=critical,nonRepudiation",
		"extendedKeyUsage=emailProtection",
		"certificatePolicies=1.2.3.4",
		"crlDistributionPoints=URI:http://crl.example/a.crl",
		"1.2.3.4.5=critical,DER:0500",
	};

	(void)state;
	certificate(NULL, 0,
		"basicConstraints!: CA:FALSE\n"
		"keyUsage!: Digital Signature, Non Repudiation\n" DEFAULTS_REST);
	certificate(some, N(some),
		"basicConstraints!: CA:FALSE\n"
		"keyUsage!: Non Repudiation\n" DEFAULTS_REST
		"subjectAltName: DNS:a.example, email:b@example, URI:urn:x\n"
		"extendedKeyUsage: E-mail Protection\n"
		"certificatePolicies: Policy: 1.2.3.4\n"
		"crlDistributionPoints: Full Name:\n"
		"  URI:http://crl.example/a.crl\n"
		"UNDEF!: \n");
	request(NULL, 0, "");
	request(some, 3,
		"subjectAltName: DNS:a.example, email:b@example, URI:urn:x\n"
		"keyUsage!: Non Repudiation\n"
		"extendedKeyUsage: E-mail Protection\n");
}

/* names that are made of the key */
static void
of_the_key(void **state)
{
	static const char *const ski[] = { "subjectKeyIdentifier=hash" };
	static const char *const aki[] = { "authorityKeyIdentifier=keyid" };
	struct ofs_error e;

	(void)state;
	request(ski, 1, DEFAULTS_REST);
	certificate(ski, 1,
		"basicConstraints!: CA:FALSE\n"
		"keyUsage!: Digital Signature, Non Repudiation\n" DEFAULTS_REST);
	assert_int_equal(cert_ext_check(false, ski, 1, &e), 0);
	assert_int_equal(cert_ext_check(true, ski, 1, &e), 0);
	/* a request has no issuer yet */
	assert_int_equal(cert_ext_check(true, aki, 1, &e), OFS_EINVAL);
}

static void
refuses(void **state)
{
	static const struct {
		const char *text, *part;
	} bad[] = {
		{ "", "NAME=VALUE" },
		{ "subjectAltName", "NAME=VALUE" },
		{ "subjectAltName=", "NAME=VALUE" },
		{ "=DNS:a", "NAME=VALUE" },
		{ "noSuchExtension=x", "noSuchExtension" },
		{ "subjectAltName=a", "subjectAltName=a" },
		{ "subjectAltName=DNS:a\nkeyUsage=x", "control" },
		{ "subjectAltName=DNS:\xff", "UTF-8" },
		{ "subjectAltName=@alt", "section" },
		{ "subjectAltName=critical, @alt", "section" },
		{ "certificatePolicies=1.2.3,@pol", "section" },
		{ "subjectAltName=dirName:here", "section" },
		{ "crlDistributionPoints=here", "crlDistributionPoints" },
		{ "1.2.3.4=ASN1:SEQUENCE:here", "1.2.3.4" },
		{ "proxyCertInfo=language:id-ppl-anyLanguage,"
		  "policy=file:/etc/hostname",
			"proxyCertInfo" },
		{ "proxyCertInfo =language:id-ppl-anyLanguage", "proxy" },
		{ "keyUsage=keyEncipherment", "digitalSignature" },
		{ "keyUsage=critical,keyCertSign,cRLSign", "nonRepudiation" },
		{ "keyUsage=DER:03020520", "nonRepudiation" },
		{ "keyUsage=DER:0500", "nonRepudiation" },
		{ "2.5.29.15=DER:03020520", "nonRepudiation" },
		{ "keyUsage=nonsense", "keyUsage" },
	};
	static const char *const twice[] = { "keyUsage=digitalSignature",
		"extendedKeyUsage=codeSigning", "2.5.29.15=DER:03020780" };
	char big[9000] = "subjectAltName=DNS:";
	const char *one;

	(void)state;
	for (size_t i = 0; i < N(bad); i++)
		refused(&bad[i].text, 1, bad[i].part);
	refused(twice, N(twice), "it is there twice");
	memset(big + strlen(big), 'a', sizeof(big) - strlen(big) - 1);
	big[sizeof(big) - 1] = '\0';
	one = big;
	refused(&one, 1, "too long");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sets),
		cmocka_unit_test(of_the_key),
		cmocka_unit_test(refuses),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
