/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The newest checkpoint of a log as a data object on a token. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <offlinesig/checkpoint.h>
#include <offlinesig/heads.h>

#include "audit/anchor.h"
#include "base/text.h"
#include "token/dataobject.h"
#include "verify/audit-head.h"

#define APPLICATION "offlinesig audit head" /* ofs-audit-format(5) */
#define KIND "token"

/* What is on the token under the name of the log. */
struct kept_there {
	ofs_token *token;
	char name[160]; /* for messages */
	struct dataobject_name object;
	struct dataobjects found;
	bool *mine;         /* of each: the log's audit key has signed it */
	struct head newest; /* of those; size 0: there is none */
	struct ofs_error passed; /* why the last of the others is not */
};

static void
there_free(struct kept_there *t)
{
	dataobjects_free(&t->found);
	free(t->mine);
}

/* reads it, and compares what is ours with the log */
static int
look(ofs_audit *a, ofs_token *token, struct kept_there *t, struct ofs_error *e)
{
	int rc;

	memset(t, 0, sizeof(*t));
	t->token = token;
	snprintf(t->name, sizeof(t->name), "token %s",
		ofs_token_get_info(token)->label);
	t->object.application = APPLICATION;
	rc = log_key_origin(a, &t->object.label, e);
	if (rc == 0)
		rc = dataobject_read(token, &t->object, &t->found, e);
	if (rc == 0 && (t->mine = calloc(t->found.n + 1, 1)) == NULL)
		rc = err_nomem(e);
	if (rc == 0)
		rc = kept_compare_notes(a, t->name, t->found.v, t->found.n,
			t->mine, &t->newest, &t->passed, e);
	return rc;
}

static void
describe(const struct kept_there *t, struct ofs_audit_head *out)
{
	memset(out, 0, sizeof(*out));
	out->size = sizeof(*out);
	snprintf(out->kind, sizeof(out->kind), KIND);
	uri_format(&t->token->raw, NULL, out->place, sizeof(out->place));
}

/* only what our key has signed may go: the rest is somebody else's */
static int
store(const struct kept_there *t, const struct buf *note, struct ofs_error *e)
{
	struct dataobjects old = { NULL, 0 };
	int rc;

	old.v = calloc(t->found.n + 1, sizeof(*old.v));
	if (old.v == NULL)
		return err_nomem(e);
	for (size_t i = 0; i < t->found.n; i++)
		if (t->mine[i])
			old.v[old.n++] = t->found.v[i]; /* borrowed */
	rc = dataobject_replace(t->token, &t->object, note, &old, e);
	free(old.v);
	return rc;
}

/* the newest checkpoint of the log, and the number of its records */
static int
newest_of(
	ofs_audit *a, struct buf *note, uint64_t *records, struct ofs_error *e)
{
	struct head h;
	bool mine = false;
	struct ofs_error why;
	int rc;

	rc = log_newest_checkpoint(a, note, e);
	if (rc != 0)
		return rc;
	rc = kept_compare_notes(a, "log", note, 1, &mine, &h, &why, e);
	if (rc == 0 && !mine)
		rc = err_set(e, OFS_EDAMAGED,
			"newest checkpoint of the audit log is not one: %s",
			why.message);
	*records = h.size;
	return rc;
}

static int
put(ofs_audit *a, ofs_token *token, struct ofs_audit_head *out,
	struct ofs_error *e)
{
	struct rec_anchor r = { .kind = KIND, .place = out->place };
	struct buf note = BUF_INIT;
	struct kept_there t;
	int rc;

	/* a head that knows more than the log must not be replaced */
	rc = look(a, token, &t, e);
	describe(&t, out);
	if (rc == 0)
		rc = newest_of(a, &note, &r.records, e);
	if (rc == 0 && t.newest.size > r.records)
		rc = err_set(e, OFS_EEXIST,
			"'%s' holds a newer head, of %llu records, than the "
			"newest checkpoint; sign one with ofs-audit checkpoint "
			"--sign",
			TEXT_Q(t.name), (unsigned long long)t.newest.size);
	if (rc == 0)
		rc = store(&t, &note, e);
	if (rc == 0)
		rc = anchor_record(a, &r, &out->seq, e);
	out->records = r.records;
	buf_free(&note);
	there_free(&t);
	return rc;
}

int
ofs_audit_put_token_head(
	ofs_audit *audit, ofs_token *token, struct ofs_audit_head *out)
{
	struct ofs_audit_head own, *head = out != NULL ? out : &own;
	struct ofs_error e;
	int rc;

	err_clear(&e);
	if (log_read_only(audit))
		rc = err_set(&e, OFS_EINVAL,
			"the audit log is open for reading only; open it for "
			"writing");
	else
		rc = put(audit, token, head, &e);
	return rc == 0 ? 0 : handle_fail(audit, &e);
}

int
ofs_audit_check_token_head(
	ofs_audit *audit, ofs_token *token, struct ofs_audit_head *out)
{
	struct ofs_audit_head own, *head = out != NULL ? out : &own;
	struct kept_there t;
	struct ofs_error e;
	int rc;

	err_clear(&e);
	rc = look(audit, token, &t, &e);
	describe(&t, head);
	/* as a file would be that is no head of this log */
	if (rc == 0 && t.newest.size == 0 && t.found.n > 0) {
		e = t.passed;
		rc = e.code;
	}
	if (rc == 0)
		rc = kept_take_newest(audit, t.name, &t.newest, head, &e);
	there_free(&t);
	return rc == 0 ? 0 : handle_fail(audit, &e);
}
