/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a tool says to people: results on stdout, diagnostics on stderr. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/exit.h"
#include "common/out.h"
#include "common/progress.h"
#include "common/plain.h"

bool
out_guard(void)
{
	/* neither can be read from, nor the others be written to */
	static const int how[] = { O_WRONLY, O_RDONLY, O_RDONLY };

	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", how[fd]) != fd)
			return false;
	return true;
}

/* one diagnostic: nothing of another thread gets in between */
static void
say(struct out *o, const char *kind, const char *message)
{
	flockfile(stderr);
	if (o->bar != NULL)
		progress_wipe(o->bar);
	fprintf(stderr, "%s: %s", program_invocation_short_name, kind);
	/* messages hold escaped names already; stray controls end here */
	for (; *message != '\0'; message++)
		fputc((unsigned char)*message < 0x20 ? ' ' : *message, stderr);
	fputc('\n', stderr);
	funlockfile(stderr);
}

static int
fail(struct out *o, int code, const char *message)
{
	struct jline j;

	fflush(stdout);
	say(o, "", message);
	if (o->json) {
		jline_begin(&j, "error");
		jline_error(&j, code, message);
		jline_number(&j, "exit", exit_status(code));
		jline_end(&j, o);
	}
	return code;
}

int
out_fail(struct out *o, int code, const char *fmt, ...)
{
	char message[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	return fail(o, code, message);
}

int
out_fail_with(struct out *o, const struct ofs_error *e)
{
	return fail(o, e->code,
		e->message[0] != '\0' ? e->message : ofs_err_text(e->code));
}

static bool
is_of_file(int code)
{
	return code == OFS_EFORMAT || code == OFS_EUNREADABLE ||
		code == OFS_ESIGNATURE || code == OFS_EUNTRUSTED ||
		code == OFS_EMISMATCH || code == OFS_ECERT;
}

int
out_fail_file(struct out *o, const struct ofs_error *e, const char *option,
	const char *path)
{
	if (!is_of_file(e->code))
		return out_fail_with(o, e);
	return option != NULL
		? out_fail(o, e->code, "cannot use %s '%s': %s", option,
			  NAME(path), e->message)
		: out_fail(o, e->code, "'%s': %s", NAME(path), e->message);
}

void
out_warn(struct out *o, const char *fmt, ...)
{
	char message[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	say(o, "warning: ", message);
}

void
out_note(struct out *o, const char *fmt, ...)
{
	char message[2048];
	va_list ap;

	if (o->json || o->quiet)
		return;
	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	fflush(stdout);
	say(o, "", message);
}

void
out_say(struct out *o, const char *fmt, ...)
{
	char message[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	fflush(stdout);
	say(o, "", message);
}

FILE *
out_human(struct out *o)
{
	if (o->bar != NULL)
		progress_wipe(o->bar);
	return o->to;
}

int
out_end(struct out *o, int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	say(o, "", "cannot write to standard output");
	return code == 0 ? OFS_EIO : code;
}
