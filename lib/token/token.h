/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tokens: found in the slots of the modules, opened, initialised. */
#ifndef TOKEN_TOKEN_H
#define TOKEN_TOKEN_H

#include <offlinesig/token.h>

#include "base/ctx.h"
#include "token/gate.h"
#include "token/pin.h"
#include "token/session.h"
#include "token/turn.h"
#include "token/uri.h"
#include "token/wanted.h"

struct key_session; /* token/sign.c */

struct ofs_token {
	ofs_ctx *ctx;
	struct ofs_error err;
	struct module *module; /* held by ctx */
	CK_SLOT_ID slot;
	pid_t pid;         /* a child of fork() must not use our sessions */
	CK_TOKEN_INFO raw; /* as read last */
	struct ofs_token_info info;
	struct session pinned; /* closing the last session logs out */
	bool rejected;         /* a PIN was rejected: none is sent again */
	bool so_rejected;      /* the same of the SO PIN */
	struct pin held;       /* the PIN that it accepted, or PIN_NONE */
	bool held_pad;         /* it accepted one from its PIN pad */
	bool so_manages;       /* it left to its SO what the user wanted */
	bool so_asked;         /* so_pin is there: token/so.c */
	struct pin so_pin;     /* to be sent, or accepted already */
	struct turn *turn;     /* with other processes; NULL: not needed */

	/*
	 * Several threads sign: they are inside the gate when they call the
	 * module. Recovery closes it, and owns everything above meanwhile.
	 */
	struct gate gate;
	atomic_bool fresh;    /* a PIN may be sent again: token/login.c */
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t change;
	struct key_session *signers;
	unsigned long generation; /* of sessions and of object handles */
	bool lent;                /* the pinned session is a signer's */
	bool lost;                /* not used any more: `why` */
	struct ofs_error why;
	bool wanted, give_up; /* recovery waits for it; and is to end */
	int64_t wanted_since, wanted_until;

	struct wanted telling; /* of the thread that called the library */
};

/* A token seen in a slot. */
struct slot {
	struct module *module;
	CK_SLOT_ID id;
	CK_TOKEN_INFO raw;
	bool scarce; /* processes may fight over its sessions */
};

/* C_GetTokenInfo */
int slot_read(struct module *m, CK_SLOT_ID id, CK_TOKEN_INFO *raw,
	struct ofs_error *e);
void slot_describe(const struct slot *s, struct ofs_token_info *info);
bool slot_initialised(const struct slot *s);
bool slot_same_token(const CK_TOKEN_INFO *a, const CK_TOKEN_INFO *b);

struct slot_list {
	struct slot *v;
	size_t n;
};

/* of one module */
int slot_scan_module(const ofs_ctx *ctx, struct module *m,
	struct slot_list *out, struct ofs_error *e);
/* every token of every module; slots that fail are logged and passed over */
int slot_scan(ofs_ctx *ctx, struct slot_list *out, struct ofs_error *e);
void slot_list_free(struct slot_list *l);
/*
 * The one token that matches; initialised ones only unless `blank`. u may be
 * NULL for any. Errors: OFS_ETOKEN, OFS_EAMBIGUOUS.
 */
int slot_pick(const struct slot_list *l, const struct uri *u, bool blank,
	const struct slot **out, struct ofs_error *e);

/* the pinned session, opened when it is not; OFS_ETOKEN after a fork */
int token_session(ofs_token *t, struct session **out, struct ofs_error *e);
/* a read-write session of its own; the caller closes it */
int token_rw_session(ofs_token *t, struct session *out, struct ofs_error *e);
/* OFS_ETOKEN after a fork, and when its module hangs */
int token_check_usable(const ofs_token *t, struct ofs_error *e);
/* tells the caller's callback whether recovery waits for it */
void token_tell_wanted(ofs_token *t);
/* whoever waits for it to come back stops waiting; from any thread */
void token_give_up(ofs_token *t);
/* module_run for something that uses t */
int token_run(ofs_token *t, watch_fn fn, void *arg, struct ofs_error *e);
/*
 * The token that was opened is still the one in its slot. The asking also
 * wakes modules that notice a re-insertion only so.
 */
int token_check_present(const ofs_token *t, struct ofs_error *e);
/* the same, and how it describes itself now */
int token_read_again(
	const ofs_token *t, CK_TOKEN_INFO *now, struct ofs_error *e);

/*
 * ofs_token_init without its record. *out (never NULL) describes the token
 * afterwards.
 */
int token_init(ofs_ctx *ctx, const struct ofs_token_init_opts *opts,
	struct ofs_token_info *out, struct ofs_error *e);

#endif
