/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The mechanisms of a token, as far as they sign. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "token/probe.h"

#define MECHS_MAX 4096

enum family { FAMILY_RSA, FAMILY_EC, FAMILY_EDDSA, FAMILY_OTHER };

static const struct {
	CK_MECHANISM_TYPE type;
	const char *name;
	enum family family;
	bool weak;
} known[] = {
	{ CKM_RSA_PKCS, "RSA_PKCS", FAMILY_RSA, false },
	{ CKM_RSA_PKCS_PSS, "RSA_PKCS_PSS", FAMILY_RSA, false },
	{ CKM_SHA256_RSA_PKCS, "SHA256_RSA_PKCS", FAMILY_RSA, false },
	{ CKM_SHA384_RSA_PKCS, "SHA384_RSA_PKCS", FAMILY_RSA, false },
	{ CKM_SHA512_RSA_PKCS, "SHA512_RSA_PKCS", FAMILY_RSA, false },
	{ CKM_SHA256_RSA_PKCS_PSS, "SHA256_RSA_PKCS_PSS", FAMILY_RSA, false },
	{ CKM_SHA384_RSA_PKCS_PSS, "SHA384_RSA_PKCS_PSS", FAMILY_RSA, false },
	{ CKM_SHA512_RSA_PKCS_PSS, "SHA512_RSA_PKCS_PSS", FAMILY_RSA, false },
	{ CKM_MD2_RSA_PKCS, "MD2_RSA_PKCS", FAMILY_RSA, true },
	{ CKM_MD5_RSA_PKCS, "MD5_RSA_PKCS", FAMILY_RSA, true },
	{ CKM_SHA1_RSA_PKCS, "SHA1_RSA_PKCS", FAMILY_RSA, true },
	{ CKM_SHA1_RSA_PKCS_PSS, "SHA1_RSA_PKCS_PSS", FAMILY_RSA, true },
	{ CKM_ECDSA, "ECDSA", FAMILY_EC, false },
	{ CKM_ECDSA_SHA256, "ECDSA_SHA256", FAMILY_EC, false },
	{ CKM_ECDSA_SHA384, "ECDSA_SHA384", FAMILY_EC, false },
	{ CKM_ECDSA_SHA512, "ECDSA_SHA512", FAMILY_EC, false },
	{ CKM_ECDSA_SHA1, "ECDSA_SHA1", FAMILY_EC, true },
	{ CKM_EDDSA, "EDDSA", FAMILY_EDDSA, false },
	{ CKM_DSA, "DSA", FAMILY_OTHER, true },
	{ CKM_DSA_SHA1, "DSA_SHA1", FAMILY_OTHER, true },
};

#define N_KNOWN (sizeof(known) / sizeof(known[0]))

static bool
signs(ofs_token *t, CK_MECHANISM_TYPE type)
{
	CK_MECHANISM_INFO info;
	CK_RV rv;

	memset(&info, 0, sizeof(info));
	CRYPTOKI(rv, t->module->f->C_GetMechanismInfo(t->slot, type, &info));
	return rv == CKR_OK && (info.flags & CKF_SIGN) != 0;
}

static void
note(struct probe_mechs *m, size_t i)
{
	size_t used = strlen(m->names);
	int n;

	m->rsa |= known[i].family == FAMILY_RSA && !known[i].weak;
	m->rsa_weak |= known[i].family == FAMILY_RSA && known[i].weak;
	m->ec |= known[i].family == FAMILY_EC && !known[i].weak;
	m->ec_weak |= known[i].family == FAMILY_EC && known[i].weak;
	m->eddsa |= known[i].family == FAMILY_EDDSA;
	n = snprintf(m->names + used, sizeof(m->names) - used, "%s%s",
		used > 0 ? " " : "", known[i].name);
	/* a name is there whole or not at all */
	if (n < 0 || (size_t)n >= sizeof(m->names) - used)
		m->names[used] = '\0';
}

static int
list(ofs_token *t, CK_MECHANISM_TYPE **out, CK_ULONG *n, struct ofs_error *e)
{
	CK_FUNCTION_LIST *f = t->module->f;
	CK_RV rv;

	*out = NULL;
	*n = 0;
	CRYPTOKI(rv, f->C_GetMechanismList(t->slot, NULL, n));
	if (rv == CKR_OK && *n > MECHS_MAX)
		return err_set(e, OFS_ETOKEN,
			"cannot list the mechanisms of '%s': it claims %lu",
			t->info.label, *n);
	if (rv == CKR_OK && *n > 0) {
		CK_ULONG room = *n;

		*out = calloc(room, sizeof(**out));
		if (*out == NULL)
			return err_nomem(e);
		CRYPTOKI(rv, f->C_GetMechanismList(t->slot, *out, n));
		if (*n > room)
			*n = room;
	}
	if (rv != CKR_OK)
		return cryptoki_err(e, cryptoki_code(rv), rv,
			"cannot list the mechanisms of '%s'", t->info.label);
	return 0;
}

int
probe_mechs(ofs_token *t, struct probe_mechs *out, struct ofs_error *e)
{
	CK_MECHANISM_TYPE *v;
	CK_ULONG n;
	int rc;

	memset(out, 0, sizeof(*out));
	rc = list(t, &v, &n, e);
	for (size_t k = 0; rc == 0 && k < N_KNOWN; k++)
		for (CK_ULONG i = 0; i < n; i++)
			if (v[i] == known[k].type) {
				if (signs(t, v[i]))
					note(out, k);
				break;
			}
	if (rc == 0)
		out->n = n;
	free(v);
	return rc;
}
