/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Proofs as text: of one record (tlog-proof), of growth (tlog-witness). */
#include <inttypes.h>
#include <string.h>

#include "format/proof.h"

#include "base/base64.h"
#include "base/rd.h"
#include "crypto/digest.h"
#include "format/decimal.h"

#define FIRST_LINE "c2sp.org/tlog-proof@v1"

struct lines_left {
	const char *p;
	size_t n;
};

static int
malformed(struct ofs_error *e, const char *what)
{
	return err_set(e, OFS_EFORMAT, "the proof is malformed: %s", what);
}

/* without its newline; false when there is none */
static bool
take_line(struct lines_left *l, const char **line, size_t *n)
{
	const char *nl = memchr(l->p, '\n', l->n);

	if (nl == NULL)
		return false;
	*line = l->p;
	*n = (size_t)(nl - l->p);
	l->p = nl + 1;
	l->n -= *n + 1;
	return true;
}

/* whether the line is "WORD VALUE"; gives the value */
static bool
has_word(const char **line, size_t *n, const char *word)
{
	size_t len = strlen(word);

	if (*n <= len || memcmp(*line, word, len) != 0 || (*line)[len] != ' ')
		return false;
	*line += len + 1;
	*n -= len + 1;
	return true;
}

/* up to the empty line */
static int
parse_hashes(struct proof *out, struct lines_left *l, struct ofs_error *e)
{
	const char *line;
	size_t n;

	for (;;) {
		if (!take_line(l, &line, &n))
			return malformed(e, "it is cut off");
		if (n == 0)
			return 0;
		if (out->n == PROOF_HASHES_MAX)
			return malformed(e, "it has too many hashes");
		if (!base64_decode_to(out->hash[out->n], 32, line, n))
			return malformed(e, "a line of it is not a hash");
		out->n++;
	}
}

/* what stands in front of the hashes of a proof of inclusion */
static int
parse_index(struct proof *out, struct lines_left *l, struct ofs_error *e)
{
	const char *line;
	size_t n;

	if (!take_line(l, &line, &n))
		return malformed(e, "it is cut off");
	if (has_word(&line, &n, "extra")) {
		if (n == 0 || !base64_decode(&out->extra, line, n))
			return buf_ok(&out->extra)
				? malformed(e, "its extra data is not base64")
				: err_nomem(e);
		if (!take_line(l, &line, &n))
			return malformed(e, "it is cut off");
	}
	if (!has_word(&line, &n, "index") ||
		!decimal_parse(line, n, &out->index))
		return malformed(e, "it does not say which record it is of");
	return 0;
}

static int
parse(struct proof *out, struct lines_left *l, struct ofs_error *e)
{
	const char *line;
	size_t n;
	int rc = 0;

	if (!take_line(l, &line, &n))
		return malformed(e, "it is cut off");
	if (has_word(&line, &n, "old")) {
		out->growth = true;
		if (!decimal_parse(line, n, &out->index))
			rc = malformed(e, "its older size is no number");
	} else if (n == strlen(FIRST_LINE) &&
		memcmp(line, FIRST_LINE, n) == 0) {
		rc = parse_index(out, l, e);
	} else {
		rc = malformed(e, "it does not begin with '" FIRST_LINE "'");
	}
	if (rc == 0)
		rc = parse_hashes(out, l, e);
	if (rc == 0 && l->n == 0)
		rc = malformed(e, "it has no checkpoint");
	out->note = l->p;
	out->note_len = l->n;
	return rc;
}

int
proof_parse(const void *p, size_t n, struct proof *out, struct ofs_error *e)
{
	struct lines_left l = { p, n };
	int rc;

	memset(out, 0, sizeof(*out));
	if (n > PROOF_MAX)
		return malformed(e, "it is too large");
	rc = parse(out, &l, e);
	if (rc != 0)
		proof_free(out);
	return rc;
}

void
proof_text(const struct proof *p, struct buf *to)
{
	if (p->growth) {
		buf_printf(to, "old %" PRIu64 "\n", p->index);
	} else {
		buf_str(to, FIRST_LINE "\n");
		if (p->extra.len > 0) {
			buf_str(to, "extra ");
			base64_encode(to, p->extra.p, p->extra.len);
			buf_str(to, "\n");
		}
		buf_printf(to, "index %" PRIu64 "\n", p->index);
	}
	for (size_t i = 0; i < p->n; i++) {
		base64_encode(to, p->hash[i], 32);
		buf_str(to, "\n");
	}
	buf_str(to, "\n");
	buf_put(to, p->note, p->note_len);
}

void
proof_free(struct proof *p)
{
	buf_free(&p->extra);
	memset(p, 0, sizeof(*p));
}

void
proof_record_put(const struct proof_record *r, struct buf *to)
{
	buf_put(to, r->header, RECORD_HEADER_SIZE);
	if (r->key != NULL)
		buf_put(to, r->key, PROOF_KEY_SIZE);
	if (r->body != NULL)
		buf_put(to, r->body, r->h.body_len);
}

int
proof_record_parse(const uint8_t *p, size_t n, struct proof_record *out,
	struct ofs_error *e)
{
	uint8_t sum[32];
	struct rd r;
	int rc;

	memset(out, 0, sizeof(*out));
	rd_init(&r, p, n);
	out->header = rd_bytes(&r, RECORD_HEADER_SIZE);
	if (out->header == NULL)
		return malformed(e, "it holds no record's header");
	rc = record_header_decode(out->header, RECORD_HEADER_SIZE, &out->h, e);
	if (rc != 0 || r.left == 0)
		return rc;
	if (out->h.cipher != 0)
		out->key = rd_bytes(&r, PROOF_KEY_SIZE);
	out->body = rd_bytes(&r, out->h.body_len);
	if (out->body == NULL || !rd_done(&r))
		return malformed(
			e, "what it discloses has not the body's length");
	rc = digest_of(&digest_sha256, out->body, out->h.body_len, sum, e);
	if (rc == 0 && memcmp(sum, out->h.body_sha256, sizeof(sum)) != 0)
		rc = malformed(
			e, "the body is not the one of the record's header");
	return rc;
}
