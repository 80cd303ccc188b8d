/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a certificate says: names, times, serial number, its own hash. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>

#include "base/hex.h"
#include "base/text.h"
#include "crypto/cert.h"

#define DOTS "..."

int
cert_sha256(X509 *c, uint8_t out[32], struct ofs_error *e)
{
	if (X509_digest(c, EVP_sha256(), out, NULL) != 1)
		return err_ssl(e, OFS_EINTERNAL, "cannot hash the certificate");
	return 0;
}

bool
cert_self_issued(X509 *c)
{
	return X509_NAME_cmp(
		       X509_get_subject_name(c), X509_get_issuer_name(c)) == 0;
}

bool
cert_self_signed(X509 *c)
{
	EVP_PKEY *k = X509_get0_pubkey(c);
	bool own = k != NULL && cert_self_issued(c) && X509_verify(c, k) == 1;

	ERR_clear_error();
	return own;
}

bool
cert_has_key(X509 *c, const EVP_PKEY *k)
{
	EVP_PKEY *own = X509_get0_pubkey(c);
	bool has = own != NULL && EVP_PKEY_eq(own, k) == 1;

	ERR_clear_error();
	return has;
}

static int
time_us(const ASN1_TIME *from, int64_t *t, struct ofs_error *e)
{
	struct tm tm;

	*t = 0;
	if (from == NULL || ASN1_TIME_to_tm(from, &tm) != 1) {
		ERR_clear_error();
		return err_set(e, OFS_EFORMAT,
			"cannot read the certificate's validity");
	}
	*t = (int64_t)timegm(&tm) * 1000000;
	return 0;
}

int
cert_not_before(X509 *c, int64_t *t, struct ofs_error *e)
{
	return time_us(X509_get0_notBefore(c), t, e);
}

int
cert_not_after(X509 *c, int64_t *t, struct ofs_error *e)
{
	return time_us(X509_get0_notAfter(c), t, e);
}

/*
 * Copies what fits, in whole characters, with "..." where something is cut;
 * controls that OpenSSL passes (C1, bidirectional) as \XX of RFC 2253 2.4.
 */
static void
copy_name(const char *s, size_t n, char *to, size_t size)
{
	size_t o = 0, dots = strlen(DOTS), fits = 0;

	while (n > 0) {
		size_t c = text_utf8_char(s, n), len = 0;
		char piece[16];

		if (c == 0 || text_is_control(s, c)) {
			c = c == 0 ? 1 : c;
			for (size_t i = 0; i < c; i++, len += 3)
				snprintf(piece + len, sizeof(piece) - len,
					"\\%02X", (uint8_t)s[i]);
		} else {
			memcpy(piece, s, c);
			len = c;
		}
		if (o + len + 1 > size)
			break;
		memcpy(to + o, piece, len);
		o += len;
		if (o + dots + 1 <= size)
			fits = o;
		s += c;
		n -= c;
	}
	if (n > 0 && size > dots) {
		memcpy(to + fits, DOTS, dots);
		o = fits + dots;
	}
	to[o] = '\0';
}

static void
print_name(const X509_NAME *name, char *to, size_t size)
{
	const unsigned long utf8 = XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB;
	BIO *bio = BIO_new(BIO_s_mem());
	char *p;
	long n;

	if (size == 0)
		goto out;
	to[0] = '\0';
	if (bio == NULL || name == NULL)
		goto out;
	if (X509_NAME_print_ex(bio, name, 0, utf8) < 0)
		goto out;
	n = BIO_get_mem_data(bio, &p);
	if (n > 0)
		copy_name(p, (size_t)n, to, size);
out:
	ERR_clear_error();
	BIO_free(bio);
}

void
cert_subject(X509 *c, char *to, size_t size)
{
	print_name(X509_get_subject_name(c), to, size);
}

void
cert_issuer(X509 *c, char *to, size_t size)
{
	print_name(X509_get_issuer_name(c), to, size);
}

void
cert_serial_hex(X509 *c, char *to, size_t size)
{
	const ASN1_INTEGER *i = X509_get0_serialNumber(c);
	const uint8_t *p = ASN1_STRING_get0_data(i);
	int len = ASN1_STRING_length(i);
	size_t n = len > 0 ? (size_t)len : 0, o = 0, dots = strlen(DOTS);
	bool cut;

	if (size == 0)
		return;
	if (ASN1_STRING_type(i) == V_ASN1_NEG_INTEGER && size > 1)
		to[o++] = '-';
	to[o] = '\0';
	if (size - o < dots + 1)
		return;
	cut = n > (size - o - 1) / 2;
	if (cut)
		n = (size - o - 1 - dots) / 2;
	hex_encode(to + o, p, n);
	if (cut)
		memcpy(to + o + 2 * n, DOTS, dots + 1);
}
