/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The lock, the clock, and the slots as callers know them. */
#include <string.h>
#include <time.h>

#include "state.h"

#define MOVED_FIRST 0x40000000UL

CK_FUNCTION_LIST *real;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct slot slots[SLOTS_MAX];
static size_t slot_count;
static CK_SLOT_ID moved = MOVED_FIRST;
static CK_ULONG offset;

void
state_lock(void)
{
	pthread_mutex_lock(&lock);
}

void
state_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

int64_t
state_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static struct slot *
slot_new(CK_SLOT_ID outer)
{
	struct slot *s;

	if (slot_count == SLOTS_MAX)
		return NULL;
	s = &slots[slot_count++];
	memset(s, 0, sizeof(*s));
	s->outer = s->home = s->inner = outer;
	pthread_mutex_init(&s->busy, NULL);
	return s;
}

struct slot *
slot_get(CK_SLOT_ID outer)
{
	for (size_t i = 0; i < slot_count; i++)
		if (slots[i].outer == outer)
			return &slots[i];
	return slot_new(outer);
}

struct slot *
slot_each(size_t i)
{
	return i < slot_count ? &slots[i] : NULL;
}

bool
slot_any_touched(void)
{
	for (size_t i = 0; i < slot_count; i++)
		if (slots[i].touched)
			return true;
	return false;
}

void
slot_label(CK_SLOT_ID inner, char label[LABEL_MAX])
{
	CK_TOKEN_INFO t;
	size_t n = sizeof(t.label);

	label[0] = '\0';
	if (real->C_GetTokenInfo(inner, &t) != CKR_OK)
		return;
	while (n > 0 && t.label[n - 1] == ' ')
		n--;
	memcpy(label, t.label, n);
	label[n] = '\0';
}

bool
slot_by_label(const char *label, CK_SLOT_ID *inner)
{
	char one[LABEL_MAX];
	CK_SLOT_ID ids[256];
	CK_ULONG n = sizeof(ids) / sizeof(ids[0]);

	if (real->C_GetSlotList(CK_TRUE, ids, &n) != CKR_OK)
		return false;
	for (CK_ULONG i = 0; i < n; i++) {
		slot_label(ids[i], one);
		if (strcmp(one, label) == 0) {
			*inner = ids[i];
			return true;
		}
	}
	return false;
}

void
slot_move(struct slot *s)
{
	struct slot *ghost = slot_new(s->outer);

	if (ghost != NULL)
		ghost->ghost = ghost->touched = true;
	s->outer = moved++;
}

void
slot_reset(void)
{
	for (size_t i = 0; i < slot_count; i++) {
		struct slot *s = &slots[i];

		s->outer = s->inner = s->home;
		s->touched = s->out = s->sick = s->masked = false;
		s->so = s->so_behind = false;
		/* number and place stay taken, out of everybody's way */
		if (s->ghost)
			s->outer = s->home = s->inner = moved++;
	}
}

CK_ULONG
handle_offset(void)
{
	return offset;
}

void
handle_offset_grow(void)
{
	offset += 1UL << 24;
}

CK_ULONG
handle_inner(CK_ULONG outer)
{
	return outer > offset ? outer - offset : 0;
}

CK_ULONG
handle_outer(CK_ULONG inner)
{
	return inner == 0 ? 0 : inner + offset;
}
