/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Asks for a PIN on the terminal, with echo off and signals minded. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "common/pinsrc.h"

static const int watched[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP,
	SIGTTIN, SIGTTOU };

#define N_WATCHED (sizeof(watched) / sizeof(watched[0]))

/* the only thing that a handler may touch */
static volatile sig_atomic_t got_signal;

static void
note_signal(int signum)
{
	got_signal = signum;
}

static void
put(int fd, const char *s)
{
	size_t n = strlen(s);
	ssize_t did;

	while (n > 0) {
		did = write(fd, s, n);
		if (did <= 0)
			return;
		s += did;
		n -= (size_t)did;
	}
}

/* 0, EINTR (a signal came), or why not */
static int
read_line(int fd, char *pin)
{
	size_t n = 0;
	char c = 0;
	ssize_t got;
	int rc = 0;

	for (;;) {
		got = read(fd, &c, 1);
		if (got < 0) {
			rc = errno;
			break;
		}
		if (got == 0 || c == '\n' || c == '\r')
			break;
		if (n <= OFS_PIN_MAX)
			pin[n++] = c;
	}
	c = 0;
	if (rc == 0 && n > OFS_PIN_MAX)
		rc = E2BIG;
	if (rc == 0 && memchr(pin, '\0', n) != NULL)
		rc = EINVAL;
	if (rc == 0)
		pin[n] = '\0';
	else
		explicit_bzero(pin, PIN_BUFFER);
	return rc;
}

/* one question; the terminal is as before when it returns */
static int
ask_once(int fd, const char *prompt, char *pin)
{
	struct sigaction act, before[N_WATCHED];
	struct termios old, quiet;
	size_t i;
	int rc;

	if (tcgetattr(fd, &old) != 0)
		return errno;
	memset(&act, 0, sizeof(act));
	act.sa_handler = note_signal; /* no SA_RESTART: read is to end */
	sigemptyset(&act.sa_mask);
	got_signal = 0;
	for (i = 0; i < N_WATCHED; i++)
		sigaction(watched[i], &act, &before[i]);
	quiet = old;
	quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
	quiet.c_lflag |= ICANON;
	/* before the prompt: who answers at once is not shown, and heard */
	rc = tcsetattr(fd, TCSAFLUSH, &quiet) != 0 ? errno : 0;
	put(fd, prompt);
	if (rc == 0)
		rc = read_line(fd, pin);
	tcsetattr(fd, TCSAFLUSH, &old);
	put(fd, "\n");
	for (i = 0; i < N_WATCHED; i++)
		sigaction(watched[i], &before[i], NULL);
	return rc;
}

/*
 * Asks again after a stop; other signals do what they did before, now that the
 * terminal is restored.
 */
static int
ask(int fd, const char *prompt, char *pin)
{
	int rc, signum;

	for (;;) {
		rc = ask_once(fd, prompt, pin);
		signum = got_signal;
		if (signum == 0)
			return rc;
		explicit_bzero(pin, PIN_BUFFER);
		raise(signum);
		if (signum != SIGTSTP && signum != SIGTTIN && signum != SIGTTOU)
			return EINTR;
	}
}

static void
make_prompt(
	const struct ofs_pin_request *req, bool again, char *to, size_t size)
{
	static const char *const what[] = { [OFS_PIN_USER] = "PIN",
		[OFS_PIN_SO] = "SO PIN",
		[OFS_PIN_NEW_USER] = "new PIN",
		[OFS_PIN_NEW_SO] = "new SO PIN",
		[OFS_PIN_CONTEXT] = "PIN for one signature" };
	const char *note = "";

	if (req->token_serial == NULL) {
		snprintf(to, size, "%spassphrase of %s%s: ",
			req->kind == OFS_PIN_NEW_USER ? "new " : "",
			req->token_label, again ? " again" : "");
		return;
	}
	if (req->final_try)
		note = "LAST TRY: one more wrong PIN locks the token.\n";
	else if (req->count_low)
		note = "The token says that a PIN was wrong lately.\n";
	snprintf(to, size, "%s%s%s of '%s'%s%s%s: ", again ? "" : note,
		what[req->kind],
		req->management_key ? " (the management key, in hex)" : "",
		req->token_label,
		req->token_serial[0] != '\0' ? " (serial " : "",
		req->token_serial, req->token_serial[0] != '\0' ? ")" : "");
	if (again)
		snprintf(to, size, "%s again: ", what[req->kind]);
}

/* equal in a time that tells nothing; both are PIN_BUFFER long */
static bool
same(const char *a, const char *b)
{
	unsigned char d = 0;
	size_t i;

	for (i = 0; i < PIN_BUFFER; i++)
		d |= (unsigned char)(a[i] ^ b[i]);
	return d == 0;
}

static int
ask_all(struct out *o, const char *word, int fd,
	const struct ofs_pin_request *req, char *one, char *two)
{
	bool twice =
		req->kind == OFS_PIN_NEW_USER || req->kind == OFS_PIN_NEW_SO;
	char prompt[512];
	int rc;

	make_prompt(req, false, prompt, sizeof(prompt));
	rc = ask(fd, prompt, one);
	if (rc == 0 && twice && one[0] != '\0') {
		make_prompt(req, true, prompt, sizeof(prompt));
		rc = ask(fd, prompt, two);
	}
	if (rc != 0)
		return out_fail(o, OFS_ENOPIN, "cannot read the %s: %s", word,
			rc == E2BIG ? "it is too long" : strerror(rc));
	if (one[0] == '\0')
		return out_fail(o, OFS_ENOPIN, "no %s was entered", word);
	if (twice && !same(one, two))
		return out_fail(o, OFS_ENOPIN,
			"the two %ss differ; nothing was changed", word);
	return 0;
}

bool
pinsrc_has_terminal(void)
{
	int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

int
pinsrc_from_terminal(struct out *o, const char *word,
	const struct ofs_pin_request *req, const char *option, char *pin)
{
	char *one = NULL, *two = NULL;
	int fd, rc;

	fd = open("/dev/tty", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return out_fail(o, OFS_ENOPIN,
			"no terminal to ask for the %s on; %s %s%s "
			"file:PATH, fd:N, env:NAME or cmd:PROGRAM",
			word, option[0] == '-' ? "pass" : "set", option,
			option[0] == '-' ? "" : " to");
	one = pinsrc_buffer_new();
	two = pinsrc_buffer_new();
	if (one == NULL || two == NULL)
		rc = out_fail(o, OFS_ENOMEM, "out of memory");
	else
		rc = ask_all(o, word, fd, req, one, two);
	if (rc == 0)
		memcpy(pin, one, strlen(one) + 1);
	pinsrc_buffer_free(one);
	pinsrc_buffer_free(two);
	close(fd);
	return rc;
}
