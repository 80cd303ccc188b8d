/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Changed and unblocked PINs, recorded before the token is asked and after. */
#include <stdio.h>

#include "base/ctx.h"
#include "station/recorded.h"
#include "token/pinchange.h"

struct pins {
	ofs_token *token;
	ofs_audit *audit;
	const char *event;
};

static int
record(const struct pins *p, const char *end, struct ofs_error *e)
{
	char event[48];

	snprintf(event, sizeof(event), "%s%s", p->event, end);
	return recorded_token_event(
		p->audit, event, ofs_token_get_info(p->token), e);
}

static int
begin(void *arg, struct ofs_error *e)
{
	return record(arg, "-begun", e);
}

struct change {
	ofs_token *token;
	struct pinchange *hook;
	int (*fn)(ofs_token *, struct pinchange *, struct ofs_error *);
};

static int
run_change(void *arg, struct ofs_error *e)
{
	const struct change *c = arg;

	return c->fn(c->token, c->hook, e);
}

static int
run(ofs_token *token, ofs_audit *audit, const char *event,
	int (*change)(ofs_token *, struct pinchange *, struct ofs_error *))
{
	struct pins p = { token, audit, event };
	struct pinchange hook = { begin, &p, false };
	struct change c = { token, &hook, change };
	struct ofs_error e, unsaid;
	int rc, said;

	err_clear(&token->err);
	err_clear(&e);
	if (audit == NULL)
		return err_set(&token->err, OFS_EINVAL,
			"no PIN is changed without an audit log; open one");
	rc = token_run(token, run_change, &c, &e);
	if (!hook.begun)
		return rc == 0 ? 0 : token_fail(token, &e);
	err_clear(&unsaid);
	said = record(&p, rc == 0 ? "" : "-failed", &unsaid);
	if (said != 0 && rc == 0)
		rc = err_set(&e, said,
			"the PIN of '%s' is changed, but its end could not be "
			"recorded: %s",
			ofs_token_get_info(token)->label, unsaid.message);
	else if (said != 0)
		ctx_log(token_ctx(token), OFS_LOG_ERROR,
			"a failed change of a PIN could not be recorded: %s",
			unsaid.message);
	return rc == 0 ? 0 : token_fail(token, &e);
}

int
ofs_token_change_pin(ofs_token *token, ofs_audit *audit)
{
	return run(token, audit, "pin-change", pinchange_user);
}

int
ofs_token_unblock_pin(ofs_token *token, ofs_audit *audit)
{
	return run(token, audit, "pin-unblock", pinchange_unblock);
}

int
ofs_token_change_so_pin(ofs_token *token, ofs_audit *audit)
{
	return run(token, audit, "so-pin-change", pinchange_so);
}
