/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ofs-audit erase: removes what one record says, as an auditor allows. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "audit.h"
#include "common/plain.h"
#include "common/small.h"

#define ACCEPT_MAX (1u << 20)

/* clang-format off */
static const char help[] =
"usage: ofs-audit erase SEQ [options]\n"
"\n"
"Removes what the record with this number says, for good. That it was there, its\n"
"type and its time stay, and the log verifies as before. One of the auditors whom\n"
"the log names has to sign the statement about it. Backups still have it.\n"
"\n"
"  --reason TEXT   for the auditor and for the record, with --statement\n"
"  --statement     only prints what an auditor has to sign\n"
"  --accept FILE   that, signed\n"
CMD_AUDIT_WRITE_HELP
"  --audit DIR     the log (OFS_AUDIT)\n"
"  --json          one JSON object a line\n"
"\n"
"Example: ofs-audit erase 42 --reason 'asked for by D. Ata' --statement >42.txt\n"
"         openssl cms -sign -in 42.txt -nodetach -binary -outform PEM \\\n"
"             -signer auditor.pem -inkey auditor.key -out 42.pem\n"
"         ofs-audit erase 42 --accept 42.pem\n";
/* clang-format on */

static int
state(struct tool *s, uint64_t seq, const char *reason)
{
	char *text;

	if (ofs_audit_erase_statement(s->audit, seq, reason, &text) != 0)
		return cmd_audit_fail_record(s);
	fputs(text, out_human(s->out));
	free(text);
	return 0;
}

/* the number is wrong, or what was signed */
static int
fail(struct tool *s, const char *accept)
{
	struct ofs_error e;

	ofs_audit_error(s->audit, &e);
	return e.code == OFS_EKEY ? cmd_audit_fail_record(s)
				  : cmd_audit_fail_file(s, "--accept", accept);
}

static int
erase(struct tool *s, uint64_t seq, const char *accept)
{
	struct bytes cms = { NULL, 0 };
	uint64_t event;
	struct jline j;
	int rc;

	rc = small_read(s->out, accept, ACCEPT_MAX, &cms);
	if (rc == 0 &&
		ofs_audit_erase(s->audit, seq, cms.p, cms.n, &event) != 0)
		rc = fail(s, accept);
	small_free(&cms);
	if (rc != 0)
		return rc;
	if (s->out->json) {
		jline_begin(&j, "erased");
		jline_number(&j, "seq", (int64_t)seq);
		jline_number(&j, "event", (int64_t)event);
		return jline_end(&j, s->out);
	}
	fprintf(out_human(s->out),
		"erased what record %" PRIu64 " said, as record %" PRIu64
		" tells\n",
		seq, event);
	return 0;
}

int
cmd_audit_erase(struct out *o, int argc, char **argv)
{
	const char *reason = NULL, *accept = NULL;
	bool json = false, statement = false;
	struct tool_opts so = { 0 };
	struct tool s = { 0 };
	const struct opt table[] = {
		{ "reason", .text = &reason },
		{ "statement", .flag = &statement },
		{ "accept", .text = &accept },
		CMD_AUDIT_WRITE_OPTS(so),
		{ "audit", .text = &so.audit },
		{ "json", .flag = &json },
		{ .name = NULL },
	};
	const struct args a = { "ofs-audit erase", help, table, &json };
	struct operands ops;
	uint64_t seq = 0;
	int rc;

	rc = args_parse(&a, o, argc, argv, &ops);
	if (rc == 0)
		rc = cmd_audit_number(&a, o, &ops, &seq);
	if (rc == 0 && statement == (accept != NULL))
		rc = args_usage(
			&a, o, "give either '--statement' or '--accept'");
	if (rc == 0 && statement && (reason == NULL || json))
		rc = args_usage(&a, o,
			"'--statement' needs '--reason', and has no JSON");
	if (rc != 0)
		return rc == ARGS_DONE ? 0 : rc;
	rc = statement ? cmd_audit_open(&s, o, &so)
		       : cmd_audit_open_to_write(&s, o, &so);
	if (rc == 0)
		rc = statement ? state(&s, seq, reason)
			       : erase(&s, seq, accept);
	tool_close(&s);
	return rc;
}
