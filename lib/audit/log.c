/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Appending to the log: transactions of records, tree and pending outputs. */
#include <errno.h>
#include <string.h>

#include <openssl/rand.h>

#include "audit/checkpoint.h"
#include "audit/pending.h"

#include "base/ctx.h"
#include "base/text.h"
#include "base/time.h"
#include "crypto/der.h"

static const uint8_t no_batch[16];

static void
latch(ofs_audit *a, const struct ofs_error *why)
{
	a->latched = true;
	(void)err_set(&a->latch, OFS_EAUDIT,
		"audit log is closed for writing after a failure; open it "
		"anew: %s",
		why->message);
	a->latch.sys_errno = why->sys_errno;
}

/* the file that we have open is still the one in the directory */
static int
check_inode(ofs_audit *a, struct ofs_error *e)
{
	struct stat st;

	if (stat(a->db_path, &st) != 0)
		return err_sys(e, OFS_EAUDIT, errno, "cannot find '%s'",
			TEXT_Q(a->db_path));
	if (st.st_dev != a->db_dev || st.st_ino != a->db_ino)
		return err_set(e, OFS_EDAMAGED,
			"'%s' was replaced while it was in use",
			TEXT_Q(a->db_path));
	return 0;
}

/* the state as the last writer left it, checked against what we know */
static int
read_state(ofs_audit *a, struct ofs_error *e)
{
	struct store_state st;
	uint8_t root[32];
	int rc;

	rc = store_state_get(&a->store, &st, e);
	if (rc != 0)
		return rc;
	if (memcmp(st.log_id, a->state.log_id, sizeof(st.log_id)) != 0)
		return err_set(e, OFS_EDAMAGED,
			"audit log became another log while it was open");
	if (st.size < a->state.size)
		return err_set(e, OFS_EDAMAGED,
			"audit log was rolled back while it was open: it holds "
			"%llu records and held %llu",
			(unsigned long long)st.size,
			(unsigned long long)a->state.size);
	if (!merkle_frontier_get(
		    &a->tree, st.size, st.frontier, st.frontier_len))
		return err_set(
			e, OFS_EDAMAGED, "tree of the audit log is malformed");
	rc = merkle_root(&a->tree, root, e);
	if (rc == 0 && memcmp(root, st.root, sizeof(root)) != 0)
		rc = err_set(e, OFS_EDAMAGED,
			"tree of the audit log is not that of its root");
	if (rc == 0)
		a->state = st;
	return rc;
}

static int
begin_locked(ofs_audit *a, struct ofs_error *e)
{
	struct key_epoch *key;
	int rc;

	rc = check_inode(a, e);
	if (rc == 0)
		rc = store_begin(&a->store, true, e);
	if (rc != 0)
		return rc;
	keys_begin(a);
	rc = read_state(a, e);
	/* nothing may be signed that could not be recorded */
	if (rc == 0 && a->keys.mode == LOG_STATION)
		rc = keys_for_writing(a, &key, e);
	if (rc == 0)
		rc = handle_read_head(a, e);
	if (rc == 0)
		rc = handle_check_head(a, e);
	if (rc == 0)
		handle_know_head(a);
	else
		store_rollback(&a->store);
	return rc;
}

int
log_begin(ofs_audit *a, struct ofs_error *e)
{
	bool nested;
	int rc;

	rc = handle_enter(a, &nested, e);
	if (rc != 0)
		return rc;
	if (nested)
		return err_set(e, OFS_EINTERNAL,
			"a transaction of the audit log is open already");
	if (a->read_only) {
		handle_leave(a, false);
		return err_set(e, OFS_EAUDIT,
			"cannot write audit log '%s': it was opened read-only",
			TEXT_Q(a->place.dir));
	}
	rc = handle_flock(a, e);
	if (rc == 0) {
		rc = begin_locked(a, e);
		if (rc == OFS_EDAMAGED || a->store.failed)
			latch(a, e);
		if (rc != 0)
			handle_funlock(a);
	}
	if (rc != 0) {
		handle_leave(a, false);
		return rc;
	}
	a->in_tx = true;
	a->owner = pthread_self();
	a->broken = false;
	a->began = a->state.size;
	a->last_seq = 0;
	buf_reset(&a->done);
	return 0;
}

/* the transaction is over, whatever became of it */
static void
leave(ofs_audit *a)
{
	a->in_tx = false;
	handle_funlock(a);
	handle_leave(a, false);
}

/* a thread that lost its transaction must not end another one's */
static bool
is_ours(const ofs_audit *a)
{
	return a->in_tx && pthread_equal(a->owner, pthread_self());
}

void
log_rollback(ofs_audit *a)
{
	if (!is_ours(a))
		return;
	store_rollback(&a->store);
	hold_drop_from(&a->hold, a->began);
	keys_forget_from(a, a->began);
	/* the state of before; the next transaction reads it anyway */
	a->state.size = a->began;
	leave(a);
}

int
handle_commit(ofs_audit *a, struct ofs_error *e)
{
	int rc = 0;

	if (a->tree.size > a->began) {
		a->state.size = a->tree.size;
		rc = merkle_root(&a->tree, a->state.root, e);
		a->state.frontier_len = merkle_frontier_size(a->tree.size);
		merkle_frontier_put(&a->tree, a->state.frontier);
		if (rc == 0)
			rc = store_state_put(&a->store, &a->state, e);
	}
	if (rc == 0)
		rc = kept_sweep(a, e);
	if (rc == 0)
		rc = checkpoint_in_tx(a, e);
	if (rc == 0)
		rc = store_commit(&a->store, e);
	if (rc != 0) {
		store_rollback(&a->store);
		return rc;
	}
	if (!a->head.present || head_newest(&a->head)->size < a->state.size)
		rc = handle_write_head(a, e);
	if (rc == 0)
		handle_know_head(a);
	return rc;
}

static void
let_go(ofs_audit *a)
{
	uint64_t seq;

	for (size_t at = 0; at + sizeof(seq) <= a->done.len;
		at += sizeof(seq)) {
		memcpy(&seq, a->done.p + at, sizeof(seq));
		hold_drop(&a->hold, seq);
	}
}

int
log_commit(ofs_audit *a, struct ofs_error *e)
{
	int rc;

	if (!is_ours(a))
		return err_set(e, OFS_EINTERNAL,
			"no transaction of the audit log is open");
	if (a->broken) {
		log_rollback(a);
		return err_set(e, OFS_EAUDIT,
			"cannot commit to the audit log: an earlier step of "
			"the transaction failed");
	}
	rc = handle_commit(a, e);
	if (rc != 0) {
		latch(a, e);
		hold_drop_from(&a->hold, a->began);
		keys_forget_from(a, a->began);
		a->state.size = a->began;
	} else {
		let_go(a);
	}
	leave(a);
	return rc;
}

/* inside a transaction; what fails there leaves only the rollback */
int
handle_check_tx(ofs_audit *a, struct ofs_error *e)
{
	if (!is_ours(a))
		return err_set(e, OFS_EINTERNAL,
			"no transaction of the audit log is open");
	if (a->broken)
		return err_set(e, OFS_EAUDIT,
			"an earlier step of the audit transaction failed");
	return 0;
}

int
handle_step(ofs_audit *a, int rc, const struct ofs_error *e)
{
	if (rc != 0)
		a->broken = true;
	if (rc != 0 && a->store.failed)
		latch(a, e);
	return rc;
}

static int
hash_body(ofs_audit *a, const struct log_entry *en, uint8_t out[32],
	struct ofs_error *e)
{
	int rc;

	rc = digest_begin(&a->sha, &digest_sha256, e);
	if (rc == 0)
		rc = digest_update(&a->sha, en->body, en->body_len, e);
	if (rc == 0)
		rc = digest_end(&a->sha, out, e);
	return rc;
}

static int
fill_header(ofs_audit *a, const struct log_entry *en, struct record_header *h,
	struct ofs_error *e)
{
	memset(h, 0, sizeof(*h));
	h->type = (uint16_t)en->type;
	h->seq = a->tree.size;
	if (h->seq > 0)
		memcpy(h->log_id, a->state.log_id, sizeof(h->log_id));
	h->time = ctx_now(a->ctx);
	h->boottime = time_boot();
	if (h->time < 0)
		return err_set(e, OFS_EAUDIT,
			"cannot record: the clock stands before 1970");
	memcpy(h->boot_id, a->boot_id, sizeof(h->boot_id));
	if (en->batch_id != NULL)
		memcpy(h->batch_id, en->batch_id, sizeof(h->batch_id));
	return 0;
}

/*
 * What is stored as the body, and the rest of the header with it. The genesis
 * says how to read the others, and an epoch with what: both are plain.
 */
static int
fill_body(ofs_audit *a, const struct log_entry *en, struct key_epoch *key,
	struct record_header *h, struct store_record *r, struct ofs_error *e)
{
	int rc;

	if (key == NULL) {
		h->body_len = (uint32_t)en->body_len;
		r->body = en->body;
		r->body_len = en->body_len;
		return hash_body(a, en, h->body_sha256, e);
	}
	h->epoch = key->epoch;
	if (RAND_bytes(h->nonce, sizeof(h->nonce)) != 1)
		return err_ssl(e, OFS_EAUDIT, "cannot encrypt a record");
	rc = seal_body(&a->keys.seal, &key->xaes, h, en->body, en->body_len, e);
	r->body = a->keys.seal.out.p;
	r->body_len = a->keys.seal.out.len;
	return rc;
}

/* NULL for plain bodies; a sealed log may get a record of an epoch by this */
static int
find_key(ofs_audit *a, const struct log_entry *en, struct key_epoch **key,
	struct ofs_error *e)
{
	*key = NULL;
	if (en->type == OFS_REC_GENESIS || en->type == OFS_REC_EPOCH ||
		en->plain)
		return 0;
	if (en->type == OFS_REC_BATCH_OPENED && kept_begin(a, e) != 0)
		return e->code;
	return keys_for_writing(a, key, e);
}

static int
put_epoch(ofs_audit *a, uint64_t seq, struct ofs_error *e)
{
	uint32_t last;
	int rc = store_epoch_last(&a->store, &last, e);

	return rc != 0 ? rc : store_epoch_put(&a->store, last + 1, seq, e);
}

/*
 * A body that verification would refuse is not written. The two types that
 * come by the thousand are only checked to be DER: they hold a party that the
 * decoder has seen in BATCH OPENED, and the rest is our encoder's.
 */
int
handle_check_body(const struct log_entry *en, struct ofs_error *e)
{
	struct record_body *body;
	int rc;

	if (en->body_len == 0 || en->body_len > RECORD_BODY_MAX ||
		!der_is_strict(en->body, en->body_len))
		return err_set(e, OFS_EINTERNAL,
			"cannot record a body that is not DER");
	if (en->type == OFS_REC_OUTCOME || en->type == OFS_REC_INTENT)
		return 0;
	rc = record_body_decode(
		(int)en->type, en->body, en->body_len, &body, e);
	record_body_free(body);
	return rc;
}

static int
grow_tree(ofs_audit *a, const uint8_t header[RECORD_HEADER_SIZE],
	struct ofs_error *e)
{
	uint8_t hash[32];
	int rc;

	rc = merkle_leaf(&a->tree, header, RECORD_HEADER_SIZE, hash, e);
	if (rc == 0)
		rc = merkle_add(&a->tree, 0, hash, e);
	for (unsigned int level = 1; rc == 0 && level <= a->tree.tiles; level++)
		rc = store_tile_put(&a->store, level,
			(a->tree.size >> (level * MERKLE_TILE_HEIGHT)) - 1,
			a->tree.tile[level], e);
	return rc;
}

/* the tables of what is open; an intent outside batches is held by itself */
static int
note_open(ofs_audit *a, const struct log_entry *en,
	const struct record_header *h, struct ofs_error *e)
{
	int rc;

	switch (en->type) {
	case OFS_REC_BATCH_OPENED:
		rc = store_batch_put(&a->store, h->batch_id, h->seq, e);
		return rc != 0 ? rc : kept_put(a, h->batch_id, e);
	case OFS_REC_BATCH_CLOSED:
		a->keys.sweep = true;
		return store_batch_del(&a->store, h->batch_id, e);
	case OFS_REC_INTENT:
		if (memcmp(h->batch_id, no_batch, sizeof(no_batch)) == 0 &&
			hold_take(&a->hold, h->seq, e) != 0)
			return e->code;
		return store_intent_put(&a->store, h->seq, h->batch_id, e);
	case OFS_REC_EPOCH:
		return put_epoch(a, h->seq, e);
	default:
		return 0;
	}
}

int
handle_append(ofs_audit *a, const struct log_entry *en, uint64_t *seq,
	struct ofs_error *e)
{
	uint8_t header[RECORD_HEADER_SIZE], tag[TAG_SIZE], id[32];
	struct store_record r = { .header = header,
		.header_len = sizeof(header) };
	struct record_header h;
	struct key_epoch *key;
	int rc, format = en->format;

	rc = en->checked ? 0 : handle_check_body(en, e);
	if (rc == 0)
		rc = find_key(a, en, &key, e);
	if (rc == 0)
		rc = fill_header(a, en, &h, e);
	if (rc == 0)
		rc = fill_body(a, en, key, &h, &r, e);
	if (rc == 0 && en->doc_digest != NULL && handle_has_tags(a)) {
		rc = tag_of(
			&a->tag, en->doc_digest, en->doc_digest_len, tag, e);
		r.tag = tag;
		r.tag_len = sizeof(tag);
	}
	if (rc != 0)
		return rc;
	if (en->type >= OFS_REC_EPOCH && format < STORE_FORMAT_EVIDENCE)
		format = STORE_FORMAT_EVIDENCE;
	if (format > 0) {
		rc = store_raise(&a->store, format, e);
		if (rc != 0)
			return rc;
	}
	record_header_encode(&h, header);
	r.seq = h.seq;
	if (h.seq == 0) {
		rc = digest_of(&digest_sha256, header, sizeof(header), id, e);
		memcpy(a->state.log_id, id, sizeof(a->state.log_id));
	}
	if (rc == 0)
		rc = store_record_put(&a->store, &r, e);
	if (rc == 0)
		rc = grow_tree(a, header, e);
	if (rc == 0)
		rc = note_open(a, en, &h, e);
	if (rc != 0)
		return rc;
	checkpoint_noted(a, en);
	a->last_seq = h.seq;
	memcpy(a->last_batch, h.batch_id, sizeof(a->last_batch));
	*seq = h.seq;
	return 0;
}

int
log_append(ofs_audit *a, const struct log_entry *en, uint64_t *seq,
	struct ofs_error *e)
{
	int rc;

	*seq = 0;
	rc = handle_check_tx(a, e);
	if (rc != 0)
		return rc;
	return handle_step(a, handle_append(a, en, seq, e), e);
}

int
log_intent_done(ofs_audit *a, uint64_t intent_seq, struct ofs_error *e)
{
	int rc;

	rc = handle_check_tx(a, e);
	if (rc != 0)
		return rc;
	buf_put(&a->done, &intent_seq, sizeof(intent_seq));
	if (!buf_ok(&a->done))
		rc = err_nomem(e);
	if (rc == 0)
		rc = store_intent_del(&a->store, intent_seq, e);
	return handle_step(a, rc, e);
}

static int
take_batch_id(void *arg, const struct store_record *r, struct ofs_error *e)
{
	struct record_header h;
	int rc;

	rc = record_header_decode(r->header, r->header_len, &h, e);
	if (rc == 0)
		memcpy(arg, h.batch_id, sizeof(h.batch_id));
	return rc;
}

int
log_pending_add(ofs_audit *a, uint64_t outcome_seq, const char *path,
	bool replace, const uint8_t *p, size_t n, struct ofs_error *e)
{
	struct store_pending row = {
		.seq = outcome_seq, .replace = replace, .p = p, .n = n
	};
	struct buf sealed = BUF_INIT;
	int rc;

	rc = handle_check_tx(a, e);
	if (rc != 0)
		return rc;
	if (outcome_seq == a->last_seq)
		memcpy(row.batch_id, a->last_batch, sizeof(row.batch_id));
	else
		rc = store_record_each(&a->store, outcome_seq, outcome_seq,
			take_batch_id, row.batch_id, e);
	row.path.p = (uint8_t *)(uintptr_t)path;
	row.path.len = strlen(path);
	if (rc == 0 && a->keys.mode == LOG_SEALED)
		rc = pending_seal(a, &row, &sealed, e);
	if (rc == 0)
		rc = store_pending_put(&a->store, &row, e);
	buf_wipe(&sealed);
	return handle_step(a, rc, e);
}

int
log_pending_done(ofs_audit *a, uint64_t outcome_seq, struct ofs_error *e)
{
	int rc;

	rc = handle_check_tx(a, e);
	if (rc != 0)
		return rc;
	a->keys.sweep = true;
	return handle_step(a, store_pending_del(&a->store, outcome_seq, e), e);
}

int
log_cert_add(ofs_audit *a, const uint8_t *der, size_t n, struct ofs_error *e)
{
	uint8_t sum[32];
	int rc;

	rc = handle_check_tx(a, e);
	/* it would say on a stolen disk whose signatures are made here */
	if (rc != 0 || a->keys.mode == LOG_SEALED)
		return rc;
	rc = digest_of(&digest_sha256, der, n, sum, e);
	if (rc == 0)
		rc = store_cert_put(&a->store, sum, der, n, e);
	return handle_step(a, rc, e);
}
