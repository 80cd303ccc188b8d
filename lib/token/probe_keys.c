/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The keys of a token with all that is there to be judged. */
#include <stdlib.h>
#include <string.h>

#include "crypto/pubkey.h"
#include "token/probe.h"

#define EC_BITS_MIN 224

static const struct object_list no_objects = { NULL, 0 };

struct lists {
	struct object_list priv, pub, cert;
};

static bool
same_id(const struct object *a, const struct object *b)
{
	return a->id_len > 0 && a->id_len == b->id_len &&
		memcmp(a->id, b->id, a->id_len) == 0;
}

static bool
is_listed(const struct object_list *l, size_t upto, const struct object *o)
{
	for (size_t i = 0; i < upto; i++)
		if (same_id(&l->v[i], o))
			return true;
	return false;
}

/* certificates that have the key's id and hold another public key */
static int
count_foreign(ofs_token *t, const struct session *s, const struct lists *l,
	const struct pair *p, size_t *n, struct ofs_error *e)
{
	struct pair c;
	int rc = 0;

	*n = 0;
	for (size_t i = 0; rc == 0 && p->key != NULL && i < l->cert.n; i++) {
		if (!same_id(pair_anchor(p), &l->cert.v[i]))
			continue;
		memset(&c, 0, sizeof(c));
		rc = object_copy(&c.cert, &l->cert.v[i], e);
		if (rc == 0)
			rc = pair_complete(
				t, s, &c, &no_objects, &no_objects, e);
		if (rc == 0 && c.key != NULL && !pubkey_equal(c.key, p->key))
			++*n;
		pair_free(&c);
	}
	return rc;
}

static bool
is_retired(const struct pair *p)
{
	switch (pair_anchor(p)->key_type) {
	case CKK_DSA:
	case CKK_DH:
	case CKK_X9_42_DH:
	case CKK_KEA:
		return true;
	default:
		return p->key != NULL &&
			EVP_PKEY_get_base_id(p->key) == EVP_PKEY_EC &&
			pubkey_bits(p->key) < EC_BITS_MIN;
	}
}

static int
read_unwrap(const struct session *s, const struct pair *p, struct probe_key *k,
	struct ofs_error *e)
{
	static const CK_ATTRIBUTE_TYPE unwrap = CKA_UNWRAP;
	struct attrs a;
	int rc;

	k->unwrap = -1;
	if (p->priv.h == 0)
		return 0;
	rc = attrs_read(s, p->priv.h, &unwrap, 1, &a, e);
	if (rc == 0)
		k->unwrap = attrs_bool(&a, CKA_UNWRAP);
	attrs_free(&a);
	return rc;
}

static int
add(ofs_token *t, const struct session *s, const struct lists *l,
	const struct object *o, CK_OBJECT_CLASS class_, struct probe *out,
	struct ofs_error *e)
{
	struct probe_key *k = &out->keys[out->n_keys];
	struct pair p;
	int rc;

	memset(&p, 0, sizeof(p));
	rc = object_copy(class_ == CKO_PRIVATE_KEY ? &p.priv
			: class_ == CKO_PUBLIC_KEY ? &p.pub
						   : &p.cert,
		o, e);
	if (rc == 0)
		rc = pair_complete(t, s, &p, &l->pub, &l->cert, e);
	if (rc == 0)
		rc = read_unwrap(s, &p, k, e);
	if (rc == 0)
		rc = count_foreign(t, s, l, &p, &k->foreign_certs, e);
	if (rc == 0) {
		k->info = p.info;
		k->retired = is_retired(&p);
		k->conflict = p.conflict;
		k->key = p.key;
		p.key = NULL;
		out->n_keys++;
	} else if (rc != OFS_ENOMEM && e->ckr == CKR_OBJECT_HANDLE_INVALID) {
		rc = 0; /* deleted since the search */
	}
	pair_free(&p);
	return rc;
}

static int
find_all(const struct session *s, struct lists *l, struct ofs_error *e)
{
	struct object_query q = { .class_ = CKO_PRIVATE_KEY };
	int rc;

	rc = object_find(s, &q, &l->priv, e);
	q.class_ = CKO_PUBLIC_KEY;
	if (rc == 0)
		rc = object_find(s, &q, &l->pub, e);
	q.class_ = CKO_CERTIFICATE;
	if (rc == 0)
		rc = object_find(s, &q, &l->cert, e);
	return rc;
}

/*
 * After a login the private keys are the keys; before it, public keys and
 * certificates stand for those that are not seen.
 */
static int
add_all(ofs_token *t, const struct session *s, const struct lists *l,
	struct probe *out, struct ofs_error *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < l->priv.n; i++)
		rc = add(t, s, l, &l->priv.v[i], CKO_PRIVATE_KEY, out, e);
	if (out->logged_in)
		return rc;
	for (size_t i = 0; rc == 0 && i < l->pub.n; i++)
		if (!is_listed(&l->priv, l->priv.n, &l->pub.v[i]))
			rc = add(t, s, l, &l->pub.v[i], CKO_PUBLIC_KEY, out, e);
	for (size_t i = 0; rc == 0 && i < l->cert.n; i++)
		if (!is_listed(&l->priv, l->priv.n, &l->cert.v[i]) &&
			!is_listed(&l->pub, l->pub.n, &l->cert.v[i]) &&
			!is_listed(&l->cert, i, &l->cert.v[i]))
			rc = add(t, s, l, &l->cert.v[i], CKO_CERTIFICATE, out,
				e);
	return rc;
}

int
probe_keys(ofs_token *t, const struct session *s, struct probe *out,
	struct ofs_error *e)
{
	struct lists l;
	int rc;

	memset(&l, 0, sizeof(l));
	rc = find_all(s, &l, e);
	if (rc == 0) {
		out->keys = calloc(
			l.priv.n + l.pub.n + l.cert.n + 1, sizeof(*out->keys));
		if (out->keys == NULL)
			rc = err_nomem(e);
	}
	if (rc == 0)
		rc = add_all(t, s, &l, out, e);
	object_list_free(&l.priv);
	object_list_free(&l.pub);
	object_list_free(&l.cert);
	return rc;
}
