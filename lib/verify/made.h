/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether a CMS file is a signature by a known key over a known digest. */
#ifndef VERIFY_MADE_H
#define VERIFY_MADE_H

#include <openssl/evp.h>

#include "base/err.h"
#include "crypto/digest.h"

/*
 * One signer, whose certificate is in the file and has this key; the content
 * inside or not, as `attached` says. Nobody's trust matters. 0 or
 * OFS_ESIGNATURE, OFS_EUNREADABLE, OFS_EUNTRUSTED, OFS_ENOMEM. In verify_cms.c.
 */
int made_cms(EVP_PKEY *key, const struct digest_alg *alg, const uint8_t *digest,
	bool attached, const uint8_t *sig, size_t sig_len, struct ofs_error *e);

#endif
