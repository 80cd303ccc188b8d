/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checkpoints that were kept outside, wherever, compared with a log. */
#include <string.h>

#include "verify/audit-head.h"

#include "base/ctx.h"
#include "base/text.h"

static int
enter(ofs_audit *a, struct ofs_error *e)
{
	bool nested;
	int rc = handle_enter(a, &nested, e);

	if (rc == 0 && nested)
		rc = err_set(e, OFS_EINTERNAL,
			"cannot compare heads within a transaction");
	return rc;
}

static int
compare(ofs_audit *a, const uint8_t log_id[16], const char *name,
	const struct buf *text, bool *mine, struct head *newest,
	struct ofs_error *passed, struct ofs_error *e)
{
	const struct head *h;
	struct kept k;
	int rc;

	rc = kept_note(name, text, a, log_id, OFS_EDAMAGED, &k, passed);
	*mine = rc == 0;
	if (rc == OFS_ENOMEM)
		return err_nomem(e);
	if (rc != 0) {
		ctx_log(a->ctx, OFS_LOG_WARNING, "passed over: %s",
			passed->message);
		return 0;
	}
	rc = kept_compare_all(a, &k, name, &h, e);
	if (rc == 0 && h->size > newest->size)
		*newest = *h;
	return rc;
}

int
kept_compare_notes(ofs_audit *a, const char *name, const struct buf *v,
	size_t n, bool *mine, struct head *newest, struct ofs_error *passed,
	struct ofs_error *e)
{
	struct store_state st;
	int rc;

	memset(newest, 0, sizeof(*newest));
	err_clear(passed);
	rc = enter(a, e);
	if (rc != 0)
		return rc;
	rc = store_begin(&a->store, false, e);
	if (rc == 0) {
		rc = store_state_get(&a->store, &st, e);
		if (rc == 0 && st.size > a->heads_size)
			a->heads_size = st.size;
		for (size_t i = 0; rc == 0 && i < n; i++)
			rc = compare(a, st.log_id, name, &v[i], &mine[i],
				newest, passed, e);
		store_rollback(&a->store);
	}
	handle_leave(a, false);
	return rc;
}

/* the newest that a record tells of */
static int
take_told(void *arg, const struct ofs_audit_head *h)
{
	struct ofs_audit_head *told = arg;

	if (!h->outside && h->seq != 0 && strcmp(h->kind, told->kind) == 0 &&
		strcmp(h->place, told->place) == 0 &&
		h->records > told->records)
		*told = *h;
	return 0;
}

int
kept_take_newest(ofs_audit *a, const char *name, const struct head *newest,
	struct ofs_audit_head *out, struct ofs_error *e)
{
	struct ofs_audit_head told = *out;
	int rc;

	told.records = 0;
	(void)ofs_audit_each_head(a, take_told, &told);
	if (told.records > newest->size)
		return err_set(e, OFS_ETOKEN,
			"the head on '%s' is not the one that was put there: "
			"record %llu of the audit log tells of one of %llu "
			"records%s; keep a newer one there, or compare with "
			"another head",
			TEXT_Q(name), (unsigned long long)told.seq,
			(unsigned long long)told.records,
			newest->size == 0 ? ", and there is none" : "");
	if (newest->size == 0)
		return err_set(e, OFS_ETOKEN,
			"'%s' holds no head of this audit log; put one there "
			"with ofs-audit anchor",
			TEXT_Q(name));
	rc = enter(a, e);
	if (rc != 0)
		return rc;
	out->outside = true;
	rc = kept_remember(a, newest, out, e);
	handle_leave(a, false);
	return rc;
}
