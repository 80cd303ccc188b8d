/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The modules registered with p11-kit: pkcs11.conf(5), section MODULE. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ctx.h"
#include "base/file.h"
#include "base/text.h"
#include "token/p11conf.h"
#include "token/registered.h"

#define SUFFIX ".module"
#define SUFFIX_LEN (sizeof(SUFFIX) - 1)
#define ENTRIES_MAX 1024

/*
 * p11-kit's own p11_kit_modules_load leaves out what it cannot load without a
 * word, gives up on all when one file is malformed, and unmaps what nobody
 * keeps. So its files are read here, by its rules.
 */
struct entry {
	char *name; /* of the file, without ".module" */
	struct p11conf conf;
	char *why; /* a file that cannot be read */
};

struct list {
	struct entry *v;
	size_t n;
};

static void
list_free(struct list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].name);
		free(l->v[i].why);
		p11conf_free(&l->v[i].conf);
	}
	free(l->v);
	memset(l, 0, sizeof(*l));
}

/* the entry of that name, made when there is none; NULL: out of memory */
static struct entry *
list_get(struct list *l, const char *name)
{
	struct entry *more;

	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->v[i].name, name) == 0)
			return &l->v[i];
	if (l->n == ENTRIES_MAX)
		return NULL;
	more = realloc(l->v, (l->n + 1) * sizeof(*more));
	if (more == NULL)
		return NULL;
	l->v = more;
	memset(&l->v[l->n], 0, sizeof(*l->v));
	l->v[l->n].name = strdup(name);
	return l->v[l->n].name != NULL ? &l->v[l->n++] : NULL;
}

/* what an earlier folder says about the same name goes before */
static int
read_entry(
	struct list *l, const char *dir, const char *file, struct ofs_error *e)
{
	char *path = file_join(dir, file), *name;
	struct entry *at = NULL;
	struct ofs_error why;
	int rc = 0;

	name = strndup(file, strlen(file) - SUFFIX_LEN);
	if (path != NULL && name != NULL)
		at = list_get(l, name);
	if (at == NULL)
		rc = err_nomem(e);
	else if (p11conf_read(&at->conf, path, &why) != 0 && at->why == NULL) {
		at->why = strdup(why.message);
		if (at->why == NULL)
			rc = err_nomem(e);
	}
	free(path);
	free(name);
	return rc;
}

static int
read_folder(const ofs_ctx *ctx, struct list *l, const char *dir,
	struct ofs_error *e)
{
	struct dirent *d;
	DIR *folder;
	size_t n;
	int rc = 0;

	folder = opendir(dir);
	if (folder == NULL) {
		if (errno != ENOENT && errno != ENOTDIR) {
			err_sys(e, OFS_EIO, errno,
				"cannot look for PKCS#11 modules in '%s'",
				TEXT_Q(dir));
			ctx_log(ctx, OFS_LOG_WARNING, "%s", e->message);
			err_clear(e);
		}
		return 0;
	}
	while (rc == 0 && (d = readdir(folder)) != NULL) {
		n = strlen(d->d_name);
		if (d->d_name[0] != '.' && n > SUFFIX_LEN &&
			strcmp(d->d_name + n - SUFFIX_LEN, SUFFIX) == 0)
			rc = read_entry(l, dir, d->d_name, e);
	}
	closedir(folder);
	return rc;
}

/* DIR/NAME, which need not be there; NULL for dir gives NULL */
static int
below(const char *dir, const char *name, char **out, struct ofs_error *e)
{
	*out = dir != NULL ? file_join(dir, name) : NULL;
	return dir == NULL || *out != NULL ? 0 : err_nomem(e);
}

static int
read_globals(struct p11conf *c, const char *dir, struct ofs_error *e)
{
	char *path;
	int rc = below(dir, "pkcs11.conf", &path, e);

	if (rc == 0 && path != NULL) {
		rc = p11conf_read(c, path, e);
		if (rc == OFS_EIO &&
			(e->sys_errno == ENOENT || e->sys_errno == ENOTDIR))
			rc = 0;
	}
	free(path);
	return rc;
}

/* "none", "merge" or "only": the user's own word counts where it may */
static int
user_mode(const struct registered_places *at, bool *user, bool *system,
	struct ofs_error *e)
{
	struct p11conf all = { 0 }, own = { 0 };
	const char *mode, *mine;
	int rc;

	*user = *system = true;
	rc = read_globals(&all, at->system, e);
	mode = p11conf_get(&all, "user-config");
	if (at->user == NULL || (mode != NULL && strcmp(mode, "none") == 0))
		*user = false;
	if (rc == 0 && *user) {
		rc = read_globals(&own, at->user, e);
		mine = p11conf_get(&own, "user-config");
		mode = mine != NULL ? mine : mode;
		if (mode != NULL && strcmp(mode, "none") == 0)
			*user = false;
		if (mode != NULL && strcmp(mode, "only") == 0)
			*system = false;
	}
	p11conf_free(&all);
	p11conf_free(&own);
	return rc;
}

static int
read_one(const ofs_ctx *ctx, struct list *l, const char *dir,
	struct ofs_error *e)
{
	char *path;
	int rc = below(dir, "modules", &path, e);

	if (rc == 0 && path != NULL)
		rc = read_folder(ctx, l, path, e);
	free(path);
	return rc;
}

static long
priority(const struct entry *at)
{
	const char *s = p11conf_get(&at->conf, "priority");
	char *end;
	long v;

	if (s == NULL)
		return 0;
	v = strtol(s, &end, 10);
	return *end == '\0' ? v : 0;
}

static int
by_priority(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	long px = priority(x), py = priority(y);

	return px != py ? (px < py ? 1 : -1) : strcmp(x->name, y->name);
}

static int
read_all(const ofs_ctx *ctx, const struct registered_places *at, struct list *l,
	struct ofs_error *e)
{
	bool user, system;
	int rc;

	rc = user_mode(at, &user, &system, e);
	if (rc == 0 && user)
		rc = read_one(ctx, l, at->user, e);
	if (rc == 0 && system)
		rc = read_one(ctx, l, at->system, e);
	if (rc == 0 && system && at->package != NULL)
		rc = read_folder(ctx, l, at->package, e);
	if (rc == 0 && l->n > 1)
		qsort(l->v, l->n, sizeof(*l->v), by_priority);
	return rc;
}

static bool
enabled(const struct p11conf *c)
{
	const char *in = p11conf_get(c, "enable-in");

	if (in != NULL)
		return p11conf_lists(in, program_invocation_short_name);
	return !p11conf_lists(
		p11conf_get(c, "disable-in"), program_invocation_short_name);
}

/* why it is not even tried, or NULL */
static const char *
passed_over(const struct entry *at, bool *broken)
{
	const struct p11conf *c = &at->conf;

	*broken = at->why != NULL;
	if (at->why != NULL)
		return at->why;
	if (!enabled(c))
		return "its registration does not enable it for this program";
	if (p11conf_yes(c, "trust-policy"))
		return "it holds trusted certificates, not keys";
	if (p11conf_get(c, "remote") != NULL)
		return "it is reached through a command ('remote'), which is "
		       "not supported";
	*broken = true;
	if (p11conf_get(c, "module") == NULL)
		return "its registration names no module";
	return NULL;
}

/* loads it; *info says how that went */
static int
add(ofs_ctx *ctx, const struct registered_places *at, const char *module,
	struct ofs_module_info *info, char **path, struct ofs_error *e)
{
	*path = module[0] == '/' ? strdup(module)
				 : file_join(at->modules, module);
	if (*path == NULL)
		return err_nomem(e);
	info->path = *path;
	info->used = ofs_ctx_add_module(ctx, *path) == 0;
	if (info->used)
		return 0;
	*e = *ofs_ctx_error(ctx);
	err_clear(&ctx->err);
	if (e->code == OFS_ENOMEM)
		return e->code;
	info->broken = true;
	info->why = e->message;
	return 0;
}

static int
report(ofs_ctx *ctx, const struct ofs_module_info *info, ofs_module_fn fn,
	void *arg, struct ofs_error *e)
{
	int rc;

	if (info->broken)
		ctx_log(ctx, OFS_LOG_WARNING,
			"the registered module '%s' is passed over: %s",
			TEXT_Q(info->name), info->why);
	else if (!info->used)
		ctx_log(ctx, OFS_LOG_DEBUG,
			"the registered module '%s' is passed over: %s",
			TEXT_Q(info->name), info->why);
	if (fn == NULL)
		return 0;
	rc = fn(arg, info);
	return rc == 0 ? 0
		       : err_set(e, rc,
				 "the look for PKCS#11 modules was ended by "
				 "its caller");
}

static int
one(ofs_ctx *ctx, const struct registered_places *at, const struct entry *it,
	ofs_module_fn fn, void *arg, bool *used, struct ofs_error *e)
{
	struct ofs_module_info info = { .size = sizeof(info),
		.name = it->name };
	struct ofs_error why;
	char *path = NULL;
	int rc = 0;

	info.why = passed_over(it, &info.broken);
	if (info.why == NULL) {
		info.broken = false;
		rc = add(ctx, at, p11conf_get(&it->conf, "module"), &info,
			&path, &why);
		if (rc != 0)
			*e = why;
	}
	if (rc == 0)
		rc = report(ctx, &info, fn, arg, e);
	if (rc == 0 && info.broken && p11conf_yes(&it->conf, "critical"))
		rc = err_set(e, OFS_EMODULE,
			"the PKCS#11 module '%s', registered as critical, is "
			"unusable: %s; mend that, or name a module",
			TEXT_Q(it->name), info.why);
	*used = *used || info.used;
	free(path);
	return rc;
}

int
registered_add(ofs_ctx *ctx, const struct registered_places *at,
	ofs_module_fn fn, void *arg, struct ofs_error *e)
{
	struct list l = { 0 };
	bool used = false;
	int rc;

	rc = read_all(ctx, at, &l, e);
	for (size_t i = 0; rc == 0 && i < l.n; i++)
		rc = one(ctx, at, &l.v[i], fn, arg, &used, e);
	if (rc == 0 && !used)
		rc = err_set(e, OFS_EMODULE,
			"no PKCS#11 module %s p11-kit; register one in "
			"'%s/modules', or name it",
			l.n == 0 ? "is registered with"
				 : "can be used of those registered with",
			at->system);
	list_free(&l);
	return rc;
}

int
ofs_ctx_add_registered(
	ofs_ctx *ctx, const char *user_config, ofs_module_fn fn, void *arg)
{
	const struct registered_places at = { user_config, P11_SYSTEM_CONFIG,
		P11_PACKAGE_MODULES, P11_MODULE_PATH };
	struct ofs_error e;
	int rc;

	err_clear(&ctx->err);
	err_clear(&e);
	rc = registered_add(ctx, &at, fn, arg, &e);
	return rc == 0 ? 0 : ctx_fail(ctx, &e);
}
