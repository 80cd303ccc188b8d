/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The last error of a handle, or that of each thread that uses it. */
#ifndef SIGN_ERRS_H
#define SIGN_ERRS_H

#include <stdbool.h>

#include "base/err.h"

struct errs;

/* `threads`: one record for each; NULL when out of memory */
struct errs *errs_new(bool threads);
void errs_free(struct errs *s);
/*
 * That of the calling thread, until errs_free(). One record serves all threads
 * for which there was no memory.
 */
struct ofs_error *errs_own(struct errs *s);

#endif
