/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* That a part of the log was exported goes into the log. */
#include <stdlib.h>

#include <offlinesig/keep.h>

#include "audit/handle.h"
#include "audit/log_event.h"
#include "base/file.h"
#include "crypto/digest.h"

int
ofs_audit_exported(ofs_audit *audit, const char *path,
	const struct ofs_audit_filter *filter, uint64_t count, uint64_t *seq)
{
	struct rec_log_event r = { .event = "export", .count = count };
	char *absolute = NULL;
	struct ofs_error e;
	uint8_t sum[32];
	uint64_t size;
	int rc = 0;

	*seq = 0;
	if (filter->size != sizeof(*filter)) {
		(void)err_set(&e, OFS_EINVAL,
			"filter of the audit log has a wrong size");
		return handle_fail(audit, &e);
	}
	r.first = filter->first;
	r.last = filter->end > 0 ? filter->end - 1 : 0;
	if (path != NULL) {
		rc = file_absolute(path, &absolute, &e);
		if (rc == 0)
			rc = digest_file(
				&digest_sha256, absolute, sum, &size, &e);
		r.path = absolute;
		r.sha256 = (struct rec_span){ sum, sizeof(sum) };
	}
	if (rc == 0)
		rc = log_event_record(audit, &r, seq, &e);
	free(absolute);
	return rc != 0 ? handle_fail(audit, &e) : 0;
}
