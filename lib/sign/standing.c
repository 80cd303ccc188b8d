/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What stands where the signature of a document goes. */
#include <errno.h>
#include <sys/stat.h>

#include "sign/standing.h"

#include "base/file.h"
#include "base/text.h"
#include "crypto/pubkey.h"
#include "format/cms_parse.h"
#include "verify/made.h"

static int
check_raw(const struct maker *m, const struct work *w, const struct buf *file,
	struct ofs_error *e)
{
	struct to_sign t = { .alg = m->alg, .hash = w->digest };

	if (m->message) {
		t.message =
			w->content.len > 0 ? w->content.p : (const uint8_t *)"";
		t.message_len = w->content.len;
	}
	return pubkey_verify_signed(m->pub, &t, file->p, file->len, e);
}

int
standing_look(const struct maker *m, const struct work *w, enum standing *out,
	struct ofs_error *e)
{
	const char *path = w->item->output;
	bool attached = m->format == OFS_FORMAT_CMS_ATTACHED;
	struct buf file = BUF_INIT;
	struct ofs_error why;
	struct stat st;
	int rc;

	*out = STANDING_NONE;
	if (lstat(path, &st) != 0)
		return errno == ENOENT || errno == ENOTDIR
			? 0
			: err_sys(e, OFS_EIO, errno, "cannot look at '%s'",
				  TEXT_Q(path));
	*out = STANDING_OTHER;
	if (!S_ISREG(st.st_mode))
		return 0;
	rc = file_read(path, CMS_FILE_MAX, &file, e);
	if (rc == OFS_EFORMAT) /* too large for one of ours */
		return 0;
	if (rc == 0 && m->format == OFS_FORMAT_RAW)
		rc = check_raw(m, w, &file, &why);
	else if (rc == 0)
		rc = made_cms(m->pub, m->alg->digest, w->digest, attached,
			file.p, file.len, &why);
	else
		why = *e;
	buf_free(&file);
	if (rc == 0)
		*out = STANDING_VALID;
	if (rc != OFS_ENOMEM && rc != OFS_EIO)
		return 0;
	*e = why;
	return rc;
}
