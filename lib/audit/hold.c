/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Locks that say which batches are running; they die with their process. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/hold.h"

int
hold_init(struct hold *h, struct ofs_error *e)
{
	int errnum;

	memset(h, 0, sizeof(*h));
	h->fd = -1;
	errnum = pthread_mutex_init(&h->lock, NULL);
	if (errnum != 0)
		return err_sys(e, OFS_EAUDIT, errnum, "cannot make a lock");
	return 0;
}

void
hold_free(struct hold *h)
{
	if (h->fd >= 0)
		close(h->fd);
	h->fd = -1;
	free(h->held);
	pthread_mutex_destroy(&h->lock);
}

static struct flock
one_byte(uint64_t number, short type)
{
	struct flock f;

	memset(&f, 0, sizeof(f));
	f.l_type = type;
	f.l_whence = SEEK_SET;
	f.l_start = (off_t)number;
	f.l_len = 1;
	return f;
}

static size_t
find(const struct hold *h, uint64_t number)
{
	size_t i;

	for (i = 0; i < h->n; i++)
		if (h->held[i] == number)
			break;
	return i;
}

static int
take(struct hold *h, uint64_t number, struct ofs_error *e)
{
	struct flock f = one_byte(number, F_WRLCK);
	uint64_t *grown;

	if (h->fd < 0)
		return err_set(e, OFS_EAUDIT,
			"cannot hold a batch: the audit log is read-only");
	if (number > INT64_MAX || find(h, number) < h->n)
		return err_set(e, OFS_EAUDIT,
			"batch %llu is running in this process",
			(unsigned long long)number);
	if (h->n == h->cap) {
		grown = reallocarray(h->held, h->cap + 16, sizeof(*grown));
		if (grown == NULL)
			return err_nomem(e);
		h->held = grown;
		h->cap += 16;
	}
	if (fcntl(h->fd, F_OFD_SETLK, &f) != 0) {
		if (errno == EAGAIN || errno == EACCES)
			return err_set(e, OFS_EAUDIT,
				"batch %llu is running elsewhere",
				(unsigned long long)number);
		return err_sys(e, OFS_EAUDIT, errno, "cannot lock batch %llu",
			(unsigned long long)number);
	}
	h->held[h->n++] = number;
	return 0;
}

int
hold_take(struct hold *h, uint64_t number, struct ofs_error *e)
{
	int rc;

	pthread_mutex_lock(&h->lock);
	rc = take(h, number, e);
	pthread_mutex_unlock(&h->lock);
	return rc;
}

static void
drop_at(struct hold *h, size_t i)
{
	struct flock f = one_byte(h->held[i], F_UNLCK);

	h->held[i] = h->held[--h->n];
	(void)fcntl(h->fd, F_OFD_SETLK, &f);
}

void
hold_drop(struct hold *h, uint64_t number)
{
	size_t i;

	pthread_mutex_lock(&h->lock);
	i = find(h, number);
	if (i < h->n)
		drop_at(h, i);
	pthread_mutex_unlock(&h->lock);
}

void
hold_drop_from(struct hold *h, uint64_t first)
{
	size_t i;

	pthread_mutex_lock(&h->lock);
	for (i = h->n; i > 0; i--)
		if (h->held[i - 1] >= first && h->held[i - 1] < HOLD_LISTS)
			drop_at(h, i - 1);
	pthread_mutex_unlock(&h->lock);
}

/* where the kernel cannot be asked, a batch counts as running: left alone */
bool
hold_alive(struct hold *h, uint64_t number)
{
	struct flock f = one_byte(number, F_WRLCK);
	bool alive = false;

	if (h->fd < 0 || number > INT64_MAX)
		return false;
	pthread_mutex_lock(&h->lock);
	if (find(h, number) < h->n)
		alive = true;
	else
		alive = fcntl(h->fd, F_OFD_GETLK, &f) != 0 ||
			f.l_type != F_UNLCK;
	pthread_mutex_unlock(&h->lock);
	return alive;
}
