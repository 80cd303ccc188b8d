/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is known before a batch, what is asked meanwhile, what is left after. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <offlinesig.h>

#include "base/file.h"
#include "base/hex.h"
#include "base/time.h"
#include "crypto/digest.h"
#include "station_kit.h"

#define LABEL "plan"
#define KEY_URI "pkcs11:token=" LABEL ";object=signer"
#define RSA_URI "pkcs11:token=" LABEL ";object=rsa"
#define SECOND INT64_C(1000000)

/* the other key of the token; it has no certificate */
static ofs_key *rsa;

/* a medium that returns other bytes than it was given */
static bool rots;

int
posix_fadvise(int fd, off_t offset, off_t len, int advice)
{
	char name[40];
	int other;

	(void)offset;
	(void)len;
	if (!rots || advice != POSIX_FADV_DONTNEED)
		return 0;
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	other = open(name, O_WRONLY);
	assert_int_equal(pwrite(other, "x", 1, 20), 1);
	close(other);
	return 0;
}

/* what the result callback saw last, and of item 0 */
struct tally {
	size_t by_status[5];
	int code, copy_code;
	char message[1024], copy[600], copy_message[1024];
	uint64_t seq;
};

static void
note(void *arg, const struct ofs_result *r)
{
	struct tally *t = arg;

	t->by_status[r->status]++;
	t->seq = r->seq;
	t->copy_code = r->copy_code;
	snprintf(t->copy, sizeof(t->copy), "%s", r->copy ? r->copy : "");
	snprintf(t->copy_message, sizeof(t->copy_message), "%s",
		r->copy_message);
	if (r->code == 0)
		return;
	t->code = r->code;
	snprintf(t->message, sizeof(t->message), "%s", r->message);
}

static int
setup(void **state)
{
	struct ofs_enroll_opts o = OFS_ENROLL_OPTS_INIT;

	*state = make_signer(LABEL, KEY_URI);
	o.key_type = "rsa:2048";
	enroll_key(*state, RSA_URI, &o, &rsa);
	return 0;
}

static int
teardown(void **state)
{
	ofs_key_free(rsa);
	return end_station(state);
}

static ofs_batch *
new_batch(struct fixture *f, const struct ofs_sign_opts *o, struct tally *t)
{
	ofs_batch *b;

	memset(t, 0, sizeof(*t));
	if (ofs_batch_new(f->ctx, f->key, f->audit, o, &b) != 0)
		fail_msg("%s", ofs_ctx_error(f->ctx)->message);
	ofs_batch_on_result(b, note, t);
	return b;
}

static void
add(ofs_batch *b, const char *path)
{
	assert_int_equal(ofs_batch_add_file(b, path, NULL), 0);
}

static void
tells_what_it_would_do(void **state)
{
	struct fixture *f = *state;
	static const uint8_t wrong[32] = { 1 };
	const struct ofs_plan *plan;
	struct ofs_progress p;
	uint8_t list[32];
	struct tally t;
	ofs_batch *b = new_batch(f, NULL, &t);

	put(in_dir(f, "a.xml"), "pay");
	put(in_dir(f, "b.XML"), "pay more");
	put(in_dir(f, "c.pdf"), "pay");
	put(in_dir(f, "d.xml"), "not this");
	put(in_dir(f, "e.xml"), "there");
	put(in_dir(f, "e.xml.p7s"), "already");
	assert_null(ofs_batch_get_plan(b));
	add(b, in_dir(f, "a.xml"));
	add(b, in_dir(f, "b.XML"));
	add(b, in_dir(f, "c.pdf"));
	assert_int_equal(ofs_batch_add_file(b, in_dir(f, "d.xml"), wrong), 0);
	add(b, in_dir(f, "missing"));
	add(b, in_dir(f, "e.xml"));
	assert_int_equal(ofs_batch_list_sha256(b, list), 0);
	assert_int_equal(ofs_batch_plan(b, &p), OFS_EITEMS);
	plan = ofs_batch_get_plan(b);
	assert_int_equal(plan->items, 6);
	assert_int_equal(plan->ready, 3);
	assert_int_equal(plan->failed, 3);
	assert_int_equal(plan->mismatched, 1);
	assert_int_equal(plan->unreadable, 1);
	assert_int_equal(plan->existing, 1);
	assert_int_equal(plan->refused, 0);
	/* e.xml, too: what is there could be its signature */
	assert_int_equal(plan->bytes, 3 + 8 + 3 + 8 + 5);
	assert_int_equal(plan->largest, 8);
	assert_string_equal(plan->largest_path, in_dir(f, "b.XML"));
	assert_int_equal(plan->n_types, 2);
	assert_string_equal(plan->types[0].extension, "xml");
	assert_int_equal(plan->types[0].items, 4);
	assert_int_equal(plan->types[0].bytes, 24);
	assert_string_equal(plan->types[1].extension, "pdf");
	assert_int_equal(plan->n_duplicates, 1);
	assert_int_equal(plan->duplicates[0].index, 2);
	assert_int_equal(plan->duplicates[0].first, 0);
	assert_string_equal(plan->duplicates[0].path, in_dir(f, "c.pdf"));
	assert_memory_equal(plan->list_sha256, list, 32);
	assert_true(plan->has_cert);
	assert_string_equal(plan->subject, "CN=Signer of a test");
	assert_int_equal(plan->days_left, 9);
	assert_string_equal(
		plan->key_usage, "digitalSignature, nonRepudiation");
	/* the list stays as it was planned */
	assert_int_equal(
		ofs_batch_add_file(b, in_dir(f, "a.xml"), NULL), OFS_EINVAL);
	assert_int_equal(ofs_batch_plan(b, &p), OFS_EINVAL);
	ofs_batch_free(b);
}

static void
counts_many_extensions(void **state)
{
	struct fixture *f = *state;
	const struct ofs_plan *plan;
	struct ofs_progress p;
	struct tally t;
	static char names[100][32];
	size_t items = 0;
	ofs_batch *b = new_batch(f, NULL, &t);

	for (int i = 0; i < 100; i++) {
		snprintf(names[i], sizeof(names[i]), "n%d.x%d", i, i);
		assert_int_equal(
			ofs_batch_add_bytes(b, names[i], names[i], 32), 0);
	}
	assert_int_equal(ofs_batch_add_bytes(b, ".hidden", "1", 1), 0);
	assert_int_equal(
		ofs_batch_add_bytes(b, "a.very-long-extension", "2", 1), 0);
	assert_int_equal(ofs_batch_plan(b, &p), 0);
	plan = ofs_batch_get_plan(b);
	assert_int_equal(plan->n_types, 32);
	assert_string_equal(plan->types[31].extension, "*");
	for (size_t i = 0; i < plan->n_types; i++)
		items += plan->types[i].items;
	assert_int_equal(items, 102);
	assert_int_equal(plan->n_duplicates, 0);
	ofs_batch_free(b);
}

/* each is told with the first of its kind, in the order of the list */
static void
finds_every_duplicate(void **state)
{
	static const char *const texts[] = { "a", "b", "a", "c", "b", "a" };
	static const size_t want[][2] = { { 2, 0 }, { 4, 1 }, { 5, 0 } };
	struct fixture *f = *state;
	const struct ofs_plan *plan;
	struct ofs_progress p;
	struct tally t;
	char name[16];
	ofs_batch *b = new_batch(f, NULL, &t);

	for (size_t i = 0; i < 6; i++) {
		snprintf(name, sizeof(name), "n%zu", i);
		assert_int_equal(ofs_batch_add_bytes(b, name, texts[i], 1), 0);
	}
	assert_int_equal(ofs_batch_plan(b, &p), 0);
	plan = ofs_batch_get_plan(b);
	assert_int_equal(plan->n_duplicates, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(plan->duplicates[i].index, want[i][0]);
		assert_int_equal(plan->duplicates[i].first, want[i][1]);
	}
	assert_string_equal(plan->duplicates[2].path, "n5");
	assert_string_equal(plan->duplicates[2].first_path, "n0");
	ofs_batch_free(b);
}

/* with a key that was opened without a login, which a real one replaces */
static void
signs_what_was_planned(void **state)
{
	struct fixture *f = *state;
	struct ofs_progress p;
	struct tally t;
	ofs_key *pub;
	ofs_batch *b;
	int asked;

	assert_int_equal(
		ofs_key_open(f->token, KEY_URI, OFS_KEY_PUBLIC_ONLY, &pub), 0);
	put(in_dir(f, "p1"), "one");
	put(in_dir(f, "p2"), "two");
	assert_int_equal(ofs_batch_new(f->ctx, pub, f->audit, NULL, &b), 0);
	memset(&t, 0, sizeof(t));
	add(b, in_dir(f, "p1"));
	add(b, in_dir(f, "p2"));
	add(b, in_dir(f, "p3"));
	asked = f->seen.asked[OFS_PIN_USER];
	assert_int_equal(ofs_batch_plan(b, &p), OFS_EITEMS);
	assert_int_equal(f->seen.asked[OFS_PIN_USER], asked);
	assert_int_equal(ofs_batch_get_plan(b)->ready, 2);
	put(in_dir(f, "p2"), "tWo");
	put(in_dir(f, "p3"), "was not there");
	assert_int_equal(ofs_batch_add_key(b, pub), OFS_EINVAL);
	assert_int_equal(ofs_batch_add_key(b, f->key), 0);
	assert_int_equal(ofs_batch_add_key(b, f->key), OFS_EINVAL);
	ofs_key_free(pub);
	ofs_batch_on_result(b, note, &t);
	assert_int_equal(ofs_batch_run(b, &p), OFS_EITEMS);
	assert_int_equal(p.signed_items, 1);
	assert_int_equal(p.failed, 2);
	assert_int_equal(t.code, OFS_EMISMATCH);
	assert_int_equal(access(in_dir(f, "p1.p7s"), F_OK), 0);
	assert_int_not_equal(access(in_dir(f, "p2.p7s"), F_OK), 0);
	assert_int_not_equal(access(in_dir(f, "p3.p7s"), F_OK), 0);
	assert_int_equal(ofs_batch_run(b, &p), OFS_EINVAL);
	ofs_batch_free(b);
}

static void
estimates_from_the_log(void **state)
{
	struct fixture *f = *state;
	struct ofs_sign_opts o = OFS_SIGN_OPTS_INIT;
	const struct ofs_plan *plan;
	struct ofs_progress p;
	struct tally t;
	ofs_batch *b = new_batch(f, NULL, &t);

	for (int i = 0; i < 40; i++)
		assert_int_equal(ofs_batch_add_bytes(b, "x", "x", 1), 0);
	assert_int_equal(ofs_batch_run(b, &p), 0);
	ofs_batch_free(b);
	b = new_batch(f, NULL, &t);
	for (int i = 0; i < 10; i++)
		assert_int_equal(ofs_batch_add_bytes(b, "x", "x", 1), 0);
	assert_int_equal(ofs_batch_plan(b, &p), 0);
	plan = ofs_batch_get_plan(b);
	assert_int_equal(plan->rate_source, OFS_RATE_BATCH);
	assert_true(plan->per_second > 40.0 * SECOND / (double)p.elapsed / 1e6);
	assert_true(plan->seconds > 0);
	assert_true(plan->seconds * plan->per_second > 9.9 &&
		plan->seconds * plan->per_second < 10.1);
	ofs_batch_free(b);
	/* not faster than it may be */
	o.rate = 60;
	b = new_batch(f, &o, &t);
	for (int i = 0; i < 10; i++)
		assert_int_equal(ofs_batch_add_bytes(b, "x", "x", 1), 0);
	assert_int_equal(ofs_batch_plan(b, &p), 0);
	assert_true(ofs_batch_get_plan(b)->seconds == 10);
	ofs_batch_free(b);
	/* another key is another matter */
	o.rate = 0;
	o.format = OFS_FORMAT_RAW;
	assert_int_equal(ofs_batch_new(f->ctx, rsa, f->audit, &o, &b), 0);
	assert_int_equal(ofs_batch_add_bytes(b, "x", "x", 1), 0);
	assert_int_equal(ofs_batch_plan(b, &p), 0);
	assert_int_equal(ofs_batch_get_plan(b)->rate_source, OFS_RATE_UNKNOWN);
	ofs_batch_free(b);
	/* without a log nothing is known */
	assert_int_equal(ofs_batch_new(f->ctx, f->key, NULL, NULL, &b), 0);
	assert_int_equal(ofs_batch_add_bytes(b, "x", "x", 1), 0);
	assert_int_equal(ofs_batch_plan(b, &p), 0);
	assert_int_equal(ofs_batch_get_plan(b)->rate_source, OFS_RATE_UNKNOWN);
	assert_true(ofs_batch_get_plan(b)->seconds == 0);
	ofs_batch_free(b);
}

struct judge {
	int calls, code;
	const char *say, *touch;
	uint8_t sha256[32];
	bool memory;
};

static int
judge_it(void *arg, const struct ofs_document *d, char *message, size_t size)
{
	struct judge *j = arg;
	struct digest all = { 0 };
	struct ofs_error e;
	uint8_t block[64];
	ssize_t n;

	j->calls++;
	memcpy(j->sha256, d->sha256, 32);
	j->memory = d->fd < 0;
	/* what comes from the descriptor is what the hash is of */
	assert_int_equal(digest_begin(&all, &digest_sha256, &e), 0);
	if (d->fd < 0)
		digest_update(&all, d->bytes, d->document_size, &e);
	while (d->fd >= 0 && (n = read(d->fd, block, sizeof(block))) > 0)
		digest_update(&all, block, (size_t)n, &e);
	assert_int_equal(digest_end(&all, block, &e), 0);
	digest_free(&all);
	assert_memory_equal(block, d->sha256, 32);
	if (j->touch != NULL)
		put(j->touch, "another");
	if (j->say != NULL)
		snprintf(message, size, "%s", j->say);
	return j->code;
}

static ofs_batch *
judged(struct fixture *f, const struct ofs_sign_opts *o, struct tally *t,
	struct judge *j)
{
	ofs_batch *b = new_batch(f, o, t);

	ofs_batch_on_validate(b, judge_it, j);
	return b;
}

static void
asks_before_it_signs(void **state)
{
	struct fixture *f = *state;
	struct ofs_sign_opts o = OFS_SIGN_OPTS_INIT;
	struct judge j = { 0 };
	struct ofs_progress p;
	struct ofs_field field = { .size = sizeof(field) };
	struct tally t;
	ofs_record *rec;
	ofs_batch *b;

	put(in_dir(f, "v1"), "order");
	/* SHA-256 is not what is signed here */
	o.digest = OFS_DIGEST_SHA512;
	o.format = OFS_FORMAT_RAW;
	assert_int_equal(ofs_batch_new(f->ctx, rsa, f->audit, &o, &b), 0);
	ofs_batch_on_validate(b, judge_it, &j);
	add(b, in_dir(f, "v1"));
	assert_int_equal(ofs_batch_add_bytes(b, "m", "order", 5), 0);
	assert_int_equal(ofs_batch_run(b, &p), 0);
	assert_int_equal(j.calls, 2);
	assert_true(j.memory);
	assert_int_equal(p.signed_items, 2);
	ofs_batch_free(b);
	/* refused, with its words in result and record */
	j = (struct judge){ .code = OFS_EPOLICY, .say = "no\nIBAN\033[2J" };
	b = judged(f, NULL, &t, &j);
	add(b, in_dir(f, "v1"));
	assert_int_equal(ofs_batch_run(b, &p), OFS_EITEMS);
	assert_int_equal(t.code, OFS_EPOLICY);
	assert_non_null(strstr(t.message, "no\\nIBAN\\x1b[2J"));
	assert_int_not_equal(access(in_dir(f, "v1.p7s"), F_OK), 0);
	assert_int_equal(ofs_audit_get(f->audit, t.seq, &rec), 0);
	assert_true(ofs_record_find(rec, "reason", &field));
	assert_int_equal(field.len, strlen(t.message));
	assert_memory_equal(field.bytes, t.message, field.len);
	assert_true(ofs_record_find(rec, "attempts", &field));
	assert_int_equal(field.number, 0);
	ofs_record_free(rec);
	ofs_batch_free(b);
	/* no reason, no known code */
	j = (struct judge){ .code = 5 };
	b = judged(f, NULL, &t, &j);
	add(b, in_dir(f, "v1"));
	assert_int_equal(ofs_batch_plan(b, &p), OFS_EITEMS);
	assert_int_equal(t.code, OFS_EPOLICY);
	assert_non_null(strstr(t.message, "no reason"));
	ofs_batch_free(b);
}

/* a later change of mind does not widen what was planned */
static void
stays_with_the_plan(void **state)
{
	struct fixture *f = *state;
	struct judge j = { .code = OFS_EPOLICY };
	struct ofs_progress p;
	struct tally t;
	ofs_batch *b = judged(f, NULL, &t, &j);

	put(in_dir(f, "v3"), "order 3");
	add(b, in_dir(f, "v3"));
	assert_int_equal(ofs_batch_plan(b, &p), OFS_EITEMS);
	assert_int_equal(ofs_batch_get_plan(b)->refused, 1);
	j.code = 0;
	assert_int_equal(ofs_batch_run(b, &p), OFS_EITEMS);
	assert_int_equal(p.signed_items, 0);
	assert_int_equal(t.code, OFS_EMISMATCH);
	ofs_batch_free(b);
}

/* what was accepted is what is signed */
static void
notices_a_swap_behind_the_judge(void **state)
{
	struct fixture *f = *state;
	struct judge j = { 0 };
	struct ofs_progress p;
	struct tally t;
	ofs_batch *b;

	put(in_dir(f, "v2"), "order 2");
	j.touch = in_dir(f, "v2");
	b = judged(f, NULL, &t, &j);
	add(b, in_dir(f, "v2"));
	assert_int_equal(ofs_batch_run(b, &p), OFS_EITEMS);
	assert_int_equal(t.code, OFS_EIO);
	assert_non_null(strstr(t.message, "changed"));
	assert_int_not_equal(access(in_dir(f, "v2.p7s"), F_OK), 0);
	ofs_batch_free(b);
	/* one that was told to stop leaves the item for later */
	j = (struct judge){ .code = OFS_EINTR };
	b = judged(f, NULL, &t, &j);
	add(b, in_dir(f, "v2"));
	assert_int_equal(ofs_batch_run(b, &p), OFS_EITEMS);
	assert_int_equal(p.not_attempted, 1);
	ofs_batch_free(b);
}

static bool
same_files(const char *a, const char *b)
{
	struct buf x = BUF_INIT, y = BUF_INIT;
	struct ofs_error e;
	bool same;

	same = file_read(a, 100000, &x, &e) == 0 &&
		file_read(b, 100000, &y, &e) == 0 && x.len == y.len &&
		memcmp(x.p, y.p, x.len) == 0;
	buf_free(&x);
	buf_free(&y);
	return same;
}

static void
makes_second_copies(void **state)
{
	struct fixture *f = *state;
	struct ofs_sign_opts o = OFS_SIGN_OPTS_INIT;
	struct ofs_progress p;
	struct tally t;
	ofs_batch *b;
	char out_dir[700], copy_dir[700];

	snprintf(out_dir, sizeof(out_dir), "%s", in_dir(f, "out"));
	snprintf(copy_dir, sizeof(copy_dir), "%s", in_dir(f, "medium"));
	put(in_dir(f, "k1"), "one");
	o.out_dir = out_dir;
	o.copy_dir = in_dir(f, "nowhere");
	b = new_batch(f, &o, &t);
	add(b, in_dir(f, "k1"));
	assert_int_equal(ofs_batch_run(b, &p), OFS_EIO);
	assert_int_equal(p.signed_items, 0);
	ofs_batch_free(b);
	assert_int_equal(mkdir(copy_dir, 0777), 0);
	o.copy_dir = copy_dir;
	b = new_batch(f, &o, &t);
	add(b, in_dir(f, "k1"));
	assert_int_equal(ofs_batch_run(b, &p), 0);
	assert_int_equal(p.copied, 1);
	assert_int_equal(p.copy_failed, 0);
	assert_true(strncmp(t.copy, o.copy_dir, strlen(o.copy_dir)) == 0);
	{
		char out[1400];

		snprintf(out, sizeof(out), "%s%s", o.out_dir,
			t.copy + strlen(o.copy_dir));
		assert_true(same_files(t.copy, out));
	}
	ofs_batch_free(b);
	/* a run that was cut off before the copy: the next one makes it */
	assert_int_equal(unlink(t.copy), 0);
	o.existing = OFS_EXISTING_SKIP;
	for (int i = 0; i < 2; i++) { /* the second finds it there */
		b = new_batch(f, &o, &t);
		add(b, in_dir(f, "k1"));
		assert_int_equal(ofs_batch_run(b, &p), 0);
		assert_int_equal(p.skipped, 1);
		assert_int_equal(p.copied, 1);
		assert_int_equal(access(t.copy, F_OK), 0);
		ofs_batch_free(b);
	}
	/* it is read back */
	assert_int_equal(unlink(t.copy), 0);
	b = new_batch(f, &o, &t);
	add(b, in_dir(f, "k1"));
	rots = true;
	assert_int_equal(ofs_batch_run(b, &p), OFS_EIO);
	rots = false;
	assert_int_equal(t.copy_code, OFS_EIO);
	assert_non_null(strstr(t.copy_message, "read back"));
	ofs_batch_free(b);
	/* something else is there: left alone, and said */
	put(t.copy, "something else");
	b = new_batch(f, &o, &t);
	add(b, in_dir(f, "k1"));
	assert_int_equal(ofs_batch_run(b, &p), OFS_EIO);
	assert_int_equal(p.copy_failed, 1);
	assert_int_equal(t.copy_code, OFS_EEXIST);
	assert_non_null(strstr(t.copy_message, "k1.p7s"));
	assert_non_null(strstr(ofs_batch_error(b)->message, "second copies"));
	ofs_batch_free(b);
}

static void
copies_must_differ(void **state)
{
	struct fixture *f = *state;
	struct ofs_sign_opts o = OFS_SIGN_OPTS_INIT;
	struct ofs_progress p;
	char up[800], twice[800];
	struct tally t;
	ofs_batch *b;

	assert_int_equal(mkdir(in_dir(f, "sub"), 0777), 0);
	assert_int_equal(mkdir(in_dir(f, "twice"), 0777), 0);
	assert_int_equal(chdir(in_dir(f, "sub")), 0);
	put("same", "below");
	put("../same", "above");
	snprintf(twice, sizeof(twice), "%s", in_dir(f, "twice"));
	o.copy_dir = twice;
	o.existing = OFS_EXISTING_REPLACE;
	b = new_batch(f, &o, &t);
	add(b, "same");
	add(b, "../same");
	assert_int_equal(ofs_batch_run(b, &p), OFS_EEXIST);
	assert_int_equal(p.signed_items, 0);
	assert_non_null(strstr(ofs_batch_error(b)->message, "one second copy"));
	assert_int_equal(access("../same.p7s", F_OK), -1);
	assert_int_equal(access("same.p7s", F_OK), -1);
	ofs_batch_free(b);
	/* the signatures themselves */
	snprintf(up, sizeof(up), "%s", in_dir(f, "sub"));
	o.copy_dir = up;
	b = new_batch(f, &o, &t);
	add(b, "same");
	assert_int_equal(ofs_batch_run(b, &p), OFS_EEXIST);
	assert_non_null(
		strstr(ofs_batch_error(b)->message, "the signature itself"));
	ofs_batch_free(b);
	assert_int_equal(chdir("/"), 0);
}

static void
goes_no_faster_than_it_may(void **state)
{
	struct fixture *f = *state;
	struct ofs_sign_opts o = OFS_SIGN_OPTS_INIT;
	struct ofs_progress p;
	struct tally t;
	ofs_batch *b;

	o.rate = 600;
	b = new_batch(f, &o, &t);
	for (int i = 0; i < 10; i++)
		assert_int_equal(ofs_batch_add_bytes(b, "x", "x", 1), 0);
	assert_int_equal(ofs_batch_run(b, &p), 0);
	assert_int_equal(p.signed_items, 10);
	assert_true(p.elapsed >= 9 * SECOND / 10);
	assert_true(p.elapsed < 3 * SECOND);
	ofs_batch_free(b);
}

static void
cancel_it(void *arg, const struct ofs_progress *p)
{
	if (p->signed_items > 0)
		ofs_batch_cancel(arg);
}

/* one a minute: nobody waits for the next when it is stopped */
static void
a_slow_batch_can_be_stopped(void **state)
{
	struct fixture *f = *state;
	struct ofs_sign_opts o = OFS_SIGN_OPTS_INIT;
	struct ofs_progress p;
	struct tally t;
	ofs_batch *b;

	o.rate = 1;
	b = new_batch(f, &o, &t);
	ofs_batch_on_progress(b, cancel_it, b);
	for (int i = 0; i < 10; i++)
		assert_int_equal(ofs_batch_add_bytes(b, "x", "x", 1), 0);
	assert_int_equal(ofs_batch_run(b, &p), OFS_EINTR);
	assert_int_equal(p.signed_items, 1);
	assert_int_equal(p.not_attempted, 9);
	assert_true(p.elapsed < 5 * SECOND);
	ofs_batch_free(b);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_what_it_would_do),
		cmocka_unit_test(counts_many_extensions),
		cmocka_unit_test(finds_every_duplicate),
		cmocka_unit_test(signs_what_was_planned),
		cmocka_unit_test(estimates_from_the_log),
		cmocka_unit_test(asks_before_it_signs),
		cmocka_unit_test(stays_with_the_plan),
		cmocka_unit_test(notices_a_swap_behind_the_judge),
		cmocka_unit_test(makes_second_copies),
		cmocka_unit_test(copies_must_differ),
		cmocka_unit_test(goes_no_faster_than_it_may),
		cmocka_unit_test(a_slow_batch_can_be_stopped),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("plan", tests, setup, teardown);
}
