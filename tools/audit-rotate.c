/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ofs-audit rotate: a new key for the log, and another set of readers. */
#include <string.h>

#include "audit-unlock.h"

/* clang-format off */
static const char help[] =
"usage: ofs-audit rotate [options]\n"
"\n"
"Records from now on are encrypted with a new key. No record is encrypted\n"
"again: an auditor who is dropped still reads what was written before, and one\n"
"who is added reads that, too, unless the log is sealed.\n"
"\n"
"  --auditor CERT  this certificate's owner may read from now on; may be given\n"
"                 again\n"
"  --drop-auditor SHA256  this one no more: the hash of the certificate as\n"
"                 shown, at least 8 digits; may be given again\n"
"  --station-key FILE  a new station key; made where there is none\n"
"  --station-key pkcs11:URI  one on a token, made by 'ofs-token enroll --use\n"
"                 log'; --module PATH, --pin-source SOURCE as in ofs-token\n"
"  --new-passphrase-source SOURCE  a new passphrase; SOURCE as for --pin-source\n"
"  --passphrase-source SOURCE  that of now, when the log has one; the PIN of\n"
"                 the token that has its station key; or the passphrase of the\n"
"                 auditor's key\n"
"  --auditor-key FILE  instead of a station key or passphrase that is lost; in\n"
"                 a sealed log it also opens to the station what is unfinished\n"
"                 since a backup was restored\n"
"  --reason TEXT  for the record\n"
"  --audit DIR    the log (OFS_AUDIT)\n"
"  --json         one JSON object a line\n"
"\n"
"Example: ofs-audit rotate --drop-auditor 0f3a55c1 --reason 'left the firm'\n";
/* clang-format on */

static int
rotate_to_token(
	struct tool *s, ofs_token *token, struct ofs_audit_rotate_opts *ro)
{
	const char *uri = ro->station_key;

	ro->station_key = NULL;
	if (ofs_audit_rotate_to_token(s->audit, token, uri, ro) != 0)
		return out_fail_with(s->out, ofs_token_error(token));
	return 0;
}

/* what opens it now, and what will */
static int
rotate(struct tool *s, const struct tool_opts *so, const struct unlock *u,
	ofs_token *token, const char *source, struct ofs_audit_rotate_opts *ro)
{
	char *passphrase = NULL;
	int rc;

	rc = cmd_audit_unlock(s, so, u);
	if (rc == 0 && source != NULL)
		rc = pinsrc_passphrase(s->out, "--new-passphrase-source",
			source, "the audit log", true, &passphrase);
	ro->passphrase = passphrase;
	if (rc == 0 && tool_is_on_token(ro->station_key))
		rc = rotate_to_token(s, token, ro);
	else if (rc == 0 && ofs_audit_rotate(s->audit, ro) != 0)
		rc = cmd_audit_fail(s);
	pinsrc_buffer_free(passphrase);
	return rc;
}

int
cmd_audit_rotate(struct out *o, int argc, char **argv)
{
	struct ofs_audit_rotate_opts ro = OFS_AUDIT_ROTATE_OPTS_INIT;
	struct ofs_audit_cert certs[STRINGS_MAX] = { { NULL, 0 } };
	struct strings auditors = { .n = 0 }, drop = { .n = 0 };
	struct unlock u = { NULL, NULL, NULL };
	const char *passphrase = NULL;
	ofs_token *token = NULL;
	struct tool_opts so = { 0 };
	struct tool s = { 0 };
	bool json = false;
	const struct opt table[] = {
		{ "auditor", .list = &auditors },
		{ "drop-auditor", .list = &drop },
		{ "station-key", .text = &ro.station_key },
		{ "new-passphrase-source", .text = &passphrase },
		{ "passphrase-source", .text = &u.passphrase },
		{ "auditor-key", .text = &u.key },
		{ "reason", .text = &ro.reason },
		{ "module", .list = &so.modules },
		{ "pin-source", .text = &so.pin },
		{ "audit", .text = &so.audit },
		{ "json", .flag = &json },
		{ .name = NULL },
	};
	const struct args a = { "ofs-audit rotate", help, table, &json };
	struct operands ops;
	int rc;

	rc = args_parse(&a, o, argc, argv, &ops);
	if (rc == 0)
		rc = args_operands(&a, o, &ops, 0, 0, "");
	if (rc != 0)
		return rc == ARGS_DONE ? 0 : rc;
	rc = cmd_audit_certs(o, &auditors, certs);
	ro.auditors = certs;
	ro.n_auditors = auditors.n;
	ro.drop = drop.p;
	ro.n_drop = drop.n;
	so.locked = cmd_audit_unlock_given(&u);
	so.lists = ro.station_key != NULL || passphrase != NULL;
	if (rc == 0)
		rc = cmd_audit_open_near(&s, o, &so,
			tool_is_on_token(ro.station_key) ? ro.station_key
							 : NULL,
			&token);
	if (rc == 0)
		rc = rotate(&s, &so, &u, token, passphrase, &ro);
	if (rc == 0)
		rc = cmd_audit_readers(&s);
	ofs_token_free(token);
	cmd_audit_certs_free(certs);
	tool_close(&s);
	return rc;
}
