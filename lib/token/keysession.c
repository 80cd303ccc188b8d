/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The PKCS#11 session of one signer: opened when needed, given back. */
#include <stdlib.h>
#include <string.h>

#include "base/time.h"
#include "token/keydef.h"

int
key_session_open(ofs_key *k, struct key_session **out, struct ofs_error *e)
{
	ofs_token *t = k->token;
	struct key_session *s;
	int rc;

	*out = NULL;
	if (!k->signs)
		return err_set(e, OFS_EINVAL,
			"cannot sign with key '%s': it was opened without a "
			"login",
			k->p.info.label);
	rc = token_check_usable(t, e);
	if (rc != 0)
		return rc;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return err_nomem(e);
	s->key = k;
	pthread_mutex_lock(&t->lock);
	t->give_up = t->lost;
	s->next = t->signers;
	t->signers = s;
	pthread_mutex_unlock(&t->lock);
	*out = s;
	return 0;
}

struct session
key_session_take_locked(struct key_session *s)
{
	struct session own = s->s;

	memset(&s->s, 0, sizeof(s->s));
	if (!s->lent)
		return own;
	/* the token's own, which stays open */
	memset(&own, 0, sizeof(own));
	s->lent = false;
	s->key->token->lent = false;
	return own;
}

void
key_session_drop(struct key_session *s)
{
	ofs_token *t = s->key->token;
	struct session own;

	/* one that is healing the token may be closing it, too */
	pthread_mutex_lock(&t->lock);
	own = key_session_take_locked(s);
	pthread_mutex_unlock(&t->lock);
	session_close(&own);
}

void
key_session_pause(struct key_session *s)
{
	if (s->in_turn)
		turn_leave(s->key->token->turn);
	s->in_turn = false;
}

void
key_session_end(struct key_session *s)
{
	struct ofs_error ignored;

	if (token_check_usable(s->key->token, &ignored) != 0)
		return;
	key_session_pause(s);
	key_session_drop(s);
}

void
key_session_close(struct key_session *s)
{
	struct key_session **at;
	ofs_token *t;

	if (s == NULL)
		return;
	key_session_end(s);
	t = s->key->token;
	pthread_mutex_lock(&t->lock);
	for (at = &t->signers; *at != s; at = &(*at)->next)
		;
	*at = s->next;
	pthread_mutex_unlock(&t->lock);
	free(s);
}

/* the pinned session, for one signer where the token has no other */
static bool
borrow(struct key_session *s)
{
	ofs_token *t = s->key->token;
	bool got;

	pthread_mutex_lock(&t->lock);
	got = !t->lent && t->pinned.module != NULL;
	if (got) {
		t->lent = s->lent = true;
		s->s = t->pinned;
	}
	pthread_mutex_unlock(&t->lock);
	return got;
}

/* the key's handle in this generation; recovery has found it for one key */
static int
take_handle(struct key_session *s, struct ofs_error *e)
{
	ofs_key *k = s->key;
	ofs_token *t = k->token;
	bool known;
	int rc;

	pthread_mutex_lock(&t->lock);
	s->generation = t->generation;
	known = k->generation == t->generation;
	s->h = k->p.priv.h;
	pthread_mutex_unlock(&t->lock);
	if (known)
		return 0;
	rc = key_find_again(k, &s->s, &s->h, e);
	if (rc != 0)
		return rc;
	pthread_mutex_lock(&t->lock);
	k->p.priv.h = s->h;
	k->generation = s->generation;
	pthread_mutex_unlock(&t->lock);
	return 0;
}

int
key_session_make_ready(struct key_session *s, struct ofs_error *e)
{
	ofs_token *t = s->key->token;
	int rc;

	if (s->s.module != NULL)
		return 0;
	rc = token_check_present(t, e);
	if (rc == 0)
		rc = session_open(t->module, t->slot, false, &s->s, e);
	if (rc != 0 && e->ckr == CKR_SESSION_COUNT && borrow(s)) {
		err_clear(e);
		rc = 0;
	}
	if (rc == 0)
		rc = take_handle(s, e);
	if (rc != 0)
		key_session_drop(s);
	return rc;
}

int
key_session_check_lost(struct key_session *s, struct ofs_error *e)
{
	ofs_token *t = s->key->token;
	int rc = 0;

	pthread_mutex_lock(&t->lock);
	s->generation = t->generation;
	if (t->lost) {
		*e = t->why;
		rc = e->code;
	}
	pthread_mutex_unlock(&t->lock);
	return rc;
}

int
key_session_enter(struct key_session *s, struct ofs_error *e)
{
	ofs_token *t = s->key->token;
	int rc;

	rc = token_check_usable(t, e);
	if (rc == 0 && !s->in_turn) {
		rc = turn_enter(
			t->turn, time_mono() + ctx_call_limit(t->ctx), e);
		s->in_turn = rc == 0;
	}
	if (rc != 0)
		return rc;
	if (gate_enter(&t->gate)) {
		if (gate_enter(&t->module->gate))
			return 0;
		gate_leave(&t->gate);
	}
	rc = key_session_check_lost(s, e);
	return rc != 0 ? rc : module_check_hung(t->module, e);
}

void
key_session_leave(struct key_session *s)
{
	gate_leave(&s->key->token->module->gate);
	gate_leave(&s->key->token->gate);
}

int
key_session_ready(struct key_session *s, struct ofs_error *e)
{
	int rc;

	rc = key_session_enter(s, e);
	if (rc != 0)
		return rc;
	rc = key_session_check_lost(s, e);
	if (rc == 0)
		rc = key_session_make_ready(s, e);
	key_session_leave(s);
	key_session_pause(s);
	s->ailing = rc != 0 && recover_can(e);
	return rc;
}

unsigned int
key_session_asked(const struct key_session *s)
{
	return s->asked;
}

bool
key_session_ailing(const struct key_session *s)
{
	return s->ailing;
}

bool
key_session_in_sign(const struct key_session *s)
{
	return atomic_load(&s->in_sign);
}
