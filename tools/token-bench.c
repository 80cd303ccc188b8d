/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ofs-token bench: how fast keys sign, by the number of sessions. */
#include <inttypes.h>
#include <string.h>

#include "common/plain.h"
#include "token.h"

#define JOBS_MAX 256

/* clang-format off */
static const char help[] =
"usage: ofs-token bench URI... [options]\n"
"\n"
"Measures how many signatures a second each key makes with one session, two,\n"
"four and so on, and names the best --jobs for ofs-sign. Signs tagged test\n"
"messages and verifies a sample. The audit log gets one record with the count,\n"
"announced before the first signature.\n"
"\n"
"  --seconds N        for each number of sessions; default 2\n"
"  --jobs LIST        numbers of sessions, as 1,2,8; default: doubled from 1 on\n"
"                     while it helps and the token opens them\n"
"  --use-enrolled     measure with keys that documents are signed with, too\n"
TOKEN_SIGN_HELP
TOKEN_HELP
"\n"
"Example: ofs-token bench 'pkcs11:token=payroll;object=test' --jobs 1,2,4\n";
/* clang-format on */

struct bench {
	struct out *out;
	const char *uri;
	bool begun;
	int code;
};

static json_t *
tenths(double v)
{
	return json_real((double)(int64_t)(v * 10 + 0.5) / 10);
}

static int
show(void *arg, const struct ofs_bench_level *l)
{
	struct bench *b = arg;
	struct jline j;
	FILE *f;

	if (b->out->json) {
		jline_begin(&j, "level");
		jline_text(&j, "uri", b->uri);
		jline_number(&j, "jobs", l->jobs);
		jline_number(&j, "signatures", (int64_t)l->signatures);
		jline_json(&j, "seconds", json_real((double)l->us / 1e6));
		jline_json(&j, "per_second", tenths(l->per_second));
		b->code = jline_end(&j, b->out);
		return b->code;
	}
	f = out_human(b->out);
	if (!b->begun)
		fprintf(f, "  %8s %12s %12s\n", "sessions", "signatures",
			"per second");
	b->begun = true;
	fprintf(f, "  %8u %12" PRIu64 " %12.1f\n", l->jobs, l->signatures,
		l->per_second);
	fflush(f);
	return 0;
}

static int
report_json(struct out *o, const struct ofs_bench_report *r)
{
	struct jline j;

	jline_begin(&j, "bench");
	jline_text(&j, "uri", r->key.uri);
	jline_text(&j, "label", r->key.label);
	jline_text(&j, "key_type", r->key.type_name);
	jline_number(&j, "best_jobs", r->best_jobs);
	jline_json(&j, "best_per_second", tenths(r->best_per_second));
	if (r->sessions > 0)
		jline_number(&j, "sessions", r->sessions);
	else
		jline_null(&j, "sessions");
	jline_number(&j, "signatures", (int64_t)r->signatures);
	jline_number(&j, "verified", (int64_t)r->verified);
	jline_number(&j, "intent", (int64_t)r->intent_seq);
	return jline_end(&j, o);
}

static int
report(struct out *o, const struct ofs_bench_report *r)
{
	FILE *f;

	if (o->json)
		return report_json(o, r);
	f = out_human(o);
	fprintf(f, "  %s, best with --jobs %u: %.1f a second\n",
		r->key.type_name, r->best_jobs, r->best_per_second);
	if (r->sessions > 0)
		fprintf(f, "  the token opens %u sessions and no more\n",
			r->sessions);
	fprintf(f,
		"  %" PRIu64 " test signatures, %" PRIu64
		" of them verified; audit record %" PRIu64 "\n",
		r->signatures, r->verified, r->intent_seq);
	return 0;
}

static int
bench_one(struct tool *s, const char *uri, const struct ofs_bench_opts *bo)
{
	struct bench b = { s->out, uri, false, 0 };
	struct ofs_bench_report r;
	ofs_token *token = NULL;
	int rc = 0;

	if (ofs_token_open(s->ctx, uri, &token) != 0)
		return out_fail_with(s->out, ofs_ctx_error(s->ctx));
	if (!s->out->json) {
		plain_put(out_human(s->out), uri, strlen(uri));
		fputc('\n', out_human(s->out));
	}
	if (ofs_key_bench(token, s->audit, uri, bo, show, &b, &r) != 0)
		rc = b.code != 0
			? b.code
			: out_fail_with(s->out, ofs_token_error(token));
	if (rc == OFS_EPOLICY && !bo->use_enrolled)
		out_note(s->out, "--use-enrolled allows enrolled keys");
	if (rc == 0)
		rc = report(s->out, &r);
	ofs_token_free(token);
	return rc;
}

/* "1,2,8" */
static bool
parse_jobs(const char *s, unsigned int *jobs, size_t *n)
{
	char one[8];
	uint64_t v;
	size_t len;

	for (*n = 0;; s += len + 1) {
		len = strcspn(s, ",");
		if (*n == JOBS_MAX || len >= sizeof(one))
			return false;
		memcpy(one, s, len);
		one[len] = '\0';
		if (!plain_parse_number(one, JOBS_MAX, &v) || v == 0)
			return false;
		jobs[(*n)++] = (unsigned int)v;
		if (s[len] == '\0')
			return true;
	}
}

static int
check_usage(const struct args *a, struct out *o, const struct operands *ops,
	const char *list, unsigned int *jobs, struct ofs_bench_opts *bo)
{
	if (ops->n == 0)
		return args_usage(a, o, "the URI of a key is missing");
	if (list == NULL)
		return 0;
	if (!parse_jobs(list, jobs, &bo->n_jobs))
		return args_usage(a, o,
			"'--jobs' is a list of numbers from 1 to %d, as 1,2,8, "
			"not '%s'",
			JOBS_MAX, NAME(list));
	bo->jobs = jobs;
	return 0;
}

int
cmd_token_bench(struct out *o, int argc, char **argv)
{
	struct ofs_bench_opts bo = OFS_BENCH_OPTS_INIT;
	unsigned int jobs[JOBS_MAX];
	struct tool_opts so = { 0 };
	struct tool s = { 0 };
	const char *list = NULL;
	unsigned long seconds = 0;
	bool json = false;
	const struct opt table[] = {
		{ "seconds", .number = &seconds, .min = 1, .max = 3600 },
		{ "jobs", .text = &list },
		{ "use-enrolled", .flag = &bo.use_enrolled },
		TOKEN_SIGN_OPTS(so),
		TOKEN_OPTS(so),
		{ "json", .flag = &json },
		{ .name = NULL },
	};
	const struct args a = { "ofs-token bench", help, table, &json };
	struct operands ops;
	int rc;

	rc = args_parse(&a, o, argc, argv, &ops);
	if (rc == 0)
		rc = check_usage(&a, o, &ops, list, jobs, &bo);
	if (rc != 0)
		return rc == ARGS_DONE ? 0 : rc;
	bo.seconds = (int)seconds;
	rc = tool_open(&s, o, &so);
	if (rc == 0)
		rc = tool_modules(&s, &so);
	if (rc == 0)
		rc = tool_audit(&s, &so, OFS_AUDIT_CREATE);
	for (int i = 0; rc == 0 && i < ops.n; i++)
		rc = bench_one(&s, ops.p[i], &bo);
	tool_close(&s);
	return rc;
}
