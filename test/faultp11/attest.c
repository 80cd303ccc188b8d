/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Attestation: a certificate for each key, issued by a key of this process
 * that stands in for the maker's in PIV slot f9.
 */
#include <stdio.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>

#include "attest.h"
#include "object.h"

#define VALUE_MAX 1024
#define CERT_MAX 4096
#define ISSUER "YubiKey PIV Attestation"
#define ISSUER_ID 25
#define YEAR (86400 * 365)

struct value {
	unsigned char p[VALUE_MAX];
	CK_ULONG len;
};

static EVP_PKEY *issuer; /* with the state's lock */

static bool
read_value(struct call *c, CK_OBJECT_HANDLE o, CK_ATTRIBUTE_TYPE type,
	struct value *v)
{
	CK_ATTRIBUTE a = { type, v->p, sizeof(v->p) };

	if (real->C_GetAttributeValue(c->h, o, &a, 1) != CKR_OK)
		return false;
	v->len = a.ulValueLen;
	return true;
}

/* takes the parameters over */
static EVP_PKEY *
key_from(const char *type, OSSL_PARAM_BLD *b)
{
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(b);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *key = NULL;

	if (params != NULL && ctx != NULL && EVP_PKEY_fromdata_init(ctx) == 1)
		(void)EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params);
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	return key;
}

static EVP_PKEY *
rsa_key(const struct value *n, const struct value *e)
{
	OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
	BIGNUM *bn = BN_bin2bn(n->p, (int)n->len, NULL);
	BIGNUM *be = BN_bin2bn(e->p, (int)e->len, NULL);
	EVP_PKEY *key = NULL;

	if (OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_N, bn) == 1 &&
		OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_E, be) == 1)
		key = key_from("RSA", b);
	BN_free(bn);
	BN_free(be);
	OSSL_PARAM_BLD_free(b);
	return key;
}

static EVP_PKEY *
ec_key(const struct value *curve, const struct value *point)
{
	OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
	const unsigned char *p = curve->p, *q = point->p;
	ASN1_OBJECT *name = d2i_ASN1_OBJECT(NULL, &p, (long)curve->len);
	ASN1_OCTET_STRING *bytes =
		d2i_ASN1_OCTET_STRING(NULL, &q, (long)point->len);
	EVP_PKEY *key = NULL;

	if (name != NULL && bytes != NULL &&
		OSSL_PARAM_BLD_push_utf8_string(b, OSSL_PKEY_PARAM_GROUP_NAME,
			OBJ_nid2sn(OBJ_obj2nid(name)), 0) == 1 &&
		OSSL_PARAM_BLD_push_octet_string(b, OSSL_PKEY_PARAM_PUB_KEY,
			ASN1_STRING_get0_data(bytes),
			(size_t)ASN1_STRING_length(bytes)) == 1)
		key = key_from("EC", b);
	ASN1_OBJECT_free(name);
	ASN1_OCTET_STRING_free(bytes);
	OSSL_PARAM_BLD_free(b);
	return key;
}

static EVP_PKEY *
read_key(struct call *c, CK_OBJECT_HANDLE o)
{
	struct value a, b;

	if (read_value(c, o, CKA_MODULUS, &a) &&
		read_value(c, o, CKA_PUBLIC_EXPONENT, &b))
		return rsa_key(&a, &b);
	if (read_value(c, o, CKA_EC_PARAMS, &a) &&
		read_value(c, o, CKA_EC_POINT, &b))
		return ec_key(&a, &b);
	return NULL;
}

static X509_NAME *
name_of(const char *cn)
{
	X509_NAME *n = X509_NAME_new();

	if (n != NULL)
		(void)X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_UTF8,
			(const unsigned char *)cn, -1, -1, 0);
	return n;
}

static X509 *
issue(EVP_PKEY *key, const char *subject, long serial, const char *name,
	EVP_PKEY *with, long seconds)
{
	X509_NAME *to = name_of(subject), *by = name_of(name);
	X509 *x = X509_new();

	if (x == NULL || X509_set_version(x, X509_VERSION_3) != 1 ||
		ASN1_INTEGER_set(X509_get_serialNumber(x), serial) != 1 ||
		X509_gmtime_adj(X509_getm_notBefore(x), -60) == NULL ||
		X509_gmtime_adj(X509_getm_notAfter(x), seconds) == NULL ||
		X509_set_subject_name(x, to) != 1 ||
		X509_set_issuer_name(x, by) != 1 ||
		X509_set_pubkey(x, key) != 1 ||
		X509_sign(x, with, EVP_sha256()) == 0) {
		X509_free(x);
		x = NULL;
	}
	X509_NAME_free(to);
	X509_NAME_free(by);
	return x;
}

static void
destroy(struct call *c, const char *label)
{
	CK_OBJECT_CLASS class = CKO_CERTIFICATE;
	CK_ATTRIBUTE a[] = {
		{ CKA_CLASS, &class, sizeof(class) },
		{ CKA_LABEL, (void *)(uintptr_t)label, strlen(label) },
	};
	CK_OBJECT_HANDLE o;

	while ((o = object_find(c->id, a, 2)) != 0)
		if (real->C_DestroyObject(c->h, o) != CKR_OK)
			break;
}

static CK_RV
store(struct call *c, X509 *x, const char *label, void *id, CK_ULONG id_len)
{
	unsigned char der[CERT_MAX], name[VALUE_MAX], *p = der, *q = name;
	CK_OBJECT_CLASS class = CKO_CERTIFICATE;
	CK_CERTIFICATE_TYPE type = CKC_X_509;
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_OBJECT_HANDLE o;

	if (i2d_X509(x, NULL) > CERT_MAX)
		return CKR_DEVICE_MEMORY;
	CK_ATTRIBUTE a[] = {
		{ CKA_CLASS, &class, sizeof(class) },
		{ CKA_CERTIFICATE_TYPE, &type, sizeof(type) },
		{ CKA_TOKEN, &yes, 1 },
		{ CKA_PRIVATE, &no, 1 },
		{ CKA_LABEL, (void *)(uintptr_t)label, strlen(label) },
		{ CKA_ID, id, id_len },
		{ CKA_SUBJECT, name,
			(CK_ULONG)i2d_X509_NAME(X509_get_subject_name(x), &q) },
		{ CKA_VALUE, der, (CK_ULONG)i2d_X509(x, &p) },
	};
	destroy(c, label);
	return real->C_CreateObject(c->h, a, sizeof(a) / sizeof(a[0]), &o);
}

/* 9a 9c 9d 9e 82 ... 95, as ykcs11 counts them from 1 */
static unsigned int
piv_number(unsigned int id)
{
	static const unsigned char first[] = { 0x9a, 0x9c, 0x9d, 0x9e };

	return id >= 1 && id <= 4 ? first[id - 1] : 0x82 + id - 5;
}

static CK_RV
store_both(struct call *c, EVP_PKEY *key, struct value *id)
{
	char label[64], subject[64];
	unsigned char own = ISSUER_ID;
	X509 *root, *x;
	CK_RV rv = CKR_FUNCTION_FAILED;

	snprintf(label, sizeof(label),
		"X.509 Certificate for PIV "
		"Attestation %02x",
		piv_number(id->p[0]));
	snprintf(
		subject, sizeof(subject), ISSUER " %02x", piv_number(id->p[0]));
	root = issue(issuer, ISSUER, 1, ISSUER, issuer, YEAR);
	x = issue(key, subject, 2, ISSUER, issuer, YEAR);
	if (root != NULL && x != NULL)
		rv = store(c, root, "X.509 Certificate for PIV Attestation",
			&own, 1);
	if (rv == CKR_OK)
		rv = store(c, x, label, id->p, id->len);
	X509_free(root);
	X509_free(x);
	return rv;
}

CK_RV
attest_key(struct call *c, CK_OBJECT_HANDLE public_key)
{
	EVP_PKEY *key = read_key(c, public_key);
	CK_RV rv = CKR_FUNCTION_FAILED;
	struct value id;

	state_lock();
	if (issuer == NULL)
		issuer = EVP_EC_gen("P-256");
	if (key != NULL && issuer != NULL &&
		read_value(c, public_key, CKA_ID, &id) && id.len > 0)
		rv = store_both(c, key, &id);
	state_unlock();
	EVP_PKEY_free(key);
	return rv;
}

CK_RV
attest_placeholder(struct call *c, CK_OBJECT_HANDLE public_key,
	unsigned char id, const char *label)
{
	EVP_PKEY *key = read_key(c, public_key), *nobody = EVP_EC_gen("P-256");
	CK_RV rv = CKR_OK;
	char name[64];
	X509 *x = NULL;

	snprintf(name, sizeof(name), "YubiKey PIV Slot %x", piv_number(id));
	if (key != NULL && nobody != NULL)
		x = issue(key, name, 1, name, nobody, 0);
	if (x != NULL)
		rv = store(c, x, label, &id, 1);
	X509_free(x);
	EVP_PKEY_free(key);
	EVP_PKEY_free(nobody);
	return rv;
}
