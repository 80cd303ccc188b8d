/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Public keys: made from parts, compared, named by hash. */
#include <stdio.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "crypto/der.h"
#include "crypto/pubkey.h"

#define RSA_MIN 128  /* bytes of a modulus: 1024 bits */
#define RSA_MAX 2048 /* 16384 bits, OpenSSL's own limit */
#define RSA_E_MAX 8  /* OpenSSL's limit for moduli above 3072 bits */
#define SPKI_MAX 4096

static const struct curve {
	enum ofs_key_type type;
	int nid;
	const char *group; /* OpenSSL's name */
	const char *nist;
	const char *sec;
	size_t size; /* bytes of a coordinate */
} curves[] = {
	{ OFS_KEY_EC_P256, NID_X9_62_prime256v1, "prime256v1", "P-256",
		"secp256r1", 32 },
	{ OFS_KEY_EC_P384, NID_secp384r1, "secp384r1", "P-384", "secp384r1",
		48 },
	{ OFS_KEY_EC_P521, NID_secp521r1, "secp521r1", "P-521", "secp521r1",
		66 },
	{ OFS_KEY_EC_SECP256K1, NID_secp256k1, "secp256k1", "secp256k1",
		"secp256k1", 32 },
};

#define N_CURVES (sizeof(curves) / sizeof(curves[0]))

static const struct edwards {
	enum ofs_key_type type;
	int pkey; /* EVP_PKEY_ED25519 */
	const char *name;
	const char *params;  /* PrintableString in ECParameters: PKCS#11 2.3 */
	const char *oids[2]; /* RFC 8410 3; the one that GnuPG had before it */
	size_t size;         /* bytes of a point */
} edwards[] = {
	{ OFS_KEY_ED25519, EVP_PKEY_ED25519, "Ed25519", "edwards25519",
		{ "1.3.101.112", "1.3.6.1.4.1.11591.15.1" }, 32 },
	{ OFS_KEY_ED448, EVP_PKEY_ED448, "Ed448", "edwards448",
		{ "1.3.101.113", NULL }, 57 },
};

static const struct edwards *
edwards_of(const EVP_PKEY *k)
{
	for (size_t i = 0; i < 2; i++)
		if (EVP_PKEY_get_base_id(k) == edwards[i].pkey)
			return &edwards[i];
	return NULL;
}

static const struct curve *
curve_by_name(const char *name)
{
	for (size_t i = 0; i < N_CURVES; i++)
		if (strcmp(name, curves[i].group) == 0 ||
			strcmp(name, curves[i].nist) == 0 ||
			strcmp(name, curves[i].sec) == 0)
			return &curves[i];
	return NULL;
}

static const struct curve *
curve_of(const EVP_PKEY *k)
{
	char name[64];
	int explicit_params = 0;

	if (EVP_PKEY_get_base_id(k) != EVP_PKEY_EC)
		return NULL;
	/* RFC 5480 2.1.1: parameters spelled out must not be used */
	if (EVP_PKEY_get_int_param(k,
		    OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS,
		    &explicit_params) == 1 &&
		explicit_params != 0)
		return NULL;
	if (EVP_PKEY_get_group_name(k, name, sizeof(name), NULL) != 1)
		return NULL;
	return curve_by_name(name);
}

enum ofs_key_type
pubkey_type(const EVP_PKEY *k)
{
	const struct edwards *ed = edwards_of(k);
	const struct curve *c;

	if (EVP_PKEY_get_base_id(k) == EVP_PKEY_RSA)
		return OFS_KEY_RSA;
	if (ed != NULL)
		return ed->type;
	c = curve_of(k);
	ERR_clear_error();
	return c != NULL ? c->type : OFS_KEY_OTHER;
}

int
pubkey_bits(const EVP_PKEY *k)
{
	return EVP_PKEY_get_bits(k);
}

void
pubkey_describe(const EVP_PKEY *k, char *to, size_t size)
{
	const struct edwards *ed = edwards_of(k);
	const struct curve *c = curve_of(k);
	const char *name = EVP_PKEY_get0_type_name(k);

	ERR_clear_error();
	if (c != NULL)
		snprintf(to, size, "%s", c->nist);
	else if (ed != NULL)
		snprintf(to, size, "%s", ed->name);
	else
		snprintf(to, size, "%s-%d", name != NULL ? name : "unknown",
			EVP_PKEY_get_bits(k));
}

/* a public key from what the builder holds; takes nothing over */
static EVP_PKEY *
from_params(const char *type, OSSL_PARAM_BLD *bld)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
	EVP_PKEY *k = NULL;

	if (ctx == NULL || params == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
		EVP_PKEY_fromdata(ctx, &k, EVP_PKEY_PUBLIC_KEY, params) != 1) {
		EVP_PKEY_free(k);
		k = NULL;
	}
	OSSL_PARAM_free(params);
	EVP_PKEY_CTX_free(ctx);
	return k;
}

static void
skip_zeros(const uint8_t **p, size_t *n)
{
	while (*n > 0 && **p == 0) {
		(*p)++;
		(*n)--;
	}
}

int
pubkey_from_rsa(const uint8_t *n, size_t n_len, const uint8_t *e_, size_t e_len,
	EVP_PKEY **out, struct ofs_error *e)
{
	BIGNUM *bn_n = NULL, *bn_e = NULL;
	OSSL_PARAM_BLD *bld = NULL;
	int err = 0;

	*out = NULL;
	skip_zeros(&n, &n_len);
	skip_zeros(&e_, &e_len);
	if (n_len < RSA_MIN || n_len > RSA_MAX || (n[n_len - 1] & 1) == 0)
		return err_set(e, OFS_EFORMAT,
			"cannot use the RSA key: its modulus is not an odd "
			"number of 1024 to 16384 bits");
	if (e_len < 1 || e_len > RSA_E_MAX || (e_[e_len - 1] & 1) == 0 ||
		(e_len == 1 && e_[0] == 1))
		return err_set(e, OFS_EFORMAT,
			"cannot use the RSA key: its public exponent is not "
			"an odd number of 3 to 2^64");
	bn_n = BN_bin2bn(n, (int)n_len, NULL);
	bn_e = BN_bin2bn(e_, (int)e_len, NULL);
	bld = OSSL_PARAM_BLD_new();
	if (bn_n == NULL || bn_e == NULL || bld == NULL ||
		OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, bn_n) != 1 ||
		OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, bn_e) != 1) {
		err = err_nomem(e);
		goto out;
	}
	*out = from_params("RSA", bld);
	if (*out == NULL)
		err = err_ssl(e, OFS_EFORMAT, "cannot use the RSA key");
out:
	OSSL_PARAM_BLD_free(bld);
	BN_free(bn_e);
	BN_free(bn_n);
	return err;
}

/* What ECParameters name: an OID, in dots, or a PrintableString. */
struct ec_name {
	char oid[80]; /* "" for a name */
	char text[32];
};

static bool
read_params(const uint8_t *p, size_t n, struct ec_name *to)
{
	const uint8_t *at = p;
	ASN1_OBJECT *o;

	to->oid[0] = to->text[0] = '\0';
	if (n < 3 || n > sizeof(to->text) || !der_is_strict(p, n))
		return false;
	if (p[0] == V_ASN1_PRINTABLESTRING) {
		memcpy(to->text, p + 2, n - 2);
		to->text[n - 2] = '\0';
		return strlen(to->text) == n - 2;
	}
	o = d2i_ASN1_OBJECT(NULL, &at, (long)n);
	if (o != NULL)
		(void)OBJ_obj2txt(to->oid, sizeof(to->oid), o, 1);
	ASN1_OBJECT_free(o);
	ERR_clear_error();
	return to->oid[0] != '\0';
}

static const struct curve *
curve_of_params(const uint8_t *p, size_t n)
{
	struct ec_name name;

	if (!read_params(p, n, &name))
		return NULL;
	if (name.text[0] != '\0')
		return curve_by_name(name.text);
	for (size_t i = 0; i < N_CURVES; i++)
		if (OBJ_txt2nid(name.oid) == curves[i].nid)
			return &curves[i];
	return NULL;
}

static const struct edwards *
edwards_of_params(const uint8_t *p, size_t n)
{
	struct ec_name name;

	if (!read_params(p, n, &name))
		return NULL;
	for (size_t i = 0; i < 2; i++) {
		const struct edwards *ed = &edwards[i];

		if (strcmp(name.text, ed->params) == 0 ||
			strcmp(name.oid, ed->oids[0]) == 0 ||
			(ed->oids[1] != NULL &&
				strcmp(name.oid, ed->oids[1]) == 0))
			return ed;
	}
	return NULL;
}

/*
 * Finds the bare point, of a length that is known. 04 starts both an
 * uncompressed point and an OCTET STRING, so the exact length decides.
 */
static bool
bare_point(size_t bare, const uint8_t **p, size_t *n)
{
	if (*n > bare) {
		size_t head = *n - bare;

		if (!der_is_strict(*p, *n) || (*p)[0] != V_ASN1_OCTET_STRING ||
			head != (bare > 0x7f ? 3 : 2))
			return false;
		*p += head;
		*n -= head;
	}
	return *n == bare;
}

int
pubkey_from_ec(const uint8_t *params, size_t params_len, const uint8_t *point,
	size_t point_len, EVP_PKEY **out, struct ofs_error *e)
{
	const struct curve *c = curve_of_params(params, params_len);
	OSSL_PARAM_BLD *bld = NULL;
	int err = 0;

	*out = NULL;
	if (c == NULL)
		return err_set(e, OFS_EUNSUPPORTED,
			"cannot use the EC key: its curve is not P-256, P-384, "
			"P-521 or secp256k1");
	if (!bare_point(2 * c->size + 1, &point, &point_len) ||
		point[0] != POINT_CONVERSION_UNCOMPRESSED)
		return err_set(e, OFS_EFORMAT,
			"cannot use the EC key: its point is not an "
			"uncompressed one of %s",
			c->nist);
	bld = OSSL_PARAM_BLD_new();
	if (bld == NULL ||
		OSSL_PARAM_BLD_push_utf8_string(
			bld, OSSL_PKEY_PARAM_GROUP_NAME, c->group, 0) != 1 ||
		OSSL_PARAM_BLD_push_octet_string(
			bld, OSSL_PKEY_PARAM_PUB_KEY, point, point_len) != 1) {
		err = err_nomem(e);
		goto out;
	}
	/* this also tells whether the point is on the curve */
	*out = from_params("EC", bld);
	if (*out == NULL)
		err = err_ssl(e, OFS_EFORMAT, "cannot use the EC key");
out:
	OSSL_PARAM_BLD_free(bld);
	return err;
}

int
pubkey_from_edwards(const uint8_t *params, size_t params_len,
	const uint8_t *point, size_t point_len, EVP_PKEY **out,
	struct ofs_error *e)
{
	const struct edwards *ed = edwards_of_params(params, params_len);

	*out = NULL;
	if (ed == NULL)
		return err_set(e, OFS_EUNSUPPORTED,
			"cannot use the Edwards key: its curve is neither that "
			"of Ed25519 nor that of Ed448");
	if (!bare_point(ed->size, &point, &point_len))
		return err_set(e, OFS_EFORMAT,
			"cannot use the %s key: its point has not %zu bytes",
			ed->name, ed->size);
	*out = EVP_PKEY_new_raw_public_key(ed->pkey, NULL, point, point_len);
	if (*out == NULL)
		return err_ssl(
			e, OFS_EFORMAT, "cannot use the %s key", ed->name);
	return 0;
}

int
pubkey_from_spki(
	const uint8_t *der, size_t n, EVP_PKEY **out, struct ofs_error *e)
{
	struct buf again = BUF_INIT;
	const uint8_t *p = der;
	EVP_PKEY *k = NULL;
	int err = 0;

	*out = NULL;
	if (n > SPKI_MAX || !der_is_strict(der, n))
		return err_set(e, OFS_EFORMAT,
			"cannot read the public key: it is not DER");
	k = d2i_PUBKEY(NULL, &p, (long)n);
	if (k == NULL) {
		err = err_ssl(e, OFS_EFORMAT, "cannot read the public key");
		goto out;
	}
	err = pubkey_to_spki(k, &again, e);
	if (err != 0)
		goto out;
	if (again.len != n || memcmp(again.p, der, n) != 0) {
		err = err_set(e, OFS_EFORMAT,
			"cannot read the public key: it is not encoded as "
			"RFC 3279 and RFC 5480 demand");
		goto out;
	}
	*out = k;
	k = NULL;
out:
	buf_free(&again);
	EVP_PKEY_free(k);
	return err;
}

/* SubjectPublicKeyInfo, with a point never compressed: one key, one hash */
static int
spki_der(const EVP_PKEY *k, uint8_t **der)
{
	EVP_PKEY *copy;
	int n;

	if (EVP_PKEY_get_base_id(k) != EVP_PKEY_EC ||
		EVP_PKEY_get_ec_point_conv_form(k) ==
			POINT_CONVERSION_UNCOMPRESSED)
		return i2d_PUBKEY(k, der);
	copy = EVP_PKEY_dup((EVP_PKEY *)(uintptr_t)k);
	if (copy == NULL)
		return -1;
	if (EVP_PKEY_set_utf8_string_param(copy,
		    OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
		    OSSL_PKEY_EC_POINT_CONVERSION_FORMAT_UNCOMPRESSED) == 1)
		n = i2d_PUBKEY(copy, der);
	else
		n = -1;
	EVP_PKEY_free(copy);
	return n;
}

int
pubkey_to_spki(const EVP_PKEY *k, struct buf *to, struct ofs_error *e)
{
	uint8_t *der = NULL;
	int n = spki_der(k, &der);

	if (n <= 0) {
		OPENSSL_free(der);
		return err_ssl(
			e, OFS_EINTERNAL, "cannot encode the public key");
	}
	buf_put(to, der, (size_t)n);
	OPENSSL_free(der);
	if (!buf_ok(to))
		return err_nomem(e);
	return 0;
}

int
pubkey_to_pem(const EVP_PKEY *k, struct buf *to, struct ofs_error *e)
{
	BIO *bio = BIO_new(BIO_s_mem());
	struct buf der = BUF_INIT;
	char *text = NULL;
	long n = 0;
	int rc;

	rc = pubkey_to_spki(k, &der, e);
	if (rc == 0 && bio != NULL &&
		PEM_write_bio(
			bio, PEM_STRING_PUBLIC, "", der.p, (long)der.len) > 0)
		n = BIO_get_mem_data(bio, &text);
	if (rc == 0 && n <= 0)
		rc = err_ssl(e, OFS_ENOMEM, "cannot write the public key");
	if (rc == 0)
		buf_put(to, text, (size_t)n);
	if (rc == 0 && !buf_ok(to))
		rc = err_nomem(e);
	BIO_free(bio);
	buf_free(&der);
	return rc;
}

/* the one PUBLIC KEY block of a PEM text; free *der with OPENSSL_free */
static int
pem_block(const uint8_t *p, size_t n, uint8_t **der, long *der_len,
	struct ofs_error *e)
{
	char *name = NULL, *header = NULL;
	BIO *bio = BIO_new_mem_buf(p, (int)n);
	int err = 0;

	*der = NULL;
	if (bio == NULL)
		return err_nomem(e);
	if (PEM_read_bio(bio, &name, &header, der, der_len) != 1)
		err = err_ssl(e, OFS_EFORMAT, "cannot read the public key");
	else if (strcmp(name, PEM_STRING_PUBLIC) != 0 || header[0] != '\0')
		err = err_set(e, OFS_EFORMAT,
			"cannot read the public key: the file holds no PUBLIC "
			"KEY but something else");
	OPENSSL_free(name);
	OPENSSL_free(header);
	if (err == 0) {
		uint8_t *more = NULL;
		long more_len;

		name = header = NULL;
		if (PEM_read_bio(bio, &name, &header, &more, &more_len) == 1 ||
			ERR_GET_REASON(ERR_peek_last_error()) !=
				PEM_R_NO_START_LINE)
			err = err_set(e, OFS_EFORMAT,
				"cannot read the public key: the file holds "
				"more than one block");
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_free(more);
		ERR_clear_error();
	}
	BIO_free(bio);
	return err;
}

int
pubkey_parse(const uint8_t *p, size_t n, EVP_PKEY **out, struct ofs_error *e)
{
	uint8_t *der = NULL;
	long der_len = 0;
	int err;

	*out = NULL;
	if (n == 0 || n > 4 * SPKI_MAX)
		return err_set(e, OFS_EFORMAT,
			"cannot read the public key: it has %zu bytes", n);
	if (p[0] == (V_ASN1_SEQUENCE | V_ASN1_CONSTRUCTED) &&
		der_is_strict(p, n))
		return pubkey_from_spki(p, n, out, e);
	err = pem_block(p, n, &der, &der_len, e);
	if (err == 0)
		err = pubkey_from_spki(der, (size_t)der_len, out, e);
	OPENSSL_free(der);
	return err;
}

int
pubkey_sha256(const EVP_PKEY *k, uint8_t out[32], struct ofs_error *e)
{
	struct buf der = BUF_INIT;
	int err;

	err = pubkey_to_spki(k, &der, e);
	if (err == 0)
		err = digest_of(&digest_sha256, der.p, der.len, out, e);
	buf_free(&der);
	return err;
}

bool
pubkey_equal(const EVP_PKEY *a, const EVP_PKEY *b)
{
	int r = EVP_PKEY_eq(a, b);

	ERR_clear_error();
	return r == 1;
}
