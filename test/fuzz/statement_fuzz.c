/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes as a statement about a log: what is accepted is written alike. */
#include <stdlib.h>
#include <string.h>

#include "format/statement.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct buf text = BUF_INIT;
	struct statement s;
	struct ofs_error e;
	int kind, rc;

	for (kind = STATEMENT_BACKUP; kind <= STATEMENT_ERASE; kind *= 2) {
		rc = statement_decode(p, n, (enum statement_kind)kind, &s, &e);
		if (rc != 0 && rc != OFS_EFORMAT)
			abort();
		if (rc != 0)
			continue;
		buf_reset(&text);
		if (statement_encode(&s, &text, &e) != 0 || text.len > n)
			abort();
		/* but for the ends of lines */
		if (memchr(p, '\r', n) == NULL &&
			(text.len != n || memcmp(text.p, p, n) != 0))
			abort();
	}
	buf_free(&text);
	return 0;
}
