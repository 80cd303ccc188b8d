/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes as a time-stamp request and response: nobody is trusted here. */
#include <stdlib.h>
#include <string.h>

#include "crypto/tsp.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct tsp_trust trust = { .roots = sk_X509_new_null() };
	uint8_t sha256[32];
	struct ofs_error e;
	int64_t time;

	if (trust.roots == NULL)
		abort();
	(void)tsp_request_imprint(p, n, sha256, &e);
	if (tsp_imprint(p, n, sha256, &e) == 0 &&
		(tsp_time(p, n, &time, &e) != 0 ||
			tsp_check(p, n, sha256, NULL, 0, &trust, &time, &e) ==
				0))
		abort();
	sk_X509_free(trust.roots);
	return 0;
}
