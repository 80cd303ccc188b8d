/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls into a PKCS#11 module: guarded against SIGPIPE, errors named. */
#ifndef TOKEN_CRYPTOKI_H
#define TOKEN_CRYPTOKI_H

#include <signal.h>
#include <stdbool.h>

#include <p11-kit/pkcs11.h>

#include "base/err.h"
#include "token/watch.h"

/*
 * A module that talks through a socket raises SIGPIPE in the calling thread
 * when its server dies, which ends the process. Every C_ call stands between
 * cryptoki_enter and cryptoki_leave, which block the signal and take away one
 * that the call left pending. Guards nest.
 */
struct cryptoki_guard {
	sigset_t old;
	bool active;  /* SIGPIPE was open before and is to be opened again */
	bool watched; /* the end of the call is to be told */
};

void cryptoki_enter(struct cryptoki_guard *g);
void cryptoki_leave(struct cryptoki_guard *g);

#define CRYPTOKI(rv, call)                             \
	do {                                           \
		struct cryptoki_guard cryptoki_guard_; \
		cryptoki_enter(&cryptoki_guard_);      \
		(rv) = (call);                         \
		cryptoki_leave(&cryptoki_guard_);      \
	} while (0)

/* for a call that may take minutes */
#define CRYPTOKI_SLOW(rv, call)     \
	do {                        \
		watch_be_patient(); \
		CRYPTOKI(rv, call); \
	} while (0)

/* "CKR_DEVICE_REMOVED", or NULL */
const char *cryptoki_name(CK_RV rv);
/* the error code that suits an answer when the caller knows no better */
int cryptoki_code(CK_RV rv);
/* appends ": CKR_DEVICE_REMOVED (0x32)" and keeps rv; returns code */
int cryptoki_err(struct ofs_error *e, int code, CK_RV rv, const char *fmt, ...)
	ERR_PRINTF(4, 5);

#endif
