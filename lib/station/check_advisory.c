/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The firmware of a token against advisories. */
#include <stdio.h>

#include <openssl/evp.h>

#include "base/text.h"
#include "format/advisory.h"
#include "station/check.h"

/* a key of the kind that it is about, or no key that could tell */
static bool
concerns(const struct check *c, enum advisory_keys keys)
{
	int type = keys == ADVISORY_RSA ? EVP_PKEY_RSA : EVP_PKEY_EC;

	if (keys == ADVISORY_ANY || !c->probe.logged_in)
		return true;
	for (size_t i = 0; i < c->probe.n_keys; i++)
		if (c->probe.keys[i].key == NULL ||
			EVP_PKEY_get_base_id(c->probe.keys[i].key) == type)
			return true;
	return false;
}

static int
compare(void *arg, const struct advisory *a, struct ofs_error *e)
{
	struct check *c = arg;
	char text[ADVISORY_VALUE_MAX + ADVISORY_NAME_MAX + 40];
	bool ours;

	(void)e;
	c->advisories++;
	if (!advisory_matches(a, &c->probe.info))
		return 0;
	ours = concerns(c, a->keys);
	snprintf(text, sizeof(text), "%s: %s%s", a->id, a->text,
		ours ? "" : " No such key is on this token.");
	check_add_advisory(
		c, ours ? a->severity : OFS_SEVERITY_INFO, text, a->action);
	return 0;
}

int
check_advisories(struct check *c, struct ofs_error *e)
{
	struct ofs_error why;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < c->opts.n_advisories; i++) {
		const struct ofs_advisories *f = &c->opts.advisories[i];

		rc = advisory_parse(f->p, f->n, compare, c, &why);
		if (rc != 0)
			rc = err_set(e, rc, "cannot use advisories '%s': %s",
				TEXT_Q(f->name), why.message);
	}
	return rc;
}
