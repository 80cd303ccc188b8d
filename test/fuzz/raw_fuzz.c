/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes that OpenSSL reads as signed attributes are recognised as such. */
#include <stdlib.h>

#include <openssl/asn1t.h>
#include <openssl/err.h>
#include <openssl/x509.h>

#include "format/raw.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

typedef STACK_OF(X509_ATTRIBUTE) ATTRS;
DECLARE_ASN1_ITEM(ATTRS)
ASN1_ITEM_TEMPLATE(ATTRS) = ASN1_EX_TEMPLATE_TYPE(ASN1_TFLG_SET_ORDER, 0, attrs,
	X509_ATTRIBUTE) ASN1_ITEM_TEMPLATE_END(ATTRS)

	int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	size_t head = n < RAW_PREFIX ? n : RAW_PREFIX;
	bool looks = raw_looks_like_attrs(p, head, n);
	const uint8_t *at = p;
	ASN1_VALUE *v;

	v = ASN1_item_d2i(NULL, &at, (long)n, ASN1_ITEM_rptr(ATTRS));
	ERR_clear_error();
	/* OpenSSL reads tag 0x11 as well, but no verifier hashes it */
	if (v != NULL && at == p + n && p[0] == 0x31 && !looks)
		abort();
	ASN1_item_free(v, ASN1_ITEM_rptr(ATTRS));
	return 0;
}
