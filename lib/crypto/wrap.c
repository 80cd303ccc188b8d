/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keys of 32 bytes, wrapped: by another key, a passphrase, a certificate. */
#include <string.h>

#include <openssl/cms.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "crypto/wrap.h"

#include "base/mem.h"
#include "base/rd.h"
#include "crypto/cert.h"
#include "crypto/der.h"
#include "crypto/pubkey.h"

#define SCRYPT_VERSION 1
#define SCRYPT_LOG_N 17
#define SCRYPT_R 8
#define SCRYPT_P 1
/* what a log from elsewhere may make us spend: 1 GiB */
#define SCRYPT_LOG_N_MAX 20
#define SCRYPT_R_MAX 8
#define SCRYPT_P_MAX 4
#define TOKEN_VERSION 1
#define RSA_BITS_MIN 2048
#define CMS_MAX 65536

static int
kwp(int enc, const uint8_t kek[WRAP_KEY], const uint8_t *p, size_t n,
	uint8_t *out, int *len, struct ofs_error *e)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int ok;

	if (ctx == NULL)
		return err_nomem(e);
	EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	ok = EVP_CipherInit_ex(
		ctx, EVP_aes_256_wrap_pad(), NULL, kek, NULL, enc);
	if (ok == 1)
		ok = EVP_CipherUpdate(ctx, out, len, p, (int)n);
	EVP_CIPHER_CTX_free(ctx);
	if (ok != 1 && enc == 0) {
		ERR_clear_error();
		return err_set(e, OFS_EDAMAGED,
			"wrapped key is not for the key that is here");
	}
	return ok == 1 ? 0 : err_ssl(e, OFS_EINTERNAL, "cannot wrap a key");
}

int
wrap_kwp(const uint8_t kek[WRAP_KEY], const uint8_t key[WRAP_KEY],
	uint8_t out[WRAP_KWP_SIZE], struct ofs_error *e)
{
	int len = 0;
	int rc = kwp(1, kek, key, WRAP_KEY, out, &len, e);

	if (rc == 0 && len != WRAP_KWP_SIZE)
		rc = err_set(e, OFS_EINTERNAL, "cannot wrap a key");
	return rc;
}

int
wrap_kwp_open(const uint8_t kek[WRAP_KEY], const uint8_t *p, size_t n,
	uint8_t key[WRAP_KEY], struct ofs_error *e)
{
	uint8_t out[WRAP_KWP_SIZE + 8];
	int len = 0, rc;

	if (n != WRAP_KWP_SIZE)
		return err_set(e, OFS_EDAMAGED, "wrapped key is malformed");
	rc = kwp(0, kek, p, n, out, &len, e);
	if (rc == 0 && len != WRAP_KEY)
		rc = err_set(e, OFS_EDAMAGED, "wrapped key is malformed");
	if (rc == 0)
		memcpy(key, out, WRAP_KEY);
	mem_wipe(out, sizeof(out));
	return rc;
}

int
wrap_scrypt_init(struct wrap_scrypt *s, struct ofs_error *e)
{
	s->log_n = SCRYPT_LOG_N;
	s->r = SCRYPT_R;
	s->p = SCRYPT_P;
	if (RAND_bytes(s->salt, sizeof(s->salt)) != 1)
		return err_ssl(e, OFS_EINTERNAL, "cannot make a salt");
	return 0;
}

int
wrap_scrypt_key(const struct wrap_scrypt *s, const char *passphrase,
	uint8_t kek[WRAP_KEY], struct ofs_error *e)
{
	uint64_t n = UINT64_C(1) << s->log_n;

	if (EVP_PBE_scrypt(passphrase, strlen(passphrase), s->salt,
		    sizeof(s->salt), n, s->r, s->p,
		    128 * (n + s->p + 2) * s->r + (1u << 20), kek,
		    WRAP_KEY) == 1)
		return 0;
	mem_wipe(kek, WRAP_KEY);
	return err_ssl(e, OFS_ENOMEM,
		"cannot make a key of the passphrase; it takes %llu MiB",
		(unsigned long long)(128 * n * s->r >> 20));
}

void
wrap_scrypt_put(const struct wrap_scrypt *s, const uint8_t kwp40[WRAP_KWP_SIZE],
	uint8_t out[WRAP_SCRYPT_SIZE])
{
	size_t i;

	out[0] = SCRYPT_VERSION;
	out[1] = s->log_n;
	for (i = 0; i < 4; i++) {
		out[2 + i] = (uint8_t)(s->r >> (24 - 8 * i));
		out[6 + i] = (uint8_t)(s->p >> (24 - 8 * i));
	}
	memcpy(out + 10, s->salt, WRAP_SALT);
	memcpy(out + 10 + WRAP_SALT, kwp40, WRAP_KWP_SIZE);
}

int
wrap_scrypt_parse(const uint8_t *p, size_t n, struct wrap_scrypt *s,
	const uint8_t **kwp40, struct ofs_error *e)
{
	struct rd r;
	uint8_t version;

	rd_init(&r, p, n);
	version = rd_u8(&r);
	s->log_n = rd_u8(&r);
	s->r = rd_u32(&r);
	s->p = rd_u32(&r);
	rd_copy(&r, s->salt, sizeof(s->salt));
	*kwp40 = rd_bytes(&r, WRAP_KWP_SIZE);
	if (!rd_done(&r) || version != SCRYPT_VERSION || s->log_n < 1 ||
		s->log_n > SCRYPT_LOG_N_MAX || s->r < 1 ||
		s->r > SCRYPT_R_MAX || s->p < 1 || s->p > SCRYPT_P_MAX)
		return err_set(e, OFS_EDAMAGED,
			"key that is wrapped by a passphrase is malformed, or "
			"would cost too much to open");
	return 0;
}

/* RFC 8017 7.1, one hash for all its uses */
static bool
set_oaep(EVP_PKEY_CTX *ctx, const EVP_MD *md)
{
	return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) > 0 &&
		EVP_PKEY_CTX_set_rsa_oaep_md(ctx, md) > 0 &&
		EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, md) > 0;
}

static int
encrypt_for(EVP_PKEY *rsa, const EVP_MD *md, const uint8_t kek[WRAP_KEY],
	uint8_t *to, size_t *n)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(rsa, NULL);
	int ok = ctx != NULL && EVP_PKEY_encrypt_init(ctx) == 1 &&
		set_oaep(ctx, md) &&
		EVP_PKEY_encrypt(ctx, to, n, kek, WRAP_KEY) == 1;

	EVP_PKEY_CTX_free(ctx);
	return ok;
}

int
wrap_token_init(struct wrap_token *t, EVP_PKEY *rsa, enum wrap_oaep hash,
	const uint8_t kek[WRAP_KEY], struct ofs_error *e)
{
	const EVP_MD *md = hash == WRAP_OAEP_SHA1 ? EVP_sha1() : EVP_sha256();
	int bits = EVP_PKEY_get_bits(rsa);
	int rc;

	memset(t, 0, sizeof(*t));
	if (EVP_PKEY_get_base_id(rsa) != EVP_PKEY_RSA || bits < RSA_BITS_MIN ||
		bits > 8 * WRAP_OAEP_MAX)
		return err_set(e, OFS_EKEY,
			"a station key on a token is an RSA key of %d to %d "
			"bits",
			RSA_BITS_MIN, 8 * WRAP_OAEP_MAX);
	t->hash = hash;
	t->n = sizeof(t->box);
	rc = pubkey_sha256(rsa, t->spki_sha256, e);
	if (rc == 0 && !encrypt_for(rsa, md, kek, t->box, &t->n))
		rc = err_ssl(e, OFS_EINTERNAL, "cannot wrap a key");
	return rc;
}

bool
wrap_token_equal(const struct wrap_token *a, const struct wrap_token *b)
{
	return a->hash == b->hash && a->n == b->n &&
		memcmp(a->spki_sha256, b->spki_sha256, 32) == 0 &&
		memcmp(a->box, b->box, a->n) == 0;
}

void
wrap_token_put(const struct wrap_token *t, const uint8_t kwp40[WRAP_KWP_SIZE],
	struct buf *to)
{
	buf_u8(to, TOKEN_VERSION);
	buf_u8(to, (uint8_t)t->hash);
	buf_put(to, t->spki_sha256, sizeof(t->spki_sha256));
	buf_u8(to, (uint8_t)(t->n >> 8));
	buf_u8(to, (uint8_t)t->n);
	buf_put(to, t->box, t->n);
	buf_put(to, kwp40, WRAP_KWP_SIZE);
}

int
wrap_token_parse(const uint8_t *p, size_t n, struct wrap_token *t,
	const uint8_t **kwp40, struct ofs_error *e)
{
	uint8_t version, hash;
	struct rd r;

	memset(t, 0, sizeof(*t));
	rd_init(&r, p, n);
	version = rd_u8(&r);
	hash = rd_u8(&r);
	rd_copy(&r, t->spki_sha256, sizeof(t->spki_sha256));
	t->n = rd_u16(&r);
	if (t->n <= sizeof(t->box))
		rd_copy(&r, t->box, t->n);
	*kwp40 = rd_bytes(&r, WRAP_KWP_SIZE);
	if (!rd_done(&r) || version != TOKEN_VERSION ||
		t->n < RSA_BITS_MIN / 8 || t->n > sizeof(t->box) ||
		(hash != WRAP_OAEP_SHA1 && hash != WRAP_OAEP_SHA256))
		return err_set(e, OFS_EDAMAGED,
			"key that is wrapped for a token is malformed");
	t->hash = (enum wrap_oaep)hash;
	return 0;
}

int
wrap_x509_check(X509 *c, int64_t now, struct ofs_error *e)
{
	const EVP_PKEY *k = X509_get0_pubkey(c);
	int type = k != NULL ? EVP_PKEY_get_base_id(k) : EVP_PKEY_NONE;
	uint32_t need;
	char subject[256];
	int64_t until;
	int rc;

	cert_subject(c, subject, sizeof(subject));
	rc = cert_not_after(c, &until, e);
	if (rc != 0)
		return rc;
	if (until < now)
		return err_set(e, OFS_ECERT,
			"auditor's certificate '%s' has expired", subject);
	if (type != EVP_PKEY_RSA && type != EVP_PKEY_EC)
		return err_set(e, OFS_ECERT,
			"auditor's certificate '%s' has a key that nothing can "
			"be encrypted for; RSA and EC can be",
			subject);
	if (type == EVP_PKEY_RSA && EVP_PKEY_get_bits(k) < RSA_BITS_MIN)
		return err_set(e, OFS_ECERT,
			"auditor's certificate '%s' has an RSA key of %d bits; "
			"%d is the least",
			subject, EVP_PKEY_get_bits(k), RSA_BITS_MIN);
	need = type == EVP_PKEY_RSA ? KU_KEY_ENCIPHERMENT : KU_KEY_AGREEMENT;
	if ((X509_get_key_usage(c) & need) == 0)
		return err_set(e, OFS_ECERT,
			"auditor's certificate '%s' is not for encryption: its "
			"key usage lacks %s",
			subject,
			type == EVP_PKEY_RSA ? "keyEncipherment"
					     : "keyAgreement");
	return 0;
}

static bool
set_recipient(CMS_ContentInfo *cms, X509 *c)
{
	CMS_RecipientInfo *ri;
	EVP_PKEY_CTX *ctx;

	ri = CMS_add1_recipient_cert(cms, c, CMS_KEY_PARAM);
	ctx = ri != NULL ? CMS_RecipientInfo_get0_pkey_ctx(ri) : NULL;
	if (ctx == NULL)
		return false;
	if (EVP_PKEY_get_base_id(X509_get0_pubkey(c)) == EVP_PKEY_EC)
		return EVP_PKEY_CTX_set_ecdh_kdf_md(ctx, EVP_sha256()) > 0;
	return set_oaep(ctx, EVP_sha256());
}

int
wrap_x509(X509 *c, const uint8_t key[WRAP_KEY], struct buf *to,
	struct ofs_error *e)
{
	unsigned int flags = CMS_BINARY | CMS_PARTIAL;
	BIO *in = BIO_new_mem_buf(key, WRAP_KEY);
	unsigned char *der = NULL;
	CMS_ContentInfo *cms;
	int n = -1, rc = 0;

	cms = CMS_encrypt(NULL, NULL, EVP_aes_256_cbc(), flags);
	if (in != NULL && cms != NULL && set_recipient(cms, c) &&
		CMS_final(cms, in, NULL, flags) == 1)
		n = i2d_CMS_ContentInfo(cms, &der);
	if (n <= 0)
		rc = err_ssl(e, OFS_ECERT,
			"cannot encrypt for an auditor's certificate");
	else
		buf_put(to, der, (size_t)n);
	OPENSSL_free(der);
	CMS_ContentInfo_free(cms);
	BIO_free(in);
	if (rc == 0 && !buf_ok(to))
		rc = err_nomem(e);
	return rc;
}

int
wrap_x509_open(EVP_PKEY *k, X509 *c, const uint8_t *p, size_t n,
	uint8_t key[WRAP_KEY], struct ofs_error *e)
{
	const unsigned char *at = p;
	CMS_ContentInfo *cms = NULL;
	BIO *out = BIO_new(BIO_s_mem());
	char *got = NULL;
	long len = 0;
	int rc = 0;

	if (out == NULL)
		return err_nomem(e);
	if (n <= CMS_MAX && der_is_strict(p, n))
		cms = d2i_CMS_ContentInfo(NULL, &at, (long)n);
	if (cms != NULL && at == p + n &&
		OBJ_obj2nid(CMS_get0_type(cms)) == NID_pkcs7_enveloped &&
		CMS_decrypt(cms, k, c, NULL, out, CMS_BINARY) == 1)
		len = BIO_get_mem_data(out, &got);
	if (got != NULL && len == WRAP_KEY)
		memcpy(key, got, WRAP_KEY);
	else
		rc = err_set(e, OFS_EDAMAGED,
			"key that is wrapped for an auditor is malformed, or "
			"not for the key that is here");
	ERR_clear_error();
	if (BIO_get_mem_data(out, &got) > 0)
		mem_wipe(got, (size_t)BIO_get_mem_data(out, &got));
	BIO_free(out);
	CMS_ContentInfo_free(cms);
	return rc;
}
