/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parts of ofs-sign: what is signed, and what is said about it. */
#ifndef TOOLS_SIGN_H
#define TOOLS_SIGN_H

#include <offlinesig.h>

#include "common/args.h"
#include "common/out.h"
#include "common/progress.h"
#include "common/tool.h"

struct sign_options {
	struct tool_opts session;
	struct strings keys; /* of the same key on several tokens */
	const char *cert, *out_dir;
	struct strings sums, manifests, names; /* lists of documents */
	const char *root;                      /* of the last two; or NULL */
	bool null;                             /* names end in NUL */
	unsigned long max_items, max_bytes;    /* 0: any */
	int format, digest; /* enum ofs_format, enum ofs_digest */
	unsigned long jobs, token_timeout;
	int padding; /* enum ofs_padding */
	bool force, skip_existing, recursive, dry_run, stop_on_error,
		allow_expired, low_s;
};

/* What was said so far; the argument of cmd_sign_report_item(). */
struct sign_report {
	struct out *out;
	const struct sign_options *opts;
	const struct operands *ops;
	bool has_cert;  /* the key has a certificate on the token */
	bool to_stdout; /* the document came from stdin */
	size_t refused; /* operands that gave no item */
	size_t done;    /* signed or skipped, for the last command */
	int code;       /* of what could not be printed; 0: nothing */
};

/* something to sign comes from a list */
bool cmd_sign_has_list(const struct sign_options *o);

/* an ofs_result_fn */
void cmd_sign_report_item(void *arg, const struct ofs_result *res);
/* an operand that cannot even be listed */
void cmd_sign_report_refused(
	struct sign_report *r, const char *path, int code, const char *message);
/*
 * The end of a run or plan that returned `rc`; `e` says why it stopped.
 * Returns the code for the exit status.
 */
int cmd_sign_report_end(struct sign_report *r, const struct ofs_progress *p,
	int rc, const struct ofs_error *e);

/* the ofs-verify command that checks what was signed */
void cmd_sign_print_check(FILE *f, const struct sign_report *r);

#endif
