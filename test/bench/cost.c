/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an item costs the host beside its signature, and where that goes. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"

#include "store/merkle.h"
#include "store/store.h"
#include "audit/tag.h"
#include "base/time.h"
#include "crypto/pubkey.h"
#include "sign/journal.h"
#include "sign/release.h"
#include "token/key.h"

#define KEY "pkcs11:token=sandbox;object=bench-ec"
#define ITEMS 12000
#define RUNS 3
#define BARE 12000
#define THREADS 2
#define GOAL_US 60

static int64_t
cpu_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/*
 * Functions of the library are wrapped by the linker (Makefile) and timed by
 * the CPU clock of their thread; the library itself has no such thing in it.
 */
enum stage {
	PREPARE,
	SIGN,
	VERIFY,
	FINISH,
	BEGIN,
	INTENT,
	OUTCOMES,
	ENCODE,
	TAG,
	RECORD,
	LEAF,
	TREE,
	COMMIT,
	RELEASE,
	DROP,
	STAGES
};

static bool timing;
static atomic_llong spent[STAGES], calls[STAGES];
static int64_t pair_ns; /* what reading the clock twice adds to an interval */

static int64_t
enter(void)
{
	return timing ? cpu_ns(CLOCK_THREAD_CPUTIME_ID) : 0;
}

static void
leave(enum stage s, int64_t began)
{
	if (!timing)
		return;
	atomic_fetch_add(&spent[s], cpu_ns(CLOCK_THREAD_CPUTIME_ID) - began);
	atomic_fetch_add(&calls[s], 1);
}

#define WRAP(stage, name, params, args)      \
	int __real_##name params;            \
	int __wrap_##name params;            \
	int __wrap_##name params             \
	{                                    \
		int64_t began = enter();     \
		int rc = __real_##name args; \
                                             \
		leave(stage, began);         \
		return rc;                   \
	}

void __real_maker_prepare(
	const struct maker *m, struct prepare *p, struct work *w);
void __wrap_maker_prepare(
	const struct maker *m, struct prepare *p, struct work *w);
void
__wrap_maker_prepare(const struct maker *m, struct prepare *p, struct work *w)
{
	int64_t began = enter();

	__real_maker_prepare(m, p, w);
	leave(PREPARE, began);
}

WRAP(SIGN, key_session_try,
	(struct key_session * s, const struct to_sign *t, struct buf *sig,
		struct ofs_error *e),
	(s, t, sig, e))
WRAP(VERIFY, pubkey_verifier_check,
	(struct pubkey_verifier * v, const struct to_sign *t,
		const uint8_t *sig, size_t n, struct ofs_error *e),
	(v, t, sig, n, e))
WRAP(FINISH, maker_finish,
	(const struct maker *m, struct work *w, struct ofs_error *e), (m, w, e))
WRAP(BEGIN, log_begin, (ofs_audit * a, struct ofs_error *e), (a, e))
WRAP(INTENT, journal_intent,
	(struct journal * j, struct chunk *c, struct ofs_error *e), (j, c, e))
WRAP(OUTCOMES, journal_outcomes,
	(struct journal * j, struct chunk *c, struct ofs_error *e), (j, c, e))
WRAP(ENCODE, record_outcome_encode,
	(const struct rec_outcome *r, struct buf *to, struct ofs_error *e),
	(r, to, e))
WRAP(TAG, tag_of,
	(struct tag * t, const uint8_t *digest, size_t n, uint8_t *out,
		struct ofs_error *e),
	(t, digest, n, out, e))
WRAP(RECORD, store_record_put,
	(struct store * s, const struct store_record *r, struct ofs_error *e),
	(s, r, e))
WRAP(LEAF, merkle_leaf,
	(struct merkle * m, const void *p, size_t n, uint8_t *out,
		struct ofs_error *e),
	(m, p, n, out, e))
WRAP(TREE, merkle_add,
	(struct merkle * m, unsigned int height, const uint8_t *hash,
		struct ofs_error *e),
	(m, height, hash, e))
WRAP(COMMIT, log_commit, (ofs_audit * a, struct ofs_error *e), (a, e))
WRAP(RELEASE, release_all,
	(struct release * r, size_t n, bool again, struct ofs_error *e),
	(r, n, again, e))
WRAP(DROP, journal_released,
	(struct journal * j, const struct chunk *c, struct ofs_error *e),
	(j, c, e))

struct cost {
	const char *dir;
	ofs_ctx *ctx;
	ofs_audit *audit;
	ofs_token *token;
	ofs_key *key;
	const struct alg *alg;
};

/* bare loops, in us of CPU */

static void *
bare_sign(void *arg)
{
	struct cost *c = arg;
	struct ofs_error e;
	struct session s;

	if (session_open(c->token->module, c->token->slot, false, &s, &e) != 0)
		bench_die("session", &e);
	for (int i = 0; i < BARE / THREADS; i++)
		bench_sign_bare(&s, c->key, c->alg);
	session_close(&s);
	return NULL;
}

static double
cost_of_sign(struct cost *c)
{
	int64_t began = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
	pthread_t t[THREADS];

	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&t[i], NULL, bare_sign, c) != 0)
			bench_die("thread", NULL);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	return (double)(cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - began) / 1e3 / BARE;
}

static double
cost_of_verify(struct cost *c)
{
	uint8_t hash[DIGEST_MAX] = { 1, 2, 3 };
	struct to_sign what = { .alg = c->alg, .hash = hash };
	struct buf sig = BUF_INIT;
	struct pubkey_verifier v;
	struct key_session *s;
	struct ofs_error e;
	int64_t began;

	if (key_session_open(c->key, &s, &e) != 0 ||
		key_session_sign(s, &what, &sig, &e) != 0 ||
		pubkey_verifier_init(&v, key_pub(c->key), c->alg, &e) != 0)
		bench_die("verify", &e);
	began = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
	for (int i = 0; i < BARE; i++)
		if (pubkey_verifier_check(&v, &what, sig.p, sig.len, &e) != 0)
			bench_die("verify", &e);
	began = cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - began;
	key_session_close(s);
	pubkey_verifier_free(&v);
	buf_free(&sig);
	return (double)began / 1e3 / BARE;
}

/* CPU of the whole process for an item of a batch; docs NULL: in memory */
static double
cost_of_item(struct cost *c, const char *docs, const char *out, int n)
{
	static const uint8_t document[2048] = { 1 };
	struct ofs_sign_opts o = OFS_SIGN_OPTS_INIT;
	struct ofs_progress p;
	ofs_batch *batch;
	char name[600];
	int64_t began = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
	int rc;

	o.jobs = THREADS;
	o.out_dir = docs != NULL ? out : NULL;
	if (ofs_batch_new(c->ctx, c->key, c->audit, &o, &batch) != 0)
		bench_die("batch", ofs_ctx_error(c->ctx));
	for (int i = 0; i < n; i++) {
		bench_document(name, sizeof(name), docs != NULL ? docs : "", i);
		rc = docs != NULL ? ofs_batch_add_file(batch, name, NULL)
				  : ofs_batch_add_bytes(batch, name, document,
					    sizeof(document));
		if (rc != 0)
			bench_die("add", ofs_batch_error(batch));
	}
	if (ofs_batch_run(batch, &p) != 0)
		bench_die("run", ofs_batch_error(batch));
	ofs_batch_free(batch);
	return (double)(cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - began) / 1e3 / n;
}

/* what an interval has too much, and what a timed call costs all in all */
static double
calibrate(void)
{
	int64_t began = cpu_ns(CLOCK_THREAD_CPUTIME_ID), took;

	timing = true;
	for (int i = 0; i < 100000; i++)
		leave(PREPARE, enter());
	took = cpu_ns(CLOCK_THREAD_CPUTIME_ID) - began;
	pair_ns = atomic_load(&spent[PREPARE]) / 100000;
	timing = false;
	return (double)took / 100000;
}

static double
stage_us(enum stage s, int n)
{
	return (double)(atomic_load(&spent[s]) -
		       atomic_load(&calls[s]) * pair_ns) /
		1e3 / n;
}

static void
show(const char *what, double us)
{
	printf("    %-44s %8.1f\n", what, us);
}

/* `whole`: CPU of an item beyond sign and verify, without timers */
static void
show_stages(double whole, double timer_ns, int n)
{
	double inner, us[STAGES], known;

	for (int s = 0; s < STAGES; s++)
		us[s] = stage_us((enum stage)s, n);
	/* clocks that were read inside of other intervals */
	inner = (double)(calls[ENCODE] + calls[TAG] + calls[RECORD]) *
		timer_ns / 1e3 / n;
	us[OUTCOMES] -= inner + us[ENCODE] + us[TAG] + us[RECORD];
	known = us[PREPARE] + us[FINISH] + us[BEGIN] + us[INTENT] +
		us[OUTCOMES] + us[ENCODE] + us[TAG] + us[RECORD] + us[COMMIT] +
		us[RELEASE] + us[DROP];
	show("prepare: read, hash, attributes", us[PREPARE]);
	show("assemble the file, its hash", us[FINISH]);
	show("begin: locks, state, head file against tree", us[BEGIN]);
	show("intent", us[INTENT]);
	show("outcome, encoded", us[ENCODE]);
	show("its tag", us[TAG]);
	show("its row", us[RECORD]);
	show("its header, tree, pending file", us[OUTCOMES]);
	show("commit: SQLite, syncs, head file", us[COMMIT]);
	show("release", us[RELEASE] + us[DROP]);
	show("list, queues, threads, and what is not told", whole - known);
	printf("    (in the batch: sign %.1f, verify %.1f; of begin and of its "
	       "tree: leaves %.1f, nodes %.1f)\n",
		us[SIGN], us[VERIFY], us[LEAF], us[TREE]);
}

static bool
measure(struct cost *c, const char *docs, int n, double goal)
{
	double whole[RUNS], sign[RUNS], verify[RUNS], beyond[RUNS], timer_ns;
	char out[600];
	bool met = true;

	for (int i = 0; i < RUNS; i++) {
		snprintf(out, sizeof(out), "%s/cost-%d", c->dir, i);
		sign[i] = cost_of_sign(c);
		verify[i] = cost_of_verify(c);
		whole[i] = cost_of_item(c, docs, out, n);
		beyond[i] = whole[i] - sign[i] - verify[i];
	}
	printf("host CPU of an item in us, P-256, %s, %d items, medians of "
	       "%d\n",
		docs != NULL ? "files to files" : "memory to memory", n, RUNS);
	printf("  all %.1f, bare C_Sign %.1f, bare verification %.1f\n",
		bench_median(whole, RUNS), bench_median(sign, RUNS),
		bench_median(verify, RUNS));
	if (goal > 0)
		met = bench_below("beyond sign and verify",
			bench_median(beyond, RUNS), goal);
	else
		printf("  %-46s %8.1f\n", "beyond sign and verify",
			bench_median(beyond, RUNS));
	memset(spent, 0, sizeof(spent));
	memset(calls, 0, sizeof(calls));
	timer_ns = calibrate();
	memset(spent, 0, sizeof(spent));
	memset(calls, 0, sizeof(calls));
	timing = true;
	snprintf(out, sizeof(out), "%s/cost-timed", c->dir);
	cost_of_item(c, docs, out, n);
	timing = false;
	show_stages(bench_median(beyond, RUNS), timer_ns, n);
	printf("\n");
	return met;
}

int
main(int argc, char **argv)
{
	struct cost c = { 0 };
	char docs[600];
	bool met;

	if (argc != 3)
		bench_die("usage: cost DIR PIN-FILE", NULL);
	setvbuf(stdout, NULL, _IOLBF, 0);
	c.dir = argv[1];
	c.alg = alg_for(OFS_KEY_EC_P256, OFS_DIGEST_DEFAULT);
	bench_open(argv[2], &c.ctx, &c.audit);
	if (ofs_token_open(c.ctx, "pkcs11:token=sandbox", &c.token) != 0)
		bench_die("token", ofs_ctx_error(c.ctx));
	if (ofs_key_open(c.token, KEY, 0, &c.key) != 0)
		bench_die(KEY, ofs_token_error(c.token));
	met = measure(&c, NULL, ITEMS, GOAL_US);
	snprintf(docs, sizeof(docs), "%s/cost-documents", c.dir);
	bench_documents(docs, ITEMS / 4);
	(void)measure(&c, docs, ITEMS / 4, 0);
	ofs_key_free(c.key);
	ofs_token_free(c.token);
	ofs_audit_free(c.audit);
	ofs_ctx_free(c.ctx);
	return met ? BENCH_MET : BENCH_MISSED;
}
