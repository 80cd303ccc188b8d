/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ofs-audit reconcile: signature files that are found against the records. */
#include <inttypes.h>
#include <string.h>

#include "audit.h"
#include "common/exit.h"
#include "common/plain.h"

/* clang-format off */
static const char help[] =
"usage: ofs-audit reconcile DIR... [options]\n"
"\n"
"Looks for signature files (.p7s, .p7m, .sig) in directories and below them, and\n"
"compares them with what the log has recorded: signatures by keys of this log\n"
"that no record knows, files that are changed, and files that are gone. What was\n"
"found is recorded.\n"
"\n"
CMD_AUDIT_WRITE_HELP
"  --audit DIR   the log (OFS_AUDIT)\n"
"  --json        one JSON object a line\n"
"\n"
"Exit status: 1 when anything is unknown, changed, missing or cannot be judged.\n"
"An unknown signature means that a key was used past the record: critical.\n"
"\n"
"Example: ofs-audit reconcile /srv/signed\n";
/* clang-format on */

static void
show(void *arg, const struct ofs_reconcile_finding *found)
{
	struct out *o = arg;
	struct jline j;
	FILE *f;

	if (o->json) {
		jline_begin(&j, "finding");
		jline_text(&j, "id", found->id);
		jline_name(&j, "path", found->path, strlen(found->path));
		if (found->seq != 0)
			jline_number(&j, "seq", (int64_t)found->seq);
		jline_text(&j, "text", found->text);
		(void)jline_end(&j, o);
		return;
	}
	f = out_human(o);
	fprintf(f, "%s: ", found->id);
	plain_put(f, found->path, strlen(found->path));
	if (found->seq != 0)
		fprintf(f, ", record %" PRIu64, found->seq);
	fputc('\n', f);
	plain_wrap(f, 0, 4, found->text);
}

static int
print(struct out *o, const struct ofs_reconcile_report *r, int code)
{
	struct jline j;

	if (!o->json) {
		fprintf(out_human(o),
			"%" PRIu64 " signature files, %" PRIu64
			" known; unknown %" PRIu64 ", changed %" PRIu64
			", missing %" PRIu64 ",\nby other keys or invalid "
			"%" PRIu64 ", not judged %" PRIu64 "\n",
			r->files, r->known, r->unknown, r->changed, r->missing,
			r->foreign, r->unchecked);
		return 0;
	}
	jline_begin(&j, "reconciled");
	jline_number(&j, "files", (int64_t)r->files);
	jline_number(&j, "known", (int64_t)r->known);
	jline_number(&j, "unknown", (int64_t)r->unknown);
	jline_number(&j, "changed", (int64_t)r->changed);
	jline_number(&j, "missing", (int64_t)r->missing);
	jline_number(&j, "foreign", (int64_t)r->foreign);
	jline_number(&j, "unchecked", (int64_t)r->unchecked);
	jline_number(&j, "seq", (int64_t)r->seq);
	jline_number(&j, "exit", exit_status(code));
	return jline_end(&j, o);
}

static int
reconcile(struct tool *s, const struct operands *ops)
{
	struct ofs_reconcile_report r = { .size = sizeof(r) };
	int rc, printed;

	rc = ofs_audit_reconcile(s->audit, (const char *const *)ops->p,
		(size_t)ops->n, show, s->out, &r);
	if (rc != 0 && rc != OFS_EITEMS)
		return cmd_audit_fail(s);
	printed = print(s->out, &r, rc);
	return rc != 0 ? rc : printed;
}

int
cmd_audit_reconcile(struct out *o, int argc, char **argv)
{
	struct tool_opts so = { 0 };
	struct tool s = { 0 };
	bool json = false;
	const struct opt table[] = {
		CMD_AUDIT_WRITE_OPTS(so),
		{ "audit", .text = &so.audit },
		{ "json", .flag = &json },
		{ .name = NULL },
	};
	const struct args a = { "ofs-audit reconcile", help, table, &json };
	struct operands ops;
	int rc;

	rc = args_parse(&a, o, argc, argv, &ops);
	if (rc == 0)
		rc = args_operands(&a, o, &ops, 1, 1000000, "a directory");
	if (rc != 0)
		return rc == ARGS_DONE ? 0 : rc;
	rc = cmd_audit_open_to_write(&s, o, &so);
	if (rc == 0)
		rc = reconcile(&s, &ops);
	tool_close(&s);
	return rc;
}
