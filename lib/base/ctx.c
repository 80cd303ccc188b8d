/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The library context. */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/text.h"
#include "base/time.h"

#define LINE_MAX_BYTES 1024

/* false: out of memory */
static bool
copy(const char *from, const char **to)
{
	*to = from != NULL ? strdup(from) : NULL;
	return *to != NULL || from == NULL;
}

int
ofs_ctx_new(const struct ofs_ctx_opts *opts, ofs_ctx **out)
{
	static const struct ofs_ctx_opts defaults = OFS_CTX_OPTS_INIT;
	ofs_ctx *ctx;

	if (out == NULL)
		return OFS_EINVAL;
	*out = NULL;
	if (opts == NULL)
		opts = &defaults;
	if (opts->size != sizeof(*opts))
		return OFS_EINVAL;
	ctx = calloc(1, sizeof(*ctx));
	if (ctx == NULL)
		return OFS_ENOMEM;
	ctx->opts = *opts;
	err_clear(&ctx->err);
	ctx->opts.tool = NULL;
	ctx->opts.lock_dir = NULL;
	ctx->opts.station_keys = NULL;
	if (!copy(opts->tool, &ctx->opts.tool) ||
		!copy(opts->lock_dir, &ctx->opts.lock_dir) ||
		!copy(opts->station_keys, &ctx->opts.station_keys)) {
		ofs_ctx_free(ctx);
		return OFS_ENOMEM;
	}
	*out = ctx;
	return 0;
}

void
ofs_ctx_free(ofs_ctx *ctx)
{
	if (ctx == NULL)
		return;
	if (ctx->modules != NULL && ctx->modules_free != NULL)
		ctx->modules_free(ctx->modules);
	free((void *)(uintptr_t)ctx->opts.tool);
	free((void *)(uintptr_t)ctx->opts.lock_dir);
	free((void *)(uintptr_t)ctx->opts.station_keys);
	free(ctx);
}

const struct ofs_error *
ofs_ctx_error(const ofs_ctx *ctx)
{
	return &ctx->err;
}

void
ctx_log(const ofs_ctx *ctx, enum ofs_log_level level, const char *fmt, ...)
{
	char line[LINE_MAX_BYTES];
	va_list ap;
	int n;

	if (ctx->opts.log == NULL)
		return;
	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	text_clean(line);
	ctx->opts.log(ctx->opts.log_arg, level, line);
}

int64_t
ctx_now(const ofs_ctx *ctx)
{
	if (ctx->opts.clock != NULL)
		return ctx->opts.clock(ctx->opts.clock_arg);
	return time_now();
}

int64_t
ctx_call_limit(const ofs_ctx *ctx)
{
	int ms = ctx->opts.call_timeout;

	return 1000 *
		(int64_t)(ms > 0         ? ms
				: ms < 0 ? INT_MAX
					 : OFS_CALL_TIMEOUT_DEFAULT);
}

int64_t
ctx_token_limit(const ofs_ctx *ctx)
{
	int ms = ctx->opts.token_timeout;

	return 1000 *
		(int64_t)(ms > 0         ? ms
				: ms < 0 ? 0
					 : OFS_TOKEN_TIMEOUT_DEFAULT);
}

int
ctx_fail(ofs_ctx *ctx, const struct ofs_error *e)
{
	if (e != &ctx->err)
		ctx->err = *e;
	return e->code;
}
