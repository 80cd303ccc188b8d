/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Attestation certificates, as a YubiKey gives one to each key it makes. */
#ifndef FAULTP11_ATTEST_H
#define FAULTP11_ATTEST_H

#include "call.h"

/*
 * Puts the certificate of a new key pair and that of its issuer on the token,
 * in place of those that were there. Handles are those behind.
 */
CK_RV attest_key(struct call *c, CK_OBJECT_HANDLE public_key);

/*
 * What ykcs11 stores as the certificate of a new key: in its own name, signed
 * with a key that nobody has, and never valid.
 */
CK_RV attest_placeholder(struct call *c, CK_OBJECT_HANDLE public_key,
	unsigned char id, const char *label);

#endif
