/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An OpenSSL EVP_PKEY for a key on a token, through libp11. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libp11.h>
#include <openssl/ui.h>

#include "base/text.h"
#include "crypto/pubkey.h"
#include "token/keydef.h"

/*
 * libp11 0.4.12 (the version in Debian 12) has traps that decide the shape of
 * this file. The lines were read in its source and seen against SoftHSM2.
 *
 * - Releasing a slot, or a failing PKCS11_enumerate_slots, calls
 *   C_CloseAllSessions for the slot: our sessions would go, and the login
 *   with them. PKCS11_open_session does the same, PKCS11_CTX_unload finalises
 *   the module. So none of these is called, and what was made stays for the
 *   life of the process.
 * - PKCS11_update_slots reads past its argument when there are two slots.
 * - PKCS11_enumerate_keys fails for all keys when one is neither RSA nor EC,
 *   and caches object handles for ever: each bridge has a context of its own.
 * - Without a public key object, reading an RSA key that shows no public
 *   exponent crashes; objects are joined by their id alone.
 * - A failing C_OpenSession makes it wait for ever.
 * - A failing C_GetInfo makes PKCS11_CTX_load finalise the module.
 * - For a key that wants the PIN each time it asks on the terminal, or on
 *   standard input. Such a key is refused; one that turns out to be one finds
 *   nobody to ask.
 * - PSS goes out as CKM_RSA_X_509, which many tokens do not have: OpenSSL then
 *   says that signing failed. A batch uses CKM_RSA_PKCS_PSS.
 */

/* What was made once for a key, and is handed out again for the same key. */
struct bridge {
	struct bridge *next;
	/* the key; the handle counts only while the module stays loaded */
	unsigned long load;
	pid_t pid;
	CK_SLOT_ID slot;
	CK_OBJECT_HANDLE priv;
	uint8_t spki[32];
	PKCS11_CTX *ctx;
	UI_METHOD *silent;
	PKCS11_SLOT *slots;
	unsigned int n;
	EVP_PKEY *pk; /* NULL: it could not be made */
};

static int
refuse(const ofs_key *k, const char *why, struct ofs_error *e)
{
	return err_set(e, OFS_EUNSUPPORTED,
		"cannot lend key '%s' on '%s' to OpenSSL: %s", k->p.info.label,
		k->token->info.label, why);
}

static bool
known_type(const struct object *o)
{
	return o->key_type == CKK_RSA || o->key_type == CKK_EC;
}

static bool
has_id(const struct object *o, const struct object *other)
{
	return o->id_len == other->id_len &&
		memcmp(o->id, other->id, o->id_len) == 0;
}

/* all keys of one class: of types that libp11 knows, one with our id */
static int
check_class(const ofs_key *k, const struct session *s, CK_OBJECT_CLASS class_,
	struct ofs_error *e)
{
	struct object_query q = { .class_ = class_ };
	struct object_list l;
	size_t same = 0;
	int rc;

	rc = object_find(s, &q, &l, e);
	for (size_t i = 0; rc == 0 && i < l.n; i++) {
		if (!known_type(&l.v[i]))
			rc = refuse(k,
				"another key on this token is neither RSA nor "
				"EC (such as Ed25519), and libp11 then fails "
				"for all keys; move that key to another token",
				e);
		else if (has_id(&l.v[i], &k->p.priv))
			same++;
	}
	if (rc == 0 && same > 1)
		rc = refuse(k,
			"another key has the same id, and libp11 may take the "
			"wrong one; give each key an id of its own",
			e);
	if (rc == 0 && same == 0)
		rc = refuse(k,
			class_ == CKO_PUBLIC_KEY
				? "it has no public key object with its id, "
				  "without which libp11 crashes; store one"
				: "it is not visible any more; log in again",
			e);
	object_list_free(&l);
	return rc;
}

/* everything that PKCS11_CTX_load and PKCS11_enumerate_slots ask must work */
static int
check_module(const ofs_key *k, struct ofs_error *e)
{
	CK_FUNCTION_LIST *f = k->token->module->f;
	CK_SLOT_ID *ids = NULL;
	CK_TOKEN_INFO token;
	CK_SLOT_INFO slot;
	CK_ULONG n = 0;
	CK_INFO info;
	CK_RV rv;

	CRYPTOKI(rv, f->C_GetInfo(&info));
	if (rv == CKR_OK)
		CRYPTOKI(rv, f->C_GetSlotList(CK_FALSE, NULL, &n));
	if (rv == CKR_OK && n > 0 && n <= 4096) {
		ids = calloc(n, sizeof(*ids));
		if (ids == NULL)
			return err_nomem(e);
		CRYPTOKI(rv, f->C_GetSlotList(CK_FALSE, ids, &n));
	}
	for (CK_ULONG i = 0; rv == CKR_OK && ids != NULL && i < n; i++) {
		CRYPTOKI(rv, f->C_GetSlotInfo(ids[i], &slot));
		if (rv == CKR_OK && (slot.flags & CKF_TOKEN_PRESENT) != 0)
			CRYPTOKI(rv, f->C_GetTokenInfo(ids[i], &token));
		if (rv == CKR_TOKEN_NOT_PRESENT ||
			rv == CKR_TOKEN_NOT_RECOGNIZED)
			rv = CKR_OK;
	}
	free(ids);
	if (rv != CKR_OK)
		return cryptoki_err(e, OFS_EUNSUPPORTED, rv,
			"cannot lend key '%s' to OpenSSL: a slot of the module "
			"'%s' fails, and libp11 would disturb the others",
			k->p.info.label, TEXT_Q(k->token->module->path));
	return 0;
}

/* libp11 takes one session, and more with more threads */
static int
check_sessions(const ofs_key *k, struct ofs_error *e)
{
	struct session s[2];
	int rc;

	memset(s, 0, sizeof(s));
	rc = session_open(k->token->module, k->token->slot, false, &s[0], e);
	if (rc == 0)
		rc = session_open(
			k->token->module, k->token->slot, false, &s[1], e);
	session_close(&s[0]);
	session_close(&s[1]);
	return rc;
}

static int
check(const ofs_key *k, struct ofs_error *e)
{
	struct session *s;
	int rc;

	if (!k->signs)
		return err_set(e, OFS_EINVAL,
			"cannot lend key '%s' to OpenSSL: it was opened "
			"without a login",
			k->p.info.label);
	if (!known_type(&k->p.priv))
		return refuse(k,
			"libp11 knows RSA and EC keys only; sign with it "
			"through a batch",
			e);
	if (k->p.info.always_authenticate == 1)
		return refuse(k,
			"it wants the PIN for every signature, for which "
			"libp11 asks on the terminal; sign with it through a "
			"batch",
			e);
	if (k->p.priv.id_len == 0)
		return refuse(k,
			"it has no id, and libp11 finds what belongs to it by "
			"the id alone; give it one",
			e);
	rc = token_session(k->token, &s, e);
	if (rc == 0)
		rc = check_class(k, s, CKO_PRIVATE_KEY, e);
	if (rc == 0)
		rc = check_class(k, s, CKO_PUBLIC_KEY, e);
	if (rc == 0)
		rc = check_module(k, e);
	if (rc == 0)
		rc = check_sessions(k, e);
	return rc;
}

static PKCS11_SLOT *
find_slot(struct bridge *b)
{
	for (unsigned int i = 0; i < b->n; i++)
		if (b->slots[i].token != NULL &&
			PKCS11_get_slotid_from_slot(&b->slots[i]) == b->slot)
			return &b->slots[i];
	return NULL;
}

static PKCS11_KEY *
find_key(PKCS11_SLOT *slot, const struct object *o)
{
	PKCS11_KEY *keys = NULL;
	unsigned int n = 0;

	if (PKCS11_enumerate_keys(slot->token, &keys, &n) != 0)
		return NULL;
	for (unsigned int i = 0; i < n; i++)
		if (keys[i].id_len == o->id_len &&
			memcmp(keys[i].id, o->id, o->id_len) == 0)
			return &keys[i];
	return NULL;
}

static int
ask_nobody(UI *ui)
{
	(void)ui;
	return 0;
}

/* fills b, which is on the list already: nothing of it is ever given back */
static int
build(struct bridge *b, const ofs_key *k, struct ofs_error *e)
{
	PKCS11_SLOT *slot;
	PKCS11_KEY *key;
	EVP_PKEY *pk;

	b->ctx = PKCS11_CTX_new();
	b->silent = UI_create_method("no questions");
	if (b->ctx == NULL || b->silent == NULL ||
		UI_method_set_opener(b->silent, ask_nobody) != 0 ||
		PKCS11_set_ui_method(b->ctx, b->silent, NULL) != 0)
		return err_nomem(e);
	if (PKCS11_CTX_load(b->ctx, k->token->module->path) != 0)
		return err_ssl(e, OFS_EMODULE,
			"cannot load the module '%s' into libp11",
			TEXT_Q(k->token->module->path));
	if (PKCS11_enumerate_slots(b->ctx, &b->slots, &b->n) != 0)
		return err_ssl(e, OFS_ETOKEN,
			"cannot list the slots of '%s' with libp11",
			TEXT_Q(k->token->module->path));
	slot = find_slot(b);
	if (slot == NULL)
		return refuse(k, "libp11 does not see the token", e);
	key = find_key(slot, &k->p.priv);
	if (key == NULL)
		return err_ssl(e, OFS_EUNSUPPORTED,
			"cannot lend key '%s' on '%s' to OpenSSL: libp11 does "
			"not find it",
			k->p.info.label, k->token->info.label);
	pk = PKCS11_get_private_key(key);
	if (pk == NULL)
		return err_ssl(e, OFS_EUNSUPPORTED,
			"cannot lend key '%s' on '%s' to OpenSSL",
			k->p.info.label, k->token->info.label);
	if (!pubkey_equal(pk, k->p.key)) {
		EVP_PKEY_free(pk);
		return refuse(k, "libp11 took another key for it", e);
	}
	b->pk = pk;
	return 0;
}

static bool
is_for(const struct bridge *b, const ofs_key *k)
{
	return b->pk != NULL &&
		b->load == atomic_load(&k->token->module->load) &&
		b->pid == getpid() && b->slot == k->token->slot &&
		b->priv == k->p.priv.h &&
		memcmp(b->spki, k->p.info.spki_sha256, sizeof(b->spki)) == 0;
}

static int
find_or_build(struct bridge **list, const ofs_key *k, struct bridge **out,
	struct ofs_error *e)
{
	struct bridge *b;

	for (b = *list; b != NULL; b = b->next)
		if (is_for(b, k)) {
			*out = b;
			return 0;
		}
	b = calloc(1, sizeof(*b));
	if (b == NULL)
		return err_nomem(e);
	b->load = atomic_load(&k->token->module->load);
	b->pid = getpid();
	b->slot = k->token->slot;
	b->priv = k->p.priv.h;
	memcpy(b->spki, k->p.info.spki_sha256, sizeof(b->spki));
	b->next = *list;
	*list = b;
	*out = b;
	return build(b, k, e);
}

struct lending {
	ofs_key *key;
	EVP_PKEY *pk;
};

static int
run_lend(void *arg, struct ofs_error *e)
{
	struct lending *l = arg;
	/* from cryptoki_enter() on, who waits may give up, and l be gone */
	ofs_key *k = l->key;
	struct cryptoki_guard g;
	struct bridge **list, *b = NULL;
	int rc;

	rc = check(k, e);
	if (rc != 0)
		return rc;
	list = module_bridge_lock(atomic_load(&k->token->module->limit));
	if (list == NULL)
		return err_set(e, OFS_ETOKEN,
			"cannot lend key '%s' to OpenSSL: libp11 hangs with "
			"another one; end this program and look at that token",
			k->p.info.label);
	cryptoki_enter(&g);
	rc = find_or_build(list, k, &b, e);
	cryptoki_leave(&g);
	if (rc == 0 && EVP_PKEY_up_ref(b->pk) != 1)
		rc = err_nomem(e);
	if (rc == 0)
		l->pk = b->pk;
	module_bridge_unlock();
	return rc;
}

int
key_to_evp(ofs_key *k, EVP_PKEY **out, struct ofs_error *e)
{
	struct lending l = { k, NULL };
	int rc;

	rc = token_run(k->token, run_lend, &l, e);
	*out = rc == 0 ? l.pk : NULL;
	return rc;
}
