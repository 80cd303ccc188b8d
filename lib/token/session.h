/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One PKCS#11 session. */
#ifndef TOKEN_SESSION_H
#define TOKEN_SESSION_H

#include <stdbool.h>

#include "token/module.h"

/* Zeroed: not open. For one thread and one operation at a time. */
struct session {
	struct module *module; /* NULL: not open */
	CK_SLOT_ID slot;
	CK_SESSION_HANDLE h;
};

int session_open(struct module *m, CK_SLOT_ID slot, bool rw, struct session *s,
	struct ofs_error *e);
void session_close(struct session *s);
/* C_GetSessionInfo's state: CKS_... */
CK_RV session_state(const struct session *s, CK_STATE *state);

#endif
