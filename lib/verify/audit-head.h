/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Heads of a log: files of them, and how they are compared with a store. */
#ifndef VERIFY_AUDIT_HEAD_H
#define VERIFY_AUDIT_HEAD_H

#include "verify/audit-verify.h"

/* What a file says of one log: both slots of a head file, else one head. */
struct kept {
	const char *kind; /* as struct ofs_audit_head has it */
	struct head head[HEAD_SLOTS];
	size_t n;
};

/*
 * Reads a head file, the manifest of a backup, or a checkpoint. It must be of
 * the log of `a`, or `code` is returned, and a checkpoint signed by the audit
 * key of that.
 */
int kept_read(const char *path, const ofs_audit *a, const uint8_t log_id[16],
	int code, struct kept *out, struct ofs_error *e);

/* OFS_EDAMAGED unless the root of the first h->size records is h->root */
int kept_compare(struct store *s, const struct head *h, const char *name,
	struct ofs_error *e);

/* audit-timestamp.c: that of an anchor, over the checkpoint of that size */
int av_timestamp(struct av *v, const struct av_record *r, struct head *h,
	bool *trusted, struct ofs_error *e);

/* compares what an anchor says with the tree, and remembers it */
int av_anchor(struct av *v, const struct av_record *r, struct ofs_error *e);
/* what was compared: the head file and the newest checkpoint */
int av_heads_report(struct av *v, struct ofs_error *e);

#endif
