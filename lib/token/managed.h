/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A key with all its objects: found, renamed, deleted. */
#ifndef TOKEN_MANAGED_H
#define TOKEN_MANAGED_H

#include "token/keydef.h"

struct managed_object {
	struct object o;
	struct ofs_object_info info;
};

/* Zeroed is empty. */
struct managed {
	ofs_token *t;
	ofs_key *key; /* of any type; its public key may be unknown */
	struct managed_object *v; /* private, public, certificates */
	size_t n;
};

/*
 * Logs in and finds the one key that the URI matches, of whatever type and
 * use, or what is left of one: a public key or certificate without it. To it
 * belong the public keys and certificates that have its id and hold its public
 * key. Errors: OFS_EKEY, OFS_EAMBIGUOUS, OFS_EINVAL. Caller frees with
 * managed_free, after a failure too.
 */
int managed_open(ofs_token *t, const char *uri, struct managed *out,
	struct ofs_error *e);
/* the same by id and label; a part with length 0 matches everything */
int managed_find(ofs_token *t, const struct object_query *q,
	struct managed *out, struct ofs_error *e);
void managed_free(struct managed *m);
/* "private key" */
const char *managed_kind(enum ofs_object_kind kind);
CK_OBJECT_CLASS managed_class(enum ofs_object_kind kind);
/* the certificates only; OFS_EKEY when there is none */
int managed_certs_only(struct managed *m, struct ofs_error *e);
/* OFS_EUNSUPPORTED where the token cannot do it, and would say that it did */
int managed_check_delete(const struct managed *m, struct ofs_error *e);
/* the same objects with the same names, and the same public key */
bool managed_same(const struct managed *a, const struct managed *b);

/*
 * Deletes each object, the private key first: where a token refuses, nothing
 * is lost. The message of a failure says what is deleted and what is left. Both
 * leave it to the SO where the token does; then no handle in m is valid.
 */
int managed_delete(struct managed *m, struct ofs_error *e);

/* the options are in order, and no other object has that label or id */
int managed_check_rename(const struct managed *m,
	const struct ofs_key_rename_opts *o, struct ofs_error *e);
/* sets and reads back; m is as the token shows it afterwards */
int managed_rename(struct managed *m, const struct ofs_key_rename_opts *o,
	struct ofs_error *e);

#endif
