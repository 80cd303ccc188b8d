/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The audit key of a log that is being made. */
#include <stdlib.h>
#include <string.h>

#include "audit/handle.h"

/* the one that was asked for; *path where it is in a file */
static int
find(ofs_audit *a, EVP_PKEY **key, char **path, struct ofs_error *e)
{
	bool made;
	int rc;

	if (a->asked_token_key != NULL) {
		*key = a->asked_token_key->pub;
		return EVP_PKEY_up_ref(*key) == 1 ? 0 : err_nomem(e);
	}
	rc = auditkey_path(&a->place, a->asked_key, path, e);
	if (rc == 0)
		rc = auditkey_open_file(&a->place, *path, &made, key, e);
	if (rc == 0 && made) {
		a->key.made = strdup(*path);
		rc = a->key.made != NULL ? 0 : err_nomem(e);
	}
	return rc;
}

int
handle_init_key(ofs_audit *a, const char *origin, struct rec_genesis *g,
	struct buf *vkey, struct buf *hint, struct ofs_error *e)
{
	char name[NOTE_NAME_MAX + 1], *path = NULL;
	struct note_key k = { .pub = NULL };
	EVP_PKEY *key = NULL;
	int rc;

	if (a->asked_key == NULL && a->asked_token_key == NULL)
		return 0;
	note_name_from(origin, name);
	rc = find(a, &key, &path, e);
	if (rc == 0)
		rc = note_key_make(name, note_type_of(key), key, &k, e);
	if (rc == 0)
		rc = note_key_text(&k, vkey, e);
	if (rc == 0) {
		if (path != NULL)
			buf_printf(hint, "file:%s", path);
		else
			buf_str(hint, a->asked_token_key->uri);
		rc = buf_cstr(hint) != NULL ? 0 : err_nomem(e);
	}
	if (rc == 0) {
		g->audit_key = (const char *)vkey->p;
		g->audit_key_place = path != NULL ? "file" : "token";
	}
	EVP_PKEY_free(key);
	note_key_free(&k);
	free(path);
	return rc;
}
