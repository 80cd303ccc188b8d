/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ofs-token keys: the keys of a token. */
#include "token.h"

/* clang-format off */
static const char help[] =
"usage: ofs-token keys [URI] [options]\n"
"\n"
"Lists the keys of the token that the URI names; without a URI, of the only\n"
"token. Most tokens show private keys after a login only: it is made when a\n"
"PIN source is named (--pin-source or OFS_PIN_SOURCE).\n"
"\n"
"  --no-login         do not log in\n"
TOKEN_HELP
"\n"
"Example: ofs-token keys 'pkcs11:token=payroll' --pin-source prompt\n";
/* clang-format on */

struct keys {
	const char *uri;
	bool no_login;
};

struct listing {
	struct out *out;
	size_t n, hidden;
	int code;
};

static int
show(void *arg, const struct ofs_key_info *k)
{
	struct listing *l = arg;
	struct jline j;
	FILE *f;

	l->n++;
	l->hidden += !k->has_private;
	if (l->out->json) {
		jline_begin(&j, "key");
		cmd_token_key_json(&j, k);
		l->code = jline_end(&j, l->out);
		return l->code;
	}
	f = out_human(l->out);
	fprintf(f, "%skey %zu\n", l->n > 1 ? "\n" : "", l->n);
	cmd_token_key_print(f, k);
	return 0;
}

static int
list_keys(struct tool *s, ofs_token *token)
{
	struct listing l = { s->out, 0, 0, 0 };
	int rc;

	rc = ofs_key_list(token, show, &l);
	if (rc != 0)
		return l.code != 0
			? rc
			: out_fail_with(s->out, ofs_token_error(token));
	if (l.n == 0)
		out_note(s->out,
			"no key is there; 'ofs-token enroll' makes one");
	else if (l.hidden > 0)
		out_note(s->out,
			"private keys show after a login; use --pin-source");
	return 0;
}

static int
keys(struct tool *s, const struct tool_opts *so, const struct keys *k)
{
	bool login = s->pins.user.from != PIN_DEFAULT && !k->no_login;
	ofs_token *token = NULL;
	int rc;

	rc = tool_modules(s, so);
	if (rc == 0 && ofs_token_open(s->ctx, k->uri, &token) != 0)
		rc = out_fail_with(s->out, ofs_ctx_error(s->ctx));
	/* a login goes on the record, a look does not */
	if (rc == 0 && login)
		rc = tool_audit_near(s, so, token);
	if (rc == 0 && login && ofs_token_login(token) != 0)
		rc = out_fail_with(s->out, ofs_token_error(token));
	if (rc == 0)
		rc = list_keys(s, token);
	ofs_token_free(token);
	return rc;
}

int
cmd_token_keys(struct out *o, int argc, char **argv)
{
	struct tool_opts so = { 0 };
	struct tool s = { 0 };
	struct keys k = { "pkcs11:", false };
	bool json = false;
	const struct opt table[] = {
		{ "no-login", .flag = &k.no_login },
		TOKEN_OPTS(so),
		{ "json", .flag = &json },
		{ .name = NULL },
	};
	const struct args a = { "ofs-token keys", help, table, &json };
	struct operands ops;
	int rc;

	rc = args_parse(&a, o, argc, argv, &ops);
	if (rc == 0)
		rc = args_operands(&a, o, &ops, 0, 1, "the URI");
	if (rc != 0)
		return rc == ARGS_DONE ? 0 : rc;
	if (ops.n == 1)
		k.uri = ops.p[0];
	rc = tool_open(&s, o, &so);
	if (rc == 0)
		rc = keys(&s, &so, &k);
	tool_close(&s);
	return rc;
}
