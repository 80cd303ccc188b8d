/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes as a file of advisories: what is accepted keeps to its bounds. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "format/advisory.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
must_hold(const char *s, size_t max)
{
	size_t n = strlen(s);

	if (n == 0 || n > max || !text_is_utf8(s, n) ||
		strpbrk(s, "\r\n\t") != NULL)
		abort();
}

static int
check(void *arg, const struct advisory *a, struct ofs_error *e)
{
	struct ofs_token_info token = { .manufacturer = "Yubico (x)",
		.model = "YubiKey YK4",
		.firmware_major = 4,
		.firmware_minor = 30 };

	(void)e;
	must_hold(a->id, ADVISORY_NAME_MAX);
	must_hold(a->manufacturer, ADVISORY_NAME_MAX);
	must_hold(a->model, ADVISORY_NAME_MAX);
	must_hold(a->text, ADVISORY_VALUE_MAX);
	must_hold(a->action, ADVISORY_VALUE_MAX);
	if (a->first > a->last || a->last > 0xffff)
		abort();
	(void)advisory_matches(a, &token);
	++*(size_t *)arg;
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	size_t entries = 0;
	struct ofs_error e;
	int err;

	err = advisory_parse(p, n, check, &entries, &e);
	if (err != 0 && (err != OFS_EFORMAT || entries != 0))
		abort();
	return 0;
}
