/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ofs-audit check-proof: checks a proof of a record, without the log. */
#include <inttypes.h>
#include <string.h>

#include "audit.h"
#include "common/plain.h"
#include "common/small.h"

#define PROOF_MAX (32u << 20)

/* clang-format off */
static const char help[] =
"usage: ofs-audit check-proof FILE --vkey KEY [options]\n"
"\n"
"Checks a proof that a record is in a log, offline and without the log, and\n"
"prints the record as far as the proof discloses it. FILE may be '-'.\n"
"\n"
"  --vkey KEY      verifier key of the log, from whom you trust for it\n"
"  --witness KEY   verifier key of one who must have cosigned; may be repeated\n"
"  --json          as one JSON object\n"
"\n"
"Exit status: 0 the proof holds; 1 it is wrong, or a witness is missing;\n"
"2 usage; 5 FILE is no proof, or KEY no key.\n"
"\n"
"Example: ofs-audit check-proof 42.tlog-proof --vkey station/1+2c8a90d1+AX...\n";
/* clang-format on */

static int
print_json(
	struct out *o, const struct ofs_proof_report *r, const ofs_record *rec)
{
	struct jline j;

	jline_begin(&j, "proven");
	jline_text(&j, "origin", r->origin);
	jline_number(&j, "records", (int64_t)r->records);
	jline_hex(&j, "root", r->root, sizeof(r->root));
	jline_bool(&j, "revealed", r->revealed);
	jline_number(&j, "witnesses", (int64_t)r->witnesses);
	jline_time(&j, "witnessed", r->witnessed);
	cmd_audit_record_json(&j, rec);
	return jline_end(&j, o);
}

static void
print_human(
	struct out *o, const struct ofs_proof_report *r, const ofs_record *rec)
{
	FILE *f = out_human(o);
	char t[PLAIN_TIME_SIZE];

	fprintf(f, "record %" PRIu64 " is in the log ", r->seq);
	plain_put(f, r->origin, strlen(r->origin));
	fprintf(f, ", below a checkpoint of %" PRIu64 " records\n", r->records);
	if (r->witnesses > 0)
		fprintf(f, "%zu witnesses have cosigned it, the first at %s\n",
			r->witnesses, plain_time(t, r->witnessed));
	if (!r->revealed)
		fputs("its body is not disclosed\n", f);
	fputc('\n', f);
	cmd_audit_show_record(f, rec);
}

static int
check(struct tool *s, const struct ofs_proof_opts *po, const char *file,
	const struct bytes *b)
{
	struct ofs_proof_report r = { .size = sizeof(r) };
	ofs_record *rec = NULL;
	int rc = 0;

	if (ofs_proof_check(s->ctx, b->p, b->n, po, &r, &rec) != 0)
		return out_fail_file(s->out, ofs_ctx_error(s->ctx), NULL, file);
	if (s->out->json)
		rc = print_json(s->out, &r, rec);
	else
		print_human(s->out, &r, rec);
	ofs_record_free(rec);
	return rc;
}

int
cmd_audit_check_proof(struct out *o, int argc, char **argv)
{
	struct ofs_proof_opts po = OFS_PROOF_OPTS_INIT;
	struct strings witnesses = { .n = 0 };
	struct tool_opts so = { 0 };
	struct tool s = { 0 };
	bool json = false;
	const struct opt table[] = {
		{ "vkey", .text = &po.vkey },
		{ "witness", .list = &witnesses },
		{ "json", .flag = &json },
		{ .name = NULL },
	};
	const struct args a = { "ofs-audit check-proof", help, table, &json };
	struct bytes b = { NULL, 0 };
	struct operands ops;
	int rc;

	rc = args_parse(&a, o, argc, argv, &ops);
	if (rc == 0)
		rc = args_operands(&a, o, &ops, 1, 1, "the file of a proof");
	if (rc == 0 && po.vkey == NULL)
		rc = args_usage(
			&a, o, "name the verifier key of the log with --vkey");
	if (rc != 0)
		return rc == ARGS_DONE ? 0 : rc;
	po.witnesses = witnesses.p;
	po.n_witnesses = witnesses.n;
	rc = tool_open(&s, o, &so);
	if (rc == 0)
		rc = small_read(o, ops.p[0], PROOF_MAX, &b);
	if (rc == 0)
		rc = check(&s, &po, ops.p[0], &b);
	small_free(&b);
	tool_close(&s);
	return rc;
}
