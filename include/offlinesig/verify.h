/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Verification of documents, with no token and no network. */
#ifndef OFFLINESIG_VERIFY_H
#define OFFLINESIG_VERIFY_H

#include <offlinesig/types.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Which moment certificates and CRLs are judged at. */
enum ofs_time_mode {
	OFS_TIME_NOW,    /* the context's clock */
	OFS_TIME_AT,     /* opts->at */
	OFS_TIME_CLAIMED /* the signing-time attribute; "time unproven" */
};

struct ofs_verifier_opts {
	size_t size;
	enum ofs_time_mode time;
	int64_t at; /* us, for OFS_TIME_AT */
};

#define OFS_VERIFIER_OPTS_INIT                                    \
	{                                                         \
		sizeof(struct ofs_verifier_opts), OFS_TIME_NOW, 0 \
	}

/*
 * What was found out. Valid is a return value of 0, never a field here. Notes
 * limit what a valid verdict means and must be shown.
 */
struct ofs_verdict {
	size_t size;
	int code;         /* what the call returned */
	char reason[512]; /* one line; names the certificate or attribute */
	bool revocation_not_checked; /* no CRL was given */
	bool time_unproven; /* judged at a time that the signer claims */
	char format[16];    /* "cms", "cms-attached", "raw" or "" */
	char algorithm[48]; /* "ecdsa-sha256" */
	char signer[256];   /* subject, RFC 2253; "" for a bare key */
	char issuer[256];
	char serial[64]; /* hex */
	uint8_t cert_sha256[32];
	int64_t signing_time;        /* claimed, us; 0: none */
	uint8_t document_sha256[32]; /* where SHA-256 was the digest; or zeros
				      */
	char document[4096];  /* path that was read; "" for attached content */
	char signature[4096]; /* path that was read */
};

/* ofs_verifier_new: opts may be NULL. Trusts nobody yet. */
int ofs_verifier_new(
	ofs_ctx *ctx, const struct ofs_verifier_opts *opts, ofs_verifier **out);
void ofs_verifier_free(ofs_verifier *v);
const struct ofs_error *ofs_verifier_error(const ofs_verifier *v);

/*
 * ofs_verifier_trust: PEM or DER certificates that are trusted as they are: a
 * CA, or the very signer. ofs_verifier_crl: PEM or DER CRLs; once there is
 * one, every certificate of a chain but the anchor needs one (RFC 5280 6.3).
 * ofs_verifier_signer: a PEM certificate or public key that made raw
 * signatures, and that must have made CMS ones; a bare key is trusted as it
 * is. Errors: OFS_EFORMAT.
 */
int ofs_verifier_trust(ofs_verifier *v, const void *p, size_t n);
int ofs_verifier_crl(ofs_verifier *v, const void *p, size_t n);
int ofs_verifier_signer(ofs_verifier *v, const void *p, size_t n);

/*
 * ofs_verify_file: checks `document` against `signature`. With signature NULL:
 * DOCUMENT.p7s, then DOCUMENT.sig, or, when `document` is itself a signature
 * file (.p7s, .sig), the document that its name tells; .p7m holds its own.
 * Returns 0 (valid), OFS_ESIGNATURE (invalid), OFS_EUNTRUSTED,
 * OFS_EUNREADABLE (not a signature that we can parse), OFS_EIO (a file is
 * missing). *out (may be NULL) is filled in every case. The document is
 * streamed. Rules: EN 319 122-1 6.3 baseline B-B, RFC 5652, RFC 5035.
 */
int ofs_verify_file(ofs_verifier *v, const char *document,
	const char *signature, struct ofs_verdict *out);

/* ofs_verify_bytes: the same over memory; doc may be NULL for attached CMS.
 * `format` says what sig is. */
int ofs_verify_bytes(ofs_verifier *v, enum ofs_format format, const void *doc,
	size_t doc_len, const void *sig, size_t sig_len,
	struct ofs_verdict *out);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
