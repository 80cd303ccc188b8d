/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What only the SO may do on a token, amid the work of its user. */
#include <string.h>

#include "token/login.h"
#include "token/so.h"
#include "token/yubikey.h"

bool
so_known(const ofs_token *t)
{
	return t->so_manages || yubikey_is(&t->info);
}

void
so_forget(ofs_token *t)
{
	pin_free(&t->so_pin);
	t->so_asked = false;
}

/*
 * What tokens answer to a user who is logged in and may not do that.
 * CKR_ACTION_PROHIBITED speaks of the object (CKA_DESTROYABLE), and an SO would
 * be asked for a PIN in vain.
 */
static bool
is_refusal(const struct ofs_error *e)
{
	return e->code == OFS_ETOKEN &&
		(e->ckr == CKR_USER_NOT_LOGGED_IN ||
			e->ckr == CKR_USER_TYPE_INVALID);
}

static int
as_user(ofs_token *t, so_fn fn, void *arg, bool *refused, struct ofs_error *e)
{
	struct session s;
	CK_STATE state;
	int rc;

	rc = token_rw_session(t, &s, e);
	if (rc == 0)
		rc = fn(arg, &s, e);
	/* one that has lost its login may say the same */
	*refused = rc != 0 && s.module != NULL && is_refusal(e) &&
		session_state(&s, &state) == CKR_OK &&
		state == CKS_RW_USER_FUNCTIONS;
	session_close(&s);
	return rc;
}

/* the token's state is read anew, and lets a PIN be sent */
static int
guard(ofs_token *t, enum ofs_pin_kind kind, struct ofs_error *e)
{
	int rc = login_refresh(t, e);

	return rc != 0 ? rc : login_guard(t->ctx, kind, &t->info, e);
}

static int
ask_so(ofs_token *t, const char *what, struct ofs_error *e)
{
	struct ofs_error why;
	int rc;

	if (t->so_rejected)
		return err_set(e, OFS_EPIN,
			"cannot log in to '%s' as SO: it rejected the SO PIN "
			"before, and none is sent again; check the SO PIN and "
			"open the token anew",
			t->info.label);
	rc = guard(t, OFS_PIN_SO, e);
	if (rc != 0 || t->so_asked)
		return rc;
	err_clear(&why);
	rc = pin_ask(t->ctx, OFS_PIN_SO, &t->info, &t->so_pin, &why);
	t->so_asked = rc == 0;
	if (rc == OFS_ENOPIN)
		return err_set(e, rc,
			"on token '%s' the SO %s, and no SO PIN could be had; "
			"pass --so-pin-source%s",
			t->info.label, what, yubikey_so_hint(&t->info));
	if (rc != 0)
		*e = why;
	return rc;
}

/* the PIN of a user who is to be logged in again; *in: one is now */
static int
ask_user(ofs_token *t, bool *in, struct pin *out, struct ofs_error *e)
{
	struct session *s;
	CK_STATE state;
	CK_RV rv;
	int rc;

	rc = token_session(t, &s, e);
	if (rc != 0)
		return rc;
	rv = session_state(s, &state);
	if (rv != CKR_OK)
		return cryptoki_err(e, cryptoki_code(rv), rv,
			"cannot ask token '%s' for its state", t->info.label);
	*in = state == CKS_RO_USER_FUNCTIONS || state == CKS_RW_USER_FUNCTIONS;
	if (!*in)
		return 0;
	if (t->held.p != NULL || t->held_pad)
		return pin_copy(&t->held, out, e);
	return pin_ask(t->ctx, OFS_PIN_USER, &t->info, out, e);
}

/* every session and handle of ours is void after it */
static int
close_all(ofs_token *t, struct ofs_error *e)
{
	bool signing;

	pthread_mutex_lock(&t->lock);
	signing = t->signers != NULL;
	if (!signing)
		t->generation++;
	pthread_mutex_unlock(&t->lock);
	if (signing)
		return err_set(e, OFS_ETOKEN,
			"the SO cannot log in to '%s' while this process signs "
			"with it; wait for the end",
			t->info.label);
	session_close(&t->pinned);
	return 0;
}

static int
login_so(ofs_token *t, const struct session *s, struct ofs_error *e)
{
	const char *hint = yubikey_so_hint(&t->info);
	struct ofs_error own;
	int rc;

	rc = guard(t, OFS_PIN_SO, e); /* the prompt may have stood for hours */
	if (rc == 0)
		rc = login_once(t->ctx, s, OFS_PIN_SO, &t->so_pin, &t->info,
			&t->so_rejected, e);
	if (rc == 0)
		return 0;
	/* ykcs11's answer to one that is too long or too short */
	if (e->ckr == CKR_ARGUMENTS_BAD)
		t->so_rejected = true;
	so_forget(t);
	own = *e;
	if (t->so_rejected && hint[0] != '\0') {
		err_set(e, OFS_EPIN, "%s%s", own.message, hint);
		e->ckr = own.ckr;
	}
	return e->code;
}

static int
in_so_session(ofs_token *t, so_fn fn, void *arg, struct ofs_error *e)
{
	struct session s = { NULL, 0, 0 };
	CK_RV rv;
	int rc;

	rc = close_all(t, e);
	if (rc == 0)
		rc = session_open(t->module, t->slot, true, &s, e);
	if (rc == 0)
		rc = login_so(t, &s, e);
	if (rc != 0)
		goto out;
	rc = fn(arg, &s, e);
	CRYPTOKI(rv, t->module->f->C_Logout(s.h));
	if (rv != CKR_OK)
		ctx_log(t->ctx, OFS_LOG_WARNING,
			"cannot log the SO out of '%s': 0x%lx", t->info.label,
			rv);
out:
	session_close(&s);
	return rc;
}

static int
login_user_again(ofs_token *t, const struct pin *pin, struct ofs_error *e)
{
	struct session *s;
	int rc;

	rc = token_session(t, &s, e);
	if (rc == 0)
		rc = guard(t, OFS_PIN_USER, e);
	if (rc == 0)
		rc = login_once(t->ctx, s, OFS_PIN_USER, pin, &t->info,
			&t->rejected, e);
	if (t->rejected)
		login_forget(t);
	return rc;
}

static int
run_as_so(ofs_token *t, const char *what, so_fn fn, void *arg,
	struct ofs_error *e)
{
	struct pin user = PIN_NONE;
	struct ofs_error again;
	bool in = false;
	int rc;

	rc = ask_so(t, what, e);
	if (rc == 0)
		rc = ask_user(t, &in, &user, e);
	if (rc != 0)
		goto out;
	rc = in_so_session(t, fn, arg, e);
	err_clear(&again);
	if (in && login_user_again(t, &user, &again) != 0) {
		if (rc != 0)
			ctx_log(t->ctx, OFS_LOG_WARNING,
				"the user is not logged in again: %s",
				again.message);
		else
			rc = err_set(e, again.code,
				"the SO has done its part, but the user could "
				"not log in again: %s",
				again.message);
	}
out:
	pin_free(&user);
	return rc;
}

int
so_try(ofs_token *t, const char *what, so_fn fn, void *arg, bool *as_so,
	struct ofs_error *e)
{
	int rc;

	*as_so = so_known(t);
	if (!*as_so) {
		rc = as_user(t, fn, arg, as_so, e);
		if (!*as_so)
			return rc;
		t->so_manages = true;
		err_clear(e);
	}
	return run_as_so(t, what, fn, arg, e);
}

int
so_find(const struct session *s, CK_OBJECT_CLASS class_, const struct object *o,
	CK_OBJECT_HANDLE *h, struct ofs_error *e)
{
	struct object_query q = { class_, o->id, o->id_len, o->label,
		o->label_len };
	struct object_list l;
	int rc;

	*h = 0;
	rc = object_find(s, &q, &l, e);
	for (size_t i = 0; rc == 0 && i < l.n; i++)
		if (l.n == 1 || l.v[i].h == o->h)
			*h = l.v[i].h;
	if (rc == 0 && *h == 0)
		rc = err_set(e, OFS_EKEY,
			"the SO does not see %s on the token that the user saw",
			l.n == 0 ? "an object" : "which object it is of those");
	object_list_free(&l);
	return rc;
}

int
so_key_again(ofs_key *k, struct ofs_error *e)
{
	ofs_token *t = k->token;
	CK_OBJECT_HANDLE h;
	struct session *s;
	int rc;

	rc = token_session(t, &s, e);
	if (rc == 0)
		rc = key_find_again(k, s, &h, e);
	if (rc != 0)
		return rc;
	pthread_mutex_lock(&t->lock);
	k->p.priv.h = h;
	k->generation = t->generation;
	pthread_mutex_unlock(&t->lock);
	return 0;
}
