/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Batches through the API: signed once, recorded, released, recovered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <offlinesig.h>

#include "station_kit.h"

#define LABEL "batch"
#define KEY_URI "pkcs11:token=" LABEL ";object=signer"
#define CRASH_ITEMS 600
#define CRASH_AT 300
#define CRASH_STATUS 77

/* what the result callback saw */
struct tally {
	size_t by_status[5];
	size_t last_index;
	uint64_t seq;
	char message[1024];
	uint8_t sig[4096]; /* of the last memory item */
	size_t sig_len;
	char id[64];
	ofs_batch *cancel; /* this batch, at the first result */
};

static const char *self;

static void
note(void *arg, const struct ofs_result *r)
{
	struct tally *t = arg;

	t->by_status[r->status]++;
	t->last_index = r->index;
	snprintf(t->id, sizeof(t->id), "%s", r->id != NULL ? r->id : "");
	if (r->seq != 0)
		t->seq = r->seq;
	if (r->code != 0)
		snprintf(t->message, sizeof(t->message), "%s", r->message);
	if (r->signature != NULL && r->signature_len <= sizeof(t->sig)) {
		memcpy(t->sig, r->signature, r->signature_len);
		t->sig_len = r->signature_len;
	}
	if (t->cancel != NULL)
		ofs_batch_cancel(t->cancel);
}

static int
setup(void **state)
{
	*state = make_signer(LABEL, KEY_URI);
	return 0;
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

static int
verify_with_cert(
	struct fixture *f, const void *doc, size_t n, const struct tally *t)
{
	struct ofs_verdict v;
	ofs_verifier *vf;
	char *pem;
	int rc;

	assert_int_equal(ofs_verifier_new(f->ctx, NULL, &vf), 0);
	assert_int_equal(ofs_key_cert_pem(f->key, &pem), 0);
	assert_int_equal(ofs_verifier_trust(vf, pem, strlen(pem)), 0);
	rc = ofs_verify_bytes(
		vf, OFS_FORMAT_CMS, doc, n, t->sig, t->sig_len, &v);
	free(pem);
	ofs_verifier_free(vf);
	return rc;
}

static void
signs_memory_items(void **state)
{
	struct fixture *f = *state;
	struct ofs_progress p;
	struct tally t;
	struct ofs_field field;
	ofs_record *rec;
	ofs_batch *b = new_batch(f, NULL, &t);

	assert_int_equal(ofs_batch_add_bytes(b, "order 1", "pay", 3), 0);
	assert_int_equal(ofs_batch_run(b, &p), 0);
	assert_int_equal(p.signed_items, 1);
	assert_int_equal(t.by_status[OFS_ITEM_SIGNED], 1);
	assert_int_equal(verify_with_cert(f, "pay", 3, &t), 0);
	assert_int_equal(verify_with_cert(f, "pax", 3, &t), OFS_ESIGNATURE);

	assert_int_equal(ofs_audit_get(f->audit, t.seq, &rec), 0);
	assert_true(ofs_record_find(rec, "document.path", &field));
	assert_memory_equal(field.bytes, "order 1", field.len);
	assert_true(ofs_record_find(rec, "verified", &field));
	assert_int_equal(field.number, 1);
	assert_false(ofs_record_find(rec, "output_path", &field));
	ofs_record_free(rec);
	/* a batch runs once */
	assert_int_equal(ofs_batch_run(b, &p), OFS_EINVAL);
	ofs_batch_free(b);
}

/* enough for several chunks of growing size */
static bool
has_text(const ofs_record *rec, const char *name, const char *want)
{
	struct ofs_field field;

	return ofs_record_find(rec, name, &field) &&
		field.len == strlen(want) &&
		memcmp(field.bytes, want, field.len) == 0;
}

/* what a manifest says of a document is in intent, outcome and result */
static void
records_what_is_known_of_an_item(void **state)
{
	struct fixture *f = *state;
	struct ofs_item item = OFS_ITEM_INIT;
	struct ofs_progress p;
	struct ofs_field intent;
	struct tally t;
	uint64_t seq;
	ofs_record *rec;
	ofs_batch *b = new_batch(f, NULL, &t);

	put(in_dir(f, "known"), "known");
	item.path = in_dir(f, "known");
	item.id = "ORDER-7";
	item.name = "Order seven";
	item.version = "2";
	item.media_type = "application/xml";
	assert_int_equal(ofs_batch_add_item(b, &item), 0);
	assert_int_equal(ofs_batch_run(b, &p), 0);
	assert_string_equal(t.id, "ORDER-7");
	assert_int_equal(ofs_audit_get(f->audit, t.seq, &rec), 0);
	assert_true(has_text(rec, "document.path", item.path));
	assert_true(has_text(rec, "document.id", "ORDER-7"));
	assert_true(has_text(rec, "document.name", "Order seven"));
	assert_true(has_text(rec, "document.version", "2"));
	assert_true(ofs_record_find(rec, "intent_seq", &intent));
	seq = (uint64_t)intent.number;
	ofs_record_free(rec);
	assert_int_equal(ofs_audit_get(f->audit, seq, &rec), 0);
	assert_true(has_text(rec, "items.0.id", "ORDER-7"));
	assert_true(has_text(rec, "items.0.name", "Order seven"));
	assert_true(has_text(rec, "items.0.version", "2"));
	ofs_record_free(rec);
	ofs_batch_free(b);
}

static void
refuses_a_list_before_signing(void **state)
{
	struct fixture *f = *state;
	struct ofs_sign_opts o = OFS_SIGN_OPTS_INIT;
	struct ofs_item item = OFS_ITEM_INIT;
	struct ofs_progress p;
	struct tally t;
	ofs_batch *b;
	uint64_t before, after;

	assert_int_equal(ofs_audit_size(f->audit, &before), 0);
	put(in_dir(f, "r1"), "1");
	put(in_dir(f, "r2"), "2");
	o.max_items = 1;
	for (int i = 0; i < 3; i++) {
		b = new_batch(f, &o, &t);
		item.id = i < 2 ? NULL : "same";
		item.path = in_dir(f, "r1");
		assert_int_equal(ofs_batch_add_item(b, &item), 0);
		item.path = in_dir(f, "r2");
		assert_int_equal(ofs_batch_add_item(b, &item), 0);
		assert_int_equal(ofs_batch_run(b, &p), OFS_EFORMAT);
		assert_int_equal(p.signed_items, 0);
		assert_int_equal(t.by_status[OFS_ITEM_SIGNED], 0);
		ofs_batch_free(b);
		o.max_items = 2;
		o.max_bytes = i == 0 ? 1 : 2;
	}
	assert_int_equal(ofs_audit_size(f->audit, &after), 0);
	assert_int_equal(after, before);
	assert_int_equal(access(in_dir(f, "r1.p7s"), F_OK), -1);
}

static void
signs_many(void **state)
{
	struct fixture *f = *state;
	struct ofs_audit_report before, after;
	struct ofs_progress p;
	struct tally t;
	ofs_batch *b = new_batch(f, NULL, &t);
	char name[32];

	verify_log(f, &before);
	for (int i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "item %d", i);
		assert_int_equal(ofs_batch_add_bytes(b, name, name, 8), 0);
	}
	assert_int_equal(ofs_batch_run(b, &p), 0);
	assert_int_equal(t.by_status[OFS_ITEM_SIGNED], 2000);
	verify_log(f, &after);
	assert_int_equal(after.signed_items - before.signed_items, 2000);
	assert_int_equal(after.batches - before.batches, 1);
	assert_int_equal(after.unclosed_batches, before.unclosed_batches);
	assert_int_equal(after.unknown_items, before.unknown_items);
	ofs_batch_free(b);
}

static void
one_failure_does_not_stop_the_others(void **state)
{
	struct fixture *f = *state;
	struct ofs_audit_report r;
	struct ofs_progress p;
	struct tally t;
	ofs_batch *b;
	static const uint8_t wrong[32] = { 1 };

	put(in_dir(f, "a"), "a");
	put(in_dir(f, "b"), "b");
	b = new_batch(f, NULL, &t);
	assert_int_equal(ofs_batch_add_file(b, in_dir(f, "missing"), NULL), 0);
	assert_int_equal(ofs_batch_add_file(b, in_dir(f, "a"), NULL), 0);
	assert_int_equal(ofs_batch_add_file(b, in_dir(f, "b"), wrong), 0);
	assert_int_equal(ofs_batch_run(b, &p), OFS_EITEMS);
	assert_int_equal(p.signed_items, 1);
	assert_int_equal(p.failed, 2);
	assert_int_equal(access(in_dir(f, "a.p7s"), F_OK), 0);
	assert_int_not_equal(access(in_dir(f, "b.p7s"), F_OK), 0);
	verify_log(f, &r);
	assert_int_equal(r.pending_outputs, 0);
	ofs_batch_free(b);
}

static void
stops_when_told_to(void **state)
{
	struct fixture *f = *state;
	struct ofs_sign_opts o = OFS_SIGN_OPTS_INIT;
	struct ofs_progress p;
	struct tally t;
	ofs_batch *b;

	o.stop_on_error = true;
	b = new_batch(f, &o, &t);
	assert_int_equal(ofs_batch_add_file(b, in_dir(f, "missing"), NULL), 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(ofs_batch_add_bytes(b, "x", "x", 1), 0);
	assert_int_equal(ofs_batch_run(b, &p), OFS_EITEMS);
	assert_int_equal(p.failed, 1);
	assert_int_equal(p.not_attempted, 100);
	assert_int_equal(t.by_status[OFS_ITEM_NOT_ATTEMPTED], 100);
	assert_true(p.stopped);
	ofs_batch_free(b);
}

static void
existing_outputs(void **state)
{
	struct fixture *f = *state;
	struct ofs_sign_opts o = OFS_SIGN_OPTS_INIT;
	static const struct {
		enum ofs_existing existing;
		enum ofs_item_status status;
	} cases[] = { { OFS_EXISTING_FAIL, OFS_ITEM_FAILED },
		{ OFS_EXISTING_SKIP, OFS_ITEM_SKIPPED },
		{ OFS_EXISTING_REPLACE, OFS_ITEM_SIGNED } };
	struct ofs_progress p;
	struct tally t;
	ofs_batch *b;

	put(in_dir(f, "c"), "c");
	put(in_dir(f, "c.p7s"), "what was there");
	for (size_t i = 0; i < 3; i++) {
		o.existing = cases[i].existing;
		b = new_batch(f, &o, &t);
		assert_int_equal(
			ofs_batch_add_file(b, in_dir(f, "c"), NULL), 0);
		assert_int_equal(ofs_batch_run(b, &p), i == 0 ? OFS_EITEMS : 0);
		assert_int_equal(t.by_status[cases[i].status], 1);
		ofs_batch_free(b);
	}
}

static void
outputs_must_differ(void **state)
{
	struct fixture *f = *state;
	struct ofs_sign_opts o = OFS_SIGN_OPTS_INIT;
	struct ofs_progress p;
	struct tally t;
	char dotted[700];
	ofs_batch *b;

	put(in_dir(f, "d"), "d");
	snprintf(dotted, sizeof(dotted), "%s/./d", f->dir);
	b = new_batch(f, NULL, &t);
	assert_int_equal(ofs_batch_add_file(b, in_dir(f, "d"), NULL), 0);
	assert_int_equal(ofs_batch_add_file(b, dotted, NULL), 0);
	assert_int_equal(ofs_batch_run(b, &p), OFS_EITEMS);
	assert_int_equal(p.signed_items, 1);
	assert_non_null(strstr(t.message, "is also that of"));
	ofs_batch_free(b);

	/* with --force, a document of the batch is still not an output */
	put(in_dir(f, "e"), "e");
	put(in_dir(f, "e.p7s"), "a document that looks like a signature");
	o.existing = OFS_EXISTING_REPLACE;
	b = new_batch(f, &o, &t);
	assert_int_equal(ofs_batch_add_file(b, in_dir(f, "e"), NULL), 0);
	assert_int_equal(ofs_batch_add_file(b, in_dir(f, "e.p7s"), NULL), 0);
	assert_int_equal(ofs_batch_run(b, &p), OFS_EITEMS);
	assert_int_equal(p.failed, 1);
	assert_non_null(strstr(t.message, "a document of this batch"));
	ofs_batch_free(b);
}

static void
cancelling_loses_nothing(void **state)
{
	struct fixture *f = *state;
	struct ofs_audit_report r, before;
	struct ofs_progress p;
	struct tally t;
	ofs_batch *b = new_batch(f, NULL, &t);

	verify_log(f, &before);
	t.cancel = b;
	for (int i = 0; i < 3000; i++)
		assert_int_equal(ofs_batch_add_bytes(b, "x", "x", 1), 0);
	assert_int_equal(ofs_batch_run(b, &p), OFS_EINTR);
	assert_true(p.signed_items > 0);
	assert_true(p.not_attempted > 0);
	assert_int_equal(p.signed_items + p.not_attempted, 3000);
	assert_int_equal(p.unknown, 0);
	verify_log(f, &r);
	assert_int_equal(r.signed_items - before.signed_items, p.signed_items);
	assert_int_equal(r.unclosed_batches, before.unclosed_batches);
	ofs_batch_free(b);
}

static void
plans_without_signing(void **state)
{
	struct fixture *f = *state;
	struct ofs_audit_report before, after;
	struct ofs_progress p;
	struct tally t;
	ofs_batch *b = new_batch(f, NULL, &t);

	put(in_dir(f, "g"), "g");
	verify_log(f, &before);
	assert_int_equal(ofs_batch_add_file(b, in_dir(f, "g"), NULL), 0);
	assert_int_equal(ofs_batch_add_file(b, in_dir(f, "missing"), NULL), 0);
	assert_int_equal(ofs_batch_plan(b, &p), OFS_EITEMS);
	assert_int_equal(p.failed, 1);
	assert_int_equal(p.not_attempted, 1);
	assert_int_not_equal(access(in_dir(f, "g.p7s"), F_OK), 0);
	verify_log(f, &after);
	assert_int_equal(after.records, before.records);
	ofs_batch_free(b);
}

static void
needs_a_log_and_something_to_sign(void **state)
{
	struct fixture *f = *state;
	struct ofs_progress p;
	struct tally t;
	ofs_batch *b = new_batch(f, NULL, &t);

	assert_int_equal(ofs_batch_run(b, &p), OFS_EINVAL);
	ofs_batch_free(b);
	assert_int_equal(ofs_batch_new(f->ctx, f->key, NULL, NULL, &b), 0);
	assert_int_equal(ofs_batch_add_bytes(b, "x", "x", 1), 0);
	assert_int_equal(ofs_batch_run(b, &p), OFS_EINVAL);
	ofs_batch_free(b);
}

/* in a process of its own: ends in the middle of a release */
static void
die_at(void *arg, const struct ofs_result *r)
{
	size_t *seen = arg;

	(void)r;
	if (++*seen == CRASH_AT)
		_exit(CRASH_STATUS);
}

static int
crash(const char *dir)
{
	struct fixture f = { 0 };
	struct ofs_sign_opts o = OFS_SIGN_OPTS_INIT;
	struct ofs_progress p;
	char path[700], out[700];
	size_t seen = 0;
	ofs_batch *b;

	softhsm_join(dir);
	open_station(&f, LABEL);
	snprintf(out, sizeof(out), "%s/crashed", f.dir);
	o.out_dir = out;
	if (ofs_key_open(f.token, KEY_URI, 0, &f.key) != 0 ||
		ofs_batch_new(f.ctx, f.key, f.audit, &o, &b) != 0)
		return 1;
	ofs_batch_on_result(b, die_at, &seen);
	for (int i = 0; i < CRASH_ITEMS; i++) {
		snprintf(path, sizeof(path), "%s/crash-%d", f.dir, i);
		put(path, path);
		if (ofs_batch_add_file(b, path, NULL) != 0)
			return 1;
	}
	return ofs_batch_run(b, &p) == 0 ? 0 : 1;
}

static size_t
released(const struct fixture *f)
{
	char path[1500];
	size_t n = 0;

	for (int i = 0; i < CRASH_ITEMS; i++) {
		snprintf(path, sizeof(path), "%s/crashed%s/crash-%d.p7s",
			f->dir, f->dir, i);
		n += access(path, F_OK) == 0;
	}
	return n;
}

static void
recovers_what_a_crash_left(void **state)
{
	struct fixture *f = *state;
	const char *argv[] = { self, softhsm_dir(), NULL };
	struct ofs_audit_report r;
	struct ofs_progress p;
	struct tally t;
	size_t before, pending, unknown;
	ofs_batch *b;

	assert_int_equal(softhsm_run(argv), CRASH_STATUS);
	verify_log(f, &r);
	assert_int_equal(r.unclosed_batches, 1);
	assert_true(r.pending_outputs > 0);
	/* how many are unknown depends on how far the next chunk had come */
	unknown = r.unknown_items;
	before = released(f);
	pending = r.pending_outputs;

	/* the next batch of this log finishes it */
	b = new_batch(f, NULL, &t);
	assert_int_equal(ofs_batch_add_bytes(b, "x", "x", 1), 0);
	assert_int_equal(ofs_batch_run(b, &p), 0);
	ofs_batch_free(b);
	verify_log(f, &r);
	assert_int_equal(r.pending_outputs, 0);
	assert_int_equal(r.unclosed_batches, 0);
	assert_int_equal(r.unknown_items, unknown);
	assert_int_equal(r.in_flight_items, 0);
	assert_true(released(f) >= before);
	assert_true(released(f) <= before + pending);
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(signs_memory_items),
		cmocka_unit_test(records_what_is_known_of_an_item),
		cmocka_unit_test(refuses_a_list_before_signing),
		cmocka_unit_test(signs_many),
		cmocka_unit_test(one_failure_does_not_stop_the_others),
		cmocka_unit_test(stops_when_told_to),
		cmocka_unit_test(existing_outputs),
		cmocka_unit_test(outputs_must_differ),
		cmocka_unit_test(cancelling_loses_nothing),
		cmocka_unit_test(plans_without_signing),
		cmocka_unit_test(needs_a_log_and_something_to_sign),
		cmocka_unit_test(recovers_what_a_crash_left),
	};

	self = argv[0];
	if (argc == 2)
		return crash(argv[1]);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("batch", tests, setup, end_station);
}
