/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Attributes of an object: read in two passes, missing ones tolerated. */
#include <stdlib.h>
#include <string.h>

#include "token/attr.h"

#define VALUE_MAX (1UL << 20) /* no attribute that we read is longer */
#define MISSING ((CK_ULONG)-1)

static bool
tolerable(CK_RV rv)
{
	return rv == CKR_OK || rv == CKR_ATTRIBUTE_SENSITIVE ||
		rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_BUFFER_TOO_SMALL;
}

static CK_RV
ask(const struct session *s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE *a, size_t n)
{
	CK_RV rv;

	CRYPTOKI(rv, s->module->f->C_GetAttributeValue(s->h, o, a, n));
	return rv;
}

/*
 * The lengths. Some modules stop at the first attribute that they do not
 * know: what is missing then is asked for once more alone.
 */
static CK_RV
ask_lengths(
	const struct session *s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE *a, size_t n)
{
	CK_RV rv, one;

	for (size_t i = 0; i < n; i++)
		a[i].ulValueLen = MISSING;
	rv = ask(s, o, a, n);
	if (rv == CKR_OK || !tolerable(rv))
		return rv;
	for (size_t i = 0; i < n; i++) {
		if (a[i].ulValueLen != MISSING)
			continue;
		one = ask(s, o, &a[i], 1);
		if (!tolerable(one))
			return one;
		if (one != CKR_OK)
			a[i].ulValueLen = MISSING;
	}
	return CKR_OK;
}

/* gives each attribute that is there its room; false: out of memory */
static bool
make_room(struct attrs *out)
{
	size_t total = 1;

	for (size_t i = 0; i < out->n; i++) {
		if (out->a[i].ulValueLen > VALUE_MAX)
			out->a[i].ulValueLen = MISSING;
		else /* aligned for a CK_ULONG */
			total += (out->a[i].ulValueLen + 15) & ~15UL;
	}
	out->mem = calloc(1, total);
	if (out->mem == NULL)
		return false;
	total = 0;
	for (size_t i = 0; i < out->n; i++) {
		if (out->a[i].ulValueLen == MISSING)
			continue;
		out->a[i].pValue = out->mem + total;
		total += (out->a[i].ulValueLen + 15) & ~15UL;
	}
	return true;
}

/* the second pass, over those only that have a length */
static CK_RV
ask_values(const struct session *s, CK_OBJECT_HANDLE o, struct attrs *out)
{
	CK_ATTRIBUTE some[ATTR_MAX];
	size_t at[ATTR_MAX], n = 0;
	CK_RV rv;

	for (size_t i = 0; i < out->n; i++) {
		if (out->a[i].pValue == NULL || out->a[i].ulValueLen == 0)
			continue;
		at[n] = i;
		some[n++] = out->a[i];
	}
	rv = n > 0 ? ask(s, o, some, n) : CKR_OK;
	if (!tolerable(rv))
		return rv;
	for (size_t i = 0; i < n; i++) {
		CK_ATTRIBUTE *a = &out->a[at[i]];

		/* never more than there was room for */
		if (some[i].ulValueLen == MISSING ||
			some[i].ulValueLen > a->ulValueLen)
			a->pValue = NULL;
		else
			a->ulValueLen = some[i].ulValueLen;
	}
	return CKR_OK;
}

int
attrs_read(const struct session *s, CK_OBJECT_HANDLE o,
	const CK_ATTRIBUTE_TYPE *types, size_t n, struct attrs *out,
	struct ofs_error *e)
{
	CK_RV rv;

	memset(out, 0, sizeof(*out));
	if (n > ATTR_MAX)
		return err_set(e, OFS_EINTERNAL,
			"cannot read %zu attributes at once", n);
	out->n = n;
	for (size_t i = 0; i < n; i++)
		out->a[i].type = types[i];
	rv = ask_lengths(s, o, out->a, n);
	if (rv == CKR_OK) {
		if (!make_room(out))
			return err_nomem(e);
		rv = ask_values(s, o, out);
	}
	if (rv != CKR_OK)
		return cryptoki_err(e, cryptoki_code(rv), rv,
			"cannot read the attributes of an object");
	return 0;
}

void
attrs_free(struct attrs *a)
{
	free(a->mem);
	memset(a, 0, sizeof(*a));
}

const uint8_t *
attrs_get(const struct attrs *a, CK_ATTRIBUTE_TYPE type, size_t *len)
{
	*len = 0;
	for (size_t i = 0; i < a->n; i++)
		if (a->a[i].type == type && a->a[i].pValue != NULL) {
			*len = a->a[i].ulValueLen;
			return a->a[i].pValue;
		}
	return NULL;
}

signed char
attrs_bool(const struct attrs *a, CK_ATTRIBUTE_TYPE type)
{
	size_t len;
	const uint8_t *p = attrs_get(a, type, &len);

	if (p == NULL || len != sizeof(CK_BBOOL))
		return -1;
	return *p != 0;
}

bool
attrs_ulong(const struct attrs *a, CK_ATTRIBUTE_TYPE type, CK_ULONG *v)
{
	size_t len;
	const uint8_t *p = attrs_get(a, type, &len);

	*v = 0;
	if (p == NULL || len != sizeof(*v))
		return false;
	memcpy(v, p, sizeof(*v));
	return true;
}

void
attr_add(CK_ATTRIBUTE *t, CK_ULONG *n, CK_ATTRIBUTE_TYPE type,
	const void *value, size_t len)
{
	t[*n].type = type;
	t[*n].pValue = (void *)(uintptr_t)value;
	t[*n].ulValueLen = len;
	(*n)++;
}

void
attr_add_bool(CK_ATTRIBUTE *t, CK_ULONG *n, CK_ATTRIBUTE_TYPE type, bool value)
{
	static const CK_BBOOL yes = 1, no = 0;

	attr_add(t, n, type, value ? &yes : &no, sizeof(CK_BBOOL));
}
