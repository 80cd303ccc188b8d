/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ofs-token adopt: checks and records a key that is on the token already. */
#include <string.h>

#include "common/plain.h"
#include "token.h"

/* clang-format off */
static const char help[] =
"usage: ofs-token adopt URI [options]\n"
"\n"
"Does for a key that is on the token already what enroll does for a new one:\n"
"refuses one that can leave the token, proves it with one signature, and\n"
"records it.\n"
"\n"
"  --use digest       it may sign digests of documents that are not here\n"
"  --use log          rsa: it opens audit logs as their station key, and signs\n"
"                     nothing\n"
TOKEN_SIGN_HELP
TOKEN_HELP
"\n"
"Example: ofs-token adopt 'pkcs11:token=yubikey;id=%02'\n";
/* clang-format on */

static int
adopt(struct tool *s, const struct tool_opts *so, const char *uri,
	const struct ofs_adopt_opts *ao)
{
	struct ofs_enrolled e = { .size = sizeof(e) };
	ofs_token *token = NULL;
	FILE *f;
	int rc;

	rc = tool_token(s, so, uri, &token);
	if (rc == 0 && ofs_key_adopt(token, s->audit, uri, ao, &e) != 0)
		rc = out_fail_with(s->out, ofs_token_error(token));
	if (rc == 0)
		rc = cmd_token_key_recorded(s->out, "adopted", &e, NULL);
	f = out_human(s->out);
	if (rc == 0 && !s->out->json && ao->use_log) {
		cmd_token_next_log(f, uri);
	} else if (rc == 0 && !s->out->json) {
		fputs(e.key.has_cert ? "next, sign:\n  ofs-sign --key "
				     : "next, give it its certificate:\n"
				       "  ofs-token import-cert ",
			f);
		plain_put_shell(f, uri);
		fputs(e.key.has_cert ? " FILE...\n" : " cert.pem\n", f);
	}
	ofs_enrolled_clear(&e);
	ofs_token_free(token);
	return rc;
}

int
cmd_token_adopt(struct out *o, int argc, char **argv)
{
	struct ofs_adopt_opts ao = OFS_ADOPT_OPTS_INIT;
	struct tool_opts so = { 0 };
	struct tool s = { 0 };
	int use = 0;
	bool json = false;
	const struct opt table[] = {
		{ "use", .choice = &use, .names = cmd_token_uses },
		TOKEN_SIGN_OPTS(so),
		TOKEN_OPTS(so),
		{ "json", .flag = &json },
		{ .name = NULL },
	};
	const struct args a = { "ofs-token adopt", help, table, &json };
	struct operands ops;
	int rc;

	rc = args_parse(&a, o, argc, argv, &ops);
	if (rc == 0)
		rc = args_operands(&a, o, &ops, 1, 1, "the URI of the key");
	if (rc != 0)
		return rc == ARGS_DONE ? 0 : rc;
	ao.use_digest = use == USE_DIGEST;
	ao.use_log = use == USE_LOG;
	rc = tool_open(&s, o, &so);
	if (rc == 0)
		rc = adopt(&s, &so, ops.p[0], &ao);
	tool_close(&s);
	return rc;
}
