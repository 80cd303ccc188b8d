/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Test signatures by several threads for a while, counted and sampled. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "station/bench.h"

#include "base/ctx.h"
#include "base/rd.h"
#include "base/thread.h"
#include "base/time.h"
#include "crypto/pubkey.h"
#include "sign/checked.h"
#include "token/session.h"

/* of each thread, the first ones are verified and then every 16th */
#define SAMPLE_FIRST 64
#define SAMPLE_EVERY 16
#define JOIN_US 50000

/* Threads wait here until all of them are there. */
struct barrier {
	pthread_mutex_t lock;
	pthread_cond_t opened;
	bool open;
	int64_t until;
};

/* What one thread does. */
struct worker {
	struct bench *b;
	struct key_session *s;
	struct barrier *barrier;
	pthread_t thread;
	struct watch *watch;
	int64_t ended;
	uint64_t signatures;
	struct buf sample; /* u64 number, u32 length, signature; each */
	int rc;
	struct ofs_error e;
};

int
bench_init(struct bench *b, ofs_key *key, struct ofs_error *e)
{
	int rc;

	memset(b, 0, sizeof(*b));
	b->key = key;
	if (key_wants_pin(key)) /* as in a batch */
		b->limit = 1;
	rc = key_alg(key, OFS_PADDING_DEFAULT, OFS_DIGEST_DEFAULT, &b->alg, e);
	if (rc != 0)
		return rc;
	if (RAND_bytes(b->nonce, sizeof(b->nonce)) != 1)
		return err_ssl(e, OFS_EINTERNAL, "cannot make a nonce");
	return 0;
}

static void
close_sessions(struct bench *b)
{
	while (b->open > 0)
		key_session_close(b->sessions[--b->open]);
}

void
bench_clear(struct bench *b)
{
	close_sessions(b);
}

int
bench_message(const struct bench *b, uint64_t number, struct bench_msg *m,
	struct ofs_error *e)
{
	uint8_t *p = m->bytes;

	memcpy(p, BENCH_TAG, sizeof(BENCH_TAG));
	p += sizeof(BENCH_TAG);
	memcpy(p, ofs_key_get_info(b->key)->spki_sha256, 32);
	p += 32;
	memcpy(p, b->nonce, BENCH_NONCE);
	p += BENCH_NONCE;
	for (int i = 0; i < 8; i++)
		p[i] = (uint8_t)(number >> (56 - 8 * i));
	m->t = (struct to_sign){ .alg = b->alg,
		.hash = m->hash,
		.message = m->bytes,
		.message_len = sizeof(m->bytes) };
	return digest_of(
		b->alg->digest, m->bytes, sizeof(m->bytes), m->hash, e);
}

int
bench_sessions(struct bench *b, unsigned int n, struct ofs_error *e)
{
	int rc;

	if (b->limit != 0 && n > b->limit)
		n = b->limit;
	while (b->open > n)
		key_session_close(b->sessions[--b->open]);
	while (b->open < n) {
		rc = key_session_open(b->key, &b->sessions[b->open], e);
		if (rc == 0)
			rc = key_session_ready(b->sessions[b->open], e);
		if (rc == 0) {
			b->open++;
			continue;
		}
		key_session_close(b->sessions[b->open]);
		b->sessions[b->open] = NULL;
		if (e->ckr != CKR_SESSION_COUNT || b->open == 0)
			return rc;
		n = b->limit = b->open;
		err_clear(e);
	}
	return 0;
}

static void
keep(struct worker *w, uint64_t number, const struct buf *sig)
{
	uint64_t n = w->signatures;

	if (n >= SAMPLE_FIRST && n % SAMPLE_EVERY != 0)
		return;
	buf_u64(&w->sample, number);
	buf_u32(&w->sample, (uint32_t)sig->len);
	buf_put(&w->sample, sig->p, sig->len);
}

static int
sign_one(struct worker *w, struct buf *sig)
{
	struct bench *b = w->b;
	uint64_t number = atomic_fetch_add(&b->next, 1);
	unsigned int before = key_session_asked(w->s);
	struct bench_msg m;
	int64_t began;
	int rc;

	rc = bench_message(b, number, &m, &w->e);
	if (rc != 0)
		return rc;
	buf_reset(sig);
	began = time_mono();
	rc = key_session_sign(w->s, &m.t, sig, &w->e);
	w->ended = time_mono();
	atomic_fetch_add(&b->asked, key_session_asked(w->s) - before);
	atomic_fetch_add(&b->token_us, w->ended - began);
	if (rc != 0)
		return rc;
	keep(w, number, sig);
	w->signatures++;
	return buf_ok(&w->sample) ? 0 : err_nomem(&w->e);
}

static int64_t
wait_at(struct barrier *g)
{
	int64_t until;

	pthread_mutex_lock(&g->lock);
	while (!g->open)
		pthread_cond_wait(&g->opened, &g->lock);
	until = g->until;
	pthread_mutex_unlock(&g->lock);
	return until;
}

static void
open_barrier(struct barrier *g, int64_t until)
{
	pthread_mutex_lock(&g->lock);
	g->until = until;
	g->open = true;
	pthread_cond_broadcast(&g->opened);
	pthread_mutex_unlock(&g->lock);
}

static void *
worker_main(void *arg)
{
	struct worker *w = arg;
	struct buf sig = BUF_INIT;
	int64_t until;

	watch_begin(w->watch);
	until = wait_at(w->barrier);

	/* at least one signature, however long it takes */
	while (w->rc == 0 && !atomic_load(&w->b->stop) &&
		(w->signatures == 0 || w->ended < until))
		w->rc = sign_one(w, &sig);
	if (w->rc != 0)
		atomic_store(&w->b->stop, true);
	buf_free(&sig);
	return NULL;
}

static int
start(struct worker *w, unsigned int n, unsigned int *started,
	struct ofs_error *e)
{
	int rc = 0;

	*started = 0;
	while (*started < n && rc == 0) {
		struct worker *one = &w[*started];

		one->watch = watch_new();
		rc = one->watch == NULL
			? ENOMEM
			: thread_start(&one->thread, worker_main, one);
		if (rc != 0)
			watch_free(one->watch);
		*started += rc == 0;
	}
	return rc == 0 ? 0
		       : err_sys(e, OFS_ENOMEM, rc, "cannot start a thread");
}

/* a thread whose call hangs is left alone, and its watch with it */
static void
join(struct worker *w)
{
	int64_t limit = ctx_call_limit(token_ctx(key_token(w->b->key)));

	while (!thread_join_within(w->thread, JOIN_US)) {
		if (!watch_gave_up(w->watch, limit))
			continue;
		atomic_store(&w->b->stop, true);
		w->rc = err_set(&w->e, OFS_ETOKEN,
			"token '%s' does not answer; look at it",
			ofs_token_get_info(key_token(w->b->key))->label);
		key_lose(w->b->key, &w->e);
		(void)pthread_detach(w->thread);
		return;
	}
	watch_free(w->watch);
}

/* starts them all, lets them go at once, waits for them */
static int
run(struct bench *b, struct worker *w, int64_t us, int64_t *began,
	struct ofs_error *e)
{
	struct barrier barrier = { PTHREAD_MUTEX_INITIALIZER,
		PTHREAD_COND_INITIALIZER, false, 0 };
	unsigned int started;
	int rc;

	for (unsigned int i = 0; i < b->open; i++) {
		w[i].b = b;
		w[i].s = b->sessions[i];
		w[i].barrier = &barrier;
	}
	rc = start(w, b->open, &started, e);
	if (rc != 0)
		atomic_store(&b->stop, true);
	*began = time_mono();
	open_barrier(&barrier, *began + us);
	for (unsigned int i = 0; i < started; i++)
		join(&w[i]);
	pthread_cond_destroy(&barrier.opened);
	pthread_mutex_destroy(&barrier.lock);
	for (unsigned int i = 0; rc == 0 && i < started; i++)
		if (w[i].rc != 0) {
			*e = w[i].e;
			rc = w[i].rc;
		}
	return rc;
}

static int
verify(struct bench *b, const struct buf *sample, struct ofs_error *e)
{
	struct pubkey_verifier v = { 0 };
	struct bench_msg m;
	struct rd r;
	int rc;

	rd_init(&r, sample->p, sample->len);
	rc = pubkey_verifier_init(&v, key_pub(b->key), b->alg, e);
	while (rc == 0 && r.left > 0) {
		uint64_t number = rd_u64(&r);
		size_t n = rd_u32(&r);
		const uint8_t *sig = rd_bytes(&r, n);

		rc = bench_message(b, number, &m, e);
		if (rc == 0 && pubkey_verifier_check(&v, &m.t, sig, n, e) != 0)
			rc = err_set(e, OFS_EBADSIG,
				"the token answered CKR_OK with a wrong "
				"signature; do not use it before it has been "
				"examined");
		b->verified += rc == 0;
	}
	pubkey_verifier_free(&v);
	return rc;
}

int
bench_level(struct bench *b, int64_t us, struct ofs_bench_level *out,
	struct ofs_error *e)
{
	struct worker *w = calloc(b->open, sizeof(*w));
	int64_t began = 0, ended = 0;
	int rc;

	memset(out, 0, sizeof(*out));
	out->size = sizeof(*out);
	out->jobs = b->open;
	if (w == NULL)
		return err_nomem(e);
	rc = run(b, w, us, &began, e);
	for (unsigned int i = 0; i < b->open; i++) {
		if (rc == 0)
			rc = verify(b, &w[i].sample, e);
		out->signatures += w[i].signatures;
		if (w[i].ended > ended)
			ended = w[i].ended;
		buf_free(&w[i].sample);
	}
	free(w);
	out->us = ended > began ? ended - began : 1;
	out->per_second = (double)out->signatures * 1e6 / (double)out->us;
	return rc;
}

int
bench_first(struct bench *b, struct buf *sig, struct ofs_error *e)
{
	struct pubkey_verifier v = { 0 };
	struct checked c = { 0, 0 };
	struct bench_msg m;
	int rc;

	rc = pubkey_verifier_init(&v, key_pub(b->key), b->alg, e);
	if (rc == 0)
		rc = bench_message(b, 0, &m, e);
	if (rc == 0)
		rc = bench_sessions(b, 1, e);
	if (rc == 0)
		rc = checked_sign(b->sessions[0], &v, &m.t, false, sig, &c, e);
	atomic_store(&b->next, 1);
	atomic_fetch_add(&b->asked, c.asked);
	atomic_fetch_add(&b->token_us, c.token_us);
	b->verified += rc == 0;
	pubkey_verifier_free(&v);
	return rc;
}
