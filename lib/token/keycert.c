/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Storing the certificate of a key on its token. */
#include <string.h>

#include "crypto/cert.h"
#include "token/attest.h"
#include "token/so.h"

#define TEMPLATE_MAX 12

/* The DER parts of a certificate that are attributes of their own. */
struct parts {
	struct buf value, subject, issuer, serial;
};

static void
parts_free(struct parts *p)
{
	buf_free(&p->value);
	buf_free(&p->subject);
	buf_free(&p->issuer);
	buf_free(&p->serial);
}

static int
put_name(const X509_NAME *name, struct buf *to, struct ofs_error *e)
{
	unsigned char *der = NULL;
	int n = i2d_X509_NAME(name, &der);

	if (n <= 0)
		return err_ssl(e, OFS_EINTERNAL,
			"cannot encode a name of the certificate");
	buf_put(to, der, (size_t)n);
	OPENSSL_free(der);
	return buf_ok(to) ? 0 : err_nomem(e);
}

static int
parts_make(X509 *cert, struct parts *p, struct ofs_error *e)
{
	unsigned char *der = NULL;
	int rc, n;

	rc = cert_to_der(cert, &p->value, e);
	if (rc == 0)
		rc = put_name(X509_get_subject_name(cert), &p->subject, e);
	if (rc == 0)
		rc = put_name(X509_get_issuer_name(cert), &p->issuer, e);
	if (rc != 0)
		return rc;
	n = i2d_ASN1_INTEGER(X509_get_serialNumber(cert), &der);
	if (n <= 0)
		return err_ssl(e, OFS_EINTERNAL,
			"cannot encode the serial number of the certificate");
	buf_put(&p->serial, der, (size_t)n);
	OPENSSL_free(der);
	return buf_ok(&p->serial) ? 0 : err_nomem(e);
}

static int
create(const ofs_key *k, const struct session *s, const struct parts *p,
	CK_OBJECT_HANDLE *out, struct ofs_error *e)
{
	static const CK_OBJECT_CLASS class_ = CKO_CERTIFICATE;
	static const CK_CERTIFICATE_TYPE type = CKC_X_509;
	const struct object *o = pair_anchor(&k->p);
	CK_ATTRIBUTE t[TEMPLATE_MAX];
	CK_ULONG n = 0;
	CK_RV rv;

	attr_add(t, &n, CKA_CLASS, &class_, sizeof(class_));
	attr_add(t, &n, CKA_CERTIFICATE_TYPE, &type, sizeof(type));
	attr_add_bool(t, &n, CKA_TOKEN, true);
	attr_add_bool(t, &n, CKA_PRIVATE, false);
	attr_add(t, &n, CKA_ID, o->id, o->id_len);
	if (o->label_len > 0)
		attr_add(t, &n, CKA_LABEL, o->label, o->label_len);
	attr_add(t, &n, CKA_SUBJECT, p->subject.p, p->subject.len);
	attr_add(t, &n, CKA_ISSUER, p->issuer.p, p->issuer.len);
	attr_add(t, &n, CKA_SERIAL_NUMBER, p->serial.p, p->serial.len);
	attr_add(t, &n, CKA_VALUE, p->value.p, p->value.len);
	CRYPTOKI(rv, s->module->f->C_CreateObject(s->h, t, n, out));
	if (rv != CKR_OK)
		return cryptoki_err(e, cryptoki_code(rv), rv,
			"cannot store the certificate of '%s' on '%s'",
			k->p.info.label, k->token->info.label);
	return 0;
}

static int
find(const ofs_key *k, const struct session *s, struct object_list *l,
	struct ofs_error *e)
{
	const struct object *o = pair_anchor(&k->p);
	struct object_query q = {
		.class_ = CKO_CERTIFICATE, .id = o->id, .id_len = o->id_len
	};

	return object_find(s, &q, l, e);
}

static int
is_value(const struct session *s, CK_OBJECT_HANDLE h, const struct buf *value,
	bool *same, struct ofs_error *e)
{
	static const CK_ATTRIBUTE_TYPE types[] = { CKA_VALUE };
	const uint8_t *der;
	struct attrs a;
	size_t len;
	int rc;

	rc = attrs_read(s, h, types, 1, &a, e);
	der = attrs_get(&a, CKA_VALUE, &len);
	*same = len > 0 && len == value->len && memcmp(der, value->p, len) == 0;
	attrs_free(&a);
	return rc;
}

/*
 * Creates first and deletes after, so that the key is never without one. On
 * a card with one place for each certificate creating has replaced the old
 * one already, perhaps under its handle: what holds the new bytes stays.
 */
static int
replace(const ofs_key *k, const struct session *s, const struct parts *p,
	struct ofs_error *e)
{
	struct object_list before = { NULL, 0 };
	CK_OBJECT_HANDLE made = 0;
	bool same, kept = false;
	int rc;

	rc = find(k, s, &before, e);
	for (size_t i = 0; rc == 0 && !kept && i < before.n; i++)
		rc = is_value(s, before.v[i].h, &p->value, &kept, e);
	if (rc == 0 && !kept)
		rc = create(k, s, p, &made, e);
	for (size_t i = 0; rc == 0 && i < before.n; i++) {
		if (before.v[i].h == made || attest_is_labelled(&before.v[i]))
			continue;
		rc = is_value(s, before.v[i].h, &p->value, &same, e);
		if (rc == 0 && !same)
			rc = object_destroy(s, before.v[i].h, e);
		if (rc != 0 && e->ckr == CKR_OBJECT_HANDLE_INVALID)
			rc = 0;
	}
	object_list_free(&before);
	return rc;
}

struct storing {
	const ofs_key *k;
	struct parts p;
};

static int
store(void *arg, const struct session *s, struct ofs_error *e)
{
	struct storing *w = arg;

	return replace(w->k, s, &w->p, e);
}

int
key_store_cert(ofs_key *k, X509 *cert, struct ofs_error *e)
{
	struct storing w = { k, { BUF_INIT, BUF_INIT, BUF_INIT, BUF_INIT } };
	bool as_so = false;
	int rc;

	if (!cert_has_key(cert, k->p.key))
		return err_set(e, OFS_ECERT,
			"cannot store a certificate for key '%s': it holds "
			"another public key",
			k->p.info.label);
	if (pair_anchor(&k->p)->id_len == 0)
		return err_set(e, OFS_EUNSUPPORTED,
			"cannot store a certificate for key '%s': the key has "
			"no id on the token that would join them",
			k->p.info.label);
	rc = parts_make(cert, &w.p, e);
	if (rc == 0)
		rc = so_try(
			k->token, "stores certificates", store, &w, &as_so, e);
	parts_free(&w.p);
	if (rc == 0 && as_so && k->p.priv.h != 0)
		rc = so_key_again(k, e);
	if (rc == 0)
		rc = key_refresh(k, e);
	if (rc == 0 && (k->p.x509 == NULL || X509_cmp(k->p.x509, cert) != 0))
		rc = err_set(e, OFS_ETOKEN,
			"token '%s' answered CKR_OK, but does not show the "
			"certificate that was stored for '%s'",
			k->token->info.label, k->p.info.label);
	return rc;
}
