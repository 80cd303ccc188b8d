/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Command lines: long options bound to variables, operands, help. */
#ifndef TOOLS_ARGS_H
#define TOOLS_ARGS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/out.h"

/* values of an option that may be given again */
#define STRINGS_MAX 64
struct strings {
	const char *p[STRINGS_MAX];
	size_t n;
};

/* One option; exactly one of the five targets is set. */
struct opt {
	const char *name; /* without "--" */
	bool *flag;
	const char **text;     /* once */
	struct strings *list;  /* again and again */
	unsigned long *number; /* min to max */
	int *choice;           /* index into names */
	unsigned long min, max;
	const char *const *names; /* ended by NULL */
};

struct args {
	const char *name;       /* "ofs-token list": for hints */
	const char *help;       /* printed by --help */
	const struct opt *opts; /* ended by a NULL name */
	bool *json;             /* NULL: the tool has no --json */
};

/* what remains after the options; borrowed from argv */
struct operands {
	char **p;
	int n;
};

#define ARGS_DONE 1 /* --help or --version was answered */

/*
 * args_parse: options may stand anywhere before "--". Abbreviations are not
 * accepted: a script must not change its meaning with a new option. Returns
 * 0, OFS_EINVAL (said), or ARGS_DONE. argv is reordered.
 */
int args_parse(const struct args *a, struct out *o, int argc, char **argv,
	struct operands *out);

/* "message; see 'NAME --help'", and OFS_EINVAL */
int args_usage(const struct args *a, struct out *o, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* A verb of a tool, with argv from its own name on. */
struct verb {
	const char *name; /* one word, or two; NULL ends the table */
	int (*run)(struct out *o, int argc, char **argv);
};

/*
 * args_verb: runs the verb that argv[1], with argv[2] for one of two words,
 * names; OFS_EINVAL (said) without one
 */
int args_verb(const char *tool, const char *help, const struct verb *verbs,
	struct out *o, int argc, char **argv);

/* checks the number of operands, `what` names them in the message */
int args_operands(const struct args *a, struct out *o,
	const struct operands *ops, int min, int max, const char *what);

#endif
