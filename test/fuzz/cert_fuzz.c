/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes as certificates, CRLs, a public key. */
#include <stdlib.h>
#include <string.h>

#include "crypto/cert.h"
#include "crypto/pubkey.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
certs(const uint8_t *p, size_t n)
{
	STACK_OF(X509) *list = NULL;
	struct buf der = BUF_INIT;
	struct ofs_error e;
	char text[256];
	int64_t t;

	if (cert_list_parse(p, n, &list, &e) != 0)
		return;
	for (int i = 0; i < sk_X509_num(list); i++) {
		X509 *c = sk_X509_value(list, i);

		cert_subject(c, text, sizeof(text));
		cert_issuer(c, text, sizeof(text));
		cert_serial_hex(c, text, sizeof(text));
		(void)cert_not_after(c, &t, &e);
		(void)cert_self_signed(c);
		buf_reset(&der);
		if (cert_to_der(c, &der, &e) != 0)
			abort();
	}
	buf_free(&der);
	sk_X509_pop_free(list, X509_free);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	STACK_OF(X509_CRL) *crls = NULL;
	EVP_PKEY *k = NULL;
	struct ofs_error e;

	certs(p, n);
	if (cert_crls_parse(p, n, &crls, &e) == 0)
		sk_X509_CRL_pop_free(crls, X509_CRL_free);
	if (pubkey_parse(p, n, &k, &e) == 0)
		EVP_PKEY_free(k);
	return 0;
}
