/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compares the tables of the store with what the records say. */
#include <limits.h>
#include <string.h>

#include "verify/audit-events.h"
#include "verify/audit-track.h"

#include "audit/pending.h"

#include "base/text.h"

struct rows {
	struct av *v;
	uint64_t n;
	/* of pending outputs: the batch of the last, and its option */
	uint8_t batch_id[16];
	bool replaces;
};

static int
table_damage(struct ofs_error *e, const char *table, uint64_t seq)
{
	return av_damage(e, seq, "table %s disagrees with the records", table);
}

static int
check_batch(void *arg, uint64_t seq, const uint8_t id[16], struct ofs_error *e)
{
	struct rows *rows = arg;
	const struct av_batch *b = av_find_batch(&rows->v->links, id);

	rows->n++;
	if (b == NULL || b->opened_seq != seq)
		return table_damage(e, "open_batch", seq);
	return 0;
}

static int
list_intent(void *arg, uint64_t seq, const uint8_t id[16], struct ofs_error *e)
{
	struct av *v = arg;
	struct av_intent *i = av_find_intent(&v->links, seq);

	(void)id, (void)e;
	if (i != NULL)
		i->listed = true;
	return 0;
}

static int
check_intent(void *arg, uint64_t seq, const uint8_t id[16], struct ofs_error *e)
{
	struct rows *rows = arg;
	const struct av_intent *i = av_find_intent(&rows->v->links, seq);

	rows->n++;
	if (i == NULL || memcmp(i->batch_id, id, sizeof(i->batch_id)) != 0)
		return table_damage(e, "open_intent", seq);
	return 0;
}

static int
check_output(const struct store_pending *p, const struct record_header *h,
	const struct record_body *body, struct ofs_error *e)
{
	struct rec_span path, sum;
	uint8_t ours[32];
	int rc;

	rc = digest_of(&digest_sha256, p->p, p->n, ours, e);
	if (rc != 0)
		return rc;
	if (h->type != OFS_REC_OUTCOME ||
		av_int(body, "status") != REC_SIGNED ||
		memcmp(h->batch_id, p->batch_id, sizeof(h->batch_id)) != 0 ||
		!av_bytes(body, "output_path", &path) ||
		!av_bytes(body, "output_sha256", &sum) ||
		!av_same(path, (struct rec_span){ p->path.p, p->path.len }) ||
		!av_same(sum, (struct rec_span){ ours, sizeof(ours) }))
		return table_damage(e, "pending", p->seq);
	return 0;
}

/* the record that opened a batch; 0: there is none */
static int
find_opened(
	struct av *v, const uint8_t id[16], uint64_t *seq, struct ofs_error *e)
{
	const struct av_batch *b = av_find_batch(&v->links, id);
	uint64_t all[STORE_FOUND_MAX];
	size_t n = 0;
	int rc;

	*seq = b != NULL ? b->opened_seq : 0;
	if (b != NULL)
		return 0;
	rc = av_enter(v, e);
	if (rc != 0)
		return rc;
	rc = store_batch_records(
		&v->a->store, OFS_REC_BATCH_OPENED, id, id, all, &n, e);
	av_leave(v);
	if (rc == 0 && n > 0)
		*seq = all[0];
	return rc;
}

static bool
says_replace(const struct record_body *body)
{
	static const char word[] = "existing=replace";
	size_t n = sizeof(word) - 1;
	struct rec_span s;

	return av_bytes(body, "options", &s) && s.n >= n &&
		memcmp(s.p, word, n) == 0 && (s.n == n || s.p[n] == ' ');
}

/* whether its release may replace a file is what its batch was opened with */
static int
check_replace(
	struct rows *rows, const struct store_pending *p, struct ofs_error *e)
{
	struct record_body *body = NULL;
	struct record_header h;
	uint64_t seq = 0;
	int rc = 0;

	if (rows->n++ == 0 || memcmp(rows->batch_id, p->batch_id, 16) != 0) {
		memcpy(rows->batch_id, p->batch_id, 16);
		rows->replaces = false;
		rc = find_opened(rows->v, p->batch_id, &seq, e);
		if (rc == 0 && seq > 0)
			rc = av_get_body(rows->v, seq, &h, &body, e);
		if (rc == 0 && body != NULL)
			rows->replaces = says_replace(body);
		record_body_free(body);
	}
	if (rc == 0 && p->replace != rows->replaces)
		rc = table_damage(e, "pending", p->seq);
	return rc;
}

static int
check_opened(struct av *v, const struct store_pending *p, struct ofs_error *e)
{
	struct record_body *body = NULL;
	struct record_header h;
	int rc;

	rc = av_get_body(v, p->seq, &h, &body, e);
	if (rc == 0)
		rc = check_output(p, &h, body, e);
	record_body_free(body);
	if (rc != 0)
		return rc;
	v->rep->pending_outputs++;
	av_find(v, p->seq, "pending-output",
		"signature for '%s' is recorded and not yet released",
		TEXT_Q((const char *)p->path.p));
	return 0;
}

static int
check_pending(void *arg, const struct store_pending *p, struct ofs_error *e)
{
	struct rows *rows = arg;
	struct av *v = rows->v;
	struct store_pending opened;
	struct buf out = BUF_INIT;
	bool has;
	int rc;

	if (p->seq >= v->tree.size)
		return table_damage(e, "pending", p->seq);
	rc = check_replace(rows, p, e);
	if (rc != 0)
		return rc;
	if (!log_is_sealed(v->a))
		return check_opened(v, p, e);
	rc = pending_open(v->a, p, &opened, &has, e);
	if (rc == 0 && !has)
		rc = table_damage(e, "pending", p->seq);
	/* the record that it is compared with is decrypted to the same place */
	if (rc == 0) {
		buf_put(&out, opened.p, opened.n);
		opened.p = out.p;
		rc = buf_ok(&out) ? check_opened(v, &opened, e) : err_nomem(e);
	}
	buf_free(&opened.path);
	buf_wipe(&out);
	return rc;
}

/* the one before, in the order of their hashes */
struct certs {
	uint8_t last[32];
	bool any;
};

static int
check_cert(void *arg, const uint8_t sha256[32], const uint8_t *der, size_t n,
	struct ofs_error *e)
{
	struct certs *c = arg;
	uint8_t ours[32];
	int rc;

	rc = digest_of(&digest_sha256, der, n, ours, e);
	if (rc != 0)
		return rc;
	if (memcmp(ours, sha256, sizeof(ours)) != 0)
		return err_set(e, OFS_EDAMAGED,
			"a certificate that the audit log keeps is not the one "
			"that it is named for");
	/* as a damaged page may show one in the place of another */
	if (c->any && memcmp(c->last, sha256, sizeof(c->last)) >= 0)
		return err_set(e, OFS_EDAMAGED,
			"table cert of the audit log has a certificate twice");
	memcpy(c->last, sha256, sizeof(c->last));
	c->any = true;
	return 0;
}

static int
check_counts(struct av *v, struct ofs_error *e)
{
	uint64_t tiles, expected = 0, size = v->tree.size;
	int rc;

	for (uint64_t n = size >> MERKLE_TILE_HEIGHT; n > 0;
		n >>= MERKLE_TILE_HEIGHT)
		expected += n;
	rc = store_record_check_end(&v->a->store, size, e);
	if (rc == 0)
		rc = store_tile_count(&v->a->store, &tiles, e);
	if (rc == 0 && tiles != expected)
		rc = err_set(e, OFS_EDAMAGED,
			"audit log holds %llu tiles instead of %llu",
			(unsigned long long)tiles,
			(unsigned long long)expected);
	return rc;
}

int
av_check_tables(struct av *v, struct ofs_error *e)
{
	struct store *s = &v->a->store;
	struct rows batches = { .v = v }, intents = { .v = v },
		    pending = { .v = v };
	struct certs certs = { .any = false };
	int rc;

	rc = check_counts(v, e);
	if (rc == 0)
		rc = store_cert_each(s, NULL, INT_MAX, check_cert, &certs, e);
	if (rc == 0 && !v->hashes_only)
		rc = av_check_epochs(v, e);
	if (rc == 0)
		rc = store_intent_each(s, list_intent, v, e);
	if (rc == 0)
		rc = av_events_end(v, e);
	if (rc == 0 && !v->hashes_only)
		rc = av_check_kept(v, e);
	if (rc == 0 && v->keyless && !v->hashes_only)
		rc = av_count_waiting(v, e);
	/* the others are derived from bodies */
	if (rc != 0 || v->keyless || v->hashes_only)
		return rc;
	rc = store_batch_each(s, check_batch, &batches, e);
	if (rc == 0 && batches.n != v->links.n_batches)
		rc = err_set(e, OFS_EDAMAGED,
			"table open_batch of the audit log lacks a batch");
	if (rc == 0)
		rc = store_intent_each(s, check_intent, &intents, e);
	if (rc == 0 && intents.n != v->links.n_intents)
		rc = err_set(e, OFS_EDAMAGED,
			"table open_intent of the audit log lacks an intent");
	if (rc == 0)
		rc = store_pending_each(
			s, 0, INT_MAX, check_pending, &pending, e);
	if (rc == 0)
		rc = av_check_track_tables(v, e);
	return rc;
}
