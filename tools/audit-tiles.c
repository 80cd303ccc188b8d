/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ofs-audit export --tiles: the tree and its headers, for other programs. */
#include <inttypes.h>
#include <string.h>

#include "audit.h"
#include "common/plain.h"

int
cmd_audit_export_tiles(struct tool *s, const char *dir)
{
	struct jline j;
	uint64_t n;
	FILE *f;

	if (ofs_audit_export_tiles(s->audit, dir, &n) != 0)
		return cmd_audit_fail(s);
	if (s->out->json) {
		jline_begin(&j, "exported");
		jline_name(&j, "tiles", dir, strlen(dir));
		jline_number(&j, "records", (int64_t)n);
		return jline_end(&j, s->out);
	}
	f = out_human(s->out);
	fprintf(f, "wrote the headers and the tree of %" PRIu64 " records to ",
		n);
	plain_put(f, dir, strlen(dir));
	fputc('\n', f);
	return 0;
}
