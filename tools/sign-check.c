/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command that checks what was signed. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/plain.h"
#include "sign.h"

/* operands are repeated while the command stays readable */
#define OPERANDS_BYTES 600

static void
word(FILE *f, const char *s)
{
	fputc(' ', f);
	plain_put_shell(f, s);
}

static bool
fits(const struct operands *ops)
{
	size_t total = 0;
	int i;

	for (i = 0; i < ops->n; i++)
		total += strlen(ops->p[i]) + 1;
	return total <= OPERANDS_BYTES;
}

/* an operand that a shell would not take for an option */
static bool
dashed(const struct operands *ops)
{
	int i;

	for (i = 0; i < ops->n; i++)
		if (ops->p[i][0] == '-')
			return true;
	return false;
}

/* the certificate where there is one; else a bare key, for raw signatures */
static void
print_trust(FILE *f, const struct sign_report *r)
{
	const struct sign_options *o = r->opts;
	const char *cert = o->cert != NULL ? o->cert : "cert.pem";

	if (o->cert == NULL && !r->has_cert) {
		fputs("  ofs-token export-cert --public --out pubkey.pem", f);
		word(f, o->keys.p[0]);
		fputs("\n  ofs-verify --signer pubkey.pem", f);
		return;
	}
	if (o->cert == NULL) {
		fputs("  ofs-token export-cert --out cert.pem", f);
		word(f, o->keys.p[0]);
		fputc('\n', f);
	}
	fputs("  ofs-verify --trust", f);
	word(f, cert);
	if (o->format == OFS_FORMAT_RAW) {
		fputs(" --signer", f);
		word(f, cert);
	}
}

/* attached: the signature file holds the document */
static void
print_operand(FILE *f, const struct sign_options *o, const char *path)
{
	char *p7m = NULL;

	if (o->format != OFS_FORMAT_CMS_ATTACHED || o->recursive ||
		o->out_dir != NULL) {
		word(f, path);
		return;
	}
	if (asprintf(&p7m, "%s%s", path,
		    ofs_format_suffix(OFS_FORMAT_CMS_ATTACHED)) >= 0)
		word(f, p7m);
	free(p7m);
}

void
cmd_sign_print_check(FILE *f, const struct sign_report *r)
{
	const struct sign_options *o = r->opts;
	int i;

	fputs("\nto check the result:\n", f);
	print_trust(f, r);
	if (o->out_dir != NULL) {
		fputs(" --sig", f);
		word(f, o->out_dir);
	}
	if (o->recursive)
		fputs(" --recursive", f);
	if (cmd_sign_has_list(o) || !fits(r->ops)) {
		fputs(" FILE...\n  (FILE...: the documents that were signed)\n",
			f);
		return;
	}
	if (dashed(r->ops))
		fputs(" --", f);
	for (i = 0; i < r->ops->n; i++)
		print_operand(f, o, r->ops->p[i]);
	fputc('\n', f);
}
