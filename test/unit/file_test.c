/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading, streaming, atomic outputs, with failing system calls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"

/*
 * These take the place of the C library's, so that the disk can fail. 0: no
 * fault; else the errno to fail with. writes_left counts whole calls.
 */
static int fsync_fault, rename_fault, link_fault, write_fault, read_fault;
static int writes_left, reads_left;
static size_t write_limit;
static unsigned fsyncs, links;

int
fsync(int fd)
{
	fsyncs++;
	if (fsync_fault != 0) {
		errno = fsync_fault;
		return -1;
	}
	return (int)syscall(SYS_fsync, fd);
}

int
renameat2(int from_dir, const char *from, int to_dir, const char *to,
	unsigned flags)
{
	if (rename_fault != 0) {
		errno = rename_fault;
		return -1;
	}
	return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}

int
link(const char *from, const char *to)
{
	links++;
	if (link_fault != 0) {
		errno = link_fault;
		return -1;
	}
	return (int)syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
}

ssize_t
write(int fd, const void *p, size_t n)
{
	if (write_fault != 0 && writes_left-- <= 0) {
		errno = write_fault;
		if (write_fault == EINTR)
			write_fault = 0;
		return -1;
	}
	if (write_limit != 0 && n > write_limit)
		n = write_limit;
	return syscall(SYS_write, fd, p, n);
}

ssize_t
read(int fd, void *p, size_t n)
{
	if (read_fault != 0 && reads_left-- <= 0) {
		errno = read_fault;
		if (read_fault == EINTR)
			read_fault = 0;
		return -1;
	}
	return syscall(SYS_read, fd, p, n);
}

static char top[64];
static struct ofs_error e;

static int
no_faults(void **state)
{
	(void)state;
	fsync_fault = rename_fault = link_fault = write_fault = 0;
	read_fault = writes_left = reads_left = 0;
	write_limit = 0;
	fsyncs = links = 0;
	memset(&e, 0, sizeof(e));
	return 0;
}

/* Makes a new directory the current one. */
static int
enter(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	snprintf(top, sizeof(top), "%s/file_test.XXXXXX",
		tmp != NULL ? tmp : "/tmp");
	if (mkdtemp(top) == NULL || chdir(top) != 0)
		return -1;
	return 0;
}

static int
leave(void **state)
{
	char cmd[100];

	(void)state;
	if (chdir("/") != 0)
		return -1;
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", top);
	return system(cmd);
}

static void
make(const char *path, const void *p, size_t n)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(p, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

static void
is(const char *path, const char *want)
{
	struct buf b = BUF_INIT;

	assert_int_equal(file_read(path, 1000, &b, &e), 0);
	assert_string_equal(buf_cstr(&b), want);
	buf_free(&b);
}

/* names in a directory, "." and ".." left out */
static unsigned
entries(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *de;
	unsigned n = 0;

	assert_non_null(d);
	while ((de = readdir(d)) != NULL)
		n += strcmp(de->d_name, ".") != 0 &&
			strcmp(de->d_name, "..") != 0;
	closedir(d);
	return n;
}

static unsigned
open_files(void)
{
	return entries("/proc/self/fd");
}

static void
reads_whole_files(void **state)
{
	static const size_t sizes[] = { 0, 1, 4096, 65535, 65536, 65537,
		200000 };
	static uint8_t data[200000];
	unsigned fds = open_files();
	struct buf b = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 31 + i / 256);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		make("r", data, sizes[i]);
		buf_reset(&b);
		buf_str(&b, "ab");
		assert_int_equal(file_read("r", sizes[i], &b, &e), 0);
		assert_int_equal(b.len, sizes[i] + 2);
		assert_memory_equal(b.p + 2, data, sizes[i]);
		if (sizes[i] == 0)
			continue;
		b.len = 2;
		assert_int_equal(
			file_read("r", sizes[i] - 1, &b, &e), OFS_EFORMAT);
		assert_int_equal(b.len, 2);
		assert_non_null(strstr(e.message, "'r'"));
	}
	read_fault = EINTR;
	reads_left = 1;
	b.len = 0;
	assert_int_equal(file_read("r", 200000, &b, &e), 0);
	assert_int_equal(b.len, 200000);
	read_fault = EIO;
	reads_left = 1;
	b.len = 0;
	assert_int_equal(file_read("r", 200000, &b, &e), OFS_EIO);
	assert_int_equal(e.sys_errno, EIO);
	assert_int_equal(b.len, 0);
	buf_free(&b);
	assert_int_equal(open_files(), fds);
}

struct sink {
	struct buf b;
	unsigned calls;
	const char *meddle; /* shell command at the first block */
	int fail;
};

static int
take_block(void *arg, const uint8_t *p, size_t n, struct ofs_error *err)
{
	struct sink *s = arg;

	assert_true(n > 0 && n <= 65536);
	buf_put(&s->b, p, n);
	if (s->calls++ == 0 && s->meddle != NULL)
		assert_int_equal(system(s->meddle), 0);
	if (s->fail != 0)
		return err_set(err, s->fail, "stop");
	return 0;
}

static void
streams(void **state)
{
	static const size_t sizes[] = { 0, 1, 65535, 65536, 65537, 200000 };
	static uint8_t data[200000];
	unsigned fds = open_files();
	uint64_t size;

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 17 + i / 256);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct sink s = { BUF_INIT, 0, NULL, 0 };

		make("s", data, sizes[i]);
		size = 1;
		assert_int_equal(
			file_stream("s", take_block, &s, &size, &e), 0);
		assert_int_equal(size, sizes[i]);
		assert_int_equal(s.b.len, sizes[i]);
		if (sizes[i] > 0)
			assert_memory_equal(s.b.p, data, sizes[i]);
		buf_free(&s.b);
	}
	struct sink s = { BUF_INIT, 0, NULL, OFS_EINTR };
	assert_int_equal(
		file_stream("s", take_block, &s, &size, &e), OFS_EINTR);
	assert_int_equal(s.calls, 1);
	assert_int_equal(size, 0);
	assert_string_equal(e.message, "stop");
	s.fail = 0;
	read_fault = EIO;
	reads_left = 2;
	assert_int_equal(file_stream("s", take_block, &s, &size, &e), OFS_EIO);
	assert_int_equal(e.sys_errno, EIO);
	assert_int_equal(size, 0);
	buf_free(&s.b);
	assert_int_equal(open_files(), fds);
}

static void
notices_change(void **state)
{
	static const char *const meddle[] = {
		"echo more >>c",                               /* grows */
		": >c",                                        /* is emptied */
		"truncate -s 100000 c",                        /* shrinks */
		"printf X | dd of=c conv=notrunc 2>/dev/null", /* other bytes */
		"cp -p c d && mv d c",              /* another file */
		"rm c",                             /* is gone */
		"rm c && mkdir c && rmdir c; : >c", /* anew */
		"touch -d '2001-01-01' c",          /* times only */
		"chmod 600 c",                      /* ctime only */
	};
	static uint8_t data[150000];
	uint64_t size;

	(void)state;
	for (size_t i = 0; i < sizeof(meddle) / sizeof(meddle[0]); i++) {
		struct sink s = { BUF_INIT, 0, meddle[i], 0 };

		make("c", data, sizeof(data));
		/* past the granularity of the kernel's time stamps */
		usleep(20000);
		size = 1;
		if (file_stream("c", take_block, &s, &size, &e) != OFS_EIO)
			fail_msg("not noticed: %s", meddle[i]);
		assert_non_null(strstr(e.message, "'c': it changed"));
		assert_int_equal(size, 0);
		buf_free(&s.b);
	}
	/* the name leads to another file, and both are as they were */
	struct sink l = { BUF_INIT, 0, "ln -sfn two name", 0 };
	make("one", data, sizeof(data));
	make("two", data, sizeof(data));
	assert_int_equal(symlink("one", "name"), 0);
	assert_int_equal(
		file_stream("name", take_block, &l, &size, &e), OFS_EIO);
	buf_free(&l.b);
	/* who only reads changes nothing */
	struct sink s = { BUF_INIT, 0, "cat c >/dev/null", 0 };
	make("c", data, sizeof(data));
	assert_int_equal(file_stream("c", take_block, &s, &size, &e), 0);
	buf_free(&s.b);
}

/* what `then` does with the file that was read just now */
struct looker {
	struct buf b;
	bool swap; /* other bytes come, and go again */
	char seen[8];
};

static int
look_again(void *arg, int fd, struct ofs_error *err)
{
	struct looker *l = arg;
	int other = -1;

	(void)err;
	assert_int_equal(l->b.len, 5);
	if (l->swap) {
		other = open("t", O_WRONLY);
		assert_int_equal(pwrite(other, "BAD", 3, 0), 3);
	}
	assert_int_equal(read(fd, l->seen, 5), 5);
	if (l->swap) {
		assert_int_equal(pwrite(other, "pay", 3, 0), 3);
		close(other);
	}
	return l->seen[0] == 'X' ? OFS_EPOLICY : 0;
}

static int
keep_block(void *arg, const uint8_t *p, size_t n, struct ofs_error *err)
{
	struct looker *l = arg;

	(void)err;
	buf_put(&l->b, p, n);
	return 0;
}

/* right after the file was made: the change has to show all the same */
static void
holds_while_another_reads(void **state)
{
	const struct file_place t = { "t", -1, NULL };
	struct looker l = { .b = BUF_INIT };
	unsigned fds = open_files();
	uint64_t size;

	(void)state;
	for (int i = 0; i < 20; i++) {
		make("t", "pay 5", 5);
		buf_reset(&l.b);
		l.swap = i % 2 == 1;
		assert_int_equal(file_stream_then(&t, keep_block, look_again,
					 &l, &size, &e),
			l.swap ? OFS_EIO : 0);
		assert_memory_equal(l.seen, l.swap ? "BAD 5" : "pay 5", 5);
	}
	assert_non_null(strstr(e.message, "changed"));
	make("t", "Xay 5", 5);
	buf_reset(&l.b);
	l.swap = false;
	assert_int_equal(
		file_stream_then(&t, keep_block, look_again, &l, &size, &e),
		OFS_EPOLICY);
	buf_free(&l.b);
	assert_int_equal(open_files(), fds);
}

static void
refuses_what_is_no_file(void **state)
{
	static const char *const bad[] = { ".", "fifo", "/dev/null", "missing",
		"dangling", "loop", "r/x", "" };
	unsigned fds = open_files();
	struct buf b = BUF_INIT;
	struct sink s = { BUF_INIT, 0, NULL, 0 };
	uint64_t size;

	(void)state;
	assert_int_equal(mkfifo("fifo", 0600), 0);
	assert_int_equal(symlink("nowhere", "dangling"), 0);
	assert_int_equal(symlink("loop", "loop"), 0);
	alarm(20); /* a reader of the FIFO would wait for ever */
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (file_read(bad[i], 100, &b, &e) != OFS_EIO ||
			e.code != OFS_EIO)
			fail_msg("read %s", bad[i]);
		if (file_stream(bad[i], take_block, &s, &size, &e) != OFS_EIO)
			fail_msg("streamed %s", bad[i]);
	}
	alarm(0);
	assert_int_equal(s.calls, 0);
	file_read(".", 100, &b, &e);
	assert_string_equal(e.message, "cannot read '.': it is a directory");
	file_read("miss\ning", 100, &b, &e);
	assert_string_equal(e.message,
		"cannot open 'miss\\ning': No such file or directory");
	assert_int_equal(e.sys_errno, ENOENT);
	buf_free(&b);
	assert_int_equal(open_files(), fds);
}

static void
writes_new_files(void **state)
{
	mode_t old = umask(027);
	struct stat st;

	(void)state;
	assert_int_equal(mkdir("w", 0755), 0);
	assert_int_equal(file_write_new("w/a", "one", 3, false, &e), 0);
	/* the file and its directory */
	assert_int_equal(fsyncs, 2);
	is("w/a", "one");
	assert_int_equal(stat("w/a", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(
		file_write_new("w/a", "two", 3, false, &e), OFS_EEXIST);
	assert_non_null(strstr(e.message, "'w/a'"));
	is("w/a", "one");
	assert_int_equal(entries("w"), 1);
	assert_int_equal(file_write_new("w/a", "", 0, true, &e), 0);
	is("w/a", "");
	/* a link is replaced, not followed; a dangling one is in the way */
	assert_int_equal(symlink("elsewhere", "w/l"), 0);
	assert_int_equal(file_write_new("w/l", "x", 1, false, &e), OFS_EEXIST);
	assert_int_equal(file_write_new("w/l", "x", 1, true, &e), 0);
	assert_int_equal(lstat("w/l", &st), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_int_not_equal(access("w/elsewhere", F_OK), 0);
	assert_int_equal(entries("w"), 2);
	umask(old);
}

/* Where renameat2 knows no flags, link does the same. */
static void
writes_without_renameat2(void **state)
{
	static const int faults[] = { EINVAL, ENOSYS, ENOTSUP };

	(void)state;
	assert_int_equal(mkdir("n", 0755), 0);
	for (size_t i = 0; i < 3; i++) {
		rename_fault = faults[i];
		links = 0;
		assert_int_equal(file_write_new("n/a", "one", 3, false, &e), 0);
		assert_int_equal(links, 1);
		is("n/a", "one");
		assert_int_equal(
			file_write_new("n/a", "two", 3, false, &e), OFS_EEXIST);
		is("n/a", "one");
		assert_int_equal(entries("n"), 1);
		assert_int_equal(unlink("n/a"), 0);
	}
	link_fault = EPERM;
	assert_int_equal(file_write_new("n/a", "one", 3, false, &e), OFS_EIO);
	assert_int_equal(e.sys_errno, EPERM);
	/* any other failure is one, and link is not asked */
	rename_fault = EIO;
	links = 0;
	assert_int_equal(file_write_new("n/a", "one", 3, false, &e), OFS_EIO);
	assert_int_equal(links, 0);
	assert_int_equal(entries("n"), 0);
}

/* Whatever fails: no output, no leftovers, no open file. */
static void
failures_leave_nothing(void **state)
{
	static char data[10000];
	unsigned fds = open_files();

	(void)state;
	memset(data, 'd', sizeof(data));
	assert_int_equal(mkdir("f", 0755), 0);
	write_limit = 4096;
	for (int i = 0; i < 3; i++) {
		write_fault = ENOSPC;
		writes_left = i;
		assert_int_equal(
			file_write_new("f/a", data, sizeof(data), false, &e),
			OFS_EIO);
		assert_int_equal(e.sys_errno, ENOSPC);
		assert_int_equal(entries("f"), 0);
	}
	write_fault = 0;
	fsync_fault = EIO;
	assert_int_equal(file_write_new("f/a", data, 5, false, &e), OFS_EIO);
	assert_int_equal(e.sys_errno, EIO);
	assert_int_equal(entries("f"), 0);
	fsync_fault = 0;
	/* interrupted and partial writes go on */
	write_fault = EINTR;
	writes_left = 1;
	assert_int_equal(
		file_write_new("f/a", data, sizeof(data), false, &e), 0);
	write_limit = 0;
	assert_int_equal(unlink("f/a"), 0);
	assert_int_equal(mkdir("f/d", 0755), 0);
	assert_int_equal(file_write_new("f/d", "x", 1, false, &e), OFS_EEXIST);
	assert_int_equal(file_write_new("f/d", "x", 1, true, &e), OFS_EIO);
	assert_int_equal(file_write_new("f/none/x", "x", 1, true, &e), OFS_EIO);
	assert_int_equal(file_write_new("f/", "x", 1, true, &e), OFS_EIO);
	assert_int_equal(file_write_new("f/..", "x", 1, true, &e), OFS_EIO);
	assert_int_equal(file_write_new(".", "x", 1, true, &e), OFS_EIO);
	assert_int_equal(file_write_new("", "x", 1, true, &e), OFS_EIO);
	assert_int_equal(entries("f"), 1);
	assert_int_equal(open_files(), fds);
}

static void
steps_of_an_output(void **state)
{
	struct file_out o = FILE_OUT_INIT;
	struct stat st;

	(void)state;
	assert_int_equal(mkdir("o", 0755), 0);
	file_out_abort(&o);
	assert_int_equal(file_out_write(&o, "o/a", "abc", 3, &e), 0);
	assert_string_equal(o.path, "o/a");
	assert_int_equal(strncmp(o.tmp, "o/.a.", 5), 0);
	assert_string_equal(o.tmp + strlen(o.tmp) - 4, ".tmp");
	assert_int_equal(fcntl(o.fd, F_GETFD), FD_CLOEXEC);
	assert_int_not_equal(access("o/a", F_OK), 0);
	is(o.tmp, "abc");
	assert_int_equal(file_out_sync(&o, &e), 0);
	assert_int_equal(fsyncs, 1);
	assert_int_equal(file_out_sync(&o, &e), OFS_EINTERNAL);
	assert_int_not_equal(access("o/a", F_OK), 0);
	assert_int_equal(file_out_commit(&o, false, &e), 0);
	assert_null(o.path);
	assert_null(o.tmp);
	assert_int_equal(o.fd, -1);
	is("o/a", "abc");
	assert_int_equal(stat("o/a", &st), 0);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(file_out_commit(&o, false, &e), OFS_EINTERNAL);

	assert_int_equal(file_out_write(&o, "o/b", "abc", 3, &e), 0);
	assert_int_equal(entries("o"), 2);
	file_out_abort(&o);
	assert_int_equal(entries("o"), 1);
	assert_int_equal(o.fd, -1);
	file_out_abort(&o);
}

/* The temporary name must fit where the final one does, and stay UTF-8. */
static void
longest_names(void **state)
{
	char name[NAME_MAX + 1];

	(void)state;
	for (size_t cut = 0; cut < 4; cut++) {
		struct file_out o = FILE_OUT_INIT;
		const char *s;

		memset(name, 'n', sizeof(name));
		for (size_t i = cut; i + 4 <= NAME_MAX; i += 4)
			memcpy(name + i, "\xf0\x9f\x94\x91", 4);
		name[NAME_MAX] = '\0';
		assert_int_equal(file_out_write(&o, name, "x", 1, &e), 0);
		s = strrchr(o.tmp, '.') - 17;
		assert_int_equal(s[0], '.');
		/* the character before the random part is whole */
		assert_true((size_t)(s - (o.tmp + 1)) % 4 == cut);
		assert_int_equal(file_out_commit(&o, false, &e), 0);
		is(name, "x");
		assert_int_equal(unlink(name), 0);
	}
	memset(name, 'n', NAME_MAX);
	assert_int_equal(file_write_new(name, "y", 1, false, &e), 0);
	assert_int_equal(unlink(name), 0);
}

static void
makes_directories(void **state)
{
	mode_t old = umask(022);
	struct stat st;

	(void)state;
	assert_int_equal(file_mkdirs("m/a//b/./c/", 0, &e), 0);
	assert_int_equal(stat("m/a/b/c", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(fsyncs, 4);
	assert_int_equal(file_mkdirs("m/a/b/c", 0, &e), 0);
	assert_int_equal(fsyncs, 4);
	umask(0);
	assert_int_equal(file_mkdirs("m/s/t", 0700, &e), 0);
	umask(077);
	assert_int_equal(file_mkdirs("m/s/t/u", 0750, &e), 0);
	assert_int_equal(stat("m/s", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat("m/s/t/u", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0750);
	assert_int_equal(symlink("a", "m/link"), 0);
	assert_int_equal(file_mkdirs("m/link/x", 0, &e), 0);
	assert_int_equal(stat("m/a/x", &st), 0);
	make("m/file", "", 0);
	assert_int_equal(file_mkdirs("m/file", 0, &e), OFS_EIO);
	assert_int_equal(e.sys_errno, ENOTDIR);
	assert_int_equal(file_mkdirs("m/file/x", 0, &e), OFS_EIO);
	assert_int_equal(file_mkdirs("", 0, &e), OFS_EIO);
	assert_int_equal(file_mkdirs("/", 0, &e), 0);
	assert_int_equal(file_mkdirs("///", 0, &e), 0);
	fsync_fault = EIO;
	assert_int_equal(file_mkdirs("m/unsynced", 0, &e), OFS_EIO);
	/* a file system that syncs no directories */
	fsync_fault = EINVAL;
	assert_int_equal(file_sync_dir("m", &e), 0);
	assert_int_equal(file_sync_dir("m/file", &e), OFS_EIO);
	umask(old);
}

static void
takes_names_apart(void **state)
{
	static const struct {
		const char *path, *dir, *base;
	} t[] = { { "a", ".", "a" }, { "a/b", "a", "b" }, { "/a", "/", "a" },
		{ "//a", "/", "a" }, { "a//b", "a", "b" },
		{ "a/b/", "a/b", "" }, { "/", "/", "" }, { "", ".", "" },
		{ "./a", ".", "a" } };

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		char *s = file_dirname(t[i].path);

		assert_string_equal(s, t[i].dir);
		assert_string_equal(file_basename(t[i].path), t[i].base);
		free(s);
	}
	static const char *const join[][3] = { { "a", "b", "a/b" },
		{ "a/", "b", "a/b" }, { "/", "b", "/b" }, { "", "b", "b" } };
	for (size_t i = 0; i < 4; i++) {
		char *s = file_join(join[i][0], join[i][1]);

		assert_string_equal(s, join[i][2]);
		free(s);
	}
}

static void
absolute_names(void **state)
{
	char *real = realpath(".", NULL), *s, *want;

	(void)state;
	assert_non_null(real);
	assert_int_equal(mkdir("abs", 0755), 0);
	assert_int_equal(symlink("abs", "abslink"), 0);
	static const char *const t[][2] = { { "future", "future" },
		{ "./future", "future" }, { "abs/x", "abs/x" },
		{ "abs/../y", "y" }, { "abslink/x", "abs/x" },
		{ "abs/", "abs" }, { "abs/.", "abs" }, { "abslink/", "abs" } };
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		assert_int_equal(file_absolute(t[i][0], &s, &e), 0);
		want = file_join(real, t[i][1]);
		assert_string_equal(s, want);
		free(want);
		free(s);
	}
	assert_int_equal(file_absolute("/x", &s, &e), 0);
	assert_string_equal(s, "/x");
	free(s);
	assert_int_equal(file_absolute("/", &s, &e), 0);
	assert_string_equal(s, "/");
	free(s);
	assert_int_equal(file_absolute("none/x", &s, &e), OFS_EIO);
	assert_null(s);
	assert_int_equal(file_absolute("", &s, &e), OFS_EIO);
	free(real);
}

static void
relative_names(void **state)
{
	static const char *const t[][2] = { { "a", "a" }, { "a/b", "a/b" },
		{ "/a/b", "a/b" }, { "///a//b/", "a/b" },
		{ "./a/./b/.", "a/b" }, { "../a", "a" }, { "../../a", "a" },
		{ "a/../b", "b" }, { "a/../../b/c", "b/c" }, { "/..", "." },
		{ "a/..", "." }, { "", "." }, { "/", "." }, { ".", "." },
		{ "..a/...", "..a/..." }, { ".a", ".a" },
		{ "/etc/../../x/y", "x/y" } };

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		char *s = file_relative_as_tar(t[i][0]);

		assert_string_equal(s, t[i][1]);
		free(s);
	}
}

/* "!" behind what is no regular file; "stop" ends the walk */
static int
note_path(void *arg, const char *path, const struct stat *st,
	struct ofs_error *why)
{
	char *seen = arg;

	assert_non_null(st);
	strcat(seen, path);
	strcat(seen, S_ISREG(st->st_mode) ? " " : "! ");
	return strcmp(file_basename(path), "stop") == 0
		? err_set(why, OFS_EITEMS, "stopped")
		: 0;
}

static void
walks_trees(void **state)
{
	char seen[200] = "", deep[400] = "tree/deep";

	(void)state;
	assert_int_equal(file_mkdirs("tree/b/empty", 0, &e), 0);
	make("tree/c", "", 0);
	make("tree/B", "", 0);
	make("tree/b/.x", "", 0);
	/* to a directory, and to nothing */
	assert_int_equal(symlink(".", "tree/b/loop"), 0);
	assert_int_equal(symlink("nowhere", "tree/a"), 0);
	assert_int_equal(file_tree("tree", note_path, seen, &e), 0);
	assert_string_equal(
		seen, "tree/B tree/a! tree/b/.x tree/b/loop! tree/c ");
	seen[0] = '\0';
	make("tree/b/stop", "", 0);
	assert_int_equal(file_tree("tree", note_path, seen, &e), OFS_EITEMS);
	assert_string_equal(
		seen, "tree/B tree/a! tree/b/.x tree/b/loop! tree/b/stop ");
	assert_int_equal(file_tree("none", note_path, seen, &e), OFS_EIO);
	assert_int_equal(unlink("tree/b/stop"), 0);
	for (int i = 1; i < 64; i++)
		strcat(deep, "/d");
	assert_int_equal(file_mkdirs(deep, 0, &e), 0);
	seen[0] = '\0';
	assert_int_equal(file_tree("tree", note_path, seen, &e), 0);
	strcat(deep, "/d");
	assert_int_equal(file_mkdirs(deep, 0, &e), 0);
	assert_int_equal(file_tree("tree", note_path, seen, &e), OFS_EIO);
	assert_int_equal(file_tree("tree/deep", note_path, seen, &e), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(reads_whole_files, no_faults),
		cmocka_unit_test_setup(streams, no_faults),
		cmocka_unit_test_setup(notices_change, no_faults),
		cmocka_unit_test_setup(holds_while_another_reads, no_faults),
		cmocka_unit_test_setup(refuses_what_is_no_file, no_faults),
		cmocka_unit_test_setup(writes_new_files, no_faults),
		cmocka_unit_test_setup(writes_without_renameat2, no_faults),
		cmocka_unit_test_setup(failures_leave_nothing, no_faults),
		cmocka_unit_test_setup(steps_of_an_output, no_faults),
		cmocka_unit_test_setup(longest_names, no_faults),
		cmocka_unit_test_setup(makes_directories, no_faults),
		cmocka_unit_test_setup(takes_names_apart, no_faults),
		cmocka_unit_test_setup(absolute_names, no_faults),
		cmocka_unit_test_setup(relative_names, no_faults),
		cmocka_unit_test_setup(walks_trees, no_faults),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, enter, leave);
}
