/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a log that is not made after all would leave behind. */
#ifndef STORE_PLACE_NEW_H
#define STORE_PLACE_NEW_H

#include "store/place.h"

#define PLACE_NEW_FILES 4

struct place_new {
	char *dir;
	size_t n_dirs; /* it and those above it that were missing */
	const char *files[PLACE_NEW_FILES]; /* that were missing; or NULL */
};

/* what is missing, before anything is made */
int place_new_look(struct place_new *n, const char *dir, struct ofs_error *e);
/*
 * Removes the files that were missing, unless there is a log now. The flock is
 * ours, and the database not open: whoever waits for the flock finds that its
 * file has no name any more.
 */
void place_new_undo_files(const struct place_new *n);
/* removes the directories that were missing and are empty */
void place_new_undo_dirs(const struct place_new *n);
void place_new_free(struct place_new *n);

#endif
