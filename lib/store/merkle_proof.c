/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inclusion and consistency proofs (RFC 9162 2.1.3, 2.1.4). */
#include <string.h>

#include "store/merkle.h"

static int
wrong(struct ofs_error *e, const char *what)
{
	return err_set(e, OFS_ESIGNATURE, "the proof is wrong: %s", what);
}

static bool
same(const uint8_t *a, const uint8_t *b)
{
	return memcmp(a, b, MERKLE_HASH) == 0;
}

int
merkle_check_inclusion(uint64_t index, uint64_t size,
	const uint8_t leaf[MERKLE_HASH], const uint8_t (*proof)[MERKLE_HASH],
	size_t n, const uint8_t root[MERKLE_HASH], struct ofs_error *e)
{
	uint64_t fn = index, sn = size - 1;
	uint8_t r[MERKLE_HASH];
	struct merkle m;
	int rc = 0;

	if (index >= size)
		return wrong(e, "the record is not below the tree's size");
	merkle_init(&m);
	memcpy(r, leaf, sizeof(r));
	for (size_t i = 0; i < n && rc == 0; i++) {
		if (sn == 0) {
			rc = wrong(e, "it has too many hashes");
			break;
		}
		if ((fn & 1) != 0 || fn == sn) {
			rc = merkle_node(&m, proof[i], r, r, e);
			while ((fn & 1) == 0 && fn != 0) {
				fn >>= 1;
				sn >>= 1;
			}
		} else {
			rc = merkle_node(&m, r, proof[i], r, e);
		}
		fn >>= 1;
		sn >>= 1;
	}
	merkle_free(&m);
	if (rc == 0 && sn != 0)
		rc = wrong(e, "it has too few hashes");
	if (rc == 0 && !same(r, root))
		rc = wrong(e, "it does not lead to the root");
	return rc;
}

/* one step of 2.1.4.2 for both trees: fr of the smaller, sr of the larger */
struct walk {
	struct merkle m;
	uint64_t fn, sn;
	uint8_t fr[MERKLE_HASH], sr[MERKLE_HASH];
};

static int
step(struct walk *w, const uint8_t *c, struct ofs_error *e)
{
	int rc;

	if (w->sn == 0)
		return wrong(e, "it has too many hashes");
	if ((w->fn & 1) != 0 || w->fn == w->sn) {
		rc = merkle_node(&w->m, c, w->fr, w->fr, e);
		if (rc == 0)
			rc = merkle_node(&w->m, c, w->sr, w->sr, e);
		while ((w->fn & 1) == 0 && w->fn != 0) {
			w->fn >>= 1;
			w->sn >>= 1;
		}
	} else {
		rc = merkle_node(&w->m, w->sr, c, w->sr, e);
	}
	w->fn >>= 1;
	w->sn >>= 1;
	return rc;
}

int
merkle_check_consistency(uint64_t size1, uint64_t size2,
	const uint8_t (*proof)[MERKLE_HASH], size_t n,
	const uint8_t root1[MERKLE_HASH], const uint8_t root2[MERKLE_HASH],
	struct ofs_error *e)
{
	struct walk w = { .fn = size1 - 1, .sn = size2 - 1 };
	size_t i = 0;
	int rc = 0;

	if (size1 == 0 || size1 > size2)
		return wrong(e, "it is not from a smaller tree to a larger");
	if (size1 == size2 && n > 0)
		return wrong(e, "it has too many hashes");
	if (size1 == size2)
		return same(root1, root2)
			? 0
			: wrong(e, "two trees of one size differ");
	while ((w.fn & 1) != 0) {
		w.fn >>= 1;
		w.sn >>= 1;
	}
	/* the smaller tree is a subtree: its root is not sent */
	if ((size1 & (size1 - 1)) == 0)
		memcpy(w.fr, root1, MERKLE_HASH);
	else if (n == 0)
		return wrong(e, "it has too few hashes");
	else
		memcpy(w.fr, proof[i++], MERKLE_HASH);
	memcpy(w.sr, w.fr, MERKLE_HASH);
	merkle_init(&w.m);
	for (; i < n && rc == 0; i++)
		rc = step(&w, proof[i], e);
	merkle_free(&w.m);
	if (rc == 0 && w.sn != 0)
		rc = wrong(e, "it has too few hashes");
	if (rc == 0 && !same(w.fr, root1))
		rc = wrong(e, "it does not lead to the older root");
	if (rc == 0 && !same(w.sr, root2))
		rc = wrong(e, "it does not lead to the newer root");
	return rc;
}

/* the largest power of two below n, which is at least 2 */
static uint64_t
split(uint64_t n)
{
	uint64_t k = 1;

	while (k < n - k)
		k *= 2;
	return k;
}

/* proofs go from the leaf to the root, and this walks from the root down */
static void
turn_round(struct merkle_range *r, size_t n)
{
	for (size_t i = 0; i < n / 2; i++) {
		struct merkle_range t = r[i];

		r[i] = r[n - 1 - i];
		r[n - 1 - i] = t;
	}
}

size_t
merkle_inclusion(
	uint64_t index, uint64_t size, struct merkle_range out[MERKLE_HEIGHT])
{
	uint64_t lo = 0, hi = size;
	size_t n = 0;

	while (hi - lo > 1) {
		uint64_t mid = lo + split(hi - lo);

		if (index < mid) {
			out[n++] = (struct merkle_range){ mid, hi };
			hi = mid;
		} else {
			out[n++] = (struct merkle_range){ lo, mid };
			lo = mid;
		}
	}
	turn_round(out, n);
	return n;
}

size_t
merkle_consistency(
	uint64_t size1, uint64_t size2, struct merkle_range out[MERKLE_HEIGHT])
{
	uint64_t lo = 0, hi = size2;
	size_t n = 0;

	while (hi != size1) {
		uint64_t mid = lo + split(hi - lo);

		if (size1 <= mid) {
			out[n++] = (struct merkle_range){ mid, hi };
			hi = mid;
		} else {
			out[n++] = (struct merkle_range){ lo, mid };
			lo = mid;
		}
	}
	/* but for the smaller tree itself, whose root the verifier has */
	if (lo > 0)
		out[n++] = (struct merkle_range){ lo, hi };
	turn_round(out, n);
	return n;
}
