/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Document tags: how records are found by digest without being opened. */
#include <string.h>

#include <openssl/core_names.h>

#include "audit/tag.h"

#include "base/mem.h"

int
tag_init(struct tag *t, struct ofs_error *e)
{
	OSSL_PARAM params[2];
	char name[] = "SHA256";
	EVP_MAC *mac;

	mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	t->key = mem_secret_new(TAG_KEY);
	t->ctx = mac != NULL ? EVP_MAC_CTX_new(mac) : NULL;
	EVP_MAC_free(mac);
	params[0] = OSSL_PARAM_construct_utf8_string(
		OSSL_MAC_PARAM_DIGEST, name, 0);
	params[1] = OSSL_PARAM_construct_end();
	if (t->key == NULL || t->ctx == NULL ||
		EVP_MAC_init(t->ctx, t->key, TAG_KEY, params) != 1) {
		tag_free(t);
		return err_ssl(e, OFS_EINTERNAL, "cannot use HMAC");
	}
	return 0;
}

int
tag_set_key(struct tag *t, const uint8_t key[TAG_KEY], struct ofs_error *e)
{
	memcpy(t->key, key, TAG_KEY);
	if (EVP_MAC_init(t->ctx, t->key, TAG_KEY, NULL) != 1)
		return err_ssl(e, OFS_EINTERNAL, "cannot use HMAC");
	return 0;
}

int
tag_of(struct tag *t, const uint8_t *digest, size_t n, uint8_t out[TAG_SIZE],
	struct ofs_error *e)
{
	uint8_t mac[EVP_MAX_MD_SIZE];
	size_t len = 0;

	if (EVP_MAC_init(t->ctx, t->key, TAG_KEY, NULL) != 1 ||
		EVP_MAC_update(t->ctx, digest, n) != 1 ||
		EVP_MAC_final(t->ctx, mac, &len, sizeof(mac)) != 1 ||
		len < TAG_SIZE)
		return err_ssl(e, OFS_EINTERNAL, "cannot tag a document");
	memcpy(out, mac, TAG_SIZE);
	return 0;
}

void
tag_free(struct tag *t)
{
	EVP_MAC_CTX_free(t->ctx);
	t->ctx = NULL;
	mem_secret_free(t->key, TAG_KEY);
	t->key = NULL;
}
