/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ofs-audit checkpoint: the newest signed head of the log. */
#include <stdlib.h>
#include <string.h>

#include "audit.h"
#include "common/plain.h"

/* clang-format off */
static const char help[] =
"usage: ofs-audit checkpoint [options]\n"
"\n"
"Prints the newest checkpoint: a head of the log that the audit key has signed,\n"
"as text. Keep it where this machine cannot write; who has it, and the verifier\n"
"key, sees whether the log was cut off or changed later.\n"
"\n"
"  --sign         sign one of all records first\n"
"  --audit DIR    the log (OFS_AUDIT)\n"
"  --json         as one JSON object\n"
"\n"
"Example: ofs-audit checkpoint --sign >/media/stick/checkpoint\n";
/* clang-format on */

static int
print(struct tool *s, const char *note)
{
	struct ofs_audit_key_info k = { .size = sizeof(k) };
	struct jline j;

	if (ofs_audit_get_key(s->audit, &k) != 0)
		return cmd_audit_fail(s);
	if (s->out->json) {
		jline_begin(&j, "checkpoint");
		jline_number(&j, "records", (int64_t)k.records);
		jline_text(&j, "note", note);
		jline_text(&j, "vkey", k.vkey);
		jline_text(
			&j, "audit_key_place", k.on_token ? "token" : "file");
		return jline_end(&j, s->out);
	}
	fputs(note, out_human(s->out));
	return 0;
}

int
cmd_audit_checkpoint(struct out *o, int argc, char **argv)
{
	struct tool_opts so = { 0 };
	struct tool s = { 0 };
	bool sign = false, json = false;
	const struct opt table[] = {
		{ "sign", .flag = &sign },
		{ "audit", .text = &so.audit },
		{ "json", .flag = &json },
		{ .name = NULL },
	};
	const struct args a = { "ofs-audit checkpoint", help, table, &json };
	struct operands ops;
	char *note = NULL;
	int rc;

	rc = args_parse(&a, o, argc, argv, &ops);
	if (rc == 0)
		rc = args_operands(&a, o, &ops, 0, 0, "");
	if (rc != 0)
		return rc == ARGS_DONE ? 0 : rc;
	rc = sign ? cmd_audit_open_to_write(&s, o, &so)
		  : cmd_audit_open(&s, o, &so);
	if (rc == 0 && ofs_audit_checkpoint(s.audit, sign, &note) != 0)
		rc = cmd_audit_fail(&s);
	if (rc == 0)
		rc = print(&s, note);
	free(note);
	tool_close(&s);
	return rc;
}
