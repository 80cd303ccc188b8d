/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ofs-audit backup: a verified copy of the log, made while others sign. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "audit.h"
#include "common/plain.h"
#include "common/progress.h"

/* clang-format off */
static const char help[] =
"usage: ofs-audit backup DEST [options]\n"
"\n"
"Copies the log, as it is now, into the new directory DEST: outputs that wait\n"
"for their release and certificates included. Signing goes on meanwhile. All of\n"
"the copy is verified before it gets its name, and the backup is recorded.\n"
"\n"
"Do not copy log.db by hand while it may be in use: without its journal it is\n"
"worth nothing when a crash cut a transaction off.\n"
"\n"
CMD_AUDIT_WRITE_HELP
"  --audit DIR   the log (OFS_AUDIT)\n"
"  --json        one JSON object a line\n"
"\n"
"Example: ofs-audit backup /media/stick/log-2026-11-21\n";
/* clang-format on */

struct bar {
	struct progress progress;
	struct timespec begun;
};

static void
show(void *arg, const struct ofs_audit_progress *now)
{
	struct ofs_progress p = { .size = sizeof(p) };
	struct bar *b = arg;
	struct timespec t;

	if (strcmp(now->phase, "copy") != 0)
		return;
	clock_gettime(CLOCK_MONOTONIC, &t);
	p.items = (size_t)now->total;
	p.signed_items = (size_t)now->done;
	p.elapsed = (t.tv_sec - b->begun.tv_sec) * INT64_C(1000000) +
		(t.tv_nsec - b->begun.tv_nsec) / 1000;
	progress_show(&b->progress, &p);
}

static int
print(struct out *o, const char *dest, const struct ofs_audit_backup_report *r)
{
	struct jline j;
	char hex[65];
	FILE *f;

	if (o->json) {
		jline_begin(&j, "backup");
		jline_name(&j, "path", dest, strlen(dest));
		jline_number(&j, "records", (int64_t)r->records);
		jline_hex(&j, "log_id", r->log_id, sizeof(r->log_id));
		jline_hex(&j, "root", r->root, sizeof(r->root));
		jline_number(&j, "seq", (int64_t)r->seq);
		return jline_end(&j, o);
	}
	f = out_human(o);
	plain_hex(hex, r->root, sizeof(r->root));
	fprintf(f, "backed up %" PRIu64 " records, verified, to ", r->records);
	plain_put(f, dest, strlen(dest));
	fprintf(f, "\nroot %s\n", hex);
	return 0;
}

static int
backup(struct tool *s, const char *dest)
{
	struct ofs_audit_backup_report r = { .size = sizeof(r) };
	bool quiet = s->out->json || s->out->quiet;
	struct bar b;
	int rc;

	progress_init(&b.progress);
	clock_gettime(CLOCK_MONOTONIC, &b.begun);
	if (!quiet)
		s->out->bar = &b.progress;
	rc = ofs_audit_backup(
		s->audit, dest, quiet ? NULL : show, quiet ? NULL : &b, &r);
	rc = rc != 0 ? cmd_audit_fail(s) : print(s->out, dest, &r);
	s->out->bar = NULL;
	return rc;
}

int
cmd_audit_backup(struct out *o, int argc, char **argv)
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
	const struct args a = { "ofs-audit backup", help, table, &json };
	struct operands ops;
	int rc;

	rc = args_parse(&a, o, argc, argv, &ops);
	if (rc == 0)
		rc = args_operands(&a, o, &ops, 1, 1, "a new directory");
	if (rc != 0)
		return rc == ARGS_DONE ? 0 : rc;
	rc = cmd_audit_open_to_write(&s, o, &so);
	if (rc == 0)
		rc = backup(&s, ops.p[0]);
	tool_close(&s);
	return rc;
}
