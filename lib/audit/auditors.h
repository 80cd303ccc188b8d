/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The certificates of auditors: they may read a log, and allow things. */
#ifndef AUDIT_AUDITORS_H
#define AUDIT_AUDITORS_H

#include <openssl/x509.h>

#include <offlinesig/audit.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * Each of the n files holds one certificate, PEM or DER, that keys can be
 * wrapped for. *out in their order, NULL for none; the SHA-256 of each is
 * appended to `sums`. Twice the same is once.
 */
int auditors_parse(ofs_audit *a, const struct ofs_audit_cert *certs, size_t n,
	STACK_OF(X509) **out, struct buf *sums, struct ofs_error *e);
/* inside a transaction: into the table of certificates */
int auditors_keep(ofs_audit *a, STACK_OF(X509) *all, struct ofs_error *e);
/* the one with this hash; -1 when it is not among them */
int auditors_find(STACK_OF(X509) *all, const uint8_t sha256[32]);

#endif
