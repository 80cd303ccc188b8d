/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CMS SignedData with CAdES-B-B attributes: build (RFC 5652, EN 319 122-1). */
#ifndef FORMAT_CMS_H
#define FORMAT_CMS_H

#include <openssl/x509.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypto/alg.h"

/* bytes of content that an attached signature may hold */
#define CMS_ATTACHED_MAX (16u << 20)

/*
 * What is the same for every item of a batch, encoded once. Immutable after
 * cms_maker_new, so any number of threads may share it.
 */
struct cms_maker;
/* chain: further certificates to embed, or NULL; attached: content inside */
int cms_maker_new(X509 *signer, STACK_OF(X509) *chain, const struct alg *alg,
	bool attached, struct cms_maker **out, struct ofs_error *e);
void cms_maker_free(struct cms_maker *m);

/*
 * The DER SET OF Attribute to be hashed and signed: content-type id-data,
 * message-digest, signing-time (whole seconds of `time`), and
 * signing-certificate-v2 (RFC 5035). content_hash has the algorithm's size.
 */
int cms_attrs(const struct cms_maker *m, const uint8_t *content_hash,
	int64_t time, struct buf *der, struct ofs_error *e);
/* The finished file. content is NULL for a detached signature. */
int cms_assemble(const struct cms_maker *m, const uint8_t *attrs,
	size_t attrs_len, const uint8_t *sig, size_t sig_len,
	const uint8_t *content, size_t content_len, struct buf *out,
	struct ofs_error *e);

#endif
