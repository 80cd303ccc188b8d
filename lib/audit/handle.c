/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The audit handle: its locks, its head file, its error record. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "audit/checkpoint.h"

#include "base/ctx.h"
#include "base/file.h"
#include "base/text.h"

static int
init_locks(ofs_audit *a, struct ofs_error *e)
{
	pthread_mutexattr_t attr;
	int errnum;

	errnum = pthread_mutexattr_init(&attr);
	if (errnum == 0) {
		(void)pthread_mutexattr_settype(
			&attr, PTHREAD_MUTEX_ERRORCHECK);
		errnum = pthread_mutex_init(&a->lock, &attr);
		pthread_mutexattr_destroy(&attr);
	}
	if (errnum != 0)
		return err_sys(e, OFS_EAUDIT, errnum, "cannot make a lock");
	errnum = pthread_mutex_init(&a->err_lock, NULL);
	if (errnum != 0) {
		pthread_mutex_destroy(&a->lock);
		return err_sys(e, OFS_EAUDIT, errnum, "cannot make a lock");
	}
	if (hold_init(&a->hold, e) != 0)
		goto fail;
	if (group_init(&a->group, e) == 0)
		return 0;
	hold_free(&a->hold);
fail:
	pthread_mutex_destroy(&a->lock);
	pthread_mutex_destroy(&a->err_lock);
	return e->code;
}

int
handle_new(ofs_ctx *ctx, bool read_only, ofs_audit **out, struct ofs_error *e)
{
	ofs_audit *a = calloc(1, sizeof(*a));
	int rc;

	*out = NULL;
	if (a == NULL)
		return err_nomem(e);
	a->ctx = ctx;
	a->read_only = read_only;
	a->lock_fd = a->head_fd = -1;
	err_clear(&a->err);
	merkle_init(&a->tree);
	rc = init_locks(a, e);
	if (rc != 0) {
		free(a);
		return rc;
	}
	rc = tag_init(&a->tag, e);
	if (rc != 0) {
		ofs_audit_free(a);
		return rc;
	}
	rc = keys_init(&a->keys, e);
	if (rc != 0) {
		ofs_audit_free(a);
		return rc;
	}
	handle_find_operator(a);
	*out = a;
	return 0;
}

void
ofs_audit_free(ofs_audit *a)
{
	if (a == NULL)
		return;
	if (a->in_tx)
		log_rollback(a);
	checkpoint_at_end(a);
	auditkey_free(&a->key);
	note_key_free(&a->pin);
	store_close(&a->store);
	hold_free(&a->hold);
	group_free(&a->group);
	if (a->head_fd >= 0)
		close(a->head_fd);
	if (a->lock_fd >= 0)
		close(a->lock_fd);
	merkle_free(&a->tree);
	tag_free(&a->tag);
	keys_free(&a->keys);
	digest_free(&a->sha);
	buf_free(&a->done);
	buf_free(&a->heads);
	sk_X509_pop_free(a->tsa_trust, X509_free);
	sk_X509_pop_free(a->tsa_chain, X509_free);
	for (size_t i = 0; i < a->n_witnesses; i++)
		note_key_free(&a->witnesses[i]);
	free(a->witnesses);
	place_free(&a->place);
	free(a->db_path);
	pthread_mutex_destroy(&a->lock);
	pthread_mutex_destroy(&a->err_lock);
	free(a);
}

bool
handle_has_tags(const ofs_audit *a)
{
	return a->keys.mode == LOG_PLAIN || a->keys.s->has_tag;
}

int
handle_fail(ofs_audit *a, const struct ofs_error *e)
{
	pthread_mutex_lock(&a->err_lock);
	a->err = *e;
	pthread_mutex_unlock(&a->err_lock);
	return e->code;
}

void
ofs_audit_error(ofs_audit *a, struct ofs_error *out)
{
	pthread_mutex_lock(&a->err_lock);
	*out = a->err;
	pthread_mutex_unlock(&a->err_lock);
}

int
handle_enter(ofs_audit *a, bool *nested, struct ofs_error *e)
{
	int errnum = pthread_mutex_lock(&a->lock);

	*nested = errnum == EDEADLK;
	if (*nested && !a->in_tx)
		return err_set(e, OFS_EINTERNAL,
			"audit log was called from within its own walk");
	if (errnum != 0 && !*nested)
		return err_sys(e, OFS_EINTERNAL, errnum,
			"cannot lock the audit handle");
	if (!a->latched)
		return 0;
	*e = a->latch;
	handle_leave(a, *nested);
	return e->code;
}

void
handle_leave(ofs_audit *a, bool nested)
{
	if (!nested)
		pthread_mutex_unlock(&a->lock);
}

bool
handle_is_ours(ofs_audit *a)
{
	static const struct timespec past;
	int errnum = pthread_mutex_timedlock(&a->lock, &past);

	if (errnum == 0)
		pthread_mutex_unlock(&a->lock);
	return errnum == EDEADLK;
}

/* a lock of one byte, which only those take who then want the flock */
static int
lock_gate(ofs_audit *a, int cmd, short type)
{
	struct flock gate = {
		.l_type = type, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1
	};
	int rc;

	do
		rc = fcntl(a->lock_fd, cmd, &gate);
	while (rc != 0 && errno == EINTR);
	return rc;
}

int
handle_load_key(ofs_audit *a, struct ofs_error *e)
{
	auditkey_free(&a->key);
	return auditkey_load(&a->key, &a->store, &a->place, a->read_only, e);
}

/*
 * Whoever has just given the flock back and wants it again is running, and
 * those who wait for it are asleep: it would win most times. So one at a time
 * waits for the flock, and the others for the gate before it.
 */
int
handle_flock(ofs_audit *a, struct ofs_error *e)
{
	int rc = lock_gate(a, F_OFD_SETLKW, F_WRLCK);

	if (rc != 0)
		return err_sys(e, OFS_EAUDIT, errno, "cannot lock audit log");
	do
		rc = flock(a->lock_fd, LOCK_EX);
	while (rc != 0 && errno == EINTR);
	if (rc != 0)
		(void)err_sys(e, OFS_EAUDIT, errno, "cannot lock audit log");
	(void)lock_gate(a, F_OFD_SETLK, F_UNLCK);
	return rc != 0 ? e->code : 0;
}

void
handle_funlock(ofs_audit *a)
{
	(void)flock(a->lock_fd, LOCK_UN);
}

/* a file that lost its name is not the head file any more */
static void
drop_unlinked_head(ofs_audit *a)
{
	struct stat st;

	if (a->head_fd < 0 || (fstat(a->head_fd, &st) == 0 && st.st_nlink > 0))
		return;
	close(a->head_fd);
	a->head_fd = -1;
}

int
handle_read_head(ofs_audit *a, struct ofs_error *e)
{
	int rc = 0;

	drop_unlinked_head(a);
	if (a->head_fd < 0)
		rc = place_open(&a->place, PLACE_HEAD,
			a->read_only ? O_RDONLY : O_RDWR, false, &a->head_fd,
			e);
	return rc != 0 ? rc : head_read(a->head_fd, &a->head, e);
}

/* written aside and renamed: a head file always has a whole slot */
static int
create_head(ofs_audit *a, const struct head *h, struct ofs_error *e)
{
	char *from = place_path(&a->place, PLACE_HEAD_NEW);
	char *to = place_path(&a->place, PLACE_HEAD);
	int rc, fd = -1;

	if (from == NULL || to == NULL) {
		rc = err_nomem(e);
		goto out;
	}
	(void)unlink(from);
	rc = place_open(&a->place, PLACE_HEAD_NEW, O_RDWR, true, &fd, e);
	if (rc == 0)
		rc = head_write(fd, &a->head, h, e);
	if (rc == 0 && (fsync(fd) != 0 || rename(from, to) != 0))
		rc = err_sys(e, OFS_EAUDIT, errno,
			"cannot write the head file of the audit log");
	if (rc == 0 && file_sync_dir(a->place.dir, e) != 0)
		rc = e->code = OFS_EAUDIT;
	if (rc == 0)
		a->head_fd = fd;
	else if (fd >= 0)
		close(fd);
out:
	free(from);
	free(to);
	return rc;
}

int
handle_write_head(ofs_audit *a, struct ofs_error *e)
{
	struct head h = { .size = a->state.size, .time = ctx_now(a->ctx) };

	if (h.time < 0)
		h.time = 0;
	memcpy(h.log_id, a->state.log_id, sizeof(h.log_id));
	memcpy(h.root, a->state.root, sizeof(h.root));
	if (a->head_fd < 0)
		return create_head(a, &h, e);
	return head_write(a->head_fd, &a->head, &h, e);
}

void
handle_know_head(ofs_audit *a)
{
	a->known = a->head;
	a->known_size = a->state.size;
	memcpy(a->known_root, a->state.root, sizeof(a->known_root));
}

/* found right before, of the very tree that the store still has */
static bool
is_known(const ofs_audit *a, const struct head *h)
{
	if (a->known_size != a->state.size ||
		memcmp(a->known_root, a->state.root, sizeof(a->known_root)) !=
			0)
		return false;
	for (int i = 0; i < HEAD_SLOTS; i++) {
		const struct head *k = &a->known.slot[i];

		if (a->known.valid[i] && k->size == h->size &&
			memcmp(k->log_id, h->log_id, sizeof(k->log_id)) == 0 &&
			memcmp(k->root, h->root, sizeof(k->root)) == 0)
			return true;
	}
	return false;
}

static int
check_slot(ofs_audit *a, const struct head *h, struct ofs_error *e)
{
	uint8_t root[32];
	int rc = 0;

	if (memcmp(h->log_id, a->state.log_id, sizeof(h->log_id)) != 0)
		return err_set(e, OFS_EDAMAGED,
			"audit log '%s' is not the one of its head file: one "
			"of the two was replaced",
			TEXT_Q(a->place.dir));
	if (h->size > a->state.size)
		return err_set(e, OFS_EDAMAGED,
			"audit log '%s' was rolled back: it holds %llu "
			"records, and its head file knows of %llu; bring the "
			"newer log.db back",
			TEXT_Q(a->place.dir), (unsigned long long)a->state.size,
			(unsigned long long)h->size);
	memcpy(root, a->state.root, sizeof(root));
	if (h->size < a->state.size)
		rc = store_root_at(&a->store, h->size, root, e);
	if (rc == 0 && memcmp(root, h->root, sizeof(root)) != 0)
		rc = err_set(e, OFS_EDAMAGED,
			"audit log '%s' was rewritten: its first %llu records "
			"are not those that its head file knows of",
			TEXT_Q(a->place.dir), (unsigned long long)h->size);
	return rc;
}

int
handle_check_head(ofs_audit *a, struct ofs_error *e)
{
	int rc = 0;

	for (int i = 0; i < HEAD_SLOTS && rc == 0; i++)
		if (a->head.valid[i] && !is_known(a, &a->head.slot[i]))
			rc = check_slot(a, &a->head.slot[i], e);
	return rc;
}
