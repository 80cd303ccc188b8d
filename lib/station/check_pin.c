/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a token says of its PINs. None is tried to find out more. */
#include "station/check.h"

#define PIN_SHORT 6

static void
user(struct check *c, CK_FLAGS flags)
{
	if ((flags & CKF_USER_PIN_INITIALIZED) == 0)
		check_add(c, "pin-not-set", NULL,
			"no user PIN is set: nobody can sign");
	if ((flags & CKF_USER_PIN_LOCKED) != 0)
		check_add(c, "pin-locked", NULL,
			"the user PIN is locked: nobody can sign");
	else if ((flags & CKF_USER_PIN_FINAL_TRY) != 0)
		check_add(c, "pin-final-try", NULL,
			"one more wrong user PIN locks it");
	else if ((flags & CKF_USER_PIN_COUNT_LOW) != 0)
		check_add(c, "pin-count-low", NULL,
			"a wrong user PIN was entered since the last login");
	if ((flags & CKF_USER_PIN_TO_BE_CHANGED) != 0)
		check_add(c, "pin-to-be-changed", NULL,
			"the user PIN must be changed: it is the one of the "
			"factory, or has expired");
}

static void
so(struct check *c, CK_FLAGS flags)
{
	if ((flags & CKF_SO_PIN_LOCKED) != 0)
		check_add(c, "so-pin-locked", NULL, "the SO PIN is locked");
	else if ((flags & CKF_SO_PIN_FINAL_TRY) != 0)
		check_add(c, "so-pin-final-try", NULL,
			"one more wrong SO PIN locks it");
	else if ((flags & CKF_SO_PIN_COUNT_LOW) != 0)
		check_add(c, "so-pin-count-low", NULL,
			"a wrong SO PIN was entered since the last SO login");
	if ((flags & CKF_SO_PIN_TO_BE_CHANGED) != 0)
		check_add(c, "so-pin-to-be-changed", NULL,
			"the SO PIN must be changed: it is the one of the "
			"factory, or has expired");
}

void
check_pins(struct check *c)
{
	const CK_TOKEN_INFO *t = &c->probe.raw;

	user(c, t->flags);
	so(c, t->flags);
	if ((t->flags & CKF_LOGIN_REQUIRED) == 0)
		check_add(c, "login-not-required", NULL,
			"the token signs without a PIN for whoever has it");
	if (t->ulMinPinLen < PIN_SHORT)
		check_add(c, "pin-short-allowed", NULL,
			"the token accepts PINs of %lu characters",
			t->ulMinPinLen);
}
