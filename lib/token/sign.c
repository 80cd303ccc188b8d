/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Signing with a key on the token, one session for each thread. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/time.h"
#include "token/keydef.h"
#include "token/login.h"
#include "token/mech.h"

#define SIG_MAX 2048 /* RSA of 16384 bits */

static int
sign_err(const struct key_session *s, CK_RV rv, struct ofs_error *e)
{
	const char *key = s->key->p.info.label;
	const char *token = s->key->token->info.label;

	switch (rv) {
	case CKR_DEVICE_REMOVED:
	case CKR_TOKEN_NOT_PRESENT:
		return cryptoki_err(e, OFS_ETOKEN, rv,
			"cannot sign with '%s': token '%s' was removed; insert "
			"it again",
			key, token);
	case CKR_USER_NOT_LOGGED_IN:
		return cryptoki_err(e, OFS_ETOKEN, rv,
			"cannot sign with '%s': the login to '%s' is gone; log "
			"in again",
			key, token);
	case CKR_KEY_FUNCTION_NOT_PERMITTED:
	case CKR_ACTION_PROHIBITED:
		return cryptoki_err(e, OFS_EPOLICY, rv,
			"cannot sign with '%s': token '%s' forbids it", key,
			token);
	default:
		return cryptoki_err(e, cryptoki_code(rv), rv,
			"cannot sign with '%s' on '%s'", key, token);
	}
}

/* C_Sign; *n: room, then length of the answer */
static CK_RV
sign_now(struct key_session *s, const struct mech *m, uint8_t *out, CK_ULONG *n)
{
	CK_RV rv;

	s->asked++;
	atomic_store(&s->in_sign, true);
	rv = s->s.module->f->C_Sign(
		s->s.h, (CK_BYTE *)(uintptr_t)m->in, m->in_len, out, n);
	atomic_store(&s->in_sign, false);
	return rv;
}

static CK_RV
sign_init(struct key_session *s, struct mech *m)
{
	return s->s.module->f->C_SignInit(s->s.h, &m->ck, s->h);
}

/* one C_SignInit and one C_Sign */
static int
sign_once(struct key_session *s, struct mech *m, uint8_t *out, CK_ULONG *n,
	struct ofs_error *e)
{
	struct cryptoki_guard g;
	CK_RV rv;

	cryptoki_enter(&g);
	rv = sign_init(s, m);
	if (rv == CKR_OK)
		rv = sign_now(s, m, out, n);
	cryptoki_leave(&g);
	return rv == CKR_OK ? 0 : sign_err(s, rv, e);
}

/* the same with the PIN in between, and nothing else */
static int
sign_with_pin(struct key_session *s, struct mech *m, uint8_t *out, CK_ULONG *n,
	struct ofs_error *e)
{
	struct pin pin;
	CK_RV rv;
	int rc;

	rc = login_context_pin(s->key->token, &pin, e);
	if (rc != 0)
		return rc;
	CRYPTOKI(rv, sign_init(s, m));
	if (rv != CKR_OK)
		rc = sign_err(s, rv, e);
	if (rc == 0)
		rc = login_context(s->key->token, &s->s, &pin, e);
	if (rc == 0) {
		CRYPTOKI(rv, sign_now(s, m, out, n));
		rc = rv == CKR_OK ? 0 : sign_err(s, rv, e);
	}
	pin_free(&pin);
	return rc;
}

/* the answer as it came, into the form that signatures have outside */
static int
take_signature(const struct key_session *s, const struct to_sign *t,
	const uint8_t *p, CK_ULONG n, struct buf *sig, struct ofs_error *e)
{
	if (n == 0 || n > SIG_MAX)
		return err_set(e, OFS_EBADSIG,
			"token '%s' answered CKR_OK with a signature of %lu "
			"bytes; do not use it before it has been examined",
			s->key->token->info.label, n);
	return mech_take(t, &s->key->p.info, p, n, sig, e);
}

/* inside the gates */
static int
attempt(struct key_session *s, const struct to_sign *what, struct mech *m,
	bool with_pin, struct buf *sig, struct ofs_error *e)
{
	uint8_t out[SIG_MAX];
	CK_ULONG n = sizeof(out);
	int rc;

	rc = key_session_check_lost(s, e);
	if (rc == 0)
		rc = key_session_make_ready(s, e);
	if (rc == 0)
		rc = with_pin ? sign_with_pin(s, m, out, &n, e)
			      : sign_once(s, m, out, &n, e);
	if (rc == 0)
		rc = take_signature(s, what, out, n, sig, e);
	mem_wipe(out, sizeof(out));
	if (rc != 0) /* whatever state it is in: the next call takes another */
		key_session_drop(s);
	return rc;
}

/*
 * A key that does not say whether it wants the PIN for every signature, on a
 * token that says that nobody is logged in: perhaps it does.
 */
static bool
may_want_pin(const struct key_session *s, const struct ofs_error *e)
{
	const ofs_key *k = s->key;

	return e->ckr == CKR_USER_NOT_LOGGED_IN &&
		k->p.info.always_authenticate == -1 &&
		k->token->ctx->opts.always_auth != OFS_ALWAYS_AUTH_REFUSE;
}

int
key_session_try(struct key_session *s, const struct to_sign *what,
	struct buf *sig, struct ofs_error *e)
{
	ofs_token *t = s->key->token;
	size_t before = sig->len;
	struct mech m;
	bool with_pin;
	int rc;

	if (!alg_fits(what->alg, s->key->p.info.type))
		return err_set(e, OFS_EINVAL,
			"cannot sign with '%s': %s is not for a %s key",
			s->key->p.info.label, what->alg->name,
			s->key->p.info.type_name);
	s->ailing = false;
	rc = mech_prepare(s->key->mechs, what, &m, e);
	if (rc == 0)
		rc = key_session_enter(s, e);
	if (rc != 0)
		return rc;
	with_pin = atomic_load(&s->key->wants_pin);
	rc = attempt(s, what, &m, with_pin, sig, e);
	if (rc != 0 && !with_pin && may_want_pin(s, e)) {
		atomic_store(&s->key->wants_pin, true);
		err_clear(e);
		rc = attempt(s, what, &m, true, sig, e);
	}
	key_session_leave(s);
	if (rc == 0) {
		s->rung = 0;
		if (!atomic_load(&t->fresh))
			atomic_store(&t->fresh, true);
		return 0;
	}
	if (sig->len > before)
		sig->len = before;
	s->ailing = recover_can(e);
	return rc;
}

int
key_session_sign(struct key_session *s, const struct to_sign *what,
	struct buf *sig, struct ofs_error *e)
{
	int rc;

	do
		rc = key_session_try(s, what, sig, e);
	while (rc != 0 && s->ailing && (rc = key_session_heal(s, e)) == 0);
	return rc;
}
