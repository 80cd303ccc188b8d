/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One signature from the token, verified in software before anything else. */
#include "sign/checked.h"

#include "base/time.h"

int
checked_sign(struct key_session *s, struct pubkey_verifier *v,
	const struct to_sign *t, bool once, struct buf *sig,
	struct checked *out, struct ofs_error *e)
{
	unsigned int before = key_session_asked(s);
	int64_t began = time_mono();
	int rc;

	rc = (once ? key_session_try : key_session_sign)(s, t, sig, e);
	out->asked += key_session_asked(s) - before;
	out->token_us += time_mono() - began;
	if (rc != 0)
		return rc;
	if (pubkey_verifier_check(v, t, sig->p, sig->len, e) != 0)
		return err_set(e, OFS_EBADSIG,
			"the token answered CKR_OK with a wrong signature; do "
			"not use it before it has been examined");
	return 0;
}
