/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ofs-sign without signing: what was begun, how far it is, what waits. */
#include <inttypes.h>
#include <string.h>

#include "common/plain.h"
#include "sign.h"

bool
cmd_sign_is_batches(const struct sign_options *o)
{
	return o->list_unfinished || o->status != NULL || o->discard != 0 ||
		o->abandon != NULL;
}

static const char *
phase_word(enum ofs_batch_phase p)
{
	switch (p) {
	case OFS_BATCH_RUNNING:
		return "running";
	case OFS_BATCH_CUT_OFF:
		return "cut-off";
	case OFS_BATCH_INTERRUPTED:
		return "interrupted";
	case OFS_BATCH_ABANDONED:
		return "abandoned";
	default:
		return "finished";
	}
}

static int
state_json(struct out *o, const struct ofs_batch_state *st)
{
	struct jline j;

	jline_begin(&j, "batch");
	jline_text(&j, "batch", st->batch_id);
	if (st->resumes[0] != '\0')
		jline_text(&j, "resumes", st->resumes);
	jline_text(&j, "state", phase_word(st->phase));
	jline_number(&j, "seq", (int64_t)st->opened_seq);
	jline_time(&j, "opened", st->opened);
	if (!st->sealed)
		jline_number(&j, "items", (int64_t)st->items);
	jline_number(&j, "signed", (int64_t)st->signed_items);
	jline_number(&j, "in_flight", (int64_t)st->in_flight);
	if (!st->sealed)
		jline_number(&j, "left", (int64_t)st->left);
	jline_number(&j, "unknown", (int64_t)st->unknown);
	if (st->sealed) {
		jline_bool(&j, "sealed", true);
	} else {
		jline_text(&j, "key", st->key_label);
		jline_text(&j, "form", st->form);
	}
	if (st->reason[0] != '\0')
		jline_text(&j, "reason", st->reason);
	return jline_end(&j, o);
}

struct table {
	struct out *out;
	size_t n;
	int code;
};

static void
put_count(char to[24], const struct ofs_batch_state *st, uint64_t n)
{
	if (st->sealed)
		snprintf(to, 24, "?");
	else
		snprintf(to, 24, "%" PRIu64, n);
}

/* the state and why; a reason may begin with the state's word */
static void
put_end(FILE *f, const struct ofs_batch_state *st)
{
	const char *word = phase_word(st->phase), *reason = st->reason;
	size_t n = strlen(word);

	if (strncmp(reason, word, n) == 0 && strncmp(reason + n, ": ", 2) == 0)
		reason += n + 2;
	fprintf(f, "\n  %s", word);
	if (st->sealed)
		fputs("; sealed: no key for what it is of is here", f);
	if (reason[0] != '\0') {
		fputs(": ", f);
		plain_put(f, reason, strlen(reason));
	}
	fputc('\n', f);
}

static int
show_row(void *arg, const struct ofs_batch_state *st)
{
	struct table *t = arg;
	char opened[PLAIN_TIME_SIZE], items[24], left[24];
	FILE *f;

	t->n++;
	if (t->out->json)
		return t->code = state_json(t->out, st);
	f = out_human(t->out);
	if (t->n == 1)
		fprintf(f, "%-32s  %-20s  %7s  %7s  %7s  %7s  %s\n", "batch",
			"opened", "items", "signed", "left", "unknown", "key");
	put_count(items, st, st->items);
	put_count(left, st, st->left + st->in_flight);
	fprintf(f, "%-32s  %-20s  %7s  %7" PRIu64 "  %7s  %7" PRIu64 "  ",
		st->batch_id, plain_time(opened, st->opened), items,
		st->signed_items, left, st->unknown);
	plain_put(f, st->key_label, strlen(st->key_label));
	put_end(f, st);
	return 0;
}

static int
fail(struct tool *s)
{
	struct ofs_error e;

	ofs_audit_error(s->audit, &e);
	return out_fail_with(s->out, &e);
}

static int
list_unfinished(struct tool *s)
{
	struct table t = { .out = s->out };

	if (ofs_audit_each_unfinished(s->audit, show_row, &t) != 0)
		return t.code != 0 ? t.code : fail(s);
	if (t.n == 0)
		out_note(s->out, "every list that was begun is finished");
	return 0;
}

static int
show_status(struct tool *s, const char *id)
{
	struct ofs_batch_state st;
	char opened[PLAIN_TIME_SIZE];
	FILE *f;

	if (ofs_audit_batch(s->audit, id, &st) != 0)
		return fail(s);
	if (s->out->json)
		return state_json(s->out, &st);
	f = out_human(s->out);
	fprintf(f, "batch    %s\n", st.batch_id);
	if (st.resumes[0] != '\0')
		fprintf(f, "resumes  %s\n", st.resumes);
	fprintf(f, "state    %s\n", phase_word(st.phase));
	fprintf(f, "opened   %s\n", plain_time(opened, st.opened));
	if (st.sealed) {
		fputs("sealed   no key for what it is of is here\n", f);
		fprintf(f, "signed   %" PRIu64 "\n", st.signed_items);
	} else {
		fputs("key      ", f);
		plain_put(f, st.key_label, strlen(st.key_label));
		fprintf(f, "\nform     %s\n", st.form);
		fprintf(f, "signed   %" PRIu64 " of %" PRIu64 "\n",
			st.signed_items, st.items);
		fprintf(f, "left     %" PRIu64 "\n", st.left + st.in_flight);
	}
	if (st.unknown > 0)
		fprintf(f, "unknown  %" PRIu64 "\n", st.unknown);
	if (st.reason[0] != '\0') {
		fputs("ended    ", f);
		plain_wrap(f, 9, 9, st.reason);
	}
	return 0;
}

static int
discard(struct tool *s, uint64_t seq)
{
	if (ofs_audit_discard(s->audit, seq, "given up by the operator") != 0)
		return fail(s);
	out_note(s->out,
		"the output of record %" PRIu64
		" does not wait any more; 'ofs-sign' over its list makes it "
		"again from the record",
		seq);
	return 0;
}

static int
abandon(struct tool *s, const char *id)
{
	struct ofs_batch_state st;

	if (ofs_audit_batch(s->audit, id, &st) != 0)
		return fail(s);
	if (ofs_batch_abandon(
		    s->ctx, s->audit, id, "given up by the operator") != 0)
		return out_fail_with(s->out, ofs_ctx_error(s->ctx));
	out_note(s->out,
		"the list of batch %s is given up, %" PRIu64
		" of it signed; begun again it is a new one%s",
		st.batch_id, st.signed_items,
		st.unknown + st.in_flight > 0
			? ", and what is unknown of it would be signed again"
			: "");
	return 0;
}

int
cmd_sign_batches(struct tool *s, const struct sign_options *o)
{
	bool writes = o->discard != 0 || o->abandon != NULL;
	int rc;

	rc = tool_audit(s, &o->session, writes ? 0 : OFS_AUDIT_READ_ONLY);
	if (rc != 0)
		return rc;
	if (o->abandon != NULL)
		return abandon(s, o->abandon);
	if (o->discard != 0)
		return discard(s, o->discard);
	return o->status != NULL ? show_status(s, o->status)
				 : list_unfinished(s);
}
