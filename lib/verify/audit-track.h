/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Follows the batches whose list is not finished, and compares their tables. */
#ifndef VERIFY_AUDIT_TRACK_H
#define VERIFY_AUDIT_TRACK_H

#include "verify/audit-verify.h"

/* Record by record, for batches that are tracked; others are passed over. */
int av_track_opened(struct av *v, const struct av_record *r, uint64_t items,
	struct ofs_error *e);
int av_track_item(struct av *v, const uint8_t batch_id[16], uint64_t index,
	enum run_status status, uint64_t seq, struct ofs_error *e);
int av_track_closed(struct av *v, const struct av_record *r, uint64_t items,
	struct ofs_error *e);

/* a log-event says that its list was given up */
int av_track_abandoned(
	struct av *v, const struct av_record *r, struct ofs_error *e);

/* an outcome of that batch was erased */
void av_track_absent(struct av *v, const uint8_t batch_id[16]);

int av_check_track_tables(struct av *v, struct ofs_error *e);
void av_tracks_free(struct av_tracks *t);

#endif
