/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A bar with rate and time left on a terminal; else a line now and then. */
#ifndef TOOLS_PROGRESS_H
#define TOOLS_PROGRESS_H

#include <stdbool.h>

#include <offlinesig.h>

struct progress {
	bool terminal;
	bool drawn;
	int64_t last; /* us of the run when something was shown */
};

void progress_init(struct progress *p);
/* what ofs_batch_on_progress() calls; arg is the struct progress */
void progress_show(void *arg, const struct ofs_progress *now);
/* a line about it on stderr, terminal or not */
void progress_line(struct progress *p, const struct ofs_progress *now);
/* "0:07", "12:30" or "3:05:00" */
void progress_duration(char *to, size_t size, int64_t us);
/* "1200/s", or "300 MiB/s" when less than one document a second is done */
void progress_rate(
	const struct ofs_progress *now, size_t worked, char *to, size_t size);
/* takes the bar off the screen, so that a line can be printed */
void progress_wipe(struct progress *p);

#endif
