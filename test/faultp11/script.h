/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The script as it is written, parsed; test/README.md has the language. */
#ifndef FAULTP11_SCRIPT_H
#define FAULTP11_SCRIPT_H

#include "names.h"

#define LABEL_MAX 33
#define RULES_MAX 128
#define MODES_MAX 64
#define WORDS_MAX 16
#define FILE_MAX 256

enum column { COLUMN_NONE, COLUMN_OPENSC, COLUMN_YKCS11, COLUMN_NETWORK };

/* how a token goes and comes back */
struct removal {
	enum column column;
	long back; /* ms; -1: never, or when the file exists */
	char back_file[FILE_MAX];
	char as[LABEL_MAX]; /* the token that comes instead, or "" */
	bool move;
};

/* what happens in one call; several rules may add to it */
struct fault {
	unsigned long delay; /* ms */
	bool hang, wrong, sigpipe, kill, has_ckr, has_after;
	CK_RV ckr, after;
	char length_op; /* '+', '-', '=', or 0 */
	CK_ULONG length;
	struct removal removal;
	char removed[LABEL_MAX]; /* "": the token of the call */
	char swap_a[LABEL_MAX], swap_b[LABEL_MAX];
};

struct rule {
	int fn;                       /* -1: any */
	unsigned long from, to, seen; /* seen: calls since it was armed */
	char token[LABEL_MAX];        /* counts calls of this one only; or "" */
	struct fault fault;
};

enum mode_kind {
	MODE_SESSIONS, /* n; a: "lies" */
	MODE_LATENCY,  /* n ms */
	MODE_PINLOCK,  /* n; a: "so" */
	MODE_PINFLAGS,
	MODE_FLAGS,
	MODE_HIDEFLAGS,
	MODE_SLOTFLAGS,
	MODE_SWAP, /* a, b */
	MODE_HIDE,
	MODE_NOATTR,
	MODE_NOPUBLIC,
	MODE_ECPOINT, /* a: "raw" or "wrapped" */
	MODE_PINPAD,
	MODE_PINPAD_DELAY, /* n ms */
	MODE_YUBIKEY,
	MODE_SOWRITES,
	MODE_ATTEST,
	MODE_SERIAL, /* a: label, b: serial */
	MODE_LABEL,  /* a: label, b: shown */
	MODE_FINALIZE_HANG,
	MODE_FORK_STRICT
};

struct mode {
	enum mode_kind kind;
	CK_ULONG n;
	char a[LABEL_MAX], b[LABEL_MAX];
	char token[LABEL_MAX]; /* only this one; or "" */
};

struct script {
	bool keep;
	struct rule rules[RULES_MAX];
	size_t rule_count;
	struct mode modes[MODES_MAX];
	size_t mode_count;
};

/* 0, or the line that is wrong and why */
int script_parse(const char *text, struct script *s, const char **why);

#endif
