/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The station key of a log on a token. */
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "base/mem.h"
#include "station/logkeys.h"
#include "station/stationkey.h"
#include "token/token.h"
#include "token/uri.h"

static struct station_key *new (void)
{
	struct station_key *s = mem_secret_new(sizeof(*s));

	if (s != NULL)
		s->log = (struct log_station_key){ s->uri, &s->box, s->kek };
	return s;
}

void
station_key_free(struct station_key *s)
{
	if (s != NULL)
		mem_secret_free(s, sizeof(*s));
}

/* what the token says of the key decides */
static int
check(const ofs_key *key, struct ofs_error *e)
{
	const struct ofs_key_info *i = ofs_key_get_info(key);

	if (i->type != OFS_KEY_RSA)
		return err_set(e, OFS_EUNSUPPORTED,
			"key '%s' is %s; a station key is an RSA key", i->label,
			i->type_name);
	if (i->extractable != 0 || i->sensitive == 0)
		return err_set(e, OFS_EPOLICY,
			"key '%s' can leave the token, and opens no audit log; "
			"make another",
			i->label);
	if (i->sign != 0)
		return err_set(e, OFS_EPOLICY,
			"key '%s' signs; a station key decrypts and does "
			"nothing else: make one with 'ofs-token enroll --use "
			"log'",
			i->label);
	if (i->decrypt == 0)
		return err_set(e, OFS_EPOLICY,
			"key '%s' does not decrypt (CKA_DECRYPT is false); make "
			"one with 'ofs-token enroll --use log'",
			i->label);
	return logkeys_check_uri(key, e);
}

/* the token opens what we have closed; the better hash first */
static int
fill(struct station_key *s, ofs_key *key, struct ofs_error *e)
{
	static const enum wrap_oaep hashes[] = { WRAP_OAEP_SHA256,
		WRAP_OAEP_SHA1 };
	uint8_t *back = mem_secret_new(WRAP_KEY);
	int rc = OFS_EUNSUPPORTED;

	if (back == NULL)
		return err_nomem(e);
	if (RAND_priv_bytes(s->kek, sizeof(s->kek)) != 1)
		rc = err_ssl(e, OFS_EINTERNAL, "cannot make a key");
	for (size_t i = 0; rc == OFS_EUNSUPPORTED && i < 2; i++) {
		err_clear(e);
		rc = wrap_token_init(
			&s->box, key_pub(key), hashes[i], s->kek, e);
		if (rc == 0)
			rc = key_open_box(key, &s->box, back, e);
	}
	if (rc == 0 && CRYPTO_memcmp(back, s->kek, WRAP_KEY) != 0)
		rc = err_set(e, OFS_ETOKEN,
			"token '%s' decrypts to something else than was "
			"encrypted; do not use it",
			ofs_token_get_info(key_token(key))->label);
	mem_secret_free(back, WRAP_KEY);
	return rc;
}

int
station_key_prove(ofs_key *key, struct ofs_error *e)
{
	struct station_key *s = new ();
	int rc = s != NULL ? check(key, e) : err_nomem(e);

	if (rc == 0)
		rc = fill(s, key, e);
	station_key_free(s);
	return rc;
}

int
station_key_make(ofs_token *token, const char *uri, struct station_key **out,
	struct ofs_error *e)
{
	struct station_key *s = new ();
	ofs_key *key = NULL;
	int rc;

	*out = NULL;
	if (s == NULL)
		return err_nomem(e);
	rc = key_open_idle(token, uri, &key, e);
	if (rc == 0)
		rc = check(key, e);
	if (rc == 0)
		rc = fill(s, key, e);
	if (rc == 0) {
		memcpy(s->uri, ofs_key_get_info(key)->uri, sizeof(s->uri));
		*out = s;
	} else {
		station_key_free(s);
	}
	ofs_key_free(key);
	return rc;
}

/* whether it is worth a login: its URI names this token, or it is seen */
static int
check_token(ofs_audit *audit, ofs_token *token, const uint8_t spki_sha256[32],
	struct ofs_error *e)
{
	struct ofs_audit_keys keys;
	char uri[1024] = "";
	struct uri u;
	bool here;
	int rc;

	rc = log_get_keys(audit, &keys, e);
	if (rc != 0)
		return rc;
	rc = uri_parse(keys.station_key, &u, e);
	if (rc != 0)
		return e->code = OFS_EDAMAGED;
	here = uri_matches_token(&u, &token->raw, token->slot);
	uri_free(&u);
	if (!here)
		rc = logkeys_find(token, spki_sha256, uri, e);
	if (rc == 0 && !here && uri[0] == '\0')
		rc = err_set(e, OFS_EKEY,
			"the station key of the log is not on token '%s'",
			token->info.label);
	return rc;
}

/* logged in, it is found by what it is: its label may have changed */
static int
open_box(ofs_token *token, struct station_key *s, struct ofs_error *e)
{
	ofs_key *key = NULL;
	int rc;

	rc = ofs_token_login(token);
	if (rc != 0)
		*e = *ofs_token_error(token);
	if (rc == 0)
		rc = logkeys_find(token, s->box.spki_sha256, s->uri, e);
	if (rc == 0 && s->uri[0] == '\0')
		rc = err_set(e, OFS_EKEY,
			"the station key of the log is not on token '%s' any "
			"more; have an auditor name another one with ofs-audit "
			"rotate --auditor-key",
			token->info.label);
	if (rc == 0)
		rc = key_open_idle(token, s->uri, &key, e);
	if (rc == 0)
		rc = key_open_box(key, &s->box, s->kek, e);
	ofs_key_free(key);
	return rc;
}

static int
unlock(ofs_audit *audit, ofs_token *token, struct station_key *s,
	struct ofs_error *e)
{
	ofs_ctx *ctx = token_ctx(token);
	struct early_login login;
	struct ofs_error unsaid;
	int rc;

	rc = log_station_box(audit, &s->box, e);
	if (rc == 0)
		rc = check_token(audit, token, s->box.spki_sha256, e);
	if (rc != 0)
		return rc;
	early_begin(&login, ctx);
	rc = open_box(token, s, e);
	early_end(&login, ctx);
	if (rc == 0)
		rc = log_open_with_token(audit, &s->log, e);
	if (rc == 0) {
		rc = early_tell(&login, e);
		if (rc != 0)
			early_undo(&login, token);
		return rc;
	}
	/* a log that this token did not open may not take it */
	err_clear(&unsaid);
	if (early_tell(&login, &unsaid) != 0)
		ctx_log(ctx, OFS_LOG_ERROR,
			"a login to '%s' could not be recorded, as it did not "
			"open the audit log",
			token->info.label);
	return rc;
}

int
ofs_audit_unlock_token(ofs_audit *audit, ofs_token *token)
{
	struct station_key *s = new ();
	struct ofs_error e;
	int rc;

	err_clear(&e);
	rc = s != NULL ? unlock(audit, token, s, &e) : err_nomem(&e);
	station_key_free(s);
	return rc == 0 ? 0 : token_fail(token, &e);
}

int
ofs_audit_rotate_to_token(ofs_audit *audit, ofs_token *token, const char *uri,
	const struct ofs_audit_rotate_opts *opts)
{
	struct station_key *s;
	struct ofs_error e;
	int rc;

	err_clear(&e);
	rc = station_key_make(token, uri, &s, &e);
	if (rc == 0)
		rc = log_rotate(audit, opts, &s->log, &e);
	station_key_free(s);
	return rc == 0 ? 0 : token_fail(token, &e);
}
