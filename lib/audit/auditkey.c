/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The key that signs the log's checkpoints: which it is, and what it signs. */
#include <stdlib.h>
#include <string.h>

#include "audit/auditkey.h"

#include "base/text.h"

void
auditkey_free(struct audit_key *k)
{
	note_key_free(&k->pub);
	EVP_PKEY_free(k->secret);
	free(k->hint);
	free(k->made);
	memset(k, 0, sizeof(*k));
}

static bool
take_text(const struct record_body *b, const char *name, char *to, size_t size)
{
	struct ofs_field f;

	if (!record_body_find(b, name, &f) || f.len >= size)
		return false;
	memcpy(to, f.bytes, f.len);
	to[f.len] = '\0';
	return true;
}

/* the genesis has it as audit_key, an anchor as data */
static int
take_key(struct audit_key *k, int type, const struct record_body *b,
	struct ofs_error *e)
{
	bool genesis = type == OFS_REC_GENESIS;
	struct ofs_error why;
	char place[16];
	struct ofs_field f;

	if (!record_body_find(b, genesis ? "audit_key" : "data", &f) ||
		!take_text(b, genesis ? "audit_key_place" : "place", place,
			sizeof(place)))
		return err_set(e, OFS_EDAMAGED,
			"record %llu of the audit log names no audit key",
			(unsigned long long)k->seq);
	if (note_key_parse((const char *)f.bytes, f.len, &k->pub, &why) != 0)
		return err_set(e, OFS_EDAMAGED,
			"audit key of the audit log cannot be used: %s",
			why.message);
	k->on_token = strcmp(place, "token") == 0;
	return 0;
}

struct naming {
	struct audit_key *k;
	bool origin; /* wanted, or else the key */
	bool found;
};

static int
look(void *arg, const struct store_record *r, struct ofs_error *e)
{
	struct naming *n = arg;
	struct record_body *b;
	struct record_header h;
	int rc;

	n->found = true;
	rc = record_header_decode(r->header, r->header_len, &h, e);
	if (rc == 0)
		rc = record_body_decode(h.type, r->body, r->body_len, &b, e);
	if (rc != 0)
		return rc == OFS_EFORMAT ? e->code = OFS_EDAMAGED : rc;
	if (!n->origin)
		rc = take_key(n->k, h.type, b, e);
	else if (!take_text(b, "origin", n->k->origin, sizeof(n->k->origin)))
		rc = err_set(e, OFS_EDAMAGED, "audit log has no origin");
	record_body_free(b);
	return rc;
}

static int
read_naming(
	struct audit_key *k, struct store *s, bool origin, struct ofs_error *e)
{
	struct naming n = { k, origin, false };
	uint64_t seq = origin ? 0 : k->seq;
	int rc;

	rc = store_record_each(s, seq, seq, look, &n, e);
	if (rc == 0 && !n.found)
		rc = store_missing(seq, e);
	return rc;
}

int
auditkey_origin(struct audit_key *k, struct store *s, struct ofs_error *e)
{
	return read_naming(k, s, true, e);
}

static void
load_secret(struct audit_key *k, const struct place *p)
{
	if (k->hint == NULL || strncmp(k->hint, "file:", 5) != 0) {
		(void)err_set(&k->why, OFS_EKEY, "it is %s",
			k->on_token ? "on a token" : "not known where it is");
		return;
	}
	if (auditkey_open_file(p, k->hint + 5, NULL, &k->secret, &k->why) != 0)
		return;
	if (EVP_PKEY_eq(k->secret, k->pub.pub) == 1)
		return;
	(void)err_set(&k->why, OFS_EKEY, "'%s' holds another key",
		TEXT_Q(k->hint + 5));
	EVP_PKEY_free(k->secret);
	k->secret = NULL;
}

int
auditkey_load(struct audit_key *k, struct store *s, const struct place *p,
	bool read_only, struct ofs_error *e)
{
	struct buf hint = BUF_INIT, note = BUF_INIT;
	bool has;
	size_t n;
	int rc;

	rc = store_audit_key_get(s, &has, &k->seq, &hint, e);
	if (rc == 0 && has)
		rc = read_naming(k, s, true, e);
	if (rc == 0 && has)
		rc = read_naming(k, s, false, e);
	if (rc == 0 && has)
		rc = store_checkpoint_last(s, &k->done, &note, e);
	if (rc == 0 && has && hint.len > 0 &&
		(k->hint = (char *)buf_take(&hint, &n)) == NULL)
		rc = err_nomem(e);
	if (rc == 0 && has && !read_only)
		load_secret(k, p);
	buf_free(&hint);
	buf_free(&note);
	return rc;
}

void
auditkey_text(const struct audit_key *k, uint64_t size, const uint8_t root[32],
	struct buf *text)
{
	struct checkpoint c = { .size = size };

	memcpy(c.origin, k->origin, sizeof(c.origin));
	memcpy(c.root, root, sizeof(c.root));
	checkpoint_text(&c, text);
}

int
auditkey_assemble(struct audit_key *k, const struct buf *text,
	const uint8_t *sig, size_t n, struct buf *note, struct ofs_error *e)
{
	struct checkpoint c;

	if (buf_ok(text))
		buf_put(note, text->p, text->len);
	buf_str(note, "\n");
	note_sig_line(&k->pub, 0, sig, n, note);
	if (!buf_ok(text) || !buf_ok(note))
		return err_nomem(e);
	return auditkey_check(k, note->p, note->len, &c, e);
}

int
auditkey_note(struct audit_key *k, uint64_t size, const uint8_t root[32],
	struct buf *note, struct ofs_error *e)
{
	bool hashed = k->pub.type == NOTE_ECDSA;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	struct buf text = BUF_INIT;
	uint8_t sig[256];
	size_t n = sizeof(sig);
	int rc = 0;

	auditkey_text(k, size, root, &text);
	if (ctx == NULL || !buf_ok(&text))
		rc = err_nomem(e);
	else if (EVP_DigestSignInit(ctx, NULL, hashed ? EVP_sha256() : NULL,
			 NULL, k->secret) != 1 ||
		EVP_DigestSign(ctx, sig, &n, text.p, text.len) != 1)
		rc = err_ssl(e, OFS_EINTERNAL, "cannot sign a checkpoint");
	if (rc == 0)
		rc = auditkey_assemble(k, &text, sig, n, note, e);
	EVP_MD_CTX_free(ctx);
	buf_free(&text);
	return rc;
}

int
auditkey_check(const struct audit_key *k, const void *p, size_t n,
	struct checkpoint *out, struct ofs_error *e)
{
	struct note note;
	bool found;
	int rc;

	rc = note_parse(p, n, &note, e);
	if (rc != 0)
		return rc;
	rc = note_check(&note, &k->pub, &found, NULL, e);
	if (rc == 0 && !found)
		rc = err_set(e, OFS_ESIGNATURE,
			"the checkpoint is not signed by the log's audit key");
	if (rc == 0)
		rc = checkpoint_parse(note.text, note.text_len, out, e);
	if (rc == 0 && strcmp(out->origin, k->origin) != 0)
		rc = err_set(e, OFS_ESIGNATURE,
			"the checkpoint is of another log, '%s'",
			TEXT_Q(out->origin));
	note_free(&note);
	return rc;
}
