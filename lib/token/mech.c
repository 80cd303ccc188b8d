/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which PKCS#11 mechanism stands for an algorithm, and what it takes. */
#include <stdlib.h>
#include <string.h>

#include "token/keydef.h"
#include "token/mech.h"

#define LIST_MAX 4096 /* mechanisms of a token, far more than there are */

/* from the one that is best for an algorithm to the one that is worst */
static const struct known {
	CK_MECHANISM_TYPE type;
	const char *name;
	enum alg_mech mech;
	bool message;           /* over the message, not over our hash */
	enum ofs_digest digest; /* DEFAULT: any */
} known[] = {
	{ CKM_RSA_PKCS, "CKM_RSA_PKCS", ALG_RSA_PKCS1, false,
		OFS_DIGEST_DEFAULT },
	{ CKM_SHA256_RSA_PKCS, "CKM_SHA256_RSA_PKCS", ALG_RSA_PKCS1, true,
		OFS_DIGEST_SHA256 },
	{ CKM_SHA384_RSA_PKCS, "CKM_SHA384_RSA_PKCS", ALG_RSA_PKCS1, true,
		OFS_DIGEST_SHA384 },
	{ CKM_SHA512_RSA_PKCS, "CKM_SHA512_RSA_PKCS", ALG_RSA_PKCS1, true,
		OFS_DIGEST_SHA512 },
	{ CKM_RSA_PKCS_PSS, "CKM_RSA_PKCS_PSS", ALG_RSA_PSS, false,
		OFS_DIGEST_DEFAULT },
	{ CKM_SHA256_RSA_PKCS_PSS, "CKM_SHA256_RSA_PKCS_PSS", ALG_RSA_PSS, true,
		OFS_DIGEST_SHA256 },
	{ CKM_SHA384_RSA_PKCS_PSS, "CKM_SHA384_RSA_PKCS_PSS", ALG_RSA_PSS, true,
		OFS_DIGEST_SHA384 },
	{ CKM_SHA512_RSA_PKCS_PSS, "CKM_SHA512_RSA_PKCS_PSS", ALG_RSA_PSS, true,
		OFS_DIGEST_SHA512 },
	{ CKM_ECDSA, "CKM_ECDSA", ALG_ECDSA, false, OFS_DIGEST_DEFAULT },
	{ CKM_ECDSA_SHA256, "CKM_ECDSA_SHA256", ALG_ECDSA, true,
		OFS_DIGEST_SHA256 },
	{ CKM_ECDSA_SHA384, "CKM_ECDSA_SHA384", ALG_ECDSA, true,
		OFS_DIGEST_SHA384 },
	{ CKM_ECDSA_SHA512, "CKM_ECDSA_SHA512", ALG_ECDSA, true,
		OFS_DIGEST_SHA512 },
	{ CKM_EDDSA, "CKM_EDDSA", ALG_EDDSA, true, OFS_DIGEST_DEFAULT },
};

#define N_KNOWN (sizeof(known) / sizeof(known[0]))

static bool
is_for_key(const struct known *k, enum ofs_key_type type)
{
	switch (k->mech) {
	case ALG_RSA_PKCS1:
	case ALG_RSA_PSS:
		return type == OFS_KEY_RSA;
	case ALG_EDDSA:
		return type == OFS_KEY_ED25519 || type == OFS_KEY_ED448;
	default:
		return type != OFS_KEY_OTHER && type != OFS_KEY_RSA &&
			type != OFS_KEY_ED25519 && type != OFS_KEY_ED448;
	}
}

/*
 * Whether a key of this size is between the token's limits. Some count in
 * bytes, some say 0 for what they do not know, and no two agree on how many
 * bits an Edwards key has.
 */
static bool
size_fits(const struct known *k, const CK_MECHANISM_INFO *i, unsigned int bits)
{
	CK_ULONG unit =
		i->ulMaxKeySize < (k->mech == ALG_ECDSA ? 112 : 512) ? 8 : 1;

	if (k->mech == ALG_EDDSA || i->ulMaxKeySize == 0 || bits == 0)
		return true;
	/* 521 bits are 66 bytes, whose 528 are not too many either */
	return bits <= i->ulMaxKeySize * unit &&
		bits + unit > i->ulMinKeySize * unit;
}

/* an empty list, or one that was not given, excludes nothing */
static bool
has_type(const CK_MECHANISM_TYPE *list, size_t n, CK_MECHANISM_TYPE type)
{
	for (size_t i = 0; i < n; i++)
		if (list[i] == type)
			return true;
	return n == 0;
}

/*
 * C_GetMechanismList. SoftHSM2 goes on describing what its configuration has
 * taken off this list, and then refuses to sign with it.
 */
static int
read_list(const ofs_token *t, CK_MECHANISM_TYPE **list, size_t *n,
	struct ofs_error *e)
{
	CK_FUNCTION_LIST *f = t->module->f;
	CK_ULONG count = 0;
	CK_RV rv;

	*list = NULL;
	*n = 0;
	CRYPTOKI(rv, f->C_GetMechanismList(t->slot, NULL, &count));
	if (rv != CKR_OK || count == 0 || count > LIST_MAX)
		return 0;
	*list = calloc(count, sizeof(**list));
	if (*list == NULL)
		return err_nomem(e);
	CRYPTOKI(rv, f->C_GetMechanismList(t->slot, *list, &count));
	if (rv == CKR_OK && count <= LIST_MAX)
		*n = count;
	return 0;
}

/* what an answer that names no mechanism comes from */
struct reason {
	CK_RV rv;               /* an error of the token */
	const struct known *k;  /* the first that was looked for */
	bool disallowed, small; /* it was there, but not for this key */
};

/* what the token is asked about */
struct question {
	const ofs_token *t;
	const struct pair *p;
	CK_MECHANISM_TYPE *list;
	size_t n;
};

static bool
ask(const struct question *q, const struct known *k, struct reason *why)
{
	const ofs_token *t = q->t;
	CK_MECHANISM_INFO info;
	CK_RV rv;

	if (!has_type(q->list, q->n, k->type))
		return false;
	memset(&info, 0, sizeof(info));
	CRYPTOKI(rv, t->module->f->C_GetMechanismInfo(t->slot, k->type, &info));
	if (rv != CKR_OK && rv != CKR_MECHANISM_INVALID && why->rv == CKR_OK)
		why->rv = rv;
	if (rv != CKR_OK || (info.flags & CKF_SIGN) == 0)
		return false;
	if (!size_fits(k, &info, q->p->info.bits)) {
		why->small = true;
		return false;
	}
	if (!has_type(q->p->allowed, q->p->n_allowed, k->type)) {
		why->disallowed = true;
		return false;
	}
	return true;
}

static int
none(const ofs_token *t, const struct pair *p, const struct reason *why,
	struct ofs_error *e)
{
	const char *name = why->k != NULL ? why->k->name : "mechanism";

	if (why->disallowed)
		return err_set(e, OFS_EUNSUPPORTED,
			"cannot sign with key '%s' on '%s': its allowed "
			"mechanisms do not hold %s",
			p->info.label, t->info.label, name);
	if (why->small)
		return err_set(e, OFS_EUNSUPPORTED,
			"cannot sign with key '%s': token '%s' does not do %s "
			"with %s keys",
			p->info.label, t->info.label, name, p->info.type_name);
	if (why->rv != CKR_OK)
		return cryptoki_err(e, cryptoki_code(why->rv), why->rv,
			"cannot ask token '%s' about %s", t->info.label, name);
	return err_set(e, OFS_EUNSUPPORTED,
		"cannot sign with key '%s': token '%s' has no %s for signing",
		p->info.label, t->info.label, name);
}

int
mech_offered(const ofs_token *t, const struct pair *p, uint32_t *set,
	struct ofs_error *e)
{
	struct reason why = { CKR_OK, NULL, false, false };
	struct question q = { .t = t, .p = p };
	const struct known *best = NULL;
	int rc;

	*set = 0;
	rc = read_list(t, &q.list, &q.n, e);
	if (rc != 0)
		return rc;
	for (size_t i = 0; i < N_KNOWN; i++) {
		const struct known *k = &known[i];

		if (!is_for_key(k, p->info.type))
			continue;
		if (why.k == NULL)
			why.k = k;
		/* over the hash is there: nothing worse is needed */
		if (best != NULL && best->mech == k->mech)
			continue;
		if (!ask(&q, k, &why))
			continue;
		*set |= UINT32_C(1) << i;
		if (!k->message)
			best = k;
	}
	free(q.list);
	return *set != 0 ? 0 : none(t, p, &why, e);
}

int
mech_choose(uint32_t set, const struct alg *alg, CK_MECHANISM_TYPE *type,
	bool *message, struct ofs_error *e)
{
	const char *name = "mechanism";

	for (size_t i = N_KNOWN; i-- > 0;)
		if (known[i].mech == alg->mech && !known[i].message)
			name = known[i].name;
	for (size_t i = 0; i < N_KNOWN; i++) {
		const struct known *k = &known[i];

		if (k->mech != alg->mech || (set & (UINT32_C(1) << i)) == 0 ||
			(k->digest != OFS_DIGEST_DEFAULT &&
				k->digest != alg->digest->id))
			continue;
		*type = k->type;
		*message = k->message;
		return 0;
	}
	return err_set(e, OFS_EUNSUPPORTED,
		"the token has neither %s nor another mechanism for %s", name,
		alg->name);
}

/* RFC 4055 3.1: MGF1 with the same hash, salt as long as the hash */
static void
set_pss(struct mech *m, const struct digest_alg *d)
{
	switch (d->id) {
	case OFS_DIGEST_SHA384:
		m->pss.hashAlg = CKM_SHA384;
		m->pss.mgf = CKG_MGF1_SHA384;
		break;
	case OFS_DIGEST_SHA512:
		m->pss.hashAlg = CKM_SHA512;
		m->pss.mgf = CKG_MGF1_SHA512;
		break;
	default:
		m->pss.hashAlg = CKM_SHA256;
		m->pss.mgf = CKG_MGF1_SHA256;
	}
	m->pss.sLen = d->size;
	m->ck.pParameter = &m->pss;
	m->ck.ulParameterLen = sizeof(m->pss);
}

int
mech_prepare(uint32_t set, const struct to_sign *t, struct mech *m,
	struct ofs_error *e)
{
	const struct digest_alg *d = t->alg->digest;
	bool message;
	int rc;

	memset(m, 0, sizeof(*m));
	rc = mech_choose(set, t->alg, &m->ck.mechanism, &message, e);
	if (rc != 0)
		return rc;
	if (t->alg->mech == ALG_RSA_PSS)
		set_pss(m, d);
	if (message ? t->message == NULL : t->hash == NULL)
		return err_set(e, OFS_EINVAL,
			"cannot sign with %s: the token takes the %s, which is "
			"not at hand",
			t->alg->name, message ? "message itself" : "hash");
	if (message) {
		m->in = t->message;
		m->in_len = t->message_len;
	} else if (t->alg->mech == ALG_RSA_PKCS1) {
		memcpy(m->info, d->di, d->di_len);
		memcpy(m->info + d->di_len, t->hash, d->size);
		m->in = m->info;
		m->in_len = d->di_len + d->size;
	} else {
		m->in = t->hash;
		m->in_len = d->size;
	}
	return 0;
}

/* bytes that an answer has; 0: it is r||s, of at most twice the order's */
static size_t
answer_size(const struct to_sign *t, const struct ofs_key_info *key)
{
	switch (t->alg->mech) {
	case ALG_EDDSA:
		/* RFC 8032 5.1.6, 5.2.6 */
		return key->type == OFS_KEY_ED448 ? 114 : 64;
	case ALG_ECDSA:
		return 0;
	default:
		return (key->bits + 7) / 8;
	}
}

/* halves that came shorter than the order are filled up at the front */
static int
take_low_s(const uint8_t *p, size_t n, struct buf *sig, struct ofs_error *e)
{
	uint8_t rs[64] = { 0 };
	size_t half = n / 2;

	memcpy(rs + 32 - half, p, half);
	memcpy(rs + 64 - half, p + half, half);
	alg_low_s(rs);
	return alg_ecdsa_to_der(rs, sizeof(rs), sig, e);
}

int
mech_take(const struct to_sign *t, const struct ofs_key_info *key,
	const uint8_t *p, size_t n, struct buf *sig, struct ofs_error *e)
{
	size_t want = answer_size(t, key);
	size_t most = 2 * ((key->bits + 7) / 8);

	if (t->alg->mech == ALG_ECDSA ? n == 0 || n % 2 != 0 || n > most
				      : n != want)
		return err_set(e, OFS_EBADSIG,
			"the token answered CKR_OK with a signature of %zu "
			"bytes by a %s key; do not use it before it has been "
			"examined",
			n, key->type_name);
	if (t->alg->mech == ALG_ECDSA && t->low_s &&
		key->type == OFS_KEY_EC_SECP256K1)
		return take_low_s(p, n, sig, e);
	if (t->alg->mech == ALG_ECDSA)
		return alg_ecdsa_to_der(p, n, sig, e);
	buf_put(sig, p, n);
	return buf_ok(sig) ? 0 : err_nomem(e);
}

int
key_alg(const ofs_key *k, enum ofs_padding padding, enum ofs_digest digest,
	const struct alg **out, struct ofs_error *e)
{
	const struct ofs_key_info *i = &k->p.info;
	const struct alg *a = alg_padded(i->type, padding, digest);
	const struct alg *pss;
	CK_MECHANISM_TYPE type;
	bool message;

	*out = a;
	if (a == NULL && padding != OFS_PADDING_DEFAULT &&
		i->type != OFS_KEY_RSA)
		return err_set(e, OFS_EUNSUPPORTED,
			"a padding goes with an RSA key, and key '%s' is %s",
			i->label, i->type_name);
	if (a == NULL)
		return err_set(e, OFS_EUNSUPPORTED,
			"a %s key cannot sign with this digest; take the "
			"default, or one no longer than the key's curve",
			i->type_name);
	if (!k->signs || mech_choose(k->mechs, a, &type, &message, e) == 0)
		return 0;
	pss = alg_padded(i->type, OFS_PADDING_PSS, digest);
	if (padding == OFS_PADDING_DEFAULT && pss != NULL &&
		mech_choose(k->mechs, pss, &type, &message, e) == 0) {
		*out = pss;
		return 0;
	}
	return mech_choose(k->mechs, a, &type, &message, e);
}

bool
key_takes_message(const ofs_key *k, const struct alg *alg)
{
	struct ofs_error ignored;
	CK_MECHANISM_TYPE type;
	bool message;

	if (k->signs &&
		mech_choose(k->mechs, alg, &type, &message, &ignored) == 0)
		return message;
	return alg->mech == ALG_EDDSA;
}
