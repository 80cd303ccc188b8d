/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The keys of a run, each on its token. */
#include "sign.h"

void
cmd_sign_close_keys(struct keyring *r)
{
	if (r->audit_key != NULL)
		(void)ofs_audit_use_key(r->audit, NULL);
	ofs_key_free(r->audit_key);
	r->audit_key = NULL;
	while (r->n > 0) {
		r->n--;
		ofs_key_free(r->keys[r->n]);
		ofs_token_free(r->tokens[r->n]);
	}
}

static int
open_key(struct tool *s, const struct sign_options *o, ofs_token *token,
	const char *uri, unsigned int flags, struct keyring *r)
{
	int rc = 0;

	r->tokens[r->n] = token;
	/* before the login, which goes into it */
	if (s->audit == NULL)
		rc = tool_audit_near(s, &o->session, token);
	if (rc == 0 && ofs_key_open(token, uri, flags, &r->keys[r->n]) != 0)
		rc = out_fail_with(s->out, ofs_token_error(token));
	if (rc == 0)
		r->n++;
	else
		ofs_token_free(token);
	return rc;
}

int
cmd_sign_open_keys(struct tool *s, const struct sign_options *o,
	unsigned int flags, struct keyring *r)
{
	const struct ofs_error *e = ofs_ctx_error(s->ctx);
	ofs_token *token;
	size_t i;
	int rc = 0;

	s->pins.share = o->keys.n > 1;
	for (i = 0; rc == 0 && i < o->keys.n; i++) {
		if (ofs_token_open(s->ctx, o->keys.p[i], &token) == 0)
			rc = open_key(s, o, token, o->keys.p[i], flags, r);
		else if (e->code != OFS_ETOKEN ||
			(i + 1 == o->keys.n && r->n == 0))
			return out_fail_with(s->out, e);
		else
			out_warn(s->out, "going on without one token: %s",
				e->message);
	}
	/* of tokens that we are logged in to anyway, and of no other */
	for (i = 0; rc == 0 && flags == 0 && i < r->n; i++)
		if (r->audit_key == NULL &&
			ofs_audit_find_key(
				s->audit, r->tokens[i], &r->audit_key) == 0)
			(void)ofs_audit_use_key(s->audit, r->audit_key);
	r->audit = s->audit;
	pinsrc_forget(&s->pins);
	return rc;
}

int
cmd_sign_add_keys(
	struct tool *s, ofs_batch *b, const struct keyring *r, size_t from)
{
	size_t i;

	for (i = from; i < r->n; i++)
		if (ofs_batch_add_key(b, r->keys[i]) != 0)
			return out_fail_with(s->out, ofs_batch_error(b));
	return 0;
}
