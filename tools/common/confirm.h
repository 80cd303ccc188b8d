/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A question on the terminal that is answered by typing a name. */
#ifndef TOOLS_CONFIRM_H
#define TOOLS_CONFIRM_H

#include <stdio.h>

#include "common/out.h"

/* the terminal, to write to and to read from; NULL when there is none */
FILE *confirm_open(void);

/*
 * Asks for `want` on the terminal and closes it. 0, or OFS_EINTR (said) when
 * something else was typed.
 */
int confirm_typed(struct out *o, FILE *tty, const char *what, const char *want);

#endif
