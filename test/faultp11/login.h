/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who is logged in behind. */
#ifndef FAULTP11_LOGIN_H
#define FAULTP11_LOGIN_H

#include "call.h"

/* yubikey: the SO is logged in, whoever it is behind */
bool login_is_so(struct call *c);

#endif
