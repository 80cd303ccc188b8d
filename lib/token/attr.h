/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Attributes of an object: read in two passes, missing ones tolerated. */
#ifndef TOKEN_ATTR_H
#define TOKEN_ATTR_H

#include <stdbool.h>
#include <stdint.h>

#include "token/session.h"

#define ATTR_MAX 24

/* What was asked for, in that order; pValue is NULL for what was not given. */
struct attrs {
	CK_ATTRIBUTE a[ATTR_MAX];
	size_t n;
	uint8_t *mem;
};

/*
 * Reads up to ATTR_MAX attributes. An attribute that the token does not have,
 * does not show or gives with a mad length is missing, and that is no error.
 * Caller frees with attrs_free, after a failure too.
 */
int attrs_read(const struct session *s, CK_OBJECT_HANDLE o,
	const CK_ATTRIBUTE_TYPE *types, size_t n, struct attrs *out,
	struct ofs_error *e);
void attrs_free(struct attrs *a);

/* the value, borrowed, or NULL (*len is 0) when missing; may be empty */
const uint8_t *attrs_get(
	const struct attrs *a, CK_ATTRIBUTE_TYPE type, size_t *len);
/* 1, 0, or -1 when missing or not a CK_BBOOL */
signed char attrs_bool(const struct attrs *a, CK_ATTRIBUTE_TYPE type);
bool attrs_ulong(const struct attrs *a, CK_ATTRIBUTE_TYPE type, CK_ULONG *v);

/* n attributes appended to a template of the caller */
void attr_add(CK_ATTRIBUTE *t, CK_ULONG *n, CK_ATTRIBUTE_TYPE type,
	const void *value, size_t len);
void attr_add_bool(
	CK_ATTRIBUTE *t, CK_ULONG *n, CK_ATTRIBUTE_TYPE type, bool value);

#endif
