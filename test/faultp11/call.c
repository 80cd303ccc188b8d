/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One call on its way through. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "call.h"
#include "count.h"
#include "removal.h"

/*
 * SoftHSM2 cannot bear that sessions are closed under a call that is in one of
 * them; what closes any waits for the calls that are inside.
 */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t change;
	unsigned int inside;
	bool closed;
} gate = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, false };

static bool forked; /* a child that has not called C_Initialize */

static void
gate_enter(void)
{
	pthread_mutex_lock(&gate.lock);
	while (gate.closed)
		pthread_cond_wait(&gate.change, &gate.lock);
	gate.inside++;
	pthread_mutex_unlock(&gate.lock);
}

static void
gate_leave(void)
{
	pthread_mutex_lock(&gate.lock);
	gate.inside--;
	pthread_cond_broadcast(&gate.change);
	pthread_mutex_unlock(&gate.lock);
}

void
gate_close(void)
{
	pthread_mutex_lock(&gate.lock);
	while (gate.closed)
		pthread_cond_wait(&gate.change, &gate.lock);
	gate.closed = true;
	while (gate.inside > 0)
		pthread_cond_wait(&gate.change, &gate.lock);
	pthread_mutex_unlock(&gate.lock);
}

void
gate_open(void)
{
	pthread_mutex_lock(&gate.lock);
	gate.closed = false;
	pthread_cond_broadcast(&gate.change);
	pthread_mutex_unlock(&gate.lock);
}

void
call_fork_prepare(void)
{
	gate_close();
	state_lock();
	pthread_mutex_lock(&gate.lock);
}

void
call_fork_parent(void)
{
	pthread_mutex_unlock(&gate.lock);
	state_unlock();
	gate_open();
}

void
call_fork_child(void)
{
	forked = true;
	/* those who wait there are not in this process */
	pthread_cond_init(&gate.change, NULL);
	gate.closed = false;
	pthread_mutex_unlock(&gate.lock);
	state_unlock();
}

static void
sleep_until(int64_t ms)
{
	struct timespec t = { .tv_sec = ms / 1000,
		.tv_nsec = (ms % 1000) * 1000000 };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) ==
		EINTR)
		;
}

static void
hang(void)
{
	for (;;)
		pause();
}

static void
remove_token(struct call *c)
{
	struct slot *s = c->slot;
	CK_SLOT_ID inner;

	gate_close();
	state_lock();
	if (c->fault.removed[0] != '\0') {
		s = NULL;
		if (slot_by_label(c->fault.removed, &inner))
			for (size_t i = 0; s == NULL; i++) {
				struct slot *one = slot_each(i);

				if (one == NULL)
					s = slot_get(inner);
				else if (one->inner == inner)
					s = one;
			}
	}
	removal_start(s, &c->fault.removal);
	state_unlock();
	gate_open();
}

static void
swap_keys(struct call *c)
{
	struct mode m = { .kind = MODE_SWAP };

	memcpy(m.a, c->fault.swap_a, sizeof(m.a));
	memcpy(m.b, c->fault.swap_b, sizeof(m.b));
	state_lock();
	armed_add(&m);
	state_unlock();
}

/* what the script does before or instead of asking behind */
static bool
strike(struct call *c, CK_RV *rv)
{
	const struct fault *f = &c->fault;

	if (f->delay > 0)
		sleep_until(state_now() + (int64_t)f->delay);
	if (f->swap_a[0] != '\0')
		swap_keys(c);
	/* before the module is initialised nobody knows its tokens */
	if (f->removal.column != COLUMN_NONE && c->fn != FN_C_Initialize)
		remove_token(c);
	if (f->kill)
		(void)kill(getpid(), SIGKILL);
	if (f->hang)
		hang();
	if (f->sigpipe) {
		raise(SIGPIPE);
		*rv = CKR_DEVICE_ERROR;
		return true;
	}
	if (f->has_ckr) {
		*rv = f->ckr;
		return true;
	}
	if (f->wrong && !fn_has_output(c->fn)) {
		*rv = CKR_OK;
		return true;
	}
	return false;
}

/* a slow token: one after the other; the time runs from here */
static void
latency(struct call *c)
{
	struct mode m;

	if (c->fn != FN_C_Sign || c->slot == NULL ||
		!call_mode(c, MODE_LATENCY, 0, &m))
		return;
	c->busy = &c->slot->busy;
	pthread_mutex_lock(c->busy);
	c->until = state_now() + (int64_t)m.n;
}

static bool
wants_gate_closed(enum fn fn)
{
	return fn == FN_C_CloseSession || fn == FN_C_CloseAllSessions ||
		fn == FN_C_Finalize || fn == FN_C_InitToken;
}

static bool
is_lost_child(struct call *c)
{
	struct mode m;

	if (!forked || !armed_mode(MODE_FORK_STRICT, NULL, 0, &m))
		return false;
	if (c->fn != FN_C_Initialize)
		return c->fn != FN_C_GetFunctionList;
	forked = false;
	c->child = true;
	return false;
}

static void
leave(struct call *c)
{
	if (c->inside)
		gate_leave();
	if (c->alone)
		gate_open();
	c->inside = c->alone = false;
	if (c->busy == NULL)
		return;
	sleep_until(c->until);
	pthread_mutex_unlock(c->busy);
	c->busy = NULL;
}

/* which of slot and session the function has */
struct target {
	const CK_SLOT_ID *slot;
	const CK_SESSION_HANDLE *session;
	CK_SESSION_HANDLE *open;
};

static struct slot *
target_slot(const struct target *t)
{
	struct session *session;

	if (t->slot != NULL)
		return slot_get(*t->slot);
	if (t->session == NULL)
		return NULL;
	session = session_find(*t->session);
	return session != NULL ? session->slot : NULL;
}

/* with the lock, inside the gate: handles as they are behind */
static bool
pass(struct call *c, const struct target *t, CK_RV *rv)
{
	struct session *session =
		t->session != NULL ? session_find(*t->session) : NULL;

	removal_tick();
	if (removal_answer(c->fn, t->slot != NULL ? c->slot : NULL, session,
		    t->open, rv))
		return false;
	if (t->slot != NULL)
		c->id = c->slot != NULL ? c->slot->inner : *t->slot;
	else if (c->slot != NULL)
		c->id = c->slot->inner;
	if (t->session != NULL)
		c->h = session != NULL ? session->inner
				       : handle_inner(*t->session);
	return true;
}

static bool
begin(struct call *c, enum fn fn, const struct target *t, CK_RV *rv)
{
	bool struck = false, ok;

	memset(c, 0, sizeof(*c));
	c->fn = fn;
	state_lock();
	armed_poll(fn == FN_C_Initialize);
	count_call(fn);
	ok = armed_sound();
	*rv = CKR_GENERAL_ERROR;
	if (ok && is_lost_child(c)) {
		*rv = CKR_CRYPTOKI_NOT_INITIALIZED;
		ok = false;
	}
	if (ok) {
		c->slot = target_slot(t);
		struck = armed_match(fn, c->slot, &c->fault);
	}
	state_unlock();
	if (!ok || (struck && strike(c, rv)))
		return false;
	if (fn == FN_C_Finalize && call_has(c, MODE_FINALIZE_HANG))
		hang();
	latency(c);
	c->alone = wants_gate_closed(fn);
	c->inside = !c->alone;
	if (c->alone)
		gate_close();
	else
		gate_enter();
	state_lock();
	ok = pass(c, t, rv);
	state_unlock();
	if (!ok)
		leave(c);
	return ok;
}

bool
call_plain(struct call *c, enum fn fn, CK_RV *rv)
{
	struct target t = { NULL, NULL, NULL };

	return begin(c, fn, &t, rv);
}

bool
call_slot(struct call *c, enum fn fn, CK_SLOT_ID slot, CK_RV *rv)
{
	struct target t = { &slot, NULL, NULL };

	return begin(c, fn, &t, rv);
}

bool
call_open(struct call *c, CK_SLOT_ID slot, CK_SESSION_HANDLE *open, CK_RV *rv)
{
	struct target t = { &slot, NULL, open };

	return begin(c, FN_C_OpenSession, &t, rv);
}

bool
call_session(struct call *c, enum fn fn, CK_SESSION_HANDLE session, CK_RV *rv)
{
	struct target t = { NULL, &session, NULL };

	return begin(c, fn, &t, rv);
}

static void
add_output(struct call *c, enum output_kind kind, void *p, CK_ULONG n,
	CK_ULONG *len)
{
	if (c->output_count < OUTPUTS_MAX && (p != NULL || len != NULL))
		c->outputs[c->output_count++] =
			(struct output){ kind, p, n, len };
}

void
call_bytes(struct call *c, void *p, CK_ULONG *len)
{
	add_output(c, OUTPUT_BYTES, p, 0, len);
}

void
call_fixed(struct call *c, void *p, CK_ULONG n)
{
	add_output(c, OUTPUT_BYTES, p, n, NULL);
}

void
call_numbers(struct call *c, CK_ULONG *p, CK_ULONG n, CK_ULONG *len)
{
	add_output(c, OUTPUT_NUMBERS, p, n, len);
}

void
call_attributes(struct call *c, CK_ATTRIBUTE *a, CK_ULONG n)
{
	add_output(c, OUTPUT_ATTRIBUTES, a, n, NULL);
}

static void
flip(void *p, CK_ULONG n)
{
	unsigned char *b = p;

	if (b == NULL || n == 0)
		return;
	b[0] ^= 0x01;
	if (n > 1)
		b[n - 1] ^= 0x01;
}

static void
spoil(const struct output *o)
{
	CK_ULONG n = o->len != NULL ? *o->len : o->n;
	CK_ATTRIBUTE *a = o->p;
	CK_ULONG *v = o->p;

	if (o->p == NULL)
		return;
	switch (o->kind) {
	case OUTPUT_BYTES:
		flip(o->p, n);
		break;
	case OUTPUT_NUMBERS:
		for (CK_ULONG i = 0; i < n; i++)
			v[i] ^= 0x2a00;
		break;
	case OUTPUT_ATTRIBUTES:
		for (CK_ULONG i = 0; i < n; i++)
			if (a[i].ulValueLen != (CK_ULONG)-1)
				flip(a[i].pValue, a[i].ulValueLen);
		break;
	}
}

static CK_ULONG
changed(const struct fault *f, CK_ULONG n)
{
	switch (f->length_op) {
	case '+':
		return n + f->length;
	case '-':
		return n > f->length ? n - f->length : 0;
	default:
		return f->length;
	}
}

/* only what is said about the length: nothing is written there */
static void
stretch(const struct fault *f, const struct output *o)
{
	CK_ATTRIBUTE *a = o->p;

	if (o->len != NULL)
		*o->len = changed(f, *o->len);
	if (o->kind == OUTPUT_ATTRIBUTES)
		for (CK_ULONG i = 0; i < o->n; i++)
			if (a[i].ulValueLen != (CK_ULONG)-1)
				a[i].ulValueLen = changed(f, a[i].ulValueLen);
}

CK_RV
call_end(struct call *c, CK_RV rv)
{
	leave(c);
	for (size_t i = 0; i < c->output_count && rv == CKR_OK; i++) {
		if (c->fault.wrong)
			spoil(&c->outputs[i]);
		if (c->fault.length_op != 0)
			stretch(&c->fault, &c->outputs[i]);
	}
	if (c->fn == FN_C_Initialize && rv == CKR_OK &&
		c->fault.removal.column != COLUMN_NONE)
		remove_token(c);
	return c->fault.has_after ? c->fault.after : rv;
}

bool
call_mode(struct call *c, enum mode_kind kind, size_t i, struct mode *out)
{
	bool is;

	state_lock();
	is = armed_mode(kind, c->slot, i, out);
	state_unlock();
	return is;
}

bool
call_has(struct call *c, enum mode_kind kind)
{
	struct mode m;

	return call_mode(c, kind, 0, &m);
}

bool
call_hidden(struct call *c, CK_MECHANISM_TYPE mech)
{
	struct mode m;

	for (size_t i = 0; call_mode(c, MODE_HIDE, i, &m); i++)
		if (m.n == mech)
			return true;
	return false;
}
