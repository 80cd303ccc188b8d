/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Data objects on a token: public ones, read without a PIN. */
#ifndef TOKEN_DATAOBJECT_H
#define TOKEN_DATAOBJECT_H

#include "base/buf.h"
#include "token/token.h"

#define DATAOBJECTS_MAX 64 /* of one name */

/* CKA_APPLICATION and CKA_LABEL; neither is empty */
struct dataobject_name {
	const char *application, *label;
};

/* The values of those of one name. */
struct dataobjects {
	struct buf *v;
	size_t n;
};

/* Needs no login. Caller frees with dataobjects_free, after a failure too. */
int dataobject_read(ofs_token *t, const struct dataobject_name *name,
	struct dataobjects *out, struct ofs_error *e);
void dataobjects_free(struct dataobjects *l);

/*
 * Logs in, makes an object with this value unless one is there, reads it back,
 * and then deletes those of the same name whose value is one of `old`: nothing
 * else. One that cannot be deleted is logged. OFS_EUNSUPPORTED: the token keeps
 * no public data objects.
 */
int dataobject_replace(ofs_token *t, const struct dataobject_name *name,
	const struct buf *value, const struct dataobjects *old,
	struct ofs_error *e);

#endif
