/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The options that say whose time-stamps count. */
#ifndef TOOLS_AUDIT_TSA_H
#define TOOLS_AUDIT_TSA_H

#include <string.h>

#include "audit.h"
#include "common/small.h"

struct tsa {
	const char *trust_file, *chain_file;
	struct bytes trust, chain;
	struct ofs_tsa_opts opts;
};

#define CMD_AUDIT_TSA_OPTS(t)                        \
	{ "tsa-trust", .text = &(t).trust_file },    \
	{                                            \
		"tsa-chain", .text = &(t).chain_file \
	}

/* for --help */
#define CMD_AUDIT_TSA_HELP                                                       \
	"  --tsa-trust CA    certificates of time-stamping authorities' roots\n" \
	"  --tsa-chain FILE  more certificates, where a response lacks them\n"

/* reads the files that are named; free it in every case */
int cmd_audit_tsa_read(struct out *o, struct tsa *t);
/* hands them to the log that is open; nothing where none are named */
int cmd_audit_tsa_trust(struct tool *s, const struct tsa *t);
void cmd_audit_tsa_free(struct tsa *t);

#endif
