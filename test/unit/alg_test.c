/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which algorithms are offered, and their encodings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include <openssl/ecdsa.h>
#include <openssl/obj_mac.h>
#include <openssl/objects.h>
#include <openssl/rand.h>

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
		cmocka_unit_test(mech_input),
		cmocka_unit_test(ecdsa_to_der),
		cmocka_unit_test(ecdsa_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
