/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The names of PKCS#11's mechanisms and of what they are for. */
#ifndef TOKEN_MECHNAME_H
#define TOKEN_MECHNAME_H

#include <stddef.h>

#include <p11-kit/pkcs11.h>

/* "CKM_ECDSA", or NULL; static */
const char *mechname(CK_MECHANISM_TYPE type);
/* CK_MECHANISM_INFO's flags as words: "sign verify" */
void mechname_uses(CK_FLAGS flags, char *to, size_t size);

#endif
