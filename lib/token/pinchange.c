/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* New PINs: the user's by the user or by the SO, the SO's by the SO. */
#include <string.h>

#include <openssl/crypto.h>

#include "token/login.h"
#include "token/pinchange.h"

/* One change on its way. */
struct change {
	ofs_token *t;
	struct pinchange *hook;
	enum ofs_pin_kind old, fresh;
	bool same_role; /* the old PIN is what the new one replaces */
	struct pin was, will;
};

static const char *
pin_name(const struct change *c)
{
	return c->fresh == OFS_PIN_NEW_SO ? "SO PIN" : "user PIN";
}

static bool *
rejected(const struct change *c)
{
	return c->old == OFS_PIN_SO ? &c->t->so_rejected : &c->t->rejected;
}

/* the old PIN may be sent; one that must be changed first is welcome here */
static int
guard(struct change *c, struct ofs_error *e)
{
	struct ofs_token_info info;
	int rc;

	if (*rejected(c))
		return err_set(e, OFS_EPIN,
			"cannot set the %s of '%s': it rejected the %s before, "
			"and none is sent again; check the PIN and open the "
			"token anew",
			pin_name(c), c->t->info.label,
			c->old == OFS_PIN_SO ? "SO PIN" : "PIN");
	rc = login_refresh(c->t, e);
	if (rc != 0)
		return rc;
	if ((c->t->raw.flags & CKF_WRITE_PROTECTED) != 0)
		return err_set(e, OFS_ETOKEN,
			"cannot set the %s of '%s': the token is write "
			"protected",
			pin_name(c), c->t->info.label);
	info = c->t->info;
	if (c->same_role) {
		info.pin_to_be_changed = false;
		info.flags &= ~CKF_SO_PIN_TO_BE_CHANGED;
	}
	return login_guard(c->t->ctx, c->old, &info, e);
}

static int
check_new(const struct change *c, struct ofs_error *e)
{
	int rc = pin_check_new(&c->will, &c->t->raw,
		c->fresh == OFS_PIN_NEW_SO ? "SO" : "user", e);

	if (rc == 0 && c->same_role && c->will.p != NULL &&
		c->will.len == c->was.len &&
		CRYPTO_memcmp(c->will.p, c->was.p, c->was.len) == 0)
		rc = err_set(e, OFS_EINVAL,
			"cannot set the %s of '%s': the new one is the old "
			"one; choose another",
			pin_name(c), c->t->info.label);
	return rc;
}

/* everything that can be known before the token is asked */
static int
prepare(struct change *c, struct ofs_error *e)
{
	ofs_ctx *ctx = c->t->ctx;
	int rc;

	rc = token_check_usable(c->t, e);
	if (rc == 0)
		rc = guard(c, e);
	if (rc == 0)
		rc = pin_ask(ctx, c->old, &c->t->info, &c->was, e);
	if (rc == 0)
		rc = pin_ask(ctx, c->fresh, &c->t->info, &c->will, e);
	if (rc == 0)
		rc = check_new(c, e);
	/* the prompts may have stood for hours */
	if (rc == 0)
		rc = guard(c, e);
	if (rc == 0)
		rc = c->hook->begin(c->hook->arg, e);
	c->hook->begun = rc == 0;
	return rc;
}

/* the token spoke against the old PIN: said to the listener, and remembered */
static int
old_was_wrong(struct change *c, CK_RV rv, struct ofs_error *e)
{
	int rc = login_err(&c->t->info, c->old, rv, e);
	struct ofs_error unsaid;

	*rejected(c) = true;
	err_clear(&unsaid);
	if (login_report(c->t->ctx, c->old, &c->t->info, e, &unsaid) != 0)
		ctx_log(c->t->ctx, OFS_LOG_ERROR,
			"a failed login could not be recorded: %s",
			unsaid.message);
	return rc;
}

/* what the answer of C_SetPIN or C_InitPIN means */
static int
set_err(struct change *c, CK_RV rv, struct ofs_error *e)
{
	const char *label = c->t->info.label, *pin = pin_name(c);

	switch (rv) {
	case CKR_PIN_INCORRECT:
	case CKR_PIN_LOCKED:
		return old_was_wrong(c, rv, e);
	case CKR_PIN_INVALID:
	case CKR_PIN_LEN_RANGE:
		return cryptoki_err(e, OFS_EINVAL, rv,
			"cannot set the %s of '%s': the token refuses the new "
			"one; choose another",
			pin, label);
	case CKR_FUNCTION_NOT_SUPPORTED:
		return cryptoki_err(e, OFS_EUNSUPPORTED, rv,
			"cannot set the %s of '%s': its module cannot do it; "
			"use the tool of the token's maker",
			pin, label);
	case CKR_USER_PIN_NOT_INITIALIZED:
		return cryptoki_err(e, OFS_ENOPIN, rv,
			"cannot change the PIN of '%s': no user PIN is set; "
			"set it with ofs-token pin unblock",
			label);
	default:
		return cryptoki_err(e, cryptoki_code(rv), rv,
			"cannot set the %s of '%s'", pin, label);
	}
}

/*
 * C_SetPIN changes the PIN of whoever is logged in, the user's when nobody
 * is: the state must be right, or it would be the wrong one.
 */
static int
check_role(const struct change *c, const struct session *s, struct ofs_error *e)
{
	CK_STATE state;
	CK_RV rv = session_state(s, &state);
	bool so;

	if (rv != CKR_OK)
		return cryptoki_err(e, cryptoki_code(rv), rv,
			"cannot ask token '%s' for its state",
			c->t->info.label);
	so = state == CKS_RW_SO_FUNCTIONS;
	if (so == (c->old == OFS_PIN_SO))
		return 0;
	return err_set(e, OFS_ETOKEN,
		"cannot set the %s of '%s': this process is %slogged in as its "
		"SO",
		pin_name(c), c->t->info.label, so ? "" : "not ");
}

static int
set_pin(struct change *c, const struct session *s, struct ofs_error *e)
{
	CK_RV rv;
	int rc;

	rc = check_role(c, s, e);
	if (rc != 0)
		return rc;
	if (c->will.p == NULL)
		watch_be_patient(); /* somebody has to walk to the PIN pad */
	if (c->same_role)
		CRYPTOKI(rv,
			s->module->f->C_SetPIN(s->h, (CK_UTF8CHAR *)c->was.p,
				c->was.len, (CK_UTF8CHAR *)c->will.p,
				c->will.len));
	else
		CRYPTOKI(rv,
			s->module->f->C_InitPIN(
				s->h, (CK_UTF8CHAR *)c->will.p, c->will.len));
	return rv == CKR_OK ? 0 : set_err(c, rv, e);
}

static int
as_user(struct change *c, struct ofs_error *e)
{
	struct session s;
	int rc;

	rc = token_rw_session(c->t, &s, e);
	if (rc == 0)
		rc = set_pin(c, &s, e);
	session_close(&s);
	return rc;
}

/* an SO logs in only where no read-only session is open, ours included */
static int
as_so(struct change *c, struct ofs_error *e)
{
	ofs_token *t = c->t;
	struct session s;
	CK_RV rv;
	int rc;

	session_close(&t->pinned);
	rc = session_open(t->module, t->slot, true, &s, e);
	if (rc == 0)
		rc = login_once(t->ctx, &s, OFS_PIN_SO, &c->was, &t->info,
			&t->so_rejected, e);
	if (rc != 0)
		goto out;
	rc = set_pin(c, &s, e);
	CRYPTOKI(rv, t->module->f->C_Logout(s.h));
	if (rv != CKR_OK)
		ctx_log(t->ctx, OFS_LOG_WARNING,
			"cannot log the SO out of '%s': 0x%lx", t->info.label,
			rv);
out:
	session_close(&s);
	return rc;
}

/* the state after a rejection, for the caller's next decision */
static void
tell_what_is_left(struct change *c, struct ofs_error *e)
{
	struct ofs_error own = *e, ignored;
	bool so = c->old == OFS_PIN_SO, locked, last;
	CK_FLAGS flags;

	if (login_refresh(c->t, &ignored) != 0)
		return;
	flags = c->t->raw.flags;
	locked = (flags & (so ? CKF_SO_PIN_LOCKED : CKF_USER_PIN_LOCKED)) != 0;
	last = (flags & (so ? CKF_SO_PIN_FINAL_TRY : CKF_USER_PIN_FINAL_TRY)) !=
		0;
	if (!locked && !last)
		return;
	err_set(e, own.code, "%s; %s", own.message,
		locked ? "it is locked now" : "one more wrong one locks it");
	e->ckr = own.ckr;
}

static int
check_after(struct change *c, struct ofs_error *e)
{
	int rc = login_refresh(c->t, e);

	if (rc != 0)
		return rc;
	if (c->fresh == OFS_PIN_NEW_SO) {
		c->t->so_rejected = false;
		return 0;
	}
	c->t->rejected = false;
	login_forget(c->t);
	if (!c->t->info.pin_locked)
		return 0;
	return err_set(e, OFS_ETOKEN,
		"token '%s' answered CKR_OK, but its user PIN is still locked",
		c->t->info.label);
}

static int
run(struct change *c, int (*set)(struct change *, struct ofs_error *),
	struct ofs_error *e)
{
	int rc;

	rc = prepare(c, e);
	if (rc == 0)
		rc = set(c, e);
	if (rc == 0)
		rc = check_after(c, e);
	else if (c->hook->begun && *rejected(c))
		tell_what_is_left(c, e);
	pin_free(&c->was);
	pin_free(&c->will);
	return rc;
}

int
pinchange_user(ofs_token *t, struct pinchange *hook, struct ofs_error *e)
{
	struct change c = { .t = t,
		.hook = hook,
		.old = OFS_PIN_USER,
		.fresh = OFS_PIN_NEW_USER,
		.same_role = true };

	return run(&c, as_user, e);
}

int
pinchange_unblock(ofs_token *t, struct pinchange *hook, struct ofs_error *e)
{
	struct change c = { .t = t,
		.hook = hook,
		.old = OFS_PIN_SO,
		.fresh = OFS_PIN_NEW_USER };

	return run(&c, as_so, e);
}

int
pinchange_so(ofs_token *t, struct pinchange *hook, struct ofs_error *e)
{
	struct change c = { .t = t,
		.hook = hook,
		.old = OFS_PIN_SO,
		.fresh = OFS_PIN_NEW_SO,
		.same_role = true };

	return run(&c, as_so, e);
}
