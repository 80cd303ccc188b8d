/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The safety assessment of a token: read, judge, tell, record. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sign/party.h"
#include "station/check.h"
#include "station/recorded.h"
#include "token/label.h"
#include "token/login.h"

#define DAYS_MAX 36500

static int
take_opts(struct check *c, const struct ofs_check_opts *o, struct ofs_error *e)
{
	static const struct ofs_check_opts defaults = OFS_CHECK_OPTS_INIT;

	c->opts = o != NULL ? *o : defaults;
	if (c->opts.size != sizeof(c->opts) || c->opts.days < 0 ||
		c->opts.days > DAYS_MAX)
		return err_set(e, OFS_EINVAL,
			"cannot check the token: its options are out of range");
	if (c->opts.write_test && c->opts.no_login)
		return err_set(e, OFS_EINVAL,
			"a private data object is not stored without a login; "
			"allow the login");
	if (c->opts.audit != NULL && log_read_only(c->opts.audit))
		return err_set(e, OFS_EINVAL,
			"the check cannot be recorded: the audit log is open "
			"for reading only");
	return 0;
}

/*
 * A PIN that must not be sent, or that is not set, is what the check is to
 * tell, not what ends it.
 */
static int
log_in(struct check *c, struct ofs_error *e)
{
	const struct ofs_token_info *info = ofs_token_get_info(c->token);
	struct ofs_error guarded;

	if (c->opts.no_login || !info->pin_initialised ||
		login_guard(c->ctx, OFS_PIN_USER, info, &guarded) != 0)
		return 0;
	return login_user(c->token, e);
}

static void
fill_library(const CK_INFO *i, struct ofs_check_report *out)
{
	char maker[33 * 4], what[33 * 4];

	label_text(maker, sizeof(maker), i->manufacturerID,
		label_len(i->manufacturerID, sizeof(i->manufacturerID)));
	label_text(what, sizeof(what), i->libraryDescription,
		label_len(
			i->libraryDescription, sizeof(i->libraryDescription)));
	snprintf(out->library, sizeof(out->library), "%.60s%s%.60s", maker,
		maker[0] != '\0' && what[0] != '\0' ? ", " : "", what);
	out->library_major = i->libraryVersion.major;
	out->library_minor = i->libraryVersion.minor;
	out->cryptoki_major = i->cryptokiVersion.major;
	out->cryptoki_minor = i->cryptokiVersion.minor;
}

static void
fill_report(const struct check *c, struct ofs_check_report *out)
{
	const struct probe *p = &c->probe;

	out->token = p->info;
	fill_library(&p->library, out);
	out->hardware_major = p->raw.hardwareVersion.major;
	out->hardware_minor = p->raw.hardwareVersion.minor;
	out->mechanisms = p->mechs.n;
	snprintf(out->signing, sizeof(out->signing), "%s", p->mechs.names);
	out->logged_in = p->logged_in;
	out->keys = p->n_keys;
	out->advisories = c->advisories;
	for (size_t i = 0; i < c->n; i++) {
		out->serious += c->v[i].severity == OFS_SEVERITY_SERIOUS;
		out->warnings += c->v[i].severity == OFS_SEVERITY_WARNING;
		out->infos += c->v[i].severity == OFS_SEVERITY_INFO;
	}
}

static int
record(const struct check *c, const struct ofs_check_report *out,
	struct ofs_error *e)
{
	struct rec_token_event r;
	struct buf body = BUF_INIT;
	char event[160];
	uint64_t seq;
	int rc;

	if (c->opts.audit == NULL)
		return 0;
	snprintf(event, sizeof(event),
		"check serious=%zu warning=%zu info=%zu login=%s%s",
		out->serious, out->warnings, out->infos,
		out->logged_in ? "yes" : "no",
		c->probe.write != PROBE_NOT_WRITTEN ? " write-test" : "");
	memset(&r, 0, sizeof(r));
	r.event = event;
	party_token(&out->token, &r.token);
	log_operator(c->opts.audit, &r.operator_);
	rc = record_token_event_encode(&r, &body, e);
	if (rc == 0)
		rc = recorded_append(
			c->opts.audit, OFS_REC_TOKEN_EVENT, &body, &seq, e);
	buf_free(&body);
	return rc;
}

struct assessment {
	struct check *c;
	struct ofs_check_report *out;
};

static int
assess(void *arg, struct ofs_error *e)
{
	const struct assessment *a = arg;
	struct check *c = a->c;
	int rc;

	rc = log_in(c, e);
	if (rc == 0)
		rc = probe_token(c->token, c->opts.write_test, &c->probe, e);
	if (rc != 0)
		return rc;
	check_pins(c);
	rc = check_module(c, e);
	if (rc == 0)
		rc = check_advisories(c, e);
	if (rc != 0)
		return rc;
	check_keys(c);
	check_abilities(c);
	if (c->nomem)
		return err_nomem(e);
	fill_report(c, a->out);
	return 0;
}

/* the worst first, else as they were found */
static int
tell(const struct check *c, ofs_finding_fn fn, void *arg)
{
	int rc = 0;

	for (int s = OFS_SEVERITY_SERIOUS; s >= OFS_SEVERITY_INFO; s--)
		for (size_t i = 0; rc == 0 && i < c->n; i++)
			if ((int)c->v[i].severity == s)
				rc = fn(arg, &c->v[i]);
	return rc;
}

int
ofs_token_check(ofs_token *token, const struct ofs_check_opts *opts,
	ofs_finding_fn fn, void *arg, struct ofs_check_report *out)
{
	struct check c = { .token = token, .ctx = token_ctx(token) };
	struct ofs_error e;
	int rc, stopped = 0;

	memset(out, 0, sizeof(*out));
	out->size = sizeof(*out);
	err_clear(&token->err);
	err_clear(&e);
	c.now = ctx_now(c.ctx);
	rc = take_opts(&c, opts, &e);
	if (rc == 0)
		rc = token_run(
			token, assess, &(struct assessment){ &c, out }, &e);
	if (rc == 0 && fn != NULL)
		stopped = tell(&c, fn, arg);
	if (rc == 0)
		rc = record(&c, out, &e);
	free(c.v);
	probe_free(&c.probe);
	if (rc != 0)
		return token_fail(token, &e);
	return stopped;
}
