/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The options with which ofs-audit reads a log that is encrypted. */
#include <stdlib.h>
#include <string.h>

#include "audit-unlock.h"
#include "common/small.h"

#define URI_MAX 4096 /* as in struct ofs_audit_keys */

int
cmd_audit_passphrase(
	struct out *o, const char *spec, const char *of, bool fresh, char **out)
{
	return pinsrc_passphrase(
		o, "--passphrase-source", spec, of, fresh, out);
}

static int
try(struct tool *s, const struct unlock *u, const struct bytes *key,
	const char *passphrase)
{
	struct ofs_audit_unlock_opts o = OFS_AUDIT_UNLOCK_OPTS_INIT;

	o.station_key = u->station_key;
	o.passphrase = passphrase;
	o.key = key->p;
	o.key_len = key->n;
	return ofs_audit_unlock(s->audit, &o);
}

/* a passphrase that is named is asked for; else only when the key wants it */
static int
unlock_with(struct tool *s, const struct unlock *u, const struct bytes *key)
{
	const char *of = key->p != NULL ? "the auditor's key" : "the audit log";
	char *passphrase = NULL;
	int rc = 0;

	if (u->passphrase != NULL)
		rc = cmd_audit_passphrase(
			s->out, u->passphrase, of, false, &passphrase);
	if (rc != 0)
		return rc;
	rc = try(s, u, key, passphrase);
	if (rc == OFS_ENOPIN && passphrase == NULL) {
		rc = cmd_audit_passphrase(s->out, NULL, of, false, &passphrase);
		if (rc != 0)
			return rc;
		rc = try(s, u, key, passphrase);
	}
	pinsrc_buffer_free(passphrase);
	if (rc == 0)
		return 0;
	return u->key != NULL ? cmd_audit_fail_file(s, "--auditor-key", u->key)
			      : cmd_audit_fail(s);
}

bool
cmd_audit_unlock_given(const struct unlock *u)
{
	return u->key != NULL || u->passphrase != NULL ||
		u->station_key != NULL;
}

/*
 * The token that is to open it, or "": the one that was named, or that the log
 * names, for which "pkcs11:" stands, and the PIN of a log without passphrase
 */
static int
token_uri(struct tool *s, const struct unlock *u, char uri[URI_MAX])
{
	static const char any[] = "pkcs11:";
	bool named = tool_is_on_token(u->station_key);
	struct ofs_audit_keys k;

	uri[0] = '\0';
	if (u->key != NULL || (u->station_key != NULL && !named))
		return 0;
	if (ofs_audit_get_keys(s->audit, &k) != 0)
		return cmd_audit_fail(s);
	if (named && strcmp(u->station_key, any) != 0)
		snprintf(uri, URI_MAX, "%s", u->station_key);
	else if (tool_is_on_token(k.station_key) && (named || !k.passphrase))
		snprintf(uri, URI_MAX, "%s", k.station_key);
	else if (named)
		snprintf(uri, URI_MAX, "%s", any);
	return 0;
}

int
cmd_audit_unlock(
	struct tool *s, const struct tool_opts *so, const struct unlock *u)
{
	struct bytes key = { NULL, 0 };
	char uri[URI_MAX];
	int rc;

	if (!cmd_audit_unlock_given(u))
		return 0;
	rc = token_uri(s, u, uri);
	if (rc != 0)
		return rc;
	if (uri[0] != '\0')
		return tool_unlock_token(
			s, so, uri, "--passphrase-source", u->passphrase);
	if (u->key != NULL)
		rc = small_read(s->out, u->key, SMALL_PEM_MAX, &key);
	if (rc == 0)
		rc = unlock_with(s, u, &key);
	if (key.p != NULL)
		explicit_bzero(key.p, key.n);
	small_free(&key);
	return rc;
}

/* the reading is recorded where the log is at home and can be written */
static int
open_recording(struct tool *s, const struct tool_opts *so)
{
	char *dir = tool_audit_dir(s->out, so);
	int rc;

	if (dir == NULL)
		return OFS_EAUDIT;
	rc = ofs_audit_open(s->ctx, dir, 0, &s->audit);
	free(dir);
	if (rc == 0)
		return 0;
	out_note(s->out, "this reading is not recorded: %s",
		ofs_ctx_error(s->ctx)->message);
	return tool_audit(s, so, OFS_AUDIT_READ_ONLY);
}

int
cmd_audit_open_with(struct tool *s, struct out *o, const struct tool_opts *so,
	const struct unlock *u)
{
	int rc;

	rc = tool_open(s, o, so);
	if (rc == 0)
		rc = u->key != NULL || u->passphrase != NULL
			? open_recording(s, so)
			: tool_audit(s, so, OFS_AUDIT_READ_ONLY);
	return rc != 0 ? rc : cmd_audit_unlock(s, so, u);
}
