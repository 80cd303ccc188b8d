/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One signature from the token, verified in software before anything else. */
#ifndef SIGN_CHECKED_H
#define SIGN_CHECKED_H

#include "crypto/pubkey.h"
#include "token/key.h"

/* what there is to record beside the signature; added to what it holds */
struct checked {
	unsigned int asked; /* calls of C_Sign */
	int64_t token_us;   /* time that it took */
};

/*
 * Has `t` signed and appends the signature to `sig`. OFS_EBADSIG when the token
 * answers CKR_OK with a wrong one. `once`: one attempt, as key_session_try; the
 * caller heals the token.
 */
int checked_sign(struct key_session *s, struct pubkey_verifier *v,
	const struct to_sign *t, bool once, struct buf *sig,
	struct checked *out, struct ofs_error *e);

#endif
