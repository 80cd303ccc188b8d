/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A token that is in use: opened by URI, described, kept logged in. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "token/key.h"
#include "token/token.h"

int
ofs_token_list(ofs_ctx *ctx, ofs_token_fn fn, void *arg)
{
	struct ofs_token_info info;
	struct slot_list l;
	struct ofs_error e;
	int rc;

	err_clear(&ctx->err);
	err_clear(&e);
	rc = slot_scan(ctx, &l, &e);
	if (rc != 0)
		(void)ctx_fail(ctx, &e);
	for (size_t i = 0; rc == 0 && i < l.n; i++) {
		slot_describe(&l.v[i], &info);
		rc = fn(arg, &info);
	}
	slot_list_free(&l);
	return rc;
}

static int
open_token(ofs_ctx *ctx, const char *text, ofs_token **out, struct ofs_error *e)
{
	struct slot_list l = { NULL, 0 };
	const struct slot *s;
	struct uri u;
	ofs_token *t;
	int rc;

	rc = uri_parse(text, &u, e);
	if (rc == 0)
		rc = slot_scan(ctx, &l, e);
	if (rc == 0)
		rc = slot_pick(&l, &u, false, &s, e);
	if (rc != 0)
		goto out;
	t = calloc(1, sizeof(*t));
	if (t == NULL) {
		rc = err_nomem(e);
		goto out;
	}
	t->ctx = ctx;
	err_clear(&t->err);
	t->module = s->module;
	t->slot = s->id;
	t->pid = getpid();
	t->raw = s->raw;
	slot_describe(s, &t->info);
	*out = t;
out:
	slot_list_free(&l);
	uri_free(&u);
	return rc;
}

int
ofs_token_open(ofs_ctx *ctx, const char *uri, ofs_token **out)
{
	struct ofs_error e;
	int rc;

	*out = NULL;
	err_clear(&ctx->err);
	err_clear(&e);
	rc = open_token(ctx, uri, out, &e);
	return rc == 0 ? 0 : ctx_fail(ctx, &e);
}

void
ofs_token_free(ofs_token *token)
{
	if (token == NULL)
		return;
	if (token->pid == getpid())
		session_close(&token->pinned);
	free(token);
}

const struct ofs_error *
ofs_token_error(const ofs_token *token)
{
	return &token->err;
}

const struct ofs_token_info *
ofs_token_get_info(const ofs_token *token)
{
	return &token->info;
}

ofs_ctx *
token_ctx(const ofs_token *t)
{
	return t->ctx;
}

int
token_fail(ofs_token *t, const struct ofs_error *e)
{
	if (e != &t->err)
		t->err = *e;
	return e->code;
}

int
token_check_fork(const ofs_token *t, struct ofs_error *e)
{
	if (t->pid == getpid())
		return 0;
	return err_set(e, OFS_ETOKEN,
		"cannot use token '%s' in a forked process; add the module "
		"and open the token there",
		t->info.label);
}

int
token_check_present(const ofs_token *t, struct ofs_error *e)
{
	CK_TOKEN_INFO now;
	int rc;

	rc = slot_read(t->module, t->slot, &now, e);
	if (rc == 0 && !slot_same_token(&now, &t->raw))
		rc = err_set(e, OFS_ETOKEN,
			"another token is in slot %lu; insert '%s' (serial %s)",
			t->slot, t->info.label, t->info.serial);
	return rc;
}

int
token_session(ofs_token *t, struct session **out, struct ofs_error *e)
{
	CK_STATE state;
	int rc;

	*out = NULL;
	rc = token_check_fork(t, e);
	if (rc != 0)
		return rc;
	/* a session that died with its token is replaced */
	if (t->pinned.module != NULL &&
		session_state(&t->pinned, &state) != CKR_OK)
		session_close(&t->pinned);
	if (t->pinned.module == NULL) {
		rc = token_check_present(t, e);
		if (rc == 0)
			rc = session_open(
				t->module, t->slot, false, &t->pinned, e);
	}
	if (rc == 0)
		*out = &t->pinned;
	return rc;
}

int
token_rw_session(ofs_token *t, struct session *out, struct ofs_error *e)
{
	struct session *pinned;
	int rc;

	memset(out, 0, sizeof(*out));
	rc = token_session(t, &pinned, e);
	if (rc == 0)
		rc = session_open(t->module, t->slot, true, out, e);
	return rc;
}
