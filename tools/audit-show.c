/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ofs-audit show: every field of one record. */
#include <inttypes.h>
#include <string.h>

#include "audit-unlock.h"
#include "common/plain.h"

#define NAME_COLUMNS 26
#define BELOW_BYTES 32 /* a line */

/* clang-format off */
static const char help[] =
"usage: ofs-audit show SEQ [options]\n"
"\n"
"Prints every field of the record with this number; bytes are in hex.\n"
"\n"
CMD_AUDIT_UNLOCK_HELP
"  --audit DIR    the log (OFS_AUDIT)\n"
"  --json         as one JSON object\n"
"\n"
"Example: ofs-audit show 42\n";
/* clang-format on */

static void
name(FILE *f, const char *s)
{
	fprintf(f, "%-*s ", NAME_COLUMNS - 1, s);
}

/* bytes that do not fit beside the name go below it */
static void
print_bytes(FILE *f, const char *what, const uint8_t *p, size_t n)
{
	char hex[2 * BELOW_BYTES + 1];
	size_t part;

	if (NAME_COLUMNS + 2 * n <= PLAIN_WIDTH) {
		plain_hex(hex, p, n);
		name(f, what);
		fprintf(f, "%s\n", hex);
		return;
	}
	fprintf(f, "%s\n", what);
	for (; n > 0; p += part, n -= part) {
		part = n < BELOW_BYTES ? n : BELOW_BYTES;
		plain_hex(hex, p, part);
		fprintf(f, "    %s\n", hex);
	}
}

/* what a number stands for */
static const char *
meaning(const struct ofs_field *field)
{
	if (field->kind != OFS_FIELD_INT)
		return NULL;
	if (strcmp(field->name, "status") == 0)
		return cmd_audit_status_name(field->number);
	if (strcmp(field->name, "purpose") == 0)
		return cmd_audit_purpose_name(field->number);
	if (strcmp(field->name, "code") == 0)
		return ofs_err_name((int)field->number);
	return NULL;
}

static int
show_field(void *arg, const struct ofs_field *field)
{
	const char *what = meaning(field);
	FILE *f = arg;

	if (field->kind == OFS_FIELD_BYTES) {
		print_bytes(f, field->name, field->bytes, field->len);
		return 0;
	}
	name(f, field->name);
	cmd_audit_field_print(f, field);
	if (what != NULL)
		fprintf(f, " (%s)", what);
	fputc('\n', f);
	return 0;
}

void
cmd_audit_show_record(FILE *f, const ofs_record *rec)
{
	static const uint8_t none[16];
	struct ofs_record_head h = { .size = sizeof(h) };
	char t[PLAIN_TIME_SIZE], hex[65];

	ofs_record_get_head(rec, &h);
	fprintf(f, "record %" PRIu64 ", %s\n\n", h.seq, h.type_name);
	name(f, "time");
	fprintf(f, "%s (%" PRId64 " us)\n", plain_time(t, h.time), h.time);
	name(f, "since boot");
	fprintf(f, "%" PRId64 " us\n", h.boottime);
	name(f, "boot id");
	plain_hex(hex, h.boot_id, 16);
	fprintf(f, "%s\n", hex);
	name(f, "batch");
	plain_hex(hex, h.batch_id, 16);
	fprintf(f, "%s\n", memcmp(h.batch_id, none, 16) == 0 ? "-" : hex);
	name(f, "epoch, cipher");
	fprintf(f, "%" PRIu32 ", %u%s\n", h.epoch, h.cipher,
		h.cipher == 0 ? " (plain)" : " (XAES-256-GCM)");
	name(f, "body");
	fprintf(f, "%" PRIu32 " bytes%s\n", h.body_len,
		h.erased ? ", erased" : "");
	print_bytes(f, "SHA-256 of header", h.header_sha256, 32);
	fputc('\n', f);
	if (h.sealed)
		fputs("sealed: no key for it is here\n", f);
	(void)ofs_record_each(rec, show_field, f);
}

static int
show(struct tool *s, uint64_t seq)
{
	ofs_record *rec = NULL;
	struct jline j;
	int rc;

	rc = ofs_audit_get(s->audit, seq, &rec);
	if (rc != 0)
		return cmd_audit_fail_record(s);
	if (s->out->json) {
		jline_begin(&j, "record");
		cmd_audit_record_json(&j, rec);
		rc = jline_end(&j, s->out);
	} else {
		cmd_audit_show_record(out_human(s->out), rec);
	}
	ofs_record_free(rec);
	return rc;
}

int
cmd_audit_show(struct out *o, int argc, char **argv)
{
	struct tool_opts so = { 0 };
	struct unlock u = { NULL, NULL, NULL };
	struct tool s = { 0 };
	bool json = false;
	const struct opt table[] = {
		CMD_AUDIT_UNLOCK_OPTS(u, so),
		{ "audit", .text = &so.audit },
		{ "json", .flag = &json },
		{ .name = NULL },
	};
	const struct args a = { "ofs-audit show", help, table, &json };
	struct operands ops;
	uint64_t seq = 0;
	int rc;

	rc = args_parse(&a, o, argc, argv, &ops);
	if (rc == 0)
		rc = cmd_audit_number(&a, o, &ops, &seq);
	if (rc != 0)
		return rc == ARGS_DONE ? 0 : rc;
	rc = cmd_audit_open_with(&s, o, &so, &u);
	if (rc == 0)
		rc = show(&s, seq);
	tool_close(&s);
	return rc;
}
