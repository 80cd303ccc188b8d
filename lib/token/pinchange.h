/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* New PINs: the user's by the user or by the SO, the SO's by the SO. */
#ifndef TOKEN_PINCHANGE_H
#define TOKEN_PINCHANGE_H

#include "token/token.h"

/*
 * begin is called once, when all PINs are there and fit and right before the
 * token is asked; its failure ends the change with nothing sent.
 */
struct pinchange {
	int (*begin)(void *arg, struct ofs_error *e);
	void *arg;
	bool begun; /* begin was called and succeeded */
};

/* C_SetPIN by the user; no C_Login, so that a wrong PIN is sent once */
int pinchange_user(ofs_token *t, struct pinchange *c, struct ofs_error *e);
/* C_Login as SO, then C_InitPIN */
int pinchange_unblock(ofs_token *t, struct pinchange *c, struct ofs_error *e);
/* C_Login as SO, then C_SetPIN */
int pinchange_so(ofs_token *t, struct pinchange *c, struct ofs_error *e);

#endif
