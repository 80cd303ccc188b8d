/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Data objects on a token: public ones, read without a PIN. */
#include <stdlib.h>
#include <string.h>

#include "token/dataobject.h"
#include "token/login.h"
#include "token/so.h"

#define TEMPLATE_MAX 8

struct dataobject {
	CK_OBJECT_HANDLE h;
	bool private; /* it is not there for who has no PIN */
	struct buf value;
};

struct found {
	struct dataobject *v;
	size_t n;
};

static void
found_free(struct found *f)
{
	for (size_t i = 0; i < f->n; i++)
		buf_free(&f->v[i].value);
	free(f->v);
	memset(f, 0, sizeof(*f));
}

/* *ours: it has that application */
static int
read_one(const struct session *s, CK_OBJECT_HANDLE h, const char *application,
	struct dataobject *o, bool *ours, struct ofs_error *e)
{
	static const CK_ATTRIBUTE_TYPE types[] = { CKA_APPLICATION, CKA_PRIVATE,
		CKA_VALUE };
	const uint8_t *p;
	struct attrs a;
	size_t len;
	int rc;

	memset(o, 0, sizeof(*o));
	rc = attrs_read(s, h, types, 3, &a, e);
	p = attrs_get(&a, CKA_APPLICATION, &len);
	*ours = rc == 0 && p != NULL && len == strlen(application) &&
		memcmp(p, application, len) == 0;
	if (*ours) {
		o->h = h;
		o->private = attrs_bool(&a, CKA_PRIVATE) == 1;
		p = attrs_get(&a, CKA_VALUE, &len);
		buf_put(&o->value, p, len);
		rc = buf_ok(&o->value) ? 0 : err_nomem(e);
	}
	attrs_free(&a);
	return rc;
}

static int
find(const ofs_token *t, const struct session *s,
	const struct dataobject_name *name, struct found *out,
	struct ofs_error *e)
{
	struct object_query q = { .class_ = CKO_DATA,
		.label = (const uint8_t *)name->label,
		.label_len = strlen(name->label) };
	struct object_list l;
	bool ours;
	int rc;

	memset(out, 0, sizeof(*out));
	rc = object_find(s, &q, &l, e);
	if (rc == 0 && l.n > DATAOBJECTS_MAX)
		rc = err_set(e, OFS_ETOKEN,
			"token '%s' holds more than %d data objects of that "
			"name; delete those that are not needed",
			t->info.label, DATAOBJECTS_MAX);
	if (rc == 0 && l.n > 0 &&
		(out->v = calloc(l.n, sizeof(*out->v))) == NULL)
		rc = err_nomem(e);
	for (size_t i = 0; rc == 0 && i < l.n; i++) {
		rc = read_one(s, l.v[i].h, name->application, &out->v[out->n],
			&ours, e);
		if (rc == 0 && ours)
			out->n++;
		else
			buf_free(&out->v[out->n].value);
		if (rc != 0 && e->ckr == CKR_OBJECT_HANDLE_INVALID)
			rc = 0; /* deleted since the search */
	}
	object_list_free(&l);
	return rc;
}

struct reading {
	ofs_token *t;
	const struct dataobject_name *name;
	struct dataobjects *out;
};

static int
run_read(void *arg, struct ofs_error *e)
{
	struct reading *r = arg;
	struct session *s;
	struct found f = { NULL, 0 };
	int rc;

	rc = token_session(r->t, &s, e);
	if (rc == 0)
		rc = find(r->t, s, r->name, &f, e);
	if (rc == 0 && f.n > 0) {
		r->out->v = calloc(f.n, sizeof(*r->out->v));
		if (r->out->v == NULL)
			rc = err_nomem(e);
	}
	for (size_t i = 0; rc == 0 && i < f.n; i++) {
		r->out->v[r->out->n++] = f.v[i].value;
		f.v[i].value = (struct buf)BUF_INIT;
	}
	found_free(&f);
	return rc;
}

int
dataobject_read(ofs_token *t, const struct dataobject_name *name,
	struct dataobjects *out, struct ofs_error *e)
{
	struct reading r = { t, name, out };

	memset(out, 0, sizeof(*out));
	return token_run(t, run_read, &r, e);
}

void
dataobjects_free(struct dataobjects *l)
{
	for (size_t i = 0; i < l->n; i++)
		buf_free(&l->v[i]);
	free(l->v);
	memset(l, 0, sizeof(*l));
}

struct writing {
	ofs_token *t;
	const struct dataobject_name *name;
	const struct buf *value;
	const struct dataobjects *old;
};

/* the answers of tokens that keep none, and of those that are full */
static int
refused(const ofs_token *t, CK_RV rv, struct ofs_error *e)
{
	switch (rv) {
	case CKR_DEVICE_MEMORY:
		return cryptoki_err(e, OFS_ETOKEN, rv,
			"token '%s' has no room for a data object; delete what "
			"is not needed there, or keep it on another medium",
			t->info.label);
	case CKR_ACTION_PROHIBITED:
	case CKR_ARGUMENTS_BAD:
	case CKR_ATTRIBUTE_READ_ONLY:
	case CKR_ATTRIBUTE_TYPE_INVALID:
	case CKR_ATTRIBUTE_VALUE_INVALID:
	case CKR_FUNCTION_NOT_SUPPORTED:
	case CKR_FUNCTION_REJECTED:
	case CKR_TEMPLATE_INCOMPLETE:
	case CKR_TEMPLATE_INCONSISTENT:
	case CKR_TOKEN_WRITE_PROTECTED:
		return cryptoki_err(e, OFS_EUNSUPPORTED, rv,
			"token '%s' keeps no public data objects; keep it on "
			"another token or medium",
			t->info.label);
	default:
		return cryptoki_err(e, cryptoki_code(rv), rv,
			"cannot store a data object on token '%s'",
			t->info.label);
	}
}

static int
create(const struct writing *w, const struct session *s, struct ofs_error *e)
{
	static const CK_OBJECT_CLASS class_ = CKO_DATA;
	const struct dataobject_name *name = w->name;
	CK_ATTRIBUTE t[TEMPLATE_MAX];
	CK_OBJECT_HANDLE made;
	CK_ULONG n = 0;
	CK_RV rv;

	attr_add(t, &n, CKA_CLASS, &class_, sizeof(class_));
	attr_add_bool(t, &n, CKA_TOKEN, true);
	attr_add_bool(t, &n, CKA_PRIVATE, false);
	attr_add(t, &n, CKA_APPLICATION, name->application,
		strlen(name->application));
	attr_add(t, &n, CKA_LABEL, name->label, strlen(name->label));
	attr_add(t, &n, CKA_VALUE, w->value->p, w->value->len);
	CRYPTOKI(rv, s->module->f->C_CreateObject(s->h, t, n, &made));
	return rv == CKR_OK ? 0 : refused(w->t, rv, e);
}

static bool
same(const struct buf *a, const struct buf *b)
{
	return a->len == b->len && (a->len == 0 || !memcmp(a->p, b->p, a->len));
}

/* for whoever has no PIN, too */
static bool
is_shown(const struct writing *w, const struct found *f)
{
	for (size_t i = 0; i < f->n; i++)
		if (!f->v[i].private && same(&f->v[i].value, w->value))
			return true;
	return false;
}

/* CKR_OK is not believed, and nothing older goes before it is there */
static int
check_made(const struct writing *w, const struct session *s,
	const struct found *f, struct ofs_error *e)
{
	const struct dataobject *hidden = NULL;
	struct ofs_error ignored;

	if (is_shown(w, f))
		return 0;
	for (size_t i = 0; i < f->n; i++)
		if (same(&f->v[i].value, w->value))
			hidden = &f->v[i];
	if (hidden == NULL)
		return err_set(e, OFS_ETOKEN,
			"token '%s' answered CKR_OK, but does not show the "
			"data object that was stored",
			w->t->info.label);
	(void)object_destroy(s, hidden->h, &ignored);
	return err_set(e, OFS_EUNSUPPORTED,
		"token '%s' keeps data objects for who knows its PIN only; "
		"keep it on another token or medium",
		w->t->info.label);
}

static bool
is_old(const struct writing *w, const struct buf *value)
{
	if (same(value, w->value))
		return false;
	for (size_t i = 0; i < w->old->n; i++)
		if (same(value, &w->old->v[i]))
			return true;
	return false;
}

/* one that stays does no harm, and goes the next time */
static void
clean_up(
	const struct writing *w, const struct session *s, const struct found *f)
{
	struct ofs_error why;

	for (size_t i = 0; i < f->n; i++) {
		if (!is_old(w, &f->v[i].value))
			continue;
		err_clear(&why);
		if (object_destroy(s, f->v[i].h, &why) != 0)
			ctx_log(w->t->ctx, OFS_LOG_WARNING,
				"an older data object stays on token '%s': %s",
				w->t->info.label, why.message);
	}
}

/* an so_fn */
static int
replace(void *arg, const struct session *s, struct ofs_error *e)
{
	const struct writing *w = arg;
	struct found f;
	int rc;

	rc = find(w->t, s, w->name, &f, e);
	if (rc == 0 && !is_shown(w, &f)) {
		rc = create(w, s, e);
		found_free(&f);
		if (rc == 0)
			rc = find(w->t, s, w->name, &f, e);
	}
	if (rc == 0)
		rc = check_made(w, s, &f, e);
	if (rc == 0)
		clean_up(w, s, &f);
	found_free(&f);
	return rc;
}

static int
run_replace(void *arg, struct ofs_error *e)
{
	struct writing *w = arg;
	bool as_so;
	int rc;

	rc = login_user(w->t, e);
	if (rc == 0)
		rc = so_try(w->t, "stores data objects", replace, w, &as_so, e);
	so_forget(w->t);
	return rc;
}

int
dataobject_replace(ofs_token *t, const struct dataobject_name *name,
	const struct buf *value, const struct dataobjects *old,
	struct ofs_error *e)
{
	struct writing w = { t, name, value, old };

	return token_run(t, run_replace, &w, e);
}
