/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Turns on one token: an advisory lock that processes share fairly. */
#ifndef TOKEN_TURN_H
#define TOKEN_TURN_H

#include <stdint.h>

#include <p11-kit/pkcs11.h>

#include "base/err.h"

/*
 * One for each token that a process shares with others. Any number of its
 * threads may be inside at once; other processes are kept out until all have
 * left. A process that has been inside for longer than 100 ms while another
 * waits lets no more threads in until that one had its turn. The kernel ends
 * the turn of a process that dies.
 *
 * A thread that is inside must not enter again. Two handles for one token in
 * one process keep each other out like two processes. A child of fork() opens
 * its own.
 */
struct turn;

/*
 * Opens or creates DIR/offlinesig-HEX.lock, where HEX are the first 16 digits
 * of the SHA-256 of "manufacturer|model|serial". lock_dir NULL is "/run/lock";
 * with "" nothing is shared: *out is NULL, which the others take and do
 * nothing. Errors: OFS_EIO (the directory or the file is unusable; the message
 * says what to do), OFS_ENOMEM.
 */
int turn_open(const char *lock_dir, const CK_TOKEN_INFO *t, struct turn **out,
	struct ofs_error *e);
/* nobody is inside or waits; in a child of fork() it only frees the memory */
void turn_close(struct turn *t);

/*
 * Waits until deadline_us of time_mono(); one that is past is one try. Errors:
 * OFS_ETOKEN (somebody else had the token all the time; the message names the
 * process), OFS_EIO.
 */
int turn_enter(struct turn *t, int64_t deadline_us, struct ofs_error *e);
void turn_leave(struct turn *t);

#endif
