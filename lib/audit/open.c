/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Creating and opening a log. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "audit/birth.h"
#include "audit/handle.h"

#include "base/ctx.h"
#include "base/text.h"
#include "store/place_new.h"

/* what a call makes: the log, or nothing */
struct made {
	bool log; /* by us, now */
	struct place_new place;
};

static const struct ofs_audit_init_opts no_init_opts = OFS_AUDIT_INIT_OPTS_INIT;

static int
no_log(const char *dir, struct ofs_error *e)
{
	return err_set(e, OFS_EAUDIT,
		"there is no audit log in '%s'; make one with ofs-audit init",
		TEXT_Q(dir));
}

/* *size is -1 when there is no file */
static int
look_at_db(ofs_audit *a, int64_t *size, struct ofs_error *e)
{
	struct stat st;

	*size = -1;
	if (stat(a->db_path, &st) != 0) {
		if (errno == ENOENT)
			return 0;
		return err_sys(e, OFS_EAUDIT, errno,
			"cannot open audit log: cannot look at '%s' as user "
			"%lu",
			TEXT_Q(a->db_path), (unsigned long)geteuid());
	}
	if (!S_ISREG(st.st_mode))
		return err_set(e, OFS_EAUDIT,
			"cannot open audit log: '%s' is not a regular file",
			TEXT_Q(a->db_path));
	a->db_dev = st.st_dev;
	a->db_ino = st.st_ino;
	*size = (int64_t)st.st_size;
	return 0;
}

static int
find_place(ofs_audit *a, const char *dir, bool *missing, struct ofs_error *e)
{
	int rc;

	place_free(&a->place);
	rc = place_find(dir, &a->place, missing, e);
	if (rc != 0)
		return rc;
	free(a->db_path);
	a->db_path = place_path(&a->place, PLACE_DB);
	return a->db_path != NULL ? 0 : err_nomem(e);
}

static int
open_locks(ofs_audit *a, struct ofs_error *e)
{
	int rc;

	rc = place_open(&a->place, PLACE_LOCK, O_RDWR, true, &a->lock_fd, e);
	if (rc == 0)
		rc = place_open(
			&a->place, PLACE_BATCHES, O_RDWR, true, &a->hold.fd, e);
	return rc != 0 ? rc : handle_flock(a, e);
}

static void
close_locks(ofs_audit *a)
{
	close(a->lock_fd);
	close(a->hold.fd);
	a->lock_fd = a->hold.fd = -1;
}

static bool
has_name(int fd)
{
	struct stat st;

	return fstat(fd, &st) != 0 || st.st_nlink > 0;
}

/* the lock files, and the queue of writers is ours on return */
static int
enter_place(ofs_audit *a, const char *dir, struct ofs_error *e)
{
	int rc;

	rc = place_check(&a->place, dir, e);
	if (rc == 0)
		rc = place_check_fs(&a->place, e);
	if (rc == 0)
		rc = open_locks(a, e);
	/* who had the flock could not make a log, and took its files away */
	while (rc == 0 && !(has_name(a->lock_fd) && has_name(a->hold.fd))) {
		close_locks(a);
		rc = open_locks(a, e);
	}
	return rc;
}

/* an empty database file with the right mode */
static int
create_file(ofs_audit *a, struct ofs_error *e)
{
	int64_t size;
	int fd, rc;

	rc = place_open(&a->place, PLACE_DB, O_RDWR, true, &fd, e);
	if (rc != 0)
		return rc;
	/* nobody has it open by SQLite: we are first, or it is still empty */
	close(fd);
	return look_at_db(a, &size, e);
}

/* tables, first records and head file; under the flock, the store is open */
static int
create_log(ofs_audit *a, const struct ofs_audit_init_opts *opts,
	struct ofs_error *e)
{
	char *key_file = NULL;
	int rc;

	rc = store_begin(&a->store, true, e);
	if (rc != 0)
		return rc;
	rc = store_create(&a->store, e);
	a->began = 0;
	if (rc == 0)
		rc = birth_records(a, opts, &key_file, e);
	if (rc == 0) {
		/* where this fails, the log may be there all the same */
		rc = handle_commit(a, e);
	} else {
		store_rollback(&a->store);
		/* keys that nothing was encrypted or signed with */
		if (key_file != NULL)
			(void)unlink(key_file);
		if (a->key.made != NULL)
			(void)unlink(a->key.made);
	}
	free(key_file);
	return rc;
}

/*
 * A head file beside no log, or an empty one: it was there. A new log in its
 * place would hide that.
 */
static int
check_never_was(ofs_audit *a, struct ofs_error *e)
{
	int rc = handle_read_head(a, e);

	if (rc == 0 && a->head.present)
		rc = err_set(e, OFS_EDAMAGED,
			"audit log '%s' is empty or gone, and its head file "
			"knows of %llu records; bring log.db back, or move "
			"what is left elsewhere before a new log is made",
			TEXT_Q(a->place.dir),
			(unsigned long long)head_newest(&a->head)->size);
	return rc;
}

/*
 * Opens the store under the flock and makes the log when there is none and
 * `create` says so.
 */
static int
open_store(ofs_audit *a, const char *dir, bool create,
	const struct ofs_audit_init_opts *opts, bool *made, struct ofs_error *e)
{
	bool empty = false;
	int64_t size;
	int rc;

	rc = look_at_db(a, &size, e);
	if (rc == 0 && size < 0 && !create)
		rc = no_log(dir, e);
	if (rc == 0 && size <= 0)
		rc = check_never_was(a, e);
	if (rc == 0 && size < 0)
		rc = place_check_foreign(&a->place, e);
	if (rc == 0 && size < 0)
		rc = create_file(a, e);
	if (rc == 0)
		rc = store_open(&a->store, a->db_path, false, e);
	if (rc == 0)
		rc = store_is_empty(&a->store, &empty, e);
	if (rc != 0)
		return rc;
	if (!empty)
		return store_check(&a->store, e);
	if (!create)
		return no_log(dir, e);
	rc = check_never_was(a, e); /* emptied by the roll-back of a journal */
	if (rc != 0)
		return rc;
	*made = true;
	return create_log(a, opts, e);
}

static int
check_opened(ofs_audit *a, struct ofs_error *e)
{
	int rc;

	rc = handle_read_head(a, e);
	if (rc == 0)
		rc = store_begin(&a->store, false, e);
	if (rc != 0)
		return rc;
	rc = handle_check_tail(a, e);
	if (rc == 0)
		rc = keys_find(a, e);
	store_rollback(&a->store);
	if (rc == 0 && !a->head.present)
		ctx_log(a->ctx, OFS_LOG_WARNING,
			"audit log '%s' has no head file, so that a roll-back "
			"would go unseen; the next record makes a new one",
			TEXT_Q(a->place.dir));
	return rc;
}

/*
 * What a killed writer leaves in the journal was never committed. A reader
 * cannot see past it; where the log is ours, it is rolled back like any
 * writer would.
 */
static bool
roll_back_crash(ofs_audit *a, const char *dir)
{
	struct ofs_error ignored;
	struct store s;

	if (!store_has_journal(a->db_path) ||
		place_check(&a->place, dir, &ignored) != 0 ||
		place_check_fs(&a->place, &ignored) != 0 ||
		store_open(&s, a->db_path, false, &ignored) != 0)
		return false;
	store_close(&s);
	return true;
}

static int
open_for_writing(ofs_audit *a, const char *dir, bool create,
	const struct ofs_audit_init_opts *opts, struct made *made,
	struct ofs_error *e)
{
	bool missing;
	int64_t size = -1;
	int rc;

	rc = find_place(a, dir, &missing, e);
	if (rc != 0 && missing && create) {
		rc = place_make(dir, NULL, e);
		if (rc == 0)
			rc = find_place(a, dir, &missing, e);
	}
	if (rc != 0)
		return missing && !create ? no_log(dir, e) : rc;
	rc = look_at_db(a, &size, e);
	if (rc == 0 && size < 0 && !create)
		rc = no_log(dir, e);
	if (rc == 0 && size < 0)
		rc = place_check_foreign(&a->place, e);
	if (rc == 0)
		rc = enter_place(a, dir, e);
	if (rc != 0)
		return rc;
	/* what was seen before the flock may have changed */
	rc = place_check(&a->place, dir, e);
	if (rc == 0)
		rc = open_store(a, dir, create, opts, &made->log, e);
	if (rc == 0)
		rc = check_opened(a, e);
	if (rc == 0)
		rc = handle_load_key(a, e);
	if (rc != 0 && create) {
		store_close(&a->store);
		place_new_undo_files(&made->place);
	}
	handle_funlock(a);
	return rc;
}

static int
open_for_reading(ofs_audit *a, const char *dir, struct ofs_error *e)
{
	struct ofs_error ignored;
	bool missing;
	int64_t size;
	int rc;

	rc = find_place(a, dir, &missing, e);
	if (rc != 0)
		return missing ? no_log(dir, e) : rc;
	rc = look_at_db(a, &size, e);
	if (rc == 0 && size <= 0)
		rc = no_log(dir, e);
	/* says which batches are running; a copy has none */
	if (rc == 0)
		(void)place_open(&a->place, PLACE_BATCHES, O_RDONLY, false,
			&a->hold.fd, &ignored);
	if (rc == 0)
		rc = store_open(&a->store, a->db_path, true, e);
	if (rc == OFS_EAUDIT && roll_back_crash(a, dir))
		rc = store_open(&a->store, a->db_path, true, e);
	if (rc == 0)
		rc = store_check(&a->store, e);
	if (rc == 0)
		rc = handle_check_genesis(a, e);
	if (rc == 0)
		rc = handle_load_key(a, e);
	return rc != 0 ? rc : keys_find(a, e);
}

static void
made_free(struct made *made, bool undo)
{
	if (undo)
		place_new_undo_dirs(&made->place);
	place_new_free(&made->place);
}

/* who did not ask for a key has to hear that there is one to be kept */
static void
say_made(ofs_audit *a)
{
	struct ofs_audit_keys k;
	struct text_q dir, key;

	if (ofs_audit_get_keys(a, &k) == 0 && k.station_key[0] != '\0')
		ctx_log(a->ctx, OFS_LOG_WARNING,
			"made audit log '%s', encrypted; back up its station "
			"key '%s': without it nothing can be signed here any "
			"more",
			text_q(&dir, a->place.dir),
			text_q(&key, k.station_key));
	else
		ctx_log(a->ctx, OFS_LOG_INFO, "made audit log '%s'",
			TEXT_Q(a->place.dir));
}

int
ofs_audit_open(
	ofs_ctx *ctx, const char *dir, unsigned int flags, ofs_audit **out)
{
	bool read_only = (flags & OFS_AUDIT_READ_ONLY) != 0;
	bool create = (flags & OFS_AUDIT_CREATE) != 0;
	struct made made = { .log = false };
	ofs_audit *a = NULL;
	struct ofs_error e;
	int rc;

	*out = NULL;
	if ((flags & ~(unsigned int)(OFS_AUDIT_CREATE | OFS_AUDIT_READ_ONLY)) !=
			0 ||
		flags == (OFS_AUDIT_CREATE | OFS_AUDIT_READ_ONLY)) {
		(void)err_set(&e, OFS_EINVAL,
			"flags 0x%x for opening an audit log do not fit",
			flags);
		return ctx_fail(ctx, &e);
	}
	rc = handle_new(ctx, read_only, &a, &e);
	if (rc == 0 && create)
		rc = place_new_look(&made.place, dir, &e);
	if (rc == 0 && read_only)
		rc = open_for_reading(a, dir, &e);
	else if (rc == 0)
		rc = open_for_writing(a, dir, create, &no_init_opts, &made, &e);
	made_free(&made, rc != 0);
	if (rc != 0) {
		ofs_audit_free(a);
		return ctx_fail(ctx, &e);
	}
	if (made.log)
		say_made(a);
	*out = a;
	return 0;
}

static int
already(const char *dir, struct ofs_error *e)
{
	return err_set(e, OFS_EEXIST, "there is an audit log in '%s' already",
		TEXT_Q(dir));
}

/* the directory is made, or fit to be made a log's */
static int
prepare_init(
	ofs_audit *a, const char *dir, const char *group, struct ofs_error *e)
{
	bool missing;
	int64_t size;
	int rc;

	rc = find_place(a, dir, &missing, e);
	if (rc != 0 && !missing)
		return rc;
	if (rc == 0) {
		rc = look_at_db(a, &size, e);
		/* one that a crash left half made is nothing afterwards */
		if (rc == 0 && size > 0 && roll_back_crash(a, dir))
			rc = look_at_db(a, &size, e);
		if (rc == 0 && size > 0)
			rc = already(dir, e);
		if (rc == 0)
			rc = place_check_foreign(&a->place, e);
		if (rc == 0)
			rc = place_check(&a->place, dir, e);
		if (rc != 0)
			return rc;
	}
	return place_make(dir, group, e);
}

int
log_init(ofs_ctx *ctx, const char *dir, const struct ofs_audit_init_opts *opts,
	const struct log_token_key *key, const struct log_station_key *station,
	ofs_audit **out, struct ofs_error *e)
{
	struct made made = { .log = false };
	ofs_audit *a = NULL;
	int rc = 0;

	*out = NULL;
	if (opts == NULL)
		opts = &no_init_opts;
	if (opts->size != sizeof(*opts))
		return err_set(e, OFS_EINVAL,
			"options for making an audit log have a wrong size");
	if (key != NULL && opts->audit_key != NULL)
		rc = err_set(e, OFS_EINVAL,
			"an audit log has one audit key: on a token or in a "
			"file");
	if (rc == 0)
		rc = birth_check(opts, station != NULL, e);
	if (rc == 0)
		rc = handle_new(ctx, false, &a, e);
	if (rc == 0)
		rc = place_new_look(&made.place, dir, e);
	if (rc == 0)
		rc = prepare_init(a, dir, opts->group, e);
	if (rc == 0) {
		a->asked_key = opts->audit_key;
		a->asked_token_key = key;
		a->asked_station_key = station;
		rc = open_for_writing(a, dir, true, opts, &made, e);
		a->asked_key = NULL;
		a->asked_token_key = NULL;
		a->asked_station_key = NULL;
	}
	if (rc == 0 && !made.log)
		rc = already(dir, e);
	made_free(&made, rc != 0);
	if (rc != 0)
		ofs_audit_free(a);
	else
		*out = a;
	return rc;
}

int
ofs_audit_init(
	ofs_ctx *ctx, const char *dir, const struct ofs_audit_init_opts *opts)
{
	ofs_audit *a;
	struct ofs_error e;
	int rc = log_init(ctx, dir, opts, NULL, NULL, &a, &e);

	ofs_audit_free(a);
	return rc != 0 ? ctx_fail(ctx, &e) : 0;
}
