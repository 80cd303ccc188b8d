/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Everything that a token, its slot and its module say of themselves. */
#include <stdlib.h>
#include <string.h>

#include "token/key.h"
#include "token/label.h"
#include "token/mechname.h"
#include "token/token.h"

#define MECHANISMS_MAX 4096
#define LIST_TRIES 5

#define TRIMMED(field)            \
	(const uint8_t *)(field), \
		label_len((const uint8_t *)(field), sizeof(field))

static int64_t
amount(CK_ULONG v)
{
	return v == CK_UNAVAILABLE_INFORMATION ? -1 : (int64_t)v;
}

static void
describe_token(const CK_TOKEN_INFO *t, struct ofs_token_details *d)
{
	d->hardware_major = t->hardwareVersion.major;
	d->hardware_minor = t->hardwareVersion.minor;
	d->so_pin_count_low = (t->flags & CKF_SO_PIN_COUNT_LOW) != 0;
	d->so_pin_final_try = (t->flags & CKF_SO_PIN_FINAL_TRY) != 0;
	d->so_pin_locked = (t->flags & CKF_SO_PIN_LOCKED) != 0;
	d->so_pin_to_be_changed = (t->flags & CKF_SO_PIN_TO_BE_CHANGED) != 0;
	d->write_protected = (t->flags & CKF_WRITE_PROTECTED) != 0;
	d->has_rng = (t->flags & CKF_RNG) != 0;
	d->has_clock = (t->flags & CKF_CLOCK_ON_TOKEN) != 0;
	d->pin_min = t->ulMinPinLen;
	d->pin_max = t->ulMaxPinLen;
	d->sessions = amount(t->ulSessionCount);
	d->sessions_max = amount(t->ulMaxSessionCount);
	d->rw_sessions = amount(t->ulRwSessionCount);
	d->rw_sessions_max = amount(t->ulMaxRwSessionCount);
	d->public_memory = amount(t->ulTotalPublicMemory);
	d->public_memory_free = amount(t->ulFreePublicMemory);
	d->private_memory = amount(t->ulTotalPrivateMemory);
	d->private_memory_free = amount(t->ulFreePrivateMemory);
}

static int
describe_slot(
	const ofs_token *t, struct ofs_token_details *d, struct ofs_error *e)
{
	CK_SLOT_INFO i;
	CK_RV rv;

	memset(&i, 0, sizeof(i));
	CRYPTOKI(rv, t->module->f->C_GetSlotInfo(t->slot, &i));
	if (rv != CKR_OK)
		return cryptoki_err(e, cryptoki_code(rv), rv,
			"cannot ask slot %lu about itself", t->slot);
	label_text(d->slot_description, sizeof(d->slot_description),
		TRIMMED(i.slotDescription));
	label_text(d->slot_manufacturer, sizeof(d->slot_manufacturer),
		TRIMMED(i.manufacturerID));
	d->removable = (i.flags & CKF_REMOVABLE_DEVICE) != 0;
	d->hardware_slot = (i.flags & CKF_HW_SLOT) != 0;
	return 0;
}

static int
describe_library(
	const ofs_token *t, struct ofs_token_details *d, struct ofs_error *e)
{
	CK_INFO i;
	CK_RV rv;

	memset(&i, 0, sizeof(i));
	CRYPTOKI(rv, t->module->f->C_GetInfo(&i));
	if (rv != CKR_OK)
		return cryptoki_err(e, cryptoki_code(rv), rv,
			"cannot ask the module of '%s' about itself",
			t->info.label);
	label_text(d->library_description, sizeof(d->library_description),
		TRIMMED(i.libraryDescription));
	label_text(d->library_manufacturer, sizeof(d->library_manufacturer),
		TRIMMED(i.manufacturerID));
	d->library_major = i.libraryVersion.major;
	d->library_minor = i.libraryVersion.minor;
	d->cryptoki_major = i.cryptokiVersion.major;
	d->cryptoki_minor = i.cryptokiVersion.minor;
	return 0;
}

/* what a watched thread is asked for */
struct asking {
	ofs_token *token;
	struct ofs_token_details *details;
	struct ofs_mechanism *mechs;
	size_t n;
};

static int
run_details(void *arg, struct ofs_error *e)
{
	struct asking *a = arg;
	ofs_token *t = a->token;
	struct slot now = { .module = t->module, .id = t->slot };
	int rc;

	rc = token_read_again(t, &now.raw, e);
	if (rc == 0)
		rc = describe_slot(t, a->details, e);
	if (rc == 0)
		rc = describe_library(t, a->details, e);
	if (rc != 0)
		return rc;
	slot_describe(&now, &a->details->token);
	describe_token(&now.raw, a->details);
	return 0;
}

int
ofs_token_get_details(ofs_token *token, struct ofs_token_details *out)
{
	struct asking a = { .token = token, .details = out };
	struct ofs_error e;

	memset(out, 0, sizeof(*out));
	err_clear(&token->err);
	err_clear(&e);
	if (token_run(token, run_details, &a, &e) != 0) {
		memset(out, 0, sizeof(*out));
		return token_fail(token, &e);
	}
	out->size = sizeof(*out);
	return 0;
}

static int
by_number(const void *a, const void *b)
{
	CK_MECHANISM_TYPE x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

/* the list may grow between the two calls; caller frees *out */
static int
list(const ofs_token *t, CK_MECHANISM_TYPE **out, CK_ULONG *n,
	struct ofs_error *e)
{
	CK_FUNCTION_LIST *f = t->module->f;
	CK_ULONG room;
	CK_RV rv = CKR_BUFFER_TOO_SMALL;

	*out = NULL;
	for (int i = 0; i < LIST_TRIES && rv == CKR_BUFFER_TOO_SMALL; i++) {
		free(*out);
		*out = NULL;
		*n = 0;
		CRYPTOKI(rv, f->C_GetMechanismList(t->slot, NULL, n));
		if (rv != CKR_OK || *n == 0)
			break;
		if (*n > MECHANISMS_MAX)
			return err_set(e, OFS_ETOKEN,
				"token '%s' claims to have %lu mechanisms",
				t->info.label, *n);
		*out = calloc(*n, sizeof(**out));
		if (*out == NULL)
			return err_nomem(e);
		room = *n;
		CRYPTOKI(rv, f->C_GetMechanismList(t->slot, *out, n));
		if (rv == CKR_OK && *n > room)
			rv = CKR_BUFFER_TOO_SMALL;
	}
	if (rv != CKR_OK)
		return cryptoki_err(e, cryptoki_code(rv), rv,
			"cannot ask token '%s' for its mechanisms",
			t->info.label);
	if (*n > 0)
		qsort(*out, *n, sizeof(**out), by_number);
	return 0;
}

static int
describe_mechanism(const ofs_token *t, CK_MECHANISM_TYPE type,
	struct ofs_mechanism *m, struct ofs_error *e)
{
	CK_MECHANISM_INFO i;
	CK_RV rv;

	memset(&i, 0, sizeof(i));
	CRYPTOKI(rv, t->module->f->C_GetMechanismInfo(t->slot, type, &i));
	/* in the list and yet not known: shown without a use */
	if (rv != CKR_OK && rv != CKR_MECHANISM_INVALID)
		return cryptoki_err(e, cryptoki_code(rv), rv,
			"cannot ask token '%s' about mechanism 0x%lx",
			t->info.label, type);
	memset(m, 0, sizeof(*m));
	m->size = sizeof(*m);
	m->type = type;
	m->name = mechname(type);
	m->min_key = i.ulMinKeySize;
	m->max_key = i.ulMaxKeySize;
	m->flags = i.flags;
	mechname_uses(i.flags, m->uses, sizeof(m->uses));
	return 0;
}

/* all of them are read before the first is told */
static int
run_mechanisms(void *arg, struct ofs_error *e)
{
	struct asking *a = arg;
	CK_MECHANISM_TYPE *types = NULL;
	CK_ULONG n = 0;
	int rc;

	rc = list(a->token, &types, &n, e);
	if (rc == 0 && n > 0) {
		a->mechs = calloc(n, sizeof(*a->mechs));
		if (a->mechs == NULL)
			rc = err_nomem(e);
	}
	for (; rc == 0 && a->n < n; a->n++)
		rc = describe_mechanism(
			a->token, types[a->n], &a->mechs[a->n], e);
	free(types);
	return rc;
}

int
ofs_token_mechanisms(ofs_token *token, ofs_mechanism_fn fn, void *arg)
{
	struct asking a = { .token = token };
	struct ofs_error e;
	int rc, stopped = 0;

	err_clear(&token->err);
	err_clear(&e);
	rc = token_run(token, run_mechanisms, &a, &e);
	for (size_t i = 0; rc == 0 && stopped == 0 && i < a.n; i++)
		stopped = fn(arg, &a.mechs[i]);
	free(a.mechs);
	return rc == 0 ? stopped : token_fail(token, &e);
}
