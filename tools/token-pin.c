/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ofs-token pin change, pin unblock, so-pin change. */
#include <string.h>

#include "common/plain.h"
#include "token.h"

/* what every one of them says of its options */
#define PIN_HELP                                                                \
	"  --module PATH      PKCS#11 module (OFS_MODULE); may repeat\n"        \
	"  --audit DIR        the audit log (OFS_AUDIT)\n"                      \
	"  --last-try         send the PIN even when one more wrong one\n"      \
	"                     locks it\n"                                       \
	"  --json             one JSON object a line\n"                         \
	"\n"                                                                    \
	"SRC is prompt, env:NAME, file:PATH, fd:N, cmd:PROGRAM or pinpad; a\n"  \
	"descriptor given to both is read line by line. Without a source the\n" \
	"terminal is asked, for a new PIN twice.\n"

/* clang-format off */
static const char change_help[] =
"usage: ofs-token pin change [URI] [options]\n"
"\n"
"Changes the user PIN of a token, of the only one without a URI. A wrong PIN is\n"
"sent once and never again. Recorded in the audit log.\n"
"\n"
"  --pin-source SRC      the PIN as it is (OFS_PIN_SOURCE)\n"
"  --new-pin-source SRC  the new one\n"
PIN_HELP
"\n"
"Example: ofs-token pin change 'pkcs11:token=payroll'\n";

static const char unblock_help[] =
"usage: ofs-token pin unblock [URI] [options]\n"
"\n"
"The SO sets the user PIN: after it was locked or forgotten. Recorded in the\n"
"audit log.\n"
"\n"
"  --so-pin-source SRC   the SO PIN (OFS_SO_PIN_SOURCE)\n"
"  --new-pin-source SRC  the new user PIN\n"
PIN_HELP
"\n"
"Example: ofs-token pin unblock 'pkcs11:token=payroll'\n";

static const char so_help[] =
"usage: ofs-token so-pin change [URI] [options]\n"
"\n"
"Changes the SO PIN of a token. A wrong one is sent once and never again: most\n"
"tokens are lost when it locks. Recorded in the audit log.\n"
"\n"
"  --so-pin-source SRC      the SO PIN as it is (OFS_SO_PIN_SOURCE)\n"
"  --new-so-pin-source SRC  the new one\n"
PIN_HELP
"\n"
"Example: ofs-token so-pin change 'pkcs11:token=payroll'\n";
/* clang-format on */

struct pin_verb {
	const char *name, *help;
	const char *type; /* of the JSON line */
	const char *done;
	int (*run)(ofs_token *token, ofs_audit *audit);
};

static int
report(struct out *o, const struct pin_verb *v, const struct ofs_token_info *t)
{
	struct jline j;
	FILE *f;

	if (o->json) {
		jline_begin(&j, v->type);
		jline_text(&j, "label", t->label);
		jline_text(&j, "serial", t->serial);
		jline_text(&j, "uri", t->uri);
		return jline_end(&j, o);
	}
	f = out_human(o);
	fprintf(f, "%s of '", v->done);
	plain_put(f, t->label, strlen(t->label));
	fputs("'\n", f);
	return 0;
}

static int
run(const struct pin_verb *v, struct tool *s, const struct tool_opts *so,
	const char *uri)
{
	ofs_token *token = NULL;
	int rc;

	rc = tool_token(s, so, uri, &token);
	if (rc == 0 && v->run(token, s->audit) != 0)
		rc = out_fail_with(s->out, ofs_token_error(token));
	if (rc == 0)
		rc = report(s->out, v, ofs_token_get_info(token));
	ofs_token_free(token);
	return rc;
}

/* `own` are the options that only this verb has */
static int
verb(const struct pin_verb *v, struct out *o, int argc, char **argv,
	struct tool_opts *so, const struct opt *own)
{
	struct tool s = { 0 };
	bool json = false;
	const struct opt table[] = {
		own[0],
		own[1],
		{ "module", .list = &so->modules },
		{ "audit", .text = &so->audit },
		{ "last-try", .flag = &so->last_try },
		{ "json", .flag = &json },
		{ .name = NULL },
	};
	const struct args a = { v->name, v->help, table, &json };
	struct operands ops;
	int rc;

	rc = args_parse(&a, o, argc, argv, &ops);
	if (rc == 0)
		rc = args_operands(&a, o, &ops, 0, 1, "the URI");
	if (rc != 0)
		return rc == ARGS_DONE ? 0 : rc;
	so->change = true;
	rc = tool_open(&s, o, so);
	if (rc == 0)
		rc = run(v, &s, so, ops.n == 1 ? ops.p[0] : "pkcs11:");
	tool_close(&s);
	return rc;
}

int
cmd_token_pin_change(struct out *o, int argc, char **argv)
{
	static const struct pin_verb v = { "ofs-token pin change", change_help,
		"pin-changed", "changed the user PIN", ofs_token_change_pin };
	struct tool_opts so = { 0 };
	const struct opt own[] = {
		{ "pin-source", .text = &so.pin },
		{ "new-pin-source", .text = &so.new_pin },
	};

	return verb(&v, o, argc, argv, &so, own);
}

int
cmd_token_pin_unblock(struct out *o, int argc, char **argv)
{
	static const struct pin_verb v = { "ofs-token pin unblock",
		unblock_help, "pin-unblocked", "set the user PIN",
		ofs_token_unblock_pin };
	struct tool_opts so = { 0 };
	const struct opt own[] = {
		{ "so-pin-source", .text = &so.so_pin },
		{ "new-pin-source", .text = &so.new_pin },
	};

	return verb(&v, o, argc, argv, &so, own);
}

int
cmd_token_so_pin_change(struct out *o, int argc, char **argv)
{
	static const struct pin_verb v = { "ofs-token so-pin change", so_help,
		"so-pin-changed", "changed the SO PIN",
		ofs_token_change_so_pin };
	struct tool_opts so = { 0 };
	const struct opt own[] = {
		{ "so-pin-source", .text = &so.so_pin },
		{ "new-so-pin-source", .text = &so.new_so_pin },
	};

	return verb(&v, o, argc, argv, &so, own);
}
