/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ofs-audit list: one line for each record. */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "audit.h"
#include "common/plain.h"

/* clang-format off */
static const char help[] =
"usage: ofs-audit list [options]\n"
"\n"
"  --from SEQ     from this record on\n"
"  --to SEQ       up to this record\n"
"  --batch ID     only of this batch; the first digits are enough\n"
"  --type TYPE    only of this type: genesis, batch-opened, batch-closed,\n"
"                 intent, outcome, recovery, login, key-lent, key-event,\n"
"                 token-event, release\n"
"  --audit DIR    the log (OFS_AUDIT)\n"
"  --json         one JSON object a line, with every field\n"
"\n"
"Example: ofs-audit list --type outcome --from 100\n";
/* clang-format on */

struct listing {
	struct out *out;
	const char *batch, *type;
	size_t n;
	int code;
};

static bool
wanted(const struct listing *l, const struct ofs_record_head *h)
{
	char id[33];

	plain_hex(id, h->batch_id, sizeof(h->batch_id));
	return (l->batch == NULL ||
		       strncasecmp(id, l->batch, strlen(l->batch)) == 0) &&
		(l->type == NULL || strcmp(h->type_name, l->type) == 0);
}

static int
show(void *arg, const ofs_record *rec)
{
	struct ofs_record_head h = { .size = sizeof(h) };
	struct listing *l = arg;
	char t[PLAIN_TIME_SIZE];
	struct jline j;
	FILE *f;

	ofs_record_get_head(rec, &h);
	if (!wanted(l, &h))
		return 0;
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
check_batch(const struct args *a, struct out *o, const char *id)
{
	size_t n = strlen(id);

	if (n <= 32 && strspn(id, "0123456789abcdefABCDEF") == n)
		return 0;
	return args_usage(
		a, o, "'--batch' is up to 32 hex digits, not '%s'", NAME(id));
}

static int
show_one(struct tool *s, struct listing *l, uint64_t seq)
{
	ofs_record *rec;
	int rc = ofs_audit_get(s->audit, seq, &rec);

	if (rc == 0)
		rc = show(l, rec);
	ofs_record_free(rec);
	return rc;
}

static int
list(struct tool *s, struct listing *l, uint64_t from, uint64_t to)
{
	uint64_t size;
	int rc;

	if (ofs_audit_size(s->audit, &size) != 0)
		return cmd_audit_fail(s);
	/* to the library a last record of 0 is "to the end" */
	if (to == 0 && size > 0)
		rc = from > 0 ? 0 : show_one(s, l, 0);
	else
		rc = from < size && from <= to
			? ofs_audit_list(s->audit, from,
				  to < size ? to : size - 1, show, l)
			: 0;
	if (rc != 0)
		return l->code != 0 ? l->code : cmd_audit_fail(s);
	if (l->n == 0)
		out_note(l->out, "no record matches");
	return 0;
}

int
cmd_audit_list(struct out *o, int argc, char **argv)
{
	static const char *const types[] = { "any", "genesis", "batch-opened",
		"batch-closed", "intent", "outcome", "recovery", "login",
		"key-lent", "key-event", "token-event", "release", "epoch",
		"anchor", "log-event", NULL };
	struct tool_opts so = { 0 };
	struct listing l = { .out = o };
	unsigned long from = 0, to = INT64_MAX;
	struct tool s = { 0 };
	bool json = false;
	int type = 0;
	const struct opt table[] = {
		{ "from", .number = &from, .min = 0, .max = INT64_MAX },
		{ "to", .number = &to, .min = 0, .max = INT64_MAX },
		{ "batch", .text = &l.batch },
		{ "type", .choice = &type, .names = types },
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
	if (rc == 0 && l.batch != NULL)
		rc = check_batch(&a, o, l.batch);
	if (rc != 0)
		return rc == ARGS_DONE ? 0 : rc;
	l.type = type != 0 ? types[type] : NULL;
	rc = cmd_audit_open(&s, o, &so);
	if (rc == 0)
		rc = list(&s, &l, from, to);
	tool_close(&s);
	return rc;
}
