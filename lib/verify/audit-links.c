/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Follows batches, intents and outcomes through the log. */
#include <stdlib.h>
#include <string.h>

#include "verify/audit-events.h"
#include "verify/audit-track.h"

static const uint8_t no_batch[16];

static bool
has_batch(const struct av_record *r)
{
	return memcmp(r->h->batch_id, no_batch, sizeof(no_batch)) != 0;
}

static struct av_batch *
find_batch(const struct av_links *l, const uint8_t id[16])
{
	for (size_t i = l->n_batches; i > 0; i--)
		if (memcmp(l->batches[i - 1].id, id, 16) == 0)
			return &l->batches[i - 1];
	return NULL;
}

const struct av_batch *
av_find_batch(const struct av_links *l, const uint8_t id[16])
{
	return find_batch(l, id);
}

struct av_intent *
av_find_intent(struct av_links *l, uint64_t seq)
{
	size_t low = 0, high = l->n_intents;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (l->intents[mid].seq < seq)
			low = mid + 1;
		else
			high = mid;
	}
	if (low < l->n_intents && l->intents[low].seq == seq)
		return &l->intents[low];
	return NULL;
}

static void
clear_intent(struct av_intent *i)
{
	buf_free(&i->items);
	buf_free(&i->text);
}

void
av_drop_intent(struct av_links *l, struct av_intent *i)
{
	size_t at = (size_t)(i - l->intents);

	clear_intent(i);
	l->n_intents--;
	memmove(i, i + 1, (l->n_intents - at) * sizeof(*i));
}

static void
drop_batch(struct av_links *l, struct av_batch *b)
{
	size_t at = (size_t)(b - l->batches);

	l->n_batches--;
	memmove(b, b + 1, (l->n_batches - at) * sizeof(*b));
}

void
av_links_free(struct av_links *l)
{
	for (size_t i = 0; i < l->n_intents; i++)
		clear_intent(&l->intents[i]);
	free(l->intents);
	free(l->batches);
	av_tracks_free(&l->tracks);
	memset(l, 0, sizeof(*l));
}

/* a record of a batch needs that batch to be open */
static int
need_batch(struct av *v, const struct av_record *r, struct av_batch **out,
	struct ofs_error *e)
{
	*out = NULL;
	if (!has_batch(r))
		return 0;
	*out = find_batch(&v->links, r->h->batch_id);
	if (*out == NULL)
		return av_damage(e, r->seq, "its batch is not open");
	return 0;
}

/* a certificate that the record names, if it does, is in the log's table */
static int
need_cert(struct av *v, const struct av_record *r, const char *name,
	struct ofs_error *e)
{
	struct rec_span cert;
	bool has;
	int rc;

	if (!av_bytes(r->body, name, &cert) || log_is_sealed(v->a))
		return 0;
	if (cert.n != 32)
		return av_damage(e, r->seq, "hash of a wrong length");
	rc = av_enter(v, e);
	if (rc != 0)
		return rc;
	rc = store_cert_has(&v->a->store, cert.p, &has, e);
	av_leave(v);
	if (rc == 0 && !has)
		rc = av_damage(
			e, r->seq, "the certificate that it names is not kept");
	return rc;
}

static int
batch_opened(struct av *v, const struct av_record *r, struct ofs_error *e)
{
	struct av_links *l = &v->links;
	struct rec_span list;
	struct av_batch *b;
	int rc;

	v->rep->batches++;
	if (!has_batch(r) || find_batch(l, r->h->batch_id) != NULL)
		return av_damage(e, r->seq, "its batch id is not a new one");
	rc = need_cert(v, r, "party.key.cert_sha256", e);
	if (rc != 0)
		return rc;
	if (l->n_batches == l->cap_batches) {
		size_t cap = l->cap_batches * 2 + 8;

		b = reallocarray(l->batches, cap, sizeof(*b));
		if (b == NULL)
			return err_nomem(e);
		l->batches = b;
		l->cap_batches = cap;
	}
	b = &l->batches[l->n_batches++];
	memset(b, 0, sizeof(*b));
	memcpy(b->id, r->h->batch_id, sizeof(b->id));
	b->opened_seq = r->seq;
	b->items = (uint64_t)av_int(r->body, "items");
	b->open_ended = !av_bytes(r->body, "list_sha256", &list);
	if (b->open_ended && b->items != 0)
		return av_damage(
			e, r->seq, "it counts the items of no known list");
	return av_track_opened(v, r, b->items, e);
}

static int
key_event(struct av *v, const struct av_record *r, struct ofs_error *e)
{
	int rc = need_cert(v, r, "attestation_sha256", e);

	return rc != 0 ? rc : need_cert(v, r, "attestation_issuer_sha256", e);
}

/* the list of an open-ended batch is known now, unless it was cut off */
static int
check_list(const struct av_batch *b, const struct av_record *r,
	struct ofs_error *e)
{
	static const char *const counts[] = { "signed", "failed", "skipped",
		"not_attempted", "unknown" };
	struct rec_span list;
	uint64_t items = 0;
	size_t i;

	if (!av_bytes(r->body, "list_sha256", &list))
		return b->open_ended && av_int(r->body, "code") == 0
			? av_damage(e, r->seq,
				  "it has no digest of the list of its batch")
			: 0;
	if (!b->open_ended || list.n != 32)
		return av_damage(e, r->seq,
			"it has a list digest, and none of that length belongs "
			"there");
	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		items += (uint64_t)av_int(r->body, counts[i]);
	if (items < b->reach)
		return av_damage(e, r->seq,
			"it counts %llu items, and its batch has an item %llu",
			(unsigned long long)items,
			(unsigned long long)b->reach - 1);
	return 0;
}

/* each outcome that was erased was one of the three */
static bool
counts_fit(const struct av_batch *b, const struct av_record *r)
{
	int64_t signed_ = av_int(r->body, "signed");
	int64_t failed = av_int(r->body, "failed");

	return signed_ >= (int64_t)b->signed_ && failed >= (int64_t)b->failed &&
		(uint64_t)signed_ + (uint64_t)failed <=
		b->signed_ + b->failed + b->erased;
}

static int
batch_closed(struct av *v, const struct av_record *r, struct ofs_error *e)
{
	struct av_batch *b;
	uint64_t items;
	int rc;

	rc = need_batch(v, r, &b, e);
	if (rc != 0)
		return rc;
	if (b == NULL ||
		(uint64_t)av_int(r->body, "opened_seq") != b->opened_seq)
		return av_damage(e, r->seq, "it closes no open batch");
	if (av_closed_blindly(v, r->body)) {
		drop_batch(&v->links, b);
		return 0;
	}
	if (!counts_fit(b, r))
		return av_damage(e, r->seq,
			"it counts other outcomes than its batch has: %llu "
			"signed and %llu failed are recorded",
			(unsigned long long)b->signed_,
			(unsigned long long)b->failed);
	/* an item that was never announced has no record */
	if (av_int(r->body, "not_attempted") < 0 ||
		(uint64_t)av_int(r->body, "not_attempted") < b->not_attempted)
		return av_damage(e, r->seq,
			"it counts fewer items not attempted than its batch "
			"has");
	rc = check_list(b, r, e);
	if (rc != 0)
		return rc;
	items = b->items;
	drop_batch(&v->links, b);
	return av_track_closed(v, r, items, e);
}

/* fills an intent from its fields, which come in the order of the items */
struct collect {
	struct av_intent *to;
	struct av_item item;
	bool begun;
	bool wrong; /* not ascending */
};

static void
end_item(struct collect *c)
{
	if (!c->begun)
		return;
	buf_put(&c->to->items, &c->item, sizeof(c->item));
	c->to->n++;
	c->begun = false;
}

static void
begin_item(struct collect *c, int64_t index)
{
	bool first = c->to->n == 0 && !c->begun;
	uint64_t before = c->item.index;

	end_item(c);
	memset(&c->item, 0, sizeof(c->item));
	c->item.index = (uint64_t)index;
	c->begun = true;
	if (index < 0 || (!first && c->item.index <= before))
		c->wrong = true;
}

static int
collect_field(void *arg, const struct ofs_field *f)
{
	struct collect *c = arg;
	const char *name = f->name;

	if (strncmp(name, "items.", 6) != 0)
		return 0;
	name = strchr(name + 6, '.');
	if (name == NULL)
		return 0;
	if (strcmp(name, ".index") == 0) {
		begin_item(c, f->number);
	} else if (strcmp(name, ".path") == 0 ||
		(strcmp(name, ".name") == 0 && c->item.name_len == 0)) {
		c->item.name = c->to->text.len;
		c->item.name_len = f->len;
		buf_put(&c->to->text, f->bytes, f->len);
	} else if (strcmp(name, ".input") == 0) {
		c->item.unseen = true;
	} else if (strcmp(name, ".digest") == 0) {
		c->item.digest = c->to->text.len;
		c->item.digest_len = f->len;
		buf_put(&c->to->text, f->bytes, f->len);
	}
	return 0;
}

static int
add_intent(struct av_links *l, struct av_intent *i, struct ofs_error *e)
{
	if (l->n_intents == l->cap_intents) {
		size_t cap = l->cap_intents * 2 + 8;
		struct av_intent *grown;

		grown = reallocarray(l->intents, cap, sizeof(*grown));
		if (grown == NULL)
			return err_nomem(e);
		l->intents = grown;
		l->cap_intents = cap;
	}
	l->intents[l->n_intents++] = *i;
	return 0;
}

static struct av_item *
items_of(const struct av_intent *i)
{
	return (struct av_item *)(void *)i->items.p;
}

/* the items that have no outcome are announced, or unknown for good */
static int
track_items(struct av *v, const struct av_intent *i, enum run_status status,
	struct ofs_error *e)
{
	const struct av_item *items = items_of(i);
	size_t k;
	int rc = 0;

	for (k = 0; k < i->n && rc == 0; k++)
		if (!items[k].done)
			rc = av_track_item(v, i->batch_id, items[k].index,
				status, i->seq, e);
	return rc;
}

static void
reach(struct av_batch *b, uint64_t index)
{
	if (index >= b->reach)
		b->reach = index + 1;
}

static bool
is_purpose(int64_t v)
{
	return v >= REC_PURPOSE_DOCUMENT && v <= REC_PURPOSE_CHECKPOINT;
}

static int
intent(struct av *v, const struct av_record *r, struct ofs_error *e)
{
	struct av_intent i = { .seq = r->seq };
	struct collect c = { .to = &i };
	struct ofs_field party;
	struct av_batch *b;
	int rc;

	v->rep->intents++;
	rc = need_batch(v, r, &b, e);
	if (rc != 0)
		return rc;
	if (b == NULL &&
		!record_body_find(r->body, "party.operator.uid", &party))
		return av_damage(e, r->seq, "it does not say who signs");
	memcpy(i.batch_id, r->h->batch_id, sizeof(i.batch_id));
	i.purpose = av_int(r->body, "purpose");
	(void)record_body_each(r->body, collect_field, &c);
	end_item(&c);
	i.left = i.n;
	if (!buf_ok(&i.items) || !buf_ok(&i.text))
		rc = err_nomem(e);
	else if (c.wrong || i.n == 0 || !is_purpose(i.purpose))
		rc = av_damage(
			e, r->seq, "its items or its purpose are not in order");
	if (rc == 0)
		rc = track_items(v, &i, RUN_ANNOUNCED, e);
	if (rc == 0 && b != NULL)
		reach(b, items_of(&i)[i.n - 1].index);
	if (rc == 0)
		rc = add_intent(&v->links, &i, e);
	if (rc != 0)
		clear_intent(&i);
	return rc;
}

/* outcomes mostly come in the order of the items */
static struct av_item *
find_item(struct av_intent *i, uint64_t index)
{
	struct av_item *items = items_of(i);
	size_t low = 0, high = i->n;

	if (i->cursor < i->n && items[i->cursor].index == index)
		return &items[i->cursor++];
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (items[mid].index < index)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == i->n || items[low].index != index)
		return NULL;
	i->cursor = low + 1;
	return &items[low];
}

static bool
same_document(const struct av_intent *i, const struct av_item *item,
	const struct record_body *b)
{
	struct rec_span name, digest, input;

	if (av_bytes(b, "document.input", &input) != item->unseen)
		return false;
	if (!av_bytes(b, "document.path", &name))
		(void)av_bytes(b, "document.name", &name);
	(void)av_bytes(b, "document.digest", &digest);
	return av_same(name,
		       (struct rec_span){
			       i->text.p + item->name, item->name_len }) &&
		av_same(digest,
			(struct rec_span){
				i->text.p + item->digest, item->digest_len });
}

static bool
is_absent(struct av *v, uint64_t seq, enum ofs_record_type type)
{
	const struct av_absent *a = av_find_absent(v, seq);

	return a != NULL && a->type == type;
}

static int
settle(struct av *v, const struct av_record *r, int64_t purpose,
	struct ofs_error *e)
{
	uint64_t seq = (uint64_t)av_int(r->body, "intent_seq");
	struct av_intent *i = av_find_intent(&v->links, seq);
	struct av_item *item;

	if (i == NULL && is_absent(v, seq, OFS_REC_INTENT))
		return 0;
	if (i == NULL)
		return av_damage(e, r->seq,
			"its intent %llu is not open: missing, answered or "
			"recovered before",
			(unsigned long long)seq);
	if (memcmp(i->batch_id, r->h->batch_id, sizeof(i->batch_id)) != 0 ||
		i->purpose != purpose)
		return av_damage(e, r->seq,
			"its intent %llu is another batch's or of another "
			"purpose",
			(unsigned long long)seq);
	item = find_item(i, (uint64_t)av_int(r->body, "index"));
	if (item == NULL || item->done)
		return av_damage(e, r->seq,
			"its item is not in intent %llu, or has an outcome",
			(unsigned long long)seq);
	if (purpose == REC_PURPOSE_DOCUMENT && !same_document(i, item, r->body))
		return av_damage(e, r->seq,
			"its document is not the one of intent %llu",
			(unsigned long long)seq);
	item->done = true;
	if (--i->left == 0)
		av_drop_intent(&v->links, i);
	return 0;
}

static int
check_tag(struct av *v, const struct av_record *r, int64_t purpose,
	struct ofs_error *e)
{
	struct rec_span digest;
	uint8_t tag[TAG_SIZE];
	bool has, tagged, known;
	int rc;

	has = av_bytes(r->body, "document.digest", &digest);
	rc = av_is_tagged(v, r->h, &tagged, e);
	if (rc != 0 ||
		(r->tag == NULL &&
			(!has || !tagged || purpose != REC_PURPOSE_DOCUMENT)))
		return rc;
	if (r->tag == NULL || !has || !tagged || r->tag_len != sizeof(tag))
		return av_damage(e, r->seq, "its document tag is wrong");
	rc = av_enter(v, e);
	if (rc != 0)
		return rc;
	known = handle_has_tags(v->a);
	if (known)
		rc = tag_of(&v->a->tag, digest.p, digest.n, tag, e);
	av_leave(v);
	if (!known)
		return 0;
	if (rc == 0 && memcmp(tag, r->tag, sizeof(tag)) != 0)
		rc = av_damage(e, r->seq, "its document tag is wrong");
	return rc;
}

static int
count_outcome(struct av *v, const struct av_record *r, struct av_batch *b,
	int64_t status, struct ofs_error *e)
{
	struct rec_span sig;

	switch (status) {
	case REC_SIGNED:
		if (!av_bytes(r->body, "signature", &sig) || sig.n == 0 ||
			av_int(r->body, "verified") != 1 ||
			av_int(r->body, "intent_seq") == 0)
			return av_damage(e, r->seq,
				"it says signed without an intent, a signature "
				"or its verification");
		v->rep->signed_items++;
		if (b != NULL)
			b->signed_++;
		return 0;
	case REC_FAILED:
		v->rep->failed_items++;
		if (b != NULL)
			b->failed++;
		return 0;
	case REC_NOT_ATTEMPTED:
		v->rep->not_attempted_items++;
		if (b != NULL)
			b->not_attempted++;
		return 0;
	}
	return av_damage(e, r->seq, "its status is unknown");
}

static int
outcome(struct av *v, const struct av_record *r, struct ofs_error *e)
{
	int64_t purpose = av_int(r->body, "purpose");
	struct av_batch *b;
	int rc;

	v->rep->outcomes++;
	rc = need_batch(v, r, &b, e);
	if (rc == 0 && !is_purpose(purpose))
		rc = av_damage(e, r->seq, "its purpose is unknown");
	if (rc == 0)
		rc = count_outcome(v, r, b, av_int(r->body, "status"), e);
	if (rc == 0)
		rc = check_tag(v, r, purpose, e);
	if (rc == 0 && b != NULL)
		reach(b, (uint64_t)av_int(r->body, "index"));
	if (rc == 0 && b != NULL)
		rc = av_track_item(v, b->id, (uint64_t)av_int(r->body, "index"),
			(enum run_status)av_int(r->body, "status"), r->seq, e);
	if (rc != 0)
		return rc;
	if (av_int(r->body, "intent_seq") != 0)
		return settle(v, r, purpose, e);
	if (av_int(r->body, "attempts") != 0)
		return av_damage(
			e, r->seq, "the token was asked without an intent");
	return 0;
}

void
av_link_absent(struct av *v, const struct record_header *h)
{
	struct av_batch *b = find_batch(&v->links, h->batch_id);

	if (v->hashes_only || v->keyless)
		return;
	if (h->type == OFS_REC_INTENT)
		v->rep->intents++;
	if (h->type != OFS_REC_OUTCOME)
		return;
	v->rep->outcomes++;
	if (b != NULL)
		b->erased++;
	av_track_absent(v, h->batch_id);
}

static int
recovery(struct av *v, const struct av_record *r, struct ofs_error *e)
{
	uint64_t seq = (uint64_t)av_int(r->body, "intent_seq");
	struct av_intent *i = av_find_intent(&v->links, seq);
	int rc;

	if (i == NULL && is_absent(v, seq, OFS_REC_INTENT)) {
		v->rep->unknown_items += (uint64_t)av_int(r->body, "unknown");
		return 0;
	}
	if (i == NULL)
		return av_damage(e, r->seq, "its intent %llu is not open",
			(unsigned long long)seq);
	/* some of those that it lacks may have been erased */
	if (memcmp(i->batch_id, r->h->batch_id, sizeof(i->batch_id)) == 0 &&
		av_use_absent(
			v, i, i->left - (uint64_t)av_int(r->body, "unknown")))
		i->left = (size_t)av_int(r->body, "unknown");
	if (memcmp(i->batch_id, r->h->batch_id, sizeof(i->batch_id)) != 0 ||
		((uint64_t)av_int(r->body, "unknown") != i->left &&
			(!log_is_sealed(v->a) ||
				av_int(r->body, "unknown") != 0)))
		return av_damage(e, r->seq,
			"intent %llu is another batch's, or has %zu items "
			"without outcome",
			(unsigned long long)seq, i->left);
	av_report_unknown(v, i, r->seq);
	rc = track_items(v, i, RUN_UNKNOWN, e);
	av_drop_intent(&v->links, i);
	return rc;
}

static int
release(struct av *v, const struct av_record *r, struct ofs_error *e)
{
	uint64_t seq = (uint64_t)av_int(r->body, "outcome_seq");
	struct record_body *body = NULL;
	struct record_header h;
	struct rec_span ours, theirs;
	int rc;

	if (seq >= r->seq)
		return av_damage(
			e, r->seq, "its outcome is not an earlier one");
	if (is_absent(v, seq, OFS_REC_OUTCOME))
		return 0;
	rc = av_get_body(v, seq, &h, &body, e);
	if (rc != 0)
		return rc;
	if (h.type != OFS_REC_OUTCOME || av_int(body, "status") != REC_SIGNED ||
		memcmp(h.batch_id, r->h->batch_id, 16) != 0 ||
		!av_bytes(r->body, "path", &ours) ||
		!av_bytes(body, "output_path", &theirs) ||
		!av_same(ours, theirs))
		rc = av_damage(e, r->seq,
			"record %llu is not the outcome of that output",
			(unsigned long long)seq);
	record_body_free(body);
	return rc;
}

int
av_link(struct av *v, const struct av_record *r, struct ofs_error *e)
{
	switch (r->h->type) {
	case OFS_REC_BATCH_OPENED:
		return batch_opened(v, r, e);
	case OFS_REC_BATCH_CLOSED:
		return batch_closed(v, r, e);
	case OFS_REC_INTENT:
		return intent(v, r, e);
	case OFS_REC_OUTCOME:
		return outcome(v, r, e);
	case OFS_REC_RECOVERY:
		return recovery(v, r, e);
	case OFS_REC_RELEASE:
		return release(v, r, e);
	case OFS_REC_KEY_EVENT:
		return key_event(v, r, e);
	default:
		return 0;
	}
}
