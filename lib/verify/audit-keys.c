/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Verifies what a log encrypts, with its keys or without. */
#include <limits.h>

#include "verify/audit-verify.h"

#include "base/hex.h"

/* an encrypted log has nothing in the clear but how to read the rest */
int
av_check_cipher(
	struct av *v, const struct record_header *h, struct ofs_error *e)
{
	bool plain = v->a->keys.mode == LOG_PLAIN ||
		h->type == OFS_REC_GENESIS || h->type == OFS_REC_EPOCH;

	/* what an auditor has allowed, and the audit key, everybody can see */
	if (plain != (h->cipher == 0) &&
		(plain ||
			(h->type != OFS_REC_LOG_EVENT &&
				h->type != OFS_REC_ANCHOR)))
		return av_damage(e, h->seq,
			"its body is %s, which does not go with this log",
			h->cipher == 0 ? "plain" : "encrypted");
	if (h->epoch > v->epochs)
		return av_damage(e, h->seq,
			"its key is of epoch %u, which has not begun",
			h->epoch);
	return 0;
}

int
av_count_sealed(struct av *v, const struct av_record *r, struct ofs_error *e)
{
	uint16_t type = r->h->type;
	bool tagged = false;
	int rc;

	rc = r->tag != NULL ? av_is_tagged(v, r->h, &tagged, e) : 0;
	if (rc != 0)
		return rc;
	if (r->tag != NULL && (!tagged || r->tag_len != TAG_SIZE))
		return av_damage(
			e, r->seq, "it may not have such a document tag");
	if (!v->keyless)
		av_links_free(&v->links);
	v->keyless = true;
	v->rep->sealed_bodies++;
	v->rep->batches += type == OFS_REC_BATCH_OPENED;
	v->rep->intents += type == OFS_REC_INTENT;
	v->rep->outcomes += type == OFS_REC_OUTCOME;
	return 0;
}

bool
av_closed_blindly(const struct av *v, const struct record_body *b)
{
	return v->a->keys.mode == LOG_SEALED && av_int(b, "code") != 0 &&
		av_int(b, "signed") == 0 && av_int(b, "failed") == 0 &&
		av_int(b, "skipped") == 0 && av_int(b, "not_attempted") == 0 &&
		av_int(b, "unknown") == 0;
}

int
av_is_tagged(struct av *v, const struct record_header *h, bool *tagged,
	struct ofs_error *e)
{
	struct key_epoch *ep;
	int rc;

	*tagged = true;
	if (h->cipher == 0)
		return 0;
	rc = av_enter(v, e);
	if (rc != 0)
		return rc;
	rc = keys_epoch(v->a, h->epoch, &ep, e);
	if (rc == 0)
		*tagged = ep->tagged;
	av_leave(v);
	return rc;
}

int
av_epoch(struct av *v, const struct av_record *r, struct ofs_error *e)
{
	struct rec_span commit;
	uint64_t seq = 0;
	int rc;

	if (v->a->keys.mode == LOG_PLAIN)
		return av_damage(
			e, r->seq, "a log that is not encrypted has no epochs");
	if (av_int(r->body, "epoch") != (int64_t)v->epochs + 1)
		return av_damage(e, r->seq,
			"it begins epoch %lld instead of %u",
			(long long)av_int(r->body, "epoch"), v->epochs + 1);
	if (!av_bytes(r->body, "key_commit", &commit) || commit.n != 32)
		return av_damage(e, r->seq, "it commits to no key");
	v->rep->epochs = ++v->epochs;
	rc = av_enter(v, e);
	if (rc != 0)
		return rc;
	rc = store_epoch_get(&v->a->store, v->epochs, &seq, e);
	av_leave(v);
	if (rc == 0 && seq != r->seq)
		rc = av_damage(
			e, r->seq, "table epoch disagrees with the records");
	return rc;
}

static int
count(void *arg, uint32_t epoch, uint64_t seq, struct ofs_error *e)
{
	uint32_t *n = arg;

	(void)epoch, (void)seq, (void)e;
	(*n)++;
	return 0;
}

int
av_check_epochs(struct av *v, struct ofs_error *e)
{
	uint32_t n = 0;
	int rc = store_epoch_each(&v->a->store, count, &n, e);

	if (rc == 0 && n != v->epochs)
		rc = err_set(e, OFS_EDAMAGED,
			"table epoch of the audit log holds %u epochs, and "
			"its records %u",
			n, v->epochs);
	return rc;
}

/* the row tells an epoch, and a batch of which nothing is unfinished */
static int
tell_left(void *arg, uint64_t epoch, const uint8_t id[16], struct ofs_error *e)
{
	struct av *v = arg;
	uint64_t seq = 0;
	char hex[33];
	int rc = 0;

	if (epoch <= v->epochs)
		rc = store_epoch_get(&v->a->store, (uint32_t)epoch, &seq, e);
	if (rc == 0)
		av_find(v, seq, "kept-key",
			"the key of epoch %llu is still kept, for batch %s, "
			"which is finished: with the station key or the "
			"passphrase of the log its records can be read; the "
			"next batch that ends destroys that key",
			(unsigned long long)epoch, hex_encode(hex, id, 16));
	return rc;
}

int
av_check_kept(struct av *v, struct ofs_error *e)
{
	bool has;
	int rc = store_has_evidence(&v->a->store, &has, e);

	if (rc != 0 || !has)
		return rc;
	return store_kept_left(&v->a->store, tell_left, v, e);
}

/* of a batch that is running, it will be released */
static int
count_waiting(void *arg, const struct store_pending *p, struct ofs_error *e)
{
	struct av *v = arg;
	uint64_t opened = 0;
	int rc = store_batch_get(&v->a->store, p->batch_id, &opened, e);

	if (rc == 0 && (opened == 0 || !hold_alive(&v->a->hold, opened)))
		v->rep->pending_outputs++;
	return rc;
}

int
av_count_waiting(struct av *v, struct ofs_error *e)
{
	return store_pending_each(
		&v->a->store, 0, INT_MAX, count_waiting, v, e);
}

void
av_keys_report(struct av *v)
{
	if (v->rep->sealed_bodies > 0)
		av_find(v, v->tree.size - 1, "keyless",
			"%llu record bodies are encrypted and no key for them "
			"is here: headers, hashes and tree were checked; what "
			"the bodies say was not",
			(unsigned long long)v->rep->sealed_bodies);
	if (v->rep->sealed_bodies > 0 && v->rep->pending_outputs > 0)
		av_find(v, v->tree.size - 1, "pending-output",
			"%llu signatures are recorded and not yet released: "
			"the next ofs-sign run that has the station key or the "
			"passphrase of the log writes them; where it has none, "
			"or they are lost, an auditor takes them out with "
			"ofs-audit export --pending DIR --auditor-key FILE",
			(unsigned long long)v->rep->pending_outputs);
}
