/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is done with a log whose disk fails, and what was promised meanwhile. */
#ifndef TEST_UNIT_CRASH_WORK_H
#define TEST_UNIT_CRASH_WORK_H

#include "log_sample.h"

#include <openssl/pem.h>

#include "audit/handle.h"
#include "audit/log_event.h"
#include "audit/track.h"
#include "crashdisk.h"
#include "crashvfs.h"
#include "soft.h"

#define NEVER SIZE_MAX
#define ACKS_MAX 128
#define THINGS_MAX 128
#define TILE_RECORDS 250 /* with the others: more than a tile */

enum work_log { WORK_PLAIN, WORK_STATION, WORK_SEALED, WORK_LOGS };
static const char *const work_names[] = { "plain", "station", "sealed" };

/* a commit that returned: how far the disk was, and what it had made durable */
struct work_ack {
	size_t at;
	uint64_t size;
	uint8_t root[32];
};

enum thing_kind { THING_BATCH, THING_INTENT, THING_PENDING };
/* what is open from one commit to another; how far the disk was then */
struct thing {
	enum thing_kind kind;
	uint64_t seq, index;
	size_t added, leaving, left;
	bool unsure; /* whether it left: its commit failed */
};

static struct {
	enum work_log log;
	ofs_audit *a;
	struct work_ack acks[ACKS_MAX];
	size_t n_acks;
	struct thing things[THINGS_MAX];
	size_t n_things;
	size_t created; /* ofs_audit_init returned */
	bool committing;
	jmp_buf failed;
} work;

static struct buf work_cert; /* of the auditor of sealed logs */

static inline void
work_make_cert(void)
{
	struct soft_cert like = {
		.cn = "Auditor", .from = -SOFT_DAY, .to = SOFT_DAY
	};
	EVP_PKEY *k = soft_key(OFS_KEY_EC_P256);
	X509 *c = soft_cert(&like, k, NULL, NULL);
	uint8_t *der = NULL;
	int n = i2d_X509(c, &der);

	assert_true(n > 0);
	buf_put(&work_cert, der, (size_t)n);
	OPENSSL_free(der);
	X509_free(c);
	EVP_PKEY_free(k);
}

static inline int
work_init(enum work_log log)
{
	struct ofs_audit_init_opts o = OFS_AUDIT_INIT_OPTS_INIT;
	struct ofs_audit_cert c = { work_cert.p, work_cert.len };
	char key[128];

	snprintf(key, sizeof(key), "%s/keys/station.key", sample_dir);
	if (log == WORK_STATION)
		o.station_key = key;
	if (log == WORK_SEALED) {
		o.sealed = true;
		o.auditors = &c;
		o.n_auditors = 1;
	}
	return ofs_audit_init(sample_ctx, log_dir, &o);
}

/* what may or may not be durable: nothing was promised */
static inline struct thing *
work_add(enum thing_kind kind, uint64_t seq, uint64_t index)
{
	struct thing *t = &work.things[work.n_things++];

	assert_true(work.n_things <= THINGS_MAX);
	*t = (struct thing){ kind, seq, index, NEVER, NEVER, NEVER, false };
	return t;
}

static inline void
work_leave(enum thing_kind kind, uint64_t seq)
{
	for (size_t i = 0; i < work.n_things; i++)
		if (work.things[i].kind == kind && work.things[i].seq == seq)
			work.things[i].leaving = disk_events();
}

/* what is promised from now on */
static inline void
work_acked(size_t first_thing)
{
	struct work_ack *k = &work.acks[work.n_acks++];
	size_t now = disk_events();

	assert_true(work.n_acks <= ACKS_MAX);
	k->at = now;
	k->size = work.a->state.size;
	memcpy(k->root, work.a->state.root, 32);
	for (size_t i = first_thing; i < work.n_things; i++)
		work.things[i].added = now;
	for (size_t i = 0; i < work.n_things; i++)
		if (work.things[i].leaving != NEVER &&
			work.things[i].left == NEVER && !work.things[i].unsure)
			work.things[i].left = now;
}

static inline void
work_not_acked(void)
{
	for (size_t i = 0; i < work.n_things; i++)
		if (work.things[i].leaving != NEVER &&
			work.things[i].left == NEVER)
			work.things[i].unsure = true;
}

static size_t work_first; /* thing of the transaction */

static inline void
work_begin(void)
{
	sample_begin(work.a);
	work_first = work.n_things;
}

static inline void
work_commit(void)
{
	work.committing = true;
	sample_commit(work.a);
	work.committing = false;
	work_acked(work_first);
}

static inline uint64_t
work_opened(const uint8_t id[16])
{
	uint64_t seq = sample_batch_opened(work.a, id, 100);

	work_add(THING_BATCH, seq, 0);
	return seq;
}

static inline uint64_t
work_intent(const uint8_t *id, uint64_t first, size_t n)
{
	uint64_t seq = sample_intent(work.a, id, first, n);

	work_add(THING_INTENT, seq, 0);
	return seq;
}

static inline void
work_intent_done(uint64_t intent)
{
	struct ofs_error e;

	ok(log_intent_done(work.a, intent, &e), &e);
	work_leave(THING_INTENT, intent);
}

static inline void
work_closed(const uint8_t id[16], uint64_t opened, uint64_t n)
{
	sample_batch_closed(work.a, id, opened, n, 0);
	work_leave(THING_BATCH, opened);
}

static inline void
work_login(void)
{
	struct buf body = BUF_INIT;

	sample_login(work.a, &body);
	(void)sample_append(work.a, OFS_REC_LOGIN, NULL, &body, NULL);
}

static inline void
step_single(void)
{
	struct buf body = BUF_INIT;
	struct log_entry en = { .type = OFS_REC_LOGIN };
	struct ofs_error e;
	uint64_t seq;
	int rc;

	sample_login(work.a, &body);
	en.body = body.p;
	en.body_len = body.len;
	work_first = work.n_things;
	rc = log_append_one(work.a, &en, &seq, &e);
	buf_free(&body);
	ok(rc, &e);
	work_acked(work_first);
}

/* two chunks: outcomes and outputs of one go with the intent of the next */
static inline void
work_batch(uint8_t tag, uint64_t first, bool crash)
{
	uint8_t id[16];
	uint64_t opened, intent[2], outcome[2];
	struct ofs_error e;

	memset(id, tag, sizeof(id));
	work_begin();
	opened = work_opened(id);
	intent[0] = work_intent(id, first, 2);
	work_commit();
	work_begin();
	for (uint64_t i = 0; i < 2; i++) {
		outcome[i] = sample_outcome(
			work.a, id, intent[0], first + i, REC_SIGNED);
		sample_pending(work.a, outcome[i], first + i);
		work_add(THING_PENDING, outcome[i], first + i);
	}
	work_intent_done(intent[0]);
	intent[1] = work_intent(id, first + 2, 2);
	work_commit();
	if (crash)
		return;
	work_begin();
	for (uint64_t i = 0; i < 2; i++) {
		(void)sample_outcome(
			work.a, id, intent[1], first + 2 + i, REC_SIGNED);
		ok(log_pending_done(work.a, outcome[i], &e), &e);
		work_leave(THING_PENDING, outcome[i]);
	}
	work_intent_done(intent[1]);
	work_commit();
	work_begin();
	work_closed(id, opened, 4);
	work_commit();
}

static inline void
step_batch(void)
{
	work_batch(1, 10, false);
}

static inline void
step_left_open(void)
{
	work_batch(2, 20, true);
}

static inline void
step_one_signature(void)
{
	uint64_t intent;

	work_begin();
	intent = work_intent(NULL, 30, 1);
	work_commit();
	work_begin();
	(void)sample_outcome(work.a, NULL, intent, 30, REC_SIGNED);
	work_intent_done(intent);
	work_commit();
}

/* its list can be gone on with; two of four are signed, then it ends */
static inline void
step_tracked(void)
{
	static const uint8_t id[16] = { 3 };
	static const uint8_t sum[32] = { 3 };
	struct rec_batch_opened r = { .list_sha256 = { sum, 32 },
		.items = 4,
		.format = "cms",
		.mechanism = "ecdsa-sha256",
		.outputs_sha256 = { sum, 32 } };
	struct rec_party p = { .key.spki_sha256 = { sum, 32 },
		.key.cert_sha256 = sample_cert };
	struct track t = { .items = 4, .form = "cms ecdsa-sha256" };
	struct item_run run = { 0, 2, RUN_ANNOUNCED, 0 };
	struct log_entry en = { .type = OFS_REC_BATCH_OPENED,
		.batch_id = id,
		.format = LOG_FORMAT_TRACKS };
	struct buf body = BUF_INIT, party = BUF_INIT;
	struct ofs_error e;
	int rc;

	if (log_is_sealed(work.a))
		return;
	memcpy(t.batch_id, id, 16);
	memcpy(t.root_id, id, 16);
	memcpy(t.list_sha256, sum, 32);
	memcpy(t.outputs_sha256, sum, 32);
	memcpy(t.spki_sha256, sum, 32);
	work_begin();
	log_operator(work.a, &p.operator_);
	ok(record_party_encode(&p, &party, &e), &e);
	r.party = (struct rec_span){ party.p, party.len };
	ok(record_batch_opened_encode(&r, &body, &e), &e);
	buf_free(&party);
	en.body = body.p;
	en.body_len = body.len;
	rc = log_append(work.a, &en, &t.opened_seq, &e);
	buf_free(&body);
	ok(rc, &e);
	ok(log_track_open(work.a, &t, &e), &e);
	work_add(THING_BATCH, t.opened_seq, 0);
	run.seq = work_intent(id, 0, 2);
	ok(log_track_items(work.a, t.opened_seq, 0, 1, &run, 1, &e), &e);
	work_commit();
	work_begin();
	work_intent_done(run.seq);
	(void)sample_outcome(work.a, id, run.seq, 0, REC_SIGNED);
	run = (struct item_run){ 0, 2, RUN_SIGNED,
		sample_outcome(work.a, id, run.seq, 1, REC_SIGNED) - 1 };
	ok(log_track_items(work.a, t.opened_seq, 0, 1, &run, 1, &e), &e);
	work_commit();
}

/* the signer's from now on: every batch behind it names it */
static inline void
step_certificate(void)
{
	static uint8_t sum[32];
	struct ofs_error e;

	work_begin();
	ok(log_cert_add(work.a, work_cert.p, work_cert.len, &e), &e);
	work_login();
	work_commit();
	ok(digest_of(&digest_sha256, work_cert.p, work_cert.len, sum, &e), &e);
	sample_cert = (struct rec_span){ sum, sizeof(sum) };
}

static inline void
step_event(void)
{
	struct rec_log_event r = { .event = "read", .count = 1 };
	struct ofs_error e;
	uint64_t seq;

	work_begin();
	ok(log_event_append(work.a, &r, NULL, &seq, &e), &e);
	work_commit();
}

static inline void
step_rotate(void)
{
	struct ofs_audit_rotate_opts r = OFS_AUDIT_ROTATE_OPTS_INIT;
	struct ofs_error e;

	if (work.log == WORK_PLAIN)
		return;
	work_first = work.n_things;
	ok(ofs_audit_rotate(work.a, &r), &e);
	work_acked(work_first);
}

static inline void
step_many(void)
{
	work_begin();
	for (int i = 0; i < TILE_RECORDS; i++)
		work_login();
	work_commit();
}

static inline void
step_roll_back(void)
{
	work_begin();
	work_login();
	log_rollback(work.a);
}

static inline void
step_open_anew(void)
{
	ofs_audit_free(work.a);
	work.a = NULL;
	ok(ofs_audit_open(sample_ctx, log_dir, 0, &work.a),
		ofs_ctx_error(sample_ctx));
}

static void (*const work_steps[])(void) = { step_single, step_batch,
	step_certificate, step_open_anew, step_tracked, step_event, step_rotate,
	step_single, step_many, step_roll_back, step_one_signature, step_single,
	step_open_anew, step_left_open, step_rotate, step_single };

#define WORK_STEPS (sizeof(work_steps) / sizeof(work_steps[0]))

/* the latch: what failed half-way is not gone on with */
static inline void
work_check_latch(void)
{
	struct ofs_error e;

	if (work.a != NULL && work.committing)
		assert_int_equal(log_begin(work.a, &e), OFS_EAUDIT);
}

static inline bool
work_try_init(void)
{
	if (work_init(work.log) != 0)
		return false;
	if (work.created == NEVER)
		work.created = disk_events();
	return true;
}

/*
 * All of the work. Where a step fails, the log is opened anew for the next one,
 * or, on a disk that is `dead`, the work ends. False when it did not come far
 * enough for a log that is open.
 */
static inline bool
work_run(enum work_log log, bool dead)
{
	static size_t step;

	memset(&work, 0, sizeof(work));
	work.log = log;
	work.created = NEVER;
	if (!work_try_init() && (dead || !work_try_init())) {
		/* it was made, and could not be said to be */
		if (dead ||
			ofs_audit_open(sample_ctx, log_dir, 0, &work.a) != 0)
			return dead;
		work.created = disk_events();
	}
	sample_escape = &work.failed;
	for (step = 0; step < WORK_STEPS; step++) {
		if (setjmp(work.failed) == 0) {
			if (work.a == NULL)
				step_open_anew();
			work_steps[step]();
			continue;
		}
		work_check_latch();
		work_not_acked();
		ofs_audit_free(work.a);
		work.a = NULL;
		work.committing = false;
		if (dead)
			break;
	}
	sample_escape = NULL;
	/* what is kept after a crash need not be */
	memset(&sample_cert, 0, sizeof(sample_cert));
	ofs_audit_free(work.a);
	work.a = NULL;
	return true;
}

#endif
