/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What auditors allow: statements that one of them has signed, as CMS. */
#include <limits.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
/* behind pem.h, or it declares less */
#include <openssl/cms.h>

#include "verify/authorise.h"

#include "crypto/cert.h"
#include "crypto/digest.h"

struct wanted {
	const uint8_t *sums;
	size_t n, kept; /* bytes, and of how many of them there is one */
	STACK_OF(X509) *found;
};

static int
take_cert(void *arg, const uint8_t sha256[32], const uint8_t *der, size_t n,
	struct ofs_error *e)
{
	struct wanted *w = arg;
	size_t before = w->kept;
	X509 *c = NULL;
	int rc;

	for (size_t at = 0; at + 32 <= w->n; at += 32)
		if (memcmp(w->sums + at, sha256, 32) == 0)
			w->kept += 32;
	if (w->kept == before)
		return 0;
	rc = cert_from_der(der, n, &c, e);
	if (rc == 0 && sk_X509_push(w->found, c) <= 0) {
		X509_free(c);
		rc = err_nomem(e);
	}
	return rc;
}

int
authorise_auditors(struct store *s, const uint8_t *sums, size_t n,
	STACK_OF(X509) **out, struct ofs_error *e)
{
	struct wanted w = { sums, n, 0, sk_X509_new_null() };
	int rc;

	*out = NULL;
	if (w.found == NULL)
		return err_nomem(e);
	rc = store_cert_each(s, NULL, INT_MAX, take_cert, &w, e);
	if (rc == 0 && w.kept != n)
		rc = err_set(e, OFS_EDAMAGED,
			"certificates of the auditors are not kept in the "
			"audit log");
	if (rc == 0)
		*out = w.found;
	else
		sk_X509_pop_free(w.found, X509_free);
	return rc;
}

int
authorise_of_log(ofs_audit *a, STACK_OF(X509) **out, struct ofs_error *e)
{
	struct ofs_field f = { .len = 0 };
	ofs_record *genesis;
	bool nested;
	int rc;

	*out = NULL;
	rc = log_get(a, 0, &genesis, e);
	if (rc != 0)
		return rc;
	if (!ofs_record_find(genesis, "auditors", &f))
		rc = err_set(e, OFS_EUNTRUSTED,
			"the audit log has no auditors who could allow it: "
			"they are named when a log is made, with ofs-audit "
			"init --auditor");
	if (rc == 0)
		rc = handle_enter(a, &nested, e);
	if (rc == 0) {
		rc = authorise_auditors(&a->store, f.bytes, f.len, out, e);
		handle_leave(a, nested);
	}
	ofs_record_free(genesis);
	return rc;
}

/* PEM "CMS" or "PKCS7", or DER and nothing behind it */
static CMS_ContentInfo *
read_cms(const uint8_t *p, size_t n)
{
	static const char *const names[] = { "-----BEGIN CMS-----",
		"-----BEGIN PKCS7-----" };
	const unsigned char *at = p;
	CMS_ContentInfo *cms;
	bool pem = false;
	BIO *in;

	for (size_t i = 0; i < 2; i++)
		pem = pem ||
			(n > strlen(names[i]) &&
				memcmp(p, names[i], strlen(names[i])) == 0);
	if (pem) {
		in = BIO_new_mem_buf(p, (int)n);
		cms = in != NULL ? PEM_read_bio_CMS(in, NULL, NULL, NULL)
				 : NULL;
		BIO_free(in);
		return cms;
	}
	cms = d2i_CMS_ContentInfo(NULL, &at, (long)n);
	if (cms != NULL && at != p + n) {
		CMS_ContentInfo_free(cms);
		cms = NULL;
	}
	return cms;
}

/* at least one, and with hashes that we take for documents */
static bool
has_signers(CMS_ContentInfo *cms)
{
	STACK_OF(CMS_SignerInfo) *all = CMS_get0_SignerInfos(cms);
	X509_ALGOR *digest;
	int i;

	for (i = 0; i < sk_CMS_SignerInfo_num(all); i++) {
		CMS_SignerInfo_get0_algs(sk_CMS_SignerInfo_value(all, i), NULL,
			NULL, &digest, NULL);
		if (digest == NULL ||
			digest_by_nid(OBJ_obj2nid(digest->algorithm)) == NULL)
			return false;
	}
	return i > 0;
}

static int
check_signature(CMS_ContentInfo *cms, STACK_OF(X509) *auditors, BIO *content,
	char *who, size_t who_size, struct ofs_error *e)
{
	STACK_OF(X509) *signers;

	if (OBJ_obj2nid(CMS_get0_type(cms)) != NID_pkcs7_signed ||
		CMS_is_detached(cms) != 0)
		return err_set(e, OFS_EUNREADABLE,
			"what an auditor signs must be inside the CMS file: "
			"openssl cms -sign -nodetach -binary -outform PEM");
	if (!has_signers(cms))
		return err_set(e, OFS_ESIGNATURE,
			"the CMS file has no signer, or one with a hash that "
			"is not taken");
	if (CMS_verify(cms, auditors, NULL, NULL, content,
		    CMS_NOINTERN | CMS_NO_SIGNER_CERT_VERIFY | CMS_BINARY) !=
		1) {
		if (ERR_GET_REASON(ERR_peek_error()) ==
			CMS_R_SIGNER_CERTIFICATE_NOT_FOUND)
			return err_ssl(e, OFS_EUNTRUSTED,
				"it is signed by somebody who is no auditor of "
				"this log");
		return err_ssl(e, OFS_ESIGNATURE,
			"signature of the auditor is not valid");
	}
	signers = CMS_get0_signers(cms);
	if (signers == NULL)
		return err_nomem(e);
	cert_subject(sk_X509_value(signers, 0), who, who_size);
	sk_X509_free(signers);
	return 0;
}

static int
put_der(CMS_ContentInfo *cms, struct buf *der, struct ofs_error *e)
{
	unsigned char *p = NULL;
	int n = i2d_CMS_ContentInfo(cms, &p);

	if (n <= 0)
		return err_ssl(e, OFS_EINTERNAL, "cannot encode CMS");
	buf_put(der, p, (size_t)n);
	OPENSSL_free(p);
	return buf_ok(der) ? 0 : err_nomem(e);
}

int
authorise_check(STACK_OF(X509) *auditors, const uint8_t *cms_file, size_t n,
	enum statement_kind kind, struct statement *s, char *who,
	size_t who_size, struct buf *der, struct ofs_error *e)
{
	BIO *content = BIO_new(BIO_s_mem());
	CMS_ContentInfo *cms = NULL;
	struct ofs_error why;
	char *text;
	long len;
	int rc = 0;

	memset(s, 0, sizeof(*s));
	who[0] = '\0';
	if (n > 0 && n <= AUTHORISE_MAX)
		cms = read_cms(cms_file, n);
	if (content == NULL)
		rc = err_nomem(e);
	else if (cms == NULL)
		rc = err_set(e, OFS_EUNREADABLE,
			"what an auditor signed is no CMS file, PEM or DER");
	ERR_clear_error();
	if (rc == 0)
		rc = check_signature(cms, auditors, content, who, who_size, e);
	if (rc == 0) {
		len = BIO_get_mem_data(content, &text);
		if (statement_decode((const uint8_t *)text,
			    len > 0 ? (size_t)len : 0, kind, s, &why) != 0)
			rc = err_set(e, why.code,
				"what the auditor signed is no such statement: "
				"%s",
				why.message);
	}
	if (rc == 0 && der != NULL)
		rc = put_der(cms, der, e);
	CMS_ContentInfo_free(cms);
	BIO_free(content);
	return rc;
}
