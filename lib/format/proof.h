/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Proofs as text: of one record (tlog-proof), of growth (tlog-witness). */
#ifndef FORMAT_PROOF_H
#define FORMAT_PROOF_H

#include "format/note.h"
#include "format/record.h"

#define PROOF_HASHES_MAX 63
#define PROOF_MAX (32u << 20)
#define PROOF_KEY_SIZE 32

/*
 * c2sp.org/tlog-proof, or with `growth` what c2sp.org/tlog-witness asks a
 * witness with: the index is then the size of the older tree.
 */
struct proof {
	bool growth;
	struct buf extra; /* empty: none */
	uint64_t index;
	uint8_t hash[PROOF_HASHES_MAX][32];
	size_t n;
	const char *note; /* the checkpoint with its signatures, borrowed */
	size_t note_len;
};

/* strict; tells the two by their first line. OFS_EFORMAT */
int proof_parse(
	const void *p, size_t n, struct proof *out, struct ofs_error *e);
void proof_text(const struct proof *p, struct buf *to);
void proof_free(struct proof *p);

/*
 * What our `extra` line holds: the record's header, and when its body is
 * disclosed, behind it the record's key (of encrypted bodies only) and the
 * body as it is stored.
 */
struct proof_record {
	struct record_header h;
	const uint8_t *header; /* RECORD_HEADER_SIZE */
	const uint8_t *key;    /* PROOF_KEY_SIZE; NULL: none */
	const uint8_t *body;   /* h.body_len; NULL: not disclosed */
};
void proof_record_put(const struct proof_record *r, struct buf *to);
/* strict, and the body is that of the header; borrows. OFS_EFORMAT */
int proof_record_parse(const uint8_t *p, size_t n, struct proof_record *out,
	struct ofs_error *e);

#endif
