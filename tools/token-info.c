/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ofs-token info: everything that one token and its module say of themselves.
 */
#include <inttypes.h>
#include <string.h>

#include "common/plain.h"
#include "token.h"

/* clang-format off */
static const char help[] =
"usage: ofs-token info [URI] [options]\n"
"\n"
"Shows what the token that the URI names says of itself, of the only token\n"
"without a URI: PINs, versions, sessions, memory, keys, mechanisms, and its\n"
"module. Private keys are counted after a login only: it is made when a PIN\n"
"source is named (--pin-source or OFS_PIN_SOURCE).\n"
"\n"
"  --no-login         do not log in\n"
TOKEN_HELP
"\n"
"Example: ofs-token info 'pkcs11:token=payroll' --no-login\n";
/* clang-format on */

struct info {
	struct out *out;
	struct ofs_token_details d;
	bool logged_in;
	int64_t keys, public_keys, certificates, unseen;
	json_t *mechanisms;
	bool bad; /* out of memory on the way */
};

static int
count(void *arg, const struct ofs_key_info *k)
{
	struct info *i = arg;

	i->keys += k->has_private;
	i->unseen += !k->has_private;
	i->public_keys += k->has_public;
	i->certificates += k->has_cert;
	return 0;
}

/* -1 is what the token did not say */
static void
amount_json(struct jline *j, const char *key, int64_t v)
{
	if (v < 0)
		jline_null(j, key);
	else
		jline_number(j, key, v);
}

static void
token_json(struct jline *j, const struct ofs_token_details *d)
{
	const struct ofs_token_info *t = &d->token;

	jline_text(j, "label", t->label);
	jline_text(j, "uri", t->uri);
	jline_text(j, "manufacturer", t->manufacturer);
	jline_text(j, "model", t->model);
	jline_text(j, "serial", t->serial);
	jline_number(j, "flags", (int64_t)t->flags);
	jline_number(j, "hardware_major", d->hardware_major);
	jline_number(j, "hardware_minor", d->hardware_minor);
	jline_number(j, "firmware_major", t->firmware_major);
	jline_number(j, "firmware_minor", t->firmware_minor);
	jline_bool(j, "initialised", t->initialised);
	jline_bool(j, "login_required", t->login_required);
	jline_bool(j, "write_protected", d->write_protected);
	jline_bool(j, "rng", d->has_rng);
	jline_bool(j, "clock", d->has_clock);
	jline_bool(j, "pinpad", t->pinpad);
	jline_number(j, "pin_min", (int64_t)d->pin_min);
	jline_number(j, "pin_max", (int64_t)d->pin_max);
	jline_bool(j, "pin_initialised", t->pin_initialised);
	jline_bool(j, "pin_count_low", t->pin_count_low);
	jline_bool(j, "pin_final_try", t->pin_final_try);
	jline_bool(j, "pin_locked", t->pin_locked);
	jline_bool(j, "pin_to_be_changed", t->pin_to_be_changed);
	jline_bool(j, "so_pin_count_low", d->so_pin_count_low);
	jline_bool(j, "so_pin_final_try", d->so_pin_final_try);
	jline_bool(j, "so_pin_locked", d->so_pin_locked);
	jline_bool(j, "so_pin_to_be_changed", d->so_pin_to_be_changed);
	amount_json(j, "sessions", d->sessions);
	amount_json(j, "sessions_max", d->sessions_max);
	amount_json(j, "rw_sessions", d->rw_sessions);
	amount_json(j, "rw_sessions_max", d->rw_sessions_max);
	amount_json(j, "public_memory", d->public_memory);
	amount_json(j, "public_memory_free", d->public_memory_free);
	amount_json(j, "private_memory", d->private_memory);
	amount_json(j, "private_memory_free", d->private_memory_free);
}

static void
module_json(struct jline *j, const struct ofs_token_details *d)
{
	const struct ofs_token_info *t = &d->token;

	jline_number(j, "slot", (int64_t)t->slot_id);
	jline_text(j, "slot_description", d->slot_description);
	jline_text(j, "slot_manufacturer", d->slot_manufacturer);
	jline_bool(j, "removable", d->removable);
	jline_bool(j, "hardware_slot", d->hardware_slot);
	jline_name(j, "module", t->module, strlen(t->module));
	jline_hex(j, "module_sha256", t->module_sha256, 32);
	jline_text(j, "library", d->library_description);
	jline_text(j, "library_manufacturer", d->library_manufacturer);
	jline_number(j, "library_major", d->library_major);
	jline_number(j, "library_minor", d->library_minor);
	jline_number(j, "cryptoki_major", d->cryptoki_major);
	jline_number(j, "cryptoki_minor", d->cryptoki_minor);
}

static int
mechanism_json(void *arg, const struct ofs_mechanism *m)
{
	struct jline j = { json_object(), false };
	struct info *i = arg;

	j.bad = j.o == NULL;
	jline_number(&j, "type", (int64_t)m->type);
	if (m->name != NULL)
		jline_text(&j, "name", m->name);
	else
		jline_null(&j, "name");
	jline_number(&j, "min_key", (int64_t)m->min_key);
	jline_number(&j, "max_key", (int64_t)m->max_key);
	jline_number(&j, "flags", (int64_t)m->flags);
	jline_text(&j, "uses", m->uses);
	i->bad |= j.bad || json_array_append_new(i->mechanisms, j.o) != 0;
	return 0;
}

static int
print_json(struct info *i, ofs_token *token)
{
	struct jline j;
	int rc;

	i->mechanisms = json_array();
	i->bad = i->mechanisms == NULL;
	rc = ofs_token_mechanisms(token, mechanism_json, i);
	if (rc != 0) {
		json_decref(i->mechanisms);
		return out_fail_with(i->out, ofs_token_error(token));
	}
	jline_begin(&j, "token-info");
	token_json(&j, &i->d);
	module_json(&j, &i->d);
	jline_bool(&j, "logged_in", i->logged_in);
	if (i->logged_in)
		jline_number(&j, "private_keys", i->keys);
	else
		jline_null(&j, "private_keys");
	jline_number(&j, "public_keys", i->public_keys);
	jline_number(&j, "certificates", i->certificates);
	j.bad |= i->bad;
	jline_json(&j, "mechanisms", i->mechanisms);
	return jline_end(&j, i->out);
}

static const char *
so_pin_state(const struct ofs_token_details *d)
{
	if (d->so_pin_locked)
		return "LOCKED";
	if (d->so_pin_final_try)
		return "LAST TRY: one more wrong SO PIN locks it";
	if (d->so_pin_to_be_changed)
		return "must be changed before use";
	if (d->so_pin_count_low)
		return "was wrong lately";
	return "no warning";
}

/* "3 of 10", "3, no limit", "not said" */
static void
row_of(FILE *f, const char *name, int64_t used, int64_t most)
{
	char line[100];

	if (used < 0)
		snprintf(line, sizeof(line), "not said");
	else if (most > 0)
		snprintf(line, sizeof(line), "%" PRId64 " of at most %" PRId64,
			used, most);
	else
		snprintf(line, sizeof(line), "%" PRId64 "%s", used,
			most == 0 ? ", no limit" : "");
	cmd_token_row(f, name, line);
}

static void
row_memory(FILE *f, const char *name, int64_t left, int64_t all)
{
	char line[100];

	if (left < 0 && all < 0)
		snprintf(line, sizeof(line), "not said");
	else if (left < 0 || all < 0)
		snprintf(line, sizeof(line), "%" PRId64 " bytes %s",
			left < 0 ? all : left, left < 0 ? "in all" : "free");
	else
		snprintf(line, sizeof(line),
			"%" PRId64 " of %" PRId64 " bytes free", left, all);
	cmd_token_row(f, name, line);
}

static void
print_token(FILE *f, const struct ofs_token_details *d)
{
	const struct ofs_token_info *t = &d->token;
	char line[400];

	plain_put(f, t->label, strlen(t->label));
	fputc('\n', f);
	snprintf(line, sizeof(line), "%s %s", t->manufacturer, t->model);
	cmd_token_row(f, "token", line);
	cmd_token_row(f, "serial", t->serial);
	snprintf(line, sizeof(line), "hardware %u.%u, firmware %u.%u",
		d->hardware_major, d->hardware_minor, t->firmware_major,
		t->firmware_minor);
	cmd_token_row(f, "version", line);
	cmd_token_row(f, "PIN", cmd_token_pin_state(t));
	cmd_token_row(f, "SO PIN", so_pin_state(d));
	snprintf(
		line, sizeof(line), "%lu to %lu bytes", d->pin_min, d->pin_max);
	cmd_token_row(f, "PIN length", line);
	snprintf(line, sizeof(line), "%s%s%s%s%s",
		t->login_required ? "login required" : "NO LOGIN REQUIRED",
		t->pinpad ? ", PIN pad" : "",
		d->write_protected ? ", WRITE PROTECTED" : "",
		d->has_rng ? ", random numbers" : "",
		d->has_clock ? ", clock" : "");
	cmd_token_row(f, "has", line);
	row_of(f, "sessions", d->sessions, d->sessions_max);
	row_of(f, "read-write", d->rw_sessions, d->rw_sessions_max);
	row_memory(f, "memory", d->public_memory_free, d->public_memory);
	row_memory(f, "private", d->private_memory_free, d->private_memory);
	cmd_token_row(f, "URI", t->uri);
}

static void
print_module(FILE *f, const struct ofs_token_details *d)
{
	char line[500], hex[65];

	snprintf(line, sizeof(line), "%lu, %s%s", d->token.slot_id,
		d->slot_description, d->removable ? " (removable)" : "");
	cmd_token_row(f, "slot", line);
	cmd_token_row(f, "module", d->token.module);
	plain_hex(hex, d->token.module_sha256, 32);
	cmd_token_row(f, "sha256", hex);
	snprintf(line, sizeof(line), "%s %u.%u by %s, PKCS#11 %u.%u",
		d->library_description, d->library_major, d->library_minor,
		d->library_manufacturer, d->cryptoki_major, d->cryptoki_minor);
	cmd_token_row(f, "library", line);
}

static void
print_keys(FILE *f, const struct info *i)
{
	char line[200];

	if (i->logged_in)
		snprintf(line, sizeof(line),
			"%" PRId64 " private, %" PRId64 " public, %" PRId64
			" with a certificate",
			i->keys, i->public_keys, i->certificates);
	else
		snprintf(line, sizeof(line),
			"%" PRId64 " public, %" PRId64
			" with a certificate; private ones show after a login",
			i->public_keys, i->certificates);
	cmd_token_row(f, "keys", line);
}

static int
print_mechanism(void *arg, const struct ofs_mechanism *m)
{
	struct info *i = arg;
	FILE *f = out_human(i->out);
	char name[32], size[48] = "";

	snprintf(name, sizeof(name), "0x%lx", m->type);
	if (m->max_key != 0)
		snprintf(size, sizeof(size), "%lu-%lu", m->min_key, m->max_key);
	fprintf(f, "    %-30s %-13s %s\n", m->name != NULL ? m->name : name,
		size, m->uses);
	return 0;
}

static int
print(struct info *i, ofs_token *token)
{
	FILE *f;

	if (i->out->json)
		return print_json(i, token);
	f = out_human(i->out);
	print_token(f, &i->d);
	print_module(f, &i->d);
	print_keys(f, i);
	fputs("  mechanisms, with key sizes as the token counts them\n", f);
	if (ofs_token_mechanisms(token, print_mechanism, i) != 0)
		return out_fail_with(i->out, ofs_token_error(token));
	return 0;
}

static int
info(struct tool *s, const struct tool_opts *so, const char *uri, bool login)
{
	struct info i = { .out = s->out };
	ofs_token *token = NULL;
	int rc;

	rc = tool_modules(s, so);
	if (rc == 0 && ofs_token_open(s->ctx, uri, &token) != 0)
		rc = out_fail_with(s->out, ofs_ctx_error(s->ctx));
	if (rc == 0 && login)
		rc = tool_audit_near(s, so, token);
	if (rc == 0 &&
		((login && ofs_token_login(token) != 0) ||
			ofs_key_list(token, count, &i) != 0 ||
			ofs_token_get_details(token, &i.d) != 0))
		rc = out_fail_with(s->out, ofs_token_error(token));
	/* a token that wants no login shows everything */
	i.logged_in = login || (rc == 0 && !i.d.token.login_required);
	if (rc == 0)
		rc = print(&i, token);
	ofs_token_free(token);
	return rc;
}

int
cmd_token_info(struct out *o, int argc, char **argv)
{
	struct tool_opts so = { 0 };
	struct tool s = { 0 };
	bool json = false, no_login = false;
	const struct opt table[] = {
		{ "no-login", .flag = &no_login },
		TOKEN_OPTS(so),
		{ "json", .flag = &json },
		{ .name = NULL },
	};
	const struct args a = { "ofs-token info", help, table, &json };
	struct operands ops;
	int rc;

	rc = args_parse(&a, o, argc, argv, &ops);
	if (rc == 0)
		rc = args_operands(&a, o, &ops, 0, 1, "the URI");
	if (rc != 0)
		return rc == ARGS_DONE ? 0 : rc;
	rc = tool_open(&s, o, &so);
	if (rc == 0)
		rc = info(&s, &so, ops.n == 1 ? ops.p[0] : "pkcs11:",
			s.pins.user.from != PIN_DEFAULT && !no_login);
	tool_close(&s);
	return rc;
}
