/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Heads of a log: files of them, and how they are compared with a store. */
#ifndef VERIFY_AUDIT_HEAD_H
#define VERIFY_AUDIT_HEAD_H

#include <offlinesig/heads.h>

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

/* the same of a checkpoint that is here; `name` says where from */
int kept_note(const char *name, const struct buf *text, const ofs_audit *a,
	const uint8_t log_id[16], int code, struct kept *out,
	struct ofs_error *e);

/*
 * The same of a time-stamp, by an authority that a->tsa_trust names, over a
 * checkpoint that the log keeps: OFS_EDAMAGED when it is over none of them.
 * *is: whether it is a time-stamp at all.
 */
int kept_stamped(const char *path, ofs_audit *a, struct kept *out, bool *is,
	struct ofs_error *e);
/*
 * audit-witness.c: the first cosignature of a checkpoint, us; 0 where no
 * witnesses are named. OFS_ESIGNATURE; OFS_EUNTRUSTED: none of them has.
 */
int kept_witnessed(const ofs_audit *a, const struct note *note,
	const char *path, int64_t *time, struct ofs_error *e);

/*
 * OFS_EDAMAGED unless the root of the first h->size records is h->root; the
 * first `agreed` of them are known to be right.
 */
int kept_compare(struct store *s, const struct head *h, const char *name,
	uint64_t agreed, struct ofs_error *e);

/* the same of all of k, which a->heads_size records must cover */
int kept_compare_all(ofs_audit *a, const struct kept *k, const char *name,
	const struct head **newest, struct ofs_error *e);
/*
 * For ofs_audit_each_head(): kind, outside, place and seq are set. A head that
 * does not say when it was made is as old as its last record.
 */
int kept_remember(ofs_audit *a, const struct head *h,
	struct ofs_audit_head *out, struct ofs_error *e);

/*
 * audit-notes.c: compares checkpoints that somebody keeps at `name`, and what
 * else is there, with the log. mine[i] says whether the audit key of the log
 * has signed v[i]; what it has not is passed over and logged, and *passed says
 * why of the last one. *newest has size 0 when none is ours. OFS_EDAMAGED: the
 * log was rolled back or rewritten since one of ours.
 */
int kept_compare_notes(ofs_audit *a, const char *name, const struct buf *v,
	size_t n, bool *mine, struct head *newest, struct ofs_error *passed,
	struct ofs_error *e);
/*
 * The newest of these is one from outside: to be remembered, unless the log
 * tells of a newer one that was put at the same place. Then OFS_ETOKEN.
 */
int kept_take_newest(ofs_audit *a, const char *name, const struct head *newest,
	struct ofs_audit_head *out, struct ofs_error *e);

/* audit-timestamp.c: that of an anchor, over the checkpoint of that size */
int av_timestamp(struct av *v, const struct av_record *r, struct head *h,
	bool *trusted, struct ofs_error *e);

/* compares what an anchor says with the tree, and remembers it */
int av_anchor(struct av *v, const struct av_record *r, struct ofs_error *e);
/* what was compared: the head file and the newest checkpoint */
int av_heads_report(struct av *v, struct ofs_error *e);

#endif
