/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One signer of a CMS file: what RFC 5652 and EN 319 122-1 demand of it. */
#ifndef VERIFY_VERIFY_CMS_H
#define VERIFY_VERIFY_CMS_H

#include "format/cms_parse.h"
#include "verify/verifier.h"

/* The certificates of a file, in its order. */
struct bag {
	X509 *certs[CMS_CERTS_MAX]; /* owned */
	size_t n;
};

struct signer {
	const struct cms_signer *info;
	X509 *cert; /* borrowed from the bag */
	char subject[256];
	const struct digest_alg *digest;
	const struct alg *alg;
	struct tlv content_digest;                /* message-digest */
	int64_t time;                             /* signing-time, us */
	struct cms_cert_id ids[CMS_CERT_IDS_MAX]; /* signing-certificate-v2 */
	size_t n_ids;
};

/*
 * Finds the certificate and checks all that needs no document and no trust,
 * but for the signature value: OFS_ESIGNATURE, or OFS_EUNTRUSTED for an
 * algorithm that is not supported.
 */
int signer_check(struct signer *s, const struct cms_data *d,
	const struct bag *bag, struct ofs_error *e);
/* the signature value, over the signed attributes */
int signer_check_value(const struct signer *s, struct ofs_error *e);
/* whether signing-certificate-v2 names this certificate */
bool signer_names(const struct signer *s, X509 *c);
/* OFS_EUNTRUSTED for a signed attribute that is not understood */
int signer_check_known(const struct signer *s, struct ofs_error *e);

#endif
