/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ofs-audit witness: cosigns a checkpoint of another station's log. */
#include <stdlib.h>
#include <string.h>

#include "audit.h"
#include "common/plain.h"
#include "common/small.h"

#define REQUEST_MAX (2u << 20)

/* clang-format off */
static const char help[] =
"usage: ofs-audit witness FILE --vkey KEY --key-file PATH --name NAME --state DIR\n"
"       ofs-audit witness --key-file PATH --name NAME\n"
"\n"
"Cosigns a checkpoint of somebody else's log, so that its station cannot show\n"
"one history here and another one there. FILE is a checkpoint the first time,\n"
"and later what 'ofs-audit prove --since RECORDS' writes: that the log only grew\n"
"since the last checkpoint that was cosigned. Without FILE, prints the verifier\n"
"key of the witness.\n"
"\n"
"  --vkey KEY       verifier key of the log\n"
"  --key-file PATH  the witness's own key; Ed25519, made if nothing is there\n"
"  --name NAME      of the witness, without blanks\n"
"  --state DIR      where the witness remembers what it has cosigned\n"
"  --output FILE    the cosigned checkpoint; default: standard output\n"
"  --force          replace that FILE\n"
"  --json           as one JSON object\n"
"\n"
"Example: ofs-audit witness /media/stick/proof --vkey station/1+2c8a90d1+AX... \\\n"
"    --key-file witness.pem --name auditor/2 --state /var/lib/witness\n";
/* clang-format on */

struct want {
	struct ofs_witness_opts opts;
	const char *output;
	bool force;
};

static int
print(struct out *o, const struct want *w, const char *type, const char *key,
	const char *text)
{
	const char *to = w->output != NULL ? w->output : "-";
	struct jline j;
	int rc = 0;

	if (w->output != NULL || !o->json)
		rc = small_write(o, to, text, strlen(text), w->force);
	if (rc != 0 || !o->json)
		return rc;
	jline_begin(&j, type);
	jline_text(&j, key, text);
	return jline_end(&j, o);
}

static int
cosign(struct tool *s, const struct want *w, const char *file)
{
	struct bytes b = { NULL, 0 };
	char *note = NULL;
	int rc;

	rc = small_check_new(
		s->out, w->output != NULL ? w->output : "-", w->force);
	if (rc == 0)
		rc = small_read(s->out, file, REQUEST_MAX, &b);
	if (rc == 0 &&
		ofs_witness_cosign(s->ctx, b.p, b.n, &w->opts, &note) != 0)
		rc = out_fail_file(s->out, ofs_ctx_error(s->ctx), NULL, file);
	if (rc == 0)
		rc = print(s->out, w, "cosigned", "note", note);
	free(note);
	small_free(&b);
	return rc;
}

static int
show_key(struct tool *s, const struct want *w)
{
	char *vkey = NULL, *line = NULL;
	int rc;

	if (ofs_witness_vkey(s->ctx, &w->opts, &vkey) != 0)
		return out_fail_with(s->out, ofs_ctx_error(s->ctx));
	if (s->out->json)
		rc = print(s->out, w, "witness", "vkey", vkey);
	else if (asprintf(&line, "%s\n", vkey) < 0)
		rc = out_fail(s->out, OFS_ENOMEM, "out of memory");
	else
		rc = print(s->out, w, "witness", "vkey", line);
	free(line);
	free(vkey);
	return rc;
}

static int
check(const struct args *a, struct out *o, const struct operands *ops,
	const struct want *w)
{
	if (w->opts.key_file == NULL || w->opts.name == NULL)
		return args_usage(a, o,
			"name the witness with --name and its key with "
			"--key-file");
	if (ops->n == 1 && (w->opts.vkey == NULL || w->opts.dir == NULL))
		return args_usage(a, o,
			"name the log's verifier key with --vkey and the "
			"witness's memory with --state");
	return 0;
}

int
cmd_audit_witness(struct out *o, int argc, char **argv)
{
	struct want w = { OFS_WITNESS_OPTS_INIT, NULL, false };
	struct tool_opts so = { 0 };
	struct tool s = { 0 };
	bool json = false;
	const struct opt table[] = {
		{ "vkey", .text = &w.opts.vkey },
		{ "key-file", .text = &w.opts.key_file },
		{ "name", .text = &w.opts.name },
		{ "state", .text = &w.opts.dir },
		{ "output", .text = &w.output },
		{ "force", .flag = &w.force },
		{ "json", .flag = &json },
		{ .name = NULL },
	};
	const struct args a = { "ofs-audit witness", help, table, &json };
	struct operands ops;
	int rc;

	rc = args_parse(&a, o, argc, argv, &ops);
	if (rc == 0)
		rc = args_operands(
			&a, o, &ops, 0, 1, "the file of a checkpoint");
	if (rc == 0)
		rc = check(&a, o, &ops, &w);
	if (rc != 0)
		return rc == ARGS_DONE ? 0 : rc;
	rc = tool_open(&s, o, &so);
	if (rc == 0)
		rc = ops.n == 1 ? cosign(&s, &w, ops.p[0]) : show_key(&s, &w);
	tool_close(&s);
	return rc;
}
