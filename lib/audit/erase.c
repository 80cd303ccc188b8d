/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Erasing what one record says. */
#include <string.h>

#include "audit/erase.h"

#include "audit/handle.h"
#include "audit/log_event.h"

bool
erase_is_possible(enum ofs_record_type type)
{
	switch (type) {
	case OFS_REC_INTENT:
	case OFS_REC_OUTCOME:
	case OFS_REC_LOGIN:
	case OFS_REC_KEY_LENT:
	case OFS_REC_KEY_EVENT:
	case OFS_REC_TOKEN_EVENT:
	case OFS_REC_RELEASE:
		return true;
	default:
		return false;
	}
}

struct needed {
	uint64_t seq;
	struct record_header h;
	bool found, has_body;
	const char *by; /* what still needs it */
};

static int
see_record(void *arg, const struct store_record *r, struct ofs_error *e)
{
	struct needed *n = arg;

	n->found = true;
	n->has_body = r->body != NULL;
	return record_header_decode(r->header, r->header_len, &n->h, e);
}

static int
see_open_batch(
	void *arg, uint64_t seq, const uint8_t id[16], struct ofs_error *e)
{
	struct needed *n = arg;

	(void)seq, (void)e;
	if (memcmp(id, n->h.batch_id, 16) == 0)
		n->by = "its batch is not closed";
	return 0;
}

static int
see_open_intent(
	void *arg, uint64_t seq, const uint8_t id[16], struct ofs_error *e)
{
	struct needed *n = arg;

	(void)id, (void)e;
	if (seq == n->seq)
		n->by = "its outcome is not recorded";
	return 0;
}

static int
see_pending(void *arg, const struct store_pending *p, struct ofs_error *e)
{
	struct needed *n = arg;

	(void)e;
	if (p->seq == n->seq)
		n->by = "its output waits for its release";
	return 0;
}

static int
see_track(void *arg, const struct store_track *t, struct ofs_error *e)
{
	struct needed *n = arg;

	(void)e;
	if (memcmp(t->batch_id, n->h.batch_id, 16) == 0)
		n->by = "the list of its batch is not finished";
	return 0;
}

static int
find_needed(struct store *s, struct needed *n, struct ofs_error *e)
{
	bool tracks;
	int rc;

	rc = store_record_each(s, n->seq, n->seq, see_record, n, e);
	if (rc == 0)
		rc = store_batch_each(s, see_open_batch, n, e);
	if (rc == 0)
		rc = store_intent_each(s, see_open_intent, n, e);
	if (rc == 0)
		rc = store_pending_each(s, n->seq, 1, see_pending, n, e);
	if (rc == 0)
		rc = store_has_tracks(s, &tracks, e);
	if (rc == 0 && tracks)
		rc = store_track_each(s, see_track, n, e);
	return rc;
}

int
erase_body(ofs_audit *a, uint64_t erased, struct rec_log_event *event,
	uint64_t *seq, struct ofs_error *e)
{
	struct needed n = { .seq = erased };
	int rc = handle_check_tx(a, e);

	if (rc == 0)
		rc = find_needed(&a->store, &n, e);
	if (rc != 0)
		return rc;
	if (!n.found || !n.has_body)
		return err_set(e, OFS_EKEY,
			n.found ? "record %llu is erased already"
				: "there is no record %llu in the audit log",
			(unsigned long long)erased);
	if (n.by != NULL)
		return err_set(e, OFS_EEXIST,
			"record %llu cannot be erased now: %s",
			(unsigned long long)erased, n.by);
	rc = handle_step(a, store_record_erase(&a->store, erased, e), e);
	return rc == 0 ? log_event_append(a, event, NULL, seq, e) : rc;
}
