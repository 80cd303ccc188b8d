/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ofs-token import-cert: stores the certificate of a key on its token. */
#include <string.h>

#include "common/small.h"
#include "common/plain.h"
#include "token.h"

/* clang-format off */
static const char help[] =
"usage: ofs-token import-cert URI FILE [options]\n"
"\n"
"Stores a certificate (PEM or DER, '-' is standard input) with the key that the\n"
"URI names. A certificate of another key is refused; one that is there already\n"
"is replaced. Recorded in the audit log.\n"
"\n"
SO_HELP
TOKEN_HELP
"\n"
"Example: ofs-token import-cert 'pkcs11:token=payroll;object=batch' cert.pem\n";
/* clang-format on */

static int
import(struct tool *s, const struct tool_opts *so, const char *uri,
	const char *path)
{
	struct bytes cert = { NULL, 0 };
	ofs_token *token = NULL;
	struct jline j;
	FILE *f;
	int rc;

	rc = small_read(s->out, path, SMALL_PEM_MAX, &cert);
	if (rc == 0)
		rc = tool_token(s, so, uri, &token);
	if (rc == 0 &&
		ofs_cert_import(token, s->audit, uri, cert.p, cert.n) != 0)
		rc = out_fail_file(s->out, ofs_token_error(token), NULL, path);
	if (rc == 0 && s->out->json) {
		jline_begin(&j, "imported");
		jline_text(&j, "uri", uri);
		jline_name(&j, "file", path, strlen(path));
		rc = jline_end(&j, s->out);
	} else if (rc == 0) {
		f = out_human(s->out);
		fputs("the certificate is on the token\n"
		      "next, sign:\n  ofs-sign --key ",
			f);
		plain_put_shell(f, uri);
		fputs(" FILE...\n", f);
	}
	small_free(&cert);
	ofs_token_free(token);
	return rc;
}

int
cmd_token_import_cert(struct out *o, int argc, char **argv)
{
	struct tool_opts so = { 0 };
	struct tool s = { 0 };
	bool json = false;
	const struct opt table[] = {
		SO_OPTS(so),
		TOKEN_OPTS(so),
		{ "json", .flag = &json },
		{ .name = NULL },
	};
	const struct args a = { "ofs-token import-cert", help, table, &json };
	struct operands ops;
	int rc;

	rc = args_parse(&a, o, argc, argv, &ops);
	if (rc == 0)
		rc = args_operands(&a, o, &ops, 2, 2,
			"the URI of the key or the certificate's file");
	if (rc != 0)
		return rc == ARGS_DONE ? 0 : rc;
	so.always_auth = OFS_ALWAYS_AUTH_HOLD; /* nothing is signed */
	rc = tool_open(&s, o, &so);
	if (rc == 0)
		rc = import(&s, &so, ops.p[0], ops.p[1]);
	tool_close(&s);
	return rc;
}
