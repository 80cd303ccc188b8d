/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ofs-audit audit-key: which key signs checkpoints; one for a log without. */
#include <inttypes.h>
#include <string.h>

#include "audit.h"
#include "common/plain.h"

/* clang-format off */
static const char help[] =
"usage: ofs-audit audit-key [options]\n"
"\n"
"Prints the verifier key of the log: with it, and without the log, others check\n"
"its checkpoints and proofs. Give it to them by a way of its own.\n"
"\n"
"  --set file[:PATH]   name a key for a log that has none: it is made there if\n"
"                      nothing is; default: beside the log's directory\n"
"  --set pkcs11:URI    one on a token, made by 'ofs-token enroll' without a\n"
"                      certificate: ed25519 or ec:P-256\n"
CMD_AUDIT_WRITE_HELP
"  --audit DIR         the log (OFS_AUDIT)\n"
"  --module PATH, --pin-source SOURCE   as in ofs-token\n"
"  --json              as one JSON object\n"
"\n"
"A log has one audit key, for good. It signs nothing else, and a key that has\n"
"signed documents is refused. A key in a file is in the hands of whoever owns\n"
"this machine; one behind the PIN of the documents' key does not protect\n"
"against the operator, and a warning says so.\n"
"\n"
"Example: ofs-audit audit-key --set file:/root/audit-key.pem\n";
/* clang-format on */

static int
print(struct tool *s)
{
	struct ofs_audit_key_check c = { .size = sizeof(c) };
	struct ofs_audit_key_info k = { .size = sizeof(k) };
	struct jline j;
	FILE *f;

	if (ofs_audit_get_key(s->audit, &k) != 0)
		return cmd_audit_fail(s);
	if (k.vkey[0] == '\0')
		return out_fail(s->out, OFS_EKEY,
			"the log has no audit key; name one with --set");
	if (ofs_audit_check_key(s->audit, &c) != 0)
		return cmd_audit_fail(s);
	if (c.shared)
		out_warn(s->out,
			"no protection against the operator: token '%s' holds "
			"the audit key and signs documents, as record %" PRIu64
			" tells; keep that key on another token",
			c.token, c.seq);
	if (s->out->json) {
		jline_begin(&j, "audit-key");
		jline_text(&j, "vkey", k.vkey);
		jline_text(
			&j, "audit_key_place", k.on_token ? "token" : "file");
		if (k.place[0] != '\0')
			jline_text(&j, "place", k.place);
		jline_number(&j, "checkpoint_records", (int64_t)k.records);
		if (c.known || !k.on_token)
			jline_bool(&j, "shared", c.shared);
		else
			jline_null(&j, "shared");
		return jline_end(&j, s->out);
	}
	f = out_human(s->out);
	plain_put(f, k.vkey, strlen(k.vkey));
	fputc('\n', f);
	return 0;
}

/* a key on a token; the login is recorded */
static int
set_on_token(struct tool *s, const struct tool_opts *so, const char *uri,
	ofs_token *token)
{
	ofs_key *key = NULL;
	int rc;

	rc = cmd_audit_token_key(s, so, uri, &token, &key);
	if (rc == 0 && ofs_audit_set_token_key(s->audit, key) != 0)
		rc = out_fail_with(s->out, ofs_key_error(key));
	if (rc == 0)
		rc = cmd_audit_neighbours(
			s, token, ofs_key_get_info(key)->spki_sha256);
	ofs_key_free(key);
	return rc;
}

static int
set_key(struct tool *s, const struct tool_opts *so, const char *place,
	ofs_token *token)
{
	if (tool_is_on_token(place))
		return set_on_token(s, so, place, token);
	return ofs_audit_set_key(s->audit, place) == 0 ? 0 : cmd_audit_fail(s);
}

int
cmd_audit_key(struct out *o, int argc, char **argv)
{
	struct tool_opts so = { 0 };
	struct tool s = { 0 };
	ofs_token *token = NULL;
	const char *set = NULL;
	bool json = false;
	const struct opt table[] = {
		{ "set", .text = &set },
		{ "audit", .text = &so.audit },
		CMD_AUDIT_WRITE_OPTS(so),
		{ "pin-source", .text = &so.pin },
		{ "json", .flag = &json },
		{ .name = NULL },
	};
	const struct args a = { "ofs-audit audit-key", help, table, &json };
	struct operands ops;
	int rc;

	rc = args_parse(&a, o, argc, argv, &ops);
	if (rc == 0)
		rc = args_operands(&a, o, &ops, 0, 0, "");
	if (rc != 0)
		return rc == ARGS_DONE ? 0 : rc;
	rc = set == NULL ? cmd_audit_open(&s, o, &so)
			 : cmd_audit_open_near(&s, o, &so,
				   tool_is_on_token(set) ? set : NULL, &token);
	if (rc == 0 && set != NULL)
		rc = set_key(&s, &so, set, token);
	if (rc == 0)
		rc = print(&s);
	ofs_token_free(token);
	tool_close(&s);
	return rc;
}
