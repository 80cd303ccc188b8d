/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ofs-token enroll: makes a key on the token, checks it, records it. */
#include <stdlib.h>
#include <string.h>

#include "common/small.h"
#include "common/plain.h"
#include "token.h"

/* clang-format off */
static const char help[] =
"usage: ofs-token enroll URI --key-type TYPE [options]\n"
"\n"
"Makes a key that cannot leave the token, at the place that object= or id= of\n"
"the URI names; reads it back, proves it with one signature, and records it.\n"
"\n"
"  --key-type TYPE    rsa:2048 to rsa:4096, ec:P-256, ec:P-384, ec:P-521,\n"
"                     ec:secp256k1, ed25519 or ed448\n"
"  --subject NAME     '/O=Acme/CN=Payroll batch'\n"
"  --self-signed      make a certificate of the key itself, or\n"
"  --csr FILE         write a request for a CA (PKCS#10)\n"
"  --san NAMES        other names in it: 'DNS:a.example,email:b@example'\n"
"  --key-usage USES   default digitalSignature,nonRepudiation\n"
"  --ext NAME=VALUE   any extension as openssl writes it; may repeat\n"
"  --days N           validity of --self-signed; default 365\n"
"  --padding P        pkcs1 (default) or pss, of what an RSA key signs here\n"
"  --use digest       it may sign digests of documents that are not here\n"
"  --use log          rsa: it opens audit logs as their station key, and signs\n"
"                     nothing\n"
"  --cert-out FILE    write the certificate as PEM, too\n"
"  --force            replace FILE if it exists\n"
TOKEN_SIGN_HELP
SO_HELP
TOKEN_HELP
"\n"
"Example: ofs-token enroll 'pkcs11:token=payroll;object=batch' \\\n"
"             --key-type ec:P-256 --subject '/O=Acme/CN=Payroll batch' \\\n"
"             --self-signed --cert-out cert.pem\n";
/* clang-format on */

struct enroll {
	const char *uri, *csr, *cert_out;
	bool force;
	const char *san, *usage;
	struct strings ext;
	/* --san and --key-usage as extensions, then those of --ext */
	char *named[2];
	const char *exts[STRINGS_MAX + 2];
};

static void
print_next(struct out *o, const struct enroll *n, bool use_log,
	const struct ofs_enrolled *e)
{
	FILE *f = out_human(o);
	const char *uri = n->uri;

	/* named by both, of which the token may have kept one only */
	if (strstr(uri, "id=") != NULL && strstr(uri, "object=") != NULL)
		uri = e->key.uri;
	if (o->json || (n->cert_out != NULL && strcmp(n->cert_out, "-") == 0))
		return;
	if (use_log) {
		cmd_token_next_log(f, uri);
		return;
	}
	if (n->csr != NULL) {
		fputs("next, have the request signed by your CA, then:\n"
		      "  ofs-token import-cert ",
			f);
		plain_put_shell(f, uri);
		fputs(" cert.pem\n", f);
		return;
	}
	fputs("next, sign:\n  ofs-sign --key ", f);
	plain_put_shell(f, uri);
	fputs(e->key.has_cert ? " FILE...\n" : " --format raw FILE...\n", f);
}

static int
enroll(struct tool *s, const struct tool_opts *so, const struct enroll *n,
	const struct ofs_enroll_opts *eo)
{
	struct ofs_enrolled e = { .size = sizeof(e) };
	const char *path = n->csr != NULL ? n->csr : n->cert_out;
	struct out *o = s->out;
	ofs_token *token = NULL;
	int rc = 0, written = 0;

	/* before there is a key without its file */
	if (path != NULL)
		rc = small_check_new(o, path, n->force);
	if (path != NULL && strcmp(path, "-") == 0)
		o->to = stderr;
	if (rc == 0)
		rc = tool_token(s, so, n->uri, &token);
	if (rc == 0 && ofs_key_enroll(token, s->audit, n->uri, eo, &e) != 0)
		rc = out_fail_with(o, ofs_token_error(token));
	if (rc == 0 && path != NULL && e.pem != NULL)
		written = small_write(o, path, e.pem, strlen(e.pem), n->force);
	if (rc == 0) {
		rc = cmd_token_key_recorded(
			o, "enrolled", &e, written == 0 ? path : NULL);
		print_next(o, n, eo->use_log, &e);
	}
	ofs_enrolled_clear(&e);
	ofs_token_free(token);
	return rc != 0 ? rc : written;
}

static int
check_usage(const struct args *a, struct out *o, const struct enroll *n,
	const struct ofs_enroll_opts *eo, unsigned long days)
{
	if (eo->key_type == NULL)
		return args_usage(a, o, "'--key-type TYPE' is missing");
	if (eo->self_signed && n->csr != NULL)
		return args_usage(
			a, o, "'--self-signed' and '--csr' exclude each other");
	if ((eo->self_signed || n->csr != NULL) && eo->subject == NULL)
		return args_usage(a, o, "'--subject NAME' is missing");
	if (eo->subject != NULL && !eo->self_signed && n->csr == NULL)
		return args_usage(a, o,
			"'--subject' goes with '--self-signed' or '--csr "
			"FILE'");
	if ((n->san != NULL || n->usage != NULL || n->ext.n > 0) &&
		!eo->self_signed && n->csr == NULL)
		return args_usage(a, o,
			"'%s' goes with '--self-signed' or '--csr FILE'",
			n->san != NULL             ? "--san"
				: n->usage != NULL ? "--key-usage"
						   : "--ext");
	if ((n->cert_out != NULL || days != 0) && !eo->self_signed)
		return args_usage(a, o, "'%s' goes with '--self-signed'",
			days != 0 ? "--days" : "--cert-out");
	return 0;
}

static int
add_named(struct out *o, struct enroll *n, struct ofs_enroll_opts *eo,
	const char *name, const char *value, char **text)
{
	if (value == NULL)
		return 0;
	if (asprintf(text, "%s%s", name, value) < 0) {
		*text = NULL;
		return out_fail(o, OFS_ENOMEM, "out of memory");
	}
	n->exts[eo->n_exts++] = *text;
	return 0;
}

static int
gather_exts(struct out *o, struct enroll *n, struct ofs_enroll_opts *eo)
{
	const char *usage = "keyUsage=critical,";
	int rc;

	/* RFC 5280 4.2.1.3: it should be critical */
	if (n->usage != NULL && strncmp(n->usage, "critical,", 9) == 0)
		usage = "keyUsage=";
	rc = add_named(o, n, eo, "subjectAltName=", n->san, &n->named[0]);
	if (rc == 0)
		rc = add_named(o, n, eo, usage, n->usage, &n->named[1]);
	for (size_t i = 0; i < n->ext.n; i++)
		n->exts[eo->n_exts++] = n->ext.p[i];
	eo->exts = n->exts;
	return rc;
}

int
cmd_token_enroll(struct out *o, int argc, char **argv)
{
	struct ofs_enroll_opts eo = OFS_ENROLL_OPTS_INIT;
	struct tool_opts so = { 0 };
	struct tool s = { 0 };
	struct enroll n = { 0 };
	static const char *const paddings[] = { "default", "pkcs1", "pss",
		NULL };
	unsigned long days = 0;
	bool json = false;
	int padding = 0, use = 0;
	const struct opt table[] = {
		{ "key-type", .text = &eo.key_type },
		{ "subject", .text = &eo.subject },
		{ "self-signed", .flag = &eo.self_signed },
		{ "csr", .text = &n.csr },
		{ "san", .text = &n.san },
		{ "key-usage", .text = &n.usage },
		{ "ext", .list = &n.ext },
		{ "days", .number = &days, .min = 1, .max = 36500 },
		{ "padding", .choice = &padding, .names = paddings },
		{ "use", .choice = &use, .names = cmd_token_uses },
		{ "cert-out", .text = &n.cert_out },
		{ "force", .flag = &n.force },
		TOKEN_SIGN_OPTS(so),
		SO_OPTS(so),
		TOKEN_OPTS(so),
		{ "json", .flag = &json },
		{ .name = NULL },
	};
	const struct args a = { "ofs-token enroll", help, table, &json };
	struct operands ops;
	int rc;

	rc = args_parse(&a, o, argc, argv, &ops);
	if (rc == 0)
		rc = args_operands(&a, o, &ops, 1, 1, "the URI of the key");
	if (rc == 0)
		rc = check_usage(&a, o, &n, &eo, days);
	if (rc != 0)
		return rc == ARGS_DONE ? 0 : rc;
	n.uri = ops.p[0];
	eo.csr = n.csr != NULL;
	eo.days = (int)days;
	eo.use_digest = use == USE_DIGEST;
	eo.use_log = use == USE_LOG;
	eo.padding = (enum ofs_padding)padding;
	rc = gather_exts(o, &n, &eo);
	if (rc == 0)
		rc = tool_open(&s, o, &so);
	if (rc == 0)
		rc = enroll(&s, &so, &n, &eo);
	tool_close(&s);
	free(n.named[0]);
	free(n.named[1]);
	return rc;
}
