/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A bar with rate and time left on a terminal; else a line now and then. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/progress.h"

#define SECOND INT64_C(1000000)
#define REDRAW_US (SECOND / 10)
#define LINE_US (5 * SECOND)
#define WIDTH_MAX 80
#define WIDTH_MIN 30
#define MIB (1u << 20)

void
progress_init(struct progress *p)
{
	const char *term = getenv("TERM");

	memset(p, 0, sizeof(*p));
	p->terminal = isatty(STDERR_FILENO) && term != NULL &&
		strcmp(term, "dumb") != 0;
}

static int
width(void)
{
	struct winsize w;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) != 0 || w.ws_col == 0 ||
		w.ws_col > WIDTH_MAX)
		return WIDTH_MAX;
	return w.ws_col;
}

void
progress_duration(char *to, size_t size, int64_t us)
{
	long s = (long)((us + SECOND - 1) / SECOND);

	if (s >= 3600)
		snprintf(to, size, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60,
			s % 60);
	else
		snprintf(to, size, "%ld:%02ld", s / 60, s % 60);
}

/* of documents, or, where these are few and large, of their bytes */
void
progress_rate(
	const struct ofs_progress *now, size_t worked, char *to, size_t size)
{
	double s = (double)(now->elapsed > 0 ? now->elapsed : 1) / SECOND;
	double rate = (double)worked / s;

	if (rate < 1 && now->bytes >= MIB)
		snprintf(to, size, "%.0f MiB/s", (double)now->bytes / MIB / s);
	else
		snprintf(to, size, rate < 10 ? "%.1f/s" : "%.0f/s", rate);
}

struct figures {
	size_t done;
	int percent;
	char rate[24], left[32];
};

static void
figure(const struct ofs_progress *now, struct figures *f)
{
	double rate = 0;
	size_t worked = now->signed_items + now->failed;

	f->done = worked + now->skipped + now->not_attempted + now->unknown;
	f->percent = now->items == 0 ? 100 : (int)(f->done * 100 / now->items);
	if (now->elapsed > 0)
		rate = (double)worked * SECOND / (double)now->elapsed;
	progress_rate(now, worked, f->rate, sizeof(f->rate));
	snprintf(f->left, sizeof(f->left), "-:--");
	if (rate > 0 && now->elapsed > SECOND / 2)
		progress_duration(f->left, sizeof(f->left),
			(int64_t)((double)(now->items - f->done) * SECOND /
				rate));
}

/* what fits: on a narrow terminal the rate goes first, then the count */
static void
describe(char *to, size_t size, int columns, const struct ofs_progress *now,
	const struct figures *f)
{
	char failed[32] = "";

	if (now->failed > 0)
		snprintf(failed, sizeof(failed), "  %zu failed", now->failed);
	snprintf(to, size, " %3d%%  %zu/%zu  %s  %s left%s", f->percent,
		f->done, now->items, f->rate, f->left, failed);
	if ((int)strlen(to) - 1 <= columns)
		return;
	snprintf(to, size, " %d%%  %zu/%zu  %s left%s", f->percent, f->done,
		now->items, f->left, failed);
	if ((int)strlen(to) - 1 <= columns)
		return;
	snprintf(to, size, " %d%%  %s left%s", f->percent, f->left, failed);
}

static void
draw_bar(const struct ofs_progress *now, const struct figures *f)
{
	int columns = width() - 1, room, full, i;
	char text[128];

	describe(text, sizeof(text), columns, now, f);
	room = columns - (int)strlen(text) - 2;
	fputc('\r', stderr);
	if (columns < WIDTH_MIN || room < 4) {
		fprintf(stderr, "%.*s\033[K", columns, text + 1);
		return;
	}
	if (room > 40)
		room = 40;
	full = room * f->percent / 100;
	fputc('[', stderr);
	for (i = 0; i < room; i++)
		fputc(i < full ? '#' : '-', stderr);
	fprintf(stderr, "]%s\033[K", text);
}

static void
print_line(const struct ofs_progress *now, const struct figures *f)
{
	fprintf(stderr, "%s: %zu of %zu done (%d%%), %zu failed, %s, %s left\n",
		program_invocation_short_name, f->done, now->items, f->percent,
		now->failed, f->rate, f->left);
}

void
progress_line(struct progress *p, const struct ofs_progress *now)
{
	struct figures f;

	figure(now, &f);
	flockfile(stderr);
	progress_wipe(p);
	print_line(now, &f);
	fflush(stderr);
	funlockfile(stderr);
}

void
progress_show(void *arg, const struct ofs_progress *now)
{
	struct progress *p = arg;
	struct figures f;

	if (now->elapsed - p->last < (p->terminal ? REDRAW_US : LINE_US))
		return;
	p->last = now->elapsed;
	figure(now, &f);
	flockfile(stderr);
	if (p->terminal) {
		draw_bar(now, &f);
		p->drawn = true;
	} else {
		print_line(now, &f);
	}
	fflush(stderr);
	funlockfile(stderr);
}

void
progress_wipe(struct progress *p)
{
	flockfile(stderr);
	if (p->drawn) {
		fputs("\r\033[K", stderr);
		fflush(stderr);
		p->drawn = false;
	}
	funlockfile(stderr);
}
