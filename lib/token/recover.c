/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Getting a token back that was pulled out, reset, or lost its server. */
#include <string.h>

#include "base/thread.h"
#include "base/time.h"
#include "crypto/pubkey.h"
#include "token/keydef.h"
#include "token/login.h"

#define POLL_US 200000
/* polls of a module that shows nothing, until it is started anew */
#define POLLS_RESTART 5

/*
 * Modules disagree about what they answer when a token is gone, and about what
 * brings it back. So the ladder is climbed until the key can be reached:
 *
 *   0  look at slots and tokens, open a session, log in, find the key
 *   1  close all sessions of the slot first, other users' too
 *   2  finalise and initialise the module first
 *
 * and all of it again while the caller is ready to wait. A token that is not
 * there is waited for on rung 0; but a module that shows no token at all may
 * have lost its server (p11-kit's client then has no slots), and is now and
 * then started anew.
 */

/* what a module says of the token, where it works */
enum seen { SEEN, SEEN_OTHERS, SEEN_NOTHING };

bool
recover_can(const struct ofs_error *e)
{
	switch (e->ckr) {
	case CKR_DEVICE_ERROR:
	case CKR_DEVICE_MEMORY:
	case CKR_DEVICE_REMOVED:
	case CKR_KEY_HANDLE_INVALID:
	case CKR_OBJECT_HANDLE_INVALID:
	case CKR_SESSION_CLOSED:
	case CKR_SESSION_HANDLE_INVALID:
	case CKR_TOKEN_NOT_PRESENT:
	case CKR_TOKEN_NOT_RECOGNIZED:
	case CKR_USER_NOT_LOGGED_IN:
	case CKR_CRYPTOKI_NOT_INITIALIZED:
		return e->code == OFS_ETOKEN || e->code == OFS_EMODULE;
	default:
		return false;
	}
}

int
key_find_again(const ofs_key *k, const struct session *s, CK_OBJECT_HANDLE *h,
	struct ofs_error *e)
{
	struct object_query q = { .class_ = CKO_PRIVATE_KEY,
		.id = k->p.priv.id,
		.id_len = k->p.priv.id_len,
		.label = k->p.priv.label,
		.label_len = k->p.priv.label_len };
	const char *label = k->p.info.label, *token = k->token->info.label;
	struct object_list l;
	struct pair p;
	int rc;

	memset(&p, 0, sizeof(p));
	rc = object_find(s, &q, &l, e);
	if (rc == 0 && l.n != 1)
		rc = err_set(e, OFS_EKEY,
			"cannot go on with '%s': token '%s' came back %s",
			label, token,
			l.n == 0 ? "without that key"
				 : "with more than one key of that name");
	if (rc == 0)
		rc = object_copy(&p.priv, &l.v[0], e);
	if (rc == 0)
		rc = pair_load(k->token, s, &p, e);
	if (rc == 0 && (p.key == NULL || !pubkey_equal(p.key, k->p.key)))
		rc = err_set(e, OFS_EKEY,
			"cannot go on with '%s': token '%s' came back with "
			"another key under that name; insert the right one",
			label, token);
	if (rc == 0)
		*h = p.priv.h;
	pair_free(&p);
	object_list_free(&l);
	return rc;
}

static void
shake(ofs_token *t, unsigned int rung)
{
	struct ofs_error e;
	CK_RV rv;

	if (rung == 1) {
		/* p11-kit's would close its own only, and one by one */
		CRYPTOKI(rv, t->module->raw->C_CloseAllSessions(t->slot));
		(void)rv;
	} else if (rung == 2 && module_restart(t->module, &e) != 0) {
		ctx_log(t->ctx, OFS_LOG_WARNING, "%s", e.message);
	}
}

/* where the token is now */
static int
locate(ofs_token *t, enum seen *seen, struct ofs_error *e)
{
	struct slot_list l = { NULL, 0 };
	const struct slot *found = NULL;
	int rc;

	rc = slot_scan_module(t->ctx, t->module, &l, e);
	for (size_t i = 0; rc == 0 && i < l.n && found == NULL; i++)
		if (slot_same_token(&l.v[i].raw, &t->raw))
			found = &l.v[i];
	if (found != NULL) {
		t->slot = found->id;
		slot_describe(found, &t->info);
	} else if (rc == 0) {
		*seen = l.n > 0 ? SEEN_OTHERS : SEEN_NOTHING;
		rc = err_set(e, OFS_ETOKEN,
			"token '%s' (serial %s) is not there", t->info.label,
			t->info.serial);
	}
	slot_list_free(&l);
	return rc;
}

static int
step(ofs_key *k, unsigned int rung, enum seen *seen, struct ofs_error *e)
{
	ofs_token *t = k->token;
	CK_OBJECT_HANDLE h;
	int rc;

	*seen = SEEN;
	session_close(&t->pinned);
	shake(t, rung);
	rc = locate(t, seen, e);
	if (rc == 0)
		rc = session_open(t->module, t->slot, false, &t->pinned, e);
	if (rc == 0)
		rc = login_again(t, e);
	if (rc == 0)
		rc = key_find_again(k, &t->pinned, &h, e);
	if (*seen != SEEN)
		atomic_store(&t->fresh, true);
	if (rc != 0)
		return rc;
	module_renew(t->module);
	pthread_mutex_lock(&t->lock);
	k->p.priv.h = h;
	k->generation = t->generation + 1; /* the caller makes it so */
	pthread_mutex_unlock(&t->lock);
	return 0;
}

static int
tell(void *arg)
{
	token_tell_wanted(arg);
	return 0;
}

/* waits a little; false: the caller does not want to wait any longer */
static bool
nap(ofs_token *t, int64_t until)
{
	int64_t now = time_mono(), when = now + POLL_US;
	bool go_on;

	if (when > until)
		when = until;
	pthread_mutex_lock(&t->lock);
	t->wanted = true;
	pthread_mutex_unlock(&t->lock);
	/* a batch has a thread that looks by itself */
	if (watch_has_waiter())
		(void)watch_call_back(tell, t);
	pthread_mutex_lock(&t->lock);
	if (!t->give_up)
		(void)thread_cond_wait(&t->change, &t->lock, when);
	go_on = !t->give_up && now < until;
	pthread_mutex_unlock(&t->lock);
	return go_on;
}

/* another key, a PIN that must not be sent: waiting does not help */
static bool
is_final(const struct ofs_error *e)
{
	return e->code != OFS_ETOKEN && e->code != OFS_EMODULE;
}

int
recover_climb(ofs_key *k, unsigned int rung, struct ofs_error *e)
{
	ofs_token *t = k->token;
	int64_t began = time_mono(), until = began + ctx_token_limit(t->ctx);
	unsigned int polls = 0;
	struct ofs_error own;
	enum seen seen;
	int rc;

	pthread_mutex_lock(&t->lock);
	t->wanted_since = began;
	t->wanted_until = until;
	pthread_mutex_unlock(&t->lock);
	for (;;) {
		err_clear(&own);
		rc = step(k, rung, &seen, &own);
		if (rc == 0 || is_final(&own))
			break;
		if (seen == SEEN && ++rung < RECOVER_RUNGS)
			continue;
		rung = 0;
		if (seen == SEEN_NOTHING && ++polls % POLLS_RESTART == 0)
			rung = RECOVER_RUNGS - 1;
		if (!nap(t, until))
			break;
	}
	pthread_mutex_lock(&t->lock);
	t->wanted = false;
	pthread_mutex_unlock(&t->lock);
	if (watch_has_waiter())
		(void)watch_call_back(tell, t);
	if (rc == 0)
		return 0;
	*e = own;
	if (!is_final(&own))
		err_set(e, own.code,
			"%s; it did not come back within %.3g seconds, insert "
			"it and start again",
			own.message, (double)(time_mono() - began) / 1e6);
	e->ckr = own.ckr;
	return rc;
}
