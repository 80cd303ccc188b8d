/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checkpoints and the audit key, as applications see them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <offlinesig/checkpoint.h>

#include "audit/checkpoint.h"

#include "base/text.h"

int
ofs_audit_get_key(ofs_audit *audit, struct ofs_audit_key_info *out)
{
	struct audit_key *k = &audit->key;
	struct buf text = BUF_INIT, newest = BUF_INIT;
	struct ofs_error e;
	bool nested;
	int rc;

	memset(out, 0, sizeof(*out));
	out->size = sizeof(*out);
	rc = handle_enter(audit, &nested, &e);
	if (rc != 0)
		return handle_fail(audit, &e);
	if (k->pub.pub == NULL) {
		handle_leave(audit, nested);
		return 0;
	}
	rc = note_key_text(&k->pub, &text, &e);
	if (rc == 0)
		rc = store_checkpoint_last(
			&audit->store, &out->records, &newest, &e);
	if (rc == 0) {
		snprintf(out->vkey, sizeof(out->vkey), "%s",
			(const char *)text.p);
		out->on_token = k->on_token;
		out->at_hand = k->secret != NULL || k->sign != NULL;
		if (k->hint != NULL)
			snprintf(out->place, sizeof(out->place), "%s", k->hint);
		if (!out->at_hand && !audit->read_only)
			snprintf(out->why, sizeof(out->why), "%s",
				k->why.message);
		text_clean(out->place);
		text_clean(out->why);
	}
	buf_free(&text);
	buf_free(&newest);
	handle_leave(audit, nested);
	return rc != 0 ? handle_fail(audit, &e) : 0;
}

int
ofs_audit_set_key(ofs_audit *audit, const char *place)
{
	char *path = NULL;
	struct buf hint = BUF_INIT;
	EVP_PKEY *key = NULL;
	struct ofs_error e;
	bool made;
	int rc = 0;

	if (audit->key.pub.pub != NULL)
		rc = err_set(&e, OFS_EEXIST,
			"audit log '%s' has an audit key already",
			TEXT_Q(audit->place.dir));
	if (rc == 0)
		rc = auditkey_path(&audit->place, place, &path, &e);
	if (rc == 0)
		rc = auditkey_open_file(&audit->place, path, &made, &key, &e);
	if (rc == 0) {
		buf_printf(&hint, "file:%s", path);
		rc = buf_cstr(&hint) != NULL ? 0 : err_nomem(&e);
	}
	if (rc == 0)
		rc = log_name_key(audit, key, "file", (const char *)hint.p, &e);
	EVP_PKEY_free(key);
	buf_free(&hint);
	free(path);
	return rc != 0 ? handle_fail(audit, &e) : 0;
}

int
ofs_audit_checkpoint(ofs_audit *audit, bool sign, char **note)
{
	struct buf b = BUF_INIT;
	struct ofs_error e;
	size_t n;
	int rc = 0;

	*note = NULL;
	if (sign)
		rc = log_checkpoint(audit, &e);
	if (rc == 0)
		rc = log_newest_checkpoint(audit, &b, &e);
	if (rc == 0 && buf_cstr(&b) == NULL)
		rc = err_nomem(&e);
	if (rc == 0)
		*note = (char *)buf_take(&b, &n);
	buf_free(&b);
	return rc != 0 ? handle_fail(audit, &e) : 0;
}
