/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names and verifier keys of signed notes (C2SP). */
#include <stdio.h>
#include <string.h>

#include "format/note.h"

#include "base/base64.h"
#include "base/hex.h"
#include "base/rd.h"
#include "base/text.h"
#include "crypto/pubkey.h"

#define ED25519_SIZE 32

/* Unicode's White_Space beyond control characters, as UTF-8 */
static const char *const spaces[] = { " ", "\xc2\x85", "\xc2\xa0",
	"\xe1\x9a\x80", "\xe2\x80\x80", "\xe2\x80\x81", "\xe2\x80\x82",
	"\xe2\x80\x83", "\xe2\x80\x84", "\xe2\x80\x85", "\xe2\x80\x86",
	"\xe2\x80\x87", "\xe2\x80\x88", "\xe2\x80\x89", "\xe2\x80\x8a",
	"\xe2\x80\xa8", "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f",
	"\xe3\x80\x80" };

/* one character, n bytes, that a name may have */
static bool
is_name_char(const char *s, size_t n)
{
	if (n == 0 || (n == 1 && ((unsigned char)s[0] < 0x20 || *s == '+')))
		return false;
	for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++)
		if (strlen(spaces[i]) == n && memcmp(spaces[i], s, n) == 0)
			return false;
	return true;
}

bool
note_name_ok(const char *name, size_t n)
{
	size_t i, len;

	for (i = 0; i < n; i += len) {
		len = text_utf8_char(name + i, n - i);
		if (!is_name_char(name + i, len))
			return false;
	}
	return n > 0 && n <= NOTE_NAME_MAX;
}

void
note_name_from(const char *text, char to[NOTE_NAME_MAX + 1])
{
	size_t n = strlen(text), len, at = 0;

	for (; n > 0 && at < NOTE_NAME_MAX; text += len, n -= len) {
		len = text_utf8_char(text, n);
		if (!is_name_char(text, len)) {
			len = len > 0 ? len : 1;
			to[at++] = '-';
		} else if (at + len <= NOTE_NAME_MAX) {
			memcpy(to + at, text, len);
			at += len;
		} else {
			break;
		}
	}
	to[at] = '\0';
}

enum note_type
note_type_of(const EVP_PKEY *pub)
{
	switch (pubkey_type(pub)) {
	case OFS_KEY_ED25519:
		return NOTE_ED25519;
	case OFS_KEY_EC_P256:
		return NOTE_ECDSA;
	default:
		return (enum note_type)0;
	}
}

/* behind the type byte: 32 bytes of RFC 8032, or for ECDSA a DER SPKI */
static int
put_public(const struct note_key *k, struct buf *to, struct ofs_error *e)
{
	size_t n = ED25519_SIZE;
	uint8_t *p;

	if (k->type == NOTE_ECDSA)
		return pubkey_to_spki(k->pub, to, e);
	p = buf_grow(to, ED25519_SIZE);
	if (p == NULL)
		return err_nomem(e);
	if (EVP_PKEY_get_raw_public_key(k->pub, p, &n) != 1 ||
		n != ED25519_SIZE)
		return err_ssl(e, OFS_EINTERNAL, "cannot read a public key");
	return 0;
}

/* the id of an ECDSA key is of the key alone, of the others with its name */
static int
find_id(const struct note_key *k, uint32_t *id, struct ofs_error *e)
{
	struct buf b = BUF_INIT;
	uint8_t sum[32];
	struct rd r;
	int rc;

	if (k->type != NOTE_ECDSA) {
		buf_printf(&b, "%s\n", k->name);
		buf_u8(&b, (uint8_t)k->type);
	}
	rc = put_public(k, &b, e);
	if (rc == 0 && !buf_ok(&b))
		rc = err_nomem(e);
	if (rc == 0)
		rc = digest_of(&digest_sha256, b.p, b.len, sum, e);
	if (rc == 0) {
		rd_init(&r, sum, sizeof(sum));
		*id = rd_u32(&r);
	}
	buf_free(&b);
	return rc;
}

int
note_key_make(const char *name, enum note_type type, EVP_PKEY *pub,
	struct note_key *out, struct ofs_error *e)
{
	enum ofs_key_type need =
		type == NOTE_ECDSA ? OFS_KEY_EC_P256 : OFS_KEY_ED25519;
	int rc;

	memset(out, 0, sizeof(*out));
	if (!note_name_ok(name, strlen(name)))
		return err_set(e, OFS_EINVAL,
			"'%s' cannot be the name of a verifier key: it must "
			"be 1 to %d bytes without blanks and '+'",
			TEXT_Q(name), NOTE_NAME_MAX);
	if (pubkey_type(pub) != need)
		return err_set(e, OFS_EUNSUPPORTED,
			"checkpoints are signed by Ed25519 and P-256 keys, "
			"cosignatures by Ed25519 keys");
	if (EVP_PKEY_up_ref(pub) != 1)
		return err_ssl(e, OFS_EINTERNAL, "cannot keep a public key");
	snprintf(out->name, sizeof(out->name), "%s", name);
	out->type = type;
	out->pub = pub;
	rc = find_id(out, &out->id, e);
	if (rc != 0)
		note_key_free(out);
	return rc;
}

int
note_key_text(const struct note_key *k, struct buf *to, struct ofs_error *e)
{
	struct buf b = BUF_INIT;
	int rc;

	buf_u8(&b, (uint8_t)k->type);
	rc = put_public(k, &b, e);
	buf_printf(to, "%s+%08x+", k->name, (unsigned int)k->id);
	if (rc == 0 && buf_ok(&b))
		base64_encode(to, b.p, b.len);
	if (rc == 0 && (!buf_ok(&b) || buf_cstr(to) == NULL))
		rc = err_nomem(e);
	buf_free(&b);
	return rc;
}

void
note_key_free(struct note_key *k)
{
	EVP_PKEY_free(k->pub);
	memset(k, 0, sizeof(*k));
}

static int
malformed(struct ofs_error *e, const char *what)
{
	return err_set(e, OFS_EFORMAT,
		"the verifier key is malformed: %s; it reads "
		"NAME+HASH+BASE64",
		what);
}

/* a type byte and the key itself */
static int
parse_public(struct note_key *k, const struct buf *b, struct ofs_error *e)
{
	struct buf again = BUF_INIT;
	int rc;

	if (b->len < 2)
		return malformed(e, "it is too short");
	k->type = (enum note_type)b->p[0];
	if (k->type == NOTE_ED25519 || k->type == NOTE_COSIGNATURE) {
		if (b->len == 1 + ED25519_SIZE)
			k->pub = EVP_PKEY_new_raw_public_key(
				EVP_PKEY_ED25519, NULL, b->p + 1, ED25519_SIZE);
		return k->pub != NULL ? 0
				      : malformed(e, "its key is not Ed25519");
	}
	if (k->type != NOTE_ECDSA)
		return err_set(e, OFS_EUNSUPPORTED,
			"the verifier key is of type %u; known are 1 "
			"(Ed25519), 2 (P-256) and 4 (cosignatures)",
			b->p[0]);
	rc = pubkey_from_spki(b->p + 1, b->len - 1, &k->pub, e);
	if (rc != 0 || pubkey_type(k->pub) != OFS_KEY_EC_P256)
		return malformed(e, "its key is not P-256");
	rc = pubkey_to_spki(k->pub, &again, e);
	if (rc == 0 &&
		(again.len != b->len - 1 ||
			memcmp(again.p, b->p + 1, again.len) != 0))
		rc = malformed(e, "its key is not DER");
	buf_free(&again);
	return rc;
}

/* base64 may hold "+", too: the first two part the fields */
static int
parse_fields(const char *s, size_t n, struct note_key *k, struct ofs_error *e)
{
	const char *plus = memchr(s, '+', n), *last = NULL;
	struct buf b = BUF_INIT;
	uint8_t id[4];
	char hex[9];
	uint32_t found;
	int rc;

	if (plus != NULL)
		last = memchr(plus + 1, '+', n - (size_t)(plus + 1 - s));
	if (last == NULL || !note_name_ok(s, (size_t)(plus - s)))
		return malformed(e, "it has no name of a key");
	memcpy(k->name, s, (size_t)(plus - s));
	if (!hex_decode(id, sizeof(id), plus + 1, (size_t)(last - plus - 1)) ||
		memcmp(hex_encode(hex, id, sizeof(id)), plus + 1, 8) != 0)
		return malformed(e, "its hash is not 8 hexadecimal digits");
	if (!base64_decode(&b, last + 1, n - (size_t)(last + 1 - s)))
		rc = buf_ok(&b) ? malformed(e, "its key is not base64")
				: err_nomem(e);
	else
		rc = parse_public(k, &b, e);
	buf_free(&b);
	if (rc == 0)
		rc = find_id(k, &found, e);
	if (rc != 0)
		return rc;
	k->id = (uint32_t)id[0] << 24 | (uint32_t)id[1] << 16 |
		(uint32_t)id[2] << 8 | id[3];
	return found == k->id ? 0 : malformed(e, "its hash is another key's");
}

int
note_key_parse(
	const char *s, size_t n, struct note_key *out, struct ofs_error *e)
{
	int rc;

	memset(out, 0, sizeof(*out));
	if (n > NOTE_VKEY_MAX)
		return malformed(e, "it is too long");
	rc = parse_fields(s, n, out, e);
	if (rc != 0)
		note_key_free(out);
	return rc;
}

int
note_key_given(const char *vkey, struct note_key *out, struct ofs_error *e)
{
	struct ofs_error why;
	int rc = note_key_parse(vkey, strlen(vkey), out, &why);

	if (rc == OFS_EFORMAT)
		return err_set(e, OFS_EINVAL, "cannot use '%s': %s",
			TEXT_Q(vkey), why.message);
	if (rc != 0)
		*e = why;
	return rc;
}
