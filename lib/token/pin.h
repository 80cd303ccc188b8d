/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A PIN in locked memory, from the callback to the token and no further. */
#ifndef TOKEN_PIN_H
#define TOKEN_PIN_H

#include <offlinesig/token.h>

#include <p11-kit/pkcs11.h>

#include "base/ctx.h"
#include "base/err.h"

/* PIN_NONE stands for the reader's own pad: NULL and 0 for every C_ call. */
struct pin {
	char *p; /* mem_secret_new(), or NULL */
	size_t len;
};
#define PIN_NONE        \
	{               \
		NULL, 0 \
	}

/*
 * Asks the callback once, or nobody where the PIN is entered on the reader. The
 * callback runs in the thread that called the library.
 * Errors: OFS_ENOPIN. The caller frees with pin_free on every path.
 */
int pin_ask(ofs_ctx *ctx, enum ofs_pin_kind kind,
	const struct ofs_token_info *token, struct pin *out,
	struct ofs_error *e);
int pin_copy(const struct pin *p, struct pin *out, struct ofs_error *e);
void pin_free(struct pin *p);
/* a new PIN's length against what the token says of itself */
int pin_check_new(const struct pin *p, const CK_TOKEN_INFO *t, const char *what,
	struct ofs_error *e);

#endif
