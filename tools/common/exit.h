/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The exit status of every tool: one table. */
#ifndef TOOLS_EXIT_H
#define TOOLS_EXIT_H

enum tool_exit {
	EXIT_DONE = 0,
	EXIT_NEGATIVE = 1, /* a negative verdict, or some item failed */
	EXIT_USAGE = 2,
	EXIT_TOKEN = 3, /* token, module or key */
	EXIT_PIN = 4,
	EXIT_PLACE = 5, /* list, certificate, container, output place */
	EXIT_AUDIT = 6,
	EXIT_INTERRUPTED = 7
};

/* the exit status for what a library function returned */
int exit_status(int code);

#endif
