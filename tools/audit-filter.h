/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The options that say which records are wanted. */
#ifndef TOOLS_AUDIT_FILTER_H
#define TOOLS_AUDIT_FILTER_H

#include <offlinesig.h>

#include "common/args.h"

#define AUDIT_DIGEST_MAX 64

/* as they stand on the command line */
struct cmd_audit_filter {
	unsigned long from, to, limit;
	const char *since, *until, *digest;
	int type, result;
	uint8_t sum[AUDIT_DIGEST_MAX]; /* what filter.digest points to */
};

#define CMD_AUDIT_FILTER_INIT                            \
	{                                                \
		0, INT64_MAX, 0, NULL, NULL, NULL, 0, 0, \
		{                                        \
			0                                \
		}                                        \
	}

extern const char *const cmd_audit_types[], *const cmd_audit_results[];

/* rows for a table of options; fo and f as above */
#define CMD_AUDIT_FILTER_OPTS(fo, f)                                          \
	{ "from", .number = &(fo).from, .max = INT64_MAX },                   \
		{ "to", .number = &(fo).to, .max = INT64_MAX },               \
		{ "since", .text = &(fo).since },                             \
		{ "until", .text = &(fo).until },                             \
		{ "operator", .text = &(f).operator_ },                       \
		{ "key", .text = &(f).key }, { "token", .text = &(f).token }, \
		{ "batch", .text = &(f).batch },                              \
		{ "document", .text = &(f).document },                        \
		{ "digest", .text = &(fo).digest },                           \
		{ "result", .choice = &(fo).result,                           \
			.names = cmd_audit_results },                         \
	{                                                                     \
		"type", .choice = &(fo).type, .names = cmd_audit_types        \
	}

/* whether any of these options was given */
bool cmd_audit_filter_given(
	const struct cmd_audit_filter *fo, const struct ofs_audit_filter *f);

/* fills the rest of the filter; OFS_EINVAL (said) */
int cmd_audit_filter(const struct args *a, struct out *o,
	struct cmd_audit_filter *fo, struct ofs_audit_filter *f);

#endif
