/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sealed record bodies: both ways, every bit, padding, the key of one record.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "format/seal.h"

static struct ofs_error e;
static struct seal s;
static struct xaes key;

static int
setup(void **state)
{
	static const uint8_t raw[32] = { 1, 2, 3 };

	(void)state;
	return xaes_init(&key, raw, &e);
}

static int
teardown(void **state)
{
	(void)state;
	xaes_free(&key);
	seal_free(&s);
	return 0;
}

static struct record_header
header(uint64_t seq)
{
	struct record_header h;

	memset(&h, 0, sizeof(h));
	h.type = OFS_REC_OUTCOME;
	h.seq = seq;
	h.epoch = 7;
	memset(h.nonce, (int)seq, sizeof(h.nonce));
	return h;
}

/* an OCTET STRING of n bytes in all, with the header that DER wants */
static void
octets(struct buf *to, size_t n)
{
	buf_reset(to);
	buf_u8(to, 4);
	if (n < 130) {
		buf_u8(to, (uint8_t)(n - 2));
	} else if (n < 259) {
		buf_u8(to, 0x81);
		buf_u8(to, (uint8_t)(n - 3));
	} else {
		buf_u8(to, 0x82);
		buf_u16(to, (uint16_t)(n - 4));
	}
	while (to->len < n)
		buf_u8(to, 0xab);
}

static void
both_ways(void **state)
{
	static const size_t sizes[] = { 2, 100, 129, 131, 255, 256, 257, 258,
		512, 513, 1500, 60000 };
	struct buf der = BUF_INIT, stored = BUF_INIT;
	uint8_t bytes[RECORD_HEADER_SIZE], record_key[32];
	struct record_header h, back;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		octets(&der, sizes[i]);
		h = header(i);
		assert_int_equal(
			seal_body(&s, &key, &h, der.p, der.len, &e), 0);
		assert_int_equal(h.cipher, SEAL_CIPHER);
		assert_int_equal(h.body_len, s.out.len);
		assert_int_equal(
			h.body_len, (sizes[i] + 255) / 256 * 256 + XAES_TAG);
		buf_reset(&stored);
		buf_put(&stored, s.out.p, s.out.len);
		/* the header says all that opening takes beside the key */
		record_header_encode(&h, bytes);
		assert_int_equal(
			record_header_decode(bytes, sizeof(bytes), &back, &e),
			0);
		assert_int_equal(
			seal_record_key(&s, &key, &back, record_key, &e), 0);
		assert_int_equal(seal_open(&s, record_key, &back, stored.p,
					 stored.len, &e),
			0);
		assert_int_equal(s.out.len, der.len);
		assert_memory_equal(s.out.p, der.p, der.len);
	}
	buf_free(&der);
	buf_free(&stored);
}

static void
flipped_bits(void **state)
{
	struct buf der = BUF_INIT, stored = BUF_INIT;
	uint8_t bytes[RECORD_HEADER_SIZE], record_key[32];
	struct record_header h, got;
	size_t bit;

	(void)state;
	octets(&der, 200);
	h = header(3);
	assert_int_equal(seal_body(&s, &key, &h, der.p, der.len, &e), 0);
	buf_put(&stored, s.out.p, s.out.len);
	assert_int_equal(seal_record_key(&s, &key, &h, record_key, &e), 0);
	record_header_encode(&h, bytes);
	/* all that the ciphertext binds; body_sha256 is the caller's affair */
	for (bit = 0; bit < 8 * 148; bit++) {
		/* the first half of the nonce is in the key that we have */
		if (bit >= 8 * 92 && bit < 8 * 104)
			continue;
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (record_header_decode(bytes, sizeof(bytes), &got, &e) == 0)
			assert_int_equal(seal_open(&s, record_key, &got,
						 stored.p, stored.len, &e),
				OFS_EDAMAGED);
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (bit = 0; bit < 8 * stored.len; bit++) {
		stored.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(
			seal_open(&s, record_key, &h, stored.p, stored.len, &e),
			OFS_EDAMAGED);
		assert_int_equal(s.out.len, 0);
		stored.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (bit = 0; bit < 8 * sizeof(record_key); bit++) {
		record_key[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(
			seal_open(&s, record_key, &h, stored.p, stored.len, &e),
			OFS_EDAMAGED);
		record_key[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_int_equal(
		seal_open(&s, record_key, &h, stored.p, stored.len, &e), 0);
	buf_free(&der);
	buf_free(&stored);
}

/* one record's key says nothing of another's */
static void
other_record(void **state)
{
	struct record_header a = header(1), b = header(2);
	uint8_t ka[32], kb[32];
	struct buf der = BUF_INIT;

	(void)state;
	octets(&der, 50);
	assert_int_equal(seal_body(&s, &key, &a, der.p, der.len, &e), 0);
	assert_int_equal(seal_body(&s, &key, &b, der.p, der.len, &e), 0);
	assert_int_equal(seal_record_key(&s, &key, &a, ka, &e), 0);
	assert_int_equal(seal_record_key(&s, &key, &b, kb, &e), 0);
	assert_memory_not_equal(ka, kb, 32);
	assert_memory_not_equal(a.key_commit, b.key_commit, 32);
	a.nonce[0] ^= 1;
	assert_int_equal(seal_record_key(&s, &key, &a, ka, &e), OFS_EDAMAGED);
	buf_free(&der);
}

/* encrypts `n` bytes as they are, and opens that */
static int
open_padded(const uint8_t *p, size_t n)
{
	uint8_t bytes[RECORD_HEADER_SIZE], k[32], stored[1024 + XAES_TAG];
	struct record_header h = header(9);

	h.cipher = SEAL_CIPHER;
	h.body_len = (uint32_t)(n + XAES_TAG);
	record_header_encode(&h, bytes);
	assert_int_equal(xaes_derive(&key, h.nonce, k, &e), 0);
	assert_int_equal(seal_commit(&s, k, h.key_commit, &e), 0);
	assert_int_equal(
		xaes_gcm_seal(&s.gcm, k, h.nonce, bytes, 92, p, n, stored, &e),
		0);
	return seal_open(&s, k, &h, stored, n + XAES_TAG, &e);
}

static void
padding(void **state)
{
	uint8_t p[1024] = { 4, 10 };

	(void)state;
	assert_int_equal(open_padded(p, 256), 0);
	assert_int_equal(s.out.len, 12);
	assert_int_equal(open_padded(p, 512), OFS_EDAMAGED);
	assert_int_equal(open_padded(p, 255), OFS_EDAMAGED);
	p[12] = 1;
	assert_int_equal(open_padded(p, 256), OFS_EDAMAGED);
	p[12] = 0, p[255] = 0x80;
	assert_int_equal(open_padded(p, 256), OFS_EDAMAGED);
	p[255] = 0;
	memcpy(p, "\x04\x81\xfe", 3); /* 257 bytes in all */
	assert_int_equal(open_padded(p, 256), OFS_EDAMAGED);
	assert_int_equal(open_padded(p, 512), 0);
	memcpy(p, "\x04\x85\x00\x00\x00\x00\x01", 7);
	assert_int_equal(open_padded(p, 256), OFS_EDAMAGED);
	memcpy(p, "\x04\x84\xff\xff\xff\xff", 6);
	assert_int_equal(open_padded(p, 256), OFS_EDAMAGED);
	memcpy(p, "\x04\x80", 2);
	assert_int_equal(open_padded(p, 256), OFS_EDAMAGED);
}

static void
headers(void **state)
{
	uint8_t bytes[RECORD_HEADER_SIZE];
	struct record_header h = header(1), back;

	(void)state;
	h.cipher = SEAL_CIPHER;
	h.body_len = 256 + XAES_TAG;
	record_header_encode(&h, bytes);
	assert_int_equal(record_header_decode(bytes, 180, &back, &e), 0);
	h.body_len = 256;
	record_header_encode(&h, bytes);
	assert_int_equal(
		record_header_decode(bytes, 180, &back, &e), OFS_EFORMAT);
	h.body_len = XAES_TAG;
	record_header_encode(&h, bytes);
	assert_int_equal(
		record_header_decode(bytes, 180, &back, &e), OFS_EFORMAT);
	assert_int_equal(
		seal_open(&s, bytes, &h, bytes, XAES_TAG, &e), OFS_EDAMAGED);
	h.body_len = 256 + XAES_TAG;
	h.epoch = 0;
	record_header_encode(&h, bytes);
	assert_int_equal(
		record_header_decode(bytes, 180, &back, &e), OFS_EFORMAT);
	h.epoch = 1;
	h.cipher = 2;
	record_header_encode(&h, bytes);
	assert_int_equal(
		record_header_decode(bytes, 180, &back, &e), OFS_EFORMAT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_ways),
		cmocka_unit_test(flipped_bits),
		cmocka_unit_test(other_record),
		cmocka_unit_test(padding),
		cmocka_unit_test(headers),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
