/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ofs-audit init: creates a log with choices. */
#include <stdlib.h>
#include <string.h>

#include "audit.h"
#include "common/plain.h"

/* clang-format off */
static const char help[] =
"usage: ofs-audit init [options]\n"
"\n"
"Creates an audit log. Signing creates one with the defaults where none is.\n"
"\n"
"  --audit DIR     where; else OFS_AUDIT, $XDG_STATE_HOME/offlinesig,\n"
"                  /var/lib/offlinesig for root, ~/.local/state/offlinesig\n"
"  --origin NAME   the name of the log; default: host name and random letters\n"
"  --group NAME    members of this group may write it, too\n"
"  --json          one JSON object a line\n"
"\n"
"Example: ofs-audit init --audit /var/lib/offlinesig --group signers\n";
/* clang-format on */

static int
create(struct tool *s, const char *dir, const struct ofs_audit_init_opts *opts)
{
	struct jline j;
	FILE *f;

	if (ofs_audit_init(s->ctx, dir, opts) != 0)
		return out_fail_with(s->out, ofs_ctx_error(s->ctx));
	if (s->out->json) {
		jline_begin(&j, "created");
		jline_name(&j, "audit", dir, strlen(dir));
		return jline_end(&j, s->out);
	}
	f = out_human(s->out);
	fputs("created the audit log ", f);
	plain_put(f, dir, strlen(dir));
	fputs("\nnext, keep what 'ofs-audit verify' prints as root outside "
	      "this machine\n",
		f);
	return 0;
}

int
cmd_audit_init(struct out *o, int argc, char **argv)
{
	struct ofs_audit_init_opts io = OFS_AUDIT_INIT_OPTS_INIT;
	struct tool_opts so = { 0 };
	struct tool s = { 0 };
	bool json = false;
	const struct opt table[] = {
		{ "audit", .text = &so.audit },
		{ "origin", .text = &io.origin },
		{ "group", .text = &io.group },
		{ "json", .flag = &json },
		{ .name = NULL },
	};
	const struct args a = { "ofs-audit init", help, table, &json };
	struct operands ops;
	char *dir = NULL;
	int rc;

	rc = args_parse(&a, o, argc, argv, &ops);
	if (rc == 0)
		rc = args_operands(&a, o, &ops, 0, 0, "");
	if (rc != 0)
		return rc == ARGS_DONE ? 0 : rc;
	rc = tool_open(&s, o, &so);
	if (rc == 0 && (dir = tool_audit_dir(o, &so)) == NULL)
		rc = OFS_EAUDIT;
	if (rc == 0)
		rc = create(&s, dir, &io);
	free(dir);
	tool_close(&s);
	return rc;
}
