/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PKCS#11 URIs (RFC 7512): read strictly, matched, written. */
#ifndef TOKEN_URI_H
#define TOKEN_URI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <p11-kit/uri.h>

#include "token/object.h"

/* Zeroed is empty. The pointers are owned by p. */
struct uri {
	P11KitUri *p;
	const uint8_t *id; /* NULL: not named; never empty */
	size_t id_len;
	const uint8_t *label;
	size_t label_len;
	bool has_class;
	CK_OBJECT_CLASS class_;
};

/* Caller frees with uri_free, after a failure too. Errors: OFS_EINVAL. */
int uri_parse(const char *text, struct uri *u, struct ofs_error *e);
void uri_free(struct uri *u);
/* OFS_EINVAL when `type` names anything but a key pair or its certificate */
int uri_check_key(const struct uri *u, struct ofs_error *e);

bool uri_matches_token(
	const struct uri *u, const CK_TOKEN_INFO *token, CK_SLOT_ID slot);

/* the label and serial that it names, or "" */
void uri_names_token(const struct uri *u, char *label, size_t label_size,
	char *serial, size_t serial_size);

/*
 * A URI of a token, or of an object on it where o is not NULL; "" when it does
 * not fit. Blank parts are left out.
 */
void uri_format(const CK_TOKEN_INFO *token, const struct object *o, char *to,
	size_t size);

#endif
