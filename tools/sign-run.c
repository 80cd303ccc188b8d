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

int
cmd_sign_run(struct tool *s, struct sign_report *r, struct keyring *ring,
	ofs_batch *b)
{
	const struct sign_options *o = r->opts;
	struct ofs_progress done = { .size = sizeof(done) };
	bool go_on = true;
	int rc = 0;

	ofs_batch_on_result(b, cmd_sign_report_item, r);
	if (o->dry_run)
		return dry_run(r, b);
	warn_same_disk(r->out, o);
	if (cmd_sign_logs_in_late(o))
		rc = confirm(s, r, ring, b, &go_on);
	if (rc != 0 || !go_on)
		return rc;
	return finish(r, b, &done, work(r, b, ofs_batch_run, &done));
}
