/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An SQLite VFS that tells crashdisk of what is written and synced, and that
 * fails when it is told to. So do pwrite, write, fsync, fdatasync, rename,
 * renameat2 and unlink of the objects of a program that is linked with --wrap
 * of these.
 */
#ifndef TEST_LIB_CRASHVFS_H
#define TEST_LIB_CRASHVFS_H

#include <stddef.h>

/* the default VFS of the process from now on */
void crashvfs_register(void);

enum crash_fault {
	FAULT_NONE,
	FAULT_EIO,
	FAULT_ENOSPC,
	FAULT_SHORT, /* half of a write, and ENOSPC */
	FAULT_DEAD,  /* EIO of that call and of all after it */
	FAULT_KINDS
};
/*
 * From now on what is done on the disk is told to crashdisk and counted; the
 * n-th (from 1) call fails. Off: files are only read and written.
 */
void crashvfs_on(enum crash_fault kind, size_t n);
void crashvfs_off(void);
/* calls since crashvfs_on() */
size_t crashvfs_calls(void);

#endif
