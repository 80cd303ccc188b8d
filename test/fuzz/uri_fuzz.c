/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any text as a PKCS#11 URI. */
#include <stdlib.h>
#include <string.h>

#include "token/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct ofs_error e;
	struct uri u;
	char *text = malloc(n + 1);

	if (text == NULL)
		abort();
	if (n > 0)
		memcpy(text, p, n);
	text[n] = '\0';
	if (uri_parse(text, &u, &e) == 0) {
		if (u.id != NULL && u.id_len == 0)
			abort();
		/* what may follow a '?' is all refused, a PIN first */
		if (strchr(text, '?') != NULL)
			abort();
		(void)uri_check_key(&u, &e);
	}
	uri_free(&u);
	free(text);
	return 0;
}
