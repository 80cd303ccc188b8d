/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How fast a key signed before, as the audit log has it. */
#include <string.h>

#include <offlinesig/audit.h>

#include "sign/speed.h"

#include "audit/log.h"
#include "format/record.h"

/* records that are read at most; a closed batch is passed over in one step */
#define LOOK_MAX 2000
/* so many signatures tell a rate */
#define ENOUGH 20

struct search {
	ofs_audit *audit;
	const uint8_t *spki;
	enum ofs_rate_source source;
	uint64_t seq, signatures;
	double per_second;
};

static bool
has_number(const ofs_record *rec, const char *name, uint64_t *out)
{
	struct ofs_field f = { .size = sizeof(f) };

	if (!ofs_record_find(rec, name, &f) || f.number < 0)
		return false;
	*out = (uint64_t)f.number;
	return true;
}

static bool
is_of_key(const ofs_record *rec, const uint8_t *spki)
{
	struct ofs_field f = { .size = sizeof(f) };

	return ofs_record_find(rec, "party.key.spki_sha256", &f) &&
		f.len == 32 && memcmp(f.bytes, spki, 32) == 0;
}

static int
get(struct search *s, uint64_t seq, ofs_record **rec,
	struct ofs_record_head *head, struct ofs_error *e)
{
	int rc = log_get(s->audit, seq, rec, e);

	if (rc != 0)
		return rc;
	head->size = sizeof(*head);
	ofs_record_get_head(*rec, head);
	return 0;
}

/* `n` signatures between the record `from` and the time `until` */
static int
take(struct search *s, enum ofs_rate_source source, uint64_t seq, uint64_t from,
	int64_t until, uint64_t n, struct ofs_error *e)
{
	struct ofs_record_head head;
	ofs_record *rec;
	bool ours;
	int rc;

	rc = get(s, from, &rec, &head, e);
	if (rc != 0)
		return rc;
	ours = is_of_key(rec, s->spki);
	ofs_record_free(rec);
	if (!ours || n <= s->signatures || until <= head.time)
		return 0;
	s->source = source;
	s->seq = seq;
	s->signatures = n;
	s->per_second = (double)n * 1e6 / (double)(until - head.time);
	return 0;
}

/* *next: the record to look at after this one */
static int
look(struct search *s, uint64_t seq, uint64_t *next, struct ofs_error *e)
{
	uint64_t from = 0, n = 0, purpose = 0, status = 0;
	struct ofs_record_head head;
	ofs_record *rec;
	bool closed, bench;
	int rc;

	rc = get(s, seq, &rec, &head, e);
	if (rc != 0)
		return rc;
	*next = seq - 1;
	closed = head.type == OFS_REC_BATCH_CLOSED &&
		has_number(rec, "opened_seq", &from) &&
		has_number(rec, "signed", &n) && from < seq;
	bench = head.type == OFS_REC_OUTCOME &&
		has_number(rec, "purpose", &purpose) &&
		purpose == REC_PURPOSE_BENCH &&
		has_number(rec, "status", &status) && status == REC_SIGNED &&
		has_number(rec, "intent_seq", &from) &&
		has_number(rec, "attempts", &n) && from < seq;
	ofs_record_free(rec);
	if (closed && from > 0)
		*next = from - 1;
	if (closed || bench)
		rc = take(s, bench ? OFS_RATE_BENCH : OFS_RATE_BATCH, seq, from,
			head.time, n, e);
	return rc;
}

int
speed_find(ofs_audit *audit, const uint8_t spki_sha256[32],
	enum ofs_rate_source *source, uint64_t *seq, double *per_second,
	struct ofs_error *e)
{
	struct search s = { .audit = audit, .spki = spki_sha256 };
	uint64_t size = 0, at;
	int i, rc = log_count(audit, &size, e);

	for (i = 0, at = size - 1; size > 0 && at > 0 && i < LOOK_MAX &&
		rc == 0 && s.signatures < ENOUGH;
		i++)
		rc = look(&s, at, &at, e);
	*source = s.source;
	*seq = s.seq;
	*per_second = s.per_second;
	return rc;
}
