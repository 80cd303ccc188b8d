/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which algorithms are offered, and their encodings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/obj_mac.h>
#include <openssl/objects.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "crypto/alg.h"
#include "crypto/der.h"

static struct ofs_error e;

static const enum ofs_digest digests[] = { OFS_DIGEST_SHA256, OFS_DIGEST_SHA384,
	OFS_DIGEST_SHA512 };

static void
pairs(void **state)
{
	static const struct {
		enum ofs_key_type type;
		enum ofs_digest dflt;
		const char *names[3];
	} t[] = {
		{ OFS_KEY_RSA, OFS_DIGEST_SHA256,
			{ "rsa-pkcs1-sha256", "rsa-pkcs1-sha384",
				"rsa-pkcs1-sha512" } },
		{ OFS_KEY_EC_P256, OFS_DIGEST_SHA256, { "ecdsa-sha256" } },
		{ OFS_KEY_EC_P384, OFS_DIGEST_SHA384,
			{ "ecdsa-sha256", "ecdsa-sha384" } },
		{ OFS_KEY_EC_P521, OFS_DIGEST_SHA512,
			{ "ecdsa-sha256", "ecdsa-sha384", "ecdsa-sha512" } },
		{ OFS_KEY_OTHER, OFS_DIGEST_SHA256, { NULL } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		assert_int_equal(alg_default_digest(t[i].type), t[i].dflt);
		assert_ptr_equal(alg_for(t[i].type, OFS_DIGEST_DEFAULT),
			alg_for(t[i].type, t[i].dflt));
		for (size_t d = 0; d < 3; d++) {
			const struct alg *a = alg_for(t[i].type, digests[d]);
			int hash, key;

			if (t[i].names[d] == NULL) {
				assert_null(a);
				continue;
			}
			assert_string_equal(a->name, t[i].names[d]);
			assert_int_equal(a->digest->id, digests[d]);
			assert_int_equal(
				OBJ_find_sigid_algs(a->sig_nid, &hash, &key),
				1);
			assert_int_equal(hash, a->digest->nid);
			assert_int_equal(key,
				t[i].type == OFS_KEY_RSA
					? NID_rsaEncryption
					: NID_X9_62_id_ecPublicKey);
			assert_int_equal(a->mech,
				t[i].type == OFS_KEY_RSA ? ALG_RSA_PKCS1
							 : ALG_ECDSA);
			assert_ptr_equal(alg_by_sig_nid(a->sig_nid), a);
		}
	}
	assert_null(alg_for(OFS_KEY_RSA, (enum ofs_digest)99));
	assert_null(alg_by_sig_nid(NID_undef));
	assert_null(alg_by_sig_nid(NID_sha1WithRSAEncryption));
	assert_null(alg_by_sig_nid(NID_rsassaPss));
}

/* padding and digest of the keys that have only one of them, or a choice */
static void
paddings(void **state)
{
	static const struct {
		enum ofs_key_type type;
		enum ofs_padding padding;
		enum ofs_digest digest;
		const char *name;
	} t[] = {
		{ OFS_KEY_RSA, OFS_PADDING_PKCS1, 0, "rsa-pkcs1-sha256" },
		{ OFS_KEY_RSA, OFS_PADDING_PSS, 0, "rsa-pss-sha256" },
		{ OFS_KEY_RSA, OFS_PADDING_PSS, OFS_DIGEST_SHA384,
			"rsa-pss-sha384" },
		{ OFS_KEY_RSA, OFS_PADDING_PSS, OFS_DIGEST_SHA512,
			"rsa-pss-sha512" },
		{ OFS_KEY_RSA, OFS_PADDING_PSS, OFS_DIGEST_SHAKE256, NULL },
		{ OFS_KEY_EC_P256, OFS_PADDING_PSS, 0, NULL },
		{ OFS_KEY_EC_P256, OFS_PADDING_PKCS1, 0, NULL },
		{ OFS_KEY_EC_SECP256K1, 0, 0, "ecdsa-sha256" },
		{ OFS_KEY_EC_SECP256K1, 0, OFS_DIGEST_SHA384, NULL },
		{ OFS_KEY_ED25519, 0, 0, "ed25519" },
		{ OFS_KEY_ED25519, 0, OFS_DIGEST_SHA512, "ed25519" },
		{ OFS_KEY_ED25519, 0, OFS_DIGEST_SHA256, NULL },
		{ OFS_KEY_ED25519, OFS_PADDING_PSS, 0, NULL },
		{ OFS_KEY_ED448, 0, 0, "ed448" },
		{ OFS_KEY_ED448, 0, OFS_DIGEST_SHAKE256, "ed448" },
		{ OFS_KEY_ED448, 0, OFS_DIGEST_SHA512, NULL },
		{ OFS_KEY_OTHER, OFS_PADDING_PSS, 0, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		const struct alg *a =
			alg_padded(t[i].type, t[i].padding, t[i].digest);

		if (t[i].name == NULL) {
			assert_null(a);
			continue;
		}
		assert_non_null(a);
		assert_string_equal(a->name, t[i].name);
		for (int k = OFS_KEY_OTHER; k <= OFS_KEY_ED448; k++)
			assert_int_equal(alg_fits(a, (enum ofs_key_type)k),
				(enum ofs_key_type)k == t[i].type ||
					(a->mech == ALG_ECDSA &&
						k >= OFS_KEY_EC_P256 &&
						k <= OFS_KEY_EC_SECP256K1));
	}
	/* a shortened hash is verified, but not offered */
	assert_true(alg_fits(
		alg_by_sig_nid(NID_ecdsa_with_SHA512), OFS_KEY_EC_P256));
	assert_false(alg_offered(
		alg_by_sig_nid(NID_ecdsa_with_SHA512), OFS_KEY_EC_P256));
}

/* what OpenSSL makes of the same parameters, but for one NULL: RFC 4055 2.1 */
static void
check_pss_id(const struct alg *a, const EVP_MD *md)
{
	RSA_PSS_PARAMS *p = RSA_PSS_PARAMS_new();
	X509_ALGOR *id = X509_ALGOR_new();
	uint8_t *der = NULL;
	ASN1_STRING *s = NULL;
	int n;

	for (int null = 0; null < 2; null++) {
		X509_ALGOR *mgf = X509_ALGOR_new();
		ASN1_STRING *inner = NULL;

		X509_ALGOR_free(p->hashAlgorithm);
		p->hashAlgorithm = X509_ALGOR_new();
		X509_ALGOR_set0(p->hashAlgorithm,
			OBJ_nid2obj(EVP_MD_get_type(md)),
			null ? V_ASN1_NULL : V_ASN1_UNDEF, NULL);
		assert_non_null(ASN1_item_pack(
			p->hashAlgorithm, ASN1_ITEM_rptr(X509_ALGOR), &inner));
		X509_ALGOR_set0(
			mgf, OBJ_nid2obj(NID_mgf1), V_ASN1_SEQUENCE, inner);
		X509_ALGOR_free(p->maskGenAlgorithm);
		p->maskGenAlgorithm = mgf;
		ASN1_INTEGER_free(p->saltLength);
		p->saltLength = ASN1_INTEGER_new();
		ASN1_INTEGER_set(p->saltLength, EVP_MD_get_size(md));
		s = NULL;
		assert_non_null(
			ASN1_item_pack(p, ASN1_ITEM_rptr(RSA_PSS_PARAMS), &s));
		X509_ALGOR_set0(
			id, OBJ_nid2obj(NID_rsassaPss), V_ASN1_SEQUENCE, s);
		n = i2d_X509_ALGOR(id, &der);
		assert_ptr_equal(alg_by_id(der, (size_t)n), a);
		if (null) {
			assert_int_equal((size_t)n, a->id_len);
			assert_memory_equal(der, a->id, a->id_len);
		}
		/* any other salt, say */
		der[n - 1]++;
		assert_null(alg_by_id(der, (size_t)n));
		OPENSSL_free(der);
		der = NULL;
	}
	X509_ALGOR_free(id);
	RSA_PSS_PARAMS_free(p);
}

/* each identifier is read back; no byte of it may differ, nor be missing */
static void
identifiers(void **state)
{
	static const enum ofs_key_type types[] = { OFS_KEY_RSA, OFS_KEY_EC_P521,
		OFS_KEY_ED25519, OFS_KEY_ED448 };
	int done = 0;

	(void)state;
	for (size_t i = 0; i < 12 * 4; i++) {
		const struct alg *a =
			alg_padded(types[i / 12], (enum ofs_padding)(i % 3),
				(enum ofs_digest)(i / 3 % 4 + 1));
		const uint8_t *p;
		uint8_t der[80];
		X509_ALGOR *id;

		if (a == NULL)
			continue;
		done++;
		memcpy(der, a->id, a->id_len);
		p = der;
		id = d2i_X509_ALGOR(NULL, &p, (long)a->id_len);
		assert_non_null(id);
		assert_ptr_equal(p, der + a->id_len);
		assert_int_equal(OBJ_obj2nid(id->algorithm), a->sig_nid);
		X509_ALGOR_free(id);
		assert_true(der_is_strict(der, a->id_len));
		assert_ptr_equal(alg_by_id(der, a->id_len), a);
		for (size_t n = 0; n < a->id_len; n++)
			assert_null(alg_by_id(der, n));
		for (size_t bit = 0; bit < 8 * a->id_len; bit++) {
			der[bit / 8] ^= (uint8_t)(1u << bit % 8);
			assert_ptr_not_equal(alg_by_id(der, a->id_len), a);
			der[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
	}
	assert_int_equal(done, 6 + 3 + 3 + 2);
	check_pss_id(alg_padded(OFS_KEY_RSA, OFS_PADDING_PSS, 0), EVP_sha256());
	check_pss_id(
		alg_padded(OFS_KEY_RSA, OFS_PADDING_PSS, OFS_DIGEST_SHA384),
		EVP_sha384());
	check_pss_id(
		alg_padded(OFS_KEY_RSA, OFS_PADDING_PSS, OFS_DIGEST_SHA512),
		EVP_sha512());
}

/* against the curve's order as OpenSSL has it */
static void
low_s(void **state)
{
	EC_GROUP *g = EC_GROUP_new_by_curve_name(NID_secp256k1);
	const BIGNUM *n = EC_GROUP_get0_order(g);
	BIGNUM *half = BN_dup(n), *s = BN_new(), *got = BN_new();
	uint8_t rs[64], was[32];

	(void)state;
	BN_rshift1(half, half);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(RAND_bytes(rs, sizeof(rs)), 1);
		/* around the half, around the order, and anywhere */
		BN_copy(s, i % 3 == 0 ? half : n);
		BN_add_word(s, 3);
		BN_sub_word(s, (BN_ULONG)(i / 3 % 7));
		if (i % 3 != 2)
			BN_bn2binpad(s, rs + 32, 32);
		BN_bin2bn(rs + 32, 32, s);
		memcpy(was, rs, 32);
		alg_low_s(rs);
		BN_bin2bn(rs + 32, 32, got);
		assert_memory_equal(rs, was, 32);
		if (BN_cmp(s, half) > 0 && BN_cmp(s, n) < 0) {
			assert_true(BN_cmp(got, half) <= 0);
			BN_add(got, got, s);
			assert_int_equal(BN_cmp(got, n), 0);
		} else {
			assert_int_equal(BN_cmp(got, s), 0);
		}
	}
	BN_free(half);
	BN_free(s);
	BN_free(got);
	EC_GROUP_free(g);
}

static void
mech_input(void **state)
{
	uint8_t hash[DIGEST_MAX];
	struct buf b = BUF_INIT;

	(void)state;
	memset(hash, 0x42, sizeof(hash));
	buf_str(&b, "x");
	alg_mech_input(alg_for(OFS_KEY_EC_P384, OFS_DIGEST_SHA384), hash, &b);
	assert_int_equal(b.len, 1 + 48);
	assert_memory_equal(b.p + 1, hash, 48);
	buf_reset(&b);
	alg_mech_input(alg_for(OFS_KEY_RSA, OFS_DIGEST_SHA256), hash, &b);
	assert_int_equal(b.len, 19 + 32);
	assert_memory_equal(b.p, digest_sha256.di, 19);
	assert_memory_equal(b.p + 19, hash, 32);
	buf_free(&b);
}

/* r and s of every length, against OpenSSL's own encoding */
static void
ecdsa_to_der(void **state)
{
	static const size_t halves[] = { 1, 32, 48, 66 };
	struct buf b = BUF_INIT;

	(void)state;
	for (size_t round = 0; round < 4000; round++) {
		size_t half = halves[round % 4], zeros = round / 4 % half;
		ECDSA_SIG *sig = ECDSA_SIG_new();
		uint8_t rs[132], *der = NULL;
		int n;

		assert_int_equal(RAND_bytes(rs, sizeof(rs)), 1);
		/* leading zeros in one or the other */
		memset(round % 8 < 4 ? rs : rs + half, 0, zeros);
		rs[half - 1] |= 1;
		rs[2 * half - 1] |= 1;
		buf_reset(&b);
		assert_int_equal(alg_ecdsa_to_der(rs, 2 * half, &b, &e), 0);
		ECDSA_SIG_set0(sig, BN_bin2bn(rs, (int)half, NULL),
			BN_bin2bn(rs + half, (int)half, NULL));
		n = i2d_ECDSA_SIG(sig, &der);
		assert_int_equal((size_t)n, b.len);
		assert_memory_equal(der, b.p, b.len);
		assert_true(der_is_ecdsa_sig(b.p, b.len));
		assert_true(der_is_strict(b.p, b.len));
		OPENSSL_free(der);
		ECDSA_SIG_free(sig);
	}
	buf_free(&b);
}

static void
ecdsa_refused(void **state)
{
	uint8_t rs[134];
	struct buf b = BUF_INIT;

	(void)state;
	memset(rs, 0x11, sizeof(rs));
	assert_int_equal(alg_ecdsa_to_der(rs, 0, &b, &e), OFS_EBADSIG);
	assert_int_equal(alg_ecdsa_to_der(rs, 63, &b, &e), OFS_EBADSIG);
	assert_int_equal(alg_ecdsa_to_der(rs, 134, &b, &e), OFS_EBADSIG);
	assert_int_equal(alg_ecdsa_to_der(rs, 132, &b, &e), 0);
	b.len = 0;
	memset(rs, 0, 32);
	assert_int_equal(alg_ecdsa_to_der(rs, 64, &b, &e), OFS_EBADSIG);
	memset(rs, 0x11, 32);
	memset(rs + 32, 0, 32);
	assert_int_equal(alg_ecdsa_to_der(rs, 64, &b, &e), OFS_EBADSIG);
	assert_int_equal(b.len, 0);
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pairs),
		cmocka_unit_test(paddings),
		cmocka_unit_test(identifiers),
		cmocka_unit_test(low_s),
		cmocka_unit_test(mech_input),
		cmocka_unit_test(ecdsa_to_der),
		cmocka_unit_test(ecdsa_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
