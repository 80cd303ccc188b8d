/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ofs-audit verify: checks the whole log and says what that shows. */
#include <inttypes.h>
#include <string.h>

#include "audit-tsa.h"
#include "audit-unlock.h"
#include "common/exit.h"
#include "common/plain.h"

/* clang-format off */
static const char help[] =
"usage: ofs-audit verify [options]\n"
"\n"
"Reads every record and checks headers, bodies, the tree over them, the head\n"
"file, and that every intent has its outcome. Batches that were not closed,\n"
"items whose outcome is unknown and outputs that were not released are named;\n"
"they are findings, and no damage.\n"
"\n"
"  --from-head FILE  a head that was kept outside: a copy of log.head,\n"
"                backup.txt of a backup, a checkpoint, or a time-stamp; may be\n"
"                given again. Without one nobody can tell that the log was\n"
"                not put back\n"
"  --head-token URI  the head that 'ofs-audit anchor' has put on a token; no PIN\n"
"                is needed. --module PATH as in ofs-token\n"
"  --tsa-trust CA, --tsa-chain FILE  roots of time-stamping authorities, and\n"
"                more certificates: good time-stamps in the log count as heads\n"
"                from outside\n"
"  --witness KEY  the verifier key of a witness: each checkpoint that is given\n"
"                must be cosigned by one that is named; may be given again\n"
"  --vkey KEY    the audit key that the log must have: without it, who wrote\n"
"                the whole log anew can have named a key of their own\n"
CMD_AUDIT_UNLOCK_HELP
"  --audit DIR   the log (OFS_AUDIT)\n"
"  --json        one JSON object a line\n"
"\n"
"Example: ofs-audit verify --audit /media/stick/log\n";
/* clang-format on */

struct findings {
	struct out *out;
	size_t n;
};

static void
show_finding(void *arg, const struct ofs_audit_finding *found)
{
	struct findings *fs = arg;
	struct jline j;
	FILE *f;

	fs->n++;
	if (fs->out->json) {
		jline_begin(&j, "finding");
		jline_text(&j, "id", found->id);
		jline_number(&j, "seq", (int64_t)found->seq);
		jline_text(&j, "text", found->text);
		(void)jline_end(&j, fs->out);
		return;
	}
	f = out_human(fs->out);
	fprintf(f, "%s at record %" PRIu64 "\n", found->id, found->seq);
	plain_wrap(f, 0, 4, found->text);
}

static const char *
key_place(const struct ofs_audit_report *r)
{
	if (r->audit_key[0] == '\0')
		return "none";
	return r->audit_key_on_token ? "token" : "file";
}

static int
head_json(void *arg, const struct ofs_audit_head *h)
{
	struct jline j;

	jline_begin(&j, "head");
	jline_text(&j, "kind", h->kind);
	jline_number(&j, "records", (int64_t)h->records);
	jline_time(&j, "time", h->time);
	jline_bool(&j, "outside", h->outside);
	jline_name(&j, "place", h->place, strlen(h->place));
	jline_number(&j, "seq", (int64_t)h->seq);
	if (j.bad || json_array_append_new(arg, j.o) != 0)
		return OFS_ENOMEM;
	return 0;
}

static void
heads_json(struct jline *j, ofs_audit *audit)
{
	json_t *all = json_array();

	if (all != NULL && ofs_audit_each_head(audit, head_json, all) != 0) {
		json_decref(all);
		all = NULL;
	}
	jline_json(j, "heads", all);
}

static void
exposure_json(struct jline *j, const struct ofs_audit_exposure *x, int code)
{
	jline_bool(j, "outside_head", x->anchored);
	jline_text(j, "verdict",
		code == OFS_EDAMAGED  ? "damaged"
			: code != 0   ? "undecided"
			: x->anchored ? "anchored"
				      : "unanchored");
	jline_number(j, "exposed_records", (int64_t)x->records);
	if (x->anchored) {
		jline_time(j, "exposed_since", x->since);
		jline_number(
			j, "exposed_seconds", (x->now - x->since) / 1000000);
	} else {
		jline_null(j, "exposed_since");
		jline_null(j, "exposed_seconds");
	}
}

static int
print_json(struct tool *s, const struct ofs_audit_report *r,
	const struct ofs_audit_exposure *x, bool whole, int code)
{
	struct jline j;

	jline_begin(&j, "report");
	jline_bool(&j, "intact", whole && code != OFS_EDAMAGED);
	jline_text(&j, "origin", r->origin);
	jline_hex(&j, "log_id", r->log_id, sizeof(r->log_id));
	jline_number(&j, "records", (int64_t)r->records);
	jline_hex(&j, "root", r->root, sizeof(r->root));
	jline_bool(&j, "head_present", r->head_present);
	jline_number(&j, "head_records", (int64_t)r->head_records);
	heads_json(&j, s->audit);
	exposure_json(&j, x, code);
	jline_text(&j, "audit_key", r->audit_key);
	jline_text(&j, "audit_key_place", key_place(r));
	jline_bool(&j, "audit_key_pinned", r->audit_key_pinned);
	jline_bool(&j, "audit_key_shared", r->audit_key_shared);
	jline_number(&j, "checkpoints", (int64_t)r->checkpoints);
	jline_number(&j, "checkpoint_records", (int64_t)r->checkpoint_records);
	jline_time(&j, "first_time", r->first_time);
	jline_time(&j, "last_time", r->last_time);
	jline_number(&j, "batches", (int64_t)r->batches);
	jline_number(&j, "unclosed_batches", (int64_t)r->unclosed_batches);
	jline_number(&j, "intents", (int64_t)r->intents);
	jline_number(&j, "outcomes", (int64_t)r->outcomes);
	jline_number(&j, "signed", (int64_t)r->signed_items);
	jline_number(&j, "failed", (int64_t)r->failed_items);
	jline_number(&j, "not_attempted", (int64_t)r->not_attempted_items);
	jline_number(&j, "unknown", (int64_t)r->unknown_items);
	jline_number(&j, "in_flight", (int64_t)r->in_flight_items);
	jline_number(&j, "pending_outputs", (int64_t)r->pending_outputs);
	jline_number(&j, "clock_steps_back", (int64_t)r->clock_steps_back);
	jline_number(&j, "epochs", r->epochs);
	jline_number(&j, "sealed_bodies", (int64_t)r->sealed_bodies);
	jline_number(&j, "erased_bodies", (int64_t)r->erased_bodies);
	jline_number(&j, "lost_records", (int64_t)r->lost_records);
	jline_number(&j, "exit", exit_status(code));
	return jline_end(&j, s->out);
}

static void
row(FILE *f, const char *name, uint64_t n, const char *more)
{
	fprintf(f, "%-14s%" PRIu64 "%s\n", name, n, more);
}

static void
print_identity(FILE *f, const struct ofs_audit_report *r)
{
	char hex[65], t[PLAIN_TIME_SIZE];

	fprintf(f, "%-14s", "log");
	plain_put(f, r->origin, strlen(r->origin));
	plain_hex(hex, r->log_id, sizeof(r->log_id));
	fprintf(f, "\n%-14s%s\n", "log id", hex);
	row(f, "records", r->records, "");
	plain_hex(hex, r->root, sizeof(r->root));
	fprintf(f, "%-14s%s\n", "root", hex);
	fprintf(f, "%-14s%s\n", "first", plain_time(t, r->first_time));
	fprintf(f, "%-14s%s\n", "last", plain_time(t, r->last_time));
	if (r->head_present)
		row(f, "head file", r->head_records, " records, agrees");
	else
		fprintf(f, "%-14sMISSING\n", "head file");
}

static void
print_checkpoints(FILE *f, const struct ofs_audit_report *r)
{
	if (r->audit_key[0] == '\0') {
		fprintf(f, "%-14snone\n", "audit key");
		return;
	}
	fprintf(f, "%-14s%s, %s\n", "audit key",
		r->audit_key_on_token ? "on a token" : "in a file",
		r->audit_key_pinned ? "the one that --vkey names"
				    : "UNPINNED: name it with --vkey");
	if (r->checkpoints == 0) {
		fprintf(f,
			"%-14snone; 'ofs-audit checkpoint --sign' signs "
			"one\n",
			"checkpoints");
		return;
	}
	row(f, "checkpoints", r->checkpoints, ", all agree");
	fprintf(f, "%-14s%" PRIu64 " records, %" PRIu64 " behind it\n",
		"  newest", r->checkpoint_records,
		r->records - r->checkpoint_records);
}

static void
print_contents(FILE *f, const struct ofs_audit_report *r)
{
	row(f, "batches", r->batches, "");
	if (r->sealed_bodies > 0) {
		row(f, "intents", r->intents, "");
		row(f, "outcomes", r->outcomes, "");
		row(f, "NOT OPENED", r->sealed_bodies,
			" bodies: they are encrypted, and no key is here");
		fputs("              (--station-key, --passphrase-source or "
		      "--auditor-key opens them)\n",
			f);
		if (r->pending_outputs > 0)
			row(f, "not released", r->pending_outputs, "");
		return;
	}
	if (r->unclosed_batches > 0)
		row(f, "  not closed", r->unclosed_batches, "");
	row(f, "signed", r->signed_items, "");
	if (r->failed_items > 0)
		row(f, "failed", r->failed_items, "");
	if (r->not_attempted_items > 0)
		row(f, "not attempted", r->not_attempted_items, "");
	if (r->in_flight_items > 0)
		row(f, "in flight", r->in_flight_items,
			", of batches that are running now");
	if (r->unknown_items > 0)
		row(f, "UNKNOWN", r->unknown_items,
			", the token was asked, no outcome is recorded");
	if (r->pending_outputs > 0)
		row(f, "not released", r->pending_outputs,
			", the next ofs-sign run writes them");
	if (r->erased_bodies > 0)
		row(f, "erased", r->erased_bodies,
			" bodies, as auditors have allowed");
	if (r->lost_records > 0)
		row(f, "LOST", r->lost_records,
			" records, when older backups were restored");
	if (r->clock_steps_back > 0)
		row(f, "clock back", r->clock_steps_back,
			" records are older than the one before");
}

static int
print_head(void *arg, const struct ofs_audit_head *h)
{
	size_t n = strlen(h->place);
	char t[PLAIN_TIME_SIZE];
	FILE *f = arg;
	int used;

	used = fprintf(f, "  %-12s%" PRIu64 " records, %s, %s", h->kind,
		h->records, plain_time(t, h->time),
		h->outside ? "from outside" : "of this log");
	if (n > 0) {
		fputs(used + 2 + (int)n <= 80 ? ", " : "\n              ", f);
		plain_put(f, h->place, n);
	}
	fputc('\n', f);
	return 0;
}

static void
print_exposure(FILE *f, const struct ofs_audit_exposure *x)
{
	char t[PLAIN_TIME_SIZE];
	int64_t min = (x->now - x->since) / 60000000;

	if (!x->anchored) {
		plain_wrap(f, 0, 0,
			"UNANCHORED: no head from outside was compared; not "
			"shown: that nothing was cut off at the end or put "
			"back to an older copy, head file included, or that "
			"all of it was not written anew. Keep a head outside "
			"this machine, and give it to --from-head or "
			"--head-token the next time.");
		return;
	}
	fprintf(f,
		"exposed: the last %" PRIu64 " records, since %s (%" PRId64
		" d %" PRId64 " h %" PRId64 " min)\n",
		x->records, plain_time(t, x->since), min / 1440, min / 60 % 24,
		min % 60);
	plain_wrap(f, 0, 0,
		"not shown: that nothing was cut off or changed behind the "
		"newest head from outside. Keep a newer one.");
}

static void
print_human(struct tool *s, const struct ofs_audit_report *r,
	const struct ofs_audit_exposure *x, size_t findings)
{
	FILE *f = out_human(s->out);

	if (findings > 0)
		fputc('\n', f);
	print_identity(f, r);
	print_checkpoints(f, r);
	print_contents(f, r);
	fputs("heads\n", f);
	(void)ofs_audit_each_head(s->audit, print_head, f);
	fputs(x->anchored ? "\nthe log is intact"
			  : "\nthe log agrees with itself",
		f);
	fputs(": every record is as it was written, none is missing\n"
	      "between the first and the last\n\n",
		f);
	if (r->audit_key[0] != '\0' && !r->audit_key_on_token)
		plain_wrap(f, 0, 0,
			"the audit key is in a file: whoever owns the station "
			"can sign other histories");
	if (r->audit_key_shared)
		plain_wrap(f, 0, 0,
			"the audit key is behind the PIN that signs documents: "
			"no protection against the operator");
	print_exposure(f, x);
}

static int
verify(struct tool *s, const struct strings *heads, ofs_token *token)
{
	struct ofs_audit_report r = { .size = sizeof(r) };
	struct ofs_audit_exposure x = { .anchored = false };
	struct findings found = { s->out, 0 };
	int rc, printed = 0;
	bool whole;

	rc = ofs_audit_verify(s->audit, show_finding, &found, &r);
	whole = rc == 0;
	for (size_t i = 0; rc == 0 && i < heads->n; i++)
		rc = ofs_audit_check_head(s->audit, heads->p[i], NULL);
	if (rc == 0 && token != NULL)
		rc = ofs_audit_check_token_head(s->audit, token, NULL);
	if (rc == 0)
		rc = ofs_audit_get_exposure(s->audit, &x);
	if (rc != 0)
		rc = cmd_audit_fail(s);
	if (s->out->json)
		printed = print_json(s, &r, &x, whole, rc);
	else if (rc == 0)
		print_human(s, &r, &x, found.n);
	return rc != 0 ? rc : printed;
}

int
cmd_audit_verify(struct out *o, int argc, char **argv)
{
	struct tool_opts so = { 0 };
	struct unlock u = { NULL, NULL, NULL };
	struct tool s = { 0 };
	struct tsa t = { .opts = OFS_TSA_OPTS_INIT };
	struct strings heads = { .n = 0 }, witnesses = { .n = 0 };
	const char *vkey = NULL, *uri = NULL;
	ofs_token *token = NULL;
	bool json = false;
	const struct opt table[] = {
		CMD_AUDIT_UNLOCK_OPTS(u, so),
		CMD_AUDIT_TSA_OPTS(t),
		{ "from-head", .list = &heads },
		{ "head-token", .text = &uri },
		{ "witness", .list = &witnesses },
		{ "vkey", .text = &vkey },
		{ "audit", .text = &so.audit },
		{ "json", .flag = &json },
		{ .name = NULL },
	};
	const struct args a = { "ofs-audit verify", help, table, &json };
	struct operands ops;
	int rc;

	rc = args_parse(&a, o, argc, argv, &ops);
	if (rc == 0)
		rc = args_operands(&a, o, &ops, 0, 0, "");
	if (rc != 0)
		return rc == ARGS_DONE ? 0 : rc;
	rc = cmd_audit_tsa_read(o, &t);
	if (rc == 0)
		rc = cmd_audit_open_with(&s, o, &so, &u);
	if (rc == 0 && ofs_audit_pin(s.audit, vkey) != 0)
		rc = cmd_audit_fail(&s);
	if (rc == 0)
		rc = cmd_audit_tsa_trust(&s, &t);
	for (size_t i = 0; rc == 0 && i < witnesses.n; i++)
		if (ofs_audit_trust_witness(s.audit, witnesses.p[i]) != 0)
			rc = cmd_audit_fail(&s);
	/* before anything is read, so that it is there */
	if (rc == 0 && uri != NULL)
		rc = cmd_audit_token(&s, &so, uri, &token);
	if (rc == 0)
		rc = verify(&s, &heads, token);
	ofs_token_free(token);
	cmd_audit_tsa_free(&t);
	tool_close(&s);
	return rc;
}
