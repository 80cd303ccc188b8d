/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Wrapped keys in the record of an epoch, and what is here that opens them. */
#include <stdio.h>
#include <string.h>

#include "audit/handle.h"

#include "base/hex.h"
#include "base/mem.h"
#include "crypto/cert.h"

static bool
field(const struct record_body *b, size_t i, const char *name,
	struct ofs_field *f)
{
	char dotted[48];

	snprintf(dotted, sizeof(dotted), "wraps.%zu.%s", i, name);
	return record_body_find(b, dotted, f);
}

bool
keys_wrap(const struct record_body *b, size_t i, struct key_wrap *w)
{
	(void)field(b, i, "hint", &w->hint);
	return field(b, i, "what", &w->what) && field(b, i, "kind", &w->kind) &&
		field(b, i, "data", &w->data);
}

bool
keys_is(const struct ofs_field *f, const char *text)
{
	return f->len == strlen(text) && memcmp(f->bytes, text, f->len) == 0;
}

bool
keys_is_station(const struct key_wrap *w)
{
	return w->hint.bytes != NULL &&
		(keys_is(&w->kind, "file") || keys_is(&w->kind, "token"));
}

/* the passphrase's key with these parameters: it costs a third of a second */
static int
find_kek(struct keys *k, const struct wrap_scrypt *s, struct ofs_error *e)
{
	struct key_secrets *sec = k->s;
	int rc;

	if (sec->has_kek && memcmp(&sec->scrypt, s, sizeof(*s)) == 0)
		return 0;
	sec->has_kek = false;
	rc = wrap_scrypt_key(s, sec->passphrase, sec->kek, e);
	if (rc == 0) {
		sec->scrypt = *s;
		sec->has_kek = true;
	}
	return rc;
}

static int
by_passphrase(struct keys *k, const struct ofs_field *data,
	uint8_t key[SEAL_KEY], struct ofs_error *e)
{
	struct wrap_scrypt s;
	const uint8_t *kwp;
	int rc;

	memset(&s, 0, sizeof(s)); /* it is compared whole */
	rc = wrap_scrypt_parse(data->bytes, data->len, &s, &kwp, e);
	if (rc == 0)
		rc = find_kek(k, &s, e);
	if (rc == 0)
		rc = wrap_kwp_open(k->s->kek, kwp, WRAP_KWP_SIZE, key, e);
	return rc;
}

void
keys_take_token(struct keys *k, const struct log_station_key *station)
{
	k->s->token = *station->box;
	memcpy(k->s->token_kek, station->kek, sizeof(k->s->token_kek));
	k->s->has_token = true;
}

static int
by_token(struct keys *k, const struct ofs_field *data, uint8_t key[SEAL_KEY],
	struct ofs_error *e)
{
	struct wrap_token t;
	const uint8_t *kwp;
	int rc;

	rc = wrap_token_parse(data->bytes, data->len, &t, &kwp, e);
	if (rc == 0 && !wrap_token_equal(&t, &k->s->token))
		rc = err_set(e, OFS_EDAMAGED, "it is of another token");
	if (rc == 0)
		rc = wrap_kwp_open(k->s->token_kek, kwp, WRAP_KWP_SIZE, key, e);
	return rc;
}

static bool
for_reader(struct keys *k, const struct ofs_field *hint)
{
	uint8_t sum[32];
	char hex[65];
	struct ofs_error ignored;

	return k->reader != NULL && k->reader_cert != NULL &&
		cert_sha256(k->reader_cert, sum, &ignored) == 0 &&
		keys_is(hint, hex_encode(hex, sum, sizeof(sum)));
}

/* OFS_EDAMAGED: not with what is here */
static int
unwrap(struct keys *k, const struct key_wrap *w, uint8_t key[SEAL_KEY],
	struct ofs_error *e)
{
	const struct ofs_field *d = &w->data;

	if (keys_is(&w->kind, "file") && k->s->has_station)
		return wrap_kwp_open(k->s->station, d->bytes, d->len, key, e);
	if (keys_is(&w->kind, "token") && k->s->has_token)
		return by_token(k, d, key, e);
	if (keys_is(&w->kind, "passphrase") && k->s->passphrase[0] != '\0')
		return by_passphrase(k, d, key, e);
	if (keys_is(&w->kind, "x509") && for_reader(k, &w->hint))
		return wrap_x509_open(
			k->reader, k->reader_cert, d->bytes, d->len, key, e);
	return err_set(e, OFS_EDAMAGED, "no key for it is here");
}

int
keys_unwrap(struct keys *k, const struct record_body *b, const char *what,
	uint8_t key[SEAL_KEY], bool *has, struct ofs_error *e)
{
	struct key_wrap w;
	int rc;

	*has = false;
	for (size_t i = 0; !*has && keys_wrap(b, i, &w); i++) {
		if (!keys_is(&w.what, what))
			continue;
		rc = unwrap(k, &w, key, e);
		if (rc != 0 && rc != OFS_EDAMAGED)
			return rc;
		*has = rc == 0;
	}
	return 0;
}

void
keys_forget_stale(struct keys *k, const struct record_body *b)
{
	struct key_secrets *s = k->s;
	struct ofs_error why;
	uint8_t key[SEAL_KEY];
	struct key_wrap w;

	for (size_t i = 0; keys_wrap(b, i, &w); i++) {
		bool file = keys_is(&w.kind, "file") && s->has_station;
		bool token = keys_is(&w.kind, "token") && s->has_token;
		bool passphrase = keys_is(&w.kind, "passphrase") &&
			s->passphrase[0] != '\0';

		if (!(file || token || passphrase) ||
			!(keys_is(&w.what, "data") ||
				keys_is(&w.what, "batch")) ||
			unwrap(k, &w, key, &why) == 0)
			continue;
		if (passphrase) {
			mem_wipe(s->passphrase, sizeof(s->passphrase));
			s->has_kek = false;
			continue;
		}
		s->has_station = s->has_station && !file;
		s->has_token = s->has_token && !token;
		(void)err_set(&k->why, OFS_EAUDIT,
			"what is here of it does not open what was written "
			"last");
	}
	mem_wipe(key, sizeof(key));
}
