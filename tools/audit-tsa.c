/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The options that say whose time-stamps count. */
#include "audit-tsa.h"

int
cmd_audit_tsa_read(struct out *o, struct tsa *t)
{
	int rc = 0;

	if (t->trust_file != NULL)
		rc = small_read(o, t->trust_file, SMALL_PEM_MAX, &t->trust);
	if (rc == 0 && t->chain_file != NULL)
		rc = small_read(o, t->chain_file, SMALL_PEM_MAX, &t->chain);
	t->opts.trust = t->trust.p;
	t->opts.trust_len = t->trust.n;
	t->opts.chain = t->chain.p;
	t->opts.chain_len = t->chain.n;
	return rc;
}

void
cmd_audit_tsa_free(struct tsa *t)
{
	small_free(&t->trust);
	small_free(&t->chain);
}
