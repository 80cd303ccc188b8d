/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CMS SignedData with CAdES-B-B attributes: building. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "crypto/cert.h"
#include "crypto/pubkey.h"
#include "format/cms.h"
#include "format/oids.h"
#include "format/tlv.h"

#define CERTS_MAX 16 /* embedded in one signature */
#define N_ATTRS 4

struct cms_maker {
	const struct alg *alg;
	bool attached;
	struct buf digest_algs;  /* SET OF AlgorithmIdentifier */
	struct buf certs;        /* [0] IMPLICIT SET OF Certificate */
	struct buf signer_head;  /* SignerInfo up to the signed attributes */
	struct buf signing_cert; /* the attribute, whole */
};

static const uint8_t version_1[] = { 0x02, 0x01, 0x01 };
static const uint8_t oid_data[] = { OID_DATA };
static const uint8_t oid_signed_data[] = { OID_SIGNED_DATA };
static const uint8_t oid_message_digest[] = { OID_MESSAGE_DIGEST };
static const uint8_t oid_signing_time[] = { OID_SIGNING_TIME };
static const uint8_t oid_signing_cert[] = { OID_SIGNING_CERT_V2 };

/* content-type: id-data */
static const uint8_t content_type[] = { 0x30, 0x18, OID_CONTENT_TYPE, 0x31,
	0x0b, OID_DATA };

/* whether one of these certificates has issued c; *at tells which */
static bool
find_issuer(X509 *c, X509 *const *v, size_t n, size_t *at)
{
	bool found = false;

	for (size_t i = 0; i < n && !found; i++) {
		EVP_PKEY *k = X509_get0_pubkey(v[i]);

		*at = i;
		found = k != NULL && X509_check_issued(v[i], c) == X509_V_OK &&
			X509_verify(c, k) == 1;
	}
	ERR_clear_error();
	return found;
}

/*
 * The certificates to embed, borrowed: the signer's, then its issuers upwards.
 * No root: nothing in the file would cover its bytes. One that has issued no
 * other is refused, since no verifier could use it and ours would not accept
 * it.
 */
static int
select_certs(X509 *signer, STACK_OF(X509) *chain, X509 *v[CERTS_MAX],
	size_t *count, struct ofs_error *e)
{
	X509 *rest[CERTS_MAX];
	size_t left = 0, at = 0;
	char name[256];

	v[0] = signer;
	*count = 1;
	for (int i = 0; chain != NULL && i < sk_X509_num(chain); i++) {
		X509 *c = sk_X509_value(chain, i);
		bool known = cert_self_issued(c) || X509_cmp(c, signer) == 0;

		for (size_t k = 0; k < left && !known; k++)
			known = X509_cmp(c, rest[k]) == 0;
		if (known)
			continue;
		if (left == CERTS_MAX - 1)
			return err_set(e, OFS_ECERT,
				"cannot embed more than %d certificates",
				CERTS_MAX);
		rest[left++] = c;
	}
	for (size_t from = 0; from < *count; from++)
		while (find_issuer(v[from], rest, left, &at)) {
			v[(*count)++] = rest[at];
			rest[at] = rest[--left];
		}
	if (left == 0)
		return 0;
	cert_subject(rest[0], name, sizeof(name));
	return err_set(e, OFS_ECERT,
		"cannot embed certificate '%s': it is not in the chain of the "
		"signer's; leave it out",
		name);
}

static int
put_certs(struct buf *to, X509 *const *v, size_t count, struct ofs_error *e)
{
	struct tlv_bytes ders[CERTS_MAX];
	struct buf all = BUF_INIT;
	size_t at = 0;
	int err = 0;

	for (size_t i = 0; i < count && err == 0; i++) {
		size_t before = all.len;

		err = cert_to_der(v[i], &all, e);
		ders[i].n = all.len - before;
	}
	if (err == 0) {
		for (size_t i = 0; i < count; at += ders[i++].n)
			ders[i].p = all.p + at;
		tlv_sort(ders, count);
		tlv_put_head(to, TLV_CONSTRUCTED(0), all.len);
		for (size_t i = 0; i < count; i++)
			buf_put(to, ders[i].p, ders[i].n);
	}
	buf_free(&all);
	return err;
}

/*
 * The attribute signing-certificate-v2, with the signer's certificate first
 * and then every other that is embedded: so the signature covers each byte of
 * the file, also for someone who trusts the signer's certificate as it is and
 * could not check its issuers. No issuerSerial: EN 319 122-1 6.3 g). The hash
 * is SHA-256, the DEFAULT, hence not named.
 */
static int
put_signing_cert(
	struct buf *to, X509 *const *v, size_t count, struct ofs_error *e)
{
	uint8_t hash[32];
	size_t id = tlv_head_size(sizeof(hash)) + sizeof(hash);
	size_t ids = count * (tlv_head_size(id) + id);
	size_t value = tlv_head_size(ids) + ids;
	size_t set = tlv_head_size(value) + value;
	int err = 0;

	tlv_put_head(to, TLV_SEQUENCE,
		sizeof(oid_signing_cert) + tlv_head_size(set) + set);
	buf_put(to, oid_signing_cert, sizeof(oid_signing_cert));
	tlv_put_head(to, TLV_SET, set);
	tlv_put_head(to, TLV_SEQUENCE, value);
	tlv_put_head(to, TLV_SEQUENCE, ids);
	for (size_t i = 0; i < count && err == 0; i++) {
		err = cert_sha256(v[i], hash, e);
		tlv_put_head(to, TLV_SEQUENCE, id);
		tlv_put(to, TLV_OCTETS, hash, sizeof(hash));
	}
	return err;
}

/* IssuerAndSerialNumber: RFC 5652 10.2.4 */
static int
put_signer_id(struct buf *to, X509 *c, struct ofs_error *e)
{
	uint8_t *name = NULL, *serial = NULL;
	int n = i2d_X509_NAME(X509_get_issuer_name(c), &name);
	int s = i2d_ASN1_INTEGER(X509_get0_serialNumber(c), &serial);
	int err = 0;

	if (n > 0 && s > 0) {
		tlv_put_head(to, TLV_SEQUENCE, (size_t)n + (size_t)s);
		buf_put(to, name, (size_t)n);
		buf_put(to, serial, (size_t)s);
	} else {
		err = err_ssl(e, OFS_EINTERNAL,
			"cannot encode the signer's identifier");
	}
	OPENSSL_free(name);
	OPENSSL_free(serial);
	return err;
}

static int
check_signer(X509 *signer, const struct alg *alg, struct ofs_error *e)
{
	EVP_PKEY *k = X509_get0_pubkey(signer);
	enum ofs_key_type type = k != NULL ? pubkey_type(k) : OFS_KEY_OTHER;
	char name[256];

	ERR_clear_error();
	if (alg_offered(alg, type))
		return 0;
	cert_subject(signer, name, sizeof(name));
	return err_set(e, OFS_ECERT,
		"certificate '%s' does not fit: its key is not for %s", name,
		alg->name);
}

static int
fill(struct cms_maker *m, X509 *signer, STACK_OF(X509) *chain,
	struct ofs_error *e)
{
	const struct digest_alg *d = m->alg->digest;
	X509 *v[CERTS_MAX];
	size_t count = 0;
	int err;

	err = check_signer(signer, m->alg, e);
	if (err == 0)
		err = select_certs(signer, chain, v, &count, e);
	if (err == 0)
		err = put_certs(&m->certs, v, count, e);
	if (err == 0)
		err = put_signing_cert(&m->signing_cert, v, count, e);
	if (err == 0) {
		tlv_put(&m->digest_algs, TLV_SET, d->der, d->der_len);
		buf_put(&m->signer_head, version_1, sizeof(version_1));
		err = put_signer_id(&m->signer_head, signer, e);
		buf_put(&m->signer_head, d->der, d->der_len);
	}
	if (err == 0 &&
		(!buf_ok(&m->certs) || !buf_ok(&m->signing_cert) ||
			!buf_ok(&m->digest_algs) || !buf_ok(&m->signer_head)))
		err = err_nomem(e);
	return err;
}

int
cms_maker_new(X509 *signer, STACK_OF(X509) *chain, const struct alg *alg,
	bool attached, struct cms_maker **out, struct ofs_error *e)
{
	struct cms_maker *m = calloc(1, sizeof(*m));
	int err;

	*out = NULL;
	if (m == NULL)
		return err_nomem(e);
	m->alg = alg;
	m->attached = attached;
	err = fill(m, signer, chain, e);
	if (err != 0)
		cms_maker_free(m);
	else
		*out = m;
	return err;
}

void
cms_maker_free(struct cms_maker *m)
{
	if (m == NULL)
		return;
	buf_free(&m->digest_algs);
	buf_free(&m->certs);
	buf_free(&m->signer_head);
	buf_free(&m->signing_cert);
	free(m);
}

/* signing-time: UTCTime from 1950 to 2049, else GeneralizedTime (11.3) */
static int
put_time(struct buf *to, int64_t time, struct ofs_error *e)
{
	int64_t s = time / 1000000 - (time % 1000000 < 0);
	time_t t = (time_t)s;
	struct tm tm;
	char text[80];
	bool utc;
	size_t len;
	int n;

	if (gmtime_r(&t, &tm) == NULL || tm.tm_year < -1900 ||
		tm.tm_year > 9999 - 1900)
		return err_set(e, OFS_EINVAL,
			"cannot write the signing time: it is not in the years "
			"0 to 9999; check the clock");
	utc = tm.tm_year >= 50 && tm.tm_year < 150;
	n = snprintf(text, sizeof(text), utc ? "%02d" : "%04d",
		utc ? tm.tm_year % 100 : tm.tm_year + 1900);
	n += snprintf(text + n, sizeof(text) - (size_t)n,
		"%02d%02d%02d%02d%02dZ", tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
		tm.tm_min, tm.tm_sec);
	len = (size_t)n;
	tlv_put_head(to, TLV_SEQUENCE, sizeof(oid_signing_time) + 4 + len);
	buf_put(to, oid_signing_time, sizeof(oid_signing_time));
	tlv_put_head(to, TLV_SET, 2 + len);
	tlv_put(to, utc ? TLV_UTC_TIME : TLV_GENERALIZED_TIME, text, len);
	return 0;
}

static void
put_digest(struct buf *to, const uint8_t *hash, size_t n)
{
	tlv_put_head(to, TLV_SEQUENCE, sizeof(oid_message_digest) + 4 + n);
	buf_put(to, oid_message_digest, sizeof(oid_message_digest));
	tlv_put_head(to, TLV_SET, 2 + n);
	tlv_put(to, TLV_OCTETS, hash, n);
}

int
cms_attrs(const struct cms_maker *m, const uint8_t *content_hash, int64_t time,
	struct buf *der, struct ofs_error *e)
{
	struct tlv_bytes v[N_ATTRS];
	struct buf tmp = BUF_INIT;
	size_t digest_at, total = 0;
	int err;

	err = put_time(&tmp, time, e);
	if (err != 0)
		goto out;
	digest_at = tmp.len;
	put_digest(&tmp, content_hash, m->alg->digest->size);
	if (!buf_ok(&tmp)) {
		err = err_nomem(e);
		goto out;
	}
	v[0] = (struct tlv_bytes){ content_type, sizeof(content_type) };
	v[1] = (struct tlv_bytes){ tmp.p, digest_at };
	v[2] = (struct tlv_bytes){ tmp.p + digest_at, tmp.len - digest_at };
	v[3] = (struct tlv_bytes){ m->signing_cert.p, m->signing_cert.len };
	tlv_sort(v, N_ATTRS);
	for (size_t i = 0; i < N_ATTRS; i++)
		total += v[i].n;
	tlv_put_head(der, TLV_SET, total);
	for (size_t i = 0; i < N_ATTRS; i++)
		buf_put(der, v[i].p, v[i].n);
	if (!buf_ok(der))
		err = err_nomem(e);
out:
	buf_free(&tmp);
	return err;
}

static size_t
with_head(size_t n)
{
	return tlv_head_size(n) + n;
}

int
cms_assemble(const struct cms_maker *m, const uint8_t *attrs, size_t attrs_len,
	const uint8_t *sig, size_t sig_len, const uint8_t *content,
	size_t content_len, struct buf *out, struct ofs_error *e)
{
	size_t signer, octets, encap, data, all;

	if (attrs_len == 0 || attrs[0] != TLV_SET || sig_len == 0 ||
		m->attached != (content != NULL))
		return err_set(e, OFS_EINTERNAL,
			"cannot assemble the signature: its parts do not fit");
	if (content_len > CMS_ATTACHED_MAX)
		return err_set(e, OFS_EUNSUPPORTED,
			"cannot put a document of more than %u MiB inside its "
			"signature",
			CMS_ATTACHED_MAX >> 20);
	signer = m->signer_head.len + attrs_len + m->alg->id_len +
		with_head(sig_len);
	octets = content != NULL ? with_head(content_len) : 0;
	encap = sizeof(oid_data) + (content != NULL ? with_head(octets) : 0);
	data = sizeof(version_1) + m->digest_algs.len + with_head(encap) +
		m->certs.len + with_head(with_head(signer));
	all = sizeof(oid_signed_data) + with_head(with_head(data));

	tlv_put_head(out, TLV_SEQUENCE, all);
	buf_put(out, oid_signed_data, sizeof(oid_signed_data));
	tlv_put_head(out, TLV_CONSTRUCTED(0), with_head(data));
	tlv_put_head(out, TLV_SEQUENCE, data);
	buf_put(out, version_1, sizeof(version_1));
	buf_put(out, m->digest_algs.p, m->digest_algs.len);
	tlv_put_head(out, TLV_SEQUENCE, encap);
	buf_put(out, oid_data, sizeof(oid_data));
	if (content != NULL) {
		tlv_put_head(out, TLV_CONSTRUCTED(0), octets);
		tlv_put(out, TLV_OCTETS, content, content_len);
	}
	buf_put(out, m->certs.p, m->certs.len);
	tlv_put_head(out, TLV_SET, with_head(signer));
	tlv_put_head(out, TLV_SEQUENCE, signer);
	buf_put(out, m->signer_head.p, m->signer_head.len);
	/* RFC 5652 5.4: a SET where it is signed, [0] where it is sent */
	buf_u8(out, TLV_CONSTRUCTED(0));
	buf_put(out, attrs + 1, attrs_len - 1);
	/*
	 * sha256WithRSAEncryption and its kin, not rsaEncryption; RFC 5754 3.2
	 * allows both. So the digest is told twice and a verifier can compare,
	 * as with ECDSA. Accepted by openssl, gpgsm, certtool and NSS.
	 */
	buf_put(out, m->alg->id, m->alg->id_len);
	tlv_put(out, TLV_OCTETS, sig, sig_len);
	return buf_ok(out) ? 0 : err_nomem(e);
}
