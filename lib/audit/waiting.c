/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Outputs that wait for their release, for who takes them out. */
#include <stdlib.h>
#include <string.h>

#include "audit/handle.h"

/* copied together: nothing is written while the log is being read */
#define AT_ONCE 64

struct waiting {
	struct ofs_audit_output p[AT_ONCE];
	size_t n;
	uint64_t after; /* outcomes up to here were copied */
};

static void
forget(struct waiting *w)
{
	for (size_t i = 0; i < w->n; i++) {
		free((void *)(uintptr_t)w->p[i].path);
		free((void *)(uintptr_t)w->p[i].p);
	}
	w->n = 0;
}

static int
copy(void *arg, const struct log_pending *p)
{
	struct waiting *w = arg;
	struct ofs_audit_output *to;
	uint8_t *bytes;

	to = &w->p[w->n++];
	*to = (struct ofs_audit_output){ .size = sizeof(*to),
		.seq = p->outcome_seq,
		.running = p->alive,
		.n = p->n };
	w->after = p->outcome_seq;
	if (p->path == NULL)
		return w->n == AT_ONCE ? LOG_ENOUGH : 0;
	to->path = strdup(p->path);
	to->p = bytes = malloc(p->n > 0 ? p->n : 1);
	if (to->path == NULL || bytes == NULL)
		return OFS_ENOMEM;
	memcpy(bytes, p->p, p->n);
	return w->n == AT_ONCE ? LOG_ENOUGH : 0;
}

/* the table is derived: what it holds is what the record says */
static int
check(ofs_audit *a, const struct ofs_audit_output *o, struct ofs_error *e)
{
	struct ofs_field sum;
	ofs_record *rec;
	uint8_t ours[32];
	int rc;

	rc = log_get(a, o->seq, &rec, e);
	if (rc != 0)
		return rc;
	rc = digest_of(&digest_sha256, o->p, o->n, ours, e);
	if (rc == 0 &&
		(!ofs_record_find(rec, "output_sha256", &sum) ||
			sum.len != sizeof(ours) ||
			memcmp(sum.bytes, ours, sizeof(ours)) != 0))
		rc = err_set(e, OFS_EDAMAGED,
			"the output of record %llu is not the one that was "
			"recorded; check the log with ofs-audit verify",
			(unsigned long long)o->seq);
	ofs_record_free(rec);
	return rc;
}

int
ofs_audit_each_output(ofs_audit *audit, ofs_audit_output_fn fn, void *arg)
{
	struct waiting *w = calloc(1, sizeof(*w));
	struct ofs_error e;
	int rc, ended = 0;
	size_t n = 1;

	rc = w != NULL ? 0 : err_nomem(&e);
	while (rc == 0 && ended == 0 && n > 0) {
		rc = log_each_pending(audit, w->after + 1, copy, w, &e);
		n = w->n;
		for (size_t i = 0; rc == 0 && ended == 0 && i < n; i++) {
			if (w->p[i].path != NULL)
				rc = check(audit, &w->p[i], &e);
			if (rc == 0)
				ended = fn(arg, &w->p[i]);
		}
		forget(w);
	}
	free(w);
	return rc != 0 ? handle_fail(audit, &e) : ended;
}
