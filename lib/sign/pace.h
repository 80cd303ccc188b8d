/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A limit on signatures a minute: when the next chunk may be sent. */
#ifndef SIGN_PACE_H
#define SIGN_PACE_H

#include <stddef.h>
#include <stdint.h>

/*
 * Chunks are kept small, a tenth of a second's worth, and each is followed by
 * the time that its items are worth. So signatures are spread evenly, and no
 * minute has more than `rate` of them and one chunk.
 */
struct pace {
	unsigned int rate; /* a minute; 0: no limit */
	int64_t next;      /* us, monotonic */
};

/* us until a chunk may be sent; 0: now */
int64_t pace_left(const struct pace *p, int64_t now);
/* n items were sent */
void pace_took(struct pace *p, int64_t now, size_t n);
/* items to sign that a chunk may have; 0: no limit */
size_t pace_chunk_max(unsigned int rate);

#endif
