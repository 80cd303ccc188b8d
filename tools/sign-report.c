/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Results of a batch as lines and as JSON, and their summary. */
#include <inttypes.h>
#include <string.h>

#include "common/exit.h"
#include "common/plain.h"
#include "common/progress.h"
#include "sign.h"

#define WORD_COLUMNS 10
#define SECOND 1000000.0

static const char *
word(const struct sign_report *r, const struct ofs_result *res)
{
	switch (res->status) {
	case OFS_ITEM_SIGNED:
		return "signed";
	case OFS_ITEM_SKIPPED:
		return "skipped";
	case OFS_ITEM_FAILED:
		return "failed";
	case OFS_ITEM_NOT_ATTEMPTED:
		return r->opts->dry_run && res->code == 0 ? "ready"
							  : "not-attempted";
	default:
		return "unknown";
	}
}

static const char *
digest_name(enum ofs_digest d)
{
	static const char *const names[] = { "default", "sha256", "sha384",
		"sha512", "shake256" };

	return names[d];
}

static void
item_json(struct sign_report *r, const struct ofs_result *res)
{
	struct jline j;
	int rc;

	if (!r->out->json && r->file.f == NULL)
		return;
	jline_begin(&j, "item");
	jline_number(&j, "index", (int64_t)res->index);
	jline_name(&j, "path", res->path, strlen(res->path));
	if (res->id != NULL)
		jline_text(&j, "id", res->id);
	jline_text(&j, "status", word(r, res));
	if (res->digest != NULL) {
		jline_text(&j, "digest_alg", digest_name(res->digest_alg));
		jline_hex(&j, "digest", res->digest, res->digest_len);
		jline_number(&j, "size", (int64_t)res->document_size);
	}
	if (res->output != NULL && res->code == 0)
		jline_name(&j, "signature", res->output, strlen(res->output));
	if (res->seq != 0)
		jline_number(&j, "seq", (int64_t)res->seq);
	if (res->code != 0)
		jline_error(&j, res->code, res->message);
	else if (res->message[0] != '\0')
		jline_text(&j, "note", res->message);
	if (res->copy != NULL && res->copy_code == 0)
		jline_name(&j, "copy", res->copy, strlen(res->copy));
	if (res->copy_code != 0) {
		jline_text(&j, "copy_code", ofs_err_name(res->copy_code));
		jline_text(&j, "copy_error", res->copy_message);
	}
	rc = cmd_sign_report_line(r, &j);
	if (r->code == 0)
		r->code = rc;
}

static void
item_line(FILE *f, const char *what, const char *path, const char *message)
{
	fprintf(f, "%-*s", WORD_COLUMNS, what);
	plain_put(f, path, strlen(path));
	fputc('\n', f);
	if (message[0] != '\0')
		plain_wrap(f, 0, WORD_COLUMNS, message);
}

void
cmd_sign_report_item(void *arg, const struct ofs_result *res)
{
	struct sign_report *r = arg;
	bool plan = r->opts->dry_run && res->code == 0;

	if (r->tty != NULL) {
		if (res->code != 0)
			item_line(
				r->tty, word(r, res), res->path, res->message);
		return;
	}
	if (res->status == OFS_ITEM_SIGNED || res->status == OFS_ITEM_SKIPPED)
		r->done++;
	if (res->signature != NULL &&
		fwrite(res->signature, 1, res->signature_len, stdout) !=
			res->signature_len)
		r->code = OFS_EIO;
	item_json(r, res);
	if (r->out->json)
		return;
	if (res->copy_code != 0)
		item_line(out_human(r->out), "no copy", res->path,
			res->copy_message);
	/* what went well is in the summary, and in the files */
	if (res->status == OFS_ITEM_FAILED || res->status == OFS_ITEM_UNKNOWN)
		item_line(out_human(r->out), word(r, res), res->path,
			res->message);
	else if (plan && !r->out->quiet)
		item_line(out_human(r->out), word(r, res), res->path, "");
}

void
cmd_sign_report_refused(
	struct sign_report *r, const char *path, int code, const char *message)
{
	struct jline j;

	r->refused++;
	if (!r->out->json)
		item_line(out_human(r->out), "failed", path, message);
	jline_begin(&j, "item");
	jline_name(&j, "path", path, strlen(path));
	jline_text(&j, "status", "failed");
	jline_error(&j, code, message);
	(void)cmd_sign_report_line(r, &j);
}

static int
summary_json(struct sign_report *r, const struct ofs_progress *p, int code)
{
	struct jline j;

	jline_begin(&j, "summary");
	jline_bool(&j, "dry_run", r->opts->dry_run);
	jline_number(&j, "items", (int64_t)(p->items + r->refused));
	jline_number(&j, "signed", (int64_t)p->signed_items);
	jline_number(&j, "failed", (int64_t)(p->failed + r->refused));
	jline_number(&j, "skipped", (int64_t)p->skipped);
	jline_number(&j, "not_attempted", (int64_t)p->not_attempted);
	jline_number(&j, "unknown", (int64_t)p->unknown);
	if (r->opts->copy_to != NULL) {
		jline_number(&j, "copied", (int64_t)p->copied);
		jline_number(&j, "copy_failed", (int64_t)p->copy_failed);
	}
	jline_number(&j, "bytes", (int64_t)p->bytes);
	jline_json(&j, "seconds", json_real((double)p->elapsed / SECOND));
	if (p->batch_id[0] != '\0')
		jline_text(&j, "batch", p->batch_id);
	if (p->resumes[0] != '\0') {
		jline_text(&j, "resumes", p->resumes);
		jline_number(&j, "resumed", (int64_t)p->resumed);
	}
	jline_number(&j, "exit", exit_status(code));
	return cmd_sign_report_line(r, &j);
}

static void
print_count(FILE *f, size_t n, const char *what)
{
	if (n > 0)
		fprintf(f, ", %zu %s", n, what);
}

static void
print_summary(struct sign_report *r, const struct ofs_progress *p)
{
	double s = (double)p->elapsed / SECOND;
	char rate[24];
	FILE *f = out_human(r->out);

	if (r->opts->dry_run)
		fprintf(f, "%zu of %zu could be signed", p->not_attempted,
			p->items + r->refused);
	else
		fprintf(f, "%zu of %zu signed", p->signed_items,
			p->items + r->refused);
	print_count(f, p->failed + r->refused, "failed");
	print_count(f, p->skipped, "skipped");
	if (!r->opts->dry_run)
		print_count(f, p->not_attempted, "not attempted");
	print_count(f, p->unknown, "UNKNOWN");
	print_count(f, p->copied, "copied");
	print_count(f, p->copy_failed, "NOT COPIED");
	if (p->signed_items > 0 && s > 0) {
		progress_rate(p, p->signed_items, rate, sizeof(rate));
		fprintf(f, " in %.1f s (%s)", s, rate);
	}
	fputc('\n', f);
	if (p->batch_id[0] != '\0')
		fprintf(f, "batch %s\n", p->batch_id);
	if (p->resumes[0] != '\0')
		fprintf(f, "it went on with batch %s, which had signed %zu\n",
			p->resumes, p->resumed);
	if (p->unknown > 0)
		plain_wrap(f, 0, 0,
			"the token was asked for the unknown ones, and whether "
			"it signed is not recorded; 'ofs-audit verify' names "
			"them");
}

static void
print_next(struct sign_report *r, const struct ofs_progress *p)
{
	FILE *f = out_human(r->out);

	if (r->opts->dry_run) {
		if (p->not_attempted > 0)
			fputs("nothing was signed; without --dry-run it is\n",
				f);
		return;
	}
	if (p->copy_failed > 0)
		plain_wrap(f, 0, 0,
			"the signatures are in place; for the copies that are "
			"missing, run the same command with --skip-existing");
	else if (p->not_attempted > 0)
		plain_wrap(f, 0, 0,
			"to go on with the rest, run the same command again");
	if (r->done > 0 && !r->to_stdout)
		cmd_sign_print_check(f, r);
}

int
cmd_sign_report_end(struct sign_report *r, const struct ofs_progress *p, int rc,
	const struct ofs_error *e)
{
	int code = rc;

	if (rc != 0 && rc != OFS_EITEMS)
		out_fail(r->out, rc, "%s",
			e->message[0] != '\0' ? e->message : ofs_err_text(rc));
	if (code == 0 && r->refused > 0)
		code = OFS_EITEMS;
	if (code == 0)
		code = r->code;
	rc = summary_json(r, p, code);
	if (code == 0)
		code = rc;
	code = cmd_sign_report_keep(r, code);
	if (r->out->json)
		return code;
	print_summary(r, p);
	if (!r->out->quiet)
		print_next(r, p);
	return code;
}
