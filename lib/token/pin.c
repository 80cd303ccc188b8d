/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A PIN in locked memory, from the callback to the token and no further. */
#include <string.h>

#include "base/mem.h"
#include "token/pin.h"
#include "token/watch.h"
#include "token/yubikey.h"

#define ROOM (OFS_PIN_MAX + 1)

/* flags of the PIN that is asked for; a new PIN has none */
static void
fill_flags(struct ofs_pin_request *req, const struct ofs_token_info *token)
{
	if (req->kind == OFS_PIN_USER || req->kind == OFS_PIN_CONTEXT) {
		req->count_low = token->pin_count_low;
		req->final_try = token->pin_final_try;
	} else if (req->kind == OFS_PIN_SO) {
		req->count_low = (token->flags & CKF_SO_PIN_COUNT_LOW) != 0;
		req->final_try = (token->flags & CKF_SO_PIN_FINAL_TRY) != 0;
	}
}

struct ask {
	const struct ofs_ctx_opts *opts;
	const struct ofs_pin_request *req;
	char *pin;
};

static int
ask(void *arg)
{
	const struct ask *a = arg;

	return a->opts->pin(a->opts->pin_arg, a->req, a->pin);
}

int
pin_ask(ofs_ctx *ctx, enum ofs_pin_kind kind,
	const struct ofs_token_info *token, struct pin *out,
	struct ofs_error *e)
{
	struct ofs_pin_request req = { .size = sizeof(req),
		.kind = kind,
		.management_key = yubikey_is(token) &&
			(kind == OFS_PIN_SO || kind == OFS_PIN_NEW_SO),
		.token_label = token->label,
		.token_serial = token->serial };
	int rc;

	out->p = NULL;
	out->len = 0;
	if (ctx->opts.pinpad && !token->pinpad)
		return err_set(e, OFS_ENOPIN,
			"cannot log in to '%s': its reader has no PIN pad; "
			"choose another PIN source",
			token->label);
	if (token->pinpad)
		return 0;
	if (ctx->opts.pin == NULL)
		return err_set(e, OFS_ENOPIN,
			"cannot log in to '%s': no PIN source was given",
			token->label);
	out->p = mem_secret_new(ROOM);
	if (out->p == NULL)
		return err_nomem(e);
	fill_flags(&req, token);
	rc = watch_call_back(ask, &(struct ask){ &ctx->opts, &req, out->p });
	if (rc == 0)
		out->len = strnlen(out->p, ROOM);
	if (rc != 0)
		err_set(e, rc < 0 ? rc : OFS_ENOPIN,
			"cannot log in to '%s': no PIN could be had",
			token->label);
	else if (out->len == 0 || out->len > OFS_PIN_MAX)
		err_set(e, OFS_ENOPIN,
			"cannot log in to '%s': a PIN has 1 to %d bytes",
			token->label, OFS_PIN_MAX);
	else
		return 0;
	pin_free(out);
	return e->code;
}

int
pin_copy(const struct pin *p, struct pin *out, struct ofs_error *e)
{
	*out = (struct pin)PIN_NONE;
	if (p->p == NULL)
		return 0;
	out->p = mem_secret_new(ROOM);
	if (out->p == NULL)
		return err_nomem(e);
	memcpy(out->p, p->p, ROOM);
	out->len = p->len;
	return 0;
}

void
pin_free(struct pin *p)
{
	mem_secret_free(p->p, ROOM);
	p->p = NULL;
	p->len = 0;
}

int
pin_check_new(const struct pin *p, const CK_TOKEN_INFO *t, const char *what,
	struct ofs_error *e)
{
	if (p->p == NULL) /* the pad sees to it */
		return 0;
	if (p->len >= t->ulMinPinLen &&
		(t->ulMaxPinLen == 0 || p->len <= t->ulMaxPinLen))
		return 0;
	return err_set(e, OFS_EINVAL,
		"cannot set the %s PIN: the token takes %lu to %lu bytes", what,
		t->ulMinPinLen, t->ulMaxPinLen);
}
