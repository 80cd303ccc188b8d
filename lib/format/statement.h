/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Statements about a log, as text: what a backup is, what auditors sign. */
#ifndef FORMAT_STATEMENT_H
#define FORMAT_STATEMENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define STATEMENT_MAX 4096 /* bytes */

enum statement_kind {
	STATEMENT_BACKUP = 1,
	STATEMENT_RESTORE = 2,
	STATEMENT_ERASE = 4
};

/*
 * One line "offlinesig KIND 1", then for each field of that kind, in this
 * order, "name: value": numbers decimal, hashes hex, times RFC 3339, text one
 * line of UTF-8. ofs-audit-format(5).
 */
struct statement {
	enum statement_kind kind;
	char origin[256]; /* of the log */
	uint8_t log_id[16];
	uint64_t records; /* of the backup */
	uint8_t root[32];
	uint64_t known_records; /* a head that a restored log is behind */
	uint8_t known_root[32];
	uint64_t record; /* to be erased */
	uint8_t header_sha256[32];
	uint8_t db_sha256[32], head_sha256[32];
	int64_t first_time, last_time; /* of the records of a backup */
	int64_t time;                  /* when it was made; us */
	char tool[128];
	char reason[512];
};

int statement_encode(
	const struct statement *s, struct buf *to, struct ofs_error *e);
/*
 * Strict: encoding the result gives the same bytes, but that lines may end in
 * CR LF, as CMS tools make of text. OFS_EFORMAT.
 */
int statement_decode(const uint8_t *p, size_t n, enum statement_kind kind,
	struct statement *s, struct ofs_error *e);

#endif
