/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Signed notes, verifier keys, checkpoints: C2SP's examples, both ways. */
#include "soft.h"

#include "base/base64.h"
#include "format/note.h"

#define DASH "\xe2\x80\x94 "

static struct ofs_error e;

static void
base64(void **state)
{
	static const char *const bad[] = { "Zg", "Zg=", "Zh==", "Zm9=", "Zm=v",
		"Z===", "====", "Zg==\n", " Zg==", "Zm9v=", "Zm9v====", "Zm-v",
		"Zm_v", "Zg==Zg==", "Zm9v Zm9v" };
	struct buf b = BUF_INIT, text = BUF_INIT;
	uint8_t p[100];

	(void)state;
	for (size_t n = 0; n < sizeof(p); n++) {
		buf_reset(&b);
		buf_reset(&text);
		p[n] = (uint8_t)(n * 37 + 251);
		base64_encode(&text, p, n);
		assert_true(base64_decode(&b, (const char *)text.p, text.len));
		assert_int_equal(b.len, n);
		assert_memory_equal(n > 0 ? b.p : p, p, n);
		assert_true(
			base64_decode_to(p, n, (const char *)text.p, text.len));
		assert_false(base64_decode_to(
			p, n + 1, (const char *)text.p, text.len));
	}
	buf_reset(&b);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (base64_decode(&b, bad[i], strlen(bad[i])))
			fail_msg("'%s' was taken", bad[i]);
		assert_int_equal(b.len, 0);
	}
	assert_false(base64_decode(&b, "Zg==\0", 5));
	assert_false(base64_decode(&b, "Zg\0=", 4));
	buf_free(&b);
	buf_free(&text);
}

/* the example of c2sp.org/signed-note */
static void
published(void **state)
{
	static const char vkey[] =
		"example.com/foo+530d903a+"
		"AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
	static const char text[] =
		"This is an example message.\n\n" DASH
		"example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONnc"
		"AlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
	struct buf again = BUF_INIT;
	struct note_key k;
	struct note note;
	bool found;

	(void)state;
	assert_int_equal(note_key_parse(vkey, strlen(vkey), &k, &e), 0);
	assert_int_equal(k.id, 0x530d903a);
	assert_int_equal(note_key_text(&k, &again, &e), 0);
	assert_string_equal((const char *)again.p, vkey);
	assert_int_equal(note_parse(text, strlen(text), &note, &e), 0);
	assert_int_equal(note.n, 1);
	assert_int_equal(note.text_len, 28);
	assert_int_equal(note_check(&note, &k, &found, NULL, &e), 0);
	assert_true(found);
	note_free(&note);
	note_key_free(&k);
	buf_free(&again);
}

static void
sign(const struct note_key *k, EVP_PKEY *key, int64_t time, const char *text,
	struct buf *to)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	struct buf msg = BUF_INIT;
	uint8_t sig[128];
	size_t n = sizeof(sig);

	note_signed_bytes(k->type, time, text, strlen(text), &msg);
	assert_int_equal(
		EVP_DigestSignInit(ctx, NULL,
			k->type == NOTE_ECDSA ? EVP_sha256() : NULL, NULL, key),
		1);
	assert_int_equal(EVP_DigestSign(ctx, sig, &n, msg.p, msg.len), 1);
	note_sig_line(k, time, sig, n, to);
	buf_free(&msg);
	EVP_MD_CTX_free(ctx);
}

struct set {
	EVP_PKEY *ed, *ec, *witness;
	struct note_key log, old, cosigner;
	struct buf note;
};

static const char body[] = "example.com/log\n3\n"
			   "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

static void
set_up(struct set *s)
{
	memset(s, 0, sizeof(*s));
	s->ed = soft_key(OFS_KEY_ED25519);
	s->ec = soft_key(OFS_KEY_EC_P256);
	s->witness = soft_key(OFS_KEY_ED25519);
	assert_int_equal(note_key_make("example.com/log", NOTE_ED25519, s->ed,
				 &s->log, &e),
		0);
	assert_int_equal(note_key_make("example.com/log", NOTE_ECDSA, s->ec,
				 &s->old, &e),
		0);
	assert_int_equal(note_key_make("witness", NOTE_COSIGNATURE, s->witness,
				 &s->cosigner, &e),
		0);
	buf_str(&s->note, body);
	buf_str(&s->note, "\n");
	sign(&s->log, s->ed, 0, body, &s->note);
	sign(&s->old, s->ec, 0, body, &s->note);
	sign(&s->cosigner, s->witness, 1700000000, body, &s->note);
	assert_true(buf_ok(&s->note));
}

static void
tear_down(struct set *s)
{
	note_key_free(&s->log);
	note_key_free(&s->old);
	note_key_free(&s->cosigner);
	EVP_PKEY_free(s->ed);
	EVP_PKEY_free(s->ec);
	EVP_PKEY_free(s->witness);
	buf_free(&s->note);
}

static void
three_types(void **state)
{
	struct checkpoint c;
	struct note note;
	struct set s;
	int64_t time;
	bool found;

	(void)state;
	set_up(&s);
	assert_int_equal(note_parse(s.note.p, s.note.len, &note, &e), 0);
	assert_int_equal(note.n, 3);
	assert_int_equal(note_check(&note, &s.log, &found, &time, &e), 0);
	assert_true(found && time == 0);
	assert_int_equal(note_check(&note, &s.old, &found, &time, &e), 0);
	assert_true(found && time == 0);
	assert_int_equal(note_check(&note, &s.cosigner, &found, &time, &e), 0);
	assert_true(found && time == 1700000000);
	/* another name, another id: not ours */
	s.log.id++;
	assert_int_equal(note_check(&note, &s.log, &found, &time, &e), 0);
	assert_false(found);
	s.old.name[0]++;
	assert_int_equal(note_check(&note, &s.old, &found, &time, &e), 0);
	assert_false(found);
	assert_int_equal(checkpoint_parse(note.text, note.text_len, &c, &e), 0);
	assert_string_equal(c.origin, "example.com/log");
	assert_int_equal(c.size, 3);
	assert_null(c.ext);
	note_free(&note);
	tear_down(&s);
}

/* a good signature does not make up for a bad one of the same key */
static void
bad_as_a_whole(void **state)
{
	struct note note;
	struct set s;
	bool found;

	(void)state;
	set_up(&s);
	sign(&s.log, s.witness, 0, body, &s.note);
	assert_int_equal(note_parse(s.note.p, s.note.len, &note, &e), 0);
	assert_int_equal(
		note_check(&note, &s.log, &found, NULL, &e), OFS_ESIGNATURE);
	assert_int_equal(note_check(&note, &s.old, &found, NULL, &e), 0);
	note_free(&note);
	tear_down(&s);
}

/* is refused, or does not count, or says the same */
static void
every_bit(void **state)
{
	struct set s;
	size_t counted = 0, sig_at;

	(void)state;
	set_up(&s);
	sig_at = sizeof(body); /* behind the blank line */
	for (size_t bit = 0; bit < s.note.len * 8; bit++) {
		struct note note;
		bool found = false;
		int rc;

		s.note.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		rc = note_parse(s.note.p, s.note.len, &note, &e);
		if (rc == 0) {
			rc = note_check(&note, &s.log, &found, NULL, &e);
			assert_true(rc == 0 || rc == OFS_ESIGNATURE);
			if (rc == 0 && found && bit / 8 < sig_at)
				fail_msg("bit %zu of the text", bit);
			counted += rc == 0 && found;
			note_free(&note);
		} else {
			assert_int_equal(rc, OFS_EFORMAT);
		}
		s.note.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	/* the lines of the two others may be changed: this key is elsewhere */
	assert_true(counted > 0);
	tear_down(&s);
}

static void
bad_notes(void **state)
{
	static const char *const bad[] = { "", "\n", "\n\n", "a\n", "a\n\n",
		"\n\n" DASH "n AAAAAAAA\n", "a\n\n" DASH "n AAAAAAAA",
		"a\n\n" DASH "n AAAAAAA\n", "a\n\n" DASH " AAAAAAAA\n",
		"a\n\n" DASH "n AAAA\n", "a\n\n" DASH "n\n",
		"a\n\n" DASH "n  AAAAAAAA\n", "a\n\n- n AAAAAAAA\n",
		"a\n\n" DASH "n+ AAAAAAAA\n", "a\n\n" DASH "n AAAAAAAA\nb\n",
		"a\n\n" DASH "n AAAAAAAA\n\n", "a\r\n\n" DASH "n AAAAAAAA\n",
		"a\x80\n\n" DASH "n AAAAAAAA\n", "a\n" DASH "n AAAAAAAA\n",
		"a\n\n" DASH "n\xc2\xa0m AAAAAAAA\n" };
	struct buf many = BUF_INIT;
	struct note note;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (note_parse(bad[i], strlen(bad[i]), &note, &e) !=
			OFS_EFORMAT)
			fail_msg("%zu was taken", i);
	/* an empty line in the text; 64 signatures and no more */
	buf_str(&many, "a\n\nb\n\n");
	for (int i = 0; i < NOTE_SIGS_MAX; i++)
		buf_str(&many, DASH "n AAAAAAAA\n");
	assert_int_equal(note_parse(many.p, many.len, &note, &e), 0);
	assert_int_equal(note.n, NOTE_SIGS_MAX);
	assert_int_equal(note.text_len, 5);
	note_free(&note);
	buf_str(&many, DASH "n AAAAAAAA\n");
	assert_int_equal(note_parse(many.p, many.len, &note, &e), OFS_EFORMAT);
	buf_free(&many);
}

static void
bad_keys(void **state)
{
	static const char *const bad[] = { "", "a", "a+b", "a++",
		"+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
		/* hash of another, upper case, too short */
		"example.com/foo+530d903b+"
		"AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
		"example.com/foo+530D903A+"
		"AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
		"example.com/foo+530d903+"
		"AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
		"example.com/fo+530d903a+"
		"AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
		"example.com/foo+530d903a+"
		"AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2",
		"example.com/foo+530d903a+"
		"AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k ",
		"example.com/foo+530d903a+" };
	struct note_key k;
	struct set s;
	struct buf text = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (note_key_parse(bad[i], strlen(bad[i]), &k, &e) !=
			OFS_EFORMAT)
			fail_msg("%zu was taken", i);
	set_up(&s);
	assert_int_equal(note_key_text(&s.old, &text, &e), 0);
	for (size_t bit = 0; bit < text.len * 8; bit++) {
		text.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		/* the hash of P-256 is of the key alone: names may differ */
		if (note_key_parse((const char *)text.p, text.len, &k, &e) ==
			0) {
			assert_true(bit / 8 < strlen(s.old.name));
			note_key_free(&k);
		}
		text.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	buf_reset(&text);
	assert_int_equal(note_key_text(&s.cosigner, &text, &e), 0);
	for (size_t bit = 0; bit < text.len * 8; bit++) {
		text.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_not_equal(
			note_key_parse((const char *)text.p, text.len, &k, &e),
			0);
		text.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	/* a key of another kind than its type says */
	assert_int_equal(note_key_make("n", NOTE_ED25519, s.ec, &k, &e),
		OFS_EUNSUPPORTED);
	assert_int_equal(
		note_key_make("n", NOTE_ECDSA, s.ed, &k, &e), OFS_EUNSUPPORTED);
	assert_int_equal(
		note_key_make("a b", NOTE_ECDSA, s.ec, &k, &e), OFS_EINVAL);
	buf_free(&text);
	tear_down(&s);
}

static void
names(void **state)
{
	char to[NOTE_NAME_MAX + 1], longest[400];

	(void)state;
	assert_true(note_name_ok("host/1a2b", 9));
	assert_true(note_name_ok("g\xc3\xa4rtner", 8));
	assert_false(note_name_ok("", 0));
	assert_false(note_name_ok("a b", 3));
	assert_false(note_name_ok("a+b", 3));
	assert_false(note_name_ok("a\nb", 3));
	assert_false(note_name_ok("a\xe3\x80\x80", 4));
	assert_false(note_name_ok("a\xff", 2));
	note_name_from("pay roll+\xc2\xa0 g\xc3\xa4r", to);
	assert_string_equal(to, "pay-roll---g\xc3\xa4r");
	assert_true(note_name_ok(to, strlen(to)));
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	memcpy(longest + NOTE_NAME_MAX - 1, "\xc3\xa4", 2);
	note_name_from(longest, to);
	assert_int_equal(strlen(to), NOTE_NAME_MAX - 1);
	assert_true(note_name_ok(to, strlen(to)));
}

static void
checkpoints(void **state)
{
#define ROOT "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
	static const char *const bad[] = { "", "o\n", "o\n3\n", "\n3\n" ROOT,
		"o\n03\n" ROOT, "o\n-3\n" ROOT, "o\n 3\n" ROOT, "o\n\n" ROOT,
		"o\n9223372036854775808\n" ROOT, "o\n3\nAAAA\n",
		"o\n3\n" ROOT "\n", "o\n3\n" ROOT "x", "o\n3\n" ROOT "x\n\n",
		"o\n3x\n" ROOT, "o\n99999999999999999999\n" ROOT,
		"o\t\n3\n" ROOT };
	static const char *const good[] = { "o\n0\n" ROOT,
		"my log\n9223372036854775807\n" ROOT, "o\n3\n" ROOT "x\ny\n" };
	struct buf again = BUF_INIT;
	struct checkpoint c;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (checkpoint_parse(bad[i], strlen(bad[i]), &c, &e) !=
			OFS_EFORMAT)
			fail_msg("%zu was taken", i);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(
			checkpoint_parse(good[i], strlen(good[i]), &c, &e), 0);
		buf_reset(&again);
		checkpoint_text(&c, &again);
		assert_int_equal(again.len, strlen(good[i]));
		assert_memory_equal(again.p, good[i], again.len);
	}
	buf_free(&again);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base64),
		cmocka_unit_test(published),
		cmocka_unit_test(three_types),
		cmocka_unit_test(bad_as_a_whole),
		cmocka_unit_test(every_bit),
		cmocka_unit_test(bad_notes),
		cmocka_unit_test(bad_keys),
		cmocka_unit_test(names),
		cmocka_unit_test(checkpoints),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
