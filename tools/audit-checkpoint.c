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
"  --qr           as a QR code, for the wall or the safe\n"
"  --ascii        the code is made of # and blanks\n"
"  --invert       light and dark changed, for a terminal with light letters\n"
CMD_AUDIT_WRITE_HELP
"  --audit DIR    the log (OFS_AUDIT)\n"
"  --module PATH, --pin-source SOURCE   as in ofs-token, where the key is on one\n"
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

/* with the key where it was when it was named */
static int
sign_on_token(struct tool *s, const struct tool_opts *so, const char *uri,
	ofs_token *token, char **note)
{
	ofs_key *key = NULL;
	int rc;

	rc = cmd_audit_token_key(s, so, uri, &token, &key);
	if (rc == 0 && ofs_audit_use_key(s->audit, key) != 0)
		rc = out_fail_with(s->out, ofs_key_error(key));
	if (rc == 0 && ofs_audit_checkpoint(s->audit, true, note) != 0)
		rc = cmd_audit_fail(s);
	(void)ofs_audit_use_key(s->audit, NULL);
	ofs_key_free(key);
	return rc;
}

static int
get(struct tool *s, bool sign, char **note)
{
	if (ofs_audit_checkpoint(s->audit, sign, note) != 0)
		return cmd_audit_fail(s);
	return 0;
}

/* the log is locked: one token may have its station key and the audit key */
static int
sign_one(struct tool *s, const struct tool_opts *so, char **note)
{
	struct ofs_audit_key_info k = { .size = sizeof(k) };
	ofs_token *token = NULL;
	const char *uri;
	int rc;

	if (ofs_audit_get_key(s->audit, &k) != 0)
		return cmd_audit_fail(s);
	uri = k.on_token && k.place[0] != '\0' ? k.place : NULL;
	rc = cmd_audit_unlock_near(s, so, uri, &token);
	if (rc == 0)
		rc = uri != NULL ? sign_on_token(s, so, uri, token, note)
				 : get(s, true, note);
	ofs_token_free(token);
	return rc;
}

int
cmd_audit_checkpoint(struct out *o, int argc, char **argv)
{
	struct tool_opts so = { 0 }, own;
	struct tool s = { 0 };
	bool sign = false, json = false, qr = false, ascii = false;
	bool invert = false;
	const struct opt table[] = {
		{ "sign", .flag = &sign },
		{ "qr", .flag = &qr },
		{ "ascii", .flag = &ascii },
		{ "invert", .flag = &invert },
		{ "audit", .text = &so.audit },
		CMD_AUDIT_WRITE_OPTS(so),
		{ "pin-source", .text = &so.pin },
		{ "json", .flag = &json },
		{ .name = NULL },
	};
	const struct args a = { "ofs-audit checkpoint", help, table, &json };
	struct operands ops;
	char *note = NULL;
	int rc;

	rc = args_parse(&a, o, argc, argv, &ops);
	own = so;
	if (rc == 0)
		rc = args_operands(&a, o, &ops, 0, 0, "");
	if (rc == 0 && qr && json)
		rc = args_usage(
			&a, o, "'--qr' and '--json' exclude each other");
	if (rc == 0 && !qr && (ascii || invert))
		rc = args_usage(&a, o, "'--ascii' and '--invert' are for --qr");
	if (rc != 0)
		return rc == ARGS_DONE ? 0 : rc;
	own.locked = true;
	rc = sign ? cmd_audit_open_to_write(&s, o, &own)
		  : cmd_audit_open(&s, o, &so);
	if (rc == 0)
		rc = sign ? sign_one(&s, &so, &note) : get(&s, false, &note);
	if (rc == 0)
		rc = qr ? cmd_audit_qr(o, note, ascii, invert)
			: print(&s, note);
	free(note);
	tool_close(&s);
	return rc;
}
