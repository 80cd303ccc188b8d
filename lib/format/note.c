/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Signed notes and the checkpoints in them (C2SP). */
#include <inttypes.h>
#include <string.h>

#include "format/note.h"

#include "base/base64.h"
#include "base/rd.h"
#include "base/text.h"
#include "crypto/der.h"
#include "crypto/pubkey.h"
#include "format/decimal.h"

#define COSIG_SIZE (8 + 64)                  /* time, Ed25519 */
#define COSIG_TIME_MAX (INT64_MAX / 1000000) /* it is kept in us */
#define SIG_PREFIX "\xe2\x80\x94 "           /* em dash, blank */
#define SIG_PREFIX_LEN 4

static int
malformed(struct ofs_error *e, const char *what)
{
	return err_set(
		e, OFS_EFORMAT, "the signed note is malformed: %s", what);
}

/* newlines are the only control characters */
static bool
is_plain(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)p[i] < 0x20 && p[i] != '\n')
			return false;
	return text_is_utf8(p, n);
}

/* NAME BASE64, behind the dash */
static int
parse_sig(struct note *out, const char *p, size_t n, struct ofs_error *e)
{
	struct note_sig *s = &out->sig[out->n];
	const char *blank = memchr(p, ' ', n);
	size_t at = out->values.len;
	struct rd r;

	if (out->n == NOTE_SIGS_MAX)
		return malformed(e, "it has too many signatures");
	if (blank == NULL || !note_name_ok(p, (size_t)(blank - p)))
		return malformed(e, "a signature has no name of a key");
	s->name = p;
	s->name_len = (size_t)(blank - p);
	if (!base64_decode(&out->values, blank + 1, n - s->name_len - 1)) {
		if (!buf_ok(&out->values))
			return err_nomem(e);
		return malformed(e, "a signature is not base64");
	}
	rd_init(&r, out->values.p + at, out->values.len - at);
	s->id = rd_u32(&r);
	if (r.bad || r.left == 0)
		return malformed(e, "a signature is empty");
	s->at = at + 4;
	s->len = r.left;
	out->n++;
	return 0;
}

static int
parse_sigs(struct note *out, const char *p, size_t n, struct ofs_error *e)
{
	int rc = 0;

	if (n == 0)
		return malformed(e, "it has no signature");
	while (rc == 0 && n > 0) {
		const char *nl = memchr(p, '\n', n);
		size_t len;

		if (nl == NULL)
			return malformed(e, "its last line is cut off");
		len = (size_t)(nl - p);
		if (len < SIG_PREFIX_LEN ||
			memcmp(p, SIG_PREFIX, SIG_PREFIX_LEN) != 0)
			return malformed(
				e, "a line among its signatures is none");
		rc = parse_sig(
			out, p + SIG_PREFIX_LEN, len - SIG_PREFIX_LEN, e);
		p = nl + 1;
		n -= len + 1;
	}
	return rc;
}

int
note_parse(const void *p, size_t n, struct note *out, struct ofs_error *e)
{
	const char *s = p;
	size_t at;
	int rc;

	memset(out, 0, sizeof(*out));
	if (n > NOTE_MAX)
		return malformed(e, "it is too large");
	if (!is_plain(s, n))
		return malformed(
			e, "it is not UTF-8, or it holds control characters");
	/* the last empty line is in front of the signatures */
	for (at = n; at >= 2; at--)
		if (s[at - 1] == '\n' && s[at - 2] == '\n')
			break;
	if (at < 3)
		return malformed(e, "it has no text and signatures");
	out->text = s;
	out->text_len = at - 1;
	rc = parse_sigs(out, s + at, n - at, e);
	if (rc != 0)
		note_free(out);
	return rc;
}

void
note_free(struct note *note)
{
	buf_free(&note->values);
	memset(note, 0, sizeof(*note));
}

void
note_signed_bytes(enum note_type type, int64_t time, const char *text, size_t n,
	struct buf *to)
{
	if (type == NOTE_COSIGNATURE)
		buf_printf(to, "cosignature/v1\ntime %" PRId64 "\n", time);
	buf_put(to, text, n);
}

void
note_sig_line(const struct note_key *k, int64_t time, const uint8_t *sig,
	size_t n, struct buf *to)
{
	struct buf value = BUF_INIT;

	buf_u32(&value, k->id);
	if (k->type == NOTE_COSIGNATURE)
		buf_u64(&value, (uint64_t)time);
	buf_put(&value, sig, n);
	buf_str(to, SIG_PREFIX);
	buf_str(to, k->name);
	buf_str(to, " ");
	if (buf_ok(&value))
		base64_encode(to, value.p, value.len);
	else
		to->failed = true;
	buf_str(to, "\n");
	buf_free(&value);
}

static int
check_value(const struct note *note, const struct note_key *k,
	const struct note_sig *s, int64_t *time, struct ofs_error *e)
{
	const struct alg *alg = k->type == NOTE_ECDSA
		? alg_for(OFS_KEY_EC_P256, OFS_DIGEST_SHA256)
		: alg_for(OFS_KEY_ED25519, OFS_DIGEST_DEFAULT);
	struct to_sign t = { .alg = alg };
	struct buf signed_ = BUF_INIT;
	uint8_t hash[DIGEST_MAX];
	struct rd r;
	int rc = 0;

	*time = 0;
	rd_init(&r, note->values.p + s->at, s->len);
	if (k->type == NOTE_COSIGNATURE) {
		uint64_t when = rd_u64(&r);

		if (r.bad || s->len != COSIG_SIZE || when > COSIG_TIME_MAX)
			return err_set(e, OFS_ESIGNATURE, "it has no time");
		*time = (int64_t)when;
	}
	note_signed_bytes(k->type, *time, note->text, note->text_len, &signed_);
	if (!buf_ok(&signed_))
		rc = err_nomem(e);
	t.message = signed_.p;
	t.message_len = signed_.len;
	if (rc == 0 && k->type == NOTE_ECDSA) {
		rc = digest_of(alg->digest, signed_.p, signed_.len, hash, e);
		t.hash = hash;
	}
	if (rc == 0)
		rc = pubkey_verify_signed(k->pub, &t, r.p, r.left, e);
	buf_free(&signed_);
	return rc;
}

int
note_check(const struct note *note, const struct note_key *k, bool *found,
	int64_t *time, struct ofs_error *e)
{
	size_t name_len = strlen(k->name), i;
	struct ofs_error why;
	int64_t when = 0;
	int rc;

	*found = false;
	if (time != NULL)
		*time = 0;
	for (i = 0; i < note->n; i++) {
		const struct note_sig *s = &note->sig[i];

		if (s->id != k->id || s->name_len != name_len ||
			memcmp(s->name, k->name, name_len) != 0)
			continue;
		rc = check_value(note, k, s, &when, &why);
		if (rc == OFS_ESIGNATURE)
			return err_set(e, rc,
				"the signature by '%s' on the note is wrong",
				TEXT_Q(k->name));
		if (rc != 0) {
			*e = why;
			return rc;
		}
		*found = true;
		if (time != NULL)
			*time = when;
	}
	return 0;
}

void
checkpoint_text(const struct checkpoint *c, struct buf *to)
{
	buf_printf(to, "%s\n%" PRIu64 "\n", c->origin, c->size);
	base64_encode(to, c->root, sizeof(c->root));
	buf_str(to, "\n");
	if (c->ext_len > 0)
		buf_put(to, c->ext, c->ext_len);
}

/* the next line without its newline; NULL when there is none */
static const char *
next_line(const char **p, size_t *left, size_t *n)
{
	const char *line = *p, *nl = memchr(*p, '\n', *left);

	if (nl == NULL)
		return NULL;
	*n = (size_t)(nl - line);
	*left -= *n + 1;
	*p = nl + 1;
	return line;
}

static int
no_checkpoint(struct ofs_error *e, const char *what)
{
	return err_set(e, OFS_EFORMAT, "the checkpoint is malformed: %s", what);
}

int
checkpoint_parse(
	const char *text, size_t n, struct checkpoint *out, struct ofs_error *e)
{
	const char *line;
	size_t len;

	memset(out, 0, sizeof(*out));
	if (!is_plain(text, n))
		return no_checkpoint(
			e, "it is not UTF-8, or it holds control characters");
	line = next_line(&text, &n, &len);
	if (line == NULL || len == 0 || len > NOTE_NAME_MAX)
		return no_checkpoint(e, "it names no log");
	memcpy(out->origin, line, len);
	line = next_line(&text, &n, &len);
	if (line == NULL || !decimal_parse(line, len, &out->size))
		return no_checkpoint(e, "its size is no number");
	line = next_line(&text, &n, &len);
	if (line == NULL ||
		!base64_decode_to(out->root, sizeof(out->root), line, len))
		return no_checkpoint(e, "its root is not a hash");
	out->ext = n > 0 ? text : NULL;
	out->ext_len = n;
	while (n > 0) {
		line = next_line(&text, &n, &len);
		if (line == NULL || len == 0)
			return no_checkpoint(
				e, "a line behind its root is empty");
	}
	return 0;
}
