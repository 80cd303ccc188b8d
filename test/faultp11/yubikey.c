/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A YubiKey through ykcs11: the SO writes, the id is the number of the PIV
 * slot, and objects are called what that slot is called.
 */
#include <stdio.h>
#include <string.h>

#include "attest.h"
#include "login.h"
#include "object.h"
#include "yubikey.h"

#define ATTRIBUTES_MAX 32
#define PIV_SLOTS 25
#define DIGITAL_SIGNATURE 2

static void
slot_title(unsigned int id, char *out, size_t room)
{
	static const char *const names[] = { "PIV Authentication",
		"Digital Signature", "Key Management", "Card Authentication" };

	if (id <= 4)
		snprintf(out, room, "%s", names[id - 1]);
	else if (id < PIV_SLOTS)
		snprintf(out, room, "Retired Key %u", id - 4);
	else
		snprintf(out, room, "PIV Attestation");
}

static const CK_ATTRIBUTE *
attribute(const CK_ATTRIBUTE *a, CK_ULONG n, CK_ATTRIBUTE_TYPE type)
{
	for (CK_ULONG i = 0; i < n; i++)
		if (a[i].type == type)
			return &a[i];
	return NULL;
}

/* a template that is changed on its way */
struct template
{
	CK_ATTRIBUTE a[ATTRIBUTES_MAX];
	CK_ULONG n;
};

static bool
copy(struct template *t, const CK_ATTRIBUTE *a, CK_ULONG n)
{
	if (n + 5 > ATTRIBUTES_MAX)
		return false;
	memcpy(t->a, a, n * sizeof(*a));
	t->n = n;
	return true;
}

static void
put(struct template *t, CK_ATTRIBUTE_TYPE type, void *p, CK_ULONG len)
{
	CK_ULONG i;

	for (i = 0; i < t->n && t->a[i].type != type; i++)
		;
	t->a[i] = (CK_ATTRIBUTE){ type, p, len };
	if (i == t->n)
		t->n++;
}

/* the PIV slot that an id names: one byte, 1 to 25 */
static CK_RV
piv_slot(const CK_ATTRIBUTE *id, unsigned char *out)
{
	if (id == NULL)
		return CKR_TEMPLATE_INCOMPLETE;
	if (id->ulValueLen != 1 || id->pValue == NULL)
		return CKR_ATTRIBUTE_VALUE_INVALID;
	*out = *(unsigned char *)id->pValue;
	return *out >= 1 && *out <= PIV_SLOTS ? CKR_OK
					      : CKR_ATTRIBUTE_VALUE_INVALID;
}

/* what is in the slot is overwritten without a question */
static void
destroy(struct call *c, CK_OBJECT_CLASS class, unsigned char id)
{
	CK_ATTRIBUTE a[] = {
		{ CKA_CLASS, &class, sizeof(class) },
		{ CKA_ID, &id, 1 },
	};
	CK_OBJECT_HANDLE o;

	while ((o = object_find(c->id, a, 2)) != 0)
		if (real->C_DestroyObject(c->h, o) != CKR_OK)
			break;
}

/* the attestation has the same id, and stays */
static void
destroy_labelled(struct call *c, char *label)
{
	CK_ATTRIBUTE a = { CKA_LABEL, label, strlen(label) };
	CK_OBJECT_HANDLE o;

	while ((o = object_find(c->id, &a, 1)) != 0)
		if (real->C_DestroyObject(c->h, o) != CKR_OK)
			break;
}

bool
yubikey_or_alike(struct call *c)
{
	return call_has(c, MODE_YUBIKEY) || call_has(c, MODE_SOWRITES);
}

bool
yubikey_may_write(struct call *c, CK_RV *rv)
{
	*rv = call_has(c, MODE_YUBIKEY) ? CKR_USER_TYPE_INVALID
					: CKR_USER_NOT_LOGGED_IN;
	return !yubikey_or_alike(c) || login_is_so(c);
}

void
yubikey_describe(CK_TOKEN_INFO *info)
{
	memcpy(info->manufacturerID, "Yubico (www.yubico.com)         ", 32);
	memcpy(info->model, "YubiKey YK5     ", 16);
}

/* the PIV slot of an object, or 0 */
static unsigned char
slot_of(struct call *c, CK_OBJECT_HANDLE o)
{
	unsigned char id[64];
	CK_ATTRIBUTE a = { CKA_ID, id, sizeof(id) };

	if (real->C_GetAttributeValue(c->h, o, &a, 1) != CKR_OK ||
		a.ulValueLen != 1 || id[0] > PIV_SLOTS)
		return 0;
	return id[0];
}

bool
yubikey_hides(struct call *c, CK_OBJECT_HANDLE o)
{
	return c->slot != NULL && c->slot->hidden != 0 &&
		(c->slot->hidden >> slot_of(c, o) & 1) != 0;
}

/*
 * Whatever of a slot is to be deleted: its certificate is, and all the rest
 * is not shown until the sessions are closed.
 */
CK_RV
yubikey_destroy(struct call *c, CK_OBJECT_HANDLE o)
{
	unsigned char id = slot_of(c, o);
	char label[64] = "X.509 Certificate for ";

	if (id == 0)
		return CKR_OBJECT_HANDLE_INVALID;
	slot_title(id, label + strlen(label), sizeof(label) - strlen(label));
	destroy_labelled(c, label);
	state_lock();
	c->slot->hidden |= (uint32_t)1 << id;
	state_unlock();
	return CKR_OK;
}

/* everything is gone, and the user's PIN is the maker's; the label is fixed */
CK_RV
yubikey_reset(struct call *c, CK_UTF8CHAR *pin, CK_ULONG len)
{
	CK_UTF8CHAR first[] = "123456";
	CK_SESSION_HANDLE h;
	CK_TOKEN_INFO t;
	CK_RV rv;

	rv = real->C_GetTokenInfo(c->id, &t);
	if (rv == CKR_OK)
		rv = real->C_InitToken(c->id, pin, len, t.label);
	if (rv == CKR_OK)
		rv = real->C_OpenSession(c->id,
			CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &h);
	if (rv != CKR_OK)
		return rv;
	rv = real->C_Login(h, CKU_SO, pin, len);
	if (rv == CKR_OK)
		rv = real->C_InitPIN(h, first, 6);
	(void)real->C_CloseSession(h);
	return rv;
}

CK_RV
yubikey_create(
	struct call *c, CK_ATTRIBUTE *a, CK_ULONG n, CK_OBJECT_HANDLE *out)
{
	const CK_ATTRIBUTE *class = attribute(a, n, CKA_CLASS);
	char label[64] = "X.509 Certificate for ";
	struct template t;
	unsigned char id;
	CK_RV rv;

	if (class == NULL || class->ulValueLen != sizeof(CK_OBJECT_CLASS) ||
		*(CK_OBJECT_CLASS *)class->pValue != CKO_CERTIFICATE)
		return real->C_CreateObject(c->h, a, n, out);
	rv = piv_slot(attribute(a, n, CKA_ID), &id);
	if (rv != CKR_OK)
		return rv;
	if (!copy(&t, a, n))
		return CKR_TEMPLATE_INCONSISTENT;
	slot_title(id, label + strlen(label), sizeof(label) - strlen(label));
	put(&t, CKA_LABEL, label, strlen(label));
	destroy_labelled(c, label);
	return real->C_CreateObject(c->h, t.a, t.n, out);
}

CK_RV
yubikey_generate(struct call *c, CK_MECHANISM *mech, CK_ATTRIBUTE *pub,
	CK_ULONG pub_n, CK_ATTRIBUTE *priv, CK_ULONG priv_n,
	CK_OBJECT_HANDLE *pub_out, CK_OBJECT_HANDLE *priv_out)
{
	char title[32], pub_label[64], priv_label[64], cert_label[64];
	const CK_ATTRIBUTE *id = attribute(priv, priv_n, CKA_ID);
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	struct template p, s;
	unsigned char slot;
	CK_RV rv;

	if (attribute(priv, priv_n, CKA_EXTRACTABLE) != NULL)
		return CKR_ATTRIBUTE_VALUE_INVALID;
	if (attribute(pub, pub_n, CKA_VERIFY_RECOVER) != NULL ||
		attribute(priv, priv_n, CKA_SIGN_RECOVER) != NULL)
		return CKR_ATTRIBUTE_TYPE_INVALID;
	rv = piv_slot(id != NULL ? id : attribute(pub, pub_n, CKA_ID), &slot);
	if (rv != CKR_OK)
		return rv;
	if (!yubikey_may_write(c, &rv))
		return rv;
	if (!copy(&p, pub, pub_n) || !copy(&s, priv, priv_n))
		return CKR_TEMPLATE_INCONSISTENT;
	slot_title(slot, title, sizeof(title));
	snprintf(cert_label, sizeof(cert_label), "X.509 Certificate for %s",
		title);
	snprintf(pub_label, sizeof(pub_label), "Public key for %s", title);
	snprintf(priv_label, sizeof(priv_label), "Private key for %s", title);
	put(&p, CKA_LABEL, pub_label, strlen(pub_label));
	put(&p, CKA_ID, &slot, 1);
	put(&s, CKA_LABEL, priv_label, strlen(priv_label));
	put(&s, CKA_ID, &slot, 1);
	put(&s, CKA_SENSITIVE, &yes, sizeof(yes));
	put(&s, CKA_EXTRACTABLE, &no, sizeof(no));
	if (slot == DIGITAL_SIGNATURE)
		put(&s, CKA_ALWAYS_AUTHENTICATE, &yes, sizeof(yes));
	destroy(c, CKO_PRIVATE_KEY, slot);
	destroy(c, CKO_PUBLIC_KEY, slot);
	rv = real->C_GenerateKeyPair(
		c->h, mech, p.a, p.n, s.a, s.n, pub_out, priv_out);
	state_lock();
	if (rv == CKR_OK)
		c->slot->hidden &= ~((uint32_t)1 << slot);
	state_unlock();
	return rv != CKR_OK ? rv
			    : attest_placeholder(c, *pub_out, slot, cert_label);
}
