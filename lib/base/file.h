/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files: whole reads, streaming reads that notice change, atomic outputs. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/err.h"

/* appends all of a regular file of at most `max` bytes; OFS_EIO, OFS_EFORMAT */
int file_read(
	const char *path, size_t max, struct buf *to, struct ofs_error *e);

/*
 * Streams a regular file through fn in blocks of at most 64 KiB. OFS_EIO when
 * it cannot be read, is a directory or a special file, or when size, mtime,
 * ctime or inode at the end are not those of the beginning ("changed while it
 * was read"). *size gets the bytes read. fn returns 0 or an error code with e
 * set, which ends the reading.
 */
typedef int (*file_block_fn)(
	void *arg, const uint8_t *p, size_t n, struct ofs_error *e);
int file_stream(const char *path, file_block_fn fn, void *arg, uint64_t *size,
	struct ofs_error *e);
/*
 * A file by its path, or, with `inside`, by its name below the directory `root`
 * (base/beneath.h), which no link leads out of; `path` is for messages then.
 */
struct file_place {
	const char *path;
	int root;
	const char *inside; /* NULL: path */
};
/*
 * The same of such a place. When all is read, `then` (may be NULL) is called
 * with the open descriptor at its beginning; the file must still be the same
 * afterwards. So whoever reads in `then` reads what fn saw: a file that was
 * changed just before is waited for until its ctime would show the next change.
 */
typedef int (*file_then_fn)(void *arg, int fd, struct ofs_error *e);
int file_stream_then(const struct file_place *at, file_block_fn fn,
	file_then_fn then, void *arg, uint64_t *size, struct ofs_error *e);

/*
 * An output that appears whole or not at all: file_out_write creates
 * DIR/.NAME.RANDOM.tmp (0666 & ~umask) and writes it; file_out_sync makes its
 * bytes durable; file_out_commit renames it to its name (link(2) semantics
 * when !replace: OFS_EEXIST if the name exists, never overwrites); the caller
 * then syncs the directory. file_out_abort removes what is left. A failed
 * write and a successful commit leave *o as FILE_OUT_INIT; after a failed sync
 * or commit the caller calls file_out_abort.
 */
struct file_out {
	char *path; /* final name, owned */
	char *tmp;  /* owned; NULL when nothing is on disk */
	int fd;
};
#define FILE_OUT_INIT          \
	{                      \
		NULL, NULL, -1 \
	}
int file_out_write(struct file_out *o, const char *path, const void *p,
	size_t n, struct ofs_error *e);
int file_out_sync(struct file_out *o, struct ofs_error *e);
int file_out_commit(struct file_out *o, bool replace, struct ofs_error *e);
void file_out_abort(struct file_out *o);
/*
 * whether `name` (without directory) is a temporary one of an output `base`,
 * or, when that is NULL, of any output
 */
bool file_out_is_tmp(const char *name, const char *base);

int file_sync_dir(const char *dir, struct ofs_error *e);
/* all of the above for a single file */
int file_write_new(const char *path, const void *p, size_t n, bool replace,
	struct ofs_error *e);

/* mkdir -p, 0777 & ~umask (mode 0), or exactly `mode` for each new; synced */
int file_mkdirs(const char *dir, mode_t mode, struct ofs_error *e);
/*
 * fn gets all in a directory and below it that is no directory itself, in the
 * byte order of names; links are not followed. `st` is NULL for what cannot be
 * looked at, and errno says why. An error that fn returns ends the walk.
 */
typedef int (*file_tree_fn)(void *arg, const char *path, const struct stat *st,
	struct ofs_error *e);
int file_tree(const char *dir, file_tree_fn fn, void *arg, struct ofs_error *e);
/* allocated; NULL when out of memory */
char *file_join(const char *dir, const char *name);
/* what is left of the last "/": "a/b/" gives "a/b"; else "." or "/" */
char *file_dirname(const char *path);
/* what is right of it, perhaps "": "a/b/" gives ""; borrowed from path */
const char *file_basename(const char *path);
/* absolute path of an existing or future file in an existing directory */
int file_absolute(const char *path, char **out, struct ofs_error *e);
/*
 * removes what ends in "../", a leading "/", and "." parts, as tar does; "."
 * when nothing is left; allocated
 */
char *file_relative_as_tar(const char *path);

#endif
