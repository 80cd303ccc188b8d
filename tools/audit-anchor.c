/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ofs-audit anchor: the newest checkpoint as a data object on a token. */
#include <inttypes.h>
#include <string.h>

#include "audit.h"
#include "common/plain.h"

/* clang-format off */
static const char help[] =
"usage: ofs-audit anchor --token URI [options]\n"
"\n"
"Puts the newest checkpoint on a token as a data object that is read without a\n"
"PIN, in place of the older one of this log, and records that. What is on the\n"
"token already is compared with the log first: a token that knows of records\n"
"which the log lacks keeps what it has.\n"
"\n"
"  --token URI     the token\n"
CMD_AUDIT_WRITE_HELP
"  --audit DIR     the log (OFS_AUDIT)\n"
"  --module PATH, --pin-source SOURCE, --so-pin-source SOURCE   as in ofs-token\n"
"  --json          as one JSON object\n"
"\n"
"'ofs-audit verify --head-token URI' compares the log with it: it shows that the\n"
"log was put back to an older copy. Whoever can write to the token can replace\n"
"the object: who has the PIN, and on some tokens anybody.\n"
"\n"
"Example: ofs-audit anchor --token pkcs11:token=vault\n";
/* clang-format on */

static int
print(struct out *o, const struct ofs_audit_head *h, const char *label)
{
	struct jline j;
	FILE *f;

	if (o->json) {
		jline_begin(&j, "anchor");
		jline_text(&j, "kind", h->kind);
		jline_number(&j, "records", (int64_t)h->records);
		jline_text(&j, "place", h->place);
		jline_number(&j, "seq", (int64_t)h->seq);
		return jline_end(&j, o);
	}
	f = out_human(o);
	fprintf(f, "head of %" PRIu64 " records put on token ", h->records);
	plain_put(f, label, strlen(label));
	fprintf(f, ", record %" PRIu64 "\n", h->seq);
	return 0;
}

static int
put(struct tool *s, ofs_token *token)
{
	struct ofs_audit_head h = { .size = sizeof(h) };

	if (ofs_audit_put_token_head(s->audit, token, &h) != 0)
		return cmd_audit_fail(s);
	return print(s->out, &h, ofs_token_get_info(token)->label);
}

int
cmd_audit_anchor(struct out *o, int argc, char **argv)
{
	struct tool_opts so = { 0 };
	struct tool s = { 0 };
	ofs_token *token = NULL;
	const char *uri = NULL;
	bool json = false;
	const struct opt table[] = {
		{ "token", .text = &uri },
		{ "audit", .text = &so.audit },
		CMD_AUDIT_WRITE_OPTS(so),
		{ "pin-source", .text = &so.pin },
		{ "so-pin-source", .text = &so.so_pin },
		{ "json", .flag = &json },
		{ .name = NULL },
	};
	const struct args a = { "ofs-audit anchor", help, table, &json };
	struct operands ops;
	int rc;

	rc = args_parse(&a, o, argc, argv, &ops);
	if (rc == 0)
		rc = args_operands(&a, o, &ops, 0, 0, "");
	if (rc == 0 && uri == NULL)
		rc = args_usage(&a, o, "name the token with '--token'");
	if (rc != 0)
		return rc == ARGS_DONE ? 0 : rc;
	rc = cmd_audit_open_near(&s, o, &so, uri, &token);
	if (rc == 0)
		rc = put(&s, token);
	ofs_token_free(token);
	tool_close(&s);
	return rc;
}
