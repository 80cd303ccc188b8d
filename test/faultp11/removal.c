/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Removal: the columns of the table are functions here. Behind, all sessions
 * of the token are closed the moment it goes, which logs out and voids every
 * object handle there; SoftHSM2 gives no number twice before C_Finalize.
 */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "removal.h"

/* a network module loses all its tokens at once */
static struct {
	bool dead;
	bool piped; /* SIGPIPE comes once */
	bool back;  /* at the end of this C_Initialize */
	struct slot *slot;
} net;

static bool grow; /* handles get new numbers at the next C_Initialize */

static bool
is_due(const struct slot *s)
{
	if (s->back_at >= 0)
		return state_now() >= s->back_at;
	return s->plan.back_file[0] != '\0' &&
		access(s->plan.back_file, F_OK) == 0;
}

/* the same label and serial whoever comes back */
static void
wear_mask(struct slot *s)
{
	CK_TOKEN_INFO t;

	if (s->masked || real->C_GetTokenInfo(s->inner, &t) != CKR_OK)
		return;
	memcpy(s->label, t.label, sizeof(s->label));
	memcpy(s->serial, t.serialNumber, sizeof(s->serial));
	s->masked = true;
}

static void
come_back(struct slot *s)
{
	CK_SLOT_ID other;

	s->out = false;
	if (s->plan.as[0] != '\0' && slot_by_label(s->plan.as, &other)) {
		wear_mask(s);
		s->inner = other;
	}
	if (s->plan.move)
		slot_move(s);
	s->sick = s->column == COLUMN_YKCS11 && session_any(s) > 0;
}

void
removal_tick(void)
{
	struct slot *s;

	for (size_t i = 0; (s = slot_each(i)) != NULL; i++)
		if (s->out && s->column != COLUMN_NETWORK && is_due(s))
			come_back(s);
}

void
removal_start(struct slot *s, const struct removal *plan)
{
	if (s == NULL || s->out || s->ghost)
		return;
	s->plan = *plan;
	s->column = plan->column;
	s->out = s->touched = true;
	s->so = s->so_behind = false;
	s->back_at = plan->back >= 0 ? state_now() + plan->back : -1;
	grow = true;
	(void)real->C_CloseAllSessions(s->inner);
	session_turn(s, SESSION_LIVE, SESSION_STALE);
	if (plan->column != COLUMN_NETWORK)
		return;
	net.dead = true;
	net.piped = false;
	net.slot = s;
}

void
removal_undo(void)
{
	struct slot *s;

	for (size_t i = 0; (s = slot_each(i)) != NULL; i++)
		if (s->inner != s->home)
			(void)real->C_CloseAllSessions(s->inner);
	net.dead = false;
	slot_reset();
}

void
removal_finalized(bool fresh)
{
	struct slot *s;

	session_drop_all();
	for (size_t i = 0; (s = slot_each(i)) != NULL; i++)
		s->sick = s->so = s->so_behind = false;
	if (grow || fresh)
		handle_offset_grow();
	grow = false;
}

void
removal_initialized(void)
{
	if (net.back)
		come_back(net.slot);
	net.back = false;
}

/* everything is 0x30 until the server is back and the module begins anew */
static bool
network_answer(enum fn fn, CK_RV *rv)
{
	if (fn == FN_C_Finalize || fn == FN_C_GetFunctionList)
		return false;
	if (fn == FN_C_Initialize && is_due(net.slot)) {
		net.dead = false;
		net.back = true;
		return false;
	}
	if (fn == FN_C_Sign && !net.piped) {
		net.piped = true;
		raise(SIGPIPE);
	}
	*rv = CKR_DEVICE_ERROR;
	return true;
}

static CK_RV
opensc_session(enum fn fn, struct session *session)
{
	bool gone = session->state == SESSION_GONE && !session->slot->out;

	if (fn == FN_C_CloseSession) {
		session_drop(session->outer);
		return gone ? CKR_SESSION_HANDLE_INVALID : CKR_OK;
	}
	return gone ? CKR_SESSION_HANDLE_INVALID : CKR_DEVICE_REMOVED;
}

/* what heals it: no session is left, and the token is in */
static void
ykcs11_heal(struct slot *s)
{
	if (!s->out && session_any(s) == 0)
		s->sick = false;
}

static CK_RV
ykcs11_session(enum fn fn, struct session *session)
{
	struct slot *s = session->slot;

	switch (fn) {
	case FN_C_CloseSession:
		session_drop(session->outer);
		ykcs11_heal(s);
		return CKR_OK;
	case FN_C_Login:
		return CKR_USER_ALREADY_LOGGED_IN;
	default:
		return CKR_DEVICE_ERROR;
	}
}

static bool
session_answer(enum fn fn, struct session *session, CK_RV *rv)
{
	if (session->state == SESSION_LIVE)
		return false;
	*rv = session->slot->column == COLUMN_YKCS11
		? ykcs11_session(fn, session)
		: opensc_session(fn, session);
	return true;
}

static CK_RV
open_fake(struct slot *s, CK_SESSION_HANDLE *open)
{
	if (open == NULL)
		return CKR_ARGUMENTS_BAD;
	*open = session_add(s, 0, SESSION_FAKE);
	return *open != 0 ? CKR_OK : CKR_HOST_MEMORY;
}

static bool
slot_answer(enum fn fn, struct slot *s, CK_SESSION_HANDLE *open, CK_RV *rv)
{
	bool yk = s->column == COLUMN_YKCS11;

	/* asking is what makes OpenSC see that the card went */
	if ((fn == FN_C_GetSlotInfo || fn == FN_C_GetTokenInfo) && !yk)
		session_turn(s, SESSION_STALE, SESSION_GONE);
	if (!s->out && !s->sick && !s->ghost) {
		/* those that are live are closed behind */
		if (fn == FN_C_CloseAllSessions)
			session_drop_slot(s);
		return false;
	}
	switch (fn) {
	case FN_C_GetSlotInfo:
		return false;
	case FN_C_CloseAllSessions:
		session_drop_slot(s);
		ykcs11_heal(s);
		*rv = CKR_OK;
		return true;
	case FN_C_OpenSession:
		*rv = yk ? open_fake(s, open) : CKR_TOKEN_NOT_PRESENT;
		return true;
	default:
		*rv = CKR_TOKEN_NOT_PRESENT;
		return s->out || s->ghost;
	}
}

bool
removal_answer(enum fn fn, struct slot *s, struct session *session,
	CK_SESSION_HANDLE *open, CK_RV *rv)
{
	if (net.dead)
		return network_answer(fn, rv);
	if (session != NULL)
		return session_answer(fn, session, rv);
	return s != NULL && slot_answer(fn, s, open, rv);
}
