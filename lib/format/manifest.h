/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Manifests: one JSON object a line, each a document to be signed. */
#ifndef FORMAT_MANIFEST_H
#define FORMAT_MANIFEST_H

#include <offlinesig/sign.h>

#include "base/err.h"

#define MANIFEST_LINE_MAX 65536 /* bytes, without the newline */

/*
 * One line: {"path": TEXT, "sha256"?: HEX, "id"?, "name"?, "version"?,
 * "media_type"?: TEXT}. Strict: nothing else in it, nothing twice, nothing
 * behind it. OFS_EFORMAT begins with "line N". After a failure there is
 * nothing to clear.
 */
struct manifest_line {
	struct ofs_item item; /* borrowed from the other two */
	uint8_t sha256[32];
	void *json;
};
int manifest_parse(const uint8_t *p, size_t n, size_t line,
	struct manifest_line *out, struct ofs_error *e);
void manifest_clear(struct manifest_line *l);

/* the rules for all of an item but its path; OFS_EINVAL */
int manifest_check_item(const struct ofs_item *it, struct ofs_error *e);

#endif
