/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checkpoints signed by an audit key on a token. */
#include <string.h>

#include <offlinesig/checkpoint.h>

#include "audit/log.h"
#include "crypto/pubkey.h"
#include "format/note.h"
#include "station/recorded.h"

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

struct search {
	uint8_t spki_sha256[32];
	char uri[1024];
};

static int
compare(void *arg, const struct ofs_key_info *info)
{
	struct search *s = arg;

	if (memcmp(info->spki_sha256, s->spki_sha256, 32) != 0)
		return 0;
	memcpy(s->uri, info->uri, sizeof(s->uri));
	return 1;
}

int
ofs_audit_find_key(ofs_audit *audit, ofs_token *token, ofs_key **out)
{
	struct search s = { .uri = "" };
	struct ofs_error e;
	int rc;

	*out = NULL;
	if (log_token_key_sha256(audit, s.spki_sha256, &e) != 0)
		return token_fail(token, &e);
	rc = ofs_key_list(token, compare, &s);
	if (rc < 0)
		return rc;
	if (s.uri[0] == '\0') {
		(void)err_set(&e, OFS_EKEY,
			"the audit key of the log is not on this token");
		return token_fail(token, &e);
	}
	return ofs_key_open(token, s.uri, 0, out);
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

/* A login that happens before the log is there. */
struct early_login {
	bool happened;
	struct ctx_event ev;
	struct ofs_token_info token;
};

/* a ctx_event_fn */
static int
remember_login(void *arg, const struct ctx_event *ev, struct ofs_error *e)
{
	struct early_login *l = arg;

	(void)e;
	l->happened = true;
	l->ev = *ev;
	l->token = *(const struct ofs_token_info *)ev->token;
	l->ev.token = &l->token;
	return 0;
}

/* logs in; nothing is made where that fails */
static int
open_first(ofs_token *token, const char *uri, struct early_login *login,
	ofs_key **key)
{
	ofs_ctx *ctx = token_ctx(token);
	ctx_event_fn event = ctx->event;
	void *arg = ctx->event_arg;
	int rc;

	ctx->event = remember_login;
	ctx->event_arg = login;
	rc = ofs_key_open(token, uri, 0, key);
	ctx->event = event;
	ctx->event_arg = arg;
	return rc;
}

static int
init(ofs_key *key, const char *dir, const struct ofs_audit_init_opts *opts,
	const struct early_login *login, struct ofs_error *e)
{
	struct log_token_key k = { key_pub(key), ofs_key_get_info(key)->uri };
	ofs_audit *audit = NULL;
	int rc;

	rc = check_key(key, NULL, e);
	if (rc == 0 && k.uri[0] == '\0')
		rc = err_set(e, OFS_EUNSUPPORTED,
			"names of token and key are too long for a URI");
	if (rc == 0)
		rc = log_init(
			token_ctx(key_token(key)), dir, opts, &k, &audit, e);
	if (rc == 0 && login->happened)
		rc = recorded_login(audit, &login->ev, e);
	ofs_audit_free(audit);
	return rc;
}

int
ofs_audit_init_token_key(ofs_token *token, const char *uri, const char *dir,
	const struct ofs_audit_init_opts *opts)
{
	struct early_login login = { .happened = false };
	struct ofs_error e;
	ofs_key *key;
	int rc;

	err_clear(&e);
	rc = open_first(token, uri, &login, &key);
	if (rc != 0)
		return rc;
	rc = init(key, dir, opts, &login, &e);
	ofs_key_free(key);
	return rc == 0 ? 0 : token_fail(token, &e);
}
