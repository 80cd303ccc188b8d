/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CMS SignedData: reading into pieces that still have their own bytes. */
#include <string.h>

#include "crypto/der.h"
#include "format/cms_parse.h"
#include "format/oids.h"

static const uint8_t oid_signed_data[] = { OID_SIGNED_DATA };

static int
unreadable(struct ofs_error *e, const char *what)
{
	return err_set(e, OFS_EUNREADABLE,
		"cannot read the signature: %s is not as RFC 5652 has it",
		what);
}

/* CMSVersion: 0 to 5 in one byte */
static bool
take_version(struct rd *r, uint8_t *version)
{
	struct tlv t;

	if (!tlv_take(r, TLV_INTEGER, &t))
		return false;
	*version = t.p[0];
	return t.n == 1 && t.p[0] <= 5;
}

/* every value inside t, at most max of them */
static bool
take_all(const struct tlv *t, struct tlv *v, size_t max, size_t *n)
{
	struct rd r;

	tlv_open(t, &r);
	for (*n = 0; r.left > 0; (*n)++)
		if (*n == max || !tlv_next(&r, &v[*n]))
			return false;
	return rd_done(&r);
}

static bool
parse_attrs(struct cms_signer *s)
{
	struct tlv seq;
	struct rd r, in;

	tlv_open(&s->attrs_raw, &r);
	for (s->n_attrs = 0; r.left > 0; s->n_attrs++) {
		struct cms_attr *a;

		if (s->n_attrs == CMS_ATTRS_MAX ||
			!tlv_take(&r, TLV_SEQUENCE, &seq))
			return false;
		a = &s->attrs[s->n_attrs];
		tlv_open(&seq, &in);
		tlv_take(&in, TLV_OID, &a->oid);
		tlv_take(&in, TLV_SET, &a->values);
		if (!rd_done(&in))
			return false;
	}
	return rd_done(&r);
}

static bool
parse_signer(const struct tlv *t, struct cms_signer *s)
{
	struct rd r;

	if (t->tag != TLV_SEQUENCE)
		return false;
	tlv_open(t, &r);
	if (!take_version(&r, &s->version))
		return false;
	if (!tlv_take_if(&r, TLV_SEQUENCE, &s->id))
		tlv_take(&r, TLV_PRIMITIVE(0), &s->id);
	tlv_take(&r, TLV_SEQUENCE, &s->digest_alg);
	tlv_take_if(&r, TLV_CONSTRUCTED(0), &s->attrs_raw);
	tlv_take(&r, TLV_SEQUENCE, &s->sig_alg);
	tlv_take(&r, TLV_OCTETS, &s->sig);
	tlv_take_if(&r, TLV_CONSTRUCTED(1), &s->unsigned_attrs);
	return rd_done(&r) && (s->attrs_raw.p == NULL || parse_attrs(s));
}

static int
parse_signers(const struct tlv *set, struct cms_data *d, struct ofs_error *e)
{
	struct tlv v[CMS_SIGNERS_MAX];

	if (!take_all(set, v, CMS_SIGNERS_MAX, &d->n_signers))
		return unreadable(e, "SignerInfos");
	if (d->n_signers == 0)
		return err_set(e, OFS_EUNREADABLE,
			"cannot read the signature: nobody has signed, it only "
			"carries certificates");
	for (size_t i = 0; i < d->n_signers; i++)
		if (!parse_signer(&v[i], &d->signers[i]))
			return unreadable(e, "a SignerInfo");
	return 0;
}

static bool
parse_content(const struct tlv *encap, struct cms_data *d)
{
	struct tlv wrap;
	struct rd r, in;

	tlv_open(encap, &r);
	tlv_take(&r, TLV_OID, &d->content_type);
	if (tlv_take_if(&r, TLV_CONSTRUCTED(0), &wrap)) {
		tlv_open(&wrap, &in);
		tlv_take(&in, TLV_OCTETS, &d->content);
		if (!rd_done(&in))
			return false;
	}
	return rd_done(&r);
}

static int
parse_data(const struct tlv *t, struct cms_data *d, struct ofs_error *e)
{
	struct tlv algs, encap, certs, signers;
	struct rd r;

	tlv_open(t, &r);
	if (!take_version(&r, &d->version))
		return unreadable(e, "the version");
	tlv_take(&r, TLV_SET, &algs);
	tlv_take(&r, TLV_SEQUENCE, &encap);
	tlv_take_if(&r, TLV_CONSTRUCTED(0), &certs);
	tlv_take_if(&r, TLV_CONSTRUCTED(1), &d->crls);
	tlv_take(&r, TLV_SET, &signers);
	if (!rd_done(&r))
		return unreadable(e, "SignedData");
	if (!take_all(
		    &algs, d->digest_algs, CMS_DIGESTS_MAX, &d->n_digest_algs))
		return unreadable(e, "digestAlgorithms");
	for (size_t i = 0; i < d->n_digest_algs; i++)
		if (d->digest_algs[i].tag != TLV_SEQUENCE)
			return unreadable(e, "digestAlgorithms");
	if (!parse_content(&encap, d))
		return unreadable(e, "encapContentInfo");
	if (certs.p != NULL &&
		!take_all(&certs, d->certs, CMS_CERTS_MAX, &d->n_certs))
		return unreadable(e, "the set of certificates");
	return parse_signers(&signers, d, e);
}

/* a DER SET OF under the tag [0], where der_is_strict takes any order */
static bool
set_sorted(const struct tlv *v, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		size_t a = v[i - 1].der_len, b = v[i].der_len;
		int c = memcmp(v[i - 1].der, v[i].der, a < b ? a : b);

		/* neither is a beginning of the other: lengths lead */
		if (c > 0)
			return false;
	}
	return true;
}

static bool
attrs_sorted(const struct cms_signer *s)
{
	struct tlv v[CMS_ATTRS_MAX];
	size_t n;

	return s->attrs_raw.p == NULL ||
		(take_all(&s->attrs_raw, v, CMS_ATTRS_MAX, &n) &&
			set_sorted(v, n));
}

static int
check_der(const uint8_t *p, size_t n, const struct cms_data *d,
	struct ofs_error *e)
{
	if (!der_is_strict(p, n))
		return err_set(e, OFS_ESIGNATURE,
			"the signature file is BER but not DER: a SET is out "
			"of order, or a value is not in its one right form");
	if (!set_sorted(d->certs, d->n_certs))
		return err_set(e, OFS_ESIGNATURE,
			"the set of certificates is not in DER order");
	for (size_t i = 0; i < d->n_signers; i++)
		if (!attrs_sorted(&d->signers[i]))
			return err_set(e, OFS_ESIGNATURE,
				"the set of signed attributes is not in DER "
				"order");
	return 0;
}

static int
parse_info(const uint8_t *p, size_t n, struct cms_data *d, bool *trailing,
	struct ofs_error *e)
{
	struct tlv info, oid, wrap, data;
	struct rd r, in;

	rd_init(&r, p, n);
	if (!tlv_take(&r, TLV_SEQUENCE, &info))
		return err_set(e, OFS_EUNREADABLE,
			"cannot read the signature: it is not a CMS file in "
			"DER");
	*trailing = r.left > 0;
	tlv_open(&info, &in);
	tlv_take(&in, TLV_OID, &oid);
	tlv_take(&in, TLV_CONSTRUCTED(0), &wrap);
	if (!rd_done(&in))
		return unreadable(e, "ContentInfo");
	if (!tlv_same(&oid, oid_signed_data, sizeof(oid_signed_data)))
		return err_set(e, OFS_EUNREADABLE,
			"cannot read the signature: the CMS file is not "
			"SignedData");
	tlv_open(&wrap, &in);
	tlv_take(&in, TLV_SEQUENCE, &data);
	if (!rd_done(&in))
		return unreadable(e, "SignedData");
	return parse_data(&data, d, e);
}

int
cms_parse(const uint8_t *p, size_t n, struct cms_data *d, struct ofs_error *e)
{
	bool trailing = false;
	int err;

	memset(d, 0, sizeof(*d));
	if (n > CMS_FILE_MAX)
		return err_set(e, OFS_EUNREADABLE,
			"cannot read the signature: it is larger than %u bytes",
			CMS_FILE_MAX);
	err = parse_info(p, n, d, &trailing, e);
	if (err == 0 && trailing)
		err = err_set(e, OFS_ESIGNATURE,
			"there are bytes behind the end of the signature");
	if (err == 0)
		err = check_der(p, n, d, e);
	return err;
}

bool
cms_looks_like(const uint8_t *p, size_t n)
{
	const size_t len = sizeof(oid_signed_data);
	size_t head = n >= 2 && p[1] > 0x80 ? 2u + (p[1] & 0x7fu) : 2u;

	return n >= 2 && p[0] == TLV_SEQUENCE && n >= head + len &&
		memcmp(p + head, oid_signed_data, len) == 0;
}
