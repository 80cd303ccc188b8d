/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One PKCS#11 session. */
#include <string.h>

#include "token/session.h"

int
session_open(struct module *m, CK_SLOT_ID slot, bool rw, struct session *s,
	struct ofs_error *e)
{
	CK_FLAGS flags = CKF_SERIAL_SESSION | (rw ? CKF_RW_SESSION : 0);
	CK_SESSION_HANDLE h = 0;
	CK_RV rv;

	memset(s, 0, sizeof(*s));
	CRYPTOKI(rv, m->f->C_OpenSession(slot, flags, NULL, NULL, &h));
	if (rv == CKR_SESSION_COUNT)
		return cryptoki_err(e, OFS_ETOKEN, rv,
			"the token has no free session; use fewer at once, or "
			"end other programs that use it");
	if (rv != CKR_OK)
		return cryptoki_err(e, cryptoki_code(rv), rv,
			"cannot open a session with the token in slot %lu",
			slot);
	s->module = m;
	s->slot = slot;
	s->h = h;
	return 0;
}

void
session_close(struct session *s)
{
	CK_RV rv;

	if (s->module == NULL)
		return;
	if (atomic_load(&s->module->hung)) { /* its sessions hang with it */
		memset(s, 0, sizeof(*s));
		return;
	}
	/* a session that is gone already cannot be closed: nothing to do */
	CRYPTOKI(rv, s->module->f->C_CloseSession(s->h));
	(void)rv;
	memset(s, 0, sizeof(*s));
}

CK_RV
session_state(const struct session *s, CK_STATE *state)
{
	CK_SESSION_INFO info;
	CK_RV rv;

	memset(&info, 0, sizeof(info));
	CRYPTOKI(rv, s->module->f->C_GetSessionInfo(s->h, &info));
	*state = info.state;
	return rv;
}
