/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One call on its way through: counted, held against the script, kept from a
 * token that is out, and what it returns perhaps spoilt. A function is
 *
 *	if (!call_session(&c, FN_C_Digest, session, &rv))
 *		return rv;
 *	rv = real->C_Digest(c.h, ...);
 *	call_bytes(&c, digest, len);
 *	return call_end(&c, rv);
 */
#ifndef FAULTP11_CALL_H
#define FAULTP11_CALL_H

#include "state.h"

#define OUTPUTS_MAX 24

enum output_kind {
	OUTPUT_BYTES,
	OUTPUT_NUMBERS, /* handles, slot ids, mechanisms */
	OUTPUT_ATTRIBUTES
};

struct output {
	enum output_kind kind;
	void *p;
	CK_ULONG n;    /* how much is there, where len is NULL */
	CK_ULONG *len; /* returned to the caller; or NULL */
};

struct call {
	enum fn fn;
	struct fault fault;
	struct slot *slot;     /* NULL: the function has none */
	CK_SLOT_ID id;         /* of the slot behind */
	CK_SESSION_HANDLE h;   /* behind */
	bool inside, alone;    /* of the gate */
	bool child;            /* C_Initialize of one that fork() made */
	pthread_mutex_t *busy; /* held, and until when */
	int64_t until;
	struct output outputs[OUTPUTS_MAX];
	size_t output_count;
};

/* false: *rv is the answer. Else call_end must follow. */
bool call_plain(struct call *c, enum fn fn, CK_RV *rv);
bool call_slot(struct call *c, enum fn fn, CK_SLOT_ID slot, CK_RV *rv);
bool call_open(
	struct call *c, CK_SLOT_ID slot, CK_SESSION_HANDLE *open, CK_RV *rv);
bool call_session(
	struct call *c, enum fn fn, CK_SESSION_HANDLE session, CK_RV *rv);
CK_RV call_end(struct call *c, CK_RV rv);

/* what the function returns; p may be NULL */
void call_bytes(struct call *c, void *p, CK_ULONG *len);
void call_fixed(struct call *c, void *p, CK_ULONG n);
void call_numbers(struct call *c, CK_ULONG *p, CK_ULONG n, CK_ULONG *len);
void call_attributes(struct call *c, CK_ATTRIBUTE *a, CK_ULONG n);

/* the lock is taken for it */
bool call_mode(struct call *c, enum mode_kind kind, size_t i, struct mode *out);
bool call_has(struct call *c, enum mode_kind kind);
/* "CKM_RSA_PKCS is not here" */
bool call_hidden(struct call *c, CK_MECHANISM_TYPE mech);

/* nobody is inside the module behind, and nobody gets in */
void gate_close(void);
void gate_open(void);

/* around fork(): locks are free in the child, which is known as one */
void call_fork_prepare(void);
void call_fork_parent(void);
void call_fork_child(void);

#endif
