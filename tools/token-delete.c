/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ofs-token delete: deletes a key, or its certificates, for good. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/confirm.h"
#include "common/plain.h"
#include "token.h"

/* clang-format off */
static const char help[] =
"usage: ofs-token delete URI [options]\n"
"\n"
"Deletes the key that the URI names: private key, public key and certificates.\n"
"Shows what it is about to delete, and asks for the key's label on the terminal\n"
"(the id in hex, when it has none). Recorded in the audit log before it is done\n"
"and after.\n"
"\n"
"  --cert-only        the certificates, not the key\n"
"  --yes LABEL        do not ask; LABEL must be that of the key\n"
SO_HELP
TOKEN_HELP
"\n"
"Example: ofs-token delete 'pkcs11:token=payroll;object=batch-2019'\n";
/* clang-format on */

struct delete
{
	struct out *out;
	ofs_audit *audit;
	const char *yes;
	bool cert_only;
	/* as it was shown */
	struct ofs_key_info key;
	struct ofs_object_info *objects;
	size_t n;
	bool said; /* why not */
};

static const char *
kind(const struct ofs_object_info *i)
{
	static const char *const names[] = {
		[OFS_OBJECT_PRIVATE_KEY] = "private key",
		[OFS_OBJECT_PUBLIC_KEY] = "public key",
		[OFS_OBJECT_CERTIFICATE] = "certificate",
	};

	return names[i->kind];
}

static void
put_object(FILE *f, const struct ofs_object_info *i)
{
	char hex[2 * sizeof(i->id) + 1], line[800];

	plain_hex(hex, i->id, i->id_len);
	snprintf(line, sizeof(line), "%s%s'%s', id %s", i->type_name,
		i->type_name[0] != '\0' ? " " : "", i->label,
		i->id_len > 0 ? hex : "(none)");
	cmd_token_row(f, kind(i), line);
	if (i->subject[0] != '\0')
		cmd_token_row(f, "", i->subject);
	if (i->serial[0] != '\0') {
		snprintf(line, sizeof(line), "serial number %s", i->serial);
		cmd_token_row(f, "", line);
	}
}

/* what nobody gets back */
static const char *
loss(const struct delete *d)
{
	bool private_key = false;
	size_t i;

	for (i = 0; i < d->n; i++)
		private_key |= d->objects[i].kind == OFS_OBJECT_PRIVATE_KEY;
	if (!private_key)
		return "No private key is deleted. A certificate can be "
		       "imported again by whoever has a copy.";
	if (d->key.sign == 0 && d->key.decrypt == 1)
		return "The private key decrypts. An audit log that has it as "
		       "its station key opens no more with this token: name "
		       "another key for that log first, with 'ofs-audit rotate "
		       "--station-key'.";
	if (d->key.local == 1 && d->key.never_extractable == 1)
		return "The private key was made on this token and has never "
		       "left it: there is no copy, and nothing can be signed "
		       "with it again. Signatures that were made with it stay "
		       "valid.";
	return "The private key is lost unless a copy exists elsewhere: "
	       "nothing can be signed with it again. Signatures that were "
	       "made with it stay valid.";
}

static void
put_all(FILE *f, const struct delete *d)
{
	size_t i;

	for (i = 0; i < d->n; i++)
		put_object(f, &d->objects[i]);
}

/* --yes, or the terminal */
static int ask(struct delete *d)
{
	char hex[2 * sizeof(d->key.id) + 1];
	bool labelled = d->key.label[0] != '\0';
	const char *want = d->key.label, *what = labelled ? "label" : "id";
	FILE *tty;

	if (!labelled)
		want = hex;
	plain_hex(hex, d->key.id, d->key.id_len);
	if (d->yes != NULL && strcmp(d->yes, want) == 0)
		return 0;
	if (d->yes != NULL)
		return out_fail(d->out, OFS_EINVAL,
			"the key's %s is '%s', not '%s'; nothing was deleted",
			what, want, NAME(d->yes));
	tty = confirm_open();
	if (tty == NULL)
		return out_fail(d->out, OFS_EINVAL,
			"the terminal is gone; nothing was deleted");
	fprintf(tty, "to be deleted from the token:\n");
	put_all(tty, d);
	plain_wrap(tty, 0, 2, loss(d));
	return confirm_typed(
		d->out, tty, labelled ? "the label" : "the id", want);
}

/* deleting that would close the log which is to tell of it */
static int
refuse_station_key(const struct delete *d, const struct ofs_key_info *key)
{
	struct ofs_audit_keys k;

	if (d->cert_only || ofs_audit_get_keys(d->audit, &k) != 0 ||
		strcmp(k.station_key, key->uri) != 0)
		return 0;
	return out_fail(d->out, OFS_EPOLICY,
		"key '%s' is the station key of this audit log, which would "
		"open no more; name another one first, with 'ofs-audit rotate "
		"--station-key'",
		key->label);
}

static int
confirm(void *arg, const struct ofs_key_info *key,
	const struct ofs_object_info *objects, size_t n)
{
	struct delete *d = arg;
	int rc = refuse_station_key(d, key);

	d->said = rc != 0;
	if (rc != 0)
		return rc;

	d->objects = calloc(n, sizeof(*objects));
	if (d->objects == NULL)
		return OFS_ENOMEM;
	memcpy(d->objects, objects, n * sizeof(*objects));
	d->n = n;
	d->key = *key;
	rc = ask(d);
	d->said = rc != 0;
	return rc;
}

static void
objects_json(struct jline *out, const struct delete *d)
{
	json_t *all = json_array();
	size_t i;

	out->bad |= all == NULL;
	for (i = 0; i < d->n; i++) {
		const struct ofs_object_info *info = &d->objects[i];
		struct jline j = { json_object(), false };

		j.bad = j.o == NULL;
		jline_text(&j, "kind", kind(info));
		jline_text(&j, "key_type", info->type_name);
		jline_hex(&j, "id", info->id, info->id_len);
		jline_text(&j, "label", info->label);
		if (info->kind == OFS_OBJECT_CERTIFICATE) {
			jline_text(&j, "subject", info->subject);
			jline_text(&j, "serial", info->serial);
		}
		out->bad |= j.bad || json_array_append_new(all, j.o) != 0;
	}
	jline_json(out, "objects", all);
}

static int
report(const struct delete *d, uint64_t seq)
{
	struct out *o = d->out;
	struct jline j;
	FILE *f;

	if (o->json) {
		jline_begin(&j, "deleted");
		jline_text(&j, "label", d->key.label);
		jline_hex(&j, "id", d->key.id, d->key.id_len);
		jline_text(&j, "uri", d->key.uri);
		objects_json(&j, d);
		jline_number(&j, "seq", (int64_t)seq);
		return jline_end(&j, o);
	}
	f = out_human(o);
	fputs("deleted from the token:\n", f);
	put_all(f, d);
	fprintf(f, "  %-12saudit record %" PRIu64 "\n", "recorded", seq);
	return 0;
}

/* before anybody logs in for nothing */
static int
check_tty(const struct delete *d)
{
	FILE *tty = d->yes == NULL ? confirm_open() : NULL;

	if (d->yes == NULL && tty == NULL)
		return out_fail(d->out, OFS_EINVAL,
			"no terminal to ask on; pass --yes LABEL, the label "
			"of the key that is to be deleted");
	if (tty != NULL)
		fclose(tty);
	return 0;
}

static int
delete_key(struct tool *s, const struct tool_opts *so, const char *uri,
	struct delete *d)
{
	struct ofs_key_delete_opts o = OFS_KEY_DELETE_OPTS_INIT;
	ofs_token *token = NULL;
	uint64_t seq = 0;
	int rc;

	rc = check_tty(d);
	if (rc != 0)
		return rc;
	o.cert_only = d->cert_only;
	o.confirm = confirm;
	o.confirm_arg = d;
	rc = tool_token(s, so, uri, &token);
	if (rc == 0) {
		d->audit = s->audit;
		rc = ofs_key_delete(token, s->audit, uri, &o, &seq);
		if (rc != 0 && !d->said)
			rc = out_fail_with(s->out, ofs_token_error(token));
	}
	if (rc == 0)
		rc = report(d, seq);
	ofs_token_free(token);
	free(d->objects);
	return rc;
}

int
cmd_token_delete(struct out *o, int argc, char **argv)
{
	struct delete d = { .out = o };
	struct tool_opts so = { 0 };
	struct tool s = { 0 };
	bool json = false;
	const struct opt table[] = {
		{ "cert-only", .flag = &d.cert_only },
		{ "yes", .text = &d.yes },
		SO_OPTS(so),
		TOKEN_OPTS(so),
		{ "json", .flag = &json },
		{ .name = NULL },
	};
	const struct args a = { "ofs-token delete", help, table, &json };
	struct operands ops;
	int rc;

	rc = args_parse(&a, o, argc, argv, &ops);
	if (rc == 0)
		rc = args_operands(&a, o, &ops, 1, 1, "the URI of the key");
	if (rc != 0)
		return rc == ARGS_DONE ? 0 : rc;
	rc = tool_open(&s, o, &so);
	if (rc == 0)
		rc = delete_key(&s, &so, ops.p[0], &d);
	tool_close(&s);
	return rc;
}
