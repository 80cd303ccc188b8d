/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes certificates and requests whose signature comes from elsewhere. */
#include <string.h>

#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "base/text.h"
#include "crypto/cert.h"
#include "crypto/pubkey.h"

#define NAME_MAX_BYTES 1024
#define SERIAL_SIZE 16
#define DAYS_MAX 36525 /* a hundred years */
#define SKI_SIZE 20
#define TIME_MAX INT64_C(253402300799) /* the end of year 9999 */

/* One attribute of a name: "O=Acme", or "+OU=..." in the same RDN. */
struct ava {
	char type[64];
	char value[NAME_MAX_BYTES + 1];
	bool same_rdn;
};

/*
 * Takes "/TYPE=VALUE" or "+TYPE=VALUE" off the front of *s. A backslash takes
 * the next character as it is.
 */
static bool
take_ava(const char **s, struct ava *a)
{
	const char *p = *s;
	size_t n;

	a->same_rdn = *p++ == '+';
	n = strcspn(p, "=/+\\");
	if (n == 0 || n >= sizeof(a->type) || p[n] != '=')
		return false;
	memcpy(a->type, p, n);
	a->type[n] = '\0';
	p += n + 1;
	for (n = 0; *p != '\0' && *p != '/' && *p != '+'; p++) {
		if (*p == '\\' && *++p == '\0')
			return false;
		if (n == sizeof(a->value) - 1)
			return false;
		a->value[n++] = *p;
	}
	a->value[n] = '\0';
	*s = p;
	return n > 0;
}

static bool
has_control(const char *s)
{
	size_t left = strlen(s), n;

	for (; left > 0; s += n, left -= n) {
		n = text_utf8_char(s, left);
		if (n == 0 || text_is_control(s, n))
			return true;
	}
	return false;
}

int
cert_name_parse(const char *text, X509_NAME **out, struct ofs_error *e)
{
	const char *s = text;
	X509_NAME *name = NULL;
	struct ava a;
	int err = 0;

	*out = NULL;
	if (text[0] != '/' || strlen(text) > NAME_MAX_BYTES ||
		has_control(text))
		return err_set(e, OFS_EINVAL,
			"cannot use the subject '%s': write it as "
			"/O=Acme/CN=Payroll",
			TEXT_Q(text));
	name = X509_NAME_new();
	if (name == NULL)
		return err_nomem(e);
	while (*s != '\0') {
		int nid;

		if (!take_ava(&s, &a)) {
			err = err_set(e, OFS_EINVAL,
				"cannot use the subject '%s': write it as "
				"/O=Acme/CN=Payroll",
				TEXT_Q(text));
			goto out;
		}
		nid = OBJ_txt2nid(a.type);
		if (nid == NID_undef) {
			err = err_set(e, OFS_EINVAL,
				"cannot use the subject '%s': unknown "
				"attribute '%s'",
				TEXT_Q(text), TEXT_Q(a.type));
			goto out;
		}
		if (X509_NAME_add_entry_by_NID(name, nid, MBSTRING_UTF8,
			    (const uint8_t *)a.value, -1, -1,
			    a.same_rdn ? -1 : 0) != 1) {
			err = err_ssl(e, OFS_EINVAL,
				"cannot use the subject '%s': attribute '%s'",
				TEXT_Q(text), TEXT_Q(a.type));
			goto out;
		}
	}
	*out = name;
	name = NULL;
out:
	ERR_clear_error();
	X509_NAME_free(name);
	return err;
}

static bool
set_algorithm(X509_ALGOR *to, const struct alg *alg)
{
	const uint8_t *p = alg->id;
	X509_ALGOR *a = d2i_X509_ALGOR(NULL, &p, (long)alg->id_len);
	bool ok = a != NULL && to != NULL && X509_ALGOR_copy(to, a) == 1;

	X509_ALGOR_free(a);
	return ok;
}

/* whether it says just what alg says */
static bool
is_algorithm(const X509_ALGOR *a, const struct alg *alg)
{
	uint8_t *der = NULL;
	int n = i2d_X509_ALGOR(a, &der);
	bool same = n > 0 && (size_t)n == alg->id_len &&
		memcmp(der, alg->id, alg->id_len) == 0;

	OPENSSL_free(der);
	return same;
}

static int
check_fit(const X509_NAME *subject, const EVP_PKEY *pub, const struct alg *alg,
	struct ofs_error *e)
{
	if (!alg_offered(alg, pubkey_type(pub)))
		return err_set(e, OFS_EINVAL, "cannot use %s with this key",
			alg->name);
	if (X509_NAME_entry_count(subject) == 0)
		return err_set(e, OFS_EINVAL, "subject is empty");
	return 0;
}

/* RFC 5280 4.1.2.2: positive, not zero, at most 20 octets */
static bool
set_serial(X509 *c)
{
	uint8_t serial[SERIAL_SIZE];
	ASN1_INTEGER *i;

	if (RAND_bytes(serial, sizeof(serial)) != 1)
		return false;
	serial[0] = (serial[0] & 0x7f) | 0x40;
	i = X509_get_serialNumber(c);
	return i != NULL && ASN1_STRING_set(i, serial, sizeof(serial)) == 1;
}

static bool
set_validity(X509 *c, int64_t not_before, int days)
{
	int64_t from = not_before / 1000000;
	int64_t to = from + (int64_t)days * 86400;

	if (not_before < 0 || days < 1 || days > DAYS_MAX || to > TIME_MAX)
		return false;
	return ASN1_TIME_set(X509_getm_notBefore(c), (time_t)from) != NULL &&
		ASN1_TIME_set(X509_getm_notAfter(c), (time_t)to) != NULL;
}

static bool
add_constraints(X509 *c)
{
	BASIC_CONSTRAINTS *bc = BASIC_CONSTRAINTS_new();
	bool ok;

	if (bc == NULL)
		return false;
	bc->ca = 0;
	ok = X509_add1_ext_i2d(c, NID_basic_constraints, bc, 1, 0) == 1;
	BASIC_CONSTRAINTS_free(bc);
	return ok;
}

static bool
add_usage(X509 *c)
{
	ASN1_BIT_STRING *bits = ASN1_BIT_STRING_new();
	bool ok;

	/* RFC 5280 4.2.1.3: digitalSignature is bit 0, nonRepudiation 1 */
	ok = bits != NULL && ASN1_BIT_STRING_set_bit(bits, 0, 1) == 1 &&
		ASN1_BIT_STRING_set_bit(bits, 1, 1) == 1 &&
		X509_add1_ext_i2d(c, NID_key_usage, bits, 1, 0) == 1;
	ASN1_BIT_STRING_free(bits);
	return ok;
}

/* RFC 7093 2 (1): the leftmost 160 bits of SHA-256 of the key's bits */
static bool
add_key_id(X509 *c)
{
	uint8_t hash[EVP_MAX_MD_SIZE];
	ASN1_OCTET_STRING *id = ASN1_OCTET_STRING_new();
	bool ok;

	ok = id != NULL &&
		X509_pubkey_digest(c, EVP_sha256(), hash, NULL) == 1 &&
		ASN1_OCTET_STRING_set(id, hash, SKI_SIZE) == 1 &&
		X509_add1_ext_i2d(c, NID_subject_key_identifier, id, 0, 0) == 1;
	ASN1_OCTET_STRING_free(id);
	return ok;
}

/* OpenSSL has no setters for these two, only getters that say const. */
static X509_ALGOR *
inner_algorithm(X509 *c)
{
	return (X509_ALGOR *)(uintptr_t)X509_get0_tbs_sigalg(c);
}

static void
outer_parts(X509 *c, ASN1_BIT_STRING **sig, X509_ALGOR **alg)
{
	const ASN1_BIT_STRING *s;
	const X509_ALGOR *a;

	X509_get0_signature(&s, &a, c);
	*sig = (ASN1_BIT_STRING *)(uintptr_t)s;
	*alg = (X509_ALGOR *)(uintptr_t)a;
}

int
cert_build_self_signed(const X509_NAME *subject, EVP_PKEY *pub,
	const struct alg *alg, int64_t not_before, int days, X509 **out,
	struct ofs_error *e)
{
	ASN1_BIT_STRING *sig;
	X509_ALGOR *outer;
	X509 *c;
	int err;

	*out = NULL;
	err = check_fit(subject, pub, alg, e);
	if (err != 0)
		return err;
	c = X509_new();
	if (c == NULL)
		return err_nomem(e);
	if (!set_validity(c, not_before, days)) {
		err = err_set(e, OFS_EINVAL,
			"cannot make a certificate that is valid for %d days",
			days);
		goto out;
	}
	outer_parts(c, &sig, &outer);
	if (X509_set_version(c, X509_VERSION_3) != 1 || !set_serial(c) ||
		X509_set_subject_name(c, subject) != 1 ||
		X509_set_issuer_name(c, subject) != 1 ||
		X509_set_pubkey(c, pub) != 1 || !add_constraints(c) ||
		!add_usage(c) || !add_key_id(c) ||
		!set_algorithm(inner_algorithm(c), alg) ||
		!set_algorithm(outer, alg)) {
		err = err_ssl(e, OFS_EINTERNAL, "cannot make a certificate");
		goto out;
	}
	*out = c;
	c = NULL;
out:
	X509_free(c);
	return err;
}

static int
put_tbs(struct buf *to, uint8_t *der, int n, struct ofs_error *e)
{
	if (n <= 0) {
		OPENSSL_free(der);
		return err_ssl(
			e, OFS_EINTERNAL, "cannot encode what is to be signed");
	}
	buf_put(to, der, (size_t)n);
	OPENSSL_free(der);
	return buf_ok(to) ? 0 : err_nomem(e);
}

int
cert_tbs(X509 *c, struct buf *tbs, struct ofs_error *e)
{
	uint8_t *der = NULL;
	int n = i2d_re_X509_tbs(c, &der);

	return put_tbs(tbs, der, n, e);
}

static bool
set_bits(ASN1_BIT_STRING *to, const uint8_t *sig, size_t n)
{
	if (n > INT_MAX ||
		ASN1_BIT_STRING_set(to, (uint8_t *)(uintptr_t)sig, (int)n) != 1)
		return false;
	/* all bits of the last byte count, even if they are zero */
	to->flags &= ~(ASN1_STRING_FLAG_BITS_LEFT | 0x07);
	to->flags |= ASN1_STRING_FLAG_BITS_LEFT;
	return true;
}

int
cert_finish(X509 *c, const struct alg *alg, const uint8_t *sig, size_t n,
	struct ofs_error *e)
{
	ASN1_BIT_STRING *bits;
	X509_ALGOR *outer;

	if (!is_algorithm(inner_algorithm(c), alg))
		return err_set(e, OFS_EINTERNAL,
			"cannot sign the certificate with %s: it names "
			"another algorithm",
			alg->name);
	outer_parts(c, &bits, &outer);
	if (!set_algorithm(outer, alg) || !set_bits(bits, sig, n))
		return err_nomem(e);
	return 0;
}

int
cert_build_csr(const X509_NAME *subject, EVP_PKEY *pub, const struct alg *alg,
	X509_REQ **out, struct ofs_error *e)
{
	X509_ALGOR *algor = NULL;
	X509_REQ *r = NULL;
	int err;

	*out = NULL;
	err = check_fit(subject, pub, alg, e);
	if (err != 0)
		return err;
	r = X509_REQ_new();
	algor = X509_ALGOR_new();
	if (r == NULL || algor == NULL) {
		err = err_nomem(e);
		goto out;
	}
	if (X509_REQ_set_version(r, X509_REQ_VERSION_1) != 1 ||
		X509_REQ_set_subject_name(r, subject) != 1 ||
		X509_REQ_set_pubkey(r, pub) != 1 ||
		!set_algorithm(algor, alg) ||
		X509_REQ_set1_signature_algo(r, algor) != 1) {
		err = err_ssl(
			e, OFS_EINTERNAL, "cannot make a certificate request");
		goto out;
	}
	*out = r;
	r = NULL;
out:
	X509_ALGOR_free(algor);
	X509_REQ_free(r);
	return err;
}

int
cert_csr_tbs(X509_REQ *r, struct buf *tbs, struct ofs_error *e)
{
	uint8_t *der = NULL;
	int n = i2d_re_X509_REQ_tbs(r, &der);

	return put_tbs(tbs, der, n, e);
}

int
cert_csr_finish(X509_REQ *r, const struct alg *alg, const uint8_t *sig,
	size_t n, struct ofs_error *e)
{
	const X509_ALGOR *named = NULL;
	ASN1_BIT_STRING *bits;

	X509_REQ_get0_signature(r, NULL, &named);
	if (!is_algorithm(named, alg))
		return err_set(e, OFS_EINTERNAL,
			"cannot sign the request with %s: it names another "
			"algorithm",
			alg->name);
	bits = ASN1_BIT_STRING_new();
	if (bits == NULL || !set_bits(bits, sig, n)) {
		ASN1_BIT_STRING_free(bits);
		return err_nomem(e);
	}
	X509_REQ_set0_signature(r, bits);
	return 0;
}
