/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What tools with a token have in common: modules, audit log, PINs. */
#ifndef TOOLS_TOOL_H
#define TOOLS_TOOL_H

#include <offlinesig.h>

#include "common/args.h"
#include "common/out.h"
#include "common/pinsrc.h"

/* The options that they share; zeros to begin with. */
struct tool_opts {
	struct strings modules;   /* --module, or OFS_MODULE */
	const char *audit;        /* --audit, or OFS_AUDIT */
	const char *pin, *so_pin; /* or OFS_PIN_SOURCE, OFS_SO_PIN_SOURCE */
	const char *new_pin, *new_so_pin;
	/*
	 * The log's passphrase, or the PIN of the token that has its station
	 * key: the value of an option of this name (NULL: there is none), or
	 * OFS_AUDIT_PASSPHRASE_SOURCE
	 */
	const char *passphrase, *passphrase_option;
	bool lists;    /* what is unfinished in the log matters */
	bool locked;   /* the log is opened as it is: ask for nothing */
	bool may_lack; /* the same where nobody is there to be asked */
	bool change;   /* new PINs come from those two, else from the others */
	bool last_try;
	int always_auth;                 /* enum ofs_always_auth */
	int token_timeout, open_timeout; /* as in struct ofs_ctx_opts */
};

struct tool {
	struct out *out;
	struct pins pins;
	ofs_ctx *ctx;
	ofs_audit *audit;
	/* told of each registered module where none was named; or NULL */
	ofs_module_fn on_module;
	void *on_module_arg;
	ofs_token *near;      /* one that is used anyway, or NULL */
	bool loaded;          /* the modules were */
	bool waiting;         /* for a token: it was said */
	struct ofs_error why; /* the last of the log */
};

/* a context with log and PIN callback, no module yet; errors are said */
int tool_open(struct tool *s, struct out *o, const struct tool_opts *opts);
/* loads the modules: those named, or else those registered with p11-kit */
int tool_modules(struct tool *s, const struct tool_opts *opts);
/*
 * Opens the log; for writing, the context's logins go there from now on, and
 * what it takes to write it is asked for: its passphrase, or the PIN of the
 * token that holds its station key.
 */
int tool_audit(
	struct tool *s, const struct tool_opts *opts, unsigned int flags);
/*
 * The second half of that, with s->audit: asks for nothing where the log can be
 * written, and its lists be gone on with if that matters, as it is.
 */
int tool_unlock(struct tool *s, const struct tool_opts *opts);
/*
 * The same, of a log that may have to be made, before a login to this token: if
 * it has the station key, that is opened with the PIN of this login.
 */
int tool_audit_near(
	struct tool *s, const struct tool_opts *opts, ofs_token *token);
/* whether the place of a key is a URI, and no file; NULL: it is not */
bool tool_is_on_token(const char *place);
/*
 * Opens the log with its station key on the token at `uri`; the PIN comes from
 * `spec`, the value of `option`, or is asked for. Errors are said.
 */
int tool_unlock_token(struct tool *s, const struct tool_opts *opts,
	const char *uri, const char *option, const char *spec);
/* modules, log, and the token that `uri` names; the caller frees *out */
int tool_token(struct tool *s, const struct tool_opts *opts, const char *uri,
	ofs_token **out);
void tool_close(struct tool *s);

/* where the log lies: DESIGN.md 7; allocated, or NULL (said) */
char *tool_audit_dir(struct out *o, const struct tool_opts *opts);

/* no core dumps, no reading of our memory by others: call it first in main */
void tool_harden(void);

#endif
