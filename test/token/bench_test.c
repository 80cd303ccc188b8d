/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Measuring a key: what is signed is recorded, counted and verified. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/sha.h>

#include <offlinesig.h>

#include "audit/log.h"
#include "crypto/pubkey.h"
#include "station_kit.h"
#include "token/key.h"
#include "token/token.h"

#define LABEL "bench"
#define URI(object) "pkcs11:token=" LABEL ";object=" object

/* the module in front of SoftHSM's: what it refuses, and what it counts */
static struct {
	CK_FUNCTION_LIST *real, list;
	int open, room; /* sessions */
	_Atomic int signs;
	int wrong_at, fail_at; /* the nth C_Sign; 0: never */
	ofs_audit *audit;
	uint64_t records_before; /* in the log at the first C_Sign */
} front;

static CK_RV
open_session(CK_SLOT_ID slot, CK_FLAGS flags, void *app, CK_NOTIFY notify,
	CK_SESSION_HANDLE *h)
{
	CK_RV rv;

	if (front.open == front.room)
		return CKR_SESSION_COUNT;
	rv = front.real->C_OpenSession(slot, flags, app, notify, h);
	front.open += rv == CKR_OK;
	return rv;
}

static CK_RV
close_session(CK_SESSION_HANDLE h)
{
	front.open--;
	return front.real->C_CloseSession(h);
}

static CK_RV
sign(CK_SESSION_HANDLE h, CK_BYTE *in, CK_ULONG in_len, CK_BYTE *out,
	CK_ULONG *n)
{
	int nth = ++front.signs;
	CK_RV rv;

	if (nth == 1)
		(void)ofs_audit_size(front.audit, &front.records_before);
	if (nth == front.fail_at)
		return CKR_FUNCTION_FAILED;
	rv = front.real->C_Sign(h, in, in_len, out, n);
	if (rv == CKR_OK && nth == front.wrong_at)
		out[10] ^= 1;
	return rv;
}

static void
stand_in_front(struct fixture *f)
{
	struct module *m = f->token->module;

	memset(&front, 0, sizeof(front));
	front.audit = f->audit;
	front.room = 1000;
	front.real = m->f;
	front.list = *m->f;
	front.list.C_OpenSession = open_session;
	front.list.C_CloseSession = close_session;
	front.list.C_Sign = sign;
	m->f = &front.list;
}

static void
step_aside(struct fixture *f)
{
	f->token->module->f = front.real;
	assert_int_equal(front.open, 0);
}

static int
setup(void **state)
{
	const char *const key[] = { "--keypairgen", "--key-type",
		"EC:prime256v1", "--label", "test", "--id", "aa", "--sensitive",
		"--usage-sign", NULL };
	struct ofs_enroll_opts o = OFS_ENROLL_OPTS_INIT;
	struct fixture *f = make_station(LABEL);

	assert_int_equal(softhsm_pkcs11_tool(LABEL, key), 0);
	o.key_type = "ec:P-256";
	enroll_key(f, URI("documents"), &o, NULL);
	*state = f;
	return 0;
}

static ofs_record *
record(struct fixture *f, uint64_t seq, enum ofs_record_type type)
{
	struct ofs_record_head h;
	ofs_record *rec;

	assert_int_equal(ofs_audit_get(f->audit, seq, &rec), 0);
	ofs_record_get_head(rec, &h);
	assert_int_equal(h.type, type);
	return rec;
}

static struct ofs_field
field(const ofs_record *rec, const char *name)
{
	struct ofs_field x;

	if (!ofs_record_find(rec, name, &x))
		fail_msg("no %s", name);
	return x;
}

/* what the levels were, and the sum of their signatures */
struct levels {
	unsigned int jobs[300];
	size_t n;
	uint64_t signatures;
	int stop_at;
};

static int
take(void *arg, const struct ofs_bench_level *l)
{
	struct levels *all = arg;

	assert_int_equal(l->size, sizeof(*l));
	assert_true(l->signatures >= l->jobs);
	assert_true(l->us > 0);
	assert_true(l->per_second > 0);
	all->jobs[all->n++] = l->jobs;
	all->signatures += l->signatures;
	return all->n == (size_t)all->stop_at ? -77 : 0;
}

static void
enrolled_keys_are_refused(void **state)
{
	struct fixture *f = *state;
	struct ofs_bench_opts o = OFS_BENCH_OPTS_INIT;
	struct ofs_bench_report r;
	struct levels all = { .n = 0 };
	const unsigned int one = 1;
	uint64_t before = log_size(f);

	o.seconds = 1;
	o.jobs = &one;
	o.n_jobs = 1;
	assert_int_equal(ofs_key_bench(f->token, f->audit, URI("documents"), &o,
				 take, &all, &r),
		OFS_EPOLICY);
	assert_non_null(strstr(ofs_token_error(f->token)->message, "enrolled"));
	assert_int_equal(log_size(f), before);
	assert_int_equal(all.n, 0);
	o.use_enrolled = true;
	assert_int_equal(ofs_key_bench(f->token, f->audit, URI("documents"), &o,
				 take, &all, &r),
		0);
	assert_int_equal(log_size(f), before + 2);
}

/* the first message is what the intent says, and its signature is good */
static void
check_first(struct fixture *f, const ofs_record *outcome)
{
	struct ofs_field digest = field(outcome, "document.digest");
	struct ofs_field sig = field(outcome, "signature");
	struct ofs_error e;
	ofs_key *k;

	assert_int_equal(ofs_key_open(f->token, URI("test"), 0, &k), 0);
	assert_int_equal(digest.len, 32);
	assert_int_equal(pubkey_verify(key_pub(k),
				 alg_for(OFS_KEY_EC_P256, OFS_DIGEST_DEFAULT),
				 digest.bytes, sig.bytes, sig.len, &e),
		0);
	ofs_key_free(k);
}

static void
is_recorded_with_its_count(void **state)
{
	struct fixture *f = *state;
	struct ofs_bench_opts o = OFS_BENCH_OPTS_INIT;
	const unsigned int jobs[] = { 2, 1, 2 };
	struct ofs_bench_report r;
	struct levels all = { .n = 0 };
	uint64_t before = log_size(f);
	ofs_record *intent, *outcome;

	o.seconds = 1;
	o.jobs = jobs;
	o.n_jobs = 3;
	stand_in_front(f);
	if (ofs_key_bench(
		    f->token, f->audit, URI("test"), &o, take, &all, &r) != 0)
		fail_msg("%s", ofs_token_error(f->token)->message);
	assert_int_equal(front.records_before, before + 1);
	assert_int_equal(log_size(f), before + 2);
	assert_int_equal(r.intent_seq, before);
	/* the same number twice is measured once */
	assert_int_equal(all.n, 2);
	assert_int_equal(all.jobs[0], 2);
	assert_int_equal(all.jobs[1], 1);
	assert_int_equal(r.signatures, all.signatures + 1);
	assert_int_equal(r.signatures, front.signs);
	assert_true(r.verified > 64 && r.verified <= r.signatures);
	assert_int_equal(r.sessions, 0);
	assert_true(r.best_jobs == 1 || r.best_jobs == 2);

	intent = record(f, before, OFS_REC_INTENT);
	outcome = record(f, before + 1, OFS_REC_OUTCOME);
	assert_int_equal(field(intent, "purpose").number, 5);
	assert_int_equal(field(outcome, "purpose").number, 5);
	assert_int_equal(field(outcome, "status").number, 1);
	assert_int_equal(field(outcome, "verified").number, 1);
	assert_int_equal(field(outcome, "intent_seq").number, before);
	assert_int_equal(field(outcome, "attempts").number, r.signatures);
	assert_true(field(outcome, "token_us").number > 0);
	assert_memory_equal(field(outcome, "document.digest").bytes,
		field(intent, "items.0.digest").bytes, 32);
	check_first(f, outcome);
	ofs_record_free(intent);
	ofs_record_free(outcome);
	step_aside(f);
}

/* as many sessions as there are, and that is no error */
static void
ends_at_the_last_session(void **state)
{
	struct fixture *f = *state;
	const unsigned int steps[] = { 1, 2, 8 };
	struct ofs_bench_opts o = OFS_BENCH_OPTS_INIT;
	struct ofs_bench_report r;
	struct levels all = { .n = 0 };

	o.seconds = 1;
	o.jobs = steps;
	o.n_jobs = 3;
	session_close(&f->token->pinned);
	stand_in_front(f);
	front.room = 4;
	assert_int_equal(ofs_key_bench(f->token, f->audit, URI("test"), &o,
				 take, &all, &r),
		0);
	assert_int_equal(all.n, 3);
	assert_int_equal(all.jobs[0], 1);
	assert_int_equal(all.jobs[1], 2);
	/* the token's own one signs, too, when it must */
	assert_int_equal(all.jobs[2], 4);
	assert_int_equal(r.sessions, 4);
	/* none at all is one */
	session_close(&f->token->pinned);
	front.room = 0;
	assert_int_equal(ofs_key_bench(f->token, f->audit, URI("test"), &o,
				 take, &all, &r),
		OFS_ETOKEN);
	assert_int_equal(ofs_token_error(f->token)->ckr, CKR_SESSION_COUNT);
	assert_int_equal(r.signatures, 0);
	session_close(&f->token->pinned);
	step_aside(f);
}

static void
failures_are_recorded(void **state)
{
	struct fixture *f = *state;
	struct ofs_bench_opts o = OFS_BENCH_OPTS_INIT;
	const unsigned int two = 2;
	struct ofs_bench_report r;
	struct levels all = { .n = 0 };
	/* the first of all, the first of a thread, one later */
	const int at[] = { 1, 2, 20 };
	ofs_record *outcome;

	o.seconds = 1;
	o.jobs = &two;
	o.n_jobs = 1;
	for (int i = 0; i < 6; i++) {
		session_close(&f->token->pinned);
		stand_in_front(f);
		*(i < 3 ? &front.fail_at : &front.wrong_at) = at[i % 3];
		assert_int_equal(ofs_key_bench(f->token, f->audit, URI("test"),
					 &o, take, &all, &r),
			i < 3 ? OFS_ETOKEN : OFS_EBADSIG);
		assert_int_equal(all.n, 0);
		assert_int_equal(r.signatures, front.signs);
		outcome = record(f, log_size(f) - 1, OFS_REC_OUTCOME);
		assert_int_equal(field(outcome, "status").number, 2);
		assert_int_equal(field(outcome, "verified").number, 0);
		assert_int_equal(
			field(outcome, "attempts").number, front.signs);
		assert_int_equal(field(outcome, "ckr").number,
			i < 3 ? CKR_FUNCTION_FAILED : CKR_OK);
		assert_int_equal(field(outcome, "code").number,
			i < 3 ? OFS_ETOKEN : OFS_EBADSIG);
		ofs_record_free(outcome);
		session_close(&f->token->pinned);
		step_aside(f);
	}
}

static void
options_are_checked(void **state)
{
	struct fixture *f = *state;
	struct ofs_bench_opts o = OFS_BENCH_OPTS_INIT;
	const unsigned int bad[] = { 1, 257 };
	struct ofs_bench_report r;
	struct levels all = { .n = 0 };
	uint64_t before = log_size(f);

	assert_int_equal(
		ofs_key_bench(f->token, NULL, URI("test"), &o, take, &all, &r),
		OFS_EINVAL);
	o.jobs = bad;
	o.n_jobs = 2;
	assert_int_equal(ofs_key_bench(f->token, f->audit, URI("test"), &o,
				 take, &all, &r),
		OFS_EINVAL);
	o.n_jobs = 0;
	assert_int_equal(ofs_key_bench(f->token, f->audit, URI("test"), &o,
				 take, &all, &r),
		OFS_EINVAL);
	o.jobs = NULL;
	o.seconds = -1;
	assert_int_equal(ofs_key_bench(f->token, f->audit, URI("test"), &o,
				 take, &all, &r),
		OFS_EINVAL);
	o.seconds = 1;
	assert_int_equal(ofs_key_bench(f->token, f->audit, URI("nosuch"), &o,
				 take, &all, &r),
		OFS_EKEY);
	assert_int_equal(log_size(f), before);
	/* a reader that has seen enough; what was signed is recorded */
	all.stop_at = 1;
	assert_int_equal(ofs_key_bench(f->token, f->audit, URI("test"), &o,
				 take, &all, &r),
		-77);
	assert_int_equal(all.n, 1);
	assert_int_equal(log_size(f), before + 2);
}

/* the walk over one type sees all of it, in order, and nothing else */
struct walk {
	uint64_t n, last;
	int64_t stop_at;
};

static int
step(void *arg, uint64_t seq, const struct record_body *b, struct ofs_error *e)
{
	struct walk *w = arg;
	struct ofs_field x;

	assert_true(record_body_find(b, "intent_seq", &x));
	assert_true(w->n == 0 || seq > w->last);
	w->last = seq;
	w->n++;
	return w->n == (uint64_t)w->stop_at
		? err_set(e, OFS_EINTR, "seen enough")
		: 0;
}

static void
one_type_is_walked_over(void **state)
{
	struct fixture *f = *state;
	struct ofs_audit_report r;
	struct walk w = { .n = 0 };
	struct ofs_error e;

	assert_int_equal(ofs_audit_verify(f->audit, NULL, NULL, &r), 0);
	assert_int_equal(
		log_each_of_type(f->audit, OFS_REC_OUTCOME, step, &w, &e), 0);
	assert_true(r.outcomes > 5);
	assert_int_equal(w.n, r.outcomes);
	w = (struct walk){ .stop_at = 2 };
	assert_int_equal(
		log_each_of_type(f->audit, OFS_REC_OUTCOME, step, &w, &e),
		OFS_EINTR);
	assert_int_equal(w.n, 2);
	/* and the handle is of use after that */
	assert_true(log_size(f) > w.last);
}

static void
the_log_verifies(void **state)
{
	struct fixture *f = *state;
	struct ofs_audit_report r;
	struct ofs_error e;

	if (ofs_audit_verify(f->audit, NULL, NULL, &r) != 0) {
		ofs_audit_error(f->audit, &e);
		fail_msg("%s", e.message);
	}
	assert_int_equal(r.unknown_items, 0);
	assert_int_equal(r.in_flight_items, 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(enrolled_keys_are_refused),
		cmocka_unit_test(is_recorded_with_its_count),
		cmocka_unit_test(ends_at_the_last_session),
		cmocka_unit_test(failures_are_recorded),
		cmocka_unit_test(options_are_checked),
		cmocka_unit_test(one_type_is_walked_over),
		cmocka_unit_test(the_log_verifies),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("bench", tests, setup, end_station);
}
