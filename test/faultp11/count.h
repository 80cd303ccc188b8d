/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How often what was called: of this process, and in a file for all. */
#ifndef FAULTP11_COUNT_H
#define FAULTP11_COUNT_H

#include "names.h"

/* one more call, in this process and in the file of FAULTP11_COUNTS */
void count_call(enum fn fn);
unsigned long count_get(enum fn fn);
/* this process's only */
void count_clear(void);

/*
 * Wrong PINs of a token, kept in the same file where there is one, so that the
 * next process finds a locked PIN locked. change: 0, 1, or -1 for back to 0.
 */
unsigned long count_wrong_pins(const char *serial, bool so, int change);

#endif
