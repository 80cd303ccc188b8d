/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Encrypted logs: who reads them, with which keys, and what is seen without. */
#include "log_sample.h"

#include <pthread.h>

#include <openssl/pem.h>

#include "audit/handle.h"
#include "soft.h"

static struct ofs_error e;
static char key_dir[96], key_file[160];
static EVP_PKEY *auditor_key[2];
static X509 *auditor[2];
static struct buf auditor_pem[2], key_pem[2];

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
	static const enum ofs_key_type types[] = { OFS_KEY_EC_P256,
		OFS_KEY_RSA };
	struct soft_cert like = { .from = -SOFT_DAY, .to = SOFT_DAY };
	BIO *b;

	sample_setup(state);
	snprintf(key_dir, sizeof(key_dir), "%s/keys", sample_dir);
	snprintf(key_file, sizeof(key_file), "%s/station.key", key_dir);
	for (int i = 0; i < 2; i++) {
		like.cn = i == 0 ? "First auditor" : "Second auditor";
		auditor_key[i] = soft_key(types[i]);
		auditor[i] = soft_cert(&like, auditor_key[i], NULL, NULL);
		b = BIO_new(BIO_s_mem());
		PEM_write_bio_X509(b, auditor[i]);
		to_buf(b, &auditor_pem[i]);
		b = BIO_new(BIO_s_mem());
		PEM_write_bio_PrivateKey(b, auditor_key[i],
			i == 0 ? NULL : EVP_aes_256_cbc(), NULL, 0, NULL,
			(void *)(uintptr_t) "of the key");
		to_buf(b, &key_pem[i]);
	}
	return 0;
}

static int
teardown(void **state)
{
	for (int i = 0; i < 2; i++) {
		EVP_PKEY_free(auditor_key[i]);
		X509_free(auditor[i]);
		buf_free(&auditor_pem[i]);
		buf_free(&key_pem[i]);
	}
	return sample_teardown(state);
}

static struct ofs_audit_cert
cert(int i)
{
	return (struct ofs_audit_cert){ auditor_pem[i].p, auditor_pem[i].len };
}

static void
make(const struct ofs_audit_init_opts *o)
{
	shell("rm -rf '%s' '%s'", log_dir, key_dir);
	ok(ofs_audit_init(sample_ctx, log_dir, o), ofs_ctx_error(sample_ctx));
}

/* for the first auditor, and a station key */
static void
make_station(const char *passphrase)
{
	struct ofs_audit_init_opts o = OFS_AUDIT_INIT_OPTS_INIT;
	struct ofs_audit_cert c = cert(0);

	o.station_key = key_file;
	o.passphrase = passphrase;
	o.auditors = &c;
	o.n_auditors = 1;
	make(&o);
}

static bool
file_holds(const char *text)
{
	char cmd[256];

	snprintf(cmd, sizeof(cmd), "grep -rqaF '%s' '%s'", text, log_dir);
	return system(cmd) == 0;
}

/* the fields of a record; NULL: it is sealed */
static bool
readable(ofs_audit *a, uint64_t seq, const char *field)
{
	struct ofs_record_head h;
	struct ofs_field f;
	ofs_record *rec;
	bool has;

	if (ofs_audit_get(a, seq, &rec) != 0) {
		ofs_audit_error(a, &e);
		fail_msg("%s", e.message);
	}
	ofs_record_get_head(rec, &h);
	has = ofs_record_find(rec, field, &f);
	assert_int_equal(has, !h.sealed);
	ofs_record_free(rec);
	return has;
}

static void
station(void **state)
{
	struct ofs_audit_report rep;
	struct ofs_audit_keys k;
	ofs_audit *a;

	(void)state;
	make_station(NULL);
	a = sample_open(0);
	ok(ofs_audit_get_keys(a, &k), &e);
	assert_int_equal(k.mode, OFS_AUDIT_STATION);
	assert_string_equal(k.station_key, key_file);
	assert_true(k.readable);
	assert_int_equal(k.epochs, 1);
	sample_whole_batch(a, 1, 5);
	assert_true(readable(a, 4, "document.path"));
	ofs_audit_free(a);
	assert_false(file_holds("doc-0001"));
	assert_false(file_holds("payroll"));
	ok(sample_verify(&rep, &e), &e);
	assert_int_equal(rep.signed_items, 5);
	assert_int_equal(rep.sealed_bodies, 0);
	assert_int_equal(rep.epochs, 1);
}

static void
no_station_key(void **state)
{
	struct ofs_audit_report rep;
	ofs_audit *a;

	(void)state;
	make_station(NULL);
	a = sample_open(0);
	sample_whole_batch(a, 1, 5);
	ofs_audit_free(a);
	shell("mv '%s' '%s.away'", key_file, key_file);
	/* the tree and the headers can be checked, and nothing is read */
	ok(sample_verify(&rep, &e), &e);
	assert_int_equal(rep.sealed_bodies, 8);
	assert_int_equal(rep.records, 10);
	assert_int_equal(rep.batches, 1);
	assert_int_equal(rep.outcomes, 5);
	assert_int_equal(rep.signed_items, 0);
	a = sample_open(0);
	assert_false(readable(a, 4, "document.path"));
	assert_true(readable(a, 0, "origin"));
	/* and nothing is written, which is said before anything is done */
	assert_int_equal(log_begin(a, &e), OFS_EAUDIT);
	assert_non_null(strstr(e.message, "station.key"));
	ofs_audit_free(a);
	/* a wrong one is no key */
	shell("head -c 32 /dev/zero >'%s'; chmod 600 '%s'", key_file, key_file);
	a = sample_open(OFS_AUDIT_READ_ONLY);
	assert_false(readable(a, 4, "document.path"));
	ofs_audit_free(a);
	shell("mv '%s.away' '%s'; chmod 644 '%s'", key_file, key_file,
		key_file);
	a = sample_open(0);
	assert_int_equal(log_begin(a, &e), OFS_EAUDIT);
	assert_non_null(strstr(e.message, "0644"));
	ofs_audit_free(a);
	shell("chmod 600 '%s'", key_file);
	a = sample_open(0);
	sample_whole_batch(a, 2, 1);
	ofs_audit_free(a);
}

static int
unlock(ofs_audit *a, int who, const char *passphrase)
{
	struct ofs_audit_unlock_opts o = OFS_AUDIT_UNLOCK_OPTS_INIT;
	int rc;

	o.passphrase = passphrase;
	if (who >= 0) {
		o.key = key_pem[who].p;
		o.key_len = key_pem[who].len;
	}
	rc = ofs_audit_unlock(a, &o);
	ofs_audit_error(a, &e);
	return rc;
}

static void
auditors(void **state)
{
	struct ofs_audit_report rep;
	ofs_audit *a;

	(void)state;
	make_station("correct horse");
	a = sample_open(0);
	sample_whole_batch(a, 1, 5);
	ofs_audit_free(a);
	shell("rm '%s'", key_file);
	a = sample_open(OFS_AUDIT_READ_ONLY);
	assert_false(readable(a, 4, "document.path"));
	assert_int_equal(unlock(a, 1, NULL), OFS_ENOPIN);
	assert_int_equal(unlock(a, 1, "wrong"), OFS_EPIN);
	assert_int_equal(unlock(a, 1, "of the key"), OFS_ECERT);
	assert_false(readable(a, 4, "document.path"));
	ok(unlock(a, 0, NULL), &e);
	assert_true(readable(a, 4, "document.path"));
	ok(ofs_audit_verify(a, NULL, NULL, &rep), &e);
	assert_int_equal(rep.signed_items, 5);
	ofs_audit_free(a);
	a = sample_open(OFS_AUDIT_READ_ONLY);
	assert_int_equal(unlock(a, -1, "wrong"), OFS_EPIN);
	assert_false(readable(a, 4, "document.path"));
	ok(unlock(a, -1, "correct horse"), &e);
	assert_true(readable(a, 4, "document.path"));
	ofs_audit_free(a);
	/* with one of these the log is written, too, and the reading first */
	a = sample_open(0);
	assert_int_equal(log_begin(a, &e), OFS_EAUDIT);
	ok(unlock(a, -1, "correct horse"), &e);
	assert_true(readable(a, 10, "event"));
	sample_whole_batch(a, 2, 1);
	ok(ofs_audit_verify(a, NULL, NULL, &rep), &e);
	assert_int_equal(rep.signed_items, 6);
	ofs_audit_free(a);
}

static bool
last_reason_has(ofs_audit *a, const char *words)
{
	struct ofs_field f;
	ofs_record *rec;
	uint64_t n;
	bool has;

	assert_int_equal(ofs_audit_size(a, &n), 0);
	assert_int_equal(ofs_audit_get(a, n - 1, &rec), 0);
	assert_true(ofs_record_find(rec, "reason", &f));
	has = f.len >= strlen(words) &&
		memcmp(f.bytes, words, strlen(words)) == 0;
	ofs_record_free(rec);
	return has;
}

static int
unlock_file(ofs_audit *a, const char *path)
{
	struct ofs_audit_unlock_opts o = OFS_AUDIT_UNLOCK_OPTS_INIT;
	int rc;

	o.station_key = path;
	rc = ofs_audit_unlock(a, &o);
	ofs_audit_error(a, &e);
	return rc;
}

/* ... and takes nothing away of what was open before */
static void
what_opens_nothing_is_forgotten(void **state)
{
	struct ofs_audit_rotate_opts o = OFS_AUDIT_ROTATE_OPTS_INIT;
	char other[600];
	ofs_audit *a;

	(void)state;
	make_station("correct horse");
	snprintf(other, sizeof(other), "%s.other", key_file);
	shell("head -c 32 /dev/urandom >'%s'; chmod 600 '%s'", other, other);
	a = sample_open(0);
	sample_whole_batch(a, 1, 5);
	assert_true(readable(a, 4, "document.path"));
	assert_int_equal(unlock_file(a, other), OFS_EPIN);
	assert_int_equal(unlock(a, 1, "of the key"), OFS_ECERT);
	assert_int_equal(unlock(a, -1, "wrong"), OFS_EPIN);
	assert_true(readable(a, 4, "document.path"));
	sample_whole_batch(a, 2, 1);
	/* the wrong passphrase is not taken for the new key */
	assert_int_equal(ofs_audit_rotate(a, &o), OFS_ENOPIN);
	ok(unlock(a, -1, "correct horse"), &e);
	assert_int_equal(unlock_file(a, other), OFS_EPIN);
	ok(ofs_audit_rotate(a, &o), &e);
	sample_whole_batch(a, 3, 1);
	ofs_audit_free(a);
	a = sample_open(OFS_AUDIT_READ_ONLY);
	assert_true(readable(a, 4, "document.path"));
	ofs_audit_free(a);
	/* with the station key gone, one of two goes on with */
	shell("mv '%s' '%s'", key_file, other);
	a = sample_open(OFS_AUDIT_READ_ONLY);
	ok(unlock(a, 0, NULL), &e);
	assert_int_equal(unlock(a, -1, "wrong"), OFS_EPIN);
	assert_int_equal(unlock(a, 1, "of the key"), OFS_ECERT);
	assert_true(readable(a, 4, "document.path"));
	ofs_audit_free(a);
	a = sample_open(OFS_AUDIT_READ_ONLY);
	ok(unlock_file(a, other), &e);
	ok(unlock(a, 0, NULL), &e);
	assert_true(readable(a, 4, "document.path"));
	ofs_audit_free(a);
	/* each reading says with what */
	a = sample_open(0);
	ok(unlock(a, 0, NULL), &e);
	assert_true(last_reason_has(a, "with the key of 'CN="));
	ok(unlock(a, -1, "correct horse"), &e);
	assert_true(last_reason_has(a, "with the passphrase"));
	ofs_audit_free(a);
}

/* nothing is wrapped by what was changed since it came into the handle */
static void
what_was_changed_is_not_wrapped_for(void **state)
{
	struct ofs_audit_rotate_opts same = OFS_AUDIT_ROTATE_OPTS_INIT,
				     change = OFS_AUDIT_ROTATE_OPTS_INIT;
	char other[600];
	ofs_audit *a, *b;

	(void)state;
	make_station("the old one");
	snprintf(other, sizeof(other), "%s.other", key_file);
	a = sample_open(0);
	ok(unlock(a, -1, "the old one"), &e);
	b = sample_open(0);
	change.passphrase = "the new one";
	ok(ofs_audit_rotate(b, &change), &e);
	ofs_audit_free(b);
	assert_int_equal(ofs_audit_rotate(a, &same), OFS_ENOPIN);
	/* it opens what is older, and so to read it is taken */
	ok(unlock(a, -1, "the old one"), &e);
	assert_int_equal(ofs_audit_rotate(a, &same), OFS_ENOPIN);
	ok(unlock(a, -1, "the new one"), &e);
	ok(ofs_audit_rotate(a, &same), &e);
	b = sample_open(0);
	ok(unlock(b, -1, "the new one"), &e);
	change.passphrase = NULL;
	change.station_key = other;
	ok(ofs_audit_rotate(b, &change), &e);
	ofs_audit_free(b);
	/* that of now opens it to this handle, whose file is the old one */
	ok(unlock(a, -1, "the new one"), &e);
	assert_int_equal(ofs_audit_rotate(a, &same), OFS_EAUDIT);
	ofs_audit_error(a, &e);
	assert_non_null(strstr(e.message, "what was written last"));
	ofs_audit_free(a);
	a = sample_open(0);
	sample_whole_batch(a, 1, 1);
	ok(unlock(a, -1, "the new one"), &e);
	ok(ofs_audit_rotate(a, &same), &e);
	ofs_audit_free(a);
}

#define ROUNDS 50

static void *
look_at_keys(void *arg)
{
	struct ofs_audit_keys k;
	intptr_t failed = 0;

	for (int i = 0; i < 50 * ROUNDS; i++)
		failed += ofs_audit_get_keys(arg, &k) != 0 || !k.readable;
	return (void *)failed;
}

static void *
verify(void *arg)
{
	struct ofs_audit_report rep;
	intptr_t failed = 0;

	for (int i = 0; i < ROUNDS; i++)
		failed += ofs_audit_verify(arg, NULL, NULL, &rep) != 0;
	return (void *)failed;
}

static void *
read_as_auditor(void *arg)
{
	struct ofs_audit_unlock_opts o = OFS_AUDIT_UNLOCK_OPTS_INIT;
	intptr_t failed = 0;

	o.key = key_pem[0].p;
	o.key_len = key_pem[0].len;
	for (int i = 0; i < ROUNDS; i++)
		failed += ofs_audit_unlock(arg, &o) != 0;
	return (void *)failed;
}

/* one unlocks what others look at; for the sanitizers */
static void
threads(void **state)
{
	static void *(*const run[4])(void *) = { look_at_keys, verify,
		read_as_auditor, read_as_auditor };
	char other[600];
	pthread_t t[4];
	void *failed;
	ofs_audit *a;

	(void)state;
	make_station(NULL);
	snprintf(other, sizeof(other), "%s.other", key_file);
	shell("head -c 32 /dev/urandom >'%s'; chmod 600 '%s'", other, other);
	a = sample_open(0);
	sample_whole_batch(a, 1, 5);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, run[i], a), 0);
	for (int i = 0; i < ROUNDS; i++)
		assert_int_equal(unlock_file(a, other), OFS_EPIN);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(t[i], &failed), 0);
		assert_int_equal((intptr_t)failed, 0);
	}
	ofs_audit_free(a);
}

#define CHAIN 150
#ifdef __SANITIZE_ADDRESS__
#define SMALL_STACK (1024 * 1024) /* its frames are larger */
#else
#define SMALL_STACK (64 * 1024)
#endif

static void *
read_oldest(void *arg)
{
	static int rc;
	ofs_record *rec;

	rc = ofs_audit_get(arg, 3, &rec);
	if (rc == 0 && !ofs_record_find(rec, "event", &(struct ofs_field){ 0 }))
		rc = 1;
	ofs_record_free(rec);
	return &rc;
}

/* each epoch opens with the key of the next only, and the newest by itself */
static void
reads_through_many_epochs(void **state)
{
	struct ofs_audit_rotate_opts r = OFS_AUDIT_ROTATE_OPTS_INIT;
	char path[192];
	pthread_attr_t small;
	pthread_t thread;
	ofs_audit *a;
	void *rc;

	(void)state;
	make_station(NULL);
	a = sample_open(0);
	for (int i = 0; i < CHAIN; i++) {
		snprintf(path, sizeof(path), "%s/%d.key", key_dir, i);
		r.station_key = path;
		ok(ofs_audit_rotate(a, &r), (ofs_audit_error(a, &e), &e));
	}
	ofs_audit_free(a);
	a = sample_open(OFS_AUDIT_READ_ONLY);
	assert_int_equal(pthread_attr_init(&small), 0);
	assert_int_equal(pthread_attr_setstacksize(&small, SMALL_STACK), 0);
	assert_int_equal(pthread_create(&thread, &small, read_oldest, a), 0);
	assert_int_equal(pthread_join(thread, &rc), 0);
	assert_int_equal(*(int *)rc, 0);
	pthread_attr_destroy(&small);
	ofs_audit_free(a);
}

static void
rotates(void **state)
{
	struct ofs_audit_rotate_opts r = OFS_AUDIT_ROTATE_OPTS_INIT;
	struct ofs_audit_cert c = cert(1);
	struct ofs_audit_report rep;
	ofs_audit *a, *other;
	uint8_t sum[32];
	char hex[65];
	const char *drop = hex;

	(void)state;
	make_station(NULL);
	a = sample_open(0);
	other = sample_open(0);
	sample_whole_batch(a, 1, 1); /* records 2 to 5 */
	r.auditors = &c;
	r.n_auditors = 1;
	r.drop = &drop;
	r.n_drop = 1;
	for (size_t i = 0; i < 32; i++)
		sum[i] = 0;
	snprintf(hex, sizeof(hex), "00000000000000");
	assert_int_equal(ofs_audit_rotate(a, &r), OFS_EINVAL);
	ok(X509_digest(auditor[0], EVP_sha256(), sum, NULL) == 1 ? 0 : -1, &e);
	for (size_t i = 0; i < 4; i++)
		snprintf(hex + 2 * i, 3, "%02x", sum[i]);
	if (ofs_audit_rotate(a, &r) != 0) {
		ofs_audit_error(a, &e);
		fail_msg("%s", e.message);
	}
	/* 6 and 7; another handle goes on with the new key by itself */
	sample_whole_batch(other, 2, 1); /* 8 to 11 */
	ofs_audit_free(other);
	ofs_audit_free(a);
	ok(sample_verify(&rep, &e), &e);
	assert_int_equal(rep.epochs, 2);
	assert_int_equal(rep.signed_items, 2);
	shell("mv '%s' '%s.away'", key_file, key_file);
	a = sample_open(OFS_AUDIT_READ_ONLY);
	ok(unlock(a, 0, NULL), &e);
	assert_true(readable(a, 4, "document.path"));
	assert_false(readable(a, 10, "document.path"));
	ofs_audit_free(a);
	a = sample_open(OFS_AUDIT_READ_ONLY);
	ok(unlock(a, 1, "of the key"), &e);
	assert_true(readable(a, 4, "document.path"));
	assert_true(readable(a, 10, "document.path"));
	ofs_audit_free(a);
	shell("mv '%s.away' '%s'", key_file, key_file);
}

/* as somebody may who can write the file */
static void
tamper(const char *sql, int opened, int verified)
{
	ofs_audit *a;
	int rc;

	shell("cp '%s/log.db' '%s/kept.db'", log_dir, sample_dir);
	shell("sqlite3 '%s/log.db' \"%s\" >/dev/null", log_dir, sql);
	rc = ofs_audit_open(sample_ctx, log_dir, OFS_AUDIT_READ_ONLY, &a);
	if (rc != opened)
		fail_msg("%s: %s", sql, ofs_ctx_error(sample_ctx)->message);
	if (rc == 0) {
		rc = ofs_audit_verify(a, NULL, NULL, NULL);
		ofs_audit_error(a, &e);
		ofs_audit_free(a);
		if (rc != verified)
			fail_msg("%s: %s", sql, e.message);
	}
	shell("cp '%s/kept.db' '%s/log.db'", sample_dir, log_dir);
}

static void
tampered(void **state)
{
	ofs_audit *a;

	(void)state;
	make_station(NULL);
	a = sample_open(0);
	sample_whole_batch(a, 1, 2);
	ofs_audit_free(a);
	tamper("SELECT 1", 0, 0);
	tamper("DELETE FROM epoch", OFS_EDAMAGED, 0);
	tamper("UPDATE epoch SET seq = 2", OFS_EDAMAGED, 0);
	tamper("UPDATE epoch SET epoch = 2", OFS_EDAMAGED, 0);
	tamper("INSERT INTO epoch VALUES (2, 3)", OFS_EDAMAGED, 0);
	tamper("INSERT INTO epoch VALUES (2, 1)", OFS_EDAMAGED, 0);
	tamper("UPDATE record SET tag = zeroblob(16) WHERE seq = 4", 0,
		OFS_EDAMAGED);
	tamper("UPDATE record SET tag = NULL WHERE seq = 4", 0, OFS_EDAMAGED);
	tamper("UPDATE record SET body = (SELECT body FROM record WHERE "
	       "seq = 5) WHERE seq = 4",
		0, OFS_EDAMAGED);
	tamper("UPDATE record SET body = (SELECT body FROM record WHERE "
	       "seq = 0) WHERE seq = 1",
		OFS_EDAMAGED, 0);
}

/* a key that opens its wrap, and is not the one that was promised */
static void
other_key(void **state)
{
	struct ofs_field f;
	ofs_record *rec;
	ofs_audit *a;
	char hex[65];

	(void)state;
	make_station(NULL);
	a = sample_open(0);
	sample_whole_batch(a, 1, 1);
	assert_int_equal(ofs_audit_get(a, 1, &rec), 0);
	assert_true(ofs_record_find(rec, "key_commit", &f));
	assert_int_equal(f.len, 32);
	for (size_t i = 0; i < f.len; i++)
		snprintf(hex + 2 * i, 3, "%02x", f.bytes[i]);
	ofs_record_free(rec);
	ofs_audit_free(a);
	shell("perl -0777 -pi -e 'BEGIN { $c = pack(q(H*), q(%s)) } "
	      "s/\\Q$c\\E/q(x) x 32/e' '%s/log.db'",
		hex, log_dir);
	a = sample_open(OFS_AUDIT_READ_ONLY);
	assert_int_equal(ofs_audit_get(a, 4, &rec), OFS_EDAMAGED);
	ofs_audit_error(a, &e);
	assert_non_null(strstr(e.message, "commits to"));
	ofs_audit_free(a);
}

/* an epoch whose transaction was dropped is not written with */
static void
rolled_back(void **state)
{
	struct ofs_audit_rotate_opts r = OFS_AUDIT_ROTATE_OPTS_INIT;
	struct ofs_audit_cert c = cert(1);
	struct ofs_audit_report rep;
	ofs_audit *a;

	(void)state;
	make_station(NULL);
	a = sample_open(0);
	r.station_key = log_dir; /* a directory: fails in the transaction */
	r.auditors = &c;
	r.n_auditors = 1;
	assert_int_not_equal(ofs_audit_rotate(a, &r), 0);
	sample_whole_batch(a, 1, 2);
	ofs_audit_free(a);
	ok(sample_verify(&rep, &e), &e);
	assert_int_equal(rep.epochs, 1);
	assert_int_equal(rep.sealed_bodies, 0);
}

static void
refused(const struct ofs_audit_init_opts *o, const char *words)
{
	shell("rm -rf '%s' '%s'", log_dir, key_dir);
	assert_int_not_equal(ofs_audit_init(sample_ctx, log_dir, o), 0);
	if (strstr(ofs_ctx_error(sample_ctx)->message, words) == NULL)
		fail_msg("'%s' does not say '%s'",
			ofs_ctx_error(sample_ctx)->message, words);
}

static void
refuses(void **state)
{
	struct ofs_audit_init_opts o = OFS_AUDIT_INIT_OPTS_INIT, n = o;
	struct ofs_audit_cert bad = { key_pem[0].p, 10 };
	char inside[160];

	(void)state;
	n.sealed = true;
	refused(&n, "needs the certificate");
	n = o, n.sealed = true, n.passphrase = "x";
	refused(&n, "sealed");
	n = o, n.plain = true, n.station_key = key_file;
	refused(&n, "plain");
	n = o, n.station_key = key_file, n.auditors = &bad, n.n_auditors = 1;
	refused(&n, "certificate");
	n = o, n.passphrase = "";
	refused(&n, "passphrase");
	snprintf(inside, sizeof(inside), "%s/sub/k.key", log_dir);
	n = o, n.station_key = inside;
	refused(&n, "every thief");
}

/* where the context says where: what a tool does by itself */
static void
by_default(void **state)
{
	struct ofs_ctx_opts co = OFS_CTX_OPTS_INIT;
	struct ofs_audit_keys k;
	char want[256];
	ofs_audit *a;
	ofs_ctx *ctx;

	(void)state;
	shell("rm -rf '%s' '%s'", log_dir, key_dir);
	co.station_keys = key_dir;
	assert_int_equal(ofs_ctx_new(&co, &ctx), 0);
	ok(ofs_audit_open(ctx, log_dir, OFS_AUDIT_CREATE, &a),
		ofs_ctx_error(ctx));
	ok(ofs_audit_get_keys(a, &k), &e);
	snprintf(want, sizeof(want), "%s/%s.key", key_dir, k.id);
	assert_string_equal(k.station_key, want);
	shell("test $(stat -c %%a '%s') = 600 -a $(stat -c %%s '%s') = 32",
		want, want);
	shell("test $(stat -c %%a '%s') = 700", key_dir);
	sample_whole_batch(a, 1, 2);
	ofs_audit_free(a);
	ofs_ctx_free(ctx);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(station),
		cmocka_unit_test(no_station_key),
		cmocka_unit_test(auditors),
		cmocka_unit_test(what_opens_nothing_is_forgotten),
		cmocka_unit_test(what_was_changed_is_not_wrapped_for),
		cmocka_unit_test(rotates),
		cmocka_unit_test(threads),
		cmocka_unit_test(reads_through_many_epochs),
		cmocka_unit_test(tampered),
		cmocka_unit_test(other_key),
		cmocka_unit_test(rolled_back),
		cmocka_unit_test(refuses),
		cmocka_unit_test(by_default),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
