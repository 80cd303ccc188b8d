/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ofs-token init: makes a blank token ready and sets its PINs. */
#include <string.h>

#include "common/plain.h"
#include "token.h"

/* clang-format off */
static const char help[] =
"usage: ofs-token init --label NAME [options]\n"
"\n"
"Initialises a blank token: sets its label, the SO PIN (for the administrator)\n"
"and the user PIN (for signing). Recorded in the audit log.\n"
"\n"
"  --label NAME       the new label, at most 32 bytes\n"
"  --token URI        which token; default: the first that is blank\n"
"  --erase LABEL      erase the initialised token of this label: all its keys\n"
"                     are lost for good\n"
"  --so-pin-source SRC  as --pin-source (OFS_SO_PIN_SOURCE)\n"
TOKEN_HELP
"\n"
"Example: ofs-token init --label payroll --so-pin-source file:so \\\n"
"             --pin-source file:pin\n";
/* clang-format on */

/* the shortest that is right: a plain label needs no percent signs */
static void
put_key_uri(FILE *f, const struct ofs_token_info *t)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
	char uri[sizeof(t->uri) + 16];

	if (strspn(t->label, plain) == strlen(t->label))
		snprintf(uri, sizeof(uri), "pkcs11:token=%s;object=NAME",
			t->label);
	else
		snprintf(uri, sizeof(uri), "%s;object=NAME", t->uri);
	plain_put_shell(f, uri);
}

static int
report(struct out *o, const struct ofs_token_info *t)
{
	struct jline j;
	FILE *f;

	if (o->json) {
		jline_begin(&j, "token");
		jline_text(&j, "label", t->label);
		jline_text(&j, "uri", t->uri);
		jline_text(&j, "serial", t->serial);
		jline_bool(&j, "initialised", t->initialised);
		jline_bool(&j, "pin_initialised", t->pin_initialised);
		return jline_end(&j, o);
	}
	f = out_human(o);
	fputs("token '", f);
	plain_put(f, t->label, strlen(t->label));
	fputs("' is ready\n", f);
	cmd_token_row(f, "serial", t->serial);
	cmd_token_row(f, "URI", t->uri);
	fputs("next, make a key on it:\n  ofs-token enroll ", f);
	put_key_uri(f, t);
	fputs(" \\\n      --key-type ec:P-256 --subject '/O=.../CN=...' "
	      "--csr req.pem\n",
		f);
	return 0;
}

int
cmd_token_init(struct out *o, int argc, char **argv)
{
	struct ofs_token_init_opts io = OFS_TOKEN_INIT_OPTS_INIT;
	struct ofs_token_info info = { .size = sizeof(info) };
	struct tool_opts so = { 0 };
	struct tool s = { 0 };
	bool json = false;
	const struct opt table[] = {
		{ "label", .text = &io.label },
		{ "token", .text = &io.uri },
		{ "erase", .text = &io.erase },
		{ "so-pin-source", .text = &so.so_pin },
		TOKEN_OPTS(so),
		{ "json", .flag = &json },
		{ .name = NULL },
	};
	const struct args a = { "ofs-token init", help, table, &json };
	struct operands ops;
	int rc;

	rc = args_parse(&a, o, argc, argv, &ops);
	if (rc == 0)
		rc = args_operands(&a, o, &ops, 0, 0, "");
	if (rc == 0 && io.label == NULL)
		rc = args_usage(&a, o, "'--label NAME' is missing");
	if (rc != 0)
		return rc == ARGS_DONE ? 0 : rc;
	rc = tool_open(&s, o, &so);
	if (rc == 0)
		rc = tool_modules(&s, &so);
	if (rc == 0)
		rc = tool_audit(&s, &so, OFS_AUDIT_CREATE);
	if (rc == 0 && ofs_token_init(s.ctx, &io, &info) != 0)
		rc = out_fail_with(o, ofs_ctx_error(s.ctx));
	if (rc == 0)
		rc = report(o, &info);
	tool_close(&s);
	return rc;
}
