/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Signing with a key on the token, one session for each thread. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "token/keydef.h"

#define SIG_MAX 2048 /* RSA of 16384 bits */

struct key_session {
	const ofs_key *key;
	struct session s; /* not open after an error */
};

int
key_session_open(ofs_key *k, struct key_session **out, struct ofs_error *e)
{
	struct key_session *s;
	int rc;

	*out = NULL;
	if (!k->signs)
		return err_set(e, OFS_EINVAL,
			"cannot sign with key '%s': it was opened without a "
			"login",
			k->p.info.label);
	rc = token_check_fork(k->token, e);
	if (rc != 0)
		return rc;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return err_nomem(e);
	s->key = k;
	rc = session_open(k->token->module, k->token->slot, false, &s->s, e);
	if (rc != 0) {
		free(s);
		return rc;
	}
	*out = s;
	return 0;
}

void
key_session_close(struct key_session *s)
{
	struct ofs_error ignored;

	if (s == NULL)
		return;
	if (token_check_fork(s->key->token, &ignored) == 0)
		session_close(&s->s);
	free(s);
}

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

/* one C_SignInit and one C_Sign; *n: room, then length of the answer */
static CK_RV
sign_once(const struct key_session *s, const uint8_t *in, size_t in_len,
	uint8_t *out, CK_ULONG *n)
{
	CK_FUNCTION_LIST *f = s->s.module->f;
	CK_MECHANISM mech = { 0, NULL, 0 };
	struct cryptoki_guard g;
	CK_RV rv;

	(void)pair_mechanism(s->key->p.info.type, &mech.mechanism);
	cryptoki_enter(&g);
	rv = f->C_SignInit(s->s.h, &mech, s->key->p.priv.h);
	if (rv == CKR_OK)
		rv = f->C_Sign(
			s->s.h, (CK_BYTE *)(uintptr_t)in, in_len, out, n);
	cryptoki_leave(&g);
	return rv;
}

/* the answer as it came, into the form that signatures have outside */
static int
take_signature(const struct key_session *s, const uint8_t *p, CK_ULONG n,
	struct buf *sig, struct ofs_error *e)
{
	if (n == 0 || n > SIG_MAX)
		return err_set(e, OFS_EBADSIG,
			"token '%s' answered CKR_OK with a signature of %lu "
			"bytes; do not use it before it has been examined",
			s->key->token->info.label, n);
	if (s->key->p.info.type != OFS_KEY_RSA)
		return alg_ecdsa_to_der(p, n, sig, e);
	buf_put(sig, p, n);
	return buf_ok(sig) ? 0 : err_nomem(e);
}

int
key_session_sign(struct key_session *s, const struct alg *alg,
	const uint8_t *in, size_t in_len, struct buf *sig, struct ofs_error *e)
{
	const ofs_token *t = s->key->token;
	uint8_t out[SIG_MAX];
	CK_ULONG n = sizeof(out);
	size_t before = sig->len;
	CK_RV rv;
	int rc;

	if ((alg->mech == ALG_RSA_PKCS1) !=
		(s->key->p.info.type == OFS_KEY_RSA))
		return err_set(e, OFS_EINVAL,
			"cannot sign with '%s': %s is not for a %s key",
			s->key->p.info.label, alg->name,
			s->key->p.info.type_name);
	rc = token_check_fork(t, e);
	if (rc == 0 && s->s.module == NULL) {
		rc = token_check_present(t, e);
		if (rc == 0)
			rc = session_open(t->module, t->slot, false, &s->s, e);
	}
	if (rc != 0)
		return rc;
	rv = sign_once(s, in, in_len, out, &n);
	rc = rv == CKR_OK ? take_signature(s, out, n, sig, e)
			  : sign_err(s, rv, e);
	mem_wipe(out, sizeof(out));
	if (rc != 0) {
		/* whatever state it is in: the next call takes a new one */
		session_close(&s->s);
		if (sig->len > before)
			sig->len = before;
	}
	return rc;
}
