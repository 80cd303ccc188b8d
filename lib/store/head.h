/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The head file beside the store: how far the log had got, and its root. */
#ifndef STORE_HEAD_H
#define STORE_HEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define HEAD_SLOTS 2

struct head {
	uint8_t log_id[16];
	uint64_t size; /* records */
	int64_t time;  /* us */
	uint8_t root[32];
};

/* What a head file holds; the slots are written in turn. */
struct head_file {
	bool present; /* the file is there */
	bool valid[HEAD_SLOTS];
	struct head slot[HEAD_SLOTS];
	struct ofs_error why; /* of the last slot that is not valid */
};

/*
 * Reads both slots through fd, which may be -1 (no file). OFS_EDAMAGED when
 * neither is valid; one torn slot is what a crash leaves.
 */
int head_read(int fd, struct head_file *f, struct ofs_error *e);
/* the valid slot with more records, or NULL */
const struct head *head_newest(const struct head_file *f);
/*
 * Writes h over the older or invalid slot, durably; over both when the file is
 * new, so that one of them is always whole.
 */
int head_write(int fd, const struct head_file *old, const struct head *h,
	struct ofs_error *e);

#endif
