/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Extensions that a caller asks for, in openssl's syntax. */
#ifndef CRYPTO_CERT_EXT_H
#define CRYPTO_CERT_EXT_H

#include <stdbool.h>

#include <openssl/x509.h>

#include "base/err.h"

/*
 * Each of v is "NAME=VALUE" as in x509v3_config(5): "subjectAltName=DNS:a". No
 * configuration is read: values that name a section of one are refused, as are
 * the same extension twice and a key usage that does not allow to sign
 * documents. Errors: OFS_EINVAL.
 *
 * cert_ext_set: what the certificate has already under a name is replaced.
 * Call it when everything but the signature is there.
 */
int cert_ext_set(X509 *c, const char *const *v, size_t n, struct ofs_error *e);
/* the same as an extensionRequest, RFC 2985 5.4.2 */
int cert_ext_request(
	X509_REQ *r, const char *const *v, size_t n, struct ofs_error *e);
/* whether one of these will take them, before there is a key */
int cert_ext_check(
	bool request, const char *const *v, size_t n, struct ofs_error *e);

#endif
