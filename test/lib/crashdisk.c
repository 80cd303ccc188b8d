/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A disk that remembers what was done to it, and what a power loss leaves. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crashdisk.h"

#define SECTOR 512
#define NAME_SIZE 96
#define NAMES_MAX 32
#define FILES_MAX 256

struct event {
	enum disk_op op;
	int file;
	char name[NAME_SIZE], to[NAME_SIZE]; /* below the root */
	uint8_t *p;
	size_t n;
	uint64_t at;
};

/* names of files; those of a directory, or all */
struct names {
	struct {
		char name[NAME_SIZE];
		int file;
	} of[NAMES_MAX];
	size_t n;
};

static struct {
	char root[128];
	struct event *events;
	size_t n, cap;
	struct names now;
	int files;
} disk;

/* a file while events are gone through again */
struct content {
	uint8_t *p;
	size_t n, cap;
	size_t *since; /* events that are not synced */
	size_t n_since, cap_since;
};

static void
die(const char *what)
{
	perror(what);
	abort();
}

static void *
grow(void *p, size_t *cap, size_t need, size_t each)
{
	if (need <= *cap)
		return p;
	*cap = need * 2;
	p = realloc(p, *cap * each);
	if (p == NULL)
		die("realloc");
	return p;
}

uint64_t
disk_random(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static bool
coin(uint64_t *rng)
{
	return (disk_random(rng) >> 17 & 1) != 0;
}

static int
name_find(const struct names *names, const char *name)
{
	for (size_t i = 0; i < names->n; i++)
		if (strcmp(names->of[i].name, name) == 0)
			return (int)i;
	return -1;
}

static void
name_remove(struct names *names, const char *name)
{
	int i = name_find(names, name);

	if (i >= 0)
		names->of[i] = names->of[--names->n];
}

static void
name_put(struct names *names, const char *name, int file)
{
	name_remove(names, name);
	if (names->n == NAMES_MAX)
		die("too many names");
	memcpy(names->of[names->n].name, name, NAME_SIZE);
	names->of[names->n++].file = file;
}

static void
name_apply(struct names *names, const struct event *ev)
{
	switch (ev->op) {
	case DISK_CREATE:
		name_put(names, ev->name, ev->file);
		break;
	case DISK_RENAME:
		name_remove(names, ev->name);
		name_put(names, ev->to, ev->file);
		break;
	case DISK_UNLINK:
		name_remove(names, ev->name);
		break;
	default:
		break;
	}
}

void
disk_begin(const char *root)
{
	disk_end();
	snprintf(disk.root, sizeof(disk.root), "%s/", root);
}

void
disk_end(void)
{
	for (size_t i = 0; i < disk.n; i++)
		free(disk.events[i].p);
	free(disk.events);
	memset(&disk, 0, sizeof(disk));
}

bool
disk_has(const char *path)
{
	return disk.root[0] != '\0' &&
		strncmp(path, disk.root, strlen(disk.root)) == 0;
}

static void
relative(const char *path, char to[NAME_SIZE])
{
	memset(to, 0, NAME_SIZE);
	if (path != NULL && disk_has(path))
		snprintf(to, NAME_SIZE, "%s", path + strlen(disk.root));
}

static struct event *
push(enum disk_op op, const char *path)
{
	struct event *ev;
	int i;

	disk.events =
		grow(disk.events, &disk.cap, disk.n + 1, sizeof(*disk.events));
	ev = &disk.events[disk.n];
	memset(ev, 0, sizeof(*ev));
	ev->op = op;
	relative(path, ev->name);
	i = name_find(&disk.now, ev->name);
	ev->file = i >= 0 ? disk.now.of[i].file : -1;
	disk.n++;
	return ev;
}

void
disk_note(enum disk_op op, const char *path, const char *to, const void *p,
	size_t n, uint64_t at)
{
	struct event *ev = push(op, path);

	if (ev->file < 0 && op != DISK_SYNC_DIR) {
		if (disk.files == FILES_MAX)
			die("too many files");
		ev->op = DISK_CREATE;
		ev->file = disk.files++;
		name_apply(&disk.now, ev);
		if (op == DISK_CREATE)
			return;
		ev = push(op, path);
	} else if (op == DISK_CREATE) {
		disk.n--; /* it was there */
		return;
	}
	ev->n = n;
	ev->at = at;
	relative(to, ev->to);
	if (p != NULL) {
		ev->p = malloc(n + 1);
		if (ev->p == NULL)
			die("malloc");
		memcpy(ev->p, p, n);
	}
	name_apply(&disk.now, ev);
}

size_t
disk_events(void)
{
	return disk.n;
}

void
disk_describe(size_t n, char *to, size_t size)
{
	static const char *const names[] = { "create", "write", "truncate",
		"sync", "failed sync", "unlink", "rename", "sync directory" };
	const struct event *ev = &disk.events[n];

	if (n >= disk.n)
		snprintf(to, size, "end");
	else
		snprintf(to, size, "%s %s %zu at %llu", names[ev->op], ev->name,
			ev->n, (unsigned long long)ev->at);
}

static void
resize(struct content *c, size_t n)
{
	c->p = grow(c->p, &c->cap, n, 1);
	if (n > c->n)
		memset(c->p + c->n, 0, n - c->n);
	c->n = n;
}

static void
apply(struct content *c, const struct event *ev)
{
	if (ev->op == DISK_TRUNCATE) {
		resize(c, ev->n);
		return;
	}
	if (ev->at + ev->n > c->n)
		resize(c, ev->at + ev->n);
	memcpy(c->p + ev->at, ev->p, ev->n);
}

static void
apply_all(struct content *c)
{
	for (size_t i = 0; i < c->n_since; i++)
		apply(c, &disk.events[c->since[i]]);
	c->n_since = 0;
}

/* some sectors of a write, as far as the file reaches */
static void
apply_torn(
	struct content *c, const struct event *ev, bool garble, uint64_t *rng)
{
	for (size_t i = 0; i < ev->n;) {
		uint64_t at = ev->at + i;
		size_t n = SECTOR - at % SECTOR;

		if (n > ev->n - i)
			n = ev->n - i;
		if (at < c->n && coin(rng))
			memcpy(c->p + at, ev->p + i,
				n < c->n - at ? n : c->n - at);
		else if (at < c->n && garble && coin(rng))
			for (size_t k = at; k < at + n && k < c->n; k++)
				c->p[k] = (uint8_t)disk_random(rng);
		i += n;
	}
}

/* sizes change in order, up to any; the bytes in none */
static void
tear(struct content *c, bool garble, uint64_t *rng)
{
	size_t k = disk_random(rng) % (c->n_since + 1);

	for (size_t i = 0; i < c->n_since; i++) {
		const struct event *ev = &disk.events[c->since[i]];

		if (ev->op == DISK_TRUNCATE) {
			if (i < k)
				resize(c, ev->n);
			continue;
		}
		if (i < k && ev->at + ev->n > c->n)
			resize(c, ev->at + ev->n);
		apply_torn(c, ev, garble, rng);
	}
}

static void
leave_content(struct content *c, enum disk_left how, uint64_t *rng)
{
	switch (how) {
	case LEFT_KEPT:
		apply_all(c);
		break;
	case LEFT_FILES:
		if (coin(rng))
			apply_all(c);
		break;
	case LEFT_SECTORS:
	case LEFT_GARBLED:
		tear(c, how == LEFT_GARBLED, rng);
		break;
	default:
		break;
	}
}

static bool
in_dir(const char *name, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(name, dir, n) == 0 && name[n] == '/';
}

/* names of the disk at some moment */
struct replay {
	struct content files[FILES_MAX];
	struct names names; /* that are synced */
	size_t *since;      /* events that changed others */
	size_t n_since, cap_since;
};

static void
sync_dir(struct replay *r, const char *dir)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n_since; i++) {
		const struct event *ev = &disk.events[r->since[i]];

		if (in_dir(ev->name, dir))
			name_apply(&r->names, ev);
		else
			r->since[n++] = r->since[i];
	}
	r->n_since = n;
}

static void
replay_one(struct replay *r, size_t i)
{
	const struct event *ev = &disk.events[i];
	struct content *c = ev->file >= 0 ? &r->files[ev->file] : NULL;

	switch (ev->op) {
	case DISK_WRITE:
	case DISK_TRUNCATE:
		c->since = grow(c->since, &c->cap_since, c->n_since + 1,
			sizeof(*c->since));
		c->since[c->n_since++] = i;
		break;
	case DISK_SYNC:
		apply_all(c);
		break;
	case DISK_SYNC_FAILED:
		c->n_since = 0;
		break;
	case DISK_SYNC_DIR:
		sync_dir(r, ev->name);
		break;
	default:
		r->since = grow(r->since, &r->cap_since, r->n_since + 1,
			sizeof(*r->since));
		r->since[r->n_since++] = i;
		break;
	}
}

static void
write_file(const char *name, const struct content *c)
{
	char path[sizeof(disk.root) + NAME_SIZE];
	int fd;

	snprintf(path, sizeof(path), "%s%s", disk.root, name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (fd < 0 || write(fd, c->p, c->n) != (ssize_t)c->n || close(fd) != 0)
		die(path);
}

static void
empty_dir(const char *dir)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *d = opendir(dir);

	if (d == NULL)
		die(dir);
	while ((entry = readdir(d)) != NULL) {
		if (entry->d_name[0] == '.' &&
			(entry->d_name[1] == '\0' || entry->d_name[1] == '.'))
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		if (entry->d_type == DT_DIR)
			empty_dir(path);
		else if (unlink(path) != 0)
			die(path);
	}
	closedir(d);
}

void
disk_lose_power(size_t n, enum disk_left how, uint64_t seed)
{
	struct replay *r = calloc(1, sizeof(*r));
	size_t keep;

	if (r == NULL)
		die("calloc");
	for (size_t i = 0; i < n; i++)
		replay_one(r, i);
	keep = how == LEFT_DROPPED ? 0
		: how == LEFT_KEPT ? r->n_since
				   : disk_random(&seed) % (r->n_since + 1);
	for (size_t i = 0; i < keep; i++)
		name_apply(&r->names, &disk.events[r->since[i]]);
	empty_dir(disk.root);
	for (int i = 0; i < disk.files; i++)
		leave_content(&r->files[i], how, &seed);
	for (size_t i = 0; i < r->names.n; i++)
		write_file(r->names.of[i].name, &r->files[r->names.of[i].file]);
	for (int i = 0; i < FILES_MAX; i++) {
		free(r->files[i].p);
		free(r->files[i].since);
	}
	free(r->since);
	free(r);
}
