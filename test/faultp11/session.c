/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The sessions that callers have open. */
#include <stdlib.h>

#include "state.h"

#define FAKE_FIRST 0x7f000000UL

static struct session *sessions;
static size_t count, room;
static CK_SESSION_HANDLE fake = FAKE_FIRST;

CK_SESSION_HANDLE
session_add(struct slot *s, CK_SESSION_HANDLE inner, enum session_state state)
{
	struct session *more;

	if (count == room) {
		size_t want = room == 0 ? 64 : room * 2;

		more = realloc(sessions, want * sizeof(*sessions));
		if (more == NULL)
			return 0;
		sessions = more;
		room = want;
	}
	more = &sessions[count++];
	more->outer = state == SESSION_FAKE ? fake++ : handle_outer(inner);
	more->inner = inner;
	more->slot = s;
	more->state = state;
	return more->outer;
}

struct session *
session_find(CK_SESSION_HANDLE outer)
{
	for (size_t i = 0; i < count; i++)
		if (sessions[i].outer == outer)
			return &sessions[i];
	return NULL;
}

size_t
session_any(const struct slot *s)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		n += sessions[i].slot == s;
	return n;
}

size_t
session_count(const struct slot *s)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		n += sessions[i].slot == s &&
			(sessions[i].state == SESSION_LIVE ||
				sessions[i].state == SESSION_FAKE);
	return n;
}

static void
drop_at(size_t i)
{
	sessions[i] = sessions[--count];
}

void
session_drop(CK_SESSION_HANDLE outer)
{
	for (size_t i = count; i > 0; i--)
		if (sessions[i - 1].outer == outer)
			drop_at(i - 1);
}

void
session_drop_slot(const struct slot *s)
{
	for (size_t i = count; i > 0; i--)
		if (sessions[i - 1].slot == s)
			drop_at(i - 1);
}

void
session_drop_all(void)
{
	free(sessions);
	sessions = NULL;
	count = room = 0;
}

void
session_turn(
	const struct slot *s, enum session_state from, enum session_state to)
{
	for (size_t i = 0; i < count; i++)
		if (sessions[i].slot == s && sessions[i].state == from)
			sessions[i].state = to;
}
