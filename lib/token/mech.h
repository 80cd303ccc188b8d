/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which PKCS#11 mechanism stands for an algorithm, and what it takes. */
#ifndef TOKEN_MECH_H
#define TOKEN_MECH_H

#include <p11-kit/pkcs11.h>

#include "crypto/alg.h"
#include "token/pair.h"

/*
 * Reads which of them the token has for signing with the pair's key, in its
 * size, and which of those the key allows; a bit for each. Mechanisms over a
 * hash of ours come first: one over the message is asked about only where
 * they are missing. OFS_EUNSUPPORTED when there is none.
 */
int mech_offered(const ofs_token *t, const struct pair *p, uint32_t *set,
	struct ofs_error *e);

/* One operation, ready for C_SignInit and C_Sign. Not to be copied. */
struct mech {
	CK_MECHANISM ck;
	const uint8_t *in;
	size_t in_len;
	CK_RSA_PKCS_PSS_PARAMS pss;
	uint8_t info[32 + DIGEST_MAX]; /* DigestInfo */
};

/* OFS_EUNSUPPORTED: none of the set is for alg; *message: takes the message */
int mech_choose(uint32_t set, const struct alg *alg, CK_MECHANISM_TYPE *type,
	bool *message, struct ofs_error *e);
/* OFS_EINVAL: it takes the message, and `t` has only the hash */
int mech_prepare(uint32_t set, const struct to_sign *t, struct mech *m,
	struct ofs_error *e);
/*
 * The token's answer in the form that signatures have outside: r||s as DER,
 * all others as they came. OFS_EBADSIG for a length that it cannot have.
 */
int mech_take(const struct to_sign *t, const struct ofs_key_info *key,
	const uint8_t *p, size_t n, struct buf *sig, struct ofs_error *e);

#endif
