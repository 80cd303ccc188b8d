/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A key pair as a token shows it: up to three objects that belong together. */
#include <stdio.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>

#include "crypto/cert.h"
#include "crypto/pubkey.h"
#include "token/attest.h"
#include "token/label.h"
#include "token/pair.h"
#include "token/yubikey.h"

const struct object *
pair_anchor(const struct pair *p)
{
	if (p->priv.h != 0)
		return &p->priv;
	return p->pub.h != 0 ? &p->pub : &p->cert;
}

static bool
same_id(const struct object *a, const struct object *b)
{
	return a->id_len > 0 && a->id_len == b->id_len &&
		memcmp(a->id, b->id, a->id_len) == 0;
}

/*
 * A public key out of what an object says of itself, or NULL. *odd is set
 * when all parts are there, but are not those of a key that we know.
 */
static EVP_PKEY *
key_of_attrs(const struct attrs *a, CK_KEY_TYPE type, bool *odd)
{
	size_t n1 = 0, n2 = 0;
	const uint8_t *p1, *p2;
	struct ofs_error ignored;
	EVP_PKEY *k = NULL;

	if (type == CKK_RSA) {
		p1 = attrs_get(a, CKA_MODULUS, &n1);
		p2 = attrs_get(a, CKA_PUBLIC_EXPONENT, &n2);
		if (n1 > 0 && n2 > 0)
			(void)pubkey_from_rsa(p1, n1, p2, n2, &k, &ignored);
	} else if (type == CKK_EC || type == CKK_EC_EDWARDS) {
		p1 = attrs_get(a, CKA_EC_PARAMS, &n1);
		p2 = attrs_get(a, CKA_EC_POINT, &n2);
		if (n1 > 0 && n2 > 0 && type == CKK_EC)
			(void)pubkey_from_ec(p1, n1, p2, n2, &k, &ignored);
		else if (n1 > 0 && n2 > 0)
			(void)pubkey_from_edwards(p1, n1, p2, n2, &k, &ignored);
	}
	if (k != NULL)
		return k;
	if (n1 > 0 && n2 > 0)
		*odd = true;
	p1 = attrs_get(a, CKA_PUBLIC_KEY_INFO, &n1);
	if (n1 > 0)
		(void)pubkey_from_spki(p1, n1, &k, &ignored);
	return k;
}

/* a key from elsewhere is not of another type or modulus than the private one
 */
static bool
fits(const EVP_PKEY *k, const struct pair *p, const struct attrs *priv)
{
	BIGNUM *theirs = NULL, *ours;
	int type = EVP_PKEY_get_base_id(k);
	const uint8_t *n;
	size_t len;
	bool ok;

	if (p->priv.h != 0 &&
		((p->priv.key_type == CKK_RSA && type != EVP_PKEY_RSA) ||
			(p->priv.key_type == CKK_EC && type != EVP_PKEY_EC) ||
			(p->priv.key_type == CKK_EC_EDWARDS &&
				type != EVP_PKEY_ED25519 &&
				type != EVP_PKEY_ED448)))
		return false;
	n = attrs_get(priv, CKA_MODULUS, &len);
	if (len == 0)
		return true;
	ours = BN_bin2bn(n, (int)len, NULL);
	ok = ours != NULL &&
		EVP_PKEY_get_bn_param(k, OSSL_PKEY_PARAM_RSA_N, &theirs) == 1 &&
		BN_cmp(ours, theirs) == 0;
	BN_free(ours);
	BN_free(theirs);
	ERR_clear_error();
	return ok;
}

static void
take_allowed(struct pair *p, const uint8_t *list, size_t len)
{
	const size_t size = sizeof(p->allowed[0]);

	p->n_allowed =
		len / size < PAIR_ALLOWED_MAX ? len / size : PAIR_ALLOWED_MAX;
	if (p->n_allowed > 0)
		memcpy(p->allowed, list, p->n_allowed * size);
}

static int
read_private(const struct session *s, struct pair *p, struct attrs *a,
	struct ofs_error *e)
{
	static const CK_ATTRIBUTE_TYPE types[] = { CKA_SENSITIVE,
		CKA_EXTRACTABLE, CKA_ALWAYS_SENSITIVE, CKA_NEVER_EXTRACTABLE,
		CKA_LOCAL, CKA_ALWAYS_AUTHENTICATE, CKA_SIGN, CKA_DECRYPT,
		CKA_MODULUS, CKA_PUBLIC_EXPONENT, CKA_EC_PARAMS, CKA_EC_POINT,
		CKA_PUBLIC_KEY_INFO, CKA_ALLOWED_MECHANISMS };
	struct ofs_key_info *i = &p->info;
	const uint8_t *mechs;
	size_t len;
	int rc;

	rc = attrs_read(
		s, p->priv.h, types, sizeof(types) / sizeof(types[0]), a, e);
	if (rc != 0)
		return rc;
	i->sensitive = attrs_bool(a, CKA_SENSITIVE);
	i->extractable = attrs_bool(a, CKA_EXTRACTABLE);
	i->always_sensitive = attrs_bool(a, CKA_ALWAYS_SENSITIVE);
	i->never_extractable = attrs_bool(a, CKA_NEVER_EXTRACTABLE);
	i->local = attrs_bool(a, CKA_LOCAL);
	i->always_authenticate = attrs_bool(a, CKA_ALWAYS_AUTHENTICATE);
	i->sign = attrs_bool(a, CKA_SIGN);
	i->decrypt = attrs_bool(a, CKA_DECRYPT);
	mechs = attrs_get(a, CKA_ALLOWED_MECHANISMS, &len);
	take_allowed(p, mechs, len);
	p->key = key_of_attrs(a, p->priv.key_type, &p->odd);
	return 0;
}

static EVP_PKEY *
read_public(const struct session *s, const struct object *o, bool *odd)
{
	static const CK_ATTRIBUTE_TYPE types[] = { CKA_MODULUS,
		CKA_PUBLIC_EXPONENT, CKA_EC_PARAMS, CKA_EC_POINT,
		CKA_PUBLIC_KEY_INFO };
	struct ofs_error ignored;
	struct attrs a;
	EVP_PKEY *k = NULL;

	if (attrs_read(s, o->h, types, sizeof(types) / sizeof(types[0]), &a,
		    &ignored) == 0)
		k = key_of_attrs(&a, o->key_type, odd);
	attrs_free(&a);
	return k;
}

/*
 * The public object that belongs to the pair. Two of them with the same id
 * and different keys prove nothing, unless the private object decides.
 */
static int
take_public(ofs_token *t, const struct session *s, struct pair *p,
	const struct object_list *pubs, const struct attrs *priv,
	struct ofs_error *e)
{
	bool trusted = p->key != NULL;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < pubs->n; i++) {
		const struct object *o = &pubs->v[i];
		EVP_PKEY *k;

		if (o->class_ != CKO_PUBLIC_KEY || o->h == p->pub.h ||
			!same_id(pair_anchor(p), o) ||
			(p->priv.h != 0 && o->key_type != p->priv.key_type))
			continue;
		k = read_public(s, o, &p->odd);
		if (k != NULL && p->key == NULL && fits(k, p, priv)) {
			p->key = k;
			k = NULL;
			rc = object_copy(&p->pub, o, e);
		} else if (k != NULL && p->key != NULL &&
			pubkey_equal(k, p->key)) {
			if (p->pub.h == 0)
				rc = object_copy(&p->pub, o, e);
		} else if (k != NULL && !trusted && p->priv.h != 0) {
			EVP_PKEY_free(k);
			EVP_PKEY_free(p->key);
			p->key = NULL;
			object_free(&p->pub);
			p->conflict = true;
			return 0;
		} else if (k != NULL) {
			ctx_log(t->ctx, OFS_LOG_WARNING,
				"a public key on '%s' has the id of another "
				"key; it is not used",
				t->info.label);
		}
		EVP_PKEY_free(k);
	}
	return rc;
}

X509 *
pair_read_cert(const struct session *s, const struct object *o)
{
	static const CK_ATTRIBUTE_TYPE types[] = { CKA_CERTIFICATE_TYPE,
		CKA_VALUE };
	struct ofs_error ignored;
	const uint8_t *der;
	struct attrs a;
	CK_ULONG kind;
	X509 *c = NULL;
	size_t len;

	if (attrs_read(s, o->h, types, 2, &a, &ignored) == 0 &&
		(!attrs_ulong(&a, CKA_CERTIFICATE_TYPE, &kind) ||
			kind == CKC_X_509)) {
		der = attrs_get(&a, CKA_VALUE, &len);
		if (len > 0)
			(void)cert_from_der(der, len, &c, &ignored);
	}
	attrs_free(&a);
	return c;
}

/* later beginning of validity: a renewed certificate beside its forerunner */
static bool
is_newer(X509 *a, X509 *b)
{
	return ASN1_TIME_compare(
		       X509_get0_notBefore(a), X509_get0_notBefore(b)) > 0;
}

static int
take_cert(ofs_token *t, const struct session *s, struct pair *p,
	const struct object_list *certs, const struct attrs *priv,
	struct ofs_error *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < certs->n; i++) {
		const struct object *o = &certs->v[i];
		EVP_PKEY *k;
		X509 *c;

		if (o->class_ != CKO_CERTIFICATE || o->h == p->cert.h ||
			!same_id(pair_anchor(p), o) || attest_is_labelled(o))
			continue;
		c = pair_read_cert(s, o);
		k = c != NULL ? X509_get0_pubkey(c) : NULL;
		if (k == NULL) {
			ctx_log(t->ctx, OFS_LOG_WARNING,
				"a certificate on '%s' cannot be read; it is "
				"not used",
				t->info.label);
		} else if (p->key != NULL ? !pubkey_equal(k, p->key)
					  : !fits(k, p, priv)) {
			ctx_log(t->ctx, OFS_LOG_WARNING,
				"a certificate on '%s' has the id of another "
				"key; it is not used",
				t->info.label);
		} else if (yubikey_is_placeholder(t, c)) {
			ctx_log(t->ctx, OFS_LOG_DEBUG,
				"a placeholder on '%s' is no certificate",
				t->info.label);
		} else if (p->x509 == NULL || is_newer(c, p->x509)) {
			object_free(&p->cert);
			rc = object_copy(&p->cert, o, e);
			X509_free(p->x509);
			p->x509 = c;
			c = NULL;
			if (p->key == NULL && EVP_PKEY_up_ref(k) == 1)
				p->key = k;
		}
		X509_free(c);
		ERR_clear_error();
	}
	return rc;
}

static void
name_other_type(const struct pair *p, struct ofs_key_info *i)
{
	CK_KEY_TYPE type = pair_anchor(p)->key_type;

	if (type == CKK_RSA)
		snprintf(i->type_name, sizeof(i->type_name), "RSA");
	else if (type == CKK_EC)
		snprintf(i->type_name, sizeof(i->type_name), "EC");
	else if (type == CKK_EC_EDWARDS)
		snprintf(i->type_name, sizeof(i->type_name), "EdDSA");
	else if (type == CKK_VENDOR_DEFINED)
		snprintf(i->type_name, sizeof(i->type_name), "unknown");
	else
		snprintf(
			i->type_name, sizeof(i->type_name), "type 0x%lx", type);
}

static int
describe_cert(const struct pair *p, struct ofs_key_info *i, struct ofs_error *e)
{
	int rc;

	cert_subject(p->x509, i->cert_subject, sizeof(i->cert_subject));
	cert_issuer(p->x509, i->cert_issuer, sizeof(i->cert_issuer));
	cert_serial_hex(p->x509, i->cert_serial, sizeof(i->cert_serial));
	rc = cert_not_before(p->x509, &i->cert_not_before, e);
	if (rc == 0)
		rc = cert_not_after(p->x509, &i->cert_not_after, e);
	if (rc == 0)
		rc = cert_sha256(p->x509, i->cert_sha256, e);
	return rc;
}

static int
describe(const ofs_token *t, struct pair *p, struct ofs_error *e)
{
	const struct object *o = pair_anchor(p);
	struct ofs_key_info *i = &p->info;
	int rc = 0;

	memcpy(i->id, o->id, o->id_len);
	i->id_len = o->id_len;
	label_text(i->label, sizeof(i->label), o->label, o->label_len);
	uri_format(&t->raw, o, i->uri, sizeof(i->uri));
	i->has_private = p->priv.h != 0;
	i->has_public = p->pub.h != 0;
	i->has_cert = p->x509 != NULL;
	if (p->key != NULL) {
		i->type = pubkey_type(p->key);
		pubkey_describe(p->key, i->type_name, sizeof(i->type_name));
		i->bits = (unsigned int)pubkey_bits(p->key);
		rc = pubkey_sha256(p->key, i->spki_sha256, e);
	} else {
		name_other_type(p, i);
	}
	if (rc == 0 && p->x509 != NULL)
		rc = describe_cert(p, i, e);
	return rc;
}

static void
reset(struct pair *p)
{
	struct ofs_key_info *i = &p->info;

	EVP_PKEY_free(p->key);
	p->key = NULL;
	X509_free(p->x509);
	p->x509 = NULL;
	p->conflict = p->odd = false;
	p->n_allowed = 0;
	memset(i, 0, sizeof(*i));
	i->size = sizeof(*i);
	i->sensitive = i->extractable = i->always_sensitive = -1;
	i->never_extractable = i->local = i->always_authenticate = -1;
	i->sign = i->decrypt = -1;
}

int
pair_complete(ofs_token *t, const struct session *s, struct pair *p,
	const struct object_list *pubs, const struct object_list *certs,
	struct ofs_error *e)
{
	struct attrs priv;
	int rc = 0;

	memset(&priv, 0, sizeof(priv));
	reset(p);
	if (p->priv.h != 0) {
		object_free(&p->pub);
		object_free(&p->cert);
		rc = read_private(s, p, &priv, e);
	} else if (p->pub.h != 0) {
		object_free(&p->cert);
		p->key = read_public(s, &p->pub, &p->odd);
	} else {
		p->x509 = pair_read_cert(s, &p->cert);
		if (p->x509 != NULL)
			p->key = X509_get_pubkey(p->x509);
		ERR_clear_error();
	}
	if (rc == 0)
		rc = take_public(t, s, p, pubs, &priv, e);
	if (rc == 0 && !p->conflict)
		rc = take_cert(t, s, p, certs, &priv, e);
	if (rc == 0)
		rc = describe(t, p, e);
	attrs_free(&priv);
	return rc;
}

int
pair_kin(const struct session *s, const uint8_t *id, size_t len,
	struct object_list *out, struct ofs_error *e)
{
	struct object_query q = {
		.class_ = OBJECT_ANY, .id = id, .id_len = len
	};

	memset(out, 0, sizeof(*out));
	/* an empty id would match everything */
	return len > 0 ? object_find(s, &q, out, e) : 0;
}

int
pair_load(ofs_token *t, const struct session *s, struct pair *p,
	struct ofs_error *e)
{
	const struct object *o = pair_anchor(p);
	struct object_list kin;
	int rc;

	rc = pair_kin(s, o->id, o->id_len, &kin, e);
	if (rc == 0)
		rc = pair_complete(t, s, p, &kin, &kin, e);
	object_list_free(&kin);
	return rc;
}

void
pair_free(struct pair *p)
{
	object_free(&p->priv);
	object_free(&p->pub);
	object_free(&p->cert);
	EVP_PKEY_free(p->key);
	X509_free(p->x509);
	memset(p, 0, sizeof(*p));
}
