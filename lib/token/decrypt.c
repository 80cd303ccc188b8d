/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Decrypting with a key on the token: what opens an audit log. */
#include <string.h>

#include "base/mem.h"
#include "token/keydef.h"
#include "token/login.h"

static int
decrypt_err(const ofs_key *k, CK_RV rv, struct ofs_error *e)
{
	const char *key = k->p.info.label, *token = k->token->info.label;

	switch (rv) {
	case CKR_MECHANISM_INVALID:
	case CKR_MECHANISM_PARAM_INVALID:
	case CKR_ARGUMENTS_BAD:
		return cryptoki_err(e, OFS_EUNSUPPORTED, rv,
			"cannot decrypt with '%s': token '%s' does not know "
			"this kind of RSA-OAEP",
			key, token);
	case CKR_KEY_FUNCTION_NOT_PERMITTED:
	case CKR_KEY_TYPE_INCONSISTENT:
	case CKR_ACTION_PROHIBITED:
		return cryptoki_err(e, OFS_EPOLICY, rv,
			"cannot decrypt with '%s': token '%s' forbids it", key,
			token);
	case CKR_ENCRYPTED_DATA_INVALID:
	case CKR_ENCRYPTED_DATA_LEN_RANGE:
		return cryptoki_err(e, OFS_EDAMAGED, rv,
			"cannot decrypt with '%s' on '%s': it was not "
			"encrypted for this key",
			key, token);
	default:
		return cryptoki_err(e, cryptoki_code(rv), rv,
			"cannot decrypt with '%s' on '%s'", key, token);
	}
}

/* with the PIN in between where the key wants it for each use */
static int
decrypt(ofs_key *k, const struct session *s, CK_MECHANISM *m,
	const struct wrap_token *box, uint8_t *out, CK_ULONG *n,
	struct ofs_error *e)
{
	CK_FUNCTION_LIST *f = s->module->f;
	struct pin pin = PIN_NONE;
	CK_RV rv;
	int rc = 0;

	if (atomic_load(&k->wants_pin))
		rc = login_context_pin(k->token, &pin, e);
	if (rc != 0)
		return rc;
	CRYPTOKI(rv, f->C_DecryptInit(s->h, m, k->p.priv.h));
	if (rv != CKR_OK)
		rc = decrypt_err(k, rv, e);
	if (rc == 0 && atomic_load(&k->wants_pin))
		rc = login_context(k->token, s, &pin, e);
	if (rc == 0) {
		CRYPTOKI(rv,
			f->C_Decrypt(s->h, (CK_BYTE *)(uintptr_t)box->box,
				box->n, out, n));
		rc = rv == CKR_OK ? 0 : decrypt_err(k, rv, e);
	}
	pin_free(&pin);
	return rc;
}

struct opening {
	ofs_key *k;
	const struct wrap_token *box;
	uint8_t *kek;
};

static int
run_open(void *arg, struct ofs_error *e)
{
	struct opening *o = arg;
	const bool sha1 = o->box->hash == WRAP_OAEP_SHA1;
	CK_RSA_PKCS_OAEP_PARAMS p = {
		.hashAlg = sha1 ? CKM_SHA_1 : CKM_SHA256,
		.mgf = sha1 ? CKG_MGF1_SHA1 : CKG_MGF1_SHA256,
		.source = CKZ_DATA_SPECIFIED,
	};
	CK_MECHANISM m = { CKM_RSA_PKCS_OAEP, &p, sizeof(p) };
	uint8_t out[WRAP_OAEP_MAX];
	CK_ULONG n = sizeof(out);
	struct session *s;
	int rc;

	rc = token_session(o->k->token, &s, e);
	if (rc == 0)
		rc = decrypt(o->k, s, &m, o->box, out, &n, e);
	if (rc == 0 && n != WRAP_KEY)
		rc = err_set(e, OFS_EDAMAGED,
			"what '%s' decrypted is not a key of the audit log",
			o->k->p.info.label);
	if (rc == 0)
		memcpy(o->kek, out, WRAP_KEY);
	mem_wipe(out, sizeof(out));
	return rc;
}

int
key_open_box(ofs_key *k, const struct wrap_token *box, uint8_t kek[WRAP_KEY],
	struct ofs_error *e)
{
	struct opening o = { k, box, kek };

	return token_run(k->token, run_open, &o, e);
}
