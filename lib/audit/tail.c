/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is checked before a log is written: its beginning and its end. */
#include <string.h>

#include "audit/handle.h"

#define TAIL_RECORDS 256

struct tail {
	ofs_audit *a;
	uint64_t next;
	uint64_t seen;
	struct buf absent; /* uint64_t: records without a body */
};

static int
wrong(const struct store_record *r, const char *what, struct ofs_error *e)
{
	return err_set(e, OFS_EDAMAGED, "record %llu of the audit log %s",
		(unsigned long long)r->seq, what);
}

/* whether its bodies are encrypted; the body is checked with the others */
static int
take_mode(ofs_audit *a, const struct store_record *r, struct ofs_error *e)
{
	struct record_body *body = NULL;
	char mode[16] = "?";
	struct ofs_error why;
	struct ofs_field f;
	int rc;

	rc = record_body_decode(
		OFS_REC_GENESIS, r->body, r->body_len, &body, &why);
	if (rc == OFS_EFORMAT)
		return wrong(r, "is not a genesis", e);
	if (rc != 0)
		return err_set(e, rc, "%s", why.message);
	if (!record_body_find(body, "mode", &f)) {
		rc = keys_set_mode(&a->keys, NULL, e);
	} else {
		if (f.len < sizeof(mode)) {
			memcpy(mode, f.bytes, f.len);
			mode[f.len] = '\0';
		}
		rc = keys_set_mode(&a->keys, mode, e);
	}
	record_body_free(body);
	return rc;
}

static int
check_genesis(void *arg, const struct store_record *r, struct ofs_error *e)
{
	struct tail *t = arg;
	static const uint8_t zeros[16];
	struct record_header h;
	uint8_t id[32];
	int rc;

	t->seen++;
	if (record_header_decode(r->header, r->header_len, &h, e) != 0 ||
		h.seq != 0 || h.type != OFS_REC_GENESIS ||
		memcmp(h.log_id, zeros, sizeof(zeros)) != 0)
		return wrong(r, "is not a genesis", e);
	rc = digest_of(&digest_sha256, r->header, r->header_len, id, e);
	if (rc == 0 && memcmp(id, t->a->state.log_id, 16) != 0)
		rc = wrong(r, "is not the genesis of this log", e);
	return rc != 0 ? rc : take_mode(t->a, r, e);
}

int
handle_check_genesis(ofs_audit *a, struct ofs_error *e)
{
	struct tail t = { .a = a };
	int rc;

	rc = store_state_get(&a->store, &a->state, e);
	if (rc == 0)
		rc = store_record_each(&a->store, 0, 0, check_genesis, &t, e);
	if (rc == 0 && t.seen != 1)
		rc = store_missing(0, e);
	return rc;
}

static int
check_record(void *arg, const struct store_record *r, struct ofs_error *e)
{
	struct tail *t = arg;
	ofs_audit *a = t->a;
	struct record_header h;
	struct ofs_error why;
	uint8_t sum[32];
	int rc;

	if (r->seq != t->next)
		return store_missing(t->next, e);
	t->next++;
	if (record_header_decode(r->header, r->header_len, &h, &why) != 0)
		return err_set(e, OFS_EDAMAGED,
			"record %llu of the audit log is damaged: %s",
			(unsigned long long)r->seq, why.message);
	if (h.seq != r->seq ||
		(r->seq > 0 && memcmp(h.log_id, a->state.log_id, 16) != 0))
		return wrong(r, "belongs elsewhere", e);
	if (r->body == NULL) {
		buf_put(&t->absent, &r->seq, sizeof(r->seq));
		return buf_ok(&t->absent) ? 0 : err_nomem(e);
	}
	if (r->body_len != h.body_len)
		return wrong(r, "has not the length that its header gives", e);
	rc = digest_of(&digest_sha256, r->body, r->body_len, sum, e);
	if (rc == 0 && memcmp(sum, h.body_sha256, sizeof(sum)) != 0)
		rc = wrong(r, "is not what its header was made for", e);
	return rc;
}

/*
 * Such a record is plain in every log: no key is asked for, as none has been
 * looked for so far.
 */
static int
see_erasure(void *arg, const struct store_record *r, struct ofs_error *e)
{
	struct ofs_field first;
	struct record_body *body = NULL;
	struct record_header h;
	struct tail *t = arg;
	uint64_t absent;
	size_t at;

	if (record_header_decode(r->header, r->header_len, &h, e) != 0 ||
		h.type != OFS_REC_LOG_EVENT || h.cipher != 0 ||
		record_body_decode(h.type, r->body, r->body_len, &body, e) != 0)
		return 0;
	if (record_body_is(body, "event", "erase") &&
		record_body_find(body, "first", &first) && first.number > 0)
		for (at = 0; at < t->absent.len; at += sizeof(absent)) {
			memcpy(&absent, t->absent.p + at, sizeof(absent));
			if ((int64_t)absent == first.number)
				memset(t->absent.p + at, 0, sizeof(absent));
		}
	record_body_free(body);
	return 0;
}

/* an erasure is recorded behind what it erases, and so in the tail as well */
static int
check_absent(struct tail *t, uint64_t size, struct ofs_error *e)
{
	uint64_t absent;
	size_t at;
	int rc;

	if (t->absent.len == 0)
		return 0;
	memcpy(&absent, t->absent.p, sizeof(absent));
	rc = store_record_each(
		&t->a->store, absent, size - 1, see_erasure, t, e);
	for (at = 0; at < t->absent.len; at += sizeof(absent)) {
		memcpy(&absent, t->absent.p + at, sizeof(absent));
		if (absent != 0)
			break;
	}
	if (rc != 0 || at >= t->absent.len)
		return rc;
	return err_set(e, OFS_EDAMAGED,
		"body of a record at the end of the audit log is missing, and "
		"no erasure is recorded");
}

static int
check_last(ofs_audit *a, struct ofs_error *e)
{
	uint64_t size = a->state.size;
	struct tail t = { .a = a };
	int rc;

	t.next = size > TAIL_RECORDS ? size - TAIL_RECORDS : 0;
	rc = store_record_each(
		&a->store, t.next, size - 1, check_record, &t, e);
	if (rc == 0 && t.next != size)
		rc = store_missing(t.next, e);
	if (rc == 0)
		rc = store_record_check_end(&a->store, size, e);
	if (rc == 0)
		rc = check_absent(&t, size, e);
	buf_free(&t.absent);
	return rc;
}

static int
check_tree(ofs_audit *a, struct ofs_error *e)
{
	uint8_t root[32], frontier[STORE_FRONTIER_MAX];
	int rc;

	rc = store_tree_at(&a->store, a->state.size, &a->tree, e);
	if (rc == 0)
		rc = merkle_root(&a->tree, root, e);
	if (rc != 0)
		return rc;
	merkle_frontier_put(&a->tree, frontier);
	if (memcmp(root, a->state.root, sizeof(root)) != 0 ||
		memcmp(frontier, a->state.frontier, a->state.frontier_len) != 0)
		return err_set(e, OFS_EDAMAGED,
			"tree of the audit log is not that of its records");
	return 0;
}

int
handle_check_tail(ofs_audit *a, struct ofs_error *e)
{
	int rc;

	rc = handle_check_genesis(a, e);
	if (rc == 0 && a->state.size == 0)
		rc = err_set(e, OFS_EDAMAGED, "audit log has no records");
	/* the head first: it says more about a restored copy */
	if (rc == 0)
		rc = handle_check_head(a, e);
	if (rc == 0)
		rc = check_last(a, e);
	if (rc == 0)
		rc = check_tree(a, e);
	return rc;
}
