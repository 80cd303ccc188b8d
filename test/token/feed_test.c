/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Batches that documents are added to while they run. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <sqlite3.h>

#include <offlinesig.h>

#include "station_kit.h"

#define LABEL "feed"
#define KEY_URI "pkcs11:token=" LABEL ";object=signer"
#define CRASH_STATUS 77
#define FEEDERS 4
#define EACH 300
#define ROOM 1024 /* documents that may wait: offlinesig/batch.h */

static const char *self;

/* A batch in a thread of its own, and what its callbacks saw. */
struct live {
	ofs_batch *batch;
	pthread_t runner;
	int code;
	struct ofs_error why;
	struct ofs_progress done;
	pthread_mutex_t lock;
	pthread_cond_t news;
	size_t results, by_status[5];
	char path[FEEDERS * EACH][24]; /* by index */
	bool shut;                     /* the gate of validation */
	bool crash, crowd;
	int crowd_code;
};

static int
setup(void **state)
{
	*state = make_signer(LABEL, KEY_URI);
	return 0;
}

/* a document that holds its own name */
static char *
put_named(const struct fixture *f, const char *name)
{
	char *path = in_dir(f, "%s", name);

	put(path, name);
	return path;
}

/* a callback may add, but not wait */
static void
add_until_refused(struct live *l)
{
	do
		l->crowd_code = ofs_batch_add_bytes(l->batch, "more", "x", 1);
	while (l->crowd_code == 0);
	l->crowd = false;
}

static void
note(void *arg, const struct ofs_result *r)
{
	struct live *l = arg;

	if (l->crowd)
		add_until_refused(l);
	pthread_mutex_lock(&l->lock);
	if (l->crash)
		_exit(CRASH_STATUS);
	l->results++;
	l->by_status[r->status]++;
	if (r->index < FEEDERS * EACH)
		snprintf(l->path[r->index], sizeof(l->path[0]), "%s", r->path);
	pthread_cond_broadcast(&l->news);
	pthread_mutex_unlock(&l->lock);
}

static int
gate(void *arg, const struct ofs_document *doc, char *message, size_t size)
{
	struct live *l = arg;

	(void)doc, (void)message, (void)size;
	pthread_mutex_lock(&l->lock);
	while (l->shut)
		pthread_cond_wait(&l->news, &l->lock);
	pthread_mutex_unlock(&l->lock);
	return 0;
}

static void
open_gate(struct live *l)
{
	pthread_mutex_lock(&l->lock);
	l->shut = false;
	pthread_cond_broadcast(&l->news);
	pthread_mutex_unlock(&l->lock);
}

static void
await(struct live *l, size_t results)
{
	pthread_mutex_lock(&l->lock);
	while (l->results < results)
		pthread_cond_wait(&l->news, &l->lock);
	pthread_mutex_unlock(&l->lock);
}

static void *
run(void *arg)
{
	struct live *l = arg;

	l->code = ofs_batch_run(l->batch, &l->done);
	l->why = *ofs_batch_error(l->batch);
	return NULL;
}

static struct ofs_sign_opts
open_ended(void)
{
	struct ofs_sign_opts o = OFS_SIGN_OPTS_INIT;

	o.open_ended = true;
	return o;
}

static struct live *
begin(struct fixture *f, const struct ofs_sign_opts *o)
{
	struct live *l = calloc(1, sizeof(*l));

	assert_non_null(l);
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->news, NULL);
	if (ofs_batch_new(f->ctx, f->key, f->audit, o, &l->batch) != 0)
		fail_msg("%s", ofs_ctx_error(f->ctx)->message);
	ofs_batch_on_result(l->batch, note, l);
	ofs_batch_on_validate(l->batch, gate, l);
	return l;
}

static void
start(struct live *l)
{
	assert_int_equal(pthread_create(&l->runner, NULL, run, l), 0);
}

/* what ofs_batch_run returned */
static int
finish(struct live *l)
{
	pthread_join(l->runner, NULL);
	return l->code;
}

static void
forget(struct live *l)
{
	ofs_batch_free(l->batch);
	pthread_cond_destroy(&l->news);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

static void
log_verifies(struct fixture *f, struct ofs_audit_report *r)
{
	struct ofs_error e;

	if (ofs_audit_verify(f->audit, NULL, NULL, r) == 0)
		return;
	ofs_audit_error(f->audit, &e);
	fail_msg("%s", e.message);
}

/* the last record of a type */
struct last {
	enum ofs_record_type type;
	uint64_t seq;
};

static int
keep_last(void *arg, const ofs_record *rec)
{
	struct last *last = arg;
	struct ofs_record_head h;

	ofs_record_get_head(rec, &h);
	if (h.type == last->type)
		last->seq = h.seq;
	return 0;
}

static ofs_record *
last_of(struct fixture *f, enum ofs_record_type type)
{
	struct last last = { type, 0 };
	ofs_record *rec;

	assert_int_equal(ofs_audit_list(f->audit, 0, 0, keep_last, &last), 0);
	assert_int_not_equal(last.seq, 0);
	assert_int_equal(ofs_audit_get(f->audit, last.seq, &rec), 0);
	return rec;
}

/* ofs-audit-format(5), List digest: memory items with nothing but a name */
static void
check_list_digest(struct fixture *f, const struct live *l)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	struct ofs_field field;
	uint8_t sum[32], len[8] = { 0 }, none[5] = { 0 };
	ofs_record *rec;
	size_t i;

	EVP_DigestInit_ex(md, EVP_sha256(), NULL);
	EVP_DigestUpdate(md, "ofs-list-v2", 12);
	for (i = 0; i < FEEDERS * EACH; i++) {
		len[7] = (uint8_t)strlen(l->path[i]);
		EVP_DigestUpdate(md, len, sizeof(len));
		EVP_DigestUpdate(md, l->path[i], len[7]);
		EVP_DigestUpdate(md, none, sizeof(none));
	}
	EVP_DigestFinal_ex(md, sum, NULL);
	EVP_MD_CTX_free(md);
	rec = last_of(f, OFS_REC_BATCH_CLOSED);
	assert_true(ofs_record_find(rec, "list_sha256", &field));
	assert_int_equal(field.len, 32);
	assert_memory_equal(field.bytes, sum, 32);
	ofs_record_free(rec);
	rec = last_of(f, OFS_REC_BATCH_OPENED);
	assert_false(ofs_record_find(rec, "list_sha256", &field));
	assert_false(ofs_record_find(rec, "outputs_sha256", &field));
	ofs_record_free(rec);
}

static int
log_format(const struct fixture *f)
{
	sqlite3_stmt *st;
	sqlite3 *db;
	int v;

	assert_int_equal(sqlite3_open(in_dir(f, "audit/log.db"), &db), 0);
	assert_int_equal(
		sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &st, NULL),
		SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	v = sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return v;
}

static void *
feed(void *arg)
{
	struct live *l = arg;
	char name[24];
	int i;

	for (i = 0; i < EACH; i++) {
		snprintf(name, sizeof(name), "%lx-%d",
			(unsigned long)pthread_self() & 0xffffff, i);
		if (ofs_batch_add_bytes(l->batch, name, "pay", 3) != 0)
			return l;
	}
	return NULL;
}

static void
threads_feed_a_batch(void **state)
{
	struct fixture *f = *state;
	struct ofs_sign_opts o = open_ended();
	struct live *l = begin(f, &o);
	struct ofs_batch_state st = { .size = sizeof(st) };
	pthread_t t[FEEDERS];
	void *failed;
	int i;

	assert_int_equal(log_format(f), 1);
	start(l);
	for (i = 0; i < FEEDERS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, feed, l), 0);
	for (i = 0; i < FEEDERS; i++) {
		pthread_join(t[i], &failed);
		assert_null(failed);
	}
	assert_int_equal(ofs_batch_end(l->batch), 0);
	assert_int_equal(finish(l), 0);
	assert_int_equal(l->done.items, FEEDERS * EACH);
	assert_int_equal(l->done.signed_items, FEEDERS * EACH);
	assert_int_equal(l->by_status[OFS_ITEM_SIGNED], FEEDERS * EACH);
	check_list_digest(f, l);
	assert_int_equal(log_format(f), 4);
	log_verifies(f, &(struct ofs_audit_report){ .size = 0 });
	assert_int_equal(ofs_audit_batch(f->audit, l->done.batch_id, &st), 0);
	assert_int_equal(st.phase, OFS_BATCH_FINISHED);
	assert_int_equal(st.items, FEEDERS * EACH);
	forget(l);
}

/* what is there is signed and released while the batch waits for more */
static void
one_at_a_time_is_released_at_once(void **state)
{
	struct fixture *f = *state;
	struct ofs_sign_opts o = open_ended();
	struct live *l = begin(f, &o);
	char name[16], *path;
	struct stat st;
	size_t i;

	assert_int_equal(
		ofs_batch_add_file(l->batch, put_named(f, "slow0"), NULL), 0);
	start(l);
	for (i = 1; i < 4; i++) {
		await(l, i);
		snprintf(name, sizeof(name), "slow%zu.p7s", i - 1);
		assert_int_equal(stat(in_dir(f, "%s", name), &st), 0);
		snprintf(name, sizeof(name), "slow%zu", i);
		path = put_named(f, name);
		assert_int_equal(ofs_batch_add_file(l->batch, path, NULL), 0);
	}
	await(l, 4);
	assert_int_equal(ofs_batch_end(l->batch), 0);
	assert_int_equal(finish(l), 0);
	assert_int_equal(l->done.signed_items, 4);
	log_verifies(f, &(struct ofs_audit_report){ .size = 0 });
	forget(l);
}

static void
refused(struct live *l, const struct ofs_item *item, int code, const char *why)
{
	assert_int_equal(ofs_batch_add_item(l->batch, item), code);
	if (strstr(ofs_batch_error(l->batch)->message, why) == NULL)
		fail_msg("%s", ofs_batch_error(l->batch)->message);
}

static void *
refused_elsewhere(void *arg)
{
	struct live *l = arg;

	return ofs_batch_add_file(l->batch, "", NULL) == OFS_EINVAL ? NULL : l;
}

static void
what_cannot_be_taken_is_refused(void **state)
{
	struct fixture *f = *state;
	struct ofs_sign_opts o = open_ended();
	struct ofs_item item = OFS_ITEM_INIT;
	struct live *l;
	pthread_t t;
	void *failed;

	o.max_items = 4;
	o.max_bytes = 100;
	l = begin(f, &o);
	item.path = put_named(f, "first");
	item.id = "one";
	assert_int_equal(ofs_batch_add_item(l->batch, &item), 0);
	start(l);
	await(l, 1);
	item.id = NULL;
	refused(l, &item, OFS_EEXIST, "is that of another document");
	item.path = put_named(f, "second");
	item.id = "one";
	refused(l, &item, OFS_EFORMAT, "id 'one' is that of another");
	item.id = NULL;
	assert_int_equal(ofs_batch_add_item(l->batch, &item), 0);
	refused(l, &item, OFS_EEXIST, "is that of another document");
	item.path = in_dir(f, "second.p7s");
	refused(l, &item, OFS_EEXIST, "it is the output of another");
	item.path = put_named(f, "third.p7s");
	assert_int_equal(ofs_batch_add_item(l->batch, &item), 0);
	item.path = put_named(f, "third");
	refused(l, &item, OFS_EEXIST, "is a document of this batch");
	item.path = in_dir(f, "nowhere/at/all");
	refused(l, &item, OFS_EIO, "its directory is missing");
	assert_int_equal(ofs_batch_add_tree(l->batch, f->dir), OFS_EINVAL);
	assert_int_equal(
		ofs_batch_add_bytes(l->batch, "big", f, 101), OFS_EFORMAT);
	assert_non_null(
		strstr(ofs_batch_error(l->batch)->message, "limit of 100"));
	/* this thread's error stays what it is */
	assert_int_equal(pthread_create(&t, NULL, refused_elsewhere, l), 0);
	pthread_join(t, &failed);
	assert_null(failed);
	assert_non_null(
		strstr(ofs_batch_error(l->batch)->message, "limit of 100"));
	assert_int_equal(ofs_batch_add_bytes(l->batch, "last", "x", 1), 0);
	assert_int_equal(
		ofs_batch_add_bytes(l->batch, "fifth", "x", 1), OFS_EFORMAT);
	assert_int_equal(ofs_batch_end(l->batch), 0);
	assert_int_equal(
		ofs_batch_add_bytes(l->batch, "late", "x", 1), OFS_EINVAL);
	assert_int_equal(finish(l), 0);
	assert_int_equal(l->done.signed_items, 4);
	assert_int_equal(
		ofs_batch_add_bytes(l->batch, "late", "x", 1), OFS_EINVAL);
	forget(l);
}

/* adds until it is refused, in a thread of its own */
struct crowd {
	struct live *l;
	size_t added;
	int code;
};

static void *
add_all(void *arg)
{
	struct crowd *c = arg;

	while ((c->code = ofs_batch_add_bytes(c->l->batch, "x", "x", 1)) == 0) {
		pthread_mutex_lock(&c->l->lock);
		c->added++;
		pthread_cond_broadcast(&c->l->news);
		pthread_mutex_unlock(&c->l->lock);
	}
	return NULL;
}

/* the gate is shut: what was added waits, and then so does who adds */
static void
fill_up(struct live *l, struct crowd *c, pthread_t *t)
{
	c->l = l;
	l->shut = true;
	start(l);
	assert_int_equal(pthread_create(t, NULL, add_all, c), 0);
	pthread_mutex_lock(&l->lock);
	while (c->added < ROOM + 1)
		pthread_cond_wait(&l->news, &l->lock);
	pthread_mutex_unlock(&l->lock);
}

static void
a_cancelled_batch_takes_no_more(void **state)
{
	struct fixture *f = *state;
	struct ofs_sign_opts o = open_ended();
	struct live *l = begin(f, &o);
	struct crowd c = { 0 };
	pthread_t t;

	fill_up(l, &c, &t);
	ofs_batch_cancel(l->batch);
	pthread_join(t, NULL);
	assert_int_equal(c.code, OFS_EINTR);
	open_gate(l);
	assert_int_equal(finish(l), OFS_EINTR);
	assert_int_equal(l->results, c.added);
	assert_int_equal(l->done.items, c.added);
	assert_true(l->by_status[OFS_ITEM_NOT_ATTEMPTED] >= ROOM);
	assert_int_equal(
		ofs_batch_add_bytes(l->batch, "late", "x", 1), OFS_EINTR);
	log_verifies(f, &(struct ofs_audit_report){ .size = 0 });
	forget(l);
}

static void
an_end_is_no_wait_for_room(void **state)
{
	struct fixture *f = *state;
	struct ofs_sign_opts o = open_ended();
	struct live *l = begin(f, &o);
	struct crowd c = { 0 };
	pthread_t t;

	fill_up(l, &c, &t);
	assert_int_equal(ofs_batch_end(l->batch), 0);
	pthread_join(t, NULL);
	assert_int_equal(c.code, OFS_EINVAL);
	open_gate(l);
	assert_int_equal(finish(l), 0);
	assert_int_equal(l->done.signed_items, c.added);
	log_verifies(f, &(struct ofs_audit_report){ .size = 0 });
	forget(l);
}

static void
a_callback_adds_and_does_not_wait(void **state)
{
	struct fixture *f = *state;
	struct ofs_sign_opts o = open_ended();
	struct live *l = begin(f, &o);

	l->crowd = true;
	assert_int_equal(ofs_batch_add_bytes(l->batch, "one", "x", 1), 0);
	start(l);
	await(l, 1);
	assert_int_equal(l->crowd_code, OFS_EINVAL);
	assert_int_equal(ofs_batch_end(l->batch), 0);
	assert_int_equal(finish(l), 0);
	assert_true(l->done.signed_items > ROOM);
	forget(l);
}

/* a batch that cannot even begin: what it took in has a result all the same */
static void
a_failure_leaves_nobody_without_answer(void **state)
{
	struct fixture *f = *state;
	struct ofs_sign_opts o = open_ended();
	ofs_key *with_login = f->key;
	struct crowd c = { 0 };
	struct live *l;
	pthread_t t;

	assert_int_equal(
		ofs_key_open(f->token, KEY_URI, OFS_KEY_PUBLIC_ONLY, &f->key),
		0);
	l = begin(f, &o);
	c.l = l;
	assert_int_equal(ofs_batch_add_bytes(l->batch, "one", "x", 1), 0);
	assert_int_equal(ofs_batch_add_bytes(l->batch, "two", "x", 1), 0);
	start(l);
	assert_int_equal(pthread_create(&t, NULL, add_all, &c), 0);
	pthread_join(t, NULL);
	assert_true(finish(l) != 0);
	assert_int_equal(l->results, 2 + c.added);
	assert_int_equal(l->by_status[OFS_ITEM_NOT_ATTEMPTED], l->results);
	forget(l);
	ofs_key_free(f->key);
	f->key = with_login;
}

static void
nothing_comes_or_only_a_list(void **state)
{
	struct fixture *f = *state;
	struct ofs_sign_opts o = open_ended();
	struct live *l = begin(f, &o);
	uint8_t sum[32];

	assert_int_equal(ofs_batch_plan(l->batch, NULL), OFS_EINVAL);
	assert_int_equal(ofs_batch_list_sha256(l->batch, sum), OFS_EINVAL);
	assert_int_equal(ofs_batch_end(l->batch), 0);
	assert_int_equal(
		ofs_batch_add_bytes(l->batch, "late", "x", 1), OFS_EINVAL);
	start(l);
	assert_int_equal(finish(l), 0);
	assert_int_equal(l->done.items, 0);
	forget(l);

	/* a list that was added before is worked off first */
	l = begin(f, &o);
	assert_int_equal(
		ofs_batch_add_file(l->batch, put_named(f, "a"), NULL), 0);
	assert_int_equal(
		ofs_batch_add_file(l->batch, put_named(f, "b"), NULL), 0);
	assert_int_equal(ofs_batch_end(l->batch), 0);
	start(l);
	assert_int_equal(finish(l), 0);
	assert_int_equal(l->done.signed_items, 2);
	forget(l);

	o.open_ended = false;
	l = begin(f, &o);
	assert_int_equal(ofs_batch_end(l->batch), OFS_EINVAL);
	forget(l);
}

/* only with a key that may; the record says that nobody saw the document */
static void
digests_are_fed(void **state)
{
	struct fixture *f = *state;
	struct ofs_adopt_opts ao = OFS_ADOPT_OPTS_INIT;
	struct ofs_sign_opts o = open_ended();
	struct ofs_item item = OFS_ITEM_INIT;
	struct ofs_enrolled en;
	struct ofs_field field;
	struct ofs_verdict v;
	struct live *l = begin(f, &o);
	ofs_verifier *vf;
	ofs_record *rec;
	uint8_t sum[32];
	char *pem;

	item.path = in_dir(f, "unseen");
	EVP_Digest("unseen", 6, sum, NULL, EVP_sha256(), NULL);
	ofs_batch_on_validate(l->batch, NULL, NULL);
	assert_int_equal(ofs_batch_add_digest(l->batch, &item, sum, 32),
		OFS_EUNSUPPORTED);
	assert_non_null(strstr(
		ofs_batch_error(l->batch)->message, "adopt --use digest"));
	ao.use_digest = true;
	assert_int_equal(
		ofs_key_adopt(f->token, f->audit, KEY_URI, &ao, &en), 0);
	ofs_enrolled_clear(&en);
	assert_int_equal(ofs_batch_add_bytes(l->batch, "seen", "x", 1), 0);
	start(l);
	await(l, 1);
	assert_int_equal(
		ofs_batch_add_digest(l->batch, &item, sum, 31), OFS_EINVAL);
	assert_int_equal(ofs_batch_add_digest(l->batch, &item, sum, 32), 0);
	assert_int_equal(
		ofs_batch_add_digest(l->batch, &item, sum, 32), OFS_EEXIST);
	assert_int_equal(ofs_batch_end(l->batch), 0);
	assert_int_equal(finish(l), 0);
	assert_int_equal(l->done.signed_items, 2);
	forget(l);
	rec = last_of(f, OFS_REC_OUTCOME);
	assert_true(ofs_record_find(rec, "document.input", &field));
	assert_memory_equal(field.bytes, "digest", field.len);
	ofs_record_free(rec);
	rec = last_of(f, OFS_REC_INTENT);
	assert_true(ofs_record_find(rec, "items.0.input", &field));
	ofs_record_free(rec);
	log_verifies(f, &(struct ofs_audit_report){ .size = 0 });
	/* a document that is not here may have no directory here, either */
	o.out_dir = f->dir;
	l = begin(f, &o);
	ofs_batch_on_validate(l->batch, NULL, NULL);
	assert_int_equal(ofs_batch_add_bytes(l->batch, "seen", "x", 1), 0);
	start(l);
	await(l, 1);
	item.path = "no/such/place/far";
	assert_int_equal(ofs_batch_add_item(l->batch, &item), OFS_EIO);
	assert_int_equal(ofs_batch_add_digest(l->batch, &item, sum, 32), 0);
	assert_int_equal(ofs_batch_end(l->batch), 0);
	assert_int_equal(finish(l), 0);
	assert_int_equal(access(in_dir(f, "no/such/place/far.p7s"), F_OK), 0);
	forget(l);
	/* of the document itself, it is a signature like any other */
	put_named(f, "unseen");
	assert_int_equal(ofs_key_cert_pem(f->key, &pem), 0);
	assert_int_equal(ofs_verifier_new(f->ctx, NULL, &vf), 0);
	assert_int_equal(ofs_verifier_trust(vf, pem, strlen(pem)), 0);
	assert_int_equal(ofs_verify_file(vf, in_dir(f, "unseen"),
				 in_dir(f, "unseen.p7s"), &v),
		0);
	ofs_verifier_free(vf);
	free(pem);
}

/* in a child: dies when its third document is released */
static int
crash(const char *dir)
{
	struct ofs_sign_opts o = open_ended();
	struct fixture f = { .ctx = NULL };
	struct live *l;
	int i;

	softhsm_join(dir);
	open_station(&f, LABEL);
	if (ofs_key_open(f.token, KEY_URI, 0, &f.key) != 0)
		return 1;
	l = begin(&f, &o);
	start(l);
	for (i = 0; i < 3; i++) {
		pthread_mutex_lock(&l->lock);
		l->crash = i == 2;
		pthread_mutex_unlock(&l->lock);
		if (ofs_batch_add_bytes(l->batch, "doomed", "x", 1) != 0)
			return 1;
		await(l, (size_t)i + 1);
	}
	return 1;
}

static void
what_a_crash_leaves_is_closed(void **state)
{
	struct fixture *f = *state;
	const char *argv[] = { self, "crash", f->dir, NULL };
	struct ofs_audit_report r = { .size = 0 };
	struct ofs_sign_opts o = open_ended();
	struct ofs_field field;
	struct live *l;
	ofs_record *rec;

	assert_int_equal(softhsm_run(argv), CRASH_STATUS);
	log_verifies(f, &r);
	assert_int_equal(r.unclosed_batches, 1);
	l = begin(f, &o);
	assert_int_equal(ofs_batch_end(l->batch), 0);
	start(l);
	assert_int_equal(finish(l), 0);
	log_verifies(f, &r);
	assert_int_equal(r.unclosed_batches, 0);
	rec = last_of(f, OFS_REC_BATCH_CLOSED);
	assert_true(ofs_record_find(rec, "signed", &field));
	assert_int_equal(field.number, 3);
	assert_false(ofs_record_find(rec, "list_sha256", &field));
	ofs_record_free(rec);
	forget(l);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_feed_a_batch),
		cmocka_unit_test(one_at_a_time_is_released_at_once),
		cmocka_unit_test(what_cannot_be_taken_is_refused),
		cmocka_unit_test(a_cancelled_batch_takes_no_more),
		cmocka_unit_test(an_end_is_no_wait_for_room),
		cmocka_unit_test(a_callback_adds_and_does_not_wait),
		cmocka_unit_test(a_failure_leaves_nobody_without_answer),
		cmocka_unit_test(nothing_comes_or_only_a_list),
		cmocka_unit_test(digests_are_fed),
		cmocka_unit_test(what_a_crash_leaves_is_closed),
	};

	self = argv[0];
	if (argc == 3 && strcmp(argv[1], "crash") == 0)
		return crash(argv[2]);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, end_station);
}
