/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes as SHA256SUMS lines: what is accepted is a name without a NUL. */
#include <stdlib.h>
#include <string.h>

#include "format/sums.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
one_line(const uint8_t *p, size_t n, struct buf *name)
{
	struct ofs_error e;
	uint8_t hash[64];
	size_t len = n % 2 == 0 ? 32 : sizeof(hash);
	int err = sums_parse(p, n, 1, name, hash, len, &e);

	if (err != 0 && err != OFS_EFORMAT)
		abort();
	if (err == 0 &&
		(name->len < 2 || name->len > n ||
			memchr(name->p, '\0', name->len) !=
				name->p + name->len - 1))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct buf name = BUF_INIT;
	const uint8_t *end = p + n, *nl;

	for (; p < end; p = nl + 1) {
		nl = memchr(p, '\n', (size_t)(end - p));
		if (nl == NULL)
			nl = end;
		one_line(p, (size_t)(nl - p), &name);
	}
	buf_free(&name);
	return 0;
}
