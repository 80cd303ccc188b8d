/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ofs-token list: the tokens that the modules show. */
#include <string.h>

#include "common/plain.h"
#include "token.h"

/* clang-format off */
static const char help[] =
"usage: ofs-token list [options]\n"
"\n"
"Lists the tokens of every module. Does not log in.\n"
"\n"
"  --module PATH      PKCS#11 module (OFS_MODULE); may repeat; else those\n"
"                     registered with p11-kit, which are named then\n"
"  --json             one JSON object a line\n"
"\n"
"Example: ofs-token list --module /usr/lib/softhsm/libsofthsm2.so\n";
/* clang-format on */

struct listing {
	struct out *out;
	size_t n, blank;
	int code;
};

static int
print_json(struct out *o, const struct ofs_token_info *t)
{
	struct jline j;

	jline_begin(&j, "token");
	jline_text(&j, "label", t->label);
	jline_text(&j, "uri", t->uri);
	jline_text(&j, "manufacturer", t->manufacturer);
	jline_text(&j, "model", t->model);
	jline_text(&j, "serial", t->serial);
	jline_name(&j, "module", t->module, strlen(t->module));
	jline_hex(&j, "module_sha256", t->module_sha256, 32);
	jline_number(&j, "slot", (int64_t)t->slot_id);
	jline_number(&j, "firmware_major", t->firmware_major);
	jline_number(&j, "firmware_minor", t->firmware_minor);
	jline_number(&j, "flags", (int64_t)t->flags);
	jline_bool(&j, "initialised", t->initialised);
	jline_bool(&j, "pin_initialised", t->pin_initialised);
	jline_bool(&j, "login_required", t->login_required);
	jline_bool(&j, "pinpad", t->pinpad);
	jline_bool(&j, "pin_count_low", t->pin_count_low);
	jline_bool(&j, "pin_final_try", t->pin_final_try);
	jline_bool(&j, "pin_locked", t->pin_locked);
	jline_bool(&j, "pin_to_be_changed", t->pin_to_be_changed);
	return jline_end(&j, o);
}

const char *
cmd_token_pin_state(const struct ofs_token_info *t)
{
	if (t->pin_locked)
		return "LOCKED";
	if (t->pin_final_try)
		return "LAST TRY: one more wrong PIN locks it";
	if (!t->pin_initialised)
		return "not set";
	if (t->pin_to_be_changed)
		return "set, must be changed before use";
	if (t->pin_count_low)
		return "set, was wrong lately";
	return "set";
}

static void
print_human(FILE *f, const struct ofs_token_info *t)
{
	char line[400];

	if (!t->initialised) {
		snprintf(line, sizeof(line), "(blank, slot %lu)", t->slot_id);
		fprintf(f, "%s\n", line);
	} else {
		plain_put(f, t->label[0] != '\0' ? t->label : "(no label)",
			strlen(t->label[0] != '\0' ? t->label : "(no label)"));
		fputc('\n', f);
	}
	snprintf(line, sizeof(line), "%s %s, firmware %u.%u", t->manufacturer,
		t->model, t->firmware_major, t->firmware_minor);
	cmd_token_row(f, "token", line);
	if (t->serial[0] != '\0')
		cmd_token_row(f, "serial", t->serial);
	if (t->initialised)
		cmd_token_row(f, "PIN", cmd_token_pin_state(t));
	if (t->pinpad)
		cmd_token_row(f, "PIN pad", "yes");
	cmd_token_row(f, "module", t->module);
	cmd_token_row(f, "URI", t->uri);
}

static int
show(void *arg, const struct ofs_token_info *t)
{
	struct listing *l = arg;

	l->blank += !t->initialised;
	if (l->out->json) {
		l->n++;
		l->code = print_json(l->out, t);
		return l->code;
	}
	if (l->n++ > 0)
		fputc('\n', out_human(l->out));
	print_human(out_human(l->out), t);
	return 0;
}

/* registered with p11-kit; of broken ones the library has warned */
static int
show_module(void *arg, const struct ofs_module_info *m)
{
	struct out *o = arg;
	struct jline j;

	if (!o->json) {
		if (m->used)
			out_note(o, "module '%s' is looked at: %s",
				NAME(m->name), NAME(m->path));
		else if (!m->broken)
			out_note(o, "module '%s' is passed over: %s",
				NAME(m->name), m->why);
		return 0;
	}
	jline_begin(&j, "module");
	jline_name(&j, "name", m->name, strlen(m->name));
	if (m->path != NULL)
		jline_name(&j, "module", m->path, strlen(m->path));
	else
		jline_null(&j, "module");
	jline_bool(&j, "used", m->used);
	jline_bool(&j, "broken", m->broken);
	if (m->why != NULL)
		jline_text(&j, "why", m->why);
	else
		jline_null(&j, "why");
	return jline_end(&j, o);
}

static int
list_all(struct tool *s)
{
	struct listing l = { s->out, 0, 0, 0 };
	int rc;

	rc = ofs_token_list(s->ctx, show, &l);
	if (rc != 0)
		return l.code != 0
			? rc
			: out_fail_with(s->out, ofs_ctx_error(s->ctx));
	if (l.n == 0)
		out_note(s->out, "no token is there; plug one in");
	else if (l.blank == l.n)
		out_note(s->out,
			"next: ofs-token init --label NAME makes a blank one "
			"ready");
	return 0;
}

int
cmd_token_list(struct out *o, int argc, char **argv)
{
	struct tool_opts so = { 0 };
	struct tool s = { 0 };
	bool json = false;
	const struct opt table[] = {
		{ "module", .list = &so.modules },
		{ "json", .flag = &json },
		{ .name = NULL },
	};
	const struct args a = { "ofs-token list", help, table, &json };
	struct operands ops;
	int rc;

	rc = args_parse(&a, o, argc, argv, &ops);
	if (rc == 0)
		rc = args_operands(&a, o, &ops, 0, 0, "");
	if (rc != 0)
		return rc == ARGS_DONE ? 0 : rc;
	rc = tool_open(&s, o, &so);
	s.on_module = show_module;
	s.on_module_arg = o;
	if (rc == 0)
		rc = tool_modules(&s, &so);
	if (rc == 0)
		rc = list_all(&s);
	tool_close(&s);
	return rc;
}
