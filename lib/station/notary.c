/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checkpoints signed by an audit key on a token. */
#include <string.h>

#include <offlinesig/checkpoint.h>

#include "audit/log.h"
#include "crypto/pubkey.h"
#include "format/note.h"
#include "station/logkeys.h"
#include "station/recorded.h"
#include "station/stationkey.h"

/*
 * What log_lend_key() asks for: an intent, C_Sign, the check in software and
 * an outcome, as for all that the token signs.
 */
static int
sign(void *arg, ofs_audit *audit, const void *text, size_t n, struct buf *sig,
	struct ofs_error *e)
{
	struct recorded r = { 0 };
	const struct alg *alg;
	ofs_key *key = arg;
	int rc;

	alg = alg_for(pubkey_type(key_pub(key)), OFS_DIGEST_DEFAULT);
	if (alg == NULL)
		return err_set(e, OFS_EUNSUPPORTED,
			"the token cannot sign checkpoints with this key");
	rc = recorded_init(&r, audit, key, NULL, e);
	if (rc == 0)
		rc = recorded_sign(&r, REC_PURPOSE_CHECKPOINT, "checkpoint",
			alg, text, n, sig, e);
	recorded_clear(&r);
	return rc;
}

int
ofs_audit_use_key(ofs_audit *audit, ofs_key *key)
{
	struct ofs_error e;

	if (key == NULL) {
		log_lend_key(audit, NULL, NULL);
		return 0;
	}
	if (log_refuse_key(audit, key_pub(key), &e) == 0) {
		(void)err_set(&e, OFS_EKEY,
			"this key is not the audit key of the log");
		return key_fail(key, &e);
	}
	log_lend_key(audit, sign, key);
	return 0;
}

int
ofs_audit_find_key(ofs_audit *audit, ofs_token *token, ofs_key **out)
{
	uint8_t spki_sha256[32];
	char uri[1024];
	struct ofs_error e;
	int rc;

	*out = NULL;
	rc = log_token_key_sha256(audit, spki_sha256, &e);
	if (rc == 0)
		rc = logkeys_find(token, spki_sha256, uri, &e);
	if (rc == 0 && uri[0] == '\0')
		rc = err_set(&e, OFS_EKEY,
			"the audit key of the log is not on this token");
	return rc != 0 ? token_fail(token, &e)
		       : ofs_key_open(token, uri, 0, out);
}

/* what the key itself shows; a record says more, if there is a log yet */
static int
check_key(const ofs_key *key, ofs_audit *audit, struct ofs_error *e)
{
	const struct ofs_key_info *i = ofs_key_get_info(key);
	int rc;

	if (note_type_of(key_pub(key)) == 0)
		return err_set(e, OFS_EUNSUPPORTED,
			"checkpoints are signed by Ed25519 and P-256 keys");
	if (!i->has_cert)
		return 0;
	rc = audit != NULL ? log_refuse_used_key(audit, key_pub(key), e) : 0;
	if (rc == 0)
		rc = err_set(e, OFS_EPOLICY,
			"key '%s' is one for documents: it has a certificate, "
			"of '%s'; the audit key signs checkpoints and nothing "
			"else",
			i->label, i->cert_subject);
	return rc;
}

int
ofs_audit_set_token_key(ofs_audit *audit, ofs_key *key)
{
	struct ofs_error e;
	int rc;

	rc = check_key(key, audit, &e);
	if (rc == 0)
		rc = log_name_key(audit, key_pub(key), "token",
			ofs_key_get_info(key)->uri, &e);
	return rc == 0 ? 0 : key_fail(key, &e);
}

/* logs in, too; nothing is made where that fails */
static int
open_audit_key(
	ofs_token *token, const char *uri, ofs_key **key, struct ofs_error *e)
{
	int rc;

	if (uri == NULL)
		return 0;
	rc = ofs_key_open(token, uri, 0, key);
	if (rc != 0)
		*e = *ofs_token_error(token);
	if (rc == 0)
		rc = check_key(*key, NULL, e);
	return rc != 0 ? rc : logkeys_check_uri(*key, e);
}

/* what a new log is to have of a token */
struct asked {
	ofs_key *audit_key; /* NULL: none */
	struct station_key *station_key;
};

static int
init(ofs_token *token, const struct asked *asked, const char *dir,
	const struct ofs_audit_init_opts *opts, const struct early_login *login,
	struct ofs_error *e)
{
	const struct station_key *s = asked->station_key;
	struct log_token_key k = { NULL, NULL };
	ofs_audit *audit = NULL;
	int rc;

	if (asked->audit_key != NULL) {
		k.pub = key_pub(asked->audit_key);
		k.uri = ofs_key_get_info(asked->audit_key)->uri;
	}
	rc = log_init(token_ctx(token), dir, opts, k.pub != NULL ? &k : NULL,
		s != NULL ? &s->log : NULL, &audit, e);
	if (rc == 0 && login->happened)
		rc = recorded_login(audit, &login->ev, e);
	ofs_audit_free(audit);
	return rc;
}

int
ofs_audit_init_on_token(ofs_token *token, const char *audit_key,
	const char *station_key, const char *dir,
	const struct ofs_audit_init_opts *opts)
{
	ofs_ctx *ctx = token_ctx(token);
	struct asked asked = { NULL, NULL };
	struct early_login login;
	struct ofs_error e;
	int rc;

	err_clear(&e);
	early_begin(&login, ctx);
	rc = open_audit_key(token, audit_key, &asked.audit_key, &e);
	if (rc == 0 && station_key != NULL)
		rc = station_key_make(
			token, station_key, &asked.station_key, &e);
	early_end(&login, ctx);
	if (rc == 0)
		rc = init(token, &asked, dir, opts, &login, &e);
	ofs_key_free(asked.audit_key);
	if (rc != 0 && login.event != NULL)
		early_undo(&login, token);
	station_key_free(asked.station_key);
	return rc == 0 ? 0 : token_fail(token, &e);
}
