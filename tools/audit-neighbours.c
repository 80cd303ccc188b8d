/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which other keys are behind the PIN of an audit key. */
#include <string.h>

#include "audit.h"

struct others {
	const uint8_t *own;
	size_t n;
	char first[256];
};

static int
count(void *arg, const struct ofs_key_info *k)
{
	struct others *o = arg;

	if (!k->has_private || k->sign == 0 ||
		memcmp(k->spki_sha256, o->own, 32) == 0)
		return 0;
	if (o->n++ == 0)
		memcpy(o->first, k->label, sizeof(o->first));
	return 0;
}

int
cmd_audit_neighbours(
	struct tool *s, ofs_token *token, const uint8_t spki_sha256[32])
{
	struct others o = { spki_sha256, 0, "" };
	const char *label = ofs_token_get_info(token)->label;

	if (ofs_key_list(token, count, &o) != 0)
		return out_fail_with(s->out, ofs_token_error(token));
	if (o.n == 1)
		out_warn(s->out,
			"token '%s' holds the key '%s', too: whoever signs "
			"documents with that has the PIN of the audit key, "
			"which is no protection against them",
			label, o.first);
	else if (o.n > 1)
		out_warn(s->out,
			"token '%s' holds the key '%s' and %zu more, too: "
			"whoever signs documents with these has the PIN of the "
			"audit key, which is no protection against them",
			label, o.first, o.n - 1);
	return 0;
}
