/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes as a SHA256SUMS file: what is accepted holds what it promises. */
#include <stdlib.h>
#include <string.h>

#include "format/sums.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static int
count(void *arg, const char *name, const uint8_t sha256[32],
	struct ofs_error *e)
{
	volatile uint8_t last = sha256[31];

	(void)e;
	(void)last;
	if (strlen(name) == 0)
		abort();
	++*(size_t *)arg;
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	size_t names = 0, lines = 0;
	struct ofs_error e;
	int err;

	err = sums_parse(p, n, count, &names, &e);
	for (size_t i = 0; i < n; i++)
		lines += p[i] == '\n';
	if (err == 0 && (names != lines || names == 0))
		abort();
	if (err != 0 && (err != OFS_EFORMAT || names != 0))
		abort();
	return 0;
}
