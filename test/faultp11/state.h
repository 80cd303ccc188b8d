/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the module remembers: what is armed, slots and sessions. Everything
 * here wants the lock, except where it says otherwise.
 */
#ifndef FAULTP11_STATE_H
#define FAULTP11_STATE_H

#include <pthread.h>
#include <stdint.h>

#include "script.h"

#define SLOTS_MAX 64
#define PIN_MAX 256

/* the module behind; set before any call is made */
extern CK_FUNCTION_LIST *real;

void state_lock(void);
void state_unlock(void);
int64_t state_now(void); /* ms, monotonic; no lock */

/* A slot as callers know it. One that was never touched is as it is behind. */
struct slot {
	CK_SLOT_ID outer; /* callers' number */
	CK_SLOT_ID home;  /* the number behind that it began with */
	CK_SLOT_ID inner; /* the number behind of what is in it now */
	bool ghost;       /* empty for ever: its token moved to another slot */
	bool touched;     /* was removed */
	enum column column; /* how it went, last */
	bool out;
	bool sick;       /* ykcs11: back, and of no use before all is closed */
	int64_t back_at; /* state_now(); -1: by the plan's file */
	struct removal plan;
	bool masked; /* shows these instead of its own */
	CK_UTF8CHAR label[32];
	CK_CHAR serial[16];
	bool so; /* yubikey: the SO is logged in, whoever it is behind */
	bool so_behind;
	uint32_t hidden; /* yubikey: the slots whose objects are not shown */
	char so_pin[PIN_MAX], user_pin[PIN_MAX]; /* that were accepted */
	pthread_mutex_t busy; /* latency: one C_Sign at a time */
};

/* NULL: there are too many */
struct slot *slot_get(CK_SLOT_ID outer);
/* each in turn; NULL at the end */
struct slot *slot_each(size_t i);
/* true when any token ever went */
bool slot_any_touched(void);
/* the token's own label, as the module behind has it, without padding */
void slot_label(CK_SLOT_ID inner, char label[LABEL_MAX]);
/* true and the number behind of the token with this label */
bool slot_by_label(const char *label, CK_SLOT_ID *inner);
/* what was in slot s is in a new slot from now on */
void slot_move(struct slot *s);
/* all as they are behind */
void slot_reset(void);

enum session_state {
	SESSION_LIVE,
	SESSION_STALE, /* its token was removed */
	SESSION_GONE,  /* and the caller has asked for the slot since */
	SESSION_FAKE   /* there is none behind */
};

struct session {
	CK_SESSION_HANDLE outer, inner;
	struct slot *slot;
	enum session_state state;
};

/* the handle for the caller; 0: no memory */
CK_SESSION_HANDLE session_add(
	struct slot *s, CK_SESSION_HANDLE inner, enum session_state state);
struct session *session_find(CK_SESSION_HANDLE outer);
size_t session_count(const struct slot *s); /* live and fake */
size_t session_any(const struct slot *s);   /* stale ones, too */
void session_drop(CK_SESSION_HANDLE outer);
void session_drop_slot(const struct slot *s);
void session_drop_all(void);
/* every session of the slot in one state becomes one in another */
void session_turn(
	const struct slot *s, enum session_state from, enum session_state to);

/*
 * Handles that callers see are this much more than those behind: 0 until a
 * module is initialised anew after a removal, when numbers begin again and an
 * old handle must not name a new thing by chance.
 */
CK_ULONG handle_offset(void);
void handle_offset_grow(void);
CK_ULONG handle_inner(CK_ULONG outer); /* 0: none */
CK_ULONG handle_outer(CK_ULONG inner);

/* reads the environment the first time, and the script file when it changed */
void armed_poll(bool initialize);
/* false: the script is wrong, and nothing may work until it is mended */
bool armed_sound(void);
/* counts the call and adds up what the rules say about it */
bool armed_match(enum fn fn, const struct slot *s, struct fault *f);
/* the i-th mode of a kind for this token (s NULL: for all) */
bool armed_mode(
	enum mode_kind kind, const struct slot *s, size_t i, struct mode *out);
void armed_add(const struct mode *m);
int armed_set(const char *text);

#endif
