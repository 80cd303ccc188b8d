/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Backups: a copy, verified, with a manifest, in a directory of its own. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "verify/audit-backup.h"

#include "audit/backup.h"
#include "audit/log_event.h"
#include "base/ctx.h"
#include "base/file.h"
#include "base/text.h"
#include "crypto/digest.h"

struct backup {
	ofs_audit *a;
	char *dest;  /* absolute */
	char *aside; /* until it is whole */
	ofs_audit_progress_fn fn;
	void *arg;
	struct store_state state;
	struct statement manifest;
};

static void
show_copy(void *arg, uint64_t done, uint64_t total)
{
	struct backup *b = arg;
	struct ofs_audit_progress p = { sizeof(p), "copy", done, total };

	b->fn(b->arg, &p);
}

static void
show_phase(const struct backup *b, const char *phase)
{
	struct ofs_audit_progress p = { sizeof(p), phase, 0, b->state.size };

	if (b->fn != NULL)
		b->fn(b->arg, &p);
}

int
audit_aside(const char *path, char **out, struct ofs_error *e)
{
	struct buf name = BUF_INIT;

	*out = NULL;
	buf_printf(&name, "%s.XXXXXX", path);
	if (buf_cstr(&name) == NULL) {
		buf_free(&name);
		return err_nomem(e);
	}
	/* mode 0700 */
	if (mkdtemp((char *)name.p) == NULL) {
		buf_free(&name);
		return err_sys(
			e, OFS_EIO, errno, "cannot make '%s'", TEXT_Q(path));
	}
	*out = (char *)name.p;
	return 0;
}

int
audit_find_dest(const char *dest, char **out, struct ofs_error *e)
{
	size_t n = strlen(dest);
	char *s = strdup(dest);
	int rc;

	*out = NULL;
	if (s == NULL)
		return err_nomem(e);
	while (n > 1 && s[n - 1] == '/')
		s[--n] = '\0';
	rc = n == 0 || strcmp(s, "/") == 0
		? err_set(e, OFS_EINVAL, "directory '%s' is not a new one", s)
		: file_absolute(s, out, e);
	free(s);
	return rc;
}

int
audit_verify_copy(ofs_ctx *ctx, const char *dir, const struct store_state *want,
	struct ofs_audit_report *rep, struct ofs_error *e)
{
	ofs_audit *copy;
	int rc;

	rc = ofs_audit_open(ctx, dir, OFS_AUDIT_READ_ONLY, &copy);
	if (rc != 0) {
		*e = *ofs_ctx_error(ctx);
		return rc;
	}
	rep->size = sizeof(*rep);
	rc = ofs_audit_verify(copy, NULL, NULL, rep);
	if (rc != 0)
		ofs_audit_error(copy, e);
	ofs_audit_free(copy);
	if (rc == 0 &&
		(rep->records != want->size ||
			memcmp(rep->root, want->root, 32) != 0 ||
			memcmp(rep->log_id, want->log_id, 16) != 0))
		rc = err_set(e, OFS_EDAMAGED,
			"copy of the audit log is not what it was made of");
	return rc;
}

static int
check_new(const char *path, struct ofs_error *e)
{
	struct stat st;

	if (lstat(path, &st) == 0)
		return err_set(
			e, OFS_EEXIST, "'%s' is there already", TEXT_Q(path));
	if (errno != ENOENT)
		return err_sys(
			e, OFS_EIO, errno, "cannot look at '%s'", TEXT_Q(path));
	return 0;
}

static int
hash_file(
	const char *dir, const char *name, uint8_t out[32], struct ofs_error *e)
{
	char *path = file_join(dir, name);
	uint64_t size;
	int rc;

	rc = path != NULL ? digest_file(&digest_sha256, path, out, &size, e)
			  : err_nomem(e);
	free(path);
	return rc;
}

static int
write_manifest(struct backup *b, const struct ofs_audit_report *rep,
	struct ofs_error *e)
{
	const char *tool = b->a->ctx->opts.tool;
	struct statement *m = &b->manifest;
	struct buf text = BUF_INIT;
	char *path;
	int rc;

	m->kind = STATEMENT_BACKUP;
	memcpy(m->origin, rep->origin, sizeof(m->origin));
	text_clean(m->origin);
	memcpy(m->log_id, rep->log_id, sizeof(m->log_id));
	memcpy(m->root, rep->root, sizeof(m->root));
	m->records = rep->records;
	m->first_time = rep->first_time;
	m->last_time = rep->last_time;
	m->time = ctx_now(b->a->ctx);
	snprintf(m->tool, sizeof(m->tool), "%s",
		tool != NULL ? tool : "libofflinesig");
	text_clean(m->tool);
	rc = hash_file(b->aside, PLACE_DB, m->db_sha256, e);
	if (rc == 0)
		rc = hash_file(b->aside, PLACE_HEAD, m->head_sha256, e);
	if (rc == 0)
		rc = statement_encode(m, &text, e);
	path = file_join(b->aside, PLACE_MANIFEST);
	if (rc == 0 && path == NULL)
		rc = err_nomem(e);
	if (rc == 0)
		rc = file_write_new(path, text.p, text.len, false, e);
	if (rc == 0 && chmod(path, 0600) != 0)
		rc = err_sys(
			e, OFS_EIO, errno, "cannot finish '%s'", TEXT_Q(path));
	free(path);
	buf_free(&text);
	return rc;
}

/* its directory was synced when the manifest got its name */
static int
give_name(struct backup *b, struct ofs_error *e)
{
	char *parent = file_dirname(b->dest);
	int rc = 0;

	if (parent == NULL)
		return err_nomem(e);
	if (rename(b->aside, b->dest) != 0)
		rc = err_sys(e,
			errno == ENOTEMPTY || errno == EEXIST ? OFS_EEXIST
							      : OFS_EIO,
			errno, "cannot give the backup its name '%s'",
			TEXT_Q(b->dest));
	if (rc == 0)
		rc = file_sync_dir(parent, e);
	free(parent);
	return rc;
}

static int
record(struct backup *b, uint64_t *seq, struct ofs_error *e)
{
	struct rec_log_event r = { .event = "backup",
		.count = b->state.size,
		.sha256 = { b->state.root, 32 },
		.path = b->dest };
	struct ofs_error why;

	if (log_event_record(b->a, &r, seq, &why) == 0)
		return 0;
	return err_set(e, why.code,
		"backup '%s' is whole, but it could not be recorded: %s",
		TEXT_Q(b->dest), why.message);
}

static int
make(struct backup *b, struct ofs_audit_backup_report *out, struct ofs_error *e)
{
	struct ofs_audit_report rep;
	struct ofs_error why;
	int rc;

	rc = backup_copy(b->a, b->aside, b->fn != NULL ? show_copy : NULL, b,
		&b->state, e);
	if (rc != 0)
		return rc;
	show_phase(b, "verify");
	rc = audit_verify_copy(b->a->ctx, b->aside, &b->state, &rep, &why);
	if (rc != 0)
		return err_set(e, why.code,
			"backup was given up: the copy does not verify: %s",
			why.message);
	rc = write_manifest(b, &rep, e);
	if (rc == 0)
		rc = give_name(b, e);
	if (rc != 0)
		return rc;
	free(b->aside);
	b->aside = NULL;
	out->records = b->state.size;
	memcpy(out->log_id, b->state.log_id, sizeof(out->log_id));
	memcpy(out->root, b->state.root, sizeof(out->root));
	return record(b, &out->seq, e);
}

int
ofs_audit_backup(ofs_audit *audit, const char *dest, ofs_audit_progress_fn fn,
	void *arg, struct ofs_audit_backup_report *out)
{
	struct ofs_audit_backup_report rep = { .size = sizeof(rep) };
	struct backup b = { .a = audit, .fn = fn, .arg = arg };
	struct ofs_error e;
	int rc = 0;

	if (log_read_only(audit))
		rc = err_set(&e, OFS_EAUDIT,
			"cannot back up '%s': it was opened read-only, and a "
			"backup is recorded",
			TEXT_Q(log_place(audit)));
	if (rc == 0)
		rc = audit_find_dest(dest, &b.dest, &e);
	if (rc == 0)
		rc = check_new(b.dest, &e);
	if (rc == 0)
		rc = audit_aside(b.dest, &b.aside, &e);
	if (rc == 0)
		rc = make(&b, &rep, &e);
	if (b.aside != NULL)
		backup_remove(b.aside, PLACE_MANIFEST);
	free(b.aside);
	free(b.dest);
	if (out != NULL)
		*out = rep;
	return rc != 0 ? handle_fail(audit, &e) : 0;
}

/* what the manifest says, and that the files are those that it names */
int
audit_read_manifest(const char *dir, struct statement *m, struct ofs_error *e)
{
	char *path = file_join(dir, PLACE_MANIFEST);
	struct buf text = BUF_INIT;
	uint8_t db[32], head[32];
	struct ofs_error why;
	int rc;

	rc = path != NULL ? file_read(path, STATEMENT_MAX, &text, &why)
			  : err_nomem(&why);
	if (rc != 0)
		rc = err_set(e, rc,
			"'%s' is no backup that ofs-audit backup has finished: "
			"%s",
			TEXT_Q(dir), why.message);
	if (rc == 0 &&
		statement_decode(text.p, text.len, STATEMENT_BACKUP, m, &why) !=
			0)
		rc = err_set(e, OFS_EFORMAT,
			"manifest '%s' of a backup cannot be read: %s",
			TEXT_Q(path), why.message);
	if (rc == 0)
		rc = hash_file(dir, PLACE_DB, db, e);
	if (rc == 0)
		rc = hash_file(dir, PLACE_HEAD, head, e);
	if (rc == 0 &&
		(memcmp(db, m->db_sha256, 32) != 0 ||
			memcmp(head, m->head_sha256, 32) != 0))
		rc = err_set(e, OFS_EDAMAGED,
			"backup '%s' is damaged: its files are not those of "
			"its manifest",
			TEXT_Q(dir));
	buf_free(&text);
	free(path);
	return rc;
}
