/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Time-stamps of RFC 3161: requests, and responses that are checked. */
#include <string.h>

#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ts.h>
#include <openssl/x509_vfy.h>

#include "crypto/tsp.h"

#include "crypto/digest.h"

static int
fill_imprint(TS_REQ *r, const uint8_t sha256[32])
{
	TS_MSG_IMPRINT *m = TS_MSG_IMPRINT_new();
	X509_ALGOR *alg = X509_ALGOR_new();
	uint8_t copy[32];
	int good;

	memcpy(copy, sha256, sizeof(copy));
	good = m != NULL && alg != NULL &&
		X509_ALGOR_set0(
			alg, OBJ_nid2obj(NID_sha256), V_ASN1_NULL, NULL) == 1 &&
		TS_MSG_IMPRINT_set_algo(m, alg) == 1 &&
		TS_MSG_IMPRINT_set_msg(m, copy, sizeof(copy)) == 1 &&
		TS_REQ_set_msg_imprint(r, m) == 1;
	X509_ALGOR_free(alg);
	TS_MSG_IMPRINT_free(m);
	return good;
}

static int
fill_nonce(TS_REQ *r)
{
	ASN1_INTEGER *nonce = ASN1_INTEGER_new();
	uint64_t v;
	int good;

	good = nonce != NULL && RAND_bytes((uint8_t *)&v, sizeof(v)) == 1 &&
		ASN1_INTEGER_set_uint64(nonce, v) == 1 &&
		TS_REQ_set_nonce(r, nonce) == 1;
	ASN1_INTEGER_free(nonce);
	return good;
}

int
tsp_request(const void *p, size_t n, struct buf *der, struct ofs_error *e)
{
	TS_REQ *r = TS_REQ_new();
	uint8_t sha256[32], *out = NULL;
	int len = -1, rc;

	rc = digest_of(&digest_sha256, p, n, sha256, e);
	if (rc == 0 && r != NULL && TS_REQ_set_version(r, 1) == 1 &&
		fill_imprint(r, sha256) && fill_nonce(r) &&
		TS_REQ_set_cert_req(r, 1) == 1)
		len = i2d_TS_REQ(r, &out);
	if (rc == 0 && len <= 0)
		rc = err_ssl(
			e, OFS_EINTERNAL, "cannot make a time-stamp request");
	if (rc == 0) {
		buf_put(der, out, (size_t)len);
		rc = buf_ok(der) ? 0 : err_nomem(e);
	}
	OPENSSL_free(out);
	TS_REQ_free(r);
	return rc;
}

static int
read_request(const uint8_t *p, size_t n, TS_REQ **out, struct ofs_error *e)
{
	const uint8_t *at = p;
	TS_REQ *r = n <= TSP_MAX ? d2i_TS_REQ(NULL, &at, (long)n) : NULL;

	ERR_clear_error();
	if (r == NULL || (size_t)(at - p) != n || TS_REQ_get_nonce(r) == NULL) {
		TS_REQ_free(r);
		return err_set(e, OFS_EFORMAT,
			"it is no time-stamp request with a nonce (DER)");
	}
	*out = r;
	return 0;
}

static int
take_imprint(TS_MSG_IMPRINT *m, const char *of, uint8_t sha256[32],
	struct ofs_error *e)
{
	ASN1_OCTET_STRING *msg = TS_MSG_IMPRINT_get_msg(m);
	const ASN1_OBJECT *alg;

	X509_ALGOR_get0(&alg, NULL, NULL, TS_MSG_IMPRINT_get_algo(m));
	if (OBJ_obj2nid(alg) != NID_sha256 || ASN1_STRING_length(msg) != 32)
		return err_set(e, OFS_EFORMAT,
			"the time-stamp%s is not over SHA-256", of);
	memcpy(sha256, ASN1_STRING_get0_data(msg), 32);
	return 0;
}

int
tsp_request_imprint(
	const uint8_t *p, size_t n, uint8_t sha256[32], struct ofs_error *e)
{
	TS_REQ *r;
	int rc;

	rc = read_request(p, n, &r, e);
	if (rc != 0)
		return rc;
	rc = take_imprint(TS_REQ_get_msg_imprint(r), " request", sha256, e);
	TS_REQ_free(r);
	return rc;
}

static int
read_response(const uint8_t *p, size_t n, TS_RESP **out, int64_t *time,
	struct ofs_error *e)
{
	const uint8_t *at = p;
	TS_RESP *r = n <= TSP_MAX ? d2i_TS_RESP(NULL, &at, (long)n) : NULL;
	const ASN1_GENERALIZEDTIME *t = NULL;
	int days, seconds, good = 0;
	ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);

	if (r != NULL && TS_RESP_get_tst_info(r) != NULL)
		t = TS_TST_INFO_get_time(TS_RESP_get_tst_info(r));
	if (t != NULL && epoch != NULL && (size_t)(at - p) == n)
		good = ASN1_TIME_diff(&days, &seconds, epoch, t);
	ERR_clear_error();
	ASN1_TIME_free(epoch);
	if (!good) {
		TS_RESP_free(r);
		return err_set(e, OFS_EFORMAT,
			"it is no response of a time-stamping authority with "
			"a time-stamp (DER)");
	}
	*time = ((int64_t)days * 86400 + seconds) * 1000000;
	*out = r;
	return 0;
}

int
tsp_imprint(const uint8_t *p, size_t n, uint8_t sha256[32], struct ofs_error *e)
{
	TS_RESP *r;
	int64_t time;
	int rc;

	rc = read_response(p, n, &r, &time, e);
	if (rc != 0)
		return rc;
	rc = take_imprint(TS_TST_INFO_get_msg_imprint(TS_RESP_get_tst_info(r)),
		"", sha256, e);
	TS_RESP_free(r);
	return rc;
}

int
tsp_time(const uint8_t *p, size_t n, int64_t *time, struct ofs_error *e)
{
	TS_RESP *r = NULL;
	int rc = read_response(p, n, &r, time, e);

	TS_RESP_free(r);
	return rc;
}

static X509_STORE *
make_store(const struct tsp_trust *trust, int64_t time)
{
	X509_STORE *s = X509_STORE_new();

	for (int i = 0; s != NULL && i < sk_X509_num(trust->roots); i++)
		(void)X509_STORE_add_cert(s, sk_X509_value(trust->roots, i));
	if (s != NULL)
		X509_VERIFY_PARAM_set_time(X509_STORE_get0_param(s),
			(trust->now != 0 ? trust->now : time) / 1000000);
	return s;
}

static TS_VERIFY_CTX *
make_ctx(TS_REQ *request, const uint8_t sha256[32],
	const struct tsp_trust *trust, int64_t time)
{
	TS_VERIFY_CTX *c;
	uint8_t *copy;
	X509_STORE *store;

	c = request != NULL ? TS_REQ_to_TS_VERIFY_CTX(request, NULL)
			    : TS_VERIFY_CTX_new();
	if (c == NULL)
		return NULL;
	TS_VERIFY_CTX_add_flags(
		c, TS_VFY_SIGNATURE | TS_VFY_VERSION | TS_VFY_IMPRINT);
	copy = OPENSSL_memdup(sha256, 32);
	store = make_store(trust, time);
	/* all three are the context's from now on */
	(void)TS_VERIFY_CTX_set_imprint(c, copy, 32);
	(void)TS_VERIFY_CTX_set_store(c, store);
	if (trust->chain != NULL)
		(void)TS_VERIFY_CTS_set_certs(
			c, X509_chain_up_ref(trust->chain));
	if (copy != NULL && store != NULL)
		return c;
	TS_VERIFY_CTX_free(c);
	return NULL;
}

static int
say_why(struct ofs_error *e)
{
	unsigned long first = ERR_peek_error();
	bool untrusted = ERR_GET_LIB(first) == ERR_LIB_TS &&
		ERR_GET_REASON(first) == TS_R_CERTIFICATE_VERIFY_ERROR;

	return err_ssl(e, untrusted ? OFS_EUNTRUSTED : OFS_ESIGNATURE,
		"the time-stamp is not good");
}

int
tsp_check(const uint8_t *p, size_t n, const uint8_t sha256[32],
	const uint8_t *request, size_t request_len,
	const struct tsp_trust *trust, int64_t *time, struct ofs_error *e)
{
	TS_VERIFY_CTX *c = NULL;
	TS_REQ *req = NULL;
	TS_RESP *resp = NULL;
	int rc = 0;

	if (request != NULL)
		rc = read_request(request, request_len, &req, e);
	if (rc == 0)
		rc = read_response(p, n, &resp, time, e);
	if (rc == 0 && (c = make_ctx(req, sha256, trust, *time)) == NULL)
		rc = err_nomem(e);
	ERR_clear_error();
	if (rc == 0 && TS_RESP_verify_response(c, resp) != 1)
		rc = say_why(e);
	ERR_clear_error();
	TS_VERIFY_CTX_free(c);
	TS_RESP_free(resp);
	TS_REQ_free(req);
	return rc;
}
