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

void
cmd_sign_print_check(FILE *f, const struct sign_report *r)
{
	const struct sign_options *o = r->opts;
	const char *cert = o->cert != NULL ? o->cert : "cert.pem";
	int i;

	fputs("\nto check the result:\n", f);
	if (o->cert == NULL) {
		fputs("  ofs-token keys --cert-out cert.pem", f);
		word(f, r->key->uri);
		fputc('\n', f);
	}
	fputs("  ofs-verify --trust", f);
	word(f, cert);
	if (o->format == OFS_FORMAT_RAW) {
		fputs(" --signer", f);
		word(f, cert);
	}
	if (o->out_dir != NULL) {
		fputs(" --sig", f);
		word(f, o->out_dir);
	}
	if (o->recursive)
		fputs(" --recursive", f);
	if (o->sums.n > 0 || !fits(r->ops)) {
		fputs(" FILE...\n  (FILE...: the documents that were signed)\n",
			f);
		return;
	}
	if (dashed(r->ops))
		fputs(" --", f);
	for (i = 0; i < r->ops->n; i++) {
		fputc(' ', f);
		/* attached: the signature holds the document */
		if (o->format == OFS_FORMAT_CMS_ATTACHED && !o->recursive &&
			o->out_dir == NULL) {
			char *p7m = NULL;

			if (asprintf(&p7m, "%s.p7m", r->ops->p[i]) >= 0)
				plain_put_shell(f, p7m);
			free(p7m);
		} else {
			plain_put_shell(f, r->ops->p[i]);
		}
	}
	fputc('\n', f);
}
