/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tells crashdisk what SQLite and we write and sync; fails when told to. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "crashdisk.h"
#include "crashvfs.h"

ssize_t __real_pwrite(int fd, const void *p, size_t n, off_t at);
ssize_t __real_write(int fd, const void *p, size_t n);
int __real_renameat2(
	int dir, const char *from, int to_dir, const char *to, unsigned flags);
int __real_unlink(const char *path);
ssize_t __wrap_pwrite(int fd, const void *p, size_t n, off_t at);
ssize_t __wrap_write(int fd, const void *p, size_t n);
int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_rename(const char *from, const char *to);
int __wrap_renameat2(
	int dir, const char *from, int to_dir, const char *to, unsigned flags);
int __wrap_unlink(const char *path);

static struct {
	bool on;
	enum crash_fault kind;
	size_t at, calls;
} crash;

void
crashvfs_on(enum crash_fault kind, size_t n)
{
	crash.on = true;
	crash.kind = kind;
	crash.at = n;
	crash.calls = 0;
}

void
crashvfs_off(void)
{
	crash.on = false;
}

size_t
crashvfs_calls(void)
{
	return crash.calls;
}

/* what is to happen to this call */
static enum crash_fault
next_call(void)
{
	crash.calls++;
	if (crash.kind == FAULT_DEAD)
		return crash.calls >= crash.at ? FAULT_EIO : FAULT_NONE;
	return crash.calls == crash.at ? crash.kind : FAULT_NONE;
}

/* the path of an open file, or "" where nobody wants to know */
static const char *
path_of(int fd, char *path, size_t size)
{
	char link[32];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = crash.on ? readlink(link, path, size - 1) : 0;
	path[n > 0 ? n : 0] = '\0';
	return path;
}

static int
errno_of(enum crash_fault f)
{
	return f == FAULT_EIO ? EIO : ENOSPC;
}

/* of n bytes, how many are to be written; -1 and errno */
static ssize_t
wrapped_write(const char *path, const void *p, size_t n, off_t at)
{
	enum crash_fault f = next_call();

	if (f == FAULT_SHORT && n > 1) {
		n /= 2;
		/* whoever goes on with the rest meets a full disk */
		crash.kind = FAULT_ENOSPC;
		crash.at = crash.calls + 1;
	} else if (f != FAULT_NONE) {
		errno = errno_of(f);
		return -1;
	}
	disk_note(DISK_WRITE, path, NULL, p, n, (uint64_t)at);
	return (ssize_t)n;
}

ssize_t
__wrap_pwrite(int fd, const void *p, size_t n, off_t at)
{
	char path[256];
	ssize_t some = (ssize_t)n;

	if (disk_has(path_of(fd, path, sizeof(path))))
		some = wrapped_write(path, p, n, at);
	return some < 0 ? -1 : __real_pwrite(fd, p, (size_t)some, at);
}

ssize_t
__wrap_write(int fd, const void *p, size_t n)
{
	char path[256];
	ssize_t some = (ssize_t)n;

	if (disk_has(path_of(fd, path, sizeof(path))))
		some = wrapped_write(path, p, n, lseek(fd, 0, SEEK_CUR));
	return some < 0 ? -1 : __real_write(fd, p, (size_t)some);
}

/* the kernel keeps what is written without: nothing is synced in truth */
static int
wrapped_sync(int fd)
{
	char path[256];
	struct stat st;
	enum crash_fault f;

	if (!disk_has(path_of(fd, path, sizeof(path))))
		return 0;
	if (fstat(fd, &st) != 0)
		return -1;
	f = next_call();
	if (S_ISDIR(st.st_mode) && f == FAULT_NONE)
		disk_note(DISK_SYNC_DIR, path, NULL, NULL, 0, 0);
	else if (!S_ISDIR(st.st_mode))
		disk_note(f == FAULT_NONE ? DISK_SYNC : DISK_SYNC_FAILED, path,
			NULL, NULL, 0, 0);
	if (f == FAULT_NONE)
		return 0;
	errno = errno_of(f);
	return -1;
}

int
__wrap_fsync(int fd)
{
	return wrapped_sync(fd);
}

int
__wrap_fdatasync(int fd)
{
	return wrapped_sync(fd);
}

static int
wrapped_rename(const char *from, const char *to, unsigned int flags)
{
	enum crash_fault f =
		crash.on && disk_has(from) ? next_call() : FAULT_NONE;
	int rc;

	if (f != FAULT_NONE) {
		errno = errno_of(f);
		return -1;
	}
	rc = __real_renameat2(AT_FDCWD, from, AT_FDCWD, to, flags);
	if (rc == 0 && crash.on && disk_has(from))
		disk_note(DISK_RENAME, from, to, NULL, 0, 0);
	return rc;
}

int
__wrap_rename(const char *from, const char *to)
{
	return wrapped_rename(from, to, 0);
}

/* of the library: with absolute paths */
int
__wrap_renameat2(
	int dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	if (dir != AT_FDCWD || to_dir != AT_FDCWD)
		return __real_renameat2(dir, from, to_dir, to, flags);
	return wrapped_rename(from, to, flags);
}

int
__wrap_unlink(const char *path)
{
	enum crash_fault f;

	if (crash.on && disk_has(path)) {
		f = next_call();
		if (f != FAULT_NONE) {
			errno = errno_of(f);
			return -1;
		}
		disk_note(DISK_UNLINK, path, NULL, NULL, 0, 0);
	}
	return __real_unlink(path);
}

/* the rest is the VFS: SQLite's own, with an ear between */
struct file {
	sqlite3_file base;
	const char *path;
	bool dir_due; /* a new journal: its first sync is of the name, too */
	bool watched;
	sqlite3_file *real; /* behind this struct */
};

static sqlite3_vfs *parent;

static struct file *
of(sqlite3_file *f)
{
	return (struct file *)(void *)f;
}

static int
file_close(sqlite3_file *f)
{
	sqlite3_file *r = of(f)->real;

	return r->pMethods != NULL ? r->pMethods->xClose(r) : SQLITE_OK;
}

static int
file_read(sqlite3_file *f, void *to, int n, sqlite3_int64 at)
{
	return of(f)->real->pMethods->xRead(of(f)->real, to, n, at);
}

static int
file_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
	sqlite3_file *r = of(f)->real;
	enum crash_fault fault = FAULT_NONE;

	if (crash.on && of(f)->watched) {
		fault = next_call();
		if (fault == FAULT_EIO)
			return SQLITE_IOERR_WRITE;
		if (fault == FAULT_ENOSPC)
			return SQLITE_FULL;
		if (fault == FAULT_SHORT)
			n /= 2;
		disk_note(DISK_WRITE, of(f)->path, NULL, p, (size_t)n,
			(uint64_t)at);
	}
	if (fault == FAULT_SHORT)
		(void)r->pMethods->xWrite(r, p, n, at);
	return fault == FAULT_SHORT ? SQLITE_FULL
				    : r->pMethods->xWrite(r, p, n, at);
}

static int
file_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	sqlite3_file *r = of(f)->real;

	if (crash.on && of(f)->watched) {
		if (next_call() != FAULT_NONE)
			return SQLITE_IOERR_TRUNCATE;
		disk_note(DISK_TRUNCATE, of(f)->path, NULL, NULL, (size_t)size,
			0);
	}
	return r->pMethods->xTruncate(r, size);
}

static int
sync_dir_of(const char *path)
{
	char dir[256], *slash;

	if (next_call() != FAULT_NONE)
		return SQLITE_IOERR_DIR_FSYNC;
	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (slash != NULL)
		*slash = '\0';
	disk_note(DISK_SYNC_DIR, dir, NULL, NULL, 0, 0);
	return SQLITE_OK;
}

static int
file_sync(sqlite3_file *f, int flags)
{
	struct file *x = of(f);
	bool fails;

	(void)flags;
	if (!crash.on || !x->watched)
		return SQLITE_OK;
	fails = next_call() != FAULT_NONE;
	disk_note(fails ? DISK_SYNC_FAILED : DISK_SYNC, x->path, NULL, NULL, 0,
		0);
	if (fails)
		return SQLITE_IOERR_FSYNC;
	if (!x->dir_due)
		return SQLITE_OK;
	x->dir_due = false;
	return sync_dir_of(x->path);
}

static int
file_size(sqlite3_file *f, sqlite3_int64 *size)
{
	return of(f)->real->pMethods->xFileSize(of(f)->real, size);
}

static int
file_lock(sqlite3_file *f, int level)
{
	return of(f)->real->pMethods->xLock(of(f)->real, level);
}

static int
file_unlock(sqlite3_file *f, int level)
{
	return of(f)->real->pMethods->xUnlock(of(f)->real, level);
}

static int
file_reserved(sqlite3_file *f, int *out)
{
	return of(f)->real->pMethods->xCheckReservedLock(of(f)->real, out);
}

static int
file_control(sqlite3_file *f, int op, void *arg)
{
	return of(f)->real->pMethods->xFileControl(of(f)->real, op, arg);
}

static int
file_sector(sqlite3_file *f)
{
	return of(f)->real->pMethods->xSectorSize(of(f)->real);
}

static int
file_device(sqlite3_file *f)
{
	return of(f)->real->pMethods->xDeviceCharacteristics(of(f)->real);
}

static const sqlite3_io_methods methods = { .iVersion = 1,
	.xClose = file_close,
	.xRead = file_read,
	.xWrite = file_write,
	.xTruncate = file_truncate,
	.xSync = file_sync,
	.xFileSize = file_size,
	.xLock = file_lock,
	.xUnlock = file_unlock,
	.xCheckReservedLock = file_reserved,
	.xFileControl = file_control,
	.xSectorSize = file_sector,
	.xDeviceCharacteristics = file_device };

static int
vfs_open(sqlite3_vfs *v, const char *path, sqlite3_file *f, int flags,
	int *out_flags)
{
	struct file *x = of(f);
	int rc;

	(void)v;
	memset(x, 0, sizeof(*x));
	x->real = (sqlite3_file *)(void *)(x + 1);
	x->path = path;
	x->watched = path != NULL && disk_has(path);
	x->dir_due = (flags & SQLITE_OPEN_MAIN_JOURNAL) != 0 &&
		(flags & SQLITE_OPEN_CREATE) != 0;
	rc = parent->xOpen(parent, path, x->real, flags, out_flags);
	if (rc != SQLITE_OK)
		return rc;
	x->base.pMethods = &methods;
	if (crash.on && x->watched)
		disk_note(DISK_CREATE, path, NULL, NULL, 0, 0);
	return SQLITE_OK;
}

static int
vfs_delete(sqlite3_vfs *v, const char *path, int sync)
{
	int rc;

	(void)v;
	if (crash.on && disk_has(path)) {
		if (next_call() != FAULT_NONE)
			return SQLITE_IOERR_DELETE;
		disk_note(DISK_UNLINK, path, NULL, NULL, 0, 0);
	}
	rc = parent->xDelete(parent, path, 0);
	if (rc == SQLITE_OK && sync && crash.on && disk_has(path))
		rc = sync_dir_of(path);
	return rc;
}

static int
vfs_access(sqlite3_vfs *v, const char *path, int flags, int *out)
{
	(void)v;
	return parent->xAccess(parent, path, flags, out);
}

static int
vfs_full(sqlite3_vfs *v, const char *path, int n, char *out)
{
	(void)v;
	return parent->xFullPathname(parent, path, n, out);
}

static int
vfs_randomness(sqlite3_vfs *v, int n, char *out)
{
	(void)v;
	return parent->xRandomness(parent, n, out);
}

static int
vfs_sleep(sqlite3_vfs *v, int us)
{
	(void)v;
	return parent->xSleep(parent, us);
}

static int
vfs_time(sqlite3_vfs *v, double *out)
{
	(void)v;
	return parent->xCurrentTime(parent, out);
}

static int
vfs_error(sqlite3_vfs *v, int n, char *out)
{
	(void)v;
	return parent->xGetLastError(parent, n, out);
}

void
crashvfs_register(void)
{
	static sqlite3_vfs vfs = { .iVersion = 1,
		.zName = "crash",
		.xOpen = vfs_open,
		.xDelete = vfs_delete,
		.xAccess = vfs_access,
		.xFullPathname = vfs_full,
		.xRandomness = vfs_randomness,
		.xSleep = vfs_sleep,
		.xCurrentTime = vfs_time,
		.xGetLastError = vfs_error };

	parent = sqlite3_vfs_find(NULL);
	vfs.szOsFile = (int)sizeof(struct file) + parent->szOsFile;
	vfs.mxPathname = parent->mxPathname;
	if (sqlite3_vfs_register(&vfs, 1) != SQLITE_OK)
		abort();
}
