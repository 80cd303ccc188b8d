/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * PINs: how many are left, PIN pads, and the SO of a YubiKey. There the SO
 * makes keys, and SoftHSM2 lets only the user do that: behind, the user is
 * logged in as soon as the SO has shown the right PIN.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "count.h"
#include "login.h"
#include "yubikey.h"

static void
own_serial(struct call *c, char serial[17])
{
	CK_TOKEN_INFO t;

	memset(serial, 0, 17);
	if (real->C_GetTokenInfo(c->id, &t) == CKR_OK)
		memcpy(serial, t.serialNumber, 16);
}

/* the limit of this user's PIN, or false */
static bool
pin_limit(struct call *c, bool so, CK_ULONG *limit)
{
	struct mode m;

	for (size_t i = 0; call_mode(c, MODE_PINLOCK, i, &m); i++)
		if ((m.a[0] != '\0') == so) {
			*limit = m.n;
			return true;
		}
	return false;
}

static bool
is_locked(struct call *c, bool so)
{
	char serial[17];
	CK_ULONG limit;
	bool locked;

	if (!pin_limit(c, so, &limit))
		return false;
	own_serial(c, serial);
	state_lock();
	locked = count_wrong_pins(serial, so, 0) >= limit;
	state_unlock();
	return locked;
}

static void
note_pin(struct call *c, bool so, CK_RV rv)
{
	char serial[17];
	CK_ULONG limit;

	if ((rv != CKR_OK && rv != CKR_PIN_INCORRECT) ||
		!pin_limit(c, so, &limit))
		return;
	own_serial(c, serial);
	state_lock();
	(void)count_wrong_pins(serial, so, rv == CKR_OK ? -1 : 1);
	state_unlock();
}

static void
remember(char to[PIN_MAX], const CK_UTF8CHAR *pin, CK_ULONG len)
{
	if (pin == NULL || len >= PIN_MAX)
		return;
	memcpy(to, pin, len);
	to[len] = '\0';
}

static CK_RV
log_in(struct call *c, CK_USER_TYPE user, const char *pin)
{
	return real->C_Login(
		c->h, user, (CK_UTF8CHAR *)(uintptr_t)pin, strlen(pin));
}

static const char *
given_pin(void)
{
	const char *pin = getenv("FAULTP11_PIN");

	return pin != NULL ? pin : "1234";
}

/* the SO is in; the user takes over where there is one with a PIN */
static void
user_takes_over(struct call *c)
{
	struct slot *s = c->slot;
	const char *pin = s->user_pin[0] != '\0' ? s->user_pin : given_pin();

	(void)real->C_Logout(c->h);
	s->so_behind = log_in(c, CKU_USER, pin) != CKR_OK;
	if (s->so_behind)
		(void)log_in(c, CKU_SO, s->so_pin);
}

static CK_RV
yubikey_login(struct call *c, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG len)
{
	struct slot *s = c->slot;
	CK_RV rv;

	if (s->so)
		return user == CKU_SO ? CKR_USER_ALREADY_LOGGED_IN
				      : CKR_USER_ANOTHER_ALREADY_LOGGED_IN;
	rv = real->C_Login(c->h, user, pin, len);
	if (rv == CKR_OK && user == CKU_USER)
		remember(s->user_pin, pin, len);
	if (rv != CKR_OK || user != CKU_SO)
		return rv;
	remember(s->so_pin, pin, len);
	user_takes_over(c);
	state_lock();
	s->so = true;
	state_unlock();
	return CKR_OK;
}

static void
wait_for_fingers(struct call *c)
{
	struct mode m;
	struct timespec t;

	if (!call_mode(c, MODE_PINPAD_DELAY, 0, &m))
		return;
	t = (struct timespec){ (time_t)(m.n / 1000),
		(long)(m.n % 1000) * 1000000 };
	(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

CK_RV
C_Login(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR *pin,
	CK_ULONG len)
{
	bool so = user == CKU_SO;
	const char *typed = NULL;
	struct call c;
	CK_RV rv;

	if (!call_session(&c, FN_C_Login, session, &rv))
		return rv;
	if (is_locked(&c, so))
		return call_end(&c, CKR_PIN_LOCKED);
	if (pin == NULL && call_has(&c, MODE_PINPAD)) {
		wait_for_fingers(&c);
		typed = given_pin();
	}
	if (typed != NULL)
		rv = log_in(&c, user, typed);
	else if (c.slot != NULL && yubikey_or_alike(&c))
		rv = yubikey_login(&c, user, pin, len);
	else
		rv = real->C_Login(c.h, user, pin, len);
	note_pin(&c, so, rv);
	return call_end(&c, rv);
}

CK_RV
C_Logout(CK_SESSION_HANDLE session)
{
	struct call c;
	CK_RV rv;

	if (!call_session(&c, FN_C_Logout, session, &rv))
		return rv;
	rv = real->C_Logout(c.h);
	state_lock();
	if (rv == CKR_OK && c.slot != NULL)
		c.slot->so = c.slot->so_behind = false;
	state_unlock();
	return call_end(&c, rv);
}

bool
login_is_so(struct call *c)
{
	bool so;

	state_lock();
	so = c->slot != NULL && c->slot->so;
	state_unlock();
	return so;
}

CK_RV
C_InitPIN(CK_SESSION_HANDLE session, CK_UTF8CHAR *pin, CK_ULONG len)
{
	struct call c;
	bool swapped;
	CK_RV rv;

	if (!call_session(&c, FN_C_InitPIN, session, &rv))
		return rv;
	if (call_has(&c, MODE_YUBIKEY))
		return call_end(&c, CKR_FUNCTION_NOT_SUPPORTED);
	swapped = login_is_so(&c) && !c.slot->so_behind;
	if (swapped) {
		(void)real->C_Logout(c.h);
		(void)log_in(&c, CKU_SO, c.slot->so_pin);
	}
	rv = real->C_InitPIN(c.h, pin, len);
	if (rv == CKR_OK && login_is_so(&c))
		remember(c.slot->user_pin, pin, len);
	if (login_is_so(&c))
		user_takes_over(&c);
	if (rv == CKR_OK)
		note_pin(&c, false, CKR_OK);
	return call_end(&c, rv);
}

CK_RV
C_SetPIN(CK_SESSION_HANDLE session, CK_UTF8CHAR *old, CK_ULONG old_len,
	CK_UTF8CHAR *new, CK_ULONG new_len)
{
	CK_SESSION_INFO info;
	struct call c;
	bool so;
	CK_RV rv;

	if (!call_session(&c, FN_C_SetPIN, session, &rv))
		return rv;
	so = real->C_GetSessionInfo(c.h, &info) == CKR_OK &&
		info.state == CKS_RW_SO_FUNCTIONS;
	if (is_locked(&c, so))
		return call_end(&c, CKR_PIN_LOCKED);
	rv = real->C_SetPIN(c.h, old, old_len, new, new_len);
	note_pin(&c, so, rv);
	return call_end(&c, rv);
}

CK_RV
C_GetSessionInfo(CK_SESSION_HANDLE session, CK_SESSION_INFO *info)
{
	struct call c;
	CK_RV rv;

	if (!call_session(&c, FN_C_GetSessionInfo, session, &rv))
		return rv;
	rv = real->C_GetSessionInfo(c.h, info);
	state_lock();
	if (rv == CKR_OK && c.slot != NULL)
		info->slotID = c.slot->outer;
	state_unlock();
	if (rv == CKR_OK && login_is_so(&c))
		info->state = CKS_RW_SO_FUNCTIONS;
	if (info != NULL)
		call_numbers(&c, &info->state, 1, NULL);
	return call_end(&c, rv);
}
