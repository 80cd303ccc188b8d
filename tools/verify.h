/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parts of ofs-verify: what is checked, and what is said about it. */
#ifndef TOOLS_VERIFY_H
#define TOOLS_VERIFY_H

#include <offlinesig.h>

#include "common/out.h"

/* What was said so far. */
struct verify_report {
	struct out *out;
	bool trust_given;
	size_t files, valid, invalid, untrusted, unreadable, unchecked;
	int other; /* the first code that is no verdict; 0: none */
	bool no_revocation, no_time; /* of any valid one */
	struct ofs_verdict last;
	bool several_signers;
	char signer[256]; /* of the first valid one */
};

/* one more file; path is what the user would call it */
int cmd_verify_report_add(
	struct verify_report *r, const char *path, const struct ofs_verdict *v);
/* the summary; returns the code for the exit status */
int cmd_verify_report_end(struct verify_report *r);

/* What is checked: operands, and where their signatures are. */
struct verify_walk {
	ofs_verifier *verifier;
	struct verify_report *report;
	const char *sig; /* --sig, or NULL */
	bool sig_is_dir;
	bool recursive;
};
int cmd_verify_walk_operand(struct verify_walk *w, const char *operand);

#endif
