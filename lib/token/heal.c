/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Signers of one token and its recovery: one heals, the others wait. */
#include <string.h>

#include "token/keydef.h"

/* the signers' sessions are of no use any more; the gate is closed */
static void
close_all(ofs_token *t)
{
	struct key_session *s;
	struct session own;

	pthread_mutex_lock(&t->lock);
	/* signers come and go from the thread that waits for this one only */
	for (s = t->signers; s != NULL; s = s->next) {
		own = key_session_take_locked(s);
		pthread_mutex_unlock(&t->lock);
		session_close(&own);
		pthread_mutex_lock(&t->lock);
	}
	t->lent = false;
	pthread_mutex_unlock(&t->lock);
}

/* with the gate closed */
static int
heal(struct key_session *s, struct ofs_error *e)
{
	ofs_token *t = s->key->token;
	bool others;
	int rc;

	if (key_lost(s->key, e))
		return e->code;
	pthread_mutex_lock(&t->lock);
	others = t->generation != s->generation;
	pthread_mutex_unlock(&t->lock);
	if (others)
		return 0;
	ctx_log(t->ctx, OFS_LOG_WARNING, "%s; trying to get it back",
		e->message);
	close_all(t);
	rc = recover_climb(s->key, s->rung++, e);
	pthread_mutex_lock(&t->lock);
	t->generation++;
	/* one that nobody waits for any longer may still come back */
	if (rc != 0 && !t->give_up) {
		t->lost = true;
		t->why = *e;
	}
	pthread_mutex_unlock(&t->lock);
	return rc;
}

int
key_session_heal(struct key_session *s, struct ofs_error *e)
{
	ofs_token *t = s->key->token;
	int rc;

	if (s->rung >= RECOVER_RUNGS) {
		s->rung = 0;
		return e->code;
	}
	key_session_pause(s);
	/* calls under way end, or whoever looks on gives them up */
	if (!gate_close(&t->gate, 2 * ctx_call_limit(t->ctx))) {
		rc = key_session_check_lost(s, e);
		return rc != 0 ? rc : e->code;
	}
	rc = heal(s, e);
	gate_open(&t->gate);
	if (rc == 0)
		err_clear(e);
	return rc;
}

bool
key_wants_pin(const ofs_key *k)
{
	const ofs_ctx *ctx = k->token->ctx;

	/* one that does not say so may turn out to want it */
	return k->wants_pin ||
		(k->p.info.always_authenticate == -1 &&
			ctx->opts.always_auth != OFS_ALWAYS_AUTH_REFUSE);
}

void
key_lose(ofs_key *k, const struct ofs_error *why)
{
	ofs_token *t = k->token;

	atomic_store(&t->module->hung, true);
	pthread_mutex_lock(&t->lock);
	if (!t->lost)
		t->why = *why;
	t->lost = t->give_up = true;
	pthread_cond_broadcast(&t->change);
	pthread_mutex_unlock(&t->lock);
	gate_break(&t->gate);
}

bool
key_lost(ofs_key *k, struct ofs_error *why)
{
	ofs_token *t = k->token;
	bool lost;

	pthread_mutex_lock(&t->lock);
	lost = t->lost;
	if (lost)
		*why = t->why;
	pthread_mutex_unlock(&t->lock);
	return lost;
}

void
key_give_up(ofs_key *k)
{
	token_give_up(k->token);
}

void
key_tell_wanted(ofs_key *k)
{
	token_tell_wanted(k->token);
}
