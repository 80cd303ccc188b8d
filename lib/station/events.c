/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Logins and new tokens, recorded as the token layer reports them. */
#include <string.h>

#include "base/ctx.h"
#include "sign/party.h"
#include "station/recorded.h"
#include "token/token.h"

int
recorded_login(void *arg, const struct ctx_event *ev, struct ofs_error *e)
{
	ofs_audit *audit = arg;
	struct rec_login r;
	struct buf body = BUF_INIT;
	uint64_t seq;
	int rc;

	memset(&r, 0, sizeof(r));
	party_token(ev->token, &r.token);
	log_operator(audit, &r.operator_);
	r.user = ev->user == OFS_PIN_SO ? "so" : "user";
	r.ok = ev->type == CTX_EVENT_LOGIN_OK;
	r.ckr = ev->ckr;
	r.code = ev->code;
	r.reason = r.ok ? NULL : ofs_err_text(ev->code);
	rc = record_login_encode(&r, &body, e);
	if (rc == 0)
		rc = recorded_append(audit, OFS_REC_LOGIN, &body, &seq, e);
	buf_free(&body);
	return rc;
}

int
ofs_ctx_set_audit(ofs_ctx *ctx, ofs_audit *audit)
{
	err_clear(&ctx->err);
	if (audit != NULL && log_read_only(audit))
		return err_set(&ctx->err, OFS_EINVAL,
			"the audit log is open for reading only; open it "
			"for writing");
	ctx->event = audit != NULL ? recorded_login : NULL;
	ctx->event_arg = audit;
	return 0;
}

int
ofs_token_init(ofs_ctx *ctx, const struct ofs_token_init_opts *opts,
	struct ofs_token_info *out)
{
	struct ofs_token_info own, *info = out != NULL ? out : &own;
	struct ofs_error e;
	int rc;

	err_clear(&ctx->err);
	err_clear(&e);
	rc = token_init(ctx, opts, info, &e);
	if (rc == 0 && ctx->event == recorded_login)
		rc = recorded_token_event(ctx->event_arg, "init", info, &e);
	return rc == 0 ? 0 : ctx_fail(ctx, &e);
}
