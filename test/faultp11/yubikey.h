/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What ykcs11 makes of making keys. */
#ifndef FAULTP11_YUBIKEY_H
#define FAULTP11_YUBIKEY_H

#include "call.h"

/* or another token whose SO looks after keys */
bool yubikey_or_alike(struct call *c);
/* false: not to whoever is logged in, and *rv is the answer */
bool yubikey_may_write(struct call *c, CK_RV *rv);
void yubikey_describe(CK_TOKEN_INFO *info);
bool yubikey_hides(struct call *c, CK_OBJECT_HANDLE o);
CK_RV yubikey_destroy(struct call *c, CK_OBJECT_HANDLE o);
/* C_InitToken */
CK_RV yubikey_reset(struct call *c, CK_UTF8CHAR *pin, CK_ULONG len);
CK_RV yubikey_create(
	struct call *c, CK_ATTRIBUTE *a, CK_ULONG n, CK_OBJECT_HANDLE *out);
/* handles are those behind */
CK_RV yubikey_generate(struct call *c, CK_MECHANISM *mech, CK_ATTRIBUTE *pub,
	CK_ULONG pub_n, CK_ATTRIBUTE *priv, CK_ULONG priv_n,
	CK_OBJECT_HANDLE *pub_out, CK_OBJECT_HANDLE *priv_out);

#endif
