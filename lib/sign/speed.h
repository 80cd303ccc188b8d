/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How fast a key signed before, as the audit log has it. */
#ifndef SIGN_SPEED_H
#define SIGN_SPEED_H

#include <offlinesig/plan.h>

#include "base/err.h"

/*
 * From the newest batch with this key that signed enough to tell, or the newest
 * bench, or else the largest batch found; only the last part of the log is
 * looked at. OFS_RATE_UNKNOWN where it tells nothing.
 */
int speed_find(ofs_audit *audit, const uint8_t spki_sha256[32],
	enum ofs_rate_source *source, uint64_t *seq, double *per_second,
	struct ofs_error *e);

#endif
