/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Extensions that a caller asks for, in openssl's syntax. */
#include <string.h>

#include <openssl/conf.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/text.h"
#include "crypto/cert_ext.h"

#define NAME_MAX_BYTES 64
#define TEXT_MAX_BYTES 8192

/* openssl's parser ends a value at a newline and drops the rest */
static bool
is_plain(const char *s)
{
	size_t left = strlen(s), n;

	if (left > TEXT_MAX_BYTES)
		return false;
	for (; left > 0; s += n, left -= n) {
		n = text_utf8_char(s, left);
		if (n == 0 || text_is_control(s, n))
			return false;
	}
	return true;
}

/* "@section", alone or in a list */
static bool
names_section(const char *value)
{
	for (;; value++) {
		value += strspn(value, " ");
		if (*value == '@')
			return true;
		value = strchr(value, ',');
		if (value == NULL)
			return false;
	}
}

/* the name of "NAME=VALUE", or why there is none */
static const char *
split(const char *text, char name[NAME_MAX_BYTES], const char **value)
{
	const char *equals = strchr(text, '=');
	size_t n = equals != NULL ? (size_t)(equals - text) : 0;

	while (n > 0 && text[n - 1] == ' ')
		n--;
	if (n == 0 || n >= NAME_MAX_BYTES || equals[1] == '\0')
		return "write it as NAME=VALUE, like subjectAltName=DNS:a";
	memcpy(name, text, n);
	name[n] = '\0';
	*value = equals + 1;
	if (!is_plain(text))
		return "it holds control characters, is not UTF-8, or is too "
		       "long";
	if (names_section(*value))
		return "'@' names a section of a configuration file, and none "
		       "is read; write the value itself";
	/* its policy may be read from a file */
	if (strcmp(name, "proxyCertInfo") == 0)
		return "it is not for documents";
	return NULL;
}

/* RFC 5280 4.2.1.3: digitalSignature is bit 0, nonRepudiation 1 */
static bool
may_sign(X509_EXTENSION *x)
{
	ASN1_BIT_STRING *bits;
	bool ok;

	if (OBJ_obj2nid(X509_EXTENSION_get_object(x)) != NID_key_usage)
		return true;
	bits = X509V3_EXT_d2i(x);
	ok = bits != NULL &&
		(ASN1_BIT_STRING_get_bit(bits, 0) == 1 ||
			ASN1_BIT_STRING_get_bit(bits, 1) == 1);
	ASN1_BIT_STRING_free(bits);
	return ok;
}

static int
parse(X509V3_CTX *ctx, CONF *conf, const char *text,
	STACK_OF(X509_EXTENSION) **all, struct ofs_error *e)
{
	char name[NAME_MAX_BYTES];
	const char *value, *why = split(text, name, &value);
	X509_EXTENSION *x = NULL;
	int rc = 0;

	if (why == NULL) {
		x = X509V3_EXT_nconf(conf, ctx, name, value);
		if (x == NULL)
			return err_ssl(e, OFS_EINVAL,
				"cannot use the extension '%s'", TEXT_Q(text));
		if (X509v3_get_ext_by_OBJ(
			    *all, X509_EXTENSION_get_object(x), -1) >= 0)
			why = "it is there twice";
		else if (!may_sign(x))
			why = "a key for documents needs digitalSignature or "
			      "nonRepudiation";
	}
	if (why != NULL)
		rc = err_set(e, OFS_EINVAL, "cannot use the extension '%s': %s",
			TEXT_Q(text), why);
	else if (X509v3_add_ext(all, x, -1) == NULL)
		rc = err_nomem(e);
	X509_EXTENSION_free(x);
	return rc;
}

/* an empty configuration: some extensions want one, even to look up nothing */
static CONF *
nothing(void)
{
	CONF *conf = NCONF_new(NULL);
	BIO *empty = BIO_new_mem_buf("", 0);
	long line;

	if (conf != NULL &&
		(empty == NULL || NCONF_load_bio(conf, empty, &line) != 1)) {
		NCONF_free(conf);
		conf = NULL;
	}
	BIO_free(empty);
	return conf;
}

static int
parse_all(X509V3_CTX *ctx, const char *const *v, size_t n,
	STACK_OF(X509_EXTENSION) **out, struct ofs_error *e)
{
	CONF *conf = nothing();
	int rc = 0;

	*out = NULL;
	if (conf == NULL)
		return err_nomem(e);
	X509V3_set_nconf(ctx, conf);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = parse(ctx, conf, v[i], out, e);
	NCONF_free(conf);
	ERR_clear_error();
	if (rc != 0) {
		sk_X509_EXTENSION_pop_free(*out, X509_EXTENSION_free);
		*out = NULL;
	}
	return rc;
}

static bool
replace(X509 *c, X509_EXTENSION *x)
{
	int at = X509_get_ext_by_OBJ(c, X509_EXTENSION_get_object(x), -1);

	if (at >= 0)
		X509_EXTENSION_free(X509_delete_ext(c, at));
	return X509_add_ext(c, x, at) == 1;
}

int
cert_ext_set(X509 *c, const char *const *v, size_t n, struct ofs_error *e)
{
	STACK_OF(X509_EXTENSION) *all;
	X509V3_CTX ctx;
	int rc;

	memset(&ctx, 0, sizeof(ctx));
	X509V3_set_ctx(&ctx, c, c, NULL, NULL, 0);
	rc = parse_all(&ctx, v, n, &all, e);
	for (int i = 0; rc == 0 && i < sk_X509_EXTENSION_num(all); i++)
		if (!replace(c, sk_X509_EXTENSION_value(all, i)))
			rc = err_nomem(e);
	sk_X509_EXTENSION_pop_free(all, X509_EXTENSION_free);
	return rc;
}

int
cert_ext_request(
	X509_REQ *r, const char *const *v, size_t n, struct ofs_error *e)
{
	STACK_OF(X509_EXTENSION) *all;
	X509V3_CTX ctx;
	int rc;

	memset(&ctx, 0, sizeof(ctx));
	X509V3_set_ctx(&ctx, NULL, NULL, r, NULL, 0);
	rc = parse_all(&ctx, v, n, &all, e);
	if (rc == 0 && all != NULL && X509_REQ_add_extensions(r, all) != 1)
		rc = err_ssl(e, OFS_EINTERNAL,
			"cannot put extensions into the request");
	sk_X509_EXTENSION_pop_free(all, X509_EXTENSION_free);
	return rc;
}

int
cert_ext_check(
	bool request, const char *const *v, size_t n, struct ofs_error *e)
{
	EVP_PKEY *any = EVP_EC_gen("P-256"); /* names are made of a key */
	X509_REQ *r = X509_REQ_new();
	X509 *c = X509_new();
	int rc;

	if (any == NULL || r == NULL || c == NULL ||
		X509_set_pubkey(c, any) != 1 ||
		X509_REQ_set_pubkey(r, any) != 1)
		rc = err_ssl(e, OFS_EINTERNAL, "cannot try extensions");
	else
		rc = request ? cert_ext_request(r, v, n, e)
			     : cert_ext_set(c, v, n, e);
	EVP_PKEY_free(any);
	X509_REQ_free(r);
	X509_free(c);
	return rc;
}
