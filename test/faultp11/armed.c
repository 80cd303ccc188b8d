/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The script that is in force, where it comes from, and what it says. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "count.h"
#include "state.h"

static struct script armed;
static bool sound = true;
static char *from_env;
static struct stat seen; /* of the script file */
static bool started;

int
armed_set(const char *text)
{
	struct script *s = malloc(sizeof(*s));
	const char *why;
	int line;

	if (s == NULL)
		return -1;
	line = script_parse(text, s, &why);
	if (line == 0) {
		if (!s->keep)
			count_clear();
		armed = *s;
		sound = true;
	} else {
		fprintf(stderr, "faultp11: line %d of the script: %s\n", line,
			why);
	}
	free(s);
	return line;
}

static void
set_or_stop(const char *text)
{
	if (armed_set(text) != 0)
		sound = false;
}

static void
read_env(void)
{
	const char *text = getenv("FAULTP11_SCRIPT");

	if (text == NULL || (from_env != NULL && strcmp(text, from_env) == 0))
		return;
	free(from_env);
	from_env = strdup(text);
	set_or_stop(text);
}

static void
read_file(void)
{
	const char *path = getenv("FAULTP11_SCRIPT_FILE");
	static char text[65536];
	struct stat st;
	ssize_t n;
	int fd;

	if (path == NULL || path[0] == '\0' || stat(path, &st) != 0)
		return;
	if (st.st_mtim.tv_sec == seen.st_mtim.tv_sec &&
		st.st_mtim.tv_nsec == seen.st_mtim.tv_nsec &&
		st.st_ino == seen.st_ino && st.st_size == seen.st_size)
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n < 0)
		return;
	text[n] = '\0';
	seen = st;
	set_or_stop(text);
}

void
armed_poll(bool initialize)
{
	if (!started || initialize)
		read_env();
	started = true;
	read_file();
}

bool
armed_sound(void)
{
	return sound;
}

/* a call on another token is none of this rule's or mode's business */
static bool
concerns(const char *label, const struct slot *s)
{
	char one[LABEL_MAX];

	if (label[0] == '\0')
		return true;
	if (s == NULL)
		return false;
	slot_label(s->inner, one);
	return strcmp(one, label) == 0;
}

static void
add_removal(struct fault *f, const struct fault *more)
{
	if (more->removal.column == COLUMN_NONE)
		return;
	f->removal = more->removal;
	memcpy(f->removed, more->removed, sizeof(f->removed));
}

static void
add_fault(struct fault *f, const struct fault *more)
{
	f->delay += more->delay;
	f->hang |= more->hang;
	f->wrong |= more->wrong;
	f->sigpipe |= more->sigpipe;
	f->kill |= more->kill;
	if (more->has_ckr) {
		f->has_ckr = true;
		f->ckr = more->ckr;
	}
	if (more->has_after) {
		f->has_after = true;
		f->after = more->after;
	}
	if (more->length_op != 0) {
		f->length_op = more->length_op;
		f->length = more->length;
	}
	if (more->swap_a[0] != '\0') {
		memcpy(f->swap_a, more->swap_a, sizeof(f->swap_a));
		memcpy(f->swap_b, more->swap_b, sizeof(f->swap_b));
	}
	add_removal(f, more);
}

bool
armed_match(enum fn fn, const struct slot *s, struct fault *f)
{
	bool any = false;

	memset(f, 0, sizeof(*f));
	for (size_t i = 0; i < armed.rule_count; i++) {
		struct rule *r = &armed.rules[i];

		if ((r->fn >= 0 && r->fn != (int)fn) || !concerns(r->token, s))
			continue;
		r->seen++;
		if (r->seen < r->from || r->seen > r->to)
			continue;
		any = true;
		add_fault(f, &r->fault);
	}
	return any;
}

bool
armed_mode(
	enum mode_kind kind, const struct slot *s, size_t i, struct mode *out)
{
	for (size_t k = 0; k < armed.mode_count; k++) {
		const struct mode *m = &armed.modes[k];

		if (m->kind != kind || !concerns(m->token, s))
			continue;
		if (i-- == 0) {
			*out = *m;
			return true;
		}
	}
	return false;
}

void
armed_add(const struct mode *m)
{
	if (armed.mode_count < MODES_MAX)
		armed.modes[armed.mode_count++] = *m;
}
