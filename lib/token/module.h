/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PKCS#11 modules: loaded once per process, counted, never unmapped. */
#ifndef TOKEN_MODULE_H
#define TOKEN_MODULE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <offlinesig/types.h>

#include "token/cryptoki.h"
#include "token/gate.h"

/* One for each real path in use. Constant while somebody holds it. */
struct module {
	struct module *next;   /* in the registry */
	char *path;            /* real path */
	uint8_t sha256[32];    /* of the file, when it was loaded */
	CK_FUNCTION_LIST *f;   /* p11-kit's managed one */
	CK_FUNCTION_LIST *raw; /* the module's own, for recovery only */
	struct gate gate;      /* signers inside; closed to start it anew */
	_Atomic int64_t limit; /* us that a call may take */
	atomic_bool hung;      /* a call never came back: no more calls */
	unsigned int refs;
	pid_t pid; /* of the process that initialised it last */
	/* another one after a load, a restart, and when a token came back */
	atomic_ulong load;
};

/* The modules of one context. */
struct module_set {
	struct module **v;
	size_t n;
};

/*
 * Takes the module at `path` into use; the caller gives it back with
 * module_release. The same file twice is one module. From now on no call into
 * it takes longer than `limit` (us).
 */
int module_acquire(const char *path, int64_t limit, struct module **out,
	struct ofs_error *e);
void module_release(struct module *m);

/*
 * watch_run of something that calls the module. Refuses a module that hung
 * before, and marks one that hangs now.
 */
int module_run(struct module *m, watch_fn fn, void *arg, struct ofs_error *e);
/* OFS_ETOKEN when it hung before */
int module_check_hung(struct module *m, struct ofs_error *e);

/*
 * C_Finalize and C_Initialize, for a module that only this revives: everything
 * in this process that uses it starts anew. Where somebody else uses the
 * module too, p11-kit keeps it running and nothing happens.
 */
int module_restart(struct module *m, struct ofs_error *e);

/* what was kept of sessions and handles is of no use any more */
void module_renew(struct module *m);

/* slot ids with a token in them; caller frees *ids with free() */
int module_slots(
	struct module *m, CK_SLOT_ID **ids, size_t *n, struct ofs_error *e);

/*
 * What token/evp.c keeps for the life of the process, so that libp11 is never
 * made to close sessions or to finalise a module under us. The list is
 * guarded by module_bridge_lock, which also serialises libp11's set-up.
 */
struct bridge;
/* NULL: another thread has held it for `limit` us, and hangs perhaps */
struct bridge **module_bridge_lock(int64_t limit);
void module_bridge_unlock(void);

#endif
