/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Turns on one token: an advisory lock that processes share fairly. */
#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/hex.h"
#include "base/text.h"
#include "base/thread.h"
#include "base/time.h"
#include "crypto/digest.h"
#include "token/label.h"
#include "token/lockfile.h"
#include "token/turn.h"

#define DEFAULT_DIR "/run/lock"
#define HOLD_US 100000 /* after which others may have it */
#define LOOK_US 5000   /* between two looks at who waits */
#define SECOND_US 1000000
#define LONGEST_US (INT64_C(86400) * 365 * SECOND_US)

/*
 * lock guards everything; the file belongs to the thread that set `taking`, or
 * to who holds the lock while somebody is inside.
 */
struct turn {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct lockfile file;
	pid_t pid;
	char label[128];
	unsigned int inside;
	bool taking; /* a thread waits for the file lock */
	bool closed; /* somebody else is to have a turn */
	int64_t taken, looked;
};

static int
file_name(char to[64], const CK_TOKEN_INFO *t, struct ofs_error *e)
{
	uint8_t hash[DIGEST_MAX];
	char hex[17];
	struct buf b = BUF_INIT;
	int rc;

	buf_put(&b, t->manufacturerID,
		label_len(t->manufacturerID, sizeof(t->manufacturerID)));
	buf_u8(&b, '|');
	buf_put(&b, t->model, label_len(t->model, sizeof(t->model)));
	buf_u8(&b, '|');
	buf_put(&b, t->serialNumber,
		label_len(t->serialNumber, sizeof(t->serialNumber)));
	rc = buf_ok(&b) ? digest_of(&digest_sha256, b.p, b.len, hash, e)
			: err_nomem(e);
	buf_free(&b);
	if (rc == 0)
		snprintf(
			to, 64, "offlinesig-%s.lock", hex_encode(hex, hash, 8));
	return rc;
}

static bool
prepare(struct turn *t)
{
	if (thread_cond_init(&t->changed) != 0)
		return false;
	if (pthread_mutex_init(&t->lock, NULL) == 0)
		return true;
	(void)pthread_cond_destroy(&t->changed);
	return false;
}

int
turn_open(const char *lock_dir, const CK_TOKEN_INFO *info, struct turn **out,
	struct ofs_error *e)
{
	struct turn *t;
	char name[64];
	int rc;

	*out = NULL;
	if (lock_dir != NULL && lock_dir[0] == '\0')
		return 0;
	rc = file_name(name, info, e);
	if (rc != 0)
		return rc;
	t = calloc(1, sizeof(*t));
	if (t == NULL || !prepare(t)) {
		free(t);
		return err_nomem(e);
	}
	t->pid = getpid();
	label_text(t->label, sizeof(t->label), info->label,
		label_len(info->label, sizeof(info->label)));
	rc = lockfile_open(
		&t->file, lock_dir != NULL ? lock_dir : DEFAULT_DIR, name, e);
	if (rc != 0)
		turn_close(t);
	else
		*out = t;
	return rc;
}

void
turn_close(struct turn *t)
{
	if (t == NULL)
		return;
	lockfile_close(&t->file);
	/* in a child they may be in use by threads that it does not have */
	if (t->pid == getpid()) {
		(void)pthread_mutex_destroy(&t->lock);
		(void)pthread_cond_destroy(&t->changed);
	}
	free(t);
}

/* "user alice" or "user 1000" */
static void
user_name(int64_t uid, char *to, size_t size)
{
	struct passwd pw, *found = NULL;
	size_t n = 1 << 16;
	char *mem = malloc(n);

	if (mem != NULL && uid < UINT32_MAX &&
		getpwuid_r((uid_t)uid, &pw, mem, n, &found) == 0 &&
		found != NULL)
		snprintf(to, size, "user %s", pw.pw_name);
	else
		snprintf(to, size, "user %lld", (long long)uid);
	free(mem);
}

/* the deadline has passed while another process was inside */
static int
blame(const struct turn *t, struct ofs_error *e)
{
	struct lockfile_holder h;
	char user[96], since[48] = "";
	int64_t now = time_now();

	lockfile_holder(&t->file, &h);
	if (h.pid <= 0 || h.uid < 0 || h.program[0] == '\0')
		return err_set(e, OFS_ETOKEN,
			"token '%s' is in use by another program, which holds "
			"'%s'; wait for it or end it",
			t->label, TEXT_Q(t->file.path));
	user_name(h.uid, user, sizeof(user));
	if (h.since > 0 && h.since <= now)
		snprintf(since, sizeof(since), " for %lld s",
			(long long)((now - h.since) / SECOND_US));
	return err_set(e, OFS_ETOKEN,
		"token '%s' is in use by %s (pid %lld, %s)%s; wait for it or "
		"end it",
		t->label, TEXT_Q(h.program), (long long)h.pid, user, since);
}

static int
blame_us(const struct turn *t, struct ofs_error *e)
{
	return err_set(e, OFS_ETOKEN,
		"token '%s' is in use by other calls of this program, and "
		"another process is to be next; try again later",
		t->label);
}

static int
refuse_child(const struct turn *t, struct ofs_error *e)
{
	return err_set(e, OFS_ETOKEN,
		"token '%s' was opened before a fork(); open it again",
		t->label);
}

/* threads inside: whether one more has to let another process go first */
static bool
is_closed(struct turn *t)
{
	int64_t now;

	if (t->closed)
		return true;
	now = time_mono();
	if (now - t->taken < HOLD_US || now - t->looked < LOOK_US)
		return false;
	t->looked = now;
	t->closed = lockfile_wanted(&t->file);
	return t->closed;
}

/* until something changes; false when the deadline has passed */
static bool
wait_change(struct turn *t, int64_t deadline)
{
	int64_t now = time_mono();

	if (now >= deadline)
		return false;
	if (deadline - now > LONGEST_US)
		deadline = now + LONGEST_US;
	(void)thread_cond_wait(&t->changed, &t->lock, deadline);
	return true;
}

/* The first of our threads. The others can give up while it waits. */
static int
take(struct turn *t, int64_t deadline, struct ofs_error *e)
{
	bool got = false;
	int rc;

	t->taking = true;
	(void)pthread_mutex_unlock(&t->lock);
	rc = lockfile_take(&t->file, deadline, &got, e);
	if (rc == 0 && !got)
		rc = blame(t, e);
	(void)pthread_mutex_lock(&t->lock);
	t->taking = false;
	t->closed = false;
	t->taken = t->looked = time_mono();
	(void)pthread_cond_broadcast(&t->changed);
	return rc;
}

int
turn_enter(struct turn *t, int64_t deadline_us, struct ofs_error *e)
{
	int rc = 0;

	if (t == NULL)
		return 0;
	(void)pthread_mutex_lock(&t->lock);
	while (rc == 0 && (t->taking || (t->inside > 0 && is_closed(t))))
		if (!wait_change(t, deadline_us))
			rc = t->taking ? blame(t, e) : blame_us(t, e);
	if (rc == 0 && t->inside == 0)
		rc = t->pid == getpid() ? take(t, deadline_us, e)
					: refuse_child(t, e);
	if (rc == 0)
		t->inside++;
	(void)pthread_mutex_unlock(&t->lock);
	return rc;
}

void
turn_leave(struct turn *t)
{
	if (t == NULL)
		return;
	(void)pthread_mutex_lock(&t->lock);
	if (--t->inside == 0) {
		lockfile_give(&t->file);
		(void)pthread_cond_broadcast(&t->changed);
	}
	(void)pthread_mutex_unlock(&t->lock);
}
