/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A vendor's certificate that a key was made on its token. */
#ifndef TOKEN_ATTEST_H
#define TOKEN_ATTEST_H

#include <openssl/x509.h>

#include "token/key.h"
#include "token/object.h"

struct attestation {
	X509 *cert;   /* NULL: the token shows none */
	X509 *issuer; /* what signed it, where the token shows that; or NULL */
};

/*
 * The label says that a certificate is an attestation. ykcs11 shows one for
 * each key, under the id of the key: "X.509 Certificate for PIV Attestation
 * 9a". It is not the certificate that the key signs with.
 */
bool attest_is_labelled(const struct object *o);

/*
 * A certificate on the token for the key's public key that is not the key's
 * own: labelled as attestation, or under another id and issued by somebody
 * else; the newest of those with a label first. It is a claim: its chain is
 * not checked here. Free with attestation_free.
 */
int attest_find(const ofs_key *k, struct attestation *out, struct ofs_error *e);
void attestation_free(struct attestation *a);

#endif
