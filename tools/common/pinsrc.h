/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where PINs come from: --pin-source, --so-pin-source and those of new PINs. */
#ifndef TOOLS_PINSRC_H
#define TOOLS_PINSRC_H

#include <offlinesig.h>

#include "common/out.h"

enum pinsrc_from {
	PIN_DEFAULT, /* the terminal, if there is one */
	PIN_PROMPT,
	PIN_ENV,
	PIN_FILE,
	PIN_FD,
	PIN_CMD,
	PIN_PAD
};

struct pinsrc_source {
	enum pinsrc_from from;
	const char *what; /* name, path, program; borrowed */
	int fd;
};

/* Argument of pinsrc_ask(). */
struct pins {
	struct out *out;
	struct pinsrc_source user, so;
	/*
	 * Several tokens with one key have one PIN: asked for once. Each sees
	 * it only after the one before has accepted it, as they are opened
	 * one after the other.
	 */
	bool share;
	char *shared; /* PIN_BUFFER, or NULL: not asked for yet */
	struct pinsrc_source new_user, new_so;
	/* new PINs come from sources of their own, not from user and so */
	bool change;
	/* while this option is set: PINs of another token come from there */
	const char *other_option;
	struct pinsrc_source other;
	/* the option that names another source of a passphrase; NULL: PINs */
	const char *passphrase;
};

/*
 * pinsrc_parse: prompt, env:NAME, file:PATH, fd:N, cmd:PROGRAM or pinpad. NULL
 * is PIN_DEFAULT. `option` names the option in messages. OFS_EINVAL (said).
 */
int pinsrc_parse(struct out *o, const char *option, const char *spec,
	struct pinsrc_source *to);

/* the source of PINs of this kind, and the option that names it */
const struct pinsrc_source *pinsrc_for(
	const struct pins *pins, enum ofs_pin_kind kind, const char **option);

/*
 * pinsrc_ask: an ofs_pin_fn. For a passphrase, the token has no serial number
 * (NULL), and its label says of what it is. The first line that the source
 * gives, without its line end, goes to `pin`; it must hold 1 to OFS_PIN_MAX
 * bytes and no NUL. What went wrong is said, never what was read.
 */
int pinsrc_ask(void *arg, const struct ofs_pin_request *req, char *pin);
/*
 * A passphrase, of `of`, from `spec`, the value of `option`; NULL: the
 * terminal. `fresh`: a new one. Free *out with pinsrc_buffer_free(). Errors are
 * said.
 */
int pinsrc_passphrase(struct out *o, const char *option, const char *spec,
	const char *of, bool fresh, char **out);
void pinsrc_forget(struct pins *pins); /* what was shared */

/* for the parts of this module */

/* a page that is locked, kept out of dumps, and wiped when it is freed */
#define PIN_BUFFER (OFS_PIN_MAX + 2)
char *pinsrc_buffer_new(void);
void pinsrc_buffer_free(char *p);

/*
 * Reads a line byte by byte, so that what follows stays in the descriptor.
 * `deadline` in ms of CLOCK_MONOTONIC, 0: none. `where` is for messages, and
 * `word` is what they call it: PIN or passphrase.
 */
int pinsrc_read_line(struct out *o, const char *word, int fd, int64_t deadline,
	const char *where, char *pin);
int64_t pinsrc_now(void);
bool pinsrc_has_terminal(void);
int pinsrc_from_program(
	struct out *o, const char *word, const char *program, char *pin);
/* `option` is what names another source */
int pinsrc_from_terminal(struct out *o, const char *word,
	const struct ofs_pin_request *req, const char *option, char *pin);

#endif
