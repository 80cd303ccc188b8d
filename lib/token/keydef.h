/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is inside an ofs_key. */
#ifndef TOKEN_KEYDEF_H
#define TOKEN_KEYDEF_H

#include "token/key.h"
#include "token/pair.h"

struct ofs_key {
	ofs_token *token;
	struct ofs_error err;
	struct pair p;
	bool signs; /* opened with a login and fit to sign */
};

/* OFS_EUNSUPPORTED or OFS_EPOLICY when the key must not or cannot sign */
int key_check_signing(const ofs_key *k, struct ofs_error *e);
/* a key of what p holds; takes p's contents over when it succeeds */
int key_new(ofs_token *t, struct pair *p, ofs_key **out, struct ofs_error *e);

#endif
