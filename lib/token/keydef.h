/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is inside an ofs_key. */
#ifndef TOKEN_KEYDEF_H
#define TOKEN_KEYDEF_H

#include "token/key.h"
#include "token/pair.h"

struct ofs_key {
	ofs_token *token;
	struct ofs_error err;
	struct pair p;
	bool signs;            /* opened with a login and fit to sign */
	uint32_t mechs;        /* what it signs with: mech_offered() */
	atomic_bool wants_pin; /* for every signature */
	/* of the handle in p.priv; under the token's lock */
	unsigned long generation;
};

struct key_session {
	struct key_session *next; /* of the token's */
	ofs_key *key;
	struct session s;         /* not open: opened at the next signature */
	bool lent;                /* s is the token's pinned session */
	unsigned long generation; /* of s and h */
	CK_OBJECT_HANDLE h;
	unsigned int rung, asked;
	bool ailing, in_turn;
	atomic_bool in_sign;
};

/* token/keysession.c, for token/sign.c and token/heal.c */

/* through the gates, in turn with other processes */
int key_session_enter(struct key_session *s, struct ofs_error *e);
void key_session_leave(struct key_session *s);
/* whether the token is still to be used; notes in what generation */
int key_session_check_lost(struct key_session *s, struct ofs_error *e);
/* a session and the handle of the key; inside the gates */
int key_session_make_ready(struct key_session *s, struct ofs_error *e);
/* closes the session, or gives back what was lent */
void key_session_drop(struct key_session *s);
/* for the caller to close; with the lock of the token */
struct session key_session_take_locked(struct key_session *s);

/* token/recover.c */

/*
 * Finds the private key again, in a session after a recovery, and makes sure
 * that it is the key that it was: label and id may stand for another one.
 */
int key_find_again(const ofs_key *k, const struct session *s,
	CK_OBJECT_HANDLE *h, struct ofs_error *e);
/* the answers that recovery may heal */
bool recover_can(const struct ofs_error *e);
/* with the gate closed: one rung after the other until the key is there */
int recover_climb(ofs_key *k, unsigned int rung, struct ofs_error *e);
#define RECOVER_RUNGS 3

/* OFS_EUNSUPPORTED or OFS_EPOLICY when the key must not or cannot sign */
int key_check_signing(ofs_key *k, struct ofs_error *e);
/* a key of what p holds; takes p's contents over when it succeeds */
int key_new(ofs_token *t, struct pair *p, ofs_key **out, struct ofs_error *e);

#endif
