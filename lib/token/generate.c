/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Making a key pair on the token, at a place where nothing is. */
#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "base/hex.h"
#include "base/text.h"
#include "token/label.h"
#include "token/login.h"
#include "token/so.h"
#include "token/yubikey.h"

#define NEW_ID_LEN 16
#define TEMPLATE_MAX 16
#define RSA_STEP 256

/* DER ECParameters: the namedCurve OID (RFC 5480 2.1.1) */
static const uint8_t p256[] = { 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03,
	0x01, 0x07 };
static const uint8_t p384[] = { 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22 };
static const uint8_t p521[] = { 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23 };
static const uint8_t secp256k1[] = { 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a };
/* RFC 8410 3; some tokens want the name instead (PKCS#11 3.0 2.3.5) */
static const uint8_t ed25519[] = { 0x06, 0x03, 0x2b, 0x65, 0x70 };
static const uint8_t ed448[] = { 0x06, 0x03, 0x2b, 0x65, 0x71 };
static const uint8_t ed25519_name[] = { 0x13, 0x0c, 'e', 'd', 'w', 'a', 'r',
	'd', 's', '2', '5', '5', '1', '9' };
static const uint8_t ed448_name[] = { 0x13, 0x0a, 'e', 'd', 'w', 'a', 'r', 'd',
	's', '4', '4', '8' };

struct spec {
	const char *text; /* as it was given */
	enum ofs_key_type type;
	CK_ULONG bits;         /* RSA only */
	const uint8_t *params; /* EC and Edwards only */
	size_t params_len;
	const uint8_t *params2; /* the same in other words, or NULL */
	size_t params2_len;
	bool decrypts; /* and does not sign */
};

/* Where the pair goes; label and id are both set. */
struct place {
	uint8_t id[OBJECT_ID_MAX];
	size_t id_len;
	uint8_t label[255];
	size_t label_len;
	bool random; /* nobody chose the id */
};

struct template
{
	CK_ATTRIBUTE a[TEMPLATE_MAX];
	CK_ULONG n;
};

/* How much of the wish a token is asked for: some reject parts of it. */
enum wish {
	WISH_ALL,
	WISH_NO_EXTRACTABLE, /* ykcs11 rejects CKA_EXTRACTABLE */
	WISH_LEAST,          /* nor any usage that is not wanted */
	WISH_END
};

static bool
parse_rsa(const char *digits, struct spec *s)
{
	char *end;

	if (strlen(digits) != 4 || strspn(digits, "0123456789") != 4)
		return false;
	s->type = OFS_KEY_RSA;
	s->bits = strtoul(digits, &end, 10);
	return s->bits >= 2048 && s->bits <= 4096 && s->bits % RSA_STEP == 0;
}

static int
parse_spec(const char *text, struct spec *s, struct ofs_error *e)
{
	static const struct {
		const char *name;
		enum ofs_key_type type;
		const uint8_t *params;
		size_t len;
		const uint8_t *params2;
		size_t len2;
	} curves[] = {
		{ "ec:P-256", OFS_KEY_EC_P256, p256, sizeof(p256), NULL, 0 },
		{ "ec:P-384", OFS_KEY_EC_P384, p384, sizeof(p384), NULL, 0 },
		{ "ec:P-521", OFS_KEY_EC_P521, p521, sizeof(p521), NULL, 0 },
		{ "ec:secp256k1", OFS_KEY_EC_SECP256K1, secp256k1,
			sizeof(secp256k1), NULL, 0 },
		{ "ed25519", OFS_KEY_ED25519, ed25519, sizeof(ed25519),
			ed25519_name, sizeof(ed25519_name) },
		{ "ed448", OFS_KEY_ED448, ed448, sizeof(ed448), ed448_name,
			sizeof(ed448_name) },
	};
	const size_t n = sizeof(curves) / sizeof(curves[0]);

	memset(s, 0, sizeof(*s));
	s->text = text;
	if (text != NULL && strncmp(text, "rsa:", 4) == 0 &&
		parse_rsa(text + 4, s))
		return 0;
	for (size_t i = 0; text != NULL && i < n; i++) {
		if (strcmp(text, curves[i].name) != 0)
			continue;
		s->type = curves[i].type;
		s->params = curves[i].params;
		s->params_len = curves[i].len;
		s->params2 = curves[i].params2;
		s->params2_len = curves[i].len2;
		return 0;
	}
	return err_set(e, OFS_EINVAL,
		"cannot make a key of type '%s'; take rsa:2048, rsa:3072, "
		"rsa:4096, ec:P-256, ec:P-384, ec:P-521, ec:secp256k1, ed25519 "
		"or ed448",
		TEXT_Q(text != NULL ? text : ""));
}

static int
take_place(const struct uri *u, struct place *p, struct ofs_error *e)
{
	char hex[2 * OBJECT_ID_MAX + 1];

	memset(p, 0, sizeof(*p));
	if (u->id_len > 0) {
		memcpy(p->id, u->id, u->id_len);
		p->id_len = u->id_len;
	} else {
		if (RAND_bytes(p->id, NEW_ID_LEN) != 1)
			return err_ssl(e, OFS_EINTERNAL,
				"cannot make a random key id");
		p->id_len = NEW_ID_LEN;
		p->random = true;
	}
	if (u->label_len > 0) {
		memcpy(p->label, u->label, u->label_len);
		p->label_len = u->label_len;
	} else {
		hex_encode(hex, p->id, p->id_len);
		p->label_len = strlen(hex);
		memcpy(p->label, hex, p->label_len);
	}
	return 0;
}

static int
check_free_of(const ofs_token *t, const struct session *s,
	const struct object_query *q, const char *what, struct ofs_error *e)
{
	struct object_list l;
	char label[256];
	int rc;

	rc = object_find(s, q, &l, e);
	if (rc == 0 && l.n > 0) {
		label_text(
			label, sizeof(label), l.v[0].label, l.v[0].label_len);
		rc = err_set(e, OFS_EEXIST,
			"cannot make a key there: token '%s' has a %s '%s' "
			"with the same %s; choose another place",
			t->info.label, what, label,
			q->id_len > 0 ? "id" : "label");
	}
	object_list_free(&l);
	return rc;
}

/* nothing has the id, and nothing has the label */
static int
check_free(const ofs_token *t, const struct session *s, const struct place *p,
	struct ofs_error *e)
{
	static const struct {
		CK_OBJECT_CLASS class_;
		const char *what;
	} classes[] = {
		{ CKO_PRIVATE_KEY, "private key" },
		{ CKO_PUBLIC_KEY, "public key" },
		{ CKO_CERTIFICATE, "certificate" },
	};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < 3; i++) {
		struct object_query q = { .class_ = classes[i].class_ };

		q.id = p->id;
		q.id_len = p->id_len;
		rc = check_free_of(t, s, &q, classes[i].what, e);
		q.id_len = 0;
		q.label = p->label;
		q.label_len = p->label_len;
		if (rc == 0)
			rc = check_free_of(t, s, &q, classes[i].what, e);
	}
	return rc;
}

static void
add(struct template *t, CK_ATTRIBUTE_TYPE type, const void *p, size_t n)
{
	attr_add(t->a, &t->n, type, p, n);
}

static void
add_bool(struct template *t, CK_ATTRIBUTE_TYPE type, bool v)
{
	attr_add_bool(t->a, &t->n, type, v);
}

static void
public_template(const struct spec *s, const struct place *p, enum wish w,
	struct template *t)
{
	static const uint8_t f4[] = { 1, 0, 1 };

	t->n = 0;
	add_bool(t, CKA_TOKEN, true);
	add_bool(t, s->decrypts ? CKA_ENCRYPT : CKA_VERIFY, true);
	add(t, CKA_ID, p->id, p->id_len);
	add(t, CKA_LABEL, p->label, p->label_len);
	if (w != WISH_LEAST) {
		add_bool(t, CKA_PRIVATE, false);
		add_bool(t, s->decrypts ? CKA_VERIFY : CKA_ENCRYPT, false);
		add_bool(t, CKA_WRAP, false);
		add_bool(t, CKA_VERIFY_RECOVER, false);
	}
	if (s->type == OFS_KEY_RSA) {
		add(t, CKA_MODULUS_BITS, &s->bits, sizeof(s->bits));
		add(t, CKA_PUBLIC_EXPONENT, f4, sizeof(f4));
	} else {
		add(t, CKA_EC_PARAMS, s->params, s->params_len);
	}
}

static void
private_template(const struct spec *s, const struct place *p, enum wish w,
	struct template *t)
{
	t->n = 0;
	add_bool(t, CKA_TOKEN, true);
	add_bool(t, CKA_PRIVATE, true);
	add_bool(t, CKA_SENSITIVE, true);
	add_bool(t, s->decrypts ? CKA_DECRYPT : CKA_SIGN, true);
	add(t, CKA_ID, p->id, p->id_len);
	add(t, CKA_LABEL, p->label, p->label_len);
	if (w == WISH_ALL)
		add_bool(t, CKA_EXTRACTABLE, false);
	if (w != WISH_LEAST) {
		add_bool(t, s->decrypts ? CKA_SIGN : CKA_DECRYPT, false);
		add_bool(t, CKA_UNWRAP, false);
		add_bool(t, CKA_DERIVE, false);
		add_bool(t, CKA_SIGN_RECOVER, false);
	}
}

static bool
is_template_trouble(CK_RV rv)
{
	return rv == CKR_ATTRIBUTE_READ_ONLY ||
		rv == CKR_ATTRIBUTE_TYPE_INVALID ||
		rv == CKR_ATTRIBUTE_VALUE_INVALID ||
		rv == CKR_TEMPLATE_INCOMPLETE ||
		rv == CKR_TEMPLATE_INCONSISTENT;
}

static int
check_mechanism(const ofs_token *t, const struct spec *s,
	CK_MECHANISM_TYPE mech, struct ofs_error *e)
{
	CK_MECHANISM_INFO info;
	CK_RV rv;

	memset(&info, 0, sizeof(info));
	CRYPTOKI(rv, t->module->f->C_GetMechanismInfo(t->slot, mech, &info));
	if (rv != CKR_OK && rv != CKR_MECHANISM_INVALID)
		return cryptoki_err(e, cryptoki_code(rv), rv,
			"cannot ask token '%s' whether it makes keys",
			t->info.label);
	if (rv == CKR_MECHANISM_INVALID ||
		(info.flags & CKF_GENERATE_KEY_PAIR) == 0)
		return err_set(e, OFS_EUNSUPPORTED,
			"cannot make a key of type '%s': token '%s' does not "
			"make such keys",
			s->text, t->info.label);
	return 0;
}

static CK_MECHANISM_TYPE
pair_gen(const struct spec *s)
{
	switch (s->type) {
	case OFS_KEY_RSA:
		return CKM_RSA_PKCS_KEY_PAIR_GEN;
	case OFS_KEY_ED25519:
	case OFS_KEY_ED448:
		return CKM_EC_EDWARDS_KEY_PAIR_GEN;
	default:
		return CKM_EC_KEY_PAIR_GEN;
	}
}

/* C_GenerateKeyPair with less and less in the templates */
static CK_RV
try_wishes(const ofs_token *t, const struct session *s, const struct spec *spec,
	const struct place *place, struct pair *p)
{
	CK_MECHANISM mech = { pair_gen(spec), NULL, 0 };
	struct template tpub, tpriv;
	CK_RV rv = CKR_OK;

	for (int w = WISH_ALL; w != WISH_END; w++) {
		public_template(spec, place, (enum wish)w, &tpub);
		private_template(spec, place, (enum wish)w, &tpriv);
		CRYPTOKI_SLOW(rv,
			t->module->f->C_GenerateKeyPair(s->h, &mech, tpub.a,
				tpub.n, tpriv.a, tpriv.n, &p->pub.h,
				&p->priv.h));
		if (!is_template_trouble(rv))
			break;
	}
	return rv;
}

/* a rejected template has made nothing */
static int
make(const ofs_token *t, const struct session *s, const struct spec *spec,
	const struct place *place, struct pair *p, struct ofs_error *e)
{
	struct spec other = *spec;
	CK_RV rv;
	int rc;

	rc = check_mechanism(t, spec, pair_gen(spec), e);
	if (rc != 0)
		return rc;
	rv = try_wishes(t, s, spec, place, p);
	if (spec->params2 != NULL &&
		(is_template_trouble(rv) || rv == CKR_CURVE_NOT_SUPPORTED ||
			rv == CKR_DOMAIN_PARAMS_INVALID)) {
		other.params = spec->params2;
		other.params_len = spec->params2_len;
		rv = try_wishes(t, s, &other, place, p);
	}
	if (rv != CKR_OK) {
		p->pub.h = p->priv.h = 0;
		return cryptoki_err(e, cryptoki_code(rv), rv,
			"cannot make a key of type '%s' on '%s'%s", spec->text,
			t->info.label,
			is_template_trouble(rv) && place->random
				? " (it may want an id=)"
				: "");
	}
	return 0;
}

struct destroying {
	const struct pair *p;
	bool again; /* the user was refused: this is the SO's session */
};

/* deletes what is there of a pair; the first failure is told */
static int
destroy_objects(void *arg, const struct session *s, struct ofs_error *e)
{
	static const CK_OBJECT_CLASS classes[] = { CKO_PRIVATE_KEY,
		CKO_PUBLIC_KEY, CKO_CERTIFICATE };
	struct destroying *d = arg;
	const struct object *all[] = { &d->p->priv, &d->p->pub, &d->p->cert };
	struct ofs_error one;
	int rc = 0;

	for (size_t i = 0; i < 3; i++) {
		CK_OBJECT_HANDLE h = all[i]->h;

		if (h == 0)
			continue;
		err_clear(&one);
		if ((!d->again ||
			    so_find(s, classes[i], all[i], &h, &one) == 0) &&
			object_destroy(s, h, &one) == 0)
			continue;
		if (one.ckr == CKR_OBJECT_HANDLE_INVALID)
			continue; /* it went with the private key */
		if (rc == 0)
			*e = one;
		rc = e->code;
	}
	d->again = true;
	return rc;
}

static int
destroy(ofs_token *t, const struct pair *p, struct ofs_error *e)
{
	struct destroying d = { p, so_known(t) };
	bool as_so;
	int rc;

	rc = yubikey_check_delete(
		t, p->priv.id, p->priv.id_len, p->info.label, e);
	return rc != 0
		? rc
		: so_try(t, "deletes keys", destroy_objects, &d, &as_so, e);
}

/* A pair that is to be made, and then its handles. */
struct making {
	ofs_token *t;
	const struct spec *spec;
	const struct place *place;
	struct pair made;
	bool as_so;
};

static int
make_there(void *arg, const struct session *s, struct ofs_error *e)
{
	struct making *m = arg;
	struct object *const made[] = { &m->made.priv, &m->made.pub };
	int rc = check_free(m->t, s, m->place, e);

	if (rc == 0)
		rc = make(m->t, s, m->spec, m->place, &m->made, e);
	for (size_t i = 0; rc == 0 && i < 2; i++) {
		memcpy(made[i]->id, m->place->id, m->place->id_len);
		made[i]->id_len = m->place->id_len;
	}
	return rc;
}

/*
 * The private object that was made, as the token shows it now. What the SO
 * made has another handle now; nothing had this id before.
 */
static int
find_made(struct making *m, const struct session *s, struct pair *p,
	struct ofs_error *e)
{
	struct object_query q = { .class_ = CKO_PRIVATE_KEY };
	struct object_list l;
	int rc;

	if (m->as_so) {
		q.id = m->place->id;
		q.id_len = m->place->id_len;
	}
	rc = object_find(s, &q, &l, e);
	for (size_t i = 0; rc == 0 && i < l.n && p->priv.h == 0; i++)
		if (m->as_so ? l.n == 1 : l.v[i].h == m->made.priv.h)
			rc = object_copy(&p->priv, &l.v[i], e);
	if (rc == 0 && p->priv.h == 0)
		rc = err_set(e, OFS_EKEY,
			"cannot find the key that '%s' has just made",
			m->t->info.label);
	object_list_free(&l);
	return rc;
}

static int
read_back(struct making *m, struct pair *p, struct ofs_error *e)
{
	struct session *s;
	int rc;

	rc = token_session(m->t, &s, e);
	if (rc == 0)
		rc = find_made(m, s, p, e);
	return rc != 0 ? rc : pair_load(m->t, s, p, e);
}

/* a key that is of no use is not left behind */
static void
discard(struct making *m)
{
	struct ofs_error left;

	err_clear(&left);
	if (destroy(m->t, &m->made, &left) != 0)
		ctx_log(m->t->ctx, OFS_LOG_ERROR,
			"the key that cannot be used is still on the token: "
			"%s",
			left.message);
}

static int
generate(ofs_token *t, const struct spec *spec, const struct place *place,
	ofs_key **out, struct ofs_error *e)
{
	struct making m = { .t = t, .spec = spec, .place = place };
	struct pair p;
	ofs_key *k = NULL;
	int rc;

	memset(&p, 0, sizeof(p));
	rc = so_try(t, "makes keys", make_there, &m, &m.as_so, e);
	if (m.made.priv.h == 0)
		return rc;
	if (rc == 0)
		rc = read_back(&m, &p, e);
	if (rc == 0 && (p.key == NULL || p.info.type != spec->type))
		rc = err_set(e, OFS_ETOKEN,
			"token '%s' made a key whose public key cannot be "
			"read, or is not %s",
			t->info.label, spec->text);
	if (rc == 0)
		rc = key_new(t, &p, &k, e);
	if (rc == 0 && !spec->decrypts)
		rc = key_check_signing(k, e);
	if (rc == 0) {
		k->signs = !spec->decrypts;
		*out = k;
		k = NULL;
	} else {
		discard(&m);
	}
	ofs_key_free(k);
	pair_free(&p);
	return rc;
}

/* the token may have names of its own */
static void
compare_label(const ofs_key *k, const struct uri *u)
{
	const struct object *o = &k->p.priv;
	char wished[256];

	if (u->label_len == 0 ||
		(u->label_len == o->label_len &&
			memcmp(u->label, o->label, o->label_len) == 0))
		return;
	ctx_log(k->token->ctx, OFS_LOG_WARNING,
		"token '%s' calls the new key '%s', not '%s'; name it by its "
		"id",
		k->token->info.label, k->p.info.label,
		label_text(wished, sizeof(wished), u->label, u->label_len));
}

static int
generate_at(ofs_token *t, const char *uri, const char *spec_text, bool decrypts,
	ofs_key **out, struct ofs_error *e)
{
	struct session *s;
	struct place place;
	struct spec spec;
	struct uri u;
	int rc;

	*out = NULL;
	rc = uri_parse(uri, &u, e);
	if (rc == 0)
		rc = uri_check_key(&u, e);
	if (rc == 0 && !uri_matches_token(&u, &t->raw, t->slot))
		rc = err_set(e, OFS_EINVAL,
			"cannot make a key: the URI names another token than "
			"'%s'",
			t->info.label);
	if (rc == 0)
		rc = parse_spec(spec_text, &spec, e);
	if (rc == 0)
		spec.decrypts = decrypts;
	if (rc == 0)
		rc = yubikey_check_place(t, &u, e);
	if (rc == 0)
		rc = take_place(&u, &place, e);
	if (rc == 0)
		rc = login_user(t, e);
	if (rc == 0)
		rc = token_session(t, &s, e);
	/* an SO may not see all that is there, and is asked for nothing then */
	if (rc == 0 && so_known(t))
		rc = check_free(t, s, &place, e);
	if (rc == 0)
		rc = generate(t, &spec, &place, out, e);
	if (rc == 0)
		compare_label(*out, &u);
	uri_free(&u);
	return rc;
}

int
key_generate(ofs_token *t, const char *uri, const char *spec, ofs_key **out,
	struct ofs_error *e)
{
	return generate_at(t, uri, spec, false, out, e);
}

int
key_generate_decrypting(ofs_token *t, const char *uri, const char *spec,
	ofs_key **out, struct ofs_error *e)
{
	return generate_at(t, uri, spec, true, out, e);
}

int
key_destroy(ofs_key *k, struct ofs_error *e)
{
	return destroy(k->token, &k->p, e);
}
