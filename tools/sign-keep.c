/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The report of a run as a file: whole, or not there. */
#include <errno.h>
#include <string.h>

#include "common/plain.h"
#include "sign.h"

int
cmd_sign_report_line(struct sign_report *r, struct jline *j)
{
	int rc;

	if (r->file.f != NULL && jline_put(j, r->file.f) != 0 && r->kept == 0)
		r->kept = errno != 0 ? errno : EIO;
	if (r->out->json)
		return jline_end(j, r->out);
	rc = j->bad ? OFS_ENOMEM : 0;
	json_decref(j->o);
	return rc;
}

int
cmd_sign_report_keep(struct sign_report *r, int code)
{
	int rc;

	if (r->file.f == NULL)
		return code;
	if (r->kept != 0) {
		small_abort(&r->file);
		rc = out_fail(r->out, OFS_EIO, "cannot write '%s': %s",
			NAME(r->opts->report), strerror(r->kept));
	} else {
		rc = small_commit(r->out, &r->file);
	}
	return code != 0 ? code : rc;
}
