/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The verbs of ofs-token. */
#ifndef TOOLS_TOKEN_H
#define TOOLS_TOKEN_H

#include <offlinesig.h>

#include "common/args.h"
#include "common/out.h"
#include "common/tool.h"

/* Each takes the command line from its own name on; returns a code. */
int cmd_token_list(struct out *o, int argc, char **argv);
int cmd_token_init(struct out *o, int argc, char **argv);
int cmd_token_enroll(struct out *o, int argc, char **argv);
int cmd_token_adopt(struct out *o, int argc, char **argv);
int cmd_token_import_cert(struct out *o, int argc, char **argv);
int cmd_token_keys(struct out *o, int argc, char **argv);
int cmd_token_info(struct out *o, int argc, char **argv);
int cmd_token_export_cert(struct out *o, int argc, char **argv);
int cmd_token_rename(struct out *o, int argc, char **argv);
int cmd_token_delete(struct out *o, int argc, char **argv);
int cmd_token_pin_change(struct out *o, int argc, char **argv);
int cmd_token_pin_unblock(struct out *o, int argc, char **argv);
int cmd_token_so_pin_change(struct out *o, int argc, char **argv);
int cmd_token_bench(struct out *o, int argc, char **argv);
int cmd_token_check(struct out *o, int argc, char **argv);

/* rows of a table of options that verbs share */
#define TOKEN_OPTS(so)                                                         \
	{ "module", .list = &(so).modules }, { "audit", .text = &(so).audit }, \
		{ "pin-source", .text = &(so).pin },                           \
	{                                                                      \
		"last-try", .flag = &(so).last_try                             \
	}

/* of verbs that sign */
extern const char *const cmd_token_policies[];
#define TOKEN_SIGN_OPTS(so)                                 \
	{                                                   \
		"always-auth", .choice = &(so).always_auth, \
			       .names = cmd_token_policies  \
	}

/* of verbs that change what is on the token */
#define SO_OPTS(so)                                   \
	{                                             \
		"so-pin-source", .text = &(so).so_pin \
	}
#define SO_HELP                                                                \
	"  --so-pin-source SRC  the SO PIN, for tokens whose SO looks after\n" \
	"                     the keys (OFS_SO_PIN_SOURCE)\n"

/* what --help says of them */
#define TOKEN_SIGN_HELP                                                            \
	"  --always-auth P    for a key that wants the PIN for every signature:\n" \
	"                     hold the PIN for it, ask each time, or refuse\n"     \
	"                     (default)\n"
#define TOKEN_HELP                                                             \
	"  --module PATH      PKCS#11 module (OFS_MODULE); may repeat\n"       \
	"  --audit DIR        the audit log (OFS_AUDIT)\n"                     \
	"  --pin-source SRC   prompt, env:NAME, file:PATH, fd:N,\n"            \
	"                     cmd:PROGRAM, pinpad (OFS_PIN_SOURCE)\n"          \
	"  --last-try         log in even when one more wrong PIN locks the\n" \
	"                     token\n"                                         \
	"  --json             one JSON object a line\n"

/* one key: as an object with `type`, or as a block of lines */
void cmd_token_key_json(struct jline *j, const struct ofs_key_info *k);
void cmd_token_key_print(FILE *f, const struct ofs_key_info *k);
/* what enroll and adopt say of the key that they recorded */
int cmd_token_key_recorded(struct out *o, const char *type,
	const struct ofs_enrolled *e, const char *pem_path);

/* what comes after a key for --use log */
void cmd_token_next_log(FILE *f, const char *uri);

/* words for --use, by enum cmd_token_use */
enum cmd_token_use { USE_DOCUMENT, USE_DIGEST, USE_LOG };
extern const char *const cmd_token_uses[];

/* words for --always-auth, by enum ofs_always_auth */
extern const char *const cmd_token_always_auth[];

/* the state of the user PIN in words */
const char *cmd_token_pin_state(const struct ofs_token_info *t);

/* "LABEL: value" lines; the value is escaped */
void cmd_token_row(FILE *f, const char *name, const char *value);

#endif
