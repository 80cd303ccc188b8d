/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The options that say which records are wanted. */
#include <string.h>

#include "audit-filter.h"
#include "common/plain.h"

#define SECOND INT64_C(1000000)
#define DAY (86400 * SECOND)

/* in the order of enum ofs_record_type, and of enum ofs_audit_result */
const char *const cmd_audit_types[] = { "any", "genesis", "batch-opened",
	"batch-closed", "intent", "outcome", "recovery", "login", "key-lent",
	"key-event", "token-event", "release", "epoch", "anchor", "log-event",
	NULL };
const char *const cmd_audit_results[] = { "any", "signed", "failed",
	"not-attempted", "unknown", NULL };

/* a day, or a time with or without zone; *span is how long it lasts */
static bool
parse_time(const char *s, int64_t *us, int64_t *span)
{
	size_t n = strlen(s);
	bool date = n == 10, zone;
	char text[64];

	if (n < 10 || n > 40)
		return false;
	zone = strpbrk(s + 10, "Zz+-") != NULL;
	snprintf(text, sizeof(text), "%s%s%s", s, date ? "T00:00:00" : "",
		zone ? "" : "Z");
	*span = date ? DAY : strchr(s, '.') != NULL ? 1 : SECOND;
	return plain_parse_time(text, us);
}

static int
parse_span(const struct args *a, struct out *o,
	const struct cmd_audit_filter *fo, struct ofs_audit_filter *f)
{
	int64_t span;

	if (fo->since != NULL && !parse_time(fo->since, &f->since, &span))
		return args_usage(a, o,
			"'--since' is a date or time as 2026-11-21 or "
			"2026-11-21T08:00:00Z, not '%s'",
			NAME(fo->since));
	if (fo->until == NULL)
		return 0;
	if (!parse_time(fo->until, &f->until, &span))
		return args_usage(a, o,
			"'--until' is a date or time as 2026-11-21 or "
			"2026-11-21T08:00:00Z, not '%s'",
			NAME(fo->until));
	f->until += span;
	return 0;
}

bool
cmd_audit_filter_given(
	const struct cmd_audit_filter *fo, const struct ofs_audit_filter *f)
{
	return fo->from != 0 || fo->to != INT64_MAX || fo->since != NULL ||
		fo->until != NULL || fo->digest != NULL || fo->type != 0 ||
		fo->result != 0 || f->operator_ != NULL || f->key != NULL ||
		f->token != NULL || f->batch != NULL || f->document != NULL;
}

int
cmd_audit_filter(const struct args *a, struct out *o,
	struct cmd_audit_filter *fo, struct ofs_audit_filter *f)
{
	size_t n = f->batch != NULL ? strlen(f->batch) : 0;
	int rc;

	if (n > 32 ||
		(n > 0 && strspn(f->batch, "0123456789abcdefABCDEF") != n))
		return args_usage(a, o,
			"'--batch' is up to 32 hex digits, not '%s'",
			NAME(f->batch));
	if (fo->digest != NULL) {
		if (!plain_parse_hex(fo->digest, fo->sum, sizeof(fo->sum),
			    &f->digest_len))
			return args_usage(a, o,
				"'--digest' is a hash in hex digits, not '%s'",
				NAME(fo->digest));
		f->digest = fo->sum;
	}
	rc = parse_span(a, o, fo, f);
	f->first = fo->from;
	f->end = fo->to < INT64_MAX ? (uint64_t)fo->to + 1 : 0;
	f->limit = fo->limit;
	f->type = (enum ofs_record_type)fo->type;
	f->result = (enum ofs_audit_result)fo->result;
	return rc;
}
