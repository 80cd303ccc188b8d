/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ofs-audit export --pending: outputs that no run has released. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "audit.h"
#include "common/plain.h"
#include "common/small.h"

struct pending {
	struct out *out;
	const char *dir;
	bool force;
	uint64_t written, closed;
	int code; /* said already */
};

/* DIR/SEQ-NAME: two outputs may have one name, in different directories */
static char *
name_of(const char *dir, const struct ofs_audit_output *p)
{
	const char *slash = strrchr(p->path, '/');
	const char *base = slash != NULL ? slash + 1 : p->path;
	char *path = NULL;

	return asprintf(&path, "%s/%" PRIu64 "-%s", dir, p->seq, base) >= 0
		? path
		: NULL;
}

static int
print(struct out *o, const struct ofs_audit_output *p, const char *path)
{
	struct jline j;

	if (o->json) {
		jline_begin(&j, "pending-output");
		jline_number(&j, "seq", (int64_t)p->seq);
		jline_name(&j, "output", p->path, strlen(p->path));
		jline_name(&j, "path", path, strlen(path));
		return jline_end(&j, o);
	}
	fprintf(out_human(o), "record %" PRIu64 ": ", p->seq);
	plain_put(out_human(o), p->path, strlen(p->path));
	fputs(" is in ", out_human(o));
	plain_put(out_human(o), path, strlen(path));
	fputc('\n', out_human(o));
	return 0;
}

static int
take(void *arg, const struct ofs_audit_output *p)
{
	struct pending *x = arg;
	char *path;

	if (p->running)
		return 0;
	if (p->path == NULL) {
		x->closed++;
		return 0;
	}
	path = name_of(x->dir, p);
	if (path == NULL)
		x->code = out_fail(x->out, OFS_ENOMEM, "out of memory");
	else
		x->code = small_write(x->out, path, p->p, p->n, x->force);
	if (x->code == 0) {
		x->written++;
		x->code = print(x->out, p, path);
	}
	free(path);
	return x->code;
}

int
cmd_audit_export_pending(struct tool *s, const char *dir, bool force)
{
	struct pending x = { .out = s->out, .dir = dir, .force = force };

	if (mkdir(dir, 0700) != 0 && errno != EEXIST)
		return out_fail(s->out, OFS_EIO, "cannot make '%s': %s",
			NAME(dir), strerror(errno));
	if (ofs_audit_each_output(s->audit, take, &x) != 0)
		return x.code != 0 ? x.code : cmd_audit_fail(s);
	if (x.closed > 0)
		return out_fail(s->out, OFS_EAUDIT,
			"%" PRIu64 " outputs that wait cannot be opened with "
			"the keys that are here; the key of an auditor opens "
			"them: --auditor-key FILE",
			x.closed);
	if (x.written == 0 && !s->out->json)
		fputs("no output waits for its release\n", out_human(s->out));
	return 0;
}
