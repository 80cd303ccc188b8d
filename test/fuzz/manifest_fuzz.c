/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes as a line of a manifest: what is accepted keeps the rules. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "format/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
one_line_of_text(const char *s)
{
	size_t left = s == NULL ? 0 : strlen(s), n;

	if (s != NULL && left == 0)
		abort();
	for (; left > 0; s += n, left -= n) {
		n = text_utf8_char(s, left);
		if (n == 0 || text_is_control(s, n))
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct manifest_line l;
	struct ofs_error e;
	int rc;

	memset(&e, 0, sizeof(e));
	rc = manifest_parse(p, n, 7, &l, &e);
	if (rc != 0) {
		if (rc != OFS_EFORMAT || strncmp(e.message, "line 7", 6) != 0)
			abort();
		return 0;
	}
	if (l.item.path == NULL ||
		(l.item.sha256 != NULL && l.item.sha256 != l.sha256) ||
		memchr(p, '{', n) == NULL)
		abort();
	one_line_of_text(l.item.path);
	one_line_of_text(l.item.id);
	one_line_of_text(l.item.name);
	one_line_of_text(l.item.version);
	one_line_of_text(l.item.media_type);
	manifest_clear(&l);
	return 0;
}
