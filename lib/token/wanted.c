/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Telling the caller that a token is wanted, once a second while it is. */
#include <stdio.h>
#include <string.h>

#include "base/time.h"
#include "token/wanted.h"

#define TELL_US 1000000

static int
tell(struct wanted *w, bool present, int64_t now)
{
	const struct ofs_ctx_opts *o = &w->ctx->opts;
	struct ofs_token_wanted t = { .size = sizeof(t),
		.label = w->label,
		.serial = w->serial,
		.present = present,
		.waited = now - w->since,
		.left = w->until > now ? w->until - now : 0 };

	w->told = now;
	return o->wanted != NULL ? o->wanted(o->wanted_arg, &t) : 0;
}

void
wanted_init(struct wanted *w, const ofs_ctx *ctx, const char *label,
	const char *serial)
{
	memset(w, 0, sizeof(*w));
	w->ctx = ctx;
	(void)snprintf(w->label, sizeof(w->label), "%s", label);
	(void)snprintf(w->serial, sizeof(w->serial), "%s", serial);
}

void
wanted_begin(struct wanted *w, int64_t since, int64_t until)
{
	w->on = true;
	w->since = since;
	w->until = until;
	w->told = 0;
}

int
wanted_tick(struct wanted *w)
{
	int64_t now = time_mono();

	if (w->told != 0 && now - w->told < TELL_US)
		return 0;
	return tell(w, false, now);
}

void
wanted_end(struct wanted *w, bool present)
{
	if (w->on && w->told != 0 && present)
		(void)tell(w, true, time_mono());
	w->on = false;
}
