/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Record headers and bodies: layout, round trips, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hex.h"
#include "format/record.h"

static uint8_t b32[32], b16[16];

static struct record_header
sample_header(void)
{
	struct record_header h;

	memset(&h, 0, sizeof(h));
	memset(h.log_id, 0x11, sizeof(h.log_id));
	h.type = OFS_REC_OUTCOME;
	h.seq = 0x0102030405060708;
	h.time = 1795247520000000;
	h.boottime = 86400000000;
	memset(h.boot_id, 0x22, sizeof(h.boot_id));
	memset(h.batch_id, 0x33, sizeof(h.batch_id));
	h.body_len = 1000;
	memset(h.body_sha256, 0x44, sizeof(h.body_sha256));
	return h;
}

static void
header_layout(void **state)
{
	struct record_header h = sample_header(), back;
	uint8_t p[RECORD_HEADER_SIZE];
	struct ofs_error e;
	char hex[2 * RECORD_HEADER_SIZE + 1];

	(void)state;
	record_header_encode(&h, p);
	assert_string_equal(hex_encode(hex, p, sizeof(p)),
		"4f465352"
		"0001"
		"11111111111111111111111111111111"
		"0005"
		"0000"
		"0000"
		"0102030405060708"
		"000660c4a2b6a800"
		"000000141dd76000"
		"22222222222222222222222222222222"
		"33333333333333333333333333333333"
		"00000000"
		"000003e8"
		"000000000000000000000000000000000000000000000000"
		"00000000000000000000000000000000000000000000000000000000000000"
		"00"
		"44444444444444444444444444444444444444444444444444444444444444"
		"44");
	assert_int_equal(record_header_decode(p, sizeof(p), &back, &e), 0);
	assert_memory_equal(&h, &back, sizeof(h));
}

static void
header_flips(void **state)
{
	struct record_header h = sample_header(), back;
	uint8_t p[RECORD_HEADER_SIZE], again[RECORD_HEADER_SIZE];
	struct ofs_error e;
	size_t i, bit, refused = 0;

	(void)state;
	record_header_encode(&h, p);
	for (i = 0; i < sizeof(p); i++)
		for (bit = 0; bit < 8; bit++) {
			p[i] ^= (uint8_t)(1u << bit);
			if (record_header_decode(p, sizeof(p), &back, &e) ==
				0) {
				record_header_encode(&back, again);
				assert_memory_equal(p, again, sizeof(p));
			} else {
				refused++;
			}
			p[i] ^= (uint8_t)(1u << bit);
		}
	/* at least magic, version, flags, cipher, epoch, nonce, commitment */
	assert_true(refused > 8 * (4 + 2 + 2 + 2 + 4 + 24 + 32));
	for (i = 0; i < sizeof(p); i++)
		assert_int_equal(
			record_header_decode(p, i, &back, &e), OFS_EFORMAT);
}

static struct rec_token
sample_token(void)
{
	return (struct rec_token){ "Acme", "HSM 3", "0001", "payroll",
		"/usr/lib/acme.so", { b32, 32 } };
}

static struct rec_operator
sample_operator(void)
{
	return (struct rec_operator){ 1000, -1, "ana", "station1", NULL };
}

static void
sample_party(struct buf *to)
{
	struct rec_party p;
	struct ofs_error e;

	memset(&p, 0, sizeof(p));
	p.key = (struct rec_key){ { b16, 16 }, "key \xc3\xa4", "P-256",
		{ b32, 32 }, { b32, 32 }, "CN=Payroll", "0a1b",
		1800000000000000 };
	p.token = sample_token();
	p.operator_ = sample_operator();
	p.tool = "ofs-sign 0.1.0";
	assert_int_equal(record_party_encode(&p, to, &e), 0);
}

static struct rec_document
sample_document(const char *path)
{
	return (struct rec_document){ path, "name \xff.xml", "3", NULL, 12345,
		"sha256", { b32, 32 }, "digest" };
}

static void
sample_outcome(struct rec_outcome *r, const struct buf *party)
{
	memset(r, 0, sizeof(*r));
	r->intent_seq = 7;
	r->index = 300;
	r->purpose = REC_PURPOSE_DOCUMENT;
	r->status = REC_SIGNED;
	r->doc = sample_document("in/\xfe"
				 "a.xml");
	r->format = "cms";
	r->party = (struct rec_span){ party->p, party->len };
	r->mechanism = "ecdsa-sha256";
	r->signed_bytes = (struct rec_span){ b32, 20 };
	r->signature = (struct rec_span){ b32, 32 };
	r->output_sha256 = (struct rec_span){ b32, 32 };
	r->output_path = "/out/a.p7s";
	r->verified = true;
	r->attempts = 1;
	r->token_us = 620;
}

/* a body of each type */
static void
sample_body(int type, struct buf *to)
{
	struct buf party = BUF_INIT;
	struct ofs_error e;
	int rc = -1;

	sample_party(&party);
	switch (type) {
	case OFS_REC_GENESIS: {
		struct rec_genesis r = { "station1/00", "ofs 1",
			sample_operator(), { b32, 32 }, "sealed", "k+1+a",
			"token", { b32, 32 } };
		rc = record_genesis_encode(&r, to, &e);
		break;
	}
	case OFS_REC_BATCH_OPENED: {
		struct rec_batch_opened r = { { party.p, party.len },
			{ b32, 32 }, 3, "cms", "ecdsa-sha256", 2, "x=y",
			{ b32, 32 }, { b32, 16 } };
		rc = record_batch_opened_encode(&r, to, &e);
		break;
	}
	case OFS_REC_BATCH_CLOSED: {
		struct rec_batch_closed r = { 1, 2, 3, 4, 5, 6, -6, "some",
			{ b32, 32 } };
		rc = record_batch_closed_encode(&r, to, &e);
		break;
	}
	case OFS_REC_INTENT: {
		struct rec_intent_item items[2] = { { 0, sample_document("a") },
			{ 5, sample_document("b") } };
		struct rec_intent r = { REC_PURPOSE_DOCUMENT,
			{ party.p, party.len }, items, 2 };
		rc = record_intent_encode(&r, to, &e);
		break;
	}
	case OFS_REC_OUTCOME: {
		struct rec_outcome r;

		sample_outcome(&r, &party);
		rc = record_outcome_encode(&r, to, &e);
		break;
	}
	case OFS_REC_RECOVERY: {
		struct rec_recovery r = { 7, 2, "crash" };
		rc = record_recovery_encode(&r, to, &e);
		break;
	}
	case OFS_REC_LOGIN: {
		struct rec_login r = { sample_token(), sample_operator(),
			"user", false, 0xa0, -7, "PIN incorrect" };
		rc = record_login_encode(&r, to, &e);
		break;
	}
	case OFS_REC_KEY_LENT: {
		struct rec_key_lent r = { { party.p, party.len }, "tls" };
		rc = record_key_lent_encode(&r, to, &e);
		break;
	}
	case OFS_REC_KEY_EVENT: {
		struct rec_key_event r = { "enroll", { party.p, party.len },
			{ b32, 32 }, 1, 0, 1, 1, 1, 0, -1, { NULL, 0 },
			{ b32, 32 }, { b32, 32 }, "digest" };
		rc = record_key_event_encode(&r, to, &e);
		break;
	}
	case OFS_REC_TOKEN_EVENT: {
		struct rec_token_event r = { "init", sample_token(),
			sample_operator() };
		rc = record_token_event_encode(&r, to, &e);
		break;
	}
	case OFS_REC_RELEASE: {
		struct rec_release r = { 9, "/out/a.p7s", "released" };
		rc = record_release_encode(&r, to, &e);
		break;
	}
	case OFS_REC_EPOCH: {
		struct rec_wrap wraps[2] = { { "data", "x509", NULL,
						     { b32, 32 } },
			{ "tag", "file", "/etc/k", { b16, 16 } } };
		struct rec_epoch r = { 3, { b32, 32 }, "rotated",
			sample_operator(), wraps, 2 };
		rc = record_epoch_encode(&r, to, &e);
		break;
	}
	case OFS_REC_ANCHOR: {
		struct rec_anchor r = { "checkpoint", 17, { b32, 32 }, "here",
			{ b16, 16 }, sample_operator() };
		rc = record_anchor_encode(&r, to, &e);
		break;
	}
	case OFS_REC_LOG_EVENT: {
		struct rec_log_event r = { "backup", sample_operator(), 1, 9, 9,
			{ b32, 32 }, "/media/\xff", "daily", { b16, 16 } };
		rc = record_log_event_encode(&r, to, &e);
		break;
	}
	}
	assert_int_equal(rc, 0);
	buf_free(&party);
}

static int
dump_field(void *arg, const struct ofs_field *f)
{
	struct buf *to = arg;

	buf_printf(to, "%s %d %lld %zu ", f->name, (int)f->kind,
		(long long)f->number, f->len);
	if (f->len > 0)
		buf_put(to, f->bytes, f->len);
	buf_str(to, "\n");
	return 0;
}

static bool
dump_once(struct record_known *known, int type, const uint8_t *p, size_t n,
	struct buf *to)
{
	struct record_body *b;
	struct ofs_error e;

	buf_reset(to);
	if (record_body_decode_next(known, type, p, n, &b, &e) != 0) {
		assert_null(b);
		assert_true(e.message[0] != '\0');
		return false;
	}
	assert_int_equal(record_body_each(b, dump_field, to), 0);
	record_body_free(b);
	return true;
}

/* false when it is refused, also behind the bodies of all calls before */
static bool
dump(int type, const uint8_t *p, size_t n, struct buf *to)
{
	static struct record_known known = RECORD_KNOWN_INIT;
	struct buf next = BUF_INIT;
	bool good = dump_once(NULL, type, p, n, to);

	assert_int_equal(dump_once(&known, type, p, n, &next), good);
	if (good) {
		assert_int_equal(next.len, to->len);
		assert_memory_equal(next.p, to->p, to->len);
	}
	buf_free(&next);
	return good;
}

static void
every_type_decodes(void **state)
{
	struct buf body = BUF_INIT, fields = BUF_INIT;

	(void)state;
	for (int type = OFS_REC_GENESIS; type <= OFS_REC_LOG_EVENT; type++) {
		buf_reset(&body);
		sample_body(type, &body);
		assert_true(dump(type, body.p, body.len, &fields));
		assert_true(fields.len > 0);
		assert_string_not_equal(record_type_name(type), "?");
		/* no other type takes it for its own */
		for (int other = 0; other <= OFS_REC_LOG_EVENT + 1; other++)
			if (other != type)
				assert_false(
					dump(other, body.p, body.len, &fields));
	}
	buf_free(&body);
	buf_free(&fields);
}

/* two different bodies never have the same fields; nothing is cut or added */
static void
bodies_are_unique(void **state)
{
	static const uint8_t masks[] = { 0x01, 0x02, 0x20, 0x80, 0xff };
	struct buf body = BUF_INIT, good = BUF_INIT, other = BUF_INIT;

	(void)state;
	for (int type = OFS_REC_GENESIS; type <= OFS_REC_LOG_EVENT; type++) {
		buf_reset(&body);
		sample_body(type, &body);
		assert_true(dump(type, body.p, body.len, &good));
		for (size_t i = 0; i < body.len; i++)
			for (size_t k = 0; k < sizeof(masks); k++) {
				body.p[i] ^= masks[k];
				if (dump(type, body.p, body.len, &other))
					assert_false(other.len == good.len &&
						memcmp(other.p, good.p,
							good.len) == 0);
				body.p[i] ^= masks[k];
			}
		for (size_t n = 0; n < body.len; n++)
			assert_false(dump(type, body.p, n, &other));
		buf_u8(&body, 0);
		assert_false(dump(type, body.p, body.len, &other));
	}
	buf_free(&body);
	buf_free(&good);
	buf_free(&other);
}

static void
outcome_fields(void **state)
{
	struct buf body = BUF_INIT;
	struct record_body *b;
	struct ofs_error e;
	struct ofs_field f;

	(void)state;
	sample_body(OFS_REC_OUTCOME, &body);
	assert_int_equal(
		record_body_decode(OFS_REC_OUTCOME, body.p, body.len, &b, &e),
		0);
	assert_true(record_body_find(b, "intent_seq", &f));
	assert_int_equal(f.kind, OFS_FIELD_INT);
	assert_int_equal(f.number, 7);
	assert_true(record_body_find(b, "document.path", &f));
	assert_int_equal(f.kind, OFS_FIELD_NAME);
	assert_int_equal(f.len, 9);
	assert_memory_equal(f.bytes,
		"in/\xfe"
		"a.xml",
		9);
	assert_true(record_body_find(b, "party.token.serial", &f));
	assert_int_equal(f.kind, OFS_FIELD_TEXT);
	assert_memory_equal(f.bytes, "0001", 4);
	assert_true(record_body_find(b, "party.key.not_after", &f));
	assert_int_equal(f.kind, OFS_FIELD_TIME);
	assert_int_equal(f.number, 1800000000000000);
	assert_true(record_body_find(b, "party.operator.loginuid", &f));
	assert_int_equal(f.number, -1);
	assert_true(record_body_find(b, "signature", &f));
	assert_int_equal(f.kind, OFS_FIELD_BYTES);
	assert_int_equal(f.len, 32);
	assert_true(record_body_find(b, "verified", &f));
	assert_int_equal(f.number, 1);
	assert_false(record_body_find(b, "reason", &f));
	assert_false(record_body_find(b, "document.id", &f));
	assert_false(record_body_find(b, "party", &f));
	record_body_free(b);
	buf_free(&body);
}

static void
intent_fields(void **state)
{
	struct buf body = BUF_INIT;
	struct record_body *b;
	struct ofs_error e;
	struct ofs_field f;

	(void)state;
	sample_body(OFS_REC_INTENT, &body);
	assert_int_equal(
		record_body_decode(OFS_REC_INTENT, body.p, body.len, &b, &e),
		0);
	assert_true(record_body_find(b, "items.1.index", &f));
	assert_int_equal(f.number, 5);
	assert_true(record_body_find(b, "items.1.path", &f));
	assert_memory_equal(f.bytes, "b", 1);
	assert_false(record_body_find(b, "items.2.index", &f));
	record_body_free(b);
	buf_free(&body);
}

/* finds one occurrence of `from` in the body and replaces it */
static void
replace(struct buf *b, const void *from, const void *to, size_t n)
{
	uint8_t *at = memmem(b->p, b->len, from, n);

	assert_non_null(at);
	memcpy(at, to, n);
}

static void
refuses_what_is_not_der(void **state)
{
	struct buf body = BUF_INIT, fields = BUF_INIT;
	uint8_t indefinite[] = { 0x30, 0x80, 0x02, 0x01, 0x07, 0x02, 0x01, 0x02,
		0x00, 0x00 };
	uint8_t long_length[] = { 0x30, 0x81, 0x06, 0x02, 0x01, 0x07, 0x02,
		0x01, 0x02 };
	uint8_t padded[] = { 0x30, 0x07, 0x02, 0x02, 0x00, 0x07, 0x02, 0x01,
		0x02 };
	uint8_t good[] = { 0x30, 0x06, 0x02, 0x01, 0x07, 0x02, 0x01, 0x02 };

	(void)state;
	assert_true(dump(OFS_REC_RECOVERY, good, sizeof(good), &fields));
	assert_false(dump(
		OFS_REC_RECOVERY, indefinite, sizeof(indefinite), &fields));
	assert_false(dump(
		OFS_REC_RECOVERY, long_length, sizeof(long_length), &fields));
	assert_false(dump(OFS_REC_RECOVERY, padded, sizeof(padded), &fields));

	/* BER's other TRUE */
	sample_body(OFS_REC_OUTCOME, &body);
	replace(&body, "\x01\x01\xff", "\x01\x01\x01", 3);
	assert_false(dump(OFS_REC_OUTCOME, body.p, body.len, &fields));
	/* a text that is not UTF-8, a name with a NUL */
	replace(&body, "\x01\x01\x01", "\x01\x01\xff", 3);
	replace(&body, "payroll", "payr\xfcll", 7);
	assert_false(dump(OFS_REC_OUTCOME, body.p, body.len, &fields));
	replace(&body, "payr\xfcll", "payroll", 7);
	replace(&body, "/out/a.p7s", "/out\0a.p7s", 10);
	assert_false(dump(OFS_REC_OUTCOME, body.p, body.len, &fields));
	replace(&body, "/out\0a.p7s", "/out/a.p7s", 10);
	assert_true(dump(OFS_REC_OUTCOME, body.p, body.len, &fields));
	buf_free(&body);
	buf_free(&fields);
}

/* a party that is not canonical is not saved by OpenSSL's kept encoding */
static void
refuses_a_loose_party(void **state)
{
	uint8_t p[] = { 0x30, 0x1a,                             /* key lent */
		0x30, 0x18,                                     /* party */
		0x30, 0x00,                                     /* key */
		0x30, 0x00,                                     /* token */
		0x30, 0x06, 0x02, 0x01, 0x07, 0x02, 0x01, 0x07, /* operator */
		0xa3, 0x0a, 0x2c, 0x08, 0x0c, 0x02, 'a', 'b', 0x0c, 0x02, 'c',
		'd' };
	uint8_t good[] = { 0x30, 0x16, 0x30, 0x14, 0x30, 0x00, 0x30, 0x00, 0x30,
		0x06, 0x02, 0x01, 0x07, 0x02, 0x01, 0x07, 0xa3, 0x06, 0x0c,
		0x04, 'a', 'b', 'c', 'd' };
	uint8_t zero_time[] = { 0x30, 0x13, 0x30, 0x11, 0x30, 0x05, 0xa7, 0x03,
		0x02, 0x01, 0x00, 0x30, 0x00, 0x30, 0x06, 0x02, 0x01, 0x07,
		0x02, 0x01, 0x07 };
	struct buf fields = BUF_INIT;

	(void)state;
	assert_true(dump(OFS_REC_KEY_LENT, good, sizeof(good), &fields));
	assert_false(dump(OFS_REC_KEY_LENT, p, sizeof(p), &fields));
	/* DER, but an optional time of 0 has to be left out */
	assert_false(
		dump(OFS_REC_KEY_LENT, zero_time, sizeof(zero_time), &fields));
	zero_time[10] = 1;
	assert_true(
		dump(OFS_REC_KEY_LENT, zero_time, sizeof(zero_time), &fields));
	/* nor is one behind a party that was right, of the same length */
	zero_time[10] = 0;
	assert_false(
		dump(OFS_REC_KEY_LENT, zero_time, sizeof(zero_time), &fields));
	buf_free(&fields);
}

static void
repairs_texts(void **state)
{
	struct rec_token_event r = { "init", sample_token(),
		sample_operator() };
	struct buf body = BUF_INIT;
	struct record_body *b;
	struct ofs_error e;
	struct ofs_field f;

	(void)state;
	r.token.label = "a\xff"
			"b\xc3\xa4\xc3";
	assert_int_equal(record_token_event_encode(&r, &body, &e), 0);
	assert_int_equal(record_body_decode(
				 OFS_REC_TOKEN_EVENT, body.p, body.len, &b, &e),
		0);
	assert_true(record_body_find(b, "token.label", &f));
	assert_int_equal(f.len, 6);
	assert_memory_equal(f.bytes, "a?b\xc3\xa4?", 6);
	record_body_free(b);
	buf_free(&body);
}

static void
refuses_to_encode(void **state)
{
	struct rec_intent_item items[2] = { { 5, sample_document("a") },
		{ 5, sample_document("b") } };
	struct rec_intent i = { REC_PURPOSE_DOCUMENT, { NULL, 0 }, items, 2 };
	struct rec_genesis g = { .operator_ = sample_operator(),
		.salt = { b32, 32 } };
	struct rec_outcome o;
	struct buf body = BUF_INIT;
	struct ofs_error e;

	(void)state;
	memset(&o, 0, sizeof(o));
	assert_int_equal(record_intent_encode(&i, &body, &e), OFS_EINTERNAL);
	i.n = 0;
	assert_int_equal(record_intent_encode(&i, &body, &e), OFS_EINTERNAL);
	assert_int_equal(record_genesis_encode(&g, &body, &e), OFS_EINTERNAL);
	assert_int_equal(record_outcome_encode(&o, &body, &e), OFS_EINTERNAL);
	assert_int_equal(body.len, 0);
	buf_free(&body);
}

static void
big_intent(void **state)
{
	enum { N = 5000 };
	struct rec_intent_item *items = calloc(N, sizeof(*items));
	struct rec_intent r = { REC_PURPOSE_DOCUMENT, { NULL, 0 }, items, N };
	struct buf body = BUF_INIT;
	struct record_body *b;
	struct ofs_error e;
	struct ofs_field f;

	(void)state;
	for (size_t i = 0; i < N; i++)
		items[i] = (struct rec_intent_item){ i * 3,
			sample_document("some/path") };
	assert_int_equal(record_intent_encode(&r, &body, &e), 0);
	assert_int_equal(
		record_body_decode(OFS_REC_INTENT, body.p, body.len, &b, &e),
		0);
	assert_true(record_body_find(b, "items.4999.index", &f));
	assert_int_equal(f.number, 4999 * 3);
	record_body_free(b);
	buf_free(&body);
	free(items);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header_layout),
		cmocka_unit_test(header_flips),
		cmocka_unit_test(every_type_decodes),
		cmocka_unit_test(bodies_are_unique),
		cmocka_unit_test(outcome_fields),
		cmocka_unit_test(intent_fields),
		cmocka_unit_test(refuses_what_is_not_der),
		cmocka_unit_test(refuses_a_loose_party),
		cmocka_unit_test(repairs_texts),
		cmocka_unit_test(refuses_to_encode),
		cmocka_unit_test(big_intent),
	};

	for (size_t i = 0; i < sizeof(b32); i++)
		b32[i] = (uint8_t)(i * 7 + 1);
	memcpy(b16, b32, sizeof(b16));
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
