/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ofs-audit list: one line for each record. */
#include <inttypes.h>

#include "audit-filter.h"
#include "audit-unlock.h"
#include "audit.h"
#include "common/plain.h"

/* clang-format off */
static const char help[] =
"usage: ofs-audit list [options]\n"
"\n"
"Prints one line for each record that all of these options fit.\n"
"\n"
"  --from SEQ, --to SEQ   from this record on, up to this one\n"
"  --since TIME, --until TIME\n"
"                 2026-11-21, or 2026-11-21T08:00:00 with Z or +01:00; without\n"
"                 that it is UTC, as the times printed are. Both are included\n"
"  --operator WHO  name, or number of the user or login user\n"
"  --key KEY      label, or SHA-256 of the public key or certificate\n"
"  --token TOKEN  label or serial number\n"
"  --batch ID     only of this batch; the first digits are enough\n"
"  --document NAME  path as it was given, its last part, or id\n"
"  --digest HEX   of the document, as it was hashed; finds intents, outcomes\n"
"  --result RESULT  signed, failed, not-attempted, unknown\n"
"  --type TYPE    only of this type: genesis, batch-opened, batch-closed,\n"
"                 intent, outcome, recovery, login, key-lent, key-event,\n"
"                 token-event, release, epoch, anchor, log-event\n"
"  --limit N      so many at most\n"
"  --reverse      the newest first\n"
CMD_AUDIT_UNLOCK_HELP
"  --audit DIR    the log (OFS_AUDIT)\n"
"  --json         one JSON object a line, with every field\n"
"\n"
"Example: ofs-audit list --type outcome --operator alice --since 2026-11-01\n";
/* clang-format on */

struct listing {
	struct out *out;
	size_t n;
	int code;
};

static int
show(void *arg, const ofs_record *rec)
{
	struct ofs_record_head h = { .size = sizeof(h) };
	struct listing *l = arg;
	char t[PLAIN_TIME_SIZE];
	struct jline j;
	FILE *f;

	ofs_record_get_head(rec, &h);
	l->n++;
	if (l->out->json) {
		jline_begin(&j, "record");
		cmd_audit_record_json(&j, rec);
		l->code = jline_end(&j, l->out);
		return l->code;
	}
	f = out_human(l->out);
	fprintf(f, "%6" PRIu64 "  %s  %-12s  ", h.seq, plain_time(t, h.time),
		h.type_name);
	cmd_audit_record_text(f, rec);
	fputc('\n', f);
	if (ferror(f))
		l->code = OFS_EIO;
	return l->code;
}

static int
list(struct tool *s, const struct ofs_audit_filter *filter)
{
	struct listing l = { .out = s->out };
	int rc = ofs_audit_find(s->audit, filter, show, &l);

	if (rc != 0)
		return l.code != 0 ? l.code : cmd_audit_fail(s);
	if (l.n == 0)
		out_note(l.out, "no record matches");
	return 0;
}

int
cmd_audit_list(struct out *o, int argc, char **argv)
{
	struct ofs_audit_filter filter = OFS_AUDIT_FILTER_INIT;
	struct cmd_audit_filter fo = CMD_AUDIT_FILTER_INIT;
	struct tool_opts so = { 0 };
	struct unlock u = { NULL, NULL, NULL };
	struct tool s = { 0 };
	bool json = false;
	const struct opt table[] = {
		CMD_AUDIT_FILTER_OPTS(fo, filter),
		{ "limit", .number = &fo.limit, .min = 1, .max = INT64_MAX },
		{ "reverse", .flag = &filter.reverse },
		CMD_AUDIT_UNLOCK_OPTS(u, so),
		{ "audit", .text = &so.audit },
		{ "json", .flag = &json },
		{ .name = NULL },
	};
	const struct args a = { "ofs-audit list", help, table, &json };
	struct operands ops;
	int rc;

	rc = args_parse(&a, o, argc, argv, &ops);
	if (rc == 0)
		rc = args_operands(&a, o, &ops, 0, 0, "");
	if (rc == 0)
		rc = cmd_audit_filter(&a, o, &fo, &filter);
	if (rc != 0)
		return rc == ARGS_DONE ? 0 : rc;
	rc = cmd_audit_open_with(&s, o, &so, &u);
	if (rc == 0)
		rc = list(&s, &filter);
	tool_close(&s);
	return rc;
}
