/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The modules registered with p11-kit. */
#ifndef TOKEN_REGISTERED_H
#define TOKEN_REGISTERED_H

#include <offlinesig/types.h>

#include "base/err.h"

/*
 * Where p11-kit looks: folders with pkcs11.conf and modules/ in them (user may
 * be NULL); a folder of registrations that packages bring; and that of module
 * files named without an absolute path.
 */
struct registered_places {
	const char *user, *system;
	const char *package;
	const char *modules;
};

/* what ofs_ctx_add_registered does, for places of the caller's choice */
int registered_add(ofs_ctx *ctx, const struct registered_places *at,
	ofs_module_fn fn, void *arg, struct ofs_error *e);

#endif
