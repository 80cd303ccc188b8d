/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ofs-audit restore: puts a backup in the place of the log. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "audit-unlock.h"
#include "common/plain.h"
#include "common/small.h"

#define ACCEPT_MAX (1u << 20)

/* clang-format off */
static const char help[] =
"usage: ofs-audit restore BACKUP [options]\n"
"\n"
"Verifies a backup and puts a copy of it in the place of the log, which is moved\n"
"aside and not deleted. A backup that lacks records that are known here - to the\n"
"head file or the store in DIR, or to a file of --from-head - is refused, unless\n"
"one of the auditors whom the log names has signed the statement about that very\n"
"gap. The log says so for ever after.\n"
"\n"
"  --audit DIR        the place of the log (OFS_AUDIT)\n"
"  --from-head FILE   a head that was kept elsewhere: a head file, backup.txt of\n"
"                     another backup, or a checkpoint; may be given again\n"
"  --reason TEXT      for the record, and for the auditor\n"
"  --statement        only prints what an auditor has to sign\n"
"  --accept FILE      that, signed\n"
"\n"
"What it takes to record that in an encrypted log:\n"
CMD_AUDIT_UNLOCK_HELP
"\n"
"  --json             one JSON object a line\n"
"\n"
"Example: ofs-audit restore /media/stick/log-2026-11-21 --reason 'disk failed' \\\n"
"             --statement >gap.txt\n"
"         openssl cms -sign -in gap.txt -nodetach -binary -outform PEM \\\n"
"             -signer auditor.pem -inkey auditor.key -out gap.pem\n"
"         ofs-audit restore /media/stick/log-2026-11-21 --accept gap.pem\n";
/* clang-format on */

static int
print(struct out *o, const char *dir, const struct ofs_audit_restore_report *r)
{
	struct jline j;
	FILE *f;

	if (o->json) {
		jline_begin(&j, "restored");
		jline_name(&j, "audit", dir, strlen(dir));
		jline_number(&j, "records", (int64_t)r->records);
		jline_number(&j, "missing", (int64_t)r->missing);
		jline_hex(&j, "log_id", r->log_id, sizeof(r->log_id));
		jline_hex(&j, "root", r->root, sizeof(r->root));
		jline_number(&j, "seq", (int64_t)r->seq);
		if (r->auditor[0] != '\0')
			jline_text(&j, "auditor", r->auditor);
		if (r->moved_to[0] != '\0')
			jline_name(&j, "moved_to", r->moved_to,
				strlen(r->moved_to));
		return jline_end(&j, o);
	}
	f = out_human(o);
	fprintf(f, "restored %" PRIu64 " records to ", r->records);
	plain_put(f, dir, strlen(dir));
	if (r->missing > 0) {
		fprintf(f, "\n%" PRIu64 " records are lost, accepted by ",
			r->missing);
		plain_put(f, r->auditor, strlen(r->auditor));
	}
	if (r->moved_to[0] != '\0') {
		fputs("\nwhat was there is now ", f);
		plain_put(f, r->moved_to, strlen(r->moved_to));
	}
	fputc('\n', f);
	return 0;
}

/* what opens the log that is restored */
struct opening {
	struct tool *s;
	const struct tool_opts *so;
	const struct unlock *u;
	int failed; /* and that was said */
};

/* an ofs_audit_unlock_fn */
static int
open_restored(void *arg, ofs_audit *audit)
{
	struct opening *o = arg;
	struct tool *s = o->s;

	s->audit = audit;
	if (ofs_ctx_set_audit(s->ctx, audit) != 0)
		o->failed = out_fail_with(s->out, ofs_ctx_error(s->ctx));
	else if (cmd_audit_unlock_given(o->u))
		o->failed = cmd_audit_unlock(s, o->so, o->u);
	else
		o->failed = tool_unlock(s, o->so);
	(void)ofs_ctx_set_audit(s->ctx, NULL);
	s->audit = NULL;
	return o->failed;
}

static int
restore(struct opening *opening, const char *backup, const char *dir,
	struct ofs_audit_restore_opts *opts, const char *accept)
{
	struct ofs_audit_restore_report r = { .size = sizeof(r) };
	struct tool *s = opening->s;
	const struct ofs_error *e = ofs_ctx_error(s->ctx);

	opts->unlock = open_restored;
	opts->unlock_arg = opening;
	if (ofs_audit_restore(s->ctx, backup, dir, opts, &r) == 0)
		return print(s->out, dir, &r);
	if (opening->failed != 0)
		return opening->failed;
	return accept != NULL ? out_fail_file(s->out, e, "--accept", accept)
			      : out_fail_with(s->out, e);
}

static int
state(struct tool *s, const char *backup, const char *dir,
	const struct ofs_audit_restore_opts *opts)
{
	char *text;

	if (ofs_audit_restore_statement(s->ctx, backup, dir, opts, &text) != 0)
		return out_fail_with(s->out, ofs_ctx_error(s->ctx));
	fputs(text, out_human(s->out));
	free(text);
	return 0;
}

int
cmd_audit_restore(struct out *o, int argc, char **argv)
{
	struct ofs_audit_restore_opts ro = OFS_AUDIT_RESTORE_OPTS_INIT;
	struct bytes cms = { NULL, 0 };
	struct strings heads = { .n = 0 };
	struct tool_opts so = { .may_lack = true };
	struct tool s = { 0 };
	struct unlock u = { NULL, NULL, NULL };
	struct opening opening = { &s, &so, &u, 0 };
	bool json = false, statement = false;
	const char *accept = NULL;
	const struct opt table[] = {
		{ "audit", .text = &so.audit },
		{ "from-head", .list = &heads },
		{ "reason", .text = &ro.reason },
		{ "statement", .flag = &statement },
		{ "accept", .text = &accept },
		CMD_AUDIT_UNLOCK_OPTS(u, so),
		{ "json", .flag = &json },
		{ .name = NULL },
	};
	const struct args a = { "ofs-audit restore", help, table, &json };
	struct operands ops;
	char *dir = NULL;
	int rc;

	rc = args_parse(&a, o, argc, argv, &ops);
	if (rc == 0)
		rc = args_operands(&a, o, &ops, 1, 1, "a backup");
	if (rc == 0 && statement && (accept != NULL || json))
		rc = args_usage(&a, o,
			"'--statement' goes neither with '--accept' nor with "
			"'--json'");
	if (rc == 0 && statement && ro.reason == NULL)
		rc = args_usage(&a, o, "'--statement' needs '--reason'");
	if (rc != 0)
		return rc == ARGS_DONE ? 0 : rc;
	rc = tool_open(&s, o, &so);
	if (rc == 0 && (dir = tool_audit_dir(o, &so)) == NULL)
		rc = OFS_EAUDIT;
	if (rc == 0 && accept != NULL)
		rc = small_read(o, accept, ACCEPT_MAX, &cms);
	ro.heads = heads.p;
	ro.n_heads = heads.n;
	ro.accept = accept != NULL ? cms.p : NULL;
	ro.accept_len = cms.n;
	if (rc == 0)
		rc = statement ? state(&s, ops.p[0], dir, &ro)
			       : restore(&opening, ops.p[0], dir, &ro, accept);
	small_free(&cms);
	free(dir);
	tool_close(&s);
	return rc;
}
