/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PKCS#11 modules: loaded once per process, counted, never unmapped. */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <p11-kit/p11-kit.h>

#include "base/ctx.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "token/module.h"

#define SLOTS_MAX 4096
#define SLOT_TRIES 5
#define LOCK_WAIT_S 60
#define RESTART_WAIT_US 5000000

/* The library's only state that is not in a handle: C_Initialize is global. */
static struct {
	pthread_mutex_t lock;        /* of modules and loads */
	pthread_mutex_t bridge_lock; /* of bridges */
	struct module *modules;
	atomic_ulong loads;
	struct bridge *bridges;
	atomic_bool stuck; /* the holder of `lock` hangs */
} registry = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER, NULL, 0,
	NULL, false };

static void
module_free(struct module *m)
{
	if (m == NULL)
		return;
	if (m->f != NULL)
		p11_kit_module_release(m->f);
	gate_destroy(&m->gate);
	free(m->path);
	free(m);
}

/*
 * Maps the file for good: p11-kit unmaps a module that it releases, and code
 * that a module registered with atexit() or a thread of it would then run in
 * the void. It also gives the loader's own words for what is wrong.
 */
static int
pin(const char *path, CK_FUNCTION_LIST **raw, struct ofs_error *e)
{
	CK_C_GetFunctionList get = NULL;
	const char *why;
	void *h, *sym;
	CK_RV rv;

	h = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (h == NULL) {
		why = dlerror();
		return err_set(e, OFS_EMODULE,
			"cannot load the PKCS#11 module '%s': %s", TEXT_Q(path),
			why != NULL ? why : "unknown reason");
	}
	sym = dlsym(h, "C_GetFunctionList");
	(void)dlclose(h);
	if (sym == NULL)
		return err_set(e, OFS_EMODULE,
			"cannot use '%s': it is not a PKCS#11 module, as it "
			"has no C_GetFunctionList",
			TEXT_Q(path));
	memcpy(&get, &sym, sizeof(get)); /* POSIX dlsym(3), rationale */
	CRYPTOKI(rv, get(raw));
	if (rv != CKR_OK || *raw == NULL)
		return cryptoki_err(e, OFS_EMODULE, rv,
			"cannot use the PKCS#11 module '%s'", TEXT_Q(path));
	return 0;
}

/* C_Initialize with CKF_OS_LOCKING_OK, counted by p11-kit */
static int
initialize(struct module *m, struct ofs_error *e)
{
	CK_RV rv;

	CRYPTOKI(rv, p11_kit_module_initialize(m->f));
	if (rv != CKR_OK)
		return cryptoki_err(e, OFS_EMODULE, rv,
			"cannot initialise the PKCS#11 module '%s'; check its "
			"configuration",
			TEXT_Q(m->path));
	m->pid = getpid();
	return 0;
}

/* *real: the real path of a name or an absolute path; free() */
static int
resolve(const char *path, char **real, struct ofs_error *e)
{
	CK_FUNCTION_LIST *f;
	const char *why;
	char *file;

	*real = NULL;
	if (path[0] == '/') {
		*real = realpath(path, NULL);
		if (*real == NULL)
			return err_sys(e, OFS_EMODULE, errno,
				"cannot load the PKCS#11 module '%s'",
				TEXT_Q(path));
		return 0;
	}
	if (path[0] == '\0' || strchr(path, '/') != NULL)
		return err_set(e, OFS_EMODULE,
			"cannot load the PKCS#11 module '%s': give an absolute "
			"path, or a bare name in the system's module directory",
			TEXT_Q(path));
	/* p11-kit knows the directory */
	f = p11_kit_module_load(path, 0);
	if (f == NULL) {
		why = p11_kit_message();
		return err_set(e, OFS_EMODULE,
			"cannot load the PKCS#11 module '%s': %s", TEXT_Q(path),
			why != NULL ? why : "unknown reason");
	}
	file = p11_kit_module_get_filename(f);
	if (file != NULL)
		*real = realpath(file, NULL);
	free(file);
	p11_kit_module_release(f);
	if (*real == NULL)
		return err_set(e, OFS_EMODULE,
			"cannot find the file of the PKCS#11 module '%s'",
			TEXT_Q(path));
	return 0;
}

/* a new entry, not yet in the registry; takes real over */
static int
load(char *real, struct module **out, struct ofs_error *e)
{
	struct module *m = calloc(1, sizeof(*m));
	const char *why;
	uint64_t size;
	int rc;

	*out = NULL;
	if (m == NULL || gate_init(&m->gate) != 0) {
		free(m);
		free(real);
		return err_nomem(e);
	}
	m->path = real;
	rc = digest_file(&digest_sha256, real, m->sha256, &size, e);
	if (rc != 0) {
		e->code = rc = OFS_EMODULE;
		goto out;
	}
	rc = pin(real, &m->raw, e);
	if (rc != 0)
		goto out;
	m->f = p11_kit_module_load(real, 0);
	if (m->f == NULL) {
		why = p11_kit_message();
		rc = err_set(e, OFS_EMODULE,
			"cannot load the PKCS#11 module '%s': %s", TEXT_Q(real),
			why != NULL ? why : "unknown reason");
		goto out;
	}
	rc = initialize(m, e);
	if (rc != 0)
		goto out;
	m->refs = 1;
	module_renew(m);
	*out = m;
	m = NULL;
out:
	module_free(m);
	return rc;
}

static int
acquire_locked(char *real, struct module **out, struct ofs_error *e)
{
	struct module *m;
	int rc;

	for (m = registry.modules; m != NULL; m = m->next)
		if (strcmp(m->path, real) == 0)
			break;
	if (m == NULL) {
		rc = load(real, &m, e);
		if (rc != 0)
			return rc;
		m->next = registry.modules;
		registry.modules = m;
		*out = m;
		return 0;
	}
	free(real);
	if (m->pid != getpid()) { /* a child of fork() starts anew */
		rc = initialize(m, e);
		if (rc != 0)
			return rc;
	}
	m->refs++;
	*out = m;
	return 0;
}

/* the registry's lock; fails when somebody hangs while he holds it */
static int
registry_lock(struct ofs_error *e)
{
	struct timespec until;

	if (!atomic_load(&registry.stuck)) {
		(void)clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += LOCK_WAIT_S;
		if (pthread_mutex_timedlock(&registry.lock, &until) == 0)
			return 0;
	}
	return err_set(e, OFS_EMODULE,
		"cannot use a PKCS#11 module: another one hangs while it is "
		"loaded; end this program and leave that one out");
}

struct acquire {
	const char *path;
	struct module *m;
};

static int
acquire(void *arg, struct ofs_error *e)
{
	struct acquire *a = arg;
	struct cryptoki_guard g;
	char *real;
	int rc;

	rc = registry_lock(e);
	if (rc != 0)
		return rc;
	/* all of it is one call: loading runs code of the module, too */
	cryptoki_enter(&g);
	rc = resolve(a->path, &real, e);
	if (rc == 0)
		rc = acquire_locked(real, &a->m, e);
	cryptoki_leave(&g);
	(void)pthread_mutex_unlock(&registry.lock);
	return rc;
}

int
module_acquire(const char *path, int64_t limit, struct module **out,
	struct ofs_error *e)
{
	struct acquire a = { path, NULL };
	bool hung;
	int rc;

	rc = watch_run(limit, acquire, &a, &hung, e);
	*out = rc == 0 ? a.m : NULL;
	if (rc == 0)
		atomic_store(&a.m->limit, limit);
	if (hung) {
		atomic_store(&registry.stuck, true);
		rc = err_set(e, OFS_EMODULE,
			"the PKCS#11 module '%s' did not answer when it was "
			"loaded; leave it out",
			TEXT_Q(path));
	}
	return rc;
}

static int
release(void *arg, struct ofs_error *e)
{
	struct module **at, *m = arg;
	CK_RV rv;
	int rc;

	rc = registry_lock(e);
	if (rc != 0)
		return rc;
	if (--m->refs == 0) {
		for (at = &registry.modules; *at != m; at = &(*at)->next)
			;
		*at = m->next;
		/* p11-kit leaves alone what somebody else initialised */
		CRYPTOKI(rv, p11_kit_module_finalize(m->f));
		(void)rv;
		module_free(m);
	}
	(void)pthread_mutex_unlock(&registry.lock);
	return 0;
}

void
module_release(struct module *m)
{
	struct ofs_error ignored;
	bool hung;

	/* one that hangs is left as it is until the process ends */
	if (m == NULL || atomic_load(&m->hung))
		return;
	(void)watch_run(atomic_load(&m->limit), release, m, &hung, &ignored);
	if (hung)
		atomic_store(&registry.stuck, true);
}

int
module_check_hung(struct module *m, struct ofs_error *e)
{
	if (!atomic_load(&m->hung))
		return 0;
	return err_set(e, OFS_ETOKEN,
		"a call into the PKCS#11 module '%s' hangs; end this program "
		"and look at the token",
		TEXT_Q(m->path));
}

int
module_run(struct module *m, watch_fn fn, void *arg, struct ofs_error *e)
{
	bool hung;
	int rc;

	rc = module_check_hung(m, e);
	if (rc != 0)
		return rc;
	rc = watch_run(atomic_load(&m->limit), fn, arg, &hung, e);
	if (hung)
		atomic_store(&m->hung, true);
	return rc;
}

int
module_restart(struct module *m, struct ofs_error *e)
{
	CK_RV rv;
	int rc;

	rc = registry_lock(e);
	if (rc != 0)
		return rc;
	if (gate_close(&m->gate, RESTART_WAIT_US)) {
		CRYPTOKI(rv, p11_kit_module_finalize(m->f));
		rc = initialize(m, e);
		module_renew(m);
		gate_open(&m->gate);
		(void)rv;
	} else {
		rc = err_set(e, OFS_ETOKEN,
			"cannot restart the PKCS#11 module '%s': it is in use",
			TEXT_Q(m->path));
	}
	(void)pthread_mutex_unlock(&registry.lock);
	return rc;
}

void
module_renew(struct module *m)
{
	atomic_store(&m->load, atomic_fetch_add(&registry.loads, 1) + 1);
}

int
module_slots(struct module *m, CK_SLOT_ID **ids, size_t *n, struct ofs_error *e)
{
	CK_SLOT_ID *v = NULL;
	CK_ULONG count;
	CK_RV rv = CKR_OK;

	*ids = NULL;
	*n = 0;
	/* the list may grow between the two calls */
	for (int i = 0; i < SLOT_TRIES; i++) {
		count = 0;
		CRYPTOKI(rv, m->f->C_GetSlotList(CK_TRUE, NULL, &count));
		if (rv != CKR_OK || count == 0)
			break;
		if (count > SLOTS_MAX)
			return err_set(e, OFS_EMODULE,
				"cannot list the slots of '%s': it claims %lu",
				TEXT_Q(m->path), count);
		v = calloc(count, sizeof(*v));
		if (v == NULL)
			return err_nomem(e);
		*n = count;
		CRYPTOKI(rv, m->f->C_GetSlotList(CK_TRUE, v, &count));
		if (rv == CKR_OK && count <= *n) {
			*n = count;
			*ids = v;
			return 0;
		}
		free(v);
		*n = 0;
		if (rv != CKR_OK && rv != CKR_BUFFER_TOO_SMALL)
			break;
	}
	if (rv == CKR_OK)
		return 0;
	return cryptoki_err(e, OFS_EMODULE, rv, "cannot list the slots of '%s'",
		TEXT_Q(m->path));
}

struct bridge **
module_bridge_lock(int64_t limit)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += limit / 1000000 + 1;
	return pthread_mutex_timedlock(&registry.bridge_lock, &until) == 0
		? &registry.bridges
		: NULL;
}

void
module_bridge_unlock(void)
{
	(void)pthread_mutex_unlock(&registry.bridge_lock);
}

static void
set_free(struct module_set *set)
{
	if (set == NULL)
		return;
	for (size_t i = set->n; i > 0; i--)
		module_release(set->v[i - 1]);
	free(set->v);
	free(set);
}

static int
set_add(ofs_ctx *ctx, struct module *m, struct ofs_error *e)
{
	struct module_set *set = ctx->modules;
	struct module **more;

	if (set == NULL) {
		set = calloc(1, sizeof(*set));
		if (set == NULL)
			return err_nomem(e);
		ctx->modules = set;
		ctx->modules_free = set_free;
	}
	more = realloc(set->v, (set->n + 1) * sizeof(struct module *));
	if (more == NULL)
		return err_nomem(e);
	set->v = more;
	set->v[set->n++] = m;
	return 0;
}

int
ofs_ctx_add_module(ofs_ctx *ctx, const char *path)
{
	struct module *m = NULL;
	struct ofs_error e;
	int rc;

	err_clear(&ctx->err);
	err_clear(&e);
	if (path == NULL)
		return err_set(&ctx->err, OFS_EINVAL,
			"cannot load a PKCS#11 module: no path was given");
	rc = module_acquire(path, ctx_call_limit(ctx), &m, &e);
	for (size_t i = 0;
		rc == 0 && ctx->modules != NULL && i < ctx->modules->n; i++)
		if (ctx->modules->v[i] == m) {
			module_release(m); /* one reference is enough */
			return 0;
		}
	if (rc == 0) {
		rc = set_add(ctx, m, &e);
		if (rc != 0)
			module_release(m);
	}
	return rc == 0 ? 0 : ctx_fail(ctx, &e);
}
