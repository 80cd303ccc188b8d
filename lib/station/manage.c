/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keys renamed and deleted, recorded before the token is changed and after. */
#include <stdlib.h>
#include <string.h>

#include "base/ctx.h"
#include "station/recorded.h"
#include "token/managed.h"
#include "token/so.h"

static int
check_args(ofs_token *token, const ofs_audit *audit, const char *what)
{
	err_clear(&token->err);
	if (audit != NULL)
		return 0;
	return err_set(&token->err, OFS_EINVAL,
		"no key is %s without an audit log; open one", what);
}

static int
record(ofs_audit *audit, const struct managed *m, const char *event,
	uint64_t *seq, struct ofs_error *e)
{
	X509 *cert = key_cert(m->key);
	struct recorded r;
	uint64_t ignored;
	int rc;

	rc = recorded_init(&r, audit, m->key, cert, e);
	if (rc == 0)
		rc = recorded_key_event(
			&r, event, cert, NULL, seq != NULL ? seq : &ignored, e);
	recorded_clear(&r);
	return rc;
}

/* the change has failed, and e says why; that must not hide it */
static void
record_failure(ofs_audit *audit, const struct managed *m, const char *event)
{
	struct ofs_error unsaid;

	err_clear(&unsaid);
	if (record(audit, m, event, NULL, &unsaid) != 0)
		ctx_log(m->t->ctx, OFS_LOG_ERROR,
			"the failure could not be recorded: %s",
			unsaid.message);
}

/* the end of a change that succeeded */
static int
record_end(ofs_audit *audit, const struct managed *m, const char *event,
	const char *done, uint64_t *seq, struct ofs_error *e)
{
	struct ofs_error unsaid;
	int rc;

	err_clear(&unsaid);
	rc = record(audit, m, event, seq, &unsaid);
	if (rc == 0)
		return 0;
	return err_set(e, rc,
		"key '%s' is %s, but that this is done could not be recorded: "
		"%s",
		ofs_key_get_info(m->key)->label, done, unsaid.message);
}

/* one of the two, for a watched thread */
struct task {
	ofs_token *token;
	ofs_audit *audit;
	const char *uri;
	const struct ofs_key_rename_opts *rename;
	const struct ofs_key_delete_opts *delete_;
	struct ofs_key_info key; /* afterwards */
	uint64_t seq;
};

static int
rename_found(struct task *t, struct managed *m, struct ofs_error *e)
{
	int rc;

	rc = managed_check_rename(m, t->rename, e);
	if (rc == 0)
		rc = record(t->audit, m, "rename-begun", NULL, e);
	if (rc != 0)
		return rc;
	rc = managed_rename(m, t->rename, e);
	if (rc != 0)
		record_failure(t->audit, m, "rename-failed");
	else
		rc = record_end(t->audit, m, "rename", "renamed", &t->seq, e);
	t->key = *ofs_key_get_info(m->key);
	return rc;
}

static int
run_rename(void *arg, struct ofs_error *e)
{
	struct managed m = { 0 };
	struct task *t = arg;
	int rc;

	rc = managed_open(t->token, t->uri, &m, e);
	if (rc == 0)
		rc = rename_found(t, &m, e);
	so_forget(t->token);
	managed_free(&m);
	return rc;
}

int
ofs_key_rename(ofs_token *token, ofs_audit *audit, const char *uri,
	const struct ofs_key_rename_opts *opts, struct ofs_enrolled *out)
{
	struct task t = {
		.token = token, .audit = audit, .uri = uri, .rename = opts
	};
	struct ofs_error e;
	int rc;

	if (out != NULL) {
		memset(out, 0, sizeof(*out));
		out->size = sizeof(*out);
	}
	rc = check_args(token, audit, "renamed");
	if (rc != 0)
		return rc;
	err_clear(&e);
	rc = token_run(token, run_rename, &t, &e);
	if (rc != 0)
		return token_fail(token, &e);
	if (out != NULL) {
		out->key = t.key;
		out->seq = t.seq;
	}
	return 0;
}

struct question {
	const struct ofs_key_delete_opts *o;
	const struct ofs_key_info *key;
	const struct ofs_object_info *shown;
	size_t n;
};

static int
ask(void *arg)
{
	const struct question *q = arg;

	return q->o->confirm(q->o->confirm_arg, q->key, q->shown, q->n);
}

static int
confirm(const struct managed *m, const struct ofs_key_delete_opts *o,
	struct ofs_error *e)
{
	struct ofs_object_info *shown = calloc(m->n, sizeof(*shown));
	int rc;

	if (shown == NULL)
		return err_nomem(e);
	for (size_t i = 0; i < m->n; i++)
		shown[i] = m->v[i].info;
	rc = watch_call_back(ask,
		&(struct question){ o, ofs_key_get_info(m->key), shown, m->n });
	free(shown);
	if (rc == 0)
		return 0;
	return err_set(e, rc < 0 ? rc : OFS_EINVAL,
		"key '%s' is not deleted: it was not confirmed",
		ofs_key_get_info(m->key)->label);
}

static int
find(ofs_token *token, const char *uri, const struct ofs_key_delete_opts *o,
	struct managed *m, struct ofs_error *e)
{
	int rc = managed_open(token, uri, m, e);

	if (rc == 0 && o->cert_only)
		rc = managed_certs_only(m, e);
	return rc != 0 ? rc : managed_check_delete(m, e);
}

/* m is what was shown; what is there when the answer comes must be the same */
static int
find_confirmed(ofs_token *token, const char *uri,
	const struct ofs_key_delete_opts *o, struct managed *m,
	struct ofs_error *e)
{
	struct managed shown = { 0 };
	int rc;

	rc = find(token, uri, o, &shown, e);
	if (rc == 0)
		rc = confirm(&shown, o, e);
	if (rc == 0)
		rc = token_check_present(token, e);
	if (rc == 0)
		rc = find(token, uri, o, m, e);
	if (rc == 0 && !managed_same(&shown, m))
		rc = err_set(e, OFS_ETOKEN,
			"what is on '%s' was changed meanwhile; nothing was "
			"deleted, start again",
			token->info.label);
	managed_free(&shown);
	return rc;
}

static int
delete_found(struct task *t, struct managed *m, struct ofs_error *e)
{
	bool certs = t->delete_->cert_only;
	int rc;

	rc = record(t->audit, m, certs ? "delete-cert-begun" : "delete-begun",
		NULL, e);
	if (rc != 0)
		return rc;
	rc = managed_delete(m, e);
	if (rc == 0)
		return record_end(t->audit, m, certs ? "delete-cert" : "delete",
			certs ? "without its certificates now" : "deleted",
			&t->seq, e);
	record_failure(
		t->audit, m, certs ? "delete-cert-failed" : "delete-failed");
	return rc;
}

static int
run_delete(void *arg, struct ofs_error *e)
{
	struct managed m = { 0 };
	struct task *t = arg;
	int rc;

	rc = find_confirmed(t->token, t->uri, t->delete_, &m, e);
	if (rc == 0)
		rc = delete_found(t, &m, e);
	so_forget(t->token);
	managed_free(&m);
	return rc;
}

int
ofs_key_delete(ofs_token *token, ofs_audit *audit, const char *uri,
	const struct ofs_key_delete_opts *o, uint64_t *seq)
{
	struct task t = {
		.token = token, .audit = audit, .uri = uri, .delete_ = o
	};
	struct ofs_error e;
	int rc;

	if (seq != NULL)
		*seq = 0;
	rc = check_args(token, audit, "deleted");
	if (rc != 0)
		return rc;
	if (o == NULL || o->size != sizeof(*o) || o->confirm == NULL)
		return err_set(&token->err, OFS_EINVAL,
			"no key is deleted without somebody who confirms it");
	err_clear(&e);
	rc = token_run(token, run_delete, &t, &e);
	if (rc != 0)
		return token_fail(token, &e);
	if (seq != NULL)
		*seq = t.seq;
	return 0;
}
