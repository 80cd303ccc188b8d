/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PKCS#11 URIs (RFC 7512): read strictly, matched, written. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "token/label.h"
#include "token/uri.h"

#define SCHEME "pkcs11:"
#define URI_MAX 4096
#define SLOT_ID_DIGITS 18 /* what a long holds for certain */

/* Attributes that we take, and those that we refuse for a reason. */
static const struct part {
	const char *name;
	const char *refused; /* NULL: taken */
} parts[] = {
	{ "token", NULL },
	{ "serial", NULL },
	{ "manufacturer", NULL },
	{ "model", NULL },
	{ "slot-id", NULL },
	{ "id", NULL },
	{ "object", NULL },
	{ "type", NULL },
	{ "pin-value",
		"a PIN in a URI shows in the process list and in the shell's "
		"history; choose a PIN source instead" },
	{ "pin-source",
		"a URI does not decide where the PIN comes from; choose the "
		"PIN source separately" },
	{ "module-path",
		"a URI does not decide what code is loaded; name the module "
		"separately" },
	{ "module-name",
		"a URI does not decide what code is loaded; name the module "
		"separately" },
};

#define N_PARTS (sizeof(parts) / sizeof(parts[0]))

/* no message shows a value: it may be a PIN in the wrong place */
static int
refuse(const char *name, size_t len, const char *why, struct ofs_error *e)
{
	char shown[64];

	if (len == 0)
		return err_set(
			e, OFS_EINVAL, "cannot use the PKCS#11 URI: %s", why);
	label_text(shown, sizeof(shown), (const uint8_t *)name, len);
	return err_set(e, OFS_EINVAL, "cannot use '%s' in a PKCS#11 URI: %s",
		shown, why);
}

/*
 * One NAME=VALUE. p11-kit takes the last of two equal names, an empty
 * slot-id for 0, and a %00 at the front of a token's name for "any": all of
 * them could pick a token or key that was not meant.
 */
static int
check_part(const char *at, size_t len, bool query, unsigned int *seen,
	struct ofs_error *e)
{
	const char *eq = memchr(at, '=', len), *value;
	size_t name_len, value_len;

	if (eq == NULL || eq == at)
		return refuse(at, 0, "a part is not NAME=VALUE", e);
	name_len = (size_t)(eq - at);
	value = eq + 1;
	value_len = len - name_len - 1;
	for (size_t i = 0; i < N_PARTS; i++) {
		if (strlen(parts[i].name) != name_len ||
			memcmp(parts[i].name, at, name_len) != 0)
			continue;
		if (parts[i].refused != NULL)
			return refuse(at, name_len, parts[i].refused, e);
		if (query)
			return refuse(
				at, name_len, "it belongs before the '?'", e);
		if ((*seen & 1u << i) != 0)
			return refuse(at, name_len, "it stands there twice", e);
		*seen |= 1u << i;
		if (value_len == 0)
			return refuse(at, name_len,
				"it is empty; leave it out to match anything",
				e);
		if (strcmp(parts[i].name, "id") != 0 && value_len >= 3 &&
			memmem(value, value_len, "%00", 3) != NULL)
			return refuse(at, name_len, "it holds a NUL", e);
		if (strcmp(parts[i].name, "slot-id") == 0 &&
			value_len > SLOT_ID_DIGITS)
			return refuse(at, name_len, "it is too large", e);
		return 0;
	}
	return refuse(at, name_len,
		"it is not known here; use token, serial, manufacturer, model, "
		"slot-id, id, object or type",
		e);
}

/* the form, before p11-kit reads it leniently */
static int
check_form(const char *text, struct ofs_error *e)
{
	const char *at = text + strlen(SCHEME), *sep = ";?";
	unsigned int seen = 0;
	size_t len;
	int rc;

	if (strlen(text) > URI_MAX)
		return err_set(e, OFS_EINVAL,
			"cannot use a PKCS#11 URI of more than %d bytes",
			URI_MAX);
	if (strncmp(text, SCHEME, strlen(SCHEME)) != 0)
		return err_set(e, OFS_EINVAL,
			"cannot use what is no PKCS#11 URI; it starts with "
			"pkcs11:, as in pkcs11:token=NAME;object=NAME");
	for (const char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 0x7f)
			return err_set(e, OFS_EINVAL,
				"cannot use a PKCS#11 URI with blanks, "
				"control or non-ASCII characters; write a "
				"blank as %%20 and every other as %%XX");
	while (*at != '\0') {
		len = strcspn(at, sep);
		if (len > 0 || *sep == ';') {
			rc = check_part(at, len, *sep == '&', &seen, e);
			if (rc != 0)
				return rc;
		}
		at += len;
		if (*at == '?')
			sep = "&";
		if (*at != '\0' && *++at == '\0')
			return refuse(at, 0, "it ends in a separator", e);
	}
	return 0;
}

static int
take_object(struct uri *u, struct ofs_error *e)
{
	CK_ATTRIBUTE *a;

	a = p11_kit_uri_get_attribute(u->p, CKA_ID);
	if (a != NULL) {
		if (a->ulValueLen == 0 || a->ulValueLen > OBJECT_ID_MAX)
			return refuse("id", 2,
				"an id has 1 to 64 bytes, each as %XX", e);
		u->id = a->pValue;
		u->id_len = a->ulValueLen;
	}
	a = p11_kit_uri_get_attribute(u->p, CKA_LABEL);
	if (a != NULL) {
		if (a->ulValueLen == 0 || a->ulValueLen > 255)
			return refuse(
				"object", 6, "a label has 1 to 255 bytes", e);
		u->label = a->pValue;
		u->label_len = a->ulValueLen;
	}
	a = p11_kit_uri_get_attribute(u->p, CKA_CLASS);
	if (a != NULL && a->ulValueLen == sizeof(u->class_)) {
		u->has_class = true;
		memcpy(&u->class_, a->pValue, sizeof(u->class_));
	}
	return 0;
}

int
uri_parse(const char *text, struct uri *u, struct ofs_error *e)
{
	int rc;

	memset(u, 0, sizeof(*u));
	if (text == NULL)
		return err_set(e, OFS_EINVAL,
			"a PKCS#11 URI is needed, as in pkcs11:token=NAME");
	rc = check_form(text, e);
	if (rc != 0)
		return rc;
	u->p = p11_kit_uri_new();
	if (u->p == NULL)
		return err_nomem(e);
	rc = p11_kit_uri_parse(text, P11_KIT_URI_FOR_ANY, u->p);
	if (rc != P11_KIT_URI_OK)
		return err_set(e, OFS_EINVAL, "cannot read the PKCS#11 URI: %s",
			rc == P11_KIT_URI_BAD_ENCODING
				? "a %XX in it is wrong"
				: "its form is wrong (RFC 7512)");
	if (p11_kit_uri_any_unrecognized(u->p))
		return err_set(e, OFS_EINVAL,
			"cannot use the PKCS#11 URI: a part of it is too long, "
			"or its type is not known; a token's name has at most "
			"32 bytes, a serial 16");
	return take_object(u, e);
}

void
uri_free(struct uri *u)
{
	if (u->p != NULL)
		p11_kit_uri_free(u->p);
	memset(u, 0, sizeof(*u));
}

int
uri_check_key(const struct uri *u, struct ofs_error *e)
{
	if (!u->has_class || u->class_ == CKO_PRIVATE_KEY ||
		u->class_ == CKO_PUBLIC_KEY || u->class_ == CKO_CERTIFICATE)
		return 0;
	return refuse("type", 4,
		"it is not that of a key pair; write type=private or leave it "
		"out",
		e);
}

bool
uri_matches_token(
	const struct uri *u, const CK_TOKEN_INFO *token, CK_SLOT_ID slot)
{
	CK_SLOT_ID wanted = p11_kit_uri_get_slot_id(u->p);

	if (wanted != (CK_SLOT_ID)-1 && wanted != slot)
		return false;
	return p11_kit_uri_match_token_info(u->p, token) == 1;
}

/* false: out of memory, or too long for `to` */
static bool
put(P11KitUri *p, const struct object *o, bool with_label, char *to,
	size_t size)
{
	CK_ATTRIBUTE a;
	char *text = NULL;
	CK_ULONG n;
	bool ok;

	p11_kit_uri_clear_attributes(p);
	if (o != NULL && o->id_len > 0) {
		n = 0;
		attr_add(&a, &n, CKA_ID, o->id, o->id_len);
		if (p11_kit_uri_set_attribute(p, &a) != P11_KIT_URI_OK)
			return false;
	}
	if (o != NULL && o->label_len > 0 && with_label) {
		n = 0;
		attr_add(&a, &n, CKA_LABEL, o->label, o->label_len);
		if (p11_kit_uri_set_attribute(p, &a) != P11_KIT_URI_OK)
			return false;
	}
	if (p11_kit_uri_format(p, P11_KIT_URI_FOR_OBJECT_ON_TOKEN, &text) !=
		P11_KIT_URI_OK)
		return false;
	ok = strlen(text) < size;
	if (ok)
		memcpy(to, text, strlen(text) + 1);
	free(text);
	return ok;
}

/* a part that a URI does not name is all zeros */
static void
name_part(const uint8_t *p, size_t n, char *to, size_t size)
{
	(void)label_text(to, size, p, label_len(p, n));
}

void
uri_names_token(const struct uri *u, char *label, size_t label_size,
	char *serial, size_t serial_size)
{
	const CK_TOKEN_INFO *t = p11_kit_uri_get_token_info(u->p);

	name_part(t->label, sizeof(t->label), label, label_size);
	name_part(
		t->serialNumber, sizeof(t->serialNumber), serial, serial_size);
}

void
uri_format(const CK_TOKEN_INFO *token, const struct object *o, char *to,
	size_t size)
{
	P11KitUri *p = p11_kit_uri_new();
	CK_TOKEN_INFO *t;

	to[0] = '\0';
	if (p == NULL)
		return;
	t = p11_kit_uri_get_token_info(p);
	*t = *token;
	/* an all-blank field would come out as "model=", which we refuse */
	if (label_len(t->label, sizeof(t->label)) == 0)
		t->label[0] = '\0';
	if (label_len(t->manufacturerID, sizeof(t->manufacturerID)) == 0)
		t->manufacturerID[0] = '\0';
	if (label_len(t->model, sizeof(t->model)) == 0)
		t->model[0] = '\0';
	if (label_len(t->serialNumber, sizeof(t->serialNumber)) == 0)
		t->serialNumber[0] = '\0';
	if (!put(p, o, true, to, size) &&
		(o == NULL || o->id_len == 0 || !put(p, o, false, to, size)))
		to[0] = '\0';
	p11_kit_uri_free(p);
}
