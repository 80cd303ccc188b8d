/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keys against SoftHSM2: made, found, listed, signed with, certified. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/pem.h>

#include "base/hex.h"
#include "crypto/cert.h"
#include "crypto/pubkey.h"
#include "softhsm.h"
#include "token/keydef.h"
#include "token/login.h"

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

struct listed {
	int n, priv, pub, cert;
	struct ofs_key_info last;
	const char *wanted;
	int stop_at;
};

static int
note(void *arg, const struct ofs_key_info *i)
{
	struct listed *l = arg;

	l->n++;
	l->priv += i->has_private;
	l->pub += i->has_public;
	l->cert += i->has_cert;
	if (l->wanted != NULL && strcmp(i->label, l->wanted) == 0)
		l->last = *i;
	return l->n == l->stop_at ? 5 : 0;
}

static int
open_all(void **state)
{
	(void)state;
	ctx = softhsm_ctx(&seen);
	token = softhsm_open(ctx, "pkcs11:token=keys");
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
open_key(const char *uri)
{
	ofs_key *k;

	if (ofs_key_open(token, uri, 0, &k) != 0)
		fail_msg("%s: %s", uri, ofs_token_error(token)->message);
	return k;
}

static ofs_key *
make_key(const char *uri, const char *spec)
{
	ofs_key *k;

	assert_ok(key_generate(token, uri, spec, &k, &e));
	return k;
}

/* signs with s and verifies it in software; t->hash is filled in here */
static int
sign_as(struct key_session *s, ofs_key *k, struct to_sign *t,
	struct ofs_error *err)
{
	struct buf sig = BUF_INIT;
	uint8_t hash[DIGEST_MAX];
	int rc;

	rc = digest_of(t->alg->digest, t->message, t->message_len, hash, err);
	t->hash = hash;
	if (rc == 0)
		rc = key_session_sign(s, t, &sig, err);
	if (rc == 0)
		rc = pubkey_verify_signed(key_pub(k), t, sig.p, sig.len, err);
	if (rc == 0) { /* and the verification means something */
		sig.p[sig.len - 1] ^= 1;
		if (pubkey_verify_signed(key_pub(k), t, sig.p, sig.len, err) !=
			OFS_ESIGNATURE)
			rc = OFS_EINTERNAL;
	}
	t->hash = NULL;
	buf_free(&sig);
	return rc;
}

static int
sign_and_verify(struct key_session *s, ofs_key *k, enum ofs_digest d,
	unsigned int n, struct ofs_error *err)
{
	struct to_sign t = { .alg = alg_for(ofs_key_get_info(k)->type, d),
		.message = (const uint8_t *)&n,
		.message_len = sizeof(n) };

	return sign_as(s, k, &t, err);
}

static void
sign_once(ofs_key *k)
{
	static const enum ofs_digest digests[] = { OFS_DIGEST_SHA256,
		OFS_DIGEST_SHA384, OFS_DIGEST_SHA512 };
	struct key_session *s;

	assert_ok(key_session_open(k, &s, &e));
	for (unsigned int i = 0; i < 3; i++)
		if (alg_for(ofs_key_get_info(k)->type, digests[i]) != NULL)
			assert_ok(sign_and_verify(s, k, digests[i], i, &e));
	key_session_close(s);
}

static void
generate(const char *spec, enum ofs_key_type type, const char *name,
	unsigned int bits)
{
	const struct ofs_key_info *i;
	char uri[64];
	uint8_t spki[32];
	ofs_key *k;

	snprintf(uri, sizeof(uri), "pkcs11:object=gen-%s", name);
	k = make_key(uri, spec);
	i = ofs_key_get_info(k);
	assert_int_equal(i->type, type);
	assert_string_equal(i->type_name, name);
	assert_int_equal(i->bits, bits);
	assert_int_equal(i->id_len, 16);
	assert_true(i->has_private && i->has_public && !i->has_cert);
	assert_int_equal(i->sensitive, 1);
	assert_int_equal(i->extractable, 0);
	assert_int_equal(i->always_sensitive, 1);
	assert_int_equal(i->never_extractable, 1);
	assert_int_equal(i->local, 1);
	assert_int_equal(i->always_authenticate, 0);
	assert_int_equal(i->sign, 1);
	sign_once(k);
	memcpy(spki, i->spki_sha256, 32);
	ofs_key_free(k);
	/* and it is found again, as the same */
	k = open_key(uri);
	assert_memory_equal(ofs_key_get_info(k)->spki_sha256, spki, 32);
	assert_ok(key_destroy(k, &e));
	ofs_key_free(k);
	assert_int_equal(ofs_key_open(token, uri, 0, &k), OFS_EKEY);
	assert_null(k);
}

static void
generates_every_type(void **state)
{
	(void)state;
	generate("rsa:2048", OFS_KEY_RSA, "RSA-2048", 2048);
	generate("rsa:3072", OFS_KEY_RSA, "RSA-3072", 3072);
	generate("ec:P-256", OFS_KEY_EC_P256, "P-256", 256);
	generate("ec:P-384", OFS_KEY_EC_P384, "P-384", 384);
	generate("ec:P-521", OFS_KEY_EC_P521, "P-521", 521);
	generate("ec:secp256k1", OFS_KEY_EC_SECP256K1, "secp256k1", 256);
}

/* usages that were not asked for are not there */
static void
generates_for_signing_only(void **state)
{
	static const CK_ATTRIBUTE_TYPE types[] = { CKA_DECRYPT, CKA_UNWRAP,
		CKA_DERIVE, CKA_SIGN_RECOVER, CKA_PRIVATE, CKA_TOKEN };
	ofs_key *k = make_key("pkcs11:object=usage", "rsa:2048");
	struct session *s;
	struct attrs a;

	(void)state;
	assert_ok(token_session(token, &s, &e));
	assert_ok(attrs_read(s, k->p.priv.h, types, 6, &a, &e));
	for (int i = 0; i < 4; i++)
		assert_int_equal(attrs_bool(&a, types[i]), 0);
	assert_int_equal(attrs_bool(&a, CKA_PRIVATE), 1);
	assert_int_equal(attrs_bool(&a, CKA_TOKEN), 1);
	attrs_free(&a);
	assert_ok(key_destroy(k, &e));
	ofs_key_free(k);
}

static void
refuses_bad_specs(void **state)
{
	static const char *const bad[] = { "", "rsa", "rsa:", "rsa:1024",
		"rsa:2047", "rsa:2049", "rsa:4352", "rsa:02048", "rsa:+204",
		"rsa:20480", "ec:p-256", "ec:P-224", "ec:secp256r1",
		"ec:ed25519", "Ed25519", "ed25518", "RSA:2048", NULL };
	ofs_key *k;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		k = (ofs_key *)&seen;
		assert_int_equal(key_generate(token, "pkcs11:object=bad",
					 bad[i], &k, &e),
			OFS_EINVAL);
		assert_null(k);
	}
	assert_int_equal(key_generate(token, "pkcs11:token=x;object=y",
				 "ec:P-256", &k, &e),
		OFS_EINVAL);
	assert_int_equal(key_generate(token, "pkcs11:object=y;type=data",
				 "ec:P-256", &k, &e),
		OFS_EINVAL);
	assert_int_equal(seen.asked[OFS_PIN_USER], 0);
}

static void
refuses_a_taken_place(void **state)
{
	ofs_key *k = make_key("pkcs11:object=taken;id=%01%02", "ec:P-256"),
		*other;

	(void)state;
	assert_int_equal(k->p.info.id_len, 2);
	assert_int_equal(key_generate(token, "pkcs11:object=taken", "ec:P-256",
				 &other, &e),
		OFS_EEXIST);
	assert_says(&e, "label");
	assert_int_equal(key_generate(token, "pkcs11:object=x;id=%01%02",
				 "ec:P-256", &other, &e),
		OFS_EEXIST);
	assert_says(&e, "id");
	/* near it is not on it */
	other = make_key("pkcs11:object=taken2;id=%01%03", "ec:P-256");
	assert_ok(key_destroy(other, &e));
	ofs_key_free(other);
	/* a public key alone takes a place too */
	{
		struct session s;

		assert_ok(token_rw_session(token, &s, &e));
		assert_ok(object_destroy(&s, k->p.priv.h, &e));
		session_close(&s);
	}
	assert_int_equal(key_generate(token, "pkcs11:object=taken", "ec:P-256",
				 &other, &e),
		OFS_EEXIST);
	assert_says(&e, "public key");
	k->p.priv.h = 0;
	assert_ok(key_destroy(k, &e));
	ofs_key_free(k);
	k = make_key("pkcs11:object=taken;id=%01%02", "ec:P-256");
	assert_ok(key_destroy(k, &e));
	ofs_key_free(k);
}

static void
names_what_is_missing(void **state)
{
	ofs_key *k = make_key("pkcs11:id=%0a%0b", "ec:P-256");
	char hex[16];

	(void)state;
	/* a missing label is the id */
	assert_string_equal(k->p.info.label, hex_encode(hex, k->p.info.id, 2));
	assert_ok(key_destroy(k, &e));
	ofs_key_free(k);
	k = make_key("pkcs11:", "ec:P-256");
	assert_int_equal(k->p.info.id_len, 16);
	assert_int_equal(strlen(k->p.info.label), 32);
	assert_ok(key_destroy(k, &e));
	ofs_key_free(k);
}

static void
make_raw(const char *label, const char *id, const char *type)
{
	const char *const args[] = { "--keypairgen", "--key-type", type,
		"--label", label, "--id", id, "--usage-sign", NULL };

	assert_int_equal(softhsm_pkcs11_tool("keys", args), 0);
}

static void
delete_raw(const char *type, const char *id)
{
	const char *const args[] = { "--delete-object", "--type", type, "--id",
		id, NULL };

	assert_int_equal(softhsm_pkcs11_tool("keys", args), 0);
}

/* another program's change is seen by a module that starts anew */
static void
reopen(void)
{
	close_all(NULL);
	open_all(NULL);
}

static void
lists_ambiguous_keys(void **state)
{
	ofs_key *k, *one, *two;

	(void)state;
	make_raw("same", "1111", "EC:prime256v1");
	make_raw("same", "2222", "EC:prime256v1");
	reopen();
	assert_int_equal(ofs_key_open(token, "pkcs11:object=same", 0, &k),
		OFS_EAMBIGUOUS);
	assert_null(k);
	assert_says(ofs_token_error(token), "'same' (id 1111)");
	assert_says(ofs_token_error(token), "'same' (id 2222)");
	assert_int_equal(ofs_key_open(token, "pkcs11:object=same",
				 OFS_KEY_PUBLIC_ONLY, &k),
		OFS_EAMBIGUOUS);
	one = open_key("pkcs11:object=same;id=%11%11");
	two = open_key("pkcs11:id=%22%22");
	assert_false(pubkey_equal(key_pub(one), key_pub(two)));
	sign_once(one);
	sign_once(two);
	assert_ok(key_destroy(one, &e));
	ofs_key_free(one);
	/* now the label is enough */
	one = open_key("pkcs11:object=same");
	assert_true(pubkey_equal(key_pub(one), key_pub(two)));
	ofs_key_free(one);
	assert_ok(key_destroy(two, &e));
	ofs_key_free(two);
}

static void
says_what_keys_are_there(void **state)
{
	ofs_key *k, *made;

	(void)state;
	assert_int_equal(
		ofs_key_open(token, "pkcs11:object=gone", 0, &k), OFS_EKEY);
	assert_says(ofs_token_error(token), "there is none");
	made = make_key("pkcs11:object=here", "ec:P-256");
	assert_int_equal(
		ofs_key_open(token, "pkcs11:object=gone", 0, &k), OFS_EKEY);
	assert_says(ofs_token_error(token), "'here'");
	assert_says(ofs_token_error(token), "ofs-token keys");
	assert_int_equal(
		ofs_key_open(token, "pkcs11:token=other;object=here", 0, &k),
		OFS_EINVAL);
	assert_int_equal(
		ofs_key_open(token, "pkcs11:object=here;type=data", 0, &k),
		OFS_EINVAL);
	assert_int_equal(
		ofs_key_open(token, "pkcs11:object=here", 2, &k), OFS_EINVAL);
	assert_null(k);
	assert_ok(key_destroy(made, &e));
	ofs_key_free(made);
}

static void
drop_public(ofs_key *k)
{
	struct session s;

	assert_ok(token_rw_session(token, &s, &e));
	assert_ok(object_destroy(&s, k->p.pub.h, &e));
	session_close(&s);
}

static X509 *
self_signed(ofs_key *k, const char *name)
{
	const struct alg *a =
		alg_for(ofs_key_get_info(k)->type, OFS_DIGEST_DEFAULT);
	struct to_sign t = { .alg = a };
	struct buf tbs = BUF_INIT, sig = BUF_INIT;
	struct key_session *s;
	uint8_t hash[DIGEST_MAX];
	X509_NAME *subject;
	X509 *c;

	assert_ok(cert_name_parse(name, &subject, &e));
	assert_ok(cert_build_self_signed(
		subject, key_pub(k), a, ctx_now(ctx), 30, &c, &e));
	assert_ok(cert_tbs(c, &tbs, &e));
	assert_ok(digest_of(a->digest, tbs.p, tbs.len, hash, &e));
	t.hash = hash;
	assert_ok(key_session_open(k, &s, &e));
	assert_ok(key_session_sign(s, &t, &sig, &e));
	assert_ok(cert_finish(c, a, sig.p, sig.len, &e));
	key_session_close(s);
	X509_NAME_free(subject);
	buf_free(&tbs);
	buf_free(&sig);
	return c;
}

static void
finds_the_public_key(void **state)
{
	ofs_key *k, *again;
	X509 *c;

	(void)state;
	/* RSA: the private object says it all */
	k = make_key("pkcs11:object=rsa", "rsa:2048");
	drop_public(k);
	again = open_key("pkcs11:object=rsa");
	assert_false(again->p.info.has_public);
	assert_true(pubkey_equal(key_pub(again), key_pub(k)));
	sign_once(again);
	ofs_key_free(again);
	assert_int_equal(ofs_key_open(token, "pkcs11:object=rsa",
				 OFS_KEY_PUBLIC_ONLY, &again),
		OFS_EKEY);
	k->p.pub.h = 0;
	assert_ok(key_destroy(k, &e));
	ofs_key_free(k);
	/* EC: without a public object it is the certificate */
	k = make_key("pkcs11:object=ec", "ec:P-256");
	c = self_signed(k, "/CN=ec");
	assert_ok(key_store_cert(k, c, &e));
	drop_public(k);
	again = open_key("pkcs11:object=ec");
	assert_false(again->p.info.has_public);
	assert_true(again->p.info.has_cert);
	assert_true(pubkey_equal(key_pub(again), key_pub(k)));
	sign_once(again);
	ofs_key_free(again);
	assert_int_equal(ofs_key_open(token, "pkcs11:object=ec",
				 OFS_KEY_PUBLIC_ONLY, &again),
		0);
	assert_true(pubkey_equal(key_pub(again), key_pub(k)));
	ofs_key_free(again);
	/* and without that nothing */
	X509_free(c);
	{
		struct session s;

		assert_ok(token_rw_session(token, &s, &e));
		assert_ok(object_destroy(&s, k->p.cert.h, &e));
		session_close(&s);
	}
	assert_int_equal(
		ofs_key_open(token, "pkcs11:object=ec", 0, &again), OFS_EKEY);
	assert_says(ofs_token_error(token), "public key");
	k->p.pub.h = k->p.cert.h = 0;
	assert_ok(key_destroy(k, &e));
	ofs_key_free(k);
}

/* a public key or certificate of another key under the same id */
static void
is_not_misled_by_an_id(void **state)
{
	ofs_key *rsa, *ec, *again;
	struct session s;
	CK_ATTRIBUTE t;
	CK_ULONG n = 0;
	X509 *c;

	(void)state;
	rsa = make_key("pkcs11:object=r;id=%51", "rsa:2048");
	ec = make_key("pkcs11:object=e;id=%52", "ec:P-256");
	again = make_key("pkcs11:object=e2;id=%53", "ec:P-256");
	c = self_signed(ec, "/CN=ec");
	assert_int_equal(key_store_cert(rsa, c, &e), OFS_ECERT);
	assert_int_equal(key_store_cert(again, c, &e), OFS_ECERT);
	assert_ok(key_store_cert(ec, c, &e));
	X509_free(c);
	/* the EC certificate moves under the RSA key's id */
	assert_ok(token_rw_session(token, &s, &e));
	attr_add(&t, &n, CKA_ID, "\x51", 1);
	assert_int_equal(
		s.module->f->C_SetAttributeValue(s.h, ec->p.cert.h, &t, 1),
		CKR_OK);
	assert_ok(key_refresh(rsa, &e));
	assert_false(rsa->p.info.has_cert);
	assert_null(key_cert(rsa));
	assert_non_null(strstr(seen.last_log, "another key"));
	/* the second EC public key moves under the first one's id */
	n = 0;
	attr_add(&t, &n, CKA_ID, "\x52", 1);
	assert_int_equal(
		s.module->f->C_SetAttributeValue(s.h, again->p.pub.h, &t, 1),
		CKR_OK);
	{
		ofs_key *k;

		assert_int_equal(ofs_key_open(token, "pkcs11:object=e", 0, &k),
			OFS_EAMBIGUOUS);
		assert_says(ofs_token_error(token), "two public keys");
	}
	/* an RSA certificate under an EC key that has nothing else */
	assert_ok(object_destroy(&s, ec->p.pub.h, &e));
	assert_ok(object_destroy(&s, again->p.pub.h, &e));
	assert_ok(object_destroy(&s, ec->p.cert.h, &e));
	c = self_signed(rsa, "/CN=rsa");
	assert_ok(key_store_cert(rsa, c, &e));
	X509_free(c);
	n = 0;
	attr_add(&t, &n, CKA_ID, "\x52", 1);
	assert_int_equal(
		s.module->f->C_SetAttributeValue(s.h, rsa->p.cert.h, &t, 1),
		CKR_OK);
	{
		ofs_key *k;

		assert_int_equal(ofs_key_open(token, "pkcs11:object=e", 0, &k),
			OFS_EKEY);
	}
	session_close(&s);
	again->p.pub.h = ec->p.pub.h = ec->p.cert.h = 0;
	assert_ok(key_destroy(rsa, &e));
	assert_ok(key_destroy(ec, &e));
	assert_ok(key_destroy(again, &e));
	ofs_key_free(rsa);
	ofs_key_free(ec);
	ofs_key_free(again);
}

static void
stores_and_replaces_certificates(void **state)
{
	ofs_key *k = make_key("pkcs11:object=cert", "ec:P-384"), *other;
	const struct ofs_key_info *i;
	struct object_query q = { .class_ = CKO_CERTIFICATE };
	struct object_list l;
	struct session *s;
	X509 *one, *two, *read;
	char *pem;
	BIO *bio;

	(void)state;
	assert_int_equal(ofs_key_cert_pem(k, &pem), OFS_EKEY);
	assert_null(pem);
	one = self_signed(k, "/O=Acme/CN=first");
	two = self_signed(k, "/O=Acme/CN=second");
	assert_ok(key_store_cert(k, one, &e));
	i = ofs_key_get_info(k);
	assert_true(i->has_cert);
	assert_non_null(strstr(i->cert_subject, "CN=first"));
	assert_int_equal(
		i->cert_not_after - i->cert_not_before, 30LL * 86400 * 1000000);
	assert_ok(key_store_cert(k, one, &e)); /* again: nothing happens */
	assert_ok(token_session(token, &s, &e));
	assert_ok(object_find(s, &q, &l, &e));
	assert_int_equal(l.n, 1);
	object_list_free(&l);
	assert_ok(key_store_cert(k, two, &e));
	assert_non_null(strstr(ofs_key_get_info(k)->cert_subject, "CN=second"));
	assert_ok(token_session(token, &s, &e));
	assert_ok(object_find(s, &q, &l, &e));
	assert_int_equal(l.n, 1);
	assert_int_equal(l.v[0].id_len, 16);
	assert_memory_equal(l.v[0].id, k->p.info.id, 16);
	assert_int_equal(l.v[0].label_len, 4);
	object_list_free(&l);
	assert_int_equal(ofs_key_cert_pem(k, &pem), 0);
	bio = BIO_new_mem_buf(pem, -1);
	read = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	assert_int_equal(X509_cmp(read, two), 0);
	X509_free(read);
	BIO_free(bio);
	free(pem);
	/* found with the key, and shown without a login */
	other = open_key("pkcs11:object=cert");
	assert_int_equal(X509_cmp(key_cert(other), two), 0);
	ofs_key_free(other);
	assert_ok(key_destroy(k, &e));
	ofs_key_free(k);
	assert_ok(object_find(s, &q, &l, &e));
	assert_int_equal(l.n, 0);
	object_list_free(&l);
	X509_free(one);
	X509_free(two);
}

static void
lists_keys(void **state)
{
	struct listed l = { .wanted = "l 1" };
	ofs_key *a = make_key("pkcs11:object=l%201;id=%aa%00%01", "rsa:2048");
	ofs_key *b = make_key("pkcs11:object=l2", "ec:P-256");
	ofs_key *k;
	X509 *c = self_signed(b, "/CN=l2");

	(void)state;
	assert_ok(key_store_cert(b, c, &e));
	X509_free(c);
	assert_int_equal(ofs_key_list(token, note, &l), 0);
	assert_int_equal(l.n, 2);
	assert_int_equal(l.priv, 2);
	assert_int_equal(l.pub, 2);
	assert_int_equal(l.cert, 1);
	assert_int_equal(l.last.id_len, 3);
	assert_non_null(strstr(l.last.uri, "id=%AA%00%01"));
	assert_non_null(strstr(l.last.uri, "object=l%201"));
	assert_non_null(strstr(l.last.uri, "token=keys"));
	assert_non_null(strstr(l.last.uri, "serial="));
	k = open_key(l.last.uri);
	assert_true(pubkey_equal(key_pub(k), key_pub(a)));
	ofs_key_free(k);
	l.n = 0;
	l.stop_at = 1;
	assert_int_equal(ofs_key_list(token, note, &l), 5);
	assert_int_equal(l.n, 1);
	/* without a login */
	ofs_key_free(a);
	ofs_key_free(b);
	reopen();
	memset(&l, 0, sizeof(l));
	assert_int_equal(ofs_key_list(token, note, &l), 0);
	assert_int_equal(seen.asked[OFS_PIN_USER], 0);
	assert_int_equal(l.n, 2);
	assert_int_equal(l.priv, 0);
	assert_int_equal(l.pub, 2);
	assert_int_equal(l.cert, 1);
	/* a key that was opened so cannot sign */
	{
		struct key_session *s;

		assert_int_equal(ofs_key_open(token, "pkcs11:object=l2",
					 OFS_KEY_PUBLIC_ONLY, &k),
			0);
		assert_int_equal(seen.asked[OFS_PIN_USER], 0);
		assert_true(k->p.info.has_cert);
		assert_int_equal(k->p.info.sign, -1);
		assert_int_equal(key_session_open(k, &s, &e), OFS_EINVAL);
		assert_null(s);
		ofs_key_free(k);
	}
	a = open_key("pkcs11:object=l%201");
	b = open_key("pkcs11:object=l2");
	assert_ok(key_destroy(a, &e));
	assert_ok(key_destroy(b, &e));
	ofs_key_free(a);
	ofs_key_free(b);
}

/* a certificate under an empty id does not go with every key */
static void
never_searches_with_an_empty_id(void **state)
{
	ofs_key *k = make_key("pkcs11:object=noid", "rsa:2048"), *again;
	ofs_key *other = make_key("pkcs11:object=other", "ec:P-256");
	X509 *c = self_signed(other, "/CN=other");
	struct session s;
	CK_ATTRIBUTE t;
	CK_ULONG n = 0;

	(void)state;
	assert_ok(key_store_cert(other, c, &e));
	X509_free(c);
	assert_ok(token_rw_session(token, &s, &e));
	attr_add(&t, &n, CKA_ID, "", 0);
	assert_int_equal(
		s.module->f->C_SetAttributeValue(s.h, k->p.priv.h, &t, 1),
		CKR_OK);
	assert_int_equal(
		s.module->f->C_SetAttributeValue(s.h, k->p.pub.h, &t, 1),
		CKR_OK);
	session_close(&s);
	{
		struct listed l = { .wanted = "noid" };

		/* its halves are not joined: two entries */
		assert_int_equal(ofs_key_list(token, note, &l), 0);
		assert_int_equal(l.n, 3);
		assert_int_equal(l.priv, 2);
		assert_int_equal(l.pub, 2);
	}
	again = open_key("pkcs11:object=noid");
	assert_int_equal(again->p.info.id_len, 0);
	assert_false(again->p.info.has_public || again->p.info.has_cert);
	assert_true(pubkey_equal(key_pub(again), key_pub(k)));
	sign_once(again);
	c = self_signed(again, "/CN=noid");
	assert_int_equal(key_store_cert(again, c, &e), OFS_EUNSUPPORTED);
	X509_free(c);
	ofs_key_free(again);
	assert_ok(key_destroy(k, &e));
	assert_ok(key_destroy(other, &e));
	ofs_key_free(k);
	ofs_key_free(other);
}

static void
refuses_keys_that_do_not_fit(void **state)
{
	const char *const always[] = { "--keypairgen", "--key-type",
		"EC:prime256v1", "--label", "always", "--id", "77",
		"--always-auth", NULL };
	struct session s;
	CK_ATTRIBUTE t;
	CK_ULONG n = 0;
	ofs_key *k = make_key("pkcs11:object=decrypt;id=x", "rsa:2048");

	(void)state;
	assert_ok(token_rw_session(token, &s, &e));
	attr_add_bool(&t, &n, CKA_SIGN, false);
	assert_int_equal(
		s.module->f->C_SetAttributeValue(s.h, k->p.priv.h, &t, 1),
		CKR_OK);
	session_close(&s);
	ofs_key_free(k);
	make_raw("p224", "66", "EC:secp224r1");
	make_raw("brainpool", "67", "EC:brainpoolP256r1");
	assert_int_equal(softhsm_pkcs11_tool("keys", always), 0);
	reopen();
	assert_int_equal(ofs_key_open(token, "pkcs11:object=always", 0, &k),
		OFS_EPOLICY);
	assert_says(ofs_token_error(token), "CKA_ALWAYS_AUTHENTICATE");
	assert_int_equal(ofs_key_open(token, "pkcs11:object=decrypt", 0, &k),
		OFS_EPOLICY);
	assert_says(ofs_token_error(token), "CKA_SIGN");
	assert_int_equal(ofs_key_open(token, "pkcs11:object=p224", 0, &k),
		OFS_EUNSUPPORTED);
	assert_int_equal(ofs_key_open(token, "pkcs11:object=brainpool", 0, &k),
		OFS_EUNSUPPORTED);
	assert_null(k);
	{
		struct listed l = { .wanted = "p224" };

		assert_int_equal(ofs_key_list(token, note, &l), 0);
		assert_int_equal(l.n, 4);
		assert_int_equal(l.last.type, OFS_KEY_OTHER);
	}
	delete_raw("privkey", "66");
	delete_raw("pubkey", "66");
	delete_raw("privkey", "67");
	delete_raw("pubkey", "67");
	delete_raw("privkey", "77");
	delete_raw("pubkey", "77");
	delete_raw("privkey", "78");
	delete_raw("pubkey", "78");
	reopen();
}

static void
refuses_the_wrong_algorithm(void **state)
{
	ofs_key *k = make_key("pkcs11:object=alg", "ec:P-256");
	const uint8_t hash[32] = { 1 };
	struct to_sign t = { .alg = alg_for(OFS_KEY_RSA, OFS_DIGEST_SHA256),
		.hash = hash };
	struct buf sig = BUF_INIT;
	struct key_session *s;

	(void)state;
	assert_ok(key_session_open(k, &s, &e));
	assert_int_equal(key_session_sign(s, &t, &sig, &e), OFS_EINVAL);
	key_session_close(s);
	assert_ok(key_destroy(k, &e));
	ofs_key_free(k);
	buf_free(&sig);
}

/* after an error the session is another one, and signs */
static void
replaces_a_session_after_an_error(void **state)
{
	ofs_key *k = make_key("pkcs11:object=renew", "rsa:2048");
	const uint8_t hash[32] = { 1 };
	struct to_sign t = { .alg = alg_for(OFS_KEY_RSA, OFS_DIGEST_SHA256),
		.hash = hash };
	CK_OBJECT_HANDLE right = k->p.priv.h;
	struct buf sig = BUF_INIT;
	struct key_session *s;

	(void)state;
	assert_ok(key_session_open(k, &s, &e));
	buf_str(&sig, "kept");
	e.ckr = 0;
	k->p.priv.h += 1000;
	assert_int_not_equal(key_session_try(s, &t, &sig, &e), 0);
	assert_int_not_equal(e.ckr, 0);
	assert_true(key_session_ailing(s));
	assert_int_equal(sig.len, 4);
	/* a handle that is no good is looked up again */
	assert_ok(key_session_heal(s, &e));
	assert_int_not_equal(k->p.priv.h, right + 1000);
	assert_ok(sign_and_verify(s, k, OFS_DIGEST_SHA256, 1, &e));
	key_session_close(s);
	/* the login is gone with C_Logout by somebody else */
	{
		struct session *p;
		CK_RV rv;

		assert_ok(key_session_open(k, &s, &e));
		assert_ok(token_session(token, &p, &e));
		rv = p->module->f->C_Logout(p->h);
		assert_int_equal(rv, CKR_OK);
		/* the PIN that was accepted serves once more */
		assert_ok(sign_and_verify(s, k, OFS_DIGEST_SHA256, 1, &e));
		key_session_close(s);
	}
	ofs_key_free(k);
	k = open_key("pkcs11:object=renew");
	assert_ok(key_destroy(k, &e));
	ofs_key_free(k);
	buf_free(&sig);
}

#define ROUNDS 150

struct worker {
	ofs_key *key;
	struct ofs_error e;
	int rc;
	unsigned int from;
};

static void *
work(void *arg)
{
	struct worker *w = arg;
	struct key_session *s = NULL;

	w->rc = key_session_open(w->key, &s, &w->e);
	for (unsigned int i = 0; w->rc == 0 && i < ROUNDS; i++)
		w->rc = sign_and_verify(
			s, w->key, OFS_DIGEST_SHA256, w->from + i, &w->e);
	key_session_close(s);
	return NULL;
}

static void
signs_in_threads(void **state)
{
	ofs_key *rsa = make_key("pkcs11:object=t1", "rsa:2048");
	ofs_key *ec = make_key("pkcs11:object=t2", "ec:P-256");
	struct worker w[4];
	pthread_t id[4];

	(void)state;
	memset(w, 0, sizeof(w));
	for (unsigned int i = 0; i < 4; i++) {
		w[i].key = i % 2 == 0 ? rsa : ec;
		w[i].from = i * ROUNDS;
		assert_int_equal(pthread_create(&id[i], NULL, work, &w[i]), 0);
	}
	for (int i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(id[i], NULL), 0);
		if (w[i].rc != 0)
			fail_msg("thread %d: %s", i, w[i].e.message);
	}
	assert_ok(key_destroy(rsa, &e));
	assert_ok(key_destroy(ec, &e));
	ofs_key_free(rsa);
	ofs_key_free(ec);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_all, close_all)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(generates_every_type),
		TEST(generates_for_signing_only),
		TEST(refuses_bad_specs),
		TEST(refuses_a_taken_place),
		TEST(names_what_is_missing),
		TEST(lists_ambiguous_keys),
		TEST(says_what_keys_are_there),
		TEST(finds_the_public_key),
		TEST(is_not_misled_by_an_id),
		TEST(stores_and_replaces_certificates),
		TEST(lists_keys),
		TEST(never_searches_with_an_empty_id),
		TEST(refuses_keys_that_do_not_fit),
		TEST(refuses_the_wrong_algorithm),
		TEST(replaces_a_session_after_an_error),
		TEST(signs_in_threads),
	};
	int rc;

	softhsm_start();
	softhsm_init_token("keys");
	cmocka_set_message_output(CM_OUTPUT_TAP);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	softhsm_stop();
	return rc;
}
