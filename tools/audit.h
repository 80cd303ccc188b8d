/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The verbs of ofs-audit. */
#ifndef TOOLS_AUDIT_H
#define TOOLS_AUDIT_H

#include <offlinesig.h>

#include "common/args.h"
#include "common/out.h"
#include "common/tool.h"

/* Each takes the command line from its own name on; returns a code. */
int cmd_audit_init(struct out *o, int argc, char **argv);
int cmd_audit_verify(struct out *o, int argc, char **argv);
int cmd_audit_list(struct out *o, int argc, char **argv);
int cmd_audit_show(struct out *o, int argc, char **argv);
int cmd_audit_rotate(struct out *o, int argc, char **argv);
int cmd_audit_checkpoint(struct out *o, int argc, char **argv);
int cmd_audit_key(struct out *o, int argc, char **argv);
int cmd_audit_prove(struct out *o, int argc, char **argv);
int cmd_audit_check_proof(struct out *o, int argc, char **argv);
int cmd_audit_witness(struct out *o, int argc, char **argv);
int cmd_audit_timestamp(struct out *o, int argc, char **argv);
int cmd_audit_anchor(struct out *o, int argc, char **argv);
int cmd_audit_backup(struct out *o, int argc, char **argv);
int cmd_audit_erase(struct out *o, int argc, char **argv);
int cmd_audit_reconcile(struct out *o, int argc, char **argv);
int cmd_audit_export(struct out *o, int argc, char **argv);
int cmd_audit_restore(struct out *o, int argc, char **argv);

/* the parts of export that are no list of records */
int cmd_audit_export_tiles(struct tool *s, const char *dir);
int cmd_audit_export_pending(struct tool *s, const char *dir, bool force);

/*
 * Prints text as a QR code, dark as on paper, or light as on a dark terminal;
 * `ascii`: without block characters, which a locale that is not UTF-8 implies.
 */
int cmd_audit_qr(struct out *o, const char *text, bool ascii, bool invert);

/*
 * What it takes to write a log that no station key in a file opens; for verbs
 * that record what they do.
 */
#define CMD_AUDIT_WRITE_OPTS(so)                           \
	{ "passphrase-source", .text = &(so).passphrase }, \
	{                                                  \
		"module", .list = &(so).modules            \
	}
/* for --help */
#define CMD_AUDIT_WRITE_HELP                                                        \
	"  --passphrase-source SOURCE  of a log without a station key in a file:\n" \
	"                  its passphrase, or the PIN of the token that has the\n"  \
	"                  key (--module PATH); SOURCE as for --pin-source\n"

/* opens the log for reading, on any medium */
int cmd_audit_open(struct tool *s, struct out *o, const struct tool_opts *so);
/* the same for what is recorded */
int cmd_audit_open_to_write(
	struct tool *s, struct out *o, const struct tool_opts *so);
/*
 * The same with the token at `uri` that the verb is about (NULL: none): where
 * it has the station key, one login is enough. The caller frees *token, NULL to
 * begin with, in every case. cmd_audit_unlock_near: of a log that was opened
 * `locked`.
 */
int cmd_audit_open_near(struct tool *s, struct out *o,
	const struct tool_opts *so, const char *uri, ofs_token **token);
int cmd_audit_unlock_near(struct tool *s, const struct tool_opts *so,
	const char *uri, ofs_token **token);
/* the token at `uri`; and, logged in, the key (of *token if that is not NULL).
 * Errors are said */
int cmd_audit_token(struct tool *s, const struct tool_opts *so, const char *uri,
	ofs_token **out);
int cmd_audit_token_key(struct tool *s, const struct tool_opts *so,
	const char *uri, ofs_token **token, ofs_key **key);
/* what the log handle reports */
int cmd_audit_fail(struct tool *s);
/* the same, where a file that an option names may be what is wrong */
int cmd_audit_fail_file(struct tool *s, const char *option, const char *path);
/* the same, of one record: its number is wrong, and no key */
int cmd_audit_fail_record(struct tool *s);
/* the operand that is the number of a record; OFS_EINVAL (said) */
int cmd_audit_number(const struct args *a, struct out *o,
	const struct operands *ops, uint64_t *seq);

/* who can read the log, and what must be kept for it */
int cmd_audit_readers(struct tool *s);
/* warns of other keys on the token of an audit key; the user is logged in */
int cmd_audit_neighbours(
	struct tool *s, ofs_token *token, const uint8_t spki_sha256[32]);
/* reads the files of auditors' certificates; free them in every case */
int cmd_audit_certs(struct out *o, const struct strings *files,
	struct ofs_audit_cert certs[STRINGS_MAX]);
void cmd_audit_certs_free(struct ofs_audit_cert certs[STRINGS_MAX]);

/* every field of it, for people */
void cmd_audit_show_record(FILE *f, const ofs_record *rec);
/* one line about a record: who, what, which document */
void cmd_audit_record_text(FILE *f, const ofs_record *rec);
/* its fixed part as JSON keys, and its body, nested, under "body" */
void cmd_audit_record_json(struct jline *j, const ofs_record *rec);
/* a field's value for people */
void cmd_audit_field_print(FILE *f, const struct ofs_field *field);

/* words for the numbers in records; NULL for unknown ones */
const char *cmd_audit_status_name(int64_t status);
const char *cmd_audit_purpose_name(int64_t purpose);

#endif
