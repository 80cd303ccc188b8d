/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The options with which ofs-audit reads a log that is encrypted. */
#ifndef TOOLS_AUDIT_UNLOCK_H
#define TOOLS_AUDIT_UNLOCK_H

#include "audit.h"

struct unlock {
	const char *key, *passphrase, *station_key;
};

#define CMD_AUDIT_UNLOCK_OPTS(u, so)                              \
	{ "auditor-key", .text = &(u).key },                      \
		{ "passphrase-source", .text = &(u).passphrase }, \
		{ "station-key", .text = &(u).station_key },      \
	{                                                         \
		"module", .list = &(so).modules                   \
	}

/* for --help */
#define CMD_AUDIT_UNLOCK_HELP                                                          \
	"  --auditor-key FILE  read with an auditor's private key (PEM); that\n"       \
	"                 is recorded where the log can be written\n"                  \
	"  --passphrase-source SOURCE  of the log, or of that key; SOURCE as\n"        \
	"                 for --pin-source\n"                                          \
	"  --station-key FILE  where the log's own key lies, if elsewhere; or\n"       \
	"                 pkcs11:URI, of the token that has it (--module PATH); its\n" \
	"                 PIN is asked for, or comes from --passphrase-source\n"

/*
 * Opens the log, for reading; with an auditor's key or a passphrase for writing
 * where that can be, as the reading is recorded.
 */
int cmd_audit_open_with(struct tool *s, struct out *o,
	const struct tool_opts *so, const struct unlock *u);

/* whether any of these options was given */
bool cmd_audit_unlock_given(const struct unlock *u);
/* the same with a log that is open; nothing to do where nothing is given */
int cmd_audit_unlock(
	struct tool *s, const struct tool_opts *so, const struct unlock *u);

/* asks for one: free it with pinsrc_buffer_free(); `fresh`: twice */
int cmd_audit_passphrase(struct out *o, const char *spec, const char *of,
	bool fresh, char **out);

#endif
