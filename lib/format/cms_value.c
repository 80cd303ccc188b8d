/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CMS values: attributes, algorithm identifiers, times, certificate ids. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/objects.h>

#include "format/cms_parse.h"

const struct cms_attr *
cms_attr_find(const struct cms_signer *s, const uint8_t *oid, size_t oid_len)
{
	const struct cms_attr *found = NULL;

	for (size_t i = 0; i < s->n_attrs; i++) {
		if (!tlv_same(&s->attrs[i].oid, oid, oid_len))
			continue;
		if (found != NULL)
			return NULL;
		found = &s->attrs[i];
	}
	return found;
}

bool
cms_attr_value(const struct cms_attr *a, uint8_t tag, struct tlv *value)
{
	struct rd r;

	tlv_open(&a->values, &r);
	return tlv_take(&r, tag, value) && rd_done(&r);
}

static int
oid_nid(const struct tlv *oid)
{
	const uint8_t *p = oid->der;
	ASN1_OBJECT *o = NULL;
	int nid = NID_undef;

	if (oid->p != NULL)
		o = d2i_ASN1_OBJECT(NULL, &p, (long)oid->der_len);
	if (o != NULL)
		nid = OBJ_obj2nid(o);
	ASN1_OBJECT_free(o);
	ERR_clear_error();
	return nid;
}

int
cms_alg_nid(const struct tlv *id, bool *null)
{
	struct tlv oid, params;
	struct rd r;

	tlv_open(id, &r);
	tlv_take(&r, TLV_OID, &oid);
	*null = tlv_take_if(&r, TLV_NULL, &params);
	if (!rd_done(&r) || params.n != 0)
		return NID_undef;
	return oid_nid(&oid);
}

int
cms_alg_oid_nid(const struct tlv *id)
{
	struct tlv oid;
	struct rd r;

	tlv_open(id, &r);
	tlv_take(&r, TLV_OID, &oid);
	return oid_nid(&oid);
}

const struct digest_alg *
cms_digest_alg(const struct tlv *id)
{
	const struct digest_alg *d, *shake = &digest_shake256;
	bool null;

	/* RFC 8419 3.1: the length is told, where SHA-2 has no parameters */
	if (tlv_same(id, shake->der, shake->der_len))
		return shake;
	d = digest_by_nid(cms_alg_nid(id, &null));
	return d != shake ? d : NULL;
}

void
cms_oid_text(const struct tlv *t, char *to, size_t size)
{
	struct tlv oid = *t;
	ASN1_OBJECT *o = NULL;
	const uint8_t *p;
	char dotted[128];
	struct rd r;

	snprintf(to, size, "?");
	if (t->tag != TLV_OID) {
		tlv_open(t, &r);
		tlv_take(&r, TLV_OID, &oid);
	}
	p = oid.der;
	if (oid.p != NULL)
		o = d2i_ASN1_OBJECT(NULL, &p, (long)oid.der_len);
	if (o != NULL && OBJ_obj2txt(dotted, sizeof(dotted), o, 1) > 0) {
		int nid = OBJ_obj2nid(o);

		snprintf(to, size, "%s%s%s%s", dotted,
			nid != NID_undef ? " (" : "",
			nid != NID_undef ? OBJ_nid2ln(nid) : "",
			nid != NID_undef ? ")" : "");
	}
	ASN1_OBJECT_free(o);
	ERR_clear_error();
}

static bool
two_digits(const uint8_t *p, int low, int high, int *v)
{
	if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
		return false;
	*v = (p[0] - '0') * 10 + (p[1] - '0');
	return *v >= low && *v <= high;
}

bool
cms_time(const struct tlv *t, int64_t *us)
{
	bool utc = t->tag == TLV_UTC_TIME;
	int century = 0, year, month, day, hour, minute, second;
	const uint8_t *p = t->p;
	struct tm tm, back;
	time_t s;

	if (t->n != (utc ? 13u : 15u) || p[t->n - 1] != 'Z' ||
		(!utc && t->tag != TLV_GENERALIZED_TIME))
		return false;
	if (!utc && (!two_digits(p, 0, 99, &century)))
		return false;
	p += utc ? 0 : 2;
	if (!two_digits(p, 0, 99, &year) || !two_digits(p + 2, 1, 12, &month) ||
		!two_digits(p + 4, 1, 31, &day) ||
		!two_digits(p + 6, 0, 23, &hour) ||
		!two_digits(p + 8, 0, 59, &minute) ||
		!two_digits(p + 10, 0, 59, &second))
		return false;
	if (utc)
		century = year >= 50 ? 19 : 20;
	year += century * 100;
	/* 1950 to 2049 must be UTCTime */
	if (!utc && year >= 1950 && year < 2050)
		return false;
	memset(&tm, 0, sizeof(tm));
	tm.tm_year = year - 1900;
	tm.tm_mon = month - 1;
	tm.tm_mday = day;
	tm.tm_hour = hour;
	tm.tm_min = minute;
	tm.tm_sec = second;
	s = timegm(&tm);
	/* the 30th of February comes back as another day */
	if (gmtime_r(&s, &back) == NULL || back.tm_mday != day)
		return false;
	*us = (int64_t)s * 1000000;
	return true;
}

static bool
parse_issuer_serial(const struct tlv *t, struct cms_cert_id *id)
{
	struct tlv names, directory;
	struct rd r, in;

	tlv_open(t, &r);
	tlv_take(&r, TLV_SEQUENCE, &names);
	tlv_take(&r, TLV_INTEGER, &id->serial);
	if (!rd_done(&r))
		return false;
	/* GeneralNames with the one directoryName, [4] EXPLICIT Name */
	tlv_open(&names, &in);
	tlv_take(&in, TLV_CONSTRUCTED(4), &directory);
	if (!rd_done(&in))
		return false;
	tlv_open(&directory, &in);
	tlv_take(&in, TLV_SEQUENCE, &id->issuer);
	return rd_done(&in);
}

static bool
parse_cert_id(const struct tlv *t, struct cms_cert_id *id)
{
	struct tlv alg, issuer_serial;
	struct rd r;

	memset(id, 0, sizeof(*id));
	tlv_open(t, &r);
	id->digest = &digest_sha256;
	if (tlv_take_if(&r, TLV_SEQUENCE, &alg))
		id->digest = cms_digest_alg(&alg);
	tlv_take(&r, TLV_OCTETS, &id->hash);
	tlv_take_if(&r, TLV_SEQUENCE, &issuer_serial);
	return rd_done(&r) &&
		(issuer_serial.p == NULL ||
			parse_issuer_serial(&issuer_serial, id));
}

bool
cms_cert_ids(const struct tlv *value, struct cms_cert_id *v, size_t *n)
{
	struct tlv ids, policies, id;
	struct rd r, in;

	*n = 0;
	tlv_open(value, &r);
	tlv_take(&r, TLV_SEQUENCE, &ids);
	tlv_take_if(&r, TLV_SEQUENCE, &policies);
	if (!rd_done(&r))
		return false;
	tlv_open(&ids, &in);
	for (; in.left > 0; (*n)++)
		if (*n == CMS_CERT_IDS_MAX ||
			!tlv_take(&in, TLV_SEQUENCE, &id) ||
			!parse_cert_id(&id, &v[*n]))
			return false;
	return rd_done(&in) && *n > 0;
}
