/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ofs-token check: a safety assessment of a token and its keys. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/plain.h"
#include "common/small.h"
#include "token.h"

/* clang-format off */
static const char help[] =
"usage: ofs-token check [URI] [options]\n"
"\n"
"Looks at the token that the URI names, or at the only one, and at all of its\n"
"keys, and tells what is unsafe, what is going to be, and what to do about it.\n"
"Logs in, as most tokens show private keys after a login only. No PIN is\n"
"guessed, default PINs are not tried. Recorded in the audit log.\n"
"\n"
"  --severity LEVEL   show findings from here on: info (default), warning,\n"
"                     serious\n"
"  --days N           certificates that expire within N days; default 30\n"
"  --advisories FILE  more advisories about firmware; may repeat\n"
"  --write-test       store, read back and delete a private data object\n"
"  --no-login         look at what is seen without a login\n"
TOKEN_HELP
"\n"
"Exit status: 0 nothing serious; 1 something serious; others as ofs-token.\n"
"\n"
"Example: ofs-token check 'pkcs11:token=payroll' --severity warning\n";
/* clang-format on */

#define TEXT_COLUMN 9

static const char *const levels[] = { "info", "warning", "serious", NULL };

struct show {
	struct out *out;
	struct ofs_check_report report;
	int from; /* index into levels */
	bool begun;
	size_t left_out;
	int code;
};

static const char *
level(enum ofs_severity s)
{
	return levels[s - OFS_SEVERITY_INFO];
}

static void
print_row(FILE *f, const char *name, const char *value)
{
	fprintf(f, "  %-12s", name);
	plain_wrap(f, 14, 14, value);
}

static void
print_summary(struct out *o, const struct ofs_check_report *r)
{
	FILE *f = out_human(o);
	char line[400];

	plain_put(f, r->token.label, strlen(r->token.label));
	fputc('\n', f);
	snprintf(line, sizeof(line), "%s %s, firmware %u.%u, hardware %u.%u",
		r->token.manufacturer, r->token.model, r->token.firmware_major,
		r->token.firmware_minor, r->hardware_major, r->hardware_minor);
	print_row(f, "token", line);
	print_row(f, "serial", r->token.serial);
	snprintf(line, sizeof(line), "%s %u.%u, Cryptoki %u.%u", r->library,
		r->library_major, r->library_minor, r->cryptoki_major,
		r->cryptoki_minor);
	print_row(f, "library", line);
	print_row(f, "module", r->token.module);
	snprintf(line, sizeof(line), "%zu; for signing: %s", r->mechanisms,
		r->signing[0] != '\0' ? r->signing : "none");
	print_row(f, "mechanisms", line);
	snprintf(line, sizeof(line), "%zu, %s", r->keys,
		r->logged_in ? "seen after a login" : "seen without a login");
	print_row(f, "keys", line);
	print_row(f, "PINs", "no PIN was guessed, default PINs were not tried");
	snprintf(line, sizeof(line), "%zu compared", r->advisories);
	print_row(f, "advisories", line);
	fputc('\n', f);
}

static void
print_finding(FILE *f, const struct ofs_finding *n)
{
	char line[sizeof(n->subject) + 64];

	fprintf(f, "%-*s", TEXT_COLUMN, level(n->severity));
	snprintf(line, sizeof(line), "%s: %s", n->id, n->subject);
	plain_wrap(f, TEXT_COLUMN, TEXT_COLUMN, line);
	fprintf(f, "%*s", TEXT_COLUMN, "");
	plain_wrap(f, TEXT_COLUMN, TEXT_COLUMN, n->text);
	if (n->action[0] == '\0')
		return;
	fprintf(f, "%*sdo: ", TEXT_COLUMN, "");
	plain_wrap(f, TEXT_COLUMN + 4, TEXT_COLUMN + 4, n->action);
}

static int
print_json(struct out *o, const struct ofs_finding *n)
{
	struct jline j;

	jline_begin(&j, "finding");
	jline_text(&j, "id", n->id);
	jline_text(&j, "severity", level(n->severity));
	jline_text(&j, "about", n->of_key ? "key" : "token");
	jline_text(&j, "subject", n->subject);
	jline_text(&j, "uri", n->uri);
	jline_text(&j, "text", n->text);
	if (n->action[0] != '\0')
		jline_text(&j, "do", n->action);
	else
		jline_null(&j, "do");
	return jline_end(&j, o);
}

static int
show(void *arg, const struct ofs_finding *n)
{
	struct show *s = arg;

	if (!s->begun && !s->out->json)
		print_summary(s->out, &s->report);
	s->begun = true;
	if ((int)(n->severity - OFS_SEVERITY_INFO) < s->from) {
		s->left_out++;
		return 0;
	}
	if (!s->out->json) {
		print_finding(out_human(s->out), n);
		return 0;
	}
	s->code = print_json(s->out, n);
	return s->code;
}

static json_t *
words(const char *s)
{
	json_t *all = json_array();
	size_t n;

	for (; *s != '\0'; s += n, s += *s == ' ') {
		n = strcspn(s, " ");
		if (json_array_append_new(all, json_stringn(s, n)) != 0) {
			json_decref(all);
			return NULL;
		}
	}
	return all;
}

static int
summary_json(struct out *o, const struct ofs_check_report *r)
{
	const struct ofs_token_info *t = &r->token;
	struct jline j;
	char v[32];

	jline_begin(&j, "summary");
	jline_text(&j, "label", t->label);
	jline_text(&j, "uri", t->uri);
	jline_text(&j, "manufacturer", t->manufacturer);
	jline_text(&j, "model", t->model);
	jline_text(&j, "serial", t->serial);
	snprintf(v, sizeof(v), "%u.%u", t->firmware_major, t->firmware_minor);
	jline_text(&j, "firmware", v);
	snprintf(v, sizeof(v), "%u.%u", r->hardware_major, r->hardware_minor);
	jline_text(&j, "hardware", v);
	jline_text(&j, "library", r->library);
	snprintf(v, sizeof(v), "%u.%u", r->library_major, r->library_minor);
	jline_text(&j, "library_version", v);
	snprintf(v, sizeof(v), "%u.%u", r->cryptoki_major, r->cryptoki_minor);
	jline_text(&j, "cryptoki", v);
	jline_name(&j, "module", t->module, strlen(t->module));
	jline_hex(&j, "module_sha256", t->module_sha256, 32);
	jline_number(&j, "mechanisms", (int64_t)r->mechanisms);
	jline_json(&j, "signing", words(r->signing));
	jline_bool(&j, "logged_in", r->logged_in);
	jline_bool(&j, "default_pins_tried", false);
	jline_number(&j, "keys", (int64_t)r->keys);
	jline_number(&j, "advisories", (int64_t)r->advisories);
	jline_number(&j, "serious", (int64_t)r->serious);
	jline_number(&j, "warning", (int64_t)r->warnings);
	jline_number(&j, "info", (int64_t)r->infos);
	return jline_end(&j, o);
}

static int
end(struct show *s)
{
	const struct ofs_check_report *r = &s->report;
	FILE *f;
	int rc;

	if (s->out->json) {
		rc = summary_json(s->out, r);
		if (rc != 0)
			return rc;
	} else {
		f = out_human(s->out);
		fprintf(f, "%s%zu serious, %zu warning%s, %zu to know",
			s->left_out < r->serious + r->warnings + r->infos ? "\n"
									  : "",
			r->serious, r->warnings, r->warnings == 1 ? "" : "s",
			r->infos);
		if (s->left_out > 0)
			fprintf(f, " (%zu not shown)", s->left_out);
		fputc('\n', f);
	}
	/* a verdict, not a failure: nothing more is said */
	return r->serious > 0 ? OFS_EUNTRUSTED : 0;
}

#define FILES_MAX (STRINGS_MAX + 1)

struct files {
	struct bytes b[FILES_MAX];
	struct ofs_advisories a[FILES_MAX];
	size_t n;
};

static int
read_file(struct out *o, const char *path, struct files *to)
{
	struct bytes *b = &to->b[to->n];
	int rc = small_read(o, path, SMALL_PEM_MAX, b);

	if (rc == 0)
		to->a[to->n++] = (struct ofs_advisories){ path, b->p, b->n };
	return rc;
}

/* the installed file, then those that were named */
static int
read_files(struct out *o, const struct strings *more, struct files *to)
{
	int rc = 0;

	if (access(ADVISORIES, F_OK) == 0)
		rc = read_file(o, ADVISORIES, to);
	else if (more->n == 0)
		out_warn(o,
			"there are no advisories in '%s'; the firmware is not "
			"compared, --advisories names a file",
			ADVISORIES);
	for (size_t i = 0; rc == 0 && i < more->n; i++)
		rc = read_file(o, more->p[i], to);
	return rc;
}

static int
check(struct tool *s, const struct tool_opts *so, const char *uri,
	struct ofs_check_opts *co, struct show *show_)
{
	ofs_token *token = NULL;
	int rc;

	rc = tool_token(s, so, uri, &token);
	co->audit = s->audit;
	if (rc == 0) {
		rc = ofs_token_check(token, co, show, show_, &show_->report);
		if (rc != 0 && show_->code == 0)
			rc = out_fail_with(s->out, ofs_token_error(token));
	}
	if (rc == 0)
		rc = end(show_);
	ofs_token_free(token);
	return rc;
}

int
cmd_token_check(struct out *o, int argc, char **argv)
{
	struct ofs_check_opts co = OFS_CHECK_OPTS_INIT;
	struct strings more = { .n = 0 };
	struct show sh = { .out = o };
	struct files files = { .n = 0 };
	struct tool_opts so = { 0 };
	struct tool s = { 0 };
	unsigned long days = 0;
	bool json = false;
	const struct opt table[] = {
		{ "severity", .choice = &sh.from, .names = levels },
		{ "days", .number = &days, .min = 1, .max = 36500 },
		{ "advisories", .list = &more },
		{ "write-test", .flag = &co.write_test },
		{ "no-login", .flag = &co.no_login },
		TOKEN_OPTS(so),
		{ "json", .flag = &json },
		{ .name = NULL },
	};
	const struct args a = { "ofs-token check", help, table, &json };
	struct operands ops;
	int rc;

	rc = args_parse(&a, o, argc, argv, &ops);
	if (rc == 0)
		rc = args_operands(&a, o, &ops, 0, 1, "the URI");
	if (rc == 0 && co.write_test && co.no_login)
		rc = args_usage(&a, o,
			"'--write-test' and '--no-login' exclude each other");
	if (rc != 0)
		return rc == ARGS_DONE ? 0 : rc;
	co.days = (int)days;
	rc = read_files(o, &more, &files);
	co.advisories = files.a;
	co.n_advisories = files.n;
	if (rc == 0)
		rc = tool_open(&s, o, &so);
	if (rc == 0)
		rc = check(
			&s, &so, ops.n == 1 ? ops.p[0] : "pkcs11:", &co, &sh);
	tool_close(&s);
	for (size_t i = 0; i < files.n; i++)
		small_free(&files.b[i]);
	return rc;
}
