/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Verification of a whole log, in reads too short to keep a signer waiting. */
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "verify/audit-checkpoint.h"
#include "verify/audit-events.h"
#include "verify/audit-head.h"

#include "base/text.h"
#include "base/time.h"
#include "crypto/pubkey.h"

#define LAST_RECORDS 512 /* so few are checked within one read transaction */

int
av_enter(struct av *v, struct ofs_error *e)
{
	bool nested;
	int rc;

	if (v->locked)
		return 0;
	rc = handle_enter(v->a, &nested, e);
	if (rc == 0 && nested)
		rc = err_set(e, OFS_EINTERNAL,
			"cannot verify an audit log within a transaction");
	return rc;
}

void
av_leave(struct av *v)
{
	if (!v->locked)
		handle_leave(v->a, false);
}

int
av_damage(struct ofs_error *e, uint64_t seq, const char *fmt, ...)
{
	char what[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	return err_set(e, OFS_EDAMAGED, "record %llu of the audit log: %s",
		(unsigned long long)seq, what);
}

int
av_damage_within(
	struct ofs_error *e, uint64_t first, uint64_t last, const char *what)
{
	return av_damage(e, last, "%s; what differs is in records %llu to %llu",
		what, (unsigned long long)first, (unsigned long long)last);
}

int
av_rolled_back(
	struct ofs_error *e, uint64_t holds, uint64_t knows, const char *who)
{
	return err_set(e, OFS_EDAMAGED,
		"audit log was rolled back: it holds %llu records, and %s "
		"knows of %llu; records %llu to %llu are missing",
		(unsigned long long)holds, who, (unsigned long long)knows,
		(unsigned long long)holds, (unsigned long long)knows - 1);
}

void
av_find(struct av *v, uint64_t seq, const char *id, const char *fmt, ...)
{
	struct ofs_audit_finding f = { .size = sizeof(f), .seq = seq };
	va_list ap;

	if (v->fn == NULL)
		return;
	snprintf(f.id, sizeof(f.id), "%s", id);
	va_start(ap, fmt);
	vsnprintf(f.text, sizeof(f.text), fmt, ap);
	va_end(ap);
	text_clean(f.text);
	buf_put(&v->queue, &f, sizeof(f));
}

void
av_flush_findings(struct av *v)
{
	struct ofs_audit_finding f;

	if (!buf_ok(&v->queue))
		return; /* verification fails with that in the end */
	for (size_t at = 0; at + sizeof(f) <= v->queue.len; at += sizeof(f)) {
		memcpy(&f, v->queue.p + at, sizeof(f));
		v->fn(v->arg, &f);
	}
	buf_reset(&v->queue);
}

int64_t
av_int(const struct record_body *b, const char *name)
{
	struct ofs_field f;

	return record_body_find(b, name, &f) ? f.number : -1;
}

bool
av_bytes(const struct record_body *b, const char *name, struct rec_span *out)
{
	struct ofs_field f;
	bool has = record_body_find(b, name, &f);

	*out = (struct rec_span){ has ? f.bytes : NULL, has ? f.len : 0 };
	return has;
}

bool
av_same(struct rec_span a, struct rec_span b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

struct got {
	struct av *v;
	struct record_header *h;
	struct record_body **body;
	bool found;
};

static int
take_body(void *arg, const struct store_record *r, struct ofs_error *e)
{
	struct got *got = arg;
	struct ofs_error why;
	const uint8_t *der;
	size_t n;
	int rc;

	got->found = true;
	rc = record_header_decode(r->header, r->header_len, got->h, &why);
	if (rc == 0)
		rc = keys_open_body(got->v->a, got->h, r->body, r->body_len,
			&der, &n, &why);
	if (rc == 0 && der == NULL)
		return err_set(e, OFS_EAUDIT,
			"no key for record %llu of the audit log is here",
			(unsigned long long)r->seq);
	if (rc == 0)
		rc = record_body_decode(got->h->type, der, n, got->body, &why);
	if (rc == OFS_ENOMEM)
		return err_nomem(e);
	return rc != 0 ? av_damage(e, r->seq, "%s", why.message) : 0;
}

int
av_get_body(struct av *v, uint64_t seq, struct record_header *h,
	struct record_body **out, struct ofs_error *e)
{
	struct got got = { v, h, out, false };
	int rc;

	*out = NULL;
	rc = av_enter(v, e);
	if (rc != 0)
		return rc;
	rc = store_record_each(&v->a->store, seq, seq, take_body, &got, e);
	av_leave(v);
	if (rc == 0 && !got.found)
		rc = av_damage(e, seq, "it is missing");
	return rc;
}

/* below it a tile or a checkpoint has shown that all is right */
static uint64_t
first_suspect(struct av *v)
{
	uint64_t tile =
		(v->tree.size - 1) / AV_RANGE_RECORDS * AV_RANGE_RECORDS;
	uint64_t size = av_checkpoints_agree(v, v->tree.size);

	return size > tile ? size : tile;
}

static int
check_tiles(struct av *v, struct ofs_error *e)
{
	uint64_t last = v->tree.size - 1;
	uint8_t stored[32];
	bool same = true;
	int rc;

	if (v->tree.tiles == 0)
		return 0;
	rc = av_enter(v, e);
	if (rc != 0)
		return rc;
	for (unsigned int level = 1; rc == 0 && same && level <= v->tree.tiles;
		level++) {
		uint64_t idx =
			(v->tree.size >> (level * MERKLE_TILE_HEIGHT)) - 1;

		rc = store_tile_get(&v->a->store, level, idx, stored, e);
		same = rc == 0 &&
			memcmp(stored, v->tree.tile[level], sizeof(stored)) ==
				0;
	}
	av_leave(v);
	return rc != 0 || same
		? rc
		: av_damage_within(e, first_suspect(v), last,
			  "the tile that it completes disagrees with the "
			  "records");
}

static int
check_heads_here(struct av *v, struct ofs_error *e)
{
	uint8_t root[32];
	int rc = 0;

	for (int i = 0; i < HEAD_SLOTS && rc == 0; i++) {
		const struct head *h = &v->head.slot[i];

		if (!v->head.valid[i] || h->size != v->tree.size)
			continue;
		rc = merkle_root(&v->tree, root, e);
		if (rc == 0 && memcmp(root, h->root, sizeof(root)) != 0)
			rc = av_damage_within(e, first_suspect(v),
				v->tree.size - 1,
				"up to it the log is not the one that its head "
				"file knows of");
	}
	return rc;
}

/* a leaf, or the hash of a whole tile */
static int
grow_tree(struct av *v, unsigned int height, const uint8_t hash[MERKLE_HASH],
	struct ofs_error *e)
{
	int rc;

	rc = merkle_add(&v->tree, height, hash, e);
	if (rc == 0)
		rc = check_tiles(v, e);
	if (rc == 0)
		rc = check_heads_here(v, e);
	return rc;
}

/* nothing has to be looked at before the last record of it is in the tree */
static bool
grows_at_once(const struct av *v, const struct av_range *r)
{
	uint64_t end = r->first + AV_RANGE_RECORDS;

	for (int i = 0; i < HEAD_SLOTS; i++)
		if (v->head.valid[i] && v->head.slot[i].size > r->first &&
			v->head.slot[i].size < end)
			return false;
	return r->whole;
}

static int
check_genesis_body(
	struct av *v, const struct record_body *b, struct ofs_error *e)
{
	struct rec_span origin, salt;

	if (!av_bytes(b, "salt", &salt) || salt.n != 32 ||
		!av_bytes(b, "origin", &origin) || origin.n == 0 ||
		origin.n >= sizeof(v->rep->origin))
		return av_damage(e, 0, "its origin or salt is malformed");
	memcpy(v->rep->origin, origin.p, origin.n);
	v->rep->origin[origin.n] = '\0';
	return av_events_genesis(v, b, e);
}

static void
note_time(struct av *v, const struct record_header *h)
{
	char now[TIME_TEXT_SIZE], before[TIME_TEXT_SIZE];

	if (h->seq == 0)
		v->rep->first_time = h->time;
	else if (h->time < v->last_time) {
		v->rep->clock_steps_back++;
		av_find(v, h->seq, "clock-back",
			"clock went back from %s to %s",
			time_rfc3339(before, v->last_time, true),
			time_rfc3339(now, h->time, true));
	}
	v->last_time = v->rep->last_time = h->time;
}

static int
link_row(struct av *v, const struct av_range *range, const struct av_row *row,
	struct ofs_error *e)
{
	struct av_record r = { .seq = row->seq,
		.h = &row->h,
		.body = row->body,
		.tag = av_row_tag(range, row),
		.tag_len = row->tag_len };
	int rc;

	note_time(v, &row->h);
	if (!row->has_body)
		return av_absent(v, &row->h, av_row_header(range, row), e);
	rc = v->hashes_only ? 0 : av_check_cipher(v, &row->h, e);
	if (rc == 0 && row->body == NULL)
		return v->hashes_only ? 0 : av_count_sealed(v, &r, e);
	if (rc == 0 && row->seq == 0)
		rc = check_genesis_body(v, row->body, e);
	if (rc == 0 && row->h.type == OFS_REC_EPOCH && !v->hashes_only)
		rc = av_epoch(v, &r, e);
	if (rc == 0)
		rc = av_checkpoint_record(v, &r, e);
	if (rc == 0 && row->h.type == OFS_REC_LOG_EVENT)
		rc = av_log_event(v, &r, e);
	if (rc == 0 && v->a->key.on_token && keytokens_told_by(row->h.type))
		keytokens_take(&v->keytokens, row->seq, row->body);
	if (rc == 0 && !v->keyless && !v->hashes_only)
		rc = av_link(v, &r, e);
	return rc;
}

int
av_take_range(struct av *v, const struct av_range *r, struct ofs_error *e)
{
	bool at_once = grows_at_once(v, r);
	int rc = 0;

	for (size_t i = 0; i < r->good && rc == 0; i++) {
		rc = link_row(v, r, &r->rows[i], e);
		if (rc == 0 && !at_once)
			rc = grow_tree(v, 0, r->rows[i].leaf, e);
		if (rc == 0)
			v->rep->records++;
	}
	if (rc == 0 && at_once)
		rc = grow_tree(v, MERKLE_TILE_HEIGHT, r->root, e);
	if (rc == 0 && r->e.code != 0) {
		*e = r->e;
		rc = e->code;
	}
	return rc;
}

static int
read_state(struct av *v, struct ofs_error *e)
{
	struct store_state st;
	int rc;

	rc = store_state_get(&v->a->store, &st, e);
	if (rc != 0)
		return rc;
	if (st.size == 0 || st.size < v->tree.size ||
		(v->tree.size > 0 &&
			memcmp(st.log_id, v->state.log_id, 16) != 0))
		return err_set(e, OFS_EDAMAGED,
			"state of the audit log is not that of its records");
	v->state = st;
	return 0;
}

static int
check_root(struct av *v, struct ofs_error *e)
{
	uint8_t root[32], frontier[STORE_FRONTIER_MAX];
	int rc;

	rc = merkle_root(&v->tree, root, e);
	if (rc != 0)
		return rc;
	merkle_frontier_put(&v->tree, frontier);
	if (memcmp(root, v->state.root, sizeof(root)) != 0 ||
		memcmp(frontier, v->state.frontier, v->state.frontier_len) != 0)
		return av_damage_within(e, first_suspect(v), v->tree.size - 1,
			"up to it the log is not the one that its root was "
			"computed for");
	memcpy(v->rep->root, root, sizeof(root));
	return 0;
}

/* the head was read before the store, so it may be behind and never ahead */
static int
check_heads(struct av *v, struct ofs_error *e)
{
	const struct head *newest = head_newest(&v->head);

	for (int i = 0; i < HEAD_SLOTS; i++) {
		const struct head *h = &v->head.slot[i];

		if (!v->head.valid[i])
			continue;
		if (h->size > v->tree.size)
			return av_rolled_back(
				e, v->tree.size, h->size, "its head file");
	}
	if (newest == NULL) {
		av_find(v, v->tree.size - 1, "no-head",
			"there is no head file: a log that was rolled back "
			"would look the same");
		return 0;
	}
	v->rep->head_present = true;
	v->rep->head_records = newest->size;
	if (!v->head.valid[0] || !v->head.valid[1])
		av_find(v, newest->size - 1, "head-slot",
			"one slot of the head file is not valid, as after a "
			"crash: %s",
			v->head.why.message);
	return 0;
}

/*
 * The rest of the log and all that must agree with its end, in one read
 * transaction. *more when too much was added meanwhile to do that quickly.
 */
static int
check_end(struct av *v, bool *more, struct ofs_error *e)
{
	int rc;

	rc = store_begin(&v->a->store, false, e);
	if (rc != 0)
		return rc;
	rc = read_state(v, e);
	*more = rc == 0 && v->state.size - v->tree.size > LAST_RECORDS;
	if (rc == 0 && !*more) {
		rc = av_scan(v, v->state.size, e);
		if (rc == 0)
			rc = check_root(v, e);
		if (rc == 0)
			rc = check_heads(v, e);
		if (rc == 0)
			rc = av_checkpoints(v, e);
		if (rc == 0)
			rc = av_check_tables(v, e);
		if (rc == 0)
			av_keys_report(v);
		if (rc == 0)
			av_key_token_report(v);
		if (rc == 0 && !v->keyless && !v->hashes_only)
			av_links_report(v);
	}
	store_rollback(&v->a->store);
	return rc;
}

/* before the tree: a head of another log says nothing of any record */
static int
check_head_id(const struct av *v, struct ofs_error *e)
{
	for (int i = 0; i < HEAD_SLOTS; i++)
		if (v->head.valid[i] &&
			memcmp(v->head.slot[i].log_id, v->state.log_id, 16) !=
				0)
			return err_set(e, OFS_EDAMAGED,
				"head file is that of another audit log: "
				"record 0 is not the genesis that it names");
	return 0;
}

static int
start(struct av *v, struct ofs_error *e)
{
	int rc;

	rc = av_enter(v, e);
	if (rc != 0)
		return rc;
	rc = handle_read_head(v->a, e);
	if (rc == 0) {
		v->head = v->a->head;
		rc = read_state(v, e);
	}
	if (rc == 0)
		rc = check_head_id(v, e);
	if (rc == 0 && v->a->key.on_token)
		rc = pubkey_sha256(
			v->a->key.pub.pub, v->keytokens.audit_sha256, e);
	av_leave(v);
	return rc;
}

static int
verify(struct av *v, struct ofs_error *e)
{
	bool more = true;
	int rc;

	rc = start(v, e);
	while (rc == 0 && more) {
		rc = av_scan(v, v->state.size, e);
		if (rc == 0)
			rc = av_checkpoints(v, e);
		if (rc == 0)
			rc = av_enter(v, e);
		if (rc != 0)
			break;
		v->locked = true;
		rc = check_end(v, &more, e);
		v->locked = false;
		av_leave(v);
		av_flush_findings(v);
	}
	if (!buf_ok(&v->queue))
		return err_nomem(e);
	av_flush_findings(v);
	return rc;
}

/* processors that this process may run on */
static unsigned int
processors(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return 1;
	return (unsigned int)CPU_COUNT(&set);
}

int
av_verify(ofs_audit *audit, const struct av_how *how, ofs_audit_finding_fn fn,
	void *arg, struct ofs_audit_report *out)
{
	struct ofs_audit_report rep;
	struct av v = { .a = audit,
		.fn = fn,
		.arg = arg,
		.rep = &rep,
		.threads = how->threads != 0 ? how->threads : processors(),
		.hashes_only = how->hashes_only };
	struct ofs_error e;
	int rc;

	memset(&rep, 0, sizeof(rep));
	rep.size = sizeof(rep);
	merkle_init(&v.tree);
	buf_reset(&audit->heads);
	rc = verify(&v, &e);
	if (rc == 0)
		rc = av_heads_report(&v, &e);
	memcpy(rep.log_id, v.state.log_id, sizeof(rep.log_id));
	merkle_free(&v.tree);
	av_links_free(&v.links);
	av_events_free(&v.events);
	av_checkpoints_free(&v.checkpoints);
	keytokens_free(&v.keytokens);
	buf_free(&v.queue);
	if (out != NULL)
		*out = rep;
	return rc != 0 ? handle_fail(audit, &e) : 0;
}

int
ofs_audit_verify(ofs_audit *audit, ofs_audit_finding_fn fn, void *arg,
	struct ofs_audit_report *out)
{
	static const struct av_how how;

	return av_verify(audit, &how, fn, arg, out);
}
