/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Logging in: once, guarded, reported. */
#ifndef TOKEN_LOGIN_H
#define TOKEN_LOGIN_H

#include "token/token.h"

/* The user's login as ofs_token_login does it; nothing when logged in. */
int login_user(ofs_token *t, struct ofs_error *e);

/*
 * The login of recovery, in the pinned session: only with a PIN that this
 * token accepted before, and once for each insertion. A token that is still
 * logged in is left as it is.
 */
int login_again(ofs_token *t, struct ofs_error *e);
/*
 * For a key that wants the PIN for each signature: login_context_pin between
 * signatures, then C_SignInit, login_context, C_Sign in one session. The PIN
 * is the one held or is asked for, as the context's policy says; the caller
 * frees it with pin_free.
 */
int login_context_pin(ofs_token *t, struct pin *out, struct ofs_error *e);
int login_context(ofs_token *t, const struct session *s, struct pin *pin,
	struct ofs_error *e);

/* ofs_token_login() made a login that could not be recorded after all */
void login_undo(ofs_token *t);

/* the PIN that is held is no good any more */
void login_forget(ofs_token *t);
/* reads the token's state anew; it must still be the same token */
int login_refresh(ofs_token *t, struct ofs_error *e);

/* the guard: OFS_EPINLOCKED when a PIN must not be sent in this state */
int login_guard(const ofs_ctx *ctx, enum ofs_pin_kind kind,
	const struct ofs_token_info *info, struct ofs_error *e);
/*
 * One C_Login and its report to the context's listener. A success that cannot
 * be reported is undone and fails with the listener's error. *rejected says
 * that the token spoke against the PIN.
 */
int login_once(ofs_ctx *ctx, const struct session *s, enum ofs_pin_kind kind,
	const struct pin *pin, const struct ofs_token_info *info,
	bool *rejected, struct ofs_error *e);
/* reports the end of an attempt; ev->code is 0 for a success */
int login_report(ofs_ctx *ctx, enum ofs_pin_kind kind,
	const struct ofs_token_info *info, const struct ofs_error *failure,
	struct ofs_error *e);

/* what a token's answer to a PIN means; rv is not CKR_OK */
int login_err(const struct ofs_token_info *info, enum ofs_pin_kind kind,
	CK_RV rv, struct ofs_error *e);

#endif
