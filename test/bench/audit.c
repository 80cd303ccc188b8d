/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the record of operations costs when a million records are in it. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#include "audit/handle.h"
#include "base/time.h"

#define RUNS 5
#define CHUNK 256
#define CHUNKS 60 /* of a run */
#define WRITERS 8
#define THREADS 2
#define SINGLE_US 400000 /* how long a run of single appends lasts */

#define GOAL_OUTCOMES 25000
#define GOAL_SHARED 4.0

struct bench {
	ofs_ctx *ctx;
	ofs_audit *audit;
	struct buf party;
	uint8_t batch[16];
	uint64_t opened, items; /* items: that have an outcome */
	uint64_t intent;        /* of the next chunk */
	int failed;
};

static void
make_party(struct bench *b)
{
	static const uint8_t hash[32] = { 1 };
	struct rec_party p = {
		.key = { .id = { hash, 8 },
			.label = "payroll-2026",
			.type = "P-256",
			.spki_sha256 = { hash, 32 },
			.cert_sha256 = { NULL, 0 },
			.subject = "CN=Payroll,O=Example,C=DE",
			.serial = "5c0d1f2e3a4b5c6d",
			.not_after = INT64_C(1900000000000000) },
		.token = { "SoftHSM project", "SoftHSM v2", "a1b2c3d4e5f60718",
			"payroll", "/usr/lib/softhsm/libsofthsm2.so",
			{ hash, 32 } },
		.tool = "ofs-sign 0.1.0",
	};
	struct ofs_error e;

	log_operator(b->audit, &p.operator_);
	if (record_party_encode(&p, &b->party, &e) != 0)
		bench_die("party", &e);
}

static uint64_t
append(struct bench *b, enum ofs_record_type type, const struct buf *body,
	const uint8_t *digest)
{
	struct log_entry en = { .type = type,
		.batch_id = b->batch,
		.body = body->p,
		.body_len = body->len,
		.doc_digest = digest,
		.doc_digest_len = digest != NULL ? 32 : 0 };
	struct ofs_error e;
	uint64_t seq;

	if (log_append(b->audit, &en, &seq, &e) != 0)
		bench_die("append", &e);
	return seq;
}

static struct rec_document
document(uint64_t index, char path[64], uint8_t digest[32])
{
	snprintf(path, 64, "in/2026-11/payments/pain.001-%08llu.xml",
		(unsigned long long)index);
	memset(digest, 0x5a, 32);
	memcpy(digest, &index, sizeof(index));
	return (struct rec_document){ path, path + 20, NULL, NULL, 2048,
		"sha256", { digest, 32 }, NULL };
}

static void
append_intent(struct bench *b)
{
	struct rec_intent_item items[CHUNK];
	static char paths[CHUNK][64];
	static uint8_t digests[CHUNK][32];
	struct rec_intent r = {
		.purpose = REC_PURPOSE_DOCUMENT, .items = items, .n = CHUNK
	};
	struct buf body = BUF_INIT;
	struct ofs_error e;

	for (size_t i = 0; i < CHUNK; i++)
		items[i] = (struct rec_intent_item){ b->items + i,
			document(b->items + i, paths[i], digests[i]) };
	if (record_intent_encode(&r, &body, &e) != 0)
		bench_die("intent", &e);
	b->intent = append(b, OFS_REC_INTENT, &body, NULL);
	buf_free(&body);
}

static void
append_outcome(struct bench *b, uint64_t index, struct buf *body)
{
	static const uint8_t attributes[230] = { 0x31 }, signature[71] = { 1 };
	uint8_t digest[32];
	char path[64], out[96];
	struct rec_outcome r = { .intent_seq = b->intent,
		.index = index,
		.purpose = REC_PURPOSE_DOCUMENT,
		.status = REC_SIGNED,
		.format = "cms",
		.party = { b->party.p, b->party.len },
		.mechanism = "ecdsa-sha256",
		.signed_bytes = { attributes, sizeof(attributes) },
		.signature = { signature, sizeof(signature) },
		.output_path = out,
		.output_sha256 = { digest, 32 },
		.verified = true,
		.attempts = 1,
		.token_us = 50 };
	struct ofs_error e;

	r.doc = document(index, path, digest);
	snprintf(out, sizeof(out), "/srv/signed/%s.p7s", path);
	buf_reset(body);
	if (record_outcome_encode(&r, body, &e) != 0)
		bench_die("outcome", &e);
	(void)append(b, OFS_REC_OUTCOME, body, digest);
}

static void
begin(struct bench *b)
{
	struct ofs_error e;

	if (log_begin(b->audit, &e) != 0)
		bench_die("begin", &e);
}

static void
commit(struct bench *b)
{
	struct ofs_error e;

	if (log_commit(b->audit, &e) != 0)
		bench_die("commit", &e);
}

/* as a batch does: the outcomes of a chunk and the intent of another */
static void
chunk(struct bench *b)
{
	struct buf body = BUF_INIT;
	struct ofs_error e;

	begin(b);
	for (size_t i = 0; i < CHUNK; i++)
		append_outcome(b, b->items++, &body);
	if (log_intent_done(b->audit, b->intent, &e) != 0)
		bench_die("intent", &e);
	append_intent(b);
	commit(b);
	buf_free(&body);
}

/* one batch of as many chunks */
static void
batch(struct bench *b, unsigned long chunks)
{
	static const uint8_t list[32] = { 2 };
	struct rec_batch_opened o = { .party = { b->party.p, b->party.len },
		.list_sha256 = { list, sizeof(list) },
		.items = (chunks + 1) * CHUNK,
		.format = "cms",
		.mechanism = "ecdsa-sha256" };
	struct rec_batch_closed c = { .signed_ = chunks * CHUNK };
	struct buf body = BUF_INIT;
	struct ofs_error e;

	b->batch[0]++;
	b->items = 0;
	if (record_batch_opened_encode(&o, &body, &e) != 0)
		bench_die("batch", &e);
	begin(b);
	c.opened_seq = append(b, OFS_REC_BATCH_OPENED, &body, NULL);
	append_intent(b);
	commit(b);
	for (unsigned long i = 0; i < chunks; i++)
		chunk(b);
	buf_reset(&body);
	if (record_batch_closed_encode(&c, &body, &e) != 0)
		bench_die("batch", &e);
	begin(b);
	append(b, OFS_REC_BATCH_CLOSED, &body, NULL);
	commit(b);
	buf_free(&body);
}

static void
bench_chunks(struct bench *b)
{
	const double items = CHUNKS * CHUNK;
	double rate[RUNS], cpu[RUNS];
	struct bench_used used;

	for (int i = 0; i < RUNS; i++) {
		bench_start(&used);
		batch(b, CHUNKS);
		bench_stop(&used);
		rate[i] = items * 1e6 / used.wall;
		cpu[i] = used.cpu / items;
	}
	printf("  CPU for each outcome                     %10.2f us\n",
		bench_median(cpu, RUNS));
	if (!bench_at_least("audited outcomes per s, in chunks of 256",
		    bench_median(rate, RUNS), GOAL_OUTCOMES))
		b->failed++;
}

struct writer {
	pthread_t id;
	struct bench *b;
	const struct buf *body;
	int64_t until;
	unsigned long n;
};

static void *
write_singly(void *arg)
{
	struct writer *w = arg;
	struct log_entry en = { .type = OFS_REC_LOGIN,
		.body = w->body->p,
		.body_len = w->body->len };
	struct ofs_error e;
	uint64_t seq;

	for (w->n = 0; time_mono() < w->until; w->n++)
		if (log_append_one(w->b->audit, &en, &seq, &e) != 0)
			bench_die("append", &e);
	return NULL;
}

static double
rate_single(struct bench *b, const struct buf *body, int threads)
{
	struct writer w[WRITERS];
	unsigned long n = 0;
	int64_t began = time_mono();

	for (int i = 0; i < threads; i++) {
		w[i] = (struct writer){
			.b = b, .body = body, .until = began + SINGLE_US
		};
		if (pthread_create(&w[i].id, NULL, write_singly, &w[i]) != 0)
			bench_die("thread", NULL);
	}
	for (int i = 0; i < threads; i++) {
		pthread_join(w[i].id, NULL);
		n += w[i].n;
	}
	return (double)n * 1e6 / (double)(time_mono() - began);
}

static void
bench_single(struct bench *b)
{
	struct rec_login r = { .user = "user", .ok = true };
	double one[RUNS], all[RUNS], ratio[RUNS];
	struct buf body = BUF_INIT;
	struct ofs_error e;

	r.token.serial = "a1b2c3d4e5f60718";
	log_operator(b->audit, &r.operator_);
	if (record_login_encode(&r, &body, &e) != 0)
		bench_die("login", &e);
	for (int i = 0; i < RUNS; i++) {
		one[i] = rate_single(b, &body, 1);
		all[i] = rate_single(b, &body, WRITERS);
		ratio[i] = all[i] / one[i];
	}
	buf_free(&body);
	printf("  single appends, 1 thread                %10.0f per s\n",
		bench_median(one, RUNS));
	printf("  single appends, %d threads               %10.0f per s\n",
		WRITERS, bench_median(all, RUNS));
	if (!bench_at_least("8 threads / 1 thread", bench_median(ratio, RUNS),
		    GOAL_SHARED))
		b->failed++;
}

/* a log of so many records; what is missing is appended */
static void
fill(struct bench *b, unsigned long records)
{
	uint64_t size;

	if (ofs_audit_size(b->audit, &size) != 0)
		bench_die("log", NULL);
	if (size < records)
		batch(b, (records - size) / (CHUNK + 1) + 1);
}

/* encrypted, and with a key for checkpoints: both beside the directory */
static void
open_log(struct bench *b, const char *dir)
{
	struct ofs_audit_init_opts o = OFS_AUDIT_INIT_OPTS_INIT;
	char station[600], audit[600];
	int rc;

	snprintf(station, sizeof(station), "%s.station", dir);
	snprintf(audit, sizeof(audit), "file:%s.audit", dir);
	o.station_key = station;
	o.audit_key = audit;
	if (ofs_ctx_new(NULL, &b->ctx) != 0)
		bench_die("context", NULL);
	rc = ofs_audit_init(b->ctx, dir, &o);
	if ((rc != 0 && rc != OFS_EEXIST) ||
		ofs_audit_open(b->ctx, dir, 0, &b->audit) != 0)
		bench_die("log", ofs_ctx_error(b->ctx));
}

int
main(int argc, char **argv)
{
	struct bench b = { 0 };
	unsigned long records;
	bool verify_only;

	records = argc >= 3 ? strtoul(argv[2], NULL, 10) : 0;
	verify_only = argc == 4 && strcmp(argv[3], "verify") == 0;
	if (records == 0 || argc > 4 || (argc == 4 && !verify_only))
		bench_die("usage: audit DIR RECORDS [verify]", NULL);
	setvbuf(stdout, NULL, _IOLBF, 0);
	open_log(&b, argv[1]);
	make_party(&b);
	fill(&b, records);
	printf("encrypted audit log with %lu records, medians of %d\n", records,
		RUNS);
	if (!verify_only) {
		bench_chunks(&b);
		bench_single(&b);
	}
	b.failed += !bench_log_verify(b.audit, THREADS);
	if (!verify_only)
		b.failed += !bench_log_prove(b.audit);
	printf("\n");
	buf_free(&b.party);
	ofs_audit_free(b.audit);
	ofs_ctx_free(b.ctx);
	return b.failed == 0 ? BENCH_MET : BENCH_MISSED;
}
