/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Slots, tokens and their sessions, as callers see them. */
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "count.h"
#include "yubikey.h"

#define SLOTS_BEHIND 256

static bool
is_in_use_elsewhere(CK_SLOT_ID inner)
{
	struct slot *s;

	for (size_t i = 0; (s = slot_each(i)) != NULL; i++)
		if (s->inner == inner && s->home != inner)
			return true;
	return false;
}

static struct slot *
with_home(CK_SLOT_ID inner)
{
	struct slot *s;

	for (size_t i = 0; (s = slot_each(i)) != NULL; i++)
		if (s->home == inner && !s->ghost)
			return s;
	return NULL;
}

/* with the lock; out has room for what is behind and for ghosts */
static CK_ULONG
visible(const CK_SLOT_ID *behind, CK_ULONG n, bool present, CK_SLOT_ID *out)
{
	CK_ULONG have = 0;
	struct slot *s;

	for (CK_ULONG i = 0; i < n; i++) {
		s = with_home(behind[i]);
		if (is_in_use_elsewhere(behind[i]) ||
			(s != NULL && s->out && present))
			continue;
		out[have++] = s != NULL ? s->outer : behind[i];
	}
	for (size_t i = 0; !present && (s = slot_each(i)) != NULL; i++)
		if (s->ghost && s->touched)
			out[have++] = s->outer;
	return have;
}

static CK_RV
slot_list(CK_BBOOL present, CK_SLOT_ID *list, CK_ULONG *count)
{
	CK_SLOT_ID behind[SLOTS_BEHIND], seen[SLOTS_BEHIND + SLOTS_MAX];
	CK_ULONG n = SLOTS_BEHIND;
	CK_RV rv;

	state_lock();
	rv = slot_any_touched() ? CKR_OK : CKR_CANCEL;
	if (rv == CKR_OK)
		rv = real->C_GetSlotList(present, behind, &n);
	if (rv == CKR_OK)
		n = visible(behind, n, present, seen);
	state_unlock();
	if (rv == CKR_CANCEL) /* nothing was ever removed */
		return real->C_GetSlotList(present, list, count);
	if (rv != CKR_OK)
		return rv;
	if (count == NULL)
		return CKR_ARGUMENTS_BAD;
	if (list != NULL && *count < n)
		rv = CKR_BUFFER_TOO_SMALL;
	else if (list != NULL)
		memcpy(list, seen, n * sizeof(seen[0]));
	*count = n;
	return rv;
}

CK_RV
C_GetSlotList(CK_BBOOL present, CK_SLOT_ID *list, CK_ULONG *count)
{
	struct call c;
	CK_RV rv;

	if (!call_plain(&c, FN_C_GetSlotList, &rv))
		return rv;
	rv = slot_list(present, list, count);
	call_numbers(&c, list, 0, count);
	return call_end(&c, rv);
}

CK_RV
C_GetSlotInfo(CK_SLOT_ID slot, CK_SLOT_INFO *info)
{
	struct mode m;
	struct call c;
	bool out;
	CK_RV rv;

	if (!call_slot(&c, FN_C_GetSlotInfo, slot, &rv))
		return rv;
	rv = real->C_GetSlotInfo(c.id, info);
	state_lock();
	out = c.slot != NULL && (c.slot->out || c.slot->ghost);
	state_unlock();
	if (rv == CKR_OK && out)
		info->flags &= ~(CK_FLAGS)CKF_TOKEN_PRESENT;
	if (rv == CKR_OK && call_mode(&c, MODE_SLOTFLAGS, 0, &m))
		info->flags |= m.n;
	if (info != NULL)
		call_fixed(&c, info->slotDescription,
			sizeof(info->slotDescription));
	return call_end(&c, rv);
}

static void
put_padded(unsigned char *to, size_t room, const char *text)
{
	size_t n = strlen(text);

	memset(to, ' ', room);
	memcpy(to, text, n < room ? n : room);
}

static void
pin_flags(const struct mode *m, CK_TOKEN_INFO *info)
{
	bool so = m->a[0] != '\0';
	CK_FLAGS low = so ? CKF_SO_PIN_COUNT_LOW : CKF_USER_PIN_COUNT_LOW;
	char serial[17] = "";
	unsigned long wrong;

	memcpy(serial, info->serialNumber, 16);
	wrong = count_wrong_pins(serial, so, 0);
	/* from low on: low, final try, locked */
	info->flags &= ~(low | low << 1 | low << 2);
	if (wrong >= m->n)
		info->flags |= low << 2;
	else if (wrong + 1 == m->n)
		info->flags |= low | low << 1;
	else if (wrong > 0)
		info->flags |= low;
}

static void
session_limits(struct call *c, CK_TOKEN_INFO *info)
{
	struct mode m;

	if (!call_mode(c, MODE_SESSIONS, 0, &m))
		return;
	if (m.a[0] == '\0') {
		info->ulMaxSessionCount = info->ulMaxRwSessionCount = m.n;
		return;
	}
	/* both ways of saying nothing */
	info->ulMaxSessionCount = CK_UNAVAILABLE_INFORMATION;
	info->ulMaxRwSessionCount = CK_EFFECTIVELY_INFINITE;
}

static void
rename_token(struct call *c, CK_TOKEN_INFO *info)
{
	char own[LABEL_MAX] = "";
	struct mode m;

	memcpy(own, info->label, sizeof(info->label));
	for (size_t n = sizeof(info->label); n > 0 && own[n - 1] == ' ';)
		own[--n] = '\0';
	if (c->slot != NULL && c->slot->masked) {
		memcpy(info->label, c->slot->label, sizeof(info->label));
		memcpy(info->serialNumber, c->slot->serial,
			sizeof(info->serialNumber));
	}
	for (size_t i = 0; call_mode(c, MODE_SERIAL, i, &m); i++)
		if (strcmp(m.a, own) == 0)
			put_padded(info->serialNumber,
				sizeof(info->serialNumber), m.b);
	for (size_t i = 0; call_mode(c, MODE_LABEL, i, &m); i++)
		if (strcmp(m.a, own) == 0)
			put_padded(info->label, sizeof(info->label), m.b);
}

CK_RV
C_GetTokenInfo(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
	struct mode m;
	struct call c;
	CK_RV rv;

	if (!call_slot(&c, FN_C_GetTokenInfo, slot, &rv))
		return rv;
	rv = real->C_GetTokenInfo(c.id, info);
	if (rv != CKR_OK)
		return call_end(&c, rv);
	state_lock();
	for (size_t i = 0; armed_mode(MODE_PINLOCK, c.slot, i, &m); i++)
		pin_flags(&m, info);
	state_unlock();
	session_limits(&c, info);
	rename_token(&c, info);
	if (call_has(&c, MODE_YUBIKEY))
		yubikey_describe(info);
	if (call_has(&c, MODE_PINPAD))
		info->flags |= CKF_PROTECTED_AUTHENTICATION_PATH;
	for (size_t i = 0; call_mode(&c, MODE_PINFLAGS, i, &m); i++)
		info->flags |= m.n;
	for (size_t i = 0; call_mode(&c, MODE_FLAGS, i, &m); i++)
		info->flags |= m.n;
	for (size_t i = 0; call_mode(&c, MODE_HIDEFLAGS, i, &m); i++)
		info->flags &= ~m.n;
	call_fixed(&c, info->label, sizeof(info->label));
	call_fixed(&c, info->serialNumber, sizeof(info->serialNumber));
	return call_end(&c, rv);
}

/* the list without those that are hidden; the caller frees *out */
static CK_RV
mechanisms(struct call *c, CK_MECHANISM_TYPE **out, CK_ULONG *n)
{
	CK_MECHANISM_TYPE *v;
	CK_ULONG have = 0;
	CK_RV rv;

	*out = NULL;
	rv = real->C_GetMechanismList(c->id, NULL, n);
	if (rv != CKR_OK)
		return rv;
	v = calloc(*n + 1, sizeof(*v));
	if (v == NULL)
		return CKR_HOST_MEMORY;
	rv = real->C_GetMechanismList(c->id, v, n);
	for (CK_ULONG i = 0; rv == CKR_OK && i < *n; i++)
		if (!call_hidden(c, v[i]))
			v[have++] = v[i];
	*n = have;
	*out = v;
	return rv;
}

CK_RV
C_GetMechanismList(CK_SLOT_ID slot, CK_MECHANISM_TYPE *list, CK_ULONG *count)
{
	CK_MECHANISM_TYPE *v;
	struct call c;
	CK_ULONG n;
	CK_RV rv;

	if (!call_slot(&c, FN_C_GetMechanismList, slot, &rv))
		return rv;
	if (!call_has(&c, MODE_HIDE)) {
		rv = real->C_GetMechanismList(c.id, list, count);
	} else {
		rv = mechanisms(&c, &v, &n);
		if (rv == CKR_OK && list != NULL && *count < n)
			rv = CKR_BUFFER_TOO_SMALL;
		else if (rv == CKR_OK && list != NULL)
			memcpy(list, v, n * sizeof(*v));
		*count = n;
		free(v);
	}
	call_numbers(&c, list, 0, count);
	return call_end(&c, rv);
}

CK_RV
C_GetMechanismInfo(
	CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info)
{
	struct call c;
	CK_RV rv;

	if (!call_slot(&c, FN_C_GetMechanismInfo, slot, &rv))
		return rv;
	rv = call_hidden(&c, type) ? CKR_MECHANISM_INVALID
				   : real->C_GetMechanismInfo(c.id, type, info);
	call_fixed(&c, info, sizeof(*info));
	return call_end(&c, rv);
}

CK_RV
C_InitToken(CK_SLOT_ID slot, CK_UTF8CHAR *pin, CK_ULONG len, CK_UTF8CHAR *label)
{
	struct call c;
	CK_RV rv;

	if (!call_slot(&c, FN_C_InitToken, slot, &rv))
		return rv;
	rv = call_has(&c, MODE_YUBIKEY)
		? yubikey_reset(&c, pin, len)
		: real->C_InitToken(c.id, pin, len, label);
	return call_end(&c, rv);
}

CK_RV
C_WaitForSlotEvent(CK_FLAGS flags, CK_SLOT_ID *slot, void *reserved)
{
	struct call c;
	CK_RV rv;

	if (!call_plain(&c, FN_C_WaitForSlotEvent, &rv))
		return rv;
	rv = real->C_WaitForSlotEvent(flags, slot, reserved);
	call_numbers(&c, slot, 1, NULL);
	return call_end(&c, rv);
}

/* two that open at once must not both get the last one */
static CK_RV
open_locked(struct call *c, CK_FLAGS flags, void *app, CK_NOTIFY notify,
	CK_SESSION_HANDLE *session)
{
	struct mode m;
	CK_RV rv;

	if (armed_mode(MODE_SESSIONS, c->slot, 0, &m) &&
		session_count(c->slot) >= m.n)
		return CKR_SESSION_COUNT;
	rv = real->C_OpenSession(c->id, flags, app, notify, session);
	if (rv != CKR_OK)
		return rv;
	*session = session_add(c->slot, *session, SESSION_LIVE);
	return *session != 0 ? CKR_OK : CKR_HOST_MEMORY;
}

CK_RV
C_OpenSession(CK_SLOT_ID slot, CK_FLAGS flags, void *app, CK_NOTIFY notify,
	CK_SESSION_HANDLE *session)
{
	struct call c;
	CK_RV rv;

	if (!call_open(&c, slot, session, &rv))
		return rv;
	state_lock();
	rv = c.slot == NULL ? CKR_SLOT_ID_INVALID
			    : open_locked(&c, flags, app, notify, session);
	state_unlock();
	call_numbers(&c, session, 1, NULL);
	return call_end(&c, rv);
}

/* closing the last one logs out */
static void
forget_login(struct slot *s)
{
	if (s != NULL && session_any(s) == 0)
		s->so = s->so_behind = false;
	if (s != NULL && session_any(s) == 0)
		s->hidden = 0;
}

CK_RV
C_CloseSession(CK_SESSION_HANDLE session)
{
	struct call c;
	CK_RV rv;

	if (!call_session(&c, FN_C_CloseSession, session, &rv))
		return rv;
	rv = real->C_CloseSession(c.h);
	if (rv == CKR_OK) {
		state_lock();
		session_drop(session);
		forget_login(c.slot);
		state_unlock();
	}
	return call_end(&c, rv);
}

CK_RV
C_CloseAllSessions(CK_SLOT_ID slot)
{
	struct call c;
	CK_RV rv;

	if (!call_slot(&c, FN_C_CloseAllSessions, slot, &rv))
		return rv;
	state_lock();
	forget_login(c.slot);
	state_unlock();
	return call_end(&c, real->C_CloseAllSessions(c.id));
}
