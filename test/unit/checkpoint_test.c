/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Audit keys, checkpoints, proofs and exports of a log. */
#include "log_sample.h"

#include <offlinesig/checkpoint.h>

#include "audit/checkpoint.h"
#include "base/file.h"
#include "format/proof.h"
#include "soft.h"

#include <openssl/pem.h>

static char key_file[160], other_dir[160];

static void
fresh(void)
{
	shell("rm -rf '%s'/*", sample_dir);
	snprintf(key_file, sizeof(key_file), "file:%s/key", sample_dir);
	snprintf(other_dir, sizeof(other_dir), "%s/other", sample_dir);
}

static int
init(const char *audit_key)
{
	struct ofs_audit_init_opts o = OFS_AUDIT_INIT_OPTS_INIT;

	o.origin = "test/log one";
	o.audit_key = audit_key;
	return ofs_audit_init(sample_ctx, log_dir, &o);
}

static void
logins(ofs_audit *a, int n)
{
	struct buf body = BUF_INIT;

	sample_begin(a);
	for (int i = 0; i < n; i++) {
		sample_login(a, &body);
		(void)sample_append(a, OFS_REC_LOGIN, NULL, &body, NULL);
	}
	sample_commit(a);
}

static struct ofs_audit_key_info
info(ofs_audit *a)
{
	struct ofs_audit_key_info i;

	assert_int_equal(ofs_audit_get_key(a, &i), 0);
	return i;
}

/* at the end of a batch, of a handle, and every 10,000 records */
static void
when(void **state)
{
	struct ofs_audit_report rep;
	struct ofs_audit_key_info i;
	struct ofs_error e;
	ofs_audit *a;

	(void)state;
	fresh();
	assert_int_equal(init(key_file), 0);
	a = sample_open(0);
	i = info(a);
	assert_true(i.at_hand && !i.on_token && i.records == 0);
	assert_non_null(strstr(i.vkey, "test/log-one+"));
	assert_string_equal(i.place, key_file);
	sample_whole_batch(a, 1, 5);
	assert_int_equal(info(a).records, 9);
	logins(a, 20);
	assert_int_equal(info(a).records, 9);
	ofs_audit_free(a);
	a = sample_open(OFS_AUDIT_READ_ONLY);
	assert_int_equal(info(a).records, 29);
	assert_false(info(a).at_hand);
	ofs_audit_free(a);
	/* nothing was added: no other one */
	ofs_audit_free(sample_open(0));
	ok(sample_verify(&rep, &e), &e);
	assert_int_equal(rep.checkpoints, 2);
	a = sample_open(0);
	for (int n = 0; n < 11; n++)
		logins(a, 1000);
	assert_int_equal(info(a).records, 10029);
	ofs_audit_free(a);
	ok(sample_verify(&rep, &e), &e);
	assert_int_equal(rep.records, 11029);
	assert_int_equal(rep.checkpoints, 4);
	assert_int_equal(rep.checkpoint_records, 11029);
	assert_false(rep.audit_key_pinned);
}

/* a log that was made without one gets one by a record */
static void
later(void **state)
{
	struct ofs_audit_report rep;
	struct ofs_error e;
	ofs_audit *a;
	char *note;

	(void)state;
	fresh();
	assert_int_equal(init(NULL), 0);
	a = sample_open(0);
	assert_string_equal(info(a).vkey, "");
	assert_int_equal(ofs_audit_checkpoint(a, true, &note), OFS_EKEY);
	sample_whole_batch(a, 1, 5);
	assert_int_equal(ofs_audit_set_key(a, key_file), 0);
	assert_int_equal(ofs_audit_set_key(a, key_file), OFS_EEXIST);
	assert_int_equal(ofs_audit_checkpoint(a, true, &note), 0);
	assert_non_null(strstr(note, "test/log one\n10\n"));
	free(note);
	ofs_audit_free(a);
	ok(sample_verify(&rep, &e), &e);
	assert_int_equal(rep.checkpoints, 1);
	assert_non_null(strstr(rep.audit_key, "test/log-one+"));
}

/* signing goes on without the key */
static void
key_is_away(void **state)
{
	struct ofs_audit_report rep;
	struct ofs_error e;
	ofs_audit *a;
	char *note;

	(void)state;
	fresh();
	assert_int_equal(init(key_file), 0);
	shell("mv %s %s.away", key_file + 5, key_file + 5);
	a = sample_open(0);
	assert_false(info(a).at_hand);
	assert_non_null(strstr(info(a).why, "No such file"));
	sample_whole_batch(a, 1, 5);
	assert_int_equal(ofs_audit_checkpoint(a, true, &note), OFS_EKEY);
	assert_int_equal(ofs_audit_checkpoint(a, false, &note), OFS_EAUDIT);
	ofs_audit_free(a);
	ok(sample_verify(&rep, &e), &e);
	assert_int_equal(rep.checkpoints, 0);
	/* another key in its place does not sign */
	shell("openssl genpkey -algorithm ed25519 -out %s 2>/dev/null && "
	      "chmod 600 %s",
		key_file + 5, key_file + 5);
	a = sample_open(0);
	assert_non_null(strstr(info(a).why, "another key"));
	ofs_audit_free(a);
	shell("mv %s.away %s && chmod 644 %s", key_file + 5, key_file + 5,
		key_file + 5);
	a = sample_open(0);
	assert_non_null(strstr(info(a).why, "chmod"));
	ofs_audit_free(a);
	shell("chmod 600 %s", key_file + 5);
	a = sample_open(0);
	assert_int_equal(ofs_audit_checkpoint(a, true, &note), 0);
	free(note);
	ofs_audit_free(a);
}

static void
bad_places(void **state)
{
	char inside[200];

	(void)state;
	fresh();
	snprintf(inside, sizeof(inside), "file:%s/key", log_dir);
	assert_int_equal(init(inside), OFS_EKEY);
	assert_int_equal(init("elsewhere"), OFS_EINVAL);
	assert_int_equal(init("file:"), OFS_EINVAL);
	shell("echo rubbish >%s; chmod 600 %s", key_file + 5, key_file + 5);
	assert_int_equal(init(key_file), OFS_EKEY);
	shell("openssl genrsa -out %s 2048 2>/dev/null", key_file + 5);
	assert_int_equal(init(key_file), OFS_EKEY);
	shell("ln -sf /dev/zero %s", key_file + 5);
	assert_int_equal(init(key_file), OFS_EKEY);
	/* the log can still be made */
	assert_int_equal(init("file"), 0);
	shell("test -f '%s.audit-key'", log_dir);
}

/* P-256, and a key that the log knows as one for documents */
static void
keys(void **state)
{
	struct ofs_audit_report rep;
	struct rec_key_event ev = { .event = "enroll" };
	struct rec_party party = { .tool = "test 1" };
	struct buf body = BUF_INIT, der = BUF_INIT;
	struct ofs_error e;
	uint8_t sum[32];
	EVP_PKEY *k;
	ofs_audit *a;
	FILE *f;

	(void)state;
	fresh();
	shell("openssl ecparam -name prime256v1 -genkey -noout -out %s && "
	      "chmod 600 %s",
		key_file + 5, key_file + 5);
	f = fopen(key_file + 5, "r");
	k = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	assert_non_null(k);
	fclose(f);
	assert_int_equal(init(NULL), 0);
	a = sample_open(0);
	ok(pubkey_sha256(k, sum, &e), &e);
	party.key.spki_sha256 = (struct rec_span){ sum, 32 };
	log_operator(a, &party.operator_);
	ok(record_party_encode(&party, &der, &e), &e);
	ev.party = (struct rec_span){ der.p, der.len };
	ev.certificate = ev.party;
	ok(record_key_event_encode(&ev, &body, &e), &e);
	sample_begin(a);
	(void)sample_append(a, OFS_REC_KEY_EVENT, NULL, &body, NULL);
	sample_commit(a);
	buf_free(&der);
	assert_int_equal(ofs_audit_set_key(a, key_file), OFS_EPOLICY);
	ofs_audit_free(a);
	shell("rm -rf '%s'", log_dir);
	assert_int_equal(init(key_file), 0);
	a = sample_open(0);
	assert_int_equal(log_refuse_key(a, k, &e), OFS_EPOLICY);
	EVP_PKEY_free(k);
	k = soft_key(OFS_KEY_EC_P256);
	assert_int_equal(log_refuse_key(a, k, &e), 0);
	EVP_PKEY_free(k);
	sample_whole_batch(a, 1, 5);
	ofs_audit_free(a);
	ok(sample_verify(&rep, &e), &e);
	assert_int_equal(rep.checkpoints, 1);
}

static void
pinned(void **state)
{
	struct ofs_audit_report rep;
	char vkey[1024];
	ofs_audit *a;

	(void)state;
	fresh();
	assert_int_equal(init(key_file), 0);
	a = sample_open(0);
	snprintf(vkey, sizeof(vkey), "%s", info(a).vkey);
	sample_whole_batch(a, 1, 5);
	ofs_audit_free(a);
	a = sample_open(OFS_AUDIT_READ_ONLY);
	assert_int_equal(ofs_audit_pin(a, vkey), 0);
	assert_int_equal(ofs_audit_verify(a, NULL, NULL, &rep), 0);
	assert_true(rep.audit_key_pinned);
	assert_int_equal(ofs_audit_pin(a, "nonsense"), OFS_EINVAL);
	ofs_audit_free(a);
	/* the same name and all, written anew */
	shell("rm -rf '%s' '%s'", log_dir, key_file + 5);
	assert_int_equal(init(key_file), 0);
	a = sample_open(OFS_AUDIT_READ_ONLY);
	assert_int_equal(ofs_audit_pin(a, vkey), 0);
	assert_int_equal(ofs_audit_verify(a, NULL, NULL, &rep), OFS_EDAMAGED);
	assert_false(rep.audit_key_pinned);
	ofs_audit_free(a);
	shell("rm -rf '%s'", log_dir);
	assert_int_equal(init(NULL), 0);
	a = sample_open(OFS_AUDIT_READ_ONLY);
	assert_int_equal(ofs_audit_pin(a, vkey), 0);
	assert_int_equal(ofs_audit_verify(a, NULL, NULL, &rep), OFS_EDAMAGED);
	ofs_audit_free(a);
}

/* verification fails and says these words */
static void
damaged(const char *sql, const char *words)
{
	struct ofs_audit_report rep;
	struct ofs_error e;

	shell("cp '%s/log.db' '%s.db'", log_dir, log_dir);
	shell("sqlite3 '%s/log.db' \"%s\"", log_dir, sql);
	if (sample_verify(&rep, &e) != OFS_EDAMAGED)
		fail_msg("'%s' was not seen", sql);
	if (strstr(e.message, words) == NULL)
		fail_msg("'%s' does not say '%s'", e.message, words);
	shell("cp '%s.db' '%s/log.db'", log_dir, log_dir);
	ok(sample_verify(&rep, &e), &e);
}

static void
tampered(void **state)
{
	ofs_audit *a;

	(void)state;
	fresh();
	assert_int_equal(init(key_file), 0);
	a = sample_open(0);
	for (uint8_t i = 1; i < 80; i++)
		sample_whole_batch(a, i, 5);
	ofs_audit_free(a);
	damaged("UPDATE checkpoint SET size = 10 WHERE size = 9",
		"is not the one");
	damaged("UPDATE checkpoint SET note = (SELECT note FROM checkpoint "
		"WHERE size = 9) WHERE size = 17",
		"is not the one");
	damaged("UPDATE checkpoint SET note = cast('x' as blob) "
		"WHERE size = 17",
		"malformed");
	damaged("UPDATE checkpoint SET note = "
		"cast(replace(note, 'log one', 'log two') as blob) "
		"WHERE size = 17",
		"wrong");
	damaged("INSERT INTO checkpoint SELECT 9999, note FROM checkpoint "
		"WHERE size = 9",
		"rolled back");
	damaged("DELETE FROM audit_key", "record 0");
	damaged("UPDATE audit_key SET seq = 5", "");
}

static char *
prove(ofs_audit *a, uint64_t seq, bool reveal)
{
	struct ofs_error e;
	char *proof;

	if (ofs_audit_prove(a, seq, reveal, &proof) != 0) {
		ofs_audit_error(a, &e);
		fail_msg("%s", e.message);
	}
	return proof;
}

static int
check(const char *proof, size_t n, const char *vkey)
{
	struct ofs_proof_opts o = OFS_PROOF_OPTS_INIT;
	struct ofs_proof_report rep;
	ofs_record *rec;
	int rc;

	o.vkey = vkey;
	rc = ofs_proof_check(sample_ctx, proof, n, &o, &rep, &rec);
	assert_true((rc == 0) == (rec != NULL));
	ofs_record_free(rec);
	return rc;
}

static void
proofs(void **state)
{
	struct ofs_proof_opts o = OFS_PROOF_OPTS_INIT;
	struct ofs_proof_report rep;
	struct ofs_record_head h;
	struct ofs_field f;
	struct ofs_audit_key_info i;
	ofs_record *rec;
	size_t hashes;
	ofs_audit *a;
	char *p;

	(void)state;
	fresh();
	assert_int_equal(init(key_file), 0);
	a = sample_open(0);
	for (uint8_t n = 1; n < 80; n++)
		sample_whole_batch(a, n, 5);
	i = info(a);
	o.vkey = i.vkey;
	for (uint64_t seq = 0; seq < i.records; seq++) {
		p = prove(a, seq, seq % 2 == 1);
		if (ofs_proof_check(sample_ctx, p, strlen(p), &o, &rep, &rec) !=
			0)
			fail_msg("%s", ofs_ctx_error(sample_ctx)->message);
		assert_int_equal(rep.seq, seq);
		assert_int_equal(rep.records, i.records);
		assert_int_equal(rep.revealed, seq % 2 == 1);
		ofs_record_get_head(rec, &h);
		assert_int_equal(h.seq, seq);
		assert_int_equal(ofs_record_find(rec, "status", &f),
			h.type == OFS_REC_OUTCOME && rep.revealed);
		ofs_record_free(rec);
		free(p);
	}
	/* wrong, or accepted as the very same proof */
	p = prove(a, 41, true);
	hashes = strlen(p);
	for (size_t bit = 0; bit < hashes * 8; bit++) {
		p[bit / 8] = (char)(p[bit / 8] ^ 1 << bit % 8);
		if (check(p, hashes, i.vkey) == 0)
			fail_msg("bit %zu", bit);
		p[bit / 8] = (char)(p[bit / 8] ^ 1 << bit % 8);
	}
	assert_int_equal(check(p, hashes, i.vkey), 0);
	assert_int_equal(check(p, hashes,
				 "example.com/foo+530d903a+AekyeRrm56hApGFkyQR"
				 "4ZCbV54Id2LKaANYcrnKv3U2k"),
		OFS_ESIGNATURE);
	free(p);
	/* that it grew: from nothing, from all of it, and from no more */
	assert_int_equal(ofs_audit_prove_growth(a, 0, &p), 0);
	assert_int_equal(strncmp(p, "old 0\n\n", 7), 0);
	assert_int_equal(check(p, strlen(p), i.vkey), OFS_EFORMAT);
	free(p);
	assert_int_equal(ofs_audit_prove_growth(a, i.records, &p), 0);
	free(p);
	logins(a, 1);
	assert_int_equal(
		ofs_audit_prove_growth(a, i.records + 1, &p), OFS_EAUDIT);
	assert_int_equal(ofs_audit_prove(a, i.records, false, &p), OFS_EAUDIT);
	assert_int_equal(
		ofs_audit_prove(a, i.records + 1, false, &p), OFS_EINVAL);
	ofs_audit_free(a);
}

/* `text` and the signature of the key */
static void
sign_note(EVP_PKEY *key, const struct note_key *k, const struct buf *text,
	struct buf *note)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t sig[64];
	size_t n = sizeof(sig);

	assert_int_equal(EVP_DigestSignInit(ctx, NULL, NULL, NULL, key), 1);
	assert_int_equal(EVP_DigestSign(ctx, sig, &n, text->p, text->len), 1);
	EVP_MD_CTX_free(ctx);
	buf_put(note, text->p, text->len);
	buf_u8(note, '\n');
	note_sig_line(k, 0, sig, n, note);
}

/* who owns the log proves that record 5 stands where record 0 belongs */
static void
wrong_number(void **state)
{
	struct proof_record r = { .h = { .type = OFS_REC_LOGIN,
					  .body_len = 1 } };
	EVP_PKEY *key = soft_key(OFS_KEY_ED25519);
	struct checkpoint c = { .origin = "log", .size = 1 };
	struct buf text = BUF_INIT, note = BUF_INIT, vkey = BUF_INIT;
	uint8_t header[RECORD_HEADER_SIZE];
	struct proof p = { .index = 0 };
	struct note_key k;
	struct ofs_error e;
	struct merkle m;

	(void)state;
	ok(note_key_make("log", NOTE_ED25519, key, &k, &e), &e);
	ok(note_key_text(&k, &vkey, &e), &e);
	assert_non_null(buf_cstr(&vkey));
	merkle_init(&m);
	for (r.h.seq = 0; r.h.seq < 10; r.h.seq += 5) {
		record_header_encode(&r.h, header);
		r.header = header;
		ok(merkle_leaf(&m, header, sizeof(header), c.root, &e), &e);
		buf_reset(&text);
		buf_reset(&note);
		buf_reset(&p.extra);
		checkpoint_text(&c, &text);
		sign_note(key, &k, &text, &note);
		proof_record_put(&r, &p.extra);
		p.note = (const char *)note.p;
		p.note_len = note.len;
		buf_reset(&text);
		proof_text(&p, &text);
		assert_int_equal(check((const char *)text.p, text.len,
					 (const char *)vkey.p),
			r.h.seq == 0 ? 0 : OFS_ESIGNATURE);
	}
	assert_non_null(strstr(
		ofs_ctx_error(sample_ctx)->message, "its header is that of 5"));
	merkle_free(&m);
	note_key_free(&k);
	proof_free(&p);
	buf_free(&text);
	buf_free(&note);
	buf_free(&vkey);
	EVP_PKEY_free(key);
}

/* of a log without an audit key */
static void
no_checkpoint(void **state)
{
	ofs_audit *a;
	uint64_t n;
	char *p;

	(void)state;
	fresh();
	assert_int_equal(init(NULL), 0);
	a = sample_open(0);
	assert_int_equal(ofs_audit_prove(a, 0, false, &p), OFS_EKEY);
	assert_int_equal(ofs_audit_prove_growth(a, 0, &p), OFS_EKEY);
	assert_int_equal(ofs_audit_export_tiles(a, other_dir, &n), OFS_EKEY);
	assert_int_equal(access(other_dir, F_OK), -1);
	ofs_audit_free(a);
}

/* somebody else's program, over an export and the proofs in it */
static void
second_verifier(const char *vkey, const char *args)
{
	const char *top = getenv("OFS_TOP");

	if (system("python3 -c '' 2>/dev/null") != 0) {
		printf("# python3 is missing: no second verifier\n");
		return;
	}
	shell("python3 '%s/test/second-verifier/verify.py' '%s' '%s' %s",
		top != NULL ? top : ".", vkey, other_dir, args);
}

/* the levels of 66,000 records; their roots are those of the tree */
static void
large(void **state)
{
	struct ofs_audit_report rep;
	struct ofs_error e;
	char path[200], *p;
	uint64_t n;
	ofs_audit *a;

	(void)state;
	fresh();
	assert_int_equal(init(key_file), 0);
	a = sample_open(0);
	for (int i = 0; i < 66; i++)
		logins(a, 1000);
	assert_int_equal(ofs_audit_checkpoint(a, true, &p), 0);
	free(p);
	for (uint64_t seq = 0; seq < 66001; seq += 65536 / 7) {
		p = prove(a, seq, false);
		assert_int_equal(check(p, strlen(p), info(a).vkey), 0);
		snprintf(path, sizeof(path), "%s/%u.tlog-proof", sample_dir,
			(unsigned int)seq);
		ok(file_write_new(path, p, strlen(p), false, &e), &e);
		free(p);
	}
	assert_int_equal(ofs_audit_export_tiles(a, other_dir, &n), 0);
	assert_int_equal(n, 66001);
	assert_int_equal(ofs_audit_export_tiles(a, other_dir, &n), OFS_EEXIST);
	ofs_audit_error(a, &e);
	assert_non_null(strstr(e.message, "holds an export already"));
	shell("cd '%s' && test -f tile/0/000 && test -f tile/0/256 && "
	      "test -f tile/0/257.p/209 && test -f tile/1/000 && "
	      "test -f tile/1/001.p/1 && test -f tile/2/000.p/1 && "
	      "test ! -e tile/3 && test -f tile/entries/257.p/209 && "
	      "test $(wc -c <tile/entries/000) = 46592",
		other_dir);
	snprintf(path, sizeof(path), "'%s'/*.tlog-proof", sample_dir);
	second_verifier(info(a).vkey, path);
	ofs_audit_free(a);
	ok(sample_verify(&rep, &e), &e);
	assert_int_equal(rep.checkpoints, 7);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(when),
		cmocka_unit_test(later),
		cmocka_unit_test(key_is_away),
		cmocka_unit_test(bad_places),
		cmocka_unit_test(keys),
		cmocka_unit_test(pinned),
		cmocka_unit_test(tampered),
		cmocka_unit_test(proofs),
		cmocka_unit_test(wrong_number),
		cmocka_unit_test(no_checkpoint),
		cmocka_unit_test(large),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, sample_setup, sample_teardown);
}
