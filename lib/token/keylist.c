/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The list of what is on a token, objects with the same id joined. */
#include <string.h>

#include "token/keydef.h"

struct lists {
	struct object_list priv, pub, cert;
};

/* an earlier entry of the list has shown it already */
static bool
is_shown(const struct object_list *l, size_t upto, const struct object *o)
{
	for (size_t i = 0; o->id_len > 0 && i < upto; i++)
		if (l->v[i].id_len == o->id_len &&
			memcmp(l->v[i].id, o->id, o->id_len) == 0)
			return true;
	return false;
}

struct showing {
	ofs_key_fn fn;
	void *arg;
	const struct ofs_key_info *info;
};

static int
call(void *arg)
{
	const struct showing *sh = arg;

	return sh->fn(sh->arg, sh->info);
}

static int
show(ofs_token *t, const struct session *s, const struct lists *l,
	const struct object *o, CK_OBJECT_CLASS class_, ofs_key_fn fn,
	void *arg, int *stopped, struct ofs_error *e)
{
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
		*stopped = watch_call_back(
			call, &(struct showing){ fn, arg, &p.info });
	else if (rc != OFS_ENOMEM && e->ckr == CKR_OBJECT_HANDLE_INVALID)
		rc = 0; /* deleted since the search */
	pair_free(&p);
	return rc;
}

static int
list(ofs_token *t, const struct session *s, const struct lists *l,
	ofs_key_fn fn, void *arg, int *stopped, struct ofs_error *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && *stopped == 0 && i < l->priv.n; i++)
		rc = show(t, s, l, &l->priv.v[i], CKO_PRIVATE_KEY, fn, arg,
			stopped, e);
	for (size_t i = 0; rc == 0 && *stopped == 0 && i < l->pub.n; i++)
		if (!is_shown(&l->priv, l->priv.n, &l->pub.v[i]))
			rc = show(t, s, l, &l->pub.v[i], CKO_PUBLIC_KEY, fn,
				arg, stopped, e);
	for (size_t i = 0; rc == 0 && *stopped == 0 && i < l->cert.n; i++)
		if (!is_shown(&l->priv, l->priv.n, &l->cert.v[i]) &&
			!is_shown(&l->pub, l->pub.n, &l->cert.v[i]) &&
			!is_shown(&l->cert, i, &l->cert.v[i]))
			rc = show(t, s, l, &l->cert.v[i], CKO_CERTIFICATE, fn,
				arg, stopped, e);
	return rc;
}

struct listing {
	ofs_token *token;
	ofs_key_fn fn;
	void *arg;
	int stopped; /* what fn said */
};

static int
run_list(void *arg, struct ofs_error *e)
{
	struct object_query q = { .class_ = CKO_PRIVATE_KEY };
	struct listing *li = arg;
	struct session *s;
	struct lists l;
	int rc;

	memset(&l, 0, sizeof(l));
	rc = token_session(li->token, &s, e);
	if (rc == 0)
		rc = object_find(s, &q, &l.priv, e);
	q.class_ = CKO_PUBLIC_KEY;
	if (rc == 0)
		rc = object_find(s, &q, &l.pub, e);
	q.class_ = CKO_CERTIFICATE;
	if (rc == 0)
		rc = object_find(s, &q, &l.cert, e);
	if (rc == 0)
		rc = list(li->token, s, &l, li->fn, li->arg, &li->stopped, e);
	object_list_free(&l.priv);
	object_list_free(&l.pub);
	object_list_free(&l.cert);
	return rc;
}

int
ofs_key_list(ofs_token *token, ofs_key_fn fn, void *arg)
{
	struct listing l = { token, fn, arg, 0 };
	struct ofs_error e;

	err_clear(&token->err);
	err_clear(&e);
	if (token_run(token, run_list, &l, &e) != 0)
		return token_fail(token, &e);
	return l.stopped;
}
