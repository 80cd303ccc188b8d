/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ofs-audit init: creates a log with choices. */
#include <stdlib.h>
#include <string.h>

#include "audit-unlock.h"
#include "common/plain.h"

/* clang-format off */
static const char help[] =
"usage: ofs-audit init [options]\n"
"\n"
"Creates an audit log. Signing creates one with the defaults where none is.\n"
"\n"
"  --audit DIR     where; else OFS_AUDIT, $XDG_STATE_HOME/offlinesig,\n"
"                  /var/lib/offlinesig for root, ~/.local/state/offlinesig\n"
"  --origin NAME   the name of the log; default: host name and random letters,\n"
"                  of a sealed log those alone\n"
"  --group NAME    members of this group may write it, too\n"
"  --audit-key file[:PATH]\n"
"                  the key that signs heads of the log; made at PATH if nothing\n"
"                  is there; default: beside the log's directory\n"
"  --audit-key pkcs11:URI\n"
"                  one on a token, made before without a certificate: ed25519 or\n"
"                  ec:P-256; --module PATH, --pin-source SOURCE as in ofs-token\n"
"\n"
"Records are encrypted. A station key lets this station read them:\n"
"  --station-key FILE  where it is, or is to be made; default: ID.key in\n"
"                  $XDG_CONFIG_HOME/offlinesig, /etc/offlinesig for root,\n"
"                  ~/.config/offlinesig\n"
"  --station-key pkcs11:URI  one on a token, made before by 'ofs-token enroll\n"
"                  --use log': who has the disk alone reads nothing\n"
"  --auditor CERT  whoever has the private key of this certificate (RSA or EC)\n"
"                  can read them, too, and allow what restore and erase refuse\n"
"                  otherwise; may be given again\n"
"  --passphrase-source SOURCE  so can who knows this passphrase; SOURCE as for\n"
"                  --pin-source\n"
"  --no-station-key  the passphrase alone: whoever signs is asked for it\n"
"  --sealed        only auditors can read them, nothing on this station can; with\n"
"                  --station-key or --passphrase-source that opens what is not\n"
"                  finished, so that it can be gone on with\n"
"  --plain         they are not encrypted\n"
"\n"
"  --json          one JSON object a line\n"
"\n"
"Example: ofs-audit init --audit /var/lib/offlinesig --group signers\n";
/* clang-format on */

static int
say_created(struct tool *s, const char *dir,
	const struct ofs_audit_init_opts *opts, bool on_token)
{
	struct jline j;
	FILE *f;

	if (s->out->json) {
		jline_begin(&j, "created");
		jline_name(&j, "audit", dir, strlen(dir));
		return jline_end(&j, s->out);
	}
	f = out_human(s->out);
	fputs("created the audit log ", f);
	plain_put(f, dir, strlen(dir));
	fputc('\n', f);
	if (on_token)
		fputs("its audit key is on a token: who has the PIN of that "
		      "can sign other\nhistories with it\n",
			f);
	else if (opts->audit_key != NULL)
		fputs("its audit key is in a file: whoever owns this machine "
		      "can sign other\nhistories with it\n",
			f);
	return 0;
}

/* URIs, for what is on a token */
struct on_token {
	const char *audit_key, *station_key;
};

/* out of the options, where a URI stands instead of a file */
static const char *
take_uri(const char **place)
{
	const char *uri = tool_is_on_token(*place) ? *place : NULL;

	if (uri != NULL)
		*place = NULL;
	return uri;
}

/* what else is on the token of the audit key */
static int
warn_of_neighbours(struct tool *s, ofs_token *token, const char *uri)
{
	ofs_key *key = NULL;
	int rc = 0;

	if (uri == NULL)
		return 0;
	if (ofs_key_open(token, uri, 0, &key) != 0)
		rc = out_fail_with(s->out, ofs_token_error(token));
	if (rc == 0)
		rc = cmd_audit_neighbours(
			s, token, ofs_key_get_info(key)->spki_sha256);
	ofs_key_free(key);
	return rc;
}

static int
make(struct tool *s, const struct tool_opts *so, const char *dir,
	const struct ofs_audit_init_opts *opts, const struct on_token *on)
{
	const char *uri =
		on->audit_key != NULL ? on->audit_key : on->station_key;
	ofs_token *token = NULL;
	int rc;

	if (uri == NULL)
		return ofs_audit_init(s->ctx, dir, opts) == 0
			? 0
			: out_fail_with(s->out, ofs_ctx_error(s->ctx));
	rc = cmd_audit_token(s, so, uri, &token);
	if (rc == 0 &&
		ofs_audit_init_on_token(
			token, on->audit_key, on->station_key, dir, opts) != 0)
		rc = out_fail_with(s->out, ofs_token_error(token));
	if (rc == 0)
		rc = warn_of_neighbours(s, token, on->audit_key);
	ofs_token_free(token);
	return rc;
}

static int
create(struct tool *s, const struct tool_opts *so, const char *dir,
	struct ofs_audit_init_opts *opts)
{
	struct on_token on = { take_uri(&opts->audit_key),
		take_uri(&opts->station_key) };
	int rc;

	rc = make(s, so, dir, opts, &on);
	if (rc == 0 &&
		ofs_audit_open(s->ctx, dir, OFS_AUDIT_READ_ONLY, &s->audit) !=
			0)
		rc = out_fail_with(s->out, ofs_ctx_error(s->ctx));
	if (rc != 0)
		return rc;
	rc = say_created(s, dir, opts, on.audit_key != NULL);
	if (rc == 0)
		rc = cmd_audit_readers(s);
	if (rc == 0 && !s->out->json)
		fputs("next, keep a copy of its log.head outside this "
		      "machine, and anew from time to\ntime, for 'ofs-audit "
		      "verify --from-head'\n",
			out_human(s->out));
	return rc;
}

/* with what the options name, read from files and asked for */
static int
create_with(struct tool *s, const struct tool_opts *so,
	struct ofs_audit_init_opts *io, const struct strings *auditors,
	const char *passphrase_source)
{
	struct ofs_audit_cert certs[STRINGS_MAX];
	char *dir = NULL, *passphrase = NULL;
	int rc;

	rc = cmd_audit_certs(s->out, auditors, certs);
	io->auditors = certs;
	io->n_auditors = auditors->n;
	if (rc == 0 && passphrase_source != NULL)
		rc = cmd_audit_passphrase(s->out, passphrase_source,
			"the audit log", true, &passphrase);
	io->passphrase = passphrase;
	if (rc == 0 && (dir = tool_audit_dir(s->out, so)) == NULL)
		rc = OFS_EAUDIT;
	if (rc == 0)
		rc = create(s, so, dir, io);
	pinsrc_buffer_free(passphrase);
	cmd_audit_certs_free(certs);
	free(dir);
	return rc;
}

int
cmd_audit_init(struct out *o, int argc, char **argv)
{
	struct ofs_audit_init_opts io = OFS_AUDIT_INIT_OPTS_INIT;
	struct strings auditors = { .n = 0 };
	const char *passphrase = NULL;
	struct tool_opts so = { 0 };
	struct tool s = { 0 };
	bool json = false;
	const struct opt table[] = {
		{ "audit", .text = &so.audit },
		{ "origin", .text = &io.origin },
		{ "group", .text = &io.group },
		{ "station-key", .text = &io.station_key },
		{ "passphrase-source", .text = &passphrase },
		{ "no-station-key", .flag = &io.no_station_key },
		{ "sealed", .flag = &io.sealed },
		{ "plain", .flag = &io.plain },
		{ "auditor", .list = &auditors },
		{ "audit-key", .text = &io.audit_key },
		{ "module", .list = &so.modules },
		{ "pin-source", .text = &so.pin },
		{ "json", .flag = &json },
		{ .name = NULL },
	};
	const struct args a = { "ofs-audit init", help, table, &json };
	struct operands ops;
	int rc;

	rc = args_parse(&a, o, argc, argv, &ops);
	if (rc == 0)
		rc = args_operands(&a, o, &ops, 0, 0, "");
	if (rc != 0)
		return rc == ARGS_DONE ? 0 : rc;
	rc = tool_open(&s, o, &so);
	if (rc == 0)
		rc = create_with(&s, &so, &io, &auditors, passphrase);
	tool_close(&s);
	return rc;
}
