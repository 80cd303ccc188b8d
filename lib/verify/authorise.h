/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What auditors allow: statements that one of them has signed, as CMS. */
#ifndef VERIFY_AUTHORISE_H
#define VERIFY_AUTHORISE_H

#include <openssl/x509.h>

#include "audit/handle.h"
#include "format/statement.h"

#define AUTHORISE_MAX (1u << 20) /* bytes of a CMS file */

/*
 * The certificates with these hashes (32 bytes each, in a row) of those that
 * the log keeps. OFS_EDAMAGED when one is missing. The handle is the caller's.
 */
int authorise_auditors(struct store *s, const uint8_t *sums, size_t n,
	STACK_OF(X509) **out, struct ofs_error *e);
/* the same by the genesis; takes the handle itself */
int authorise_of_log(ofs_audit *a, STACK_OF(X509) **out, struct ofs_error *e);

/*
 * Whether `cms`, PEM or DER, holds a statement of this kind that auditors, and
 * nobody else, have signed. Certificates inside count for nothing, nor does
 * the end of an auditor's certificate: the log names it. `who` gets the
 * subject of the first. *der, when not NULL, gets the CMS as DER.
 * OFS_EUNREADABLE, OFS_ESIGNATURE, OFS_EUNTRUSTED, OFS_EFORMAT.
 */
int authorise_check(STACK_OF(X509) *auditors, const uint8_t *cms, size_t n,
	enum statement_kind kind, struct statement *s, char *who,
	size_t who_size, struct buf *der, struct ofs_error *e);

#endif
