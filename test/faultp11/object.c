/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Objects: handles, searches, attributes. */
#include <stdlib.h>
#include <string.h>

#include "object.h"
#include "yubikey.h"

#define POINT_MAX 256

CK_OBJECT_HANDLE
object_find(CK_SLOT_ID inner, CK_ATTRIBUTE *a, CK_ULONG n)
{
	CK_OBJECT_HANDLE found = 0;
	CK_SESSION_HANDLE h;
	CK_ULONG count = 0;

	if (real->C_OpenSession(inner, CKF_SERIAL_SESSION, NULL, NULL, &h) !=
		CKR_OK)
		return 0;
	if (real->C_FindObjectsInit(h, a, n) == CKR_OK) {
		if (real->C_FindObjects(h, &found, 1, &count) != CKR_OK ||
			count == 0)
			found = 0;
		(void)real->C_FindObjectsFinal(h);
	}
	(void)real->C_CloseSession(h);
	return found;
}

static CK_OBJECT_HANDLE
private_key(CK_SLOT_ID inner, const char *label)
{
	CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
	CK_ATTRIBUTE a[] = {
		{ CKA_CLASS, &class, sizeof(class) },
		{ CKA_LABEL, (void *)(uintptr_t)label, strlen(label) },
	};

	return object_find(inner, a, 2);
}

/* the other one's handle where the script exchanges the two */
static CK_OBJECT_HANDLE
exchanged(struct call *c, CK_OBJECT_HANDLE o)
{
	struct mode m;

	for (size_t i = 0;
		o != 0 && c->slot != NULL && call_mode(c, MODE_SWAP, i, &m);
		i++) {
		CK_OBJECT_HANDLE a = private_key(c->id, m.a);
		CK_OBJECT_HANDLE b = private_key(c->id, m.b);

		if (a == 0 || b == 0)
			continue;
		if (o == a)
			o = b;
		else if (o == b)
			o = a;
	}
	return o;
}

CK_OBJECT_HANDLE
object_in(struct call *c, CK_OBJECT_HANDLE outer)
{
	CK_OBJECT_HANDLE inner;

	state_lock();
	inner = handle_inner(outer);
	state_unlock();
	return exchanged(c, inner);
}

CK_OBJECT_HANDLE
object_out(struct call *c, CK_OBJECT_HANDLE inner)
{
	CK_OBJECT_HANDLE outer = exchanged(c, inner);

	state_lock();
	outer = handle_outer(outer);
	state_unlock();
	return outer;
}

void
object_made(struct call *c, CK_RV rv, CK_OBJECT_HANDLE *handle)
{
	if (rv == CKR_OK && handle != NULL)
		*handle = object_out(c, *handle);
	call_numbers(c, handle, 1, NULL);
}

CK_RV
object_key_answer(struct call *c, CK_RV rv)
{
	bool opensc;

	state_lock();
	opensc = c->slot != NULL && c->slot->column == COLUMN_OPENSC;
	state_unlock();
	return rv == CKR_OBJECT_HANDLE_INVALID && opensc
		? CKR_KEY_HANDLE_INVALID
		: rv;
}

CK_RV
C_CreateObject(CK_SESSION_HANDLE session, CK_ATTRIBUTE *a, CK_ULONG n,
	CK_OBJECT_HANDLE *object)
{
	struct call c;
	CK_RV rv;

	if (!call_session(&c, FN_C_CreateObject, session, &rv))
		return rv;
	if (!yubikey_may_write(&c, &rv))
		return call_end(&c, rv);
	rv = call_has(&c, MODE_YUBIKEY)
		? yubikey_create(&c, a, n, object)
		: real->C_CreateObject(c.h, a, n, object);
	object_made(&c, rv, object);
	return call_end(&c, rv);
}

CK_RV
C_CopyObject(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
	CK_ATTRIBUTE *a, CK_ULONG n, CK_OBJECT_HANDLE *copy)
{
	struct call c;
	CK_RV rv;

	if (!call_session(&c, FN_C_CopyObject, session, &rv))
		return rv;
	rv = real->C_CopyObject(c.h, object_in(&c, object), a, n, copy);
	object_made(&c, rv, copy);
	return call_end(&c, rv);
}

CK_RV
C_DestroyObject(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object)
{
	struct call c;
	CK_RV rv;

	if (!call_session(&c, FN_C_DestroyObject, session, &rv))
		return rv;
	if (!yubikey_may_write(&c, &rv))
		return call_end(&c, rv);
	rv = call_has(&c, MODE_YUBIKEY)
		? yubikey_destroy(&c, object_in(&c, object))
		: real->C_DestroyObject(c.h, object_in(&c, object));
	return call_end(&c, rv);
}

CK_RV
C_GetObjectSize(
	CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ULONG *size)
{
	struct call c;
	CK_RV rv;

	if (!call_session(&c, FN_C_GetObjectSize, session, &rv))
		return rv;
	rv = real->C_GetObjectSize(c.h, object_in(&c, object), size);
	call_numbers(&c, size, 1, NULL);
	return call_end(&c, rv);
}

/* 04 LEN value, with a short or a one-byte length; 0: it is not wrapped */
static size_t
wrapping(const unsigned char *p, size_t n)
{
	if (n > 2 && p[0] == 0x04 && p[1] == n - 2 && p[1] < 0x80)
		return 2;
	if (n > 3 && p[0] == 0x04 && p[1] == 0x81 && p[2] == n - 3)
		return 3;
	return 0;
}

static CK_RV
ec_point(struct call *c, CK_OBJECT_HANDLE o, CK_ATTRIBUTE *a, bool raw)
{
	unsigned char own[POINT_MAX + 3], *p = own + 3;
	CK_ATTRIBUTE mine = { CKA_EC_POINT, p, POINT_MAX };
	size_t head, n;
	CK_RV rv;

	rv = real->C_GetAttributeValue(c->h, o, &mine, 1);
	if (rv != CKR_OK) {
		a->ulValueLen = (CK_ULONG)-1;
		return rv;
	}
	n = mine.ulValueLen;
	head = wrapping(p, n);
	if (raw) {
		p += head;
		n -= head;
	} else if (head == 0) {
		*--p = (unsigned char)n;
		if (n++ >= 0x80 && n++ > 0)
			*--p = 0x81;
		*--p = 0x04;
		n++;
	}
	if (a->pValue != NULL && a->ulValueLen < n) {
		a->ulValueLen = (CK_ULONG)-1;
		return CKR_BUFFER_TOO_SMALL;
	}
	if (a->pValue != NULL)
		memcpy(a->pValue, p, n);
	a->ulValueLen = n;
	return CKR_OK;
}

static bool
is_missing(struct call *c, CK_ATTRIBUTE_TYPE type)
{
	struct mode m;

	for (size_t i = 0; call_mode(c, MODE_NOATTR, i, &m); i++)
		if (m.n == type)
			return true;
	return false;
}

/* one after the other, so that the others are filled whatever one says */
static CK_RV
attributes(struct call *c, CK_OBJECT_HANDLE o, CK_ATTRIBUTE *a, CK_ULONG n)
{
	struct mode form = { .kind = MODE_ECPOINT };
	bool formed = call_mode(c, MODE_ECPOINT, 0, &form);
	CK_RV rv = CKR_OK, one;

	if (!formed && !call_has(c, MODE_NOATTR))
		return real->C_GetAttributeValue(c->h, o, a, n);
	for (CK_ULONG i = 0; i < n; i++) {
		if (is_missing(c, a[i].type)) {
			a[i].ulValueLen = (CK_ULONG)-1;
			one = CKR_ATTRIBUTE_TYPE_INVALID;
		} else if (formed && a[i].type == CKA_EC_POINT) {
			one = ec_point(c, o, &a[i], form.a[0] == 'r');
		} else {
			one = real->C_GetAttributeValue(c->h, o, &a[i], 1);
		}
		if (one != CKR_OK)
			rv = one;
	}
	return rv;
}

CK_RV
C_GetAttributeValue(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
	CK_ATTRIBUTE *a, CK_ULONG n)
{
	struct call c;
	CK_RV rv;

	if (!call_session(&c, FN_C_GetAttributeValue, session, &rv))
		return rv;
	rv = attributes(&c, object_in(&c, object), a, n);
	call_attributes(&c, a, n);
	return call_end(&c, rv);
}

CK_RV
C_SetAttributeValue(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
	CK_ATTRIBUTE *a, CK_ULONG n)
{
	struct call c;
	CK_RV rv;

	if (!call_session(&c, FN_C_SetAttributeValue, session, &rv))
		return rv;
	/* nothing can be renamed on a YubiKey */
	if (!call_has(&c, MODE_YUBIKEY) && !yubikey_may_write(&c, &rv))
		return call_end(&c, rv);
	rv = call_has(&c, MODE_YUBIKEY)
		? CKR_FUNCTION_NOT_SUPPORTED
		: real->C_SetAttributeValue(c.h, object_in(&c, object), a, n);
	return call_end(&c, rv);
}

CK_RV
C_FindObjectsInit(CK_SESSION_HANDLE session, CK_ATTRIBUTE *a, CK_ULONG n)
{
	struct call c;
	CK_RV rv;

	if (!call_session(&c, FN_C_FindObjectsInit, session, &rv))
		return rv;
	return call_end(&c, real->C_FindObjectsInit(c.h, a, n));
}

static bool
is_public_key(struct call *c, CK_OBJECT_HANDLE o)
{
	CK_OBJECT_CLASS class = CKO_DATA;
	CK_ATTRIBUTE a = { CKA_CLASS, &class, sizeof(class) };

	return real->C_GetAttributeValue(c->h, o, &a, 1) == CKR_OK &&
		class == CKO_PUBLIC_KEY;
}

/* 0 objects means the end, so that what is left out is made up for */
static CK_RV
found(struct call *c, CK_OBJECT_HANDLE *v, CK_ULONG max, CK_ULONG *n)
{
	bool nopublic = call_has(c, MODE_NOPUBLIC);
	CK_ULONG have = 0;
	CK_RV rv;

	do {
		rv = real->C_FindObjects(c->h, v, max, n);
		if (rv != CKR_OK || v == NULL || n == NULL)
			return rv;
		have = 0;
		for (CK_ULONG i = 0; i < *n; i++)
			if ((!nopublic || !is_public_key(c, v[i])) &&
				!yubikey_hides(c, v[i]))
				v[have++] = object_out(c, v[i]);
	} while (have == 0 && *n > 0);
	*n = have;
	return CKR_OK;
}

CK_RV
C_FindObjects(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE *objects,
	CK_ULONG max, CK_ULONG *count)
{
	struct call c;
	CK_RV rv;

	if (!call_session(&c, FN_C_FindObjects, session, &rv))
		return rv;
	rv = found(&c, objects, max, count);
	call_numbers(&c, objects, 0, count);
	return call_end(&c, rv);
}

CK_RV
C_FindObjectsFinal(CK_SESSION_HANDLE session)
{
	struct call c;
	CK_RV rv;

	if (!call_session(&c, FN_C_FindObjectsFinal, session, &rv))
		return rv;
	return call_end(&c, real->C_FindObjectsFinal(c.h));
}
