/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CMS SignedData: reading into pieces that still have their own bytes. */
#ifndef FORMAT_CMS_PARSE_H
#define FORMAT_CMS_PARSE_H

#include "base/err.h"
#include "format/cms.h"
#include "format/tlv.h"

#define CMS_FILE_MAX (CMS_ATTACHED_MAX + (1u << 20))
#define CMS_CERTS_MAX 64
#define CMS_SIGNERS_MAX 16
#define CMS_DIGESTS_MAX 16
#define CMS_ATTRS_MAX 32
#define CMS_CERT_IDS_MAX 64

struct cms_attr {
	struct tlv oid;
	struct tlv values; /* SET */
};

/* One SignerInfo (RFC 5652 5.3). */
struct cms_signer {
	uint8_t version;
	struct tlv
		id; /* SEQUENCE: IssuerAndSerialNumber; [0]: key identifier */
	struct tlv digest_alg; /* AlgorithmIdentifier */
	struct tlv attrs_raw;  /* [0]; absent if there are none */
	struct cms_attr attrs[CMS_ATTRS_MAX];
	size_t n_attrs;
	struct tlv sig_alg;
	struct tlv sig;            /* OCTET STRING */
	struct tlv unsigned_attrs; /* [1] or absent */
};

/* SignedData (RFC 5652 5.1); everything is borrowed from the input. */
struct cms_data {
	uint8_t version;
	struct tlv digest_algs[CMS_DIGESTS_MAX];
	size_t n_digest_algs;
	struct tlv content_type;         /* OID */
	struct tlv content;              /* OCTET STRING; absent: detached */
	struct tlv certs[CMS_CERTS_MAX]; /* of any choice, not looked into */
	size_t n_certs;
	struct tlv crls; /* [1] or absent */
	struct cms_signer signers[CMS_SIGNERS_MAX];
	size_t n_signers;
};

/*
 * Definite, minimal lengths and the types of RFC 5652 or OFS_EUNREADABLE;
 * bytes behind the end, a SET out of order and other BER that is not DER are
 * OFS_ESIGNATURE. What the parts say is not judged. At least one signer.
 */
int cms_parse(
	const uint8_t *p, size_t n, struct cms_data *d, struct ofs_error *e);

/* Whether p begins like a CMS file: ContentInfo with id-signedData. */
bool cms_looks_like(const uint8_t *p, size_t n);

/* The one attribute of this OID (encoded whole): NULL if none or several. */
const struct cms_attr *cms_attr_find(
	const struct cms_signer *s, const uint8_t *oid, size_t oid_len);
/* its only value, of this tag; false if there is another number of values */
bool cms_attr_value(const struct cms_attr *a, uint8_t tag, struct tlv *value);

/*
 * The digest of an AlgorithmIdentifier with absent or NULL parameters
 * (RFC 5754 2), or id-shake256-len with 512 (RFC 8419 2.2); NULL if it is no
 * digest that we take.
 */
const struct digest_alg *cms_digest_alg(const struct tlv *id);
/* "1.2.840.113549.2.5 (md5)" of an AlgorithmIdentifier or OID, for messages */
void cms_oid_text(const struct tlv *t, char *to, size_t size);
/*
 * Nonzero if the AlgorithmIdentifier is well formed: its NID, with NULL
 * parameters where `null`, absent else. NID_undef otherwise.
 */
int cms_alg_nid(const struct tlv *id, bool *null);
/* the NID of its OID, whatever its parameters; NID_undef if not known */
int cms_alg_oid_nid(const struct tlv *id);
/* UTCTime or GeneralizedTime as RFC 5652 11.3 demands them, us */
bool cms_time(const struct tlv *t, int64_t *us);

/* ESSCertIDv2 (RFC 5035 4). */
struct cms_cert_id {
	const struct digest_alg *digest; /* NULL: one that we do not take */
	struct tlv hash;
	struct tlv issuer; /* Name, where an issuerSerial is given */
	struct tlv serial;
};
/* the certificates that a signing-certificate-v2 value names */
bool cms_cert_ids(const struct tlv *value, struct cms_cert_id *v, size_t *n);

#endif
