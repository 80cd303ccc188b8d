/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Cosignatures of a log's checkpoints, by witnesses that the user names. */
#include <stdlib.h>
#include <string.h>

#include "verify/audit-head.h"

#include <offlinesig/heads.h>

#include "base/text.h"

#define WITNESSES_MAX NOTE_SIGS_MAX

static int
add(ofs_audit *a, struct note_key *k, struct ofs_error *e)
{
	struct note_key *grown;

	if (k->type != NOTE_COSIGNATURE)
		return err_set(e, OFS_EINVAL,
			"the verifier key of '%s' is not that of a witness",
			TEXT_Q(k->name));
	if (a->n_witnesses == WITNESSES_MAX)
		return err_set(e, OFS_EINVAL,
			"a checkpoint can have %d witnesses at most",
			WITNESSES_MAX);
	grown = reallocarray(
		a->witnesses, a->n_witnesses + 1, sizeof(*a->witnesses));
	if (grown == NULL)
		return err_nomem(e);
	a->witnesses = grown;
	a->witnesses[a->n_witnesses++] = *k;
	k->pub = NULL; /* taken */
	return 0;
}

int
ofs_audit_trust_witness(ofs_audit *audit, const char *vkey)
{
	struct note_key k;
	struct ofs_error e;
	int rc;

	rc = note_key_given(vkey, &k, &e);
	if (rc == 0)
		rc = add(audit, &k, &e);
	note_key_free(&k);
	return rc != 0 ? handle_fail(audit, &e) : 0;
}

int
kept_witnessed(const ofs_audit *a, const struct note *note, const char *path,
	int64_t *time, struct ofs_error *e)
{
	struct ofs_error why;
	bool any = false, found;
	int64_t at;
	int rc;

	*time = 0;
	for (size_t i = 0; i < a->n_witnesses; i++) {
		rc = note_check(note, &a->witnesses[i], &found, &at, &why);
		if (rc != 0)
			return err_set(e, rc, "checkpoint '%s': %s",
				TEXT_Q(path), why.message);
		if (found && (!any || at * 1000000 < *time))
			*time = at * 1000000;
		any = any || found;
	}
	if (!any && a->n_witnesses > 0)
		return err_set(e, OFS_EUNTRUSTED,
			"checkpoint '%s' is cosigned by no witness that was "
			"named",
			TEXT_Q(path));
	return 0;
}
