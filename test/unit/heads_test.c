/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Heads that were kept outside, compared with a log; and anchors in it. */
#include "keep_kit.h"

#include <offlinesig/checkpoint.h>
#include <offlinesig/heads.h>

#include "audit/handle.h"
#include "base/time.h"

static char file[3][160]; /* head file, manifest, checkpoint */

/* 1 + 300 records, what is kept of them, a record of the backup, 10 more */
static int
fresh(void **state)
{
	struct ofs_audit_init_opts o = OFS_AUDIT_INIT_OPTS_INIT;
	char key[160], *note;
	struct ofs_error e;
	ofs_audit *a;

	(void)state;
	shell("rm -rf '%s'/*", sample_dir);
	snprintf(key, sizeof(key), "file:%s/key", sample_dir);
	snprintf(file[0], sizeof(file[0]), "%s/head", sample_dir);
	snprintf(file[1], sizeof(file[1]), "%s/bak/backup.txt", sample_dir);
	snprintf(file[2], sizeof(file[2]), "%s/checkpoint", sample_dir);
	o.audit_key = key;
	ok(ofs_audit_init(sample_ctx, log_dir, &o), ofs_ctx_error(sample_ctx));
	a = sample_open(0);
	kit_logins(a, 300);
	shell("cp %s/log.head %s/head", log_dir, sample_dir);
	assert_int_equal(ofs_audit_checkpoint(a, true, &note), 0);
	ok(file_write_new(file[2], note, strlen(note), true, &e), &e);
	free(note);
	snprintf(key, sizeof(key), "%s/bak", sample_dir);
	assert_int_equal(ofs_audit_backup(a, key, NULL, NULL, NULL), 0);
	kit_logins(a, 10);
	ofs_audit_free(a);
	return 0;
}

static ofs_audit *
verified(void)
{
	ofs_audit *a = sample_open(OFS_AUDIT_READ_ONLY);
	struct ofs_error e;
	int rc = ofs_audit_verify(a, NULL, NULL, NULL);

	ofs_audit_error(a, &e);
	ok(rc, &e);
	return a;
}

static int
count(void *arg, const struct ofs_audit_head *h)
{
	size_t *n = arg;

	n[h->outside]++;
	assert_true(h->time > 0);
	return 0;
}

static void
agrees(void **state)
{
	static const char *const kind[] = { "head-file", "backup",
		"checkpoint" };
	ofs_audit *a = verified();
	struct ofs_audit_exposure x;
	struct ofs_audit_head h;
	size_t n[2] = { 0, 0 };

	(void)state;
	assert_int_equal(ofs_audit_get_exposure(a, &x), 0);
	assert_false(x.anchored);
	assert_int_equal(x.records, 312);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(ofs_audit_check_head(a, file[i], &h), 0);
		assert_string_equal(h.kind, kind[i]);
		assert_int_equal(h.records, 301);
		assert_string_equal(h.place, file[i]);
	}
	assert_int_equal(ofs_audit_get_exposure(a, &x), 0);
	assert_true(x.anchored);
	assert_int_equal(x.records, 11);
	assert_true(x.since > 0 && x.since <= x.now);
	assert_int_equal(ofs_audit_each_head(a, count, n), 0);
	assert_int_equal(n[0], 2);
	assert_int_equal(n[1], 3);
	ofs_audit_free(a);
}

/* refused, or it says the same of the log: the other slot is whole */
static void
flips(void **state)
{
	ofs_audit *a = verified();
	struct ofs_audit_head h;
	struct buf whole = BUF_INIT;
	struct ofs_error e;
	char path[160];
	size_t refused = 0, same = 0;
	FILE *f;

	(void)state;
	snprintf(path, sizeof(path), "%s/flipped", sample_dir);
	for (size_t i = 0; i < 3; i++) {
		buf_reset(&whole);
		ok(file_read(file[i], 1 << 20, &whole, &e), &e);
		for (size_t at = 0; at < whole.len; at++) {
			whole.p[at] ^= (uint8_t)(1u << at % 8);
			f = fopen(path, "w");
			assert_non_null(f);
			fwrite(whole.p, 1, whole.len, f);
			fclose(f);
			whole.p[at] ^= (uint8_t)(1u << at % 8);
			if (ofs_audit_check_head(a, path, &h) != 0) {
				refused++;
				continue;
			}
			/* a checkpoint is signed, the others are not */
			assert_int_not_equal(i, 2);
			assert_true(h.records <= 301);
			same++;
		}
	}
	print_message("# %zu changed bytes: %zu refused, %zu the same head\n",
		refused + same, refused, same);
	assert_true(refused > 300);
	buf_free(&whole);
	ofs_audit_free(a);
}

/* two processes may sign one size, and what the first signed is stamped */
static void
first_stays(void **state)
{
	static const char other[] = "another one";
	ofs_audit *a = sample_open(0);
	struct ofs_audit_head h;
	struct ofs_error e;

	(void)state;
	sample_begin(a);
	ok(store_checkpoint_put(&a->store, 301, other, sizeof(other), &e), &e);
	sample_commit(a);
	ofs_audit_free(a);
	a = verified();
	assert_int_equal(ofs_audit_check_head(a, file[2], &h), 0);
	ofs_audit_free(a);
}

static struct ofs_error e;

static int
add(const struct rec_anchor *r)
{
	struct buf body = BUF_INIT;
	ofs_audit *a = sample_open(0);
	int rc;

	ok(record_anchor_encode(r, &body, &e), &e);
	sample_begin(a);
	(void)sample_append(a, OFS_REC_ANCHOR, NULL, &body, NULL);
	sample_commit(a);
	ofs_audit_free(a);
	a = sample_open(OFS_AUDIT_READ_ONLY);
	rc = ofs_audit_verify(a, NULL, NULL, NULL);
	ofs_audit_error(a, &e);
	ofs_audit_free(a);
	return rc;
}

static int
add_anchor(uint64_t records, const uint8_t root[32])
{
	return add(&(struct rec_anchor){ .kind = "print",
		.records = records,
		.root = { root, 32 },
		.place = "the safe" });
}

static int
add_stamp(uint64_t records, struct rec_span data)
{
	ofs_audit *a = sample_open(OFS_AUDIT_READ_ONLY);
	uint8_t root[32];

	ok(store_root_at(&a->store, records, root, &e), &e);
	ofs_audit_free(a);
	return add(&(struct rec_anchor){ .kind = "timestamp",
		.records = records,
		.root = { root, 32 },
		.data = data });
}

/* a time-stamp is over a checkpoint that the log keeps */
static void
stamps(void **state)
{
	static const uint8_t nonsense[] = "nonsense";
	const char *top = getenv("OFS_TOP");
	struct buf response = BUF_INIT;
	char path[512];

	snprintf(path, sizeof(path), "%s/test/fuzz/corpus/tsp/response",
		top != NULL ? top : ".");
	ok(file_read(path, 1 << 20, &response, &e), &e);
	ok(add_stamp(301, (struct rec_span){ response.p, response.len }), &e);
	assert_int_equal(
		add_stamp(300, (struct rec_span){ response.p, response.len }),
		OFS_EDAMAGED);
	assert_non_null(strstr(e.message, "record 313 "));
	assert_non_null(strstr(e.message, "is missing"));
	buf_free(&response);
	(void)fresh(state);
	assert_int_equal(
		add_stamp(301, (struct rec_span){ nonsense, 8 }), OFS_EDAMAGED);
	assert_non_null(strstr(e.message, "record 312 "));
	assert_non_null(strstr(e.message, "cannot be read"));
}

static void
anchors(void **state)
{
	struct ofs_audit_report rep;
	size_t n[2] = { 0, 0 };
	ofs_audit *a = verified();

	(void)state;
	assert_int_equal(ofs_audit_verify(a, NULL, NULL, &rep), 0);
	ofs_audit_free(a);
	assert_int_equal(add_anchor(rep.records, rep.root), 0);
	a = verified();
	assert_int_equal(ofs_audit_each_head(a, count, n), 0);
	/* what the log says of itself is none from outside */
	assert_int_equal(n[0], 3);
	assert_int_equal(n[1], 0);
	ofs_audit_free(a);
	rep.root[7] ^= 1;
	assert_int_equal(add_anchor(rep.records, rep.root), OFS_EDAMAGED);
}

static void
anchor_of_the_future(void **state)
{
	static const uint8_t root[32];

	(void)state;
	assert_int_equal(add_anchor(1000000, root), OFS_EDAMAGED);
}

static struct buf
stamped(const char *of)
{
	struct buf response = BUF_INIT;
	char path[160];

	shell("cd %s && openssl ts -query -data %s -sha256 -cert -out q "
	      "2>/dev/null && openssl ts -reply -config tsa.cnf -section tsa "
	      "-queryfile q -out r 2>/dev/null",
		sample_dir, of);
	snprintf(path, sizeof(path), "%s/r", sample_dir);
	ok(file_read(path, 1 << 20, &response, &e), &e);
	return response;
}

static int64_t
later(void *arg)
{
	(void)arg;
	return time_now() + INT64_C(10) * 86400 * 1000000;
}

/* the answer comes when the authority's certificate has ended, or in time */
static int
record_stamp(
	const struct ofs_tsa_opts *o, const struct buf *response, bool late)
{
	struct ofs_ctx_opts co = OFS_CTX_OPTS_INIT;
	struct buf request = BUF_INIT;
	char path[160];
	ofs_audit *a;
	ofs_ctx *ctx;
	int rc;

	if (late)
		co.clock = later;
	assert_int_equal(ofs_ctx_new(&co, &ctx), 0);
	snprintf(path, sizeof(path), "%s/q", sample_dir);
	ok(file_read(path, 1 << 20, &request, &e), &e);
	ok(ofs_audit_open(ctx, log_dir, 0, &a), ofs_ctx_error(ctx));
	rc = ofs_audit_timestamp_record(
		a, o, request.p, request.len, response->p, response->len, NULL);
	ofs_audit_free(a);
	ofs_ctx_free(ctx);
	buf_free(&request);
	return rc;
}

static void
see_stamp(void *arg, const struct ofs_audit_finding *f)
{
	if (strcmp(f->id, "timestamp") == 0)
		*(uint64_t *)arg = f->seq;
}

/* one over the checkpoint, and one by the same authority over something else */
static void
stamps_that_count(void **state)
{
	struct ofs_tsa_opts o = OFS_TSA_OPTS_INIT;
	struct buf good, other, root = BUF_INIT;
	size_t n[2] = { 0, 0 };
	uint64_t seq = 0;
	char path[160];
	ofs_audit *a;

	(void)state;
	shell("cd %s && openssl req -x509 -newkey ec -pkeyopt "
	      "ec_paramgen_curve:P-256 -nodes -subj /CN=tsa -days 1 -addext "
	      "extendedKeyUsage=critical,timeStamping -keyout tsa.key -out "
	      "tsa.pem 2>/dev/null && echo 01 >serial && printf '[tsa]\\n"
	      "serial=serial\\nsigner_cert=tsa.pem\\nsigner_key=tsa.key\\n"
	      "signer_digest=sha256\\ndefault_policy=1.2.3\\ndigests=sha256\\n"
	      "ess_cert_id_alg=sha256\\n' >tsa.cnf && echo other >text",
		sample_dir);
	snprintf(path, sizeof(path), "%s/tsa.pem", sample_dir);
	ok(file_read(path, 1 << 20, &root, &e), &e);
	o.trust = root.p;
	o.trust_len = root.len;
	good = stamped("checkpoint");
	assert_int_equal(record_stamp(&o, &good, true), OFS_EUNTRUSTED);
	assert_int_equal(record_stamp(&o, &good, false), 0);
	other = stamped("text");
	assert_int_equal(record_stamp(&o, &other, false), OFS_EMISMATCH);
	ok(add_stamp(301, (struct rec_span){ other.p, other.len }), &e);
	a = sample_open(OFS_AUDIT_READ_ONLY);
	assert_int_equal(ofs_audit_trust_tsa(a, &o), 0);
	assert_int_equal(ofs_audit_verify(a, see_stamp, &seq, NULL), 0);
	assert_int_equal(seq, 313);
	assert_int_equal(ofs_audit_each_head(a, count, n), 0);
	assert_int_equal(n[1], 1);
	ofs_audit_free(a);
	buf_free(&good);
	buf_free(&other);
	buf_free(&root);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(agrees, fresh),
		cmocka_unit_test_setup(flips, fresh),
		cmocka_unit_test_setup(first_stays, fresh),
		cmocka_unit_test_setup(anchors, fresh),
		cmocka_unit_test_setup(anchor_of_the_future, fresh),
		cmocka_unit_test_setup(stamps, fresh),
		cmocka_unit_test_setup(stamps_that_count, fresh),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, sample_setup, sample_teardown);
}
