/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What only the SO may do on a token, amid the work of its user. */
#ifndef TOKEN_SO_H
#define TOKEN_SO_H

#include "token/keydef.h"

/*
 * One thing to do in a read-write session. If the token refuses it to the
 * user it must have changed nothing, and is called again for the SO.
 */
typedef int (*so_fn)(void *arg, const struct session *s, struct ofs_error *e);

/* it is known before the token is asked that its SO looks after keys */
bool so_known(const ofs_token *t);

/*
 * Runs fn as the user, who is logged in; where the token leaves that to its SO,
 * as the SO. `what` is what the SO does there: "makes keys". The SO PIN is
 * asked for once and kept until so_forget: it is sent anew each time that there
 * is something to do, until it is rejected. All sessions are closed for it.
 * Then the user is logged in again with the PIN that was accepted, which is
 * asked for where it was not kept. *as_so says who did it: afterwards no handle
 * of before is valid.
 */
int so_try(ofs_token *t, const char *what, so_fn fn, void *arg, bool *as_so,
	struct ofs_error *e);
/* wipes the SO PIN */
void so_forget(ofs_token *t);

/* the handle of an object in another session, by its id and label */
int so_find(const struct session *s, CK_OBJECT_CLASS class_,
	const struct object *o, CK_OBJECT_HANDLE *h, struct ofs_error *e);
/* the handle of a key's private object after so_try; it must be the same key */
int so_key_again(ofs_key *k, struct ofs_error *e);

#endif
