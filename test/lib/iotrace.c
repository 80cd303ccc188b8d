/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Preloaded: writes down what a process does to the files below a directory. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/*
 * IOTRACE=FILE is appended to, IOTRACE_DIR is the directory (without symbolic
 * links). An event is a line
 *
 *     OP CALLS SAID INODE NUMBER LENGTH LENGTH
 *
 * then as many bytes of path and of a second path or data. OP is c (created
 * file; no path: one without a name), d (mkdir), w (write at NUMBER),
 * t (truncated to NUMBER), s (synced), S (everything is synced), r (renamed to
 * the second path), l (linked: INODE at the path), u (unlinked), x (done by
 * what is not traced: NUMBER is the line below). CALLS: how often C_Sign was
 * called by then, from IOTRACE_COUNTS, a file of faultp11's. SAID: how much was
 * written to standard output, a file, by then. One call at a time, so that the
 * events are in the order in which the calls were made.
 */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int trace_fd = -1;
static const char *dir;
static size_t dir_len;

#define REAL(type, name, args) ((type(*) args)dlsym(RTLD_NEXT, name))

/* not by dlsym(): sanitizers open and map before it can be called */
static int
real_open(int at, const char *path, int flags, mode_t mode)
{
	return (int)syscall(SYS_openat, at, path, flags, mode);
}

static void
start(void)
{
	const char *file = getenv("IOTRACE");

	dir = getenv("IOTRACE_DIR");
	if (file == NULL || dir == NULL)
		return;
	dir_len = strlen(dir);
	trace_fd = real_open(AT_FDCWD, file,
		O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (trace_fd < 0)
		_exit(99);
}

static int
is_on(void)
{
	pthread_once(&once, start);
	return trace_fd >= 0;
}

static int
below(const char *path)
{
	return strncmp(path, dir, dir_len) == 0 &&
		(path[dir_len] == '/' || path[dir_len] == '\0');
}

/* whether it is below the directory; its path, absolute */
static int
path_of_fd(int fd, char path[PATH_MAX])
{
	char name[64];
	ssize_t n;
	int saved = errno;

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	n = readlink(name, path, PATH_MAX - 1);
	errno = saved;
	if (n < 0)
		return 0;
	path[n] = '\0';
	return below(path);
}

/* the same of a name that may not exist, but its directory does */
static int
path_of_name(int at, const char *name, char path[PATH_MAX])
{
	char full[2 * PATH_MAX], base[PATH_MAX], *slash;
	int saved = errno;

	if (name[0] == '/' || at == AT_FDCWD)
		snprintf(full, sizeof(full), "%s%s", name[0] == '/' ? "" : "./",
			name);
	else
		snprintf(full, sizeof(full), "/proc/self/fd/%d/%s", at, name);
	while (strlen(full) > 1 && full[strlen(full) - 1] == '/')
		full[strlen(full) - 1] = '\0';
	slash = strrchr(full, '/');
	snprintf(base, sizeof(base), "%s", slash + 1);
	slash[slash == full] = '\0';
	if (realpath(full, path) == NULL) {
		errno = saved;
		return 0;
	}
	snprintf(full, sizeof(full), "%s/%s", path[1] ? path : "", base);
	snprintf(path, PATH_MAX, "%s", full);
	errno = saved;
	return below(path);
}

static unsigned long
c_sign_calls(void)
{
	const char *file = getenv("IOTRACE_COUNTS");
	unsigned long n = 0;
	char all[16384], *at;
	ssize_t len;
	int fd;

	fd = file != NULL ? real_open(AT_FDCWD, file, O_RDONLY | O_CLOEXEC, 0)
			  : -1;
	if (fd < 0)
		return 0;
	len = read(fd, all, sizeof(all) - 1);
	close(fd);
	all[len > 0 ? len : 0] = '\0';
	at = strstr(all, " C_Sign ");
	if (at != NULL && at - all >= 8)
		n = strtoul(at - 8, NULL, 10);
	return n;
}

static void
note(char op, ino_t ino, long long number, const char *path, const void *p,
	size_t n)
{
	size_t path_len = path != NULL ? strlen(path) : 0;
	struct iovec v[3];
	char head[160];
	struct stat out;
	int saved = errno;

	if (fstat(STDOUT_FILENO, &out) != 0)
		out.st_size = 0;
	v[0].iov_base = head;
	v[0].iov_len = (size_t)snprintf(head, sizeof(head),
		"%c %lu %lld %llu %lld %zu %zu\n", op, c_sign_calls(),
		(long long)out.st_size, (unsigned long long)ino, number,
		path_len, n);
	v[1] = (struct iovec){ (void *)(size_t)path, path_len };
	v[2] = (struct iovec){ (void *)(size_t)p, n };
	if (REAL(ssize_t, "writev", (int, const struct iovec *, int))(
		    trace_fd, v, 3) != (ssize_t)(v[0].iov_len + path_len + n))
		_exit(99);
	errno = saved;
}

static void
note_fd(char op, int fd, long long number, const void *p, size_t n)
{
	char path[PATH_MAX];
	struct stat st;

	if (path_of_fd(fd, path) && fstat(fd, &st) == 0)
		note(op, st.st_ino, number, path, p, n);
}

/* what we do not follow: the replay stops there */
static void
note_untraced(int fd, int line)
{
	if (is_on())
		note_fd('x', fd, line, NULL, 0);
}

static int
opened(int at, const char *name, int flags, mode_t mode)
{
	char path[PATH_MAX];
	struct stat st;
	int fd, was_there;

	if ((flags & (O_CREAT | O_TRUNC | O_TMPFILE)) == 0 || !is_on())
		return real_open(at, name, flags, mode);
	pthread_mutex_lock(&lock);
	was_there = fstatat(at, name, &st, 0) == 0;
	fd = real_open(at, name, flags, mode);
	if (fd >= 0 && (flags & O_TMPFILE) == O_TMPFILE) {
		if (path_of_fd(fd, path) && fstat(fd, &st) == 0)
			note('c', st.st_ino, 0, NULL, NULL, 0);
	} else if (fd >= 0 && !was_there) {
		note_fd('c', fd, 0, NULL, 0);
	} else if (fd >= 0 && (flags & O_TRUNC) != 0) {
		note_fd('t', fd, 0, NULL, 0);
	}
	pthread_mutex_unlock(&lock);
	return fd;
}

#define OPEN(name, first, at)                            \
	int name(first const char *path, int flags, ...) \
	{                                                \
		mode_t mode = 0;                         \
		va_list ap;                              \
                                                         \
		va_start(ap, flags);                     \
		if (flags & (O_CREAT | O_TMPFILE))       \
			mode = va_arg(ap, mode_t);       \
		va_end(ap);                              \
		return opened(at, path, flags, mode);    \
	}
OPEN(open, , AT_FDCWD)
OPEN(open64, , AT_FDCWD)
#define AT int at,
OPEN(openat, AT, at)
OPEN(openat64, AT, at)

ssize_t
pwrite64(int fd, const void *p, size_t n, off_t at)
{
	ssize_t put;

	pthread_mutex_lock(&lock);
	put = REAL(ssize_t, "pwrite64", (int, const void *, size_t, off_t))(
		fd, p, n, at);
	if (put > 0 && is_on())
		note_fd('w', fd, at, p, (size_t)put);
	pthread_mutex_unlock(&lock);
	return put;
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t at)
{
	return pwrite64(fd, p, n, at);
}

ssize_t
write(int fd, const void *p, size_t n)
{
	ssize_t put;

	pthread_mutex_lock(&lock);
	put = REAL(ssize_t, "write", (int, const void *, size_t))(fd, p, n);
	if (put > 0 && is_on())
		note_fd('w', fd, (long long)lseek(fd, 0, SEEK_CUR) - put, p,
			(size_t)put);
	pthread_mutex_unlock(&lock);
	return put;
}

int
ftruncate64(int fd, off_t size)
{
	int rc;

	pthread_mutex_lock(&lock);
	rc = REAL(int, "ftruncate64", (int, off_t))(fd, size);
	if (rc == 0 && is_on())
		note_fd('t', fd, size, NULL, 0);
	pthread_mutex_unlock(&lock);
	return rc;
}

int
ftruncate(int fd, off_t size)
{
	return ftruncate64(fd, size);
}

static int
synced(const char *name, char op, int fd)
{
	int rc;

	pthread_mutex_lock(&lock);
	rc = REAL(int, name, (int))(fd);
	if (rc == 0 && is_on())
		note_fd(op, fd, 0, NULL, 0);
	pthread_mutex_unlock(&lock);
	return rc;
}

int
fsync(int fd)
{
	return synced("fsync", 's', fd);
}

int
fdatasync(int fd)
{
	return synced("fdatasync", 's', fd);
}

int
syncfs(int fd)
{
	return synced("syncfs", 'S', fd);
}

int
mkdirat(int at, const char *name, mode_t mode)
{
	char path[PATH_MAX];
	struct stat st;
	int rc;

	pthread_mutex_lock(&lock);
	rc = REAL(int, "mkdirat", (int, const char *, mode_t))(at, name, mode);
	if (rc == 0 && is_on() && path_of_name(at, name, path) &&
		stat(path, &st) == 0)
		note('d', st.st_ino, 0, path, NULL, 0);
	pthread_mutex_unlock(&lock);
	return rc;
}

int
mkdir(const char *name, mode_t mode)
{
	return mkdirat(AT_FDCWD, name, mode);
}

char *
mkdtemp(char *name)
{
	char path[PATH_MAX], *made;
	struct stat st;

	pthread_mutex_lock(&lock);
	made = REAL(char *, "mkdtemp", (char *))(name);
	if (made != NULL && is_on() && path_of_name(AT_FDCWD, made, path) &&
		stat(path, &st) == 0)
		note('d', st.st_ino, 0, path, NULL, 0);
	pthread_mutex_unlock(&lock);
	return made;
}

int
mkostemp(char *name, int flags)
{
	int fd;

	pthread_mutex_lock(&lock);
	fd = REAL(int, "mkostemp", (char *, int))(name, flags);
	if (fd >= 0 && is_on())
		note_fd('c', fd, 0, NULL, 0);
	pthread_mutex_unlock(&lock);
	return fd;
}

int
renameat2(int from_at, const char *from, int to_at, const char *to,
	unsigned int flags)
{
	char a[PATH_MAX], b[PATH_MAX];
	int rc, ours;

	pthread_mutex_lock(&lock);
	ours = is_on() && path_of_name(from_at, from, a) &&
		path_of_name(to_at, to, b);
	rc = REAL(int, "renameat2",
		(int, const char *, int, const char *, unsigned int))(
		from_at, from, to_at, to, flags);
	if (rc == 0 && ours)
		note('r', 0, 0, a, b, strlen(b));
	pthread_mutex_unlock(&lock);
	return rc;
}

int
renameat(int from_at, const char *from, int to_at, const char *to)
{
	return renameat2(from_at, from, to_at, to, 0);
}

int
rename(const char *from, const char *to)
{
	return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int
linkat(int from_at, const char *from, int to_at, const char *to, int flags)
{
	char path[PATH_MAX];
	struct stat st;
	int rc;

	pthread_mutex_lock(&lock);
	rc = REAL(int, "linkat", (int, const char *, int, const char *, int))(
		from_at, from, to_at, to, flags);
	if (rc == 0 && is_on() && path_of_name(to_at, to, path) &&
		lstat(path, &st) == 0)
		note('l', st.st_ino, 0, path, NULL, 0);
	pthread_mutex_unlock(&lock);
	return rc;
}

int
link(const char *from, const char *to)
{
	return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int
unlinkat(int at, const char *name, int flags)
{
	char path[PATH_MAX];
	int rc, ours;

	pthread_mutex_lock(&lock);
	ours = is_on() && path_of_name(at, name, path);
	rc = REAL(int, "unlinkat", (int, const char *, int))(at, name, flags);
	if (rc == 0 && ours)
		note('u', 0, 0, path, NULL, 0);
	pthread_mutex_unlock(&lock);
	return rc;
}

int
unlink(const char *name)
{
	return unlinkat(AT_FDCWD, name, 0);
}

int
rmdir(const char *name)
{
	return unlinkat(AT_FDCWD, name, AT_REMOVEDIR);
}

ssize_t
writev(int fd, const struct iovec *v, int n)
{
	note_untraced(fd, __LINE__);
	return REAL(ssize_t, "writev", (int, const struct iovec *, int))(
		fd, v, n);
}

ssize_t
copy_file_range(
	int in, off_t *from, int out, off_t *to, size_t n, unsigned int flags)
{
	note_untraced(out, __LINE__);
	return REAL(ssize_t, "copy_file_range",
		(int, off_t *, int, off_t *, size_t, unsigned int))(
		in, from, out, to, n, flags);
}

ssize_t
sendfile64(int out, int in, off_t *from, size_t n)
{
	note_untraced(out, __LINE__);
	return REAL(ssize_t, "sendfile64", (int, int, off_t *, size_t))(
		out, in, from, n);
}

int
fallocate64(int fd, int mode, off_t at, off_t n)
{
	note_untraced(fd, __LINE__);
	return REAL(int, "fallocate64", (int, int, off_t, off_t))(
		fd, mode, at, n);
}

void *
mmap64(void *p, size_t n, int prot, int flags, int fd, off_t at)
{
	if (fd >= 0 && (prot & PROT_WRITE) != 0 && (flags & MAP_SHARED) != 0)
		note_untraced(fd, __LINE__);
	return (void *)syscall(SYS_mmap, p, n, prot, flags, fd, at);
}
