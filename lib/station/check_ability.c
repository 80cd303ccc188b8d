/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a token can do: mechanisms, data, counters, sessions. */
#include <openssl/evp.h>

#include "station/check.h"

static bool
has_key(const struct check *c, int type)
{
	for (size_t i = 0; i < c->probe.n_keys; i++)
		if (c->probe.keys[i].key != NULL &&
			c->probe.keys[i].info.sign != 0 &&
			EVP_PKEY_get_base_id(c->probe.keys[i].key) == type)
			return true;
	return false;
}

static void
family(struct check *c, int type, const char *name, bool good, bool weak)
{
	if (good || !has_key(c, type))
		return;
	if (weak)
		check_add(c, "mechanism-weak-only", NULL,
			"the token signs with its %s keys only over SHA-1, "
			"MD5 or less",
			name);
	else
		check_add(c, "mechanism-missing", NULL,
			"the token has %s keys and no mechanism to sign with "
			"them",
			name);
}

static void
mechanisms(struct check *c)
{
	const struct probe_mechs *m = &c->probe.mechs;

	if (!m->rsa && !m->ec && !m->eddsa && !m->rsa_weak && !m->ec_weak)
		check_add(c, "mechanism-missing", NULL,
			"none of the token's %zu mechanisms signs", m->n);
	else if (!m->rsa && !m->ec && !m->eddsa)
		check_add(c, "mechanism-weak-only", NULL,
			"the token signs only over SHA-1, MD5 or less");
	else {
		family(c, EVP_PKEY_RSA, "RSA", m->rsa, m->rsa_weak);
		family(c, EVP_PKEY_EC, "EC", m->ec, m->ec_weak);
	}
}

static void
data(struct check *c)
{
	const struct probe *p = &c->probe;

	if (p->write == PROBE_WRITE_FAILED)
		check_add(c, "token-no-data", NULL,
			"a private data object cannot be kept on it: %.300s",
			p->write_error.message);
	else if (p->write == PROBE_WRITTEN)
		check_add(c, "token-holds-data", NULL,
			"a private data object was stored, read back and "
			"deleted");
	else if (p->data_objects > 0)
		check_add(c, "token-holds-data", NULL,
			"%zu data objects are on it; storing one was not tried",
			p->data_objects);
	else
		check_add(c, "token-no-data", NULL,
			"no data object is on it; storing one was not tried "
			"(--write-test does)");
	if ((p->raw.flags & CKF_WRITE_PROTECTED) != 0)
		check_add(c, "token-write-protected", NULL,
			"the token is write-protected");
}

static void
sessions(struct check *c)
{
	CK_ULONG max = c->probe.raw.ulMaxSessionCount;

	/* both mean that it does not say, whatever the standard calls them */
	if (max == CK_EFFECTIVELY_INFINITE || max == CK_UNAVAILABLE_INFORMATION)
		check_add(c, "sessions", NULL,
			"the token claims no limit to its sessions");
	else
		check_add(c, "sessions", NULL,
			"the token claims to open %lu sessions at most", max);
}

void
check_abilities(struct check *c)
{
	mechanisms(c);
	data(c);
	check_add(c, "monotonic-counter", NULL,
		c->probe.counter ? "the token has a monotonic counter"
				 : "the token has no monotonic counter");
	check_add(c, "clock", NULL,
		c->probe.clock || (c->probe.raw.flags & CKF_CLOCK_ON_TOKEN) != 0
			? "the token has a clock of its own"
			: "the token has no clock of its own");
	check_add(c, "rng", NULL,
		(c->probe.raw.flags & CKF_RNG) != 0
			? "the token has a random number generator"
			: "the token offers no random number generator");
	sessions(c);
}
