/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where PINs come from: --pin-source and --so-pin-source. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/pinsrc.h"
#include "common/plain.h"

static const struct {
	const char *name; /* with its colon where a value follows */
	enum pinsrc_from from;
} kinds[] = {
	{ "prompt", PIN_PROMPT },
	{ "env:", PIN_ENV },
	{ "file:", PIN_FILE },
	{ "fd:", PIN_FD },
	{ "cmd:", PIN_CMD },
	{ "pinpad", PIN_PAD },
};

#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* The value is never repeated: somebody may have put a PIN there. */
static int
refuse(struct out *o, const char *option)
{
	return out_fail(o, OFS_EINVAL,
		"%s is not a PIN source; use prompt, env:NAME, file:PATH, "
		"fd:N, cmd:PROGRAM or pinpad (a PIN itself is never an "
		"argument)",
		option);
}

int
pinsrc_parse(struct out *o, const char *option, const char *spec,
	struct pinsrc_source *to)
{
	uint64_t fd;
	size_t i, n;

	memset(to, 0, sizeof(*to));
	if (spec == NULL)
		return 0;
	for (i = 0; i < N_KINDS; i++) {
		n = strlen(kinds[i].name);
		if (strncmp(spec, kinds[i].name, n) != 0)
			continue;
		/* a value where one belongs, and only there */
		if ((kinds[i].name[n - 1] == ':') != (spec[n] != '\0'))
			break;
		to->from = kinds[i].from;
		to->what = spec + n;
		if (to->from == PIN_FD &&
			!plain_parse_number(to->what, 65535, &fd))
			break;
		if (to->from == PIN_FD)
			to->fd = (int)fd;
		return 0;
	}
	return refuse(o, option);
}

static int
from_env(struct out *o, const char *word, const char *name, char *pin)
{
	char *value = getenv(name);
	size_t n = value == NULL ? 0 : strlen(value);
	int rc = 0;

	if (value == NULL)
		return out_fail(o, OFS_ENOPIN,
			"cannot get the %s: no environment variable '%s'", word,
			NAME(name));
	if (n == 0 || n > OFS_PIN_MAX || strchr(value, '\n') != NULL)
		rc = out_fail(o, OFS_ENOPIN,
			"cannot get the %s: environment variable '%s' is "
			"empty, too long or has more than one line",
			word, NAME(name));
	else
		memcpy(pin, value, n + 1);
	/* children do not inherit it, and it is gone from our memory */
	explicit_bzero(value, n);
	unsetenv(name);
	return rc;
}

static int
from_file(struct out *o, const char *word, const char *path, char *pin)
{
	struct stat st;
	int fd, rc;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return out_fail(o, OFS_ENOPIN,
			"cannot read the %s file '%s': %s", word, NAME(path),
			strerror(errno));
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return out_fail(o, OFS_ENOPIN,
			"cannot read the %s file '%s': it is not a regular "
			"file; use fd:N for pipes",
			word, NAME(path));
	}
	if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		out_warn(o, "others may read the %s file '%s'; chmod 600 it",
			word, NAME(path));
	rc = pinsrc_read_line(o, word, fd, 0, path, pin);
	close(fd);
	return rc;
}

static int
from_fd(struct out *o, const char *word, int fd, char *pin)
{
	char where[32];

	snprintf(where, sizeof(where), "descriptor %d", fd);
	if (fcntl(fd, F_GETFD) < 0)
		return out_fail(o, OFS_ENOPIN,
			"cannot read the %s: %s is not open", word, where);
	/* nothing that is started later gets it */
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	return pinsrc_read_line(o, word, fd, 0, where, pin);
}

const struct pinsrc_source *
pinsrc_for(const struct pins *pins, enum ofs_pin_kind kind, const char **option)
{
	bool so = kind == OFS_PIN_SO || kind == OFS_PIN_NEW_SO;
	bool fresh = kind == OFS_PIN_NEW_USER || kind == OFS_PIN_NEW_SO;

	if (pins->passphrase != NULL) {
		*option = pins->passphrase;
		return &pins->user;
	}
	if (pins->other_option != NULL) {
		*option = pins->other_option;
		return &pins->other;
	}
	if (fresh && pins->change) {
		*option = so ? "--new-so-pin-source" : "--new-pin-source";
		return so ? &pins->new_so : &pins->new_user;
	}
	*option = so ? "--so-pin-source" : "--pin-source";
	return so ? &pins->so : &pins->user;
}

static int
ask(struct pins *pins, const struct ofs_pin_request *req, char *pin)
{
	const char *option;
	const struct pinsrc_source *s = pinsrc_for(pins, req->kind, &option);
	const char *word = pins->passphrase != NULL ? "passphrase" : "PIN";
	struct out *o = pins->out;

	switch (s->from) {
	case PIN_ENV:
		return from_env(o, word, s->what, pin);
	case PIN_FILE:
		return from_file(o, word, s->what, pin);
	case PIN_FD:
		return from_fd(o, word, s->fd, pin);
	case PIN_CMD:
		return pinsrc_from_program(o, word, s->what, pin);
	case PIN_PAD:
		return out_fail(o, OFS_ENOPIN,
			"token '%s' has no PIN pad; use another %s",
			req->token_label, option);
	default:
		return pinsrc_from_terminal(o, word, req, option, pin);
	}
}

int
pinsrc_ask(void *arg, const struct ofs_pin_request *req, char *pin)
{
	struct pins *pins = arg;
	int rc;

	if (!pins->share || req->kind != OFS_PIN_USER ||
		pins->other_option != NULL)
		return ask(pins, req, pin);
	if (pins->shared == NULL) {
		rc = ask(pins, req, pin);
		if (rc != 0)
			return rc;
		pins->shared = pinsrc_buffer_new();
		if (pins->shared != NULL)
			memcpy(pins->shared, pin, strlen(pin) + 1);
		return 0;
	}
	memcpy(pin, pins->shared, strlen(pins->shared) + 1);
	return 0;
}

void
pinsrc_forget(struct pins *pins)
{
	pinsrc_buffer_free(pins->shared);
	pins->shared = NULL;
}
