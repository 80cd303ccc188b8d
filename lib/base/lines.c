/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lines of a file of any length, one at a time. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/lines.h"
#include "base/text.h"

#define BLOCK 65536

int
lines_open(struct lines *l, const char *path, size_t max, struct ofs_error *e)
{
	struct stat st;

	memset(l, 0, sizeof(*l));
	l->path = path;
	l->max = max;
	l->fd = strcmp(path, "-") == 0
		? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
		: open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (l->fd < 0)
		return err_sys(
			e, OFS_EIO, errno, "cannot open '%s'", TEXT_Q(path));
	if (fstat(l->fd, &st) == 0 && S_ISDIR(st.st_mode)) {
		lines_close(l);
		return err_set(e, OFS_EIO,
			"cannot read '%s': it is a directory", TEXT_Q(path));
	}
	return 0;
}

void
lines_close(struct lines *l)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	buf_free(&l->block);
}

/* one read; what was handed out makes room */
static int
read_more(struct lines *l, struct ofs_error *e)
{
	uint8_t *p;
	ssize_t got;

	if (l->at > 0) {
		memmove(l->block.p, l->block.p + l->at, l->block.len - l->at);
		l->block.len -= l->at;
		l->at = 0;
	}
	p = buf_grow(&l->block, BLOCK);
	if (p == NULL)
		return err_nomem(e);
	do
		got = read(l->fd, p, BLOCK);
	while (got < 0 && errno == EINTR);
	l->block.len -= BLOCK - (got > 0 ? (size_t)got : 0);
	if (got < 0)
		return err_sys(
			e, OFS_EIO, errno, "cannot read '%s'", TEXT_Q(l->path));
	l->ended = got == 0;
	return 0;
}

int
lines_has(struct lines *l, char c, bool *yes, struct ofs_error *e)
{
	int rc = 0;

	if (l->block.len == 0 && !l->ended)
		rc = read_more(l, e);
	*yes = rc == 0 && l->block.len > 0 &&
		memchr(l->block.p, c, l->block.len) != NULL;
	return rc;
}

int
lines_next(struct lines *l, char end, const uint8_t **p, size_t *n,
	struct ofs_error *e)
{
	const uint8_t *found = NULL;
	size_t seen = 0, left;
	int rc;

	*p = NULL;
	*n = 0;
	for (;;) {
		left = l->block.len - l->at;
		if (left > seen)
			found = memchr(
				l->block.p + l->at + seen, end, left - seen);
		seen = found != NULL ? (size_t)(found - l->block.p) - l->at
				     : left;
		if (seen > l->max)
			return err_set(e, OFS_EFORMAT,
				"line %zu is longer than %zu bytes",
				l->line + 1, l->max);
		if (found != NULL || l->ended)
			break;
		rc = read_more(l, e);
		if (rc != 0)
			return rc;
	}
	if (found == NULL && seen == 0)
		return 0;
	*p = l->block.p + l->at;
	*n = seen;
	l->at += seen + (found != NULL);
	l->cut = found == NULL;
	l->line++;
	return 0;
}
