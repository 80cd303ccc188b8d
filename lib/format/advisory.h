/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files of advisories about tokens whose firmware is known to be bad. */
#ifndef FORMAT_ADVISORY_H
#define FORMAT_ADVISORY_H

#include <offlinesig/token.h>

#include "base/err.h"

#define ADVISORY_FILE_MAX (1u << 20)
#define ADVISORY_VALUE_MAX 400 /* bytes of a text */
#define ADVISORY_NAME_MAX 64   /* bytes of an id or a pattern */

/* the keys that it is about */
enum advisory_keys { ADVISORY_ANY, ADVISORY_RSA, ADVISORY_EC };

struct advisory {
	const char *id;
	const char *manufacturer, *model; /* "*" stands for any bytes */
	unsigned int first, last;         /* major * 256 + minor, inclusive */
	enum advisory_keys keys;
	enum ofs_severity severity;
	const char *text, *action; /* one line each */
};

/*
 * The format is described in ofs-token(1). Strict: OFS_EFORMAT names the line.
 * fn is called for each advisory after the whole file was understood; what it
 * gets is valid during the call. Its error ends the walk and is returned.
 */
typedef int (*advisory_fn)(
	void *arg, const struct advisory *a, struct ofs_error *e);
int advisory_parse(const uint8_t *p, size_t n, advisory_fn fn, void *arg,
	struct ofs_error *e);

/* the keys of the token are not looked at */
bool advisory_matches(
	const struct advisory *a, const struct ofs_token_info *token);

#endif
