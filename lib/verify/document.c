/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What was signed: hashed in one pass, from a file or from memory. */
#include <string.h>

#include "base/file.h"
#include "format/raw.h"
#include "verify/verifier.h"

#define HASHES_MAX 3

struct reading {
	struct digest digests[HASHES_MAX];
	size_t count;
	struct document_prefix *prefix;
};

bool
document_given(const struct document *d)
{
	return d->path != NULL || d->p != NULL;
}

static int
take_block(void *arg, const uint8_t *p, size_t n, struct ofs_error *e)
{
	struct reading *r = arg;
	int err = 0;

	if (r->prefix != NULL && r->prefix->n < RAW_PREFIX) {
		size_t room = RAW_PREFIX - r->prefix->n;

		room = n < room ? n : room;
		if (room > 0)
			memcpy(r->prefix->p + r->prefix->n, p, room);
		r->prefix->n += room;
	}
	for (size_t i = 0; i < r->count && err == 0; i++)
		err = digest_update(&r->digests[i], p, n, e);
	return err;
}

int
document_hash(const struct document *d, struct document_hash *h, size_t count,
	struct document_prefix *prefix, struct ofs_error *e)
{
	struct reading r = { .count = count, .prefix = prefix };
	uint64_t total = d->n;
	int err = 0;

	if (count > HASHES_MAX)
		return err_set(e, OFS_EINTERNAL, "too many digests at once");
	if (prefix != NULL)
		prefix->n = 0;
	for (size_t i = 0; i < count && err == 0; i++)
		err = digest_begin(&r.digests[i], h[i].alg, e);
	if (err == 0 && d->path != NULL)
		err = file_stream(d->path, take_block, &r, &total, e);
	else if (err == 0)
		err = take_block(&r, d->p, d->n, e);
	for (size_t i = 0; i < count && err == 0; i++)
		err = digest_end(&r.digests[i], h[i].hash, e);
	if (prefix != NULL)
		prefix->total = total;
	for (size_t i = 0; i < count; i++)
		digest_free(&r.digests[i]);
	return err;
}
