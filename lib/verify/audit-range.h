/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A few records, read in one go and checked each by itself. */
#ifndef VERIFY_AUDIT_RANGE_H
#define VERIFY_AUDIT_RANGE_H

#include "audit/handle.h"

/*
 * At most a tile's worth: no tile begins inside of a range. And so few bytes
 * that neither memory nor a writer that waits for the read counts.
 */
#define AV_RANGE_RECORDS (1 << MERKLE_TILE_HEIGHT)
#define AV_RANGE_BYTES (4u << 20)

struct av_row {
	uint64_t seq;
	size_t at, header_len, body_len, tag_len; /* one behind the other */
	bool has_body, has_tag;
	struct record_header h;
	struct record_body *body; /* NULL: not looked into */
	bool has_key;             /* what it is encrypted with */
	uint8_t key[SEAL_KEY];
	uint8_t leaf[MERKLE_HASH];
};

struct av_range {
	uint64_t first;
	struct av_row rows[AV_RANGE_RECORDS];
	size_t n;
	struct buf bytes;

	size_t good;        /* rows that are right, up to the first wrong one */
	struct ofs_error e; /* what is wrong behind them; code 0: nothing */
	bool whole;         /* all of a tile; its hash is `root` */
	uint8_t root[MERKLE_HASH];

	struct digest sha;
	struct seal seal;
	struct record_known known;
	struct merkle tree;
};

int av_range_new(struct av_range **out, struct ofs_error *e);
void av_range_free(struct av_range *r);

/*
 * Reads records from `first` on, all of them below `end`, up to a tile's end;
 * with `keys` the keys of encrypted ones, too. The handle's mutex is held.
 */
void av_range_read(struct av_range *r, ofs_audit *a, uint64_t first,
	uint64_t end, bool keys);
/* nothing could be read: that is what is wrong */
void av_range_fail(
	struct av_range *r, uint64_t first, const struct ofs_error *e);
/*
 * Headers, hashes and, with `bodies`, what is in them. Needs nothing but the
 * range: several threads may check, each its own.
 */
void av_range_check(struct av_range *r, const uint8_t log_id[16], bool bodies);

const uint8_t *av_row_header(const struct av_range *r, const struct av_row *w);
const uint8_t *av_row_body(const struct av_range *r, const struct av_row *w);
const uint8_t *av_row_tag(const struct av_range *r, const struct av_row *w);

#endif
