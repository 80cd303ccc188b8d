/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A question on the terminal that is answered by typing a name. */
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "common/confirm.h"
#include "common/plain.h"

FILE *
confirm_open(void)
{
	return fopen("/dev/tty", "r+e");
}

int
confirm_typed(struct out *o, FILE *tty, const char *what, const char *want)
{
	char line[512];
	bool same;

	fprintf(tty, "type %s '", what);
	plain_put(tty, want, strlen(want));
	fputs("' to go on: ", tty);
	fflush(tty);
	/* what was typed before the question does not answer it */
	(void)tcflush(fileno(tty), TCIFLUSH);
	if (fgets(line, sizeof(line), tty) == NULL)
		line[0] = '\0';
	line[strcspn(line, "\r\n")] = '\0';
	same = strcmp(line, want) == 0;
	fclose(tty);
	if (same)
		return 0;
	return out_fail(
		o, OFS_EINTR, "something else was typed; nothing was changed");
}
