/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A copy of the log as it is at one moment, made while others write. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/backup.h"

#include "base/ctx.h"
#include "base/file.h"
#include "base/text.h"

#define RANGE_BYTES (1u << 20) /* read in one go */

struct copy {
	ofs_audit *a;
	struct place place;
	char *path; /* of its log.db */
	struct store store;
	struct store_state state;
	struct merkle tree;
};

static int
open_copy(struct copy *c, const char *dir, struct ofs_error *e)
{
	bool missing;
	int fd, rc;

	rc = place_find(dir, &c->place, &missing, e);
	if (rc == 0 && (c->path = place_path(&c->place, PLACE_DB)) == NULL)
		rc = err_nomem(e);
	if (rc == 0)
		rc = place_open(&c->place, PLACE_DB, O_RDWR, true, &fd, e);
	if (rc != 0)
		return rc;
	close(fd);
	rc = store_open(&c->store, c->path, false, e);
	return rc == 0 ? store_begin(&c->store, true, e) : rc;
}

/* state and tables, of one moment; the head file was read before it */
static int
copy_tables(struct copy *c, struct ofs_error *e)
{
	struct store_state before;
	ofs_audit *a = c->a;
	bool nested;
	int rc;

	rc = handle_enter(a, &nested, e);
	if (rc == 0 && nested)
		rc = err_set(e, OFS_EINTERNAL,
			"cannot copy an audit log within a transaction");
	if (rc != 0)
		return rc;
	before = a->state;
	rc = handle_read_head(a, e);
	if (rc == 0)
		rc = store_begin(&a->store, false, e);
	if (rc == 0) {
		rc = store_state_get(&a->store, &a->state, e);
		c->state = a->state;
		if (rc == 0)
			rc = handle_check_head(a, e);
		if (rc == 0)
			rc = store_copy_tables(&a->store, &c->store, e);
		store_rollback(&a->store);
	}
	a->state = before;
	handle_leave(a, false);
	return rc;
}

static int
copy_range(struct copy *c, struct ofs_error *e)
{
	bool nested;
	int rc;

	rc = handle_enter(c->a, &nested, e);
	if (rc != 0)
		return rc;
	rc = store_copy_records(&c->a->store, &c->store, c->state.size,
		RANGE_BYTES, &c->tree, e);
	handle_leave(c->a, nested);
	return rc;
}

static int
check_root(struct copy *c, struct ofs_error *e)
{
	uint8_t root[32];
	int rc;

	rc = merkle_root(&c->tree, root, e);
	if (rc == 0 && memcmp(root, c->state.root, sizeof(root)) != 0)
		rc = err_set(e, OFS_EDAMAGED,
			"root of the audit log is not that of its %llu records",
			(unsigned long long)c->state.size);
	return rc;
}

/* the copy has a head file of its own, so that it can be verified by itself */
static int
write_head(struct copy *c, struct ofs_error *e)
{
	static const struct head_file none;
	struct head h = { .size = c->state.size, .time = ctx_now(c->a->ctx) };
	int fd, rc;

	if (h.time < 0)
		h.time = 0;
	memcpy(h.log_id, c->state.log_id, sizeof(h.log_id));
	memcpy(h.root, c->state.root, sizeof(h.root));
	rc = place_open(&c->place, PLACE_HEAD, O_RDWR, true, &fd, e);
	if (rc != 0)
		return rc;
	rc = head_write(fd, &none, &h, e);
	close(fd);
	return rc;
}

static int
commit(struct copy *c, struct ofs_error *e)
{
	struct ofs_error why;

	if (store_commit(&c->store, &why) == 0)
		return 0;
	return err_set(e, why.code == OFS_ENOMEM ? OFS_ENOMEM : OFS_EIO,
		"cannot write a copy of the audit log in '%s': %s",
		TEXT_Q(c->place.dir), why.message);
}

static int
copy_all(struct copy *c, backup_progress_fn fn, void *arg, struct ofs_error *e)
{
	int rc;

	rc = copy_tables(c, e);
	while (rc == 0 && c->tree.size < c->state.size) {
		if (fn != NULL)
			fn(arg, c->tree.size, c->state.size);
		rc = copy_range(c, e);
	}
	if (rc == 0)
		rc = check_root(c, e);
	if (rc == 0)
		rc = commit(c, e);
	if (rc == 0)
		rc = write_head(c, e);
	if (rc == 0 && fn != NULL)
		fn(arg, c->state.size, c->state.size);
	return rc;
}

int
backup_copy(ofs_audit *a, const char *to, backup_progress_fn fn, void *arg,
	struct store_state *st, struct ofs_error *e)
{
	struct copy c = { .a = a };
	char *journal = file_join(to, PLACE_JOURNAL);
	int rc;

	merkle_init(&c.tree);
	rc = journal != NULL ? open_copy(&c, to, e) : err_nomem(e);
	if (rc == 0)
		rc = copy_all(&c, fn, arg, e);
	if (c.store.db != NULL)
		store_rollback(&c.store);
	store_close(&c.store);
	/* empty: what SQLite leaves of it */
	if (rc == 0 && unlink(journal) != 0 && errno != ENOENT)
		rc = err_sys(e, OFS_EIO, errno, "cannot remove '%s'",
			TEXT_Q(journal));
	*st = c.state;
	merkle_free(&c.tree);
	place_free(&c.place);
	free(c.path);
	free(journal);
	return rc;
}

void
backup_remove(const char *dir, const char *more)
{
	static const char *const names[] = { PLACE_DB, PLACE_JOURNAL,
		PLACE_HEAD, PLACE_HEAD_NEW, PLACE_LOCK, PLACE_BATCHES };
	char *path;
	size_t i;

	for (i = 0; i <= sizeof(names) / sizeof(names[0]); i++) {
		path = file_join(dir,
			i < sizeof(names) / sizeof(names[0]) ? names[i] : more);
		if (path != NULL)
			(void)unlink(path);
		free(path);
	}
	(void)rmdir(dir);
}
