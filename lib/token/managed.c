/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A key with all its objects: found and deleted. */
#include <stdlib.h>
#include <string.h>

#include "crypto/pubkey.h"
#include "token/label.h"
#include "token/login.h"
#include "token/attest.h"
#include "token/managed.h"
#include "token/so.h"
#include "token/yubikey.h"

#define SHOWN_MAX 8 /* objects that a message names */

static const CK_OBJECT_CLASS classes[] = {
	[OFS_OBJECT_PRIVATE_KEY] = CKO_PRIVATE_KEY,
	[OFS_OBJECT_PUBLIC_KEY] = CKO_PUBLIC_KEY,
	[OFS_OBJECT_CERTIFICATE] = CKO_CERTIFICATE,
};

CK_OBJECT_CLASS
managed_class(enum ofs_object_kind kind)
{
	return classes[kind];
}

const char *
managed_kind(enum ofs_object_kind kind)
{
	static const char *const kinds[] = {
		[OFS_OBJECT_PRIVATE_KEY] = "private key",
		[OFS_OBJECT_PUBLIC_KEY] = "public key",
		[OFS_OBJECT_CERTIFICATE] = "certificate",
	};

	return kinds[kind];
}

static struct object *
part(struct pair *p, enum ofs_object_kind kind)
{
	return kind == OFS_OBJECT_PRIVATE_KEY   ? &p->priv
		: kind == OFS_OBJECT_PUBLIC_KEY ? &p->pub
						: &p->cert;
}

/* "'payroll' (id 0a0b), 'old' (no id)" */
static int
several(const ofs_token *t, enum ofs_object_kind kind,
	const struct object_list *l, struct ofs_error *e)
{
	struct buf b = BUF_INIT;
	char label[48];

	for (size_t i = 0; i < l->n && i < SHOWN_MAX; i++) {
		const struct object *o = &l->v[i];

		label_text(label, sizeof(label), o->label, o->label_len);
		buf_printf(&b, "%s'%s' (%s", i > 0 ? ", " : "", label,
			o->id_len > 0 ? "id " : "no id");
		for (size_t j = 0; j < o->id_len && j < 20; j++)
			buf_printf(&b, "%02x", o->id[j]);
		buf_str(&b, ")");
	}
	if (l->n > SHOWN_MAX)
		buf_printf(&b, " and %zu more", l->n - SHOWN_MAX);
	if (buf_cstr(&b) == NULL)
		err_nomem(e);
	else
		err_set(e, OFS_EAMBIGUOUS,
			"the URI matches more than one %s on '%s': %s; name "
			"it by id= and object=",
			managed_kind(kind), t->info.label, buf_cstr(&b));
	buf_free(&b);
	return e->code;
}

/* what belongs together: certificates of one key, an old and a new one */
static bool
one_id(const struct object_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].id_len == 0 || l->v[i].id_len != l->v[0].id_len ||
			memcmp(l->v[i].id, l->v[0].id, l->v[0].id_len) != 0)
			return false;
	return true;
}

/* the one of this kind that matches; p stays empty for none */
static int
find_one(const ofs_token *t, const struct session *s, enum ofs_object_kind kind,
	struct object_query q, struct pair *p, struct ofs_error *e)
{
	struct object_list l;
	int rc;

	q.class_ = classes[kind];
	rc = object_find(s, &q, &l, e);
	if (rc == 0 && l.n > 1 &&
		(kind != OFS_OBJECT_CERTIFICATE || !one_id(&l)))
		rc = several(t, kind, &l, e);
	else if (rc == 0 && l.n > 0)
		rc = object_copy(part(p, kind), &l.v[0], e);
	object_list_free(&l);
	return rc;
}

static int
count_private(const struct session *s, const struct object *o, size_t *n,
	struct ofs_error *e)
{
	struct object_query q = {
		.class_ = CKO_PRIVATE_KEY, .id = o->id, .id_len = o->id_len
	};
	struct object_list l;
	int rc;

	rc = object_find(s, &q, &l, e);
	*n = l.n;
	object_list_free(&l);
	return rc;
}

/* takes o's contents over */
static int
add(struct managed *m, enum ofs_object_kind kind, struct object *o,
	const struct ofs_key_info *from, struct ofs_error *e)
{
	struct managed_object *more, *to;

	more = reallocarray(m->v, m->n + 1, sizeof(*more));
	if (more == NULL)
		return err_nomem(e);
	m->v = more;
	to = &m->v[m->n++];
	memset(to, 0, sizeof(*to));
	to->o = *o;
	memset(o, 0, sizeof(*o));
	to->info.size = sizeof(to->info);
	to->info.kind = kind;
	memcpy(to->info.id, to->o.id, to->o.id_len);
	to->info.id_len = to->o.id_len;
	label_text(to->info.label, sizeof(to->info.label), to->o.label,
		to->o.label_len);
	memcpy(to->info.type_name, from->type_name, sizeof(from->type_name));
	if (kind != OFS_OBJECT_CERTIFICATE)
		return 0;
	memcpy(to->info.subject, from->cert_subject, sizeof(to->info.subject));
	memcpy(to->info.serial, from->cert_serial, sizeof(to->info.serial));
	return 0;
}

/* the object with the key's id, if it is of the same key */
static int
consider(struct managed *m, const struct session *s, enum ofs_object_kind kind,
	const struct object *o, bool by_id, struct ofs_error *e)
{
	static const struct object_list none = { NULL, 0 };
	const EVP_PKEY *ours = m->key->p.key;
	struct pair p;
	int rc;

	memset(&p, 0, sizeof(p));
	rc = object_copy(part(&p, kind), o, e);
	if (rc == 0)
		rc = pair_complete(m->t, s, &p, &none, &none, e);
	if (rc == 0 &&
		(by_id ||
			(ours != NULL && p.key != NULL &&
				pubkey_equal(p.key, ours))))
		rc = add(m, kind, part(&p, kind), &p.info, e);
	pair_free(&p);
	return rc;
}

static int
collect(struct managed *m, const struct session *s, struct ofs_error *e)
{
	const struct pair *k = &m->key->p;
	const struct object *anchor = pair_anchor(k);
	struct object_query q = { .id = anchor->id, .id_len = anchor->id_len };
	struct object_list l;
	struct object o;
	size_t privates = 0;
	bool by_id;
	int rc = 0;

	if (k->priv.h != 0) {
		rc = object_copy(&o, &k->priv, e);
		if (rc == 0)
			rc = add(m, OFS_OBJECT_PRIVATE_KEY, &o, &k->info, e);
	}
	/* without an id nothing says what belongs to it */
	if (rc == 0 && anchor->id_len == 0 && k->priv.h == 0) {
		rc = object_copy(&o, anchor, e);
		return rc != 0 ? rc
			       : add(m,
					 k->pub.h != 0 ? OFS_OBJECT_PUBLIC_KEY
						       : OFS_OBJECT_CERTIFICATE,
					 &o, &k->info, e);
	}
	if (rc != 0 || anchor->id_len == 0)
		return rc;
	rc = count_private(s, anchor, &privates, e);
	/* a key that cannot be read, and no other can be meant */
	by_id = k->key == NULL && !k->conflict && privates <= 1;
	for (int kind = OFS_OBJECT_PUBLIC_KEY;
		rc == 0 && kind <= OFS_OBJECT_CERTIFICATE; kind++) {
		q.class_ = classes[kind];
		rc = object_find(s, &q, &l, e);
		for (size_t i = 0; rc == 0 && i < l.n; i++)
			rc = consider(m, s, (enum ofs_object_kind)kind, &l.v[i],
				by_id, e);
		object_list_free(&l);
	}
	return rc;
}

int
managed_find(ofs_token *t, const struct object_query *q, struct managed *out,
	struct ofs_error *e)
{
	struct session *s;
	struct pair p;
	int rc;

	memset(out, 0, sizeof(*out));
	memset(&p, 0, sizeof(p));
	out->t = t;
	rc = login_user(t, e);
	if (rc == 0)
		rc = token_session(t, &s, e);
	for (int kind = 0; rc == 0 && pair_anchor(&p)->h == 0 &&
		kind <= OFS_OBJECT_CERTIFICATE;
		kind++)
		rc = find_one(t, s, (enum ofs_object_kind)kind, *q, &p, e);
	if (rc == 0 && pair_anchor(&p)->h == 0)
		rc = err_set(e, OFS_EKEY,
			"cannot find the key on '%s': nothing matches the URI; "
			"ofs-token keys lists what is there",
			t->info.label);
	if (rc == 0)
		rc = pair_load(t, s, &p, e);
	if (rc == 0)
		rc = key_new(t, &p, &out->key, e);
	if (rc == 0)
		rc = collect(out, s, e);
	pair_free(&p);
	return rc;
}

int
managed_open(
	ofs_token *t, const char *uri, struct managed *out, struct ofs_error *e)
{
	struct object_query q = { 0 };
	struct uri u;
	int rc;

	memset(out, 0, sizeof(*out));
	rc = uri_parse(uri, &u, e);
	if (rc == 0 && u.has_class && u.class_ != CKO_PRIVATE_KEY)
		rc = err_set(e, OFS_EINVAL,
			"the URI has a type= that names less than a key; leave "
			"it out");
	if (rc == 0 && u.id_len == 0 && u.label_len == 0)
		rc = err_set(e, OFS_EINVAL,
			"the URI names no key; name it by object= or id=");
	if (rc == 0 && !uri_matches_token(&u, &t->raw, t->slot))
		rc = err_set(e, OFS_EINVAL,
			"the URI names another token than '%s'", t->info.label);
	if (rc == 0) {
		q.id = u.id;
		q.id_len = u.id_len;
		q.label = u.label;
		q.label_len = u.label_len;
		rc = managed_find(t, &q, out, e);
	}
	uri_free(&u);
	return rc;
}

void
managed_free(struct managed *m)
{
	for (size_t i = 0; i < m->n; i++)
		object_free(&m->v[i].o);
	free(m->v);
	ofs_key_free(m->key);
	memset(m, 0, sizeof(*m));
}

int
managed_certs_only(struct managed *m, struct ofs_error *e)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++) {
		/* the maker's word on the key is not the key's certificate */
		if (m->v[i].info.kind == OFS_OBJECT_CERTIFICATE &&
			!attest_is_labelled(&m->v[i].o))
			m->v[n++] = m->v[i];
		else
			object_free(&m->v[i].o);
	}
	m->n = n;
	if (n > 0)
		return 0;
	return err_set(e, OFS_EKEY,
		"key '%s' has no certificate on '%s'; nothing was deleted",
		m->key->p.info.label, m->t->info.label);
}

int
managed_check_delete(const struct managed *m, struct ofs_error *e)
{
	const struct managed_object *first = m->v;

	if (m->n == 0 || first->info.kind != OFS_OBJECT_PRIVATE_KEY)
		return 0;
	return yubikey_check_delete(
		m->t, first->o.id, first->o.id_len, m->key->p.info.label, e);
}

bool
managed_same(const struct managed *a, const struct managed *b)
{
	const EVP_PKEY *ka = a->key->p.key, *kb = b->key->p.key;

	if (a->n != b->n || (ka == NULL) != (kb == NULL) ||
		(ka != NULL && !pubkey_equal(ka, kb)))
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (memcmp(&a->v[i].info, &b->v[i].info,
			    sizeof(a->v[i].info)) != 0)
			return false;
	return true;
}

/* "private key, certificate 'CN=x'" of those from first to end */
static void
name_parts(const struct managed *m, size_t first, size_t end, struct buf *to)
{
	for (size_t i = first; i < end; i++) {
		const struct ofs_object_info *o = &m->v[i].info;

		buf_printf(to, "%s%s", i > first ? ", " : "",
			managed_kind(o->kind));
		if (o->kind == OFS_OBJECT_CERTIFICATE)
			buf_printf(to, " '%s'", o->subject);
	}
}

/* adds to what went wrong what is gone and what is left */
static void
tell_half(const struct managed *m, size_t done, struct ofs_error *e)
{
	struct buf b = BUF_INIT;
	struct ofs_error own = *e;

	if (done == 0) {
		buf_str(&b, "nothing was deleted");
	} else {
		buf_str(&b, "deleted: ");
		name_parts(m, 0, done, &b);
		buf_str(&b, "; still there: ");
		name_parts(m, done, m->n, &b);
		buf_str(&b, "; delete the rest by its id");
	}
	if (buf_cstr(&b) != NULL)
		err_set(e, own.code, "%s: %s", own.message, buf_cstr(&b));
	e->ckr = own.ckr;
	buf_free(&b);
}

static int
still_there(const struct managed *m, size_t i, struct ofs_error *e)
{
	return err_set(e, OFS_ETOKEN,
		"token '%s' answered CKR_OK, but still shows the %s of '%s'",
		m->t->info.label, managed_kind(m->v[i].info.kind),
		m->key->p.info.label);
}

/* CKR_OK is not believed */
static int
check_gone(
	const struct managed *m, const struct session *s, struct ofs_error *e)
{
	struct object_list l;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < m->n; i++) {
		const struct object *o = &m->v[i].o;
		struct object_query q = { classes[m->v[i].info.kind], o->id,
			o->id_len, o->label, o->label_len };

		rc = object_find(s, &q, &l, e);
		for (size_t j = 0; rc == 0 && j < l.n; j++)
			if (l.v[j].h == o->h)
				rc = still_there(m, i, e);
		object_list_free(&l);
	}
	return rc;
}

/* of the same name; what else it says may depend on what was deleted */
static bool
same_object(const struct ofs_object_info *a, const struct ofs_object_info *b)
{
	return a->kind == b->kind && a->id_len == b->id_len &&
		memcmp(a->id, b->id, a->id_len) == 0 &&
		strcmp(a->label, b->label) == 0 &&
		strcmp(a->subject, b->subject) == 0 &&
		strcmp(a->serial, b->serial) == 0;
}

static bool
may_be_same_key(const struct managed *a, const struct managed *b)
{
	const EVP_PKEY *ka = a->key->p.key, *kb = b->key->p.key;

	return ka == NULL || kb == NULL || pubkey_equal(ka, kb);
}

/* in sessions of later: some only hide what they were to delete */
static int
check_gone_later(const struct managed *m, struct ofs_error *e)
{
	const struct object *o = pair_anchor(&m->key->p);
	struct object_query q = { .id = o->id, .id_len = o->id_len };
	struct managed now;
	int rc;

	if (o->id_len == 0) {
		q.label = o->label;
		q.label_len = o->label_len;
	}
	rc = managed_find(m->t, &q, &now, e);
	if (rc == OFS_EKEY) { /* nothing is left */
		err_clear(e);
		managed_free(&now);
		return 0;
	}
	for (size_t i = 0; rc == 0 && i < m->n; i++)
		for (size_t j = 0; rc == 0 && j < now.n; j++)
			if (same_object(&m->v[i].info, &now.v[j].info) &&
				may_be_same_key(m, &now))
				rc = still_there(m, i, e);
	managed_free(&now);
	return rc;
}

struct deleting {
	struct managed *m;
	size_t done;
	bool again; /* the user was refused: this is the SO's session */
};

static int
delete_all(void *arg, const struct session *s, struct ofs_error *e)
{
	struct deleting *d = arg;
	struct managed *m = d->m;
	int rc = 0;

	for (; rc == 0 && d->done < m->n; d->done += rc == 0) {
		const struct managed_object *v = &m->v[d->done];
		CK_OBJECT_HANDLE h = v->o.h;
		CK_RV rv = CKR_OK;

		if (d->again)
			rc = so_find(s, classes[v->info.kind], &v->o, &h, e);
		if (rc == OFS_EKEY && d->done > 0) {
			rc = 0; /* it went with the one before */
			continue;
		}
		if (rc == 0)
			CRYPTOKI(rv, s->module->f->C_DestroyObject(s->h, h));
		if (rv != CKR_OK)
			rc = cryptoki_err(e, cryptoki_code(rv), rv,
				"cannot delete the %s of '%s' on '%s'",
				managed_kind(v->info.kind),
				m->key->p.info.label, m->t->info.label);
	}
	if (rc == 0 && !d->again)
		rc = check_gone(m, s, e);
	d->again = true;
	return rc;
}

int
managed_delete(struct managed *m, struct ofs_error *e)
{
	struct deleting d = { m, 0, so_known(m->t) };
	bool as_so = false;
	int rc;

	rc = so_try(m->t, "deletes keys", delete_all, &d, &as_so, e);
	if (rc != 0 && d.done < m->n)
		tell_half(m, d.done, e);
	return rc == 0 && as_so ? check_gone_later(m, e) : rc;
}
