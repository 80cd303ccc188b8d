/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* X.509 certificates and CRLs: strict reading, and writing. */
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "crypto/cert.h"
#include "crypto/der.h"
#include "crypto/digest.h"

#define PEM_BEGIN "-----BEGIN "

/* Appends what OpenSSL allocated, and frees it; n is i2d's answer. */
static int
put_der(struct buf *to, uint8_t *der, int n, const char *what,
	struct ofs_error *e)
{
	if (n <= 0) {
		OPENSSL_free(der);
		return err_ssl(e, OFS_EINTERNAL, "cannot encode the %s", what);
	}
	buf_put(to, der, (size_t)n);
	OPENSSL_free(der);
	if (!buf_ok(to))
		return err_nomem(e);
	return 0;
}

/*
 * i2d_X509 hands back the bytes that were read, so the to-be-signed part is
 * encoded anew first. Names and the public key keep their bytes even then:
 * der_is_strict has looked at those.
 */
static bool
reencodes(X509 *c, const uint8_t *p, size_t n)
{
	uint8_t *tbs = NULL, *der = NULL;
	int tbs_len = i2d_re_X509_tbs(c, &tbs);
	int len = tbs_len > 0 ? i2d_X509(c, &der) : -1;
	bool same = len > 0 && (size_t)len == n && memcmp(der, p, n) == 0;

	OPENSSL_free(tbs);
	OPENSSL_free(der);
	return same;
}

int
cert_from_der(const uint8_t *p, size_t n, X509 **out, struct ofs_error *e)
{
	const uint8_t *at = p;
	X509 *c;

	*out = NULL;
	if (n > CERT_FILE_MAX)
		return err_set(e, OFS_EFORMAT,
			"cannot read the certificate: it is larger than %d "
			"bytes",
			CERT_FILE_MAX);
	if (!der_is_strict(p, n))
		return err_set(e, OFS_EFORMAT,
			"cannot read the certificate: it is not exactly one "
			"DER value");
	c = d2i_X509(NULL, &at, (long)n);
	if (c == NULL)
		return err_ssl(e, OFS_EFORMAT, "cannot read the certificate");
	if (at != p + n || !reencodes(c, p, n)) {
		X509_free(c);
		ERR_clear_error();
		return err_set(e, OFS_EFORMAT,
			"cannot read the certificate: it is not encoded as "
			"RFC 5280 demands");
	}
	*out = c;
	return 0;
}

int
cert_to_der(X509 *c, struct buf *to, struct ofs_error *e)
{
	uint8_t *der = NULL;
	int n = i2d_X509(c, &der);

	return put_der(to, der, n, "certificate", e);
}

static int
put_bio(struct buf *to, BIO *bio, int ok, const char *what, struct ofs_error *e)
{
	char *p;
	long n;

	if (bio == NULL)
		return err_nomem(e);
	n = BIO_get_mem_data(bio, &p);
	if (ok != 1 || n <= 0)
		return err_ssl(e, OFS_EINTERNAL, "cannot encode the %s", what);
	buf_put(to, p, (size_t)n);
	return buf_ok(to) ? 0 : err_nomem(e);
}

int
cert_to_pem(X509 *c, struct buf *to, struct ofs_error *e)
{
	BIO *bio = BIO_new(BIO_s_mem());
	int ok = bio != NULL ? PEM_write_bio_X509(bio, c) : 0;
	int err = put_bio(to, bio, ok, "certificate", e);

	BIO_free(bio);
	return err;
}

int
cert_csr_to_pem(X509_REQ *r, struct buf *to, struct ofs_error *e)
{
	BIO *bio = BIO_new(BIO_s_mem());
	int ok = bio != NULL ? PEM_write_bio_X509_REQ(bio, r) : 0;
	int err = put_bio(to, bio, ok, "certificate request", e);

	BIO_free(bio);
	return err;
}

/* What a list is made of: certificates or CRLs. */
struct kind {
	const char *what;
	const char *label; /* PEM */
	const char *also;  /* PEM, or NULL */
	const char *never; /* PEM: looks alike, holds more; or NULL */
	int (*add)(void *to, const uint8_t *p, size_t n, struct ofs_error *e);
};

/*
 * What begins a PEM block, at any place: OpenSSL passes over a line that is
 * damaged, and takes "-" within base64 for the end of the data.
 */
static size_t
count_begins(const uint8_t *p, size_t n)
{
	const size_t len = strlen(PEM_BEGIN);
	const uint8_t *end = p + n;
	size_t count = 0;

	while ((p = memmem(p, (size_t)(end - p), PEM_BEGIN, len)) != NULL) {
		count++;
		p += len;
	}
	return count;
}

/* One block of any type; those of other types are passed over. */
static int
add_block(const struct kind *k, void *to, const char *name, const char *header,
	const uint8_t *der, long len, size_t *found, struct ofs_error *e)
{
	if (k->never != NULL && strcmp(name, k->never) == 0)
		return err_set(e, OFS_EFORMAT,
			"cannot read the %s list: it holds a %s block; "
			"convert it to %s",
			k->what, k->never, k->label);
	if (strcmp(name, k->label) != 0 &&
		(k->also == NULL || strcmp(name, k->also) != 0))
		return 0;
	if (header[0] != '\0')
		return err_set(e, OFS_EFORMAT,
			"cannot read the %s list: a block has PEM headers",
			k->what);
	(*found)++;
	return k->add(to, der, (size_t)len, e);
}

static int
parse_pem(const struct kind *k, const uint8_t *p, size_t n, void *to,
	struct ofs_error *e)
{
	BIO *bio = BIO_new_mem_buf(p, (int)n);
	size_t blocks = 0, found = 0;
	int err = 0, more = 1;

	if (bio == NULL)
		return err_nomem(e);
	while (err == 0 && more) {
		char *name = NULL, *header = NULL;
		uint8_t *der = NULL;
		long len = 0;

		ERR_clear_error();
		more = PEM_read_bio(bio, &name, &header, &der, &len) == 1;
		if (more) {
			blocks++;
			err = add_block(
				k, to, name, header, der, len, &found, e);
		} else if (ERR_GET_REASON(ERR_peek_last_error()) !=
			PEM_R_NO_START_LINE) {
			err = err_ssl(e, OFS_EFORMAT,
				"cannot read the %s list: block %zu is damaged",
				k->what, blocks + 1);
		}
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_free(der);
	}
	ERR_clear_error();
	BIO_free(bio);
	if (err == 0 && blocks != count_begins(p, n))
		err = err_set(e, OFS_EFORMAT,
			"cannot read the %s list: a line that "
			"begins a block is damaged",
			k->what);
	if (err == 0 && found == 0)
		err = err_set(e, OFS_EFORMAT,
			"cannot read the %s list: there is none in it",
			k->what);
	return err;
}

/* DER has a zero byte (that of a BIT STRING, if no other), and text has none */
static int
parse_list(const struct kind *k, const uint8_t *p, size_t n, void *to,
	struct ofs_error *e)
{
	if (n == 0 || n > CERT_FILE_MAX)
		return err_set(e, OFS_EFORMAT,
			"cannot read the %s list: it is empty or larger than "
			"%d bytes",
			k->what, CERT_FILE_MAX);
	if (memchr(p, '\0', n) != NULL)
		return k->add(to, p, n, e);
	return parse_pem(k, p, n, to, e);
}

static int
add_cert(void *to, const uint8_t *p, size_t n, struct ofs_error *e)
{
	X509 *c;
	int err = cert_from_der(p, n, &c, e);

	if (err == 0 && sk_X509_push(to, c) == 0) {
		X509_free(c);
		err = err_nomem(e);
	}
	return err;
}

static int
add_crl(void *to, const uint8_t *p, size_t n, struct ofs_error *e)
{
	const uint8_t *at = p;
	X509_CRL *c;
	int err = 0;

	if (!der_is_strict(p, n))
		return err_set(e, OFS_EFORMAT,
			"cannot read the CRL: it is not exactly one DER value");
	c = d2i_X509_CRL(NULL, &at, (long)n);
	if (c == NULL)
		return err_ssl(e, OFS_EFORMAT, "cannot read the CRL");
	if (at != p + n)
		err = err_set(e, OFS_EFORMAT,
			"cannot read the CRL: something is behind it");
	else if (sk_X509_CRL_push(to, c) == 0)
		err = err_nomem(e);
	if (err != 0)
		X509_CRL_free(c);
	return err;
}

int
cert_list_parse(
	const uint8_t *p, size_t n, STACK_OF(X509) **out, struct ofs_error *e)
{
	static const struct kind kind = { "certificate", PEM_STRING_X509,
		PEM_STRING_X509_OLD, PEM_STRING_X509_TRUSTED, add_cert };
	STACK_OF(X509) *list = sk_X509_new_null();
	int err;

	*out = NULL;
	if (list == NULL)
		return err_nomem(e);
	err = parse_list(&kind, p, n, list, e);
	if (err != 0)
		sk_X509_pop_free(list, X509_free);
	else
		*out = list;
	return err;
}

int
cert_crls_parse(const uint8_t *p, size_t n, STACK_OF(X509_CRL) **out,
	struct ofs_error *e)
{
	static const struct kind kind = { "CRL", PEM_STRING_X509_CRL, NULL,
		NULL, add_crl };
	STACK_OF(X509_CRL) *list = sk_X509_CRL_new_null();
	int err;

	*out = NULL;
	if (list == NULL)
		return err_nomem(e);
	err = parse_list(&kind, p, n, list, e);
	if (err != 0)
		sk_X509_CRL_pop_free(list, X509_CRL_free);
	else
		*out = list;
	return err;
}
