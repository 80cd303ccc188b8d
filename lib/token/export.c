/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What of a key may leave its token: public key and certificate. */
#include "crypto/cert.h"
#include "crypto/pubkey.h"
#include "token/keydef.h"

/* hands b's bytes over, or e to the key's record */
static int
hand_out(ofs_key *key, struct buf *b, int rc, uint8_t **out, size_t *len,
	struct ofs_error *e)
{
	/* a text ends with a NUL */
	if (rc == 0 && buf_cstr(b) == NULL)
		rc = err_nomem(e);
	if (rc == 0)
		*out = buf_take(b, len);
	buf_free(b);
	return rc == 0 ? 0 : key_fail(key, e);
}

int
ofs_key_pub_pem(ofs_key *key, char **pem)
{
	struct buf b = BUF_INIT;
	struct ofs_error e;
	uint8_t *p = NULL;
	size_t len;
	int rc;

	*pem = NULL;
	err_clear(&key->err);
	err_clear(&e);
	rc = pubkey_to_pem(key->p.key, &b, &e);
	rc = hand_out(key, &b, rc, &p, &len, &e);
	*pem = (char *)p;
	return rc;
}

int
ofs_key_pub_der(ofs_key *key, uint8_t **der, size_t *len)
{
	struct buf b = BUF_INIT;
	struct ofs_error e;
	int rc;

	*der = NULL;
	*len = 0;
	err_clear(&key->err);
	err_clear(&e);
	rc = pubkey_to_spki(key->p.key, &b, &e);
	return hand_out(key, &b, rc, der, len, &e);
}

static int
check_cert(const ofs_key *key, struct ofs_error *e)
{
	if (key->p.x509 != NULL)
		return 0;
	return err_set(e, OFS_EKEY,
		"key '%s' has no certificate on the token; import one with "
		"ofs-token import-cert",
		key->p.info.label);
}

int
ofs_key_cert_pem(ofs_key *key, char **pem)
{
	struct buf b = BUF_INIT;
	struct ofs_error e;
	uint8_t *p = NULL;
	size_t len;
	int rc;

	*pem = NULL;
	err_clear(&key->err);
	err_clear(&e);
	rc = check_cert(key, &e);
	if (rc == 0)
		rc = cert_to_pem(key->p.x509, &b, &e);
	rc = hand_out(key, &b, rc, &p, &len, &e);
	*pem = (char *)p;
	return rc;
}

int
ofs_key_cert_der(ofs_key *key, uint8_t **der, size_t *len)
{
	struct buf b = BUF_INIT;
	struct ofs_error e;
	int rc;

	*der = NULL;
	*len = 0;
	err_clear(&key->err);
	err_clear(&e);
	rc = check_cert(key, &e);
	if (rc == 0)
		rc = cert_to_der(key->p.x509, &b, &e);
	return hand_out(key, &b, rc, der, len, &e);
}
