/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ofs-audit export: the log in forms that other programs read. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "audit-filter.h"
#include "audit-unlock.h"
#include "audit.h"
#include "common/plain.h"
#include "common/small.h"

/* clang-format off */
static const char help[] =
"usage: ofs-audit export --csv FILE | --jsonl FILE | --tiles DIR | --pending DIR\n"
"       [options]\n"
"\n"
"Writes the records that the options fit, a line each, oldest first. The same\n"
"log and options give the same bytes. What was exported is recorded. Or the\n"
"tree and the headers of all records, of which no name, no document and no\n"
"person can be read; ofs-audit-format(5) says how to check it.\n"
"\n"
"  --csv FILE     a table; fields that a spreadsheet would calculate begin with '\n"
"  --jsonl FILE   JSON Lines with every field, as list --json\n"
"                 a FILE of - is standard output\n"
"  --tiles DIR    the newest checkpoint and all that is below it, as\n"
"                 c2sp.org/tlog-tiles has it; DIR is made if missing\n"
"  --pending DIR  signatures that were recorded and never released, for when\n"
"                 ofs-sign cannot do that; DIR is made if missing\n"
CMD_AUDIT_UNLOCK_HELP
"                 (--auditor-key and --station-key with --pending only)\n"
"  --force        replace FILE, and with --pending the files in DIR\n"
"  --from, --to, --since, --until, --operator, --key, --token, --batch,\n"
"  --document, --digest, --result, --type   as 'ofs-audit list --help' says\n"
"  --audit DIR    the log (OFS_AUDIT)\n"
"  --json         what was done, as one JSON object a line\n"
"\n"
"Example: ofs-audit export --csv november.csv --since 2026-11-01 --type outcome\n";
/* clang-format on */

/* A column, and the fields that it is taken from: the first that is there. */
struct column {
	const char *name;
	const char *fields[3];
};

static const struct column columns[] = {
	{ "status", { "status" } },
	{ "purpose", { "purpose" } },
	{ "event", { "event" } },
	{ "document_path", { "document.path", "items.0.path" } },
	{ "document_name", { "document.name", "items.0.name" } },
	{ "document_version", { "document.version" } },
	{ "document_id", { "document.id" } },
	{ "document_size", { "document.size" } },
	{ "digest_alg", { "document.digest_alg" } },
	{ "digest", { "document.digest" } },
	{ "key_label", { "party.key.label" } },
	{ "key_sha256", { "party.key.spki_sha256" } },
	{ "cert_sha256", { "party.key.cert_sha256" } },
	{ "token_label", { "party.token.label", "token.label" } },
	{ "token_serial", { "party.token.serial", "token.serial" } },
	{ "operator", { "party.operator.name", "operator.name" } },
	{ "operator_uid", { "party.operator.uid", "operator.uid" } },
	{ "operator_loginuid",
		{ "party.operator.loginuid", "operator.loginuid" } },
	{ "host", { "party.operator.host", "operator.host" } },
	{ "mechanism", { "mechanism" } },
	{ "verified", { "verified" } },
	{ "output_path", { "output_path", "path" } },
	{ "output_sha256", { "output_sha256", "sha256" } },
	{ "reason", { "reason", "result" } },
};

#define N_COLUMNS (sizeof(columns) / sizeof(columns[0]))

struct exporting {
	struct out *out;
	FILE *f;
	bool csv;
	uint64_t n;
	int code, errnum;
};

/* RFC 4180; a text that begins like a formula gets a ' in front */
static void
put_cell(FILE *f, const char *s, bool text)
{
	fputs(",\"", f);
	if (text && strchr("=+-@\t\r", s[0]) != NULL && s[0] != '\0')
		fputc('\'', f);
	for (; *s != '\0'; s++) {
		if (*s == '"')
			fputc('"', f);
		fputc(*s, f);
	}
	fputc('"', f);
}

static const char *
meaning(const struct ofs_field *f)
{
	if (strcmp(f->name, "status") == 0)
		return cmd_audit_status_name(f->number);
	if (strcmp(f->name, "purpose") == 0)
		return cmd_audit_purpose_name(f->number);
	return NULL;
}

static int
put_field(FILE *f, const struct ofs_field *field)
{
	char *text = NULL;
	size_t n = 0;
	FILE *mem;

	if (field->kind == OFS_FIELD_INT && meaning(field) != NULL) {
		put_cell(f, meaning(field), false);
		return 0;
	}
	mem = open_memstream(&text, &n);
	if (mem == NULL)
		return OFS_ENOMEM;
	cmd_audit_field_print(mem, field);
	if (fclose(mem) != 0) {
		free(text);
		return OFS_ENOMEM;
	}
	put_cell(f, text,
		field->kind == OFS_FIELD_TEXT || field->kind == OFS_FIELD_NAME);
	free(text);
	return 0;
}

static int
put_column(FILE *f, const ofs_record *rec, const struct column *c)
{
	struct ofs_field field;

	for (size_t i = 0; i < 3 && c->fields[i] != NULL; i++)
		if (ofs_record_find(rec, c->fields[i], &field))
			return put_field(f, &field);
	fputc(',', f);
	return 0;
}

static int
put_row(struct exporting *x, const ofs_record *rec)
{
	static const uint8_t none[16];
	struct ofs_record_head h = { .size = sizeof(h) };
	char t[PLAIN_TIME_SIZE], hex[65];
	int rc = 0;

	ofs_record_get_head(rec, &h);
	plain_hex(hex, h.batch_id, 16);
	fprintf(x->f, "%" PRIu64 ",%s,%s,%s", h.seq, plain_time(t, h.time),
		h.type_name, memcmp(h.batch_id, none, 16) == 0 ? "" : hex);
	for (size_t i = 0; i < N_COLUMNS && rc == 0; i++)
		rc = put_column(x->f, rec, &columns[i]);
	plain_hex(hex, h.header_sha256, 32);
	fprintf(x->f, ",%s\r\n", hex);
	return rc;
}

static int
put_line(struct exporting *x, const ofs_record *rec)
{
	struct jline j;
	int rc;

	jline_begin(&j, "record");
	cmd_audit_record_json(&j, rec);
	rc = jline_put(&j, x->f);
	json_decref(j.o);
	return rc;
}

static int
put_record(void *arg, const ofs_record *rec)
{
	struct exporting *x = arg;

	x->n++;
	x->code = x->csv ? put_row(x, rec) : put_line(x, rec);
	if (x->code == 0 && ferror(x->f))
		x->code = OFS_EIO;
	if (x->code == OFS_EIO)
		x->errnum = errno;
	return x->code;
}

static void
put_names(FILE *f)
{
	fputs("seq,time,type,batch", f);
	for (size_t i = 0; i < N_COLUMNS; i++)
		fprintf(f, ",%s", columns[i].name);
	fputs(",header_sha256\r\n", f);
}

static int
print(struct exporting *x, const char *path, uint64_t seq)
{
	struct out *o = x->out;
	struct jline j;

	if (o->json) {
		jline_begin(&j, "exported");
		jline_name(&j, "path", path, strlen(path));
		jline_number(&j, "records", (int64_t)x->n);
		jline_number(&j, "seq", (int64_t)seq);
		return jline_end(&j, o);
	}
	fprintf(out_human(o), "exported %" PRIu64 " records to ", x->n);
	plain_put(out_human(o), path, strlen(path));
	fputc('\n', out_human(o));
	return 0;
}

static int
count_record(void *arg, const ofs_record *rec)
{
	struct exporting *x = arg;

	(void)rec;
	x->n++;
	return 0;
}

static int
put_records(struct tool *s, const struct ofs_audit_filter *filter,
	struct exporting *x, const char *path)
{
	int rc;

	x->n = 0;
	if (x->csv)
		put_names(x->f);
	rc = ofs_audit_find(s->audit, filter, put_record, x);
	if (rc == 0)
		return 0;
	/* out_end() says what became of standard output */
	if (x->code == OFS_EIO && x->f == stdout)
		return x->code;
	if (x->code == OFS_ENOMEM || x->code == OFS_EIO)
		return out_fail(s->out, x->code, "cannot write '%s': %s",
			NAME(path),
			x->code == OFS_EIO ? strerror(x->errnum)
					   : "out of memory");
	return cmd_audit_fail(s);
}

/* what is printed is gone: that it is printed is recorded before */
static int
export_to_stdout(struct tool *s, const struct ofs_audit_filter *filter,
	struct exporting *x)
{
	uint64_t seq;

	if (ofs_audit_find(s->audit, filter, count_record, x) != 0 ||
		ofs_audit_exported(s->audit, NULL, filter, x->n, &seq) != 0)
		return cmd_audit_fail(s);
	x->f = out_human(s->out);
	return put_records(s, filter, x, "standard output");
}

static int
export_to_file(struct tool *s, const struct ofs_audit_filter *filter,
	struct exporting *x, const char *path, bool force)
{
	struct small_file file = { NULL, NULL, NULL, false };
	struct ofs_error e;
	uint64_t seq;
	int rc;

	rc = small_begin(s->out, path, force, &file);
	if (rc != 0)
		return rc;
	x->f = file.f;
	rc = put_records(s, filter, x, path);
	if (rc != 0) {
		small_abort(&file);
		return rc;
	}
	rc = small_commit(s->out, &file);
	if (rc != 0)
		return rc;
	if (ofs_audit_exported(s->audit, path, filter, x->n, &seq) == 0)
		return print(x, path, seq);
	ofs_audit_error(s->audit, &e);
	return out_fail(s->out, e.code,
		"'%s' is whole, but it could not be recorded: %s", NAME(path),
		e.message);
}

static int
export_lines(struct tool *s, struct ofs_audit_filter *filter,
	struct exporting *x, const char *path, bool force)
{
	uint64_t size;

	/* what is recorded of this export is not in it */
	if (ofs_audit_size(s->audit, &size) != 0)
		return cmd_audit_fail(s);
	if (filter->end == 0 || filter->end > size)
		filter->end = size;
	return strcmp(path, "-") == 0
		? export_to_stdout(s, filter, x)
		: export_to_file(s, filter, x, path, force);
}

int
cmd_audit_export(struct out *o, int argc, char **argv)
{
	struct ofs_audit_filter filter = OFS_AUDIT_FILTER_INIT;
	struct cmd_audit_filter fo = CMD_AUDIT_FILTER_INIT;
	const char *csv = NULL, *jsonl = NULL, *tiles = NULL, *pending = NULL;
	struct unlock u = { NULL, NULL, NULL };
	struct exporting x = { .out = o };
	struct tool_opts so = { 0 };
	struct tool s = { 0 };
	bool json = false, force = false;
	const struct opt table[] = {
		CMD_AUDIT_FILTER_OPTS(fo, filter),
		{ "csv", .text = &csv },
		{ "jsonl", .text = &jsonl },
		{ "tiles", .text = &tiles },
		{ "pending", .text = &pending },
		CMD_AUDIT_UNLOCK_OPTS(u, so),
		{ "force", .flag = &force },
		{ "audit", .text = &so.audit },
		{ "json", .flag = &json },
		{ .name = NULL },
	};
	const struct args a = { "ofs-audit export", help, table, &json };
	struct operands ops;
	int rc;

	rc = args_parse(&a, o, argc, argv, &ops);
	if (rc == 0)
		rc = args_operands(&a, o, &ops, 0, 0, "");
	if (rc == 0)
		rc = cmd_audit_filter(&a, o, &fo, &filter);
	if (rc == 0 &&
		(csv != NULL) + (jsonl != NULL) + (tiles != NULL) +
				(pending != NULL) !=
			1)
		rc = args_usage(&a, o,
			"give one of '--csv', '--jsonl', '--tiles' and "
			"'--pending'");
	if (rc == 0 && (tiles != NULL || pending != NULL) &&
		cmd_audit_filter_given(&fo, &filter))
		rc = args_usage(&a, o,
			"records are chosen for '--csv' and '--jsonl' only");
	if (rc == 0 && tiles != NULL && force)
		rc = args_usage(&a, o, "'--force' does not go with '--tiles'");
	if (rc == 0 && pending == NULL &&
		(u.key != NULL || u.station_key != NULL))
		rc = args_usage(&a, o, "keys are given with '--pending' only");
	so.passphrase = u.passphrase;
	if (rc != 0)
		return rc == ARGS_DONE ? 0 : rc;
	x.csv = csv != NULL;
	rc = pending != NULL    ? cmd_audit_open_with(&s, o, &so, &u)
		: tiles != NULL ? cmd_audit_open(&s, o, &so)
				: cmd_audit_open_to_write(&s, o, &so);
	if (rc == 0 && pending != NULL)
		rc = cmd_audit_export_pending(&s, pending, force);
	else if (rc == 0 && tiles != NULL)
		rc = cmd_audit_export_tiles(&s, tiles);
	else if (rc == 0)
		rc = export_lines(&s, &filter, &x, x.csv ? csv : jsonl, force);
	tool_close(&s);
	return rc;
}
