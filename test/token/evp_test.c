/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keys lent to OpenSSL through libp11, and what must not happen by it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "crypto/pubkey.h"
#include "softhsm.h"
#include "token/keydef.h"

static struct softhsm_seen seen;
static struct ofs_error e;
static ofs_ctx *ctx;
static ofs_token *token;

#define assert_ok(call)                                       \
	do {                                                  \
		if ((call) != 0)                              \
			fail_msg("%s: %s", #call, e.message); \
	} while (0)
#define assert_says(err, text)                                             \
	do {                                                               \
		if (strstr((err)->message, (text)) == NULL)                \
			fail_msg("'%s' lacks '%s'", (err)->message, text); \
	} while (0)

static int
open_all(void **state)
{
	(void)state;
	ctx = softhsm_ctx(&seen);
	token = softhsm_open(ctx, "pkcs11:token=bridge");
	return 0;
}

static int
close_all(void **state)
{
	(void)state;
	ofs_token_free(token);
	ofs_ctx_free(ctx);
	return 0;
}

static ofs_key *
make_key(const char *uri, const char *spec)
{
	ofs_key *k;

	assert_ok(key_generate(token, uri, spec, &k, &e));
	return k;
}

/* what an application does that knows OpenSSL only */
static void
make_request(EVP_PKEY *pk)
{
	X509_REQ *r = X509_REQ_new();
	X509_NAME *n = X509_NAME_new();

	assert_int_equal(X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_UTF8,
				 (const unsigned char *)"app", -1, -1, 0),
		1);
	assert_int_equal(X509_REQ_set_subject_name(r, n), 1);
	assert_int_equal(X509_REQ_set_pubkey(r, pk), 1);
	assert_true(X509_REQ_sign(r, pk, EVP_sha256()) > 0);
	assert_int_equal(X509_REQ_verify(r, pk), 1);
	X509_NAME_free(n);
	X509_REQ_free(r);
}

static int
sign_ours(ofs_key *k, struct ofs_error *err)
{
	const struct alg *a =
		alg_for(ofs_key_get_info(k)->type, OFS_DIGEST_DEFAULT);
	struct to_sign t = { .alg = a };
	struct buf sig = BUF_INIT;
	uint8_t hash[DIGEST_MAX];
	struct key_session *s;
	int rc;

	rc = key_session_open(k, &s, err);
	if (rc == 0)
		rc = digest_of(a->digest, "x", 1, hash, err);
	t.hash = hash;
	if (rc == 0)
		rc = key_session_sign(s, &t, &sig, err);
	if (rc == 0)
		rc = pubkey_verify(key_pub(k), a, hash, sig.p, sig.len, err);
	key_session_close(s);
	buf_free(&sig);
	return rc;
}

static void
lend(const char *spec)
{
	ofs_key *k = make_key("pkcs11:object=lent", spec);
	EVP_PKEY *pk, *again;

	assert_ok(key_to_evp(k, &pk, &e));
	assert_true(pubkey_equal(pk, key_pub(k)));
	make_request(pk);
	/* our own sessions and the login are still there */
	assert_ok(sign_ours(k, &e));
	/* once more gives the same */
	assert_ok(key_to_evp(k, &again, &e));
	assert_ptr_equal(pk, again);
	EVP_PKEY_free(again);
	make_request(pk);
	EVP_PKEY_free(pk);
	assert_ok(sign_ours(k, &e));
	assert_int_equal(seen.asked[OFS_PIN_USER], 1);
	assert_ok(key_destroy(k, &e));
	ofs_key_free(k);
}

static void
lends_rsa(void **state)
{
	(void)state;
	lend("rsa:2048");
}

static void
lends_ec(void **state)
{
	(void)state;
	lend("ec:P-256");
}

static void
lends_p521(void **state)
{
	(void)state;
	lend("ec:P-521");
}

static void
lends_secp256k1(void **state)
{
	(void)state;
	lend("ec:secp256k1");
}

static void
refuses_edwards_keys(void **state)
{
	ofs_key *k = make_key("pkcs11:object=own", "ed25519");
	EVP_PKEY *pk;

	(void)state;
	assert_int_equal(key_to_evp(k, &pk, &e), OFS_EUNSUPPORTED);
	assert_says(&e, "RSA and EC keys only");
	assert_null(pk);
	assert_ok(key_destroy(k, &e));
	ofs_key_free(k);
}

/* the module is finalised in between: nothing old is handed out */
static void
lends_again_after_a_reload(void **state)
{
	ofs_key *k = make_key("pkcs11:object=reload", "rsa:2048");
	EVP_PKEY *pk, *old;

	(void)state;
	/* the same steps twice, so that handle numbers are the same too */
	ofs_key_free(k);
	close_all(NULL);
	open_all(NULL);
	assert_int_equal(ofs_key_open(token, "pkcs11:object=reload", 0, &k), 0);
	assert_ok(key_to_evp(k, &old, &e));
	ofs_key_free(k);
	close_all(NULL);
	open_all(NULL);
	assert_int_equal(ofs_key_open(token, "pkcs11:object=reload", 0, &k), 0);
	assert_ok(key_to_evp(k, &pk, &e));
	assert_ptr_not_equal(pk, old);
	make_request(pk);
	EVP_PKEY_free(old);
	make_request(pk);
	EVP_PKEY_free(pk);
	assert_ok(sign_ours(k, &e));
	assert_ok(key_destroy(k, &e));
	ofs_key_free(k);
}

static int
set_id(const ofs_key *k, CK_OBJECT_HANDLE h, const char *id, size_t len)
{
	struct session s;
	CK_ATTRIBUTE t;
	CK_ULONG n = 0;
	CK_RV rv;

	assert_ok(token_rw_session(k->token, &s, &e));
	attr_add(&t, &n, CKA_ID, id, len);
	rv = s.module->f->C_SetAttributeValue(s.h, h, &t, 1);
	session_close(&s);
	return rv == CKR_OK ? 0 : -1;
}

static void
refuses_where_libp11_fails(void **state)
{
	const char *const edwards[] = { "--keypairgen", "--key-type",
		"EC:edwards25519", "--label", "ed", "--id", "e1", NULL };
	const char *const del_priv[] = { "--delete-object", "--type", "privkey",
		"--id", "e1", NULL };
	const char *const del_pub[] = { "--delete-object", "--type", "pubkey",
		"--id", "e1", NULL };
	ofs_key *k = make_key("pkcs11:object=a;id=%01", "rsa:2048");
	ofs_key *other = make_key("pkcs11:object=b;id=%02", "ec:P-256"), *pub;
	struct session s;
	EVP_PKEY *pk;

	(void)state;
	/* two keys with one id */
	assert_int_equal(set_id(other, other->p.priv.h, "\x01", 1), 0);
	pk = (EVP_PKEY *)&seen;
	assert_int_equal(key_to_evp(k, &pk, &e), OFS_EUNSUPPORTED);
	assert_says(&e, "same id");
	assert_null(pk);
	assert_int_equal(set_id(other, other->p.priv.h, "\x02", 1), 0);
	assert_ok(key_to_evp(k, &pk, &e));
	EVP_PKEY_free(pk);
	/* opened without a login */
	assert_int_equal(ofs_key_open(token, "pkcs11:object=a",
				 OFS_KEY_PUBLIC_ONLY, &pub),
		0);
	assert_int_equal(key_to_evp(pub, &pk, &e), OFS_EINVAL);
	ofs_key_free(pub);
	/* no public key object */
	assert_ok(token_rw_session(token, &s, &e));
	assert_ok(object_destroy(&s, other->p.pub.h, &e));
	session_close(&s);
	assert_int_equal(key_to_evp(other, &pk, &e), OFS_EUNSUPPORTED);
	assert_says(&e, "public key object");
	assert_int_equal(set_id(other, other->p.priv.h, "", 0), 0);
	other->p.priv.id_len = 0;
	assert_int_equal(key_to_evp(other, &pk, &e), OFS_EUNSUPPORTED);
	assert_says(&e, "no id");
	other->p.pub.h = 0;
	assert_ok(key_destroy(other, &e));
	ofs_key_free(other);
	ofs_key_free(k);
	/* an Ed25519 key beside it, then its public half alone */
	assert_int_equal(softhsm_pkcs11_tool("bridge", edwards), 0);
	close_all(NULL);
	open_all(NULL);
	assert_int_equal(ofs_key_open(token, "pkcs11:object=a", 0, &k), 0);
	assert_int_equal(key_to_evp(k, &pk, &e), OFS_EUNSUPPORTED);
	assert_says(&e, "Ed25519");
	assert_null(pk);
	assert_ok(sign_ours(k, &e));
	ofs_key_free(k);
	assert_int_equal(softhsm_pkcs11_tool("bridge", del_priv), 0);
	close_all(NULL);
	open_all(NULL);
	assert_int_equal(ofs_key_open(token, "pkcs11:object=a", 0, &k), 0);
	assert_int_equal(key_to_evp(k, &pk, &e), OFS_EUNSUPPORTED);
	ofs_key_free(k);
	assert_int_equal(softhsm_pkcs11_tool("bridge", del_pub), 0);
	close_all(NULL);
	open_all(NULL);
	assert_int_equal(ofs_key_open(token, "pkcs11:object=a", 0, &k), 0);
	assert_ok(key_to_evp(k, &pk, &e));
	make_request(pk);
	EVP_PKEY_free(pk);
	assert_ok(key_destroy(k, &e));
	ofs_key_free(k);
}

#define ROUNDS 60

struct worker {
	ofs_key *key;
	EVP_PKEY *pk;
	struct ofs_error e;
	int rc;
};

static void *
work(void *arg)
{
	struct worker *w = arg;

	for (int i = 0; w->rc == 0 && i < ROUNDS; i++) {
		if (w->key != NULL)
			w->rc = sign_ours(w->key, &w->e);
		else
			make_request(w->pk);
	}
	return NULL;
}

/* the application signs while we do */
static void
lends_beside_our_own_signing(void **state)
{
	ofs_key *k = make_key("pkcs11:object=both", "rsa:2048");
	struct worker w[2];
	pthread_t id[2];
	EVP_PKEY *pk;

	(void)state;
	memset(w, 0, sizeof(w));
	assert_ok(key_to_evp(k, &pk, &e));
	w[0].key = k;
	w[1].pk = pk;
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&id[i], NULL, work, &w[i]), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pthread_join(id[i], NULL), 0);
		if (w[i].rc != 0)
			fail_msg("thread %d: %s", i, w[i].e.message);
	}
	EVP_PKEY_free(pk);
	assert_ok(key_destroy(k, &e));
	ofs_key_free(k);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_all, close_all)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(lends_rsa),
		TEST(lends_ec),
		TEST(lends_p521),
		TEST(lends_secp256k1),
		TEST(refuses_edwards_keys),
		TEST(lends_again_after_a_reload),
		TEST(refuses_where_libp11_fails),
		TEST(lends_beside_our_own_signing),
	};
	int rc;

	softhsm_start();
	/* more than one slot, as libp11 must not disturb the others */
	softhsm_init_token("first");
	softhsm_init_token("bridge");
	cmocka_set_message_output(CM_OUTPUT_TAP);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	softhsm_stop();
	return rc;
}
