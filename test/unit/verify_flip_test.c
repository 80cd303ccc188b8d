/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* No bit of our own signature files can be changed. */
#include "verify_kit.h"

/* one of so many bits, from where SEED says; all with OFS_LONG */
#define EVERY 23

static void
flip(const char *what, X509 *anchor, const struct buf *sig, bool attached)
{
	const char *seeded = getenv("SEED");
	unsigned int every = getenv("OFS_LONG") != NULL ? 1 : EVERY;
	unsigned int seed = seeded != NULL
		? (unsigned int)strtoul(seeded, NULL, 10)
		: (unsigned int)time(NULL);
	size_t bits = 8 * sig->len, tried = 0;
	ofs_verifier *v = verifier(anchor);
	int counts[3] = { 0, 0, 0 };

	for (size_t bit = seed % every; bit < bits; bit += every) {
		struct ofs_verdict out;
		int code;

		sig->p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		code = ofs_verify_bytes(v,
			attached ? OFS_FORMAT_CMS_ATTACHED : OFS_FORMAT_CMS,
			attached ? NULL : doc, attached ? 0 : sizeof(doc) - 1,
			sig->p, sig->len, &out);
		sig->p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (code != OFS_ESIGNATURE && code != OFS_EUNTRUSTED &&
			code != OFS_EUNREADABLE)
			fail_msg("%s: bit %zu (every %u, first %u): %d '%s'",
				what, bit, every, seed % every, code,
				out.reason);
		assert_true(out.reason[0] != '\0');
		counts[OFS_ESIGNATURE - code]++;
		tried++;
	}
	printf("# %s: %zu of %zu bits, first %u: %d invalid, %d untrusted, %d "
	       "unreadable\n",
		what, tried, bits, seed % every, counts[0], counts[1],
		counts[2]);
	/* and unchanged it is valid still */
	expect_doc(v, sig, attached ? NULL : doc,
		attached ? 0 : sizeof(doc) - 1, 0, "valid");
}

static void
flipped_bits(void **state)
{
	static const char *const kinds[] = { "self-signed", "chain to the root",
		"chain, intermediate trusted", "chain, leaf trusted" };

	(void)state;
	for (int i = 0; i < 2; i++)
		for (int attached = 0; attached < 2; attached++)
			for (int kind = 0; kind < 4; kind++) {
				const struct set *s = i == 0 ? &rsa : &ec;
				X509 *const anchors[] = { s->own, s->root,
					s->ca, s->leaf };
				struct buf b = BUF_INIT;
				char what[80];

				snprintf(what, sizeof(what), "%s, %s, %s",
					i == 0 ? "RSA" : "P-256",
					attached ? "attached" : "detached",
					kinds[kind]);
				if (kind == 0)
					soft_cms(s->own, s->own_key, NULL,
						alg_for(s->type, 0), attached,
						DOC, soft_now(), &b);
				else
					sign_leaf(s, attached, &b);
				flip(what, anchors[kind], &b, attached);
				buf_free(&b);
			}
}

/* the other algorithms: the parameters of PSS, and no digest but the one */
static void
flipped_bits_by_algorithm(void **state)
{
	static const struct {
		enum ofs_key_type type;
		enum ofs_padding padding;
		enum ofs_digest digest;
	} kinds[] = {
		{ OFS_KEY_RSA, OFS_PADDING_PSS, OFS_DIGEST_SHA256 },
		{ OFS_KEY_RSA, OFS_PADDING_PSS, OFS_DIGEST_SHA384 },
		{ OFS_KEY_RSA, OFS_PADDING_PSS, OFS_DIGEST_SHA512 },
		{ OFS_KEY_EC_SECP256K1, 0, 0 },
		{ OFS_KEY_ED25519, 0, 0 },
		{ OFS_KEY_ED448, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const struct alg *a = alg_padded(
			kinds[i].type, kinds[i].padding, kinds[i].digest);
		EVP_PKEY *k = soft_key(kinds[i].type);
		X509 *c = soft_cert(&leaf_like, k, rsa.ca, rsa.ca_key);

		for (int attached = 0; attached < 2; attached++)
			for (int root = 0; root < 2; root++) {
				struct buf b = BUF_INIT;
				char what[80];

				snprintf(what, sizeof(what), "%s, %s, %s",
					a->name,
					attached ? "attached" : "detached",
					root ? "chain to the root"
					     : "leaf trusted");
				soft_cms(c, k, rsa.chain, a, attached, DOC,
					soft_now(), &b);
				flip(what, root ? rsa.root : c, &b, attached);
				buf_free(&b);
			}
		X509_free(c);
		EVP_PKEY_free(k);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flipped_bits),
		cmocka_unit_test(flipped_bits_by_algorithm),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
