/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A token that is in use: opened by URI, described, kept logged in. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/thread.h"
#include "base/time.h"
#include "token/key.h"
#include "token/token.h"
#include "token/wanted.h"

int
ofs_token_list(ofs_ctx *ctx, ofs_token_fn fn, void *arg)
{
	struct ofs_token_info info;
	struct slot_list l;
	struct ofs_error e;
	int rc;

	err_clear(&ctx->err);
	err_clear(&e);
	rc = slot_scan(ctx, &l, &e);
	if (rc != 0)
		(void)ctx_fail(ctx, &e);
	for (size_t i = 0; rc == 0 && i < l.n; i++) {
		slot_describe(&l.v[i], &info);
		rc = fn(arg, &info);
	}
	slot_list_free(&l);
	return rc;
}

/* what a token has beside its description */
static int
equip(ofs_token *t, struct ofs_error *e)
{
	int rc = thread_cond_init(&t->change);

	if (rc == 0) {
		pthread_mutex_init(&t->lock, NULL);
		rc = gate_init(&t->gate);
		if (rc == 0)
			return 0;
		pthread_cond_destroy(&t->change);
		pthread_mutex_destroy(&t->lock);
	}
	return err_sys(e, OFS_ENOMEM, rc, "cannot prepare the token's locks");
}

static void
take_turns(ofs_token *t, const struct slot *s)
{
	struct ofs_error e;

	if (!s->scarce ||
		turn_open(t->ctx->opts.lock_dir, &s->raw, &t->turn, &e) == 0)
		return;
	ctx_log(t->ctx, OFS_LOG_WARNING,
		"token '%s' is not shared fairly with other programs: %s",
		t->info.label, e.message);
}

static int
new_token(ofs_ctx *ctx, const struct slot *s, ofs_token **out,
	struct ofs_error *e)
{
	ofs_token *t = calloc(1, sizeof(*t));
	int rc;

	if (t == NULL)
		return err_nomem(e);
	rc = equip(t, e);
	if (rc != 0) {
		free(t);
		return rc;
	}
	t->ctx = ctx;
	err_clear(&t->err);
	t->module = s->module;
	t->slot = s->id;
	t->pid = getpid();
	t->raw = s->raw;
	atomic_store(&t->fresh, true);
	slot_describe(s, &t->info);
	wanted_init(&t->telling, ctx, t->info.label, t->info.serial);
	take_turns(t, s);
	*out = t;
	return 0;
}

static int
look_for(
	ofs_ctx *ctx, const struct uri *u, ofs_token **out, struct ofs_error *e)
{
	struct slot_list l = { NULL, 0 };
	const struct slot *s;
	int rc;

	rc = slot_scan(ctx, &l, e);
	if (rc == 0)
		rc = slot_pick(&l, u, false, &s, e);
	if (rc == 0)
		rc = new_token(ctx, s, out, e);
	slot_list_free(&l);
	return rc;
}

/* looks again until the token is there, or the caller's time is over */
static int
wait_for(
	ofs_ctx *ctx, const struct uri *u, ofs_token **out, struct ofs_error *e)
{
	static const struct timespec nap = { 0, 250000000 };
	int64_t now = time_mono(), until;
	struct wanted w;
	char label[sizeof(w.label)], serial[sizeof(w.serial)];
	int rc;

	uri_names_token(u, label, sizeof(label), serial, sizeof(serial));
	until = now + INT64_C(1000) * ctx->opts.open_timeout;
	wanted_init(&w, ctx, label, serial);
	wanted_begin(&w, now, until);
	for (;;) {
		rc = look_for(ctx, u, out, e);
		if (rc != OFS_ETOKEN || time_mono() >= until ||
			wanted_tick(&w) != 0)
			break;
		(void)nanosleep(&nap, NULL);
	}
	wanted_end(&w, rc == 0);
	return rc;
}

int
ofs_token_open(ofs_ctx *ctx, const char *uri, ofs_token **out)
{
	struct ofs_error e;
	struct uri u;
	int rc;

	*out = NULL;
	err_clear(&ctx->err);
	err_clear(&e);
	rc = uri_parse(uri, &u, &e);
	if (rc == 0)
		rc = wait_for(ctx, &u, out, &e);
	uri_free(&u);
	return rc == 0 ? 0 : ctx_fail(ctx, &e);
}

static int
close_pinned(void *arg, struct ofs_error *e)
{
	ofs_token *t = arg;

	(void)e;
	session_close(&t->pinned);
	return 0;
}

void
ofs_token_free(ofs_token *token)
{
	struct ofs_error ignored;

	if (token == NULL)
		return;
	if (token->pid == getpid() && token->pinned.module != NULL)
		(void)token_run(token, close_pinned, token, &ignored);
	pin_free(&token->held);
	pin_free(&token->so_pin);
	turn_close(token->turn);
	/* a call that hangs may still look at it */
	if (atomic_load(&token->module->hung))
		return;
	gate_destroy(&token->gate);
	pthread_cond_destroy(&token->change);
	pthread_mutex_destroy(&token->lock);
	free(token);
}

const struct ofs_error *
ofs_token_error(const ofs_token *token)
{
	return &token->err;
}

const struct ofs_token_info *
ofs_token_get_info(const ofs_token *token)
{
	return &token->info;
}

ofs_ctx *
token_ctx(const ofs_token *t)
{
	return t->ctx;
}

int
token_fail(ofs_token *t, const struct ofs_error *e)
{
	if (e != &t->err)
		t->err = *e;
	return e->code;
}

int
token_check_usable(const ofs_token *t, struct ofs_error *e)
{
	if (t->pid == getpid())
		return module_check_hung(t->module, e);
	return err_set(e, OFS_ETOKEN,
		"cannot use token '%s' in a forked process; add the module "
		"and open the token there",
		t->info.label);
}

void
token_give_up(ofs_token *t)
{
	pthread_mutex_lock(&t->lock);
	t->give_up = true;
	pthread_cond_broadcast(&t->change);
	pthread_mutex_unlock(&t->lock);
}

void
token_tell_wanted(ofs_token *t)
{
	struct wanted *w = &t->telling;
	int64_t since, until;
	bool on, present;

	pthread_mutex_lock(&t->lock);
	on = t->wanted;
	present = !t->lost;
	since = t->wanted_since;
	until = t->wanted_until;
	pthread_mutex_unlock(&t->lock);
	if (on && !w->on)
		wanted_begin(w, since, until);
	if (!on && w->on)
		wanted_end(w, present);
	if (!on || wanted_tick(w) == 0)
		return;
	token_give_up(t);
}

int
token_run(ofs_token *t, watch_fn fn, void *arg, struct ofs_error *e)
{
	int rc = token_check_usable(t, e);

	return rc != 0 ? rc : module_run(t->module, fn, arg, e);
}

int
token_read_again(const ofs_token *t, CK_TOKEN_INFO *now, struct ofs_error *e)
{
	int rc;

	rc = slot_read(t->module, t->slot, now, e);
	if (rc == 0 && !slot_same_token(now, &t->raw))
		rc = err_set(e, OFS_ETOKEN,
			"another token is in slot %lu; insert '%s' (serial %s)",
			t->slot, t->info.label, t->info.serial);
	return rc;
}

int
token_check_present(const ofs_token *t, struct ofs_error *e)
{
	CK_TOKEN_INFO now;

	return token_read_again(t, &now, e);
}

int
token_session(ofs_token *t, struct session **out, struct ofs_error *e)
{
	CK_STATE state;
	int rc;

	*out = NULL;
	rc = token_check_usable(t, e);
	if (rc != 0)
		return rc;
	/* a session that died with its token is replaced */
	if (t->pinned.module != NULL &&
		session_state(&t->pinned, &state) != CKR_OK) {
		session_close(&t->pinned);
		module_renew(t->module);
	}
	if (t->pinned.module == NULL) {
		rc = token_check_present(t, e);
		if (rc == 0)
			rc = session_open(
				t->module, t->slot, false, &t->pinned, e);
	}
	if (rc == 0)
		*out = &t->pinned;
	return rc;
}

int
token_rw_session(ofs_token *t, struct session *out, struct ofs_error *e)
{
	struct session *pinned;
	int rc;

	memset(out, 0, sizeof(*out));
	rc = token_session(t, &pinned, e);
	if (rc == 0)
		rc = session_open(t->module, t->slot, true, out, e);
	return rc;
}
