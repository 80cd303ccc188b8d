/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ofs-audit: creates, verifies and reads the record of operations. */
#include <stdio.h>

#include "audit.h"
#include "common/exit.h"
#include "common/plain.h"

/* clang-format off */
static const char help[] =
"usage: ofs-audit VERB [options] [operands]\n"
"\n"
"  init        create a log with choices; the first signature creates one\n"
"              without\n"
"  verify      check every record, the tree over them and the head; name\n"
"              batches that were not closed and outcomes that are unknown\n"
"  list        one line for each record\n"
"  show SEQ    every field of one record\n"
"  rotate      a new key for an encrypted log, and who may read it from now on\n"
"  checkpoint  the newest signed head of the log\n"
"  audit-key   the key that signs those, for who checks them\n"
"  prove SEQ   a proof that the record is in the log\n"
"  check-proof FILE  check one without the log\n"
"  witness FILE  cosign a checkpoint of another station's log\n"
"  timestamp   when a checkpoint was there, by a time-stamping authority\n"
"  anchor      the newest checkpoint on a token, for who reads it there\n"
"  backup DEST  a verified copy, made while others sign\n"
"  restore BACKUP  put it in the place of the log, if nothing is lost by that\n"
"  erase SEQ   remove what one record says, as an auditor allows\n"
"  reconcile DIR...  signature files that are found against the records\n"
"  export      records as a table or as JSON Lines; the tree, for others\n"
"\n"
"  --audit DIR   the log; else OFS_AUDIT, $XDG_STATE_HOME/offlinesig,\n"
"                /var/lib/offlinesig for root, ~/.local/state/offlinesig\n"
"  --json        one JSON object a line\n"
"  --help, --version\n"
"\n"
"verify, list and show write nothing, unless they are given somebody's key to\n"
"read with; they work on a copy and on a medium that cannot be written.\n"
"'ofs-audit VERB --help' has the options of a verb.\n"
"\n"
"Exit status: 0 done; 1 files and records differ; 2 usage; 3 token or module;\n"
"4 PIN or login; 5 the log exists already (init), an output cannot be written;\n"
"6 the log is damaged or cannot be used.\n"
"\n"
"Example: ofs-audit verify --audit /media/stick/log\n";
/* clang-format on */

static const struct verb verbs[] = {
	{ "init", cmd_audit_init },
	{ "verify", cmd_audit_verify },
	{ "list", cmd_audit_list },
	{ "show", cmd_audit_show },
	{ "rotate", cmd_audit_rotate },
	{ "checkpoint", cmd_audit_checkpoint },
	{ "audit-key", cmd_audit_key },
	{ "prove", cmd_audit_prove },
	{ "check-proof", cmd_audit_check_proof },
	{ "witness", cmd_audit_witness },
	{ "timestamp", cmd_audit_timestamp },
	{ "anchor", cmd_audit_anchor },
	{ "backup", cmd_audit_backup },
	{ "restore", cmd_audit_restore },
	{ "erase", cmd_audit_erase },
	{ "reconcile", cmd_audit_reconcile },
	{ "export", cmd_audit_export },
	{ .name = NULL },
};

int
cmd_audit_open(struct tool *s, struct out *o, const struct tool_opts *so)
{
	int rc = tool_open(s, o, so);

	return rc != 0 ? rc : tool_audit(s, so, OFS_AUDIT_READ_ONLY);
}

int
cmd_audit_open_to_write(
	struct tool *s, struct out *o, const struct tool_opts *so)
{
	ofs_token *none = NULL;

	return cmd_audit_open_near(s, o, so, NULL, &none);
}

int
cmd_audit_open_near(struct tool *s, struct out *o, const struct tool_opts *so,
	const char *uri, ofs_token **token)
{
	struct tool_opts own = *so;
	int rc = tool_open(s, o, so);

	own.locked = true;
	if (rc == 0)
		rc = tool_audit(s, &own, 0);
	return rc != 0 ? rc : cmd_audit_unlock_near(s, so, uri, token);
}

int
cmd_audit_unlock_near(struct tool *s, const struct tool_opts *so,
	const char *uri, ofs_token **token)
{
	struct tool_opts own = *so;
	int rc = uri != NULL ? cmd_audit_token(s, so, uri, token) : 0;

	if (rc != 0 || so->locked)
		return rc;
	own.passphrase_option = "--passphrase-source";
	own.may_lack = true; /* the verb tells what it cannot do then */
	s->near = *token;
	rc = tool_unlock(s, &own);
	s->near = NULL;
	return rc;
}

int
cmd_audit_token(struct tool *s, const struct tool_opts *so, const char *uri,
	ofs_token **out)
{
	int rc = tool_modules(s, so);

	if (rc == 0 && ofs_token_open(s->ctx, uri, out) != 0)
		rc = out_fail_with(s->out, ofs_ctx_error(s->ctx));
	return rc;
}

int
cmd_audit_token_key(struct tool *s, const struct tool_opts *so, const char *uri,
	ofs_token **token, ofs_key **key)
{
	int rc = *token != NULL ? 0 : cmd_audit_token(s, so, uri, token);

	if (rc == 0 && ofs_key_open(*token, uri, 0, key) != 0)
		rc = out_fail_with(s->out, ofs_token_error(*token));
	return rc;
}

int
cmd_audit_fail(struct tool *s)
{
	struct ofs_error e;

	ofs_audit_error(s->audit, &e);
	return out_fail_with(s->out, &e);
}

int
cmd_audit_fail_file(struct tool *s, const char *option, const char *path)
{
	struct ofs_error e;

	ofs_audit_error(s->audit, &e);
	return out_fail_file(s->out, &e, option, path);
}

int
cmd_audit_fail_record(struct tool *s)
{
	struct ofs_error e;

	ofs_audit_error(s->audit, &e);
	if (e.code == OFS_EKEY)
		e.code = OFS_EINVAL;
	return out_fail_with(s->out, &e);
}

int
cmd_audit_number(const struct args *a, struct out *o,
	const struct operands *ops, uint64_t *seq)
{
	int rc = args_operands(a, o, ops, 1, 1, "the record's number");

	if (rc == 0 && !plain_parse_number(ops->p[0], INT64_MAX, seq))
		rc = args_usage(a, o, "'%s' is not the number of a record",
			NAME(ops->p[0]));
	return rc;
}

int
main(int argc, char **argv)
{
	struct out o = OUT_INIT;

	if (!out_guard())
		return exit_status(OFS_EIO);
	tool_harden();
	return exit_status(out_end(
		&o, args_verb("ofs-audit", help, verbs, &o, argc, argv)));
}
