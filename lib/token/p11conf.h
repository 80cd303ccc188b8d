/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Configuration files of p11-kit: "name: value" lines, pkcs11.conf(5). */
#ifndef TOKEN_P11CONF_H
#define TOKEN_P11CONF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct p11conf_item {
	char *name, *value;
};

/* Zeroed memory is an empty one. */
struct p11conf {
	struct p11conf_item *v;
	size_t n;
};

/*
 * Adds what the file says where c does not say it already. Errors: OFS_EIO
 * (e->sys_errno is ENOENT where there is no such file), OFS_EFORMAT.
 */
int p11conf_read(struct p11conf *c, const char *path, struct ofs_error *e);
void p11conf_free(struct p11conf *c);

/* borrowed; NULL: not said */
const char *p11conf_get(const struct p11conf *c, const char *name);
/* "yes" */
bool p11conf_yes(const struct p11conf *c, const char *name);
/* whether `word` is in a list with commas or blanks between; NULL is empty */
bool p11conf_lists(const char *list, const char *word);

#endif
