/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The course of a run: the plan, the question, the login, the batch. */
#include <sys/stat.h>

#include "sign.h"

struct view {
	struct sign_report *r;
	struct progress bar;
	bool told; /* that a signal was seen */
};

static void
show(void *arg, const struct ofs_progress *p)
{
	struct view *v = arg;
	struct out *o = v->r->out;

	if (cmd_sign_report_wanted())
		progress_line(&v->bar, p);
	if (cmd_sign_stopping() && !v->told && !v->r->opts->dry_run) {
		v->told = true;
		out_note(o,
			"stopping once what is in the token is recorded; a "
			"second signal stops at once");
	}
	if (!o->quiet)
		progress_show(&v->bar, p);
}

/* plan or run, with a bar, and stopped by signals */
static int
work(struct sign_report *r, ofs_batch *b,
	int (*fn)(ofs_batch *, struct ofs_progress *),
	struct ofs_progress *done)
{
	struct view v = { .r = r };
	int rc;

	progress_init(&v.bar);
	r->out->bar = &v.bar;
	ofs_batch_on_progress(b, show, &v);
	cmd_sign_watch(b);
	rc = fn(b, done);
	cmd_sign_unwatch();
	progress_wipe(&v.bar);
	r->out->bar = NULL;
	ofs_batch_on_progress(b, NULL, NULL);
	return rc;
}

/* every operand was refused: that is no wrong use */
static int
finish(struct sign_report *r, ofs_batch *b, struct ofs_progress *done, int rc)
{
	if (rc == OFS_EINVAL && done->items == 0 && r->refused > 0)
		rc = OFS_EITEMS;
	else if (rc == OFS_EINVAL && done->items == 0)
		return out_fail(r->out, OFS_EFORMAT,
			"there is nothing to sign in what was named");
	return cmd_sign_report_end(r, done, rc, ofs_batch_error(b));
}

static int
dry_run(struct sign_report *r, ofs_batch *b)
{
	struct ofs_progress done = { .size = sizeof(done) };
	const struct ofs_plan *p;
	int rc;

	rc = work(r, b, ofs_batch_plan, &done);
	p = ofs_batch_get_plan(b);
	if ((rc == 0 || rc == OFS_EITEMS) && p != NULL) {
		if (cmd_sign_plan_json(r, p) != 0 && r->code == 0)
			r->code = OFS_ENOMEM;
		if (!r->out->json && !r->out->quiet)
			cmd_sign_plan_print(out_human(r->out), p);
	}
	return finish(r, b, &done, rc);
}

/* *asked: there is something to sign, and the operator wants it */
static int
plan_and_ask(struct sign_report *r, ofs_batch *b, bool *asked)
{
	struct ofs_progress done = { .size = sizeof(done) };
	const struct ofs_plan *p;
	FILE *tty;
	int rc;

	*asked = false;
	rc = cmd_sign_confirm_terminal(r->out, &tty);
	if (rc != 0)
		return rc;
	r->tty = tty;
	rc = work(r, b, ofs_batch_plan, &done);
	r->tty = NULL;
	p = ofs_batch_get_plan(b);
	if ((rc != 0 && rc != OFS_EITEMS) || p == NULL || p->ready == 0) {
		fclose(tty);
		return finish(r, b, &done, rc);
	}
	*asked = true;
	rc = cmd_sign_plan_json(r, p);
	if (rc != 0)
		fclose(tty);
	return rc != 0 ? rc : cmd_sign_confirm(r->out, tty, p);
}

/* the login comes after the confirmation */
static int
confirm(struct tool *s, struct sign_report *r, struct keyring *ring,
	ofs_batch *b, bool *go_on)
{
	const struct sign_options *o = r->opts;
	size_t from = ring->n;
	int rc = 0;

	*go_on = true;
	if (o->confirmed != NULL)
		rc = cmd_sign_check_confirmed(r->out, b, o->confirmed);
	else if (o->confirm)
		rc = plan_and_ask(r, b, go_on);
	if (rc == 0 && *go_on)
		rc = cmd_sign_open_keys(s, o, 0, ring);
	if (rc == 0 && *go_on)
		rc = cmd_sign_add_keys(s, b, ring, from);
	return rc;
}

/* what is lost with the disk is lost with both */
static void
warn_same_disk(struct out *o, const struct sign_options *opts)
{
	const char *out = opts->out_dir != NULL ? opts->out_dir : ".";
	struct stat a, b;

	if (opts->copy_to != NULL && stat(opts->copy_to, &a) == 0 &&
		(stat(out, &b) == 0 || stat(".", &b) == 0) &&
		a.st_dev == b.st_dev)
		out_warn(o,
			"the second copies go to the file system that the "
			"signatures are on; name a directory on another medium");
}

/* before the first signature: what --anchor needs */
static int
can_anchor(struct tool *s)
{
	struct ofs_audit_key_info k = { .size = sizeof(k) };
	struct ofs_error e;

	if (ofs_audit_get_key(s->audit, &k) != 0) {
		ofs_audit_error(s->audit, &e);
		return out_fail_with(s->out, &e);
	}
	if (k.vkey[0] == '\0')
		return out_fail(s->out, OFS_EKEY,
			"there is no head to --anchor: the audit log has no "
			"audit key; give it one with ofs-audit audit-key "
			"--set, or leave --anchor out");
	return 0;
}

/* the first token that takes it; what was signed is signed in any case */
static int
anchor(struct tool *s, struct sign_report *r, const struct keyring *ring)
{
	struct ofs_audit_head h = { .size = sizeof(h) };
	struct ofs_error e = { .code = OFS_ETOKEN };
	struct jline j;
	size_t i;

	for (i = 0; i < ring->n; i++) {
		if (ofs_audit_put_token_head(s->audit, ring->tokens[i], &h) ==
			0)
			break;
		ofs_audit_error(s->audit, &e);
		out_warn(r->out,
			"the head of the audit log was not put on the token: "
			"%s; %s",
			e.message,
			e.code == OFS_EDAMAGED
				? "trust no record before 'ofs-audit verify "
				  "--head-token' is content"
				: "'ofs-audit anchor' does it later");
	}
	if (i == ring->n)
		return e.code;
	jline_begin(&j, "anchor");
	jline_number(&j, "records", (int64_t)h.records);
	jline_text(&j, "place", h.place);
	jline_number(&j, "seq", (int64_t)h.seq);
	return cmd_sign_report_line(r, &j);
}

int
cmd_sign_run(struct tool *s, struct sign_report *r, struct keyring *ring,
	ofs_batch *b)
{
	const struct sign_options *o = r->opts;
	struct ofs_progress done = { .size = sizeof(done) };
	bool go_on = true;
	int rc = 0, anchored = 0;

	ofs_batch_on_result(b, cmd_sign_report_item, r);
	if (o->dry_run)
		return dry_run(r, b);
	warn_same_disk(r->out, o);
	if (cmd_sign_logs_in_late(o))
		rc = confirm(s, r, ring, b, &go_on);
	if (rc == 0 && go_on && o->anchor)
		rc = can_anchor(s);
	if (rc != 0 || !go_on)
		return rc;
	rc = work(r, b, ofs_batch_run, &done);
	if (o->anchor && (rc == 0 || rc == OFS_EITEMS || rc == OFS_EINTR))
		anchored = anchor(s, r, ring);
	rc = finish(r, b, &done, rc);
	return rc != 0 ? rc : anchored;
}
