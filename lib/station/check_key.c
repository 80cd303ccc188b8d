/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is found about keys and their certificates. */
#include <string.h>

#include <openssl/evp.h>

#include "base/time.h"
#include "crypto/pubkey.h"
#include "crypto/roca.h"
#include "station/check.h"

#define RSA_BITS_MIN 2048
#define RSA_BITS_SOON 3072 /* below it: not for much longer */
#define DAYS_DEFAULT 30
#define DAY_US (INT64_C(86400) * 1000000)

/* whether it can leave the token, or could */
static void
protection(struct check *c, const struct ofs_key_info *k)
{
	if (k->extractable == 1)
		check_add(c, "key-extractable", k,
			"the token gives the private key out, wrapped by "
			"another one (CKA_EXTRACTABLE is true)");
	if (k->sensitive == 0)
		check_add(c, "key-not-sensitive", k,
			"the token shows the private key to anybody who logs "
			"in (CKA_SENSITIVE is false)");
	if (k->extractable < 0 || k->sensitive < 0)
		check_add(c, "key-protection-unknown", k,
			"the token does not say whether the private key can "
			"leave it");
	if (k->local == 0)
		check_add(c, "key-imported", k,
			"the private key was made elsewhere and brought to the "
			"token (CKA_LOCAL is false)");
	if (k->extractable == 0 && k->never_extractable == 0 && k->local != 0)
		check_add(c, "key-was-extractable", k,
			"the private key could leave the token at some time "
			"(CKA_NEVER_EXTRACTABLE is false)");
}

static bool
is_rsa(const struct probe_key *p)
{
	return p->key != NULL && EVP_PKEY_get_base_id(p->key) == EVP_PKEY_RSA;
}

static void
algorithm(struct check *c, const struct probe_key *p)
{
	const struct ofs_key_info *k = &p->info;
	bool rsa =
		p->key != NULL && EVP_PKEY_get_base_id(p->key) == EVP_PKEY_RSA;
	int bits = p->key != NULL ? pubkey_bits(p->key) : 0;

	if (rsa && roca_suspect(p->key))
		check_add(c, "key-roca", k,
			"the RSA modulus is of the kind whose factors can be "
			"computed (ROCA, CVE-2017-15361)");
	if (rsa && bits < RSA_BITS_MIN)
		check_add(c, "rsa-too-short", k,
			"RSA of %d bits can be broken; verifiers refuse it",
			bits);
	else if (rsa && bits < RSA_BITS_SOON)
		check_add(c, "rsa-short-soon", k,
			"RSA of %d bits is accepted today and will not be for "
			"many years",
			bits);
	if (p->retired)
		check_add(c, "key-retired-algorithm", k,
			"%s is an algorithm or a size that verifiers no longer "
			"accept",
			k->type_name);
	else if (p->key == NULL && !p->conflict)
		check_add(c, "key-unreadable", k,
			"the public key cannot be read, neither from the key "
			"nor from a certificate");
	else if (p->key != NULL && k->type == OFS_KEY_OTHER)
		check_add(c, "key-unsupported", k,
			"%s is nothing that ofs-sign signs with", k->type_name);
}

/* modules give EC keys such rights, too, which have no meaning there */
static void
usage(struct check *c, const struct probe_key *p)
{
	const struct ofs_key_info *k = &p->info;

	if (k->sign == 0)
		check_add(c, "key-not-for-signing", k,
			"the token does not sign with it (CKA_SIGN is false)");
	else if (is_rsa(p) && (p->info.decrypt == 1 || p->unwrap == 1))
		check_add(c, "key-decrypts", k,
			"it signs and %s, so that a decryption may be made to "
			"give a signature",
			p->info.decrypt == 1 ? "decrypts" : "unwraps keys");
	if (k->always_authenticate == 1)
		check_add(c, "key-always-authenticate", k,
			"the token wants the PIN for each signature "
			"(CKA_ALWAYS_AUTHENTICATE)");
}

static void
certificate(struct check *c, const struct probe_key *p)
{
	const struct ofs_key_info *k = &p->info;
	int days = c->opts.days > 0 ? c->opts.days : DAYS_DEFAULT;
	char t[TIME_TEXT_SIZE];

	if (p->foreign_certs > 0)
		check_add(c, "cert-mismatch", k,
			"a certificate with the id of this key is for another "
			"public key");
	if (!k->has_cert) {
		if (k->sign != 0)
			check_add(c, "key-no-cert", k,
				"no certificate is on the token: CMS "
				"signatures need one");
		return;
	}
	if (k->cert_not_after < c->now)
		check_add(c, "cert-expired", k,
			"the certificate '%.200s' expired on %s",
			k->cert_subject,
			time_rfc3339(t, k->cert_not_after, false));
	else if (k->cert_not_after < c->now + days * DAY_US)
		check_add(c, "cert-expiring", k,
			"the certificate '%.200s' expires on %s",
			k->cert_subject,
			time_rfc3339(t, k->cert_not_after, false));
	if (k->cert_not_before > c->now)
		check_add(c, "cert-not-yet-valid", k,
			"the certificate '%.200s' is valid from %s on",
			k->cert_subject,
			time_rfc3339(t, k->cert_not_before, false));
}

static bool
same_id(const struct ofs_key_info *a, const struct ofs_key_info *b)
{
	return a->id_len > 0 && a->id_len == b->id_len &&
		memcmp(a->id, b->id, a->id_len) == 0;
}

static bool
same_label(const struct ofs_key_info *a, const struct ofs_key_info *b)
{
	return a->label[0] != '\0' && strcmp(a->label, b->label) == 0;
}

/* the first of those that share a name tells how many they are */
static void
shared_name(struct check *c, size_t at, const char *id, const char *what,
	bool (*same)(
		const struct ofs_key_info *a, const struct ofs_key_info *b))
{
	const struct ofs_key_info *k = &c->probe.keys[at].info;
	size_t n = 1;

	for (size_t i = 0; i < c->probe.n_keys; i++) {
		if (i == at || !same(k, &c->probe.keys[i].info))
			continue;
		if (i < at)
			return;
		n++;
	}
	if (n > 1)
		check_add(c, id, k, "%zu keys have this %s", n, what);
}

static void
names(struct check *c, size_t at)
{
	const struct probe_key *p = &c->probe.keys[at];
	const struct ofs_key_info *k = &p->info;

	if (k->id_len == 0)
		check_add(c, "key-no-id", k,
			"the key has no id (CKA_ID), so that nothing else on "
			"the token belongs to it");
	if (p->conflict)
		check_add(c, "duplicate-id", k,
			"public keys with this id are not the same");
	else
		shared_name(c, at, "duplicate-id", "id", same_id);
	shared_name(c, at, "duplicate-label", "label", same_label);
	if (k->has_private && !k->has_public && !k->has_cert)
		check_add(c, "key-no-public", k,
			"no public key and no certificate is with it; some "
			"programs cannot use it");
}

void
check_keys(struct check *c)
{
	for (size_t i = 0; i < c->probe.n_keys; i++) {
		const struct probe_key *p = &c->probe.keys[i];

		if (p->info.has_private) {
			protection(c, &p->info);
			usage(c, p);
		}
		algorithm(c, p);
		names(c, i);
		certificate(c, p);
	}
	if (!c->probe.logged_in)
		check_add(c, "not-logged-in", NULL,
			"private keys were not looked at: nothing is known "
			"about their protection");
}
