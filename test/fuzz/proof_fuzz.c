/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes as a proof: what is accepted is written in the same way. */
#include <stdlib.h>
#include <string.h>

#include "format/proof.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct buf again = BUF_INIT;
	struct proof_record r;
	struct ofs_error e;
	struct proof proof;

	if (proof_parse(p, n, &proof, &e) != 0)
		return 0;
	proof_text(&proof, &again);
	if (!buf_ok(&again) || again.len != n || memcmp(again.p, p, n) != 0)
		abort();
	buf_reset(&again);
	if (proof_record_parse(proof.extra.p, proof.extra.len, &r, &e) == 0) {
		proof_record_put(&r, &again);
		if (!buf_ok(&again) || again.len != proof.extra.len ||
			memcmp(again.p, proof.extra.p, again.len) != 0)
			abort();
	}
	buf_free(&again);
	proof_free(&proof);
	return 0;
}
