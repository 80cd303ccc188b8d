/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ofs-token rename: gives a key another label or id. */
#include <string.h>

#include "common/plain.h"
#include "token.h"

/* clang-format off */
static const char help[] =
"usage: ofs-token rename URI [--label NEW] [--id HEX] [options]\n"
"\n"
"Gives the key that the URI names another label or id: its private key, its\n"
"public key and its certificates, all or none. Refused when another object has\n"
"that label or id. Recorded in the audit log before it is done and after.\n"
"\n"
"  --label NEW        the new label, at most 128 bytes\n"
"  --id HEX           the new id, as hex digits\n"
SO_HELP
TOKEN_HELP
"\n"
"Example: ofs-token rename 'pkcs11:token=payroll;object=batch' \\\n"
"             --label batch-2026\n";
/* clang-format on */

static int
rename_key(struct tool *s, const struct tool_opts *so, const char *uri,
	const struct ofs_key_rename_opts *ro)
{
	struct ofs_enrolled e = { .size = sizeof(e) };
	ofs_token *token = NULL;
	FILE *f;
	int rc;

	rc = tool_token(s, so, uri, &token);
	if (rc == 0 && ofs_key_rename(token, s->audit, uri, ro, &e) != 0)
		rc = out_fail_with(s->out, ofs_token_error(token));
	if (rc == 0 && !s->out->json) {
		f = out_human(s->out);
		fputs("the key is renamed:\n", f);
	}
	if (rc == 0)
		rc = cmd_token_key_recorded(s->out, "renamed", &e, NULL);
	ofs_enrolled_clear(&e);
	ofs_token_free(token);
	return rc;
}

int
cmd_token_rename(struct out *o, int argc, char **argv)
{
	struct ofs_key_rename_opts ro = OFS_KEY_RENAME_OPTS_INIT;
	struct tool_opts so = { 0 };
	struct tool s = { 0 };
	const char *hex = NULL;
	uint8_t id[64];
	bool json = false;
	const struct opt table[] = {
		{ "label", .text = &ro.label },
		{ "id", .text = &hex },
		SO_OPTS(so),
		TOKEN_OPTS(so),
		{ "json", .flag = &json },
		{ .name = NULL },
	};
	const struct args a = { "ofs-token rename", help, table, &json };
	struct operands ops;
	int rc;

	rc = args_parse(&a, o, argc, argv, &ops);
	if (rc == 0)
		rc = args_operands(&a, o, &ops, 1, 1, "the URI of the key");
	if (rc == 0 && ro.label == NULL && hex == NULL)
		rc = args_usage(
			&a, o, "'--label NEW' or '--id HEX' is missing");
	if (rc == 0 && hex != NULL &&
		!plain_parse_hex(hex, id, sizeof(id), &ro.id_len))
		rc = args_usage(&a, o,
			"'--id' is 1 to 64 bytes as hex digits, not '%s'",
			NAME(hex));
	if (rc != 0)
		return rc == ARGS_DONE ? 0 : rc;
	ro.id = hex != NULL ? id : NULL;
	rc = tool_open(&s, o, &so);
	if (rc == 0)
		rc = rename_key(&s, &so, ops.p[0], &ro);
	tool_close(&s);
	return rc;
}
