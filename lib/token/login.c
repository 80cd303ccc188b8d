/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Logging in: once, guarded, reported. */
#include <string.h>

#include "token/key.h"
#include "token/login.h"

int
login_guard(const ofs_ctx *ctx, enum ofs_pin_kind kind,
	const struct ofs_token_info *info, struct ofs_error *e)
{
	bool so = kind == OFS_PIN_SO;
	bool locked =
		so ? (info->flags & CKF_SO_PIN_LOCKED) != 0 : info->pin_locked;
	bool final = so ? (info->flags & CKF_SO_PIN_FINAL_TRY) != 0
			: info->pin_final_try;
	bool change = so ? (info->flags & CKF_SO_PIN_TO_BE_CHANGED) != 0
			 : info->pin_to_be_changed;

	if (locked && so)
		return err_set(e, OFS_EPINLOCKED,
			"cannot log in to '%s': the SO PIN is locked; the "
			"token can only be reset by its maker's tool",
			info->label);
	if (locked)
		return err_set(e, OFS_EPINLOCKED,
			"cannot log in to '%s': PIN is locked; unblock it with "
			"ofs-token pin unblock",
			info->label);
	if (change)
		return err_set(e, OFS_EPINLOCKED,
			"cannot log in to '%s': %s must be changed first; use "
			"ofs-token %s change",
			info->label, so ? "the SO PIN" : "PIN",
			so ? "so-pin" : "pin");
	if (final && !ctx->opts.last_try)
		return err_set(e, OFS_EPINLOCKED,
			"cannot log in to '%s': one more wrong PIN would lock "
			"it; allow the last try only when you are sure of the "
			"PIN",
			info->label);
	return 0;
}

int
login_err(const struct ofs_token_info *info, enum ofs_pin_kind kind, CK_RV rv,
	struct ofs_error *e)
{
	const char *pin = kind == OFS_PIN_SO ? "SO PIN" : "PIN";

	switch (rv) {
	case CKR_PIN_INCORRECT:
	case CKR_PIN_INVALID:
	case CKR_PIN_LEN_RANGE:
		return cryptoki_err(e, OFS_EPIN, rv,
			"cannot log in to '%s': the token rejected the %s; it "
			"is not tried again",
			info->label, pin);
	case CKR_PIN_LOCKED:
		return cryptoki_err(e, OFS_EPINLOCKED, rv,
			"cannot log in to '%s': %s is locked%s", info->label,
			pin,
			kind == OFS_PIN_SO
				? "; the token can only be reset"
				: "; unblock it with ofs-token pin unblock");
	case CKR_PIN_EXPIRED:
		return cryptoki_err(e, OFS_EPINLOCKED, rv,
			"cannot log in to '%s': %s has expired; use ofs-token "
			"%s change",
			info->label, pin,
			kind == OFS_PIN_SO ? "so-pin" : "pin");
	case CKR_USER_PIN_NOT_INITIALIZED:
		return cryptoki_err(e, OFS_ENOPIN, rv,
			"cannot log in to '%s': no user PIN is set on it; set "
			"one with ofs-token pin unblock",
			info->label);
	case CKR_USER_ANOTHER_ALREADY_LOGGED_IN:
	case CKR_SESSION_READ_ONLY_EXISTS:
		return cryptoki_err(e, OFS_ETOKEN, rv,
			"cannot log in to '%s': this process uses it already "
			"in another role; end that first",
			info->label);
	default:
		return cryptoki_err(e, cryptoki_code(rv), rv,
			"cannot log in to '%s'", info->label);
	}
}

int
login_report(ofs_ctx *ctx, enum ofs_pin_kind kind,
	const struct ofs_token_info *info, const struct ofs_error *failure,
	struct ofs_error *e)
{
	struct ctx_event ev = {
		.type = CTX_EVENT_LOGIN_OK, .user = kind, .token = info
	};

	if (ctx->event == NULL)
		return 0;
	if (failure != NULL) {
		ev.type = CTX_EVENT_LOGIN_FAILED;
		ev.code = failure->code;
		ev.ckr = failure->ckr;
	}
	return ctx->event(ctx->event_arg, &ev, e);
}

/* kept for recovery and for keys that want it again; locked and wiped */
static void
hold_pin(ofs_token *t, struct pin *pin)
{
	const struct ofs_ctx_opts *o = &t->ctx->opts;

	if (ctx_token_limit(t->ctx) == 0 &&
		o->always_auth != OFS_ALWAYS_AUTH_HOLD)
		return;
	pin_free(&t->held);
	t->held_pad = pin->p == NULL;
	t->held = *pin;
	*pin = (struct pin)PIN_NONE;
}

void
login_forget(ofs_token *t)
{
	pin_free(&t->held);
	t->held_pad = false;
}

static bool
speaks_of_pin(CK_RV rv)
{
	return rv == CKR_PIN_INCORRECT || rv == CKR_PIN_INVALID ||
		rv == CKR_PIN_LEN_RANGE || rv == CKR_PIN_LOCKED ||
		rv == CKR_PIN_EXPIRED;
}

/* of a login that could not be recorded */
static void
log_out(ofs_ctx *ctx, const struct session *s,
	const struct ofs_token_info *info)
{
	CK_RV rv;

	CRYPTOKI(rv, s->module->f->C_Logout(s->h));
	if (rv != CKR_OK && rv != CKR_USER_NOT_LOGGED_IN)
		ctx_log(ctx, OFS_LOG_ERROR,
			"a login to '%s' that could not be recorded could not "
			"be undone: 0x%lx",
			info->label, rv);
}

int
login_once(ofs_ctx *ctx, const struct session *s, enum ofs_pin_kind kind,
	const struct pin *pin, const struct ofs_token_info *info,
	bool *rejected, struct ofs_error *e)
{
	CK_USER_TYPE user = kind == OFS_PIN_SO ? CKU_SO : CKU_USER;
	struct ofs_error unsaid;
	CK_RV rv;
	int rc;

	if (pin->p == NULL)
		watch_be_patient(); /* somebody has to walk to the PIN pad */
	CRYPTOKI(rv,
		s->module->f->C_Login(
			s->h, user, (CK_UTF8CHAR *)pin->p, pin->len));
	*rejected = speaks_of_pin(rv);
	/* somebody else in this process was faster: no login of ours */
	if (rv == CKR_USER_ALREADY_LOGGED_IN)
		return 0;
	if (rv == CKR_OK) {
		rc = login_report(ctx, kind, info, NULL, e);
		if (rc == 0)
			return 0;
		log_out(ctx, s, info);
		return rc;
	}
	rc = login_err(info, kind, rv, e);
	err_clear(&unsaid);
	if (login_report(ctx, kind, info, e, &unsaid) != 0)
		ctx_log(ctx, OFS_LOG_ERROR,
			"a failed login could not be recorded: %s",
			unsaid.message);
	return rc;
}

int
login_refresh(ofs_token *t, struct ofs_error *e)
{
	struct slot now = { .module = t->module, .id = t->slot };
	int rc;

	rc = token_read_again(t, &now.raw, e);
	if (rc == 0) {
		t->raw = now.raw;
		slot_describe(&now, &t->info);
	}
	return rc;
}

/* the state after a rejection, for the caller's next decision */
static void
tell_what_is_left(ofs_token *t, struct ofs_error *e)
{
	struct ofs_error own = *e, ignored;

	if (login_refresh(t, &ignored) != 0 ||
		(!t->info.pin_locked && !t->info.pin_final_try))
		return;
	err_set(e, own.code, "%s; %s", own.message,
		t->info.pin_locked ? "the PIN is locked now"
				   : "one more wrong PIN locks it");
	e->ckr = own.ckr;
}

/* the session's state says whether somebody is logged in */
static int
is_logged_in(
	ofs_token *t, const struct session *s, bool *in, struct ofs_error *e)
{
	CK_STATE state;
	CK_RV rv = session_state(s, &state);

	if (rv != CKR_OK)
		return cryptoki_err(e, cryptoki_code(rv), rv,
			"cannot ask token '%s' for its state", t->info.label);
	if (state == CKS_RW_SO_FUNCTIONS)
		return err_set(e, OFS_ETOKEN,
			"cannot log in to '%s': this process is logged in as "
			"its SO",
			t->info.label);
	*in = state == CKS_RO_USER_FUNCTIONS || state == CKS_RW_USER_FUNCTIONS;
	return 0;
}

int
login_user(ofs_token *t, struct ofs_error *e)
{
	struct pin pin = PIN_NONE;
	struct session *s;
	bool in = false;
	int rc;

	rc = token_session(t, &s, e);
	if (rc == 0)
		rc = is_logged_in(t, s, &in, e);
	if (rc != 0 || in)
		return rc;
	if (t->rejected)
		return err_set(e, OFS_EPIN,
			"cannot log in to '%s': it rejected the PIN before, "
			"and none is sent again; check the PIN and open the "
			"token anew",
			t->info.label);
	rc = login_refresh(t, e);
	if (rc == 0 && !t->info.login_required)
		return 0;
	if (rc == 0)
		rc = login_guard(t->ctx, OFS_PIN_USER, &t->info, e);
	if (rc == 0)
		rc = pin_ask(t->ctx, OFS_PIN_USER, &t->info, &pin, e);
	/* the prompt may have stood for hours */
	if (rc == 0)
		rc = login_refresh(t, e);
	if (rc == 0)
		rc = login_guard(t->ctx, OFS_PIN_USER, &t->info, e);
	if (rc == 0)
		rc = login_once(t->ctx, s, OFS_PIN_USER, &pin, &t->info,
			&t->rejected, e);
	if (rc == 0)
		hold_pin(t, &pin);
	pin_free(&pin);
	if (rc != 0 && t->rejected)
		tell_what_is_left(t, e);
	return rc;
}

/*
 * A PIN that was accepted is sent again only when since then the token was
 * away, or has signed: never twice to a token that does not get going.
 */
static int
may_send_again(ofs_token *t, struct ofs_error *e)
{
	const char *why = NULL;

	if (t->rejected)
		why = "it rejected the PIN";
	else if (t->held.p == NULL && !t->held_pad)
		why = "no PIN is at hand that it accepted before";
	else if (!atomic_exchange(&t->fresh, false))
		why = "it was logged in already since it came back";
	if (why == NULL)
		return 0;
	return err_set(e, OFS_EPIN,
		"cannot log in to '%s' again: %s; start the program anew",
		t->info.label, why);
}

int
login_again(ofs_token *t, struct ofs_error *e)
{
	bool in = false;
	int rc;

	rc = is_logged_in(t, &t->pinned, &in, e);
	if (rc != 0 || in || !t->info.login_required)
		return rc;
	rc = may_send_again(t, e);
	if (rc == 0)
		rc = login_refresh(t, e);
	if (rc == 0)
		rc = login_guard(t->ctx, OFS_PIN_USER, &t->info, e);
	if (rc == 0)
		rc = login_once(t->ctx, &t->pinned, OFS_PIN_USER, &t->held,
			&t->info, &t->rejected, e);
	if (t->rejected)
		login_forget(t);
	return rc;
}

int
login_context_pin(ofs_token *t, struct pin *out, struct ofs_error *e)
{
	int rc;

	*out = (struct pin)PIN_NONE;
	if (t->rejected)
		return err_set(e, OFS_EPIN,
			"cannot sign on '%s': it rejected the PIN, and none is "
			"sent again",
			t->info.label);
	rc = login_refresh(t, e);
	if (rc == 0)
		rc = login_guard(t->ctx, OFS_PIN_USER, &t->info, e);
	if (rc != 0)
		return rc;
	if (t->ctx->opts.always_auth != OFS_ALWAYS_AUTH_HOLD ||
		(t->held.p == NULL && !t->held_pad))
		return pin_ask(t->ctx, OFS_PIN_CONTEXT, &t->info, out, e);
	return pin_copy(&t->held, out, e);
}

int
login_context(ofs_token *t, const struct session *s, struct pin *pin,
	struct ofs_error *e)
{
	struct ofs_error unsaid;
	CK_RV rv;
	int rc;

	if (pin->p == NULL)
		watch_be_patient();
	CRYPTOKI(rv,
		s->module->f->C_Login(s->h, CKU_CONTEXT_SPECIFIC,
			(CK_UTF8CHAR *)pin->p, pin->len));
	if (rv == CKR_OK) {
		if (t->ctx->opts.always_auth == OFS_ALWAYS_AUTH_HOLD)
			hold_pin(t, pin);
		return 0;
	}
	rc = login_err(&t->info, OFS_PIN_USER, rv, e);
	if (!speaks_of_pin(rv))
		return rc;
	t->rejected = true;
	login_forget(t);
	err_clear(&unsaid);
	if (login_report(t->ctx, OFS_PIN_USER, &t->info, e, &unsaid) != 0)
		ctx_log(t->ctx, OFS_LOG_ERROR,
			"a failed login could not be recorded: %s",
			unsaid.message);
	return rc;
}

static int
run_undo(void *arg, struct ofs_error *e)
{
	ofs_token *t = arg;
	struct session *s;
	int rc;

	login_forget(t);
	rc = token_session(t, &s, e);
	if (rc == 0)
		log_out(t->ctx, s, &t->info);
	return rc;
}

void
login_undo(ofs_token *t)
{
	struct ofs_error why;

	err_clear(&why);
	if (token_run(t, run_undo, t, &why) != 0)
		ctx_log(t->ctx, OFS_LOG_ERROR,
			"a login to '%s' that could not be recorded could not "
			"be undone: %s",
			t->info.label, why.message);
}

static int
run_login(void *arg, struct ofs_error *e)
{
	return login_user(arg, e);
}

int
ofs_token_login(ofs_token *token)
{
	struct ofs_error e;
	int rc;

	err_clear(&token->err);
	err_clear(&e);
	rc = token_run(token, run_login, token, &e);
	return rc == 0 ? 0 : token_fail(token, &e);
}
