/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A key pair as a token shows it: up to three objects that belong together. */
#ifndef TOKEN_PAIR_H
#define TOKEN_PAIR_H

#include <openssl/x509.h>

#include "token/object.h"
#include "token/token.h"

#define PAIR_ALLOWED_MAX 128

/* Zeroed is empty. An object whose h is 0 is not there, or not visible. */
struct pair {
	struct object priv, pub, cert;
	EVP_PKEY *key; /* the public key; NULL: none that we can read */
	X509 *x509;    /* of cert */
	struct ofs_key_info info;
	bool conflict; /* two public keys claim to be it; key is NULL then */
	bool odd;      /* its parts were given, but we cannot use them */
	/* CKA_ALLOWED_MECHANISMS, as far as there is room; 0: all are */
	CK_MECHANISM_TYPE allowed[PAIR_ALLOWED_MAX];
	size_t n_allowed;
};

/* The object that names the pair: private before public before certificate. */
const struct object *pair_anchor(const struct pair *p);

/*
 * Fills the rest of a pair of which the anchor is set: its attributes, its
 * public key in the order of trust (private object, CKA_PUBLIC_KEY_INFO,
 * public object, certificate), info. Out of `pubs` and `certs`, which may be
 * one list, those with the same id are taken; without an id nothing belongs
 * together.
 */
int pair_complete(ofs_token *t, const struct session *s, struct pair *p,
	const struct object_list *pubs, const struct object_list *certs,
	struct ofs_error *e);
/* all that has this id, in one search: they are slow among many objects */
int pair_kin(const struct session *s, const uint8_t *id, size_t len,
	struct object_list *out, struct ofs_error *e);
/* pair_complete with what pair_kin finds */
int pair_load(ofs_token *t, const struct session *s, struct pair *p,
	struct ofs_error *e);
void pair_free(struct pair *p);
/* the certificate in an object, or NULL; caller frees with X509_free */
X509 *pair_read_cert(const struct session *s, const struct object *o);

#endif
