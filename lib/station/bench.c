/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Measuring a key: what is announced, measured and recorded. */
#include <string.h>

#include "station/bench.h"
#include "station/recorded.h"

#include "token/token.h"

#define SECONDS_DEFAULT 2
#define SECONDS_MAX 3600
#define JOBS_DOUBLED_MAX 64 /* where doubling ends by itself */
#define WORTH 1.05          /* growth that more sessions must bring */
#define CLOSE_TO_BEST 0.97
#define NAME "bench ofs-bench-v1"

/* one measurement on its way */
struct measurement {
	ofs_token *token;
	ofs_audit *audit;
	const char *uri;
	struct ofs_bench_opts opts;
	struct bench b;
	struct recorded rec;
	struct ofs_bench_report *out;
	struct ofs_bench_level seen[BENCH_JOBS_MAX];
	size_t n_seen;
	ofs_bench_fn fn;
	void *arg;
	int stopped; /* what fn returned */
};

static int
take_opts(struct measurement *m, const struct ofs_bench_opts *o,
	struct ofs_error *e)
{
	static const struct ofs_bench_opts defaults = OFS_BENCH_OPTS_INIT;

	m->opts = o != NULL ? *o : defaults;
	if (m->opts.size != sizeof(m->opts) || m->opts.seconds < 0 ||
		m->opts.seconds > SECONDS_MAX ||
		m->opts.n_jobs > BENCH_JOBS_MAX ||
		(m->opts.jobs == NULL) != (m->opts.n_jobs == 0))
		return err_set(e, OFS_EINVAL,
			"cannot measure: the options are out of range");
	for (size_t i = 0; i < m->opts.n_jobs; i++)
		if (m->opts.jobs[i] < 1 || m->opts.jobs[i] > BENCH_JOBS_MAX)
			return err_set(e, OFS_EINVAL,
				"cannot measure with %u sessions; take 1 to %d",
				m->opts.jobs[i], BENCH_JOBS_MAX);
	if (m->opts.seconds == 0)
		m->opts.seconds = SECONDS_DEFAULT;
	return 0;
}

/* the last record that made this key one for documents */
struct enrolled {
	const uint8_t *spki_sha256;
	bool found;
	uint64_t seq;
};

static int
look(void *arg, uint64_t seq, const struct record_body *b, struct ofs_error *e)
{
	struct enrolled *x = arg;
	struct ofs_field f;

	(void)e;
	if (record_body_find(b, "party.key.spki_sha256", &f) && f.len == 32 &&
		memcmp(f.bytes, x->spki_sha256, 32) == 0 &&
		(record_body_is(b, "event", "enroll") ||
			record_body_is(b, "event", "adopt"))) {
		x->found = true;
		x->seq = seq;
	}
	return 0;
}

static int
check_not_enrolled(struct measurement *m, struct ofs_error *e)
{
	const struct ofs_key_info *info = ofs_key_get_info(m->rec.key);
	struct enrolled x = { .spki_sha256 = info->spki_sha256 };
	int rc;

	if (m->opts.use_enrolled)
		return 0;
	rc = log_each_of_type(m->rec.audit, OFS_REC_KEY_EVENT, look, &x, e);
	if (rc == 0 && x.found)
		rc = err_set(e, OFS_EPOLICY,
			"cannot measure with key '%s': it is enrolled for "
			"documents (record %llu); make another key of that "
			"kind, or allow enrolled ones",
			info->label, (unsigned long long)x.seq);
	return rc;
}

/* the number of sessions that comes next, or 0 */
static unsigned int
next_jobs(const struct measurement *m, size_t at)
{
	const struct ofs_bench_level *l = m->seen;
	double best = 0;
	size_t n = m->n_seen;

	if (m->opts.jobs != NULL)
		return at < m->opts.n_jobs ? m->opts.jobs[at] : 0;
	if (at == 0)
		return 1;
	/* the token may be just about to catch up: two that bring nothing */
	for (size_t i = 0; i + 2 < n; i++)
		if (l[i].per_second > best)
			best = l[i].per_second;
	if (m->b.limit != 0 || l[n - 1].jobs >= JOBS_DOUBLED_MAX ||
		(n > 2 && l[n - 1].per_second < WORTH * best &&
			l[n - 2].per_second < WORTH * best))
		return 0;
	return l[n - 1].jobs * 2;
}

static bool
was_seen(const struct measurement *m, unsigned int jobs)
{
	for (size_t i = 0; i < m->n_seen; i++)
		if (m->seen[i].jobs == jobs)
			return true;
	return false;
}

struct told {
	const struct measurement *m;
	const struct ofs_bench_level *level;
};

static int
tell(void *arg)
{
	const struct told *t = arg;

	return t->m->fn(t->m->arg, t->level);
}

static int
measure(struct measurement *m, struct ofs_error *e)
{
	const int64_t us = m->opts.seconds * INT64_C(1000000);
	struct ofs_bench_level *l;
	unsigned int jobs;
	int rc = 0;

	for (size_t at = 0; rc == 0 && m->stopped == 0 &&
		m->n_seen < BENCH_JOBS_MAX && (jobs = next_jobs(m, at)) != 0;
		at++) {
		rc = bench_sessions(&m->b, jobs, e);
		/* fewer than asked for: perhaps as many as before */
		if (rc != 0 || was_seen(m, m->b.open))
			continue;
		l = &m->seen[m->n_seen];
		rc = bench_level(&m->b, us, l, e);
		if (rc != 0)
			break;
		m->n_seen++;
		if (m->fn != NULL)
			m->stopped =
				watch_call_back(tell, &(struct told){ m, l });
	}
	return rc;
}

static void
choose(struct measurement *m)
{
	struct ofs_bench_report *out = m->out;
	double best = 0;

	for (size_t i = 0; i < m->n_seen; i++)
		if (m->seen[i].per_second > best)
			best = m->seen[i].per_second;
	for (size_t i = 0; i < m->n_seen; i++) {
		const struct ofs_bench_level *l = &m->seen[i];

		if (l->per_second < CLOSE_TO_BEST * best ||
			(out->best_jobs != 0 && l->jobs >= out->best_jobs))
			continue;
		out->best_jobs = l->jobs;
		out->best_per_second = l->per_second;
	}
}

/* what came of it, with the count of everything that the token was asked for */
static int
record_outcome(struct measurement *m, const struct rec_document *doc,
	uint64_t intent_seq, const struct buf *sig,
	const struct ofs_error *failed, struct ofs_error *e)
{
	struct rec_outcome o;

	memset(&o, 0, sizeof(o));
	o.intent_seq = intent_seq;
	o.purpose = REC_PURPOSE_BENCH;
	o.doc = *doc;
	o.format = "raw";
	o.party = (struct rec_span){ m->rec.party.p, m->rec.party.len };
	o.mechanism = m->b.alg->name;
	o.attempts = atomic_load(&m->b.asked);
	o.token_us = atomic_load(&m->b.token_us);
	o.status = failed == NULL ? REC_SIGNED : REC_FAILED;
	if (failed == NULL) {
		o.verified = true;
		o.signature = (struct rec_span){ sig->p, sig->len };
	} else {
		o.code = failed->code;
		o.ckr = failed->ckr;
		o.reason = failed->message;
	}
	return recorded_outcome(&m->rec, &o, e);
}

/* everything between intent and outcome */
static int
run(struct measurement *m, struct ofs_error *e)
{
	struct buf sig = BUF_INIT;
	struct bench_msg first;
	struct rec_document doc = { .path = NAME,
		.name = NAME,
		.size = sizeof(first.bytes),
		.digest_alg = m->b.alg->digest->name,
		.digest = { first.hash, m->b.alg->digest->size } };
	struct ofs_error failed;
	int rc, measured;

	rc = bench_message(&m->b, 0, &first, e);
	if (rc == 0)
		rc = recorded_intent(&m->rec, REC_PURPOSE_BENCH, &doc,
			&m->out->intent_seq, e);
	if (rc != 0)
		return rc;
	err_clear(&failed);
	measured = bench_first(&m->b, &sig, &failed);
	if (measured == 0)
		measured = measure(m, &failed);
	rc = record_outcome(m, &doc, m->out->intent_seq, &sig,
		measured == 0 ? NULL : &failed, e);
	if (rc == 0 && measured != 0) {
		*e = failed;
		rc = measured;
	}
	buf_free(&sig);
	return rc;
}

static int
bench_key(struct measurement *m, ofs_key *key, struct ofs_error *e)
{
	int rc;

	rc = bench_init(&m->b, key, e);
	if (rc == 0)
		rc = recorded_init(&m->rec, m->audit, key, key_cert(key), e);
	if (rc == 0)
		rc = check_not_enrolled(m, e);
	if (rc == 0)
		rc = run(m, e);
	m->out->key = *ofs_key_get_info(key);
	m->out->signatures = atomic_load(&m->b.asked);
	m->out->verified = m->b.verified;
	m->out->sessions = m->b.limit;
	choose(m);
	bench_clear(&m->b);
	recorded_clear(&m->rec);
	return rc;
}

static int
run_bench(void *arg, struct ofs_error *e)
{
	struct measurement *m = arg;
	ofs_key *key;
	int rc;

	rc = ofs_key_open(m->token, m->uri, 0, &key);
	if (rc != 0) {
		*e = *ofs_token_error(m->token);
		return rc;
	}
	rc = bench_key(m, key, e);
	ofs_key_free(key);
	return rc;
}

int
ofs_key_bench(ofs_token *token, ofs_audit *audit, const char *uri,
	const struct ofs_bench_opts *opts, ofs_bench_fn fn, void *arg,
	struct ofs_bench_report *out)
{
	struct measurement m = { .token = token,
		.audit = audit,
		.uri = uri,
		.out = out,
		.fn = fn,
		.arg = arg };
	struct ofs_error e;
	int rc;

	memset(out, 0, sizeof(*out));
	out->size = sizeof(*out);
	err_clear(&e);
	rc = take_opts(&m, opts, &e);
	if (rc == 0 && audit == NULL)
		rc = err_set(&e, OFS_EINVAL,
			"nothing is signed without an audit log; open one");
	if (rc == 0)
		rc = token_run(token, run_bench, &m, &e);
	if (rc != 0)
		return token_fail(token, &e);
	return m.stopped;
}
