/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The verifier handle, and what judges each format of signature. */
#ifndef VERIFY_VERIFIER_H
#define VERIFY_VERIFIER_H

#include <openssl/x509.h>

#include <offlinesig/verify.h>

#include "base/err.h"
#include "crypto/alg.h"

struct ofs_verifier {
	ofs_ctx *ctx;
	struct ofs_verifier_opts opts;
	struct ofs_error err;
	STACK_OF(X509) *anchors;
	STACK_OF(X509_CRL) *crls;
	X509 *signer_cert;    /* NULL: none, or a bare key */
	EVP_PKEY *signer_key; /* NULL: any signer */
};

/* What was signed: a file to be streamed, or bytes; both NULL: none. */
struct document {
	const char *path;
	const uint8_t *p;
	size_t n;
};

bool document_given(const struct document *d);
/*
 * Hashes the document once with several algorithms; prefix (or NULL) gets its
 * first RAW_PREFIX bytes at most.
 */
struct document_hash {
	const struct digest_alg *alg;
	uint8_t hash[DIGEST_MAX];
};
struct document_prefix {
	uint8_t *p; /* RAW_PREFIX bytes */
	size_t n;
	uint64_t total; /* size of the document */
};
int document_hash(const struct document *d, struct document_hash *h,
	size_t count, struct document_prefix *prefix, struct ofs_error *e);

/*
 * Judges; fills what it finds out in *out as it goes, but neither code nor
 * reason: those come from the return value and e.
 */
int verify_cms(ofs_verifier *v, const struct document *doc, const uint8_t *sig,
	size_t sig_len, struct ofs_verdict *out, struct ofs_error *e);
int verify_raw(ofs_verifier *v, const struct document *doc, const uint8_t *sig,
	size_t sig_len, struct ofs_verdict *out, struct ofs_error *e);

#define VERIFY_RAW_MAX 4096 /* bytes of a raw signature, RSA-16384 and more */

/* subject, issuer, serial number and hash of the signer's certificate */
int verdict_signer(struct ofs_verdict *out, X509 *c, struct ofs_error *e);

#endif
