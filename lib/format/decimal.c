/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Numbers in text formats: decimal, one way to write each. */
#include "format/decimal.h"

bool
decimal_parse(const char *s, size_t n, uint64_t *out)
{
	uint64_t v = 0;

	*out = 0;
	if (n == 0 || n > 19 || (n > 1 && s[0] == '0'))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(s[i] - '0');
	}
	if (v > INT64_MAX)
		return false;
	*out = v;
	return true;
}
