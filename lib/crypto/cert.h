/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* X.509 certificates: reading, comparing, describing, making. */
#ifndef CRYPTO_CERT_H
#define CRYPTO_CERT_H

#include <openssl/x509.h>

#include "base/buf.h"
#include "base/err.h"

#define CERT_FILE_MAX (1 << 20) /* bytes of a PEM or DER file */

/* one strict DER certificate: no trailing bytes, re-encodes to itself */
int cert_from_der(const uint8_t *p, size_t n, X509 **out, struct ofs_error *e);
int cert_to_der(X509 *c, struct buf *to, struct ofs_error *e);
int cert_to_pem(X509 *c, struct buf *to, struct ofs_error *e);
/*
 * all certificates of a PEM text in their order (at least one), or a single
 * DER one; caller frees with sk_X509_pop_free(*out, X509_free)
 */
int cert_list_parse(
	const uint8_t *p, size_t n, STACK_OF(X509) **out, struct ofs_error *e);
/* a PEM or DER CRL list likewise */
int cert_crls_parse(const uint8_t *p, size_t n, STACK_OF(X509_CRL) **out,
	struct ofs_error *e);

int cert_sha256(X509 *c, uint8_t out[32], struct ofs_error *e);
bool cert_self_issued(X509 *c); /* subject equals issuer */
bool cert_self_signed(X509 *c); /* and its own key verifies it */
bool cert_has_key(X509 *c, const EVP_PKEY *k);
/* microseconds since the epoch */
int cert_not_before(X509 *c, int64_t *t, struct ofs_error *e);
int cert_not_after(X509 *c, int64_t *t, struct ofs_error *e);
/* RFC 2253 with UTF-8 kept and control characters escaped */
void cert_subject(X509 *c, char *to, size_t size);
void cert_issuer(X509 *c, char *to, size_t size);
void cert_serial_hex(X509 *c, char *to, size_t size);

/* "/O=Acme/CN=Payroll batch" (openssl req -subj syntax, "\/" escapes) */
int cert_name_parse(const char *text, X509_NAME **out, struct ofs_error *e);

/*
 * To-be-signed parts, so that a token can sign them: cert_build_* fill all
 * but the signature, with `alg` named inside; *_tbs gives the bytes to hash;
 * *_finish puts the signature in. serial: 16 random bytes. Extensions of the
 * certificate: basicConstraints CA:FALSE (critical), keyUsage
 * digitalSignature,nonRepudiation (critical), subjectKeyIdentifier.
 */
struct alg;
int cert_build_self_signed(const X509_NAME *subject, EVP_PKEY *pub,
	const struct alg *alg, int64_t not_before, int days, X509 **out,
	struct ofs_error *e);
int cert_tbs(X509 *c, struct buf *tbs, struct ofs_error *e);
int cert_finish(X509 *c, const struct alg *alg, const uint8_t *sig, size_t n,
	struct ofs_error *e);
int cert_build_csr(const X509_NAME *subject, EVP_PKEY *pub,
	const struct alg *alg, X509_REQ **out, struct ofs_error *e);
int cert_csr_tbs(X509_REQ *r, struct buf *tbs, struct ofs_error *e);
int cert_csr_finish(X509_REQ *r, const struct alg *alg, const uint8_t *sig,
	size_t n, struct ofs_error *e);
int cert_csr_to_pem(X509_REQ *r, struct buf *to, struct ofs_error *e);

#endif
