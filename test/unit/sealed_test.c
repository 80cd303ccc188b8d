/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sealed logs: what the station cannot read, and what a crash leaves there. */
#include "log_sample.h"

#include <openssl/pem.h>

#include "audit/handle.h"
#include "base/mem.h"
#include "sign/recover.h"
#include "soft.h"

static struct ofs_error e;
static struct buf cert_pem, key_pem;

static void
to_buf(BIO *b, struct buf *to)
{
	char *p;
	long n = BIO_get_mem_data(b, &p);

	buf_put(to, p, (size_t)n);
	BIO_free(b);
}

static int
setup(void **state)
{
	struct soft_cert like = {
		.cn = "Auditor", .from = -SOFT_DAY, .to = SOFT_DAY
	};
	EVP_PKEY *k = soft_key(OFS_KEY_EC_P256);
	X509 *c = soft_cert(&like, k, NULL, NULL);
	BIO *b = BIO_new(BIO_s_mem());

	sample_setup(state);
	PEM_write_bio_X509(b, c);
	to_buf(b, &cert_pem);
	b = BIO_new(BIO_s_mem());
	PEM_write_bio_PrivateKey(b, k, NULL, NULL, 0, NULL, NULL);
	to_buf(b, &key_pem);
	X509_free(c);
	EVP_PKEY_free(k);
	return 0;
}

static int
teardown(void **state)
{
	buf_free(&cert_pem);
	buf_free(&key_pem);
	return sample_teardown(state);
}

static void
make(void)
{
	struct ofs_audit_init_opts o = OFS_AUDIT_INIT_OPTS_INIT;
	struct ofs_audit_cert c = { cert_pem.p, cert_pem.len };

	shell("rm -rf '%s'", log_dir);
	o.sealed = true;
	o.auditors = &c;
	o.n_auditors = 1;
	ok(ofs_audit_init(sample_ctx, log_dir, &o), ofs_ctx_error(sample_ctx));
}

static void
unlock(ofs_audit *a)
{
	struct ofs_audit_unlock_opts o = OFS_AUDIT_UNLOCK_OPTS_INIT;

	o.key = key_pem.p;
	o.key_len = key_pem.len;
	if (ofs_audit_unlock(a, &o) != 0) {
		ofs_audit_error(a, &e);
		fail_msg("%s", e.message);
	}
}

static bool
sealed(ofs_audit *a, uint64_t seq)
{
	struct ofs_record_head h;
	ofs_record *rec;

	assert_int_equal(ofs_audit_get(a, seq, &rec), 0);
	ofs_record_get_head(rec, &h);
	ofs_record_free(rec);
	return h.sealed;
}

static bool
on_disk(const char *text)
{
	char cmd[256];

	snprintf(cmd, sizeof(cmd), "grep -rqaF '%s' '%s'", text, log_dir);
	return system(cmd) == 0;
}

/* records: genesis, epoch 1, epoch 2 of this handle, and a batch of n */
static void
handles(void **state)
{
	struct ofs_audit_report rep;
	ofs_audit *a, *b;

	(void)state;
	make();
	a = sample_open(0);
	b = sample_open(0);
	sample_whole_batch(a, 1, 3); /* 2 to 8 */
	sample_whole_batch(b, 2, 1); /* 9 to 13 */
	sample_whole_batch(a, 3, 1); /* 14 to 17 */
	/* each reads what is its own */
	assert_false(sealed(a, 5));
	assert_true(sealed(a, 10));
	assert_true(sealed(b, 5));
	assert_false(sealed(b, 10));
	assert_false(sealed(a, 15));
	ok(ofs_audit_verify(a, NULL, NULL, &rep), &e);
	assert_int_equal(rep.sealed_bodies, 4);
	ofs_audit_free(a);
	ofs_audit_free(b);
	a = sample_open(OFS_AUDIT_READ_ONLY);
	assert_true(sealed(a, 5));
	ok(ofs_audit_verify(a, NULL, NULL, &rep), &e);
	assert_int_equal(rep.epochs, 3);
	assert_int_equal(rep.sealed_bodies, 14);
	unlock(a);
	assert_false(sealed(a, 5));
	ok(ofs_audit_verify(a, NULL, NULL, &rep), &e);
	assert_int_equal(rep.sealed_bodies, 0);
	assert_int_equal(rep.signed_items, 5);
	ofs_audit_free(a);
	assert_false(on_disk("doc-0001"));
	assert_false(on_disk("payroll"));
	/* its epochs have no key for tags, which needs no key to be seen */
	shell("sqlite3 '%s/log.db' 'UPDATE record SET tag = zeroblob(16) "
	      "WHERE seq = 5'",
		log_dir);
	assert_int_equal(sample_verify(&rep, &e), OFS_EDAMAGED);
	assert_non_null(strstr(e.message, "record 5 "));
}

/* a process that ended between its commit and its release, and in an intent */
static void
crash(uint64_t *outcome)
{
	uint8_t id[16] = { 7 };
	uint64_t intent;
	ofs_audit *a = sample_open(0);

	sample_begin(a);
	(void)sample_batch_opened(a, id, 4);
	intent = sample_intent(a, id, 0, 2);
	sample_commit(a);
	sample_begin(a);
	*outcome = sample_outcome(a, id, intent, 0, REC_SIGNED);
	sample_pending(a, *outcome, 0);
	sample_commit(a);
	ofs_audit_free(a);
}

/* out[0]: those without a key, out[1]: those with; the sample's, as it is */
static int
count_outputs(void *arg, const struct ofs_audit_output *o)
{
	size_t *n = arg;

	assert_false(o->running);
	n[o->path != NULL]++;
	if (o->path != NULL) {
		assert_string_equal(o->path, "/out/doc-0000.p7s");
		assert_int_equal(o->n, strlen(o->path));
		assert_memory_equal(o->p, o->path, o->n);
	}
	return 0;
}

static int
stop(void *arg, const struct ofs_audit_output *o)
{
	(void)arg, (void)o;
	return 7;
}

/* what waits in a log whose table somebody changes, and can */
static void
outputs_changed(void **state)
{
	struct ofs_audit_init_opts o = OFS_AUDIT_INIT_OPTS_INIT;
	size_t n[2] = { 0, 0 };
	uint64_t outcome;
	ofs_audit *a;

	(void)state;
	shell("rm -rf '%s'", log_dir);
	o.plain = true;
	ok(ofs_audit_init(sample_ctx, log_dir, &o), ofs_ctx_error(sample_ctx));
	crash(&outcome);
	a = sample_open(OFS_AUDIT_READ_ONLY);
	ok(ofs_audit_each_output(a, count_outputs, n), &e);
	assert_int_equal(n[1], 1);
	ofs_audit_free(a);
	shell("sqlite3 '%s/log.db' \"UPDATE pending SET output = x'00'\"",
		log_dir);
	a = sample_open(OFS_AUDIT_READ_ONLY);
	assert_int_equal(
		ofs_audit_each_output(a, count_outputs, n), OFS_EDAMAGED);
	ofs_audit_free(a);
}

static void
crashes(void **state)
{
	struct ofs_audit_report rep;
	struct ofs_batch_state st;
	size_t n[2] = { 0, 0 };
	uint64_t outcome;
	ofs_audit *a, *b;

	(void)state;
	make();
	crash(&outcome);
	/* the sample's output is its path */
	assert_false(on_disk("/out/doc-0000"));
	a = sample_open(OFS_AUDIT_READ_ONLY);
	ok(ofs_audit_verify(a, NULL, NULL, &rep), &e);
	assert_int_equal(rep.pending_outputs, 1);
	ok(ofs_audit_each_output(a, count_outputs, n), &e);
	assert_int_equal(n[0], 1);
	unlock(a);
	ok(ofs_audit_each_output(a, count_outputs, n), &e);
	assert_int_equal(n[1], 1);
	assert_int_equal(ofs_audit_each_output(a, stop, NULL), 7);
	ok(ofs_audit_verify(a, NULL, NULL, &rep), &e);
	assert_int_equal(rep.pending_outputs, 1);
	assert_int_equal(rep.unclosed_batches, 1);
	assert_int_equal(rep.unknown_items, 1);
	ofs_audit_free(a);
	/* the station closes what it can, and counts what it can: nothing */
	a = sample_open(0);
	ok(recover_run(sample_ctx, a, &e), &e);
	assert_int_equal(ofs_audit_discard(a, outcome, "no"), OFS_EAUDIT);
	/* not while another process is at it */
	b = sample_open(0);
	ok(log_batch_hold(b, LOG_RECOVERY, &e), &e);
	assert_int_equal(ofs_audit_discard(a, outcome, "no"), OFS_EEXIST);
	ofs_audit_free(b);
	assert_int_equal(ofs_audit_discard(a, outcome, "no"), OFS_EAUDIT);
	assert_int_equal(ofs_audit_batch(a, "0700000000", &st), OFS_EAUDIT);
	ofs_audit_free(a);
	a = sample_open(OFS_AUDIT_READ_ONLY);
	unlock(a);
	if (ofs_audit_verify(a, NULL, NULL, &rep) != 0) {
		ofs_audit_error(a, &e);
		fail_msg("%s", e.message);
	}
	assert_int_equal(rep.pending_outputs, 1);
	assert_int_equal(rep.unclosed_batches, 0);
	assert_int_equal(rep.unknown_items, 1);
	assert_int_equal(rep.signed_items, 1);
	ofs_audit_free(a);
}

/* the station key opens the batch that is open, and not the one before it */
static void
kept(void **state)
{
	struct ofs_audit_init_opts o = OFS_AUDIT_INIT_OPTS_INIT;
	struct ofs_audit_cert c = { cert_pem.p, cert_pem.len };
	uint8_t id[2][16] = { { 8 }, { 9 } };
	uint64_t opened[2], ended, first, intent;
	struct ofs_audit_report rep;
	ofs_audit *a, *b;
	char path[4096];

	(void)state;
	snprintf(path, sizeof(path), "%s.station", log_dir);
	shell("rm -rf '%s' '%s'", log_dir, path);
	o.sealed = true;
	o.auditors = &c;
	o.n_auditors = 1;
	o.station_key = path;
	ok(ofs_audit_init(sample_ctx, log_dir, &o), ofs_ctx_error(sample_ctx));
	a = sample_open(0);
	sample_whole_batch(a, 1, 2);
	first = 5; /* its first outcome */
	sample_begin(a);
	opened[0] = sample_batch_opened(a, id[0], 1);
	sample_commit(a);
	/* another is opened while it runs, and what follows is of both */
	sample_begin(a);
	opened[1] = sample_batch_opened(a, id[1], 1);
	intent = sample_intent(a, id[0], 0, 1);
	ended = sample_outcome(a, id[0], intent, 0, REC_SIGNED);
	sample_pending(a, ended, 0);
	ok(log_intent_done(a, intent, &e), &e);
	sample_commit(a);
	b = sample_open(OFS_AUDIT_READ_ONLY);
	assert_false(sealed(b, opened[0]));
	assert_false(sealed(b, opened[1]));
	assert_false(sealed(b, ended));
	assert_true(sealed(b, first));
	ofs_audit_free(b);
	/* the first goes on to need both keys when the second is closed */
	sample_begin(a);
	sample_batch_closed(a, id[1], opened[1], 0, 0);
	sample_commit(a);
	b = sample_open(OFS_AUDIT_READ_ONLY);
	assert_false(sealed(b, opened[0]));
	assert_false(sealed(b, ended));
	ofs_audit_free(b);
	/* the process ends: another has what waits, and closes the batches */
	ofs_audit_free(a);
	a = sample_open(0);
	ok(recover_run(sample_ctx, a, &e), &e);
	ofs_audit_free(a);
	b = sample_open(OFS_AUDIT_READ_ONLY);
	assert_true(sealed(b, opened[0]));
	assert_true(sealed(b, opened[1]));
	assert_true(sealed(b, ended));
	unlock(b);
	if (ofs_audit_verify(b, NULL, NULL, &rep) != 0) {
		ofs_audit_error(b, &e);
		fail_msg("%s", e.message);
	}
	assert_int_equal(rep.sealed_bodies, 0);
	assert_int_equal(rep.pending_outputs, 0);
	assert_int_equal(rep.unclosed_batches, 0);
	assert_int_equal(rep.unknown_items, 0);
	ofs_audit_free(b);
	shell("rm -f '%s'", path);
}

/* each handle begins an epoch: not all of their keys are kept in memory */
static void
many_epochs(void **state)
{
	const int n = KEYS_SEALED_MAX + 40;
	struct ofs_audit_report rep;
	ofs_audit *a;

	(void)state;
	make();
	for (int i = 1; i <= n; i++) {
		a = sample_open(0);
		sample_one_login(a);
		ofs_audit_free(a);
	}
	a = sample_open(0);
	sample_one_login(a);
	unlock(a);
	ok(ofs_audit_verify(a, NULL, NULL, &rep), &e);
	assert_int_equal(rep.sealed_bodies, 0);
	assert_int_equal(rep.epochs, n + 2);
	assert_int_equal(a->keys.n, KEYS_SEALED_MAX);
	/* what was dropped is had again, and our own was never dropped */
	assert_false(sealed(a, 4));
	sample_one_login(a);
	assert_int_equal(a->keys.n, KEYS_SEALED_MAX);
	ofs_audit_free(a);
}

static char key_path[3][160];

static void
make_with_key(void)
{
	struct ofs_audit_init_opts o = OFS_AUDIT_INIT_OPTS_INIT;
	struct ofs_audit_cert c = { cert_pem.p, cert_pem.len };

	shell("rm -rf '%s'", log_dir);
	for (int i = 0; i < 3; i++) {
		snprintf(key_path[i], sizeof(key_path[i]), "%s.station-%d",
			log_dir, i);
		shell("rm -f '%s'", key_path[i]);
	}
	o.sealed = true;
	o.auditors = &c;
	o.n_auditors = 1;
	o.station_key = key_path[0];
	ok(ofs_audit_init(sample_ctx, log_dir, &o), ofs_ctx_error(sample_ctx));
}

static int
change_key(ofs_audit *a, int to)
{
	struct ofs_audit_rotate_opts r = OFS_AUDIT_ROTATE_OPTS_INIT;

	r.station_key = key_path[to];
	return ofs_audit_rotate(a, &r);
}

/* whoever signs at that time could not record it */
static void
changes_while_running(void **state)
{
	struct ofs_audit_rotate_opts r = OFS_AUDIT_ROTATE_OPTS_INIT;
	struct key_secrets *before = mem_secret_new(sizeof(*before));
	uint8_t id[16] = { 5 };
	ofs_audit *a, *b;
	uint64_t opened;

	(void)state;
	make_with_key();
	a = sample_open(0);
	b = sample_open(0);
	sample_begin(a);
	opened = sample_batch_opened(a, id, 1);
	ok(log_batch_hold(a, opened, &e), &e);
	sample_commit(a);
	memcpy(before, b->keys.s, sizeof(*before));
	assert_int_equal(change_key(b, 1), OFS_EEXIST);
	/* that handle has the key that the log has, and not the other */
	assert_false(sealed(b, opened));
	log_batch_release(a, opened);
	ofs_audit_free(a);
	/* refused when it is changed already */
	r.station_key = key_path[1];
	r.passphrase = "";
	assert_int_equal(ofs_audit_rotate(b, &r), OFS_EINVAL);
	assert_memory_equal(before, b->keys.s, sizeof(*before));
	mem_secret_free(before, sizeof(*before));
	assert_int_equal(change_key(b, 1), 0);
	assert_false(sealed(b, opened));
	ofs_audit_free(b);
}

/* a handle from before finds the new key, or writes nothing */
static void
changes_elsewhere(void **state)
{
	struct buf body = BUF_INIT;
	uint8_t id[16] = { 6 };
	ofs_audit *a, *b, *c;
	uint64_t opened, seq;

	(void)state;
	make_with_key();
	a = sample_open(0);
	sample_whole_batch(a, 1, 1);
	b = sample_open(0);
	assert_int_equal(change_key(b, 1), 0);
	sample_begin(a);
	opened = sample_batch_opened(a, id, 1);
	sample_commit(a);
	assert_false(sealed(b, opened));
	ofs_audit_free(b);
	shell("rm '%s'", key_path[0]);
	b = sample_open(OFS_AUDIT_READ_ONLY);
	assert_false(sealed(b, opened));
	ofs_audit_free(b);
	/* one that reads */
	b = sample_open(0);
	c = sample_open(OFS_AUDIT_READ_ONLY);
	assert_int_equal(change_key(b, 2), 0);
	assert_false(sealed(c, opened));
	ofs_audit_free(c);
	shell("rm '%s'", key_path[1]);
	assert_int_equal(change_key(b, 1), 0);
	ofs_audit_free(b);
	shell("rm '%s'", key_path[1]);
	sample_login(a, &body);
	sample_begin(a);
	assert_int_equal(log_append(a,
				 &(struct log_entry){ .type = OFS_REC_LOGIN,
					 .body = body.p,
					 .body_len = body.len },
				 &seq, &e),
		OFS_EAUDIT);
	assert_non_null(strstr(e.message, "was changed meanwhile"));
	log_rollback(a);
	ofs_audit_free(a);
	buf_free(&body);
}

static uint64_t
open_batch(ofs_audit *a, uint8_t id_byte)
{
	uint8_t id[16] = { id_byte };
	uint64_t opened;

	sample_begin(a);
	opened = sample_batch_opened(a, id, 1);
	sample_commit(a);
	return opened;
}

/* what else opens the log, or does not, says nothing of the batch key */
static void
changes_before_unlock(void **state)
{
	struct ofs_audit_unlock_opts wrong = OFS_AUDIT_UNLOCK_OPTS_INIT;
	ofs_audit *a, *b, *c;
	uint64_t opened[2];

	(void)state;
	make_with_key();
	wrong.passphrase = "wrong";
	a = sample_open(0);
	b = sample_open(0);
	c = sample_open(0);
	assert_int_equal(change_key(c, 1), 0);
	ofs_audit_free(c);
	unlock(a);
	assert_int_equal(ofs_audit_unlock(b, &wrong), OFS_EPIN);
	opened[0] = open_batch(a, 7);
	opened[1] = open_batch(b, 8);
	ofs_audit_free(a);
	ofs_audit_free(b);
	a = sample_open(OFS_AUDIT_READ_ONLY);
	assert_false(sealed(a, opened[0]));
	assert_false(sealed(a, opened[1]));
	ofs_audit_free(a);
}

/* a handle that signs one batch after the other */
static void
many_batches(void **state)
{
	const int n = KEYS_SEALED_MAX + 20;
	struct ofs_audit_report rep;
	uint8_t id[16] = { 8 };
	uint64_t opened;
	ofs_audit *a;

	(void)state;
	make_with_key();
	a = sample_open(0);
	for (int i = 0; i < n; i++) {
		id[14] = (uint8_t)(i >> 8);
		id[15] = (uint8_t)i;
		sample_begin(a);
		opened = sample_batch_opened(a, id, 0);
		sample_commit(a);
		sample_begin(a);
		sample_batch_closed(a, id, opened, 0, 0);
		sample_commit(a);
	}
	assert_true(a->keys.newest > KEYS_SEALED_MAX);
	assert_true(a->keys.n <= KEYS_SEALED_MAX);
	unlock(a);
	ok(ofs_audit_verify(a, NULL, NULL, &rep), &e);
	assert_int_equal(rep.sealed_bodies, 0);
	assert_int_equal(rep.unclosed_batches, 0);
	ofs_audit_free(a);
}

/* more unfinished lists than epochs are in memory: none is lost */
static void
changes_with_many_unfinished(void **state)
{
	const int n = KEYS_SEALED_MAX + 20;
	struct kept_list l = { NULL, 0, 0 };
	uint8_t id[16] = { 7 };
	uint64_t first = 0, last = 0;
	ofs_audit *a;

	(void)state;
	make_with_key();
	for (int i = 0; i < n; i++) {
		a = sample_open(0);
		id[14] = (uint8_t)(i >> 8);
		id[15] = (uint8_t)i;
		sample_begin(a);
		last = sample_batch_opened(a, id, 1);
		sample_commit(a);
		first = i == 0 ? last : first;
		ofs_audit_free(a);
	}
	a = sample_open(0);
	assert_int_equal(change_key(a, 1), 0);
	ofs_audit_free(a);
	shell("rm '%s'", key_path[0]);
	a = sample_open(0);
	assert_false(sealed(a, first));
	assert_false(sealed(a, last));
	ok(kept_load(a, &l, &e), &e);
	assert_int_equal(l.n, n);
	for (size_t i = 0; i < l.n; i++) {
		struct key_epoch *ep;

		ok(keys_epoch(a, l.p[i].epoch, &ep, &e), &e);
		assert_true(ep->open);
	}
	free(l.p);
	ofs_audit_free(a);
}

static void
rotates(void **state)
{
	struct ofs_audit_rotate_opts r = OFS_AUDIT_ROTATE_OPTS_INIT;
	struct ofs_audit_report rep;
	const char *drop[1];
	char hex[65];
	uint8_t sum[32];
	ofs_audit *a;
	BIO *b = BIO_new_mem_buf(cert_pem.p, (int)cert_pem.len);
	X509 *c = PEM_read_bio_X509(b, NULL, NULL, NULL);

	(void)state;
	BIO_free(b);
	assert_int_equal(X509_digest(c, EVP_sha256(), sum, NULL), 1);
	for (size_t i = 0; i < 32; i++)
		snprintf(hex + 2 * i, 3, "%02x", sum[i]);
	X509_free(c);
	make();
	a = sample_open(0);
	drop[0] = hex;
	r.drop = drop;
	r.n_drop = 1;
	/* the last one stays, or nobody could read it */
	assert_int_equal(ofs_audit_rotate(a, &r), OFS_EINVAL);
	r.n_drop = 0;
	assert_int_equal(ofs_audit_rotate(a, &r), 0);
	sample_whole_batch(a, 1, 1);
	ofs_audit_free(a);
	ok(sample_verify(&rep, &e), &e);
	assert_int_equal(rep.epochs, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(handles),
		cmocka_unit_test(many_epochs),
		cmocka_unit_test(crashes),
		cmocka_unit_test(outputs_changed),
		cmocka_unit_test(kept),
		cmocka_unit_test(changes_while_running),
		cmocka_unit_test(changes_elsewhere),
		cmocka_unit_test(changes_before_unlock),
		cmocka_unit_test(many_batches),
		cmocka_unit_test(changes_with_many_unfinished),
		cmocka_unit_test(rotates),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
