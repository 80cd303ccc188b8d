/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ofs-token export-cert: writes the certificate of a key, or its public key. */
#include <stdlib.h>
#include <string.h>

#include "common/small.h"
#include "token.h"

/* clang-format off */
static const char help[] =
"usage: ofs-token export-cert URI [options]\n"
"\n"
"Writes the certificate of the key that the URI names as PEM. Does not log in,\n"
"unless the public parts cannot be seen without it and a PIN source is named.\n"
"\n"
"  --public           the public key instead, for ofs-verify --signer\n"
"  --der              as DER\n"
"  --out FILE         default: '-', standard output\n"
"  --force            replace FILE if it exists\n"
TOKEN_HELP
"\n"
"Example: ofs-token export-cert 'pkcs11:token=payroll;object=batch' \\\n"
"             --out cert.pem\n";
/* clang-format on */

struct export
{
	const char *uri, *path;
	bool pub, der, force;
};

/* the key; with a login only where it is hidden otherwise */
static int
open_key(struct tool *s, const struct tool_opts *so, ofs_token *token,
	const char *uri, ofs_key **key)
{
	int rc;

	rc = ofs_key_open(token, uri, OFS_KEY_PUBLIC_ONLY, key);
	if (rc != OFS_EKEY || s->pins.user.from == PIN_DEFAULT)
		return rc == 0 ? 0
			       : out_fail_with(s->out, ofs_token_error(token));
	rc = tool_audit_near(s, so, token);
	if (rc == 0 && ofs_key_open(token, uri, 0, key) != 0)
		rc = out_fail_with(s->out, ofs_token_error(token));
	return rc;
}

static int
get(const struct export *x, ofs_key *key, uint8_t **p, size_t *n)
{
	char *pem = NULL;
	int rc;

	if (x->der)
		return x->pub ? ofs_key_pub_der(key, p, n)
			      : ofs_key_cert_der(key, p, n);
	rc = x->pub ? ofs_key_pub_pem(key, &pem) : ofs_key_cert_pem(key, &pem);
	*p = (uint8_t *)pem;
	*n = pem != NULL ? strlen(pem) : 0;
	return rc;
}

static int
report(struct out *o, const struct export *x, const ofs_key *key)
{
	const struct ofs_key_info *k = ofs_key_get_info(key);
	struct jline j;

	if (!o->json)
		return 0;
	jline_begin(&j, "exported");
	jline_text(&j, "what", x->pub ? "public-key" : "certificate");
	jline_text(&j, "encoding", x->der ? "der" : "pem");
	jline_text(&j, "label", k->label);
	jline_text(&j, "uri", k->uri);
	if (x->pub)
		jline_hex(&j, "spki_sha256", k->spki_sha256, 32);
	else
		jline_hex(&j, "sha256", k->cert_sha256, 32);
	jline_name(&j, "file", x->path, strlen(x->path));
	return jline_end(&j, o);
}

static int export(
	struct tool *s, const struct tool_opts *so, const struct export *x)
{
	ofs_token *token = NULL;
	ofs_key *key = NULL;
	uint8_t *p = NULL;
	size_t n = 0;
	int rc;

	rc = small_check_new(s->out, x->path, x->force);
	if (rc == 0)
		rc = tool_modules(s, so);
	if (rc == 0 && ofs_token_open(s->ctx, x->uri, &token) != 0)
		rc = out_fail_with(s->out, ofs_ctx_error(s->ctx));
	if (rc == 0)
		rc = open_key(s, so, token, x->uri, &key);
	if (rc == 0 && get(x, key, &p, &n) != 0)
		rc = out_fail_with(s->out, ofs_key_error(key));
	if (rc == 0)
		rc = small_write(s->out, x->path, p, n, x->force);
	if (rc == 0)
		rc = report(s->out, x, key);
	free(p);
	ofs_key_free(key);
	ofs_token_free(token);
	return rc;
}

int
cmd_token_export_cert(struct out *o, int argc, char **argv)
{
	struct export x = { 0 };
	struct tool_opts so = { 0 };
	struct tool s = { 0 };
	bool json = false;
	const struct opt table[] = {
		{ "public", .flag = &x.pub },
		{ "der", .flag = &x.der },
		{ "out", .text = &x.path },
		{ "force", .flag = &x.force },
		TOKEN_OPTS(so),
		{ "json", .flag = &json },
		{ .name = NULL },
	};
	const struct args a = { "ofs-token export-cert", help, table, &json };
	struct operands ops;
	int rc;

	rc = args_parse(&a, o, argc, argv, &ops);
	if (rc == 0)
		rc = args_operands(&a, o, &ops, 1, 1, "the URI of the key");
	if (rc == 0 && x.path == NULL)
		x.path = "-";
	if (rc == 0 && json && strcmp(x.path, "-") == 0)
		rc = args_usage(&a, o,
			"'--json' needs '--out FILE': both would go to "
			"standard output");
	if (rc != 0)
		return rc == ARGS_DONE ? 0 : rc;
	x.uri = ops.p[0];
	rc = tool_open(&s, o, &so);
	if (rc == 0)
		rc = export(&s, &so, &x);
	tool_close(&s);
	return rc;
}
