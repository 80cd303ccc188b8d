/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether a certificate leads to a trust anchor at a moment, offline. */
#ifndef VERIFY_CHAIN_H
#define VERIFY_CHAIN_H

#include <openssl/x509.h>

#include "base/err.h"

struct chain_rules {
	STACK_OF(X509) *anchors;  /* each trusted as it is */
	STACK_OF(X509_CRL) *crls; /* NULL or empty: revocation is not checked */
	STACK_OF(X509) *untrusted; /* to be tried as intermediates; NULL */
	int64_t at;                /* us */
};

struct chain {
	STACK_OF(X509) *certs; /* from the certificate to the anchor */
	bool anchor_unchecked; /* CRLs were given, and none for the anchor */
};

/*
 * 0, or OFS_EUNTRUSTED with the certificate in the message. RFC 5280 6, with
 * any anchor ending the path, no certificate purposes, keys and hashes of at
 * least 112 bits of strength, and a CRL for each certificate but the anchor
 * once there is one.
 */
int chain_verify(const struct chain_rules *r, X509 *c, struct chain *out,
	struct ofs_error *e);
void chain_clear(struct chain *c);

/* OFS_EUNTRUSTED when key usage or key strength forbid document signatures */
int chain_check_signer(X509 *c, struct ofs_error *e);
int chain_check_key(const EVP_PKEY *k, struct ofs_error *e);

/* whether the very certificate is in the list */
bool chain_has(STACK_OF(X509) *list, X509 *c);

#endif
