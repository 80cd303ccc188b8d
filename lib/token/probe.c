/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What there is to know about a token and its keys, read and not judged. */
#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "base/hex.h"
#include "token/probe.h"

#define FEATURES_MAX 16
#define DATA_SIZE 32

static int
read_token(ofs_token *t, const struct session *s, struct probe *out,
	struct ofs_error *e)
{
	struct slot now = { .module = t->module, .id = t->slot };
	CK_STATE state;
	CK_RV rv;
	int rc;

	rc = slot_read(t->module, t->slot, &now.raw, e);
	if (rc != 0)
		return rc;
	out->raw = now.raw;
	slot_describe(&now, &out->info);
	rv = session_state(s, &state);
	if (rv != CKR_OK)
		return cryptoki_err(e, cryptoki_code(rv), rv,
			"cannot ask token '%s' for its state", t->info.label);
	out->logged_in = !out->info.login_required ||
		state == CKS_RO_USER_FUNCTIONS ||
		state == CKS_RW_USER_FUNCTIONS;
	CRYPTOKI(rv, t->module->f->C_GetInfo(&out->library));
	if (rv != CKR_OK)
		memset(&out->library, 0, sizeof(out->library));
	return 0;
}

/*
 * Hardware features show only to those who ask for their class. A module that
 * does not know the class has none.
 */
static void
read_features(const struct session *s, struct probe *out)
{
	static const CK_OBJECT_CLASS class_ = CKO_HW_FEATURE;
	static const CK_ATTRIBUTE_TYPE type = CKA_HW_FEATURE_TYPE;
	CK_OBJECT_HANDLE v[FEATURES_MAX];
	CK_FUNCTION_LIST *f = s->module->f;
	CK_ATTRIBUTE t[1];
	CK_ULONG n = 0, kind;
	struct ofs_error ignored;
	struct attrs a;
	CK_RV rv;

	attr_add(t, &n, CKA_CLASS, &class_, sizeof(class_));
	CRYPTOKI(rv, f->C_FindObjectsInit(s->h, t, n));
	if (rv != CKR_OK)
		return;
	n = 0;
	CRYPTOKI(rv, f->C_FindObjects(s->h, v, FEATURES_MAX, &n));
	if (rv != CKR_OK || n > FEATURES_MAX)
		n = 0;
	CRYPTOKI(rv, f->C_FindObjectsFinal(s->h));
	(void)rv;
	for (CK_ULONG i = 0; i < n; i++) {
		if (attrs_read(s, v[i], &type, 1, &a, &ignored) == 0 &&
			attrs_ulong(&a, type, &kind)) {
			out->counter |= kind == CKH_MONOTONIC_COUNTER;
			out->clock |= kind == CKH_CLOCK;
		}
		attrs_free(&a);
	}
}

static int
count_data(const struct session *s, struct probe *out, struct ofs_error *e)
{
	struct object_query q = { .class_ = CKO_DATA };
	struct object_list l;
	int rc;

	rc = object_find(s, &q, &l, e);
	out->data_objects = l.n;
	object_list_free(&l);
	return rc;
}

/* the object as it was stored, or an error */
static int
compare_data(const struct session *s, CK_OBJECT_HANDLE h,
	const uint8_t value[DATA_SIZE], struct ofs_error *e)
{
	static const CK_ATTRIBUTE_TYPE type = CKA_VALUE;
	const uint8_t *got;
	struct attrs a;
	size_t len;
	int rc;

	rc = attrs_read(s, h, &type, 1, &a, e);
	got = attrs_get(&a, type, &len);
	if (rc == 0 &&
		(got == NULL || len != DATA_SIZE ||
			memcmp(got, value, DATA_SIZE) != 0))
		rc = err_set(e, OFS_ETOKEN,
			"the token does not give back what was stored");
	attrs_free(&a);
	return rc;
}

static int
store_data(const struct session *s, const uint8_t value[DATA_SIZE],
	CK_OBJECT_HANDLE *h, struct ofs_error *e)
{
	static const CK_OBJECT_CLASS class_ = CKO_DATA;
	char label[32] = "ofs-check ";
	CK_ATTRIBUTE t[6];
	CK_ULONG n = 0;
	CK_RV rv;

	/* a label of its own, should the deletion fail */
	hex_encode(label + strlen(label), value, 8);
	attr_add(t, &n, CKA_CLASS, &class_, sizeof(class_));
	attr_add_bool(t, &n, CKA_TOKEN, true);
	attr_add_bool(t, &n, CKA_PRIVATE, true);
	attr_add(t, &n, CKA_LABEL, label, strlen(label));
	attr_add(t, &n, CKA_APPLICATION, "offlinesig", 10);
	attr_add(t, &n, CKA_VALUE, value, DATA_SIZE);
	CRYPTOKI(rv, s->module->f->C_CreateObject(s->h, t, n, h));
	if (rv != CKR_OK)
		return cryptoki_err(
			e, cryptoki_code(rv), rv, "cannot store a data object");
	return 0;
}

static int
write_data(ofs_token *t, struct ofs_error *e)
{
	uint8_t value[DATA_SIZE];
	struct ofs_error gone;
	CK_OBJECT_HANDLE h;
	struct session s;
	int rc;

	if (RAND_bytes(value, sizeof(value)) != 1)
		return err_ssl(e, OFS_EINTERNAL, "cannot make random bytes");
	rc = token_rw_session(t, &s, e);
	if (rc != 0)
		return rc;
	rc = store_data(&s, value, &h, e);
	if (rc == 0) {
		rc = compare_data(&s, h, value, e);
		if (object_destroy(&s, h, &gone) != 0) {
			*e = gone;
			rc = e->code;
		}
	}
	session_close(&s);
	return rc;
}

int
probe_token(ofs_token *t, bool write, struct probe *out, struct ofs_error *e)
{
	struct session *s;
	int rc;

	memset(out, 0, sizeof(*out));
	err_clear(&out->write_error);
	rc = token_session(t, &s, e);
	if (rc == 0)
		rc = read_token(t, s, out, e);
	if (rc == 0)
		rc = probe_mechs(t, &out->mechs, e);
	if (rc == 0)
		rc = probe_keys(t, s, out, e);
	if (rc == 0)
		rc = count_data(s, out, e);
	if (rc == 0)
		read_features(s, out);
	if (rc == 0 && write && out->logged_in)
		out->write = write_data(t, &out->write_error) == 0
			? PROBE_WRITTEN
			: PROBE_WRITE_FAILED;
	return rc;
}

void
probe_free(struct probe *p)
{
	for (size_t i = 0; i < p->n_keys; i++)
		EVP_PKEY_free(p->keys[i].key);
	free(p->keys);
	memset(p, 0, sizeof(*p));
}
