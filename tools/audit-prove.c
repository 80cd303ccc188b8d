/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ofs-audit prove: that a record is in the log, or that the log only grew. */
#include <stdlib.h>
#include <string.h>

#include "audit-unlock.h"
#include "common/plain.h"
#include "common/small.h"

/* clang-format off */
static const char help[] =
"usage: ofs-audit prove SEQ [options]\n"
"       ofs-audit prove --since RECORDS [options]\n"
"\n"
"Writes a proof that record SEQ is in the log, for 'ofs-audit check-proof' and\n"
"for who has only the verifier key; or one, for a witness, that the log of so\n"
"many records is the beginning of today's. Both hold the newest checkpoint.\n"
"\n"
"  --reveal        with the body of the record: all its fields\n"
"  --since RECORDS size of the older log; 0 for a witness that has seen none\n"
"  --output FILE   default: standard output\n"
"  --force         replace FILE\n"
CMD_AUDIT_UNLOCK_HELP
"  --audit DIR     the log (OFS_AUDIT)\n"
"  --json          say so in JSON\n"
"\n"
"Example: ofs-audit prove 42 --reveal --output 42.tlog-proof\n";
/* clang-format on */

struct want {
	const char *since, *output;
	bool reveal, force;
	uint64_t at;
};

static int
write_out(struct tool *s, const struct want *w, const char *proof)
{
	const char *to = w->output != NULL ? w->output : "-";
	struct jline j;
	int rc;

	if (s->out->json && w->output == NULL) {
		jline_begin(&j, "proof");
		jline_text(&j, "proof", proof);
		return jline_end(&j, s->out);
	}
	rc = small_check_new(s->out, to, w->force);
	if (rc == 0)
		rc = small_write(s->out, to, proof, strlen(proof), w->force);
	if (rc != 0 || !s->out->json)
		return rc;
	jline_begin(&j, "proof");
	jline_name(&j, "output", to, strlen(to));
	return jline_end(&j, s->out);
}

static int
prove(struct tool *s, const struct want *w)
{
	char *proof = NULL;
	int rc;

	rc = w->since != NULL
		? ofs_audit_prove_growth(s->audit, w->at, &proof)
		: ofs_audit_prove(s->audit, w->at, w->reveal, &proof);
	if (rc != 0)
		return cmd_audit_fail(s);
	rc = write_out(s, w, proof);
	free(proof);
	return rc;
}

int
cmd_audit_prove(struct out *o, int argc, char **argv)
{
	struct unlock u = { NULL, NULL, NULL };
	struct tool_opts so = { 0 };
	struct tool s = { 0 };
	struct want w = { 0 };
	bool json = false;
	const struct opt table[] = {
		{ "reveal", .flag = &w.reveal },
		{ "since", .text = &w.since },
		{ "output", .text = &w.output },
		{ "force", .flag = &w.force },
		CMD_AUDIT_UNLOCK_OPTS(u, so),
		{ "audit", .text = &so.audit },
		{ "json", .flag = &json },
		{ .name = NULL },
	};
	const struct args a = { "ofs-audit prove", help, table, &json };
	struct operands ops;
	int rc;

	rc = args_parse(&a, o, argc, argv, &ops);
	if (rc == 0 && w.since != NULL)
		rc = args_operands(&a, o, &ops, 0, 0, "");
	else if (rc == 0)
		rc = args_operands(&a, o, &ops, 1, 1, "the record's number");
	if (rc == 0 && w.since != NULL && w.reveal)
		rc = args_usage(&a, o, "--reveal goes with a record");
	if (rc == 0 &&
		!plain_parse_number(
			w.since != NULL ? w.since : ops.p[0], INT64_MAX, &w.at))
		rc = args_usage(&a, o, "'%s' is not a number of records",
			NAME(w.since != NULL ? w.since : ops.p[0]));
	if (rc != 0)
		return rc == ARGS_DONE ? 0 : rc;
	rc = cmd_audit_open_with(&s, o, &so, &u);
	if (rc == 0)
		rc = prove(&s, &w);
	tool_close(&s);
	return rc;
}
