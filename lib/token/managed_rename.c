/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Another label or id for a key, on all its objects or on none. */
#include <string.h>

#include "base/text.h"
#include "crypto/pubkey.h"
#include "token/managed.h"
#include "token/so.h"
#include "token/yubikey.h"

#define LABEL_MAX 128

/* What an object is to be called. */
struct names {
	const uint8_t *label, *id;
	size_t label_len, id_len;
};

static struct names
names_now(const struct object *o)
{
	return (struct names){ o->label, o->id, o->label_len, o->id_len };
}

static struct names
names_new(const struct object *o, const struct ofs_key_rename_opts *r)
{
	struct names n = names_now(o);

	if (r->label != NULL) {
		n.label = (const uint8_t *)r->label;
		n.label_len = strlen(r->label);
	}
	if (r->id != NULL) {
		n.id = r->id;
		n.id_len = r->id_len;
	}
	return n;
}

static bool
same_bytes(const uint8_t *a, size_t na, const uint8_t *b, size_t nb)
{
	return na == nb && (na == 0 || memcmp(a, b, na) == 0);
}

static bool
is_called(const struct object *o, const struct names *n)
{
	return same_bytes(o->label, o->label_len, n->label, n->label_len) &&
		same_bytes(o->id, o->id_len, n->id, n->id_len);
}

static int
check_label(const char *label, struct ofs_error *e)
{
	size_t n = strlen(label), step;

	if (n == 0 || n > LABEL_MAX || !text_is_utf8(label, n))
		return err_set(e, OFS_EINVAL,
			"a label is 1 to %d bytes of UTF-8", LABEL_MAX);
	for (size_t i = 0; i < n; i += step) {
		step = text_utf8_char(label + i, n - i);
		if (step == 0 || text_is_control(label + i, step))
			return err_set(e, OFS_EINVAL,
				"the label '%s' holds a control character",
				TEXT_Q(label));
	}
	if (label[0] == ' ' || label[n - 1] == ' ')
		return err_set(e, OFS_EINVAL,
			"the label '%s' begins or ends with a blank",
			TEXT_Q(label));
	return 0;
}

static bool
is_ours(const struct managed *m, CK_OBJECT_HANDLE h)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->v[i].o.h == h)
			return true;
	return false;
}

/* nobody else is called so: two of one name make every URI ambiguous */
static int
check_free(const struct managed *m, const struct session *s,
	struct object_query q, const char *what, struct ofs_error *e)
{
	static const CK_OBJECT_CLASS all[] = { CKO_PRIVATE_KEY, CKO_PUBLIC_KEY,
		CKO_CERTIFICATE };
	struct object_list l;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < sizeof(all) / sizeof(all[0]); i++) {
		q.class_ = all[i];
		rc = object_find(s, &q, &l, e);
		for (size_t j = 0; rc == 0 && j < l.n; j++)
			if (!is_ours(m, l.v[j].h))
				rc = err_set(e, OFS_EEXIST,
					"cannot rename key '%s' on '%s': "
					"another object has this %s; choose "
					"another one",
					m->key->p.info.label, m->t->info.label,
					what);
		object_list_free(&l);
	}
	return rc;
}

int
managed_check_rename(const struct managed *m,
	const struct ofs_key_rename_opts *o, struct ofs_error *e)
{
	struct object_query label = { 0 }, id = { 0 };
	struct session *s;
	bool other = false;
	int rc = 0;

	if (o == NULL || o->size != sizeof(*o) ||
		(o->label == NULL && o->id == NULL))
		return err_set(e, OFS_EINVAL,
			"cannot rename a key: a new label or id is needed");
	if (o->id != NULL && (o->id_len == 0 || o->id_len > OBJECT_ID_MAX))
		return err_set(e, OFS_EINVAL,
			"cannot rename a key: an id has 1 to %d bytes",
			OBJECT_ID_MAX);
	rc = yubikey_check_rename(m->t, m->key->p.info.label, e);
	if (rc == 0 && o->label != NULL)
		rc = check_label(o->label, e);
	for (size_t i = 0; rc == 0 && i < m->n; i++) {
		struct names n = names_new(&m->v[i].o, o);

		other |= !is_called(&m->v[i].o, &n);
	}
	if (rc == 0 && !other)
		rc = err_set(e, OFS_EINVAL,
			"key '%s' on '%s' is called so already; nothing is to "
			"be done",
			m->key->p.info.label, m->t->info.label);
	if (rc == 0)
		rc = token_session(m->t, &s, e);
	if (rc == 0 && o->label != NULL) {
		label.label = (const uint8_t *)o->label;
		label.label_len = strlen(o->label);
		rc = check_free(m, s, label, "label", e);
	}
	if (rc == 0 && o->id != NULL) {
		id.id = o->id;
		id.id_len = o->id_len;
		rc = check_free(m, s, id, "id", e);
	}
	return rc;
}

/* one call for an object, with what differs; a token does both or none */
static CK_RV
set_names(const struct session *s, const struct object *o,
	const struct names *from, const struct names *to)
{
	CK_ATTRIBUTE t[2];
	CK_ULONG n = 0;
	CK_RV rv;

	if (!same_bytes(from->label, from->label_len, to->label, to->label_len))
		attr_add(t, &n, CKA_LABEL, to->label, to->label_len);
	if (!same_bytes(from->id, from->id_len, to->id, to->id_len))
		attr_add(t, &n, CKA_ID, to->id, to->id_len);
	if (n == 0)
		return CKR_OK;
	CRYPTOKI(rv, s->module->f->C_SetAttributeValue(s->h, o->h, t, n));
	return rv;
}

static bool
names_are_fixed(CK_RV rv)
{
	return rv == CKR_FUNCTION_NOT_SUPPORTED ||
		rv == CKR_ATTRIBUTE_READ_ONLY || rv == CKR_ACTION_PROHIBITED ||
		rv == CKR_ATTRIBUTE_TYPE_INVALID;
}

/*
 * Sets those before `done` back, and that one, of which a part may be set;
 * returns how many kept the new name.
 */
static size_t
undo(const struct managed *m, const struct session *s, size_t done,
	const struct ofs_key_rename_opts *r)
{
	size_t kept = 0;

	for (size_t i = 0; i <= done; i++) {
		const struct object *o = &m->v[i].o;
		struct names old = names_now(o), now = names_new(o, r);
		CK_RV rv = set_names(s, o, &now, &old);

		kept += i < done && rv != CKR_OK;
	}
	return kept;
}

static int
refused(const struct managed *m, const struct session *s, size_t done, CK_RV rv,
	const struct ofs_key_rename_opts *r, struct ofs_error *e)
{
	size_t kept = undo(m, s, done, r);
	const char *what = managed_kind(m->v[done].info.kind);
	bool fixed = names_are_fixed(rv);

	if (kept == 0)
		return cryptoki_err(e,
			fixed ? OFS_EUNSUPPORTED : cryptoki_code(rv), rv,
			"cannot rename key '%s' on '%s': the token refuses it "
			"for the %s%s; nothing was changed",
			m->key->p.info.label, m->t->info.label, what,
			fixed ? ", as labels and ids on it are fixed" : "");
	(void)cryptoki_err(e, OFS_ETOKEN, rv,
		"key '%s' on '%s' is renamed in part: %zu of its %zu objects "
		"have the new name, beginning with the %s, and the %s refuses "
		"it; ofs-token keys shows them, rename it again by its id",
		m->key->p.info.label, m->t->info.label, kept, m->n,
		managed_kind(m->v[0].info.kind), what);
	e->ckr = 0; /* nothing that the SO could do as well */
	return e->code;
}

/* what the token shows is what was asked for */
static int
read_back(const struct managed *m, const struct session *s,
	const struct ofs_key_rename_opts *r, struct ofs_error *e)
{
	static const CK_ATTRIBUTE_TYPE types[] = { CKA_LABEL, CKA_ID };
	const uint8_t *label, *id;
	size_t label_len, id_len;
	struct attrs a;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < m->n; i++) {
		struct names want = names_new(&m->v[i].o, r);

		rc = attrs_read(s, m->v[i].o.h, types, 2, &a, e);
		label = attrs_get(&a, CKA_LABEL, &label_len);
		id = attrs_get(&a, CKA_ID, &id_len);
		if (rc == 0 &&
			(!same_bytes(label, label_len, want.label,
				 want.label_len) ||
				!same_bytes(id, id_len, want.id, want.id_len)))
			rc = err_set(e, OFS_ETOKEN,
				"token '%s' answered CKR_OK, but the %s of "
				"'%s' is not called so afterwards; "
				"ofs-token keys shows what is there",
				m->t->info.label,
				managed_kind(m->v[i].info.kind),
				m->key->p.info.label);
		attrs_free(&a);
	}
	return rc;
}

/* found by its new names; it must be the same key */
static int
find_again(struct managed *m, const struct ofs_key_rename_opts *r,
	struct ofs_error *e)
{
	struct names n = names_new(pair_anchor(&m->key->p), r);
	struct object_query q = { 0, n.id, n.id_len, n.label, n.label_len };
	const EVP_PKEY *was = m->key->p.key, *is;
	struct managed again;
	int rc;

	rc = managed_find(m->t, &q, &again, e);
	is = rc == 0 ? again.key->p.key : NULL;
	if (rc == 0 && was != NULL && (is == NULL || !pubkey_equal(was, is)))
		rc = err_set(e, OFS_EKEY,
			"key '%s' on '%s' is another one than it was; look "
			"at the token",
			m->key->p.info.label, m->t->info.label);
	if (rc != 0) {
		managed_free(&again);
		return rc;
	}
	managed_free(m);
	*m = again;
	return 0;
}

struct renaming {
	struct managed *m;
	const struct ofs_key_rename_opts *r;
	bool again; /* the user was refused: this is the SO's session */
};

static int
rename_all(void *arg, const struct session *s, struct ofs_error *e)
{
	struct renaming *w = arg;
	struct managed *m = w->m;
	CK_RV rv;
	int rc = 0;

	for (size_t i = 0; w->again && rc == 0 && i < m->n; i++)
		rc = so_find(s, managed_class(m->v[i].info.kind), &m->v[i].o,
			&m->v[i].o.h, e);
	for (size_t i = 0; rc == 0 && i < m->n; i++) {
		struct names old = names_now(&m->v[i].o);
		struct names want = names_new(&m->v[i].o, w->r);

		rv = set_names(s, &m->v[i].o, &old, &want);
		if (rv != CKR_OK)
			rc = refused(m, s, i, rv, w->r, e);
	}
	w->again = true;
	return rc != 0 ? rc : read_back(m, s, w->r, e);
}

int
managed_rename(struct managed *m, const struct ofs_key_rename_opts *r,
	struct ofs_error *e)
{
	struct renaming w = { m, r, so_known(m->t) };
	bool as_so;
	int rc;

	rc = so_try(m->t, "renames keys", rename_all, &w, &as_so, e);
	return rc != 0 ? rc : find_again(m, r, e);
}
