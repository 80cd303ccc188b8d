/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Telling the caller that a token is wanted, once a second while it is. */
#ifndef TOKEN_WANTED_H
#define TOKEN_WANTED_H

#include "base/ctx.h"

/* Who is wanted, and the wait for it. Used by one thread. */
struct wanted {
	const ofs_ctx *ctx;
	char label[33 * 4], serial[17 * 4];
	bool on;
	int64_t since, until, told;
};

void wanted_init(struct wanted *w, const ofs_ctx *ctx, const char *label,
	const char *serial);
void wanted_begin(struct wanted *w, int64_t since, int64_t until);
/* tells it when it is time; what the callback returned, 0 to go on */
int wanted_tick(struct wanted *w);
void wanted_end(struct wanted *w, bool present);

#endif
