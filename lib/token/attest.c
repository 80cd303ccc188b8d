/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A vendor's certificate that a key was made on its token. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "crypto/cert.h"
#include "token/attest.h"
#include "token/keydef.h"

static const char word[] = "attestation";

bool
attest_is_labelled(const struct object *o)
{
	const size_t n = sizeof(word) - 1;

	for (size_t i = 0; i + n <= o->label_len; i++)
		if (strncasecmp((const char *)o->label + i, word, n) == 0)
			return true;
	return false;
}

static bool
is_attestation(const ofs_key *k, const struct object *o, X509 *c)
{
	const struct object *own = pair_anchor(&k->p);

	if (!cert_has_key(c, k->p.key) ||
		(k->p.x509 != NULL && X509_cmp(c, k->p.x509) == 0))
		return false;
	if (attest_is_labelled(o))
		return true;
	/* one with the key's id is a forerunner of the key's own */
	return !cert_self_issued(c) &&
		(o->id_len != own->id_len ||
			memcmp(o->id, own->id, o->id_len) != 0);
}

static bool
is_better(const struct object *o, X509 *c, bool labelled, X509 *than)
{
	if (than == NULL || labelled != attest_is_labelled(o))
		return than == NULL || !labelled;
	return ASN1_TIME_compare(
		       X509_get0_notBefore(c), X509_get0_notBefore(than)) > 0;
}

static bool
has_issued(X509 *issuer, X509 *c)
{
	EVP_PKEY *key = X509_get0_pubkey(issuer);

	return key != NULL && X509_check_issued(issuer, c) == X509_V_OK &&
		X509_verify(c, key) == 1;
}

static void
pick(const ofs_key *k, const struct object_list *l, X509 *const *certs,
	struct attestation *out)
{
	bool labelled = false;

	for (size_t i = 0; i < l->n; i++) {
		if (certs[i] == NULL || !is_attestation(k, &l->v[i], certs[i]))
			continue;
		if (!is_better(&l->v[i], certs[i], labelled, out->cert))
			continue;
		out->cert = certs[i];
		labelled = attest_is_labelled(&l->v[i]);
	}
	for (size_t i = 0; out->cert != NULL && i < l->n; i++)
		if (certs[i] != NULL && certs[i] != out->cert &&
			has_issued(certs[i], out->cert))
			out->issuer = certs[i];
	if (out->cert != NULL)
		X509_up_ref(out->cert);
	if (out->issuer != NULL)
		X509_up_ref(out->issuer);
	ERR_clear_error();
}

int
attest_find(const ofs_key *k, struct attestation *out, struct ofs_error *e)
{
	struct object_query q = { .class_ = CKO_CERTIFICATE };
	struct object_list l = { NULL, 0 };
	struct session *s;
	X509 **certs = NULL;
	int rc;

	memset(out, 0, sizeof(*out));
	rc = token_session(k->token, &s, e);
	if (rc == 0)
		rc = object_find(s, &q, &l, e);
	if (rc == 0 && l.n > 0) {
		certs = calloc(l.n, sizeof(X509 *));
		if (certs == NULL)
			rc = err_nomem(e);
	}
	if (rc == 0) {
		for (size_t i = 0; i < l.n; i++)
			certs[i] = pair_read_cert(s, &l.v[i]);
		pick(k, &l, certs, out);
	}
	for (size_t i = 0; certs != NULL && i < l.n; i++)
		X509_free(certs[i]);
	free(certs);
	object_list_free(&l);
	return rc;
}

void
attestation_free(struct attestation *a)
{
	X509_free(a->cert);
	X509_free(a->issuer);
	memset(a, 0, sizeof(*a));
}
