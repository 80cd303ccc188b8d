/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a key was enrolled for beyond documents. */
#include <string.h>

#include "sign/permit.h"

struct search {
	const uint8_t *spki_sha256;
	bool found, digests; /* as the last one says */
};

static int
look(void *arg, uint64_t seq, const struct record_body *b, struct ofs_error *e)
{
	struct search *s = arg;
	struct ofs_field f;

	(void)seq, (void)e;
	if (!record_body_find(b, "party.key.spki_sha256", &f) || f.len != 32 ||
		memcmp(f.bytes, s->spki_sha256, 32) != 0 ||
		!(record_body_is(b, "event", "enroll") ||
			record_body_is(b, "event", "adopt")))
		return 0;
	s->found = true;
	s->digests = record_body_is(b, "use", PERMIT_DIGEST);
	return 0;
}

int
permit_digests(ofs_audit *audit, const ofs_key *key, struct ofs_error *e)
{
	const struct ofs_key_info *info = ofs_key_get_info(key);
	struct search s = { .spki_sha256 = info->spki_sha256 };
	int rc;

	if (audit == NULL)
		return err_set(e, OFS_EINVAL,
			"only the audit log tells whether a key may sign "
			"digests; open one");
	rc = log_each_of_type(audit, OFS_REC_KEY_EVENT, look, &s, e);
	if (rc != 0 || s.digests)
		return rc;
	return err_set(e, OFS_EUNSUPPORTED,
		"key '%s' %s for digests of documents that are not here, whose "
		"content nobody checks; if it may sign them, say so with "
		"ofs-token adopt --use digest",
		info->label,
		s.found ? "was not enrolled" : "is not enrolled in this log");
}
