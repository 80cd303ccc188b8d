/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parts of ofs-sign: what is signed, and what is said about it. */
#ifndef TOOLS_SIGN_H
#define TOOLS_SIGN_H

#include <offlinesig.h>

#include "common/args.h"
#include "common/out.h"
#include "common/progress.h"
#include "common/small.h"
#include "common/tool.h"

struct sign_options {
	struct tool_opts session;
	struct strings keys; /* of the same key on several tokens */
	const char *cert, *out_dir;
	struct strings sums, manifests, names, digests; /* lists */
	const char *root;                   /* of the last two; or NULL */
	bool null;                          /* names end in NUL */
	unsigned long max_items, max_bytes; /* 0: any */
	int format, digest; /* enum ofs_format, enum ofs_digest */
	unsigned long jobs, token_timeout;
	int padding;                           /* enum ofs_padding */
	const char *resume, *status, *abandon; /* ids of batches */
	int on_duplicate;                      /* enum ofs_duplicate */
	unsigned long discard;                 /* an outcome; 0: none */
	bool list_unfinished, resign_unknown;
	bool force, skip_existing, recursive, dry_run, stop_on_error,
		allow_expired, low_s, confirm, anchor;
	const char *confirmed;   /* digits of the list digest, or NULL */
	struct strings validate; /* commands */
	unsigned long validate_timeout, rate;
	const char *report, *copy_to;
};

/* The keys of a run, each on its token. */
struct keyring {
	ofs_audit *audit;
	ofs_key *audit_key; /* on one of the tokens; or NULL */
	ofs_token *tokens[2 * STRINGS_MAX];
	ofs_key *keys[2 * STRINGS_MAX];
	size_t n;
};

/*
 * Opens every key with these flags behind those that are there. One token has
 * to be there; others that hold the same key may be missing.
 */
int cmd_sign_open_keys(struct tool *s, const struct sign_options *o,
	unsigned int flags, struct keyring *r);
/* gives the batch those from this one on */
int cmd_sign_add_keys(
	struct tool *s, ofs_batch *b, const struct keyring *r, size_t from);
void cmd_sign_close_keys(struct keyring *r);

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
	FILE *tty;      /* a plan is being made for the operator there */
	struct small_file file; /* --report */
	int kept; /* errno of what could not be written there; 0: nothing */
};

/* something to sign comes from a list */
bool cmd_sign_has_list(const struct sign_options *o);

/* after what is shown or looked up without a PIN */
bool cmd_sign_logs_in_late(const struct sign_options *o);

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

/* plans, asks, signs and reports; what `b` is to sign was added */
int cmd_sign_run(struct tool *s, struct sign_report *r, struct keyring *ring,
	ofs_batch *b);

/* to the report, and, with --json, to stdout; frees the line */
int cmd_sign_report_line(struct sign_report *r, struct jline *j);
/* puts the report in place; `code` is that of the run */
int cmd_sign_report_keep(struct sign_report *r, int code);

void cmd_sign_plan_print(FILE *f, const struct ofs_plan *p);
int cmd_sign_plan_json(struct sign_report *r, const struct ofs_plan *p);

/* 8 to 64 hex digits, an even number */
bool cmd_sign_is_word(const char *s);
/* OFS_EMISMATCH (said) when the list's digest begins with other digits */
int cmd_sign_check_confirmed(struct out *o, ofs_batch *b, const char *word);
/* the terminal to ask on; OFS_EINVAL (said) */
int cmd_sign_confirm_terminal(struct out *o, FILE **tty);
/* shows the plan and asks; closes tty; OFS_EINTR (said) */
int cmd_sign_confirm(struct out *o, FILE *tty, const struct ofs_plan *p);

/* Commands of --validate, split into words. */
#define VALIDATE_WORDS 64
struct validate_command {
	char *text, *program;
	char *argv[VALIDATE_WORDS];
	size_t n;
};
struct validator {
	struct validate_command commands[STRINGS_MAX];
	size_t n;
	int64_t timeout_ms;
};
/* OFS_EINVAL (said) for one that cannot be run; close it in any case */
int cmd_sign_validate_open(
	struct out *o, const struct sign_options *opts, struct validator *v);
void cmd_sign_validate_close(struct validator *v);
/* an ofs_validate_fn; arg is the struct validator */
int cmd_sign_validate(
	void *arg, const struct ofs_document *d, char *message, size_t size);
/* ends the command that runs; for a signal handler */
void cmd_sign_validate_kill(void);

/* SIGUSR1 asks for a line about the progress, from here on */
void cmd_sign_catch_report(void);
bool cmd_sign_report_wanted(void); /* asked since the last call */
/* SIGINT, SIGTERM and SIGHUP stop the batch; a second one ends the process */
void cmd_sign_watch(ofs_batch *b);
void cmd_sign_unwatch(void);
bool cmd_sign_stopping(void);
/* --list-unfinished, --status, --abandon, --discard-pending: nothing is signed
 */
bool cmd_sign_is_batches(const struct sign_options *o);
int cmd_sign_batches(struct tool *s, const struct sign_options *o);

/* the ofs-verify command that checks what was signed */
void cmd_sign_print_check(FILE *f, const struct sign_report *r);

#endif
