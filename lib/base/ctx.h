/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The library context: callbacks, clock, log sink, the modules in use. */
#ifndef BASE_CTX_H
#define BASE_CTX_H

#include <pthread.h>

#include <offlinesig/types.h>

struct module_set; /* token/module.h */

/* What the token layer reports so that somebody above can record it. */
enum ctx_event_type { CTX_EVENT_LOGIN_OK, CTX_EVENT_LOGIN_FAILED };

struct ctx_event {
	enum ctx_event_type type;
	enum ofs_pin_kind user; /* OFS_PIN_USER or OFS_PIN_SO */
	const void *token;      /* const struct ofs_token_info * */
	int code;               /* of the failure, or 0 */
	unsigned long ckr;
};

/* Returns 0, or an error (with e set) that fails what was reported. */
typedef int (*ctx_event_fn)(
	void *arg, const struct ctx_event *ev, struct ofs_error *e);

struct ofs_ctx {
	struct ofs_ctx_opts opts; /* its strings are owned */
	struct ofs_error err;
	ctx_event_fn event; /* NULL: nobody listens */
	void *event_arg;
	struct module_set *modules; /* NULL until the first is added */
	void (*modules_free)(struct module_set *); /* set by the token layer */
};

void ctx_log(const ofs_ctx *ctx, enum ofs_log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
int64_t ctx_now(const ofs_ctx *ctx);
/* the deadlines of the options, in us */
int64_t ctx_call_limit(const ofs_ctx *ctx);
int64_t ctx_token_limit(const ofs_ctx *ctx); /* 0: a batch does not wait */
/* copies e to the context's record and returns its code */
int ctx_fail(ofs_ctx *ctx, const struct ofs_error *e);

#endif
