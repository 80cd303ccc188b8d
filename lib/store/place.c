/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a log lies: its directory and files, and who may get at them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/place.h"

#include "base/file.h"
#include "base/text.h"

/* bytes for a group and its members: at first, and at most */
#define GROUP_FIRST (1u << 14)
#define GROUP_MAX (1u << 20)

static const char *const file_names[] = { PLACE_DB, PLACE_JOURNAL, PLACE_HEAD,
	PLACE_HEAD_NEW, PLACE_LOCK, PLACE_BATCHES };

#define N_FILES (sizeof(file_names) / sizeof(file_names[0]))

void
place_free(struct place *p)
{
	free(p->dir);
	p->dir = NULL;
}

char *
place_path(const struct place *p, const char *name)
{
	return file_join(p->dir, name);
}

/* lstat(2) of the last component: "DIR/" would follow a link */
static int
look(const char *dir, struct stat *st, struct ofs_error *e)
{
	size_t len = strlen(dir);
	char *s = strdup(dir);
	int rc = 0;

	if (s == NULL)
		return err_nomem(e);
	while (len > 1 && s[len - 1] == '/')
		s[--len] = '\0';
	if (lstat(s, st) != 0)
		rc = err_sys(e, OFS_EAUDIT, errno, "cannot find audit log '%s'",
			TEXT_Q(dir));
	free(s);
	return rc;
}

static int
cannot_open(const char *dir, int errnum, struct ofs_error *e)
{
	return err_sys(e, OFS_EAUDIT, errnum, "cannot open audit log '%s'%s",
		TEXT_Q(dir),
		errnum == EACCES ? ", which is for its owner and its group "
				   "(ofs-audit init --group)"
				 : "");
}

int
place_find(const char *dir, struct place *p, bool *missing, struct ofs_error *e)
{
	struct stat st;

	memset(p, 0, sizeof(*p));
	*missing = false;
	if (dir[0] == '\0')
		return err_set(e, OFS_EINVAL, "audit directory has no name");
	if (stat(dir, &st) != 0) {
		*missing = errno == ENOENT;
		return cannot_open(dir, errno, e);
	}
	if (!S_ISDIR(st.st_mode))
		return err_set(e, OFS_EAUDIT,
			"cannot open audit log '%s': it is not a directory",
			TEXT_Q(dir));
	p->dir = realpath(dir, NULL);
	return p->dir != NULL ? 0 : cannot_open(dir, errno, e);
}

/* a group's members are named with it, however many; an errno, or 0 */
static int
look_up_group(const char *name, gid_t *gid, bool *has)
{
	struct group g, *found = NULL;
	int errnum = ERANGE;
	char *mem;

	*has = false;
	for (size_t n = GROUP_FIRST; errnum == ERANGE && n <= GROUP_MAX;
		n *= 4) {
		mem = malloc(n);
		if (mem == NULL)
			return ENOMEM;
		errnum = getgrnam_r(name, &g, mem, n, &found);
		*has = errnum == 0 && found != NULL;
		if (*has)
			*gid = g.gr_gid;
		free(mem);
	}
	return errnum;
}

static int
find_group(const char *name, gid_t *gid, struct ofs_error *e)
{
	bool has;
	int errnum = look_up_group(name, gid, &has);

	if (errnum == ENOMEM)
		return err_nomem(e);
	if (errnum == ERANGE)
		return err_set(e, OFS_EAUDIT,
			"cannot share with group '%s': its list of members is "
			"longer than %u MiB",
			TEXT_Q(name), GROUP_MAX >> 20);
	if (errnum != 0)
		return err_sys(e, OFS_EAUDIT, errnum, "cannot find group '%s'",
			TEXT_Q(name));
	if (!has)
		return err_set(
			e, OFS_EINVAL, "there is no group '%s'", TEXT_Q(name));
	return 0;
}

static int
share_dir(const char *dir, gid_t gid, struct ofs_error *e)
{
	int fd, rc = 0;

	fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fchown(fd, (uid_t)-1, gid) != 0 || fchmod(fd, 02770) != 0)
		rc = err_sys(e, OFS_EAUDIT, errno,
			"cannot share audit directory '%s' with its group",
			TEXT_Q(dir));
	if (fd >= 0)
		close(fd);
	return rc;
}

int
place_make(const char *dir, const char *group, struct ofs_error *e)
{
	gid_t gid = 0;
	int rc = 0;

	if (group != NULL)
		rc = find_group(group, &gid, e);
	if (rc != 0)
		return rc;
	if (file_mkdirs(dir, 0700, e) != 0)
		return e->code = OFS_EAUDIT;
	return group != NULL ? share_dir(dir, gid, e) : 0;
}

int
place_share(const char *dir, gid_t gid, struct ofs_error *e)
{
	struct text_q q;
	char *path;
	size_t i;
	int rc = 0;

	/* before the directory: from then on others put files into it */
	for (i = 0; i < N_FILES && rc == 0; i++) {
		path = file_join(dir, file_names[i]);
		if (path == NULL)
			return err_nomem(e);
		if ((lchown(path, (uid_t)-1, gid) != 0 ||
			    chmod(path, 0660) != 0) &&
			errno != ENOENT)
			rc = err_sys(e, OFS_EAUDIT, errno,
				"cannot share '%s' with its group",
				text_q(&q, path));
		free(path);
	}
	return rc == 0 ? share_dir(dir, gid, e) : rc;
}

static int
check_dir(struct place *p, const char *dir, const struct stat *st,
	struct ofs_error *e)
{
	mode_t mode = st->st_mode & 07777;

	if (S_ISLNK(st->st_mode))
		return err_set(e, OFS_EAUDIT,
			"cannot write audit log '%s': it is a symbolic link; "
			"name the directory itself",
			TEXT_Q(dir));
	p->gid = st->st_gid;
	p->shared = (mode & 02070) == 02070;
	if ((mode & 07) != 0 || (!p->shared && (mode & 070) != 0))
		return err_set(e, OFS_EAUDIT,
			"cannot write audit log '%s': its directory has mode "
			"%04o and is open to others; it must be 0700, or 2770 "
			"when shared with a group",
			TEXT_Q(dir), (unsigned int)mode);
	if (!p->shared && st->st_uid != geteuid())
		return err_set(e, OFS_EAUDIT,
			"cannot write audit log '%s': it belongs to user %lu "
			"and not to user %lu",
			TEXT_Q(dir), (unsigned long)st->st_uid,
			(unsigned long)geteuid());
	return 0;
}

static int
check_file(const struct place *p, const char *name, struct ofs_error *e)
{
	char *path = place_path(p, name);
	struct text_q q;
	struct stat st;
	mode_t mode;
	int rc = 0, found;

	if (path == NULL)
		return err_nomem(e);
	found = lstat(path, &st);
	if (found != 0 && errno != ENOENT)
		rc = err_sys(e, OFS_EAUDIT, errno, "cannot look at '%s'",
			text_q(&q, path));
	if (found != 0)
		goto out;
	mode = st.st_mode & 07777;
	if (!S_ISREG(st.st_mode) || st.st_nlink > 1)
		rc = err_set(e, OFS_EAUDIT,
			"cannot write audit log: '%s' is %s", text_q(&q, path),
			S_ISREG(st.st_mode) ? "linked from elsewhere"
					    : "not a regular file");
	else if (p->shared ? st.st_gid != p->gid : st.st_uid != geteuid())
		rc = err_set(e, OFS_EAUDIT,
			"cannot write audit log: '%s' belongs to %s %lu",
			text_q(&q, path), p->shared ? "group" : "user",
			(unsigned long)(p->shared ? st.st_gid : st.st_uid));
	else if (p->shared ? mode != 0660 : mode != 0600)
		rc = err_set(e, OFS_EAUDIT,
			"cannot write audit log: '%s' has mode %04o instead "
			"of %04o",
			text_q(&q, path), (unsigned int)mode,
			p->shared ? 0660u : 0600u);
out:
	free(path);
	return rc;
}

int
place_check_foreign(const struct place *p, struct ofs_error *e)
{
	struct dirent *entry;
	DIR *d = opendir(p->dir);
	int rc = 0;
	size_t i;

	if (d == NULL)
		return err_sys(e, OFS_EAUDIT, errno, "cannot read '%s'",
			TEXT_Q(p->dir));
	while (rc == 0 && (entry = readdir(d)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 ||
			strcmp(entry->d_name, "..") == 0)
			continue;
		for (i = 0; i < N_FILES; i++)
			if (strcmp(entry->d_name, file_names[i]) == 0)
				break;
		if (i == N_FILES)
			rc = err_set(e, OFS_EAUDIT,
				"cannot create an audit log in '%s': it holds "
				"other files, such as '%s'; name a directory "
				"of its own",
				TEXT_Q(p->dir), TEXT_Q(entry->d_name));
	}
	closedir(d);
	return rc;
}

/* a log that went on in its backup would be another one than ours */
static int
check_no_backup(const struct place *p, struct ofs_error *e)
{
	char *path = place_path(p, PLACE_MANIFEST);
	struct stat st;
	int rc = 0;

	if (path == NULL)
		return err_nomem(e);
	if (lstat(path, &st) == 0)
		rc = err_set(e, OFS_EAUDIT,
			"cannot write audit log '%s': it is a backup; restore "
			"it with ofs-audit restore",
			TEXT_Q(p->dir));
	free(path);
	return rc;
}

int
place_check(struct place *p, const char *dir, struct ofs_error *e)
{
	struct stat st;
	size_t i;
	int rc;

	rc = look(dir, &st, e);
	if (rc == 0)
		rc = check_dir(p, dir, &st, e);
	for (i = 0; i < N_FILES && rc == 0; i++)
		rc = check_file(p, file_names[i], e);
	return rc == 0 ? check_no_backup(p, e) : rc;
}

int
place_open(const struct place *p, const char *name, int flags, bool create,
	int *fd, struct ofs_error *e)
{
	char *path = place_path(p, name);
	struct text_q q;
	int rc = 0;

	*fd = -1;
	if (path == NULL)
		return err_nomem(e);
	flags |= O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	*fd = open(path, flags);
	if (*fd < 0 && errno == ENOENT && create) {
		*fd = open(path, flags | O_CREAT, 0600);
		/* past the umask; the group comes from the directory */
		if (*fd >= 0 && fchmod(*fd, p->shared ? 0660 : 0600) != 0) {
			close(*fd);
			*fd = -1;
		}
	}
	if (*fd < 0 && (create || errno != ENOENT))
		rc = err_sys(e, OFS_EAUDIT, errno,
			errno == EROFS ? "cannot write '%s', though verify, "
					 "list and show can read that log"
				       : "cannot open '%s'",
			text_q(&q, path));
	free(path);
	return rc;
}
