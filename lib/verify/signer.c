/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One signer of a CMS file: what RFC 5652 and EN 319 122-1 demand of it. */
#include <string.h>

#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/x509v3.h>

#include "base/buf.h"
#include "crypto/cert.h"
#include "crypto/pubkey.h"
#include "format/oids.h"
#include "verify/verify_cms.h"

static const uint8_t oid_content_type[] = { OID_CONTENT_TYPE };
static const uint8_t oid_message_digest[] = { OID_MESSAGE_DIGEST };
static const uint8_t oid_signing_time[] = { OID_SIGNING_TIME };
static const uint8_t oid_signing_cert[] = { OID_SIGNING_CERT_V2 };
static const uint8_t oid_protection[] = { OID_ALGORITHM_PROTECTION };
static const uint8_t oid_smime[] = { OID_SMIME_CAPABILITIES };
static const uint8_t oid_hints[] = { OID_CONTENT_HINTS };
static const uint8_t oid_commitment[] = { OID_COMMITMENT_TYPE };
static const uint8_t oid_location[] = { OID_SIGNER_LOCATION };

/* issuer and serial number must be the very bytes of the certificate */
static bool
same_issuer_serial(X509 *c, const struct tlv *issuer, const struct tlv *serial)
{
	uint8_t *name = NULL, *number = NULL;
	int n = i2d_X509_NAME(X509_get_issuer_name(c), &name);
	int s = i2d_ASN1_INTEGER(X509_get0_serialNumber(c), &number);
	bool same = n > 0 && s > 0 && tlv_same(issuer, name, (size_t)n) &&
		tlv_same(serial, number, (size_t)s);

	OPENSSL_free(name);
	OPENSSL_free(number);
	return same;
}

static bool
is_signer(X509 *c, const struct tlv *id)
{
	const ASN1_OCTET_STRING *key_id;
	struct tlv issuer, serial;
	struct rd r;

	if (id->tag == TLV_SEQUENCE) {
		tlv_open(id, &r);
		tlv_take(&r, TLV_SEQUENCE, &issuer);
		tlv_take(&r, TLV_INTEGER, &serial);
		return rd_done(&r) && same_issuer_serial(c, &issuer, &serial);
	}
	key_id = X509_get0_subject_key_id(c);
	return key_id != NULL && id->n > 0 &&
		(size_t)ASN1_STRING_length(key_id) == id->n &&
		memcmp(ASN1_STRING_get0_data(key_id), id->p, id->n) == 0;
}

static int
find_cert(struct signer *s, const struct bag *bag, struct ofs_error *e)
{
	for (size_t i = 0; i < bag->n && s->cert == NULL; i++)
		if (is_signer(bag->certs[i], &s->info->id))
			s->cert = bag->certs[i];
	if (s->cert == NULL)
		return err_set(e, OFS_ESIGNATURE,
			"the signer's identifier is that of no certificate in "
			"the file");
	cert_subject(s->cert, s->subject, sizeof(s->subject));
	/* RFC 5652 5.3 */
	if (s->info->version != (s->info->id.tag == TLV_SEQUENCE ? 1 : 3))
		return err_set(e, OFS_ESIGNATURE,
			"the SignerInfo of '%s' has the wrong version",
			s->subject);
	return 0;
}

static int
unsupported(struct ofs_error *e, const char *what, const struct tlv *alg)
{
	char name[160];

	cms_oid_text(alg, name, sizeof(name));
	return err_set(e, OFS_EUNTRUSTED, "%s %s is not supported", what, name);
}

/*
 * One of the identifiers that we write, or rsaEncryption, which leaves the
 * digest to digestAlgorithm (RFC 5754 3.2).
 */
static int
find_sig_alg(struct signer *s, struct ofs_error *e)
{
	const struct tlv *id = &s->info->sig_alg;
	int nid = cms_alg_oid_nid(id);
	bool null;

	s->alg = alg_by_id(id->der, id->der_len);
	if (s->alg != NULL)
		return 0;
	if (nid == NID_rsaEncryption && cms_alg_nid(id, &null) == nid && null) {
		s->alg = alg_padded(
			OFS_KEY_RSA, OFS_PADDING_PKCS1, s->digest->id);
		return s->alg != NULL ? 0
				      : unsupported(e, "digest algorithm",
						&s->info->digest_alg);
	}
	if (nid == NID_rsassaPss)
		return err_set(e, OFS_EUNTRUSTED,
			"the RSASSA-PSS parameters of '%s' are not supported: "
			"SHA-256, SHA-384 or SHA-512, MGF1 with the same and a "
			"salt of its length are",
			s->subject);
	if (nid == NID_rsaEncryption || alg_by_sig_nid(nid) != NULL)
		return err_set(e, OFS_ESIGNATURE,
			"signatureAlgorithm of '%s' has the wrong parameters",
			s->subject);
	return unsupported(e, "signature algorithm", id);
}

static int
find_algorithm(struct signer *s, struct ofs_error *e)
{
	EVP_PKEY *key = X509_get0_pubkey(s->cert);
	int err;

	s->digest = cms_digest_alg(&s->info->digest_alg);
	if (s->digest == NULL)
		return unsupported(e, "digest algorithm", &s->info->digest_alg);
	err = find_sig_alg(s, e);
	if (err != 0)
		return err;
	if (s->alg->digest != s->digest)
		return err_set(e, OFS_ESIGNATURE,
			"digestAlgorithm of '%s' is %s, and signatureAlgorithm "
			"is %s",
			s->subject, s->digest->name, s->alg->name);
	if (key == NULL || pubkey_type(key) == OFS_KEY_OTHER) {
		ERR_clear_error();
		return err_set(e, OFS_EUNTRUSTED,
			"the key of certificate '%s' is of a kind that is not "
			"supported",
			s->subject);
	}
	if (!alg_fits(s->alg, pubkey_type(key)))
		return err_set(e, OFS_ESIGNATURE,
			"signatureAlgorithm of '%s' does not fit the key",
			s->subject);
	return 0;
}

static int
missing(const struct signer *s, const char *what, struct ofs_error *e)
{
	return err_set(e, OFS_ESIGNATURE,
		"signed attribute %s of '%s' is missing or malformed", what,
		s->subject);
}

static int
check_repeated(const struct signer *s, struct ofs_error *e)
{
	const struct cms_signer *i = s->info;
	char name[160];

	for (size_t a = 0; a < i->n_attrs; a++) {
		const struct tlv *oid = &i->attrs[a].oid;

		if (cms_attr_find(i, oid->der, oid->der_len) != NULL)
			continue;
		cms_oid_text(oid, name, sizeof(name));
		return err_set(e, OFS_ESIGNATURE,
			"signed attribute %s of '%s' is there twice", name,
			s->subject);
	}
	return 0;
}

static bool
get_value(const struct signer *s, const uint8_t *oid, size_t n, uint8_t tag,
	struct tlv *value)
{
	const struct cms_attr *a = cms_attr_find(s->info, oid, n);

	return a != NULL && cms_attr_value(a, tag, value);
}

/* a time is one of two types */
static bool
get_time(struct signer *s)
{
	struct tlv v;

	return (get_value(s, oid_signing_time, sizeof(oid_signing_time),
			TLV_UTC_TIME, &v) ||
		       get_value(s, oid_signing_time, sizeof(oid_signing_time),
			       TLV_GENERALIZED_TIME, &v)) &&
		cms_time(&v, &s->time);
}

/* RFC 6211: where it is there, it must say what SignerInfo says */
static bool
protection_ok(const struct signer *s)
{
	const struct cms_attr *a =
		cms_attr_find(s->info, oid_protection, sizeof(oid_protection));
	struct tlv v, digest, sig;
	struct rd r;

	if (a == NULL)
		return true;
	if (!cms_attr_value(a, TLV_SEQUENCE, &v))
		return false;
	tlv_open(&v, &r);
	tlv_take(&r, TLV_SEQUENCE, &digest);
	tlv_take(&r, TLV_CONSTRUCTED(1), &sig);
	return rd_done(&r) &&
		tlv_same(&digest, s->info->digest_alg.der,
			s->info->digest_alg.der_len) &&
		sig.n == s->info->sig_alg.n &&
		memcmp(sig.p, s->info->sig_alg.p, sig.n) == 0;
}

static bool
id_matches(const struct cms_cert_id *id, X509 *c)
{
	uint8_t hash[DIGEST_MAX], *der = NULL;
	struct ofs_error ignored;
	bool same = false;
	int n;

	if (id->digest == NULL || id->hash.n != id->digest->size)
		return false;
	n = i2d_X509(c, &der);
	if (n > 0 && digest_of(id->digest, der, (size_t)n, hash, &ignored) == 0)
		same = memcmp(id->hash.p, hash, id->hash.n) == 0;
	OPENSSL_free(der);
	return same &&
		(id->issuer.p == NULL ||
			same_issuer_serial(c, &id->issuer, &id->serial));
}

static int
check_signing_cert(struct signer *s, struct ofs_error *e)
{
	static const char what[] = "signing-certificate-v2";
	struct tlv v;

	if (!get_value(s, oid_signing_cert, sizeof(oid_signing_cert),
		    TLV_SEQUENCE, &v) ||
		!cms_cert_ids(&v, s->ids, &s->n_ids))
		return missing(s, what, e);
	if (s->ids[0].digest == NULL)
		return err_set(e, OFS_EUNTRUSTED,
			"signed attribute %s of '%s' uses a digest algorithm "
			"that is not supported",
			what, s->subject);
	/* RFC 5035 3: the first is the signer's */
	if (!id_matches(&s->ids[0], s->cert))
		return err_set(e, OFS_ESIGNATURE,
			"signed attribute %s names another certificate than "
			"'%s'",
			what, s->subject);
	return 0;
}

static int
check_attrs(struct signer *s, const struct cms_data *d, struct ofs_error *e)
{
	struct tlv v;
	int err;

	if (s->info->attrs_raw.p == NULL)
		return err_set(e, OFS_ESIGNATURE,
			"the signature of '%s' has no signed attributes: a raw "
			"signature could pass for it",
			s->subject);
	err = check_repeated(s, e);
	if (err != 0)
		return err;
	if (!get_value(
		    s, oid_content_type, sizeof(oid_content_type), TLV_OID, &v))
		return missing(s, "content-type", e);
	if (!tlv_same(&v, d->content_type.der, d->content_type.der_len))
		return err_set(e, OFS_ESIGNATURE,
			"signed attribute content-type of '%s' is not the type "
			"of the content",
			s->subject);
	if (!get_value(s, oid_message_digest, sizeof(oid_message_digest),
		    TLV_OCTETS, &s->content_digest) ||
		s->content_digest.n != s->digest->size)
		return missing(s, "message-digest", e);
	if (!get_time(s))
		return missing(s, "signing-time", e);
	if (!protection_ok(s))
		return err_set(e, OFS_ESIGNATURE,
			"signed attribute CMSAlgorithmProtection of '%s' names "
			"other algorithms",
			s->subject);
	return check_signing_cert(s, e);
}

int
signer_check(struct signer *s, const struct cms_data *d, const struct bag *bag,
	struct ofs_error *e)
{
	int err;

	err = find_cert(s, bag, e);
	if (err == 0)
		err = find_algorithm(s, e);
	if (err == 0)
		err = check_attrs(s, d, e);
	return err;
}

int
signer_check_value(const struct signer *s, struct ofs_error *e)
{
	const struct tlv *raw = &s->info->attrs_raw;
	struct to_sign t = { .alg = s->alg };
	struct buf set = BUF_INIT;
	uint8_t hash[DIGEST_MAX];
	int err;

	/* RFC 5652 5.4: signed as a SET, not as [0] */
	buf_u8(&set, TLV_SET);
	buf_put(&set, raw->der + 1, raw->der_len - 1);
	err = buf_ok(&set) ? digest_of(s->digest, set.p, set.len, hash, e)
			   : err_nomem(e);
	t.hash = hash;
	t.message = set.p;
	t.message_len = set.len;
	if (err == 0) {
		err = pubkey_verify_signed(X509_get0_pubkey(s->cert), &t,
			s->info->sig.p, s->info->sig.n, e);
		/* a key from outside may be one that OpenSSL cannot even try */
		if (err != 0 && err != OFS_ENOMEM)
			err = err_set(e, OFS_ESIGNATURE,
				"the signature value was not made with the key "
				"of certificate '%s' over these signed "
				"attributes",
				s->subject);
	}
	buf_free(&set);
	return err;
}

bool
signer_names(const struct signer *s, X509 *c)
{
	for (size_t i = 0; i < s->n_ids; i++)
		if (id_matches(&s->ids[i], c))
			return true;
	return false;
}

/*
 * What limits or changes the meaning of a signature must not be passed over:
 * a signature policy, say, or the media type by which an aggregate says that it
 * is no signature of a document.
 */
int
signer_check_known(const struct signer *s, struct ofs_error *e)
{
	static const struct {
		const uint8_t *p;
		size_t n;
	} known[] = {
		{ oid_content_type, sizeof(oid_content_type) },
		{ oid_message_digest, sizeof(oid_message_digest) },
		{ oid_signing_time, sizeof(oid_signing_time) },
		{ oid_signing_cert, sizeof(oid_signing_cert) },
		{ oid_protection, sizeof(oid_protection) },
		{ oid_smime, sizeof(oid_smime) },
		{ oid_hints, sizeof(oid_hints) },
		{ oid_commitment, sizeof(oid_commitment) },
		{ oid_location, sizeof(oid_location) },
	};
	char name[160];

	for (size_t a = 0; a < s->info->n_attrs; a++) {
		const struct tlv *oid = &s->info->attrs[a].oid;
		bool found = false;

		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			found |= tlv_same(oid, known[i].p, known[i].n);
		if (found)
			continue;
		cms_oid_text(oid, name, sizeof(name));
		return err_set(e, OFS_EUNTRUSTED,
			"signed attribute %s of '%s' is not understood, and "
			"what it says about the signature cannot be judged",
			name, s->subject);
	}
	return 0;
}
