/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Objects on a token: found by class, id and label. */
#include <stdlib.h>
#include <string.h>

#include "token/object.h"

#define FIND_AT_ONCE 64
#define OBJECTS_MAX (1UL << 16)

/* all handles between C_FindObjectsInit and C_FindObjectsFinal */
static int
collect(const struct session *s, CK_OBJECT_HANDLE **out, size_t *n,
	struct ofs_error *e)
{
	CK_OBJECT_HANDLE some[FIND_AT_ONCE], *more;
	CK_ULONG got;
	CK_RV rv;

	for (;;) {
		got = 0;
		CRYPTOKI(rv,
			s->module->f->C_FindObjects(
				s->h, some, FIND_AT_ONCE, &got));
		if (rv != CKR_OK)
			return cryptoki_err(e, cryptoki_code(rv), rv,
				"cannot search the token");
		if (got == 0)
			return 0;
		if (got > FIND_AT_ONCE || *n + got > OBJECTS_MAX)
			return err_set(e, OFS_ETOKEN,
				"cannot search the token: it returns more "
				"objects than a token holds");
		more = realloc(*out, (*n + got) * sizeof(**out));
		if (more == NULL)
			return err_nomem(e);
		*out = more;
		memcpy(more + *n, some, got * sizeof(**out));
		*n += got;
	}
}

static int
find_handles(const struct session *s, const struct object_query *q,
	CK_OBJECT_HANDLE **out, size_t *n, struct ofs_error *e)
{
	CK_ATTRIBUTE t[4];
	CK_ULONG nt = 0;
	CK_RV rv;
	int rc;

	if (q->class_ != OBJECT_ANY)
		attr_add(t, &nt, CKA_CLASS, &q->class_, sizeof(q->class_));
	attr_add_bool(t, &nt, CKA_TOKEN, true);
	/* an empty id or label in a template matches anything */
	if (q->id_len > 0)
		attr_add(t, &nt, CKA_ID, q->id, q->id_len);
	if (q->label_len > 0)
		attr_add(t, &nt, CKA_LABEL, q->label, q->label_len);
	CRYPTOKI(rv, s->module->f->C_FindObjectsInit(s->h, t, nt));
	if (rv != CKR_OK)
		return cryptoki_err(
			e, cryptoki_code(rv), rv, "cannot search the token");
	rc = collect(s, out, n, e);
	CRYPTOKI(rv, s->module->f->C_FindObjectsFinal(s->h));
	if (rc == 0 && rv != CKR_OK)
		rc = cryptoki_err(e, cryptoki_code(rv), rv,
			"cannot end the search of the token");
	return rc;
}

/* class_: what was looked for; OBJECT_ANY: the object tells */
static int
read_object(const struct session *s, CK_OBJECT_HANDLE h, CK_OBJECT_CLASS class_,
	struct object *o, struct ofs_error *e)
{
	static const CK_ATTRIBUTE_TYPE types[] = { CKA_ID, CKA_LABEL,
		CKA_KEY_TYPE, CKA_CLASS };
	const uint8_t *p;
	struct attrs a;
	size_t len;
	int rc;

	memset(o, 0, sizeof(*o));
	rc = attrs_read(s, h, types, class_ == OBJECT_ANY ? 4 : 3, &a, e);
	if (rc != 0)
		goto out;
	o->h = h;
	o->class_ = class_;
	if (class_ == OBJECT_ANY && !attrs_ulong(&a, CKA_CLASS, &o->class_))
		o->class_ = OBJECT_ANY;
	if (!attrs_ulong(&a, CKA_KEY_TYPE, &o->key_type))
		o->key_type = CKK_VENDOR_DEFINED;
	p = attrs_get(&a, CKA_ID, &len);
	if (p != NULL && len <= sizeof(o->id)) {
		memcpy(o->id, p, len);
		o->id_len = len;
	}
	p = attrs_get(&a, CKA_LABEL, &len);
	if (p != NULL && len > 0) {
		o->label = malloc(len);
		if (o->label == NULL) {
			rc = err_nomem(e);
			goto out;
		}
		memcpy(o->label, p, len);
		o->label_len = len;
	}
out:
	attrs_free(&a);
	return rc;
}

static bool
matches(const struct object *o, const struct object_query *q)
{
	if (q->id_len > 0 &&
		(o->id_len != q->id_len ||
			memcmp(o->id, q->id, q->id_len) != 0))
		return false;
	if (q->class_ != OBJECT_ANY && o->class_ != q->class_)
		return false;
	return q->label_len == 0 ||
		(o->label_len == q->label_len &&
			memcmp(o->label, q->label, q->label_len) == 0);
}

int
object_find(const struct session *s, const struct object_query *q,
	struct object_list *out, struct ofs_error *e)
{
	CK_OBJECT_HANDLE *handles = NULL;
	struct object o;
	size_t n = 0;
	int rc;

	memset(out, 0, sizeof(*out));
	rc = find_handles(s, q, &handles, &n, e);
	if (rc != 0 || n == 0)
		goto out;
	out->v = calloc(n, sizeof(*out->v));
	if (out->v == NULL) {
		rc = err_nomem(e);
		goto out;
	}
	for (size_t i = 0; i < n; i++) {
		rc = read_object(s, handles[i], q->class_, &o, e);
		if (rc != 0 && e->ckr == CKR_OBJECT_HANDLE_INVALID) {
			rc = 0; /* deleted since the search */
			continue;
		}
		if (rc != 0)
			goto out;
		if (matches(&o, q))
			out->v[out->n++] = o;
		else
			object_free(&o);
	}
out:
	free(handles);
	return rc;
}

int
object_pick(const struct object_list *from, const struct object_query *q,
	struct object_list *out, struct ofs_error *e)
{
	int rc = 0;

	memset(out, 0, sizeof(*out));
	if (from->n == 0)
		return 0;
	out->v = calloc(from->n, sizeof(*out->v));
	if (out->v == NULL)
		return err_nomem(e);
	for (size_t i = 0; rc == 0 && i < from->n; i++)
		if (matches(&from->v[i], q))
			rc = object_copy(&out->v[out->n++], &from->v[i], e);
	return rc;
}

void
object_list_free(struct object_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		object_free(&l->v[i]);
	free(l->v);
	memset(l, 0, sizeof(*l));
}

int
object_copy(struct object *to, const struct object *from, struct ofs_error *e)
{
	*to = *from;
	to->label = NULL;
	to->label_len = 0;
	if (from->label_len == 0)
		return 0;
	to->label = malloc(from->label_len);
	if (to->label == NULL)
		return err_nomem(e);
	memcpy(to->label, from->label, from->label_len);
	to->label_len = from->label_len;
	return 0;
}

void
object_free(struct object *o)
{
	free(o->label);
	memset(o, 0, sizeof(*o));
}

int
object_destroy(const struct session *s, CK_OBJECT_HANDLE h, struct ofs_error *e)
{
	CK_RV rv;

	CRYPTOKI(rv, s->module->f->C_DestroyObject(s->h, h));
	if (rv != CKR_OK)
		return cryptoki_err(e, cryptoki_code(rv), rv,
			"cannot delete an object from the token");
	return 0;
}
