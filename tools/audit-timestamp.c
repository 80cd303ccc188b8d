/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ofs-audit timestamp: an authority's word on when a checkpoint was there. */
#include <inttypes.h>
#include <stdlib.h>

#include "audit-tsa.h"
#include "common/plain.h"

#define TSP_MAX (64u << 10)

/* clang-format off */
static const char help[] =
"usage: ofs-audit timestamp --request FILE [--response FILE --tsa-trust CA]\n"
"\n"
"Writes a request (RFC 3161) over the newest checkpoint, for a time-stamping\n"
"authority that files are carried to. With --response, checks what it answered\n"
"to that request and records it: from then on nobody can say that the log was\n"
"another one up to there at that time.\n"
"\n"
"  --request FILE    where the request is written, or the one that was sent\n"
"  --force           replace that file\n"
"  --response FILE   the answer to it\n"
CMD_AUDIT_TSA_HELP
CMD_AUDIT_WRITE_HELP
"  --audit DIR       the log (OFS_AUDIT)\n"
"  --json            one JSON object a line\n"
"\n"
"Example: ofs-audit timestamp --request head.tsq\n"
"         curl -H 'Content-Type: application/timestamp-query' \\\n"
"             --data-binary @head.tsq https://tsa.example/ >head.tsr\n"
"         ofs-audit timestamp --request head.tsq --response head.tsr \\\n"
"             --tsa-trust tsa-ca.pem\n";
/* clang-format on */

static int
request(struct tool *s, const char *path, bool force)
{
	uint8_t *der = NULL;
	struct jline j;
	size_t n;
	int rc;

	rc = small_check_new(s->out, path, force);
	if (rc == 0 && ofs_audit_timestamp_request(s->audit, &der, &n) != 0)
		rc = cmd_audit_fail(s);
	if (rc == 0)
		rc = small_write(s->out, path, der, n, force);
	free(der);
	if (rc != 0 || !s->out->json)
		return rc;
	jline_begin(&j, "timestamp-request");
	jline_name(&j, "path", path, strlen(path));
	return jline_end(&j, s->out);
}

static int
print(struct out *o, const struct ofs_audit_head *h)
{
	char t[PLAIN_TIME_SIZE];
	struct jline j;

	if (o->json) {
		jline_begin(&j, "timestamp");
		jline_number(&j, "records", (int64_t)h->records);
		jline_time(&j, "time", h->time);
		jline_number(&j, "seq", (int64_t)h->seq);
		return jline_end(&j, o);
	}
	fprintf(out_human(o),
		"%" PRIu64 " records stamped at %s, record %" PRIu64 "\n",
		h->records, plain_time(t, h->time), h->seq);
	return 0;
}

/* which of the two is wrong, the reason says */
static int
fail(struct tool *s, const char *asked, const char *answer)
{
	struct ofs_error e;

	ofs_audit_error(s->audit, &e);
	return out_fail(s->out, e.code,
		"cannot take '%s' as the response to '%s': %s", NAME(answer),
		NAME(asked), e.message);
}

static int
respond(struct tool *s, const char *asked, const char *answer,
	const struct tsa *t)
{
	struct bytes req = { NULL, 0 }, resp = { NULL, 0 };
	struct ofs_audit_head h = { .size = sizeof(h) };
	int rc;

	rc = cmd_audit_tsa_trust(s, t);
	if (rc == 0)
		rc = small_read(s->out, asked, TSP_MAX, &req);
	if (rc == 0)
		rc = small_read(s->out, answer, TSP_MAX, &resp);
	if (rc == 0 &&
		ofs_audit_timestamp_record(s->audit, &t->opts, req.p, req.n,
			resp.p, resp.n, &h) != 0)
		rc = fail(s, asked, answer);
	if (rc == 0)
		rc = print(s->out, &h);
	small_free(&req);
	small_free(&resp);
	return rc;
}

int
cmd_audit_timestamp(struct out *o, int argc, char **argv)
{
	const char *asked = NULL, *answer = NULL;
	struct tsa t = { .opts = OFS_TSA_OPTS_INIT };
	struct tool_opts so = { 0 };
	struct tool s = { 0 };
	bool json = false, force = false;
	const struct opt table[] = {
		CMD_AUDIT_TSA_OPTS(t),
		{ "request", .text = &asked },
		{ "response", .text = &answer },
		{ "force", .flag = &force },
		CMD_AUDIT_WRITE_OPTS(so),
		{ "audit", .text = &so.audit },
		{ "json", .flag = &json },
		{ .name = NULL },
	};
	const struct args a = { "ofs-audit timestamp", help, table, &json };
	struct operands ops;
	int rc;

	rc = args_parse(&a, o, argc, argv, &ops);
	if (rc == 0)
		rc = args_operands(&a, o, &ops, 0, 0, "");
	if (rc == 0 && asked == NULL)
		rc = args_usage(&a, o, "name the request with '--request'");
	if (rc == 0 && (answer != NULL) != (t.trust_file != NULL))
		rc = args_usage(&a, o,
			"'--response' needs '--tsa-trust', and the other way "
			"round");
	if (rc != 0)
		return rc == ARGS_DONE ? 0 : rc;
	rc = cmd_audit_tsa_read(o, &t);
	if (rc == 0)
		rc = answer != NULL ? cmd_audit_open_to_write(&s, o, &so)
				    : cmd_audit_open(&s, o, &so);
	if (rc == 0)
		rc = answer != NULL ? respond(&s, asked, answer, &t)
				    : request(&s, asked, force);
	cmd_audit_tsa_free(&t);
	tool_close(&s);
	return rc;
}
