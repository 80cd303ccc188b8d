/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fills the error record of a handle. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <offlinesig/err.h>

#if defined(__GNUC__)
#define ERR_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define ERR_PRINTF(f, a)
#endif

/*
 * Internal functions that can fail take `struct ofs_error *e` last, never
 * NULL, and fill it where the failure is seen. All of these return `code`, so
 * that `return err_set(e, OFS_EIO, ...)` reads well. They set ckr to 0 and item
 * to OFS_NO_ITEM; who knows better fills those in afterwards. An argument may
 * be e->message itself. The message ends as one line of valid UTF-8.
 */
void err_clear(struct ofs_error *e);
int err_set(struct ofs_error *e, int code, const char *fmt, ...)
	ERR_PRINTF(3, 4);
/* appends ": " and strerror(errnum), and keeps errnum */
int err_sys(struct ofs_error *e, int code, int errnum, const char *fmt, ...)
	ERR_PRINTF(4, 5);
/* appends the reason of OpenSSL's oldest queued error and clears the queue */
int err_ssl(struct ofs_error *e, int code, const char *fmt, ...)
	ERR_PRINTF(3, 4);
int err_nomem(struct ofs_error *e);

#endif
