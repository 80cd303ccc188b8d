/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Restoring a backup in the place of a log. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "verify/audit-backup.h"
#include "verify/audit-head.h"
#include "verify/authorise.h"

#include "audit/backup.h"
#include "audit/log_event.h"
#include "base/ctx.h"
#include "base/file.h"
#include "base/text.h"

static const struct ofs_audit_restore_opts no_opts =
	OFS_AUDIT_RESTORE_OPTS_INIT;

struct restore {
	ofs_ctx *ctx;
	const struct ofs_audit_restore_opts *opts;
	const char *backup;
	char *dir;
	bool there;         /* something has that name */
	struct place place; /* of it */
	int lock_fd;        /* its writers wait; -1: none can be there */
	ofs_audit *from;
	struct store_state state; /* of the backup */
	char origin[256];
	struct head known;   /* the newest that is known; size 0: none */
	char known_by[4096]; /* the file that says so */
	struct statement accepted;
	struct buf cms; /* as it is recorded */
	char *aside;
	struct ofs_audit_restore_report rep;
};

static bool
behind(const struct restore *r)
{
	return r->known.size > r->state.size;
}

/* the backup has those records, or fewer of them */
static int
see_head(struct restore *r, const struct head *h, const char *path,
	struct ofs_error *e)
{
	uint8_t root[32];
	int rc;

	if (h->size > r->known.size) {
		r->known = *h;
		snprintf(r->known_by, sizeof(r->known_by), "%s", path);
	}
	if (h->size > r->state.size)
		return 0;
	rc = store_root_at(&r->from->store, h->size, root, e);
	if (rc == 0 && memcmp(root, h->root, sizeof(root)) != 0)
		rc = err_set(e, OFS_EDAMAGED,
			"backup '%s' is not of the log that '%s' knows: their "
			"first %llu records differ",
			TEXT_Q(r->backup), TEXT_Q(path),
			(unsigned long long)h->size);
	return rc;
}

static int
see_slots(struct restore *r, const struct head_file *f, const char *path,
	struct ofs_error *e)
{
	int rc = 0;

	for (int i = 0; i < HEAD_SLOTS && rc == 0; i++) {
		if (!f->valid[i])
			continue;
		if (memcmp(f->slot[i].log_id, r->state.log_id, 16) != 0)
			return err_set(e, OFS_EEXIST, "'%s' is of another log",
				TEXT_Q(path));
		rc = see_head(r, &f->slot[i], path, e);
	}
	return rc;
}

static int
see_file(struct restore *r, const char *path, struct ofs_error *e)
{
	struct kept k;
	int rc;

	rc = kept_read(path, r->from, r->state.log_id, OFS_EMISMATCH, &k, e);
	for (size_t i = 0; i < k.n && rc == 0; i++)
		rc = see_head(r, &k.head[i], path, e);
	return rc;
}

/* the store is longer: its beginning is the backup */
static int
check_prefix(struct restore *r, struct store *s, struct ofs_error *e)
{
	struct ofs_error why;
	uint8_t root[32];
	int rc = store_root_at(s, r->state.size, root, &why);

	/* what is damaged is what is to be replaced */
	if (rc == 0 && memcmp(root, r->state.root, sizeof(root)) != 0)
		return err_set(e, OFS_EDAMAGED,
			"backup '%s' is not of the log in '%s': their first "
			"%llu records differ",
			TEXT_Q(r->backup), TEXT_Q(r->dir),
			(unsigned long long)r->state.size);
	return 0;
}

/* the log that is there, if it can still be read: it may have no head file */
static int
see_store(struct restore *r, struct ofs_error *e)
{
	struct head h = { .size = 0 };
	struct store_state st;
	struct ofs_error why;
	char *path;
	ofs_audit *a;
	bool nested;
	int rc;

	rc = ofs_audit_open(r->ctx, r->dir, OFS_AUDIT_READ_ONLY, &a);
	if (rc != 0) {
		ctx_log(r->ctx, OFS_LOG_WARNING,
			"what is in '%s' cannot be read, and only its head "
			"file counts: %s",
			TEXT_Q(r->dir), ofs_ctx_error(r->ctx)->message);
		return 0;
	}
	path = place_path(&a->place, PLACE_DB);
	rc = path != NULL ? handle_enter(a, &nested, e) : err_nomem(e);
	if (rc != 0)
		goto out;
	rc = store_state_get(&a->store, &st, &why);
	if (rc == 0 && memcmp(st.log_id, r->state.log_id, 16) != 0) {
		rc = err_set(e, OFS_EEXIST, "'%s' holds another log",
			TEXT_Q(r->dir));
	} else if (rc == 0 && st.size > 0) {
		h.size = st.size;
		memcpy(h.root, st.root, sizeof(h.root));
		rc = see_head(r, &h, path, e);
		if (rc == 0 && st.size > r->state.size)
			rc = check_prefix(r, &a->store, e);
	} else {
		rc = 0;
	}
	handle_leave(a, nested);
out:
	ofs_audit_free(a);
	free(path);
	return rc;
}

static int
see_place(struct restore *r, struct ofs_error *e)
{
	char *path = place_path(&r->place, PLACE_HEAD);
	struct head_file f;
	int fd = -1, rc;

	rc = path != NULL
		? place_open(&r->place, PLACE_HEAD, O_RDONLY, false, &fd, e)
		: err_nomem(e);
	if (rc == 0)
		rc = head_read(fd, &f, e);
	if (rc == 0)
		rc = see_slots(r, &f, path, e);
	if (fd >= 0)
		close(fd);
	free(path);
	return rc == 0 ? see_store(r, e) : rc;
}

/* a batch holds a byte of that file while it runs */
static int
check_idle(struct restore *r, struct ofs_error *e)
{
	struct flock any = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd, rc;

	rc = place_open(&r->place, PLACE_BATCHES, O_RDWR, false, &fd, e);
	if (rc != 0 || fd < 0)
		return rc;
	if (fcntl(fd, F_OFD_GETLK, &any) != 0)
		rc = err_sys(e, OFS_EAUDIT, errno, "cannot look at '%s'",
			TEXT_Q(r->dir));
	else if (any.l_type != F_UNLCK)
		rc = err_set(e, OFS_EEXIST,
			"cannot restore to '%s': a batch is running there",
			TEXT_Q(r->dir));
	close(fd);
	return rc;
}

/* the place is ours to change, and its writers wait from now on */
static int
enter_place(struct restore *r, struct ofs_error *e)
{
	struct stat st;
	bool missing;
	int rc;

	if (lstat(r->dir, &st) != 0) {
		if (errno != ENOENT)
			return err_sys(e, OFS_EAUDIT, errno,
				"cannot look at '%s'", TEXT_Q(r->dir));
		return 0;
	}
	r->there = true;
	rc = place_find(r->dir, &r->place, &missing, e);
	if (rc == 0)
		rc = place_check(&r->place, r->dir, e);
	if (rc == 0)
		rc = place_check_foreign(&r->place, e);
	if (rc == 0)
		rc = place_open(
			&r->place, PLACE_LOCK, O_RDWR, false, &r->lock_fd, e);
	if (rc == 0 && r->lock_fd >= 0 && flock(r->lock_fd, LOCK_EX) != 0)
		rc = err_sys(e, OFS_EAUDIT, errno, "cannot lock '%s'",
			TEXT_Q(r->dir));
	if (rc == 0)
		rc = check_idle(r, e);
	return rc == 0 ? see_place(r, e) : rc;
}

/* files as in the manifest, and all of the log in them verifies */
static int
open_backup(struct restore *r, struct ofs_error *e)
{
	struct ofs_audit_report rep;
	struct statement m;
	int rc;

	rc = audit_read_manifest(r->backup, &m, e);
	if (rc != 0)
		return rc;
	r->state.size = m.records;
	memcpy(r->state.root, m.root, 32);
	memcpy(r->state.log_id, m.log_id, 16);
	rc = audit_verify_copy(r->ctx, r->backup, &r->state, &rep, e);
	if (rc == 0)
		rc = ofs_audit_open(
			r->ctx, r->backup, OFS_AUDIT_READ_ONLY, &r->from);
	if (rc != 0 && r->from == NULL && e->code == 0)
		*e = *ofs_ctx_error(r->ctx);
	memcpy(r->origin, m.origin, sizeof(r->origin));
	r->rep.records = m.records;
	memcpy(r->rep.log_id, m.log_id, 16);
	memcpy(r->rep.root, m.root, 32);
	return rc;
}

/* backup, place and heads; r is freed by the caller in every case */
static int
prepare(struct restore *r, const char *dir, struct ofs_error *e)
{
	size_t i;
	int rc;

	err_clear(e);
	if (r->opts->size != sizeof(*r->opts))
		return err_set(e, OFS_EINVAL,
			"options for restoring have a wrong size");
	rc = audit_find_dest(dir, &r->dir, e);
	if (rc == 0)
		rc = open_backup(r, e);
	if (rc == 0)
		rc = enter_place(r, e);
	for (i = 0; i < r->opts->n_heads && rc == 0; i++)
		rc = see_file(r, r->opts->heads[i], e);
	return rc;
}

static void
restore_free(struct restore *r)
{
	ofs_audit_free(r->from);
	if (r->lock_fd >= 0)
		close(r->lock_fd);
	if (r->aside != NULL)
		backup_remove(r->aside, PLACE_MANIFEST);
	free(r->aside);
	buf_free(&r->cms);
	place_free(&r->place);
	free(r->dir);
}

/* what the auditor has accepted is this gap, and no other */
static int
check_accepted(struct restore *r, struct ofs_error *e)
{
	const struct statement *s = &r->accepted;
	STACK_OF(X509) *auditors = NULL;
	int rc;

	rc = authorise_of_log(r->from, &auditors, e);
	if (rc == 0)
		rc = authorise_check(auditors, r->opts->accept,
			r->opts->accept_len, STATEMENT_RESTORE, &r->accepted,
			r->rep.auditor, sizeof(r->rep.auditor), &r->cms, e);
	sk_X509_pop_free(auditors, X509_free);
	if (rc != 0)
		return rc;
	if (memcmp(s->log_id, r->state.log_id, 16) != 0 ||
		s->records != r->state.size ||
		memcmp(s->root, r->state.root, 32) != 0)
		return err_set(e, OFS_EMISMATCH,
			"the auditor has accepted another backup than '%s'",
			TEXT_Q(r->backup));
	if (s->known_records != r->known.size ||
		memcmp(s->known_root, r->known.root, 32) != 0)
		return err_set(e, OFS_EMISMATCH,
			"the auditor has accepted that the log goes back from "
			"%llu records, and '%s' knows of %llu",
			(unsigned long long)s->known_records,
			TEXT_Q(r->known_by), (unsigned long long)r->known.size);
	return 0;
}

static int
check_gap(struct restore *r, struct ofs_error *e)
{
	if (!behind(r))
		return 0;
	r->rep.missing = r->known.size - r->state.size;
	if (r->opts->accept != NULL)
		return check_accepted(r, e);
	return err_set(e, OFS_EDAMAGED,
		"backup '%s' is behind: it holds %llu records, and '%s' knows "
		"of %llu; restore a newer one, or have an auditor sign what "
		"ofs-audit restore --statement prints",
		TEXT_Q(r->backup), (unsigned long long)r->state.size,
		TEXT_Q(r->known_by), (unsigned long long)r->known.size);
}

static int
record(struct restore *r, ofs_audit *a, struct ofs_error *e)
{
	struct rec_log_event ev = { .event = "restore",
		.path = log_place(r->from),
		.count = r->rep.missing,
		.reason = r->opts->reason };

	if (behind(r)) {
		ev.first = r->state.size;
		ev.last = r->known.size - 1;
		ev.sha256 = (struct rec_span){ r->known.root, 32 };
		ev.reason = r->accepted.reason;
		ev.authorisation = (struct rec_span){ r->cms.p, r->cms.len };
	}
	return log_event_record(a, &ev, &r->rep.seq, e);
}

/* its restoring is to be recorded there, encrypted as all else */
static int
open_restored(struct restore *r, ofs_audit *a, struct ofs_error *e)
{
	struct ofs_audit_keys k;
	int rc = 0;

	if (r->opts->unlock != NULL)
		rc = r->opts->unlock(r->opts->unlock_arg, a);
	if (rc != 0)
		return err_set(
			e, rc, "backup '%s' was not opened", TEXT_Q(r->backup));
	rc = log_get_keys(a, &k, e);
	if (rc != 0)
		return rc;
	if (k.mode == OFS_AUDIT_STATION && !k.readable)
		rc = err_set(e, OFS_EAUDIT,
			"backup '%s' is of an encrypted log that nothing here "
			"opens, and its restoring is to be recorded in it; "
			"give its station key, its passphrase, or the key of "
			"an auditor",
			TEXT_Q(r->backup));
	return rc;
}

/* a backup has no keys of what was unfinished when it was made */
static int
say_unfinished(struct restore *r, ofs_audit *a, struct ofs_error *e)
{
	uint64_t n = 0;
	bool nested;
	int rc;

	if (!log_is_sealed(a))
		return 0;
	rc = handle_enter(a, &nested, e);
	if (rc != 0)
		return rc;
	rc = store_kept_lacks(&a->store, &n, e);
	handle_leave(a, nested);
	if (rc == 0 && n > 0)
		ctx_log(r->ctx, OFS_LOG_WARNING,
			"%llu lists are not finished in this backup, and the "
			"station cannot open them: it signs no files until an "
			"auditor has run ofs-audit rotate --auditor-key FILE",
			(unsigned long long)n);
	return rc;
}

static void
show_copy(void *arg, uint64_t done, uint64_t total)
{
	const struct restore *r = arg;
	struct ofs_audit_progress p = { sizeof(p), "copy", done, total };

	r->opts->fn(r->opts->arg, &p);
}

/* a log of its own beside the place, with the record that it was restored */
static int
build(struct restore *r, struct ofs_error *e)
{
	struct store_state st;
	ofs_audit *a = NULL;
	int rc;

	rc = audit_aside(r->dir, &r->aside, e);
	if (rc == 0)
		rc = backup_copy(r->from, r->aside,
			r->opts->fn != NULL ? show_copy : NULL, r, &st, e);
	if (rc == 0 &&
		(st.size != r->state.size ||
			memcmp(st.root, r->state.root, 32) != 0))
		rc = err_set(e, OFS_EDAMAGED,
			"backup '%s' has changed while it was restored",
			TEXT_Q(r->backup));
	if (rc == 0 && r->there && r->place.shared)
		rc = place_share(r->aside, r->place.gid, e);
	if (rc != 0)
		return rc;
	rc = ofs_audit_open(r->ctx, r->aside, 0, &a);
	if (rc != 0)
		*e = *ofs_ctx_error(r->ctx);
	if (rc == 0)
		rc = open_restored(r, a, e);
	if (rc == 0)
		rc = record(r, a, e);
	if (rc == 0)
		rc = say_unfinished(r, a, e);
	ofs_audit_free(a);
	return rc == 0 ? file_sync_dir(r->aside, e) : rc;
}

/* the old log keeps its files, under a name that says what it was */
static int
move_old(struct restore *r, struct ofs_error *e)
{
	char *to = r->rep.moved_to;
	int n;

	n = snprintf(to, sizeof(r->rep.moved_to), "%s.replaced.XXXXXX", r->dir);
	if (n < 0 || (size_t)n >= sizeof(r->rep.moved_to)) {
		to[0] = '\0';
		return err_set(e, OFS_EINVAL, "name of the log is too long");
	}
	/* rename(2) takes the place of an empty directory */
	if (mkdtemp(to) == NULL || rename(r->dir, to) != 0) {
		n = errno;
		(void)rmdir(to);
		to[0] = '\0';
		return err_sys(e, OFS_EIO, n, "cannot move '%s' aside",
			TEXT_Q(r->dir));
	}
	return 0;
}

static int
take_place(struct restore *r, struct ofs_error *e)
{
	char *parent = file_dirname(r->dir);
	int rc = 0, errnum;

	if (parent == NULL)
		return err_nomem(e);
	if (r->there)
		rc = move_old(r, e);
	if (rc == 0 && rename(r->aside, r->dir) != 0) {
		errnum = errno;
		if (r->there && rename(r->rep.moved_to, r->dir) == 0)
			r->rep.moved_to[0] = '\0';
		rc = err_sys(e, OFS_EIO, errnum,
			"cannot put the restored log in the place '%s'",
			TEXT_Q(r->dir));
	} else if (rc == 0) {
		free(r->aside);
		r->aside = NULL;
		rc = file_sync_dir(parent, e);
	}
	free(parent);
	return rc;
}

int
ofs_audit_restore(ofs_ctx *ctx, const char *backup, const char *dir,
	const struct ofs_audit_restore_opts *opts,
	struct ofs_audit_restore_report *out)
{
	struct restore r = { .ctx = ctx,
		.opts = opts != NULL ? opts : &no_opts,
		.backup = backup,
		.lock_fd = -1,
		.rep = { .size = sizeof(r.rep) } };
	struct ofs_error e;
	int rc;

	rc = prepare(&r, dir, &e);
	if (rc == 0)
		rc = check_gap(&r, &e);
	if (rc == 0)
		rc = build(&r, &e);
	if (rc == 0)
		rc = take_place(&r, &e);
	restore_free(&r);
	if (out != NULL)
		*out = r.rep;
	return rc != 0 ? ctx_fail(ctx, &e) : 0;
}

static int
state_gap(struct restore *r, struct buf *text, struct ofs_error *e)
{
	struct statement s = { .kind = STATEMENT_RESTORE };

	if (!behind(r))
		return err_set(e, OFS_EINVAL,
			"backup '%s' is behind no known head: nobody has to "
			"accept it",
			TEXT_Q(r->backup));
	if (r->opts->reason == NULL || r->opts->reason[0] == '\0' ||
		strlen(r->opts->reason) >= sizeof(s.reason))
		return err_set(e, OFS_EINVAL,
			"an auditor is to be told the reason, in less than %zu "
			"bytes",
			sizeof(s.reason));
	memcpy(s.origin, r->origin, sizeof(s.origin));
	memcpy(s.log_id, r->state.log_id, sizeof(s.log_id));
	s.records = r->state.size;
	memcpy(s.root, r->state.root, sizeof(s.root));
	s.known_records = r->known.size;
	memcpy(s.known_root, r->known.root, sizeof(s.known_root));
	s.time = ctx_now(r->ctx);
	memcpy(s.reason, r->opts->reason, strlen(r->opts->reason));
	return statement_encode(&s, text, e);
}

int
ofs_audit_restore_statement(ofs_ctx *ctx, const char *backup, const char *dir,
	const struct ofs_audit_restore_opts *opts, char **text)
{
	struct restore r = { .ctx = ctx,
		.opts = opts != NULL ? opts : &no_opts,
		.backup = backup,
		.lock_fd = -1 };
	struct buf b = BUF_INIT;
	struct ofs_error e;
	size_t n;
	int rc;

	*text = NULL;
	rc = prepare(&r, dir, &e);
	if (rc == 0)
		rc = state_gap(&r, &b, &e);
	if (rc == 0 && buf_cstr(&b) == NULL)
		rc = err_nomem(&e);
	if (rc == 0)
		*text = (char *)buf_take(&b, &n);
	buf_free(&b);
	restore_free(&r);
	return rc != 0 ? ctx_fail(ctx, &e) : 0;
}
