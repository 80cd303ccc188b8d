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

int
cmd_audit_tsa_trust(struct tool *s, const struct tsa *t)
{
	struct ofs_tsa_opts roots = t->opts;

	/* one by one, to name the file that is wrong */
	roots.chain = NULL;
	roots.chain_len = 0;
	if (t->trust_file == NULL)
		return 0;
	if (ofs_audit_trust_tsa(s->audit, &roots) != 0)
		return cmd_audit_fail_file(s, "--tsa-trust", t->trust_file);
	if (t->chain_file != NULL &&
		ofs_audit_trust_tsa(s->audit, &t->opts) != 0)
		return cmd_audit_fail_file(s, "--tsa-chain", t->chain_file);
	return 0;
}

void
cmd_audit_tsa_free(struct tsa *t)
{
	small_free(&t->trust);
	small_free(&t->chain);
}
