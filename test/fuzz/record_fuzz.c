/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes as an audit record: the header, and a body of each type. */
#include <stdlib.h>
#include <string.h>

#include "format/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static int
touch(void *arg, const struct ofs_field *f)
{
	size_t *sum = arg;

	*sum += strlen(f->name) + f->len;
	if (f->bytes != NULL && f->len > 0)
		*sum += f->bytes[f->len - 1];
	return 0;
}

static void
header(const uint8_t *p, size_t n)
{
	uint8_t again[RECORD_HEADER_SIZE];
	struct record_header h;
	struct ofs_error e;

	if (record_header_decode(p, n, &h, &e) != 0)
		return;
	record_header_encode(&h, again);
	if (n != sizeof(again) || memcmp(p, again, n) != 0)
		abort();
}

/* the first byte of the input chooses the type */
static void
body(const uint8_t *p, size_t n)
{
	struct record_body *b;
	struct ofs_field f;
	struct ofs_error e;
	size_t sum = 0;

	if (n == 0 || record_body_decode(p[0] % 16, p + 1, n - 1, &b, &e) != 0)
		return;
	(void)record_body_each(b, touch, &sum);
	(void)record_body_find(b, "items.0.path", &f);
	record_body_free(b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	header(p, n);
	body(p, n);
	return 0;
}
