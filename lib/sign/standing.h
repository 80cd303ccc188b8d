/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What stands where the signature of a document goes. */
#ifndef SIGN_STANDING_H
#define SIGN_STANDING_H

#include "sign/maker.h"

enum standing {
	STANDING_NONE,  /* nothing */
	STANDING_VALID, /* a signature of this document by this key */
	STANDING_OTHER  /* something else */
};

/*
 * Of an item whose document maker_read() has read. Judges the signature, not
 * whether anybody trusts the certificate. OFS_EIO, OFS_ENOMEM.
 */
int standing_look(const struct maker *m, const struct work *w,
	enum standing *out, struct ofs_error *e);

#endif
