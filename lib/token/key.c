/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keys: opened by URI, checked, described, deleted. */
#include <stdlib.h>
#include <string.h>

#include "crypto/cert.h"
#include "crypto/pubkey.h"
#include "token/keydef.h"
#include "token/label.h"
#include "token/login.h"
#include "token/mech.h"

#define SHOWN_MAX 8 /* keys that a message names */

/* "'payroll' (id 0a0b), 'old' (no id)" */
static void
name_objects(const struct object_list *l, struct buf *to)
{
	static const char hex[] = "0123456789abcdef";
	char label[48];

	for (size_t i = 0; i < l->n && i < SHOWN_MAX; i++) {
		const struct object *o = &l->v[i];

		label_text(label, sizeof(label), o->label, o->label_len);
		buf_printf(to, "%s'%s' (%s", i > 0 ? ", " : "", label,
			o->id_len > 0 ? "id " : "no id");
		for (size_t j = 0; j < o->id_len && j < 20; j++) {
			buf_u8(to, (uint8_t)hex[o->id[j] >> 4]);
			buf_u8(to, (uint8_t)hex[o->id[j] & 15]);
		}
		buf_str(to, o->id_len > 20 ? "...)" : ")");
	}
	if (l->n > SHOWN_MAX)
		buf_printf(to, " and %zu more", l->n - SHOWN_MAX);
}

static int
several(const ofs_token *t, const struct object_list *l, struct ofs_error *e)
{
	struct buf b = BUF_INIT;
	const char *names;

	name_objects(l, &b);
	names = buf_cstr(&b);
	if (names == NULL)
		err_nomem(e);
	else
		err_set(e, OFS_EAMBIGUOUS,
			"the URI matches more than one key on '%s': %s; name "
			"it by id= and object=",
			t->info.label, names);
	buf_free(&b);
	return e->code;
}

/* no key is there: say which ones are */
static int
none(const ofs_token *t, const struct session *s, CK_OBJECT_CLASS class_,
	struct ofs_error *e)
{
	struct object_query q = { .class_ = class_ };
	struct object_list l;
	struct buf b = BUF_INIT;
	const char *names;

	if (object_find(s, &q, &l, e) == 0) {
		name_objects(&l, &b);
		names = buf_cstr(&b);
		if (names == NULL)
			err_nomem(e);
		else if (b.len == 0)
			err_set(e, OFS_EKEY,
				"cannot find the key: there is none on '%s'; "
				"make one with ofs-token enroll",
				t->info.label);
		else
			err_set(e, OFS_EKEY,
				"cannot find the key on '%s': none matches the "
				"URI; there are %s; ofs-token keys lists them",
				t->info.label, names);
	}
	object_list_free(&l);
	buf_free(&b);
	return e->code;
}

/*
 * The one object of a class that the URI matches, out of `from`, or on the
 * token where that is NULL; *to stays empty for none.
 */
static int
find_one(const ofs_token *t, const struct session *s,
	const struct object_list *from, CK_OBJECT_CLASS class_,
	const struct uri *u, struct object *to, struct ofs_error *e)
{
	struct object_query q = { .class_ = class_,
		.id = u->id,
		.id_len = u->id_len,
		.label = u->label,
		.label_len = u->label_len };
	struct object_list l;
	int rc;

	memset(to, 0, sizeof(*to));
	rc = from != NULL ? object_pick(from, &q, &l, e)
			  : object_find(s, &q, &l, e);
	if (rc == 0 && l.n > 1)
		rc = several(t, &l, e);
	else if (rc == 0 && l.n == 1)
		rc = object_copy(to, &l.v[0], e);
	object_list_free(&l);
	return rc;
}

/* the public object, or the certificate where there is none */
static int
find_public(ofs_token *t, const struct session *s, const struct uri *u,
	struct pair *p, struct ofs_error *e)
{
	int rc;

	rc = find_one(t, s, NULL, CKO_PUBLIC_KEY, u, &p->pub, e);
	if (rc == 0 && p->pub.h == 0)
		rc = find_one(t, s, NULL, CKO_CERTIFICATE, u, &p->cert, e);
	if (rc == 0 && p->pub.h == 0 && p->cert.h == 0)
		rc = none(t, s, CKO_PUBLIC_KEY, e);
	if (rc == 0)
		rc = pair_load(t, s, p, e);
	return rc;
}

/* the private key and what belongs to it, in one search if the URI has an id */
static int
find_private(ofs_token *t, const struct session *s, const struct uri *u,
	struct pair *p, struct ofs_error *e)
{
	const bool by_id = u->id_len > 0;
	struct object_list kin;
	int rc;

	rc = pair_kin(s, u->id, u->id_len, &kin, e);
	if (rc == 0)
		rc = find_one(t, s, by_id ? &kin : NULL, CKO_PRIVATE_KEY, u,
			&p->priv, e);
	if (rc == 0 && p->priv.h == 0)
		rc = none(t, s, CKO_PRIVATE_KEY, e);
	if (rc == 0)
		rc = by_id ? pair_complete(t, s, p, &kin, &kin, e)
			   : pair_load(t, s, p, e);
	object_list_free(&kin);
	return rc;
}

static int
check_readable(const ofs_token *t, const struct pair *p, struct ofs_error *e)
{
	CK_KEY_TYPE type = pair_anchor(p)->key_type;
	const char *label = p->info.label;

	if (p->conflict)
		return err_set(e, OFS_EAMBIGUOUS,
			"cannot use key '%s' on '%s': two public keys have its "
			"id; remove the one that does not belong there",
			label, t->info.label);
	if (p->key != NULL && p->info.type == OFS_KEY_OTHER)
		return err_set(e, OFS_EUNSUPPORTED,
			"cannot sign with key '%s' on '%s': it is %s; RSA, "
			"P-256, P-384, P-521, secp256k1, Ed25519 and Ed448 are "
			"supported",
			label, t->info.label, p->info.type_name);
	if (p->key != NULL)
		return 0;
	if (p->odd ||
		(p->priv.h != 0 && type != CKK_RSA && type != CKK_EC &&
			type != CKK_EC_EDWARDS))
		return err_set(e, OFS_EUNSUPPORTED,
			"cannot sign with key '%s' on '%s': its type, size or "
			"curve is not supported (%s); take RSA, P-256, P-384, "
			"P-521, secp256k1, Ed25519 or Ed448",
			label, t->info.label, p->info.type_name);
	return err_set(e, OFS_EKEY,
		"cannot use key '%s' on '%s': its public key cannot be read, "
		"neither from it nor from a public key or certificate with the "
		"same id",
		label, t->info.label);
}

int
key_check_signing(ofs_key *k, struct ofs_error *e)
{
	const struct ofs_key_info *i = &k->p.info;

	if (i->always_authenticate == 1 &&
		k->token->ctx->opts.always_auth == OFS_ALWAYS_AUTH_REFUSE)
		return err_set(e, OFS_EPOLICY,
			"cannot sign with key '%s' on '%s': it wants the PIN "
			"for every signature (CKA_ALWAYS_AUTHENTICATE); choose "
			"--always-auth hold to keep the PIN for this batch, or "
			"ask",
			i->label, k->token->info.label);
	if (i->sign == 0)
		return err_set(e, OFS_EPOLICY,
			"cannot sign with key '%s' on '%s': it is not for "
			"signing (CKA_SIGN is false); use another key",
			i->label, k->token->info.label);
	return mech_offered(k->token, &k->p, &k->mechs, e);
}

int
key_new(ofs_token *t, struct pair *p, ofs_key **out, struct ofs_error *e)
{
	ofs_key *k;

	*out = NULL;
	k = calloc(1, sizeof(*k));
	if (k == NULL)
		return err_nomem(e);
	k->token = t;
	err_clear(&k->err);
	k->p = *p;
	memset(p, 0, sizeof(*p));
	k->generation = t->generation;
	k->wants_pin = k->p.info.always_authenticate == 1;
	*out = k;
	return 0;
}

/* what a key is opened for */
enum use { USE_SIGN, USE_IDLE, USE_PUBLIC };

static int
open_key(ofs_token *t, const struct uri *u, enum use use, ofs_key **out,
	struct ofs_error *e)
{
	bool public_only = use == USE_PUBLIC;
	struct session *s;
	struct pair p;
	ofs_key *k = NULL;
	int rc;

	memset(&p, 0, sizeof(p));
	rc = public_only ? 0 : login_user(t, e);
	if (rc == 0)
		rc = token_session(t, &s, e);
	if (rc != 0)
		return rc;
	rc = public_only ? find_public(t, s, u, &p, e)
			 : find_private(t, s, u, &p, e);
	if (rc == 0)
		rc = check_readable(t, &p, e);
	if (rc == 0)
		rc = key_new(t, &p, &k, e);
	if (rc == 0 && use == USE_SIGN)
		rc = key_check_signing(k, e);
	if (rc == 0) {
		k->signs = use == USE_SIGN;
		*out = k;
		k = NULL;
	}
	ofs_key_free(k);
	pair_free(&p);
	return rc;
}

struct opening {
	ofs_token *token;
	const struct uri *u;
	enum use use;
	ofs_key *key;
};

static int
run_open(void *arg, struct ofs_error *e)
{
	struct opening *o = arg;

	return open_key(o->token, o->u, o->use, &o->key, e);
}

static int
open_uri(ofs_token *token, const char *uri, enum use use, ofs_key **out,
	struct ofs_error *e)
{
	struct opening o = { .token = token, .use = use };
	struct uri u;
	int rc;

	*out = NULL;
	rc = uri_parse(uri, &u, e);
	if (rc == 0)
		rc = uri_check_key(&u, e);
	/* the URI may name the token too; then it must be this one */
	if (rc == 0 && !uri_matches_token(&u, &token->raw, token->slot))
		rc = err_set(e, OFS_EINVAL,
			"cannot open a key: the URI names another token than "
			"'%s'",
			token->info.label);
	o.u = &u;
	if (rc == 0)
		rc = token_run(token, run_open, &o, e);
	if (rc == 0)
		*out = o.key;
	uri_free(&u);
	return rc;
}

int
key_open_idle(ofs_token *t, const char *uri, ofs_key **out, struct ofs_error *e)
{
	return open_uri(t, uri, USE_IDLE, out, e);
}

int
ofs_key_open(
	ofs_token *token, const char *uri, unsigned int flags, ofs_key **out)
{
	struct ofs_error e;
	int rc;

	*out = NULL;
	err_clear(&token->err);
	err_clear(&e);
	if ((flags & ~(unsigned int)OFS_KEY_PUBLIC_ONLY) != 0)
		return err_set(&token->err, OFS_EINVAL,
			"cannot open a key: unknown flags 0x%x", flags);
	rc = open_uri(token, uri,
		flags == OFS_KEY_PUBLIC_ONLY ? USE_PUBLIC : USE_SIGN, out, &e);
	return rc == 0 ? 0 : token_fail(token, &e);
}

void
ofs_key_free(ofs_key *key)
{
	if (key == NULL)
		return;
	pair_free(&key->p);
	free(key);
}

const struct ofs_error *
ofs_key_error(const ofs_key *key)
{
	return &key->err;
}

const struct ofs_key_info *
ofs_key_get_info(const ofs_key *key)
{
	return &key->p.info;
}

EVP_PKEY *
key_pub(const ofs_key *k)
{
	return k->p.key;
}

X509 *
key_cert(const ofs_key *k)
{
	return k->p.x509;
}

ofs_token *
key_token(const ofs_key *k)
{
	return k->token;
}

bool
key_signs(const ofs_key *k)
{
	return k->signs;
}

int
key_fail(ofs_key *k, const struct ofs_error *e)
{
	if (e != &k->err)
		k->err = *e;
	return e->code;
}

int
key_refresh(ofs_key *k, struct ofs_error *e)
{
	struct session *s;
	struct pair p;
	int rc;

	memset(&p, 0, sizeof(p));
	rc = token_session(k->token, &s, e);
	if (rc == 0)
		rc = object_copy(&p.priv, &k->p.priv, e);
	if (rc == 0)
		rc = object_copy(&p.pub, &k->p.pub, e);
	if (rc == 0)
		rc = object_copy(&p.cert, &k->p.cert, e);
	if (rc == 0)
		rc = pair_load(k->token, s, &p, e);
	if (rc == 0)
		rc = check_readable(k->token, &p, e);
	if (rc == 0 && !pubkey_equal(p.key, k->p.key))
		rc = err_set(e, OFS_EKEY,
			"key '%s' on '%s' is another one than it was; look "
			"at the token",
			k->p.info.label, k->token->info.label);
	if (rc == 0) {
		pair_free(&k->p);
		k->p = p;
		memset(&p, 0, sizeof(p));
	}
	pair_free(&p);
	return rc;
}
