/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Test signatures by several threads for a while, counted and sampled. */
#ifndef STATION_BENCH_H
#define STATION_BENCH_H

#include <pthread.h>
#include <stdatomic.h>

#include "crypto/alg.h"
#include "token/key.h"

#define BENCH_TAG "ofs-bench-v1"
#define BENCH_NONCE 32
#define BENCH_MSG (sizeof(BENCH_TAG) + 32 + BENCH_NONCE + 8)
#define BENCH_JOBS_MAX 256

/* One key under test. What is not atomic is constant while threads run. */
struct bench {
	ofs_key *key;
	const struct alg *alg;
	uint8_t nonce[BENCH_NONCE];
	_Atomic uint64_t next;  /* number of a message */
	_Atomic uint64_t asked; /* calls of C_Sign */
	_Atomic int64_t token_us;
	_Atomic bool stop;
	uint64_t verified;
	struct key_session *sessions[BENCH_JOBS_MAX];
	unsigned int open;
	unsigned int limit; /* sessions that there are; 0: not known */
};

int bench_init(struct bench *b, ofs_key *key, struct ofs_error *e);
void bench_clear(struct bench *b);

/* A message, ready to be signed. Not to be copied. */
struct bench_msg {
	uint8_t bytes[BENCH_MSG];
	uint8_t hash[DIGEST_MAX];
	struct to_sign t;
};

/* message `number`: ofs-audit-format(5), LINKS */
int bench_message(const struct bench *b, uint64_t number, struct bench_msg *m,
	struct ofs_error *e);

/* opens sessions up to n, or as many as the token has (b->limit is set) */
int bench_sessions(struct bench *b, unsigned int n, struct ofs_error *e);
/*
 * All open sessions sign for so long; then a sample is verified. A failure of
 * one ends them all. OFS_EBADSIG for a wrong signature.
 */
int bench_level(struct bench *b, int64_t us, struct ofs_bench_level *out,
	struct ofs_error *e);
/* message number 0, signed and verified; the signature goes to sig */
int bench_first(struct bench *b, struct buf *sig, struct ofs_error *e);

#endif
