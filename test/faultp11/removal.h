/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tokens that are pulled out and come back: three ways to take it. */
#ifndef FAULTP11_REMOVAL_H
#define FAULTP11_REMOVAL_H

#include "state.h"

/*
 * All want the lock. removal_start wants nobody inside the module behind: it
 * closes what is open there.
 */
void removal_start(struct slot *s, const struct removal *plan);
/* tokens whose time has come are back */
void removal_tick(void);
/* all back at once */
void removal_undo(void);

/*
 * What the caller gets instead of an answer from behind; false: ask behind.
 * Exactly one of slot and session is given where the function has one. *open:
 * C_OpenSession's output.
 */
bool removal_answer(enum fn fn, struct slot *s, struct session *session,
	CK_SESSION_HANDLE *open, CK_RV *rv);
/*
 * C_Finalize was called, and all handles are void. fresh: what is open
 * next has numbers that were never used.
 */
void removal_finalized(bool fresh);
/* C_Initialize has succeeded */
void removal_initialized(void);

#endif
