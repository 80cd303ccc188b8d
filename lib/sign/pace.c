/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A limit on signatures a minute: when the next chunk may be sent. */
#include "sign/pace.h"

#define MINUTE_US INT64_C(60000000)
#define CHUNKS_A_MINUTE 600

int64_t
pace_left(const struct pace *p, int64_t now)
{
	return p->rate > 0 && p->next > now ? p->next - now : 0;
}

void
pace_took(struct pace *p, int64_t now, size_t n)
{
	if (p->rate == 0)
		return;
	if (p->next < now)
		p->next = now;
	/* rounded up: never faster */
	p->next += ((int64_t)n * MINUTE_US + p->rate - 1) / p->rate;
}

size_t
pace_chunk_max(unsigned int rate)
{
	if (rate == 0)
		return 0;
	return rate < CHUNKS_A_MINUTE ? 1 : rate / CHUNKS_A_MINUTE;
}
