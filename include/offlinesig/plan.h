/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a batch would do: counts, sizes, duplicates, certificate, time. */
#ifndef OFFLINESIG_PLAN_H
#define OFFLINESIG_PLAN_H

#include <offlinesig/types.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Documents of one extension. */
struct ofs_plan_type {
	char extension[16]; /* lower case, "xml"; "": none; "*": all others */
	size_t items;
	uint64_t bytes;
};

/* A document that is in the list twice, whatever its names. */
struct ofs_plan_duplicate {
	size_t index, first;
	const char *path, *first_path;
};

/* Where the expected number of signatures a second comes from. */
enum ofs_rate_source {
	OFS_RATE_UNKNOWN, /* the log knows nothing: measure it */
	OFS_RATE_BATCH,   /* an earlier batch with this key */
	OFS_RATE_BENCH    /* ofs_key_bench */
};

struct ofs_plan {
	size_t size;
	size_t items;
	size_t ready;   /* could be signed */
	size_t skipped; /* OFS_EXISTING_SKIP */
	size_t failed;  /* could not; of them: */
	size_t unreadable, mismatched, existing, refused;
	uint64_t bytes;                    /* of documents read */
	uint64_t largest;                  /* of one of them */
	const char *largest_path;          /* NULL: none was read */
	const struct ofs_plan_type *types; /* most items first */
	size_t n_types;
	const struct ofs_plan_duplicate *duplicates; /* by index */
	size_t n_duplicates;
	uint8_t list_sha256[32]; /* as the record of the batch will have it */
	/* the signer's certificate */
	bool has_cert;
	char subject[256]; /* RFC 2253 */
	int64_t not_before, not_after;
	long days_left;      /* whole days until not_after; negative: expired */
	char key_usage[160]; /* "digitalSignature, nonRepudiation"; "": any */
	/* the time, as far as the log can tell it */
	enum ofs_rate_source rate_source;
	uint64_t rate_seq; /* the record that tells it */
	double per_second; /* signatures, at most as many as opts.rate allows */
	double seconds;    /* for all that are ready; 0: not known */
};

/*
 * ofs_batch_get_plan: what ofs_batch_plan() found, borrowed until the batch is
 * freed; NULL before, and when it failed with anything but OFS_EITEMS.
 */
const struct ofs_plan *ofs_batch_get_plan(const ofs_batch *batch);

/*
 * ofs_batch_list_sha256: the digest of the list (32 bytes) as the record of the
 * batch will have it; nothing is read. It covers the names in their order and
 * the SHA-256 that a document must have, where the list says one.
 */
int ofs_batch_list_sha256(ofs_batch *batch, uint8_t *out);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
